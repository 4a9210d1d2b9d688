/* A model of the queue's `swap` form, searched exhaustively: the holder computes the next record, the script stores it
 * when the stored head is the one that the holder started from, and otherwise decides the event itself as `server`
 * does.
 *
 *   swap_model [--without
 * nonce|claimed|over|lines|stamp|compare|wait-intent|wait-finish|wait-cancel|age|signing|cancel]
 *              [--with note] [--ignore equal]
 *
 * Two workers, one import of two steps that each make one write, one cancel (and with `note` another decision), one
 * failover to a lagging replica. Two turns of a holder may be on their way, in any order; copies of them may arrive
 * late. A session may end at any moment, so that nothing here rests on how long it lasts; intents, time and AWS are
 * those of queue_model.c. An intent moves no step: it is checked by its token and leaves the record alone. Claims,
 * sessions and crashes are not counted: swap_names.c makes the states finite.
 *
 * What must hold in every state:
 *   effect   no write of a step takes effect twice
 *   holder   at most one worker's token is that of the record
 *   kept     what a worker was told is finished stays finished
 *   once     a turn that is sent again is not counted again
 *   decided  a cancel that was answered stays, and nothing starts after it
 *   equal    what a swap stored is what the server rule would have made of the stored record
 *   live     the import can still be completed or cancelled (without `cancel`: completed) */
#include "swap_model.h"
#include "model.h"

#include <stdio.h>
#include <string.h>

static void found(const struct state *now, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void found(const struct state *now, const char *fmt, ...)
{
    struct state s;
    va_list args;
    names_settle(now, &s);
    va_start(args, fmt);
    model_found(&s, fmt, args);
    va_end(args);
}

/* ---- The worker's side ---- */
static void drop(struct worker *w)
{
    *w = (struct worker){.session = w->session};
}

static void go_to(struct worker *w, int step)
{
    if (w->step != step)
        w->intents = 0;
    w->step = (uint8_t)step;
    w->pc = LOOKING;
}

/* It goes on from this record, if that is still its own: it looks before it acts. */
static void adopt(struct worker *w, const struct record *stored)
{
    bool is_same_hold = stored->fence == w->record.fence && (!rules.nonce || stored->nonce == w->record.nonce);
    if (!is_same_hold || stored->holder != w->session) {
        drop(w);
        return;
    }
    w->record = *stored;
    go_to(w, record_next_step(stored));
}

static void begin(struct worker *w, const struct record *stored)
{
    w->record = *stored;
    adopt(w, stored);
}

/* A turn leaves, and its holder goes on as if it were accepted. `is_told`: it brings a ledger line. */
static void send_turn(struct state *s, struct worker *w, enum kind kind, bool is_told)
{
    struct turn *t = &w->turn[w->turn[0].kind ? 1 : 0];
    *t = (struct turn){.kind = (uint8_t)kind, .step = w->step, .claimed = w->record.claimed[w->step]};
    if (is_told)
        t->line = (uint8_t)(w->record.lines[w->step] + 1);
    t->version = w->record.version;
    t->stamp = w->record.stamp;
    t->record = w->record;
    (void)record_decide(&t->record, t, false);
    t->record.stamp = names_fresh_stamp(s);
    w->record = t->record;
    if (kind == SAVE) {
        w->pc = SAVING;
        w->intent_age = 0;
        w->intents++;
        return;
    }
    if (kind == RETRY)
        w->intents = 0;
    if (w->record.holder)
        go_to(w, record_next_step(&w->record));
    else
        w->pc = ENDING;
}

/* Answers come in the order of the turns. Only the last one tells where the record stands now. `stops`: the holder sees
 * in it that the import is cancelled before the call of its intent has left. */
static void answer(struct state *s, struct worker *w, enum verdict verdict, bool stops)
{
    const struct turn t = w->turn[0];
    const struct record *stored = &s->master.record;
    w->turn[0] = w->turn[1];
    w->turn[1] = (struct turn){0};
    /* The answer carries the record: `already` alone says that this beginning of the step is over. */
    if (verdict != STALE && t.kind == FINISH && stored->step[t.step] == STEP_DONE)
        s->told[t.step] = 1;
    if (verdict == STALE && rules.afresh) { /* Redis has lost something: what this hold has sent may come late */
        struct turn other = w->turn[0];
        *w = (struct worker){.session = names_fresh_session(s)};
        if (other.kind && !s->late.kind)
            s->late = other;
        return;
    }
    if (w->turn[0].kind)
        return;
    if (verdict != STALE && t.kind == SAVE && !stops) {
        w->record = *stored;
        w->pc = MAY_CALL;
        return;
    }
    bool is_as_computed = t.kind != SAVE && w->pc != ENDING && memcmp(stored, &w->record, sizeof *stored) == 0;
    if (!is_as_computed)
        adopt(w, stored);
}

/* ---- Actions ---- */
static void tick_db(struct db *db)
{
    for (int i = 0; i < STEPS; i++)
        if (db->intent[i].is_open && db->intent[i].age < OLD)
            db->intent[i].age++;
}

static void tick_turn(struct turn *t)
{
    if (t->kind == SAVE && t->age < OLD)
        t->age++;
}

static void act_tick(const struct state *from)
{
    struct state s = *from;
    tick_db(&s.master);
    tick_turn(&s.late);
    if (s.phase == LAGGING)
        tick_db(&s.replica);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &s.worker[i];
        for (int k = 0; k < TURNS; k++)
            tick_turn(&w->turn[k]);
        if ((w->pc == SAVING || w->pc == MAY_CALL) && w->intent_age <= SIGN)
            w->intent_age++;
        for (int k = 0; k < STEPS; k++) {
            struct request *r = &s.request[i][k];
            if (r->is_there && ++r->age > LIFE)
                *r = (struct request){0}; /* its signature has ended */
        }
    }
    found(&s, "a tick");
}

/* The worker's turns are not awaited any more; a copy of one may still be on its way. */
static void act_session(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    /* It holds an import that it does not know: the reply to its claim was lost. */
    if (w->pc == IDLE && s.master.record.holder == w->session) {
        begin(w, &s.master.record);
        found(&s, "worker %d finds a lost claim", i);
    }
    *w = (struct worker){.session = names_fresh_session(&s)};
    found(&s, "worker %d dies, or learns that its session is gone; it opens another", i);
    for (int k = 0; k < TURNS && !from->late.kind; k++)
        if (from->worker[i].turn[k].kind) {
            s.late = from->worker[i].turn[k];
            found(&s, "worker %d dies or opens another session, its turn %d is still on its way", i, k);
        }
}

/* A session may end whenever it likes: nothing but speed depends on how long it lasts. */
static void act_reap(const struct state *from)
{
    struct state s = *from;
    if (!s.master.record.holder)
        return;
    record_free(&s.master.record, names_fresh_stamp(&s));
    found(&s, "Redis reaps the session of the holder");
}

static void act_claim(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    struct record *r = &s.master.record;
    if (w->pc != IDLE || r->holder || r->is_cancelled || record_next_step(r) == STEPS)
        return;
    record_claim(r, w->session, names_fresh_nonce(&s), names_fresh_stamp(&s));
    found(&s, "worker %d claims, and the reply is lost", i);
    begin(w, r);
    found(&s, "worker %d claims", i);
}

/* The step looks at AWS. An open intent of another hold keeps it from believing what it does not see. */
static void act_look(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (w->pc != LOOKING || w->turn[TURNS - 1].kind)
        return;
    const struct intent *open = &s.master.intent[w->step]; /* read with the claim; only its age grows */
    bool is_foreign = open->is_open && open->nonce != w->record.nonce;
    if (s.effects[w->step]) {
        send_turn(&s, w, FINISH, true);
        found(&s, "worker %d sees step %d done and sends its end", i, from->worker[i].step);
        return;
    }
    if (w->record.is_cancelled) {
        send_turn(&s, w, HAND_BACK, false);
        found(&s, "worker %d knows of a cancel and hands step %d back", i, from->worker[i].step);
        return;
    }
    if (s.retries != RETRIES) {
        struct state again = s;
        again.retries++;
        send_turn(&again, &again.worker[i], RETRY, true);
        found(&again, "worker %d sends that step %d begins anew", i, w->step);
        again = s; /* an end like the one before is not told again */
        again.retries++;
        send_turn(&again, &again.worker[i], RETRY, false);
        found(&again, "worker %d sends that step %d begins anew, without a ledger line", i, w->step);
    }
    if ((is_foreign && rules.age && open->age < OLD) || w->intents == INTENTS)
        return;
    send_turn(&s, w, SAVE, true);
    found(&s, "worker %d sees nothing of step %d and sends its intent", i, w->step);
}

static const char *turn_name(const struct turn *t)
{
    static const char *const names[] = {"nothing", "intent", "end", "new beginning", "handing back"};
    return names[t->kind];
}

static enum verdict arrive(struct state *s, const struct turn *t)
{
    enum fault fault = NO_FAULT;
    enum verdict verdict = script_turn(&s->master, t, names_fresh_stamp(s), &fault);
    if (fault > s->fault)
        s->fault = (uint8_t)fault;
    return verdict;
}

static void act_turn(const struct state *from, int i, int k)
{
    static const char *const verdicts[] = {"stale", "accepted", "already"};
    struct state s = *from;
    struct worker *w = &s.worker[i];
    struct turn t = w->turn[k];
    if (!t.kind)
        return;
    enum verdict verdict = arrive(&s, &t);
    found(&s, "worker %d's %s of step %d arrives, the reply is lost", i, turn_name(&t), t.step);
    bool waits = (t.kind == SAVE && rules.wait_intent) || (t.kind == FINISH && rules.wait_finish);
    if (k > 0 || (waits && verdict != STALE && s.phase == LAGGING))
        return; /* the answer is given when the replica has it too: never */
    struct state stops = s;
    answer(&s, w, verdict, false);
    if (t.kind == SAVE && stops.master.record.is_cancelled) {
        answer(&stops, &stops.worker[i], verdict, true);
        found(&stops, "worker %d's intent of step %d arrives, and it sees the cancel", i, t.step);
    }
    found(&s, "worker %d's %s of step %d arrives: %s", i, turn_name(&t), t.step, verdicts[verdict]);
    if (!s.late.kind) { /* it was sent twice, on two connections: until here one copy did for both */
        s.late = t;
        found(&s, "worker %d's %s of step %d arrives: %s; a copy is still on its way", i, turn_name(&t), t.step,
              verdicts[verdict]);
    }
}

static void act_late(const struct state *from)
{
    struct state s = *from;
    struct turn t = s.late;
    if (!t.kind)
        return;
    s.late = (struct turn){0};
    found(&s, "the late turn is lost");
    (void)arrive(&s, &t);
    found(&s, "the late %s of step %d arrives", turn_name(&t), t.step);
}

static void act_cancel(const struct state *from)
{
    struct state s = *from;
    struct record *r = &s.master.record;
    if (!rules.cancel || s.cancel_told || (!r->is_cancelled && record_next_step(r) == STEPS))
        return;
    if (!r->is_cancelled) {
        record_cancel(r, names_fresh_stamp(&s));
        found(&s, "a cancel is written, nobody is told");
    }
    if (s.phase == LAGGING && rules.wait_cancel)
        return;
    s.cancel_told = 1;
    found(&s, "a cancel is written and told");
}

static void act_note(const struct state *from)
{
    struct state s = *from;
    if (s.notes == (rules.note ? 1 : 0))
        return;
    s.notes++;
    record_note(&s.master.record, names_fresh_stamp(&s));
    found(&s, "another decision is written");
}

static void act_call(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    const struct db *db = &s.master;
    if (w->pc != MAY_CALL)
        return;
    if (rules.signing && w->intent_age > SIGN) { /* too old to be signed: intended anew */
        if (w->intents == INTENTS)
            return;
        send_turn(&s, w, SAVE, true);
        found(&s, "worker %d sends its intent anew", i);
        return;
    }
    s.request[i][w->step] = (struct request){1, 0};
    w->pc = CALLED;
    if (s.cancel_told && !s.effects[w->step] && db->record.step[w->step] == STEP_OPEN && !db->intent[w->step].is_open)
        s.fault = FAULT_STARTED;
    found(&s, "worker %d calls AWS for step %d", i, w->step);
}

static void act_aws(const struct state *from, int i, int step)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (!s.request[i][step].is_there)
        return;
    s.request[i][step] = (struct request){0};
    s.effects[step]++;
    bool is_awaited = w->pc == CALLED && w->step == step;
    found(&s, "AWS does step %d for worker %d%s", step, i, is_awaited ? ", the answer is lost" : "");
    if (!is_awaited)
        return;
    send_turn(&s, w, FINISH, true);
    found(&s, "AWS does step %d for worker %d, which sends its end", step, i);
}

/* The response timeout: the connection is closed, the request is dead or was done. The holder looks itself. */
static void act_timeout(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (w->pc != CALLED)
        return;
    s.request[i][w->step] = (struct request){0};
    w->pc = LOOKING;
    found(&s, "worker %d gives up waiting for AWS", i);
}

/* Replication is asynchronous: at some moment the replica hears its last word. Until then it is not told apart. */
static void act_replica(const struct state *from)
{
    struct state s = *from;
    if (s.phase == TOGETHER) {
        s.phase = LAGGING;
        s.replica = s.master;
        found(&s, "the replica hears nothing more");
    } else if (s.phase == LAGGING) {
        s.phase = ALONE;
        s.master = s.replica;
        memset(&s.replica, 0, sizeof s.replica);
        found(&s, "failover to the replica");
    }
}

static bool is_over(const struct state *s)
{
    const struct record *r = &s->master.record;
    return record_next_step(r) == STEPS || (r->is_cancelled && !r->holder);
}

/* All is said and nothing is on its way: nothing more can go wrong. */
static bool is_quiet(const struct state *s)
{
    for (int i = 0; i < WORKERS; i++)
        if (s->worker[i].turn[0].kind || s->worker[i].pc != IDLE || s->request[i][0].is_there ||
            s->request[i][1].is_there)
            return false;
    return s->phase == ALONE && !s->late.kind && is_over(s);
}

static void expand(const void *bytes)
{
    struct state s;
    memcpy(&s, bytes, sizeof s);
    if (is_quiet(&s))
        return;
    act_tick(&s);
    for (int i = 0; i < WORKERS; i++) {
        act_session(&s, i);
        act_claim(&s, i);
        act_look(&s, i);
        for (int k = 0; k < TURNS; k++)
            act_turn(&s, i, k);
        act_call(&s, i);
        act_timeout(&s, i);
        for (int k = 0; k < STEPS; k++)
            act_aws(&s, i, k);
    }
    act_late(&s);
    act_reap(&s);
    act_cancel(&s);
    act_note(&s);
    act_replica(&s);
}

/* ---- What must hold ---- */
static bool has_token(const struct state *s, const struct worker *w)
{
    const struct record *r = &s->master.record;
    return w->pc != IDLE && r->holder && r->step[w->step] == STEP_ACTIVE && r->fence == w->record.fence &&
           (!rules.nonce || r->nonce == w->record.nonce);
}

static bool is_equal_ignored; /* to see what comes of it */

static const char *judge(const void *bytes)
{
    struct state s;
    memcpy(&s, bytes, sizeof s);
    for (int i = 0; i < STEPS; i++) {
        if (s.effects[i] > 1)
            return "effect: a write took effect twice";
        if (s.told[i] && s.master.record.step[i] != STEP_DONE)
            return "kept: a finished step is not finished any more";
    }
    if (s.master.record.attempts > s.retries)
        return "once: a new beginning counts twice";
    if (s.fault == FAULT_KEPT)
        return "kept: a turn undoes a finished step";
    if (has_token(&s, &s.worker[0]) && has_token(&s, &s.worker[1]))
        return "holder: two workers have the record's token";
    if (s.fault == FAULT_LOST || (s.cancel_told && !s.master.record.is_cancelled))
        return "decided: a cancel is lost";
    if (s.fault == FAULT_STARTED)
        return "decided: a step starts after a cancel";
    return s.fault == FAULT_EQUAL && !is_equal_ignored ? "equal: a swap stored what the server rule would not" : NULL;
}

static bool is_end(const void *bytes)
{
    struct state s;
    memcpy(&s, bytes, sizeof s);
    return is_over(&s);
}

static bool *rule_called(const char *name)
{
    const struct {
        const char *name;
        bool *rule;
    } all[] = {{"note", &rules.note},
               {"nonce", &rules.nonce},
               {"claimed", &rules.claimed},
               {"over", &rules.over},
               {"afresh", &rules.afresh},
               {"lines", &rules.lines},
               {"stamp", &rules.stamp},
               {"compare", &rules.compare},
               {"wait-intent", &rules.wait_intent},
               {"wait-finish", &rules.wait_finish},
               {"wait-cancel", &rules.wait_cancel},
               {"age", &rules.age},
               {"signing", &rules.signing},
               {"cancel", &rules.cancel}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].rule;
    return NULL;
}

static const char usage[] =
    "swap_model [--without "
    "nonce|claimed|over|lines|stamp|compare|wait-intent|wait-finish|wait-cancel|age|signing|cancel]\n"
    "           [--with note] [--ignore equal]\n";

int main(int argc, char **argv)
{
    bool is_usage = argc % 2;
    for (int i = 1; i + 1 < argc && is_usage; i += 2) {
        bool is_with = strcmp(argv[i], "--with") == 0;
        bool *rule = is_with || strcmp(argv[i], "--without") == 0 ? rule_called(argv[i + 1]) : NULL;
        if (rule)
            *rule = is_with;
        else if (strcmp(argv[i], "--ignore") == 0 && strcmp(argv[i + 1], "equal") == 0)
            is_equal_ignored = true;
        else
            is_usage = false;
    }
    if (!is_usage) {
        (void)fputs(usage, stderr);
        return 3;
    }
    struct state start;
    memset(&start, 0, sizeof start);
    start.worker[0].session = 1;
    start.worker[1].session = 2;
    start.master.record.fence = start.master.record.version = start.master.record.stamp = 1;
    start.master.record.lines[0] = start.master.record.lines[1] = 1;
    return model_search(
        &(struct model_options){.expand = expand,
                                .judge = judge,
                                .is_end = is_end,
                                .bytes = sizeof start,
                                .live = "live: the import can neither be completed nor cancelled any more"},
        &start);
}
