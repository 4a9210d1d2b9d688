#include "dispatcher/api/drift_clock.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/api/drift_run.h"
#include "dispatcher/planner/drift_plan.h"

#include <stdio.h>

#define CLAIM_MAX 16
#define CLAIM_MS 60000 /* longer than starting a look takes; then another dispatcher tries */
#define LOOK_MS 5000
#define LOOK_SIM_MS 250
#define PERIOD_LIVE_MIN_MS 3600000u

/* KEYS due.  ARGV now, until, limit: what is due is ours until then. Gives (import, when it was due) pairs. */
static const char claim_lua[] =
    "local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[3])\n"
    "for i = 1, #due, 2 do redis.call('ZADD', KEYS[1], 'XX', ARGV[2], due[i]) end\n"
    "return due\n";

struct drift_clock {
    struct api *api;
    uv_timer_t timer;
    uint64_t period_ms; /* of the round under way */
    uint32_t waiting;
    bool is_stopping, is_closed;
};

struct due {
    struct drift_clock *clock;
    char import_id[IMPORT_ID_BYTES];
    uint64_t next_ms;
};

static void round_end(struct drift_clock *c)
{
    c->api->store->busy--;
    if (--c->waiting == 0 && c->is_closed)
        mem_free(c);
}

static void rescheduled(void *arg, const struct err *err, const redisReply *reply)
{
    struct due *d = arg;
    (void)err; /* claimed still: another dispatcher comes to the same look and the same next time */
    (void)reply;
    round_end(d->clock);
    mem_free(d);
}

static void reschedule(struct due *d, bool is_over)
{
    char score[24];
    (void)snprintf(score, sizeof score, "%llu", (unsigned long long)d->next_ms);
    struct store *s = d->clock->api->store;
    if (is_over)
        store_command(s, "ZREM", "drift:due", 1, (const char *[]){d->import_id}, rescheduled, d);
    else
        store_command(s, "ZADD", "drift:due", 3, (const char *[]){"XX", score, d->import_id}, rescheduled, d);
}

static void started(void *arg, const struct err *err, const char *run_id, bool is_new)
{
    struct due *d = arg;
    (void)run_id;
    (void)is_new;
    if (err && err->code == ERR_REDIS) { /* unknown: the claim ends by itself and the same look is submitted again */
        rescheduled(d, err, NULL);
        return;
    }
    if (err && err->code != ERR_STATE_CONFLICT && err->code != ERR_NOT_FOUND)
        log_error(LOG_WARN, "drift.not_started", err, "import", d->import_id, NULL);
    reschedule(d, err && err->code == ERR_NOT_FOUND);
}

/* Overdue by a whole period: nobody looked because nobody was asked to, so it takes its place in the grid first. */
static void take(struct drift_clock *c, const char *import_id, uint64_t was_due_ms)
{
    struct due *d = MEM_NEW(struct due);
    uint64_t now = env_unix_ms(c->api->store->env), slot = drift_slot(import_id, c->period_ms, now);
    d->clock = c;
    d->next_ms = drift_slot_begins(import_id, c->period_ms, slot + 1);
    (void)snprintf(d->import_id, sizeof d->import_id, "%s", import_id);
    c->waiting++;
    c->api->store->busy++;
    if (was_due_ms + c->period_ms < now) {
        reschedule(d, false);
        return;
    }
    char run_id[IMPORT_ID_BYTES];
    drift_run_id(import_id, slot, run_id);
    drift_start(c->api, &(struct drift_ask){.import_id = d->import_id, .by = "schedule", .run_id = run_id}, started, d);
}

static void claimed(void *arg, const struct err *err, const redisReply *reply)
{
    struct drift_clock *c = arg;
    for (size_t i = 0; !err && reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        uint64_t score = 0;
        const char *text = store_text(store_element(reply, i + 1));
        AUTO_FREE char *whole = mem_dup_bytes(text, strcspn(text, "."));
        if (str_to_u64(whole, UINT64_MAX, &score))
            take(c, store_text(store_element(reply, i)), score);
    }
    round_end(c);
}

/* 0: the profile does not ask for it. */
static uint64_t period_of(const struct store *s)
{
    const json_t *every = json_at(profile_json(s->profile), "drift.every_hours");
    double ms = json_number_value(every) * 3600000.0;
    uint64_t period = ms >= 1 && ms < 1e12 ? (uint64_t)ms : 0;
    return period && !s->is_simulated && period < PERIOD_LIVE_MIN_MS ? PERIOD_LIVE_MIN_MS : period;
}

static void look(uv_timer_t *timer)
{
    struct drift_clock *c = timer->data;
    struct store *s = c->api->store;
    c->period_ms = c->waiting ? c->period_ms : period_of(s);
    if (c->waiting || c->is_stopping || !c->period_ms || !redis_is_up(s->redis))
        return;
    char now[24], until[24], limit[8];
    uint64_t ms = env_unix_ms(s->env);
    (void)snprintf(now, sizeof now, "%llu", (unsigned long long)ms);
    (void)snprintf(until, sizeof until, "%llu", (unsigned long long)ms + CLAIM_MS);
    (void)snprintf(limit, sizeof limit, "%d", CLAIM_MAX);
    c->waiting++;
    s->busy++;
    store_eval(
        s, &(struct store_call){claim_lua, (const char *[]){"drift:due"}, 1, (const char *[]){now, until, limit}, 3},
        claimed, c);
}

struct drift_clock *drift_clock_new(struct api *api)
{
    struct drift_clock *c = MEM_NEW(struct drift_clock);
    c->api = api;
    c->timer.data = c;
    uint64_t every = api->store->is_simulated ? LOOK_SIM_MS : LOOK_MS;
    ASSERT(uv_timer_init(api->store->loop, &c->timer) == 0);
    ASSERT(uv_timer_start(&c->timer, look, every, every) == 0);
    return c;
}

static void closed(uv_handle_t *handle)
{
    struct drift_clock *c = handle->data;
    c->is_closed = true;
    if (!c->waiting)
        mem_free(c);
}

void drift_clock_stop(struct drift_clock *c)
{
    c->is_stopping = true;
    uv_close((uv_handle_t *)&c->timer, closed);
}
