/* What this Redis could lose: looked at once when the queue is opened (warnings, refusals), and minded with each
 * promise (an import accepted, an intent, an end, a decision).
 *
 *   single server      appendonly yes, appendfsync always; or a replica, as below
 *   with replicas      appendonly yes; a promise is answered when all of them have it (WAIT). min-replicas-to-write 1
 *                      is better still
 *   Sentinel, Cluster  as with replicas, whether there is one at the moment or not
 *   all                maxmemory-policy noeviction
 *
 * INFO tells nearly all of it. CONFIG GET is asked for appendfsync only, because it also shows passwords: a user
 * without it is fine where a replica makes up for everysec. */
#include "common/base/mem.h"
#include "common/queue/queue_private.h"

#include <string.h>

#define REPLICA_WAIT_MS "2000"
#define ASK_AGAIN_MS 1000 /* how many replicas a primary has */
#define REPLICA_GONE_MS 20000

/* ---- What INFO says -----------------------------------------------------------------------------------------------
 */
struct facts {
    bool has_aof, keeps_all;
    bool has_replica; /* now */
    bool has_minimum; /* min-replicas-to-write is set */
};

/* The text after "NAME:" in INFO, up to the end of its line; "" when it is not there. */
static const char *info_at(const char *info, const char *name, char *ret, size_t size)
{
    size_t len = strlen(name);
    ret[0] = 0;
    for (const char *at = strstr(info, name); at; at = strstr(at + 1, name))
        if (at[len] == ':' && (at == info || at[-1] == '\n')) {
            (void)snprintf(ret, size, "%.*s", (int)strcspn(at + len + 1, "\r\n"), at + len + 1);
            break;
        }
    return ret;
}

static struct facts read_info(const char *info)
{
    char text[32];
    struct facts f = {0};
    f.has_aof = str_eq(info_at(info, "aof_enabled", text, sizeof text), "1");
    f.keeps_all = str_eq(info_at(info, "maxmemory_policy", text, sizeof text), "noeviction");
    f.has_replica = *info_at(info, "connected_slaves", text, sizeof text) && !str_eq(text, "0");
    f.has_minimum = *info_at(info, "min_slaves_good_slaves", text, sizeof text); /* only then shown */
    return f;
}

/* ---- At the beginning ---------------------------------------------------------------------------------------------
 */
struct check {
    struct queue *q;
    size_t left;
    struct err err;
    queue_done_fn *done;
    void *arg;
};

struct node_check {
    struct check *check;
    unsigned route;
    bool is_always, is_hidden; /* appendfsync; not shown */
};

static void warn(struct queue *q, const char *text)
{
    AUTO_FREE char *line = mem_printf("%s\n", text);
    if (!strstr(q->warnings.data, line)) /* several primaries have the same */
        str_add(&q->warnings, line);
}

static void weak(struct check *c, const char *text)
{
    warn(c->q, text);
    if (!c->q->is_relaxed && !c->err.code)
        (void)err_set(&c->err, ERR_REDIS_CONFIG, "%s", text);
}

static void judge(struct node_check *n, const struct facts *f)
{
    struct check *c = n->check;
    struct queue *q = c->q;
    bool may_fail_over = redis_is_cluster(q->redis) || redis_has_sentinel(q->redis);
    bool is_copied = f->has_replica || f->has_minimum || (may_fail_over && !q->is_relaxed);
    q->must_copy |= is_copied && !q->is_relaxed && (may_fail_over || f->has_minimum || !n->is_always);
    if (!f->has_aof)
        weak(c, "Redis keeps nothing on disk (appendonly no): a restart loses what was accepted.");
    else if (!is_copied && n->is_hidden)
        weak(c,
             "Redis has no replica and does not show whether it writes every answer to disk (CONFIG GET is refused): "
             "allow it, or have a replica.");
    else if (!is_copied && !n->is_always)
        weak(c, "Redis does not write every answer to disk (appendonly yes, appendfsync always) and has no replica: a "
                "crash of Redis can lose what was accepted.");
    if (!f->keeps_all)
        weak(c, "Redis may throw keys away when memory is full: set maxmemory-policy noeviction.");
    if (may_fail_over && !f->has_replica && !f->has_minimum)
        warn(q, q->is_relaxed ? "A primary of this Redis has no replica: what it has is lost with it."
                              : "A primary of this Redis has no replica at the moment: nothing is accepted or finished "
                                "there until it has one.");
    if (f->has_replica && !f->has_minimum)
        warn(q,
             "min-replicas-to-write is 0: a primary cut off from its replicas goes on taking writes that are lost when "
             "another takes over (what was promised is not). Set it to 1.");
}

static void node_end(struct node_check *n, const struct err *fault)
{
    struct check *c = n->check;
    mem_free(n);
    if (fault && !c->err.code)
        c->err = *fault;
    if (--c->left)
        return;
    struct queue *q = c->q;
    c->done(c->arg, c->err.code ? &c->err : NULL);
    mem_free(c);
    queue_unref(q);
}

static void on_info(void *arg, const struct err *fault, const redisReply *reply)
{
    struct node_check *n = arg;
    const char *info = queue_reply_text(reply);
    struct err err = {0};
    if (fault && fault->code == ERR_REDIS_CONFIG && n->check->q->is_relaxed) {
        warn(n->check->q, "Redis does not show its settings: durability could not be checked.");
    } else if (fault || !info) {
        (void)err_set(&err, fault ? fault->code : ERR_INTERNAL, "checking durability: %s", fault ? fault->text : "");
    } else {
        struct facts f = read_info(info);
        judge(n, &f);
    }
    node_end(n, err.code ? &err : NULL);
}

static void on_config(void *arg, const struct err *fault, const redisReply *reply)
{
    struct node_check *n = arg;
    if (fault && fault->code != ERR_REDIS_CONFIG) {
        struct err err = *fault;
        (void)err_wrap(&err, "checking durability");
        node_end(n, &err);
        return;
    }
    n->is_hidden = fault != NULL;
    n->is_always = str_eq(queue_reply_text(queue_reply_at(reply, 1)), "always");
    struct queue_args args = {.route = n->route};
    queue_args_add(&args, "INFO");
    queue_call(n->check->q, &args, on_info, n);
}

void queue_check_durability(struct queue *q, queue_done_fn *done, void *arg)
{
    struct check *c = MEM_NEW(struct check);
    unsigned routes[PRIMARIES_MAX];
    *c = (struct check){.q = queue_ref(q), .done = done, .arg = arg};
    c->left = redis_primaries(q->redis, routes, PRIMARIES_MAX);
    for (size_t i = 0, count = c->left; i < count; i++) {
        struct node_check *n = MEM_NEW(struct node_check);
        *n = (struct node_check){.check = c, .route = routes[i]};
        struct queue_args args = {.route = routes[i]};
        queue_args_add(&args, "CONFIG");
        queue_args_add(&args, "GET");
        queue_args_add(&args, "appendfsync");
        queue_call(q, &args, on_config, n);
    }
}

/* ---- With each promise --------------------------------------------------------------------------------------------
 * WAIT goes down the connection that did the write, and is about all that Redis had written by the last command there:
 * also about what an earlier connection wrote, when this one was told that it is there (ALREADY). It holds up the
 * connection, so one serves all promises that were made meanwhile.
 *
 * All replicas must have it, not one: while another replica already takes over, the old primary may still have this
 * one, and both forget what they agreed upon. One that is gone is missed for REPLICA_GONE_MS, which is longer than a
 * failover leaves the old primary in its belief. Whoever becomes primary begins a history of its own (its replid), and
 * begins anew here. */
struct promise {
    struct promise *next;
    queue_done_fn *done;
    void *arg;
};

struct queue_primary {
    struct queue_primary *next;
    struct queue *q;
    char at[REDIS_AT_BYTES], replid[48];
    uint64_t replicas;                 /* that must have it */
    uint64_t asked_ms, fewer_since_ms; /* by uv_now() */
    struct promise *made, **made_last; /* since the last WAIT was sent */
    struct promise *waiting;           /* for the one that was */
    bool is_asking;                    /* INFO or WAIT is on its way */
};

static struct queue_primary *primary_of_answer(struct queue *q)
{
    char at[REDIS_AT_BYTES];
    redis_answered_by(q->redis, at);
    for (struct queue_primary *p = q->primaries; p; p = p->next)
        if (str_eq(p->at, at))
            return p;
    struct queue_primary *p = MEM_NEW(struct queue_primary);
    (void)snprintf(p->at, sizeof p->at, "%s", at);
    p->q = q;
    p->made_last = &p->made;
    p->next = q->primaries;
    q->primaries = p;
    return p;
}

void queue_primaries_free(struct queue *q)
{
    while (q->primaries) {
        struct queue_primary *p = q->primaries;
        q->primaries = p->next;
        mem_free(p);
    }
}

static void learn_replicas(struct queue_primary *p, uint64_t now_ms, const char *info)
{
    char text[48];
    uint64_t connected = 0;
    bool was_watched = p->asked_ms && now_ms - p->asked_ms < REPLICA_GONE_MS;
    (void)str_to_u64(info_at(info, "connected_slaves", text, sizeof text), UINT32_MAX, &connected);
    (void)info_at(info, "master_replid", text, sizeof text);
    if (!str_eq(text, p->replid)) {
        memcpy(p->replid, text, sizeof p->replid);
        p->replicas = connected;
        p->fewer_since_ms = 0;
    } else if (connected < p->replicas && (!p->fewer_since_ms || !was_watched)) {
        p->fewer_since_ms = now_ms;
    } else if (connected >= p->replicas || now_ms - p->fewer_since_ms >= REPLICA_GONE_MS) {
        p->replicas = connected;
        p->fewer_since_ms = 0;
    }
    p->asked_ms = now_ms;
}

static uint64_t copies_wanted(const struct queue_primary *p)
{
    return p->replicas || !p->q->must_copy ? p->replicas : 1;
}

static void keep_promises(struct promise *list, const struct err *fault)
{
    struct err err = {0};
    if (fault)
        err = *fault;
    err.applied = APPLIED_MAYBE;
    while (list) {
        struct promise *one = list;
        list = one->next;
        one->done(one->arg, fault ? &err : NULL);
        mem_free(one);
    }
}

static struct promise *take_made(struct queue_primary *p)
{
    struct promise *list = p->made;
    p->made = NULL;
    p->made_last = &p->made;
    return list;
}

static void ask_replicas(struct queue_primary *p);

/* A fault means that the connection is gone: what was made on it meanwhile is as little known. */
// NOLINTNEXTLINE(misc-no-recursion): one round deep: what was made meanwhile is asked for once
static void asked(struct queue_primary *p, const struct err *fault)
{
    struct queue *q = queue_ref(p->q);
    struct promise *waited = TAKE(p->waiting), *lost = fault ? take_made(p) : NULL;
    p->is_asking = false;
    if (p->made)
        ask_replicas(p);
    keep_promises(waited, fault);
    keep_promises(lost, fault);
    queue_unref(q);
}

static void on_waited(void *arg, const struct err *fault, const redisReply *reply)
{
    struct queue_primary *p = arg;
    uint64_t copies = queue_reply_u64(reply), wanted = copies_wanted(p);
    if (!fault && copies < wanted) {
        struct err err;
        (void)err_set(&err, ERR_REDIS, "%llu of %llu replicas of Redis have confirmed this: ask again",
                      (unsigned long long)copies, (unsigned long long)wanted);
        keep_promises(TAKE(p->waiting), &err);
    }
    asked(p, fault);
}

// NOLINTNEXTLINE(misc-no-recursion): one round deep: what was made meanwhile is asked for once
static void wait_replicas(struct queue_primary *p)
{
    p->waiting = take_made(p);
    if (!copies_wanted(p)) {
        asked(p, NULL);
        return;
    }
    struct queue_args args = {.way = QUEUE_BACK}; /* another connection would answer for its own writes */
    queue_args_add(&args, "WAIT");
    queue_args_addf(&args, "%llu", (unsigned long long)copies_wanted(p));
    queue_args_add(&args, REPLICA_WAIT_MS);
    queue_call(p->q, &args, on_waited, p);
}

static void on_replicas(void *arg, const struct err *fault, const redisReply *reply)
{
    struct queue_primary *p = arg;
    const char *info = queue_reply_text(reply);
    if (fault && fault->code != ERR_REDIS_CONFIG) { /* where INFO is refused, must_copy alone decides */
        asked(p, fault);
        return;
    }
    learn_replicas(p, uv_now(redis_loop(p->q->redis)), info ? info : "");
    wait_replicas(p);
}

// NOLINTNEXTLINE(misc-no-recursion): one round deep: what was made meanwhile is asked for once
static void ask_replicas(struct queue_primary *p)
{
    p->is_asking = true;
    if (p->asked_ms && uv_now(redis_loop(p->q->redis)) - p->asked_ms < ASK_AGAIN_MS) {
        wait_replicas(p);
        return;
    }
    struct queue_args args = {.way = QUEUE_BACK};
    queue_args_add(&args, "INFO");
    queue_args_add(&args, "replication");
    queue_call(p->q, &args, on_replicas, p);
}

void queue_promise(struct queue *q, queue_done_fn *done, void *arg)
{
    struct queue_primary *p = primary_of_answer(q);
    struct promise *one = MEM_NEW(struct promise);
    *one = (struct promise){.done = done, .arg = arg};
    *p->made_last = one;
    p->made_last = &one->next;
    if (!p->is_asking)
        ask_replicas(p);
}
