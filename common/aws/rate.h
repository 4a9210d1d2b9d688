/* Polite rates: a bucket per (account, family), paused as a whole when AWS says to slow down. Pure: time comes in. */
#pragma once

#include "common/aws/keyed.h"

struct rate_limits {
    uint64_t interval_us; /* between two departures once the burst is used up */
    uint64_t burst;
};
/* Of a family at `scale_pct` of the polite rate. */
struct rate_limits rate_limits_of(const char *family, uint32_t scale_pct);
/* Whether the table has a line for the family or its service (else "*" is used). */
bool rate_is_known(const char *family);
/* How many calls of the family's service may be in flight at once per account; 0: no limit. */
uint32_t rate_in_flight_max(const char *family);

/* A bucket as its next departure (generic cell rate algorithm): exact, no timer of its own. */
struct rate_bucket {
    struct keyed keyed;
    struct rate_limits limits;
    uint64_t arrival_us; /* theoretical arrival of the next one if all went at the steady rate */
    uint64_t paused_until_ms;
};
struct rates {
    struct keyed_map map;
    uint32_t scale_pct;
};
void rates_init(struct rates *rates, uint32_t scale_pct);
void rates_done(struct rates *rates);
struct rate_bucket *rates_bucket(struct rates *rates, const char *rate_key, const char *family, uint64_t now_ms);
/* When the next may leave (>= now_ms). Taking makes that slot ours. */
uint64_t rate_take(struct rate_bucket *bucket, uint64_t now_ms);
uint64_t rate_peek(const struct rate_bucket *bucket, uint64_t now_ms);
/* 0 when unknown to the map. */
uint32_t rates_wait_ms(const struct rates *rates, const char *rate_key, const char *family, uint64_t now_ms);
void rate_pause(struct rate_bucket *bucket, uint64_t until_ms);
