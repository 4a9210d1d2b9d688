/* The step core against a host that the test drives: intents, settling, fresh reads, stops. */
#include "tests/unit/test.h"

#include "common/aws/services/sts.h"
#include "fake_step_host.h"

/* Operations of a made-up service; only what the core looks at. */
#define FAKE_OP(id, text, is_write, how, second, slow)                                                                 \
    static const struct aws_op id = {.name = text,                                                                     \
                                     .service = &aws_service_sts,                                                      \
                                     .action = text,                                                                   \
                                     .permission = "",                                                                 \
                                     .family = "sts",                                                                  \
                                     .mutates = is_write,                                                              \
                                     .settle = how,                                                                    \
                                     .refuses_second = second,                                                         \
                                     .is_slow_signature = slow}
FAKE_OP(op_get, "x:Get", false, SETTLE_NONE, false, false);
FAKE_OP(op_make, "x:Make", true, SETTLE_LOOK, false, false);
FAKE_OP(op_make_once, "x:MakeOnce", true, SETTLE_LOOK, true, false);
FAKE_OP(op_make_slow, "x:MakeSlow", true, SETTLE_LOOK, false, true);
FAKE_OP(op_put, "x:Put", true, SETTLE_RESEND, false, false);
FAKE_OP(op_pay, "x:Pay", true, SETTLE_ASK, false, false);

static const struct aws_op *writes_with = &op_make;
static int args_version;

static json_t *name_args(void)
{
    return json_make("{s:s, s:i}", "name", "n", "v", args_version);
}

static enum step_result make_it_so(struct step *s)
{
    const json_t *thing = NULL, *made = NULL, *seen = NULL;
    TRY(step_call(s, "look", &op_get, name_args(), &thing));
    if (json_is_null(thing))
        TRY(step_call(s, "make", writes_with, name_args(), &made));
    TRY(step_call(s, "verify", &op_get, name_args(), &seen));
    if (json_is_null(seen))
        return step_fail(s, ERR_NOT_YET, "not there yet");
    step_set_str(s, "arn", json_str_at(seen, "arn"));
    return STEP_DONE;
}

static const struct step_def def_make = {.name = "make_it_so",
                                         .run = make_it_so,
                                         .ops = OPS(&op_get, &op_make, &op_make_once, &op_make_slow, &op_put, &op_pay)};
static json_t *import;
static struct step_input input;

static int setup(void **state)
{
    fake_setup(state, &def_make, &import, &input);
    writes_with = &op_make;
    args_version = 0;
    return 0;
}

static int teardown(void **state)
{
    return fake_teardown(state, import);
}

static json_t *thing(void)
{
    return json_make("{s:s}", "arn", "arn:x");
}

static void saves_the_intent_before_the_call_leaves(void **state)
{
    struct fake *f = *state;
    f->saves_by_itself = false;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_null(fake_asked(f, "make"));
    assert_non_null(strstr(f->offered, "\"st\":\"intent\""));
    fake_let_save(f);
    assert_non_null(fake_asked(f, "make"));
}

/* The client refuses what it cannot sign in time: a new intent, with its own time, and nobody waits for a backoff. */
static void a_write_that_did_not_leave_in_time_is_intended_anew(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    uint64_t intended = GOT(fake_asked(f, "make"))->intended_ms;
    assert_int_equal(intended, f->now_ms);
    f->now_ms += 11000;
    assert_int_equal(step_call_age_ms(GOT(fake_asked(f, "make"))), 11000);
    fake_refuse(f, "make", ERR_LEASE_LOST, APPLIED_NO, "");
    assert_int_equal(GOT(fake_asked(f, "make"))->intended_ms, intended + 11000);
    AUTO_FREE char *at = mem_printf("\"at\":%llu", (unsigned long long)intended + 11000);
    assert_non_null(strstr(f->journal, at)); /* others see the new one before it leaves */
    fake_answer(f, "make", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void a_step_that_stops_intends_nothing_anew(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    step_stop(f->step);
    fake_play(f);
    fake_refuse(f, "make", ERR_LEASE_LOST, APPLIED_NO, "");
    assert_null(fake_asked(f, "make"));
    assert_int_equal(f->end.outcome, STEP_ENDED_INTERRUPT);
}

/* By Redis's clock it may be older than our own stamp tells: what we know of that clock has two bounds. */
static uint64_t a_second_later(void *self)
{
    return fake_now(self) + 1000;
}

static void an_intent_is_as_old_as_it_may_be(void **state)
{
    struct fake *f = *state;
    f->host.latest_ms = a_second_later;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(step_call_age_ms(GOT(fake_asked(f, "make"))), 1000);
    fake_answer(f, "make", thing());
    assert_int_equal(step_call_age_ms(GOT(fake_asked(f, "verify"))), 0); /* a read has none */
}

static void ends_done_when_seen(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    assert_non_null(strstr(f->journal, "\"st\":\"answer\""));
    fake_answer(f, "verify", thing());
    assert_true(f->has_ended);
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_string_equal(f->result, "{\"arn\":\"arn:x\",\"grade\":\"probed\"}");
}

static void grades_already_when_nothing_was_written(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    fake_answer(f, "verify", thing());
    assert_string_equal(f->result, "{\"arn\":\"arn:x\",\"grade\":\"already\"}");
}

static void reads_are_asked_afresh_after_a_restart(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    fake_kill(f);
    fake_claim(f, &input, false);
    fake_play(f);
    assert_non_null(fake_asked(f, "look"));
    fake_answer(f, "look", json_null()); /* eventual consistency: the recorded write is not repeated */
    assert_null(fake_asked(f, "make"));
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

/* Dies after the request left; a new holder finds the intent. */
static void die_after_sending(struct fake *f)
{
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
    fake_kill(f);
    f->now_ms += 40000;
    fake_claim(f, &input, false);
    fake_play(f);
}

static void a_foreign_intent_is_believed_absent_only_when_old(void **state)
{
    struct fake *f = *state;
    die_after_sending(f);
    fake_answer(f, "look", json_null());
    assert_true(f->has_ended);
    assert_int_equal(f->end.outcome, STEP_ENDED_SLEEP);
    assert_int_equal(f->end.delay_ms, 330000 - 40000);
    f->now_ms += f->end.delay_ms;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
}

static void s3_signatures_live_longer(void **state)
{
    struct fake *f = *state;
    writes_with = &op_make_slow;
    die_after_sending(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.delay_ms, 930000 - 40000);
}

static void what_aws_refuses_twice_need_not_wait(void **state)
{
    struct fake *f = *state;
    writes_with = &op_make_once;
    die_after_sending(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
}

static void a_resend_goes_out_at_once_with_the_same_arguments(void **state)
{
    struct fake *f = *state;
    writes_with = &op_put;
    die_after_sending(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
}

static void a_resend_with_other_arguments_is_drift(void **state)
{
    struct fake *f = *state;
    writes_with = &op_put;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_kill(f);
    args_version = 1;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_non_null(strstr(f->error, "journal.drift"));
}

static void a_recorded_write_with_other_arguments_is_drift(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    fake_kill(f);
    args_version = 1;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_non_null(strstr(f->error, "journal.drift"));
}

static void an_intent_whose_branch_is_not_taken_is_settled_as_seen(void **state)
{
    struct fake *f = *state;
    writes_with = &op_make_once;
    die_after_sending(f);
    fake_answer(f, "look", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_non_null(strstr(f->journal, "\"settled\":\"seen\""));
    assert_non_null(strstr(f->ledger, "\"settled\":\"seen\""));
}

static void a_step_is_not_done_while_a_foreign_intent_is_young(void **state)
{
    struct fake *f = *state;
    die_after_sending(f);
    fake_answer(f, "look", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_SLEEP);
    f->now_ms += f->end.delay_ms;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void an_unclear_payment_is_asked_of_a_person(void **state)
{
    struct fake *f = *state;
    writes_with = &op_pay;
    die_after_sending(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    json_auto_t *signals = json_make("{s:{s:s, s:s}}", "accept", "by", "ann", "reason", "looked: it did not happen");
    input.signals = signals;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
}

static void our_own_lost_answer_is_looked_at_after_a_short_wait(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_refuse(f, "make", ERR_AWS_UNCLEAR, APPLIED_MAYBE, "");
    assert_false(f->has_ended);
    assert_int_equal(f->call_count, 0);
    fake_pass_time(f, 15000);
    assert_int_equal(f->call_count, 0);
    fake_pass_time(f, 15000);
    fake_answer(f, "look", thing()); /* it had happened */
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

/* It is not there (yet). */
static void lose_an_answer_and_look(struct fake *f)
{
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_refuse(f, "make", ERR_AWS_UNCLEAR, APPLIED_MAYBE, "");
    fake_pass_time(f, 30000);
    fake_answer(f, "look", json_null());
}

static void our_own_lost_answer_is_sent_again_when_absent(void **state)
{
    struct fake *f = *state;
    lose_an_answer_and_look(f);
    assert_non_null(fake_asked(f, "make"));
}

/* The first request is slow, the second is refused, and then the first one takes effect: what is there is ours. */
static void what_was_believed_absent_may_come_true(void **state)
{
    struct fake *f = *state;
    json_auto_t *writes = json_array();
    writes_with = &op_make_once;
    lose_an_answer_and_look(f);
    fake_refuse(f, "make", ERR_AWS_THROTTLED, APPLIED_NO, "Throttling");
    assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
    journal_list_writes(f->journal, "test", writes);
    assert_int_equal(json_array_size(writes), 1);
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_non_null(strstr(f->journal, "\"settled\":\"seen\""));
    assert_null(strstr(f->result, "already"));
}

static void a_refusal_of_the_second_means_that_the_first_came_true(void **state)
{
    struct fake *f = *state;
    lose_an_answer_and_look(f);
    fake_refuse(f, "make", ERR_AWS_REFUSED, APPLIED_NO, "EntityAlreadyExists");
    assert_false(f->has_ended);
    fake_pass_time(f, 30000);
    fake_answer(f, "look", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_non_null(strstr(f->journal, "\"settled\":\"seen\""));
    assert_null(strstr(f->result, "already"));
}

static void refusals_after_an_unanswered_try_end_in_another_try(void **state)
{
    struct fake *f = *state;
    lose_an_answer_and_look(f);
    while (!f->has_ended) {
        fake_refuse(f, "make", ERR_AWS_REFUSED, APPLIED_NO, "EntityAlreadyExists");
        fake_pass_time(f, 30000);
        if (!f->has_ended)
            fake_answer(f, "look", json_null()); /* the reads lag behind */
    }
    assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
}

static void a_refusal_of_the_first_is_a_refusal(void **state)
{
    struct fake *f = *state;
    writes_with = &op_make_once;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_refuse(f, "make", ERR_AWS_REFUSED, APPLIED_NO, "EntityAlreadyExists");
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
}

static void lost_answers_end_the_try_at_last(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    for (int i = 0; i <= STEP_MAYBES_MAX; i++) {
        fake_answer(f, "look", json_null());
        fake_refuse(f, "make", ERR_AWS_UNCLEAR, APPLIED_MAYBE, "");
        fake_pass_time(f, 30000);
    }
    assert_true(f->has_ended);
    assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
    assert_non_null(strstr(f->journal, "\"st\":\"intent\""));
}

static void a_refused_write_leaves_no_trace_in_the_journal(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_refuse(f, "make", ERR_AWS_DENIED, APPLIED_NO, "AccessDenied");
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_int_equal(f->end.party, PARTY_CUSTOMER);
    assert_null(strstr(f->journal, "\"st\":"));
    fake_claim(f, &input, true);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
}

/* Kept back by our own pacing until it was too late to sign it: no attempt is used up, or a long queue would fail all
 * who wait in it. */
static void a_write_that_never_left_is_no_failure(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    for (int i = 0; i <= STEP_INTENTS_AGAIN_MAX; i++)
        fake_refuse(f, "make", ERR_LEASE_LOST, APPLIED_NO, "");
    assert_int_equal(f->end.outcome, STEP_ENDED_SLEEP);
    assert_int_equal(f->end.party, PARTY_NONE);
    assert_null(f->end.err);
    assert_null(strstr(f->journal, "\"st\":"));
}

static void a_read_that_fails_for_a_moment_is_asked_again_alone(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    fake_refuse(f, "verify", ERR_AWS_THROTTLED, APPLIED_NO, "Throttling");
    assert_false(f->has_ended);
    fake_pass_time(f, 300000);
    assert_null(fake_asked(f, "look"));
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void backs_off_with_jitter_below_the_cap(void **state)
{
    struct fake *f = *state;
    input.attempts = 20;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_refuse(f, "make", ERR_AWS_CONFLICT, APPLIED_NO, "ConcurrentModification");
    assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
    assert_true(f->end.delay_ms <= 300000);
}

static void dead_credentials_make_the_step_wait_for_the_customer(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_refuse(f, "look", ERR_AWS_CREDENTIALS, APPLIED_NO, "InvalidClientTokenId");
    assert_int_equal(f->end.outcome, STEP_ENDED_WAIT);
    assert_int_equal(f->end.party, PARTY_CUSTOMER);
    assert_true(f->end.lost_credentials);
    assert_non_null(strstr(f->error, "aws.credentials"));
}

static void a_stop_starts_no_new_write(void **state)
{
    struct fake *f = *state;
    f->saves_by_itself = false;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    step_stop(f->step); /* the intent is on its way to Redis */
    fake_let_save(f);
    fake_play(f);
    assert_int_equal(f->call_count, 0);
    assert_int_equal(f->end.outcome, STEP_ENDED_INTERRUPT);
    assert_null(strstr(f->journal, "\"st\":"));
}

static void a_stop_awaits_and_records_what_was_sent(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    step_stop(f->step);
    fake_play(f);
    assert_false(f->has_ended);
    fake_answer(f, "make", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_INTERRUPT);
    assert_non_null(strstr(f->journal, "\"st\":\"answer\""));
}

static void a_stop_without_patience_leaves_the_intent_open(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    step_stop(f->step);
    fake_play(f);
    step_stop_now(f->step);
    assert_int_equal(f->end.outcome, STEP_ENDED_INTERRUPT);
    assert_non_null(strstr(f->journal, "\"st\":\"intent\""));
    assert_int_equal(f->call_count, 0);
}

static void ledger_is_a_chain_over_holders(void **state)
{
    struct fake *f = *state;
    writes_with = &op_make_once;
    die_after_sending(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    char prev[65] = "";
    json_int_t n = 0;
    char *rest = f->ledger;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
        struct err err = {0};
        char hash[65];
        json_auto_t *l = json_read(line, strlen(line), 0, &err);
        assert_non_null(l);
        assert_int_equal(json_int_at(l, "n"), ++n);
        assert_string_equal(json_str_at(l, "prev"), prev);
        (void)snprintf(prev, sizeof prev, "%s", json_str_at(l, "hash"));
        json_object_del(l, "hash");
        json_digest(l, hash);
        assert_string_equal(hash, prev);
    }
    assert_true(n >= 4);
}

static void a_link_that_a_failover_lost_is_named(void **state)
{
    struct fake *f = *state;
    writes_with = &op_make_once;
    die_after_sending(f); /* what Redis confirmed: one line, the intent */
    AUTO_FREE char *kept = mem_dup(f->journal);
    struct err err = {0};
    json_auto_t *journal = json_read(kept, strlen(kept), 0, &err);
    json_int_t n = json_int_at(journal, "seq");
    char known[80], same[80];
    (void)snprintf(same, sizeof same, "%lld:%s", (long long)n, json_str_at(journal, "head"));
    (void)snprintf(known, sizeof known, "%lld:%064d", (long long)n + 2, 7);
    f->stored_head = same;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_null(strstr(f->ledger, "rollback"));
    fake_kill(f);
    f->stored_head = known;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    fake_answer(f, "verify", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    const char *line = strstr(f->ledger, "\"kind\":\"rollback\"");
    assert_non_null(line);
    AUTO_FREE char *want = mem_printf("\"lost_n\":%lld", (long long)n + 2);
    assert_non_null(strstr(line, want));
    assert_non_null(strstr(line, json_str_at(journal, "head")));
    assert_null(strstr(line + 1, "\"kind\":\"rollback\"")); /* once */
}

/* ---- Manifest ---- */
static enum step_result undeclared(struct step *s)
{
    return step_call(s, "look", &op_get, NULL, NULL);
}
static const struct step_def def_undeclared = {.name = "undeclared", .run = undeclared, .ops = OPS(&op_put)};

static void an_undeclared_call_is_never_made(void **state)
{
    struct fake *f = *state;
    input.def = &def_undeclared;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_int_equal(f->call_count, 0);
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_non_null(strstr(f->error, "op.undeclared"));
}

/* ---- People ---- */

static enum step_result ask_somebody(struct step *s)
{
    const json_t *seen = NULL;
    TRY(step_call(s, "look", &op_get, NULL, &seen));
    if (!json_is_null(seen)) {
        step_grade(s, "probed");
        return STEP_DONE;
    }
    uint64_t opened = step_now(s, "opened");
    return step_human(
        s, json_make("{s:s, s:s, s:I}", "party", "customer", "title", "Do it", "due_ms", (json_int_t)opened + 7200000));
}
static const struct step_def def_human = {.name = "ask_somebody", .run = ask_somebody, .ops = OPS(&op_get)};

static void wait_once(struct fake *f, const char *task_word)
{
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_true(f->has_ended);
    assert_int_equal(f->end.outcome, STEP_ENDED_WAIT);
    if (task_word)
        assert_non_null(strstr(f->task, task_word));
}

static void polls_write_nothing_while_nothing_changes(void **state)
{
    struct fake *f = *state;
    input.def = &def_human;
    wait_once(f, "Do it");
    assert_int_equal(f->end.party, PARTY_CUSTOMER);
    assert_int_equal(f->end.delay_ms, 60000);
    assert_non_null(f->end.journal);
    input.has_task = true;
    for (int i = 0; i < 3; i++) {
        f->now_ms += f->end.delay_ms;
        wait_once(f, NULL);
        assert_null(f->task);
        assert_null(f->end.journal);
        assert_null(f->end.ledger);
    }
}

static void polls_meet_on_the_import_s_grid(void **state)
{
    struct fake *f = *state;
    input.def = &def_human;
    f->now_ms += 12345;
    wait_once(f, NULL);
    assert_int_equal((f->now_ms + f->end.delay_ms - 1700000000000u) % 60000, 0);
}

static void a_task_closes_when_the_state_is_seen(void **state)
{
    struct fake *f = *state;
    input.def = &def_human;
    wait_once(f, NULL);
    input.has_task = true;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_string_equal(f->task, "");
    assert_string_equal(f->result, "{\"grade\":\"probed\"}");
}

static void a_human_step_that_is_true_already_asks_nobody(void **state)
{
    struct fake *f = *state;
    input.def = &def_human;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    assert_null(f->task);
    assert_string_equal(f->result, "{\"grade\":\"already\"}");
}

static void an_expired_task_fails_and_a_retry_opens_it_with_a_new_due_time(void **state)
{
    struct fake *f = *state;
    input.def = &def_human;
    wait_once(f, NULL);
    input.has_task = true;
    f->now_ms += 7200000;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_non_null(strstr(f->error, "wait.expired"));
    assert_string_equal(f->task, "");
    input.has_task = false;
    f->now_ms += 1000;
    wait_once(f, "Do it");
    json_auto_t *task = json_loads(f->task, 0, NULL);
    assert_int_equal(json_int_at(task, "due_ms"), f->now_ms + 7200000);
}

static void a_rejection_fails_once(void **state)
{
    struct fake *f = *state;
    input.def = &def_human;
    wait_once(f, NULL);
    json_auto_t *signals = json_make("{s:{s:s, s:s}}", "reject", "by", "bob", "reason", "no");
    input.signals = signals;
    input.has_task = true;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_non_null(strstr(f->error, "task.rejected"));
    assert_non_null(strstr(f->ledger, "\"kind\":\"signal\""));
    input.has_task = false;
    wait_once(f, "Do it");
}

/* ---- Polls, sleeps, holds ---- */
static bool is_object(const json_t *facts, const json_t *arg)
{
    (void)arg;
    return json_is_object(facts);
}
static uint32_t poll_every = 1000;

static enum step_result poll_it(struct step *s)
{
    return step_poll(s, "ready", &op_get, NULL, is_object, NULL, poll_every, 10000, ERR_NOT_YET, NULL);
}
static const struct step_def def_poll = {.name = "poll_it", .run = poll_it, .ops = OPS(&op_get)};

static void short_polls_look_again_in_place(void **state)
{
    struct fake *f = *state;
    input.def = &def_poll;
    poll_every = 1000;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "ready", json_null());
    assert_false(f->has_ended);
    fake_pass_time(f, 1000);
    fake_answer(f, "ready", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void long_polls_give_their_place_back_and_end_by_deadline(void **state)
{
    struct fake *f = *state;
    input.def = &def_poll;
    poll_every = 5000;
    for (int i = 0; i < 2; i++) {
        fake_claim(f, &input, false);
        fake_play(f);
        fake_answer(f, "ready", json_null());
        assert_int_equal(f->end.outcome, STEP_ENDED_SLEEP);
        assert_int_equal(f->end.delay_ms, 5000);
        f->now_ms += 5000;
    }
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "ready", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
    assert_non_null(strstr(f->error, "not_yet"));
}

static enum step_result hold_it(struct step *s)
{
    TRY(step_sleep(s, "nap", 3000));
    TRY(step_hold(s, ERR_TAX_SELLER, json_make("{s:s}", "seller", "A"), "seller changes"));
    TRY(step_hold(s, ERR_TAX_INHERITANCE, NULL, "inheritance is on"));
    return STEP_DONE;
}
static const struct step_def def_hold = {.name = "hold_it", .run = hold_it};

static void a_sleep_survives_a_restart_and_one_acceptance_answers_one_question(void **state)
{
    struct fake *f = *state;
    input.def = &def_hold;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_int_equal(f->end.outcome, STEP_ENDED_SLEEP);
    assert_int_equal(f->end.delay_ms, 3000);
    f->now_ms += 3000;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    assert_non_null(strstr(f->error, "tax.seller_change"));
    json_auto_t *first = json_make("{s:{s:s}}", "accept", "reason", "fine");
    input.signals = first;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    assert_non_null(strstr(f->error, "tax.inheritance"));
    json_auto_t *second = json_make("{s:{s:s}}", "accept", "reason", "fine too");
    input.signals = second;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

/* ---- Values fixed once ---- */
static enum step_result draw_code(struct step *s)
{
    const json_t *ret = NULL;
    step_set_str(s, "code", step_code(s, "c"));
    step_set(s, "now", json_integer((json_int_t)step_now(s, "n")));
    TRY(step_call(s, "look", &op_get, NULL, &ret));
    return STEP_DONE;
}
static const struct step_def def_code = {.name = "draw_code", .run = draw_code, .ops = OPS(&op_get)};

static void codes_and_times_are_the_same_after_a_restart(void **state)
{
    struct fake *f = *state;
    input.def = &def_code;
    fake_claim(f, &input, false);
    fake_play(f);
    AUTO_FREE char *first = mem_dup(f->journal);
    fake_kill(f);
    f->now_ms += 5000;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", thing());
    json_auto_t *journal = json_loads(first, 0, NULL);
    json_auto_t *result = json_loads(f->result, 0, NULL);
    assert_string_equal(json_str_at(result, "code"), json_str_at(journal, "codes.c"));
    assert_int_equal(strlen(json_str_at(result, "code")), 6);
    assert_int_equal(json_int_at(result, "now"), 1700000000000);
}

static void a_newer_journal_is_refused(void **state)
{
    struct fake *f = *state;
    struct err err = {0};
    input.journal = "{\"v\":2}";
    assert_int_equal(step_new(&f->host, &input, f, &f->step, &err), -1);
    assert_int_equal(err.code, ERR_SCHEMA);
    input.journal = "{\"v\":1,\"keys\":[]}";
    assert_int_equal(step_new(&f->host, &input, f, &f->step, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(saves_the_intent_before_the_call_leaves),
        T(a_write_that_did_not_leave_in_time_is_intended_anew),
        T(a_step_that_stops_intends_nothing_anew),
        T(an_intent_is_as_old_as_it_may_be),
        T(ends_done_when_seen),
        T(grades_already_when_nothing_was_written),
        T(reads_are_asked_afresh_after_a_restart),
        T(a_foreign_intent_is_believed_absent_only_when_old),
        T(s3_signatures_live_longer),
        T(what_aws_refuses_twice_need_not_wait),
        T(a_resend_goes_out_at_once_with_the_same_arguments),
        T(a_resend_with_other_arguments_is_drift),
        T(a_recorded_write_with_other_arguments_is_drift),
        T(an_intent_whose_branch_is_not_taken_is_settled_as_seen),
        T(a_step_is_not_done_while_a_foreign_intent_is_young),
        T(an_unclear_payment_is_asked_of_a_person),
        T(our_own_lost_answer_is_looked_at_after_a_short_wait),
        T(our_own_lost_answer_is_sent_again_when_absent),
        T(what_was_believed_absent_may_come_true),
        T(a_refusal_of_the_second_means_that_the_first_came_true),
        T(refusals_after_an_unanswered_try_end_in_another_try),
        T(a_refusal_of_the_first_is_a_refusal),
        T(lost_answers_end_the_try_at_last),
        T(a_refused_write_leaves_no_trace_in_the_journal),
        T(a_write_that_never_left_is_no_failure),
        T(a_read_that_fails_for_a_moment_is_asked_again_alone),
        T(backs_off_with_jitter_below_the_cap),
        T(dead_credentials_make_the_step_wait_for_the_customer),
        T(a_stop_starts_no_new_write),
        T(a_stop_awaits_and_records_what_was_sent),
        T(a_stop_without_patience_leaves_the_intent_open),
        T(ledger_is_a_chain_over_holders),
        T(a_link_that_a_failover_lost_is_named),
        T(an_undeclared_call_is_never_made),
        T(polls_write_nothing_while_nothing_changes),
        T(polls_meet_on_the_import_s_grid),
        T(a_task_closes_when_the_state_is_seen),
        T(a_human_step_that_is_true_already_asks_nobody),
        T(an_expired_task_fails_and_a_retry_opens_it_with_a_new_due_time),
        T(a_rejection_fails_once),
        T(short_polls_look_again_in_place),
        T(long_polls_give_their_place_back_and_end_by_deadline),
        T(a_sleep_survives_a_restart_and_one_acceptance_answers_one_question),
        T(codes_and_times_are_the_same_after_a_restart),
        T(a_newer_journal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
