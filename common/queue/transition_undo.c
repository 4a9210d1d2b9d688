/* Undo: a record turned round. The same steps, in the order of another shape, each to be taken back by its own worker
 * code. What may be taken back is what ever started; the rest is skipped.
 *
 *   forward run --UNDO--> STOPPING (steps at work come to their end, nothing starts) --> the undo's steps run
 *
 * A step's claim_version tells whether it ever started: it outlives redrive, cancel and the restored attempts of waits.
 * The same rules are in common/redis/scripts/fleet. */
#include "common/queue/transition.h"

static bool undo_fits(const struct dag *dag, const struct dag *undo)
{
    if (!undo || undo->step_count != dag->step_count)
        return false;
    for (size_t i = 0; i < dag->step_count; i++)
        if (undo->steps[i].class_ != dag->steps[i].class_) /* the caps are counted by class while both are at work */
            return false;
    return true;
}

void undo_rewind_step(struct record_step *s)
{
    s->state = s->deps ? STATE_PENDING : STATE_READY;
    s->attempts = s->crashes = s->flags = s->party = 0;
    s->due_ms = 0;
}

static void turn_step(struct record_step *s, bool is_wanted)
{
    if (s->state == STATE_ACTIVE) {
        s->flags &= STEP_FLAG_TASK;
        return;
    }
    s->deps = 0;
    undo_rewind_step(s);
    s->state = is_wanted ? STATE_PENDING : STATE_SKIPPED;
}

static void count_deps(struct record *r, const struct dag *undo)
{
    for (size_t i = 0; i < r->step_count; i++) {
        struct record_step *s = &r->steps[i];
        if (s->state == STATE_SKIPPED)
            continue;
        s->deps = 0;
        for (size_t k = 0; k < undo->steps[i].needs_count; k++)
            s->deps = (uint8_t)(s->deps + (r->steps[undo->steps[i].needs[k]].state != STATE_SKIPPED));
        if (s->state == STATE_PENDING && !s->deps)
            s->state = STATE_READY;
    }
}

enum transition_answer undo_turn(struct record *r, const struct dag *dag, const struct transition_event *ev,
                                 struct transition_effects *out)
{
    unsigned flags = r->flags & ~(unsigned)(RECORD_IS_PAUSED | RECORD_IS_CANCELLED | RECORD_IS_STOPPING);
    if ((r->flags & RECORD_IS_UNDOING) && !(r->flags & RECORD_IS_CANCELLED))
        return ANSWER_NOTHING;
    if (!undo_fits(dag, ev->undo_dag))
        return ANSWER_CONFLICT;
    r->version++;
    for (size_t i = 0; i < r->step_count; i++) {
        struct record_step *s = &r->steps[i];
        out->cleared |= 1ULL << i;
        if (s->state == STATE_ACTIVE)
            flags |= RECORD_IS_STOPPING;
        else if (s->flags & STEP_FLAG_TASK)
            out->closed |= 1ULL << i;
        turn_step(s, s->claim_version || (ev->again >> i & 1));
    }
    count_deps(r, ev->undo_dag);
    r->dag = dag_hash(ev->undo_dag);
    r->flags = (uint8_t)(flags | RECORD_IS_UNDOING);
    out->mail_session = r->session;
    return ANSWER_OK;
}
