/* Policies compared by meaning and merged without touching foreign bytes. */
#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "worker/steps/policy_document.h"

static json_t *doc(const char *text)
{
    struct err err = {0};
    json_t *v = json_read(text, strlen(text), 0, &err);
    if (!v)
        fail_msg("%s: %s", text, err.text);
    return v;
}

static void same_meaning_is_equal(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_equal;
    } cases[] = {
        {"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}",
         "{\"Statement\":[{\"Resource\":[\"*\"],\"Action\":[\"s3:*\"],\"Effect\":\"Allow\"}],\"Version\":\"2012-10-"
         "17\"}",
         true},
        {"{\"Statement\":[{\"Action\":[\"b\",\"a\"]}]}", "{\"Statement\":[{\"Action\":[\"a\",\"b\",\"a\"]}]}", true},
        {"{\"Statement\":[{\"Principal\":{\"AWS\":\"111122223333\"}}]}",
         "{\"Statement\":[{\"Principal\":{\"AWS\":[\"arn:aws:iam::111122223333:root\"]}}]}", true},
        {"{\"Statement\":[{\"Principal\":\"*\"}]}", "{\"Statement\":[{\"Principal\":{\"AWS\":\"*\"}}]}", true},
        {"{\"Statement\":[{\"Condition\":{\"Bool\":{\"x\":true}}}]}",
         "{\"Statement\":[{\"Condition\":{\"Bool\":{\"x\":[\"true\"]}}}]}", true},
        {"{\"Statement\":[{\"Action\":\"a\"}]}", "{\"Statement\":[{\"NotAction\":\"a\"}]}", false},
        {"{\"Version\":\"2012-10-17\",\"Statement\":[]}", "{\"Statement\":[]}", false},
        {"{\"Statement\":[{\"Effect\":\"Allow\"}]}", "{\"Statement\":[{\"Effect\":\"Deny\"}]}", false},
        {"[]", "{}", true}, /* nothing and nothing: no crash on odd documents */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *a = doc(cases[i].a), *b = doc(cases[i].b);
        if (policy_equal(a, b) != cases[i].is_equal)
            fail_msg("case %zu", i);
    }
}

static void a_trust_without_external_id_is_seen(void **state)
{
    (void)state;
    static const char with[] =
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"},\"Action\":\"sts:AssumeRole\","
        "\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":\"x\"}}}]}";
    static const char without[] = "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"},"
                                  "\"Action\":\"sts:AssumeRole\"}]}";
    static const char empty[] =
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"1\"},\"Condition\":{\"StringEquals\":"
        "{\"sts:ExternalId\":\"\"}}}]}";
    json_auto_t *a = doc(with), *b = doc(without), *c = doc(empty);
    assert_true(policy_asks_external_id(a));
    assert_false(policy_asks_external_id(b));
    assert_false(policy_asks_external_id(c));
    assert_string_equal(policy_external_id(a), "x");
    json_auto_t *other = policy_with_external_id(a, "y");
    assert_string_equal(policy_external_id(other), "y");
    assert_string_equal(policy_external_id(a), "x");
    assert_string_equal(policy_external_id(b), "");
}

static void foreign_statements_keep_their_bytes(void **state)
{
    (void)state;
    static const char ours_text[] = "[{\"Sid\":\"Ours\",\"Effect\":\"Allow\"}]";
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Sid\":\"Ours\"}]}"},
        {"{ \"Version\" : \"2012-10-17\", \"Id\":\"f\", \"Statement\":[ {\"Sid\":\"A\",  \"Action\" : [ \"x\" ]} ] }",
         "{ \"Version\" : \"2012-10-17\", \"Id\":\"f\", \"Statement\":[{\"Sid\":\"A\",  \"Action\" : [ \"x\" ]},"
         "{\"Effect\":\"Allow\",\"Sid\":\"Ours\"}] }"},
        {"{\"Statement\":{\"Sid\":\"A\",\"R\":\"}]\\\"{,\"},\"Z\":1}",
         "{\"Statement\":[{\"Sid\":\"A\",\"R\":\"}]\\\"{,\"},{\"Effect\":\"Allow\",\"Sid\":\"Ours\"}],\"Z\":1}"},
        {"{\"Statement\":[{\"Sid\":\"Ours\",\"Effect\":\"Deny\"},{\"Sid\":\"B\"}]}",
         "{\"Statement\":[{\"Sid\":\"B\"},{\"Effect\":\"Allow\",\"Sid\":\"Ours\"}]}"},
        {"{\"A\":{\"Statement\":[1]},\"n\":-1.5e3,\"Statement\":[{\"no\":\"sid\"}]}",
         "{\"A\":{\"Statement\":[1]},\"n\":-1.5e3,\"Statement\":[{\"no\":\"sid\"},{\"Effect\":\"Allow\",\"Sid\":"
         "\"Ours\"}]}"},
    };
    json_auto_t *ours = doc(ours_text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        json_auto_t *merged = policy_merge(cases[i].text, ours, &err);
        if (!merged)
            fail_msg("case %zu: %s", i, err.text);
        assert_string_equal(json_string_value(merged), cases[i].wanted);
        json_auto_t *document = doc(json_string_value(merged));
        assert_true(policy_holds(document, ours));
        json_auto_t *again = policy_merge(json_string_value(merged), ours, &err);
        json_auto_t *back = policy_without(json_string_value(merged), ours, &err);
        assert_true(back && (json_is_null(back) || !strstr(json_string_value(back), "Ours")));
        json_auto_t *a = doc(json_string_value(again));
        assert_true(policy_equal(a, document));
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    json_auto_t *ours = doc("[{\"Sid\":\"Ours\"}]");
    AUTO_STR struct str big;
    str_init(&big, 40000);
    str_add(&big, "{\"Statement\":[{\"Sid\":\"");
    while (big.len < POLICY_BUCKET_BYTES_MAX - 12)
        str_add_char(&big, 'a');
    str_add(&big, "\"}]}");
    struct err err = {0};
    assert_null(policy_merge(big.data, ours, &err));
    assert_int_equal(err.code, ERR_BUCKET_POLICY_SIZE);
    assert_null(policy_merge("{\"Statement\":[", ours, &err));
    assert_int_equal(err.code, ERR_SYNTAX);
    assert_null(policy_merge("[]", ours, &err));
    assert_null(policy_merge("{}", ours, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_meaning_is_equal),
        cmocka_unit_test(a_trust_without_external_id_is_seen),
        cmocka_unit_test(foreign_statements_keep_their_bytes),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
