/* The document that steps read: variables, names, roles, skipped steps; profiles and playbooks that cannot be used. */
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "dispatcher/planner/data_path.h"
#include "dispatcher/planner/input.h"
#include "dispatcher/planner/plan.h"
#include "dispatcher/planner/template.h"
#include "tests/unit/test.h"

static struct profile *profile;
static struct playbook *playbook;

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    assert_int_equal(
        profile_load(TEST_SOURCE_DIR "/tests/unit/dispatcher/planner/profile.json", &profile, &faults, &err), 0);
    assert_int_equal(playbook_load(TEST_SOURCE_DIR "/dispatcher/playbooks/payer-handover.json", &playbook, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    profile_unref(profile);
    playbook_free(playbook);
    return 0;
}

static json_t *request(const char *more)
{
    struct err err = {0};
    AUTO_FREE char *text =
        mem_printf("{\"external_ref\":\"sf-1\",\"customer\":{\"name\":\"Acme GmbH & Co\",\"country\":\"DE\"},"
                   "\"organization\":{\"management_account_id\":\"111122223333\"}%s}",
                   more);
    json_t *value = json_read(text, strlen(text), 0, &err);
    assert_non_null(value);
    return value;
}

static int make(const json_t *in, struct plan *ret, struct err *err)
{
    struct plan_org org;
    plan_org_draw(env_system(), in, 0, &org);
    struct plan_input input = {.profile = profile,
                               .playbook = playbook,
                               .request = in,
                               .import_id = "imp_00test",
                               .org = &org,
                               .is_simulated = true,
                               .now_ms = 1700000000000};
    return plan_import(&input, ret, err);
}

static void expands_the_profile_into_variables(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_PLAN struct plan plan = {0};
    json_auto_t *in = request(",\"id\":\"acme42\"");
    assert_int_equal(make(in, &plan, &err), 0);
    const json_t *d = plan.doc;
    assert_string_equal(json_str_at(d, "vars.root_email"), "awsops+acme42@testop.example");
    assert_string_equal(json_str_at(d, "vars.report_definition.S3Bucket"), "testop-awsops-acme42");
    assert_string_equal(json_str_at(d, "vars.report_definition.ReportName"), "testop-awsops-acme42");
    assert_string_equal(json_str_at(d, "vars.roles.cmp.trust.Statement.0.Principal.AWS"),
                        "arn:aws:iam::068664126052:root");
    assert_string_equal(json_str_at(d, "vars.roles.cmp.policies.0.document.Statement.0.Sid"),
                        "onboarding of Test Operator");
    assert_string_equal(json_str_at(d, "vars.roles.cmp.managed.0"), "arn:aws:iam::aws:policy/SecurityAudit");
    assert_string_equal(json_str_at(d, "vars.roles.cmp.description"), "for Acme GmbH & Co");
    assert_string_equal(json_str_at(d, "vars.bucket_policy.0.Condition.x"), "${aws:username}");
    assert_string_equal(json_str_at(d, "vars.cloudhealth_external_id"), "");
    assert_true(strlen(json_str_at(d, "vars.external_id")) >= 24);
    assert_true(strlen(json_str_at(d, "vars.external_id_bootstrap")) >= 24);
    assert_string_not_equal(json_str_at(d, "vars.external_id"), json_str_at(d, "vars.external_id_bootstrap"));
    assert_true(json_is_null(json_at(d, "vars.tax")));
    assert_string_equal(json_str_at(d, "vars.custodians.1"), "Operations");
    assert_true(json_bool_at(d, "vars.retire.delete_user"));
    assert_string_equal(json_str_at(d, "playbook"), "payer-handover@1");
    assert_string_equal(json_str_at(d, "steps.25"), "handover_report");
    assert_string_equal(json_str_at(d, "access.method"), "sealed_key");
    assert_false(json_bool_at(d, "livemode"));
    assert_true(plan.record.flags & RECORD_IS_SIMULATED);
}

static void skips_what_was_not_contracted(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *plain = request(""),
                *all = request(",\"roles\":[\"cmp\",\"cloudhealth\"],\"vars\":{\"cloudhealth_external_id\":\"v-1\"}");
    AUTO_PLAN struct plan a = {0};
    AUTO_PLAN struct plan b = {0};
    assert_int_equal(make(plain, &a, &err), 0);
    assert_int_equal(make(all, &b, &err), 0);
    int cloudhealth = playbook_step(playbook, "role_cloudhealth"), awsadmin = playbook_step(playbook, "role_awsadmin");
    assert_int_equal(a.record.steps[cloudhealth].state, STATE_SKIPPED);
    assert_int_not_equal(a.record.steps[awsadmin].state, STATE_SKIPPED);
    assert_int_not_equal(b.record.steps[cloudhealth].state, STATE_SKIPPED);
    assert_int_equal(b.record.steps[awsadmin].state, STATE_SKIPPED);
    assert_string_equal(json_str_at(b.doc, "vars.cloudhealth_external_id"), "v-1");
}

static void group_and_class_go_into_document_and_record(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_PLAN struct plan alone = {0}, urgent = {0}, same = {0};
    json_auto_t *a = request(""), *b = request(",\"group\":\"acme\",\"priority\":\"urgent\""),
                *c = request(",\"group\":\"acme\",\"priority\":\"urgent\",\"mfa_mode\":\"classic\"");
    assert_int_equal(make(a, &alone, &err), 0);
    assert_int_equal(make(b, &urgent, &err), 0);
    assert_int_equal(make(c, &same, &err), 0);
    assert_true(alone.record.group == 0 && alone.record.weight == 4 && !json_has(alone.doc, "group"));
    assert_string_equal(json_str_at(alone.doc, "priority"), "normal");
    assert_true(urgent.record.group && urgent.record.group == same.record.group && urgent.record.weight == 16);
    assert_string_equal(json_str_at(urgent.doc, "group"), "acme");
    assert_string_equal(json_str_at(urgent.doc, "priority"), "urgent");
}

static void keeps_a_sealed_credential_out_of_the_document(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *in =
        request(",\"access\":{\"method\":\"sealed_key\",\"sealed\":{\"epoch\":\"1\",\"sealed\":\"QUJD\"}}");
    AUTO_PLAN struct plan plan = {0};
    assert_int_equal(make(in, &plan, &err), 0);
    AUTO_FREE char *doc = json_text(plan.doc);
    assert_null(strstr(doc, "QUJD"));
    assert_non_null(strstr(plan.credential, "QUJD"));
}

static void draws_the_same_id_again_and_another_after_a_clash(void **state)
{
    (void)state;
    json_auto_t *in = request("");
    struct plan_org a, b, c;
    plan_org_draw(env_system(), in, 0, &a);
    plan_org_draw(env_system(), in, 0, &b);
    plan_org_draw(env_system(), in, 1, &c);
    assert_string_equal(a.id, b.id);
    assert_string_not_equal(a.id, c.id);
    assert_string_not_equal(a.external_id, b.external_id);
    assert_true(str_starts(a.id, "acmegmbhco") && strlen(a.id) <= PLAN_ID_MAX);
    json_auto_t *json = plan_org_json(&a);
    struct plan_org back;
    struct err err = {0};
    assert_int_equal(plan_org_from_json(json, &back, &err), 0);
    assert_string_equal(a.id, back.id);
    assert_string_equal(a.external_id, back.external_id);
    assert_string_equal(a.external_id_bootstrap, back.external_id_bootstrap);
}

static void cuts_a_display_name_and_puts_the_billing_profile(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *in = request(",\"billing\":{\"profile\":\"emea\"}");
    json_put_str(json_object_get(in, "customer"), "name",
                 "Gesellschaft f\xc3\xbcr \xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc lange Namen");
    AUTO_PLAN struct plan plan = {0};
    assert_int_equal(make(in, &plan, &err), 0);
    assert_true(strlen(json_str_at(plan.doc, "vars.partner.display_name")) <= 30);
    assert_string_equal(json_str_at(plan.doc, "vars.tax.country"), "IE");
}

static void an_undefined_variable_refuses_the_profile(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    json_auto_t *json = json_deep_copy(profile_json(profile));
    json_put_str(json_object_get(json, "tag"), "value", "{nobody_knows}");
    struct profile *p = NULL;
    assert_int_equal(profile_from_json(json, &p, &faults, &err), -1);
    assert_string_equal(json_str_at(faults.list, "0.code"), "variable.undefined");
    assert_string_equal(json_str_at(faults.list, "0.pointer"), "/tag");
    assert_non_null(strstr(json_str_at(faults.list, "0.detail"), "{nobody_knows}"));
}

static void a_variable_of_each_import_refuses_that_import_only(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    json_auto_t *json = json_deep_copy(profile_json(profile));
    json_put_str(json_object_get(json, "tag"), "value", "{contract}");
    json_put(json, "import_vars", json_make("[s]", "contract"));
    AUTO_PROFILE struct profile *p = NULL;
    assert_int_equal(profile_from_json(json, &p, &faults, &err), 0);
    const struct playbook *all[] = {playbook};
    struct input_context ctx = {p, all, 1};
    json_auto_t *without = request(""), *with = request(",\"vars\":{\"contract\":\"c-1\"}");
    input_check(&ctx, with, 0, &faults);
    assert_int_equal(faults.count, 0);
    input_check(&ctx, without, 0, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(json_str_at(faults.list, "0.pointer"), "/vars/contract");
    assert_string_equal(json_str_at(faults.list, "0.code"), "variable.undefined");
}

static void tells_all_that_is_wrong_with_a_profile(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    json_auto_t *json = json_deep_copy(profile_json(profile));
    json_put_str(json, "colour", "red");
    json_put_str(json, "trusted_account_id", "68664126052");
    (void)json_object_del(json_object_get(json, "roles"), "awsadmin");
    json_put(json_object_get(json_object_get(json, "roles"), "cmp"), "max_session", json_integer(60));
    struct profile *p = NULL;
    assert_int_equal(profile_from_json(json, &p, &faults, &err), -1);
    assert_int_equal(err.code, ERR_PROFILE_INVALID);
    assert_int_equal(faults.count, 4);
}

static void templates_leave_foreign_braces_alone(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *vars = json_make("{s:s}", "a", "x{b}");
    AUTO_FREE char *text = template_text("{a} ${aws:userid} {{b}", vars, &err);
    assert_string_equal(text, "x{b} ${aws:userid} {b}"); /* and what a value holds is never expanded again */
    assert_null(template_text("{c}", vars, &err));
    assert_int_equal(err.code, ERR_VARIABLE_UNDEFINED);
    assert_non_null(strstr(err.text, "{c}"));
    assert_null(template_text("open {a", vars, &err));
    assert_int_equal(err.code, ERR_SYNTAX);
}

static void refuses_playbooks_with_cycles_and_strangers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"name\":\"p\",\"version\":1,\"steps\":[{\"id\":\"a\",\"title\":\"A\",\"kind\":\"aws\",\"class\":\"writer\","
        "\"needs\":[\"b\"]},"
        "{\"id\":\"b\",\"title\":\"B\",\"kind\":\"aws\",\"class\":\"writer\",\"needs\":[\"a\"]}]}",
        "{\"name\":\"p\",\"version\":1,\"steps\":[{\"id\":\"a\",\"title\":\"A\",\"kind\":\"aws\",\"class\":\"writer\","
        "\"needs\":[\"z\"]}]}",
        "{\"name\":\"p\",\"version\":1,\"steps\":[{\"id\":\"a\",\"title\":\"A\",\"kind\":\"magic\",\"class\":"
        "\"writer\"}]}",
        "{\"name\":\"p\",\"version\":1,\"steps\":[{\"id\":\"a\",\"title\":\"A\",\"kind\":\"aws\",\"class\":\"writer\"},"
        "{\"id\":\"a\",\"title\":\"A\",\"kind\":\"aws\",\"class\":\"writer\"}]}",
        "{\"name\":\"p\",\"version\":0,\"steps\":[]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        json_auto_t *json = json_read(bad[i], strlen(bad[i]), 0, &err);
        struct playbook *p = NULL;
        assert_int_equal(playbook_from_json(json, &p, &err), -1);
        assert_int_not_equal(err.code, ERR_NONE);
    }
}

/* The playbook is data, the steps are files: the first 26 must be the same, in the same order. Steps of other playbooks
 * come after them. */
static void playbook_and_steps_are_the_same(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FREE char *text = NULL;
    size_t len = 0, n = 0;
    assert_int_equal(file_read(TEST_SOURCE_DIR "/worker/steps/steps.def", 65536, &text, &len, &err), 0);
    for (const char *at = strstr(text, "\nSTEP("); at; at = strstr(at + 1, "\nSTEP("), n++) {
        AUTO_FREE char *name = mem_dup_bytes(at + 6, strcspn(at + 6, ")"));
        assert_int_equal(playbook_step(playbook, name), n < playbook->dag.step_count ? (int)n : -1);
    }
    assert_true(n >= playbook->dag.step_count);
}

static bool comes_after(int step, int gate)
{
    bool is_after[RECORD_STEPS_MAX] = {false};
    for (int i = 0; i < playbook->dag.step_count; i++) /* steps stand after what they need */
        for (size_t k = 0; k < playbook->dag.steps[i].needs_count; k++) {
            uint8_t need = playbook->dag.steps[i].needs[k];
            is_after[i] = is_after[i] || need == gate || is_after[need];
        }
    return is_after[step];
}

/* With a plan asked for, nothing is changed and nobody but for access is asked before it is approved. */
static void everything_that_changes_or_asks_comes_after_the_gate(void **state)
{
    (void)state;
    static const char before[] = "access_handover,org_identify,admin_access,preflight,fingerprint_before,change_plan,"
                                 "plan_approval";
    int gate = playbook_step(playbook, "plan_approval");
    assert_true(gate > 0 && comes_after(gate, playbook_step(playbook, "change_plan")));
    for (int i = 0; i < playbook->dag.step_count; i++) {
        const char *id = json_str_at(playbook->steps[i], "id");
        if (comes_after(i, gate) == str_in_list(before, id))
            fail_msg("%s comes %s the plan's approval", id, comes_after(i, gate) ? "after" : "before");
    }
}

static void a_plan_is_made_only_where_it_is_asked_for(void **state)
{
    (void)state;
    struct err err = {0};
    static const char *const asked[] = {"", ",\"options\":{\"plan\":true}"};
    for (size_t n = 0; n < ARRAY_LEN(asked); n++) {
        json_auto_t *in = request(asked[n]);
        struct plan_org org;
        plan_org_draw(env_system(), in, 0, &org);
        struct plan_input input = {.profile = profile,
                                   .playbook = playbook,
                                   .request = in,
                                   .import_id = "imp_00test",
                                   .org = &org,
                                   .now_ms = 1};
        AUTO_PLAN struct plan plan = {0};
        assert_int_equal(plan_import(&input, &plan, &err), 0);
        int gate = playbook_step(playbook, "plan_approval"), mailbox = playbook_step(playbook, "mailbox_ready");
        assert_int_equal(plan.record.steps[gate].state == STATE_SKIPPED, n == 0);
        assert_int_equal(plan.record.steps[mailbox].state == STATE_READY, n == 0);
        assert_int_equal(json_array_has_str(json_at(plan.doc, "skipped"), "change_plan"), n == 0);
    }
}

static void the_shipped_profile_is_usable(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    char path[4096];
    AUTO_PROFILE struct profile *p = NULL;
    int result = profile_load(data_path("profiles/doit/profile.json", path, sizeof path), &p, &faults, &err);
    if (result)
        fail_msg("%s", err.text);
    assert_string_equal(json_str_at(profile_json(p), "naming.root_email"), "awsops+{id}@doit-intl.com");
    assert_string_equal(json_str_at(profile_json(p), "naming.bucket"), "doitintl-awsops-{id}");
    assert_string_equal(json_str_at(profile_json(p), "roles.cmp.name"), "doitintl_cmp");
    json_auto_t *in = request(",\"roles\":[\"cmp\",\"cloudhealth\",\"awsadmin\"]");
    struct plan_org org;
    plan_org_draw(env_system(), in, 0, &org);
    struct plan_input input = {
        .profile = p, .playbook = playbook, .request = in, .import_id = "imp_00test", .org = &org, .now_ms = 1};
    AUTO_PLAN struct plan plan = {0};
    assert_int_equal(plan_import(&input, &plan, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expands_the_profile_into_variables),
        cmocka_unit_test(skips_what_was_not_contracted),
        cmocka_unit_test(everything_that_changes_or_asks_comes_after_the_gate),
        cmocka_unit_test(a_plan_is_made_only_where_it_is_asked_for),
        cmocka_unit_test(group_and_class_go_into_document_and_record),
        cmocka_unit_test(keeps_a_sealed_credential_out_of_the_document),
        cmocka_unit_test(draws_the_same_id_again_and_another_after_a_clash),
        cmocka_unit_test(cuts_a_display_name_and_puts_the_billing_profile),
        cmocka_unit_test(an_undefined_variable_refuses_the_profile),
        cmocka_unit_test(a_variable_of_each_import_refuses_that_import_only),
        cmocka_unit_test(tells_all_that_is_wrong_with_a_profile),
        cmocka_unit_test(templates_leave_foreign_braces_alone),
        cmocka_unit_test(refuses_playbooks_with_cycles_and_strangers),
        cmocka_unit_test(playbook_and_steps_are_the_same),
        cmocka_unit_test(the_shipped_profile_is_usable),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
