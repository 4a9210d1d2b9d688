/* The rules of the queue, see transition.h; read together with rules.lua and events.lua of common/redis/scripts/fleet,
 * in the same order. */
#include "common/queue/transition.h"

#include "common/base/assert.h"

/* One event at work. */
struct change {
    struct record *r;
    const struct dag *dag;
    const struct transition_event *ev;
    struct transition_effects *out;
    uint64_t now_ms;
};

/* ---- Single steps ---- */
static void leave_active(struct change *c, size_t i)
{
    uint8_t class_ = c->dag->steps[i].class_;
    if (c->r->steps[i].state != STATE_ACTIVE)
        return;
    if (class_ == DAG_WRITER && c->r->writers)
        c->r->writers--;
    if (class_ == DAG_READER && c->r->readers)
        c->r->readers--;
}

static void set_task(struct change *c, size_t i, enum transition_task task)
{
    struct record_step *s = &c->r->steps[i];
    if (task == TASK_OPEN)
        s->flags |= STEP_FLAG_TASK;
    if (task == TASK_CLOSE && (s->flags & STEP_FLAG_TASK)) {
        s->flags = (uint8_t)(s->flags & ~STEP_FLAG_TASK);
        c->out->closed |= 1ULL << i;
    }
}

/* Out of the live states: the task closes; what stays is that it released others, and that signals are stored. */
static void end_step(struct change *c, size_t i, enum step_state state, enum blocking_party party)
{
    struct record_step *s = &c->r->steps[i];
    leave_active(c, i);
    set_task(c, i, TASK_CLOSE);
    s->state = (uint8_t)state;
    s->due_ms = 0;
    s->flags &= STEP_FLAG_RELEASED | STEP_FLAG_SIGNALS;
    s->party = (uint8_t)party;
}

static void release_next(struct change *c, size_t i)
{
    const struct dag_step *d = &c->dag->steps[i];
    for (size_t k = 0; k < d->next_count; k++) {
        struct record_step *s = &c->r->steps[d->next[k]];
        if (s->state != STATE_PENDING || !s->deps)
            continue;
        s->deps--;
        if (!s->deps)
            s->state = STATE_READY;
    }
}

static void done_step(struct change *c, size_t i)
{
    end_step(c, i, STATE_DONE, PARTY_NONE);
    if (!(c->r->steps[i].flags & STEP_FLAG_RELEASED))
        release_next(c, i);
}

static void fail_step(struct change *c, size_t i, enum step_state state, enum blocking_party party)
{
    struct record_step *s = &c->r->steps[i];
    end_step(c, i, state, party);
    if (c->dag->steps[i].on_fail != DAG_CONTINUE || (s->flags & STEP_FLAG_RELEASED))
        return;
    s->flags |= STEP_FLAG_RELEASED;
    release_next(c, i);
}

/* The step came to its own rest: what crashed it before is over, or a task watched for weeks would be quarantined by
 * three deploys gone wrong. Giving back (INTERRUPT, release) proves nothing and keeps the count. */
static void forget_crashes(struct record_step *s)
{
    s->crashes = 0;
}

/* Back to a state between two starts. A signal that came meanwhile is looked at without delay. */
static void rest_step(struct change *c, size_t i, enum step_state state, uint64_t delay_ms, bool restore)
{
    struct record_step *s = &c->r->steps[i];
    leave_active(c, i);
    if (restore && s->attempts)
        s->attempts--;
    if (delay_ms > TRANSITION_DELAY_MS_MAX)
        delay_ms = TRANSITION_DELAY_MS_MAX;
    s->state = (uint8_t)((s->flags & STEP_FLAG_SIGNALLED) ? STATE_READY : state);
    s->due_ms = s->state == STATE_READY ? 0 : c->now_ms + delay_ms;
}

/* Out of the forward run, see transition_undo.c. */
static void rewind_step(struct change *c, size_t i)
{
    leave_active(c, i);
    set_task(c, i, TASK_CLOSE);
    undo_rewind_step(&c->r->steps[i]);
}

static void promote_due(struct change *c)
{
    for (size_t i = 0; i < c->r->step_count; i++) {
        struct record_step *s = &c->r->steps[i];
        if ((s->state == STATE_DELAYED || s->state == STATE_WAITING) && s->due_ms && s->due_ms <= c->now_ms) {
            s->state = STATE_READY;
            s->due_ms = 0;
        }
    }
}

/* ---- The whole record ---------------------------------------------------------------------------------------------
 */
static size_t active_count(const struct record *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->step_count; i++)
        n += r->steps[i].state == STATE_ACTIVE;
    return n;
}

static bool is_over_cap(const struct record *r, uint8_t class_, size_t active)
{
    return active >= TRANSITION_ACTIVE_MAX || (class_ == DAG_WRITER && r->writers >= TRANSITION_WRITERS_MAX) ||
           (class_ == DAG_READER && r->readers >= TRANSITION_READERS_MAX);
}

static void start_step(struct change *c, size_t i)
{
    struct record *r = c->r;
    struct record_step *s = &r->steps[i];
    s->state = STATE_ACTIVE;
    s->attempts = (uint8_t)(s->attempts + (s->attempts < UINT8_MAX));
    s->claim_version = r->version;
    s->due_ms = 0;
    s->flags = (uint8_t)(s->flags & ~STEP_FLAG_SIGNALLED);
    r->writers = (uint8_t)(r->writers + (c->dag->steps[i].class_ == DAG_WRITER));
    r->readers = (uint8_t)(r->readers + (c->dag->steps[i].class_ == DAG_READER));
    r->run = (uint8_t)(r->run + (r->run < UINT8_MAX));
    r->vt += 1000000U / r->weight;
    c->out->started |= 1ULL << i;
}

/* Starts what may run now, in the order of the playbook. */
static void start_ready(struct change *c)
{
    struct record *r = c->r;
    size_t active = active_count(r);
    if (r->flags & (RECORD_IS_PAUSED | RECORD_IS_CANCELLED | RECORD_IS_STOPPING))
        return;
    for (size_t i = 0; i < r->step_count; i++) {
        struct record_step *s = &r->steps[i];
        if (s->state != STATE_READY && s->state != STATE_BLOCKED)
            continue;
        if (c->ev->others_wait && r->run >= TRANSITION_QUANTUM)
            return;
        if (is_over_cap(r, c->dag->steps[i].class_, active)) {
            s->state = STATE_BLOCKED;
            continue;
        }
        start_step(c, i);
        active++;
    }
}

static void end_hold(struct record *r)
{
    r->session = 0;
    r->run = 0;
    for (size_t i = 0; i < r->step_count; i++)
        if (r->steps[i].state == STATE_BLOCKED)
            r->steps[i].state = STATE_READY;
}

/* After a hold that did not end by its own finish: nothing of it may be taken for the holder's later. */
static void break_hold(struct change *c)
{
    c->r->fence = c->ev->now_us > c->r->fence ? c->ev->now_us : c->r->fence + 1;
    c->r->nonce = 0;
    end_hold(c->r);
}

/* An import of no group pays with its own virtual time, and enters the ring no earlier than those there. One of a group
 * keeps in vt what it has started and its group was not charged for; where it waits in the group's queue (groups.lua),
 * vt is its number there, which is the shard's to give. */
static void settle_vt(struct change *c, enum transition_place was)
{
    struct record *r = c->r;
    enum transition_place is = c->out->place;
    if (!r->group) {
        if (is == PLACE_RING && was != PLACE_RING && r->vt < c->ev->floor)
            r->vt = c->ev->floor;
        return;
    }
    bool is_claim = c->ev->kind == TRANSITION_CLAIM;
    if (is_claim || (was == PLACE_OWN && is != PLACE_OWN))
        c->out->charge = r->vt;
    if (is_claim || is != was)
        r->vt = 0;
}

/* Ends the hold when nothing runs, and brings all that is derived up to date. */
static void settle(struct change *c, enum transition_place was)
{
    struct record *r = c->r;
    enum blocking_party party;
    if (r->session && !active_count(r))
        end_hold(r);
    if (!active_count(r))
        r->flags = (uint8_t)(r->flags & ~RECORD_IS_STOPPING);
    r->remaining = 0;
    for (size_t i = 0; i < r->step_count; i++)
        r->remaining = (uint8_t)(r->remaining + record_step_counts(&r->steps[i], &c->dag->steps[i]));
    enum import_state state = record_derive(r, c->dag, &party);
    if (r->state != state || r->party != party)
        r->since_ms = c->now_ms;
    r->state = (uint8_t)state;
    r->party = (uint8_t)party;
    c->out->place = record_place(r, &c->out->due_ms);
    settle_vt(c, was);
}

/* ---- Events -------------------------------------------------------------------------------------------------------
 */
static enum transition_answer claim(struct change *c, enum transition_place was)
{
    struct record *r = c->r;
    if (was != PLACE_RING)
        return ANSWER_NOTHING;
    r->version++;
    r->fence = c->ev->now_us > r->fence ? c->ev->now_us : r->fence + 1;
    r->nonce = c->ev->nonce;
    r->session = c->ev->session;
    r->flags |= RECORD_HAS_CLAIM;
    r->run = 0;
    if (r->group)
        r->vt = 0;
    promote_due(c);
    start_ready(c);
    return ANSWER_OK;
}

static void apply_outcome(struct change *c, size_t i)
{
    const struct transition_event *ev = c->ev;
    struct record_step *s = &c->r->steps[i];
    switch (ev->outcome) {
    case OUTCOME_DONE:
        done_step(c, i);
        break;
    case OUTCOME_RETRY:
        if (ev->party)
            s->party = (uint8_t)ev->party;
        if (c->dag->steps[i].attempts_max && s->attempts >= c->dag->steps[i].attempts_max)
            fail_step(c, i, STATE_FAILED, s->party);
        else
            rest_step(c, i, STATE_DELAYED, ev->delay_ms, false);
        break;
    case OUTCOME_FAIL:
        fail_step(c, i, STATE_FAILED, ev->party);
        break;
    case OUTCOME_WAIT:
    case OUTCOME_SLEEP:
        s->flags = (uint8_t)(s->flags & ~STEP_FLAG_HELD);
        s->party = (uint8_t)ev->party;
        forget_crashes(s);
        rest_step(c, i, ev->outcome == OUTCOME_WAIT ? STATE_WAITING : STATE_DELAYED, ev->delay_ms, true);
        break;
    case OUTCOME_HOLD:
        s->flags |= STEP_FLAG_HELD;
        s->party = (uint8_t)(ev->party ? ev->party : PARTY_OPERATOR);
        forget_crashes(s);
        rest_step(c, i, STATE_WAITING, ev->delay_ms, true);
        if (!ev->delay_ms)
            s->due_ms = 0;
        break;
    case OUTCOME_INTERRUPT:
        rest_step(c, i, STATE_READY, 0, true);
        break;
    case OUTCOME_SAVE:
    case OUTCOME_NUDGE:
        break;
    }
}

/* A step's ledger lines follow one another. A SAVE whose very lines are stored had arrived; another one's under the
 * same number, as after a failover, tell of another intent. A holder that is ahead of what is stored wrote lines that a
 * failover has lost: it must read again what is here, and say so in the chain. */
static enum transition_answer lines_answer(const struct record_step *s, const struct transition_event *ev)
{
    if (!ev->ledger_first || ev->ledger_first == s->lines + 1)
        return ANSWER_OK;
    bool had_arrived = ev->outcome == OUTCOME_SAVE && ev->ledger_first <= s->lines && ev->is_stored;
    return had_arrived ? ANSWER_ALREADY : ANSWER_STALE;
}

static enum transition_answer finish(struct change *c)
{
    const struct transition_event *ev = c->ev;
    struct record *r = c->r;
    if (ev->step < 0 || ev->step >= r->step_count)
        return ANSWER_STALE;
    size_t i = (size_t)ev->step;
    struct record_step *s = &r->steps[i];
    if (r->fence != ev->token.fence || r->nonce != ev->token.nonce || !ev->token.claim_version ||
        s->claim_version < ev->token.claim_version)
        return ANSWER_STALE;
    /* Within one hold a step leaves ACTIVE, or is started again, only by this very finish. A SAVE comes too late then:
     * its call leaves when it is taken, so it may not be taken for stored. */
    if (s->claim_version > ev->token.claim_version || s->state != STATE_ACTIVE)
        return ev->outcome == OUTCOME_SAVE ? ANSWER_STALE : ANSWER_ALREADY;
    if (r->session != ev->session)
        return ANSWER_STALE;
    enum transition_answer lines = lines_answer(s, ev);
    if (lines != ANSWER_OK)
        return lines;
    r->version++;
    s->lines = ev->ledger_last ? ev->ledger_last : s->lines;
    set_task(c, i, ev->task);
    if (ev->outcome != OUTCOME_SAVE && (r->flags & RECORD_IS_CANCELLED))
        end_step(c, i, STATE_CANCELLED, PARTY_NONE);
    else if (ev->outcome != OUTCOME_SAVE && (r->flags & RECORD_IS_STOPPING))
        rewind_step(c, i);
    else
        apply_outcome(c, i);
    promote_due(c);
    if (ev->outcome != OUTCOME_INTERRUPT)
        start_ready(c);
    return ANSWER_OK;
}

static enum transition_answer nudge(struct change *c)
{
    if (!c->ev->session || c->r->session != c->ev->session)
        return ANSWER_STALE;
    c->r->version++;
    promote_due(c);
    start_ready(c);
    return ANSWER_OK;
}

/* Spread over most of a second, so that what crashed together does not come back together, and four times wider with
 * each crash: a worker takes all that it holds with it, and only what really kills it may reach the bound. The same in
 * fleet.lua. */
static uint64_t crash_delay_ms(uint64_t now_us, size_t i, unsigned crashes)
{
    return (100 + (now_us + 7919 * i) % 900) << (2 * (crashes - 1));
}

/* The holder is gone (reap) or gives up (release). */
static enum transition_answer lose_hold(struct change *c, bool is_crash)
{
    struct record *r = c->r;
    if (!c->ev->session || r->session != c->ev->session)
        return ANSWER_NOTHING;
    r->version++;
    for (size_t i = 0; i < r->step_count; i++) {
        struct record_step *s = &r->steps[i];
        if (s->state != STATE_ACTIVE)
            continue;
        if (is_crash && s->crashes < UINT8_MAX)
            s->crashes++;
        if (r->flags & RECORD_IS_CANCELLED)
            end_step(c, i, STATE_CANCELLED, PARTY_NONE);
        else if (r->flags & RECORD_IS_STOPPING)
            rewind_step(c, i);
        else if (!is_crash)
            rest_step(c, i, STATE_READY, 0, true);
        else if (s->crashes >= TRANSITION_CRASHES_MAX)
            fail_step(c, i, STATE_DEAD, PARTY_ORGIMPORT);
        else
            rest_step(c, i, STATE_DELAYED, crash_delay_ms(c->ev->now_us, i, s->crashes), false);
    }
    promote_due(c);
    break_hold(c);
    return ANSWER_OK;
}

static enum transition_answer signal_step(struct change *c)
{
    const struct transition_event *ev = c->ev;
    if (ev->step < 0 || ev->step >= c->r->step_count)
        return ANSWER_CONFLICT;
    /* A word about the forward run must not be taken for one about the undo. */
    if (c->r->flags & RECORD_IS_STOPPING)
        return ANSWER_CONFLICT;
    struct record_step *s = &c->r->steps[ev->step];
    if (!step_state_is_live(s->state) && s->state != STATE_PENDING)
        return ev->is_stored ? ANSWER_NOTHING : ANSWER_CONFLICT;
    bool rests = s->state == STATE_WAITING || s->state == STATE_DELAYED;
    /* The first writer wins until the step has looked and rests again. */
    if (ev->is_stored && !ev->is_recheck && (!rests || (s->flags & STEP_FLAG_SIGNALLED)))
        return ANSWER_NOTHING;
    c->r->version++;
    s->flags |= STEP_FLAG_SIGNALLED | STEP_FLAG_SIGNALS;
    if (rests) {
        s->state = STATE_READY;
        s->due_ms = 0;
    }
    if (rests && !ev->is_recheck) {
        s->flags = (uint8_t)(s->flags & ~STEP_FLAG_HELD);
        s->party = PARTY_NONE;
    }
    c->out->mail_session = c->r->session;
    return ANSWER_OK;
}

static enum transition_answer cancel(struct change *c)
{
    struct record *r = c->r;
    if (r->flags & RECORD_IS_CANCELLED)
        return ANSWER_NOTHING;
    r->version++;
    r->flags |= RECORD_IS_CANCELLED;
    for (size_t i = 0; i < r->step_count; i++)
        if (!step_state_is_over(r->steps[i].state) && r->steps[i].state != STATE_ACTIVE)
            end_step(c, i, STATE_CANCELLED, PARTY_NONE);
    c->out->mail_session = r->session;
    return ANSWER_OK;
}

static enum transition_answer set_paused(struct change *c, bool is_paused)
{
    struct record *r = c->r;
    if (r->flags & RECORD_IS_CANCELLED)
        return ANSWER_CONFLICT;
    if (((r->flags & RECORD_IS_PAUSED) != 0) == is_paused)
        return ANSWER_NOTHING;
    r->version++;
    r->flags ^= RECORD_IS_PAUSED;
    if (!is_paused)
        promote_due(c);
    c->out->mail_session = r->session;
    return ANSWER_OK;
}

/* Gives whether the step moved. */
static bool redrive_step(struct change *c, size_t i)
{
    struct record_step *s = &c->r->steps[i];
    if (s->state == STATE_FAILED || s->state == STATE_DEAD) {
        s->attempts = 0;
        s->crashes = 0;
        s->flags &= STEP_FLAG_RELEASED;
        c->out->cleared |= 1ULL << i;
    } else if (s->state == STATE_WAITING || s->state == STATE_DELAYED) {
        s->flags = (uint8_t)(s->flags & ~STEP_FLAG_HELD);
    } else {
        return false;
    }
    s->state = STATE_READY;
    s->due_ms = 0;
    s->party = PARTY_NONE;
    return true;
}

static enum transition_answer redrive(struct change *c)
{
    const struct transition_event *ev = c->ev;
    struct record *r = c->r;
    bool moved = false;
    if ((r->flags & RECORD_IS_CANCELLED) || ev->step >= r->step_count)
        return ANSWER_CONFLICT;
    for (size_t i = 0; i < r->step_count; i++)
        if (ev->step < 0 || (size_t)ev->step == i)
            moved |= redrive_step(c, i);
    if (!moved) {
        bool is_on_its_way = ev->step < 0 || step_state_is_live(r->steps[ev->step].state);
        return is_on_its_way ? ANSWER_NOTHING : ANSWER_CONFLICT;
    }
    r->version++;
    c->out->mail_session = r->session;
    return ANSWER_OK;
}

static enum transition_answer promote(struct change *c)
{
    c->r->version++;
    promote_due(c);
    return ANSWER_OK;
}

static enum transition_answer undo(struct change *c)
{
    enum transition_answer answer = undo_turn(c->r, c->dag, c->ev, c->out);
    if (answer == ANSWER_OK)
        c->dag = c->ev->undo_dag; /* all that is derived follows the new shape */
    return answer;
}

static enum transition_answer apply(struct change *c, enum transition_place was)
{
    if (was == PLACE_TERMINAL && c->ev->kind >= TRANSITION_SIGNAL && c->ev->kind < TRANSITION_PROMOTE)
        if (!(c->ev->kind == TRANSITION_CANCEL && c->r->state == IMPORT_CANCELLED) &&
            !(c->ev->kind == TRANSITION_SIGNAL && c->ev->is_stored))
            return ANSWER_CONFLICT;
    switch (c->ev->kind) {
    case TRANSITION_CLAIM:
        return claim(c, was);
    case TRANSITION_FINISH:
        return finish(c);
    case TRANSITION_NUDGE:
        return nudge(c);
    case TRANSITION_REAP:
        return lose_hold(c, true);
    case TRANSITION_RELEASE:
        return lose_hold(c, false);
    case TRANSITION_SIGNAL:
        return signal_step(c);
    case TRANSITION_CANCEL:
        return cancel(c);
    case TRANSITION_PAUSE:
        return set_paused(c, true);
    case TRANSITION_RESUME:
        return set_paused(c, false);
    case TRANSITION_REDRIVE:
        return redrive(c);
    case TRANSITION_PROMOTE:
        return was == PLACE_DUE ? promote(c) : ANSWER_NOTHING;
    case TRANSITION_UNDO:
        return undo(c);
    }
    return ANSWER_NOTHING;
}

int transition(struct record *r, const struct dag *dag, const struct transition_event *ev,
               struct transition_effects *ret)
{
    struct change c = {.r = r, .dag = dag, .ev = ev, .out = ret, .now_ms = ev->now_us / 1000};
    ASSERT(dag->step_count == r->step_count);
    *ret = (struct transition_effects){0};
    enum transition_place was = record_place(r, &ret->due_ms);
    ret->answer = apply(&c, was);
    if (ret->answer != ANSWER_OK) {
        ret->place = was;
        return 1;
    }
    settle(&c, was);
    r->stamp = ev->stamp;
    return 0;
}
