/* A shard in C: records, ring, groups, due, sessions. It does in plain loops what turn() in scripts/fleet does with
 * indexes, and leaves the rules for one import to transition.c. */
#include "tests/integration/queue/differential.h"

#include <string.h>

struct model m;
struct differential_counts counts;

size_t ring_count(const struct model_import *but)
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
    counts.left_from_the_middle++;
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

void groups_settle(void)
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

enum transition_answer apply(struct model_import *im, struct transition_event *ev)
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
    counts.answers[ev->kind][out.answer]++;
    return out.answer;
}

struct model_import *find(const char *id)
{
    for (size_t i = 0; i < IMPORTS; i++)
        if (m.imports[i].exists && str_eq(m.imports[i].id, id))
            return &m.imports[i];
    return NULL;
}

/* As run_timers() in scripts/fleet. */
void model_timers(const struct model_session *me)
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
        counts.claimed_of_groups++;
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

void model_turn(struct model_session *me, uint32_t chance, size_t want, const struct queue_item *items, size_t count,
                struct rig_turn *t)
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
