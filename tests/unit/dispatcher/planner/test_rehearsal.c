/* What a run did, told from its ledger; a rehearsal beside the real run; the seed of a rehearsal. */
#include "common/base/mem.h"
#include "dispatcher/planner/rehearsal.h"
#include "tests/unit/test.h"

static json_t *json(const char *text)
{
    struct err err = {0};
    json_t *value = json_read(text, strlen(text), 0, &err);
    if (!value)
        fail_msg("%s: %s", err.text, text);
    return value;
}

#define LINE(kind, step, op, key, args)                                                                                \
    "{\"kind\":\"" kind "\",\"step\":\"" step "\",\"op\":\"" op "\",\"key\":\"" key "\",\"args\":\"" args              \
    "\",\"at_ms\":1000}"

static json_t *summary_of(const char *state, const char *lines)
{
    AUTO_FREE char *text =
        mem_printf("{\"state\":\"%s\",\"steps\":[{\"name\":\"preflight\",\"state\":\"%s\",\"error\":{\"code\":"
                   "\"preflight.findings\","
                   "\"findings\":[{\"code\":\"role.name_taken\"},{\"code\":\"cur.quota\"}]}},"
                   "{\"name\":\"fingerprint_after\",\"state\":\"DONE\",\"result\":{\"verdict\":\"PROVEN\"}}]}",
                   state, str_eq(state, "failed") ? "FAILED" : "DONE");
    json_auto_t *value = json(text), *list = json(lines);
    return rehearsal_summary(value, list, NULL);
}

static void counts_writes_reads_and_people(void **state)
{
    (void)state;
    json_auto_t *s = summary_of(
        "completed",
        "[" LINE("intent", "role_cmp", "iam:CreateRole", "create", "aa") "," LINE(
            "answer", "role_cmp", "iam:CreateRole", "create",
            "aa") "," LINE("answer", "mailbox_ready", "runtime:mail", "code",
                           "bb") "," LINE("answer", "role_cmp", "iam:DeleteRole", "undo/delete",
                                          "cc") ",{\"kind\":\"task\",\"step\":\"root_email\",\"at_ms\":4000},"
                                                "{\"kind\":\"reads\",\"step\":\"preflight\",\"at_ms\":2000,"
                                                "\"result\":[{\"op\":\"iam:ListRoles\",\"count\":3},"
                                                "{\"op\":\"runtime:identity\",\"count\":9}]}]");
    assert_int_equal(json_array_size(json_at(s, "writes")),
                     1); /* an intent is no write; mail and undo are none of it */
    assert_int_equal(json_int_at(s, "calls.reads"), 3);
    assert_int_equal(json_int_at(s, "calls.writes"), 1);
    assert_int_equal(json_int_at(s, "elapsed_ms"), 3000);
    assert_true(json_array_has_str(json_at(s, "tasks"), "root_email"));
    assert_string_equal(json_str_at(s, "end.state"), "completed");
    assert_string_equal(json_str_at(s, "end.step"), "");
    assert_string_equal(json_str_at(s, "end.verdict"), "PROVEN");
}

static void names_where_and_why_it_stopped(void **state)
{
    (void)state;
    json_auto_t *s = summary_of("failed", "[]");
    assert_string_equal(json_str_at(s, "end.step"), "preflight");
    assert_string_equal(json_str_at(s, "end.code"), "preflight.findings");
    assert_string_equal(json_string_value(json_array_get(json_at(s, "end.findings"), 0)), "cur.quota"); /* sorted */
}

#define RUN_A                                                                                                          \
    "[" LINE("answer", "tax_profile", "tax:Put", "put/0123abcd", "aa") "," LINE("answer", "a", "s3:Put", "p", "bb") "]"
#define RUN_B                                                                                                          \
    "[" LINE("answer", "a", "s3:Put", "p", "zz") "," LINE("answer", "tax_profile", "tax:Put", "put/ffff0000", "aa") "]"
#define RUN_C "[" LINE("answer", "a", "s3:Put", "p", "bb") "," LINE("answer", "a", "s3:Put", "p", "bb") "]"

static void compares_what_was_written_not_when(void **state)
{
    (void)state;
    json_auto_t *a = summary_of("completed", RUN_A), *b = summary_of("completed", RUN_B),
                *c = summary_of("completed", RUN_C), *f = summary_of("failed", RUN_A);
    json_auto_t *same = rehearsal_compare(a, b);
    assert_true(
        json_bool_at(same, "is_same")); /* order and the digest in a key do not count; arguments are told apart */
    assert_int_equal(json_int_at(same, "writes.same_arguments"), 1);
    json_auto_t *other = rehearsal_compare(a, c);
    assert_false(json_bool_at(other, "is_same"));
    assert_string_equal(json_string_value(json_array_get(json_at(other, "writes.missing"), 0)),
                        "tax_profile tax:Put put");
    assert_int_equal(json_array_size(json_at(other, "writes.extra")),
                     1); /* the second time of a write is another one */
    json_auto_t *end = rehearsal_compare(a, f);
    assert_false(json_bool_at(end, "is_same"));
    assert_false(json_bool_at(end, "end.is_same"));
    assert_int_equal(json_array_size(json_at(end, "writes.missing")), 0);
}

static void a_seed_needs_a_fingerprint(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *without = json("{\"doc\":{\"vars\":{\"account_id\":\"111122223333\"}},\"steps\":[]}");
    assert_null(rehearsal_seed(without, &err));
    assert_int_equal(err.code, ERR_STATE_CONFLICT);
    json_auto_t *with = json(
        "{\"doc\":{\"external_ref\":\"r\",\"access\":{\"method\":\"role\",\"role_arn\":\"arn:r\"},\"profile\":{"
        "\"name\":"
        "\"doit\",\"version\":3},\"vars\":{\"account_id\":\"111122223333\",\"id\":\"acme\",\"external_id\":\"e\","
        "\"roles\":{\"cmp\":{\"enabled\":true},\"cloudhealth\":{\"enabled\":false}}}},\"steps\":[{\"name\":"
        "\"access_handover\",\"result\":{\"access_key_id\":\"ASIA1\"}},{\"name\":\"preflight\",\"result\":{\"bucket\":"
        "{\"standing\":\"free\"}}},{\"name\":\"fingerprint_before\",\"result\":{\"fingerprint\":{\"root\":\"ab\","
        "\"sections\":{\"s3\":{}}}}}]}");
    json_auto_t *seed = rehearsal_seed(with, &err);
    assert_non_null(seed);
    assert_string_equal(json_str_at(seed, "profile"), "doit@3");
    assert_string_equal(json_str_at(seed, "org.account_key"), "aws/111122223333");
    assert_int_equal(json_array_size(json_at(seed, "request.roles")), 1);
    assert_string_equal(json_str_at(seed, "record.worlds.0.names.bucket.standing"), "free");
    assert_false(json_has(seed, "record.worlds.0.customer.access_key_id")); /* a session's key is nobody's to keep */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_writes_reads_and_people),
        cmocka_unit_test(names_where_and_why_it_stopped),
        cmocka_unit_test(compares_what_was_written_not_when),
        cmocka_unit_test(a_seed_needs_a_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
