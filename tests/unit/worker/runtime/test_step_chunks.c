/* Chunks: what a long walk keeps, who goes on from it, and when nobody may. */
#include "tests/unit/test.h"

#include "common/aws/services/sts.h"
#include "fake_step_host.h"

#define AGE_MS_MAX 60000u

static const struct aws_op op_list = {
    .name = "x:List", .service = &aws_service_sts, .action = "List", .permission = "", .family = "sts"};
static const struct aws_op op_rest = {
    .name = "x:Rest", .service = &aws_service_sts, .action = "Rest", .permission = "", .family = "sts"};

static bool holds; /* the walk ends in a question instead of a result */

static enum step_result walk(struct step *s)
{
    const json_t *list = NULL, *rest = NULL;
    TRY(step_chunk(s, "list", AGE_MS_MAX, &list));
    if (!list) {
        TRY(step_call(s, "list", &op_list, NULL, &list));
        list = step_keep_chunk(s, "list", json_deep_copy(list));
    }
    TRY(step_call(s, "rest", &op_rest, NULL, &rest));
    if (holds)
        return step_hold(s, ERR_FINGERPRINT_UNEXPLAINED, json_object(), "well?");
    step_set(s, "list", json_incref((json_t *)(uintptr_t)list));
    return STEP_DONE;
}

static const struct step_def def_walk = {.name = "walk", .run = walk, .ops = OPS(&op_list, &op_rest)};
static json_t *import;
static struct step_input input;

static int setup(void **state)
{
    struct fake *f = MEM_NEW(struct fake);
    fake_init(f);
    import = json_make("{s:I, s:{}}", "created_ms", (json_int_t)1700000000000, "vars");
    input = (struct step_input){.def = &def_walk, .import = import};
    holds = false;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fake_done(*state);
    mem_free(*state);
    json_decref(import);
    return 0;
}

static void answer_of(struct fake *f, const char *key, json_t *facts, uint32_t pages)
{
    struct step_call *call = fake_asked(f, key);
    assert_non_null(call);
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i] == call)
            fake_take_call(f, i);
    step_answered(call, &(struct step_answer){.facts = facts, .pages = pages});
    json_decref(facts);
    fake_play(f);
}

static json_t *stub(void)
{
    return json_make("{s:s,s:i}", "$blob", "d1", "bytes", 7);
}

/* A walk whose list took `pages` answers, its chunk stored when it was offered; the rest is still out. */
static void begin(struct fake *f, uint32_t pages)
{
    fake_claim(f, &input, false);
    fake_play(f);
    answer_of(f, "list", json_make("[i,i]", 1, 2), pages);
    if (fake_asked(f, "keep/list")) {
        const json_t *value = step_chunk_of(fake_asked(f, "keep/list"));
        assert_int_equal(json_array_size(value), 2);
        answer_of(f, "keep/list", stub(), 0);
    }
}

static void a_short_walk_keeps_nothing_durable(void **state)
{
    struct fake *f = *state;
    begin(f, 5);
    assert_null(fake_asked(f, "keep/list"));
    assert_non_null(fake_asked(f, "rest"));
    answer_of(f, "rest", json_null(), 1);
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_null(strstr(f->journal, "$blob"));
}

static void the_next_worker_goes_on_behind_a_chunk(void **state)
{
    struct fake *f = *state;
    begin(f, 300);
    assert_non_null(strstr(f->journal, "\"$blob\":\"d1\""));
    fake_kill(f);
    fake_claim(f, &input, false);
    fake_play(f);
    assert_null(fake_asked(f, "list"));
    assert_string_equal(json_str_at(GOT(fake_asked(f, "kept/list"))->args, "$blob"), "d1");
    answer_of(f, "kept/list", json_make("[i,i]", 1, 2), 0);
    assert_null(fake_asked(f, "list"));
    answer_of(f, "rest", json_null(), 1);
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    assert_string_equal(f->result, "{\"grade\":\"probed\",\"list\":[1,2]}");
    assert_null(strstr(f->journal, "$blob")); /* nobody shall find it there again */
}

static void a_crash_before_the_journal_names_it_reads_again(void **state)
{
    struct fake *f = *state;
    f->saves_by_itself = false;
    begin(f, 300);
    assert_non_null(strstr(f->offered, "\"$blob\":\"d1\""));
    fake_kill(f); /* the save never arrived */
    f->saves_by_itself = true;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_non_null(fake_asked(f, "list"));
}

static void what_is_gone_or_too_old_is_read_again(void **state)
{
    struct fake *f = *state;
    begin(f, 300);
    fake_kill(f);
    fake_claim(f, &input, false);
    fake_play(f);
    answer_of(f, "kept/list", json_null(), 0);
    assert_non_null(fake_asked(f, "list"));
    fake_kill(f);
    fake_done(f);
    fake_init(f);
    begin(f, 300);
    fake_kill(f);
    f->now_ms += AGE_MS_MAX + 1;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_null(fake_asked(f, "kept/list"));
    assert_non_null(fake_asked(f, "list"));
}

static void a_failed_try_is_gone_on_with_and_a_question_is_not(void **state)
{
    struct fake *f = *state;
    begin(f, 300);
    fake_refuse(f, "rest", ERR_REDIS, APPLIED_NO, "");
    assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
    assert_non_null(strstr(f->journal, "\"$blob\":\"d1\""));
    fake_claim(f, &input, false);
    fake_play(f);
    answer_of(f, "kept/list", json_make("[i,i]", 1, 2), 0);
    holds = true;
    answer_of(f, "rest", json_null(), 1);
    assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    assert_null(strstr(f->journal, "$blob")); /* after a wait everything is looked at afresh */
}

static void a_store_that_fails_is_nobodys_trouble(void **state)
{
    struct fake *f = *state;
    fake_claim(f, &input, false);
    fake_play(f);
    answer_of(f, "list", json_make("[i,i]", 1, 2), 300);
    fake_refuse(f, "keep/list", ERR_REDIS, APPLIED_NO, "");
    answer_of(f, "rest", json_null(), 1);
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void a_long_round_is_entered_in_between(void **state)
{
    struct fake *f = *state;
    begin(f, 300);
    uint32_t entries = f->entries;
    assert_true(entries >= 3); /* first, after the list, after the store */
    assert_non_null(fake_asked(f, "rest"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_short_walk_keeps_nothing_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_worker_goes_on_behind_a_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_before_the_journal_names_it_reads_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_gone_or_too_old_is_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_try_is_gone_on_with_and_a_question_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_fails_is_nobodys_trouble, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_round_is_entered_in_between, setup, teardown),
    };
    return cmocka_run_group_tests_name("step chunks", tests, NULL, NULL);
}
