/* One connection: greeted, watched, and made again with jitter after a loss.
 *
 *   DOWN --timer--> GREETING (connect, TLS, AUTH, SELECT, PING, ROLE) --answers--> UP --loss--> DOWN
 *
 * hiredis counts its time limit from the last command sent as well, so a server that is silent under load would never
 * be noticed: link_watch() counts answers instead. */
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/redis/redis_private.h"

#include <hiredis/adapters/libuv.h>
#include <string.h>

#define QUEUE_MS_MAX 10000 /* a command that waited so long for a connection is given up (NULL) */
#define SILENT_TICKS_MAX (REDIS_REPLY_MS / 1000)
#define READONLY_FAILURES 4 /* no hurry to ask the same server again */

void link_init(struct link *l, struct redis *r, enum link_role role)
{
    *l = (struct link){.owner = r, .role = role};
    (void)uv_timer_init(r->loop, &l->timer);
    l->timer.data = l;
    r->handles++;
}

bool link_is_idle(const struct link *l)
{
    return !l->ac && !uv_is_active((const uv_handle_t *)&l->timer);
}

static void on_timer(uv_timer_t *timer)
{
    link_connect(timer->data);
}

void link_connect_later(struct link *l)
{
    struct redis *r = l->owner;
    if (r->is_closing)
        return;
    uint64_t cap = (uint64_t)BACKOFF_MS_BASE << (l->failures < 6 ? l->failures : 6);
    cap = cap > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : cap;
    l->failures++;
    (void)uv_timer_start(&l->timer, on_timer, 10 + env_random_below(r->env, cap), 0);
}

/* ---- Loss ---------------------------------------------------------------------------------------------------------
 */
static void told(struct redis *r, bool is_up)
{
    if (r->connected && !r->is_closing && r->target.kind != REDIS_CLUSTER)
        r->connected(r->arg, is_up);
}

/* Where the next try goes is for others to say, but for a single server. */
static void lost(struct link *l, bool was_up)
{
    struct redis *r = l->owner;
    if (r->is_closing)
        return;
    if (l->role == LINK_SCOUT) {
        scout_lost(r);
        return;
    }
    if (was_up && l == &r->main)
        told(r, false);
    if (r->target.kind != REDIS_SINGLE)
        scout_ask(r);
    if (r->target.kind == REDIS_CLUSTER && l->role == LINK_SUB)
        r->sub_turn++;
    link_connect_later(l);
}

/* Forgets a context that hiredis is about to free. */
static void link_lost(struct link *l)
{
    bool was_up = l->state == LINK_UP;
    l->ac = NULL;
    l->state = LINK_DOWN;
    l->in_flight = 0;
    lost(l, was_up);
}

void link_drop(struct link *l)
{
    redisAsyncContext *ac = l->ac;
    bool was_up = l->state == LINK_UP;
    (void)uv_timer_stop(&l->timer);
    l->ac = NULL;
    l->state = LINK_DOWN;
    l->in_flight = 0;
    if (ac) {
        ac->data = NULL;
        redisAsyncFree(ac); /* answers what is due with NULL; put off by hiredis when we are in one of its callbacks */
    }
    if (was_up && l == &l->owner->main)
        told(l->owner, false);
}

/* Ends it like link_drop(), and makes it again. */
static void link_renew(struct link *l, uint32_t failures)
{
    if (l->ac)
        redis_target_discard(&l->ac->c);
    link_drop(l);
    l->failures = failures;
    lost(l, false);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    if (status != REDIS_OK && ac->data)
        link_lost(ac->data);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    (void)status;
    if (ac->data)
        link_lost(ac->data);
}

/* ---- Greeting -----------------------------------------------------------------------------------------------------
 */
static void link_up(struct link *l)
{
    struct redis *r = l->owner;
    l->state = LINK_UP;
    l->failures = l->silent_ticks = 0;
    if (l->role == LINK_SCOUT) {
        scout_up(r);
        return;
    }
    if (l->role == LINK_SUB) {
        sub_restore(r);
        return;
    }
    queue_flush(r);
    if (l == &r->main)
        told(r, true);
}

/* Any refusal (a wrong password, "LOADING" after a restart, no master) closes the connection; it is tried again later.
 */
static void on_greeting(redisAsyncContext *ac, void *data, void *arg)
{
    const redisReply *reply = data;
    struct link *l = arg;
    struct err err;
    if (!reply || ac->data != l || l->ac != ac || l->state != LINK_GREETING || l->owner->is_closing)
        return;
    if (redis_target_check(&l->greeting[l->greeted++], reply, &err)) {
        l->state = LINK_DOWN;
        redisAsyncDisconnect(ac);
    } else if (l->greeted == l->greeting_count) {
        link_up(l);
    }
}

static int greet(struct link *l)
{
    const struct redis_target *t = &l->owner->target;
    bool is_sentinel = t->kind == REDIS_SENTINEL && l->role == LINK_SCOUT;
    l->greeted = 0;
    l->greeting_count =
        redis_target_greeting(t, is_sentinel ? REDIS_PART_SENTINEL : REDIS_PART_NODE, l->db, l->greeting);
    for (size_t i = 0; i < l->greeting_count; i++)
        if (redisAsyncCommandArgv(l->ac, on_greeting, l, l->greeting[i].argc, (const char **)l->greeting[i].argv, NULL))
            return -1;
    return 0;
}

/* False when nobody has said yet where to. */
static bool pick_address(struct link *l)
{
    struct redis *r = l->owner;
    if (l->role == LINK_SCOUT)
        return scout_pick(r);
    if (r->target.kind == REDIS_SENTINEL)
        l->at = r->main.at;
    if (r->target.kind == REDIS_CLUSTER && l->role == LINK_SUB) {
        const struct link *node = cluster_any(r, r->sub_turn);
        if (node)
            l->at = node->at;
        return node != NULL;
    }
    return r->target.kind != REDIS_SENTINEL || r->has_master;
}

void link_connect(struct link *l)
{
    struct redis *r = l->owner;
    redisOptions o;
    struct err err;
    (void)uv_timer_stop(&l->timer);
    if (l->ac || r->is_closing || !pick_address(l))
        return;
    redis_target_options(&r->target, &l->at, REDIS_CONNECT_MS, &o);
    redisAsyncContext *ac = redisAsyncConnectWithOptions(&o);
    l->ac = ac;
    l->state = LINK_GREETING;
    if (!ac || ac->err || redisLibuvAttach(ac, r->loop) != REDIS_OK) {
        if (ac)
            redisAsyncFree(ac); /* `data` is not set: no callback of ours runs */
        link_lost(l);
        return;
    }
    ac->data = l;
    (void)redisAsyncSetConnectCallback(ac, on_connect);
    (void)redisAsyncSetDisconnectCallback(ac, on_disconnect);
    redis_target_watch(&r->target, &ac->c);
    if (redis_target_tls(&r->target, &l->at, &ac->c, &err) || greet(l)) {
        ac->data = NULL;
        redisAsyncFree(ac);
        link_lost(l);
    }
}

/* ---- Commands -----------------------------------------------------------------------------------------------------
 */
/* A server that turned replica, or a cluster that lacks one: who is it now? (A single server may have a name that is
 * somebody else's by now: connected again.) */
static void read_error(struct redis *r, struct link *l, const redisReply *error)
{
    bool is_readonly = str_starts(error->str, "READONLY");
    if (is_readonly && l && r->target.kind == REDIS_SINGLE)
        link_renew(l, READONLY_FAILURES);
    else if (r->target.kind != REDIS_SINGLE && (is_readonly || str_starts(error->str, "CLUSTERDOWN")))
        scout_ask(r);
}

static void on_reply(redisAsyncContext *ac, void *data, void *arg)
{
    struct pending *p = arg;
    struct redis *r = p->owner;
    struct link *l = ac->data, *outer = r->answering;
    const redisReply *reply = data;
    if (l && l->in_flight)
        l->in_flight--;
    if (l && reply)
        l->silent_ticks = 0;
    if (reply && reply->type == REDIS_REPLY_ERROR && !r->is_closing) {
        if (r->target.kind == REDIS_CLUSTER && cluster_redirect(r, l, p, reply))
            return;
        read_error(r, l, reply);
        if (pending_again(p, reply))
            return;
        l = ac->data;
    }
    r->answering = reply ? l : NULL;
    pending_answer(p, reply);
    r->answering = outer;
}

bool link_send(struct link *l, struct pending *p)
{
    if (p->asked && redisAsyncCommand(l->ac, NULL, NULL, "ASKING") != REDIS_OK)
        return false;
    if (redisAsyncFormattedCommand(l->ac, on_reply, p, p->command, p->len) != REDIS_OK)
        return false;
    p->asked = NULL;
    l->in_flight++;
    return true;
}

/* ---- Watch --------------------------------------------------------------------------------------------------------
 * Ticks are counted, not time: a loop that was blocked gets its answers between two of them. */
static void watch_link(struct link *l)
{
    struct redis *r = l->owner;
    if (l->state != LINK_UP || !l->in_flight) {
        l->silent_ticks = 0;
        return;
    }
    l->silent_ticks++;
    if (l->silent_ticks >= SILENT_TICKS_ASK && r->target.kind != REDIS_SINGLE)
        scout_ask(r);
    if (l->silent_ticks >= SILENT_TICKS_MAX)
        link_renew(l, 0);
}

void link_watch(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    queue_drop(r, QUEUE_MS_MAX);
    watch_link(&r->main);
    for (struct link *l = r->nodes, *next; l; l = next) {
        next = l->next;
        watch_link(l);
    }
}
