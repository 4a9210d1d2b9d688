/* IAM operations on users, their keys, and what a principal may do. */
#include "common/aws/services/build.h"
#include "common/aws/services/iam.h"

#define USER_OP(symbol, verb, ...)                                                                                       \
    const struct aws_op symbol = {.name = "iam:" verb,                                                                   \
                                  .service = &aws_service_iam,                                                           \
                                  .action = verb,                                                                        \
                                  .permission = "iam:" verb,                                                             \
                                  .family = "iam",                                                                       \
                                  __VA_ARGS__}
/* Deleting what is gone is done: NoSuchEntity is "absent", and a second request finds nothing. */
#define USER_DELETE(symbol, verb, build_)                                                                                \
    USER_OP(symbol, verb, .mutates = true, .settle = SETTLE_LOOK, .refuses_second = true, .absent = "NoSuchEntity",      \
            .build = build_, .parse = parse_nothing)

BUILD_QUERY(user_name_build, "UserName!")
BUILD_QUERY(user_pages_build, "UserName! Marker MaxItems:int")
BUILD_QUERY(get_user_build, "UserName")

static json_t *get_user_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "GetUserResult", err), *facts = json_object();
    const json_t *user = json_at(r, "User");
    if (!r || parse_pick(user, "UserName>name Arn! Path UserId CreateDate>created_ms:when", facts, err) < 0)
        return NULL;
    json_put(facts, "tags", parse_tags(user, "Tags.member"));
    return json_incref(facts);
}

USER_OP(iam_get_user, "GetUser", .absent = "NoSuchEntity", .build = get_user_build, .parse = get_user_parse);

/* A list whose members are objects, kept as one text of each. */
static json_t *texts_of(const struct aws_reply *reply, const char *result, const char *path, const char *member,
                        const char *name, struct err *err)
{
    json_auto_t *facts = parse_list(parse_query(reply, result, err), path, "", name, "Marker", err);
    if (!facts)
        return NULL;
    json_t *texts = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(facts, name), i, one) {
        const char *text = json_str_at(one, member);
        if (!*text) {
            json_decref(texts);
            (void)err_set(err, ERR_AWS_ANSWER, "a member of %s has no %s", path, member);
            return NULL;
        }
        (void)json_array_append_new(texts, json_string(text));
    }
    json_put(facts, name, texts);
    return json_incref(facts);
}

static const struct aws_pages policies_pages = {"Marker", "next", "policies", 20};
static const struct aws_pages names_pages = {"Marker", "next", "names", 20};
static const struct aws_pages groups_pages = {"Marker", "next", "groups", 20};
static const struct aws_pages keys_pages = {"Marker", "next", "keys", 4};
static const struct aws_pages devices_pages = {"Marker", "next", "devices", 20};
static const struct aws_pages results_pages = {"Marker", "next", "results", 20};

static json_t *attached_user_parse(const struct aws_reply *reply, struct err *err)
{
    return texts_of(reply, "ListAttachedUserPoliciesResult", "AttachedPolicies.member", "PolicyArn", "policies", err);
}

USER_OP(iam_list_attached_user_policies, "ListAttachedUserPolicies", .absent = "NoSuchEntity", .build = user_pages_build,
        .parse = attached_user_parse, .pages = &policies_pages);

static json_t *user_policies_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListUserPoliciesResult", err), "PolicyNames.member", "", "names", "Marker", err);
}

USER_OP(iam_list_user_policies, "ListUserPolicies", .absent = "NoSuchEntity", .build = user_pages_build,
        .parse = user_policies_parse, .pages = &names_pages);

static json_t *groups_parse(const struct aws_reply *reply, struct err *err)
{
    return texts_of(reply, "ListGroupsForUserResult", "Groups.member", "GroupName", "groups", err);
}

USER_OP(iam_list_groups_for_user, "ListGroupsForUser", .absent = "NoSuchEntity", .build = user_pages_build,
        .parse = groups_parse, .pages = &groups_pages);

BUILD_QUERY(attached_group_build, "GroupName! Marker MaxItems:int")

static json_t *attached_group_parse(const struct aws_reply *reply, struct err *err)
{
    return texts_of(reply, "ListAttachedGroupPoliciesResult", "AttachedPolicies.member", "PolicyArn", "policies", err);
}

USER_OP(iam_list_attached_group_policies, "ListAttachedGroupPolicies", .absent = "NoSuchEntity",
        .build = attached_group_build, .parse = attached_group_parse, .pages = &policies_pages);

/* ---- What a principal may do: AWS evaluates, nothing is tried ---- */

BUILD_QUERY(simulate_build, "PolicySourceArn! ActionNames!:list ResourceArns:list Marker MaxItems:int")

static json_t *simulate_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "SimulatePrincipalPolicyResult", err), "EvaluationResults.member",
                      "EvalActionName>action! EvalDecision>decision!", "results", "Marker", err);
}

USER_OP(iam_simulate_principal_policy, "SimulatePrincipalPolicy", .build = simulate_build, .parse = simulate_parse,
        .pages = &results_pages);

/* ---- Keys ---- */

static json_t *access_keys_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListAccessKeysResult", err), "AccessKeyMetadata.member",
                      "AccessKeyId>id! Status!", "keys", "Marker", err);
}

USER_OP(iam_list_access_keys, "ListAccessKeys", .absent = "NoSuchEntity", .build = user_pages_build,
        .parse = access_keys_parse, .pages = &keys_pages);

BUILD_QUERY(update_access_key_build, "UserName! AccessKeyId! Status!")
USER_OP(iam_update_access_key, "UpdateAccessKey", .mutates = true, .settle = SETTLE_LOOK, .absent = "NoSuchEntity",
        .build = update_access_key_build, .parse = parse_nothing);

BUILD_QUERY(delete_access_key_build, "UserName! AccessKeyId!")
USER_DELETE(iam_delete_access_key, "DeleteAccessKey", delete_access_key_build);

/* ---- What hangs on a user, in the order that AWS wants it gone ---- */

USER_OP(iam_get_login_profile, "GetLoginProfile", .absent = "NoSuchEntity", .build = user_name_build,
        .parse = parse_nothing);
USER_DELETE(iam_delete_login_profile, "DeleteLoginProfile", user_name_build);

static json_t *mfa_devices_parse(const struct aws_reply *reply, struct err *err)
{
    return texts_of(reply, "ListMFADevicesResult", "MFADevices.member", "SerialNumber", "devices", err);
}

USER_OP(iam_list_mfa_devices, "ListMFADevices", .absent = "NoSuchEntity", .build = user_pages_build,
        .parse = mfa_devices_parse, .pages = &devices_pages);

BUILD_QUERY(deactivate_mfa_build, "UserName! SerialNumber!")
USER_DELETE(iam_deactivate_mfa_device, "DeactivateMFADevice", deactivate_mfa_build);

BUILD_QUERY(user_policy_name_build, "UserName! PolicyName!")
USER_DELETE(iam_delete_user_policy, "DeleteUserPolicy", user_policy_name_build);

BUILD_QUERY(user_policy_arn_build, "UserName! PolicyArn!")
USER_DELETE(iam_detach_user_policy, "DetachUserPolicy", user_policy_arn_build);

BUILD_QUERY(user_group_build, "UserName! GroupName!")
USER_DELETE(iam_remove_user_from_group, "RemoveUserFromGroup", user_group_build);

USER_DELETE(iam_delete_user, "DeleteUser", user_name_build);
