/* What time it is at AWS, by host: signatures live minutes, so a machine with a wrong clock still works.
 *
 * Kept against the boot clock: once AWS has answered, setting our wall clock changes nothing that is signed. Else a
 * signature would be dated ahead, AWS takes it up to 5 minutes early, and it would live longer than the age at which
 * another holder may believe our write absent (P3). For the same reason what we sign is never ahead of AWS's clock as
 * far as its answers tell. */
#pragma once

#include "common/aws/keyed.h"
#include "common/base/env.h"
#include "common/base/far_clock.h"

#define SKEW_RETRY_MS 240000

struct http_response;

struct skews {
    struct keyed_map hosts;
    struct far_clock any; /* what was learned last, of whomever */
};

void skews_init(struct skews *skews);
void skews_done(struct skews *skews);
/* What to add to our boot clock: of that host, else of the host that answered last (NULL: at once), else what our wall
 * clock says. No write is signed by the wall clock: whose name it bears was asked of AWS before, by this client. */
int64_t skew_of(const struct skews *skews, const char *host, const struct env *env);
/* Learns from an answer's Date; ignores answers out of a cache and exchanges of more than 15 minutes. */
void skew_learn(struct skews *skews, const char *host, const struct http_response *response, const struct env *env);
