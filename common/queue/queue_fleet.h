/* The fleet-wide halt: no worker signs a call that changes anything while it stands; reads go on.
 *
 * One flag in the global slot, f:{g}:fleet, and every halt and release in a hash chain beside it, f:{g}:fleet:log: who,
 * why, when. A finding halts once: what was released is not halted again for the same reason (`id`).
 *
 * Who obeys: each heartbeat asks for the flag (queue_fleet_is_halted). A worker that has not been told "not halted" for
 * a lease's length counts itself as halted, so all writers stop within one lease time, whatever happens to the network.
 */
#pragma once

#include "common/queue/queue.h"

struct queue_halt {                      /* borrowed */
    const char *id;                      /* of the finding; "" a person's own decision */
    const char *reason, *by, *import_id; /* import_id "" none */
};
/* DONE when it stands, also when it stood already. The first reason stays; later ones join the log. */
void queue_fleet_halt(struct queue *q, const struct queue_halt *why, queue_done_fn *done, void *arg);
/* ERR_STATE_CONFLICT when nothing is halted. */
void queue_fleet_release(struct queue *q, const char *reason, const char *by, queue_done_fn *done, void *arg);
/* {halted: bool, halt: {reason, by, import, id, at_ms} or null, log: [last 50 lines, newest last]}. */
void queue_fleet_get(struct queue *q, queue_json_fn *done, void *arg);
/* For the beat thread: blocking. */
NODISCARD int queue_fleet_is_halted(redisContext *ctx, const char *prefix, bool *ret, struct err *err);
