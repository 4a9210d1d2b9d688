#include "worker/runtime/beat.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/queue/queue_fleet.h"

#include <stdlib.h>

#define BEAT_MAGIC 0xbea70001u
#define CONNECT_TIMEOUT_MS 2000
#define TRIES 2

struct beat {
    uint32_t magic;
    struct beat_options options;
    struct beat_shard *shards;
    _Atomic uint64_t ticked_boot_ms;
    _Atomic uint64_t clear_boot_ms; /* when we last asked and heard that the fleet is not halted; 0 never */
    _Atomic bool is_halted;
    uv_async_t async;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    bool is_stopping, is_urgent; /* under lock */
    uint32_t rounds;             /* of the thread */
    struct redis_blocking *redis;
};

/* A fault once may be a connection that had died, or a shard that has moved: looked for anew, and asked again. */
static int ask_beat(struct beat *b, uint32_t shard, uint64_t session, struct queue_beat *ret, struct err *err)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s:{%u}:h", b->options.prefix, shard);
    for (int tries = 0; tries < TRIES; tries++) {
        redisContext *ctx = redis_blocking_get(b->redis, key, err);
        if (!ctx)
            return -1;
        if (queue_beat(ctx, b->options.prefix, shard, session, b->options.lease_ms, ret, err) == 0)
            return 0;
        if (err->code == ERR_LEASE_LOST)
            return -1;
        redis_blocking_forget(b->redis, ctx);
    }
    return -1;
}

static void beat_one(struct beat *b, struct beat_shard *s)
{
    uint64_t session = atomic_load(&s->session), sent = env_boot_ms(b->options.env);
    struct queue_beat reply = {0};
    struct err err = {0};
    if (!session)
        return;
    if (ask_beat(b, s->id, session, &reply, &err)) {
        if (err.code != ERR_LEASE_LOST) {
            log_error(LOG_WARN, "beat.failed", &err, NULL);
            return;
        }
        reply.is_gone = true;
    }
    if (reply.is_gone)
        atomic_store(&s->gone, session);
    else if (atomic_load(&s->session) == session)
        atomic_store(&s->lease_until, sent + b->options.lease_ms);
    atomic_store(&s->held, reply.held);
    atomic_store(&s->mail, reply.mail);
    atomic_store(&s->ring, reply.ring);
    atomic_store(&s->next_due_ms, reply.next_due_ms);
    atomic_store(&s->is_news, true);
}

static redisContext *fleet_connection(struct beat *b, struct err *err)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s:{g}:fleet", b->options.prefix);
    return redis_blocking_get(b->redis, key, err);
}

/* Counted from before the question: what was true then may have ended since. */
static void ask_halt(struct beat *b)
{
    uint64_t asked = env_boot_ms(b->options.env);
    bool is_halted = false;
    struct err err = {0};
    redisContext *ctx = fleet_connection(b, &err);
    if (!ctx || queue_fleet_is_halted(ctx, b->options.prefix, &is_halted, &err)) {
        log_error(LOG_WARN, "beat.halt_unknown", &err, NULL); /* writers stop when it stays so */
        redis_blocking_forget(b->redis, ctx);
        return;
    }
    if (atomic_exchange(&b->is_halted, is_halted) != is_halted)
        log_event(LOG_WARN, is_halted ? "fleet.halted" : "fleet.released", NULL);
    if (!is_halted)
        atomic_store(&b->clear_boot_ms, asked);
}

bool beat_may_write(const struct beat *b)
{
    uint64_t clear = atomic_load(&b->clear_boot_ms);
    return !atomic_load(&b->is_halted) && clear && env_boot_ms(b->options.env) < clear + b->options.lease_ms;
}

bool beat_is_halted(const struct beat *b)
{
    return atomic_load(&b->is_halted);
}

static bool loop_lives(struct beat *b)
{
    uint64_t now = env_boot_ms(b->options.env), at = atomic_load(&b->ticked_boot_ms);
    if (now - at <= b->options.lease_ms / 4)
        return true;
    log_event(LOG_WARN, "beat.withheld", "loop_silent_ms", LOG_N(now - at), NULL);
    return false;
}

static void beat_all(struct beat *b)
{
    if (!loop_lives(b))
        return;
    ask_halt(b);
    uint32_t idle_every = b->options.lease_ms / 3 / b->options.interval_ms;
    bool is_for_all = idle_every < 2 || b->rounds++ % idle_every == 0;
    for (uint32_t i = 0; i < b->options.shard_count; i++)
        if ((is_for_all || atomic_load(&b->shards[i].is_busy)) && loop_lives(b))
            beat_one(b, &b->shards[i]);
    uv_async_send(&b->async);
}

static void run(void *arg)
{
    struct beat *b = OBJ_CAST(arg, struct beat, BEAT_MAGIC);
    uv_mutex_lock(&b->lock);
    while (!b->is_stopping) {
        uv_mutex_unlock(&b->lock);
        beat_all(b);
        uv_mutex_lock(&b->lock);
        if (!b->is_stopping && !b->is_urgent)
            (void)uv_cond_timedwait(&b->wake, &b->lock, (uint64_t)b->options.interval_ms * 1000000u);
        b->is_urgent = false;
    }
    uv_mutex_unlock(&b->lock);
}

static void news(uv_async_t *async)
{
    struct beat *b = OBJ_CAST(async->data, struct beat, BEAT_MAGIC);
    b->options.news(b->options.arg);
}

int beat_start(uv_loop_t *loop, const struct beat_options *options, struct beat **ret, struct err *err)
{
    struct beat *b = MEM_NEW(struct beat);
    *b = (struct beat){.magic = BEAT_MAGIC, .options = *options};
    b->shards = mem_alloc(options->shard_count * sizeof *b->shards);
    for (uint32_t i = 0; i < options->shard_count; i++)
        b->shards[i].id = i;
    beat_tick(b);
    /* The first connection is made here: what is wrong with the address is said before anything is claimed. */
    if (redis_blocking_new(&options->redis, CONNECT_TIMEOUT_MS, &b->redis, err) || !fleet_connection(b, err)) {
        redis_blocking_free(b->redis);
        mem_free(b->shards);
        mem_free(b);
        return -1;
    }
    ask_halt(b); /* known before the first step could want to write */
    ASSERT(uv_async_init(loop, &b->async, news) == 0);
    b->async.data = b;
    ASSERT(uv_mutex_init(&b->lock) == 0 && uv_cond_init(&b->wake) == 0);
    ASSERT(uv_thread_create(&b->thread, run, b) == 0);
    *ret = b;
    return 0;
}

struct beat_shard *beat_shard(struct beat *b, uint32_t shard)
{
    ASSERT(shard < b->options.shard_count);
    return &b->shards[shard];
}

void beat_set_busy(struct beat *b, uint32_t shard, bool is_busy)
{
    struct beat_shard *s = beat_shard(b, shard);
    uint64_t fresh = env_boot_ms(b->options.env) + b->options.lease_ms - b->options.interval_ms;
    atomic_store(&s->is_busy, is_busy);
    if (!is_busy || atomic_load(&s->lease_until) >= fresh)
        return;
    uv_mutex_lock(&b->lock);
    b->is_urgent = true;
    uv_cond_signal(&b->wake);
    uv_mutex_unlock(&b->lock);
}

void beat_tick(struct beat *b)
{
    atomic_store(&b->ticked_boot_ms, env_boot_ms(b->options.env));
}

static void closed(uv_handle_t *handle)
{
    struct beat *b = OBJ_CAST(handle->data, struct beat, BEAT_MAGIC);
    mem_free(b->shards);
    mem_free(b);
}

void beat_stop(struct beat *b)
{
    uv_mutex_lock(&b->lock);
    b->is_stopping = true;
    uv_cond_signal(&b->wake);
    uv_mutex_unlock(&b->lock);
    uv_thread_join(&b->thread);
    uv_mutex_destroy(&b->lock);
    uv_cond_destroy(&b->wake);
    redis_blocking_free(b->redis);
    uv_close((uv_handle_t *)&b->async, closed);
}
