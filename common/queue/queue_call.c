/* Commands of the queue on their way to Redis and back: arguments, errors, functions loaded again when Redis lost them.
 */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/redis/redis_script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RELOADS_MAX 3

struct queue *queue_ref(struct queue *q)
{
    q->refs++;
    return q;
}

void queue_unref(struct queue *q)
{
    if (--q->refs)
        return;
    redis_unref(q->redis);
    queue_primaries_free(q);
    str_done(&q->warnings);
    for (size_t i = 0; i < QUEUE_SHAPES_MAX; i++)
        mem_free(q->shapes[i].dag);
    mem_free(q->shards);
    mem_free(q->prefix);
    mem_free(q);
}

/* ---- Arguments ----------------------------------------------------------------------------------------------------
 */
void queue_args_add_bytes(struct queue_args *a, const void *bytes, size_t len)
{
    if (a->argc == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->argv = mem_resize(a->argv, (size_t)a->cap * sizeof *a->argv);
        a->lens = mem_resize(a->lens, (size_t)a->cap * sizeof *a->lens);
    }
    a->argv[a->argc] = mem_dup_bytes(bytes, len);
    a->lens[a->argc++] = len;
}

void queue_args_add(struct queue_args *a, const char *text)
{
    queue_args_add_bytes(a, text ? text : "", text ? strlen(text) : 0);
}

void queue_args_addf(struct queue_args *a, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0 && (size_t)n < sizeof text);
    queue_args_add_bytes(a, text, (size_t)n);
}

void queue_args_move(struct queue_args *to, struct queue_args *from)
{
    while (to->cap < to->argc + from->argc) {
        to->cap = to->cap ? 2 * to->cap : 16;
        to->argv = mem_resize(to->argv, (size_t)to->cap * sizeof *to->argv);
        to->lens = mem_resize(to->lens, (size_t)to->cap * sizeof *to->lens);
    }
    for (int i = 0; i < from->argc; i++, to->argc++) {
        to->argv[to->argc] = TAKE(from->argv[i]);
        to->lens[to->argc] = from->lens[i];
    }
    from->argc = 0;
    queue_args_done(from);
}

void queue_args_done(struct queue_args *a)
{
    for (int i = 0; i < a->argc; i++)
        mem_free(a->argv[i]);
    mem_free(a->argv);
    mem_free(a->lens);
    *a = (struct queue_args){0};
}

void queue_args_key(struct queue_args *a, const char *key)
{
    a->route = redis_route(key);
    queue_args_add(a, key);
}

struct queue_args queue_plain(const struct queue *q, const char *command, uint32_t shard, const char *name)
{
    struct queue_args a = {0};
    char key[128];
    queue_key(q, shard, name, key);
    queue_args_add(&a, command);
    queue_args_key(&a, key);
    return a;
}

struct queue_args queue_keyless(const struct queue *q, const char *command, uint32_t shard)
{
    struct queue_args a = {0};
    char key[128];
    queue_key(q, shard, "h", key);
    a.route = redis_route(key);
    queue_args_add(&a, command);
    return a;
}

struct queue_args queue_fcall_key(const char *name, const char *key)
{
    struct queue_args a = {0};
    const char *tag_end = strchr(key, '}');
    ASSERT(tag_end);
    queue_args_add(&a, "FCALL");
    queue_args_addf(&a, "%s_1", name);
    queue_args_add(&a, "2");
    queue_args_key(&a, key);
    queue_args_addf(&a, "%.*s:" QUEUE_GUARD, (int)(tag_end + 1 - key), key);
    return a;
}

struct queue_args queue_fcall(const struct queue *q, const char *name, uint32_t shard)
{
    char key[128];
    queue_key(q, shard, "h", key);
    return queue_fcall_key(name, key);
}

/* ---- Calls --------------------------------------------------------------------------------------------------------
 */
struct call {
    struct queue *q;
    struct queue_args args;
    queue_reply_fn *done;
    void *arg;
    uint32_t reloads;
    struct err err; /* fail later */
    uv_timer_t timer;
};

static void call_send(struct call *c);

static void call_end(struct call *c, const struct err *err, const redisReply *reply)
{
    struct queue *q = c->q;
    c->done(c->arg, err, reply);
    queue_args_done(&c->args);
    mem_free(c);
    queue_unref(q);
}

static void on_fail_closed(uv_handle_t *handle)
{
    struct call *c = handle->data;
    struct err err = c->err;
    call_end(c, &err, NULL);
}

static void on_fail_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_fail_closed);
}

static void call_fail_later(struct call *c)
{
    (void)uv_timer_init(redis_loop(c->q->redis), &c->timer);
    c->timer.data = c;
    (void)uv_timer_start(&c->timer, on_fail_timer, 0, 0);
}

static void error_of(const redisReply *reply, struct err *err)
{
    static const struct {
        const char *start;
        enum err_code code;
    } known[] = {
        {"OOM", ERR_REDIS_FULL},         {"MISCONF", ERR_REDIS_DISK}, /* nothing is taken, nothing was applied */
        {"CORRUPT", ERR_CORRUPT},        {"USAGE", ERR_INTERNAL},
        {"NOPERM", ERR_REDIS_CONFIG},    {"NOAUTH", ERR_REDIS_CONFIG},
        {"WRONGPASS", ERR_REDIS_CONFIG}, {"ERR user_function", ERR_INTERNAL},
        {"WRONGTYPE", ERR_CORRUPT},      {"ERR unknown command", ERR_REDIS_CONFIG}};
    enum err_code code = ERR_REDIS;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(reply->str, known[i].start))
            code = known[i].code;
    err_set(err, code, "Redis says: %.250s", reply->str);
}

static void on_loaded(void *arg, const redisReply *reply)
{
    struct call *c = arg;
    struct err err;
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        call_send(c);
        return;
    }
    if (reply)
        error_of(reply, &err);
    else
        err_set(&err, ERR_REDIS, "the connection was lost while functions were loaded");
    call_end(c, &err, NULL);
}

/* A new primary, or FUNCTION FLUSH: the library is put back and the call made again. */
static void reload(struct call *c)
{
    const char *const argv[] = {"FUNCTION", "LOAD", "REPLACE", redis_fleet_script};
    const size_t lens[] = {8, 4, 7, redis_fleet_script_bytes};
    c->reloads++;
    if (redis_send_to(c->q->redis, c->args.route, 4, argv, lens, on_loaded, c, &c->err))
        call_fail_later(c);
}

static void on_call_reply(void *arg, const redisReply *reply)
{
    struct call *c = arg;
    struct err err;
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        call_end(c, NULL, reply);
        return;
    }
    if (reply && str_starts(reply->str, "ERR Function not found") && c->reloads < RELOADS_MAX) {
        reload(c);
        return;
    }
    if (reply) {
        error_of(reply, &err);
    } else {
        err_set(&err, ERR_REDIS, "the connection was lost before an answer came");
        err.applied = APPLIED_MAYBE;
    }
    call_end(c, &err, NULL);
}

static void call_send(struct call *c)
{
    const char *const *argv = (const char *const *)c->args.argv;
    struct redis *r = c->q->redis;
    const struct queue_args *a = &c->args;
    int rc = 0;
    if (a->way == QUEUE_BACK)
        rc = redis_send_back(r, a->argc, argv, a->lens, on_call_reply, c, &c->err);
    else if (a->way == QUEUE_ONCE)
        rc = redis_send_once(r, a->route, a->argc, argv, a->lens, on_call_reply, c, &c->err);
    else
        rc = redis_send_to(r, a->route, a->argc, argv, a->lens, on_call_reply, c, &c->err);
    if (rc)
        call_fail_later(c);
}

void queue_call(struct queue *q, struct queue_args *args, queue_reply_fn *done, void *arg)
{
    struct call *c = MEM_NEW(struct call);
    c->q = queue_ref(q);
    c->args = *args;
    c->done = done;
    c->arg = arg;
    *args = (struct queue_args){0};
    call_send(c);
}

void queue_fail_later(struct queue *q, const struct err *err, queue_reply_fn *done, void *arg)
{
    struct call *c = MEM_NEW(struct call);
    c->q = queue_ref(q);
    c->done = done;
    c->arg = arg;
    c->err = *err;
    call_fail_later(c);
}

/* ---- Several at once ----------------------------------------------------------------------------------------------
 */
struct many {
    size_t count, left;
    queue_many_fn *done;
    void *arg;
    struct err err;
    redisReply **copies;
    struct many_slot {
        struct many *many;
        size_t i;
    } * slots;
};

/* Replies are borrowed until a callback returns, so what must wait for its siblings is copied. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the reply, at most 4.
static redisReply *copy_reply(const redisReply *r, int depth)
{
    redisReply *copy = MEM_NEW(redisReply);
    *copy = *r;
    copy->str = r->str ? mem_dup_bytes(r->str, r->len) : NULL;
    copy->element = NULL;
    copy->elements = depth < 4 ? r->elements : 0;
    if (copy->elements)
        copy->element = mem_alloc(copy->elements * sizeof(redisReply *));
    for (size_t i = 0; i < copy->elements; i++)
        copy->element[i] = copy_reply(r->element[i], depth + 1);
    return copy;
}

// NOLINTNEXTLINE(misc-no-recursion): what copy_reply() made.
static void free_reply(redisReply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->elements; i++)
        free_reply(r->element[i]);
    mem_free(r->element);
    mem_free(r->str);
    mem_free(r);
}

static void on_one_of_many(void *arg, const struct err *err, const redisReply *reply)
{
    struct many_slot *slot = arg;
    struct many *m = slot->many;
    if (err && !m->err.code)
        m->err = *err;
    if (reply)
        m->copies[slot->i] = copy_reply(reply, 0);
    if (--m->left)
        return;
    m->done(m->arg, m->err.code ? &m->err : NULL, (const redisReply *const *)m->copies, m->count);
    for (size_t i = 0; i < m->count; i++)
        free_reply(m->copies[i]);
    mem_free(m->copies);
    mem_free(m->slots);
    mem_free(m);
}

void queue_call_many(struct queue *q, struct queue_args *args, size_t count, queue_many_fn *done, void *arg)
{
    ASSERT(count && count <= QUEUE_MANY_MAX);
    struct many *m = MEM_NEW(struct many);
    m->count = m->left = count;
    m->copies = mem_alloc(count * sizeof(void *));
    m->slots = mem_alloc(count * sizeof *m->slots);
    m->done = done;
    m->arg = arg;
    for (size_t i = 0; i < count; i++) {
        m->slots[i] = (struct many_slot){m, i};
        queue_call(q, &args[i], on_one_of_many, &m->slots[i]);
    }
}

/* ---- Replies ------------------------------------------------------------------------------------------------------
 */
const redisReply *queue_reply_at(const redisReply *reply, size_t i)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements ? reply->element[i] : NULL;
}

uint64_t queue_reply_u64(const redisReply *reply)
{
    uint64_t n = 0;
    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
        return (uint64_t)reply->integer;
    if (reply && reply->type == REDIS_REPLY_STRING) {
        char digits[24] = "";
        size_t len = strspn(reply->str, "0123456789"); /* scores may come as "12.0" */
        (void)snprintf(digits, sizeof digits, "%.*s", (int)(len < 20 ? len : 20), reply->str);
        if (!str_to_u64(digits, UINT64_MAX, &n))
            return 0;
    }
    return n;
}

const char *queue_reply_text(const redisReply *reply)
{
    return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) ? reply->str : NULL;
}

int queue_reply_code(const redisReply *reply, const char *import_id, struct err *err)
{
    const char *text = queue_reply_text(queue_reply_at(reply, 1));
    const redisReply *code = queue_reply_at(reply, 0);
    if (!code || code->type != REDIS_REPLY_INTEGER)
        return err_set(err, ERR_INTERNAL, "an answer of the wrong shape");
    if (code->integer == 1)
        return err_set(err, ERR_NOT_FOUND, "no import %.40s", import_id);
    if (code->integer == 2)
        return err_set(err, ERR_STATE_CONFLICT, "%.40s: %.200s", import_id, text ? text : "");
    return 0;
}

int queue_reply_record(const redisReply *reply, struct record *ret, struct err *err)
{
    if (!reply || reply->type != REDIS_REPLY_STRING)
        return err_set(err, ERR_NOT_FOUND, "no record");
    return record_unpack(reply->str, reply->len, ret, err);
}

void queue_hex(uint64_t n, char ret[17])
{
    (void)snprintf(ret, 17, "%016" PRIx64, n);
}
