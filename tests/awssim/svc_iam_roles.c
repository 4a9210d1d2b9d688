/* IAM roles: create, trust, tags, delete, list; what hangs on a role is in svc_iam_policies.c. */
#include "sim_iam.h"

#include <stdlib.h>

#define ROLE_SETTLES_MS 1200u /* real AWS: 10 to 30 s */
#define PRINCIPAL_SETTLES_MS 1000u

static json_t *role_reply(const json_t *role, bool with_tags)
{
    static const char *const names[] = {
        "Path", "RoleName", "RoleId", "Arn", "CreateDate", "Description", "MaxSessionDuration", "PermissionsBoundary",
        NULL};
    json_t *reply = iam_copy(role, names);
    json_object_set_new(reply, "AssumeRolePolicyDocument", iam_document(svc_text(role, "AssumeRolePolicyDocument")));
    if (with_tags && json_array_size(json_object_get(role, "Tags")) > 0)
        json_object_set(reply, "Tags", json_object_get(role, "Tags"));
    return reply;
}

/* Does a principal of a trust exist? Accounts always do; users and roles must, and (trap) not since a moment ago. */
static bool principal_exists(const char *principal)
{
    const char *last = strrchr(principal, '/');
    if (strcmp(principal, "*") == 0 || (strlen(principal) == 12 && strspn(principal, "0123456789") == 12))
        return true;
    if (strncmp(principal, "arn:aws:iam::", 13) != 0 || strspn(principal + 13, "0123456789") != 12)
        return strncmp(principal, "arn:aws:sts::", 13) == 0;
    if (strcmp(principal + 25, ":root") == 0)
        return true;
    char account[13];
    (void)snprintf(account, sizeof account, "%.12s", principal + 13);
    struct sim_world *w = sim_world_of_account(account);
    if (!w || !last)
        return false;
    bool user = strstr(principal, ":user/") != NULL;
    const json_t *found =
        json_object_get(json_object_get(sim_account_iam(w, account), user ? "users" : "roles"), last + 1);
    return found && (!sim_trap("iam_invalid_principal_at_first") || svc_number(found, "known_ms") <= sim_now_ms());
}

static bool principals_exist(struct sim_request *rq, const char *document)
{
    const json_t *statements = json_object_get(sim_policy_parse(document), "Statement");
    size_t count = json_is_array(statements) ? json_array_size(statements) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *statement = json_is_array(statements) ? json_array_get(statements, i) : statements;
        const json_t *principal = json_object_get(statement, "Principal");
        const json_t *aws = json_object_get(principal, "AWS");
        size_t many = json_is_array(aws) ? json_array_size(aws) : 1;
        if (!principal) {
            sim_error(rq, 400, "MalformedPolicyDocument", "AssumeRolepolicy must contain principals.");
            return false;
        }
        for (size_t k = 0; aws && k < many; k++) {
            const char *one = json_string_value(json_is_array(aws) ? json_array_get(aws, k) : aws);
            if (!one || !principal_exists(one)) {
                sim_error(rq, 400, "MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":\"%s\"",
                          one ? one : "");
                return false;
            }
        }
    }
    return true;
}

static bool trust_is_fine(struct sim_request *rq, const char *document)
{
    return iam_document_is_fine(rq, document, 2048, "ACLSizePerRole") && principals_exist(rq, document);
}

static void create_role(struct sim_request *rq)
{
    const char *name = sim_param(rq, "RoleName"), *path = sim_param(rq, "Path");
    const char *trust = sim_param(rq, "AssumeRolePolicyDocument"), *session = sim_param(rq, "MaxSessionDuration");
    long seconds = session[0] ? strtol(session, NULL, 10) : 3600;
    if (!iam_name_is_fine(rq, "roleName", name, 64))
        return;
    if (seconds < 3600 || seconds > 43200 || strlen(sim_param(rq, "Description")) > 1000 ||
        (path[0] && path[0] != '/')) {
        sim_error(rq, 400, "ValidationError",
                  "MaxSessionDuration is 3600 to 43200, Description at most 1000, Path starts with /");
        return;
    }
    json_t *all = iam_all(rq, IAM_ROLE);
    if (iam_is_taken(rq, IAM_ROLE, name) || !trust_is_fine(rq, trust) ||
        !iam_within_quota(rq, "RolesQuota", 1000, json_object_size(all)))
        return;
    json_t *tags = iam_tags(rq);
    if (!tags)
        return;
    uint64_t now = sim_now_ms();
    char *stored = iam_stored_document(trust);
    path = path[0] ? path : "/";
    json_t *role = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:I, s:o, s:[], s:{}, s:I, s:I}", "Path", path, "RoleName",
                             name, "RoleId", iam_new_id("AROA"), "Arn",
                             svc_textf("arn:aws:iam::%s:role%s%s", rq->caller_account, path, name), "CreateDate",
                             iam_now(), "AssumeRolePolicyDocument", stored, "MaxSessionDuration", (json_int_t)seconds,
                             "Tags", tags, "attached", "inline", "usable_ms",
                             (json_int_t)(now + svc_timing(rq->world, "role_settles_ms", ROLE_SETTLES_MS)), "known_ms",
                             (json_int_t)(now + PRINCIPAL_SETTLES_MS));
    free(stored);
    if (sim_param(rq, "Description")[0])
        json_object_set_new(role, "Description", json_string(sim_param(rq, "Description")));
    json_object_set_new(all, name, role);
    char resource[128];
    (void)snprintf(resource, sizeof resource, "iam.roles.%s", name);
    sim_effect(rq, resource, sim_before(NULL), role);
    sim_ok_query(rq, json_pack("{s:o}", "Role", role_reply(role, true)));
}

static void get_role(struct sim_request *rq)
{
    const json_t *role = iam_get(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    if (role)
        sim_ok_query(rq, json_pack("{s:o}", "Role", role_reply(role, true)));
}

static void list_roles(struct sim_request *rq)
{
    json_t *list = json_array();
    const char *name, *prefix = sim_param(rq, "PathPrefix");
    json_t *role;
    json_object_foreach (iam_all(rq, IAM_ROLE), name, role)
        if (strncmp(svc_text(role, "Path"), prefix, strlen(prefix)) == 0)
            json_array_append_new(list, role_reply(role, !sim_trap("iam_list_roles_without_tags")));
    iam_page(rq, NULL, "Roles", list);
}

static void changed(struct sim_request *rq, const json_t *role, struct sim_before before)
{
    char resource[128];
    (void)snprintf(resource, sizeof resource, "iam.roles.%s", svc_text(role, "RoleName"));
    sim_effect(rq, resource, before, role);
    sim_ok_query(rq, NULL);
}

static void update_trust(struct sim_request *rq)
{
    json_t *role = iam_get_ours(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    const char *trust = sim_param(rq, "PolicyDocument");
    if (!role || !trust_is_fine(rq, trust))
        return;
    struct sim_before before = sim_before(role);
    char *stored = iam_stored_document(trust);
    if (!svc_is(stored, svc_text(role, "AssumeRolePolicyDocument"))) {
        json_object_set_new(role, "AssumeRolePolicyDocument", json_string(stored));
        json_object_set_new(
            role, "usable_ms",
            json_integer((json_int_t)(sim_now_ms() + svc_timing(rq->world, "role_settles_ms", ROLE_SETTLES_MS))));
    }
    free(stored);
    changed(rq, role, before);
}

static void update_role(struct sim_request *rq)
{
    json_t *role = iam_get_ours(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    if (!role)
        return;
    struct sim_before before = sim_before(role);
    if (json_object_get(rq->params, "Description"))
        json_object_set_new(role, "Description", json_string(sim_param(rq, "Description")));
    if (sim_param(rq, "MaxSessionDuration")[0])
        json_object_set_new(role, "MaxSessionDuration",
                            json_integer(strtol(sim_param(rq, "MaxSessionDuration"), NULL, 10)));
    char resource[128];
    (void)snprintf(resource, sizeof resource, "iam.roles.%s", svc_text(role, "RoleName"));
    sim_effect(rq, resource, before, role);
    sim_ok_query(rq, json_object());
}

static void delete_role(struct sim_request *rq)
{
    const char *name = sim_param(rq, "RoleName");
    json_t *role = iam_get_ours(rq, IAM_ROLE, name);
    if (!role)
        return;
    if (json_array_size(json_object_get(role, "attached")) > 0 ||
        json_object_size(json_object_get(role, "inline")) > 0 ||
        json_array_size(json_object_get(role, "instance_profiles")) > 0) {
        sim_error(rq, 409, "DeleteConflict", "Cannot delete entity, must detach all policies first.");
        return;
    }
    struct sim_before before = sim_before(role);
    char resource[128];
    (void)snprintf(resource, sizeof resource, "iam.roles.%s", name);
    json_object_del(iam_all(rq, IAM_ROLE), name);
    sim_effect(rq, resource, before, NULL);
    sim_ok_query(rq, NULL);
}

static void merge_tag(json_t *tags, json_t *one)
{
    for (size_t i = 0; i < json_array_size(tags); i++)
        if (strcasecmp(svc_text(json_array_get(tags, i), "Key"), svc_text(one, "Key")) == 0) {
            json_array_set(tags, i, one);
            return;
        }
    json_array_append(tags, one);
}

static void tag_role(struct sim_request *rq)
{
    json_t *role = iam_get_ours(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    json_t *added = role ? iam_tags(rq) : NULL;
    if (!added)
        return;
    struct sim_before before = sim_before(role);
    json_t *tags = json_object_get(role, "Tags");
    if (!tags)
        json_object_set_new(role, "Tags", tags = json_array());
    for (size_t i = 0; i < json_array_size(added); i++)
        merge_tag(tags, json_array_get(added, i));
    json_decref(added);
    changed(rq, role, before);
}

static void untag_role(struct sim_request *rq)
{
    json_t *role = iam_get_ours(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    if (!role)
        return;
    struct sim_before before = sim_before(role);
    json_t *tags = json_object_get(role, "Tags");
    const json_t *keys = json_object_get(rq->params, "TagKeys");
    for (size_t i = json_array_size(tags); i-- > 0;)
        for (size_t k = 0; k < json_array_size(keys); k++)
            if (svc_is(svc_text(json_array_get(tags, i), "Key"), json_string_value(json_array_get(keys, k)))) {
                json_array_remove(tags, i);
                break;
            }
    changed(rq, role, before);
}

static void list_role_tags(struct sim_request *rq)
{
    const json_t *role = iam_get(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    json_t *tags = json_object_get(role, "Tags");
    if (role)
        iam_page(rq, NULL, "Tags", tags ? json_copy(tags) : json_array());
}

static void list_instance_profiles(struct sim_request *rq)
{
    const json_t *role = iam_get(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    if (!role)
        return;
    json_t *list = json_array();
    const json_t *names = json_object_get(role, "instance_profiles");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o, s:o, s:[o]}", "Path", "/", "InstanceProfileName", name,
                                        "InstanceProfileId", "AIPAAAAAAAAAAAAAAAAAA", "Arn",
                                        svc_textf("arn:aws:iam::%s:instance-profile/%s", rq->caller_account, name),
                                        "CreateDate", iam_now(), "Roles", role_reply(role, false)));
    }
    iam_page(rq, NULL, "InstanceProfiles", list);
}

static void remove_from_instance_profile(struct sim_request *rq)
{
    json_t *role = iam_get_ours(rq, IAM_ROLE, sim_param(rq, "RoleName"));
    json_t *names = json_object_get(role, "instance_profiles");
    for (size_t i = 0; i < json_array_size(names); i++)
        if (svc_is(json_string_value(json_array_get(names, i)), sim_param(rq, "InstanceProfileName"))) {
            struct sim_before before = sim_before(role);
            json_array_remove(names, i);
            changed(rq, role, before);
            return;
        }
    if (role)
        sim_error(rq, 404, "NoSuchEntity", "Instance Profile %s cannot be found.",
                  sim_param(rq, "InstanceProfileName"));
}

const struct sim_op iam_role_ops[] = {
    {"iam", "CreateRole", true, create_role},
    {"iam", "GetRole", false, get_role},
    {"iam", "ListRoles", false, list_roles},
    {"iam", "UpdateAssumeRolePolicy", true, update_trust},
    {"iam", "UpdateRole", true, update_role},
    {"iam", "DeleteRole", true, delete_role},
    {"iam", "TagRole", true, tag_role},
    {"iam", "UntagRole", true, untag_role},
    {"iam", "ListRoleTags", false, list_role_tags},
    {"iam", "ListInstanceProfilesForRole", false, list_instance_profiles},
    {"iam", "RemoveRoleFromInstanceProfile", true, remove_from_instance_profile},
    {0},
};
