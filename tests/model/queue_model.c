/* A model of the queue's protocol, searched exhaustively: sessions, fences and nonces, intents and their age, delayed
 * requests to Redis and to AWS, lost answers, crashes, and one failover to a lagging replica.
 *
 *   queue_model [--without nonce|wait-intent|wait-finish|age|signing]
 *
 * It is small on purpose: two workers, one import of two steps that each make one write. A second implementation of the
 * rules, written from the protocol's text and not from its code, because a model that calls the code believes it.
 *
 * Time is counted in ticks. A session lives LEASE ticks after a beat, and its worker believes in one tick less. A
 * request to AWS can be applied until it is LIFE ticks old; it is signed at most SIGN ticks after its intent. So an
 * intent of another holder is believed absent when it is older than SIGN + LIFE.
 *
 * What must hold in every state:
 *   effect   no write of a step takes effect twice
 *   holder   at most one worker's token is that of the record
 *   kept     what a worker was told is finished stays finished
 *   live     the import can still be completed */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define STEPS 2
#define LEASE 2
#define SIGN 1
#define LIFE 1
#define NONCES 3 /* claims */
#define SESSIONS 3
#define CRASHES 1
#define OLD (SIGN + LIFE + 1) /* ages are counted up to here */

enum { STEP_OPEN, STEP_ACTIVE, STEP_DONE };
enum { INTENT_NONE, INTENT_OPEN };

struct intent {
    uint8_t state, holder_nonce, age;
};

struct db {                       /* what one Redis knows */
    uint8_t fence, nonce, holder; /* holder: session, 0 nobody */
    uint8_t step[STEPS];
    struct intent intent[STEPS];
    uint8_t left[WORKERS]; /* of each worker's session; 0: due to be reaped */
    uint8_t session[WORKERS];
};

enum pc { IDLE, LOOKING, SAVING, MAY_CALL, CALLED, FINISHING };
enum { NO_MESSAGE, SAVE, FINISH };

enum { TOGETHER, LAGGING, ALONE }; /* master and replica */

struct message { /* to Redis: on its way, may arrive late or twice */
    uint8_t kind, step, fence, nonce;
};

struct worker {
    uint8_t session, left, pc, step, fence, nonce;
    uint8_t intent_age; /* by its own clock */
    struct message message;
};

struct request { /* to AWS */
    uint8_t is_there, age;
};

struct state {
    struct db master, replica;
    struct worker worker[WORKERS];
    struct request request[WORKERS][STEPS];
    uint8_t effects[STEPS], told[STEPS];
    uint8_t sessions, nonces, crashes, phase;
};
_Static_assert(sizeof(struct state) <= MODEL_STATE_BYTES, "raise MODEL_STATE_BYTES");

static struct {
    bool nonce, wait_intent, wait_finish, age, signing;
} rules = {true, true, true, true, true};

/* ---- Redis's side ---- */
static bool is_token(const struct db *db, uint8_t fence, uint8_t nonce)
{
    return db->fence == fence && (!rules.nonce || db->nonce == nonce);
}

static int next_step(const struct db *db)
{
    for (int i = 0; i < STEPS; i++)
        if (db->step[i] != STEP_DONE)
            return i;
    return STEPS;
}

static void free_import(struct db *db)
{
    db->holder = 0;
    db->fence++;
    for (int i = 0; i < STEPS; i++)
        if (db->step[i] == STEP_ACTIVE)
            db->step[i] = STEP_OPEN;
}

static bool accept(struct db *db, const struct message *m)
{
    bool is_ours = db->holder && is_token(db, m->fence, m->nonce) && db->step[m->step] == STEP_ACTIVE;
    if (is_ours && m->kind == SAVE)
        db->intent[m->step] = (struct intent){INTENT_OPEN, m->nonce, 0};
    if (is_ours && m->kind == FINISH) {
        db->step[m->step] = STEP_DONE;
        int next = next_step(db);
        if (next < STEPS)
            db->step[next] = STEP_ACTIVE; /* the hold goes on with what became ready */
        else
            db->holder = 0;
    }
    /* Sent again after a lost reply: the nonce tells that it had arrived. */
    bool is_again = m->kind == FINISH && db->step[m->step] == STEP_DONE && is_token(db, m->fence, m->nonce);
    return is_ours || is_again;
}

/* ---- The worker's side ---- */
static void drop(struct worker *w)
{
    struct message late = w->message;
    *w = (struct worker){.session = w->session, .left = w->left, .message = late};
}

/* Where a step of a new hold begins: it looks before it acts. */
static void begin(struct worker *w, int step, const struct db *db)
{
    w->step = (uint8_t)step;
    w->pc = LOOKING;
    w->fence = db->fence;
    w->nonce = db->nonce;
}

static void reply(struct state *s, struct worker *w, const struct message *m, bool is_accepted)
{
    bool is_awaited =
        (w->pc == SAVING || w->pc == FINISHING) && w->step == m->step && w->fence == m->fence && w->nonce == m->nonce;
    if (!is_awaited)
        return;
    w->message = (struct message){0};
    if (!is_accepted) {
        drop(w);
        return;
    }
    if (m->kind == SAVE) {
        w->pc = MAY_CALL;
        return;
    }
    s->told[m->step] = 1;
    int next = m->step + 1;
    if (next < STEPS)
        begin(w, next, &(struct db){.fence = m->fence, .nonce = m->nonce});
    else
        drop(w);
}

/* ---- Actions ---- */
/* What no rule reads any more is forgotten, and the two workers are told apart by what they do, not by their number. */
static void forget(struct db *db)
{
    for (int i = 0; i < STEPS; i++)
        if (db->step[i] == STEP_DONE)
            db->intent[i] = (struct intent){0};
}

static void swap_workers(const struct state *s, struct state *ret)
{
    *ret = *s;
    for (int i = 0; i < WORKERS; i++) {
        ret->worker[i] = s->worker[1 - i];
        memcpy(ret->request[i], s->request[1 - i], sizeof ret->request[i]);
        ret->master.left[i] = s->master.left[1 - i];
        ret->master.session[i] = s->master.session[1 - i];
        ret->replica.left[i] = s->replica.left[1 - i];
        ret->replica.session[i] = s->replica.session[1 - i];
    }
}

static void found(const struct state *now, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void found(const struct state *now, const char *fmt, ...)
{
    struct state s = *now, other;
    va_list args;
    forget(&s.master);
    forget(&s.replica);
    for (int i = 0; i < WORKERS; i++)
        if (s.worker[i].pc != SAVING && s.worker[i].pc != MAY_CALL)
            s.worker[i].intent_age = 0;
    swap_workers(&s, &other);
    va_start(args, fmt);
    model_found(memcmp(&s, &other, sizeof s) <= 0 ? &s : &other, fmt, args);
    va_end(args);
}

static void tick_db(struct db *db)
{
    for (int i = 0; i < WORKERS; i++)
        db->left[i] = (uint8_t)(db->left[i] ? db->left[i] - 1 : 0);
    for (int i = 0; i < STEPS; i++)
        if (db->intent[i].state == INTENT_OPEN && db->intent[i].age < OLD)
            db->intent[i].age++;
}

static void act_tick(const struct state *from)
{
    struct state s = *from;
    tick_db(&s.master);
    if (s.phase == LAGGING)
        tick_db(&s.replica);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &s.worker[i];
        w->left = (uint8_t)(w->left ? w->left - 1 : 0);
        if ((w->pc == SAVING || w->pc == MAY_CALL) && w->intent_age < OLD)
            w->intent_age++;
        for (int k = 0; k < STEPS; k++) {
            struct request *r = &s.request[i][k];
            if (r->is_there && ++r->age > LIFE)
                *r = (struct request){0}; /* its signature has ended */
        }
    }
    found(&s, "a tick");
}

static void act_session(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (!w->session) {
        if (s.sessions == SESSIONS)
            return;
        w->session = s.master.session[i] = ++s.sessions;
        s.master.left[i] = LEASE;
        w->left = LEASE - 1;
        found(&s, "worker %d opens a session", i);
        return;
    }
    if (s.master.session[i] == w->session) {
        s.master.left[i] = LEASE;
        w->left = LEASE - 1;
        found(&s, "worker %d beats", i);
        /* It holds an import that it does not know: the reply to its claim was lost. */
        if (s.master.holder == w->session && w->pc == IDLE && !w->message.kind) {
            begin(w, next_step(&s.master), &s.master);
            found(&s, "worker %d finds a lost claim", i);
        }
        return;
    }
    drop(w);
    w->session = w->left = 0;
    found(&s, "worker %d learns that its session is gone", i);
}

static void act_reap(const struct state *from, int i)
{
    struct state s = *from;
    if (!s.master.session[i] || s.master.left[i])
        return;
    if (s.master.holder == s.master.session[i])
        free_import(&s.master);
    s.master.session[i] = 0;
    found(&s, "Redis reaps worker %d", i);
}

static void act_claim(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    int step = next_step(&s.master);
    if (w->pc != IDLE || !w->session || w->message.kind || s.master.session[i] != w->session || s.master.holder ||
        step == STEPS || s.nonces == NONCES)
        return;
    s.master.holder = w->session;
    s.master.fence++;
    s.master.nonce = ++s.nonces;
    s.master.step[step] = STEP_ACTIVE;
    found(&s, "worker %d claims, and the reply is lost", i);
    begin(w, step, &s.master);
    found(&s, "worker %d claims", i);
}

/* The step looks at AWS. An open intent of another hold keeps it from believing what it does not see. */
static void act_look(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (w->pc != LOOKING || !w->left)
        return;
    const struct intent *open = &s.master.intent[w->step]; /* read with the claim; only its age grows */
    bool is_foreign = open->state == INTENT_OPEN && open->holder_nonce != w->nonce;
    if (s.effects[w->step]) {
        w->pc = FINISHING;
        w->message = (struct message){FINISH, w->step, w->fence, w->nonce};
        found(&s, "worker %d sees step %d done", i, w->step);
        return;
    }
    if (is_foreign && rules.age && open->age < OLD)
        return;
    w->pc = SAVING;
    w->intent_age = 0;
    w->message = (struct message){SAVE, w->step, w->fence, w->nonce};
    found(&s, "worker %d sees nothing of step %d and writes its intent", i, w->step);
}

static void act_message(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    struct message m = w->message;
    if (!m.kind)
        return;
    bool is_accepted = accept(&s.master, &m);
    const char *what = m.kind == SAVE ? "intent" : "finish";
    struct state lost = s; /* it arrived, and is sent again */
    found(&lost, "worker %d's %s arrives, the reply is lost", i, what);
    if (w->pc != SAVING && w->pc != FINISHING) {
        w->message = (struct message){0}; /* nobody waits for it */
        found(&s, "worker %d's late %s arrives", i, what);
        return;
    }
    if ((m.kind == SAVE ? rules.wait_intent : rules.wait_finish) && is_accepted && s.phase == LAGGING)
        return; /* the answer is given when the replica has it too: never */
    reply(&s, w, &m, is_accepted);
    found(&s, "worker %d's %s arrives: %s", i, what, is_accepted ? "accepted" : "refused");
}

static void act_call(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (w->pc != MAY_CALL || !w->left)
        return;
    if (rules.signing && w->intent_age > SIGN) { /* too old to be signed: asked anew */
        w->pc = SAVING;
        w->intent_age = 0;
        w->message = (struct message){SAVE, w->step, w->fence, w->nonce};
        found(&s, "worker %d writes its intent anew", i);
        return;
    }
    s.request[i][w->step] = (struct request){1, 0};
    w->pc = CALLED;
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
    w->pc = FINISHING;
    w->message = (struct message){FINISH, w->step, w->fence, w->nonce};
    found(&s, "AWS does step %d for worker %d", step, i);
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

static void act_crash(const struct state *from, int i)
{
    struct state s = *from;
    if (s.crashes == CRASHES || (!s.worker[i].session && !s.worker[i].message.kind))
        return;
    s.crashes++;
    s.worker[i] = (struct worker){.message = s.worker[i].message}; /* what was sent may still arrive */
    found(&s, "worker %d dies", i);
}

static void act_message_lost(const struct state *from, int i)
{
    struct state s = *from;
    struct worker *w = &s.worker[i];
    if (!w->message.kind || w->pc == SAVING || w->pc == FINISHING)
        return;
    w->message = (struct message){0};
    found(&s, "a dead worker's message is lost");
}

/* Replication is asynchronous: at some moment the replica hears its last word. Until then it is not told apart. */
static void act_freeze(const struct state *from)
{
    struct state s = *from;
    if (s.phase != TOGETHER)
        return;
    s.phase = LAGGING;
    s.replica = s.master;
    found(&s, "the replica hears nothing more");
}

static void act_failover(const struct state *from)
{
    struct state s = *from;
    if (s.phase != LAGGING)
        return;
    s.phase = ALONE;
    s.master = s.replica;
    memset(&s.replica, 0, sizeof s.replica);
    found(&s, "failover to the replica");
}

/* All is done and nothing is on its way: nothing more can go wrong. */
static bool is_quiet(const struct state *s)
{
    for (int i = 0; i < WORKERS; i++)
        if (s->worker[i].message.kind || s->request[i][0].is_there || s->request[i][1].is_there)
            return false;
    return s->phase == ALONE && next_step(&s->master) == STEPS;
}

static void expand(const void *bytes)
{
    struct state s;
    memcpy(&s, bytes, sizeof s);
    if (s.effects[0] && s.effects[1] && is_quiet(&s))
        return;
    act_tick(&s);
    for (int i = 0; i < WORKERS; i++) {
        act_session(&s, i);
        act_reap(&s, i);
        act_claim(&s, i);
        act_look(&s, i);
        act_message(&s, i);
        act_message_lost(&s, i);
        act_call(&s, i);
        act_timeout(&s, i);
        act_crash(&s, i);
        for (int k = 0; k < STEPS; k++)
            act_aws(&s, i, k);
    }
    act_failover(&s);
    act_freeze(&s);
}

/* ---- What must hold ---- */
static bool has_token(const struct state *s, const struct worker *w)
{
    return w->pc != IDLE && s->master.holder && s->master.step[w->step] == STEP_ACTIVE &&
           is_token(&s->master, w->fence, w->nonce);
}

static const char *judge(const void *bytes)
{
    struct state s;
    memcpy(&s, bytes, sizeof s);
    for (int i = 0; i < STEPS; i++) {
        if (s.effects[i] > 1)
            return "effect: a write took effect twice";
        if (s.told[i] && s.master.step[i] != STEP_DONE)
            return "kept: a finished step is not finished any more";
    }
    if (has_token(&s, &s.worker[0]) && has_token(&s, &s.worker[1]))
        return "holder: two workers have the record's token";
    return NULL;
}

static bool is_end(const void *bytes)
{
    struct state s;
    memcpy(&s, bytes, sizeof s);
    return next_step(&s.master) == STEPS || s.nonces == NONCES || s.sessions == SESSIONS; /* the model's own ends */
}

static bool *rule_called(const char *name)
{
    const struct {
        const char *name;
        bool *rule;
    } all[] = {{"nonce", &rules.nonce},
               {"wait-intent", &rules.wait_intent},
               {"wait-finish", &rules.wait_finish},
               {"age", &rules.age},
               {"signing", &rules.signing}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].rule;
    return NULL;
}

int main(int argc, char **argv)
{
    bool *rule = argc == 3 && strcmp(argv[1], "--without") == 0 ? rule_called(argv[2]) : NULL;
    if (argc > 1 && !rule) {
        (void)fputs("queue_model [--without nonce|wait-intent|wait-finish|age|signing]\n", stderr);
        return 3;
    }
    if (rule)
        *rule = false;
    struct state start;
    memset(&start, 0, sizeof start);
    return model_search(&(struct model_options){.expand = expand,
                                                .judge = judge,
                                                .is_end = is_end,
                                                .bytes = sizeof start,
                                                .live = "live: the import cannot be completed any more"},
                        &start);
}
