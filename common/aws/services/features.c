/* Identity Center, Backup, Firewall Manager, Resource Access Manager and StackSets: five services, one read each. */
#include "common/aws/services/features.h"

#include "common/aws/services/build.h"

static const struct aws_service sso = {
    .id = "sso",
    .host = "sso.{region}.amazonaws.com",
    .sign_name = "sso",
    .protocol = AWS_JSON_1_1,
    .target = "SWBExternalService.",
};
static const struct aws_service backup = {
    .id = "backup",
    .host = "backup.{region}.amazonaws.com",
    .sign_name = "backup",
    .protocol = AWS_REST_JSON,
};
static const struct aws_service fms = {
    .id = "fms",
    .host = "fms.us-east-1.amazonaws.com",
    .sign_name = "fms",
    .sign_region = "us-east-1",
    .protocol = AWS_JSON_1_1,
    .target = "AWSFMS_20180101.",
};
static const struct aws_service ram = {
    .id = "ram",
    .host = "ram.{region}.amazonaws.com",
    .sign_name = "ram",
    .protocol = AWS_REST_JSON,
};
static const struct aws_service cloudformation = {
    .id = "cloudformation",
    .host = "cloudformation.{region}.amazonaws.com",
    .sign_name = "cloudformation",
    .protocol = AWS_QUERY,
    .version = "2010-05-15",
};

/* ---- Identity Center ---- */
static int build_instances(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "NextToken", ret, err);
}

static json_t *parse_instances(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(
                      body, "Instances",
                      "InstanceArn>arn! IdentityStoreId>identity_store OwnerAccountId>owner Status>status Name>name",
                      "instances", "NextToken", err)
                : NULL;
}

const struct aws_op sso_list_instances = {
    .name = "sso:ListInstances",
    .service = &sso,
    .action = "ListInstances",
    .permission = "sso:ListInstances",
    .family = "sso",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_instances,
    .parse = parse_instances,
    .pages =
        &(const struct aws_pages){.token_arg = "NextToken", .token_fact = "next", .list = "instances", .pages_max = 50},
};

/* ---- Backup: LastUpdateTime is dropped ---- */
static int build_global_settings(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (build_check(args, "", err))
        return -1;
    build_start(ret, "GET", "/global-settings");
    return build_finish(ret, err);
}

static json_t *parse_global_settings(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    if (!body)
        return NULL;
    json_t *settings = json_object_get(body, "GlobalSettings");
    return json_make("{s:o}", "settings", json_is_object(settings) ? json_deep_copy(settings) : json_object());
}

const struct aws_op backup_describe_global_settings = {
    .name = "backup:DescribeGlobalSettings",
    .service = &backup,
    .action = "DescribeGlobalSettings",
    .permission = "backup:DescribeGlobalSettings",
    .family = "backup",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_global_settings,
    .parse = parse_global_settings,
};

/* ---- Firewall Manager ---- */
static int build_nothing(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "", ret, err);
}

static json_t *parse_admin(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    json_auto_t *facts = json_object();
    if (!body || parse_pick(body, "AdminAccount>admin", facts, err))
        return NULL;
    return TAKE(facts);
}

const struct aws_op fms_get_admin_account = {
    .name = "fms:GetAdminAccount",
    .service = &fms,
    .action = "GetAdminAccount",
    .permission = "fms:GetAdminAccount",
    .family = "fms",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_nothing,
    .parse = parse_admin,
    .absent = "ResourceNotFoundException",
};

/* ---- Resource sharing ---- */
static int build_shares(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (build_check(args, "nextToken", err))
        return -1;
    json_auto_t *wire = json_make("{s:s}", "resourceOwner", "SELF");
    if (json_has(args, "nextToken"))
        json_put_str(wire, "nextToken", json_str_at(args, "nextToken"));
    return build_rest(wire, "/getresourceshares", "resourceOwner! nextToken", ret, err);
}

static json_t *parse_shares(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(body, "resourceShares", "resourceShareArn>arn! name>name status>status", "shares",
                             "nextToken", err)
                : NULL;
}

const struct aws_op ram_get_resource_shares = {
    .name = "ram:GetResourceShares",
    .service = &ram,
    .action = "GetResourceShares",
    .permission = "ram:GetResourceShares",
    .family = "ram",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_shares,
    .parse = parse_shares,
    .pages =
        &(const struct aws_pages){.token_arg = "nextToken", .token_fact = "next", .list = "shares", .pages_max = 100},
};

/* ---- StackSets ---- */
static int build_access(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_query(args, "", ret, err);
}

static json_t *parse_access(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *result = parse_query(reply, "DescribeOrganizationsAccessResult", err);
    json_auto_t *facts = json_object();
    if (!result || parse_pick(result, "Status>status!", facts, err))
        return NULL;
    return TAKE(facts);
}

const struct aws_op cloudformation_describe_organizations_access = {
    .name = "cloudformation:DescribeOrganizationsAccess",
    .service = &cloudformation,
    .action = "DescribeOrganizationsAccess",
    .permission = "cloudformation:DescribeOrganizationsAccess",
    .family = "cloudformation",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_access,
    .parse = parse_access,
};
