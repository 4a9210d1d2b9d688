/* The same random events through transition.c and through scripts/fleet in a real Redis: the packed records, the places
 * and the answers must be equal, byte by byte. Time belongs to the test.
 *
 *   integration.queue.differential [SEED [EVENTS]]
 *
 * The model below is a shard in C: records, ring, due, sessions. It does in plain loops what turn() does with indexes.
 */
#include "tests/integration/queue/rig.h"

#include "common/base/mem.h"

#include <string.h>
#include <time.h>

#define IMPORTS 40
#define SESSIONS 3
#define LEASE_MS 30000
#define GROUPS 5   /* and imports of no group */
#define RUN_SAFE 2 /* so far a step may be started whether others wait or not */

struct model_import {
    char id[IMPORT_ID_BYTES];
    bool exists;
    struct record r;
    struct dag dag;
    enum transition_place place; /* as its group knows it */
    bool was_open;               /* likewise */
    uint64_t slot, charge;       /* its number in the group's queue; work that the group was not charged for */
    bool has_signal[RECORD_STEPS_MAX][4];
};
struct model_session {
    uint64_t id, deadline_ms;
    bool lives;
};
struct model_group {
    uint64_t vt, first, next;
    uint32_t open;
    uint8_t weight;
};
static struct model {
    struct model_import imports[IMPORTS];
    struct model_group groups[GROUPS + 1]; /* [0]: none */
    struct model_session sessions[SESSIONS];
    uint64_t floor;
    uint64_t serial;
} m;
static const char *const signal_keys[] = {"done", "reject", "recheck", "accept"};
static uint64_t seed_now;
static unsigned long event_number, swapped, decided, left_from_the_middle, claimed_of_groups;
static unsigned long answers[TRANSITION_UNDO + 1][ANSWER_CONFLICT + 1]; /* so that nobody takes silence for success */

static uint64_t draw(uint64_t below)
{
    seed_now ^= seed_now << 13;
    seed_now ^= seed_now >> 7;
    seed_now ^= seed_now << 17;
    return seed_now % below;
}

/* ---- Model --------------------------------------------------------------------------------------------------------
 */
static size_t ring_count(const struct model_import *but)
{
    size_t n = 0;
    uint64_t due;
    for (size_t i = 0; i < IMPORTS; i++)
        n += m.imports[i].exists && &m.imports[i] != but && record_place(&m.imports[i].r, &due) == PLACE_RING;
    return n;
}

/* ---- Groups: as groups.lua, with loops instead of fields ---- */
static struct model_import *in_slot(uint32_t group, uint64_t slot)
{
    for (size_t i = 0; i < IMPORTS; i++) {
        struct model_import *im = &m.imports[i];
        if (im->exists && im->r.group == group && im->place == PLACE_RING && im->slot == slot)
            return im;
    }
    rig_fail(__FILE__, __LINE__, "a number of a queue that nobody has");
    return NULL;
}

static void queue_enter(struct model_group *g, struct model_import *im)
{
    if (g->first == g->next && g->vt < m.floor)
        g->vt = m.floor;
    g->weight = im->r.weight;
    im->r.vt = im->slot = g->next++;
}

static void queue_leave(struct model_group *g, const struct model_import *im)
{
    if (im->slot == g->first) {
        g->first++;
        return;
    }
    g->next--;
    if (im->slot == g->next)
        return;
    struct model_import *last = in_slot(im->r.group, g->next);
    last->slot = last->r.vt = im->slot;
    last->r.stamp = (uint32_t)(rig_clock_us % 4294967296ULL);
    left_from_the_middle++;
}

static void move(struct model_import *im)
{
    struct model_group *g = &m.groups[im->r.group];
    uint64_t due;
    enum transition_place is = record_place(&im->r, &due);
    g->open += is != PLACE_TERMINAL;
    g->open -= im->was_open;
    if (im->place == PLACE_RING && is != PLACE_RING)
        queue_leave(g, im);
    else if (im->place != PLACE_RING && is == PLACE_RING)
        queue_enter(g, im);
    im->place = is;
    im->was_open = is != PLACE_TERMINAL;
    if (!g->open)
        *g = (struct model_group){0};
}

/* What a call did to imports reaches their groups when it looks at the ring, and when it ends. */
static void groups_settle(void)
{
    struct model_import *moved[IMPORTS];
    size_t count = 0;
    uint64_t due;
    for (size_t i = 0; i < IMPORTS; i++) {
        struct model_import *im = &m.imports[i];
        if (!im->exists || !im->r.group || (!im->charge && im->place == record_place(&im->r, &due)))
            continue;
        m.groups[im->r.group].vt += im->charge;
        im->charge = 0;
        size_t at = count++; /* in the order of their names */
        for (; at && strcmp(moved[at - 1]->id, im->id) > 0; at--)
            moved[at] = moved[at - 1];
        moved[at] = im;
    }
    for (size_t i = 0; i < count; i++)
        move(moved[i]);
}

static enum transition_answer apply(struct model_import *im, struct transition_event *ev)
{
    struct transition_effects out;
    ev->now_us = rig_clock_us;
    ev->stamp = (uint32_t)(rig_clock_us % 4294967296ULL);
    ev->floor = m.floor;
    ev->others_wait = ring_count(im) > 0;
    (void)transition(&im->r, &im->dag, ev, &out);
    im->charge += out.charge;
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++)
        if (out.cleared >> i & 1)
            memset(im->has_signal[i], 0, sizeof im->has_signal[i]);
    if (ev->kind == TRANSITION_UNDO && out.answer == ANSWER_OK)
        im->dag = *ev->undo_dag;
    answers[ev->kind][out.answer]++;
    return out.answer;
}

static struct model_import *find(const char *id)
{
    for (size_t i = 0; i < IMPORTS; i++)
        if (m.imports[i].exists && str_eq(m.imports[i].id, id))
            return &m.imports[i];
    return NULL;
}

/* Dead sessions (but the caller's), then what is due: as run_timers() in scripts/fleet. */
static void model_timers(const struct model_session *me)
{
    uint64_t now_ms = rig_clock_us / 1000, due;
    for (size_t s = 0; s < SESSIONS; s++) {
        struct model_session *session = &m.sessions[s];
        if (!session->lives || session->deadline_ms > now_ms)
            continue;
        if (session == me) {
            session->deadline_ms = now_ms + 5000;
            continue;
        }
        for (size_t i = 0; i < IMPORTS; i++)
            if (m.imports[i].exists && m.imports[i].r.session == session->id)
                (void)apply(&m.imports[i], &(struct transition_event){.kind = TRANSITION_REAP, .session = session->id});
        session->lives = false;
    }
    /* In the order of Redis: by due time, then by name. Entering the ring does not depend on it. */
    for (size_t i = 0; i < IMPORTS; i++)
        if (m.imports[i].exists && record_place(&m.imports[i].r, &due) == PLACE_DUE && due <= now_ms)
            (void)apply(&m.imports[i], &(struct transition_event){.kind = TRANSITION_PROMOTE});
}

/* Who is lowest: an import of no group, or a group with its first import; where it stands comes back. */
struct pick {
    struct model_import *im;
    uint64_t vt;
};

static struct pick ring_lowest(const bool *taken)
{
    struct pick best = {0};
    char best_name[IMPORT_ID_BYTES] = "", name[IMPORT_ID_BYTES];
    uint64_t due;
    for (size_t i = 0; i < IMPORTS + GROUPS; i++) {
        struct model_import *im = i < IMPORTS ? &m.imports[i] : NULL;
        struct model_group *g = im ? NULL : &m.groups[i - IMPORTS + 1];
        if (im && (!im->exists || im->r.group || taken[i] || record_place(&im->r, &due) != PLACE_RING))
            continue;
        if (g && g->first == g->next)
            continue;
        uint64_t vt = im ? im->r.vt : g->vt;
        (void)snprintf(name, sizeof name, "%s", im ? im->id : "");
        if (g)
            (void)snprintf(name, sizeof name, "g:%08zx", i - IMPORTS + 1);
        if (*best_name && (vt > best.vt || (vt == best.vt && strcmp(name, best_name) >= 0)))
            continue;
        best = (struct pick){im ? im : in_slot((uint32_t)(i - IMPORTS + 1), g->first), vt};
        memcpy(best_name, name, sizeof best_name);
    }
    return best;
}

static void model_claims(const struct model_session *me, uint32_t chance, size_t want, struct rig_turn *t)
{
    bool taken[IMPORTS] = {false};
    struct pick picked[32];
    uint64_t assumed[GROUPS + 1] = {0};
    size_t count = 0;
    while (count < want) {
        struct pick p = ring_lowest(taken);
        if (!p.im)
            break;
        taken[p.im - m.imports] = true;
        picked[count++] = p;
        struct model_group *g = &m.groups[p.im->r.group];
        if (!p.im->r.group)
            continue;
        g->first++;
        g->vt += 1000000U / g->weight;
        assumed[p.im->r.group] += 1000000U / g->weight;
        claimed_of_groups++;
    }
    for (size_t k = 1; k <= GROUPS; k++)
        m.groups[k].vt -= assumed[k]; /* what they start in truth is charged below */
    for (size_t k = 0; k < count; k++) {
        struct model_import *im = picked[k].im;
        uint32_t nonce = (uint32_t)(((uint64_t)chance + k) % 4294967295ULL + 1);
        struct transition_event ev = {.kind = TRANSITION_CLAIM, .session = me->id, .nonce = nonce};
        if (picked[k].vt > m.floor)
            m.floor = picked[k].vt;
        im->place = im->r.group ? PLACE_OWN : im->place; /* it has left the queue */
        if (apply(im, &ev) == ANSWER_OK) {
            struct queue_held *h = &t->claims[t->claim_count++];
            (void)snprintf(h->import_id, sizeof h->import_id, "%s", im->id);
            h->record = im->r;
        }
    }
}

static void model_turn(struct model_session *me, uint32_t chance, size_t want, const struct queue_item *items,
                       size_t count, struct rig_turn *t)
{
    static const enum queue_ack acks[] = {ACK_OK, ACK_OK, ACK_ALREADY, ACK_STALE, ACK_STALE};
    bool was_alive = me->lives;
    model_timers(me);
    *t = (struct rig_turn){.item_count = count, .is_gone = !was_alive};
    for (size_t i = 0; i < count; i++) {
        const struct queue_item *it = &items[i];
        struct model_import *im = find(it->import_id);
        struct transition_event ev = {.kind = it->outcome == OUTCOME_NUDGE ? TRANSITION_NUDGE : TRANSITION_FINISH};
        ev.session = me->id;
        ev.step = it->step;
        ev.token = it->token;
        ev.outcome = it->outcome;
        ev.delay_ms = it->delay_ms;
        ev.party = it->party;
        ev.task = !it->task ? TASK_UNCHANGED : *it->task ? TASK_OPEN : TASK_CLOSE;
        t->items[i].ack = im && was_alive ? acks[apply(im, &ev)] : ACK_STALE;
    }
    groups_settle();
    if (was_alive)
        model_claims(me, chance, want, t);
    groups_settle();
    for (size_t i = 0; i < count; i++) {
        struct model_import *im = find(items[i].import_id);
        if (im)
            t->items[i].record = im->r;
    }
}

/* ---- Comparing ------------------------------------------------------------------------------------------------------
 */
static bool is_same_step(const struct record_step *a, const struct record_step *b)
{
    return a->state == b->state && a->deps == b->deps && a->attempts == b->attempts && a->crashes == b->crashes &&
           a->claim_version == b->claim_version && a->due_ms == b->due_ms && a->flags == b->flags &&
           a->party == b->party;
}

static void differs(const char *what, const char *id, const struct record *want, const struct record *got)
{
    (void)fprintf(stderr, "event %lu: %s of %s differs\n", event_number, what, id);
    const struct record *both[] = {want, got};
    for (int k = 0; k < 2; k++) {
        const struct record *r = both[k];
        (void)fprintf(
            stderr,
            "%s: fence %llu nonce %u version %u session %llx state %u remaining %u w%u r%u flags %u run %u party "
            "%u group %u vt %llu since %llu\n",
            k ? "lua" : "c  ", (unsigned long long)r->fence, r->nonce, r->version, (unsigned long long)r->session,
            r->state, r->remaining, r->writers, r->readers, r->flags, r->run, r->party, r->group,
            (unsigned long long)r->vt, (unsigned long long)r->since_ms);
        for (size_t i = 0; i < r->step_count; i++) {
            const struct record_step *s = &r->steps[i];
            if (!is_same_step(s, &both[!k]->steps[i]))
                (void)fprintf(stderr,
                              "  step %zu: %s deps %u attempts %u crashes %u claim %u due %llu flags %u party %u\n", i,
                              step_state_name(s->state), s->deps, s->attempts, s->crashes, s->claim_version,
                              (unsigned long long)s->due_ms, s->flags, s->party);
        }
    }
    exit(1);
}

static void compare(const char *what, const char *id, const struct record *want, const struct record *got)
{
    if (!rig_is_same(want, got))
        differs(what, id, want, got);
}

/* As groups.lua packs it: vt, first, next, open, weight. */
static void compare_group(size_t k)
{
    const struct model_group *g = &m.groups[k];
    unsigned char want[29], *at = want;
    redisReply *got = rig_command("HGET f:{0}:h g:%08x", (unsigned)k),
               *score = rig_command("ZSCORE f:{0}:ring g:%08x", (unsigned)k);
    at = record_put_number(at, g->vt, 8);
    at = record_put_number(at, g->first, 8);
    at = record_put_number(at, g->next, 8);
    at = record_put_number(at, g->open, 4);
    at = record_put_number(at, g->weight, 1);
    bool is_same = g->open ? got->type == REDIS_REPLY_STRING && got->len == (size_t)(at - want) &&
                                 memcmp(got->str, want, got->len) == 0
                           : got->type == REDIS_REPLY_NIL;
    bool is_in_place = g->first == g->next
                           ? score->type == REDIS_REPLY_NIL
                           : score->type == REDIS_REPLY_STRING && strtoull(score->str, NULL, 10) == g->vt;
    if (!is_same || !is_in_place)
        (void)fprintf(stderr, "event %lu: group %zu differs: vt %llu, %llu to %llu, %u open, weight %u\n", event_number,
                      k, (unsigned long long)g->vt, (unsigned long long)g->first, (unsigned long long)g->next, g->open,
                      g->weight);
    CHECK(is_same && is_in_place);
    freeReplyObject(got);
    freeReplyObject(score);
}

static void compare_all(void)
{
    for (size_t k = 1; k <= GROUPS; k++)
        compare_group(k);
    for (size_t i = 0; i < IMPORTS; i++)
        if (m.imports[i].exists) {
            struct record r = rig_record(m.imports[i].id);
            compare("record", m.imports[i].id, &m.imports[i].r, &r);
        }
}

/* ---- Random work ----------------------------------------------------------------------------------------------------
 */
static struct dag random_dag(void)
{
    struct dag dag = {.step_count = (uint8_t)(1 + draw(draw(4) ? 12 : 40))};
    struct err err;
    for (size_t i = 0; i < dag.step_count; i++) {
        struct dag_step *s = &dag.steps[i];
        s->class_ = (uint8_t)draw(3);
        s->on_fail = draw(4) == 0;
        s->attempts_max = (uint8_t)draw(4);
        for (size_t k = 0; k < i; k++)
            if (draw(i) < 2)
                s->needs[s->needs_count++] = (uint8_t)k;
    }
    CHECK(dag_finish(&dag, &err) == 0);
    return dag;
}

static void do_submit(void)
{
    struct model_import *im = &m.imports[draw(IMPORTS)];
    char account[32], existing[IMPORT_ID_BYTES];
    bool skipped[RECORD_STEPS_MAX];
    if (im->exists && im->r.remaining)
        return;
    *im = (struct model_import){.exists = true, .dag = random_dag()};
    (void)snprintf(im->id, sizeof im->id, "imp_00m%llu", (unsigned long long)m.serial++);
    (void)snprintf(account, sizeof account, "aws/%03zu", (size_t)(im - m.imports));
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++)
        skipped[i] = draw(8) == 0;
    record_new(&im->dag, skipped, rig_clock_us / 1000, &im->r);
    im->r.flags = RECORD_IS_SIMULATED;
    im->r.version = 1;
    im->r.stamp = (uint32_t)(rig_clock_us % 4294967296ULL);
    struct rig_share share = {(uint32_t)draw(GROUPS + 1), (uint8_t)(1 + draw(16))};
    im->r.group = share.group;
    im->r.weight = share.weight;
    im->place = PLACE_TERMINAL;
    if (im->r.remaining && !im->r.group && im->r.vt < m.floor)
        im->r.vt = m.floor;
    CHECK_OK(rig_submit_as(im->id, account, &im->dag, skipped, share, existing));
    groups_settle();
}

static struct model_import *random_import(void)
{
    for (int i = 0; i < 20; i++) {
        struct model_import *im = &m.imports[draw(IMPORTS)];
        if (im->exists && (im->r.remaining || !draw(10)))
            return im;
    }
    return NULL;
}

static const char outcomes[] = "SDDDDDRRFWWPHIN";

/* Mostly right, sometimes an old token, another step, somebody else's import. */
static bool random_item(const struct model_session *me, struct queue_item *ret)
{
    struct model_import *im = NULL;
    for (int i = 0; i < 60 && !im; i++) {
        struct model_import *one = &m.imports[draw(IMPORTS)];
        if (one->exists && (one->r.session == me->id || !draw(30)))
            im = one;
    }
    if (!im)
        return false;
    size_t step = draw(im->r.step_count);
    for (size_t k = 0; k < im->r.step_count && im->r.steps[step].state != STATE_ACTIVE && draw(15); k++)
        step = (step + 1) % im->r.step_count;
    *ret = (struct queue_item){.outcome = (enum queue_outcome)outcomes[draw(sizeof outcomes - 1)], .import_id = im->id};
    ret->step = (uint8_t)step;
    ret->token = (struct queue_token){im->r.fence, im->r.nonce, im->r.steps[step].claim_version};
    if (!draw(20))
        ret->token.fence -= 1 + draw(3);
    if (!draw(20))
        ret->token.nonce ^= 1;
    if (!draw(20) && ret->token.claim_version)
        ret->token.claim_version--;
    static const uint64_t delays[] = {0, 1, 500, 5000, 60000, 1ULL << 60};
    ret->delay_ms = delays[draw(ARRAY_LEN(delays))];
    ret->party = (enum blocking_party)draw(5);
    ret->task = draw(4) == 0 ? "{\"title\":\"x\"}" : draw(6) == 0 ? "" : NULL;
    ret->result = draw(3) ? NULL : "{}";
    return true;
}

/* A holder that computes itself: from the record as it is, from one that has been left behind, or from one that never
 * was. Of several items of one import the next goes on where the one before ended. */
static void let_compute(struct queue_item *items, size_t count, struct queue_ahead *aheads)
{
    for (size_t i = 0; i < count; i++) {
        struct model_import *im = find(items[i].import_id);
        if (!im || im->r.run > RUN_SAFE || !draw(3))
            continue;
        for (size_t k = 0; k < i && !items[i].ahead; k++)
            if (items[k].ahead && str_eq(items[k].import_id, items[i].import_id))
                items[i].ahead = items[k].ahead;
        if (items[i].ahead)
            continue;
        aheads[i] = (struct queue_ahead){im->r, true};
        if (!draw(8))
            aheads[i].record.version--;
        if (!draw(8))
            aheads[i].record.stamp++;
        items[i].ahead = &aheads[i];
        rig_learn_shape(&im->dag);
    }
}

/* Who computed a record has drawn its stamp: the model takes it over, all else must be equal. */
static void take_stamps(const struct queue_item *items, size_t count, struct rig_turn *c, const struct rig_turn *lua)
{
    for (size_t i = 0; i < count; i++) {
        struct model_import *im = find(items[i].import_id);
        if (!im)
            continue;
        bool is_computed = lua->items[i].record.stamp != im->r.stamp;
        if (items[i].ahead && lua->items[i].ack == ACK_OK)
            *(is_computed ? &swapped : &decided) += 1;
        CHECK(!is_computed || items[i].ahead);
        im->r.stamp = c->items[i].record.stamp = lua->items[i].record.stamp;
    }
}

/* The nonce of a claim comes from the caller's random number, which queue_turn() draws itself: read it back from what
 * was claimed, and let the model go the same way. */
static void do_turn(void)
{
    struct model_session *me = &m.sessions[draw(SESSIONS)];
    struct queue_item items[8];
    struct queue_ahead aheads[8];
    size_t count = 0, want = draw(4), asked = draw(8);
    struct rig_turn lua, c;
    while (count < asked && random_item(me, &items[count]))
        count++;
    if (!me->id)
        return;
    let_compute(items, count, aheads);
    CHECK_OK(rig_turn(me->id, (uint32_t)want, items, count, &lua));
    uint32_t first = lua.claim_count ? lua.claims[0].record.nonce - 1 : 0;
    model_turn(me, first, want, items, count, &c);
    CHECK(lua.is_gone == c.is_gone && lua.claim_count == c.claim_count);
    for (size_t i = count; i-- > 0;)
        for (size_t k = 0; k < i; k++)
            if (str_eq(items[k].import_id, items[i].import_id) && items[i].ahead)
                items[k].ahead = items[i].ahead; /* one of them was computed: all tell the same record */
    take_stamps(items, count, &c, &lua);
    for (size_t i = 0; i < count; i++) {
        if (lua.items[i].ack != c.items[i].ack)
            (void)fprintf(stderr, "event %lu: item %zu (%c of %s/%u): c says %d, lua %d\n", event_number, i,
                          items[i].outcome, items[i].import_id, items[i].step, c.items[i].ack, lua.items[i].ack);
        CHECK(lua.items[i].ack == c.items[i].ack);
        if (find(items[i].import_id))
            compare("item", items[i].import_id, &c.items[i].record, &lua.items[i].record);
    }
    for (size_t i = 0; i < lua.claim_count; i++) {
        CHECK(str_eq(lua.claims[i].import_id, c.claims[i].import_id));
        compare("claim", c.claims[i].import_id, &c.claims[i].record, &lua.claims[i].record);
    }
    CHECK(lua.others_wait == (ring_count(NULL) > 0));
}

static enum err_code expected(enum transition_answer a)
{
    return a == ANSWER_CONFLICT ? ERR_STATE_CONFLICT : ERR_NONE;
}

static void do_signal(void)
{
    struct model_import *im = random_import();
    size_t key = draw(4);
    if (!im)
        return;
    size_t step = draw(im->r.step_count);
    struct transition_event ev = {.kind = TRANSITION_SIGNAL, .step = (int)step, .is_recheck = key == 2};
    ev.is_stored = im->has_signal[step][key];
    enum transition_answer want = apply(im, &ev);
    if (want == ANSWER_OK)
        im->has_signal[step][key] = true;
    groups_settle();
    CHECK_ERR(rig_signal(im->id, (int)step, signal_keys[key], "{\"by\":\"x\"}"), expected(want));
}

static void do_decision(void)
{
    static const struct {
        enum transition_kind kind;
        rig_decide_fn *fn;
    } kinds[] = {{TRANSITION_CANCEL, queue_cancel}, {TRANSITION_PAUSE, queue_pause}, {TRANSITION_RESUME, queue_resume}};
    struct model_import *im = random_import();
    size_t k = draw(12);
    k = k == 0 ? 0 : k < 4 ? 1 : 2;
    if (!im)
        return;
    enum transition_answer want = apply(im, &(struct transition_event){.kind = kinds[k].kind});
    groups_settle();
    CHECK_ERR(rig_decide(kinds[k].fn, im->id), expected(want));
}

/* The same steps in a random other order; sometimes another class, which must be refused. */
static struct dag random_undo(const struct dag *forward)
{
    struct dag dag = {.step_count = forward->step_count};
    struct err err;
    for (size_t i = 0; i < dag.step_count; i++) {
        struct dag_step *s = &dag.steps[i];
        *s = (struct dag_step){.class_ = forward->steps[i].class_, .on_fail = draw(5) == 0};
        s->attempts_max = (uint8_t)draw(4);
        for (size_t k = i + 1; k < dag.step_count; k++)
            if (draw(dag.step_count) < 2)
                s->needs[s->needs_count++] = (uint8_t)k;
    }
    if (!draw(12))
        dag.steps[dag.step_count - 1].class_ = (uint8_t)draw(3);
    CHECK(dag_finish(&dag, &err) == 0);
    return dag;
}

static void do_undo(void)
{
    struct model_import *im = random_import();
    if (!im)
        return;
    struct dag undo = random_undo(&im->dag);
    uint64_t again = draw(2) ? 0 : draw(1ULL << 62);
    if (draw(2)) /* rare enough that imports also come to other ends */
        return;
    enum transition_answer want =
        apply(im, &(struct transition_event){.kind = TRANSITION_UNDO, .undo_dag = &undo, .again = again});
    groups_settle();
    CHECK_ERR(rig_undo(im->id, &undo, again), expected(want));
}

static void do_redrive(void)
{
    struct model_import *im = random_import();
    if (!im)
        return;
    int step = draw(2) ? -1 : (int)draw(im->r.step_count);
    enum transition_answer want = apply(im, &(struct transition_event){.kind = TRANSITION_REDRIVE, .step = step});
    groups_settle();
    CHECK_ERR(rig_redrive(im->id, step), expected(want));
}

static void do_session(void)
{
    struct model_session *s = &m.sessions[draw(SESSIONS)];
    if (s->id && s->lives && draw(4) == 0) {
        CHECK_OK(rig_session_close(s->id));
        for (size_t i = 0; i < IMPORTS; i++)
            if (m.imports[i].exists && m.imports[i].r.session == s->id)
                (void)apply(&m.imports[i], &(struct transition_event){.kind = TRANSITION_RELEASE, .session = s->id});
        groups_settle();
        s->lives = false;
    } else if (!s->id || !s->lives) {
        /* Sometimes the number of a session that ended is used again. */
        uint64_t id = !s->id || draw(2) ? 0xf111111111111111ULL + 977 * ++m.serial : s->id;
        *s = (struct model_session){.id = id, .deadline_ms = rig_clock_us / 1000 + LEASE_MS, .lives = true};
        CHECK_OK(rig_session(s->id, LEASE_MS));
    } else if (draw(2)) {
        struct queue_beat beat;
        struct err err;
        CHECK(queue_beat(rig.plain, "f", 0, s->id, LEASE_MS, &beat, &err) == 0);
        uint64_t deadline = rig_clock_us / 1000 + LEASE_MS;
        s->deadline_ms = deadline > s->deadline_ms ? deadline : s->deadline_ms;
    }
}

static void do_tick(void)
{
    (void)rig_tick();
    model_timers(NULL);
    groups_settle();
}

static void one_event(void)
{
    static void (*const events[])(void) = {do_turn,   do_turn,    do_turn,    do_turn,    do_turn,   do_turn,
                                           do_turn,   do_submit,  do_submit,  do_signal,  do_signal, do_decision,
                                           do_signal, do_redrive, do_redrive, do_session, do_tick,   do_undo};
    static const uint64_t steps_ms[] = {0, 0, 1, 3, 50, 400, 1000};
    uint64_t later_ms = draw(60) ? steps_ms[draw(ARRAY_LEN(steps_ms))] : 20000;
    rig_clock_set(rig_clock_us + 1 + 1000 * later_ms);
    size_t k = draw(ARRAY_LEN(events));
    if (getenv("EVERY"))
        (void)printf("%lu: kind %zu at %llu\n", event_number, k, (unsigned long long)rig_clock_us);
    events[k]();
}

static void show_answers(void)
{
    static const char *const kinds[] = {"claim",  "finish", "nudge",  "reap",    "release", "signal",
                                        "cancel", "pause",  "resume", "redrive", "promote", "undo"};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        (void)printf("  %-8s ok %lu nothing %lu already %lu stale %lu conflict %lu\n", kinds[k], answers[k][0],
                     answers[k][1], answers[k][2], answers[k][3], answers[k][4]);
        CHECK(event_number < 3000 || answers[k][ANSWER_OK]);
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL) * 2654435761ULL % 1000000007ULL;
    unsigned long events = argc > 2 ? strtoul(argv[2], NULL, 10) : 4000;
    (void)printf("seed %llu, %lu events\n", (unsigned long long)seed, events);
    (void)fflush(stdout);
    seed_now = seed * 2 + 1;
    rig_start("appendonly no", 1, true);
    rig_open(true);
    for (event_number = 0; event_number < events; event_number++) {
        one_event();
        if (getenv("EVERY") || event_number % 16 == 0)
            compare_all();
        if (event_number % 500 == 499)
            rig_audit();
    }
    compare_all();
    rig_audit();
    /* What is left, for people. */
    size_t by_state[IMPORT_STATE_COUNT] = {0};
    for (size_t i = 0; i < IMPORTS; i++)
        by_state[m.imports[i].r.state] += m.imports[i].exists;
    for (int s = 0; s < IMPORT_STATE_COUNT; s++)
        (void)printf("%s %zu ", import_state_name((enum import_state)s), by_state[s]);
    (void)printf("- equal\n");
    (void)printf("  computed by the holder: %lu taken, %lu decided by the rules\n", swapped, decided);
    (void)printf("  of groups: %lu claimed, %lu left their queue from the middle\n", claimed_of_groups,
                 left_from_the_middle);
    CHECK(event_number < 3000 || (swapped > 20 && decided > 100));
    CHECK(event_number < 3000 || (claimed_of_groups > 100 && left_from_the_middle > 0));
    show_answers();
    rig_stop();
    return 0;
}
