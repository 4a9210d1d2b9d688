/* IAM operations on the account as a whole: summary, inventory, providers. */
#include "common/aws/services/build.h"
#include "common/aws/services/iam.h"
#include "common/codec/xml.h"

const struct aws_service aws_service_iam = {
    .id = "iam",
    .host = "iam.amazonaws.com",
    .sign_name = "iam",
    .sign_region = "us-east-1",
    .protocol = AWS_QUERY,
    .version = "2010-05-08",
};

#define ACCOUNT_OP(symbol, verb, ...)                                                                                  \
    const struct aws_op symbol = {.name = "iam:" verb,                                                                 \
                                  .service = &aws_service_iam,                                                         \
                                  .action = verb,                                                                      \
                                  .permission = "iam:" verb,                                                           \
                                  .family = "iam",                                                                     \
                                  __VA_ARGS__}

BUILD_QUERY(nothing_build, "")
BUILD_QUERY(pages_build, "Marker MaxItems:int")

/* ---- Summary: a map as XML writes it, <entry><key/><value/></entry> ---- */

static json_t *summary_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "GetAccountSummaryResult", err);
    if (!r)
        return NULL;
    json_auto_t *entries = xml_list(r, "SummaryMap.entry");
    json_auto_t *facts = json_object();
    json_t *summary = json_object();
    json_put(facts, "summary", summary);
    size_t i;
    const json_t *entry;
    json_array_foreach (entries, i, entry) {
        const char *key = json_str_at(entry, "key");
        uint64_t n = 0;
        if (!*key || !str_to_u64(json_str_at(entry, "value"), INT64_MAX, &n)) {
            (void)err_set(err, ERR_AWS_ANSWER, "the account summary has an odd entry");
            return NULL;
        }
        json_put_int(summary, key, (int64_t)n);
    }
    if (!json_has(summary, "AccountMFAEnabled")) {
        (void)err_set(err, ERR_AWS_ANSWER, "the account summary lacks AccountMFAEnabled");
        return NULL;
    }
    return json_incref(facts);
}

ACCOUNT_OP(iam_get_account_summary, "GetAccountSummary", .build = nothing_build, .parse = summary_parse);

/* ---- Inventory ---- */

static json_t *arns_of(const json_t *from, const char *path)
{
    json_auto_t *list = xml_list(from, path);
    json_t *arns = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        if (*json_str_at(one, "PolicyArn"))
            (void)json_array_append_new(arns, json_string(json_str_at(one, "PolicyArn")));
    return arns;
}

static json_t *inline_of(const json_t *from, const char *path, struct err *err)
{
    json_auto_t *list = xml_list(from, path);
    json_auto_t *documents = json_object();
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one) {
        if (!json_is_object(one))
            continue; /* an empty list element */
        json_t *document = parse_document(json_str_at(one, "PolicyDocument"), err);
        if (!document)
            return NULL;
        json_put(documents, json_str_at(one, "PolicyName"), document);
    }
    return json_incref(documents);
}

/* Instance profiles that carry a role; users and groups have none. New reference. */
static json_t *names_of_profiles(const json_t *from)
{
    json_auto_t *list = xml_list(from, "InstanceProfileList.member");
    json_t *names = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        if (*json_str_at(one, "InstanceProfileName"))
            (void)json_array_append_new(names, json_string(json_str_at(one, "InstanceProfileName")));
    return names;
}

/* Adds one user, group or role to `to`. */
static int add_principal(json_t *to, const json_t *one, const char *spec, const char *inline_path, struct err *err)
{
    json_auto_t *facts = json_object();
    if (parse_pick(one, spec, facts, err) < 0)
        return -1;
    json_t *documents = inline_of(one, inline_path, err);
    if (!documents)
        return -1;
    json_put(facts, "inline", documents);
    json_put(facts, "policies", arns_of(one, "AttachedManagedPolicies.member"));
    json_put(facts, "tags", parse_tags(one, "Tags.member"));
    json_auto_t *profiles = names_of_profiles(one);
    if (json_array_size(profiles))
        json_put(facts, "instance_profiles", json_incref(profiles));
    (void)json_array_append(to, facts);
    return 0;
}

static int add_policy(json_t *to, const json_t *one, struct err *err)
{
    json_auto_t *facts = json_object();
    if (parse_pick(one, "PolicyName>name Path PolicyId Arn! DefaultVersionId>default_version!", facts, err) < 0)
        return -1;
    json_auto_t *versions = xml_list(one, "PolicyVersionList.member");
    size_t i;
    const json_t *v;
    json_array_foreach (versions, i, v) {
        if (!str_eq(json_str_at(v, "VersionId"), json_str_at(facts, "default_version")))
            continue;
        json_t *document = parse_document(json_str_at(v, "Document"), err);
        if (!document)
            return -1;
        json_put(facts, "document", document);
    }
    (void)json_array_append(to, facts);
    return 0;
}

static json_t *details_parse(const struct aws_reply *reply, struct err *err)
{
    static const struct {
        const char *name, *path, *spec, *inline_path;
    } kinds[] = {
        {"users", "UserDetailList.member",
         "UserName>name! Path! UserId! Arn! GroupList.member>groups:list "
         "PermissionsBoundary.PermissionsBoundaryArn>boundary",
         "UserPolicyList.member"},
        {"groups", "GroupDetailList.member", "GroupName>name! Path! GroupId! Arn!", "GroupPolicyList.member"},
        {"roles", "RoleDetailList.member",
         "RoleName>name! Path! RoleId! Arn! AssumeRolePolicyDocument>trust!:doc "
         "PermissionsBoundary.PermissionsBoundaryArn>boundary",
         "RolePolicyList.member"},
    };
    json_auto_t *r = parse_query(reply, "GetAccountAuthorizationDetailsResult", err), *facts = json_object();
    if (!r)
        return NULL;
    size_t i;
    const json_t *one;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        json_auto_t *list = xml_list(r, kinds[k].path);
        json_put(facts, kinds[k].name, json_array());
        json_array_foreach (list, i, one)
            if (json_is_object(one) &&
                add_principal(json_object_get(facts, kinds[k].name), one, kinds[k].spec, kinds[k].inline_path, err) < 0)
                return NULL;
    }
    json_auto_t *policies = xml_list(r, "Policies.member");
    json_put(facts, "policies", json_array());
    json_array_foreach (policies, i, one)
        if (json_is_object(one) && add_policy(json_object_get(facts, "policies"), one, err) < 0)
            return NULL;
    if (str_eq(json_str_at(r, "IsTruncated"), "true"))
        json_put_str(facts, "next", json_str_at(r, "Marker"));
    return json_incref(facts);
}

BUILD_QUERY(details_build, "Filter:list Marker MaxItems:int")
static const struct aws_pages details_pages = {"Marker", "next", "users,groups,roles,policies", 200};
ACCOUNT_OP(iam_get_account_authorization_details, "GetAccountAuthorizationDetails", .build = details_build,
           .parse = details_parse, .pages = &details_pages);

/* ---- The rest ---- */

static json_t *aliases_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListAccountAliasesResult", err), "AccountAliases.member", "", "aliases",
                      "Marker", err);
}

static const struct aws_pages aliases_pages = {"Marker", "next", "aliases", 4};
ACCOUNT_OP(iam_list_account_aliases, "ListAccountAliases", .build = pages_build, .parse = aliases_parse,
           .pages = &aliases_pages);

static json_t *providers_of(const struct aws_reply *reply, const char *result, const char *path, struct err *err)
{
    json_auto_t *r = parse_query(reply, result, err);
    if (!r)
        return NULL;
    json_auto_t *list = xml_list(r, path);
    json_t *facts = json_object(), *arns = json_array();
    json_put(facts, "providers", arns);
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        if (*json_str_at(one, "Arn"))
            (void)json_array_append_new(arns, json_string(json_str_at(one, "Arn")));
    return facts;
}

static json_t *saml_parse(const struct aws_reply *reply, struct err *err)
{
    return providers_of(reply, "ListSAMLProvidersResult", "SAMLProviderList.member", err);
}

ACCOUNT_OP(iam_list_saml_providers, "ListSAMLProviders", .build = nothing_build, .parse = saml_parse);

static json_t *oidc_parse(const struct aws_reply *reply, struct err *err)
{
    return providers_of(reply, "ListOpenIDConnectProvidersResult", "OpenIDConnectProviderList.member", err);
}

ACCOUNT_OP(iam_list_open_id_connect_providers, "ListOpenIDConnectProviders", .build = nothing_build,
           .parse = oidc_parse);

static json_t *password_policy_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "GetAccountPasswordPolicyResult", err), *facts = json_object();
    if (!r || parse_pick(r, "PasswordPolicy>policy!:any", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

ACCOUNT_OP(iam_get_account_password_policy, "GetAccountPasswordPolicy", .absent = "NoSuchEntity",
           .build = nothing_build, .parse = password_policy_parse);

BUILD_QUERY(virtual_mfa_build, "AssignmentStatus Marker MaxItems:int")

static json_t *virtual_mfa_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_query(reply, "ListVirtualMFADevicesResult", err), "VirtualMFADevices.member",
                      "SerialNumber>serial! User.Arn>user_arn", "devices", "Marker", err);
}

static const struct aws_pages devices_pages = {"Marker", "next", "devices", 20};
ACCOUNT_OP(iam_list_virtual_mfa_devices, "ListVirtualMFADevices", .build = virtual_mfa_build,
           .parse = virtual_mfa_parse, .pages = &devices_pages);

/* Central root access: which of its features are on. */
static json_t *features_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "ListOrganizationsFeaturesResult", err), *facts = json_object();
    if (!r || parse_pick(r, "EnabledFeatures.member>features:list", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

ACCOUNT_OP(iam_list_organizations_features, "ListOrganizationsFeatures", .build = nothing_build,
           .parse = features_parse);
