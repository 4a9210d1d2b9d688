/* What a worker reads when it takes an import: document, credential, journals, results, signals, tasks; one HMGET. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

static const char *const signal_keys[] = {"done", "reject", "recheck", "accept"};
#define KEYS ARRAY_LEN(signal_keys)

struct load {
    struct queue *q;
    queue_load_fn *done;
    void *arg;
    struct record record;
    bool signals_only, wants_shape;
};

/* What a record says of a step: only what can be there is asked for. */
static bool has_started(const struct record_step *s)
{
    return s->claim_version != 0;
}

static bool has_signals(const struct record_step *s)
{
    return (s->flags & STEP_FLAG_SIGNALS) != 0;
}

static bool has_task(const struct record_step *s)
{
    return (s->flags & STEP_FLAG_TASK) != 0;
}

/* {"done":{..},"recheck":{..}} from the stored bodies, which are JSON themselves; NULL when there is none. */
static char *join_signals(const redisReply *reply, size_t at)
{
    AUTO_STR struct str s;
    str_init(&s, 1u << 20);
    for (size_t k = 0; k < KEYS; k++) {
        const char *body = queue_reply_text(queue_reply_at(reply, at + k));
        if (body)
            str_addf(&s, "%s\"%s\":%s", s.len ? "," : "{", signal_keys[k], *body ? body : "{}");
    }
    if (!s.len || s.is_over)
        return NULL;
    str_add_char(&s, '}');
    return str_take(&s);
}

static void on_loaded(void *arg, const struct err *fault, const redisReply *reply)
{
    struct load *l = arg;
    struct queue_load ret = {0};
    char *joined[RECORD_STEPS_MAX] = {NULL};
    size_t at = l->signals_only;
    if (!fault && !l->signals_only) {
        ret.doc = queue_reply_text(queue_reply_at(reply, at++));
        ret.credential = queue_reply_text(queue_reply_at(reply, at++));
        const redisReply *shape = l->wants_shape ? queue_reply_at(reply, at++) : NULL;
        if (shape && queue_reply_text(shape))
            queue_shape_keep(l->q, shape->str, shape->len);
    }
    for (size_t i = 0; !fault && i < l->record.step_count; i++) {
        const struct record_step *s = &l->record.steps[i];
        if (!l->signals_only && has_started(s)) {
            ret.journal[i] = queue_reply_text(queue_reply_at(reply, at++));
            ret.result[i] = queue_reply_text(queue_reply_at(reply, at++));
            ret.undone[i] = queue_reply_text(queue_reply_at(reply, at++));
        }
        if (!l->signals_only && has_task(s))
            ret.task[i] = queue_reply_text(queue_reply_at(reply, at++));
        if (has_signals(s)) {
            ret.signals[i] = joined[i] = join_signals(reply, at);
            at += KEYS;
        }
    }
    l->done(l->arg, fault, fault ? NULL : &ret);
    for (size_t i = 0; i < l->record.step_count; i++)
        mem_free(joined[i]);
    queue_unref(l->q);
    mem_free(l);
}

static void add_head(struct queue_args *args, const char *import_id, const struct load *l)
{
    char hash[17];
    queue_args_addf(args, "%s:d", import_id);
    queue_args_addf(args, "%s:c", import_id);
    queue_hex(l->record.dag, hash);
    if (l->wants_shape)
        queue_args_addf(args, "d:%s", hash);
}

static void add_step(struct queue_args *args, const char *import_id, const struct load *l, unsigned i)
{
    const struct record_step *s = &l->record.steps[i];
    if (!l->signals_only && has_started(s)) {
        queue_args_addf(args, "%s/%u", import_id, i);
        queue_args_addf(args, "%s/%u=", import_id, i);
        queue_args_addf(args, "%s/%u^", import_id, i);
    }
    if (!l->signals_only && has_task(s))
        queue_args_addf(args, "%s/%u?", import_id, i);
    for (size_t k = 0; has_signals(s) && k < KEYS; k++)
        queue_args_addf(args, "%s/%u!%s", import_id, i, signal_keys[k]);
}

void queue_load(struct queue *q, const char *import_id, const struct record *record, bool signals_only,
                queue_load_fn *done, void *arg)
{
    struct load *l = MEM_NEW(struct load);
    ASSERT(record->step_count && record->step_count <= RECORD_STEPS_MAX && queue_id_is_valid(q, import_id));
    *l = (struct load){.q = queue_ref(q), .done = done, .arg = arg, .record = *record, .signals_only = signals_only};
    l->wants_shape = !signals_only && !queue_shape(q, record->dag);
    struct queue_args args = queue_plain(q, "HMGET", queue_shard_of_import(import_id), "h");
    if (signals_only)
        queue_args_add(&args, import_id); /* a command needs a field; the record itself is read past */
    else
        add_head(&args, import_id, l);
    for (unsigned i = 0; i < record->step_count; i++)
        add_step(&args, import_id, l, i);
    queue_call(q, &args, on_loaded, l);
}
