/* Taking an ended look for drift out of Redis, whole. Never an import: the functions refuse whatever does not stand in
 * a look's own account place ("drift/.."). */
#pragma once

#include "common/queue/queue.h"

#define QUEUE_RETIRE_ACCOUNT "drift/" /* account keys of what may go begin so; retire.lua knows the same text */

/* In pieces of at most 64 keys and fields; a piece that was done is done, so it may be begun anew at any time. What is
 * gone already: no error. ERR_STATE_CONFLICT: it is no look, or has not ended. */
void queue_retire(struct queue *q, const char *import_id, queue_done_fn *done, void *arg);
