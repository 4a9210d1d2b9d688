/* One import for people: record, document, results, errors, tasks, in two trips. */
#include "common/queue/queue_private.h"

#include "common/base/mem.h"

#include <string.h>

/* Fields asked per step, in this order. */
enum {
    GET_RESULT,
    GET_UNDO,
    GET_ERROR,
    GET_TASK,
    GET_JOURNAL,
    GET_DONE,
    GET_REJECT,
    GET_RECHECK,
    GET_ACCEPT,
    GET_FIELDS
};
static const char *const suffixes[GET_FIELDS] = {"=", "^", "#", "?", "", "!done", "!reject", "!recheck", "!accept"};

struct get {
    struct queue *q;
    queue_json_fn *done;
    void *arg;
    char id[IMPORT_ID_BYTES];
    struct record record;
    json_t *ret; /* until handed over */
};

static void get_end(struct get *g, const struct err *err)
{
    struct queue *q = g->q;
    g->done(g->arg, err, err ? NULL : TAKE(g->ret));
    json_decref(g->ret);
    mem_free(g);
    queue_unref(q);
}

/* Stored texts were written by us, but a person's view must not fail over one that cannot be read. */
static json_t *json_of(const redisReply *reply)
{
    struct err err;
    const char *text = queue_reply_text(reply);
    json_t *value = text && *text ? json_read(text, reply->len, 0, &err) : NULL;
    return value ? value : json_null();
}

static json_t *keys_of(const redisReply *reply)
{
    json_auto_t *journal = json_of(reply);
    json_t *ret = json_array(), *value;
    const char *key;
    json_object_foreach (journal, key, value)
        (void)json_array_append_new(ret, json_string(key));
    return ret;
}

static json_t *signals_of(const redisReply *reply, size_t at)
{
    json_t *ret = json_object();
    for (size_t k = GET_DONE; k <= GET_ACCEPT; k++) {
        const redisReply *body = queue_reply_at(reply, at + k);
        if (queue_reply_text(body))
            json_put(ret, suffixes[k] + 1, json_of(body));
    }
    return ret;
}

static json_t *step_json(const struct get *g, size_t i, const redisReply *reply)
{
    const struct record_step *s = &g->record.steps[i];
    const json_t *name = json_array_get(json_at(json_object_get(g->ret, "doc"), "steps"), i);
    size_t at = GET_FIELDS * i;
    json_t *ret = json_make("{s:i, s:s, s:s, s:i, s:i, s:I, s:s, s:b}", "index", (int)i, "name",
                            json_is_string(name) ? json_string_value(name) : "", "state", step_state_name(s->state),
                            "attempts", s->attempts, "crashes", s->crashes, "due_ms", (json_int_t)s->due_ms, "party",
                            party_name(s->party), "is_held", (s->flags & STEP_FLAG_HELD) != 0);
    json_put_bool(ret, "started", s->claim_version != 0);
    json_put(ret, "result", json_of(queue_reply_at(reply, at + GET_RESULT)));
    json_put(ret, "undo", json_of(queue_reply_at(reply, at + GET_UNDO)));
    json_put(ret, "error", json_of(queue_reply_at(reply, at + GET_ERROR)));
    json_put(ret, "task", json_of(queue_reply_at(reply, at + GET_TASK)));
    json_put(ret, "journal_keys", keys_of(queue_reply_at(reply, at + GET_JOURNAL)));
    json_put(ret, "signals", signals_of(reply, at));
    return ret;
}

static void on_fields(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct get *g = arg;
    if (!fault) {
        json_t *steps = json_array();
        for (size_t i = 0; i < g->record.step_count; i++)
            (void)json_array_append_new(steps, step_json(g, i, replies[0]));
        json_put(g->ret, "steps", steps);
        json_put(g->ret, "worker", count > 1 ? json_of(replies[1]) : json_null());
    }
    get_end(g, fault);
}

static void ask_fields(struct get *g)
{
    struct queue_args args[2] = {queue_plain(g->q, "HMGET", queue_shard_of_import(g->id), "h")};
    for (unsigned i = 0; i < g->record.step_count; i++)
        for (size_t k = 0; k < GET_FIELDS; k++)
            queue_args_addf(&args[0], "%s/%u%s", g->id, i, suffixes[k]);
    if (g->record.session) {
        char hex[17];
        queue_hex(g->record.session, hex);
        args[1] = queue_plain(g->q, "HGET", queue_shard_of_import(g->id), "h");
        queue_args_addf(&args[1], "s:%s", hex);
    }
    queue_call_many(g->q, args, g->record.session ? 2 : 1, on_fields, g);
}

static uint64_t ledger_count(const struct record *r, const redisReply *decisions)
{
    uint64_t n = queue_reply_u64(decisions);
    for (size_t i = 0; i < r->step_count; i++)
        n += r->steps[i].lines;
    return n;
}

static void on_record(void *arg, const struct err *fault, const redisReply *reply)
{
    struct get *g = arg;
    struct err err;
    char hex[17];
    if (!fault && queue_reply_record(queue_reply_at(reply, 0), &g->record, &err)) {
        if (err.code == ERR_NOT_FOUND)
            err_set(&err, ERR_NOT_FOUND, "no import %.40s", g->id);
        fault = &err;
    }
    if (fault) {
        get_end(g, fault);
        return;
    }
    const struct record *r = &g->record;
    queue_hex(r->fence, hex);
    g->ret = json_make("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:I}", "id", g->id, "state", import_state_name(r->state),
                       "party", party_name(r->party), "since_ms", (json_int_t)r->since_ms, "created_ms",
                       (json_int_t)r->created_ms, "version", (json_int_t)r->version, "fence", hex, "ledger_count",
                       (json_int_t)ledger_count(r, queue_reply_at(reply, 3)));
    json_put_bool(g->ret, "is_paused", r->flags & RECORD_IS_PAUSED);
    json_put_bool(g->ret, "is_cancelled", r->flags & RECORD_IS_CANCELLED);
    json_put_bool(g->ret, "is_undoing", r->flags & RECORD_IS_UNDOING);
    json_put_bool(g->ret, "is_stopping", r->flags & RECORD_IS_STOPPING);
    json_put_bool(g->ret, "has_credential", queue_reply_text(queue_reply_at(reply, 2)) != NULL);
    json_put(g->ret, "doc", json_of(queue_reply_at(reply, 1)));
    ask_fields(g);
}

static void on_refused(void *arg, const struct err *err, const redisReply *reply)
{
    (void)reply;
    get_end(arg, err);
}

void queue_get(struct queue *q, const char *import_id, queue_json_fn *done, void *arg)
{
    struct get *g = MEM_NEW(struct get);
    g->q = queue_ref(q);
    g->done = done;
    g->arg = arg;
    if (!queue_id_is_valid(q, import_id)) {
        struct err err;
        err_set(&err, ERR_NOT_FOUND, "no import of that id");
        queue_fail_later(q, &err, on_refused, g);
        return;
    }
    (void)snprintf(g->id, sizeof g->id, "%s", import_id);
    struct queue_args args = queue_plain(q, "HMGET", queue_shard_of_import(import_id), "h");
    queue_args_add(&args, import_id);
    queue_args_addf(&args, "%s:d", import_id);
    queue_args_addf(&args, "%s:c", import_id);
    queue_args_addf(&args, "%s~", import_id);
    queue_call(q, &args, on_record, g);
}
