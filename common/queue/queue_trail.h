/* What an import knows of CloudTrail, kept beside it in Redis: f:{s}:trail:IMP, a hash of small texts and segments
 * whose names and content are the worker's (worker/runtime/trail.h).
 *
 * Not fenced, and needs no fence: a segment is named by its content and is only ever added, so what a zombie writes
 * late can add to what is known and takes nothing away. A holder removes only segments whose content it has just
 * written anew. */
#pragma once

#include "common/queue/queue.h"

#define QUEUE_TRAIL_PARTS_MAX 64 /* set or removed by one call */

struct queue_trail_part { /* borrowed */
    const char *name;
    const void *bytes;
    size_t len;
};
/* All parts, in no order; none when nothing was ever kept. */
typedef void queue_trail_fn(void *arg, const struct err *err, const struct queue_trail_part *parts, size_t count);
void queue_trail_get(struct queue *q, const char *import_id, queue_trail_fn *done, void *arg);
/* Sets `parts`, then removes those named in `gone` (an array of texts, borrowed). `done` once it is durable, on a
 * replica too where there is one: who goes on counting from a cursor that a failover takes back would leave a hole. */
void queue_trail_put(struct queue *q, const char *import_id, const struct queue_trail_part *parts, size_t count,
                     const json_t *gone, queue_done_fn *done, void *arg);
