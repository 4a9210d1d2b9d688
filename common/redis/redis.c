/* Commands: their queue while there is no connection, the way to the right one, and their answers; see redis.h for what
 * callers may rely on. */
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/redis/redis_private.h"

#include <string.h>

#define PENDING_MAX 100000
#define WATCH_MS 1000
#define AGAIN_MS 50

/* ---- Answers ------------------------------------------------------------------------------------------------------
 */
void pending_answer(struct pending *p, const redisReply *reply)
{
    p->owner->pending_count--;
    redisFreeCommand(p->command);
    p->done(p->arg, reply);
    mem_free(p->refusal);
    mem_free(p);
}

/* ---- Queue --------------------------------------------------------------------------------------------------------
 */
static struct link *link_for(struct redis *r, const struct pending *p)
{
    if (p->asked)
        return p->asked;
    return r->target.kind == REDIS_CLUSTER ? cluster_link(r, p->route) : &r->main;
}

static bool hand_over(struct redis *r, struct pending *p)
{
    struct link *l = p->not_before_ms > uv_now(r->loop) ? NULL : link_for(r, p);
    if (!l)
        return false;
    if (l->state == LINK_UP)
        return link_send(l, p);
    if (r->target.kind == REDIS_CLUSTER && link_is_idle(l))
        link_connect(l);
    return false;
}

void pending_send(struct pending *p)
{
    struct redis *r = p->owner;
    if (hand_over(r, p))
        return;
    p->next = NULL;
    *r->last = p;
    r->last = &p->next;
}

static void on_again(uv_timer_t *timer)
{
    queue_flush(timer->data);
}

bool pending_again(struct pending *p, const redisReply *error)
{
    static const char *const refusals[] = {"MOVED ",   "ASK ",    "TRYAGAIN",   "CLUSTERDOWN",
                                           "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS"};
    struct redis *r = p->owner;
    bool is_refusal = false;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        is_refusal = is_refusal || str_starts(error->str, refusals[i]);
    if (!is_refusal || p->is_once || r->is_closing)
        return false;
    mem_free(p->refusal);
    p->refusal = mem_dup(error->str);
    p->redirects = 0;
    p->not_before_ms = uv_now(r->loop) + AGAIN_MS;
    pending_send(p);
    if (!uv_is_active((uv_handle_t *)&r->again)) /* a little later than what it is for */
        (void)uv_timer_start(&r->again, on_again, AGAIN_MS + 1, AGAIN_MS);
    return true;
}

/* What was queued for a connection goes out before anything newer: the queue is flushed whenever a link or map comes.
 */
void queue_flush(struct redis *r)
{
    struct pending **at = &r->first;
    while (*at) {
        struct pending *p = *at, *next = p->next;
        if (hand_over(r, p)) {
            *at = next;
            if (!next)
                r->last = at;
        } else {
            at = &p->next;
        }
    }
    if (!r->first)
        (void)uv_timer_stop(&r->again);
}

/* It waited in vain: nobody took it (an error, not applied), or nobody could be asked. */
static void give_up(struct pending *p)
{
    redisReply refusal = {.type = REDIS_REPLY_ERROR, .str = p->refusal};
    refusal.len = p->refusal ? strlen(p->refusal) : 0;
    pending_answer(p, p->refusal ? &refusal : NULL);
}

/* What the callbacks queue meanwhile is left for later. */
void queue_drop(struct redis *r, uint64_t age_ms)
{
    struct pending *old = NULL, **old_last = &old, **at = &r->first;
    while (*at) {
        struct pending *p = *at;
        if (uv_now(r->loop) - p->queued_ms < age_ms) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        p->next = NULL;
        *old_last = p;
        old_last = &p->next;
    }
    r->last = at;
    while (old) {
        struct pending *p = old;
        old = p->next;
        give_up(p);
    }
}

/* ---- Sending ------------------------------------------------------------------------------------------------------
 */
/* NULL with `err`; takes `command` in any case. */
static struct pending *pending_new(struct redis *r, unsigned route, char *command, long long len, redis_reply_fn *done,
                                   void *arg, struct err *err)
{
    if (len < 0) {
        (void)err_set(err, ERR_REDIS, "a command could not be put into words");
        return NULL;
    }
    if (r->is_closing || r->pending_count >= PENDING_MAX) {
        redisFreeCommand(command);
        (void)err_set(err, ERR_REDIS, r->is_closing ? "the connection is closing" : "too many commands are waiting");
        return NULL;
    }
    struct pending *p = MEM_NEW(struct pending);
    *p = (struct pending){.owner = r, .done = done, .arg = arg, .command = command, .len = (size_t)len};
    p->queued_ms = uv_now(r->loop);
    p->route = route;
    r->pending_count++;
    return p;
}

static struct pending *pending_words(struct redis *r, unsigned route, int argc, const char *const *argv,
                                     const size_t *lens, redis_reply_fn *done, void *arg, struct err *err)
{
    char *command = NULL;
    const char **plain; /* hiredis forgot one const */
    memcpy(&plain, &argv, sizeof plain);
    long long len = redisFormatCommandArgv(&command, argc, plain, lens);
    return pending_new(r, route, command, len, done, arg, err);
}

int redis_send_to(struct redis *r, unsigned route, int argc, const char *const *argv, const size_t *lens,
                  redis_reply_fn *done, void *arg, struct err *err)
{
    struct pending *p = pending_words(r, route, argc, argv, lens, done, arg, err);
    if (!p)
        return -1;
    pending_send(p);
    return 0;
}

int redis_send_once(struct redis *r, unsigned route, int argc, const char *const *argv, const size_t *lens,
                    redis_reply_fn *done, void *arg, struct err *err)
{
    struct pending *p = pending_words(r, route, argc, argv, lens, done, arg, err);
    if (!p)
        return -1;
    p->is_once = true;
    pending_send(p);
    return 0;
}

int redis_send(struct redis *r, int argc, const char *const *argv, const size_t *lens, redis_reply_fn *done, void *arg,
               struct err *err)
{
    return redis_send_to(r, REDIS_ANY, argc, argv, lens, done, arg, err);
}

int redis_sendf(struct redis *r, redis_reply_fn *done, void *arg, struct err *err, const char *text, ...)
{
    char *command = NULL;
    va_list ap;
    va_start(ap, text);
    int len = redisvFormatCommand(&command, text, ap);
    va_end(ap);
    struct pending *p = pending_new(r, REDIS_ANY, command, len, done, arg, err);
    if (!p)
        return -1;
    pending_send(p);
    return 0;
}

int redis_send_back(struct redis *r, int argc, const char *const *argv, const size_t *lens, redis_reply_fn *done,
                    void *arg, struct err *err)
{
    struct link *l = r->answering;
    struct pending *p = pending_words(r, REDIS_ANY, argc, argv, lens, done, arg, err);
    if (!p)
        return -1;
    p->is_once = true;
    if (l && l->state == LINK_UP && link_send(l, p))
        return 0;
    r->pending_count--;
    redisFreeCommand(p->command);
    mem_free(p);
    return err_set(err, ERR_REDIS, "the connection that answered is gone");
}

void redis_answered_by(const struct redis *r, char ret[REDIS_AT_BYTES])
{
    ret[0] = 0;
    if (r->answering && !r->target.path)
        (void)snprintf(ret, REDIS_AT_BYTES, "%s:%d", r->answering->at.host, r->answering->at.port);
}

/* ---- Beginning and end --------------------------------------------------------------------------------------------
 */
static void on_start(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    (void)uv_timer_start(timer, link_watch, WATCH_MS, WATCH_MS);
    if (r->target.kind == REDIS_SINGLE)
        link_connect(&r->main);
    else
        scout_ask(r);
}

int redis_new(uv_loop_t *loop, const struct redis_options *options, struct redis **ret, struct err *err)
{
    AUTO_FREE struct redis *r = MEM_NEW(struct redis);
    *r = (struct redis){.loop = loop, .connected = options->connected, .arg = options->arg};
    r->env = options->env ? options->env : env_system();
    r->last = &r->first;
    r->refs = 1;
    if (redis_target_init(&r->target, options, err))
        return -1;
    link_init(&r->main, r, LINK_NODE);
    link_init(&r->sub, r, LINK_SUB);
    link_init(&r->scout, r, LINK_SCOUT);
    if (r->target.kind == REDIS_SINGLE)
        r->main.at = r->sub.at = r->target.seeds[0];
    if (r->target.kind == REDIS_CLUSTER)
        r->slots = mem_alloc(REDIS_SLOTS * sizeof(struct link *));
    /* From the loop, so that `connected` never runs inside this call. */
    (void)uv_timer_init(loop, &r->watch);
    r->watch.data = r;
    (void)uv_timer_init(loop, &r->again);
    r->again.data = r;
    r->handles += 2;
    (void)uv_timer_start(&r->watch, on_start, 0, 0);
    *ret = TAKE(r);
    return 0;
}

uv_loop_t *redis_loop(const struct redis *r)
{
    return r->loop;
}

bool redis_is_up(const struct redis *r)
{
    return r->target.kind == REDIS_CLUSTER ? r->has_map : r->main.state == LINK_UP;
}

bool redis_is_cluster(const struct redis *r)
{
    return r->target.kind == REDIS_CLUSTER;
}

bool redis_has_sentinel(const struct redis *r)
{
    return r->target.kind == REDIS_SENTINEL;
}

struct redis *redis_ref(struct redis *r)
{
    r->refs++;
    return r;
}

void redis_unref(struct redis *r)
{
    if (--r->refs)
        return;
    while (r->channels) {
        struct channel *ch = r->channels;
        r->channels = ch->next;
        mem_free(ch->name);
        mem_free(ch);
    }
    mem_free(r->slots);
    redis_target_done(&r->target);
    mem_free(r);
}

static void on_handle_closed(struct redis *r)
{
    if (--r->handles || !r->is_closing)
        return;
    void (*closed)(void *) = r->closed;
    void *arg = r->closed_arg;
    redis_unref(r);
    if (closed)
        closed(arg);
}

void link_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    struct redis *r = l->owner;
    if (l != &r->main && l != &r->sub && l != &r->scout)
        mem_free(l);
    on_handle_closed(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

/* One turn of the loop later: hiredis's own handles are closed by then, also when redis_close() ran in a callback. */
static void on_close_timer(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    struct link *const fixed[] = {&r->main, &r->sub, &r->scout};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        uv_close((uv_handle_t *)&fixed[i]->timer, link_closed);
    while (r->nodes) {
        struct link *l = r->nodes;
        r->nodes = l->next;
        uv_close((uv_handle_t *)&l->timer, link_closed);
    }
    uv_close((uv_handle_t *)&r->again, on_timer_closed);
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

void redis_close(struct redis *r, void (*closed)(void *arg), void *arg)
{
    if (!r || r->is_closing)
        return;
    r->is_closing = true;
    r->closed = closed;
    r->closed_arg = arg;
    link_drop(&r->main);
    link_drop(&r->sub);
    link_drop(&r->scout);
    for (struct link *l = r->nodes; l; l = l->next)
        link_drop(l);
    queue_drop(r, 0);
    (void)uv_timer_start(&r->watch, on_close_timer, 1, 0);
}
