#include "tests/unit/test.h"

#include "common/codec/json.h"
#include "common/crypto/crypto.h"
#include "common/proof/ledger_chain.h"

/* A line as a worker writes it, appended to `lines`. */
static json_t *append(json_t *lines, json_t *heads, const char *step, json_t *line)
{
    char hash[65];
    json_put_str(line, "step", step);
    json_put_int(line, "n", json_int_at(json_object_get(heads, step), "n") + 1);
    json_put_str(line, "prev", json_str_at(json_object_get(heads, step), "hash"));
    ledger_line_hash(line, hash);
    json_put_str(line, "hash", hash);
    json_put(heads, step, json_make("{s:I,s:s}", "n", (json_int_t)json_int_at(line, "n"), "hash", hash));
    json_array_append_new(lines, line);
    return line;
}

static json_t *three_chains(void)
{
    json_t *lines = json_array();
    json_auto_t *heads = json_object();
    append(lines, heads, "role_cmp", json_make("{s:s,s:s}", "kind", "intent", "fence", "0000000000000001"));
    append(lines, heads, "", json_make("{s:s,s:s}", "kind", "decision", "what", "pause"));
    append(lines, heads, "role_cmp", json_make("{s:s,s:s}", "kind", "answer", "fence", "0000000000000001"));
    append(lines, heads, "cur_bucket", json_make("{s:s}", "kind", "outcome"));
    append(lines, heads, "role_cmp", json_make("{s:s,s:s}", "kind", "outcome", "fence", "0000000000000002"));
    return lines;
}

static size_t problems_of(const json_t *lines)
{
    json_auto_t *problems = json_array();
    json_auto_t *heads = ledger_heads(lines, problems);
    json_decref(TAKE(heads));
    return json_array_size(problems);
}

static void heads_are_the_last_lines(void **state)
{
    (void)state;
    json_auto_t *lines = three_chains(), *problems = json_array();
    json_auto_t *heads = ledger_heads(lines, problems);
    assert_int_equal(json_array_size(problems), 0);
    assert_int_equal(json_object_size(heads), 3);
    assert_int_equal(json_int_at(heads, "role_cmp.n"), 3);
    assert_string_equal(json_str_at(heads, "role_cmp.hash"), json_str_at(json_array_get(lines, 4), "hash"));
}

/* The form of the tree is a promise to strangers: spelled out here with nothing but SHA-256. */
static void the_root_is_as_the_header_says(void **state)
{
    (void)state;
    json_auto_t *lines = three_chains(), *heads = ledger_heads(lines, NULL);
    char leaf[3][65], node[65], root[65], want[65], text[300];
    static const char *const names[] = {"", "cur_bucket", "role_cmp"};
    static const size_t last[] = {1, 3, 4}, n[] = {1, 1, 3};
    for (size_t i = 0; i < 3; i++) {
        int len = snprintf(text, sizeof text, "[\"leaf\",\"%s\",%zu,\"%s\"]", names[i], n[i],
                           json_str_at(json_array_get(lines, last[i]), "hash"));
        crypto_sha256_hex(text, (size_t)len, leaf[i]);
    }
    int len = snprintf(text, sizeof text, "[\"node\",\"%s\",\"%s\"]", leaf[0], leaf[1]);
    crypto_sha256_hex(text, (size_t)len, node);
    len = snprintf(text, sizeof text, "[\"node\",\"%s\",\"%s\"]", node, leaf[2]);
    crypto_sha256_hex(text, (size_t)len, want);
    ledger_root(heads, root);
    assert_string_equal(root, want);
    json_auto_t *none = json_object();
    ledger_root(none, root);
    crypto_sha256_hex("[\"empty\"]", 9, want);
    assert_string_equal(root, want);
}

static void every_leaf_that_changes_is_found(void **state)
{
    (void)state;
    json_auto_t *whole = three_chains();
    for (size_t i = 0; i < json_array_size(whole); i++) {
        const char *key = NULL;
        json_t *value = NULL;
        json_object_foreach (json_array_get(whole, i), key, value) {
            json_auto_t *changed = json_deep_copy(whole), *dropped = json_deep_copy(whole);
            if (json_is_string(value))
                json_put_str(json_array_get(changed, i), key, "other");
            else
                json_put_int(json_array_get(changed, i), key, 77);
            json_object_del(json_array_get(dropped, i), key);
            assert_true(problems_of(changed));
            assert_true(problems_of(dropped));
        }
    }
}

static void dropped_doubled_and_swapped_lines_are_found(void **state)
{
    (void)state;
    json_auto_t *whole = three_chains();
    json_auto_t *dropped = json_copy(whole), *doubled = json_copy(whole), *swapped = json_copy(whole);
    json_array_remove(dropped, 2);
    json_array_insert(doubled, 2, json_array_get(whole, 2));
    json_array_remove(swapped, 0);
    json_array_insert(swapped, 2, json_array_get(whole, 0));
    assert_true(problems_of(dropped));
    assert_true(problems_of(doubled));
    assert_true(problems_of(swapped));
    json_auto_t *interleaved = json_copy(whole); /* chains may stand in any order to each other */
    json_array_remove(interleaved, 1);
    json_array_append(interleaved, json_array_get(whole, 1));
    assert_false(problems_of(interleaved));
}

static void a_rollback_names_what_was_lost(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *heads = json_object();
    json_t *first = append(lines, heads, "role_cmp", json_make("{s:s}", "kind", "intent"));
    char lost[65];
    json_digest(first, lost);
    append(lines, heads, "role_cmp",
           json_make("{s:s,s:{s:i,s:s,s:i,s:s}}", "kind", "rollback", "result", "lost_n", 4, "lost_hash", lost,
                     "kept_n", 1, "kept_hash", json_str_at(first, "hash")));
    assert_false(problems_of(lines));
    json_t *liar = append(lines, heads, "role_cmp",
                          json_make("{s:s,s:{s:i,s:s,s:i,s:s}}", "kind", "rollback", "result", "lost_n", 2, "lost_hash",
                                    lost, "kept_n", 1, "kept_hash", json_str_at(first, "hash")));
    assert_non_null(liar);
    assert_true(problems_of(lines));
}

/* A forger can hash, too: what he changed fits itself, and not what is around it. */
static void seal(json_t *line)
{
    char hash[65];
    ledger_line_hash(line, hash);
    json_put_str(line, "hash", hash);
}

static void a_line_follows_by_its_number_and_by_its_hash(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        json_auto_t *lines = three_chains();
        json_t *last = json_array_get(lines, 4);
        if (which == 0)
            json_put_int(last, "n", 7);
        else
            json_put_str(last, "prev", json_str_at(json_array_get(lines, 0), "hash"));
        seal(last);
        assert_int_equal(problems_of(lines), 1);
    }
}

/* Without the name of its chain a line would pass for a decision of people. */
static void a_line_of_no_chain_is_found(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *heads = json_object();
    append(lines, heads, "", json_make("{s:s,s:s}", "kind", "decision", "what", "pause"));
    json_t *line = append(lines, heads, "", json_make("{s:s,s:s}", "kind", "decision", "what", "accept"));
    assert_int_equal(problems_of(lines), 0);
    (void)json_object_del(line, "step");
    seal(line);
    assert_int_equal(problems_of(lines), 1);
}

/* Each of its four words must fit the place where it stands. */
static void a_rollback_that_lies_in_one_word_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *word, *text;
        int number;
    } lies[] = {{"kept_n", NULL, 0}, {"kept_hash", "", 0}, {"lost_n", NULL, 1}, {"lost_hash", "c0ffee", 0}};
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        json_auto_t *lines = json_array(), *heads = json_object();
        json_t *first = append(lines, heads, "role_cmp", json_make("{s:s}", "kind", "intent"));
        json_t *line =
            append(lines, heads, "role_cmp",
                   json_make("{s:s,s:{s:i,s:s,s:i,s:s}}", "kind", "rollback", "result", "lost_n", 2, "lost_hash",
                             json_str_at(first, "hash"), "kept_n", 1, "kept_hash", json_str_at(first, "hash")));
        assert_int_equal(problems_of(lines), 0);
        json_t *result = json_object_get(line, "result");
        if (lies[i].text)
            json_put_str(result, lies[i].word, lies[i].text);
        else
            json_put_int(result, lies[i].word, lies[i].number);
        seal(line);
        if (problems_of(lines) != 1)
            fail_msg("%s: believed", lies[i].word);
    }
}

static void an_older_fence_is_found(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *heads = json_object();
    append(lines, heads, "a", json_make("{s:s}", "fence", "0000000000000002"));
    append(lines, heads, "a", json_make("{s:s}", "fence", "0000000000000001"));
    assert_int_equal(problems_of(lines), 1);
}

static void an_earlier_root_can_be_made_again(void **state)
{
    (void)state;
    json_auto_t *lines = three_chains(), *early = json_array();
    for (size_t i = 0; i < 3; i++)
        json_array_append(early, json_array_get(lines, i));
    json_auto_t *heads = ledger_heads(early, NULL), *counts = ledger_counts(heads);
    char want[65], root[65];
    ledger_root(heads, want);
    json_auto_t *then = ledger_heads_at(lines, counts);
    ledger_root(then, root);
    assert_string_equal(root, want);
    json_put_int(counts, "role_cmp", 9);
    assert_null(ledger_heads_at(lines, counts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_the_last_lines),
        cmocka_unit_test(the_root_is_as_the_header_says),
        cmocka_unit_test(every_leaf_that_changes_is_found),
        cmocka_unit_test(dropped_doubled_and_swapped_lines_are_found),
        cmocka_unit_test(a_rollback_names_what_was_lost),
        cmocka_unit_test(a_line_follows_by_its_number_and_by_its_hash),
        cmocka_unit_test(a_line_of_no_chain_is_found),
        cmocka_unit_test(a_rollback_that_lies_in_one_word_is_found),
        cmocka_unit_test(an_older_fence_is_found),
        cmocka_unit_test(an_earlier_root_can_be_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
