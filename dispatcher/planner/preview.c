/* Permissions before an import exists. External ids are drawn when it is accepted; until then a word stands there. */
#include "dispatcher/planner/preview.h"

#include "common/policy/policy.h"
#include "dispatcher/planner/plan.h"
#include "dispatcher/planner/step_manifest.h"

#include <stdio.h>

#define NOT_YET_DRAWN "DRAWN-WHEN-ACCEPTED"
#define EXAMPLE_ACCOUNT "111122223333"

json_t *preview_policy_of(const json_t *doc)
{
    json_t *report = policy_report(step_manifest(), doc), *roles = json_array(), *role = NULL;
    const char *which = NULL;
    json_object_foreach ((json_t *)(uintptr_t)json_at(doc, "vars.roles"), which, role) {
        json_t *words = policy_role_words(role);
        json_put_str(words, "role", which);
        (void)json_array_append_new(roles, words);
    }
    json_put(report, "roles", roles);
    json_put_str(report, "object", "policy");
    json_put_str(report, "external_ref", json_str_at(doc, "external_ref"));
    json_put_str(report, "customer", json_str_at(doc, "customer.name"));
    json_put_bool(report, "is_example", false);
    json_put_bool(report, "external_ids_known", true);
    return report;
}

static json_t *example_request(const struct profile *profile)
{
    json_t *request = json_make("{s:s, s:{s:s}, s:{s:s, s:s}, s:{s:s}}", "external_ref", "example", "customer", "name",
                                "Example", "organization", "management_account_id", EXAMPLE_ACCOUNT, "partition", "aws",
                                "access", "method", "role");
    json_t *vars = json_object();
    const json_t *names = profile_import_vars(profile), *name = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)names, i, name)
        json_put_str(vars, json_string_value(name), "example");
    json_put(request, "vars", vars);
    return request;
}

json_t *preview_policy(const struct profile *profile, const struct playbook *playbook, const json_t *request,
                       const char *method, struct err *err)
{
    json_auto_t *mine = request ? json_deep_copy(request) : example_request(profile);
    if (method) {
        json_t *access =
            json_is_object(json_at(mine, "access")) ? json_deep_copy(json_at(mine, "access")) : json_object();
        json_put_str(access, "method", method);
        json_put(mine, "access", access);
    }
    struct plan_org org = {0};
    plan_org_id(mine, 0, org.id);
    (void)snprintf(org.external_id, sizeof org.external_id, "%s", NOT_YET_DRAWN);
    (void)snprintf(org.external_id_bootstrap, sizeof org.external_id_bootstrap, "%s", NOT_YET_DRAWN);
    AUTO_PLAN struct plan plan = {0};
    struct plan_input in = {
        .profile = profile, .playbook = playbook, .request = mine, .org = &org, .import_id = "", .is_simulated = true};
    if (plan_import(&in, &plan, err) < 0)
        return NULL;
    json_t *report = preview_policy_of(plan.doc);
    json_put_bool(report, "is_example", !request);
    json_put_bool(report, "external_ids_known", false);
    return report;
}
