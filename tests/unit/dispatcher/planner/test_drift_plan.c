/* The document of a look for drift: what the handover left, the ways in, ids and the grid of scheduled looks. */
#include "common/base/mem.h"
#include "dispatcher/planner/drift_plan.h"
#include "tests/unit/test.h"

static struct playbook *playbook;

static int setup(void **state)
{
    struct err err = {0};
    (void)state;
    return playbook_load(TEST_SOURCE_DIR "/dispatcher/playbooks/payer-drift.json", &playbook, &err);
}

static int teardown(void **state)
{
    (void)state;
    playbook_free(playbook);
    return 0;
}

static json_t *finished(const char *steps)
{
    struct err err = {0};
    AUTO_FREE char *text = mem_printf(
        "{\"id\":\"imp_00abc\",\"state\":\"completed\",\"doc\":{\"id\":\"imp_00abc\",\"external_ref\":\"r-1\","
        "\"not_before_ms\":5,\"access\":{\"method\":\"role\",\"role_arn\":\"arn:aws:iam::111122223333:role/B\"},"
        "\"vars\":{\"account_id\":\"111122223333\",\"partition\":\"aws\",\"external_id\":\"drawn\","
        "\"root_email\":\"ops@x.example\"}},\"steps\":[%s]}",
        steps);
    json_t *value = json_read(text, strlen(text), 0, &err);
    assert_non_null(value);
    return value;
}

#define ROLES                                                                                                          \
    "{\"name\":\"role_cmp\",\"result\":{\"role\":{\"name\":\"cmp\",\"arn\":\"arn:cmp\"},\"role_value\":{\"path\":"     \
    "\"/\"},\"policies\":[{\"arn\":\"arn:p\",\"document\":{}}],\"external_id_adopted\":\"older\"}},"                   \
    "{\"name\":\"role_awsadmin\",\"result\":{\"role\":{\"name\":\"AWSAdmin\",\"arn\":\"arn:adm\"},"                    \
    "\"role_value\":{}}},"                                                                                             \
    "{\"name\":\"role_cloudhealth\",\"result\":{\"role\":{\"name\":\"CloudHealth\",\"arn\":\"arn:ch\"}}}"

static int make(const json_t *value, bool asks_access, struct plan *ret, struct err *err)
{
    struct drift_plan_input in = {.value = value,
                                  .playbook = playbook,
                                  .run_id = "imp_00run",
                                  .known = "",
                                  .by = "ann",
                                  .asks_access = asks_access,
                                  .is_simulated = true,
                                  .now_ms = 99};
    return drift_plan(&in, ret, err);
}

static void looks_through_our_roles_with_their_own_ids(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_PLAN struct plan plan = {0};
    json_auto_t *value = finished(ROLES);
    assert_int_equal(make(value, false, &plan, &err), 0);
    const json_t *d = plan.doc;
    assert_string_equal(json_str_at(d, "access.method"), "product_roles");
    assert_int_equal(json_array_size(json_at(d, "access.roles")), 2); /* the vendor's role trusts the vendor, not us */
    assert_string_equal(json_str_at(json_array_get(json_at(d, "access.roles"), 0), "external_id"), "older");
    assert_string_equal(json_str_at(json_array_get(json_at(d, "access.roles"), 1), "external_id"), "drawn");
    assert_int_equal(json_object_size(json_at(d, "handover.roles")), 3);
    assert_true(json_bool_at(d, "read_only"));
    assert_string_equal(json_str_at(d, "drift_of"), "imp_00abc");
    assert_string_equal(json_str_at(d, "id"), "imp_00run");
    assert_false(json_has(d, "not_before_ms"));
    assert_true(plan.record.flags & RECORD_IS_SIMULATED);
}

static void without_a_role_access_must_be_asked_for(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_PLAN struct plan plan = {0};
    json_auto_t *value = finished("");
    assert_int_equal(make(value, false, &plan, &err), -1);
    assert_int_equal(err.code, ERR_STATE_CONFLICT);
    assert_int_equal(make(value, true, &plan, &err), 0);
    assert_string_equal(json_str_at(plan.doc, "access.method"), "role");
}

static void the_last_fingerprint_is_the_baseline(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_PLAN struct plan plan = {0};
    json_auto_t *value = finished(
        ROLES ",{\"name\":\"fingerprint_after\",\"result\":{\"fingerprint\":{\"sections\":{\"iam.roles\":{\"cmp\":"
              "{\"path\":\"/later/\"}},\"trusted_services\":{\"sso.amazonaws.com\":{}},\"tax\":{\"111122223333\":"
              "{\"registration\":null},\"inheritance\":{\"status\":\"OptOut\"}}}}}}");
    assert_int_equal(make(value, false, &plan, &err), 0);
    const json_t *roles = json_at(plan.doc, "handover.roles");
    assert_string_equal(json_str_at(json_object_get(roles, "cmp"), "value.path"), "/later/");
    assert_true(json_is_object(json_at(plan.doc, "handover.trusted_services")));
    assert_true(json_has(plan.doc, "handover.tax.111122223333"));
    assert_string_equal(json_str_at(plan.doc, "handover.tax.inheritance.status"), "OptOut");
}

static void a_look_never_stands_in_the_imports_way(void **state)
{
    (void)state;
    char key[DRIFT_ACCOUNT_KEY_BYTES], own[PLAN_ACCOUNT_KEY_BYTES];
    json_auto_t *value = finished("");
    json_auto_t *request = json_make("{s:{s:s}}", "organization", "management_account_id", "111122223333");
    drift_account_key(json_at(value, "doc"), key);
    plan_account_key(request, own);
    assert_string_not_equal(key, own);
}

static void a_due_time_has_one_look(void **state)
{
    (void)state;
    char one[IMPORT_ID_BYTES], same[IMPORT_ID_BYTES], next[IMPORT_ID_BYTES], other[IMPORT_ID_BYTES];
    drift_run_id("imp_03abc", 7, one);
    drift_run_id("imp_03abc", 7, same);
    drift_run_id("imp_03abc", 8, next);
    drift_run_id("imp_03abd", 7, other);
    assert_string_equal(one, same);
    assert_string_not_equal(one, next);
    assert_string_not_equal(one, other);
    assert_memory_equal(one, "imp_03", 6); /* the shard of its import */
    assert_int_equal(strlen(one), 30);
}

/* A thousand imports and a day: no hour gets more than twice its share, and each import comes exactly once. */
static void looks_are_spread_over_the_period(void **state)
{
    (void)state;
    const uint64_t day = 86400000, hour = 3600000, midnight = 20000 * day;
    unsigned hours[24] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "imp_00%u", i);
        uint64_t slot = drift_slot(id, day, midnight), due = drift_slot_begins(id, day, slot + 1);
        assert_true(due > midnight && due <= midnight + day);
        assert_int_equal(drift_slot(id, day, due), slot + 1);
        assert_int_equal(drift_slot(id, day, due - 1), slot);
        hours[(due - midnight - 1) / hour]++;
    }
    for (size_t h = 0; h < 24; h++)
        assert_in_range(hours[h], 10, 84);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_through_our_roles_with_their_own_ids),
        cmocka_unit_test(without_a_role_access_must_be_asked_for),
        cmocka_unit_test(the_last_fingerprint_is_the_baseline),
        cmocka_unit_test(a_look_never_stands_in_the_imports_way),
        cmocka_unit_test(a_due_time_has_one_look),
        cmocka_unit_test(looks_are_spread_over_the_period),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
