/* Contact data of the management account: read for the fingerprint. rest-json, only in us-east-1. The root email of a
 * management account cannot be changed or read here; Organizations tells it. */
#include "common/aws/services/account.h"

#include "common/aws/services/build.h"

static const struct aws_service account = {
    .id = "account",
    .host = "account.us-east-1.amazonaws.com",
    .sign_name = "account",
    .sign_region = "us-east-1",
    .protocol = AWS_REST_JSON,
};

static int build_contact(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_rest(args, "/getContactInformation", "", ret, err);
}

static json_t *parse_contact(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    const json_t *contact = json_at(body, "ContactInformation");
    if (!body)
        return NULL;
    json_auto_t *kept = json_object();
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)contact, name, value) {
        if (json_is_string(value) && json_string_length(value) > 0)
            json_object_set(kept, name, value);
    }
    return json_make("{s:O}", "contact", kept);
}

const struct aws_op account_get_contact_information = {
    .name = "account:GetContactInformation",
    .service = &account,
    .action = "GetContactInformation",
    .permission = "account:GetContactInformation",
    .family = "account.GetContactInformation",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_contact,
    .parse = parse_contact,
    .absent = "ResourceNotFoundException",
};

static int build_alternate(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_rest(args, "/getAlternateContact", "AlternateContactType!", ret, err);
}

static json_t *parse_alternate(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    json_auto_t *facts = json_object();
    if (!body ||
        parse_pick(body,
                   "AlternateContact.Name>name AlternateContact.Title>title AlternateContact.EmailAddress>email "
                   "AlternateContact.PhoneNumber>phone",
                   facts, err))
        return NULL;
    return TAKE(facts);
}

const struct aws_op account_get_alternate_contact = {
    .name = "account:GetAlternateContact",
    .service = &account,
    .action = "GetAlternateContact",
    .permission = "account:GetAlternateContact",
    .family = "account.GetAlternateContact",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_alternate,
    .parse = parse_alternate,
    .absent = "ResourceNotFoundException",
};
