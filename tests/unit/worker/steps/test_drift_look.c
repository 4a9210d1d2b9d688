/* Playbooks that only look are made of manifests that only look; and the gate refuses a write of such a run all the
 * same, which tests/e2e/drift.test.py counts. Comparing: what is the same, what hides, what went. */
#include "common/aws/op.h"
#include "common/codec/file.h"
#include "tests/unit/worker/steps/fake_host.h"
#include "tests/unit/worker/steps/import_doc.h"

#include <glob.h>

static void check_step(const char *file, const char *name)
{
    const struct step_def *def = GOT(step_def_by_name(name));
    for (const struct aws_op *const *op = def->ops; op && *op; op++)
        if ((*op)->mutates)
            fail_msg("%s only looks, and its step %s declares %s", file, name, (*op)->name);
}

static void playbooks_that_only_look_declare_no_write(void **state)
{
    (void)state;
    glob_t found = {0};
    size_t checked = 0;
    assert_int_equal(glob(TEST_SOURCE_DIR "/dispatcher/playbooks/*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        AUTO_FREE char *text = NULL;
        size_t len = 0, s;
        struct err err = {0};
        assert_int_equal(file_read(found.gl_pathv[i], 1 << 20, &text, &len, &err), 0);
        json_auto_t *book = json_read(text, len, 0, &err);
        json_t *step = NULL;
        if (!json_bool_at(book, "read_only"))
            continue;
        json_array_foreach (json_object_get(book, "steps"), s, step)
            check_step(found.gl_pathv[i], json_str_at(step, "id"));
        checked++;
    }
    globfree(&found);
    assert_true(checked >= 2);
}

static const json_t *item(const struct fake_host *h, const char *resource, const char *what)
{
    size_t i;
    json_t *one = NULL;
    json_array_foreach (json_object_get(h->result, "items"), i, one)
        if (str_eq(json_str_at(one, "resource"), resource) && str_eq(json_str_at(one, "what"), what))
            return one;
    return NULL;
}

static void setup(struct fake_host *h)
{
    json_t *doc = import_doc();
    json_put(doc, "handover",
             json_make("{s:{}, s:n, s:{s:s, s:{s:s}, s:s, s:s}, s:{}, s:{s:s, s:s, s:s, s:s}, s:{s:b, s:b, s:[]}, "
                       "s:{s:{}}, s:{s:s}, s:s}",
                       "roles", "bucket", "report", "name", "costs", "definition", "TimeUnit", "HOURLY", "delivery",
                       "observed", "last_delivery", "x", "tax", "organization", "id", "o-1", "feature_set", "ALL",
                       "master_account_id", "111122223333", "master_email", "Ops@x.example", "root", "mfa", 1,
                       "access_keys", 0, "devices", "trusted_services", "sso.amazonaws.com", "partner", "relationship",
                       "", "known", ""));
    *h = (struct fake_host){
        .world = json_object(), .import = doc, .results = json_object(), .now_ms = DOC_CREATED_MS + 1000};
    json_put(h->world, "runtime:identity",
             json_make("{s:b,s:s,s:s}", "ok", 1, "account", "111122223333", "arn", "arn:aws:iam::111122223333:user/x"));
    json_put(h->world, "organizations:DescribeOrganization",
             json_make("{s:s,s:s,s:s,s:s}", "id", "o-1", "master_account_id", "111122223333", "master_email",
                       "ops@X.example", "feature_set", "ALL"));
    json_put(h->world, "iam:GetAccountSummary",
             json_make("{s:{s:i,s:i}}", "summary", "AccountMFAEnabled", 1, "AccountAccessKeysPresent", 1));
    json_put(h->world, "iam:ListVirtualMFADevices", json_make("{s:[]}", "devices"));
    json_put(h->world, "organizations:ListAWSServiceAccessForOrganization",
             json_make("{s:[{s:s}]}", "services", "principal", "sso.amazonaws.com"));
    json_put(h->world, "cur:DescribeReportDefinitions",
             json_make("{s:[{s:s,s:s,s:{s:s}}]}", "reports", "ReportName", "costs", "TimeUnit", "DAILY", "ReportStatus",
                       "lastStatus", "ERROR_PERMISSIONS"));
}

static void names_what_changed_and_nothing_else(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    fake_run(&h, &step_drift_look);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(item(&h, "root user", "email"), "status"), "same"); /* case does not count */
    assert_string_equal(json_str_at(item(&h, "root user", "second factor"), "status"), "same");
    assert_string_equal(json_str_at(item(&h, "root user", "access keys"), "status"), "changed");
    assert_string_equal(json_str_at(item(&h, "trusted services", "list"), "status"), "same");
    assert_string_equal(json_str_at(item(&h, "report costs", "definition"), "status"), "changed");
    assert_string_equal(json_str_at(item(&h, "report costs", "definition"), "to.TimeUnit"), "DAILY");
    assert_string_equal(json_str_at(item(&h, "report costs", "delivery"), "to"), "ERROR_PERMISSIONS");
    assert_int_equal(json_int_at(h.result, "found"), 3);
    assert_true(json_bool_at(h.result, "is_new"));
    fake_done(&h);
}

/* Only news is news: the look before found exactly this. */
static void what_was_known_is_no_news(void **state)
{
    (void)state;
    struct fake_host h;
    char digest[65];
    setup(&h);
    fake_run(&h, &step_drift_look);
    (void)snprintf(digest, sizeof digest, "%s", json_str_at(h.result, "digest"));
    assert_int_equal(strlen(digest), 64);
    fake_done(&h);
    setup(&h);
    json_put_str(json_object_get((json_t *)(uintptr_t)h.import, "handover"), "known", digest);
    fake_run(&h, &step_drift_look);
    assert_int_equal(json_int_at(h.result, "found"), 3);
    assert_false(json_bool_at(h.result, "is_new"));
    fake_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(playbooks_that_only_look_declare_no_write),
        cmocka_unit_test(names_what_changed_and_nothing_else),
        cmocka_unit_test(what_was_known_is_no_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
