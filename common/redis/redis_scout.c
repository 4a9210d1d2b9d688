/* Who is who: a connection to one Sentinel or cluster node after the other, until one answers.
 *
 * Sentinel: asks for the master, then stays and listens to +switch-master; asked again when the master is lost, says
 * READONLY, or is none. What a Sentinel says is believed only once the server itself says so (ROLE in the greeting).
 * Cluster: asks for the map of slots and goes; again after a loss, MOVED, CLUSTERDOWN, or a node that stays silent. */
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/redis/redis_private.h"
#include "common/redis/redis_sentinel.h"

#include <string.h>

#define ASK_AGAIN_MS 100 /* at most so often, whoever wants it */

static void on_timer(uv_timer_t *timer)
{
    link_connect(timer->data);
}

void scout_ask(struct redis *r)
{
    struct link *s = &r->scout;
    bool is_first = !r->has_map && !r->has_master && !s->failures;
    if (r->is_closing || (s->ac && s->state != LINK_UP) || uv_is_active((uv_handle_t *)&s->timer))
        return;
    if (s->state == LINK_UP && r->target.kind == REDIS_CLUSTER)
        return; /* has just asked */
    link_drop(s);
    (void)uv_timer_start(&s->timer, on_timer, is_first ? 0 : ASK_AGAIN_MS, 0);
}

static size_t count_nodes(const struct redis *r)
{
    size_t n = 0;
    for (const struct link *l = r->nodes; l; l = l->next)
        n++;
    return n;
}

/* A cluster's known nodes first: those of the address may be gone by now. */
bool scout_pick(struct redis *r)
{
    size_t known = count_nodes(r), turn = r->scout_turn++ % (known + r->target.seed_count);
    r->scout.at = turn < known ? cluster_any(r, turn)->at : r->target.seeds[turn - known];
    return true;
}

static void tell_map(struct redis *r, bool has_map)
{
    if (r->has_map == has_map)
        return;
    r->has_map = has_map;
    if (r->connected)
        r->connected(r->arg, has_map);
}

void scout_lost(struct redis *r)
{
    if (r->target.kind == REDIS_CLUSTER && r->scout.failures >= count_nodes(r) + r->target.seed_count)
        tell_map(r, false);
    link_connect_later(&r->scout);
}

void scout_failed(struct redis *r)
{
    link_drop(&r->scout);
    scout_lost(r);
}

/* ---- Cluster ------------------------------------------------------------------------------------------------------
 */
static void on_map(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis *r = arg;
    if (!ac->data || ac != r->scout.ac || !data || r->is_closing)
        return;
    if (!cluster_take_map(r, data)) {
        scout_failed(r);
        return;
    }
    link_drop(&r->scout);
    queue_flush(r);
    sub_want(r);
    tell_map(r, true);
}

/* ---- Sentinel -----------------------------------------------------------------------------------------------------
 */
static void take_master(struct redis *r, const struct redis_address *at)
{
    bool is_new = !r->has_master || !redis_address_eq(at, &r->main.at);
    if (is_new) {
        link_drop(&r->main);
        link_drop(&r->sub);
        r->main.at = *at;
        r->has_master = true;
        r->main.failures = 0;
    }
    if (is_new || link_is_idle(&r->main))
        link_connect(&r->main);
    sub_want(r);
}

/* "NAME old-host old-port new-host new-port" */
static void read_switch(struct redis *r, const char *text)
{
    AUTO_FREE char *copy = mem_dup(text);
    char *rest = copy, *words[5] = {NULL};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        words[i] = strsep(&rest, " ");
    struct redis_address at;
    uint64_t port;
    if (!words[4] || !str_eq(words[0], r->target.master) || !str_to_u64(words[4], 65535, &port))
        return;
    (void)snprintf(at.host, sizeof at.host, "%s", words[3]);
    at.port = (int)port;
    take_master(r, &at);
}

static void on_switch(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis *r = arg;
    const redisReply *reply = data;
    if (!ac->data || ac != r->scout.ac || !reply || r->is_closing)
        return;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && str_eq(reply->element[0]->str, "message"))
        read_switch(r, reply->element[2]->str);
}

static void on_master(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis *r = arg;
    struct redis_address at;
    if (!ac->data || ac != r->scout.ac || !data || r->is_closing)
        return;
    if (!sentinel_master(data, &at)) {
        scout_failed(r);
        return;
    }
    if (redisAsyncCommand(ac, on_switch, r, "SUBSCRIBE +switch-master") == REDIS_OK)
        take_master(r, &at);
}

void scout_up(struct redis *r)
{
    redisAsyncContext *ac = r->scout.ac;
    if (r->target.kind == REDIS_CLUSTER)
        (void)redisAsyncCommand(ac, on_map, r, "CLUSTER SLOTS");
    else
        (void)redisAsyncCommand(ac, on_master, r, "SENTINEL GET-MASTER-ADDR-BY-NAME %s", r->target.master);
}
