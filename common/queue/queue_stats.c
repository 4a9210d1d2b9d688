/* Counters of all shards for metrics and health. Reads sizes only, never the things themselves. */
#include "common/queue/queue_private.h"

#include "common/base/mem.h"

#include <string.h>

#define SESSIONS_MAX "200"
enum { STAT_COUNTERS = IMPORT_STATE_COUNT, STAT_DUE, STAT_TASKS, STAT_BAD, STAT_EVENTS, STAT_SESSIONS, STAT_COUNT };

struct stats {
    struct queue *q;
    queue_json_fn *done;
    void *arg;
    uint32_t left;
    struct err err;
    json_t *shards;
};

struct stats_shard {
    struct stats *stats;
    uint32_t shard;
    json_t *value;
    size_t session_count;
};

static void stats_part_done(struct stats *s, const struct err *fault)
{
    if (fault && !s->err.code)
        s->err = *fault;
    if (--s->left)
        return;
    struct queue *q = s->q;
    json_t *ret =
        s->err.code ? NULL : json_make("{s:O, s:I}", "shards", s->shards, "shard_count", (json_int_t)q->shard_count);
    s->done(s->arg, s->err.code ? &s->err : NULL, ret);
    json_decref(s->shards);
    mem_free(s);
    queue_unref(q);
}

static void shard_end(struct stats_shard *p, const struct err *fault)
{
    if (!fault)
        (void)json_array_set(p->stats->shards, p->shard, p->value);
    json_decref(p->value);
    stats_part_done(p->stats, fault);
    mem_free(p);
}

/* replies: worker json and number of imports, for each session in turn. */
static void on_sessions(void *arg, const struct err *fault, const redisReply *reply)
{
    struct stats_shard *p = arg;
    json_t *sessions = json_object_get(p->value, "sessions");
    for (size_t i = 0; !fault && i < p->session_count; i++) {
        const redisReply *text = queue_reply_at(reply, i);
        struct err err;
        json_t *worker = queue_reply_text(text) ? json_read(text->str, text->len, 0, &err) : NULL;
        json_put(json_array_get(sessions, i), "worker", worker ? worker : json_null());
    }
    shard_end(p, fault);
}

/* Imports that wait for a worker: the ring itself has one member for all of a group. */
static json_int_t ring_size(const redisReply *counters)
{
    json_int_t n = 0;
    for (size_t i = 4; counters->type == REDIS_REPLY_STRING && counters->len >= 4 && i-- > 0;)
        n = n << 8 | (unsigned char)counters->str[i];
    return n;
}

static void on_sizes(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct stats_shard *p = arg;
    (void)count;
    if (fault) {
        shard_end(p, fault);
        return;
    }
    json_t *imports = json_object(), *sessions = json_array();
    for (int s = 0; s < IMPORT_STATE_COUNT; s++)
        json_put_int(imports, import_state_name((enum import_state)s), (json_int_t)queue_reply_u64(replies[s]));
    p->value = json_make(
        "{s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "shard", (json_int_t)p->shard, "imports", imports, "ring",
        ring_size(replies[STAT_COUNTERS]), "due", (json_int_t)queue_reply_u64(replies[STAT_DUE]), "tasks",
        (json_int_t)queue_reply_u64(replies[STAT_TASKS]), "corrupt", (json_int_t)queue_reply_u64(replies[STAT_BAD]),
        "events", (json_int_t)queue_reply_u64(replies[STAT_EVENTS]), "sessions", sessions);
    const redisReply *list = replies[STAT_SESSIONS];
    struct queue_args args = queue_plain(p->stats->q, "HMGET", p->shard, "h");
    for (size_t i = 0; i + 1 < list->elements; i += 2) {
        const char *id = queue_reply_text(list->element[i]);
        json_t *one = json_make("{s:s, s:I}", "session", id ? id : "", "deadline_ms",
                                (json_int_t)queue_reply_u64(list->element[i + 1]));
        (void)json_array_append_new(sessions, one);
        queue_args_addf(&args, "s:%.32s", id ? id : "");
        p->session_count++;
    }
    if (p->session_count) {
        queue_call(p->stats->q, &args, on_sessions, p);
        return;
    }
    queue_args_done(&args);
    shard_end(p, NULL);
}

static void ask_shard(struct stats *s, uint32_t shard)
{
    struct queue_args args[STAT_COUNT];
    struct stats_shard *p = MEM_NEW(struct stats_shard);
    p->stats = s;
    p->shard = shard;
    for (int i = 0; i < IMPORT_STATE_COUNT; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "ix:%s", import_state_name((enum import_state)i));
        args[i] = queue_plain(s->q, "ZCARD", shard, name);
    }
    args[STAT_COUNTERS] = queue_plain(s->q, "HGET", shard, "h");
    queue_args_add(&args[STAT_COUNTERS], "#");
    args[STAT_DUE] = queue_plain(s->q, "ZCARD", shard, "due");
    args[STAT_TASKS] = queue_plain(s->q, "ZCARD", shard, "tasks");
    args[STAT_BAD] = queue_plain(s->q, "SCARD", shard, "bad");
    args[STAT_EVENTS] = queue_plain(s->q, "XLEN", shard, "ev");
    args[STAT_SESSIONS] = queue_plain(s->q, "ZRANGE", shard, "sess");
    queue_args_add(&args[STAT_SESSIONS], "0");
    queue_args_add(&args[STAT_SESSIONS], SESSIONS_MAX);
    queue_args_add(&args[STAT_SESSIONS], "WITHSCORES");
    queue_call_many(s->q, args, STAT_COUNT, on_sizes, p);
}

void queue_stats(struct queue *q, queue_json_fn *done, void *arg)
{
    struct stats *s = MEM_NEW(struct stats);
    *s = (struct stats){.q = queue_ref(q), .done = done, .arg = arg, .left = q->shard_count, .shards = json_array()};
    for (uint32_t i = 0; i < q->shard_count; i++)
        (void)json_array_append_new(s->shards, json_null());
    for (uint32_t i = 0; i < q->shard_count; i++)
        ask_shard(s, i);
}
