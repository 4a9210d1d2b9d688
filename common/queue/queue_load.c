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
    uint8_t step_count;
    bool signals_only;
};

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
    size_t at = 0;
    if (!fault && !l->signals_only) {
        ret.doc = queue_reply_text(queue_reply_at(reply, at++));
        ret.credential = queue_reply_text(queue_reply_at(reply, at++));
    }
    for (size_t i = 0; !fault && i < l->step_count; i++) {
        if (!l->signals_only) {
            ret.journal[i] = queue_reply_text(queue_reply_at(reply, at++));
            ret.result[i] = queue_reply_text(queue_reply_at(reply, at++));
            ret.undone[i] = queue_reply_text(queue_reply_at(reply, at++));
            ret.task[i] = queue_reply_text(queue_reply_at(reply, at++));
        }
        ret.signals[i] = joined[i] = join_signals(reply, at);
        at += KEYS;
    }
    l->done(l->arg, fault, fault ? NULL : &ret);
    for (size_t i = 0; i < l->step_count; i++)
        mem_free(joined[i]);
    queue_unref(l->q);
    mem_free(l);
}

void queue_load(struct queue *q, const char *import_id, uint8_t step_count, bool signals_only, queue_load_fn *done,
                void *arg)
{
    struct load *l = MEM_NEW(struct load);
    ASSERT(step_count && step_count <= RECORD_STEPS_MAX && queue_id_is_valid(q, import_id));
    *l = (struct load){.q = queue_ref(q), .done = done, .arg = arg, .step_count = step_count};
    l->signals_only = signals_only;
    struct queue_args args = queue_plain(q, "HMGET", queue_shard_of_import(import_id), "h");
    if (!signals_only) {
        queue_args_addf(&args, "%s:d", import_id);
        queue_args_addf(&args, "%s:c", import_id);
    }
    for (unsigned i = 0; i < step_count; i++) {
        if (!signals_only) {
            queue_args_addf(&args, "%s/%u", import_id, i);
            queue_args_addf(&args, "%s/%u=", import_id, i);
            queue_args_addf(&args, "%s/%u^", import_id, i);
            queue_args_addf(&args, "%s/%u?", import_id, i);
        }
        for (size_t k = 0; k < KEYS; k++)
            queue_args_addf(&args, "%s/%u!%s", import_id, i, signal_keys[k]);
    }
    queue_call(q, &args, on_loaded, l);
}
