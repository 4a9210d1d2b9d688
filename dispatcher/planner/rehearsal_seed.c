/* From an import to the seed of its rehearsal: the request again, the organization's names, and the recorded world. */
#include "dispatcher/planner/import_steps.h"
#include "dispatcher/planner/loose.h"
#include "dispatcher/planner/rehearsal.h"

static void copy(json_t *to, const char *key, const json_t *value)
{
    if (value && !json_is_null(value))
        json_put(to, key, json_deep_copy(value));
}

static json_t *enabled_roles(const json_t *doc)
{
    json_t *list = json_array(), *role = NULL;
    const char *name = NULL;
    json_object_foreach (loose(json_at(doc, "vars.roles")), name, role)
        if (json_bool_at(role, "enabled"))
            (void)json_array_append_new(list, json_string(name));
    json_sort_by(list, NULL);
    return list;
}

/* The request that would make this import again, in the rehearsal's own fleet. */
static json_t *request_of(const json_t *doc)
{
    json_t *request = json_make("{s:s,s:s,s:s,s:o}", "external_ref", json_str_at(doc, "external_ref"), "playbook",
                                "payer-handover", "id", json_str_at(doc, "vars.id"), "roles", enabled_roles(doc));
    static const char *const same[] = {"customer", "organization", "contacts", "labels", "billing", "mfa_mode"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        copy(request, same[i], json_at(doc, same[i]));
    copy(request, "region", json_at(doc, "vars.region"));
    json_t *access = json_make("{s:s}", "method", json_str_or(doc, "access.method", "sealed_key"));
    copy(access, "role_arn", json_at(doc, "access.role_arn"));
    json_put(request, "access", access);
    const char *vendor = json_str_at(doc, "vars.cloudhealth_external_id");
    if (*vendor)
        json_put(request, "vars", json_make("{s:s}", "cloudhealth_external_id", vendor));
    return request;
}

/* What scripted people need to play this customer. */
static json_t *customer_of(const json_t *value)
{
    const json_t *doc = json_at(value, "doc"), *handed = import_result(value, "access_handover");
    bool is_role = str_eq(json_str_at(doc, "access.method"), "role");
    json_t *customer = json_make("{s:s,s:s,s:s,s:s}", "external_ref", json_str_at(doc, "external_ref"), "name",
                                 json_str_at(doc, "customer.name"), "access", is_role ? "role" : "key", "mfa_mode",
                                 json_str_or(doc, "mfa_mode", "overlap"));
    copy(customer, "role_arn", json_at(doc, "access.role_arn"));
    copy(customer, "user", json_at(handed, "user"));
    if (!is_role)
        copy(customer, "access_key_id", json_at(handed, "access_key_id"));
    return customer;
}

/* What the fingerprint leaves out and the steps look at: the step record_names, or preflight, has read it. */
static json_t *names_of(const json_t *value)
{
    const json_t *recorded = json_at(import_result(value, "record_names"), "names"),
                 *preflight = import_result(value, "preflight");
    json_t *names = recorded ? json_deep_copy(recorded) : json_object();
    if (!recorded)
        copy(names, "bucket", json_at(preflight, "bucket"));
    if (!json_has(names, "registration"))
        copy(names, "registration", json_at(preflight, "tax.registration"));
    return names;
}

json_t *rehearsal_seed(const json_t *value, struct err *err)
{
    const json_t *doc = json_at(value, "doc");
    const json_t *fingerprint = json_at(import_result(value, "fingerprint_before"), "fingerprint");
    if (!json_is_object(json_object_get(fingerprint, "sections"))) {
        (void)err_set(
            err, ERR_STATE_CONFLICT,
            "no fingerprint of this organization is recorded yet; rehearse the request's file, which records one");
        return NULL;
    }
    const char *account = json_str_at(doc, "vars.account_id");
    json_t *world = json_make("{s:s,s:o,s:o,s:o}", "account", account, "customer", customer_of(value), "sections",
                              json_deep_copy(json_object_get(fingerprint, "sections")), "names", names_of(value));
    json_t *record =
        json_make("{s:s,s:s,s:s,s:s,s:[o]}", "operator", json_str_at(doc, "vars.operator_account_id"), "partner",
                  json_str_at(doc, "vars.partner.account_id"), "trusted", json_str_at(doc, "vars.trusted_account_id"),
                  "pma", json_str_at(doc, "vars.partner.program_management_account"), "worlds", world);
    json_t *org = json_make("{s:s,s:s,s:s,s:s}", "account_key", "", "id", json_str_at(doc, "vars.id"), "external_id",
                            json_str_at(doc, "vars.external_id"), "external_id_bootstrap",
                            json_str_at(doc, "vars.external_id_bootstrap"));
    json_put(org, "account_key", json_sprintf("%s/%s", json_str_or(doc, "vars.partition", "aws"), account));
    return json_make(
        "{s:o,s:o,s:o,s:o,s:s}", "request", request_of(doc), "org", org, "profile",
        json_sprintf("%s@%lld", json_str_at(doc, "profile.name"), (long long)json_int_at(doc, "profile.version")),
        "record", record, "root", json_str_at(fingerprint, "root"));
}
