/* RFC 8785 against its published vectors (tests/vectors/rfc8785). */
#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/json.h"

#include <stdio.h>
#include <stdlib.h>

#define VECTORS TEST_SOURCE_DIR "/tests/vectors/rfc8785/"

static char *read_vector(const char *name)
{
    AUTO_FREE char *path = mem_printf(VECTORS "%s", name);
    char *text = NULL;
    size_t len = 0;
    struct err err;
    assert_int_equal(file_read(path, 1u << 20, &text, &len, &err), 0);
    return text;
}

static void published_documents_come_out_as_published(void **state)
{
    (void)state;
    static const char *const names[] = {"arrays", "french", "structures", "unicode", "values", "weird"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *in_name = mem_printf("input/%s.json", names[i]);
        AUTO_FREE char *out_name = mem_printf("output/%s.json", names[i]);
        AUTO_FREE char *in = read_vector(in_name), *out = read_vector(out_name);
        struct err err;
        json_auto_t *value = json_read(in, strlen(in), 0, &err);
        AUTO_STR struct str text;
        str_init(&text, 1u << 16);
        assert_non_null(value);
        json_canonical(value, &text);
        assert_string_equal(text.data, out);
        /* What is canonical stays so. */
        json_auto_t *again = json_read(text.data, text.len, 0, &err);
        AUTO_STR struct str twice;
        str_init(&twice, 1u << 16);
        json_canonical(again, &twice);
        assert_string_equal(twice.data, out);
    }
}

/* Lines "bits in hex,expected text". Gives how many there were. */
static size_t check_numbers(const char *file)
{
    AUTO_FREE char *text = read_vector(file);
    size_t count = 0;
    for (char *line = text; *line; count++) {
        size_t len = strcspn(line, "\n");
        char *next = line + len + (line[len] != 0), *comma = strchr(line, ',');
        line[len] = 0;
        assert_non_null(comma);
        *comma = 0;
        uint64_t bits = strtoull(line, NULL, 16);
        double number;
        memcpy(&number, &bits, sizeof number);
        json_auto_t *value = json_real(number);
        AUTO_STR struct str out;
        str_init(&out, 64);
        json_canonical(value, &out);
        if (!str_eq(out.data, comma + 1))
            fail_msg("%s: %s should be %s and is %s", file, line, comma + 1, out.data);
        line = next;
    }
    return count;
}

static void numbers_come_out_as_ecmascript_writes_them(void **state)
{
    (void)state;
    assert_int_equal(check_numbers("numbers_appendix_b.txt"), 24);
    assert_int_equal(check_numbers("numbers_es6_first_1000.txt"), 1000);
    assert_true(check_numbers("numbers_powers_of_two.txt") > 300);
}

/* Everybody else reads numbers as doubles: an integer beyond 2^53 is what a double makes of it. */
static void large_integers_are_doubles(void **state)
{
    (void)state;
    static const struct {
        json_int_t in;
        const char *out;
    } cases[] = {
        {9007199254740991, "9007199254740991"},
        {9007199254740992, "9007199254740992"},
        {9007199254740993, "9007199254740992"},
        {9007199254740995, "9007199254740996"},
        {INT64_MAX, "9223372036854776000"},
        {INT64_MIN, "-9223372036854776000"},
        {-1, "-1"},
        {0, "0"},
        {1764547200000, "1764547200000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *value = json_integer(cases[i].in);
        AUTO_STR struct str out;
        str_init(&out, 64);
        json_canonical(value, &out);
        assert_string_equal(out.data, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_documents_come_out_as_published),
        cmocka_unit_test(numbers_come_out_as_ecmascript_writes_them),
        cmocka_unit_test(large_integers_are_doubles),
    };
    return cmocka_run_group_tests_name("RFC 8785", tests, NULL, NULL);
}
