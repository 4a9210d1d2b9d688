/* The heartbeat: a thread of its own with a blocking connection, so that a slow turn cannot delay it. It beats only
 * while the loop ticks: a process whose loop is blocked must lose its lease, because it can no longer stop its calls.
 *
 * A lease is counted on the boot clock from before the beat was sent: never longer than Redis counts it. */
#pragma once

#include "common/redis/redis.h"

#include <stdatomic.h>

struct beat_shard { /* written by both threads */
    uint32_t id;
    _Atomic uint64_t session;     /* 0: none */
    _Atomic uint64_t lease_until; /* boot ms */
    _Atomic uint64_t gone;        /* the session that the queue does not know any more */
    _Atomic uint32_t held;        /* as Redis knows it */
    _Atomic uint32_t mail;
    _Atomic uint32_t ring;        /* imports that wait for a place */
    _Atomic uint64_t next_due_ms; /* on Redis's clock; 0: nothing is waited for */
    _Atomic bool is_news;
    _Atomic bool is_busy; /* holds an import: beaten every time; an idle one only as often as its lease needs */
};

struct beat;
struct beat_options {
    const struct env *env;
    struct redis_options redis;
    const char *prefix;
    uint32_t lease_ms, interval_ms;
    uint32_t shard_count;
    void (*news)(void *arg); /* on the loop: some shard has news */
    void *arg;
};
NODISCARD int beat_start(uv_loop_t *loop, const struct beat_options *options, struct beat **ret, struct err *err);
struct beat_shard *beat_shard(struct beat *b, uint32_t shard);
/* A shard that becomes busy is beaten at once when its last beat is older than one interval. */
void beat_set_busy(struct beat *b, uint32_t shard, bool is_busy);
/* Whether calls that change something may be signed now: within the last lease time Redis has said that the fleet is
 * not halted, and nothing newer says that it is. */
bool beat_may_write(const struct beat *b);
bool beat_is_halted(const struct beat *b); /* as last heard */
void beat_tick(struct beat *b);            /* the loop lives */
void beat_stop(struct beat *b);            /* joins the thread; frees when the loop has let go */
