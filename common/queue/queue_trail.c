/* See queue_trail.h: two plain commands there, one back; nothing for the functions to decide. */
#include "common/queue/queue_trail.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/queue/queue_private.h"

#include <stdio.h>

struct trail_call {
    struct queue *q;
    queue_trail_fn *got;
    queue_done_fn *put;
    void *arg;
};

static struct trail_call *call_new(struct queue *q, void *arg)
{
    struct trail_call *c = MEM_NEW(struct trail_call);
    *c = (struct trail_call){.q = queue_ref(q), .arg = arg};
    return c;
}

static void call_free(struct trail_call *c)
{
    queue_unref(c->q);
    mem_free(c);
}

static struct queue_args args_of(const struct queue *q, const char *command, const char *import_id)
{
    char name[64];
    ASSERT(queue_id_is_valid(q, import_id));
    (void)snprintf(name, sizeof name, "trail:%s", import_id);
    return queue_plain(q, command, queue_shard_of_import(import_id), name);
}

static void on_got(void *arg, const struct err *fault, const redisReply *reply)
{
    struct trail_call *c = arg;
    size_t count = fault || reply->type != REDIS_REPLY_ARRAY ? 0 : reply->elements / 2;
    struct queue_trail_part *parts = mem_alloc((count + 1) * sizeof *parts);
    for (size_t i = 0; i < count; i++) {
        const redisReply *value = reply->element[2 * i + 1];
        const char *name = queue_reply_text(reply->element[2 * i]), *bytes = queue_reply_text(value);
        parts[i] = (struct queue_trail_part){name ? name : "", bytes ? bytes : "", bytes ? value->len : 0};
    }
    c->got(c->arg, fault, parts, count);
    mem_free(parts);
    call_free(c);
}

void queue_trail_get(struct queue *q, const char *import_id, queue_trail_fn *done, void *arg)
{
    struct trail_call *c = call_new(q, arg);
    c->got = done;
    struct queue_args args = args_of(q, "HGETALL", import_id);
    queue_call(q, &args, on_got, c);
}

static void on_kept(void *arg, const struct err *fault)
{
    struct trail_call *c = arg;
    c->put(c->arg, fault);
    call_free(c);
}

static void on_put(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct trail_call *c = arg;
    (void)replies;
    (void)count;
    if (fault)
        on_kept(c, fault);
    else
        queue_promise(c->q, on_kept, c);
}

void queue_trail_put(struct queue *q, const char *import_id, const struct queue_trail_part *parts, size_t count,
                     const json_t *gone, queue_done_fn *done, void *arg)
{
    struct trail_call *c = call_new(q, arg);
    size_t gone_count = json_array_size(gone);
    ASSERT(count && count <= QUEUE_TRAIL_PARTS_MAX && gone_count <= QUEUE_TRAIL_PARTS_MAX);
    c->put = done;
    /* One after the other on one connection: what is removed was set anew before. */
    struct queue_args args[2] = {args_of(q, "HSET", import_id)};
    for (size_t i = 0; i < count; i++) {
        queue_args_add(&args[0], parts[i].name);
        queue_args_add_bytes(&args[0], parts[i].bytes, parts[i].len);
    }
    if (gone_count)
        args[1] = args_of(q, "HDEL", import_id);
    for (size_t i = 0; i < gone_count; i++)
        queue_args_add(&args[1], json_string_value(json_array_get(gone, i)));
    queue_call_many(q, args, gone_count ? 2 : 1, on_put, c);
}
