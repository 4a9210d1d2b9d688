/* STS operations. */
#include "common/aws/services/sts.h"

#include "common/aws/services/build.h"

const struct aws_service aws_service_sts = {
    .id = "sts",
    .host = "sts.{region}.amazonaws.com",
    .sign_name = "sts",
    .sign_region = NULL,
    .protocol = AWS_QUERY,
    .version = "2011-06-15",
};

BUILD_QUERY(get_caller_identity_build, "")

static json_t *get_caller_identity_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "GetCallerIdentityResult", err), *facts = json_object();
    if (!r || parse_pick(r, "Account! Arn! UserId", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

const struct aws_op sts_get_caller_identity = {
    .name = "sts:GetCallerIdentity",
    .service = &aws_service_sts,
    .action = "GetCallerIdentity",
    .permission = "", /* needs none */
    .family = "sts",
    .build = get_caller_identity_build,
    .parse = get_caller_identity_parse,
};

const struct aws_op sts_get_caller_identity_trusted = {
    .name = "sts:GetCallerIdentity/trusted",
    .service = &aws_service_sts,
    .action = "GetCallerIdentity",
    .permission = "",
    .family = "sts",
    .who = AWS_AS_TRUSTED,
    .build = get_caller_identity_build,
    .parse = get_caller_identity_parse,
};

const struct aws_op sts_get_caller_identity_retired = {
    .name = "sts:GetCallerIdentity/retired",
    .service = &aws_service_sts,
    .action = "GetCallerIdentity",
    .permission = "",
    .family = "sts",
    .absent = "InvalidClientTokenId",
    .build = get_caller_identity_build,
    .parse = get_caller_identity_parse,
};

BUILD_QUERY(assume_role_build, "RoleArn! RoleSessionName! ExternalId DurationSeconds:int Policy:doc SourceIdentity")

/* The account of arn:aws:sts::111122223333:assumed-role/Name/session. */
static void put_account(json_t *facts)
{
    const char *at = json_str_at(facts, "arn");
    for (int i = 0; i < 4 && at; i++) {
        at = strchr(at, ':');
        at = at ? at + 1 : NULL;
    }
    if (!at || strcspn(at, ":") != 12)
        return;
    char account[13];
    memcpy(account, at, 12);
    account[12] = 0;
    json_put_str(facts, "account", account);
}

static json_t *assume_role_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "AssumeRoleResult", err), *facts = json_object();
    if (!r || parse_pick(r,
                         "Credentials.AccessKeyId! Credentials.SecretAccessKey! Credentials.SessionToken! "
                         "Credentials.Expiration>expires_ms!:when AssumedRoleUser.Arn!",
                         facts, err) < 0)
        return NULL;
    put_account(facts);
    return json_incref(facts);
}

const struct aws_op sts_assume_role = {
    .name = "sts:AssumeRole",
    .service = &aws_service_sts,
    .action = "AssumeRole",
    .permission = "sts:AssumeRole",
    .family = "sts",
    .who = AWS_AS_OPERATOR,
    .build = assume_role_build,
    .parse = assume_role_parse,
};

static json_t *assume_role_probe_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_query(reply, "AssumeRoleResult", err), *facts = json_object();
    if (!r || parse_pick(r, "AssumedRoleUser.Arn!", facts, err) < 0)
        return NULL;
    put_account(facts);
    return json_incref(facts);
}

const struct aws_op sts_assume_role_probe = {
    .name = "sts:AssumeRole/probe",
    .service = &aws_service_sts,
    .action = "AssumeRole",
    .permission = "", /* the trusted account's own right, not the customer's */
    .family = "sts",
    .who = AWS_AS_TRUSTED,
    .absent = "AccessDenied",
    .build = assume_role_build,
    .parse = assume_role_probe_parse,
};
