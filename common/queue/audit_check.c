/* What must be true of one import (I1-I14 of README.md); pure. */
#include "common/queue/audit_private.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

void audit_fault(json_t *faults, const char *invariant, const char *id, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)json_array_append_new(faults, json_sprintf("%s: %s: %s", invariant, id, text));
}

static bool is_over(const struct record_step *s)
{
    return s->state == STATE_DONE || s->state == STATE_CANCELLED || s->state == STATE_SKIPPED;
}

/* I1: exactly one place, with the right score. */
static void check_place(const struct audit_import *im, json_t *faults)
{
    uint64_t due_ms;
    enum transition_place place = record_place(&im->record, &due_ms);
    bool waits_in_group = place == PLACE_RING && im->record.group;
    int64_t ring = place == PLACE_RING && !waits_in_group ? (int64_t)im->record.vt : -1;
    int64_t due = place == PLACE_DUE ? (int64_t)due_ms : -1;
    if (im->ring != ring)
        audit_fault(faults, "I1", im->id, "its place in the ring is %lld, not %lld", (long long)im->ring,
                    (long long)ring);
    if (im->is_in_queue != waits_in_group)
        audit_fault(faults, "I1", im->id, "its group's queue %s it at %llu", waits_in_group ? "lacks" : "has",
                    (unsigned long long)im->record.vt);
    if (im->due != due)
        audit_fault(faults, "I1", im->id, "its timer is %lld, not %lld", (long long)im->due, (long long)due);
    if (im->is_in_own != (place == PLACE_OWN) || im->is_in_other_own)
        audit_fault(faults, "I1", im->id, "held by the wrong session, or by none");
    if (place == PLACE_OWN && !im->session_lives)
        audit_fault(faults, "I8", im->id, "its session has no deadline");
    if (im->all != (int64_t)im->record.created_ms)
        audit_fault(faults, "I1", im->id, "not listed under its time of creation");
    for (int s = 0; s < IMPORT_STATE_COUNT; s++) {
        int64_t want = s == im->record.state ? (int64_t)im->record.since_ms : -1;
        if (im->ix[s] != want)
            audit_fault(faults, "I1", im->id, "index of %s says %lld, not %lld",
                        import_state_name((enum import_state)s), (long long)im->ix[s], (long long)want);
    }
}

/* I5, I7: what a step waits for. */
static void check_needs(const struct audit_import *im, size_t i, json_t *faults)
{
    const struct record_step *s = &im->record.steps[i];
    const struct dag_step *d = &im->dag.steps[i];
    unsigned open = 0;
    if (s->state == STATE_CANCELLED || s->state == STATE_SKIPPED)
        return;
    for (size_t k = 0; k < d->needs_count; k++) {
        const struct record_step *need = &im->record.steps[d->needs[k]];
        open += !is_over(need) && !(need->flags & STEP_FLAG_RELEASED);
    }
    if (s->deps != open)
        audit_fault(faults, "I7", im->id, "step %zu counts %u open predecessors, there are %u", i, s->deps, open);
    /* A step of the forward run that comes to its end knows already what it waits for in the undo. */
    bool is_turning = s->state == STATE_ACTIVE && (im->record.flags & RECORD_IS_STOPPING);
    if (!is_turning && (s->state == STATE_PENDING) != (s->deps > 0))
        audit_fault(faults, "I5", im->id, "step %zu is %s with %u open predecessors", i, step_state_name(s->state),
                    s->deps);
}

static void check_step(const struct audit_import *im, size_t i, json_t *faults)
{
    const struct record *r = &im->record;
    const struct record_step *s = &r->steps[i];
    bool rests = s->state == STATE_DELAYED || s->state == STATE_WAITING;
    bool has_task = (s->flags & STEP_FLAG_TASK) != 0;
    check_needs(im, i, faults);
    if (rests && !s->due_ms && !(s->flags & STEP_FLAG_HELD))
        audit_fault(faults, "I8", im->id, "step %zu waits without an end", i);
    if (!rests && s->due_ms)
        audit_fault(faults, "I8", im->id, "step %zu has a timer and is %s", i, step_state_name(s->state));
    if (s->state == STATE_ACTIVE && (!r->session || !s->claim_version || s->claim_version > r->version))
        audit_fault(faults, "I2", im->id, "step %zu is active without a holder", i);
    if (s->state == STATE_BLOCKED && !r->session)
        audit_fault(faults, "I6", im->id, "step %zu is blocked and nothing runs", i);
    if (step_state_is_live(s->state) && s->crashes >= TRANSITION_CRASHES_MAX)
        audit_fault(faults, "I11", im->id, "step %zu crashed %u times and still lives", i, s->crashes);
    if ((r->flags & RECORD_IS_CANCELLED) && !is_over(s) && s->state != STATE_ACTIVE)
        audit_fault(faults, "I10", im->id, "step %zu is %s in a cancelled import", i, step_state_name(s->state));
    if (has_task != im->has_task_text[i] || has_task != (im->task[i] >= 0) ||
        (has_task && !step_state_is_live(s->state)))
        audit_fault(faults, "I1", im->id, "task of step %zu: flag %d, text %d, listed %d, %s", i, has_task,
                    im->has_task_text[i], im->task[i] >= 0, step_state_name(s->state));
}

static void check_counts(const struct audit_import *im, json_t *faults)
{
    const struct record *r = &im->record;
    unsigned active = 0, writers = 0, readers = 0, remaining = 0;
    enum blocking_party party;
    for (size_t i = 0; i < r->step_count; i++) {
        bool is_active = r->steps[i].state == STATE_ACTIVE;
        active += is_active;
        writers += is_active && im->dag.steps[i].class_ == DAG_WRITER;
        readers += is_active && im->dag.steps[i].class_ == DAG_READER;
        remaining += record_step_counts(&r->steps[i], &im->dag.steps[i]);
    }
    if (r->writers != writers || r->readers != readers || writers > TRANSITION_WRITERS_MAX ||
        readers > TRANSITION_READERS_MAX || active > TRANSITION_ACTIVE_MAX)
        audit_fault(faults, "I6", im->id, "%u writers and %u readers of %u run, the record says %u and %u", writers,
                    readers, active, r->writers, r->readers);
    if (r->remaining != remaining)
        audit_fault(faults, "I5", im->id, "%u steps remain, the record says %u", remaining, r->remaining);
    if ((r->session != 0) != (active > 0))
        audit_fault(faults, "I2", im->id, "session %d with %u active steps", r->session != 0, active);
    if ((r->flags & RECORD_IS_STOPPING) && (!active || !(r->flags & RECORD_IS_UNDOING)))
        audit_fault(faults, "I5", im->id, "an undo waits for steps at work, and there are none");
    if (r->session && (!r->nonce || !r->fence))
        audit_fault(faults, "I3", im->id, "held without a fence");
    enum import_state state = record_derive(r, &im->dag, &party);
    if (r->state != state || r->party != party)
        audit_fault(faults, "I5", im->id, "is %s (%s), should be %s (%s)", import_state_name(r->state),
                    party_name(r->party), import_state_name(state), party_name(party));
}

void audit_check_import(const struct audit_import *im, json_t *faults)
{
    if (!im->has_record || !im->has_dag || im->dag.step_count != im->record.step_count) {
        audit_fault(faults, "I1", im->id, "no readable %s", im->has_record ? "playbook shape" : "record");
        return;
    }
    bool is_terminal = !im->record.remaining;
    check_place(im, faults);
    check_counts(im, faults);
    for (size_t i = 0; i < im->record.step_count; i++)
        check_step(im, i, faults);
    if (im->is_in_account == is_terminal)
        audit_fault(faults, "I6", im->id,
                    is_terminal ? "finished and still in its account's place" : "open and not in its account's place");
    if (is_terminal && im->has_credential)
        audit_fault(faults, "P8", im->id, "finished and still has a credential");
    if (im->has_differed)
        audit_fault(faults, "I2", im->id, "its holder computed a record that the rules do not give");
    audit_check_ledger(im, faults);
}

/* ---- I14: the chains of the ledger ----------------------------------------------------------------------------------
 */
struct chain {
    const char *step;
    int64_t n;
    char hash[65], fence[24];
};

static void check_line(const struct audit_import *im, json_t *line, struct chain *c, json_t *faults)
{
    char hash[65];
    AUTO_FREE char *said = mem_dup(json_str_at(line, "hash"));
    int64_t n = json_int_at(line, "n");
    const char *fence = json_str_at(line, "fence");
    (void)json_object_del(line, "hash");
    json_digest(line, hash);
    if (!str_eq(hash, said))
        audit_fault(faults, "I14", im->id, "line %lld of `%s` does not match its hash", (long long)n, c->step);
    if (n != c->n + 1 || !str_eq(json_str_at(line, "prev"), c->hash) || !str_eq(json_str_at(line, "step"), c->step))
        audit_fault(faults, "I14", im->id, "line %lld of `%s` does not follow line %lld", (long long)n, c->step,
                    (long long)c->n);
    if (strlen(fence) == strlen(c->fence) && strcmp(fence, c->fence) < 0)
        audit_fault(faults, "I3", im->id, "line %lld of `%s` has an older fence than the line before", (long long)n,
                    c->step);
    c->n = n;
    (void)snprintf(c->hash, sizeof c->hash, "%s", said);
    (void)snprintf(c->fence, sizeof c->fence, "%s", fence);
}

/* Gives the end of the chain. */
static struct chain check_chain(const struct audit_import *im, json_t *lines, json_t *faults)
{
    struct chain c = {.step = json_str_at(json_array_get(lines, 0), "step")};
    for (size_t i = 0; i < json_array_size(lines); i++)
        check_line(im, json_array_get(lines, i), &c, faults);
    return c;
}

void audit_check_ledger(const struct audit_import *im, json_t *faults)
{
    size_t steps = im->record.step_count;
    for (size_t i = 0; i < steps; i++) {
        struct chain c = check_chain(im, json_array_get(im->chains, i), faults);
        if (c.n != im->record.steps[i].lines)
            audit_fault(faults, "I14", im->id, "step %zu counts %u ledger lines, the last is %lld", i,
                        im->record.steps[i].lines, (long long)c.n);
    }
    struct chain decisions = check_chain(im, json_array_get(im->chains, steps), faults);
    const char *colon = strchr(im->decision_head, ':');
    if (!str_eq(decisions.hash, colon ? colon + 1 : ""))
        audit_fault(faults, "I14", im->id, "the end of the decision chain is not its last line");
}
