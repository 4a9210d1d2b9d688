#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/json.h"

static json_t *read_text(const char *text)
{
    struct err err;
    return json_read(text, strlen(text), 0, &err);
}

/* Cases of RFC 8785, section 3.2.2 and appendix B, and our own for layout. */
static void writes_the_canonical_form(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{\"b\":1,\"a\":[true,null,\"x\"]}", "{\"a\":[true,null,\"x\"],\"b\":1}"},
        {"[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]",
         "[333333333.3333333,1e+30,4.5,0.002,1e-27]"},
        {"\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\"",
         "\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""},
        {"[1e21,1e20,9007199254740993,-0.0,5e-324,1.7976931348623157e308]",
         "[1e+21,100000000000000000000,9007199254740992,0,5e-324,1.7976931348623157e+308]"},
        {"[0.000001,0.0000001,123456.789,-1.5]", "[0.000001,1e-7,123456.789,-1.5]"},
        {"{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
         "{\"\\r\":2,\"1\":4,\"\xC2\x80\":6,\"\xC3\xB6\":7,\"\xE2\x82\xAC\":1,\"\xF0\x9F\x98\x80\":5,\"\xEF\xAC\xB3\":"
         "3}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *value = read_text(cases[i].in);
        struct str out;
        str_init(&out, 4096);
        assert_non_null(value);
        json_canonical(value, &out);
        assert_string_equal(out.data, cases[i].out);
        str_done(&out);
    }
}

static void the_digest_ignores_order_and_spacing(void **state)
{
    (void)state;
    char a[65], b[65], c[65];
    json_auto_t *x = read_text("{\"a\":1,\"b\":[1,2]}"), *y = read_text(" { \"b\" : [ 1,2 ], \"a\":1 }"),
                *z = read_text("{\"a\":1,\"b\":[2,1]}");
    json_digest(x, a);
    json_digest(y, b);
    json_digest(z, c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
}

static void refuses_bad_text_with_a_place_and_never_echoes_it(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1,]", "{\"k\":AKIASECRET}", "\"\xff\"", "[01]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        assert_null(json_read(bad[i], strlen(bad[i]), 0, &err));
        assert_null(strstr(err.text, "AKIASECRET"));
    }
    struct err err;
    assert_null(json_read("[\n1,\n?]", 7, 0, &err));
    assert_non_null(strstr(err.text, "line 3"));
}

static void refuses_deep_nesting_before_parsing(void **state)
{
    (void)state;
    char text[300];
    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    struct err err;
    assert_null(json_read(text, 200, 0, &err));
    assert_int_equal(err.code, ERR_SYNTAX);
    json_auto_t *fine = json_read(text, 200, 128, &err);
    assert_non_null(fine);
    json_auto_t *brackets_in_text =
        read_text("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");
    assert_non_null(brackets_in_text);
}

static void finds_values_by_path(void **state)
{
    (void)state;
    json_auto_t *v = read_text("{\"a\":{\"b\":[{\"c\":\"x\"},7]},\"t\":true}");
    assert_string_equal(json_str_at(v, "a.b.0.c"), "x");
    assert_int_equal(json_int_at(v, "a.b.1"), 7);
    assert_true(json_bool_at(v, "t"));
    assert_string_equal(json_str_at(v, "a.b.9.c"), "");
    assert_string_equal(json_str_or(v, "a.q", "other"), "other");
    assert_false(json_has(v, "a.b.c"));
}

static void sorts_by_a_key(void **state)
{
    (void)state;
    json_auto_t *v = read_text("[{\"n\":\"b\"},{\"n\":\"a\"},{\"n\":\"c\"}]");
    json_sort_by(v, "n");
    AUTO_FREE char *text = json_text(v);
    assert_string_equal(text, "[{\"n\":\"a\"},{\"n\":\"b\"},{\"n\":\"c\"}]");
}

static void finds_an_element_whatever_the_case_of_letters(void **state)
{
    (void)state;
    json_auto_t *list = read_text("[{\"by\":\"Ann\"},{\"by\":7},{},3,{\"by\":\"ann\"},{\"by\":\"bob\"}]");
    assert_ptr_equal(json_find_nocase(list, "by", "ANN"), json_array_get(list, 0)); /* the first of them */
    assert_ptr_equal(json_find_nocase(list, "by", "Bob"), json_array_get(list, 5));
    assert_null(json_find_nocase(list, "by", "an"));
    assert_null(json_find_nocase(NULL, "by", "ann"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_canonical_form),
        cmocka_unit_test(finds_an_element_whatever_the_case_of_letters),
        cmocka_unit_test(the_digest_ignores_order_and_spacing),
        cmocka_unit_test(refuses_bad_text_with_a_place_and_never_echoes_it),
        cmocka_unit_test(refuses_deep_nesting_before_parsing),
        cmocka_unit_test(finds_values_by_path),
        cmocka_unit_test(sorts_by_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
