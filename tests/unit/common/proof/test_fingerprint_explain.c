/* The tree of differences in words. */
#include "common/base/mem.h"
#include "common/proof/fingerprint.h"
#include "common/proof/fingerprint_explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Two fingerprints from JSON texts of their sections, and what is told of them. mem_free. */
static char *told(const char *a_sections, const char *b_sections)
{
    json_auto_t *a = json_object(), *b = json_object();
    json_put(a, "sections", json_loads(a_sections, 0, NULL));
    json_put(b, "sections", json_loads(b_sections, 0, NULL));
    json_auto_t *differences = fingerprint_diff(a, b);
    struct str out;
    str_init(&out, 1u << 16);
    fingerprint_explain(a, b, differences, &out);
    return str_take(&out);
}

static void check(const char *a, const char *b, const char *want)
{
    char *text = told(a, b);
    assert_string_equal(text, want);
    mem_free(text);
}

static void things_come_and_go_by_their_own_words(void **state)
{
    (void)state;
    check("{\"accounts\":{\"1\":{\"name\":\"old\"}},\"trusted_services\":{}}",
          "{\"accounts\":{\"2\":{\"name\":\"new\"}},\"trusted_services\":{\"sso.amazonaws.com\":{}}}",
          "Accounts\n  account 1 (old) left the organization\n  account 2 (new) joined the organization\n"
          "Trusted access\n  service sso.amazonaws.com was trusted\n");
}

static void members_are_told_as_they_were_and_are(void **state)
{
    (void)state;
    check("{\"iam.roles\":{\"R\":{\"tags\":{\"t\":\"1\"},\"policies\":[\"a\",\"b\"],\"max_session\":3600}}}",
          "{\"iam.roles\":{\"R\":{\"tags\":{\"t\":\"2\"},\"policies\":[\"b\",\"c\"],\"max_session\":7200}}}",
          "IAM roles\n  role R was changed:\n    longest session in seconds was 3600, is 7200\n"
          "    attached policies: now also \"c\"\n    attached policies: no longer \"a\"\n"
          "    tags:\n      t was \"1\", is \"2\"\n");
    check("{\"trails\":{\"t\":{\"logging\":true}},\"organization\":{\"feature_set\":\"ALL\"}}",
          "{\"trails\":{\"t\":{\"logging\":false}},\"organization\":{\"feature_set\":\"BILLING\"}}",
          "The organization itself\n  value feature_set was changed:\n    it was \"ALL\", is \"BILLING\"\n"
          "CloudTrail trails\n  trail t was changed:\n    recording was yes, is no\n");
}

static void names_stand_beside_ids_and_times_are_dates(void **state)
{
    (void)state;
    check("{\"tree\":{\"ou-1\":{\"name\":\"Prod\"},\"ou-2\":{\"name\":\"Test\"},\"9\":{\"parent\":\"ou-1\"}},"
          "\"accounts\":{\"9\":{\"name\":\"shop\",\"joined_ms\":0}}}",
          "{\"tree\":{\"ou-1\":{\"name\":\"Prod\"},\"ou-2\":{\"name\":\"Test\"},\"9\":{\"parent\":\"ou-2\"}},"
          "\"accounts\":{\"9\":{\"name\":\"shop\",\"joined_ms\":1764547200000}}}",
          "Accounts\n  account 9 (shop) was changed:\n    joined was 1970-01-01T00:00:00Z, is 2025-12-01T00:00:00Z\n"
          "Places in the organization\n  node 9 (shop) was changed:\n    place was \"ou-1\" (Prod), is \"ou-2\" "
          "(Test)\n");
}

static void nothing_is_told_of_nothing_and_every_section_has_a_title(void **state)
{
    (void)state;
    check("{\"s3\":{\"b\":{}}}", "{\"s3\":{\"b\":{}}}", "");
    for (size_t i = 0; fingerprint_sections[i]; i++)
        assert_string_not_equal(fingerprint_section_title(fingerprint_sections[i]), fingerprint_sections[i]);
    /* A section of a newer program, and values that are no objects. */
    check("{\"new\":{\"k\":1}}", "{\"new\":{\"k\":[1]}}", "new\n  entry k was changed:\n    it was 1, is [1]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_come_and_go_by_their_own_words),
        cmocka_unit_test(members_are_told_as_they_were_and_are),
        cmocka_unit_test(names_stand_beside_ids_and_times_are_dates),
        cmocka_unit_test(nothing_is_told_of_nothing_and_every_section_has_a_title),
    };
    return cmocka_run_group_tests_name("differences in words", tests, NULL, NULL);
}
