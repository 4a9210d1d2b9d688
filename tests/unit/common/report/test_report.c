#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/json.h"
#include "common/report/report.h"
#include "tests/unit/common/proof/small_import.h"

#define EVIL "\"'><script>alert(1)</script><img src=x onerror=y>&amp;\x01"

/* The page of an import, as the checker saw it: without a signature, which is nothing that the page needs. */
static char *page_of(const struct small_import *w)
{
    json_auto_t *payload = small_payload(w);
    struct bundle_report r;
    struct str text, html;
    json_auto_t *signature = json_make("{s:s}", "alg", "none");
    str_init(&text, BUNDLE_BYTES_MAX);
    str_init(&html, BUNDLE_BYTES_MAX);
    bundle_write(payload, signature, &text);
    bundle_check(text.data, text.len, NULL, &r);
    report_html(&r, &html);
    bundle_report_done(&r);
    str_done(&text);
    return str_take(&html);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void says_what_happened(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    AUTO_FREE char *page = page_of(&w);
    static const char *const wanted[] = {"acme_cmp",
                                         "IAM roles",
                                         "iam:CreateRole",
                                         "AWS request req-1",
                                         "1 min",
                                         "1 before, 2 after",
                                         "How to leave",
                                         "orgimport verify",
                                         "soc@acme.example",
                                         "cloudtrail",
                                         "bob",
                                         "Foretold, and not made",
                                         "role_cmp iam:TagRole tag",
                                         "<td>41</td>",
                                         "completed, PROVEN"};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (!strstr(page, wanted[i]))
            fail_msg("the page does not say %s", wanted[i]);
    small_free(&w);
}

static void says_that_nobody_rehearsed(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    AUTO_FREE char *with = page_of(&w);
    assert_null(strstr(with, "No rehearsal was made"));
    assert_null(strstr(with, "and no other.</p>")); /* one write did not come */
    json_decref(TAKE(w.rehearsal));
    AUTO_FREE char *page = page_of(&w);
    assert_non_null(strstr(page, "No rehearsal was made of this import."));
    assert_null(strstr(page, "Foretold"));
    small_free(&w);
}

static void a_broken_bundle_is_told_on_top(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    AUTO_FREE char *page = page_of(&w); /* its signature cannot be read */
    const char *fault = strstr(page, "does not hold together"), *what = strstr(page, "<h2");
    assert_true(fault && what && fault < what);
    small_free(&w);
}

static void nothing_is_loaded_and_no_script_runs(void **state)
{
    (void)state;
    struct small_import w;
    small_make(&w);
    AUTO_FREE char *page = page_of(&w);
    static const char *const never[] = {"<script", "<img", "<link",   "<iframe",     "<object",
                                        "src=",    "url(", "@import", "javascript:", " onclick="};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (strstr(page, never[i]))
            fail_msg("the page has %s", never[i]);
    assert_int_equal(count(page, "href="), count(page, "href=\"#"));
    assert_non_null(strstr(page, "default-src 'none'"));
    assert_non_null(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;")); /* the name of an account */
    assert_non_null(strstr(page, "Acme &lt;b&gt;GmbH&lt;/b&gt;"));
    small_free(&w);
}

/* Every text of the import becomes hostile, one after the other, and keys too: the page has no more markup than before.
 */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the small import is
static void poison(json_t *value, size_t *left)
{
    const char *name = NULL;
    json_t *inner = NULL;
    void *next = NULL;
    json_object_foreach_safe(value, next, name, inner)
    {
        bool is_text = json_is_string(inner);
        if (is_text && (*left)-- == 0)
            json_put_str(value, name, EVIL);
        else
            poison(inner, left);
        if (*left == SIZE_MAX)
            return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (json_is_string(json_array_get(value, i)) && (*left)-- == 0)
            (void)json_array_set_new(value, i, json_string(EVIL));
        else
            poison(json_array_get(value, i), left);
        if (*left == SIZE_MAX)
            return;
    }
}

static void check_harmless(const char *page, size_t place)
{
    if (strstr(page, "<script") || strstr(page, "<img") || strchr(page, 1))
        fail_msg("place %zu comes out as markup", place);
}

static void every_hostile_text_is_harmless(void **state)
{
    (void)state;
    size_t place = 0;
    for (bool is_more = true; is_more; place++) {
        struct small_import w;
        small_make(&w);
        size_t left = place;
        json_auto_t *all = json_make("{s:O,s:O,s:O,s:O}", "import", w.import, "lines", w.lines, "playbook", w.playbook,
                                     "rehearsal", w.rehearsal);
        poison(all, &left);
        is_more = left == SIZE_MAX;
        AUTO_FREE char *page = page_of(&w);
        check_harmless(page, place);
        small_free(&w);
    }
    print_message("%zu texts poisoned\n", place - 1);
    assert_true(place > 150);
}

static void hostile_keys_are_harmless(void **state)
{
    (void)state;
    struct small_import w;
    small_begin(&w);
    json_t *after = small_print(true), *patches = small_patches();
    json_t *sections = json_object_get(after, "sections");
    json_put(json_object_get(sections, "iam.roles"), EVIL, json_make("{s:s}", EVIL, EVIL));
    json_put(sections, EVIL, json_make("{s:{s:s}}", EVIL, "name", EVIL));
    json_put(json_object_get(sections, "tree"), EVIL, json_make("{s:s,s:s}", "parent", "", "type", EVIL));
    fingerprint_seal(after);
    json_auto_t *before = small_print(false);
    small_end(&w, after, patches, verdict_make(before, after, patches, NULL));
    AUTO_FREE char *page = page_of(&w);
    check_harmless(page, 0);
    small_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_happened),
        cmocka_unit_test(says_that_nobody_rehearsed),
        cmocka_unit_test(a_broken_bundle_is_told_on_top),
        cmocka_unit_test(nothing_is_loaded_and_no_script_runs),
        cmocka_unit_test(every_hostile_text_is_harmless),
        cmocka_unit_test(hostile_keys_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
