#include "swap_model.h"

#include <string.h>

struct rules rules = {true, true, true, false, true, true, true, true, true, true, true, true, true, false};

int record_next_step(const struct record *record)
{
    for (int i = 0; i < STEPS; i++)
        if (record->step[i] != STEP_DONE)
            return i;
    return STEPS;
}

static bool is_hold(const struct record *record, const struct turn *turn)
{
    return record->fence == turn->record.fence && (!rules.nonce || record->nonce == turn->record.nonce);
}

/* The hold goes on with what became ready, unless the import is cancelled. */
static void go_on(struct record *record)
{
    int next = record_next_step(record);
    if (next == STEPS || record->is_cancelled) {
        record->holder = 0;
        return;
    }
    record->step[next] = STEP_ACTIVE;
    record->claimed[next] = record->version;
}

/* The rule of the `server` form, which the holder uses too. It leaves the stamp to whoever writes. `is_stored`: the
 * ledger line of this very SAVE is there. */
enum verdict record_decide(struct record *record, const struct turn *turn, bool is_stored)
{
    int i = turn->step;
    if (!is_hold(record, turn) || (rules.claimed && record->claimed[i] < turn->claimed))
        return STALE;
    if ((rules.claimed && record->claimed[i] > turn->claimed) || record->step[i] != STEP_ACTIVE)
        return turn->kind == SAVE && rules.over ? STALE : ALREADY; /* its call may leave when it is accepted */
    if (!record->holder)
        return STALE;
    if (turn->line && turn->line != record->lines[i] + 1)
        return turn->kind == SAVE && turn->line <= record->lines[i] && is_stored ? ALREADY : STALE;
    record->version++;
    if (turn->line)
        record->lines[i] = turn->line;
    if (turn->kind == SAVE)
        return ACCEPTED;
    record->step[i] = turn->kind == FINISH ? STEP_DONE : STEP_OPEN;
    if (turn->kind == RETRY)
        record->attempts++;
    go_on(record);
    return ACCEPTED;
}

void record_claim(struct record *record, uint8_t holder, uint8_t nonce, uint8_t stamp)
{
    record->holder = holder;
    record->fence++;
    record->nonce = nonce;
    record->version++;
    record->stamp = stamp;
    for (int i = 0; i < STEPS && rules.nonce; i++)
        record->claimed[i] = 0; /* tokens of earlier holds are told by their nonce */
    go_on(record);
}

void record_free(struct record *record, uint8_t stamp)
{
    record->holder = 0;
    record->fence++;
    record->version++;
    record->stamp = stamp;
    for (int i = 0; i < STEPS; i++)
        if (record->step[i] == STEP_ACTIVE)
            record->step[i] = record->claimed[i] = 0;
}

void record_cancel(struct record *record, uint8_t stamp)
{
    record->is_cancelled = 1;
    record->version++;
    record->stamp = stamp;
}

void record_note(struct record *record, uint8_t stamp)
{
    record->note = 1;
    record->version++;
    record->stamp = stamp;
}

static bool is_same_head(const struct record *record, const struct turn *turn)
{
    return is_hold(record, turn) &&
           (!rules.compare || (record->version == turn->version && (!rules.stamp || record->stamp == turn->stamp)));
}

/* What no record may do from one write to the next, whoever writes. */
static enum fault fault_between(const struct record *before, const struct record *after)
{
    for (int i = 0; i < STEPS; i++)
        if (before->step[i] == STEP_DONE && after->step[i] != STEP_DONE)
            return FAULT_KEPT;
    if (!before->is_cancelled)
        return NO_FAULT;
    if (!after->is_cancelled)
        return FAULT_LOST;
    for (int i = 0; i < STEPS; i++)
        if (after->step[i] == STEP_ACTIVE &&
            (before->step[i] != STEP_ACTIVE || before->claimed[i] != after->claimed[i]))
            return FAULT_STARTED;
    return NO_FAULT;
}

static enum verdict swap(struct record *record, const struct turn *turn, bool is_stored, enum fault *ret_fault)
{
    struct record before = *record, would = *record;
    enum verdict verdict = record_decide(&would, turn, is_stored);
    *record = turn->record;
    record->fence = before.fence;
    record->nonce = before.nonce;
    record->version = (uint8_t)(before.version + 1);
    would.stamp = record->stamp;
    *ret_fault = fault_between(&before, record);
    if (*ret_fault == NO_FAULT && (verdict != ACCEPTED || memcmp(&would, record, sizeof would) != 0))
        *ret_fault = FAULT_EQUAL;
    return ACCEPTED;
}

enum verdict script_turn(struct db *db, const struct turn *turn, uint8_t stamp, enum fault *ret_fault)
{
    struct record before = db->record;
    const struct intent *known = &db->intent[turn->step];
    bool is_stored = known->is_open && known->nonce == turn->record.nonce && (!rules.lines || known->age == turn->age);
    bool is_swap = is_same_head(&db->record, turn);
    enum verdict verdict =
        is_swap ? swap(&db->record, turn, is_stored, ret_fault) : record_decide(&db->record, turn, is_stored);
    if (verdict == ACCEPTED && !is_swap)
        db->record.stamp = stamp;
    if (verdict == ACCEPTED && turn->kind == SAVE)
        db->intent[turn->step] = (struct intent){1, turn->record.nonce, turn->age};
    if (!is_swap)
        *ret_fault = fault_between(&before, &db->record);
    return verdict;
}
