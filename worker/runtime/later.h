/* Things to do later on the loop: timers without a handle each, so that what owns them may be freed at once.
 *
 * Invariant: `fn` runs at most once, never inside later_add(), and never after later_cancel(). */
#pragma once

#include "common/base/env.h"

#include <stdbool.h>
#include <uv.h>

struct later;
struct later_item;
typedef void later_fn(void *arg);

/* Times are counted on env's boot clock. */
struct later *later_new(uv_loop_t *loop, const struct env *env);
/* What is still to do is dropped. */
void later_close(struct later *l);
struct later_item *later_add(struct later *l, uint64_t delay_ms, later_fn *fn, void *arg);
void later_cancel(struct later_item *item); /* NULL is fine */
