/* The playbook backwards: the shipped one in a sensible order, and what a broken one is told. */
#include "dispatcher/planner/undo_dag.h"
#include "dispatcher/planner/undo_plan.h"
#include "tests/unit/test.h"

static struct playbook *shipped(void)
{
    struct playbook *p = NULL;
    struct err err = {0};
    assert_int_equal(playbook_load(TEST_SOURCE_DIR "/dispatcher/playbooks/payer-handover.json", &p, &err), 0);
    return p;
}

/* Through however many steps: an order that only happens to come out right is none. */
static bool waits_for(const struct playbook *p, size_t step, size_t other)
{
    bool is_reached[RECORD_STEPS_MAX] = {false};
    is_reached[step] = true;
    for (size_t round = 0; round < p->dag.step_count; round++)
        for (size_t i = 0; i < p->dag.step_count; i++)
            for (size_t k = 0; is_reached[i] && k < p->undo.steps[i].needs_count; k++)
                is_reached[p->undo.steps[i].needs[k]] = true;
    return is_reached[other];
}

static void the_shipped_playbook_goes_back_in_order(void **state)
{
    (void)state;
    AUTO_PLAYBOOK struct playbook *p = shipped();
    /* Access first; what was built last goes first; people's handover of root is turned round so that the customer is
     * never without a second factor and nobody keeps a way in; proof, end of access and report last. */
    static const char *const order[][2] = {{"access_handover", "org_identify"},
                                           {"org_identify", "admin_access"},
                                           {"admin_access", "cur_report"},
                                           {"cur_report", "cur_bucket"},
                                           {"tax_profile", "payment_method"},
                                           {"payment_method", "partner_program"},
                                           {"partner_program", "root_mfa"},
                                           {"root_mfa", "root_email"},
                                           {"root_email", "root_password"},
                                           {"root_password", "root_mfa_handover"},
                                           {"root_password", "org_email_verify"},
                                           {"role_cmp", "readiness"},
                                           {"root_mfa_handover", "fingerprint_after"},
                                           {"org_email_verify", "fingerprint_after"},
                                           {"cur_bucket", "fingerprint_after"},
                                           {"role_awsadmin", "fingerprint_after"},
                                           {"fingerprint_after", "credential_retire"},
                                           {"credential_retire", "handover_report"}};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        assert_true(waits_for(p, (size_t)playbook_step(p, order[i][1]), (size_t)playbook_step(p, order[i][0])));
    uint8_t placed[RECORD_STEPS_MAX];
    assert_int_equal(undo_order(&p->undo, placed), p->dag.step_count);
    uint64_t again = 0;
    static const char *const names[] = {"access_handover",   "org_identify",      "admin_access",
                                        "fingerprint_after", "credential_retire", "handover_report"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        again |= 1ULL << playbook_step(p, names[i]);
    assert_true(p->undo_again == again);
    for (size_t i = 0; i < p->dag.step_count; i++)
        assert_int_equal(p->undo.steps[i].class_, p->dag.steps[i].class_);
}

/* Whatever was skipped, nothing is taken back before access works, and nothing is proven before all was taken back. */
static void every_step_waits_for_access_and_the_proof_for_every_step(void **state)
{
    (void)state;
    AUTO_PLAYBOOK struct playbook *p = shipped();
    const struct dag_step *proof = &p->undo.steps[playbook_step(p, "fingerprint_after")];
    for (size_t i = 0; i < p->dag.step_count; i++) {
        if (p->undo_again >> i & 1)
            continue;
        bool waits = false, is_waited_for = false;
        for (size_t k = 0; k < p->undo.steps[i].needs_count; k++)
            waits |= p->undo.steps[i].needs[k] == playbook_step(p, "admin_access");
        for (size_t k = 0; k < proof->needs_count; k++)
            is_waited_for |= proof->needs[k] == i;
        assert_true(waits && is_waited_for);
    }
}

static enum err_code load(const char *steps)
{
    struct playbook *p = NULL;
    struct err err = {0};
    json_auto_t *list = json_loads(steps, 0, NULL);
    assert_non_null(list);
    json_auto_t *json = json_make("{s:s, s:i, s:O}", "name", "x", "version", 1, "steps", list);
    int rc = playbook_from_json(json, &p, &err);
    playbook_free(p);
    return rc ? err.code : ERR_NONE;
}

#define STEP(id, more) "{\"id\":\"" id "\",\"title\":\"t\",\"kind\":\"aws\",\"class\":\"reader\"," more "}"

static void a_playbook_that_cannot_go_back_is_refused(void **state)
{
    (void)state;
    assert_int_equal(load("[" STEP("a", "\"needs\":[]") "," STEP("b", "\"needs\":[\"a\"]") "]"), ERR_NONE);
    assert_int_equal(load("[" STEP("a", "\"needs\":[],\"undo\":\"sideways\"") "]"), ERR_FIELD_INVALID);
    assert_int_equal(load("[" STEP("a", "\"needs\":[],\"undo_needs\":[\"b\"]") "]"), ERR_FIELD_INVALID);
    assert_int_equal(load("[" STEP("a", "\"needs\":[],\"undo_needs\":[\"a\"]") "]"), ERR_FIELD_INVALID);
    /* b needed a, so a waits for b; and b says that it waits for a. */
    assert_int_equal(load("[" STEP("a", "\"needs\":[]") "," STEP("b", "\"needs\":[\"a\"],\"undo_needs\":[\"a\"]") "]"),
                     ERR_FIELD_INVALID);
}

/* ---- The plan ---- */
static json_t *import_with(const struct playbook *p, const char *state, const char *done, const char *method)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < p->dag.step_count; i++) {
        const char *name = json_str_at(p->steps[i], "id");
        bool is_done = str_in_list(done, name);
        json_t *result = is_done ? json_make("{s:s, s:b}", "grade", "probed", "created", 1) : json_null();
        (void)json_array_append_new(
            steps, json_make("{s:s, s:b, s:o}", "name", name, "started", (int)is_done, "result", result));
    }
    return json_make("{s:s, s:s, s:{s:s, s:{s:s}, s:{s:s, s:s, s:s, s:{s:{s:s}}, s:{s:{}}}}, s:o}", "id", "imp_x",
                     "state", state, "doc", "external_ref", "crm-1", "access", "method", method, "vars", "bucket",
                     "buck", "report", "rep", "bootstrap_role", "Boot", "roles", "cmp", "name", "cmp_role", "tax",
                     "entry", "steps", steps);
}

static bool names(const json_t *list, const char *step)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(json_str_at(json_array_get(list, i), "step"), step))
            return true;
    return false;
}

static void a_plan_names_what_goes_who_is_asked_and_what_stays(void **state)
{
    (void)state;
    AUTO_PLAYBOOK struct playbook *p = shipped();
    json_auto_t *import = import_with(p, "completed",
                                      "access_handover,org_identify,fingerprint_before,root_email,root_mfa_handover,"
                                      "root_password,root_mfa,role_cmp,cur_bucket,cur_report,payment_method",
                                      "sealed_key");
    json_auto_t *plan = undo_plan(import, p);
    assert_true(json_bool_at(plan, "possible"));
    assert_true(names(json_at(plan, "removes"), "role_cmp") && names(json_at(plan, "removes"), "cur_bucket") &&
                names(json_at(plan, "removes"), "cur_report") && !names(json_at(plan, "removes"), "role_awsadmin"));
    assert_true(names(json_at(plan, "people"), "root_email") && names(json_at(plan, "people"), "root_password") &&
                names(json_at(plan, "people"), "access_handover") &&
                !names(json_at(plan, "people"), "org_email_verify"));
    assert_string_equal(json_str_at(plan, "order.0"), "access_handover");
    assert_string_equal(
        json_string_value(json_array_get(json_at(plan, "order"), json_array_size(json_at(plan, "order")) - 1)),
        "handover_report");
}

static void what_was_there_before_stays(void **state)
{
    (void)state;
    AUTO_PLAYBOOK struct playbook *p = shipped();
    json_auto_t *import = import_with(p, "failed", "access_handover,role_cmp,cur_bucket", "role");
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach (json_object_get(import, "steps"), i, step)
        if (json_is_object(json_object_get(step, "result")))
            json_put_bool(json_object_get(step, "result"), "created", false);
    json_auto_t *plan = undo_plan(import, p);
    assert_true(names(json_at(plan, "remains"), "role_cmp") && names(json_at(plan, "remains"), "cur_bucket") &&
                names(json_at(plan, "remains"), "credential_retire"));
    assert_int_equal(json_array_size(json_at(plan, "removes")), 0);
    assert_int_equal(json_array_size(json_at(plan, "people")), 0);
}

static void an_undone_import_has_no_plan(void **state)
{
    (void)state;
    AUTO_PLAYBOOK struct playbook *p = shipped();
    json_auto_t *undone = import_with(p, "undone", "", "role"), *undoing = import_with(p, "undoing", "", "role");
    json_auto_t *a = undo_plan(undone, p), *b = undo_plan(undoing, p);
    assert_false(json_bool_at(a, "possible") || json_bool_at(b, "possible"));
    assert_string_equal(json_str_at(a, "why_not"), "it is undone already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_playbook_goes_back_in_order),
        cmocka_unit_test(every_step_waits_for_access_and_the_proof_for_every_step),
        cmocka_unit_test(a_playbook_that_cannot_go_back_is_refused),
        cmocka_unit_test(a_plan_names_what_goes_who_is_asked_and_what_stays),
        cmocka_unit_test(what_was_there_before_stays),
        cmocka_unit_test(an_undone_import_has_no_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
