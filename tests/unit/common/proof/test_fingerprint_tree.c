/* Inclusion proofs: one section shown to a stranger, the others not. */
#include "common/proof/fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SIZES_MAX 21

static json_t *of_size(size_t count)
{
    json_t *sections = json_object();
    for (size_t i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%02zu", i);
        json_put(sections, name, json_make("{s:{s:I}}", "key", "n", (json_int_t)i));
    }
    json_t *fingerprint = json_make("{s:o}", "sections", sections);
    fingerprint_seal(fingerprint);
    return fingerprint;
}

static void every_section_of_every_size_is_proven(void **state)
{
    (void)state;
    for (size_t count = 1; count <= SIZES_MAX; count++) {
        json_auto_t *fingerprint = of_size(count);
        const char *name = NULL, *root = json_str_at(fingerprint, "root");
        json_t *value = NULL;
        json_object_foreach (json_object_get(fingerprint, "sections"), name, value) {
            json_auto_t *proof = fingerprint_prove(fingerprint, name);
            assert_non_null(proof);
            assert_string_equal(json_str_at(proof, "root"), root);
            assert_true(json_array_size(json_object_get(proof, "path")) <= 5);
            assert_true(fingerprint_proof_holds(proof, value, root));
        }
        assert_null(fingerprint_prove(fingerprint, "another"));
    }
}

static void a_proof_of_anything_else_does_not_hold(void **state)
{
    (void)state;
    json_auto_t *fingerprint = of_size(7), *other = of_size(8), *changed = json_make("{s:{s:i}}", "key", "n", 99);
    const char *root = json_str_at(fingerprint, "root");
    const json_t *sections = json_object_get(fingerprint, "sections");
    const json_t *value = json_object_get(sections, "s03");
    json_auto_t *proof = fingerprint_prove(fingerprint, "s03");
    assert_true(fingerprint_proof_holds(proof, value, root));
    assert_false(fingerprint_proof_holds(proof, changed, root));
    assert_false(fingerprint_proof_holds(proof, json_object_get(sections, "s04"), root));
    assert_false(fingerprint_proof_holds(proof, NULL, root));
    assert_false(fingerprint_proof_holds(proof, value, json_str_at(other, "root")));
    assert_false(fingerprint_proof_holds(NULL, value, root));
    /* Another name for the same value. */
    json_auto_t *renamed = json_deep_copy(proof);
    json_put_str(renamed, "section", "s02");
    assert_false(fingerprint_proof_holds(renamed, value, root));
    /* What the proof says of itself is not believed. */
    json_auto_t *boastful = json_deep_copy(proof);
    char digest[65];
    json_digest(changed, digest);
    json_put_str(boastful, "digest", digest);
    assert_true(fingerprint_proof_holds(boastful, value, root));
    assert_false(fingerprint_proof_holds(boastful, changed, root));
}

static void a_spoilt_path_does_not_hold(void **state)
{
    (void)state;
    json_auto_t *fingerprint = of_size(13);
    const char *root = json_str_at(fingerprint, "root");
    const json_t *value = json_at(fingerprint, "sections.s06");
    json_auto_t *proof = fingerprint_prove(fingerprint, "s06");
    size_t steps = json_array_size(json_object_get(proof, "path"));
    assert_int_equal(steps, 4);
    for (size_t i = 0; i < steps; i++) {
        json_auto_t *turned = json_deep_copy(proof), *cut = json_deep_copy(proof), *odd = json_deep_copy(proof),
                    *doubled = json_deep_copy(proof);
        json_t *step = json_array_get(json_object_get(turned, "path"), i);
        json_put_str(step, "side", str_eq(json_str_at(step, "side"), "left") ? "right" : "left");
        assert_false(fingerprint_proof_holds(turned, value, root));
        json_array_remove(json_object_get(cut, "path"), i);
        assert_false(fingerprint_proof_holds(cut, value, root));
        json_put_str(json_array_get(json_object_get(odd, "path"), i), "digest", "short");
        assert_false(fingerprint_proof_holds(odd, value, root));
        json_array_insert(json_object_get(doubled, "path"), i, json_array_get(json_object_get(doubled, "path"), i));
        assert_false(fingerprint_proof_holds(doubled, value, root));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_section_of_every_size_is_proven),
        cmocka_unit_test(a_proof_of_anything_else_does_not_hold),
        cmocka_unit_test(a_spoilt_path_does_not_hold),
    };
    return cmocka_run_group_tests_name("proof of one section", tests, NULL, NULL);
}
