/* After apply, the plan binds: what it does not name is not signed, whatever leads a step there. */
#include "common/aws/services/sts.h"
#include "fake_step_host.h"
#include "worker/runtime/foresight.h"
#include "worker/runtime/journal.h"

#define FAKE_OP(id, text, is_write, settles)                                                                           \
    static const struct aws_op id = {.name = text,                                                                     \
                                     .service = &aws_service_sts,                                                      \
                                     .action = text,                                                                   \
                                     .permission = "",                                                                 \
                                     .family = "sts",                                                                  \
                                     .mutates = is_write,                                                              \
                                     .settle = settles}
FAKE_OP(op_get, "x:Get", false, SETTLE_NONE);
FAKE_OP(op_make, "x:Make", true, SETTLE_LOOK);
FAKE_OP(op_tag, "x:Tag", true, SETTLE_RESEND);

/* The world as the step finds it decides what it asks for. */
static const char *wished; /* name of the thing that is made; NULL: nothing is missing */
static bool tags_too;

static enum step_result run(struct step *s)
{
    const json_t *thing = NULL;
    TRY(step_call(s, "look", &op_get, NULL, &thing));
    if (wished && json_is_null(thing))
        TRY(step_call_in(s, "make", &op_make,
                         json_make("{s:s, s:{s:s}, s:[s]}", "Name", wished, "Document", "a", "1", "List", wished),
                         "eu-west-1", NULL, NULL));
    if (tags_too)
        TRY(step_call(s, "tag", &op_tag, json_make("{s:s}", "Name", "t"), NULL));
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    return step_call(s, "tag", &op_tag, json_make("{s:s}", "Name", "undone"), NULL);
}

static const struct step_def maker = {
    .name = "maker", .run = run, .undo = undo, .ops = OPS(&op_get, &op_make, &op_tag), .version = 1};
static const struct step_def looker = {.name = "looker", .run = run, .ops = OPS(&op_get), .version = 1};

static json_t *import, *results;
static struct step_input input;

static json_t *parsed(const char *text)
{
    struct err err = {0};
    json_t *value = text ? json_read(text, strlen(text), 0, &err) : NULL;
    if (!value)
        fail_msg("no JSON: %s", text ? text : "(none)");
    return value;
}

static json_t *planned(const char *step, const char *ends, const char *name)
{
    return json_make("{s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:{s:s, s:{s:s}, s:[s]}}]}", "step", step, "ends", ends,
                     "calls", "key", "make", "op", "x:Make", "region", "eu-west-1", "digest", "", "args", "Name", name,
                     "Document", "a", "1", "List", name);
}

/* Takes `step`. */
static void approve(json_t *step)
{
    json_decref(results);
    results = json_make("{s:{s:s, s:{s:{s:[o]}}}}", "plan_approval", "hash", "0123456789abcdef", "plan", "pinned",
                        "steps", step);
    input.results = results;
}

static int setup(void **state)
{
    struct fake *f = MEM_NEW(struct fake);
    fake_init(f);
    import = parsed("{\"created_ms\":1700000000000,\"vars\":{\"account_id\":\"111122223333\"}}");
    results = json_object();
    input = (struct step_input){.def = &maker, .import = import, .results = results};
    wished = "one";
    tags_too = false;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fake_done(*state);
    mem_free(*state);
    json_decref((json_t *)(uintptr_t)input.signals);
    json_decref(import);
    json_decref(results);
    return 0;
}

static void begin(struct fake *f)
{
    fake_claim(f, &input, false);
    fake_play(f);
    if (fake_asked(f, "look"))
        fake_answer(f, "look", json_null());
}

static void accept(struct fake *f, const char *by)
{
    f->now_ms += 1000;
    json_decref((json_t *)(uintptr_t)input.signals);
    input.signals =
        json_make("{s:{s:s, s:s, s:I}}", "accept", "by", by, "reason", "CHG-9", "at_ms", (json_int_t)f->now_ms);
    begin(f);
}

static void ends_well(struct fake *f)
{
    assert_non_null(fake_asked(f, "make"));
    fake_answer(f, "make", json_object());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

/* Nothing was sent, nothing is open in the journal, and the question says what and how to go on. */
static void is_held(struct fake *f, const char *op)
{
    assert_true(f->has_ended);
    assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    assert_int_equal(f->call_count, 0);
    json_auto_t *error = parsed(f->error);
    assert_string_equal(json_str_at(error, "code"), "plan.not_in_plan");
    assert_string_equal(json_str_at(error, "owner"), "operator");
    assert_string_equal(json_str_at(error, "details.op"), op);
    assert_string_equal(json_str_at(error, "details.step"), "maker");
    assert_string_equal(json_str_at(error, "details.plan"), "0123456789abcdef");
    assert_true(*json_str_at(error, "details.args.Name"));
    assert_non_null(strstr(json_str_at(error, "text"), op));
    assert_non_null(strstr(json_str_at(error, "text"), "0123456789ab"));
    assert_non_null(strstr(json_str_at(error, "fix"), "orgimport accept"));
    json_auto_t *journal = f->journal ? parsed(f->journal) : json_object();
    const char *key = NULL;
    json_t *entry = NULL;
    json_object_foreach (json_object_get(journal, "keys"), key, entry)
        assert_string_equal(json_str_at(entry, "st"), "answer");
}

static void a_planned_call_goes_and_fewer_are_fine(void **state)
{
    approve(planned("maker", "done", "one"));
    begin(*state);
    ends_well(*state);
    fake_done(*state);
    fake_init(*state);
    wished = NULL;
    begin(*state);
    assert_int_equal(((struct fake *)*state)->end.outcome, STEP_ENDED_DONE);
}

static void without_a_plan_nothing_is_bound(void **state)
{
    begin(*state);
    ends_well(*state);
}

static void another_call_is_held_and_goes_once_accepted(void **state)
{
    struct fake *f = *state;
    approve(planned("maker", "done", "other"));
    begin(f);
    is_held(f, "x:Make");
    begin(f); /* looked at again: the question stands */
    is_held(f, "x:Make");
    accept(f, "ann");
    ends_well(f);
    assert_non_null(strstr(f->ledger, "\"reason\":\"CHG-9\""));
}

static void operation_region_and_every_argument_count(void **state)
{
    static const struct {
        const char *path, *value;
    } others[] = {{"op", "x:Tag"}, {"region", "us-east-1"}, {"args.Name", "two"}, {"args.Document.a", "2"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        json_t *step = planned("maker", "done", "one"), *at = json_array_get(json_object_get(step, "calls"), 0);
        AUTO_FREE char *path = mem_dup(others[i].path);
        char *name = strrchr(path, '.');
        if (name)
            *name = 0;
        json_put_str(name ? (json_t *)(uintptr_t)json_at(at, path) : at, name ? name + 1 : path, others[i].value);
        approve(step);
        begin(*state);
        is_held(*state, "x:Make");
        fake_done(*state);
        fake_init(*state);
    }
    for (int more = 0; more < 2; more++) { /* an argument more or less is another call, too */
        json_t *step = planned("maker", "done", "one");
        json_t *args = json_object_get(json_array_get(json_object_get(step, "calls"), 0), "args");
        if (more)
            json_put_str(args, "More", "x");
        else
            (void)json_object_del(args, "Document");
        approve(step);
        begin(*state);
        is_held(*state, "x:Make");
        fake_done(*state);
        fake_init(*state);
    }
}

static void a_call_of_another_step_is_no_licence(void **state)
{
    approve(planned("neighbour", "done", "one"));
    begin(*state);
    is_held(*state, "x:Make");
}

/* "unforeseen" says that nobody could tell: it covers what is named there and nothing else. */
static void an_unforeseen_step_may_do_what_is_named(void **state)
{
    approve(planned("maker", "unforeseen", "one"));
    tags_too = true;
    begin(*state);
    assert_non_null(fake_asked(*state, "make"));
    fake_answer(*state, "make", json_object());
    is_held(*state, "x:Tag");
}

static void what_the_plan_could_not_know_may_be_anything_there(void **state)
{
#define GAP FORESIGHT_UNKNOWN
    static const struct {
        const char *planned, *asked;
        bool fits;
    } cases[] = {
        {GAP, "{\"any\":[\"text\"]}", true},
        {GAP, "", false},
        {"arn:policy/" GAP ":v2", "arn:policy/7f3a:v2", true},
        {"arn:policy/" GAP ":v2", "arn:policy/7f3a:v3", false},
        {"arn:policy/" GAP ":v2", "arn:policy/:v2", false},
        {"arn:policy/" GAP ":v2", "arn:policy", false},
        {"arn:" GAP "/" GAP, "arn:a/b", true},
        {"arn:" GAP "/" GAP, "arn:a/", false},
        {"arn:" GAP "/" GAP, "arn:ab", false},
        {"[\"" GAP "\",\"" GAP "\"]", "[\"a\",\"b\"]", true},
        {"[\"" GAP "\",\"" GAP "\"]", "[\"a\",\"x\",\"b\"]", false}, /* one more hides in a gap */
        {"{\"Allow\":\"" GAP "\"}", "{\"Allow\":\"a\",\"Also\":\"b\"}", false},
    };
    struct fake *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake_done(f);
        fake_init(f);
        wished = cases[i].asked;
        approve(planned("maker", "done", cases[i].planned));
        begin(f);
        if (cases[i].fits)
            ends_well(f);
        else
            assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    }
}

static void as_many_people_as_the_plan_needed(void **state)
{
    struct fake *f = *state;
    json_put(json_object_get(import, "vars"), "approvals", json_make("{s:{s:i}}", "plan", "quorum", 2));
    approve(planned("maker", "done", "other"));
    begin(f);
    is_held(f, "x:Make");
    accept(f, "ann");
    is_held(f, "x:Make");
    accept(f, "Ann"); /* two words of one person are one */
    is_held(f, "x:Make");
    accept(f, "bob");
    ends_well(f);
}

static void one_acceptance_is_no_licence_for_another_call(void **state)
{
    struct fake *f = *state;
    approve(planned("maker", "done", "other"));
    tags_too = true;
    begin(f);
    is_held(f, "x:Make");
    accept(f, "ann");
    fake_answer(f, "make", json_object());
    is_held(f, "x:Tag");
    accept(f, "ann");
    assert_non_null(fake_asked(f, "tag"));
}

static void a_retry_asks_again_what_is_planned_or_accepted(void **state)
{
    struct fake *f = *state;
    for (int accepted = 0; accepted < 2; accepted++) {
        approve(planned("maker", "done", accepted ? "other" : "one"));
        begin(f);
        if (accepted)
            accept(f, "ann");
        fake_refuse(f, "make", ERR_AWS_THROTTLED, APPLIED_NO, "Throttling");
        assert_int_equal(f->end.outcome, STEP_ENDED_RETRY);
        begin(f);
        ends_well(f);
        fake_done(f);
        fake_init(f);
    }
}

/* Its holder died with the call in hand; a look did not find it, and what is asked now is judged anew. */
static void an_open_intent_is_judged_when_it_is_sent_again(void **state)
{
    struct fake *f = *state;
    approve(planned("maker", "done", "one"));
    begin(f);
    assert_non_null(fake_asked(f, "make"));
    fake_kill(f);
    f->now_ms += 400000;
    begin(f);
    assert_non_null(fake_asked(f, "make")); /* the same call: sent again */
    fake_kill(f);
    f->now_ms += 400000;
    wished = "two"; /* the world moved */
    fake_claim(f, &input, false);
    fake_play(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(f->end.outcome, STEP_ENDED_HOLD);
    assert_int_equal(f->call_count, 0);
}

static void what_is_recorded_is_not_asked_about(void **state)
{
    struct fake *f = *state;
    approve(planned("maker", "done", "one"));
    begin(f);
    fake_refuse(f, "make", ERR_AWS_THROTTLED, APPLIED_NO, "Throttling");
    begin(f);
    assert_non_null(fake_asked(f, "make"));
    tags_too = true; /* after the answer the step is held for the next call, and comes by the first one again */
    fake_answer(f, "make", json_object());
    is_held(f, "x:Tag");
    approve(planned("maker", "done", "nothing of it"));
    begin(f);
    is_held(f, "x:Tag");
}

static void an_undo_is_not_bound(void **state)
{
    struct fake *f = *state;
    approve(planned("maker", "done", "one"));
    begin(f);
    ends_well(f);
    input.is_undo = true;
    fake_claim(f, &input, false);
    fake_play(f);
    assert_non_null(fake_asked(f, "undo/tag"));
}

/* Fail closed: a plan that is there and cannot be read allows nothing. */
static void a_plan_that_is_not_at_hand_binds_all_the_same(void **state)
{
    struct fake *f = *state;
    json_put(results, "plan_approval", json_make("{s:s, s:i}", "$blob", "d", "bytes", 1));
    begin(f);
    assert_int_equal(f->call_count, 0);
    assert_int_equal(f->end.outcome, STEP_ENDED_FAIL);
    assert_true(step_def_is_bound(&maker, false)); /* so the runtime brings it */
    assert_false(step_def_is_bound(&maker, true) || step_def_is_bound(&looker, false));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_planned_call_goes_and_fewer_are_fine),
        TEST(without_a_plan_nothing_is_bound),
        TEST(another_call_is_held_and_goes_once_accepted),
        TEST(operation_region_and_every_argument_count),
        TEST(a_call_of_another_step_is_no_licence),
        TEST(an_unforeseen_step_may_do_what_is_named),
        TEST(what_the_plan_could_not_know_may_be_anything_there),
        TEST(as_many_people_as_the_plan_needed),
        TEST(one_acceptance_is_no_licence_for_another_call),
        TEST(a_retry_asks_again_what_is_planned_or_accepted),
        TEST(an_open_intent_is_judged_when_it_is_sent_again),
        TEST(what_is_recorded_is_not_asked_about),
        TEST(an_undo_is_not_bound),
        TEST(a_plan_that_is_not_at_hand_binds_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
