/* What people decide, at every state; and who gets how much: caps and fairness. The audit runs after each test. */
#include "tests/integration/queue/life.h"

#include <string.h>

/* ---- Decisions at every state
 * ------------------------------------------------------------------------------------------ */
/* Brings step 0 of a fresh import into a state. The import stays with S1 where that state needs a holder. */
static const char *import_in(enum step_state state)
{
    const char *id = import_new(state == STATE_BLOCKED ? "0w 1w" : "0 1:0");
    if (state == STATE_READY)
        return id;
    struct queue_held h = claim_one(S1, id);
    struct queue_item it = rig_item(&h, 0, OUTCOME_DONE);
    it.delay_ms = 1000000;
    it.party = PARTY_CUSTOMER;
    switch (state) {
    case STATE_DELAYED:
        it.outcome = OUTCOME_RETRY;
        break;
    case STATE_WAITING:
        it.outcome = OUTCOME_WAIT;
        it.task = "{\"title\":\"t\"}";
        break;
    case STATE_FAILED:
        it.outcome = OUTCOME_FAIL;
        break;
    case STATE_DONE:
        break;
    default: /* PENDING and BLOCKED are step 1 of it, ACTIVE is itself */
        return id;
    }
    (void)send_one(S1, it, ACK_OK);
    return id;
}

static void cancel_wins_at_every_state(void)
{
    static const enum step_state states[] = {STATE_PENDING, STATE_READY,   STATE_BLOCKED, STATE_ACTIVE,
                                             STATE_DELAYED, STATE_WAITING, STATE_FAILED,  STATE_DONE};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        const char *id = import_in(states[i]);
        bool is_held = rig_record(id).session != 0;
        struct rig_turn t;
        CHECK_OK(rig_decide(queue_cancel, id));
        struct record r = rig_record(id);
        CHECK((r.state == IMPORT_CANCELLED) == !is_held);
        CHECK_OK(rig_turn(S1, 4, NULL, 0, &t));
        CHECK(t.claim_count == 0 && t.mail_count == is_held);
        rig_audit();
        CHECK_ERR(rig_redrive(id, -1), ERR_STATE_CONFLICT);
        CHECK_ERR(rig_decide(queue_pause, id), ERR_STATE_CONFLICT);
        CHECK(rig_number("ZCARD f:{0}:tasks") == 0);
        put_away(id);
        CHECK(rig_record(id).state == IMPORT_CANCELLED);
    }
}

/* Active steps are told by mail, finish with all they write, and end CANCELLED. */
static void what_an_active_step_finishes_after_cancel_is_recorded(void)
{
    const char *id = import_new("0 1:0");
    struct queue_held h = claim_one(S1, id);
    CHECK_OK(rig_decide(queue_cancel, id));
    struct queue_item it = rig_item(&h, 0, OUTCOME_SAVE);
    it.journal = "{\"seq\":0,\"intent\":1}";
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.steps[0].state == STATE_ACTIVE && h.record.session == S1);
    it.outcome = OUTCOME_DONE;
    it.result = "{\"made\":1}";
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.steps[0].state == STATE_CANCELLED && h.record.state == IMPORT_CANCELLED && !h.record.session);
    json_auto_t *get = rig_get(id);
    CHECK(json_int_at(get, "steps.0.result.made") == 1 && !json_bool_at(get, "has_credential"));
    rig_audit();
}

static void pause_starts_nothing_and_resume_goes_on(void)
{
    static const enum step_state states[] = {STATE_PENDING, STATE_READY,   STATE_BLOCKED, STATE_ACTIVE,
                                             STATE_DELAYED, STATE_WAITING, STATE_FAILED,  STATE_DONE};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        const char *id = import_in(states[i]);
        struct rig_turn t;
        CHECK_OK(rig_decide(queue_pause, id));
        CHECK_OK(rig_decide(queue_pause, id));
        CHECK(rig_record(id).state == IMPORT_PAUSED && rig_record(id).party == PARTY_OPERATOR);
        rig_clock_add(2000000);
        CHECK_OK(rig_session(S1, 1000000));
        CHECK_OK(rig_turn(S1, 4, NULL, 0, &t));
        CHECK(t.claim_count == 0);
        rig_audit();
        CHECK_OK(rig_decide(queue_resume, id));
        CHECK(rig_record(id).state != IMPORT_PAUSED);
        rig_audit();
        CHECK_OK(rig_turn(S1, 4, NULL, 0, &t));
        CHECK(t.claim_count == (states[i] == STATE_READY || states[i] == STATE_DELAYED || states[i] == STATE_WAITING));
        put_away(id);
    }
}

static void redrive_moves_what_failed_or_rests(void)
{
    static const struct {
        enum step_state state;
        enum err_code code;
    } cases[] = {{STATE_READY, ERR_NONE},   {STATE_ACTIVE, ERR_NONE}, {STATE_DELAYED, ERR_NONE},
                 {STATE_WAITING, ERR_NONE}, {STATE_FAILED, ERR_NONE}, {STATE_DONE, ERR_STATE_CONFLICT}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *id = import_in(cases[i].state);
        CHECK_ERR(rig_redrive(id, 0), cases[i].code);
        if (cases[i].code)
            CHECK(strstr(rig_text, "DONE"));
        if (cases[i].state >= STATE_DELAYED && cases[i].state != STATE_DONE)
            CHECK(rig_record(id).steps[0].state == STATE_READY && rig_record(id).party == PARTY_NONE);
        if (cases[i].state == STATE_FAILED)
            CHECK(rig_record(id).steps[0].attempts == 0);
        rig_audit();
        put_away(id);
    }
}

static void retries_end_and_a_hold_waits_for_its_decision(void)
{
    const char *id = import_new("0 1:0");
    struct queue_held h = claim_one(S1, id);
    for (int i = 1; i <= 3; i++) {
        struct queue_item it = rig_item(&h, 0, OUTCOME_RETRY);
        it.error = "{\"code\":\"aws.throttled\"}";
        it.delay_ms = 1;
        h = send_one(S1, it, ACK_OK);
        CHECK(h.record.steps[0].state == (i < 3 ? STATE_DELAYED : STATE_FAILED));
        rig_clock_add(1);
        if (i < 3)
            h = claim_one(S1, id);
    }
    CHECK(h.record.state == IMPORT_FAILED && h.record.party == PARTY_OPERATOR);
    CHECK_OK(rig_redrive(id, -1));
    CHECK(rig_number("HEXISTS f:{0}:h %s/0#", id) == 0);
    h = claim_one(S1, id);
    CHECK_OK(rig_signal(id, -1, "recheck", "{}"));
    struct queue_item it = rig_item(&h, 0, OUTCOME_HOLD);
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.state == IMPORT_HELD && h.record.party == PARTY_OPERATOR && h.record.session == 0);
    CHECK_ERR(rig_signal(id, 1, "bad", "{}"), ERR_FIELD_INVALID);
    CHECK_OK(rig_signal(id, -1, "accept", "{\"by\":\"ann\",\"reason\":\"agreed\"}"));
    h = claim_one(S1, id);
    CHECK(h.record.state == IMPORT_RUNNING && !(h.record.steps[0].flags & STEP_FLAG_HELD));
    put_away(id);
}

static void rest(const struct queue_held *h)
{
    struct queue_item it = rig_item(h, 0, OUTCOME_WAIT);
    it.delay_ms = 1000000;
    (void)send_one(S1, it, ACK_OK);
}

/* A word was read, and its step looks again: another word is kept or refused, never lost under a kind answer. */
static void another_word_is_never_lost(void)
{
    static const char first[] = "{\"by\":\"ann\"}", other[] = "{\"by\":\"bob\"}";
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    rest(&h);
    CHECK_OK(rig_signal(id, 0, "done", first));
    h = claim_one(S1, id);                      /* reads it */
    CHECK_OK(rig_signal(id, 0, "done", first)); /* the same again is no other word */
    CHECK_ERR(rig_signal(id, 0, "done", other), ERR_STATE_CONFLICT);
    rest(&h);
    CHECK_OK(rig_signal(id, 0, "done", other));
    json_auto_t *get = rig_get(id);
    CHECK(str_eq(json_str_at(get, "steps.0.signals.done.by"), "bob"));
    put_away(id);
}

/* The signal comes while the step looks and is about to say WAIT: it must not be slept over. */
static void a_signal_in_the_moment_of_waiting_is_not_lost(void)
{
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    struct rig_turn t;
    CHECK_OK(rig_signal(id, 0, "done", "{\"by\":\"ann\"}"));
    CHECK_OK(rig_turn(S1, 0, NULL, 0, &t));
    CHECK(t.mail_count == 1 && str_eq(t.mail[0], id));
    struct queue_item it = rig_item(&h, 0, OUTCOME_WAIT);
    it.delay_ms = 1000000;
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.steps[0].state == STATE_ACTIVE); /* looked at again at once */
    struct queue_item nudge = {.outcome = OUTCOME_NUDGE, .import_id = id};
    (void)send_one(S1, nudge, ACK_OK);
    CHECK_OK(rig_turn(S1, 0, NULL, 0, &t));
    CHECK(t.mail_count == 0); /* the nudge took the mail away */
    h = send_one(S1, rig_item(&h, 0, OUTCOME_WAIT), ACK_OK);
    put_away(id);
}

static void decisions_make_one_chain(void)
{
    const char *id = import_new("0");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(rig_decide(queue_pause, id));
        CHECK_OK(rig_decide(queue_resume, id));
    }
    json_auto_t *get = rig_get(id);
    CHECK(json_int_at(get, "ledger_count") == 6);
    put_away(id);
}

/* ---- Caps and fairness ----------------------------------------------------------------------------------------------
 */
static void one_writer_four_readers_five_in_all(void)
{
    const char *id = import_new("0w 1w 2r 3r 4r 5r 6r 7 8");
    struct queue_held h = claim_one(S1, id);
    unsigned active = 0, blocked = 0;
    for (unsigned i = 0; i < 9; i++) {
        active += h.record.steps[i].state == STATE_ACTIVE;
        blocked += h.record.steps[i].state == STATE_BLOCKED;
    }
    CHECK(active == 5 && blocked == 4 && h.record.writers == 1 && h.record.readers == 4);
    h = send_one(S1, rig_item(&h, 2, OUTCOME_DONE), ACK_OK);
    CHECK(h.record.writers == 1 && h.record.readers == 4 && h.record.steps[6].state == STATE_ACTIVE);
    CHECK(h.record.steps[1].state == STATE_BLOCKED);
    put_away(id);
}

/* Ten small imports among thirty long ones, all of one step at a time: after equal turns each had its share. */
static void starts_are_shared_equally(void)
{
    enum { COUNT = 40, LENGTH = 30 };
    char shape[256] = "0", ids[COUNT][IMPORT_ID_BYTES], account[32], existing[IMPORT_ID_BYTES];
    unsigned starts[COUNT] = {0}, low = 1000, high = 0;
    for (int i = 1; i < LENGTH; i++)
        (void)snprintf(shape + strlen(shape), sizeof shape - strlen(shape), " %d:%d", i, i - 1);
    struct dag dag = rig_dag(shape);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "imp_00fair%u", i);
        (void)snprintf(account, sizeof account, "aws/fair%u", i);
        CHECK_OK(rig_submit(ids[i], account, &dag, NULL, existing));
    }
    struct queue_item items[4];
    struct rig_turn t;
    size_t count = 0;
    for (int turn = 0; turn < 220; turn++) {
        struct queue_held held[8];
        size_t n = 0;
        CHECK_OK(rig_turn(S1, 4 - (uint32_t)count, items, count, &t));
        for (size_t i = 0; i < t.item_count; i++)
            if (t.items[i].record.session == S1)
                held[n++] = t.items[i];
        for (size_t i = 0; i < t.claim_count; i++)
            held[n++] = t.claims[i];
        for (count = 0; count < n && count < 4; count++) {
            unsigned k = (unsigned)strtoul(held[count].import_id + 10, NULL, 10), step = 0;
            while (held[count].record.steps[step].state != STATE_ACTIVE)
                step++;
            items[count] = rig_item(&held[count], step, OUTCOME_DONE);
            items[count].import_id = ids[k];
            starts[k]++;
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        low = starts[i] < low ? starts[i] : low;
        high = starts[i] > high ? starts[i] : high;
    }
    (void)printf("  starts per import: %u to %u, quantum %d\n", low, high, TRANSITION_QUANTUM);
    CHECK(high - low <= TRANSITION_QUANTUM);
    rig_audit();
    CHECK_OK(rig_session_close(S1));
    CHECK_OK(rig_session(S1, 1000000));
    for (unsigned i = 0; i < COUNT; i++)
        CHECK_OK(rig_decide(queue_cancel, ids[i]));
    rig_audit();
}

static void on_fail_continue_goes_on_and_may_still_be_redriven(void)
{
    const char *id = import_new("0c 1:0 2:1");
    struct queue_held h = claim_one(S1, id);
    h = send_one(S1, rig_item(&h, 0, OUTCOME_FAIL), ACK_OK);
    CHECK(h.record.steps[0].state == STATE_FAILED && h.record.steps[1].state == STATE_ACTIVE &&
          h.record.remaining == 2);
    CHECK_OK(rig_redrive(id, 0));
    h = send_one(S1, rig_item(&h, 1, OUTCOME_DONE), ACK_OK);
    CHECK(h.record.steps[0].state == STATE_ACTIVE && h.record.steps[2].state == STATE_ACTIVE &&
          h.record.remaining == 2);
    rig_audit();
    h = send_one(S1, rig_item(&h, 0, OUTCOME_FAIL), ACK_OK);
    h = send_one(S1, rig_item(&h, 2, OUTCOME_DONE), ACK_OK);
    CHECK(h.record.state == IMPORT_COMPLETED && h.record.steps[0].state == STATE_FAILED);
    rig_audit();
}

int main(void)
{
    rig_start("appendonly no", 1, true);
    rig_open(true);
    CHECK_OK(rig_session(S1, 1000000));
    CHECK_OK(rig_session(S2, 1000000));
    RUN(cancel_wins_at_every_state);
    RUN(what_an_active_step_finishes_after_cancel_is_recorded);
    RUN(pause_starts_nothing_and_resume_goes_on);
    RUN(redrive_moves_what_failed_or_rests);
    RUN(retries_end_and_a_hold_waits_for_its_decision);
    RUN(another_word_is_never_lost);
    RUN(a_signal_in_the_moment_of_waiting_is_not_lost);
    RUN(decisions_make_one_chain);
    RUN(one_writer_four_readers_five_in_all);
    RUN(starts_are_shared_equally);
    RUN(on_fail_continue_goes_on_and_may_still_be_redriven);
    rig_stop();
    return 0;
}
