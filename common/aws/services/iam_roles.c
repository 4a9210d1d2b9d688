/* IAM operations on roles. */
#include "common/aws/services/build.h"
#include "common/aws/services/iam.h"

#define ROLE_OP(symbol, verb, permission_, ...)                                                                        \
    const struct aws_op symbol = {.name = "iam:" verb,                                                                 \
                                  .service = &aws_service_iam,                                                         \
                                  .action = verb,                                                                      \
                                  .permission = permission_,                                                           \
                                  .family = "iam",                                                                     \
                                  __VA_ARGS__}

static json_t *role_facts(const struct aws_reply *reply, const char *result, struct err *err)
{
    json_auto_t *r = parse_query(reply, result, err), *facts = json_object();
    const json_t *role = json_at(r, "Role");
    if (!r || parse_pick(role,
                         "RoleName>name! Arn! Path! RoleId! CreateDate>created_ms:when Description "
                         "MaxSessionDuration>max_session:int AssumeRolePolicyDocument>trust:doc "
                         "PermissionsBoundary.PermissionsBoundaryArn>boundary",
                         facts, err) < 0)
        return NULL;
    json_put(facts, "tags", parse_tags(role, "Tags.member"));
    return json_incref(facts);
}

BUILD_QUERY(role_name_build, "RoleName!")
BUILD_QUERY(role_pages_build, "RoleName! Marker MaxItems:int")
BUILD_QUERY(role_policy_arn_build, "RoleName! PolicyArn!")
BUILD_QUERY(role_policy_name_build, "RoleName! PolicyName!")

static json_t *get_role_parse(const struct aws_reply *reply, struct err *err)
{
    return role_facts(reply, "GetRoleResult", err);
}

ROLE_OP(iam_get_role, "GetRole", "iam:GetRole", .absent = "NoSuchEntity", .build = role_name_build,
        .parse = get_role_parse);

BUILD_QUERY(list_roles_build, "PathPrefix Marker MaxItems:int")

static json_t *list_roles_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListRolesResult", err), "Roles.member",
                      "RoleName>name! Path! Arn! RoleId Description MaxSessionDuration>max_session:int", "roles",
                      "Marker", err);
}

static const struct aws_pages list_roles_pages = {"Marker", "next", "roles", 60};
ROLE_OP(iam_list_roles, "ListRoles", "iam:ListRoles", .build = list_roles_build, .parse = list_roles_parse,
        .pages = &list_roles_pages);

BUILD_QUERY(create_role_build,
            "RoleName! AssumeRolePolicyDocument!:doc Path Description MaxSessionDuration:int Tags:tags")

static json_t *create_role_parse(const struct aws_reply *reply, struct err *err)
{
    return role_facts(reply, "CreateRoleResult", err);
}

ROLE_OP(iam_create_role, "CreateRole", "iam:CreateRole,iam:TagRole", .mutates = true, .settle = SETTLE_LOOK,
        .refuses_second = true, .build = create_role_build, .parse = create_role_parse);

BUILD_QUERY(update_role_build, "RoleName! Description MaxSessionDuration:int")
ROLE_OP(iam_update_role, "UpdateRole", "iam:UpdateRole", .mutates = true, .settle = SETTLE_RESEND,
        .build = update_role_build, .parse = parse_nothing);

BUILD_QUERY(update_assume_role_policy_build, "RoleName! PolicyDocument!:doc")
ROLE_OP(iam_update_assume_role_policy, "UpdateAssumeRolePolicy", "iam:UpdateAssumeRolePolicy", .mutates = true,
        .settle = SETTLE_RESEND, .build = update_assume_role_policy_build, .parse = parse_nothing);

ROLE_OP(iam_delete_role, "DeleteRole", "iam:DeleteRole", .mutates = true, .settle = SETTLE_LOOK, .refuses_second = true,
        .absent = "NoSuchEntity", .build = role_name_build, .parse = parse_nothing);

/* ---- Attached managed policies ---- */

static json_t *attached_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *list = parse_list(parse_query(reply, "ListAttachedRolePoliciesResult", err), "AttachedPolicies.member",
                                   "PolicyArn>arn!", "policies", "Marker", err);
    if (!list)
        return NULL;
    json_t *arns = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(list, "policies"), i, one)
        (void)json_array_append_new(arns, json_string(json_str_at(one, "arn")));
    json_put(list, "policies", arns);
    return json_incref(list);
}

static const struct aws_pages policies_pages = {"Marker", "next", "policies", 20};
ROLE_OP(iam_list_attached_role_policies, "ListAttachedRolePolicies", "iam:ListAttachedRolePolicies",
        .absent = "NoSuchEntity", .build = role_pages_build, .parse = attached_parse, .pages = &policies_pages);

/* Attaching what is attached is a success without effect, so a second or late request does no harm. */
ROLE_OP(iam_attach_role_policy, "AttachRolePolicy", "iam:AttachRolePolicy", .mutates = true, .settle = SETTLE_RESEND,
        .refuses_second = true, .build = role_policy_arn_build, .parse = parse_nothing);

ROLE_OP(iam_detach_role_policy, "DetachRolePolicy", "iam:DetachRolePolicy", .mutates = true, .settle = SETTLE_LOOK,
        .refuses_second = true, .absent = "NoSuchEntity", .build = role_policy_arn_build, .parse = parse_nothing);

/* ---- Inline policies ---- */

static json_t *list_role_policies_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListRolePoliciesResult", err), "PolicyNames.member", "", "names", "Marker",
                      err);
}

static const struct aws_pages names_pages = {"Marker", "next", "names", 20};
ROLE_OP(iam_list_role_policies, "ListRolePolicies", "iam:ListRolePolicies", .absent = "NoSuchEntity",
        .build = role_pages_build, .parse = list_role_policies_parse, .pages = &names_pages);

static json_t *get_role_policy_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "GetRolePolicyResult", err), *facts = json_object();
    if (!r || parse_pick(r, "PolicyDocument>document!:doc", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

ROLE_OP(iam_get_role_policy, "GetRolePolicy", "iam:GetRolePolicy", .absent = "NoSuchEntity",
        .build = role_policy_name_build, .parse = get_role_policy_parse);

BUILD_QUERY(put_role_policy_build, "RoleName! PolicyName! PolicyDocument!:doc")
ROLE_OP(iam_put_role_policy, "PutRolePolicy", "iam:PutRolePolicy", .mutates = true, .settle = SETTLE_RESEND,
        .build = put_role_policy_build, .parse = parse_nothing);

ROLE_OP(iam_delete_role_policy, "DeleteRolePolicy", "iam:DeleteRolePolicy", .mutates = true, .settle = SETTLE_LOOK,
        .refuses_second = true, .absent = "NoSuchEntity", .build = role_policy_name_build, .parse = parse_nothing);

/* ---- Instance profiles: only for undo, when somebody put our role into one ---- */

static json_t *instance_profiles_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *list = parse_list(parse_query(reply, "ListInstanceProfilesForRoleResult", err),
                                   "InstanceProfiles.member", "InstanceProfileName>name!", "profiles", "Marker", err);
    if (!list)
        return NULL;
    json_t *names = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(list, "profiles"), i, one)
        (void)json_array_append_new(names, json_string(json_str_at(one, "name")));
    (void)json_object_del(list, "profiles");
    json_put(list, "names", names);
    return json_incref(list);
}

ROLE_OP(iam_list_instance_profiles_for_role, "ListInstanceProfilesForRole", "iam:ListInstanceProfilesForRole",
        .absent = "NoSuchEntity", .build = role_pages_build, .parse = instance_profiles_parse, .pages = &names_pages);

BUILD_QUERY(remove_from_profile_build, "RoleName! InstanceProfileName!")
ROLE_OP(iam_remove_role_from_instance_profile, "RemoveRoleFromInstanceProfile", "iam:RemoveRoleFromInstanceProfile",
        .mutates = true, .settle = SETTLE_LOOK, .refuses_second = true, .absent = "NoSuchEntity",
        .build = remove_from_profile_build, .parse = parse_nothing);
