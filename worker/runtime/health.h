/* Health: a unix socket that answers one line of JSON to whoever connects, and the client of it. */
#pragma once

#include "common/base/err.h"

#include <uv.h>

struct health;
/* `report`: new text, one JSON object with "ok":bool. */
typedef char *health_fn(void *arg);
NODISCARD int health_listen(uv_loop_t *loop, const char *path, health_fn *report, void *arg, struct health **ret,
                            struct err *err);
void health_close(struct health *h);
/* Asks the worker that listens at `path`; prints its line. 0 when it is well, 1 when not or silent for 2 s. */
int health_ask(const char *path);
