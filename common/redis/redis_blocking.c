/* Blocking connections for threads and command lines: one, or one to each node that a thread's keys need. */
#include "common/base/mem.h"
#include "common/redis/redis_cluster.h"
#include "common/redis/redis_sentinel.h"
#include "common/redis/redis_slots.h"

#include <string.h>

#define NODES_MAX 255
#define REFUSE_MS 300 /* so long a node that could not be reached is not tried again */

struct node {
    struct redis_address at;
    redisContext *ctx;
    uint64_t refuse_until_ms;
};

struct redis_blocking {
    struct redis_target target;
    uint32_t timeout_ms;
    size_t node_count;
    struct node nodes[NODES_MAX]; /* single and Sentinel: the first one only */
    uint8_t node_of[REDIS_SLOTS]; /* 1 + place in nodes, 0 nobody */
    bool has_map;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000u;
}

static redisContext *connect_somewhere(const struct redis_target *t, uint32_t timeout_ms, struct err *err)
{
    if (t->kind == REDIS_SENTINEL)
        return sentinel_connect(t, timeout_ms, err);
    for (size_t i = 0; i < t->seed_count || (t->path && i == 0); i++) {
        redisContext *ctx = redis_target_connect(t, &t->seeds[i], REDIS_PART_NODE, timeout_ms, err);
        if (ctx)
            return ctx;
    }
    return NULL;
}

redisContext *redis_connect_blocking(const struct redis_options *options, uint32_t timeout_ms, struct err *err)
{
    struct redis_target t;
    if (redis_target_init(&t, options, err))
        return NULL;
    redisContext *ctx = connect_somewhere(&t, timeout_ms, err);
    redis_target_done(&t);
    return ctx;
}

/* ---- The map of a cluster -----------------------------------------------------------------------------------------
 */
static size_t node_at(struct redis_blocking *b, const struct redis_address *at)
{
    for (size_t i = 0; i < b->node_count; i++)
        if (redis_address_eq(&b->nodes[i].at, at))
            return i;
    if (b->node_count == NODES_MAX) { /* far more than a cluster has: begin again */
        for (size_t i = 0; i < b->node_count; i++)
            if (b->nodes[i].ctx)
                redisFree(b->nodes[i].ctx);
        b->node_count = 0;
        memset(b->node_of, 0, sizeof b->node_of);
    }
    b->nodes[b->node_count] = (struct node){.at = *at};
    return b->node_count++;
}

static int take_map(struct redis_blocking *b, const redisReply *map, const struct redis_address *asked)
{
    struct cluster_range range;
    size_t at = 0, count = 0;
    while (cluster_range(map, &at, asked, &range)) {
        size_t n = node_at(b, &range.at);
        for (uint32_t s = range.first; s <= range.last; s++)
            b->node_of[s] = (uint8_t)(n + 1);
        count++;
    }
    return count ? 0 : -1;
}

static redisContext *node_connect(struct redis_blocking *b, struct node *n, struct err *err)
{
    if (n->ctx)
        return n->ctx;
    if (now_ms() < n->refuse_until_ms) {
        (void)err_set(err, ERR_REDIS, "%s could not be reached a moment ago", *n->at.host ? n->at.host : "Redis");
        return NULL;
    }
    n->ctx = b->target.kind == REDIS_CLUSTER
                 ? redis_target_connect(&b->target, &n->at, REDIS_PART_NODE, b->timeout_ms, err)
                 : connect_somewhere(&b->target, b->timeout_ms, err);
    if (!n->ctx)
        n->refuse_until_ms = now_ms() + REFUSE_MS;
    return n->ctx;
}

static int ask_map(struct redis_blocking *b, struct node *n, struct err *err)
{
    redisContext *ctx = node_connect(b, n, err);
    redisReply *reply = ctx ? redisCommand(ctx, "CLUSTER SLOTS") : NULL;
    struct redis_address asked = n->at;
    int rc = reply ? take_map(b, reply, &asked) : -1;
    if (ctx && rc) {
        (void)err_set(err, ERR_REDIS, "%s:%d has no map of the cluster: %s", asked.host, asked.port,
                      reply && reply->type == REDIS_REPLY_ERROR ? reply->str : ctx->errstr);
        redis_blocking_forget(b, ctx);
    }
    freeReplyObject(reply);
    return rc;
}

/* Known nodes first (those we are connected to cost nothing), then the address's. */
static int find_map(struct redis_blocking *b, struct err *err)
{
    size_t known = b->node_count;
    for (int connected = 1; connected >= 0; connected--)
        for (size_t i = 0; i < known; i++)
            if ((b->nodes[i].ctx != NULL) == (connected == 1) && ask_map(b, &b->nodes[i], err) == 0)
                return 0;
    for (size_t i = 0; i < b->target.seed_count; i++)
        if (ask_map(b, &b->nodes[node_at(b, &b->target.seeds[i])], err) == 0)
            return 0;
    return -1;
}

/* ---- Keys ---------------------------------------------------------------------------------------------------------
 */
redisContext *redis_blocking_get(struct redis_blocking *b, const char *key, struct err *err)
{
    if (b->target.kind != REDIS_CLUSTER)
        return node_connect(b, &b->nodes[0], err);
    if (!b->has_map && find_map(b, err))
        return NULL;
    b->has_map = true;
    size_t at = b->node_of[redis_slot_of(key, strlen(key))];
    redisContext *ctx = NULL;
    if (at)
        ctx = node_connect(b, &b->nodes[at - 1], err);
    else
        (void)err_set(err, ERR_REDIS, "no node of the cluster serves this key");
    if (!ctx)
        b->has_map = false;
    return ctx;
}

void redis_blocking_forget(struct redis_blocking *b, redisContext *ctx)
{
    b->has_map = false;
    for (size_t i = 0; ctx && i < NODES_MAX; i++)
        if (b->nodes[i].ctx == ctx) {
            if (ctx->err) /* silent or gone: its other keys do not wait for it as well */
                b->nodes[i].refuse_until_ms = now_ms() + REFUSE_MS;
            redis_target_discard(ctx);
            redisFree(ctx);
            b->nodes[i].ctx = NULL;
            return;
        }
}

int redis_blocking_new(const struct redis_options *options, uint32_t timeout_ms, struct redis_blocking **ret,
                       struct err *err)
{
    AUTO_FREE struct redis_blocking *b = MEM_NEW(struct redis_blocking);
    b->timeout_ms = timeout_ms;
    if (redis_target_init(&b->target, options, err))
        return -1;
    if (b->target.kind != REDIS_CLUSTER)
        b->node_count = 1;
    *ret = TAKE(b);
    return 0;
}

void redis_blocking_free(struct redis_blocking *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < NODES_MAX; i++)
        if (b->nodes[i].ctx)
            redisFree(b->nodes[i].ctx);
    redis_target_done(&b->target);
    mem_free(b);
}
