/* Undo in the queue: a record turned round, its account's place, what stays of the forward run. */
#include "tests/integration/queue/life.h"

#include <string.h>

#define FORWARD "0 1:0 2:1"
#define BACKWARD "0 1:0,2 2:0" /* 0 opens, then 2, then 1 */

static enum err_code undo(const char *id, uint64_t again)
{
    struct dag dag = rig_dag(BACKWARD);
    return rig_undo(id, &dag, again);
}

/* Everything that may start, one after the other, to the end. */
static void run_all(const char *id)
{
    for (int i = 0; i < 20 && rig_record(id).remaining; i++) {
        struct queue_held h = claim_one(S1, id);
        while (h.record.session) {
            unsigned step = 0;
            while (h.record.steps[step].state != STATE_ACTIVE)
                step++;
            struct queue_item it = rig_item(&h, step, OUTCOME_DONE);
            it.result = (h.record.flags & RECORD_IS_UNDOING) ? "{\"run\":\"undo\"}" : "{\"run\":\"forward\"}";
            h = send_one(S1, it, ACK_OK);
        }
    }
    CHECK(!rig_record(id).remaining);
    rig_audit();
}

static void a_finished_import_is_undone_once(void)
{
    const char *id = import_new(FORWARD);
    run_all(id);
    CHECK(rig_record(id).state == IMPORT_COMPLETED);
    CHECK_OK(undo(id, 0));
    struct record r = rig_record(id);
    CHECK(r.state == IMPORT_UNDOING && r.remaining == 3 && r.steps[0].state == STATE_READY && r.steps[1].deps == 2);
    rig_audit();
    CHECK_OK(undo(id, 0)); /* nothing changes */
    CHECK(rig_record(id).version == r.version);
    run_all(id);
    r = rig_record(id);
    CHECK(r.state == IMPORT_UNDONE);
    CHECK_OK(undo(id, 0));
    CHECK(rig_record(id).version == r.version);
    CHECK_ERR(rig_decide(queue_cancel, id), ERR_STATE_CONFLICT);
    json_auto_t *get = rig_get(id);
    CHECK(str_eq(json_str_at(get, "steps.1.result.run"), "forward") &&
          str_eq(json_str_at(get, "steps.1.undo.run"), "undo"));
    CHECK(rig_number("HEXISTS f:{0}:h %s:c", id) == 0);
}

static void only_what_ever_started_is_undone(void)
{
    const char *id = import_new(FORWARD);
    struct queue_held h = claim_one(S1, id);
    h = send_one(S1, rig_item(&h, 0, OUTCOME_DONE), ACK_OK);
    struct queue_item it = rig_item(&h, 1, OUTCOME_WAIT);
    it.delay_ms = 1000;
    h = send_one(S1, it, ACK_OK); /* gives its attempt back, and did start */
    CHECK(h.record.steps[1].attempts == 0);
    CHECK_OK(undo(id, 0));
    struct record r = rig_record(id);
    CHECK(r.steps[1].state == STATE_PENDING && r.steps[2].state == STATE_SKIPPED && r.remaining == 2);
    run_all(id);
    CHECK(rig_record(id).state == IMPORT_UNDONE);
    /* Steps of every undo run although they never started. */
    id = import_new(FORWARD);
    CHECK_OK(undo(id, 1U << 2));
    r = rig_record(id);
    CHECK(r.state == IMPORT_UNDOING && r.steps[2].state == STATE_READY && r.remaining == 1);
    run_all(id);
    /* Nothing at all: undone at once, and the account is free. */
    id = import_new(FORWARD);
    CHECK_OK(undo(id, 0));
    CHECK(rig_record(id).state == IMPORT_UNDONE);
    rig_audit();
}

static void what_runs_ends_first_and_tells_of_the_forward_run(void)
{
    const char *id = import_new("0 1 2:1");
    struct queue_held h = claim_one(S1, id);
    CHECK_OK(rig_signal(id, 2, "done", "{\"by\":\"ann\"}"));
    CHECK_OK(undo(id, 1));
    struct record r = rig_record(id);
    CHECK(r.state == IMPORT_UNDOING && r.party == PARTY_NONE && (r.flags & RECORD_IS_STOPPING) && r.session == S1);
    CHECK(r.steps[1].state == STATE_ACTIVE && r.steps[1].deps == 1 && r.steps[2].state == STATE_SKIPPED);
    rig_audit();
    CHECK_ERR(rig_signal(id, 0, "done", "{\"by\":\"ann\"}"), ERR_STATE_CONFLICT);
    struct rig_turn t;
    CHECK_OK(rig_turn(S1, 1, NULL, 0, &t));
    CHECK(t.mail_count == 1 && t.claim_count == 0);
    struct queue_item it = rig_item(&h, 1, OUTCOME_DONE);
    it.result = "{\"run\":\"forward\"}";
    it.journal = "{\"made\":1}";
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.steps[1].state == STATE_PENDING && h.record.steps[0].state == STATE_ACTIVE &&
          h.record.session == S1);
    it = rig_item(&h, 0, OUTCOME_FAIL);
    it.error = "{\"code\":\"x\"}";
    it.task = "{\"title\":\"x\"}";
    h = send_one(S1, it, ACK_OK);
    CHECK(!h.record.session && !(h.record.flags & RECORD_IS_STOPPING) && h.record.steps[0].state == STATE_READY);
    rig_audit();
    json_auto_t *get = rig_get(id);
    CHECK(str_eq(json_str_at(get, "steps.1.result.run"), "forward") && json_is_null(json_at(get, "steps.1.undo")));
    CHECK(json_is_null(json_at(get, "steps.0.error")) && json_is_null(json_at(get, "steps.0.task")));
    CHECK(json_object_size(json_at(get, "steps.2.signals")) == 0);
    run_all(id);
    CHECK(rig_record(id).state == IMPORT_UNDONE);
}

static void a_dead_holder_does_not_keep_an_undo_waiting(void)
{
    const char *id = import_new(FORWARD);
    struct queue_held h = claim_one(S2, id);
    CHECK_OK(undo(id, 0));
    CHECK_OK(rig_session_close(S2));
    struct record r = rig_record(id);
    CHECK(!(r.flags & RECORD_IS_STOPPING) && r.steps[0].state == STATE_READY && r.steps[0].crashes == 0);
    CHECK_OK(rig_session(S2, 1000000));
    (void)send_one(S2, rig_item(&h, 0, OUTCOME_DONE), ACK_STALE);
    run_all(id);
}

static void the_blocking_party_is_told_as_usual(void)
{
    const char *id = import_new(FORWARD);
    run_all(id);
    CHECK_OK(undo(id, 0));
    struct queue_held h = claim_one(S1, id);
    CHECK(h.record.state == IMPORT_UNDOING && h.record.party == PARTY_NONE);
    struct queue_item it = rig_item(&h, 0, OUTCOME_WAIT);
    it.party = PARTY_CUSTOMER;
    it.delay_ms = 1000;
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.state == IMPORT_UNDOING && h.record.party == PARTY_CUSTOMER);
    CHECK_OK(rig_decide(queue_pause, id));
    CHECK(rig_record(id).state == IMPORT_PAUSED);
    CHECK_OK(rig_decide(queue_resume, id));
    CHECK_OK(rig_redrive(id, 0));
    h = claim_one(S1, id);
    it = rig_item(&h, 0, OUTCOME_FAIL);
    it.party = PARTY_OPERATOR;
    h = send_one(S1, it, ACK_OK);
    CHECK(h.record.state == IMPORT_UNDOING && h.record.party == PARTY_OPERATOR);
    /* Keeping the rest is a decision, too; and it may be taken back. */
    CHECK_OK(rig_decide(queue_cancel, id));
    CHECK(rig_record(id).state == IMPORT_CANCELLED);
    rig_audit();
    CHECK_OK(undo(id, 0));
    run_all(id);
    CHECK(rig_record(id).state == IMPORT_UNDONE);
}

static void an_account_has_one_open_import_in_undo_too(void)
{
    struct dag dag = rig_dag(FORWARD), wrong = rig_dag("0,w 1:0,2 2:0");
    char existing[IMPORT_ID_BYTES];
    CHECK_OK(rig_submit("imp_00first", "aws/777", &dag, NULL, existing));
    run_all("imp_00first");
    CHECK_OK(rig_submit("imp_00second", "aws/777", &dag, NULL, existing));
    CHECK_ERR(undo("imp_00first", 0), ERR_IMPORT_EXISTS);
    CHECK(strstr(rig_text, "imp_00second"));
    CHECK(rig_record("imp_00first").state == IMPORT_COMPLETED);
    put_away("imp_00second");
    CHECK_ERR(rig_undo("imp_00first", &wrong, 0), ERR_STATE_CONFLICT); /* another class: another playbook */
    CHECK_OK(undo("imp_00first", 0));
    CHECK_ERR(rig_submit("imp_00third", "aws/777", &dag, NULL, existing), ERR_IMPORT_EXISTS);
    CHECK(str_eq(existing, "imp_00first"));
    run_all("imp_00first");
    CHECK_OK(rig_submit("imp_00third", "aws/777", &dag, NULL, existing));
    put_away("imp_00third");
    CHECK_ERR(undo("imp_00nobody", 0), ERR_NOT_FOUND);
}

int main(void)
{
    rig_start("appendonly no", 1, true);
    rig_open(true);
    CHECK_OK(rig_session(S1, 1000000));
    CHECK_OK(rig_session(S2, 1000000));
    RUN(a_finished_import_is_undone_once);
    RUN(only_what_ever_started_is_undone);
    RUN(what_runs_ends_first_and_tells_of_the_forward_run);
    RUN(a_dead_holder_does_not_keep_an_undo_waiting);
    RUN(the_blocking_party_is_told_as_usual);
    RUN(an_account_has_one_open_import_in_undo_too);
    rig_stop();
    return 0;
}
