/* Journal, session policy and blobs: what is kept, and what is refused. */
#include "common/base/mem.h"
#include "worker/runtime/engine_private.h"
#include "worker/runtime/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void survives_its_own_text(void **state)
{
    struct journal j, k;
    struct err err = {0};
    (void)state;
    assert_int_equal(journal_init(&j, NULL, &err), 0);
    journal_intend(&j, "a",
                   &(struct journal_intent){.op = "x:A", .args_digest = "d", .fence = "1", .nonce = "2", .at_ms = 5});
    journal_intend(&j, "b",
                   &(struct journal_intent){.op = "x:B", .args_digest = "d", .fence = "1", .nonce = "2", .at_ms = 6});
    json_auto_t *facts = json_make("{s:s}", "arn", "x");
    journal_answer(&j, "b", facts, NULL);
    journal_set(&j, "now", "opened", json_integer(9));
    AUTO_FREE char *text = journal_text(&j, &err);
    assert_false(j.is_dirty);
    assert_int_equal(journal_init(&k, text, &err), 0);
    assert_true(journal_write_is_open(journal_write(&k, "a")));
    assert_false(journal_write_is_open(journal_write(&k, "b")));
    assert_int_equal(json_integer_value(journal_get(&k, "now", "opened")), 9);
    assert_true(json_equal(j.root, k.root));
    journal_done(&j);
    journal_done(&k);
}

static void setting_the_same_value_is_no_change(void **state)
{
    struct journal j;
    struct err err = {0};
    (void)state;
    assert_int_equal(journal_init(&j, NULL, &err), 0);
    journal_set(&j, "now", "n", json_integer(1));
    AUTO_FREE char *text = journal_text(&j, &err);
    (void)text;
    journal_set(&j, "now", "n", json_integer(1));
    journal_unset(&j, "now", "other");
    journal_forget(&j, "none");
    assert_false(j.is_dirty);
    journal_set(&j, "now", "n", json_integer(2));
    assert_true(j.is_dirty);
    journal_done(&j);
}

static void refuses_what_it_did_not_write(void **state)
{
    static const char *const bad[] = {"[]",          "{",   "{\"keys\":[]}", "{\"keys\":{\"a\":{\"st\":\"maybe\"}}}",
                                      "{\"now\":1}", "\xff"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct journal j;
        struct err err = {0};
        assert_int_equal(journal_init(&j, bad[i], &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void is_bounded(void **state)
{
    struct journal j;
    struct err err = {0};
    (void)state;
    assert_int_equal(journal_init(&j, NULL, &err), 0);
    for (int i = 0; i < 3000; i++) {
        AUTO_FREE char *key = mem_printf("a rather long name of a value/%d", i);
        journal_set(&j, "now", key, json_integer(i));
    }
    assert_null(journal_text(&j, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    journal_done(&j);
}

static void a_blob_comes_back_and_a_wrong_one_does_not(void **state)
{
    AUTO_FREE char *pad = mem_alloc(5001);
    struct err err = {0};
    (void)state;
    memset(pad, 'x', 5000);
    AUTO_FREE char *text = mem_printf("{\"pad\":\"%s\"}", pad);
    void *bytes = NULL;
    char *stub_text = NULL, digest[65];
    size_t len = 0;
    blob_make(text, &bytes, &len, &stub_text, digest);
    assert_true(len < 200);
    json_auto_t *stub = json_loads(stub_text, 0, NULL);
    assert_string_equal(json_str_at(stub, "$blob"), digest);
    json_auto_t *back = blob_read(bytes, len, stub, &err);
    assert_int_equal(strlen(json_str_at(back, "pad")), 5000);
    json_put_str(stub, "$blob", "00");
    assert_null(blob_read(bytes, len, stub, &err));
    json_put_str(stub, "$blob", digest);
    json_put_int(stub, "bytes", 1LL << 40);
    assert_null(blob_read(bytes, len, stub, &err));
    json_put_int(stub, "bytes", 10);
    assert_null(blob_read(bytes, len, stub, &err));
    mem_free(bytes);
    mem_free(stub_text);
}

static void a_session_may_do_what_the_steps_declare_and_no_more(void **state)
{
    json_auto_t *import = json_make("{s:[s, s], s:{s:s, s:{s:{s:s}}}}", "steps", "org_identify", "role_cmp", "vars",
                                    "account_id", "111122223333", "roles", "cmp", "name", "doitintl_cmp");
    AUTO_FREE char *text = session_policy(import);
    (void)state;
    assert_non_null(text);
    assert_true(strlen(text) <= 2048);
    assert_non_null(strstr(text, "iam:CreateRole"));
    assert_null(strstr(text, "s3:"));
    json_auto_t *all = json_make("{s:[]}", "steps");
    for (const struct step_def *const *def = step_defs; *def; def++)
        (void)json_array_append_new(json_object_get(all, "steps"), json_string((*def)->name));
    AUTO_FREE char *whole = session_policy(all);
    assert_true(!whole || strlen(whole) <= 2048);
    json_auto_t *none = json_make("{s:[]}", "steps");
    assert_null(session_policy(none));
}

/* What tells one role from another in CloudTrail is kept with an intent; long texts and people's words are not. */
static void the_names_of_writes_are_listed(void **state)
{
    (void)state;
    struct journal j;
    struct err err = {0};
    assert_int_equal(journal_init(&j, NULL, &err), 0);
    json_auto_t *args = json_make("{s:s,s:{},s:i}", "RoleName", "ours", "PolicyDocument", "n", 1);
    json_auto_t *mail = json_make("{s:s}", "to", "ann@x.example");
    journal_intend(
        &j, "create",
        &(struct journal_intent){
            .op = "iam:CreateRole", .args_digest = "d", .fence = "1", .nonce = "2", .at_ms = 7, .args = args});
    journal_intend(&j, "mail",
                   &(struct journal_intent){
                       .op = "runtime:mail", .args_digest = "d", .fence = "1", .nonce = "2", .at_ms = 8, .args = mail});
    AUTO_FREE char *text = journal_text(&j, &err);
    json_auto_t *writes = json_array();
    journal_list_writes(text, "role_cmp", writes);
    journal_list_writes(NULL, "other", writes);
    journal_list_writes("not JSON", "other", writes);
    assert_int_equal(json_array_size(writes), 2);
    assert_string_equal(json_str_at(writes, "0.op"), "iam:CreateRole");
    assert_string_equal(json_str_at(writes, "0.args.RoleName"), "ours");
    assert_int_equal(json_object_size(json_at(writes, "0.args")), 1);
    assert_false(json_has(writes, "1.args"));
    journal_done(&j);
}

static void an_unclear_write_lies_beneath_the_next_one(void **state)
{
    struct journal j = {0};
    struct err err = {0};
    (void)state;
    assert_int_equal(journal_init(&j, NULL, &err), 0);
    struct journal_intent one = {.op = "cur:Put", .args_digest = "d", .fence = "1", .nonce = "2", .at_ms = 7};
    struct journal_intent two = {.op = "cur:Put", .args_digest = "d", .fence = "1", .nonce = "2", .at_ms = 8};
    journal_intend(&j, "put", &one);
    journal_intend(&j, "put", &two);
    journal_intend(&j, "put", &two);
    AUTO_FREE char *text = journal_text(&j, &err);
    json_auto_t *writes = json_array();
    journal_list_writes(text, "cur_report", writes);
    assert_int_equal(json_array_size(writes), 2); /* the newest of those that were never answered is enough */
    journal_forget(&j, "put");
    assert_true(journal_write_is_open(journal_write(&j, "put")));
    journal_forget(&j, "put");
    assert_null(journal_write(&j, "put"));
    journal_intend(&j, "put", &one);
    journal_answer(&j, "put", NULL, NULL);
    journal_intend(&j, "put", &two); /* after an answer there is nothing unclear */
    journal_forget(&j, "put");
    assert_null(journal_write(&j, "put"));
    journal_done(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_of_writes_are_listed),
        cmocka_unit_test(an_unclear_write_lies_beneath_the_next_one),
        cmocka_unit_test(survives_its_own_text),
        cmocka_unit_test(setting_the_same_value_is_no_change),
        cmocka_unit_test(refuses_what_it_did_not_write),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(a_blob_comes_back_and_a_wrong_one_does_not),
        cmocka_unit_test(a_session_may_do_what_the_steps_declare_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
