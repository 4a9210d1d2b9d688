#include "swap_model.h"

#include <string.h>

#define RECORDS (2 + WORKERS * (1 + TURNS) + 1)
#define TURNS_ALL (WORKERS * TURNS + 1)
#define NUMBERS (RECORDS * 4 + TURNS_ALL * 2) /* more than there are of any kind */

struct numbers {
    uint8_t *at[NUMBERS], hold[NUMBERS]; /* hold: the nonce that it belongs to, where that matters */
    int count;
};

static void note(struct numbers *n, uint8_t *number, uint8_t hold)
{
    if (!*number)
        return;
    n->at[n->count] = number;
    n->hold[n->count++] = rules.nonce ? hold : 0;
}

static void records_of(struct state *s, struct record *ret[RECORDS])
{
    int n = 0;
    ret[n++] = &s->master.record;
    ret[n++] = &s->replica.record;
    for (int i = 0; i < WORKERS; i++) {
        ret[n++] = &s->worker[i].record;
        for (int k = 0; k < TURNS; k++)
            ret[n++] = &s->worker[i].turn[k].record;
    }
    ret[n] = &s->late.record;
}

static struct numbers stamps_of(struct state *s)
{
    struct record *record[RECORDS];
    struct numbers ret = {.count = 0};
    records_of(s, record);
    for (int i = 0; i < RECORDS; i++)
        note(&ret, &record[i]->stamp, 0);
    for (int i = 0; i < WORKERS * TURNS; i++)
        note(&ret, &s->worker[i / TURNS].turn[i % TURNS].stamp, 0);
    note(&ret, &s->late.stamp, 0);
    return ret;
}

static struct numbers versions_of(struct state *s)
{
    struct record *record[RECORDS];
    struct numbers ret = {.count = 0};
    records_of(s, record);
    for (int i = 0; i < RECORDS; i++) {
        note(&ret, &record[i]->version, record[i]->nonce);
        for (int k = 0; k < STEPS; k++)
            note(&ret, &record[i]->claimed[k], record[i]->nonce);
    }
    for (int i = 0; i < TURNS_ALL; i++) {
        struct turn *t = i < WORKERS * TURNS ? &s->worker[i / TURNS].turn[i % TURNS] : &s->late;
        note(&ret, &t->version, t->record.nonce);
        note(&ret, &t->claimed, t->record.nonce);
    }
    return ret;
}

static struct numbers lines_of(struct state *s, int step)
{
    struct record *record[RECORDS];
    struct numbers ret = {.count = 0};
    records_of(s, record);
    for (int i = 0; i < RECORDS; i++)
        note(&ret, &record[i]->lines[step], record[i]->nonce);
    for (int i = 0; i < TURNS_ALL; i++) {
        struct turn *t = i < WORKERS * TURNS ? &s->worker[i / TURNS].turn[i % TURNS] : &s->late;
        if (t->step == step)
            note(&ret, &t->line, t->record.nonce);
    }
    return ret;
}

static struct numbers nonces_of(struct state *s)
{
    struct record *record[RECORDS];
    struct numbers ret = {.count = 0};
    records_of(s, record);
    for (int i = 0; i < RECORDS; i++)
        note(&ret, &record[i]->nonce, 0);
    for (int i = 0; i < STEPS; i++) {
        note(&ret, &s->master.intent[i].nonce, 0);
        note(&ret, &s->replica.intent[i].nonce, 0);
    }
    return ret;
}

static struct numbers fences_of(struct state *s)
{
    struct record *record[RECORDS];
    struct numbers ret = {.count = 0};
    records_of(s, record);
    for (int i = 0; i < RECORDS; i++)
        note(&ret, &record[i]->fence, record[i]->nonce);
    return ret;
}

static struct numbers sessions_of(struct state *s)
{
    struct record *record[RECORDS];
    struct numbers ret = {.count = 0};
    records_of(s, record);
    for (int i = 0; i < WORKERS; i++)
        note(&ret, &s->worker[i].session, 0);
    for (int i = 0; i < RECORDS; i++)
        note(&ret, &record[i]->holder, 0);
    return ret;
}

static uint8_t fresh(struct numbers n)
{
    uint8_t most = 0;
    for (int i = 0; i < n.count; i++)
        if (*n.at[i] > most && *n.at[i] != NONCE_DEAD)
            most = *n.at[i];
    return (uint8_t)(most + 1);
}

uint8_t names_fresh_stamp(const struct state *state)
{
    struct state s = *state;
    return fresh(stamps_of(&s));
}

uint8_t names_fresh_nonce(const struct state *state)
{
    struct state s = *state;
    return fresh(nonces_of(&s));
}

uint8_t names_fresh_session(const struct state *state)
{
    struct state s = *state;
    return fresh(sessions_of(&s));
}

static void rename_in_order(struct numbers n)
{
    uint8_t name[256] = {0}, names = 0;
    name[NONCE_DEAD] = NONCE_DEAD;
    for (int i = 0; i < n.count; i++) {
        if (!name[*n.at[i]])
            name[*n.at[i]] = ++names;
        *n.at[i] = name[*n.at[i]];
    }
}

/* Of each hold for itself: numbers of two holds are never compared, because their nonces differ. */
static void count_from_one(struct numbers n)
{
    uint8_t least[NONCE_DEAD + 1];
    memset(least, UINT8_MAX, sizeof least);
    for (int i = 0; i < n.count; i++)
        if (*n.at[i] < least[n.hold[i]])
            least[n.hold[i]] = *n.at[i];
    for (int i = 0; i < n.count; i++)
        *n.at[i] = (uint8_t)(*n.at[i] - least[n.hold[i]] + 1);
}

/* ---- What no rule reads any more ---- */
static bool is_of(const struct record *record, const struct record *hold)
{
    return record->fence == hold->fence && record->nonce == hold->nonce;
}

/* A hold that neither Redis has: all answers to it will be `stale`. */
static bool is_dead(const struct state *s, const struct record *hold)
{
    return rules.nonce && hold->nonce && !is_of(&s->master.record, hold) && !is_of(&s->replica.record, hold);
}

/* What remains of a dead hold is the call that it may make. */
static void forget_worker(const struct state *s, struct worker *w)
{
    if (w->pc != SAVING && w->pc != MAY_CALL)
        w->intent_age = 0;
    if (!is_dead(s, &w->record))
        return;
    if (w->pc == MAY_CALL || w->pc == CALLED)
        w->record = (struct record){.nonce = NONCE_DEAD};
    else
        *w = (struct worker){.session = w->session};
}

/* An intent is read by who sees no effect, and then told from those of others. */
static void forget_intents(const struct state *s, struct db *db)
{
    const struct record *a = &s->master.record, *b = &s->replica.record;
    for (int i = 0; i < STEPS; i++) {
        uint8_t nonce = db->intent[i].nonce;
        if (db->record.step[i] == STEP_DONE || s->effects[i])
            db->intent[i] = (struct intent){0};
        else if (rules.nonce && nonce && (nonce != a->nonce || !a->holder) && (nonce != b->nonce || !b->holder))
            db->intent[i].nonce = NONCE_DEAD;
    }
}

/* What both have is not lost any more; and who can be told at any moment has been. */
static void forget_told(struct state *s)
{
    for (int i = 0; i < STEPS; i++)
        if (s->master.record.step[i] == STEP_DONE && (s->phase != LAGGING || s->replica.record.step[i] == STEP_DONE))
            s->told[i] = 0;
    if (s->master.record.is_cancelled && (s->phase != LAGGING || s->replica.record.is_cancelled))
        s->cancel_told = 1;
}

static void forget(struct state *s)
{
    if (is_dead(s, &s->late.record) || (s->late.kind == SAVE && s->effects[s->late.step]))
        s->late = (struct turn){0};
    for (int i = 0; i < WORKERS; i++)
        forget_worker(s, &s->worker[i]);
    forget_intents(s, &s->master);
    forget_intents(s, &s->replica);
    forget_told(s);
}

static void swap_workers(struct state *s)
{
    const struct state was = *s;
    for (int i = 0; i < WORKERS; i++) {
        s->worker[i] = was.worker[1 - i];
        memcpy(s->request[i], was.request[1 - i], sizeof s->request[i]);
    }
}

static void rename_all(struct state *s)
{
    rename_in_order(stamps_of(s));
    rename_in_order(nonces_of(s));
    rename_in_order(sessions_of(s));
    count_from_one(versions_of(s));
    count_from_one(fences_of(s));
    for (int i = 0; i < STEPS; i++)
        count_from_one(lines_of(s, i));
}

void names_settle(const struct state *state, struct state *ret)
{
    struct state other;
    *ret = *state;
    forget(ret);
    other = *ret;
    swap_workers(&other);
    rename_all(ret);
    rename_all(&other);
    if (memcmp(&other, ret, sizeof other) < 0)
        *ret = other;
}
