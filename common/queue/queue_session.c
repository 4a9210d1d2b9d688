/* Sessions: a worker's lease on all it holds in a shard. Opened, beaten (from a thread of its own), listed after a lost
 * reply, closed. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

struct session {
    struct queue *q;
    uint32_t shard;
    uint64_t id;
    char hex[17];
    queue_done_fn *done;
    queue_turn_fn *listed;
    void *arg;
    struct queue_turn_reply reply;
};

static struct session *session_new(struct queue *q, uint32_t shard, uint64_t id, void *arg)
{
    struct session *s = MEM_NEW(struct session);
    ASSERT(id);
    s->q = queue_ref(q);
    s->shard = shard;
    s->id = id;
    s->arg = arg;
    queue_hex(id, s->hex);
    return s;
}

static void session_free(struct session *s)
{
    mem_free(s->reply.claims);
    queue_unref(s->q);
    mem_free(s);
}

static void on_opened(void *arg, const struct err *fault, const redisReply *reply)
{
    struct session *s = arg;
    struct err gone = {0};
    if (!fault && queue_reply_u64(queue_reply_at(reply, 0)) == 1) {
        (void)err_set(&gone, ERR_LEASE_LOST, "the session has ended");
        fault = &gone;
    }
    s->done(s->arg, fault);
    session_free(s);
}

static void open_with(struct queue *q, uint32_t shard, uint64_t session, uint32_t lease_ms, const char *worker_json,
                      const char *how, queue_done_fn *done, void *arg)
{
    struct session *s = session_new(q, shard, session, arg);
    struct queue_args args = queue_fcall(q, "open", shard);
    s->done = done;
    queue_args_add(&args, s->hex);
    queue_args_addf(&args, "%u", lease_ms);
    queue_args_add(&args, worker_json ? worker_json : "{}");
    queue_args_add(&args, how);
    queue_call(q, &args, on_opened, s);
}

void queue_session_open(struct queue *q, uint32_t shard, uint64_t session, uint32_t lease_ms, const char *worker_json,
                        queue_done_fn *done, void *arg)
{
    open_with(q, shard, session, lease_ms, worker_json, "new", done, arg);
}

void queue_session_refresh(struct queue *q, uint32_t shard, uint64_t session, uint32_t lease_ms,
                           const char *worker_json, queue_done_fn *done, void *arg)
{
    open_with(q, shard, session, lease_ms, worker_json, "again", done, arg);
}

/* ---- Close: at most 64 imports per call, until none is left
 * ---------------------------------------------------------- */
static void close_some(struct session *s);

static void on_closed(void *arg, const struct err *fault, const redisReply *reply)
{
    struct session *s = arg;
    if (!fault && queue_reply_u64(queue_reply_at(reply, 0)) > 0) {
        close_some(s);
        return;
    }
    s->done(s->arg, fault);
    session_free(s);
}

static void close_some(struct session *s)
{
    struct queue_args args = queue_fcall(s->q, "close", s->shard);
    queue_args_add(&args, s->hex);
    queue_call(s->q, &args, on_closed, s);
}

void queue_session_close(struct queue *q, uint32_t shard, uint64_t session, queue_done_fn *done, void *arg)
{
    struct session *s = session_new(q, shard, session, arg);
    s->done = done;
    close_some(s);
}

/* ---- List ---------------------------------------------------------------------------------------------------------
 */
static void list_end(struct session *s, const struct err *fault)
{
    s->listed(s->arg, fault, fault ? NULL : &s->reply);
    session_free(s);
}

static void on_records(void *arg, const struct err *fault, const redisReply *reply)
{
    struct session *s = arg;
    struct queue_turn_reply *r = &s->reply;
    size_t asked = r->claim_count;
    struct err err;
    r->claim_count = 0;
    for (size_t i = 0; !fault && i < asked; i++) {
        struct queue_held held = r->claims[i];
        const redisReply *record = queue_reply_at(reply, i);
        if (!record || record->type != REDIS_REPLY_STRING)
            continue;
        if (queue_reply_record(record, &held.record, &err))
            fault = &err;
        else if (held.record.session == s->id)
            r->claims[r->claim_count++] = held;
    }
    list_end(s, fault);
}

static void on_members(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct session *s = arg;
    (void)count;
    if (fault) {
        list_end(s, fault);
        return;
    }
    const redisReply *members = replies[1];
    s->reply.is_gone = queue_reply_u64(replies[0]) == 0;
    s->reply.claims = mem_alloc((members->elements + 1) * sizeof *s->reply.claims);
    struct queue_args args = queue_plain(s->q, "HMGET", s->shard, "h");
    for (size_t i = 0; i < members->elements; i++) {
        const char *id = queue_reply_text(members->element[i]);
        if (!queue_id_is_valid(s->q, id))
            continue;
        (void)snprintf(s->reply.claims[s->reply.claim_count++].import_id, IMPORT_ID_BYTES, "%s", id);
        queue_args_add(&args, id);
    }
    if (s->reply.claim_count) {
        queue_call(s->q, &args, on_records, s);
        return;
    }
    queue_args_done(&args);
    list_end(s, NULL);
}

void queue_session_list(struct queue *q, uint32_t shard, uint64_t session, queue_turn_fn *done, void *arg)
{
    struct session *s = session_new(q, shard, session, arg);
    struct queue_args args[2] = {queue_plain(q, "HEXISTS", shard, "h")};
    char name[32];
    s->listed = done;
    queue_args_addf(&args[0], "s:%s", s->hex);
    (void)snprintf(name, sizeof name, "own:%s", s->hex);
    args[1] = queue_plain(q, "SMEMBERS", shard, name);
    queue_call_many(q, args, 2, on_members, s);
}

/* ---- Beat: for a thread with a connection of its own, so that neither a blocked loop nor a busy one decides
 * ------------ */
int queue_beat(redisContext *ctx, const char *prefix, uint32_t shard, uint64_t session, uint32_t lease_ms,
               struct queue_beat *ret, struct err *err)
{
    char hex[17];
    queue_hex(session, hex);
    *ret = (struct queue_beat){0};
    redisReply *reply = redisCommand(ctx, "FCALL beat_1 2 %s:{%u}:h %s:{%u}:" QUEUE_GUARD " %s %u", prefix, shard,
                                     prefix, shard, hex, lease_ms);
    if (!reply)
        return err_set(err, ERR_REDIS, "beat: %s", ctx->errstr);
    int rc = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        rc = err_set(err, ERR_REDIS, "beat: Redis says: %.200s", reply->str);
    else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5)
        rc = err_set(err, ERR_INTERNAL, "beat: an answer of the wrong shape");
    if (!rc) {
        ret->is_gone = queue_reply_u64(reply->element[0]) != 0;
        ret->held = (uint32_t)queue_reply_u64(reply->element[1]);
        ret->mail = (uint32_t)queue_reply_u64(reply->element[2]);
        ret->ring = (uint32_t)queue_reply_u64(reply->element[3]);
        ret->next_due_ms = queue_reply_u64(reply->element[4]);
        if (ret->is_gone)
            rc = err_set(err, ERR_LEASE_LOST, "the session ended");
    }
    freeReplyObject(reply);
    return rc;
}
