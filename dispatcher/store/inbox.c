#include "dispatcher/store/inbox.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/store/submit.h"

#include <stdio.h>

#define GROUP "orgimport"
#define POLL_MS 200
#define QUIET_AFTER 50 /* polls without an entry: from then on it is asked in every fifth tick only */
#define QUIET_EVERY 5
#define TAKE_OVER_MS "30000"      /* an entry that somebody had this long is believed lost */
#define TAKE_OVER_EVERY 50        /* ticks of POLL_MS */
#define DELIVERIES_MAX 5          /* then it is poison: answered without being touched again */
#define CONSUMER_IDLE_MS "600000" /* gone; or without an entry so long, and made anew by its next one */
#define READ_MAX "16"
#define OUT_MAX "100000"

struct inbox {
    struct store *store;
    uv_timer_t timer;
    char key[128], me[24];
    uint32_t calls, ticks, quiet, in_flight;
    bool has_group, is_reading, is_closed;
};

struct entry {
    struct inbox *inbox;
    char id[48]; /* of the stream entry */
    char reply[256];
    char ref[160];
    char import_id[IMPORT_ID_BYTES], status[16]; /* the answer, kept until a stream has taken it */
    char *errors;
};

static void settle(struct inbox *in)
{
    in->calls--;
    if (!in->is_closed || in->calls)
        return;
    in->store->busy--;
    mem_free(in);
}

struct call {
    struct inbox *inbox;
    void (*done)(struct inbox *in, void *arg, const redisReply *reply); /* NULL reply: lost */
    void *arg;
};

static void replied(void *arg, const redisReply *reply)
{
    struct call *c = arg;
    c->done(c->inbox, c->arg, reply);
    settle(c->inbox);
    mem_free(c);
}

static bool send_call(struct inbox *in, const char *key, int argc, const char *const *argv,
                      void (*done)(struct inbox *, void *, const redisReply *), void *arg)
{
    struct call *c = MEM_NEW(struct call);
    struct err err;
    *c = (struct call){in, done, arg};
    in->calls++;
    if (redis_send_to(in->store->redis, redis_route(key), argc, argv, NULL, replied, c, &err) == 0)
        return true;
    in->calls--;
    mem_free(c);
    return false;
}

/* ---- Answering
 * -------------------------------------------------------------------------------------------------------------- */

static void acked(struct inbox *in, void *arg, const redisReply *reply)
{
    (void)in;
    (void)reply; /* not acknowledged: it comes again and is answered again, with the same import */
    mem_free(arg);
}

static void entry_over(struct inbox *in, struct entry *e)
{
    in->in_flight--;
    mem_free(e->errors);
    mem_free(e);
}

static void send_answer(struct entry *e);

static void answered(struct inbox *in, void *arg, const redisReply *reply)
{
    struct entry *e = arg;
    if (!reply || reply->type == REDIS_REPLY_ERROR) { /* a reply key of another type: the default stream takes it */
        if (reply && *e->reply) {
            log_event(LOG_WARN, "inbox.reply_refused", "entry", e->id, NULL);
            e->reply[0] = 0;
            send_answer(e);
            return;
        }
        entry_over(in, e); /* stays pending and is taken over later */
        return;
    }
    const char *ack[] = {"XACK", in->key, GROUP, e->id};
    const char *del[] = {"XDEL", in->key, e->id};
    (void)send_call(in, in->key, 4, ack, acked, NULL);
    (void)send_call(in, in->key, 3, del, acked, NULL);
    entry_over(in, e);
}

static void send_answer(struct entry *e)
{
    struct inbox *in = e->inbox;
    char out[128];
    queue_key(in->store->queue, 0, "out", out);
    const char *argv[] = {"XADD",         *e->reply ? e->reply : out,
                          "MAXLEN",       "~",
                          OUT_MAX,        "*",
                          "external_ref", e->ref,
                          "import_id",    e->import_id,
                          "status",       e->status,
                          "errors",       e->errors,
                          "entry",        e->id};
    if (!send_call(in, argv[1], (int)ARRAY_LEN(argv), argv, answered, e))
        entry_over(in, e);
}

static void answer(struct entry *e, const char *import_id, const char *status, const json_t *errors)
{
    log_event(LOG_INFO, "inbox.answered", "entry", e->id, "status", status, "import", import_id, NULL);
    (void)snprintf(e->import_id, sizeof e->import_id, "%s", import_id);
    (void)snprintf(e->status, sizeof e->status, "%s", status);
    mem_free(e->errors);
    e->errors = errors ? json_text(errors) : mem_dup("[]");
    send_answer(e);
}

static void refuse(struct entry *e, enum err_code code, const char *why)
{
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    faults_add(&faults, (struct place){.field = ""}, code, "%s", why);
    answer(e, "", "refused", faults.list);
}

static void submitted(void *arg, const struct err *err, const struct submit_outcome *outcome)
{
    struct entry *e = arg;
    struct inbox *in = e->inbox;
    if (submit_is_undecided(err))
        entry_over(in, e); /* nobody knows: it stays pending and is taken over */
    else if (err)
        refuse(e, err->code, err->text);
    else
        answer(e, outcome->import_id, outcome->is_new ? "accepted" : "exists", NULL);
    settle(in);
}

/* ---- Reading
 * ------------------------------------------------------------------------------------------------------------------ */

/* Keys of the fleet itself begin with "f:{": an answer written there could do harm, or feed the inbox with its own
 * answers. */
static bool is_reply_key(const struct inbox *in, const char *key)
{
    char out[128];
    queue_key(in->store->queue, 0, "out", out);
    size_t prefix = strcspn(out, "{");
    if (str_starts(key, out) && (key[strlen(out)] == 0 || key[strlen(out)] == ':'))
        return true;
    return strncmp(key, out, prefix) == 0 && key[prefix] && key[prefix] != '{' && strlen(key) < 256 &&
           !strpbrk(key, " \r\n");
}

static const redisReply *field_of(const redisReply *fields, const char *name)
{
    for (size_t i = 0; fields && fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements; i += 2)
        if (str_eq(store_text(fields->element[i]), name))
            return fields->element[i + 1];
    return NULL;
}

static void handle(struct inbox *in, const redisReply *id, const redisReply *fields)
{
    struct entry *e = MEM_NEW(struct entry);
    e->inbox = in;
    in->in_flight++;
    (void)snprintf(e->id, sizeof e->id, "%s", store_text(id));
    const redisReply *request = field_of(fields, "request");
    const char *reply = store_text(field_of(fields, "reply"));
    if (*reply && is_reply_key(in, reply))
        (void)snprintf(e->reply, sizeof e->reply, "%s", reply);
    else if (*reply) {
        refuse(e, ERR_FIELD_INVALID, "the reply key must begin with the fleet's prefix and is none of its own keys");
        return;
    }
    if (!request || request->type != REDIS_REPLY_STRING) {
        refuse(e, ERR_FIELD_MISSING, "the entry has no field \"request\" with the import as JSON");
        return;
    }
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    AUTO_INPUT struct input input = {0};
    struct input_context ctx = store_context(in->store);
    if (request->len > INPUT_IMPORT_BYTES_MAX)
        faults_add(&faults, (struct place){.field = ""}, ERR_TOO_LARGE, "more than %zu bytes", INPUT_IMPORT_BYTES_MAX);
    else
        input_read(&ctx, INPUT_JSON, request->str, request->len, &input, &faults);
    if (input.count == 1) {
        char shown[64];
        (void)snprintf(e->ref, sizeof e->ref, "%s",
                       faults_show(json_str_at(input.rows[0].request, "external_ref"), shown));
        if (!faults.count)
            (void)snprintf(e->ref, sizeof e->ref, "%s", json_str_at(input.rows[0].request, "external_ref"));
    } else if (!faults.count) {
        faults_add(&faults, (struct place){.field = ""}, ERR_SYNTAX, "one import per entry");
    }
    if (faults.count || !input.rows) {
        answer(e, "", "refused", faults.list);
        return;
    }
    in->calls++;
    submit_import(in->store, input.rows[0].request, submitted, e);
}

static void handle_all(struct inbox *in, const redisReply *entries)
{
    for (size_t i = 0; entries && entries->type == REDIS_REPLY_ARRAY && i < entries->elements; i++) {
        const redisReply *one = entries->element[i];
        if (store_element(one, 0))
            handle(in, store_element(one, 0), store_element(one, 1));
    }
}

static void on_read(struct inbox *in, void *arg, const redisReply *reply)
{
    const redisReply *entries = store_element(store_element(reply, 0), 1);
    (void)arg;
    in->is_reading = false;
    in->quiet = entries || !reply ? 0 : in->quiet + 1;
    if (reply && reply->type == REDIS_REPLY_ERROR)
        in->has_group = false; /* NOGROUP after a flush: made again */
    else
        handle_all(in, entries);
}

static void on_taken_over(struct inbox *in, void *arg, const redisReply *reply)
{
    (void)arg;
    handle_all(in, reply);
}

static void on_poison(struct inbox *in, void *arg, const redisReply *reply)
{
    (void)arg;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        struct entry *e = MEM_NEW(struct entry);
        e->inbox = in;
        in->in_flight++;
        (void)snprintf(e->id, sizeof e->id, "%s", store_text(store_element(reply->element[i], 0)));
        refuse(e, ERR_INTERNAL, "this entry was tried several times and never came to an end");
    }
}

/* [[id, consumer, idle, deliveries], ..]: XCLAIM raises the count, so that poison shows. */
static void on_pending(struct inbox *in, void *arg, const redisReply *reply)
{
    (void)arg;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *one = reply->element[i], *count = store_element(one, 3);
        bool is_poison = count && count->type == REDIS_REPLY_INTEGER && count->integer >= DELIVERIES_MAX;
        const char *argv[] = {"XCLAIM", in->key, GROUP, in->me, TAKE_OVER_MS, store_text(store_element(one, 0))};
        (void)send_call(in, in->key, (int)ARRAY_LEN(argv), argv, is_poison ? on_poison : on_taken_over, NULL);
    }
}

/* Each start of a dispatcher is a consumer of its own; without this their list would only grow. Looked at and deleted
 * in one step: who read an entry in between would lose it. One with pending entries stays until they are taken over. */
static const char sweep_text[] = "for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do "
                                 "local f = {} for i = 1, #c, 2 do f[c[i]] = c[i + 1] end "
                                 "if f.pending == 0 and f.idle > tonumber(ARGV[2]) and f.name ~= ARGV[3] then "
                                 "redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], f.name) end end";

static void on_swept(struct inbox *in, void *arg, const redisReply *reply)
{
    (void)in;
    (void)arg;
    if (reply && reply->type == REDIS_REPLY_ERROR) /* ours is unharmed by it, so said and no more */
        log_event(LOG_WARN, "inbox.sweep_refused", "text", reply->str, NULL);
}

static void on_group(struct inbox *in, void *arg, const redisReply *reply)
{
    (void)arg;
    in->is_reading = false;
    in->has_group = reply && (reply->type == REDIS_REPLY_STATUS || str_starts(reply->str, "BUSYGROUP"));
}

static void poll_once(uv_timer_t *timer)
{
    struct inbox *in = timer->data;
    bool is_round = in->ticks++ % TAKE_OVER_EVERY == 0;
    if (in->quiet >= QUIET_AFTER && !is_round && in->ticks % QUIET_EVERY)
        return;
    if (in->is_reading || in->in_flight >= 64 || !redis_is_up(in->store->redis))
        return;
    if (!in->has_group) {
        const char *make[] = {"XGROUP", "CREATE", in->key, GROUP, "0", "MKSTREAM"};
        in->is_reading = send_call(in, in->key, (int)ARRAY_LEN(make), make, on_group, NULL);
        return;
    }
    const char *read[] = {"XREADGROUP", "GROUP", GROUP, in->me, "COUNT", READ_MAX, "STREAMS", in->key, ">"};
    in->is_reading = send_call(in, in->key, (int)ARRAY_LEN(read), read, on_read, NULL);
    if (is_round) {
        const char *pending[] = {"XPENDING", in->key, GROUP, "IDLE", TAKE_OVER_MS, "-", "+", READ_MAX};
        (void)send_call(in, in->key, (int)ARRAY_LEN(pending), pending, on_pending, NULL);
        const char *sweep[] = {"EVAL", sweep_text, "1", in->key, GROUP, CONSUMER_IDLE_MS, in->me};
        (void)send_call(in, in->key, (int)ARRAY_LEN(sweep), sweep, on_swept, NULL);
    }
}

struct inbox *inbox_new(struct store *s)
{
    struct inbox *in = MEM_NEW(struct inbox);
    in->store = s;
    s->busy++;
    queue_key(s->queue, 0, "in", in->key);
    (void)snprintf(in->me, sizeof in->me, "%016llx", (unsigned long long)env_random_below(s->env, UINT64_MAX));
    in->timer.data = in;
    ASSERT(uv_timer_init(s->loop, &in->timer) == 0);
    ASSERT(uv_timer_start(&in->timer, poll_once, 0, POLL_MS) == 0);
    return in;
}

static void closed(uv_handle_t *handle)
{
    struct inbox *in = handle->data;
    in->is_closed = true;
    in->calls++;
    settle(in);
}

void inbox_stop(struct inbox *in)
{
    uv_close((uv_handle_t *)&in->timer, closed);
}
