/* AWS Organizations, the reads that identify an organization and fingerprint it. JSON 1.1, only in us-east-1.
 * Traps: throttling arrives as HTTP 400; a page may be empty while its token is set; at most 20 per page. */
#include "common/aws/services/organizations.h"

#include "common/aws/services/build.h"

static const struct aws_service organizations = {
    .id = "organizations",
    .host = "organizations.us-east-1.amazonaws.com",
    .sign_name = "organizations",
    .sign_region = "us-east-1",
    .protocol = AWS_JSON_1_1,
    .target = "AWSOrganizationsV20161128.",
};

/* 2,000 pages of 20 are 40,000 accounts: four times the largest quota that AWS grants. */
#define PAGES(list_name)                                                                                               \
    (&(const struct aws_pages){.token_arg = "NextToken", .token_fact = "next", .list = (list_name), .pages_max = 2000})

#define READ(act, build_fn, parse_fn, ...)                                                                             \
    {                                                                                                                  \
        .name = "organizations:" act, .service = &organizations, .action = act, .permission = "organizations:" act,    \
        .family = "organizations." act, .who = AWS_AS_CUSTOMER, .settle = SETTLE_NONE, .build = build_fn,              \
        .parse = parse_fn, __VA_ARGS__                                                                                 \
    }

static int build_empty(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "", ret, err);
}

static int build_page(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "NextToken", ret, err);
}

static int build_parent(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "ParentId! NextToken", ret, err);
}

static int build_policy_page(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "PolicyId! NextToken", ret, err);
}

/* ---- The organization and its accounts
 * ------------------------------------------------------------------------------- */
static json_t *parse_organization(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    json_auto_t *facts = json_object();
    if (!body || parse_pick(body,
                            "Organization.Id>id! Organization.Arn>arn Organization.FeatureSet>feature_set "
                            "Organization.MasterAccountId>master_account_id! Organization.MasterAccountArn>master_arn "
                            "Organization.MasterAccountEmail>master_email!",
                            facts, err))
        return NULL;
    return TAKE(facts);
}

const struct aws_op organizations_describe_organization =
    READ("DescribeOrganization", build_empty, parse_organization, .absent = "AWSOrganizationsNotInUseException");

/* AWS retires `Status` in favour of `State`: whichever is there. */
static json_t *parse_accounts(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    if (!body)
        return NULL;
    json_t *facts =
        parse_list(body, "Accounts",
                   "Id>id! Arn>arn Email>email Name>name State>state Status>status JoinedMethod>joined_method "
                   "JoinedTimestamp>joined_ms:when Paths>paths:list",
                   "accounts", "NextToken", err);
    size_t i = 0;
    json_t *account = NULL;
    json_array_foreach (json_object_get(facts, "accounts"), i, account) {
        if (!json_has(account, "state"))
            json_put_str(account, "state", json_str_at(account, "status"));
        json_object_del(account, "status");
    }
    return facts;
}

const struct aws_op organizations_list_accounts =
    READ("ListAccounts", build_page, parse_accounts, .pages = PAGES("accounts"));

/* ---- The tree
 * ---------------------------------------------------------------------------------------------------------- */
static json_t *parse_roots(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    if (!body)
        return NULL;
    json_auto_t *facts = parse_list(json_incref(body), "Roots", "Id>id! Arn>arn Name>name PolicyTypes>policy_types:any",
                                    "roots", "NextToken", err);
    size_t i = 0;
    json_t *root = NULL;
    json_array_foreach (json_object_get(facts, "roots"), i, root) {
        json_t *types = parse_each(root, "policy_types", "Type>type! Status>status", err);
        if (!types)
            return NULL;
        json_put(root, "policy_types", types);
    }
    return TAKE(facts);
}

const struct aws_op organizations_list_roots = READ("ListRoots", build_page, parse_roots, .pages = PAGES("roots"));

static json_t *parse_ous(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(body, "OrganizationalUnits", "Id>id! Arn>arn Name>name", "ous", "NextToken", err) : NULL;
}

const struct aws_op organizations_list_organizational_units_for_parent =
    READ("ListOrganizationalUnitsForParent", build_parent, parse_ous, .pages = PAGES("ous"));

/* [{"id": x}] becomes [x]: where the id is all that anybody reads. Takes the reference, also of NULL. */
static json_t *only_ids(json_t *new_facts, const char *list)
{
    if (!new_facts)
        return NULL;
    json_t *ids = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(new_facts, list), i, one)
        json_array_append(ids, json_object_get(one, "id"));
    json_put(new_facts, list, ids);
    return new_facts;
}

static json_t *parse_account_ids(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? only_ids(parse_list(body, "Accounts", "Id>id!", "accounts", "NextToken", err), "accounts") : NULL;
}

const struct aws_op organizations_list_accounts_for_parent =
    READ("ListAccountsForParent", build_parent, parse_account_ids, .pages = PAGES("accounts"));

/* ---- Policies
 * ---------------------------------------------------------------------------------------------------------- */
static int build_filter(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "Filter! NextToken", ret, err);
}

static json_t *parse_policies(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(body, "Policies",
                             "Id>id! Arn>arn Name>name Description>description Type>type! AwsManaged>aws_managed:bool",
                             "policies", "NextToken", err)
                : NULL;
}

const struct aws_op organizations_list_policies =
    READ("ListPolicies", build_filter, parse_policies, .pages = PAGES("policies"));

static int build_policy(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "PolicyId!", ret, err);
}

/* The content is JSON in a text, not percent-encoded. A text that is no JSON is kept as it is. */
static json_t *content_value(const char *text)
{
    struct err ignored;
    json_t *value = json_read(text, strlen(text), 0, &ignored);
    return value ? value : json_string(text);
}

static json_t *parse_policy(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    json_auto_t *facts = json_object();
    if (!body || parse_pick(body, "Policy.PolicySummary.Id>id! Policy.Content>content!", facts, err))
        return NULL;
    json_put(facts, "content", content_value(json_str_at(body, "Policy.Content")));
    return TAKE(facts);
}

const struct aws_op organizations_describe_policy =
    READ("DescribePolicy", build_policy, parse_policy, .absent = "PolicyNotFoundException");

static json_t *parse_targets(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? only_ids(parse_list(body, "Targets", "TargetId>id!", "targets", "NextToken", err), "targets") : NULL;
}

const struct aws_op organizations_list_targets_for_policy =
    READ("ListTargetsForPolicy", build_policy_page, parse_targets, .pages = PAGES("targets"),
         .absent = "PolicyNotFoundException");

/* ---- Trusted services, delegation, handshakes
 * --------------------------------------------------------------------------- */
static json_t *parse_services(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(body, "EnabledServicePrincipals",
                             "ServicePrincipal>principal! DateEnabled>enabled_ms:when", "services", "NextToken", err)
                : NULL;
}

const struct aws_op organizations_list_aws_service_access_for_organization =
    READ("ListAWSServiceAccessForOrganization", build_page, parse_services, .pages = PAGES("services"));

static json_t *parse_administrators(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? only_ids(parse_list(body, "DelegatedAdministrators", "Id>id!", "administrators", "NextToken", err),
                           "administrators")
                : NULL;
}

const struct aws_op organizations_list_delegated_administrators =
    READ("ListDelegatedAdministrators", build_page, parse_administrators, .pages = PAGES("administrators"));

static int build_delegated(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "AccountId! NextToken", ret, err);
}

static json_t *parse_delegated(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? only_ids(parse_list(body, "DelegatedServices", "ServicePrincipal>id!", "services", "NextToken", err),
                           "services")
                : NULL;
}

const struct aws_op organizations_list_delegated_services_for_account =
    READ("ListDelegatedServicesForAccount", build_delegated, parse_delegated, .pages = PAGES("services"));

static json_t *parse_resource_policy(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    json_auto_t *facts = json_object();
    if (!body || parse_pick(body, "ResourcePolicy.Content>document!", facts, err))
        return NULL;
    json_put(facts, "document", content_value(json_str_at(body, "ResourcePolicy.Content")));
    return TAKE(facts);
}

const struct aws_op organizations_describe_resource_policy =
    READ("DescribeResourcePolicy", build_empty, parse_resource_policy, .absent = "ResourcePolicyNotFoundException");

static json_t *parse_handshakes(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    if (!body)
        return NULL;
    json_auto_t *facts = parse_list(
        body, "Handshakes", "Id>id! Action>action State>state! ExpirationTimestamp>expires_ms:when Parties>parties:any",
        "handshakes", "NextToken", err);
    size_t i = 0;
    json_t *handshake = NULL;
    json_array_foreach (json_object_get(facts, "handshakes"), i, handshake) {
        json_t *parties = parse_each(handshake, "parties", "Id>id Type>type", err);
        if (!parties)
            return NULL;
        json_put(handshake, "parties", parties);
    }
    return TAKE(facts);
}

const struct aws_op organizations_list_handshakes_for_organization =
    READ("ListHandshakesForOrganization", build_page, parse_handshakes, .pages = PAGES("handshakes"));

const struct aws_op organizations_list_handshakes_for_account =
    READ("ListHandshakesForAccount", build_page, parse_handshakes, .pages = PAGES("handshakes"));

/* ---- Billing transfers: who pays for whom ---- */
static int build_transfers(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "Type! NextToken", ret, err);
}

static json_t *parse_transfers(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(body, "ResponsibilityTransfers",
                             "Id>id Arn>arn! Name>name Type>type Status>status Source.ManagementAccountId>source "
                             "Source.ManagementAccountEmail>source_email Target.ManagementAccountId>target "
                             "Target.ManagementAccountEmail>target_email StartTimestamp>start_ms:when "
                             "EndTimestamp>end_ms:when ActiveHandshakeId>handshake",
                             "transfers", "NextToken", err)
                : NULL;
}

/* Partitions and organizations that know no such thing have none. */
#define NO_TRANSFERS "UnsupportedAPIEndpointException"

const struct aws_op organizations_list_inbound_responsibility_transfers =
    READ("ListInboundResponsibilityTransfers", build_transfers, parse_transfers, .pages = PAGES("transfers"),
         .absent = NO_TRANSFERS);

const struct aws_op organizations_list_outbound_responsibility_transfers =
    READ("ListOutboundResponsibilityTransfers", build_transfers, parse_transfers, .pages = PAGES("transfers"),
         .absent = NO_TRANSFERS);
