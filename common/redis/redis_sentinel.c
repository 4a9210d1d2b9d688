#include "common/redis/redis_sentinel.h"

#include "common/base/str.h"

#include <stdio.h>

bool sentinel_master(const redisReply *reply, struct redis_address *ret)
{
    uint64_t port;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING || !reply->element[0]->len ||
        reply->element[0]->len >= sizeof ret->host || !str_to_u64(reply->element[1]->str, 65535, &port) || !port)
        return false;
    (void)snprintf(ret->host, sizeof ret->host, "%s", reply->element[0]->str);
    ret->port = (int)port;
    return true;
}

static int ask_one(const struct redis_target *t, const struct redis_address *sentinel, uint32_t timeout_ms,
                   struct redis_address *ret, struct err *err)
{
    redisContext *ctx = redis_target_connect(t, sentinel, REDIS_PART_SENTINEL, timeout_ms, err);
    if (!ctx)
        return err_wrap(err, "Sentinel %s:%d", sentinel->host, sentinel->port);
    redisReply *reply = redisCommand(ctx, "SENTINEL GET-MASTER-ADDR-BY-NAME %s", t->master);
    int rc = 0;
    if (!reply)
        rc = err_set(err, ERR_REDIS, "Sentinel %s:%d: %s", sentinel->host, sentinel->port, ctx->errstr);
    else if (!sentinel_master(reply, ret))
        rc =
            err_set(err, ERR_REDIS, "Sentinel %s:%d knows no master \"%s\"", sentinel->host, sentinel->port, t->master);
    freeReplyObject(reply);
    redisFree(ctx);
    return rc;
}

redisContext *sentinel_connect(const struct redis_target *t, uint32_t timeout_ms, struct err *err)
{
    for (size_t i = 0; i < t->seed_count; i++) {
        struct redis_address master;
        if (ask_one(t, &t->seeds[i], timeout_ms, &master, err))
            continue;
        redisContext *ctx = redis_target_connect(t, &master, REDIS_PART_NODE, timeout_ms, err);
        if (ctx)
            return ctx;
    }
    return NULL;
}
