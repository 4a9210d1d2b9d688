#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/json.h"
#include "common/crypto/crypto.h"
#include "common/crypto/sign.h"
#include "common/proof/bundle_check.h"
#include "tests/unit/common/proof/small_import.h"

#include <unistd.h>

static struct sign_key *ours, *theirs;
static unsigned char our_public[SIGN_PUBLIC_BYTES];

static struct sign_key *key_of(const char *base64)
{
    char path[] = "/tmp/orgimport-bundle-XXXXXX";
    struct err err;
    struct sign_key *key = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(file_write(path, base64, strlen(base64), 0600, &err), 0);
    assert_int_equal(sign_key_load(path, &key, &err), 0);
    assert_int_equal(unlink(path), 0);
    return key;
}

static int make_keys(void **state)
{
    (void)state;
    ours = key_of("nWGxne/9WmC6hEr0ku3CKsRESWlybMgZcDocrC5yr2A=");
    theirs = key_of("TM0Imyj/lqjrl7bQQ7mlRSfNMTgxMbQ5RrqIm/T7pvs=");
    json_auto_t *public_key = sign_key_public(ours);
    size_t len = 0;
    unsigned char *bytes = crypto_unbase64(json_str_at(public_key, "public_key"), &len);
    memcpy(our_public, bytes, SIGN_PUBLIC_BYTES);
    mem_free(bytes);
    return 0;
}
static int drop_keys(void **state)
{
    (void)state;
    sign_key_free(ours);
    sign_key_free(theirs);
    return 0;
}

static char *sign(const json_t *payload, const struct sign_key *key)
{
    unsigned char value[SIGN_BYTES];
    struct str text;
    str_init(&text, BUNDLE_BYTES_MAX);
    bundle_signed_bytes(payload, &text);
    sign_make(key, text.data, text.len, value);
    json_auto_t *signature = sign_key_public(key);
    AUTO_FREE char *base64 = crypto_base64(value, sizeof value);
    json_put_str(signature, "value", base64);
    str_clear(&text);
    bundle_write(payload, signature, &text);
    return str_take(&text);
}

static bool is_good(const char *bytes, size_t len)
{
    struct bundle_report r;
    bundle_check(bytes, len, our_public, &r);
    bool good = bundle_is_good(&r);
    bundle_report_done(&r);
    return good;
}

/* What the checker says of a payload that its right owner has signed; "" when it is content. mem_free. */
static char *said_of(const json_t *payload)
{
    AUTO_FREE char *bytes = sign(payload, ours);
    struct bundle_report r;
    bundle_check(bytes, strlen(bytes), our_public, &r);
    char *text = mem_dup(bundle_is_good(&r) ? "" : r.text);
    bundle_report_done(&r);
    return text;
}

static json_t *good_payload(void)
{
    struct small_import w;
    small_make(&w);
    json_t *payload = small_payload(&w);
    small_free(&w);
    return payload;
}

static void a_good_bundle_is_good(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    AUTO_FREE char *said = said_of(payload);
    assert_string_equal(said, "");
    AUTO_FREE char *bytes = sign(payload, ours);
    struct bundle_report r;
    bundle_check(bytes, strlen(bytes), NULL, &r);
    assert_false(bundle_is_good(&r)); /* nobody pinned the key */
    assert_int_equal(json_array_size(r.problems), 0);
    assert_non_null(strstr(r.text, "consistent, signer unpinned"));
    assert_int_equal(r.changes, 1);
    bundle_report_done(&r);
}

static void another_signer_is_found(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    AUTO_FREE char *bytes = sign(payload, theirs);
    struct bundle_report r;
    bundle_check(bytes, strlen(bytes), our_public, &r);
    assert_false(bundle_is_good(&r));
    assert_non_null(strstr(r.text, "not the one that was given"));
    bundle_report_done(&r);
}

/* Also where no key was given to compare with: what is unsigned is not "consistent, signer unpinned". */
static void a_signature_of_something_else_is_found(void **state)
{
    (void)state;
    static const unsigned char nothing[SIGN_BYTES];
    json_auto_t *payload = good_payload(), *signature = sign_key_public(ours);
    AUTO_FREE char *base64 = crypto_base64(nothing, sizeof nothing);
    json_put_str(signature, "value", base64);
    AUTO_STR struct str text;
    str_init(&text, BUNDLE_BYTES_MAX);
    bundle_write(payload, signature, &text);
    struct bundle_report r;
    bundle_check(text.data, text.len, NULL, &r);
    assert_non_null(strstr(r.text, "the signature does not fit the payload"));
    bundle_report_done(&r);
}

static void every_byte_counts(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    AUTO_FREE char *bytes = sign(payload, ours);
    size_t len = strlen(bytes);
    assert_true(is_good(bytes, len));
    for (size_t i = 0; i < len; i += 7) {
        char was = bytes[i];
        bytes[i] = (char)(was ^ (i % 2 ? 1 : 32));
        assert_false(is_good(bytes, len));
        bytes[i] = was;
    }
    for (size_t cut = 1; cut < len; cut += 997)
        assert_false(is_good(bytes, len - cut));
    AUTO_FREE char *longer = mem_printf("%s ", bytes);
    assert_false(is_good(longer, len + 1));
}

/* ---- Every leaf and every member, one after the other ----
 * `spoil` changes the n-th place of `value` in a walk of all: a leaf gets another value, a member or element is
 * dropped, an array gets its first element twice or its ends exchanged. False: there are fewer places. */
struct walk {
    size_t left;
    char path[600];
    int kind; /* 0 leaf, 1 dropped, 2 doubled, 3 exchanged */
    bool is_done;
};

static json_t *other_value(const json_t *value)
{
    if (json_is_string(value))
        return json_sprintf("%sx", json_string_value(value));
    if (json_is_integer(value))
        return json_integer(json_integer_value(value) + 1);
    if (json_is_boolean(value))
        return json_boolean(!json_is_true(value));
    return json_string("x");
}

static bool take(struct walk *w, int kind, const char *path)
{
    if (w->is_done || w->left-- > 0)
        return false;
    w->kind = kind;
    (void)snprintf(w->path, sizeof w->path, "%s", path);
    w->is_done = true;
    return true;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the small import is
static void spoil(struct walk *w, json_t *value, const char *path)
{
    const char *name = NULL;
    json_t *inner = NULL;
    void *next = NULL;
    json_object_foreach_safe(value, next, name, inner)
    {
        AUTO_FREE char *here = mem_printf("%s/%s", path, name);
        if (!json_is_object(inner) && !json_is_array(inner) && take(w, 0, here)) {
            json_put(value, name, other_value(inner));
        } else if (take(w, 1, here)) {
            json_object_del(value, name);
        }
        if (w->is_done)
            return;
        spoil(w, inner, here);
    }
    size_t n = json_array_size(value);
    if (n > 0 && take(w, 2, path))
        json_array_insert(value, 0, json_array_get(value, 0));
    else if (n > 1 && !json_equal(json_array_get(value, 0), json_array_get(value, n - 1)) && take(w, 3, path)) {
        (void)json_array_append(value, json_array_get(value, 0));
        (void)json_array_set(value, 0, json_array_get(value, n - 1));
        (void)json_array_remove(value, n - 1);
    }
    for (size_t i = 0; i < n && !w->is_done; i++) {
        AUTO_FREE char *here = mem_printf("%s/%zu", path, i);
        inner = json_array_get(value, i);
        if (!json_is_object(inner) && !json_is_array(inner) && take(w, 0, here))
            json_array_set_new(value, i, other_value(inner));
        else if (take(w, 1, here))
            json_array_remove(value, i);
        else
            spoil(w, inner, here);
    }
}

static void every_part_is_bound_by_the_signature(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    AUTO_FREE char *bytes = sign(payload, ours);
    struct err err;
    json_auto_t *bundle = json_read(bytes, strlen(bytes), 0, &err);
    size_t count = 0;
    for (;; count++) {
        struct walk w = {.left = count};
        json_auto_t *bad = json_deep_copy(bundle);
        spoil(&w, bad, "");
        if (!w.is_done)
            break;
        struct str text;
        str_init(&text, BUNDLE_BYTES_MAX);
        json_canonical(bad, &text); /* as a forger would write it */
        str_add_char(&text, '\n');
        if (is_good(text.data, text.len))
            fail_msg("not found: %d at %s", w.kind, w.path);
        str_done(&text);
    }
    print_message("%zu mutations of the file, all found\n", count);
    assert_true(count > 700);
}

/* What the right signer may change without contradicting anything else in the file: names and titles that nothing is
 * computed from, when it began, and what a rehearsal foretold. Everything else is derivable, so a signature under it is
 * found out. */
static bool is_free(const struct walk *w)
{
    static const char *const free_paths[] = {"/import/created_ms", "/import/ended_ms", "/playbook/steps/",
                                             "/import/state", "/rehearsal/predicted/"};
    for (size_t i = 0; i < ARRAY_LEN(free_paths); i++)
        if (strncmp(w->path, free_paths[i], strlen(free_paths[i])) == 0)
            return true;
    return strncmp(w->path, "/steps/", 7) == 0 && strstr(w->path, "/state");
}

static void even_the_right_signer_cannot_contradict_the_file(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    size_t count = 0, free_places = 0, unknown = 0;
    for (;; count++) {
        struct walk w = {.left = count};
        json_auto_t *bad = json_deep_copy(payload);
        spoil(&w, bad, "");
        if (!w.is_done)
            break;
        AUTO_FREE char *said = said_of(bad);
        free_places += !*said;
        if (!*said && !is_free(&w))
            print_message("signed and not found: %d at %s\n", w.kind, w.path), unknown++;
    }
    print_message("%zu mutations signed again, %zu of them say nothing that can be computed\n", count, free_places);
    assert_int_equal(unknown, 0);
    assert_true(free_places < count / 5);
}

/* ---- Stories that do not hold together, each signed by the right key ---- */
static void expect(const struct small_import *w, const char *fault)
{
    json_auto_t *payload = small_payload(w);
    AUTO_FREE char *said = said_of(payload);
    if (!strstr(said, fault))
        fail_msg("wanted: %s\ngot: %s", fault, said);
}

static void a_change_that_nobody_declared_is_not_proven(void **state)
{
    (void)state;
    struct small_import w;
    small_begin(&w);
    json_t *after = small_print(true), *patches = small_patches();
    json_put(json_object_get(json_object_get(after, "sections"), "accounts"), "999900001111", json_object());
    fingerprint_seal(after);
    json_auto_t *before = small_print(false);
    json_t *proof = verdict_make(before, after, patches, NULL);
    assert_string_equal(json_str_at(proof, "verdict"), "UNEXPLAINED");
    json_put(proof, "unexplained", json_array());
    small_end(&w, after, patches, proof); /* it says PROVEN all the same */
    expect(&w, "differs in accounts 999900001111");
    small_free(&w);
}

static void an_unexplained_import_is_consistent_and_not_proven(void **state)
{
    (void)state;
    struct small_import w;
    small_begin(&w);
    w.verdict = "UNEXPLAINED (accepted)";
    json_t *after = small_print(true), *patches = small_patches();
    json_put(json_object_get(json_object_get(after, "sections"), "accounts"), "999900001111", json_object());
    fingerprint_seal(after);
    json_auto_t *before = small_print(false);
    small_end(&w, after, patches, verdict_make(before, after, patches, NULL));
    expect(&w, "NOT PROVEN: UNEXPLAINED (accepted) completed");
    small_free(&w);
}

static void a_foreign_change_needs_an_event(void **state)
{
    (void)state;
    for (int has_event = 0; has_event < 2; has_event++) {
        struct small_import w;
        small_begin(&w);
        w.verdict = "PROVEN+FOREIGN";
        json_t *after = small_print(true), *patches = small_patches();
        json_put(json_object_get(json_object_get(after, "sections"), "accounts"), "999900001111", json_object());
        fingerprint_seal(after);
        json_auto_t *before = small_print(false);
        json_t *proof = verdict_make(before, after, patches, NULL);
        json_t *foreign = json_deep_copy(json_object_get(proof, "unexplained"));
        json_put(json_array_get(foreign, 0), "events",
                 has_event ? json_make("[{s:s}]", "user", "alice") : json_array());
        json_put(proof, "foreign", foreign);
        json_put(proof, "unexplained", json_array());
        small_end(&w, after, patches, proof);
        expect(&w, has_event ? "" : "has no event");
        json_auto_t *payload = small_payload(&w);
        AUTO_FREE char *said = said_of(payload);
        assert_int_equal(*said == 0, has_event);
        small_free(&w);
    }
}

static void a_write_after_the_last_look_is_found(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    small_wrote(&w, "role_cmp", "late", "iam:AttachRolePolicy");
    small_done(&w, "role_cmp", "probed", json_make("{s:s}", "again", "yes"));
    expect(&w, "iam:AttachRolePolicy was called by role_cmp after the last look");
    small_free(&w);
}

static void a_step_before_its_time_is_found(void **state)
{
    (void)state;
    struct small_import w;
    small_begin(&w);
    json_t *after = small_print(true), *patches = small_patches();
    json_auto_t *before = small_print(false);
    small_append(&w, "credential_retire", json_make("{s:s,s:s}", "kind", "now", "key", "early"));
    small_end(&w, after, patches, verdict_make(before, after, patches, NULL));
    expect(&w, "credential_retire began before fingerprint_after had ended");
    small_free(&w);
}

static void a_root_that_was_handed_out_binds_what_was_before(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    for (size_t i = 0; i < json_array_size(w.lines); i++) { /* the root says something that never was */
        json_t *line = json_array_get(w.lines, i);
        if (!str_eq(json_str_at(line, "kind"), "root"))
            continue;
        char hash[65];
        json_put_str(line, "root", "0000000000000000000000000000000000000000000000000000000000000000");
        ledger_line_hash(line, hash);
        json_put_str(line, "hash", hash); /* it is the last of its chain, so the chain still holds */
    }
    expect(&w, "a root that was handed out to soc@acme.example does not follow");
    small_free(&w);
}

static void an_answer_that_nobody_gave_is_found(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    small_append(&w, "root_mfa",
                 json_make("{s:s,s:s,s:{s:s}}", "kind", "signal", "key", "done", "result", "by", "mallory"));
    small_done(&w, "root_mfa", "attested", json_make("{s:I}", "exposure_closed_ms", (json_int_t)1700000070000));
    expect(&w, "root_mfa heard an answer that is not among the decisions");
    small_free(&w);
}

/* Whether the fault is among all that the checker names, not only the first. */
static void expect_among(const json_t *payload, const char *fault)
{
    AUTO_FREE char *bytes = sign(payload, ours);
    struct bundle_report r;
    bundle_check(bytes, strlen(bytes), our_public, &r);
    AUTO_FREE char *all = json_text(r.problems);
    bundle_report_done(&r);
    if (!strstr(all, fault))
        fail_msg("wanted: %s\ngot: %s", fault, all);
}

static void a_chain_of_no_step_is_found(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    small_append(&w, "role_extra", json_make("{s:s}", "kind", "save"));
    expect(&w, "the ledger tells of a step `role_extra` that the playbook does not have");
    small_free(&w);
}

static void a_grade_that_the_ledger_does_not_have_is_found(void **state)
{
    (void)state;
    struct small_import w;
    char digest[65];
    small_make(&w);
    json_t *facts = json_object_get(json_array_get(json_object_get(w.import, "steps"), 2), "result");
    json_digest(facts, digest);
    small_append(&w, "role_cmp",
                 json_make("{s:s,s:{s:s,s:s,s:s}}", "kind", "outcome", "result", "outcome", "D", "grade",
                           "attested+second_person", "result", digest));
    expect(&w, "role_cmp: its grade is not what the ledger recorded");
    small_free(&w);
}

static void a_step_that_never_ended_is_named_by_itself_and_by_who_needs_it(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    json_put_str(json_array_get(json_object_get(w.import, "steps"), 7), "state", "DONE");
    json_auto_t *playbook = json_deep_copy(w.playbook);
    json_array_append_new(json_object_get(json_array_get(json_object_get(playbook, "steps"), 2), "needs"),
                          json_string("role_optional"));
    json_auto_t *payload = small_payload(&w);
    json_put(payload, "playbook", json_incref(playbook));
    expect_among(payload, "role_optional is said to be done, and the ledger does not say so");
    expect_among(payload, "role_cmp began, and role_optional never ended");
    small_free(&w);
}

static void digests_of_a_fingerprint_are_made_again(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    json_put_str(json_object_get(json_object_get(json_object_get(payload, "fingerprints"), "before"), "digests"),
                 "tree", "0000000000000000000000000000000000000000000000000000000000000000");
    expect_among(payload, "the fingerprint before does not have the digests that it says");
}

static void a_step_that_ran_is_not_said_to_be_skipped(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    small_done(&w, "role_optional", "probed", json_make("{s:s}", "role", "made"));
    json_put_str(json_array_get(json_object_get(w.import, "steps"), 7), "state", "SKIPPED");
    json_auto_t *payload = small_payload(&w);
    expect_among(payload, "role_optional is said not to have run, and the ledger has its end");
    small_free(&w);
}

static void the_fingerprint_is_the_one_that_was_taken(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload(), *renamed = good_payload(), *other = small_print(true);
    json_put_str(json_object_get(json_object_get(renamed, "fingerprints"), "before"), "root",
                 json_str_at(other, "root"));
    expect_among(renamed, "the fingerprint before does not have the digests that it says");
    json_put(json_object_get(payload, "fingerprints"), "before", json_incref(other)); /* whole, and another */
    expect_among(payload, "the fingerprint before is not the one that the step recorded");
}

/* With or without changes of others: the verdict says which, and the proof lists them. */
static void the_verdict_s_name_fits_what_it_lists(void **state)
{
    (void)state;
    static const char *const faults[] = {"PROVEN, and somebody else's changes are listed",
                                         "PROVEN+FOREIGN, and no change of anybody else is listed"};
    for (int is_foreign = 0; is_foreign < 2; is_foreign++) {
        struct small_import w;
        small_begin(&w);
        w.verdict = is_foreign ? "PROVEN+FOREIGN" : "PROVEN";
        json_t *after = small_print(true), *patches = small_patches();
        json_auto_t *before = small_print(false);
        json_t *proof = verdict_make(before, after, patches, NULL);
        if (!is_foreign)
            json_put(proof, "foreign",
                     json_make("[{s:s,s:s,s:s,s:[{s:s}]}]", "section", "accounts", "key", "999900001111", "kind",
                               "added", "events", "user", "alice"));
        small_end(&w, after, patches, proof);
        json_auto_t *payload = small_payload(&w);
        expect_among(payload, faults[is_foreign]);
        small_free(&w);
    }
}

static void a_change_is_declared_by_who_did_it(void **state)
{
    (void)state;
    struct small_import w;
    small_begin(&w);
    json_t *after = small_print(true), *patches = small_patches();
    json_put_str(json_array_get(patches, 0), "step", "role_optional");
    json_auto_t *before = small_print(false);
    small_end(&w, after, patches, verdict_make(before, after, patches, NULL));
    json_auto_t *payload = small_payload(&w);
    expect_among(payload, "a change is declared by `role_optional`, which did not do anything");
    small_free(&w);
}

static void an_import_that_is_over_has_an_end(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    json_put_int(json_object_get(payload, "import"), "ended_ms", 0);
    expect_among(payload, "the import's end does not fit its state");
}

static void a_member_that_is_not_there_is_found(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    assert_int_equal(json_object_del(json_array_get(json_object_get(payload, "steps"), 7), "undo"), 0);
    expect_among(payload, "a step has 7 members instead of 8");
}

static void a_member_in_place_of_another_is_found(void **state)
{
    (void)state;
    json_auto_t *payload = good_payload();
    json_t *step = json_array_get(json_object_get(payload, "steps"), 7);
    assert_int_equal(json_object_del(step, "undo"), 0);
    json_put(step, "undone", json_null());
    expect_among(payload, "a step has a member `undone` that is not in the format");
}

static void closing_writes_that_nobody_made_are_found(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    small_done(&w, "credential_retire", "probed", json_make("{s:[s,s,s,s,s]}", "closing", "a", "b", "c", "d", "e"));
    expect(&w, "closing writes are listed that the ledger does not have");
    small_free(&w);
}

static void an_unfinished_import_proves_nothing(void **state)
{
    (void)state;
    struct small_import w;
    small_begin(&w);
    json_put_str(w.import, "state", "waiting");
    expect(&w, "NOT PROVEN: no verdict waiting");
    small_free(&w);
}

static void rubbish_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "{}",
                                        "[]",
                                        "null",
                                        "{\"format\":\"orgimport-bundle@1\",\"payload\":{},\"signature\":{}}\n",
                                        "{\"format\":\"orgimport-bundle@1\",\"payload\":[],\"signature\":[]}\n",
                                        "{\"payload\":{\"ledger\":{\"lines\":[1,null,\"x\"]},\"steps\":[7]}}\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_false(is_good(texts[i], strlen(texts[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_bundle_is_good),
        cmocka_unit_test(another_signer_is_found),
        cmocka_unit_test(a_signature_of_something_else_is_found),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(every_part_is_bound_by_the_signature),
        cmocka_unit_test(even_the_right_signer_cannot_contradict_the_file),
        cmocka_unit_test(a_change_that_nobody_declared_is_not_proven),
        cmocka_unit_test(an_unexplained_import_is_consistent_and_not_proven),
        cmocka_unit_test(a_foreign_change_needs_an_event),
        cmocka_unit_test(a_write_after_the_last_look_is_found),
        cmocka_unit_test(a_step_before_its_time_is_found),
        cmocka_unit_test(a_root_that_was_handed_out_binds_what_was_before),
        cmocka_unit_test(an_answer_that_nobody_gave_is_found),
        cmocka_unit_test(a_chain_of_no_step_is_found),
        cmocka_unit_test(a_grade_that_the_ledger_does_not_have_is_found),
        cmocka_unit_test(a_step_that_never_ended_is_named_by_itself_and_by_who_needs_it),
        cmocka_unit_test(digests_of_a_fingerprint_are_made_again),
        cmocka_unit_test(a_step_that_ran_is_not_said_to_be_skipped),
        cmocka_unit_test(the_fingerprint_is_the_one_that_was_taken),
        cmocka_unit_test(the_verdict_s_name_fits_what_it_lists),
        cmocka_unit_test(a_change_is_declared_by_who_did_it),
        cmocka_unit_test(an_import_that_is_over_has_an_end),
        cmocka_unit_test(a_member_that_is_not_there_is_found),
        cmocka_unit_test(a_member_in_place_of_another_is_found),
        cmocka_unit_test(closing_writes_that_nobody_made_are_found),
        cmocka_unit_test(an_unfinished_import_proves_nothing),
        cmocka_unit_test(rubbish_is_refused),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
