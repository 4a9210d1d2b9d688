/* Submitting imports, and what belongs to an import beside its record: credential, blobs. Operator's token buckets. */
#include "common/queue/queue_private.h"

#include "common/base/mem.h"

#include <string.h>

#define DOC_BYTES_MAX (4u << 20)

/* ---- Submit -------------------------------------------------------------------------------------------------------
 */
struct submit {
    struct queue *q;
    queue_submit_fn *done;
    void *arg;
    char id[IMPORT_ID_BYTES], existing[IMPORT_ID_BYTES];
};

static void submit_end(struct submit *s, const struct err *err)
{
    struct queue *q = s->q;
    s->done(s->arg, err, s->existing);
    mem_free(s);
    queue_unref(q);
}

/* "Accepted" is said only when a replica has it too. */
static void on_replicated(void *arg, const struct err *err)
{
    submit_end(arg, err);
}

static void on_submitted(void *arg, const struct err *fault, const redisReply *reply)
{
    struct submit *s = arg;
    struct err err;
    const redisReply *code = queue_reply_at(reply, 0);
    const char *id = queue_reply_text(queue_reply_at(reply, 1));
    if (fault) {
        submit_end(s, fault);
        return;
    }
    if (code && code->type == REDIS_REPLY_INTEGER && code->integer == 4 && id) {
        (void)snprintf(s->existing, sizeof s->existing, "%s", id);
        if (!str_eq(id, s->id)) {
            err_set(&err, ERR_IMPORT_EXISTS, "the account's open import is %.40s", id);
            submit_end(s, &err);
            return;
        }
    } else if (queue_reply_code(reply, s->id, &err)) {
        submit_end(s, &err);
        return;
    }
    queue_promise(s->q, on_replicated, s);
}

static int check_submit(const struct queue *q, const struct queue_submit *in, struct err *err)
{
    if (!queue_id_is_valid(q, in->import_id))
        return err_set(err, ERR_FIELD_INVALID, "not an import id of this fleet");
    if (!*in->account_key || strlen(in->account_key) > 128)
        return err_set(err, ERR_FIELD_INVALID, "an account key has 1 to 128 bytes");
    if (strlen(in->doc) > DOC_BYTES_MAX || (in->credential && strlen(in->credential) > DOC_BYTES_MAX))
        return err_set(err, ERR_TOO_LARGE, "the import document is over %u bytes", DOC_BYTES_MAX);
    if (in->record->dag != dag_hash(in->dag) || in->record->step_count != in->dag->step_count)
        return err_set(err, ERR_INTERNAL, "record and playbook do not belong together");
    return 0;
}

static void on_submit_refused(void *arg, const struct err *err, const redisReply *reply)
{
    (void)reply;
    submit_end(arg, err);
}

void queue_submit(struct queue *q, const struct queue_submit *in, queue_submit_fn *done, void *arg)
{
    struct submit *s = MEM_NEW(struct submit);
    unsigned char record[RECORD_BYTES_MAX], dag[4096];
    char dag_id[17];
    struct err err;
    s->q = queue_ref(q);
    s->done = done;
    s->arg = arg;
    if (check_submit(q, in, &err)) {
        queue_fail_later(q, &err, on_submit_refused, s);
        return;
    }
    (void)snprintf(s->id, sizeof s->id, "%s", in->import_id);
    struct record r = *in->record;
    if (q->is_simulated)
        r.flags |= RECORD_IS_SIMULATED;
    queue_hex(r.dag, dag_id);
    struct queue_args args = queue_fcall(q, "submit", queue_shard_of_import(in->import_id));
    queue_args_add(&args, in->import_id);
    queue_args_add(&args, in->account_key);
    queue_args_add(&args, dag_id);
    queue_args_add_bytes(&args, dag, dag_pack(in->dag, dag, sizeof dag));
    queue_args_add_bytes(&args, record, record_pack(&r, record));
    queue_args_add(&args, in->doc);
    queue_args_add(&args, in->credential);
    queue_call(q, &args, on_submitted, s);
}

/* ---- Simple answers ------------------------------------------------------------------------------------------------
 */
struct simple {
    struct queue *q;
    queue_done_fn *done;
    queue_blob_fn *blob;
    queue_tokens_fn *tokens;
    void *arg;
    char id[IMPORT_ID_BYTES];
    bool has_code;
};

static struct simple *simple_new(struct queue *q, const char *import_id, void *arg)
{
    struct simple *s = MEM_NEW(struct simple);
    s->q = queue_ref(q);
    s->arg = arg;
    (void)snprintf(s->id, sizeof s->id, "%s", import_id);
    return s;
}

static void simple_free(struct simple *s)
{
    queue_unref(s->q);
    mem_free(s);
}

static void on_done(void *arg, const struct err *fault, const redisReply *reply)
{
    struct simple *s = arg;
    struct err err;
    if (!fault && s->has_code && queue_reply_code(reply, s->id, &err))
        fault = &err;
    s->done(s->arg, fault);
    simple_free(s);
}

static bool refuse_id(struct queue *q, const char *import_id, queue_reply_fn *done, struct simple *s)
{
    struct err err;
    if (queue_id_is_valid(q, import_id))
        return false;
    err_set(&err, ERR_NOT_FOUND, "no import of that id");
    queue_fail_later(q, &err, done, s);
    return true;
}

void queue_credential_put(struct queue *q, const char *import_id, const char *credential, queue_done_fn *done,
                          void *arg)
{
    struct simple *s = simple_new(q, import_id, arg);
    s->done = done;
    s->has_code = true;
    if (refuse_id(q, import_id, on_done, s))
        return;
    struct queue_args args = queue_fcall(q, "credential", queue_shard_of_import(import_id));
    queue_args_add(&args, import_id);
    queue_args_add(&args, credential);
    queue_call(q, &args, on_done, s);
}

/* ---- Blobs: by content, so writing one twice is harmless ------------------------------------------------------------
 */
static struct queue_args blob_args(struct queue *q, const char *command, const char *import_id, const char *digest)
{
    char name[128];
    (void)snprintf(name, sizeof name, "b:%s:%.64s", import_id, digest);
    return queue_plain(q, command, queue_shard_of_import(import_id), name);
}

void queue_blob_put(struct queue *q, const char *import_id, const char *digest, const void *bytes, size_t len,
                    queue_done_fn *done, void *arg)
{
    struct simple *s = simple_new(q, import_id, arg);
    s->done = done;
    if (refuse_id(q, import_id, on_done, s))
        return;
    struct queue_args args = blob_args(q, "SET", import_id, digest);
    queue_args_add_bytes(&args, bytes, len);
    queue_call(q, &args, on_done, s);
}

void queue_blob_lend(struct queue *q, const char *import_id, const char *digest, const void *bytes, size_t len,
                     uint64_t ttl_ms, queue_done_fn *done, void *arg)
{
    struct simple *s = simple_new(q, import_id, arg);
    s->done = done;
    if (refuse_id(q, import_id, on_done, s))
        return;
    char ttl[24];
    (void)snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)ttl_ms);
    struct queue_args args = blob_args(q, "SET", import_id, digest);
    queue_args_add_bytes(&args, bytes, len);
    queue_args_add(&args, "PX");
    queue_args_add(&args, ttl);
    queue_call(q, &args, on_done, s);
}

static void on_blob(void *arg, const struct err *fault, const redisReply *reply)
{
    struct simple *s = arg;
    struct err err;
    if (!fault && (!reply || reply->type != REDIS_REPLY_STRING)) {
        err_set(&err, ERR_NOT_FOUND, "%.40s has no such blob", s->id);
        fault = &err;
    }
    s->blob(s->arg, fault, fault ? NULL : reply->str, fault ? 0 : reply->len);
    simple_free(s);
}

void queue_blob_get(struct queue *q, const char *import_id, const char *digest, queue_blob_fn *done, void *arg)
{
    struct simple *s = simple_new(q, import_id, arg);
    s->blob = done;
    if (refuse_id(q, import_id, on_blob, s))
        return;
    struct queue_args args = blob_args(q, "GET", import_id, digest);
    queue_call(q, &args, on_blob, s);
}

/* ---- Token buckets of the operator's own accounts: a slot of their own
 * ----------------------------------------------- */
static void on_tokens(void *arg, const struct err *fault, const redisReply *reply)
{
    struct simple *s = arg;
    uint32_t granted = (uint32_t)queue_reply_u64(queue_reply_at(reply, 0));
    uint32_t wait_ms = (uint32_t)queue_reply_u64(queue_reply_at(reply, 1));
    s->tokens(s->arg, fault, granted, wait_ms);
    simple_free(s);
}

void queue_tokens(struct queue *q, const struct queue_bucket *bucket, uint32_t want, uint32_t pause_ms,
                  queue_tokens_fn *done, void *arg)
{
    struct simple *s = simple_new(q, "", arg);
    AUTO_FREE char *key = mem_printf("%s:{op:%.32s}:tb:%.64s", q->prefix, bucket->account_id, bucket->family);
    struct queue_args args = queue_fcall_key("tokens", key);
    s->tokens = done;
    queue_args_addf(&args, "%u", bucket->rate_per_s_x100);
    queue_args_addf(&args, "%u", bucket->burst);
    queue_args_addf(&args, "%u", want);
    queue_args_addf(&args, "%u", pause_ms);
    queue_call(q, &args, on_tokens, s);
}
