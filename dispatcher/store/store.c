#include "dispatcher/store/store.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/crypto.h"

#include <stdio.h>

#define STORE_ARGS_MAX 2200

struct pending {
    store_reply_fn *done;
    void *arg;
};

static void on_reply(void *arg, const redisReply *reply)
{
    struct pending *p = arg;
    struct err err = {0};
    if (!reply)
        (void)err_set(&err, ERR_REDIS, "the connection to Redis was lost");
    else if (reply->type == REDIS_REPLY_ERROR && str_starts(reply->str, "OOM"))
        (void)err_set(&err, ERR_REDIS_FULL, "Redis has no memory left");
    else if (reply->type == REDIS_REPLY_ERROR && str_starts(reply->str, "MISCONF"))
        (void)err_set(&err, ERR_REDIS_DISK, "Redis cannot write to its disk: %.200s", reply->str);
    else if (reply->type == REDIS_REPLY_ERROR)
        (void)err_set(&err, ERR_REDIS, "Redis refused: %.200s", reply->str);
    p->done(p->arg, err.code ? &err : NULL, err.code ? NULL : reply);
    mem_free(p);
}

/* redis_send() can refuse at once (too many waiting): the callback must still be late, so it goes through the loop. */
struct late {
    uv_timer_t timer;
    store_reply_fn *done;
    void *arg;
    struct err err;
};

static void late_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void late_fire(uv_timer_t *timer)
{
    struct late *late = timer->data;
    late->done(late->arg, &late->err, NULL);
    uv_close((uv_handle_t *)timer, late_closed);
}

static void send_or_fail(struct store *s, const char *key, int argc, const char *const *argv, store_reply_fn *done,
                         void *arg)
{
    struct pending *p = MEM_NEW(struct pending);
    *p = (struct pending){done, arg};
    struct err err = {0};
    if (redis_send_to(s->redis, redis_route(key), argc, argv, NULL, on_reply, p, &err) == 0)
        return;
    mem_free(p);
    struct late *late = MEM_NEW(struct late);
    late->done = done;
    late->arg = arg;
    late->err = err;
    late->timer.data = late;
    ASSERT(uv_timer_init(s->loop, &late->timer) == 0);
    ASSERT(uv_timer_start(&late->timer, late_fire, 0, 0) == 0);
}

void store_eval(struct store *s, const struct store_call *call, store_reply_fn *done, void *arg)
{
    ASSERT(3 + call->key_count + call->arg_count <= STORE_ARGS_MAX && call->key_count >= 1 && call->key_count <= 8);
    const char **argv = mem_alloc(sizeof *argv * (3 + call->key_count + call->arg_count));
    char count[8], keys[8][512];
    (void)snprintf(count, sizeof count, "%zu", call->key_count);
    size_t n = 0;
    argv[n++] = "EVAL";
    argv[n++] = call->script;
    argv[n++] = count;
    for (size_t i = 0; i < call->key_count; i++) {
        queue_global_key(s->queue, call->keys[i], keys[i]);
        argv[n++] = keys[i];
    }
    for (size_t i = 0; i < call->arg_count; i++)
        argv[n++] = call->args[i];
    send_or_fail(s, keys[0], (int)n, argv, done, arg);
    mem_free(argv);
}

void store_command(struct store *s, const char *command, const char *key, size_t arg_count, const char *const *args,
                   store_reply_fn *done, void *arg)
{
    ASSERT(arg_count + 2 <= STORE_ARGS_MAX);
    const char **argv = mem_alloc(sizeof *argv * (arg_count + 2));
    char full[512];
    queue_global_key(s->queue, key, full);
    argv[0] = command;
    argv[1] = full;
    for (size_t i = 0; i < arg_count; i++)
        argv[i + 2] = args[i];
    send_or_fail(s, full, (int)arg_count + 2, argv, done, arg);
    mem_free(argv);
}

const redisReply *store_element(const redisReply *reply, size_t index)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && index < reply->elements ? reply->element[index] : NULL;
}

const char *store_text(const redisReply *reply)
{
    return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) ? reply->str : "";
}

/* ---- Idempotency keys
 * ------------------------------------------------------------------------------------------------ */

#define IDEM_OPEN_MS "30000"
#define IDEM_KEPT_MS "86400000"

static const char idem_begin_lua[] = "local v = redis.call('GET', KEYS[1])\n"
                                     "if not v then\n"
                                     "  redis.call('SET', KEYS[1], 'open ' .. ARGV[1], 'PX', ARGV[2])\n"
                                     "  return {'new'}\n"
                                     "end\n"
                                     "if string.sub(v, 6, 69) ~= ARGV[1] then return {'mismatch'} end\n"
                                     "if string.sub(v, 1, 4) == 'open' then return {'busy'} end\n"
                                     "return {'done', string.sub(v, 71)}\n";

static const char idem_end_lua[] = "local v = redis.call('GET', KEYS[1])\n"
                                   "if v and string.sub(v, 6, 69) ~= ARGV[1] then return 0 end\n"
                                   "if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end\n"
                                   "redis.call('SET', KEYS[1], 'done ' .. ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])\n"
                                   "return 1\n";

struct idem {
    store_idem_fn *done;
    void *arg;
};

static void idem_began(void *arg, const struct err *err, const redisReply *reply)
{
    struct idem *i = arg;
    const char *what = store_text(store_element(reply, 0));
    enum store_idem result = str_eq(what, "done")       ? IDEM_DONE
                             : str_eq(what, "busy")     ? IDEM_BUSY
                             : str_eq(what, "mismatch") ? IDEM_MISMATCH
                                                        : IDEM_NEW;
    i->done(i->arg, err, result, store_text(store_element(reply, 1)));
    mem_free(i);
}

static void idem_name(const char *key, char ret[80])
{
    char hex[65];
    crypto_sha256_hex(key, strlen(key), hex);
    (void)snprintf(ret, 80, "idem:%s", hex);
}

void store_idem_begin(struct store *s, const char *key, const char *digest, store_idem_fn *done, void *arg)
{
    struct idem *i = MEM_NEW(struct idem);
    *i = (struct idem){done, arg};
    char name[80];
    idem_name(key, name);
    store_eval(
        s, &(struct store_call){idem_begin_lua, (const char *[]){name}, 1, (const char *[]){digest, IDEM_OPEN_MS}, 2},
        idem_began, i);
}

struct simple {
    store_done_fn *done;
    void *arg;
};

static void simple_done(void *arg, const struct err *err, const redisReply *reply)
{
    struct simple *p = arg;
    (void)reply;
    p->done(p->arg, err);
    mem_free(p);
}

void store_idem_end(struct store *s, const char *key, const char *digest, const char *response, store_done_fn *done,
                    void *arg)
{
    struct simple *p = MEM_NEW(struct simple);
    *p = (struct simple){done, arg};
    char name[80];
    idem_name(key, name);
    store_eval(s,
               &(struct store_call){idem_end_lua, (const char *[]){name}, 1,
                                    (const char *[]){digest, response ? response : "", IDEM_KEPT_MS}, 3},
               simple_done, p);
}
