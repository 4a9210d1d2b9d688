/* orgimport rehearse: the recorded organization becomes a simulated one, and the real worker plays the whole import
 * against it in a private fleet that is thrown away. rehearse.c is the verb, rehearse_fleet.c the fleet. */
#pragma once

#include "dispatcher/cli/local.h"

struct rehearsal {
    struct cli *cli;  /* the fleet that has the import, and is told the outcome */
    struct cli stage; /* the private fleet */
    struct local_fleet fleet;
    char endpoint[128];
    uint64_t latency_ms, timeout_ms;
    json_t *seed; /* as the API gives it */
};

/* Writes the record, starts simulated AWS and fleet, submits the request again, waits for its end. `ret`: the summary
 * of what the run did, with effects and fidelity. New reference. */
NODISCARD int rehearsal_play(struct rehearsal *r, const char *profile_json, json_t **ret, struct err *err);
/* Stops everything and removes the folder; safe at any time. */
void rehearsal_end(struct rehearsal *r);
