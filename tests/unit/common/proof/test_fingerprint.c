/* Fingerprints, patches and verdicts: what is declared is proven, anything else is not. */
#include "common/proof/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* One entry in every section. New reference. */
static json_t *sample(void)
{
    json_t *sections = json_object();
    for (size_t i = 0; fingerprint_sections[i]; i++)
        json_put(sections, fingerprint_sections[i],
                 json_make("{s:{s:s,s:i},s:{s:[s,s],s:{s:s}}}", "first", "name", fingerprint_sections[i], "n", (int)i,
                           "second", "list", "a", "b", "tags", "a/b", "x"));
    json_t *fingerprint = json_make("{s:o,s:I}", "sections", sections, "taken_ms", (json_int_t)1);
    fingerprint_seal(fingerprint);
    return fingerprint;
}

static json_t *section_of(json_t *fingerprint, const char *name)
{
    return json_object_get(json_object_get(fingerprint, "sections"), name);
}

static void assert_verdict(const json_t *before, const json_t *after, const json_t *patches, const char *want,
                           size_t unexplained)
{
    json_auto_t *verdict = verdict_make(before, after, patches, NULL);
    assert_string_equal(json_str_at(verdict, "verdict"), want);
    assert_int_equal(json_array_size(json_object_get(verdict, "unexplained")), unexplained);
}

static void nothing_changed_is_proven(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = sample(), *none = json_array();
    assert_verdict(before, after, none, "PROVEN", 0);
    assert_verdict(before, after, NULL, "PROVEN", 0);
}

/* The same members, entered the other way round, as a service that answers in any order makes us do. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the test's own object
static json_t *reversed(const json_t *object)
{
    json_t *out = json_object(), *value = NULL, *names = json_array();
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)object, name, value)
        json_array_append_new(names, json_string(name));
    for (size_t i = json_array_size(names); i-- > 0;) {
        name = json_string_value(json_array_get(names, i));
        value = json_object_get(object, name);
        json_put(out, name, json_is_object(value) ? reversed(value) : json_incref(value));
    }
    json_decref(names);
    return out;
}

static void order_of_members_makes_no_difference(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = json_object();
    json_put(after, "sections", reversed(json_object_get(before, "sections")));
    fingerprint_seal(after);
    assert_string_equal(json_str_at(before, "root"), json_str_at(after, "root"));
    assert_verdict(before, after, NULL, "PROVEN", 0);
}

static void one_change_in_any_section_is_unexplained(void **state)
{
    (void)state;
    json_auto_t *before = sample();
    for (size_t i = 0; fingerprint_sections[i]; i++) {
        const char *section = fingerprint_sections[i];
        json_auto_t *added = sample(), *removed = sample(), *changed = sample();
        json_put(section_of(added, section), "third", json_object());
        json_object_del(section_of(removed, section), "first");
        json_put_int(json_object_get(section_of(changed, section), "first"), "n", 4711);
        assert_verdict(before, added, NULL, "UNEXPLAINED", 1);
        assert_verdict(before, removed, NULL, "UNEXPLAINED", 1);
        assert_verdict(before, changed, NULL, "UNEXPLAINED", 1);
        json_auto_t *difference = fingerprint_diff(before, changed);
        assert_string_equal(json_str_at(difference, "0.section"), section);
        assert_string_equal(json_str_at(difference, "0.kind"), "changed");
    }
}

static json_t *three_patches(void)
{
    return json_make("[{s:s,s:s,s:s,s:{s:s}},{s:s,s:s,s:s},{s:s,s:s,s:s,s:s,s:s}]", "section", "iam.roles", "key",
                     "ours", "op", "add", "value", "path", "/", "section", "s3", "key", "first", "op", "remove",
                     "section", "tree", "key", "second", "op", "replace", "path", "tags/a~1b", "value", "y");
}

static json_t *after_three(void)
{
    json_t *after = sample();
    json_put(section_of(after, "iam.roles"), "ours", json_make("{s:s}", "path", "/"));
    json_object_del(section_of(after, "s3"), "first");
    json_put_str(json_object_get(json_object_get(section_of(after, "tree"), "second"), "tags"), "a/b", "y");
    return after;
}

static void exact_patches_are_proven(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = after_three(), *patches = three_patches();
    assert_verdict(before, after, patches, "PROVEN", 0);
}

static void one_extra_change_beside_patches_is_unexplained(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *patches = three_patches();
    for (size_t i = 0; fingerprint_sections[i]; i++) {
        json_auto_t *after = after_three();
        json_put(section_of(after, fingerprint_sections[i]), "foreign", json_true());
        assert_verdict(before, after, patches, "UNEXPLAINED", 1);
    }
}

/* We said that we would touch it, it is not as we said, and nobody else is to blame. */
static void a_declared_change_that_did_not_happen_is_disrupted(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = sample(), *patches = three_patches();
    assert_verdict(before, after, patches, "DISRUPTED", 0);
    json_auto_t *verdict = verdict_make(before, after, patches, NULL);
    assert_int_equal(json_array_size(json_object_get(verdict, "disrupted")), 3);
}

static void a_patch_that_does_not_fit_is_unexplained(void **state)
{
    (void)state;
    static const char *const misfits[] = {
        "[{\"section\":\"iam.roles\",\"key\":\"first\",\"op\":\"add\",\"value\":{\"name\":\"iam.roles\",\"n\":10}}]",
        "[{\"section\":\"iam.roles\",\"key\":\"gone\",\"op\":\"remove\"}]",
        "[{\"section\":\"nowhere\",\"key\":\"x\",\"op\":\"add\",\"value\":1}]",
        "[{\"section\":\"iam.roles\",\"key\":\"first\",\"op\":\"replace\",\"path\":\"a/b/c\",\"value\":1}]",
        "[{\"section\":\"iam.roles\",\"key\":\"first\",\"op\":\"invent\",\"value\":1}]",
        "[{\"section\":\"iam.roles\",\"key\":\"first\",\"op\":\"replace\"}]",
        "[7]",
    };
    json_auto_t *before = sample(), *after = sample();
    for (size_t i = 0; i < ARRAY_LEN(misfits); i++) {
        struct err err;
        json_auto_t *patches = json_read(misfits[i], strlen(misfits[i]), 0, &err);
        assert_non_null(patches);
        json_auto_t *verdict = verdict_make(before, after, patches, NULL);
        assert_string_equal(json_str_at(verdict, "verdict"), "UNEXPLAINED");
        bool is_told = false;
        size_t n = 0;
        json_t *one = NULL;
        json_array_foreach (json_object_get(verdict, "unexplained"), n, one)
            is_told = is_told || str_eq(json_str_at(one, "kind"), "patch");
        assert_true(is_told);
    }
}

static void accepting_moves_a_difference_and_proves_nothing(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = sample();
    json_put(section_of(after, "s3"), "foreign", json_true());
    json_auto_t *accepted = fingerprint_diff(before, after);
    json_auto_t *verdict = verdict_make(before, after, NULL, accepted);
    assert_string_equal(json_str_at(verdict, "verdict"), "UNEXPLAINED");
    assert_int_equal(json_array_size(json_object_get(verdict, "unexplained")), 0);
    assert_int_equal(json_array_size(json_object_get(verdict, "accepted")), 1);
    json_put(section_of(after, "s3"), "another", json_true());
    json_auto_t *later = verdict_make(before, after, NULL, accepted);
    assert_int_equal(json_array_size(json_object_get(later, "unexplained")), 1);
}

static void a_stored_root_is_never_believed(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = sample();
    json_put(section_of(after, "tax"), "foreign", json_true());
    json_put_str(after, "root", json_str_at(before, "root"));
    json_put(after, "digests", json_deep_copy(json_object_get(before, "digests")));
    assert_verdict(before, after, NULL, "UNEXPLAINED", 1);
}

static void unstable_sections_are_named(void **state)
{
    (void)state;
    json_auto_t *before = sample(), *after = sample();
    json_array_append_new(json_object_get(after, "unstable"),
                          json_make("{s:s,s:[s,s]}", "section", "accounts", "digests", "a", "b"));
    json_auto_t *verdict = verdict_make(before, after, NULL, NULL);
    assert_string_equal(json_str_at(verdict, "unstable.0.section"), "accounts");
}

/* Computed by another implementation (Python's hashlib over the same definition). */
static void the_root_is_the_documented_tree(void **state)
{
    (void)state;
    json_auto_t *three = json_make("{s:{s:{s:i},s:{},s:{s:s}}}", "sections", "b", "x", 1, "a", "c", "y", "z");
    fingerprint_seal(three);
    assert_string_equal(json_str_at(three, "root"), "a78a0c2a6af6e14f2f03343ef0fadf03ea84ff0e5211767c269843e9ee653394");
    json_auto_t *none = json_make("{s:{}}", "sections");
    fingerprint_seal(none);
    assert_string_equal(json_str_at(none, "root"), "6c7accfe4beda7ac50b2228fb8e847f3900c2ed65b1b8b729a5d5f88c753d066");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changed_is_proven),
        cmocka_unit_test(order_of_members_makes_no_difference),
        cmocka_unit_test(one_change_in_any_section_is_unexplained),
        cmocka_unit_test(exact_patches_are_proven),
        cmocka_unit_test(one_extra_change_beside_patches_is_unexplained),
        cmocka_unit_test(a_declared_change_that_did_not_happen_is_disrupted),
        cmocka_unit_test(a_patch_that_does_not_fit_is_unexplained),
        cmocka_unit_test(accepting_moves_a_difference_and_proves_nothing),
        cmocka_unit_test(a_stored_root_is_never_believed),
        cmocka_unit_test(unstable_sections_are_named),
        cmocka_unit_test(the_root_is_the_documented_tree),
    };
    return cmocka_run_group_tests_name("proof", tests, NULL, NULL);
}
