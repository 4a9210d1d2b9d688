/* The step core in an undo: what the forward run made is known, what the undo does is written apart, and nothing of the
 * forward run that may still happen is overtaken. */
#include "common/aws/services/sts.h"
#include "fake_step_host.h"
#include "worker/runtime/journal.h"

#define FAKE_OP(id, text, is_write)                                                                                    \
    static const struct aws_op id = {.name = text,                                                                     \
                                     .service = &aws_service_sts,                                                      \
                                     .action = text,                                                                   \
                                     .permission = "",                                                                 \
                                     .family = "sts",                                                                  \
                                     .mutates = is_write,                                                              \
                                     .settle = is_write ? SETTLE_LOOK : SETTLE_NONE}
FAKE_OP(op_get, "x:Get", false);
FAKE_OP(op_make, "x:Make", true);
FAKE_OP(op_delete, "x:Delete", true);

static enum step_result run(struct step *s)
{
    const json_t *thing = NULL;
    if (step_is_undo(s)) { /* only a step that runs again in an undo comes here */
        TRY(step_call(s, "again", &op_make, NULL, NULL));
        step_set_str(s, "forward", json_str_at(step_journal_facts(s, "make"), "id"));
        step_set_str(s, "own", json_str_at(step_journal_facts(s, "again"), "id"));
        return STEP_DONE;
    }
    (void)step_now(s, "opened");
    TRY(step_call(s, "look", &op_get, NULL, &thing));
    if (json_is_null(thing))
        TRY(step_call(s, "make", &op_make, NULL, NULL));
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    const json_t *thing = NULL, *made = step_journal_facts(s, "make");
    TRY(step_call(s, "look", &op_get, NULL, &thing));
    step_set_str(s, "made", json_str_at(made, "id"));
    step_set(s, "opened", json_integer((json_int_t)step_did_at(s, "opened")));
    step_set(s, "asked", json_integer((json_int_t)step_now(s, "opened")));
    if (!json_is_null(thing) && made)
        TRY(step_call(s, "delete", &op_delete, NULL, NULL));
    return STEP_DONE;
}

static const struct step_def def = {
    .name = "maker", .run = run, .undo = undo, .ops = OPS(&op_get, &op_make, &op_delete)};
static const struct step_def def_again = {
    .name = "looker", .run = run, .runs_in_undo = true, .ops = OPS(&op_get, &op_make, &op_delete)};
static const struct step_def def_plain = {.name = "plain", .run = run, .ops = OPS(&op_get, &op_make)};
static json_t *import;
static struct step_input input;

static int setup(void **state)
{
    fake_setup(state, &def, &import, &input);
    return 0;
}

static int teardown(void **state)
{
    return fake_teardown(state, import);
}

static json_t *thing(void)
{
    return json_make("{s:s}", "id", "made-by-us");
}

static void make(struct fake *f)
{
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void an_undo_knows_what_was_made_and_writes_apart(void **state)
{
    struct fake *f = *state;
    struct err err = {0};
    make(f);
    assert_true(journal_text_is_done(f->journal));
    uint64_t made_ms = f->now_ms;
    f->now_ms += 1000000;
    input.is_undo = true;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "undo/look", thing());
    fake_answer(f, "undo/delete", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    json_auto_t *result = json_read(f->result, strlen(f->result), 0, &err);
    assert_string_equal(json_str_at(result, "made"), "made-by-us");
    assert_int_equal(json_int_at(result, "opened"), made_ms);
    assert_int_equal(json_int_at(result, "asked"), f->now_ms);
    json_auto_t *journal = json_read(f->journal, strlen(f->journal), 0, &err);
    assert_string_equal(json_str_at(journal, "keys.make.facts.id"), "made-by-us");
    assert_false(json_has(journal, "keys.undo/delete"));
    assert_string_equal(json_str_at(journal, "undo.keys.undo/delete.st"), "answer");
    assert_true(journal_text_is_done(f->journal));
    /* One chain: the undo's lines follow the forward run's. */
    size_t lines = 0;
    for (const char *p = f->ledger; *p; p++)
        lines += *p == '\n';
    assert_int_equal(json_int_at(journal, "seq"), lines);
}

static void an_undo_goes_on_after_a_kill(void **state)
{
    struct fake *f = *state;
    make(f);
    input.is_undo = true;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "undo/look", thing());
    assert_non_null(fake_asked(f, "undo/delete"));
    fake_kill(f);
    f->now_ms += 400000; /* older than a signature lives */
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "undo/look", json_null()); /* it had arrived */
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_null(fake_asked(f, "undo/delete"));
}

/* Somebody died with the create in hand: it may still arrive, and then it must be seen. */
static void a_forward_write_that_may_still_arrive_is_awaited(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
    fake_kill(f);
    input.is_undo = true;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "undo/look", json_null());
    assert_true(f->has_ended);
    assert_int_equal(f->end.outcome, STEP_ENDED_SLEEP);
    f->now_ms += f->end.delay_ms;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "undo/look", thing()); /* there it is */
    assert_non_null(fake_asked(f, "undo/delete"));
    fake_answer(f, "undo/delete", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

/* Access, proof and the end of the access run once more, and know what they did this time, not what they did then. */
static void a_step_that_runs_again_knows_its_own_writes(void **state)
{
    struct fake *f = *state;
    struct err err = {0};
    input.def = &def_again;
    make(f);
    input.is_undo = true;
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "undo/again", json_make("{s:s}", "id", "made-again"));
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    json_auto_t *result = json_read(f->result, strlen(f->result), 0, &err);
    assert_string_equal(json_str_at(result, "own"), "made-again");
    assert_string_equal(json_str_at(result, "forward"), "");
}

static void a_step_without_an_undo_ends_at_once(void **state)
{
    struct fake *f = *state;
    input.def = &def_plain;
    input.is_undo = true;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_undo_knows_what_was_made_and_writes_apart),
        T(an_undo_goes_on_after_a_kill),
        T(a_forward_write_that_may_still_arrive_is_awaited),
        T(a_step_that_runs_again_knows_its_own_writes),
        T(a_step_without_an_undo_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
