/* A shard: our session there, and the turns that carry what we finished and bring what we claim. Batches form by
 * themselves: while two turns are in flight finishes are gathered, and an idle shard sends at once. */
#include "worker/runtime/engine_private.h"

#include <stdio.h>

#define GATHER_MS 1     /* how long an item waits for company while one turn is in flight */
#define GATHER_ITEMS 16 /* company enough */
#define AGAIN_MS 200    /* after a lost connection */
#define REOPEN_MS 500
#define MISMATCHES_MAX 3 /* a turn in flight makes one, another may follow; three in a row are a lost reply */

static void pump(struct shard *s);
static void listed(void *arg, const struct err *err, const struct queue_turn_reply *reply);

/* ---- Items ---- */
struct item *item_new(struct hold *hold, struct run *run, enum queue_outcome outcome)
{
    struct item *item = MEM_NEW(struct item);
    item->hold = hold;
    item->run = run;
    memcpy(item->id, hold->id, sizeof item->id);
    item->q.outcome = outcome;
    item->q.import_id = item->id;
    if (run) {
        item->q.step = run->index;
        item->q.token = run->token;
    }
    return item;
}

void item_free(struct item *item)
{
    for (size_t i = 0; i < ARRAY_LEN(item->texts); i++)
        mem_free(item->texts[i]);
    mem_free(item);
}

void shard_add(struct shard *s, struct item *item)
{
    *s->last = item;
    s->last = &item->next;
    if (!s->item_count++)
        s->oldest_boot_ms = engine_boot_ms(s->engine);
    pump(s);
}

static struct item *take_item(struct shard *s)
{
    struct item *item = s->first;
    s->first = item->next;
    if (!s->first)
        s->last = &s->first;
    s->item_count--;
    item->next = NULL;
    return item;
}

static void forget_item(struct item *item, const struct hold *hold, const struct run *run)
{
    if (hold && item->hold == hold)
        item->hold = NULL;
    if (item->run && (item->run == run || !item->hold))
        item->run = NULL;
}

void shard_forget(struct shard *s, const struct hold *hold, const struct run *run)
{
    for (struct item *item = s->first; item; item = item->next)
        forget_item(item, hold, run);
    for (struct turn *t = s->turns; t; t = t->next)
        for (size_t i = 0; i < t->count; i++)
            forget_item(t->items[i], hold, run);
}

bool shard_is_quiet(const struct shard *s)
{
    return !s->first && !s->turns;
}

/* ---- Replies ---- */
static void take_ack(struct item *item, enum queue_ack ack)
{
    struct run *r = item->run;
    struct hold *h = item->hold;
    if (!h)
        return;
    if (item->q.outcome == OUTCOME_NUDGE) {
        h->is_nudged = false;
        return;
    }
    if (!r)
        return;
    if (ack == ACK_STALE) {
        h->shard->engine->count.stale++;
        log_event(LOG_WARN, "step.stale", "import", h->id, "step", r->def ? r->def->name : "", NULL);
        h->runs[r->index] = NULL;
        hold_distrust(h, r->index);
        run_free(r);
        return;
    }
    if (item->q.ledger)
        hold_stored(h, r->index, item->q.ledger);
    if (item->q.outcome == OUTCOME_SAVE) {
        run_saved(r);
    } else {
        run_ended(r);
    }
}

static void turn_free(struct turn *t)
{
    struct turn **at = &t->shard->turns;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    for (size_t i = 0; i < t->count; i++)
        item_free(t->items[i]);
    mem_free(t);
}

static void due_now(void *arg)
{
    struct shard *s = arg;
    s->due = NULL;
    shard_ring(s);
}

/* The bell is a hint and may be lost; this timer is exact, and each beat tells what nobody did. */
static void set_due(struct shard *s, uint64_t next_due_ms)
{
    uint64_t now = engine_redis_ms(s->engine);
    later_cancel(TAKE(s->due));
    if (next_due_ms)
        s->due = later_add(s->engine->later, next_due_ms > now ? next_due_ms - now + 1 : 1, due_now, s);
}

static void take_reply(struct turn *t, const struct queue_turn_reply *reply)
{
    struct shard *s = t->shard;
    struct engine *e = s->engine;
    e->count.turns++;
    e->count.items += t->count;
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i]->hold)
            t->items[i]->hold->flying--;
    for (size_t i = 0; i < reply->item_count && i < t->count; i++)
        take_ack(t->items[i], reply->items[i].ack);
    for (size_t i = 0; i < reply->item_count && i < t->count; i++) {
        struct hold *h = t->items[i]->hold; /* NULL once one of its items has ended it */
        if (h)
            hold_update(h, &reply->items[i].record);
    }
    for (size_t i = 0; i < reply->claim_count; i++)
        hold_claim(s, &reply->claims[i]);
    for (size_t i = 0; i < reply->mail_count; i++) {
        struct hold *h = hold_find(e, reply->mail[i]);
        if (h)
            hold_mail(h);
    }
    s->is_hungry = reply->others_wait || (t->want && reply->claim_count == t->want);
    /* Who was part of something keeps the time of what comes next. Who only asked in vain leaves that to those, to the
     * dispatchers, and to the next beat: a fleet with nothing to do is silent. */
    if (t->count || reply->claim_count || s->hold_count)
        set_due(s, reply->next_due_ms);
}

static uint32_t capacity(const struct engine *e)
{
    uint64_t most = (uint64_t)config_int(e->config, CONFIG_IMPORTS_MAX), used = e->hold_count + e->wants_in_flight;
    uint64_t free_places = used < most ? most - used : 0;
    return e->is_draining ? 0 : free_places > CLAIMS_MAX ? CLAIMS_MAX : (uint32_t)free_places;
}

/* Places became free. They go round the shards that wait for some: who gave them free would else take them all again,
 * and a shard where we hold nothing would never have its turn while we are full. */
static void feed(struct engine *e)
{
    for (uint32_t i = 0; i < e->shard_count && capacity(e); i++) {
        struct shard *s = &e->shards[e->feed_next++ % e->shard_count];
        if (s->is_starving)
            shard_ring(s);
    }
}

static void resend(void *arg);

static void turn_done(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct turn *t = arg;
    struct shard *s = t->shard;
    struct engine *e = s->engine;
    t->is_in_flight = false;
    e->wants_in_flight -= t->want;
    if (t->session != atomic_load(&s->beat->session)) { /* of a session that ended meanwhile */
        turn_free(t);
        pump(s);
        engine_drained(e);
        return;
    }
    if (err && err->code != ERR_LEASE_LOST) {
        /* Outcome unknown: the very same items again, which the queue knows by fence, nonce and version. What it may
         * have claimed for us shows at the next heartbeat. */
        log_error(LOG_WARN, "turn.lost", err, NULL);
        s->must_list = s->must_list || t->want;
        t->want = 0;
        if (!s->reopen)
            s->reopen = later_add(e->later, AGAIN_MS, resend, s);
        return;
    }
    if (err || reply->is_gone) {
        turn_free(t);
        shard_lost(s);
        return;
    }
    take_reply(t, reply);
    turn_free(t);
    s->is_starving = s->is_starving || s->is_hungry;
    feed(e);
    pump(s);
    engine_drained(e);
}

static void send_turn(struct turn *t)
{
    struct shard *s = t->shard;
    t->is_in_flight = true;
    s->engine->wants_in_flight += t->want;
    queue_turn(s->engine->queue, s->id, t->session, t->want, t->sent, t->count, turn_done, t);
    for (size_t i = 0; i < t->count; i++) /* sent again, an item starts from nothing that we know */
        t->sent[i].ahead = NULL;
}

static void resend(void *arg)
{
    struct shard *s = arg;
    s->reopen = NULL;
    for (const struct turn *t = s->turns; t; t = t->next)
        if (t->is_in_flight) { /* a good answer does not come back here */
            s->reopen = later_add(s->engine->later, AGAIN_MS, resend, s);
            return;
        }
    for (struct turn *t = s->turns; t; t = t->next)
        send_turn(t);
    pump(s);
}

/* ---- Turns ---- */
static size_t turns_in_flight(const struct shard *s)
{
    size_t n = 0;
    for (const struct turn *t = s->turns; t; t = t->next)
        n++;
    return n;
}

static void gathered(void *arg)
{
    struct shard *s = arg;
    s->flush = NULL;
    pump(s);
}

static void gather(struct shard *s)
{
    if (!s->flush)
        s->flush = later_add(s->engine->later, GATHER_MS, gathered, s);
}

static void begin_turn(struct shard *s, uint32_t want)
{
    struct turn *t = MEM_NEW(struct turn);
    t->shard = s;
    t->want = want;
    t->session = atomic_load(&s->beat->session);
    while (s->first && t->count < TURN_ITEMS_MAX) {
        t->items[t->count] = take_item(s);
        t->sent[t->count] = t->items[t->count]->q;
        struct hold *h = t->items[t->count]->hold;
        if (h) {
            h->flying++;
            t->sent[t->count].ahead = &h->ahead;
        }
        t->count++;
    }
    s->oldest_boot_ms = engine_boot_ms(s->engine);
    struct turn **at = &s->turns;
    while (*at)
        at = &(*at)->next;
    *at = t;
    send_turn(t);
}

static void ticked(void *arg, const struct err *err, uint64_t next_due_ms)
{
    struct shard *s = arg;
    s->is_ticking = false;
    if (!err)
        set_due(s, next_due_ms);
}

static void list_now(struct shard *s)
{
    s->must_list = false;
    s->is_listing = true;
    queue_session_list(s->engine->queue, s->id, atomic_load(&s->beat->session), listed, s);
}

static void pump(struct shard *s)
{
    if (s->must_list && s->state == SHARD_OPEN && !s->is_listing && !s->reopen) {
        if (!s->turns)
            list_now(s);
        return; /* nothing new until it is known what we hold */
    }
    while (s->state == SHARD_OPEN && !s->is_listing && !s->reopen) {
        size_t flying = turns_in_flight(s);
        uint32_t want = s->is_hungry ? capacity(s->engine) : 0;
        s->is_starving = s->is_hungry ? !want : s->is_starving;
        if (!s->first && s->is_hungry && !want && !flying && !s->is_ticking) {
            s->is_hungry = false;
            s->is_ticking = true;
            queue_tick(s->engine->queue, s->id, ticked, s); /* full ourselves: still let others have what is due */
        }
        bool is_for_mail = !flying && queue_wants_mail(s->engine->queue, s->id);
        if (flying >= TURNS_MAX || (!s->first && !want && !is_for_mail))
            return;
        bool is_company = s->item_count >= GATHER_ITEMS || engine_boot_ms(s->engine) - s->oldest_boot_ms >= GATHER_MS;
        if (flying && !is_company && !want && !is_for_mail) {
            gather(s);
            return;
        }
        if (want)
            s->is_hungry = false;
        begin_turn(s, want);
    }
}

void shard_ring(struct shard *s)
{
    s->is_hungry = true;
    pump(s);
}

/* ---- Session ---- */
static void reopen(void *arg)
{
    struct shard *s = arg;
    s->reopen = NULL;
    shard_open(s);
}

static void opened(void *arg, const struct err *err)
{
    struct shard *s = arg;
    struct engine *e = s->engine;
    if (e->is_draining) {
        s->state = SHARD_ENDED;
        engine_drained(e);
        return;
    }
    if (err && err->code != ERR_REDIS && err->retry == RETRY_NEVER) {
        engine_fail(e, err);
        return;
    }
    if (err) {
        log_error(LOG_WARN, "session.not_opened", err, "shard", LOG_N(s->id), NULL);
        s->state = SHARD_CLOSED;
        s->reopen = later_add(e->later, REOPEN_MS, reopen, s);
        return;
    }
    s->state = SHARD_OPEN;
    atomic_store(&s->beat->lease_until, s->session_asked_boot_ms + (uint64_t)config_int(e->config, CONFIG_LEASE_MS));
    atomic_store(&s->beat->session, s->new_session);
    s->mismatches = 0;
    log_event(LOG_INFO, "session.opened", "shard", LOG_N(s->id), NULL);
    shard_ring(s);
}

void shard_open(struct shard *s)
{
    struct engine *e = s->engine;
    AUTO_FREE char *worker = engine_worker_json(e);
    if (s->state == SHARD_OPENING || e->is_draining)
        return;
    s->state = SHARD_OPENING;
    do
        env_random(env_system(), &s->new_session, sizeof s->new_session);
    while (!s->new_session);
    s->session_asked_boot_ms = engine_boot_ms(e);
    queue_session_open(e->queue, s->id, s->new_session, (uint32_t)config_int(e->config, CONFIG_LEASE_MS), worker,
                       opened, s);
}

/* Our session ended while we thought we had it: what we held belongs to others now. */
void shard_lost(struct shard *s)
{
    struct engine *e = s->engine;
    if (s->state != SHARD_OPEN && s->state != SHARD_CLOSING)
        return;
    log_event(LOG_WARN, "session.lost", "shard", LOG_N(s->id), "held", LOG_N(s->hold_count), NULL);
    e->count.sessions_lost++;
    atomic_store(&s->beat->session, 0);
    s->state = SHARD_CLOSED;
    s->must_list = false;
    for (size_t i = 0; i < e->hold_room; i++)
        for (struct hold *h = e->holds[i], *next = NULL; h; h = next) {
            next = h->next_hash;
            if (h->shard == s)
                hold_drop(h);
        }
    while (s->first)
        item_free(take_item(s));
    for (struct turn *t = s->turns, *next = NULL; t; t = next) {
        next = t->next;
        if (!t->is_in_flight)
            turn_free(t);
    }
    later_cancel(TAKE(s->reopen));
    if (e->is_draining) {
        s->state = SHARD_ENDED;
        engine_drained(e);
        return;
    }
    s->reopen = later_add(e->later, 1, reopen, s);
}

static void closed(void *arg, const struct err *err)
{
    struct shard *s = arg;
    (void)err; /* the lease ends by itself then */
    s->state = SHARD_ENDED;
    engine_drained(s->engine);
}

void shard_close(struct shard *s)
{
    if (s->state == SHARD_OPEN) {
        s->state = SHARD_CLOSING;
        uint64_t session = atomic_load(&s->beat->session);
        atomic_store(&s->beat->session, 0);
        queue_session_close(s->engine->queue, s->id, session, closed, s);
    } else if (s->state == SHARD_CLOSED) {
        s->state = SHARD_ENDED;
    }
}

uint64_t shard_leave_before(void *arg)
{
    const struct shard *s = arg;
    uint64_t until = atomic_load(&s->beat->session) ? atomic_load(&s->beat->lease_until) : 0;
    return until ? until : 1; /* 0 would mean: no limit */
}

/* ---- What the heartbeat brings ---- */
static bool is_listed(const struct queue_turn_reply *reply, const char *id)
{
    for (size_t i = 0; i < reply->claim_count; i++)
        if (strcmp(reply->claims[i].import_id, id) == 0)
            return true;
    return false;
}

static void drop_unlisted(struct shard *s, const struct queue_turn_reply *reply)
{
    struct engine *e = s->engine;
    for (size_t i = 0; i < e->hold_room; i++)
        for (struct hold *h = e->holds[i], *next = NULL; h; h = next) {
            next = h->next_hash;
            if (h->shard == s && !is_listed(reply, h->id))
                hold_drop(h);
        }
}

static void listed(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct shard *s = arg;
    s->is_listing = false;
    s->mismatches = 0;
    if (s->state != SHARD_OPEN)
        return;
    if (!err && reply->is_gone) {
        shard_lost(s);
        return;
    }
    if (!err) {
        log_event(LOG_INFO, "session.listed", "shard", LOG_N(s->id), "known", LOG_N(s->hold_count), "held",
                  LOG_N(reply->claim_count), NULL);
        drop_unlisted(s, reply);
        for (size_t i = 0; i < reply->claim_count; i++)
            hold_claim(s, &reply->claims[i]);
    }
    pump(s);
}

void shard_beat(struct shard *s)
{
    struct beat_shard *b = s->beat;
    if (!atomic_exchange(&b->is_news, false) || s->state != SHARD_OPEN)
        return;
    if (atomic_load(&b->gone) == atomic_load(&b->session)) {
        shard_lost(s);
        return;
    }
    /* Looked at before anything is rung for: mail for an import that we do not know of would ring with each beat. */
    bool is_equal = atomic_load(&b->held) == s->hold_count;
    s->mismatches = is_equal || s->turns ? 0 : s->mismatches + 1;
    if (s->mismatches >= MISMATCHES_MAX && !s->is_listing)
        list_now(s);
    if (atomic_exchange(&b->mail, 0)) {
        queue_want_mail(s->engine->queue, s->id);
        shard_ring(s);
    }
    uint64_t next = atomic_exchange(&b->next_due_ms, 0);
    bool is_overdue = next && next <= engine_redis_ms(s->engine);
    if (atomic_exchange(&b->ring, 0) || is_overdue)
        shard_ring(s);
}
