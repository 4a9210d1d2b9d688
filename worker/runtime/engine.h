/* The engine: one loop that claims imports, plays their steps, and settles what they come to.
 *
 *   bell, next_due, free capacity -> turn -> claims -> hold: load -> run: step core -> items -> turn -> acks,
 * successors
 *
 * Invariants: whatever a hold has in hand is given up without a word when the queue says that it is not ours any more
 * (I2, I4); no call leaves unless the session's lease outlives it (P3); the heartbeat stops when this loop stops. */
#pragma once

#include "common/config/config.h"

/* Runs until SIGTERM (drained) or an error that no retry mends. Gives the exit code of the process. */
int engine_run(const struct config *config);
