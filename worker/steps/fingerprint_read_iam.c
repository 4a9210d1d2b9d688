/* IAM of the management account: one inventory call gives users, groups, roles and policies; ListRoles adds what that
 * leaves out (description, longest session). */
#include "common/aws/services/iam.h"

#include "worker/steps/fingerprint_reading.h"
#include "worker/steps/fingerprint_shape.h"

#define ITEMS_MAX 1000 /* the largest page that IAM gives: a tenth of the calls */

/* Where nobody ever switched central root access on, IAM refuses instead of answering an empty list. */
#define NOT_ENABLED                                                                                                    \
    "ServiceAccessNotEnabled,ServiceAccessNotEnabledException,OrganizationNotFound,OrganizationNotFoundException,"     \
    "OrganizationNotInAllFeaturesMode,OrganizationNotInAllFeaturesModeException"

/* Only what is wanted: when just one section would not hold still, the others are not read again. New reference. */
static json_t *inventory_filter(const struct reading *r)
{
    static const char *const kinds[][2] = {
        {"iam.users", "User"}, {"iam.roles", "Role"}, {"iam.groups", "Group"}, {"iam.policies", "LocalManagedPolicy"}};
    json_t *filter = json_array();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (reading_wants(r, kinds[i][0]))
            json_array_append_new(filter, json_string(kinds[i][1]));
    return json_make("{s:o,s:i}", "Filter", filter, "MaxItems", ITEMS_MAX);
}

/* Roles by name with what the big call leaves out. New reference. */
static json_t *role_extras(const json_t *facts)
{
    json_t *by_name = json_object(), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(facts, "roles"), i, one)
        json_object_set(by_name, json_str_at(one, "name"), one);
    return by_name;
}

static void put_roles(struct reading *r, const json_t *details, const json_t *listed)
{
    json_auto_t *extras = role_extras(listed);
    json_t *to = reading_section(r, "iam.roles"), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(details, "roles"), i, one) {
        const json_t *extra = json_object_get(extras, json_str_at(one, "name"));
        json_t *role = shape_role(json_str_at(one, "path"), json_str_at(one, "role_id"), json_object_get(one, "trust"),
                                  json_int_at(extra, "max_session"), json_str_at(extra, "description"),
                                  json_object_get(one, "policies"), json_object_get(one, "inline"),
                                  json_object_get(one, "tags"), json_str_at(one, "boundary"));
        if (json_has(one, "instance_profiles"))
            json_put(role, "instance_profiles", shape_set(json_object_get(one, "instance_profiles")));
        json_put(to, json_str_at(one, "name"), role);
    }
}

/* `list` of the inventory into `section`, by `id`. */
static void put_kind(struct reading *r, const json_t *details, const char *list, const char *section, const char *id,
                     const char *fields)
{
    json_t *one = NULL;
    size_t i = 0;
    if (!reading_wants(r, section))
        return;
    json_array_foreach (json_object_get(details, list), i, one)
        json_put(reading_section(r, section), json_str_at(one, id), reading_pick(one, fields));
}

void reading_iam(struct reading *r)
{
    const json_t *details = reading_ask(r, "iam", &iam_get_account_authorization_details, inventory_filter(r));
    const json_t *listed = NULL;
    if (reading_wants(r, "iam.roles"))
        listed = reading_ask(r, "roles", &iam_list_roles, json_make("{s:i}", "MaxItems", ITEMS_MAX));
    if (!r->is_building)
        return;
    if (reading_wants(r, "iam.roles"))
        put_roles(r, details, listed);
    put_kind(r, details, "users", "iam.users", "name",
             "path user_id groups:set policies:set inline:map tags:map boundary");
    put_kind(r, details, "groups", "iam.groups", "name", "path group_id policies:set inline:map");
    put_kind(r, details, "policies", "iam.policies", "arn", "document:map");
}

static void put_features(json_t *to, const json_t *features)
{
    const char *code = json_str_at(features, "error");
    json_t *value = code[0] && str_in_list(READING_DENIED, code) ? json_make("{s:b}", "not_readable", 1)
                                                                 : reading_pick(features, "features>enabled:set");
    json_put(to, "organizations_features", value);
}

void reading_iam_account(struct reading *r)
{
    const json_t *summary = reading_ask(r, "summary", &iam_get_account_summary, NULL);
    const json_t *devices =
        reading_ask(r, "devices", &iam_list_virtual_mfa_devices, json_make("{s:s}", "AssignmentStatus", "Assigned"));
    const json_t *aliases = reading_ask(r, "aliases", &iam_list_account_aliases, NULL);
    const json_t *password = reading_ask(r, "password-policy", &iam_get_account_password_policy, NULL);
    const json_t *providers[2] = {reading_ask(r, "saml", &iam_list_saml_providers, NULL),
                                  reading_ask(r, "oidc", &iam_list_open_id_connect_providers, NULL)};
    const json_t *features =
        reading_ask_in(r, "features", &iam_list_organizations_features, NULL, "", NOT_ENABLED "," READING_DENIED);
    if (!r->is_building)
        return;
    json_t *to = reading_section(r, "iam.account"), *one = NULL;
    json_put(to, "root", shape_root(summary, devices));
    json_put(to, "aliases", reading_pick(aliases, "aliases>names:set"));
    put_features(to, features);
    if (json_is_object(password))
        json_put(to, "password_policy", json_deep_copy(json_object_get(password, "policy")));
    for (size_t p = 0; p < ARRAY_LEN(providers); p++) {
        size_t i = 0;
        json_array_foreach (json_object_get(providers[p], "providers"), i, one)
            json_put(to, json_string_value(one), json_object());
    }
}
