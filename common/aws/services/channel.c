/* Channel management operations. Two things are left out on purpose: DeleteRelationship, because a relationship is a
 * contract and people end it, and requestedSupportPlan, because it could change the customer's support plan. */
#include "common/aws/services/channel.h"

#include "common/aws/services/build.h"

const struct aws_service aws_service_channel = {
    .id = "partnercentral_channel",
    .host = "partnercentral-channel.global.api.aws",
    .sign_name = "partnercentral-channel",
    .sign_region = "us-east-1",
    .protocol = AWS_JSON_1_0,
    .version = "2024-03-18",
    .target = "PartnerCentralChannel.",
};

#define CHANNEL_OP(symbol, verb, ...)                                                                                  \
    const struct aws_op symbol = {.name = "partnercentral:" verb,                                                      \
                                  .service = &aws_service_channel,                                                     \
                                  .action = verb,                                                                      \
                                  .permission = "partnercentral:" verb,                                                \
                                  .family = "channel",                                                                 \
                                  .who = AWS_AS_PARTNER,                                                               \
                                  __VA_ARGS__}

#define RELATIONSHIP                                                                                                   \
    "id! arn associatedAccountId>account_id programManagementAccountId>pma associationType>type "                      \
    "resaleAccountModel>model sector displayName"

BUILD_JSON(list_pma_build, "catalog! accountIds:list programs:list statuses:list nextToken maxResults:int")

static json_t *list_pma_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_json(reply, err), "items", "id! arn accountId program status", "accounts", "nextToken",
                      err);
}

static const struct aws_pages list_pma_pages = {"nextToken", "next", "accounts", 10};
CHANNEL_OP(channel_list_program_management_accounts, "ListProgramManagementAccounts", .build = list_pma_build,
           .parse = list_pma_parse, .pages = &list_pma_pages);

BUILD_JSON(list_build, "catalog! associatedAccountIds:list associationTypes:list displayNames:list "
                       "programManagementAccountIdentifiers:list nextToken maxResults:int")

static json_t *list_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_json(reply, err), "items", RELATIONSHIP, "relationships", "nextToken", err);
}

static const struct aws_pages list_pages = {"nextToken", "next", "relationships", 10};
CHANNEL_OP(channel_list_relationships, "ListRelationships", .build = list_build, .parse = list_parse,
           .pages = &list_pages);

BUILD_JSON(create_build,
           "catalog! associationType! programManagementAccountIdentifier! associatedAccountId! displayName! "
           "resaleAccountModel sector! clientToken!")

static json_t *create_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_json(reply, err), *facts = json_object();
    if (!r || parse_pick(r, "relationshipDetail.id! relationshipDetail.arn", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

/* The client token makes a repetition the same request. */
CHANNEL_OP(channel_create_relationship, "CreateRelationship", .mutates = true, .settle = SETTLE_RESEND,
           .refuses_second = true, .build = create_build, .parse = create_parse);

#define ONE "catalog! programManagementAccountIdentifier! identifier!"
BUILD_JSON(get_build, ONE)

static json_t *get_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_json(reply, err), *facts = json_object();
    if (!r || parse_pick(json_at(r, "relationshipDetail"), RELATIONSHIP, facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

CHANNEL_OP(channel_get_relationship, "GetRelationship", .absent = "ResourceNotFoundException", .build = get_build,
           .parse = get_parse);
