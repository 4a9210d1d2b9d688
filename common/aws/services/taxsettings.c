/* Tax settings operations. PutTaxInheritance and BatchPutTaxRegistration are left out on purpose: they reach into
 * member accounts. */
#include "common/aws/services/taxsettings.h"

#include "common/aws/services/build.h"

const struct aws_service aws_service_taxsettings = {
    .id = "taxsettings",
    .host = "tax.us-east-1.amazonaws.com",
    .sign_name = "tax",
    .sign_region = "us-east-1",
    .protocol = AWS_REST_JSON,
    .version = "2018-05-10",
};

#define TAX_OP(symbol, verb, permission_, ...)                                                                         \
    const struct aws_op symbol = {.name = "tax:" verb,                                                                 \
                                  .service = &aws_service_taxsettings,                                                 \
                                  .action = verb,                                                                      \
                                  .permission = permission_,                                                           \
                                  .family = "tax",                                                                     \
                                  __VA_ARGS__}

BUILD_REST(get_build, "/GetTaxRegistration", "accountId")

static json_t *get_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_json(reply, err);
    if (!r)
        return NULL;
    json_t *registration = json_object_get(r, "taxRegistration");
    return json_is_object(registration) ? json_make("{s:O}", "registration", registration) : json_null();
}

TAX_OP(tax_get_tax_registration, "GetTaxRegistration", "tax:GetTaxRegistration", .absent = "ResourceNotFoundException",
       .build = get_build, .parse = get_parse);

BUILD_REST(list_build, "/ListTaxRegistrations", "maxResults:int nextToken")

static json_t *list_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_json(reply, err), "accountDetails", "", "accounts", "nextToken", err);
}

static const struct aws_pages list_pages = {"nextToken", "next", "accounts", 400};
TAX_OP(tax_list_tax_registrations, "ListTaxRegistrations", "tax:ListTaxRegistrations",
       .absent = "ResourceNotFoundException", .build = list_build, .parse = list_parse, .pages = &list_pages);

BUILD_REST(inheritance_build, "/GetTaxInheritance", "")

static json_t *inheritance_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_json(reply, err), *facts = json_object();
    if (!r || parse_pick(r, "heritageStatus>status", facts, err) < 0)
        return NULL;
    if (!json_has(facts, "status"))
        json_put_str(facts, "status", "OptOut"); /* AWS leaves it out where nobody ever chose */
    return json_incref(facts);
}

TAX_OP(tax_get_tax_inheritance, "GetTaxInheritance", "tax:GetTaxInheritance", .absent = "ResourceNotFoundException",
       .build = inheritance_build, .parse = inheritance_parse);

BUILD_REST(put_build, "/PutTaxRegistration", "accountId taxRegistrationEntry!:object")

static json_t *put_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_json(reply, err), *facts = json_object();
    if (!r || parse_pick(r, "status", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

/* A second put while the first is pending is a ConflictException. */
TAX_OP(tax_put_tax_registration, "PutTaxRegistration", "tax:PutTaxRegistration", .mutates = true, .settle = SETTLE_LOOK,
       .build = put_build, .parse = put_parse);

BUILD_REST(delete_build, "/DeleteTaxRegistration", "accountId")
TAX_OP(tax_delete_tax_registration, "DeleteTaxRegistration", "tax:DeleteTaxRegistration", .mutates = true,
       .settle = SETTLE_LOOK, .absent = "ResourceNotFoundException", .build = delete_build, .parse = parse_nothing);
