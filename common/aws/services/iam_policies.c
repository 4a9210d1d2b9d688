/* IAM operations on customer managed policies. */
#include "common/aws/services/build.h"
#include "common/aws/services/iam.h"

#define POLICY_OP(symbol, verb, permission_, ...)                                                                      \
    const struct aws_op symbol = {.name = "iam:" verb,                                                                 \
                                  .service = &aws_service_iam,                                                         \
                                  .action = verb,                                                                      \
                                  .permission = permission_,                                                           \
                                  .family = "iam",                                                                     \
                                  __VA_ARGS__}

BUILD_QUERY(policy_arn_build, "PolicyArn!")
BUILD_QUERY(policy_version_build, "PolicyArn! VersionId!")

static json_t *policy_facts(const struct aws_reply *reply, const char *result, struct err *err)
{
    json_auto_t *r = parse_query(reply, result, err), *facts = json_object();
    const json_t *policy = json_at(r, "Policy");
    if (!r || parse_pick(policy,
                         "Arn! PolicyName>name! Path PolicyId DefaultVersionId>default_version! "
                         "AttachmentCount>attachments:int Description",
                         facts, err) < 0)
        return NULL;
    json_put(facts, "tags", parse_tags(policy, "Tags.member"));
    return json_incref(facts);
}

static json_t *get_policy_parse(const struct aws_reply *reply, struct err *err)
{
    return policy_facts(reply, "GetPolicyResult", err);
}

POLICY_OP(iam_get_policy, "GetPolicy", "iam:GetPolicy", .absent = "NoSuchEntity", .build = policy_arn_build,
          .parse = get_policy_parse);

BUILD_QUERY(list_policies_build, "Scope OnlyAttached:bool PathPrefix Marker MaxItems:int")

static json_t *list_policies_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListPoliciesResult", err), "Policies.member", "PolicyName>name! Arn! Path",
                      "policies", "Marker", err);
}

static const struct aws_pages list_policies_pages = {"Marker", "next", "policies", 60};
POLICY_OP(iam_list_policies, "ListPolicies", "iam:ListPolicies", .build = list_policies_build,
          .parse = list_policies_parse, .pages = &list_policies_pages);

static json_t *get_policy_version_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "GetPolicyVersionResult", err), *facts = json_object();
    if (!r || parse_pick(json_at(r, "PolicyVersion"),
                         "VersionId>version! IsDefaultVersion>is_default:bool Document>document!:doc", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

POLICY_OP(iam_get_policy_version, "GetPolicyVersion", "iam:GetPolicyVersion", .absent = "NoSuchEntity",
          .build = policy_version_build, .parse = get_policy_version_parse);

BUILD_QUERY(list_versions_build, "PolicyArn! Marker MaxItems:int")

static json_t *list_versions_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListPolicyVersionsResult", err), "Versions.member",
                      "VersionId>version! IsDefaultVersion>is_default:bool CreateDate>created_ms:when", "versions",
                      "Marker", err);
}

static const struct aws_pages versions_pages = {"Marker", "next", "versions", 4};
POLICY_OP(iam_list_policy_versions, "ListPolicyVersions", "iam:ListPolicyVersions", .absent = "NoSuchEntity",
          .build = list_versions_build, .parse = list_versions_parse, .pages = &versions_pages);

BUILD_QUERY(create_policy_build, "PolicyName! PolicyDocument!:doc Path Description Tags:tags")

static json_t *create_policy_parse(const struct aws_reply *reply, struct err *err)
{
    return policy_facts(reply, "CreatePolicyResult", err);
}

POLICY_OP(iam_create_policy, "CreatePolicy", "iam:CreatePolicy,iam:TagPolicy", .mutates = true, .settle = SETTLE_LOOK,
          .refuses_second = true, .build = create_policy_build, .parse = create_policy_parse);

BUILD_QUERY(create_version_build, "PolicyArn! PolicyDocument!:doc SetAsDefault:bool")

static json_t *create_version_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "CreatePolicyVersionResult", err), *facts = json_object();
    if (!r || parse_pick(r, "PolicyVersion.VersionId>version!", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

/* A second one would make a second version and push out an old one: always looked for before it is sent again. */
POLICY_OP(iam_create_policy_version, "CreatePolicyVersion", "iam:CreatePolicyVersion", .mutates = true,
          .settle = SETTLE_LOOK, .build = create_version_build, .parse = create_version_parse);

POLICY_OP(iam_delete_policy_version, "DeletePolicyVersion", "iam:DeletePolicyVersion", .mutates = true,
          .settle = SETTLE_LOOK, .refuses_second = true, .absent = "NoSuchEntity", .build = policy_version_build,
          .parse = parse_nothing);

POLICY_OP(iam_delete_policy, "DeletePolicy", "iam:DeletePolicy", .mutates = true, .settle = SETTLE_LOOK,
          .refuses_second = true, .absent = "NoSuchEntity", .build = policy_arn_build, .parse = parse_nothing);
