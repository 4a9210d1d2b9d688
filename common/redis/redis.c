/* Two connections to one Redis on the loop: commands, and (made on first use) subscriptions. Each is greeted, watched
 * and made again with jitter after a loss; see redis.h for what callers may rely on.
 *
 *   DOWN --timer--> GREETING (connect, TLS, AUTH, SELECT, PING) --PONG--> UP --loss--> DOWN */
#include "common/redis/redis.h"

#include "common/base/mem.h"
#include "common/redis/redis_target.h"

#include <hiredis/adapters/libuv.h>
#include <string.h>

#define PENDING_MAX 100000
#define QUEUE_MS_MAX 10000 /* a command that waited so long for a connection is given up (NULL) */
#define BACKOFF_MS_BASE 50
#define BACKOFF_MS_MAX 2000

enum link_state { LINK_DOWN, LINK_GREETING, LINK_UP };

struct link {
    struct redis *owner;
    redisAsyncContext *ac;
    uv_timer_t timer;
    enum link_state state;
    uint32_t failures;
    size_t greetings; /* replies still to come */
    bool is_sub;
};

struct pending {
    struct redis *owner;
    redis_reply_fn *done;
    void *arg;
    struct pending *next; /* while queued */
    char *command;
    size_t len;
    uint64_t queued_ms;
};

struct channel {
    struct channel *next;
    char *name;
    redis_message_fn *message;
    void *arg;
};

struct redis {
    uv_loop_t *loop;
    struct redis_target target;
    const struct env *env;
    void (*connected)(void *arg, bool is_up);
    void *arg;
    struct link main, sub;
    struct pending *first, **last;
    size_t pending_count;
    struct channel *channels;
    bool is_closing;
    uint32_t refs; /* our own until closed, and redis_ref's */
    int handles_left;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void link_connect(struct link *l);

/* ---- Commands -----------------------------------------------------------------------------------------------------
 */
static void answer(struct pending *p, const redisReply *reply)
{
    p->owner->pending_count--;
    if (p->command)
        redisFreeCommand(p->command);
    p->done(p->arg, reply);
    mem_free(p);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
    (void)ac;
    answer(arg, reply);
}

static bool hand_over(struct redis *r, struct pending *p)
{
    if (r->main.state != LINK_UP || redisAsyncFormattedCommand(r->main.ac, on_reply, p, p->command, p->len) != REDIS_OK)
        return false;
    redisFreeCommand(p->command);
    p->command = NULL;
    return true;
}

static struct pending *take_first(struct redis *r)
{
    struct pending *p = r->first;
    r->first = p->next;
    if (!r->first)
        r->last = &r->first;
    return p;
}

static void flush_queue(struct redis *r)
{
    while (r->first && hand_over(r, r->first))
        (void)take_first(r);
}

/* Answers with NULL what has waited at least `age_ms`. What the callbacks queue meanwhile is left for later. */
static void drop_queue(struct redis *r, uint64_t age_ms)
{
    struct pending *stop = r->first ? CONTAINER_OF(r->last, struct pending, next) : NULL;
    for (bool more = stop != NULL; more && r->first && uv_now(r->loop) - r->first->queued_ms >= age_ms;) {
        more = r->first != stop;
        answer(take_first(r), NULL);
    }
}

static int enqueue(struct redis *r, char *command, long long len, redis_reply_fn *done, void *arg, struct err *err)
{
    if (len < 0)
        return err_set(err, ERR_REDIS, "a command could not be put into words");
    if (r->is_closing || r->pending_count >= PENDING_MAX) {
        redisFreeCommand(command);
        return err_set(err, ERR_REDIS, r->is_closing ? "the connection is closing" : "too many commands are waiting");
    }
    struct pending *p = MEM_NEW(struct pending);
    *p = (struct pending){.owner = r, .done = done, .arg = arg, .command = command, .len = (size_t)len};
    p->queued_ms = uv_now(r->loop);
    r->pending_count++;
    if (!r->first && hand_over(r, p))
        return 0;
    *r->last = p;
    r->last = &p->next;
    return 0;
}

int redis_send(struct redis *r, int argc, const char *const *argv, const size_t *lens, redis_reply_fn *done, void *arg,
               struct err *err)
{
    char *command = NULL;
    const char **plain; /* hiredis forgot one const */
    memcpy(&plain, &argv, sizeof plain);
    long long len = redisFormatCommandArgv(&command, argc, plain, lens);
    return enqueue(r, command, len, done, arg, err);
}

int redis_sendf(struct redis *r, redis_reply_fn *done, void *arg, struct err *err, const char *format, ...)
{
    char *command = NULL;
    va_list ap;
    va_start(ap, format);
    int len = redisvFormatCommand(&command, format, ap);
    va_end(ap);
    return enqueue(r, command, len, done, arg, err);
}

/* ---- Subscriptions ------------------------------------------------------------------------------------------------
 */
static void on_message(redisAsyncContext *ac, void *data, void *arg)
{
    const redisReply *reply = data;
    struct channel *ch = arg;
    const struct link *l = ac->data;
    if (!l || !ch->message || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        l->owner->is_closing)
        return;
    const char *kind = reply->element[0]->str;
    if (kind && strcmp(kind, "message") == 0)
        ch->message(ch->arg, ch->name, reply->element[2]->str, reply->element[2]->len);
    else /* a subscription begins, perhaps again after a loss: something may have been missed */
        ch->message(ch->arg, ch->name, "", 0);
}

static void subscribe(struct redis *r, struct channel *ch)
{
    if (r->sub.state == LINK_UP)
        (void)redisAsyncCommand(r->sub.ac, on_message, ch, "SUBSCRIBE %s", ch->name);
}

int redis_subscribe(struct redis *r, const char *channel, redis_message_fn *message, void *arg, struct err *err)
{
    if (r->is_closing)
        return err_set(err, ERR_REDIS, "the connection is closing");
    struct channel *ch = MEM_NEW(struct channel);
    *ch = (struct channel){.next = r->channels, .name = mem_dup(channel), .message = message, .arg = arg};
    r->channels = ch;
    if (r->sub.state == LINK_UP)
        subscribe(r, ch);
    else if (!r->sub.ac && !uv_is_active((uv_handle_t *)&r->sub.timer))
        link_connect(&r->sub);
    return 0;
}

void redis_unsubscribe(struct redis *r, const void *arg)
{
    for (struct channel *ch = r->channels; ch; ch = ch->next)
        if (ch->arg == arg)
            ch->message = NULL;
}

/* ---- Connections --------------------------------------------------------------------------------------------------
 */
static void on_timer(uv_timer_t *timer)
{
    link_connect(timer->data);
}

static void connect_later(struct link *l)
{
    struct redis *r = l->owner;
    if (r->is_closing)
        return;
    uint64_t cap = (uint64_t)BACKOFF_MS_BASE << (l->failures < 6 ? l->failures : 6);
    cap = cap > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : cap;
    l->failures++;
    (void)uv_timer_start(&l->timer, on_timer, 10 + env_random_below(r->env, cap), 0);
    if (!l->is_sub)
        drop_queue(r, QUEUE_MS_MAX);
}

/* Forgets a context that hiredis is about to free. */
static void link_lost(struct link *l)
{
    struct redis *r = l->owner;
    bool was_up = l->state == LINK_UP;
    l->ac = NULL;
    l->state = LINK_DOWN;
    if (was_up && !l->is_sub && r->connected && !r->is_closing)
        r->connected(r->arg, false);
    connect_later(l);
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

static void link_up(struct link *l)
{
    struct redis *r = l->owner;
    l->state = LINK_UP;
    l->failures = 0;
    if (l->is_sub) {
        for (struct channel *ch = r->channels; ch; ch = ch->next)
            subscribe(r, ch);
        return;
    }
    if (r->connected)
        r->connected(r->arg, true);
    flush_queue(r);
}

/* Any refusal (a wrong password, "LOADING" after a restart) closes the connection and it is tried again later. */
static void on_greeting(redisAsyncContext *ac, void *data, void *arg)
{
    const redisReply *reply = data;
    struct link *l = arg;
    if (!reply || l->ac != ac || l->owner->is_closing)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        redisAsyncDisconnect(ac);
        return;
    }
    if (--l->greetings == 0)
        link_up(l);
}

static int greet(struct link *l)
{
    struct redis_command commands[REDIS_GREETING_MAX];
    char db[16];
    size_t count = redis_target_greeting(&l->owner->target, db, commands);
    l->greetings = count;
    for (size_t i = 0; i < count; i++)
        if (redisAsyncCommandArgv(l->ac, on_greeting, l, commands[i].argc, (const char **)commands[i].argv, NULL))
            return -1;
    return 0;
}

static void link_connect(struct link *l)
{
    struct redis *r = l->owner;
    redisOptions o;
    struct err err;
    redis_target_options(&r->target, REDIS_CONNECT_MS, &o);
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
    if (!r->target.path)
        (void)redisEnableKeepAlive(&ac->c);
    if (redis_target_tls(&r->target, &ac->c, &err) || greet(l)) {
        ac->data = NULL;
        redisAsyncFree(ac);
        link_lost(l);
    }
}

static void link_init(struct link *l, struct redis *r, bool is_sub)
{
    *l = (struct link){.owner = r, .is_sub = is_sub};
    (void)uv_timer_init(r->loop, &l->timer);
    l->timer.data = l;
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
    link_init(&r->main, r, false);
    link_init(&r->sub, r, true);
    /* From the loop, so that `connected` never runs inside this call. */
    (void)uv_timer_start(&r->main.timer, on_timer, 0, 0);
    *ret = TAKE(r);
    return 0;
}

uv_loop_t *redis_loop(const struct redis *r)
{
    return r->loop;
}

bool redis_is_up(const struct redis *r)
{
    return r->main.state == LINK_UP;
}

/* ---- Closing ------------------------------------------------------------------------------------------------------
 */
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
    redis_target_done(&r->target);
    mem_free(r);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;
    struct redis *r = l->owner;
    if (--r->handles_left)
        return;
    void (*closed)(void *) = r->closed;
    void *arg = r->closed_arg;
    redis_unref(r);
    if (closed)
        closed(arg);
}

/* One turn of the loop later: hiredis's own handles are closed by then, also when redis_close() ran in a callback. */
static void on_close_timer(uv_timer_t *timer)
{
    struct link *l = timer->data;
    struct redis *r = l->owner;
    r->handles_left = 2;
    uv_close((uv_handle_t *)&r->main.timer, on_handle_closed);
    uv_close((uv_handle_t *)&r->sub.timer, on_handle_closed);
}

static void link_close(struct link *l)
{
    redisAsyncContext *ac = l->ac;
    (void)uv_timer_stop(&l->timer);
    l->ac = NULL;
    l->state = LINK_DOWN;
    if (!ac)
        return;
    ac->data = NULL;
    redisAsyncFree(ac); /* answers what is pending with NULL; put off by hiredis when we are in one of its callbacks */
}

void redis_close(struct redis *r, void (*closed)(void *arg), void *arg)
{
    if (!r || r->is_closing)
        return;
    r->is_closing = true;
    r->closed = closed;
    r->closed_arg = arg;
    link_close(&r->main);
    link_close(&r->sub);
    drop_queue(r, 0);
    (void)uv_timer_start(&r->main.timer, on_close_timer, 1, 0);
}
