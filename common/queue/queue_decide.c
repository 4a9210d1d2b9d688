/* What people decide: signals, cancel, pause, resume, redrive, undo. Each writes one line into the import's own ledger
 * chain (step ""), built here on the end of the chain as we saw it; Redis refuses when the chain has grown meanwhile,
 * and the line is built again (compare and set, I14). */
#include "common/queue/queue_private.h"

#include "common/base/mem.h"

#include <string.h>

#define TRIES_MAX 8
#define BUSY_MS 100 /* a step that reads a word is at rest again soon */
#define BUSY_TRIES_MAX 30

struct decision {
    struct queue *q;
    const char *function; /* "cancel", "signal", ... */
    char id[IMPORT_ID_BYTES];
    int step;
    json_t *line;     /* without n, prev, hash; NULL: no line */
    char *key, *body; /* signals */
    struct dag *undo; /* undo: the shape, and '0' or '1' per step */
    char *again;
    char *head; /* "N:HASH" as last seen */
    uint32_t tries, busy_tries;
    uv_timer_t pause;
    queue_done_fn *done;
    void *arg;
};

static void decision_end(struct decision *d, const struct err *err)
{
    struct queue *q = d->q;
    d->done(d->arg, err);
    json_decref(d->line);
    mem_free(d->key);
    mem_free(d->body);
    mem_free(d->undo);
    mem_free(d->again);
    mem_free(d->head);
    mem_free(d);
    queue_unref(q);
}

static char *ledger_line(const struct decision *d)
{
    char hash[65];
    if (!d->line)
        return mem_dup("");
    json_auto_t *line = json_deep_copy(d->line);
    const char *prev = strchr(d->head, ':');
    json_put_int(line, "n", strtoll(d->head, NULL, 10) + 1);
    json_put_str(line, "prev", prev ? prev + 1 : "");
    json_digest(line, hash);
    json_put_str(line, "hash", hash);
    AUTO_FREE char *text = json_text(line);
    return mem_printf("%s\n", text);
}

static void send_decision(struct decision *d);

static int check_reply(const struct decision *d, const redisReply *reply, struct err *err)
{
    uint64_t code = queue_reply_u64(queue_reply_at(reply, 0));
    const char *other = queue_reply_text(queue_reply_at(reply, 1));
    if (code == 3)
        return err_set(err, ERR_REDIS, "too many decisions about %.40s at the same moment", d->id);
    if (code == 5)
        return err_set(err, ERR_STATE_CONFLICT, "%.40s: the step is at work upon an earlier word: say it again", d->id);
    if (code == 4 && other)
        return err_set(err, ERR_IMPORT_EXISTS, "the account's open import is %.40s", other);
    return queue_reply_code(reply, d->id, err);
}

/* A decision that a failover could take back was not made: its answer waits for the replica (tests/model). */
static void on_replicated(void *arg, const struct err *err)
{
    decision_end(arg, err);
}

static void on_pause_closed(uv_handle_t *handle)
{
    send_decision(handle->data);
}

static void on_pause_over(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_pause_closed);
}

static void pause_decision(struct decision *d)
{
    (void)uv_timer_init(redis_loop(d->q->redis), &d->pause);
    d->pause.data = d;
    (void)uv_timer_start(&d->pause, on_pause_over, BUSY_MS, 0);
}

static void on_decided(void *arg, const struct err *fault, const redisReply *reply)
{
    struct decision *d = arg;
    struct err err;
    const char *head = queue_reply_text(queue_reply_at(reply, 1));
    if (!fault && queue_reply_u64(queue_reply_at(reply, 0)) == 3 && head && ++d->tries < TRIES_MAX) {
        mem_free(d->head);
        d->head = mem_dup(head);
        send_decision(d);
        return;
    }
    if (!fault && queue_reply_u64(queue_reply_at(reply, 0)) == 5 && d->busy_tries++ < BUSY_TRIES_MAX) {
        pause_decision(d);
        return;
    }
    const struct err *end = fault || check_reply(d, reply, &err) == 0 ? fault : &err;
    if (end)
        decision_end(d, end);
    else
        queue_promise(d->q, on_replicated, d);
}

static void add_undo(struct queue_args *args, const struct decision *d)
{
    unsigned char packed[4096];
    char hash[17];
    queue_hex(dag_hash(d->undo), hash);
    queue_args_add(args, hash);
    queue_args_add_bytes(args, packed, dag_pack(d->undo, packed, sizeof packed));
    queue_args_add(args, d->again);
}

static void send_decision(struct decision *d)
{
    AUTO_FREE char *line = ledger_line(d);
    struct queue_args args = queue_fcall(d->q, d->function, queue_shard_of_import(d->id));
    queue_args_add(&args, d->id);
    queue_args_addf(&args, "%d", d->step);
    queue_args_add(&args, line);
    queue_args_add(&args, d->head);
    if (d->key) {
        queue_args_add(&args, d->key);
        queue_args_add(&args, d->body);
    }
    if (d->undo)
        add_undo(&args, d);
    queue_call(d->q, &args, on_decided, d);
}

static void on_refused(void *arg, const struct err *err, const redisReply *reply)
{
    (void)reply;
    decision_end(arg, err);
}

static int read_body(const char *text, json_t **ret, struct err *err)
{
    *ret = text && *text ? json_read(text, strlen(text), 0, err) : json_object();
    if (!*ret || !json_is_object(*ret)) {
        json_decref(*ret);
        return err_set(err, ERR_FIELD_INVALID, "the decision is not a JSON object");
    }
    return 0;
}

/* `function` decides with `text`; the line says what, and who and why as far as the text does. */
static struct decision *decision_new(struct queue *q, const char *function, const char *import_id, int step,
                                     queue_done_fn *done, void *arg)
{
    struct decision *d = MEM_NEW(struct decision);
    *d = (struct decision){.q = queue_ref(q), .function = function, .step = step, .done = done, .arg = arg};
    (void)snprintf(d->id, sizeof d->id, "%s", import_id ? import_id : "");
    d->head = mem_dup("");
    return d;
}

static int check_id(const struct queue *q, const char *import_id, int step, struct err *err)
{
    if (!queue_id_is_valid(q, import_id))
        return err_set(err, ERR_NOT_FOUND, "no import of that id");
    if (step < -1 || step >= RECORD_STEPS_MAX)
        return err_set(err, ERR_NOT_FOUND, "no such step");
    return 0;
}

static void decide_on(struct decision *d, const char *import_id, const char *text)
{
    struct queue *q = d->q;
    const char *function = d->function;
    int step = d->step;
    struct err err;
    if (check_id(q, import_id, step, &err) || read_body(text, &d->line, &err)) {
        queue_fail_later(q, &err, on_refused, d);
        return;
    }
    if (!json_has(d->line, "kind"))
        json_put_str(d->line, "kind", "decision");
    if (!json_has(d->line, "what"))
        json_put_str(d->line, "what", function);
    if (!json_has(d->line, "at_ms"))
        json_put_int(d->line, "at_ms", (json_int_t)env_unix_ms(q->env));
    if (step >= 0)
        json_put_int(d->line, "target", step);
    json_put_str(d->line, "step", "");
    send_decision(d);
}

static void decide(struct queue *q, const char *function, const char *import_id, int step, const char *text,
                   queue_done_fn *done, void *arg)
{
    decide_on(decision_new(q, function, import_id, step, done, arg), import_id, text);
}

void queue_undo(struct queue *q, const char *import_id, const struct dag *undo, uint64_t again,
                const char *decision_json, queue_done_fn *done, void *arg)
{
    struct decision *d = decision_new(q, "undo", import_id, -1, done, arg);
    d->undo = MEM_NEW(struct dag);
    *d->undo = *undo;
    d->again = mem_alloc(undo->step_count + 1u);
    for (size_t i = 0; i < undo->step_count; i++)
        d->again[i] = again >> i & 1 ? '1' : '0';
    decide_on(d, import_id, decision_json);
}

/* Codes that people type stay out of the ledger: the body is there by its digest, with who and why. */
static json_t *signal_line(const struct queue *q, const char *key, int step, const json_t *body)
{
    char digest[65];
    json_digest(body, digest);
    json_t *line = json_make("{s:s, s:s, s:s, s:i, s:s}", "kind", "signal", "what", key, "step", "", "target", step,
                             "args", digest);
    json_put_int(line, "at_ms", (json_int_t)env_unix_ms(q->env));
    static const char *const kept[] = {"by", "reason", "note", "second_person"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_has(body, kept[i]))
            json_put(line, kept[i], json_deep_copy(json_at(body, kept[i])));
    return line;
}

void queue_signal(struct queue *q, const char *import_id, int step, const char *key, const char *body_json,
                  queue_done_fn *done, void *arg)
{
    struct decision *d = decision_new(q, "signal", import_id, step, done, arg);
    json_auto_t *body = NULL;
    struct err err;
    int rc = check_id(q, import_id, step, &err);
    if (!rc)
        rc = read_body(body_json, &body, &err);
    if (!rc && !str_in_list("done,reject,recheck,accept", key))
        rc = err_set(&err, ERR_FIELD_INVALID, "no such signal");
    if (!rc && step < 0 && !str_in_list("recheck,accept", key))
        rc = err_set(&err, ERR_FIELD_INVALID, "the signal %.10s is for one step", key);
    if (rc) {
        queue_fail_later(q, &err, on_refused, d);
        return;
    }
    d->key = mem_dup(key);
    d->body = json_text(body);
    if (!str_eq(key, "recheck"))
        d->line = signal_line(q, key, step, body);
    send_decision(d);
}

void queue_cancel(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg)
{
    decide(q, "cancel", import_id, -1, decision_json, done, arg);
}

void queue_pause(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg)
{
    decide(q, "pause", import_id, -1, decision_json, done, arg);
}

void queue_resume(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg)
{
    decide(q, "resume", import_id, -1, decision_json, done, arg);
}

void queue_redrive(struct queue *q, const char *import_id, int step, const char *decision_json, queue_done_fn *done,
                   void *arg)
{
    decide(q, "redrive", import_id, step, decision_json, done, arg);
}

void queue_note(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg)
{
    decide(q, "note", import_id, -1, decision_json, done, arg);
}

/* ---- Timers -------------------------------------------------------------------------------------------------------
 */
struct ticking {
    struct queue *q;
    queue_tick_fn *done;
    void *arg;
};

static void on_tick(void *arg, const struct err *fault, const redisReply *reply)
{
    struct ticking *t = arg;
    t->done(t->arg, fault, fault ? 0 : queue_reply_u64(queue_reply_at(reply, 0)));
    queue_unref(t->q);
    mem_free(t);
}

void queue_tick(struct queue *q, uint32_t shard, queue_tick_fn *done, void *arg)
{
    struct ticking *t = MEM_NEW(struct ticking);
    *t = (struct ticking){queue_ref(q), done, arg};
    struct queue_args args = queue_fcall(q, "tick", shard);
    queue_call(q, &args, on_tick, t);
}
