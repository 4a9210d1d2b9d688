/* Halt and release. The line is built here on the end of the chain as we saw it; Redis refuses when the chain has grown
 * meanwhile, and the line is built again (compare and set, like an import's decisions). */
#include "common/queue/queue_fleet.h"

#include "common/base/mem.h"
#include "common/queue/queue_private.h"

#include <stdio.h>
#include <string.h>

#define TRIES_MAX 8
#define LOG_SHOWN "-50"

struct order {
    struct queue *q;
    const char *what; /* "halt", "release" */
    json_t *line;     /* without n, prev, hash */
    char *head;       /* "N:HASH" as last seen */
    uint32_t tries;
    queue_done_fn *done;
    void *arg;
};

static void order_end(struct order *o, const struct err *err)
{
    struct queue *q = o->q;
    o->done(o->arg, err);
    json_decref(o->line);
    mem_free(o->head);
    mem_free(o);
    queue_unref(q);
}

static char *chained(const struct order *o)
{
    char hash[65];
    const char *prev = strchr(o->head, ':');
    json_auto_t *line = json_deep_copy(o->line);
    json_put_int(line, "n", strtoll(o->head, NULL, 10) + 1);
    json_put_str(line, "prev", prev ? prev + 1 : "");
    json_digest(line, hash);
    json_put_str(line, "hash", hash);
    return json_text(line);
}

static void send_order(struct order *o);

static void ordered(void *arg, const struct err *fault, const redisReply *reply)
{
    struct order *o = arg;
    struct err err = {0};
    uint64_t code = queue_reply_u64(queue_reply_at(reply, 0));
    const char *head = queue_reply_text(queue_reply_at(reply, 1));
    if (!fault && code == 3 && head && ++o->tries < TRIES_MAX) {
        mem_free(o->head);
        o->head = mem_dup(head);
        send_order(o);
        return;
    }
    if (!fault && code == 3)
        (void)err_set(&err, ERR_REDIS, "too many decisions about the fleet at the same moment");
    if (!fault && code == 2)
        (void)err_set(&err, ERR_STATE_CONFLICT, "the fleet is not halted");
    order_end(o, fault ? fault : err.code ? &err : NULL);
}

static void send_order(struct order *o)
{
    AUTO_FREE char *line = chained(o);
    char key[512];
    queue_global_key(o->q, "fleet", key);
    struct queue_args args = queue_fcall_key("fleet", key);
    queue_args_add(&args, o->what);
    queue_args_add(&args, json_str_at(o->line, "id"));
    queue_args_add(&args, line);
    queue_args_add(&args, o->head);
    queue_call(o->q, &args, ordered, o);
}

static void order(struct queue *q, const char *what, json_t *line, queue_done_fn *done, void *arg)
{
    struct order *o = MEM_NEW(struct order);
    *o = (struct order){.q = queue_ref(q), .what = what, .line = line, .head = mem_dup("0:"), .done = done, .arg = arg};
    send_order(o);
}

static json_t *line_of(const struct queue *q, const char *what, const struct queue_halt *why)
{
    return json_make("{s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "kind", "decision", "what", what, "id", why->id, "import",
                     why->import_id, "reason", why->reason, "by", why->by, "at_ms", (json_int_t)env_unix_ms(q->env));
}

void queue_fleet_halt(struct queue *q, const struct queue_halt *why, queue_done_fn *done, void *arg)
{
    order(q, "halt", line_of(q, "halt", why), done, arg);
}

void queue_fleet_release(struct queue *q, const char *reason, const char *by, queue_done_fn *done, void *arg)
{
    order(q, "release",
          line_of(q, "release", &(struct queue_halt){.id = "", .import_id = "", .reason = reason, .by = by}), done,
          arg);
}

/* ---- Looking ---- */
struct look {
    struct queue *q;
    queue_json_fn *done;
    void *arg;
};

static json_t *read_line(const redisReply *reply)
{
    struct err ignored = {0};
    const char *text = queue_reply_text(reply);
    return text ? json_read(text, strlen(text), 0, &ignored) : NULL;
}

static void looked(void *arg, const struct err *err, const redisReply *const *replies, size_t count)
{
    struct look *l = arg;
    struct queue *q = l->q;
    json_t *value = NULL;
    if (!err && count == 2) {
        json_t *log = json_array(), *halt = read_line(replies[0]);
        for (size_t i = 0; i < replies[1]->elements; i++) {
            json_t *line = read_line(replies[1]->element[i]);
            if (line)
                (void)json_array_append_new(log, line);
        }
        value =
            json_make("{s:b,s:o,s:o}", "halted", (int)(halt != NULL), "halt", halt ? halt : json_null(), "log", log);
    }
    l->done(l->arg, err, value);
    mem_free(l);
    queue_unref(q);
}

void queue_fleet_get(struct queue *q, queue_json_fn *done, void *arg)
{
    struct look *l = MEM_NEW(struct look);
    struct queue_args args[2] = {{0}, {0}};
    char key[512], log[512];
    *l = (struct look){.q = queue_ref(q), .done = done, .arg = arg};
    queue_args_add(&args[0], "HGET");
    queue_global_key(q, "fleet", key);
    queue_args_key(&args[0], key);
    queue_args_add(&args[0], "halt");
    queue_global_key(q, "fleet:log", log);
    queue_args_add(&args[1], "LRANGE");
    queue_args_key(&args[1], log);
    queue_args_add(&args[1], LOG_SHOWN);
    queue_args_add(&args[1], "-1");
    queue_call_many(q, args, 2, looked, l);
}

int queue_fleet_is_halted(redisContext *ctx, const char *prefix, bool *ret, struct err *err)
{
    redisReply *reply = redisCommand(ctx, "HEXISTS %s:{g}:fleet halt", prefix);
    if (!reply)
        return err_set(err, ERR_REDIS, "fleet: %s", ctx->errstr);
    int rc = 0;
    if (reply->type != REDIS_REPLY_INTEGER)
        rc = err_set(err, ERR_REDIS, "fleet: Redis says: %.200s", reply->str ? reply->str : "nothing of use");
    else
        *ret = reply->integer != 0;
    freeReplyObject(reply);
    return rc;
}
