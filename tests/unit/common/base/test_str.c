#include "tests/unit/test.h"

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/base/str.h"

static void grows_and_stops_at_its_maximum(void **state)
{
    (void)state;
    struct str s;
    str_init(&s, 10);
    str_add(&s, "12345");
    str_add(&s, "67890");
    assert_false(s.is_over);
    str_add_char(&s, 'x');
    assert_true(s.is_over);
    assert_string_equal(s.data, "1234567890");
    str_done(&s);
}

static void formats_only_what_fits(void **state)
{
    (void)state;
    struct str s;
    str_init(&s, 8);
    str_addf(&s, "%d-%s", 12, "abc");
    assert_string_equal(s.data, "12-abc");
    str_addf(&s, "%s", "too long");
    assert_true(s.is_over);
    assert_string_equal(s.data, "12-abc");
    str_done(&s);
}

static void reads_only_whole_decimal_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {{"0", true, 0},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"", false, 0},
                 {"-1", false, 0},
                 {" 1", false, 0},
                 {"1 ", false, 0},
                 {"1e3", false, 0},
                 {"007", true, 7}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t v = 0;
        if (str_to_u64(cases[i].text, UINT64_MAX, &v) != cases[i].ok || v != cases[i].value)
            fail_msg("`%s`", cases[i].text);
    }
    uint64_t v;
    assert_false(str_to_u64("11", 10, &v));
}

static void knows_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool ok;
    } cases[] = {
        {"plain", true},     {"\xC3\xA9", true},      {"\xE2\x82\xAC", true},         {"\xF0\x9F\x98\x80", true},
        {"\xC0\x80", false}, {"\xE0\x80\x80", false}, {"\xED\xA0\x80", false},        {"\xF4\x90\x80\x80", false},
        {"\xC3", false},     {"\x80", false},         {"\xF8\x88\x80\x80\x80", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (str_is_utf8(cases[i].bytes, strlen(cases[i].bytes)) != cases[i].ok)
            fail_msg("case %zu", i);
}

static void finds_words_in_lists(void **state)
{
    (void)state;
    assert_true(str_in_list("a,bb,c", "bb"));
    assert_false(str_in_list("a,bb,c", "b"));
    assert_false(str_in_list("", "a"));
    assert_false(str_in_list(NULL, "a"));
}

static void errors_carry_owner_and_retry_from_the_table(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ERR_ROLE_NAME_TAKEN, "role %s", "x"), -1);
    assert_int_equal(err.owner, OWNER_CUSTOMER);
    assert_int_equal(err.retry, RETRY_ASK);
    err_wrap(&err, "preflight");
    assert_string_equal(err.text, "preflight: role x");
    assert_int_equal(err_code_by_name("role.name_taken"), ERR_ROLE_NAME_TAKEN);
    assert_int_equal(err_code_by_name("no.such"), ERR_NONE);
}

static void error_names_are_unique_dotted_and_have_a_fix(void **state)
{
    (void)state;
    for (int i = 1; i < ERR_CODE_COUNT; i++) {
        const struct err_info *info = err_info((enum err_code)i);
        assert_true(strlen(info->title) > 3 && strlen(info->fix) > 3);
        assert_int_not_equal(info->owner, OWNER_NONE);
        for (int k = i + 1; k < ERR_CODE_COUNT; k++)
            assert_string_not_equal(info->name, err_info((enum err_code)k)->name);
    }
}

static void secrets_are_counted_and_keep_their_bytes(void **state)
{
    (void)state;
    struct secret *s = secret_new("s3cret", 6), *other = secret_ref(s);
    secret_unref(s);
    assert_memory_equal(secret_bytes(other), "s3cret", 7);
    assert_int_equal(secret_len(other), 6);
    secret_unref(other);
    secret_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stops_at_its_maximum),
        cmocka_unit_test(formats_only_what_fits),
        cmocka_unit_test(reads_only_whole_decimal_numbers),
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(finds_words_in_lists),
        cmocka_unit_test(errors_carry_owner_and_retry_from_the_table),
        cmocka_unit_test(error_names_are_unique_dotted_and_have_a_fix),
        cmocka_unit_test(secrets_are_counted_and_keep_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
