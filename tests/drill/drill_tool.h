/* What the drill's small programs share: an open queue on a loop, patience while Redis is away, one JSON line at the
 * end. */
#pragma once

#include "common/queue/queue.h"

#define DRILL_OPTIONS "--redis=URL [--shards=1] [--prefix=f] [--durability=strict|relaxed]"

struct drill {
    uv_loop_t loop;
    struct redis *redis;
    struct queue *queue;
    const char *url, *prefix, *password_file;
    uint32_t shards;
    bool is_relaxed;
    uv_timer_t again;
    struct err err;
    bool is_answered;
};

/* Takes `--name=value` out of argv when it is one of ours. */
bool drill_option(struct drill *d, const char *word);
/* The value of `--name=value`, NULL when the word is another one. */
const char *drill_value(const char *word, const char *name);
_Noreturn void drill_fail(const char *program, const char *what, const struct err *err);
/* Comes back when the queue is open; tries again while Redis does not answer, ends the program on other faults. */
void drill_open(struct drill *d, const char *program);
/* Everything is closed and the loop is empty: leak checkers see a clean end. */
void drill_close(struct drill *d);
