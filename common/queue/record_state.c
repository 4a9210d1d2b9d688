/* What follows from a record: where the import is kept, its state, who blocks it. Never stored twice, so never wrong.
 */
#include "common/queue/transition.h"

bool step_state_is_live(enum step_state s)
{
    return s == STATE_READY || s == STATE_BLOCKED || s == STATE_ACTIVE || s == STATE_DELAYED || s == STATE_WAITING;
}

bool step_state_is_over(enum step_state s)
{
    return s == STATE_DONE || s == STATE_CANCELLED || s == STATE_SKIPPED;
}

bool record_step_counts(const struct record_step *s, const struct dag_step *d)
{
    if (step_state_is_over(s->state))
        return false;
    return !((s->state == STATE_FAILED || s->state == STATE_DEAD) && d->on_fail == DAG_CONTINUE);
}

enum transition_place record_place(const struct record *r, uint64_t *ret_due_ms)
{
    uint64_t due_ms = 0;
    bool is_ready = false;
    *ret_due_ms = 0;
    if (!r->remaining)
        return PLACE_TERMINAL;
    if (r->session)
        return PLACE_OWN;
    if (r->flags & RECORD_IS_PAUSED)
        return PLACE_PARKED;
    for (size_t i = 0; i < r->step_count; i++) {
        const struct record_step *s = &r->steps[i];
        is_ready |= s->state == STATE_READY || s->state == STATE_BLOCKED;
        if ((s->state == STATE_DELAYED || s->state == STATE_WAITING) && s->due_ms && (!due_ms || s->due_ms < due_ms))
            due_ms = s->due_ms;
    }
    if (is_ready)
        return PLACE_RING;
    *ret_due_ms = due_ms;
    return due_ms ? PLACE_DUE : PLACE_PARKED;
}

/* An undo is `undoing` until it is undone (or paused): who blocks it is the party, as usual; nobody while it works. */
enum import_state record_derive(const struct record *r, const struct dag *dag, enum blocking_party *ret_party)
{
    bool is_held = false, works = false, waits = false;
    enum blocking_party waiting = PARTY_NONE, failed = PARTY_NONE;
    for (size_t i = 0; i < r->step_count; i++) {
        const struct record_step *s = &r->steps[i];
        if (step_state_is_live(s->state)) {
            is_held |= (s->flags & STEP_FLAG_HELD) != 0;
            works |= s->party == PARTY_NONE && s->state != STATE_WAITING;
            waits |= s->party != PARTY_NONE || s->state == STATE_WAITING;
            waiting = waiting ? waiting : s->party;
        } else if (s->state == STATE_FAILED || s->state == STATE_DEAD) {
            if (dag->steps[i].on_fail != DAG_CONTINUE)
                failed = failed ? failed : s->party;
        }
    }
    *ret_party = PARTY_NONE;
    if (!r->remaining)
        return r->flags & RECORD_IS_CANCELLED ? IMPORT_CANCELLED
               : r->flags & RECORD_IS_UNDOING ? IMPORT_UNDONE
                                              : IMPORT_COMPLETED;
    if (r->flags & RECORD_IS_CANCELLED)
        return IMPORT_RUNNING;
    bool is_undoing = (r->flags & RECORD_IS_UNDOING) != 0;
    *ret_party = PARTY_OPERATOR;
    if (r->flags & RECORD_IS_PAUSED)
        return IMPORT_PAUSED;
    if (is_held)
        return is_undoing ? IMPORT_UNDOING : IMPORT_HELD;
    *ret_party = PARTY_NONE;
    if (!(r->flags & RECORD_HAS_CLAIM) && !is_undoing)
        return IMPORT_ACCEPTED;
    if (works)
        return is_undoing ? IMPORT_UNDOING : IMPORT_RUNNING;
    *ret_party = waits ? waiting : failed ? failed : PARTY_OPERATOR;
    return is_undoing ? IMPORT_UNDOING : waits ? IMPORT_WAITING : IMPORT_FAILED;
}
