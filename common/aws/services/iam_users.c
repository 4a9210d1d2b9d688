/* IAM operations on users, their keys, and what a principal may do. */
#include "common/aws/services/build.h"
#include "common/aws/services/iam.h"
#include "common/codec/xml.h"

#define USER_OP(symbol, verb, ...)                                                                                     \
    const struct aws_op symbol = {.name = "iam:" verb,                                                                 \
                                  .service = &aws_service_iam,                                                         \
                                  .action = verb,                                                                      \
                                  .permission = "iam:" verb,                                                           \
                                  .family = "iam",                                                                     \
                                  __VA_ARGS__}

BUILD_QUERY(user_pages_build, "UserName! Marker MaxItems:int")

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
static const struct aws_pages groups_pages = {"Marker", "next", "groups", 20};
static const struct aws_pages results_pages = {"Marker", "next", "results", 20};

static json_t *attached_user_parse(const struct aws_reply *reply, struct err *err)
{
    return texts_of(reply, "ListAttachedUserPoliciesResult", "AttachedPolicies.member", "PolicyArn", "policies", err);
}

USER_OP(iam_list_attached_user_policies, "ListAttachedUserPolicies", .absent = "NoSuchEntity",
        .build = user_pages_build, .parse = attached_user_parse, .pages = &policies_pages);

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

BUILD_QUERY(simulate_build,
            "PolicySourceArn! ActionNames!:list ResourceArns:list ContextEntries:list Marker MaxItems:int")

/* What a refusal rests on: the statements that matched, or what the boundary or the organization did not allow. */
static int add_refusal(json_t *to, const json_t *from, struct err *err)
{
    static const char spec[] = "PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary>boundary "
                               "OrganizationsDecisionDetail.AllowedByOrganizations>organization "
                               "MissingContextValues.member>missing:list";
    json_t *statements =
        parse_each(from, "MatchedStatements.member", "SourcePolicyId>policy! SourcePolicyType>type", err);
    if (!statements)
        return -1;
    json_put(to, "statements", statements);
    return parse_pick(from, spec, to, err);
}

static json_t *simulate_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "SimulatePrincipalPolicyResult", err);
    json_t *facts =
        parse_list(json_incref(r), "EvaluationResults.member",
                   "EvalActionName>action! EvalDecision>decision! EvalResourceName>resource", "results", "Marker", err);
    json_auto_t *full = facts ? xml_list(r, "EvaluationResults.member") : NULL;
    size_t i;
    json_t *one;
    json_array_foreach (full, i, one) {
        json_t *result = json_array_get(json_object_get(facts, "results"), i);
        if (str_eq(json_str_at(result, "decision"), "allowed") || add_refusal(result, one, err) == 0)
            continue;
        json_decref(facts);
        return NULL;
    }
    return facts;
}

USER_OP(iam_simulate_principal_policy, "SimulatePrincipalPolicy", .build = simulate_build, .parse = simulate_parse,
        .pages = &results_pages);

/* ---- Keys: only what a key can do to itself at the end ---- */

BUILD_QUERY(update_access_key_build, "UserName! AccessKeyId! Status!")
USER_OP(iam_update_access_key, "UpdateAccessKey", .mutates = true, .settle = SETTLE_LOOK, .absent = "NoSuchEntity",
        .build = update_access_key_build, .parse = parse_nothing);

/* Deleting what is gone is done: NoSuchEntity is "absent", and a second request finds nothing. */
BUILD_QUERY(delete_access_key_build, "UserName! AccessKeyId!")
USER_OP(iam_delete_access_key, "DeleteAccessKey", .mutates = true, .settle = SETTLE_LOOK, .refuses_second = true,
        .absent = "NoSuchEntity", .build = delete_access_key_build, .parse = parse_nothing);
