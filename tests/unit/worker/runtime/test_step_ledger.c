/* What a step's ledger says, line by line: who wrote it and when, what was asked of AWS and what it answered, what
 * people said, how it ended. The chain itself is checked in test_ledger_chain.c. */
#include "common/aws/services/sts.h"
#include "fake_step_host.h"
#include "worker/runtime/ledger.h"

#define FAKE_OP(id, text, is_write, identity)                                                                          \
    static const struct aws_op id = {.name = text,                                                                     \
                                     .service = &aws_service_sts,                                                      \
                                     .action = text,                                                                   \
                                     .permission = "",                                                                 \
                                     .family = "sts",                                                                  \
                                     .who = identity,                                                                  \
                                     .mutates = is_write,                                                              \
                                     .settle = is_write ? SETTLE_LOOK : SETTLE_NONE}
FAKE_OP(op_get, "x:Get", false, AWS_AS_CUSTOMER);
FAKE_OP(op_make, "x:Make", true, AWS_AS_CUSTOMER);
FAKE_OP(op_link, "x:Link", true, AWS_AS_PARTNER);

static char long_text[2001];

static enum step_result run(struct step *s)
{
    const json_t *thing = NULL;
    TRY(step_call(s, "look", &op_get, NULL, &thing));
    if (json_is_null(thing))
        TRY(step_call(s, "make", &op_make, json_make("{s:s}", "policy", long_text), NULL));
    TRY(step_call(s, "link", &op_link, NULL, NULL));
    step_set_str(s, "id", "made");
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    const json_t *thing = NULL;
    return step_call(s, "look", &op_get, NULL, &thing);
}

static enum step_result wait(struct step *s)
{
    const json_t *thing = NULL;
    TRY(step_call(s, "look", &op_get, NULL, &thing));
    return json_is_object(thing)
               ? STEP_DONE
               : step_human(s, json_make("{s:s, s:s, s:i}", "party", "customer", "title", "Do it", "due_ms", 0));
}

static enum step_result fail_as_told(struct step *s)
{
    const json_t *thing = NULL;
    TRY(step_call(s, "look", &op_get, NULL, &thing));
    if (*step_var(s, "told"))
        return step_fail(s, ERR_CUR_QUOTA, "as told");
    return step_fail(s, json_is_null(thing) ? ERR_NOT_YET : ERR_ROLE_NAME_TAKEN, "as told");
}

static enum step_result mail(struct step *s)
{
    return step_mail(s, "code", "a@b.example", "Your code", "It is 123456");
}

static enum step_result keep_a_time(struct step *s)
{
    const json_t *thing = NULL;
    step_note(s, "seen", json_true());
    return step_call(s, "look", &op_get, NULL, &thing);
}

static const struct step_def def = {.name = "maker", .run = run, .undo = undo, .ops = OPS(&op_get, &op_make, &op_link)};
static const struct step_def def_wait = {.name = "waiter", .run = wait, .ops = OPS(&op_get)};
static const struct step_def def_fail = {.name = "failer", .run = fail_as_told, .ops = OPS(&op_get)};
static const struct step_def def_mail = {.name = "mailer", .run = mail, .ops = OPS(&op_get)};
static const struct step_def def_keep = {.name = "keeper", .run = keep_a_time, .ops = OPS(&op_get)};
static json_t *import;
static struct step_input input;

static int setup(void **state)
{
    fake_setup(state, &def, &import, &input);
    memset(long_text, 'p', sizeof long_text - 1);
    return 0;
}

static int teardown(void **state)
{
    return fake_teardown(state, import);
}

static json_t *thing(void)
{
    return json_make("{s:s}", "id", "x-1");
}

/* All lines that Redis has; new reference. */
static json_t *lines_of(const struct fake *f)
{
    json_t *lines = json_array();
    for (const char *at = f->ledger; at && *at;) {
        struct err err = {0};
        size_t len = strcspn(at, "\n");
        json_t *line = json_read(at, len, 0, &err);
        assert_non_null(line);
        (void)json_array_append_new(lines, line);
        at += len + 1;
    }
    return lines;
}

/* The nth line of that kind, from 0; borrowed. NULL when there are fewer. */
static const json_t *line_of(const json_t *lines, const char *kind, size_t nth)
{
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach ((json_t *)(uintptr_t)lines, i, line)
        if (str_eq(json_str_at(line, "kind"), kind) && nth-- == 0)
            return line;
    return NULL;
}

static size_t count_of(const struct fake *f, const char *kind)
{
    json_auto_t *lines = lines_of(f);
    size_t n = 0;
    while (line_of(lines, kind, n))
        n++;
    return n;
}

static void claim(struct fake *f)
{
    fake_claim(f, &input, false);
    fake_play(f);
}

static void play_to_the_end(struct fake *f)
{
    claim(f);
    fake_answer(f, "look", json_null());
    fake_answer(f, "make", thing());
    fake_answer(f, "link", thing());
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
}

static void every_line_names_its_holder_and_its_time(void **state)
{
    struct fake *f = *state;
    f->fence = 0x2a;
    play_to_the_end(f);
    json_auto_t *lines = lines_of(f);
    size_t i = 0;
    json_t *line = NULL;
    assert_true(json_array_size(lines) >= 6);
    json_array_foreach (lines, i, line) {
        assert_string_equal(json_str_at(line, "step"), "maker");
        assert_string_equal(json_str_at(line, "fence"), "000000000000002b");
        assert_string_equal(json_str_at(line, "nonce"), "00000007");
        assert_int_equal(json_int_at(line, "at_ms"), f->now_ms);
    }
}

static void a_chain_names_its_import_once_and_its_direction_always(void **state)
{
    struct fake *f = *state;
    char digest[65];
    json_digest(import, digest);
    play_to_the_end(f);
    size_t forward = 0, i = 0;
    json_auto_t *first = lines_of(f);
    forward = json_array_size(first);
    input.is_undo = true;
    claim(f);
    fake_answer(f, "undo/look", thing());
    json_auto_t *lines = lines_of(f);
    json_t *line = NULL;
    assert_true(json_array_size(lines) > forward);
    json_array_foreach (lines, i, line) {
        assert_string_equal(json_str_at(line, "import"), i == 0 ? digest : "");
        assert_int_equal(json_bool_at(line, "undo"), i >= forward);
    }
}

static void a_write_tells_what_was_sent_and_what_came_back(void **state)
{
    struct fake *f = *state;
    play_to_the_end(f);
    json_auto_t *lines = lines_of(f);
    const json_t *made = line_of(lines, "intent", 0), *answer = line_of(lines, "answer", 0);
    assert_string_equal(json_str_at(made, "op"), "x:Make");
    assert_string_equal(json_str_at(made, "with.policy"), long_text); /* a reviewer reads it, not its digest */
    assert_false(json_has(made, "as"));
    assert_string_equal(json_str_at(answer, "args"), json_str_at(made, "args"));
    assert_int_equal(strlen(json_str_at(answer, "args")), 64);
    assert_string_equal(json_str_at(answer, "request_id"), "req-1");
    assert_string_equal(json_str_at(answer, "result.id"), "x-1");
    assert_string_equal(json_str_at(line_of(lines, "intent", 1), "as"), "partner");
    assert_string_equal(json_str_at(line_of(lines, "answer", 1), "as"), "partner");
    assert_null(line_of(lines, "answer", 2));
}

static void long_facts_stand_there_by_their_digest(void **state)
{
    (void)state;
    char digest[65];
    json_auto_t *facts = json_make("{s:s}", "text", long_text), *few = thing();
    json_digest(facts, digest);
    json_auto_t *shown = ledger_facts(facts), *whole = ledger_facts(few), *args = ledger_arguments(facts);
    assert_string_equal(json_str_at(shown, "digest"), digest);
    assert_int_equal(json_int_at(shown, "bytes"), sizeof long_text - 1 + strlen("{\"text\":\"\"}"));
    assert_false(json_has(shown, "text"));
    assert_true(json_equal(whole, few));
    assert_true(json_equal(args, facts));
}

/* no: AWS proved that it took nothing. maybe: nobody knows, and a reader must not believe that it did not happen. */
static void an_error_says_whether_it_may_have_been_applied(void **state)
{
    static const struct {
        enum err_code code;
        enum err_applied applied;
        const char *aws, *said;
    } cases[] = {{ERR_AWS_DENIED, APPLIED_NO, "AccessDenied", "no"}, {ERR_AWS_TRANSIENT, APPLIED_MAYBE, "", "maybe"}};
    struct fake *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake_done(f);
        fake_init(f);
        claim(f);
        fake_answer(f, "look", json_null());
        fake_refuse(f, "make", cases[i].code, cases[i].applied, cases[i].aws);
        step_stop_now(f->step);
        json_auto_t *lines = lines_of(f);
        const json_t *answer = line_of(lines, "answer", 0);
        assert_string_equal(json_str_at(answer, "result.applied"), cases[i].said);
        assert_string_equal(json_str_at(answer, "result.aws"), cases[i].aws);
    }
}

static void an_end_binds_what_the_step_found_and_how_sure_it_is(void **state)
{
    struct fake *f = *state;
    struct err err = {0};
    char digest[65];
    play_to_the_end(f);
    json_auto_t *lines = lines_of(f), *result = json_read(f->result, strlen(f->result), 0, &err);
    const json_t *end = line_of(lines, "outcome", 0);
    json_digest(result, digest);
    assert_string_equal(json_str_at(end, "result.outcome"), "D");
    assert_string_equal(json_str_at(end, "result.result"), digest);
    assert_string_equal(json_str_at(end, "result.grade"), "probed");
    assert_ptr_equal(end, json_array_get(lines, json_array_size(lines) - 1));
}

static void reads_are_counted_and_bound_by_what_they_showed(void **state)
{
    struct fake *f = *state;
    char digest[65], facts[65];
    json_auto_t *seen = json_null();
    play_to_the_end(f);
    json_digest(seen, facts);
    json_auto_t *keys = json_make("{s:s}", "look", facts), *lines = lines_of(f);
    json_digest(keys, digest);
    const json_t *reads = line_of(lines, "reads", 0);
    assert_int_equal(json_array_size(json_object_get(reads, "result")), 1);
    assert_string_equal(json_str_at(reads, "result.0.op"), "x:Get");
    assert_int_equal(json_int_at(reads, "result.0.count"), 1);
    assert_string_equal(json_str_at(reads, "result.0.digest"), digest);
}

static void only_news_of_an_end_are_told(void **state)
{
    struct fake *f = *state;
    input.def = &def_fail;
    claim(f);
    fake_answer(f, "look", json_null());
    assert_int_equal(count_of(f, "outcome"), 1);
    for (int i = 0; i < 5; i++) { /* the same again is no news */
        claim(f);
        fake_answer(f, "look", json_null());
    }
    assert_int_equal(count_of(f, "outcome"), 1);
    claim(f);
    fake_answer(f, "look", thing()); /* another code, and another sight */
    json_auto_t *lines = lines_of(f);
    assert_string_equal(json_str_at(line_of(lines, "outcome", 1), "result.code"), err_info(ERR_ROLE_NAME_TAKEN)->name);
    assert_non_null(line_of(lines, "reads", 1));
    claim(f);
    fake_answer(f, "look", json_make("{s:s}", "id", "x-2")); /* the same code after another sight */
    assert_int_equal(count_of(f, "outcome"), 3);
    json_put_str(json_object_get(import, "vars"), "told", "other");
    claim(f);
    fake_answer(f, "look", json_make("{s:s}", "id", "x-2")); /* another code after the same sight */
    assert_int_equal(count_of(f, "outcome"), 4);
}

static void a_person_s_answer_is_told_once_and_never_its_code(void **state)
{
    struct fake *f = *state;
    char digest[65];
    json_auto_t *typed = json_string("123456");
    json_digest(typed, digest);
    json_auto_t *one = json_make("{s:{s:s, s:s}}", "done", "by", "jane", "code", "123456");
    json_auto_t *other = json_make("{s:{s:s}}", "done", "by", "bob");
    const json_t *said[] = {one, one, one, other};
    input.def = &def_wait;
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        input.signals = said[i];
        claim(f);
        fake_answer(f, "look", json_null());
    }
    json_auto_t *lines = lines_of(f);
    const json_t *first = line_of(lines, "signal", 0);
    assert_string_equal(json_str_at(first, "result.by"), "jane");
    assert_string_equal(json_str_at(first, "result.code.digest"), digest);
    assert_null(strstr(f->ledger, "123456"));
    assert_string_equal(json_str_at(line_of(lines, "signal", 1), "result.by"), "bob");
    assert_null(line_of(lines, "signal", 2));
}

static void a_mail_s_text_is_not_told(void **state)
{
    struct fake *f = *state;
    input.def = &def_mail;
    claim(f);
    fake_answer(f, "code", json_make("{s:b}", "sent", 1));
    assert_int_equal(f->end.outcome, STEP_ENDED_DONE);
    json_auto_t *lines = lines_of(f);
    assert_false(json_has(line_of(lines, "intent", 0), "with"));
    assert_null(strstr(f->ledger, "123456"));
}

/* A journal that moved alone could not be told from one that a failover has thrown back. */
static void a_journal_never_moves_without_a_line(void **state)
{
    struct fake *f = *state;
    struct err err = {0};
    input.def = &def_keep;
    claim(f);
    json_auto_t *journal = json_read(f->journal, strlen(f->journal), 0, &err);
    assert_true(json_bool_at(journal, "notes.seen"));
    json_auto_t *lines = lines_of(f);
    const json_t *last = json_array_get(lines, json_array_size(lines) - 1);
    assert_string_equal(json_str_at(last, "kind"), "save");
    assert_int_equal(json_int_at(journal, "seq"), json_int_at(last, "n"));
    assert_string_equal(json_str_at(journal, "head"), json_str_at(last, "hash"));
}

static void a_line_alone_makes_its_journal_worth_a_save(void **state)
{
    (void)state;
    struct journal j;
    struct err err = {0};
    AUTO_STR struct str out;
    str_init(&out, 4096);
    assert_int_equal(journal_init(&j, NULL, &err), 0);
    j.is_dirty = false;
    ledger_add(&j, &(struct ledger_who){.step = "maker", .fence = "1", .nonce = "2"},
               json_make("{s:s}", "kind", "save"), &out);
    assert_true(j.is_dirty);
    journal_done(&j);
}

/* One line lost is a loss, and what it said may have happened. */
static void a_rollback_names_the_writes_that_were_lost(void **state)
{
    struct fake *f = *state;
    claim(f);
    AUTO_FREE char *before = f->journal ? mem_dup(f->journal) : NULL;
    assert_null(before);
    fake_answer(f, "look", json_null());
    assert_non_null(fake_asked(f, "make"));
    AUTO_FREE char *known = mem_dup(f->journal);
    fake_kill(f);
    mem_free(TAKE(f->journal)); /* the failover: neither journal nor line */
    mem_free(TAKE(f->ledger));
    AUTO_FREE char *head = mem_printf("1:%064d", 7);
    f->stored_head = head;
    input.doubted = known;
    claim(f);
    fake_answer(f, "look", json_null());
    step_stop_now(f->step);
    json_auto_t *lines = lines_of(f);
    const json_t *line = line_of(lines, "rollback", 0);
    assert_ptr_equal(line, json_array_get(lines, 0));
    assert_int_equal(json_int_at(line, "result.lost_n"), 1);
    assert_int_equal(json_int_at(line, "result.kept_n"), 0);
    assert_int_equal(json_array_size(json_object_get(line, "writes")), 1);
    assert_string_equal(json_str_at(line, "writes.0.key"), "make");
    assert_string_equal(json_str_at(line, "writes.0.op"), "x:Make");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_line_names_its_holder_and_its_time),
        T(a_chain_names_its_import_once_and_its_direction_always),
        T(a_write_tells_what_was_sent_and_what_came_back),
        T(long_facts_stand_there_by_their_digest),
        T(an_error_says_whether_it_may_have_been_applied),
        T(an_end_binds_what_the_step_found_and_how_sure_it_is),
        T(reads_are_counted_and_bound_by_what_they_showed),
        T(only_news_of_an_end_are_told),
        T(a_person_s_answer_is_told_once_and_never_its_code),
        T(a_mail_s_text_is_not_told),
        T(a_journal_never_moves_without_a_line),
        T(a_line_alone_makes_its_journal_worth_a_save),
        T(a_rollback_names_the_writes_that_were_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
