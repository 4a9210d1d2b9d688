/* Politeness with the operator's own accounts: their buckets live in Redis and all workers draw from them, a second's
 * worth at a time. Here is what this worker has drawn and not yet used. */
#include "common/aws/rate.h"
#include "worker/runtime/engine_private.h"

#include <stdio.h>

#define DRAW_MAX 32u
#define GRANT_MS 1000u /* a grant older than this is given up: others may need it */

struct waiting {
    struct waiting *next;
    later_fn *go;
    void *arg;
    struct later_item *later; /* its tokens are there */
};

struct bucket {
    struct bucket *next;
    struct tokens *tokens;
    char account[16];
    char family[64];
    uint32_t left;
    uint64_t granted_boot_ms;
    bool is_asking;
    struct later_item *again;
    struct waiting *first, **last;
};

struct tokens {
    struct engine *engine;
    struct bucket *buckets;
    bool is_closed;
};

struct tokens *tokens_new(struct engine *e)
{
    struct tokens *t = MEM_NEW(struct tokens);
    t->engine = e;
    return t;
}

void tokens_free(struct tokens *t)
{
    while (t && t->buckets) {
        struct bucket *b = t->buckets;
        t->buckets = b->next;
        while (b->first) {
            struct waiting *w = b->first;
            b->first = w->next;
            mem_free(w);
        }
        mem_free(b);
    }
    mem_free(t);
}

static struct bucket *bucket_of(struct tokens *t, const char *account, const char *family)
{
    for (struct bucket *b = t->buckets; b; b = b->next)
        if (strcmp(b->account, account) == 0 && strcmp(b->family, family) == 0)
            return b;
    struct bucket *b = MEM_NEW(struct bucket);
    *b = (struct bucket){.tokens = t, .next = t->buckets};
    (void)snprintf(b->account, sizeof b->account, "%s", account);
    (void)snprintf(b->family, sizeof b->family, "%s", family);
    b->last = &b->first;
    t->buckets = b;
    return b;
}

static void ask(struct bucket *b);

static void ask_again(void *arg)
{
    struct bucket *b = arg;
    b->again = NULL;
    if (b->first)
        ask(b);
}

/* What is drawn goes to those who came first. */
static void give(struct bucket *b)
{
    while (b->left && b->first) {
        struct waiting *w = b->first;
        b->first = w->next;
        if (!b->first)
            b->last = &b->first;
        b->left--;
        w->go(w->arg);
        mem_free(w);
    }
}

static void granted(void *arg, const struct err *err, uint32_t count, uint32_t wait_ms)
{
    struct bucket *b = arg;
    struct engine *e = b->tokens->engine;
    b->is_asking = false;
    if (!err && count) {
        b->left = count;
        b->granted_boot_ms = engine_boot_ms(e);
    }
    give(b);
    if (b->first && !b->again)
        b->again = later_add(e->later, err ? 500 : wait_ms ? wait_ms : 1, ask_again, b);
}

static void ask_redis(struct bucket *b, uint32_t want, uint32_t pause_ms, queue_tokens_fn *done, void *arg)
{
    struct engine *e = b->tokens->engine;
    struct rate_limits limits = rate_limits_of(b->family, (uint32_t)config_int(e->config, CONFIG_RATE_SCALE_PCT));
    uint64_t per_s_x100 = limits.interval_us ? 100000000u / limits.interval_us : 100000u;
    struct queue_bucket bucket = {.account_id = b->account,
                                  .family = b->family,
                                  .rate_per_s_x100 = (uint32_t)(per_s_x100 ? per_s_x100 : 1),
                                  .burst = (uint32_t)limits.burst};
    queue_tokens(e->queue, &bucket, want, pause_ms, done, arg);
}

static void ask(struct bucket *b)
{
    if (b->is_asking)
        return;
    uint32_t want = 0;
    for (const struct waiting *w = b->first; w && want < DRAW_MAX; w = w->next)
        want++;
    b->is_asking = true;
    ask_redis(b, want, 0, granted, b);
}

static void told(void *arg, const struct err *err, uint32_t count, uint32_t wait_ms)
{
    (void)arg;
    (void)err; /* untold: who draws next meets the throttle itself */
    (void)count;
    (void)wait_ms;
}

/* AWS wants to be left alone by an account. When it is one of the operator's, all workers keep still, and what was
 * drawn is not used. */
void tokens_throttled(struct tokens *t, const char *account_id, const char *family, uint32_t delay_ms)
{
    for (struct bucket *b = t->buckets; b; b = b->next) {
        if (strcmp(b->account, account_id) != 0 || strcmp(b->family, family) != 0)
            continue;
        b->left = 0;
        ask_redis(b, 0, delay_ms, told, NULL);
    }
}

void tokens_draw(void *self, const char *account_id, const struct aws_op *op, later_fn *go, void *arg)
{
    struct tokens *t = self;
    struct bucket *b = bucket_of(t, account_id, op->family);
    struct waiting *w = MEM_NEW(struct waiting);
    *w = (struct waiting){.go = go, .arg = arg};
    *b->last = w;
    b->last = &w->next;
    if (b->left && engine_boot_ms(t->engine) - b->granted_boot_ms > GRANT_MS)
        b->left = 0;
    if (b->left)
        give(b);
    else if (!b->again)
        ask(b);
}

void tokens_undraw(void *self, later_fn *go, void *arg)
{
    struct tokens *t = self;
    for (struct bucket *b = t->buckets; b; b = b->next) {
        for (struct waiting **at = &b->first; *at; at = &(*at)->next) {
            struct waiting *w = *at;
            if (w->go != go || w->arg != arg)
                continue;
            *at = w->next;
            if (!*at)
                b->last = at;
            mem_free(w);
            return;
        }
    }
}
