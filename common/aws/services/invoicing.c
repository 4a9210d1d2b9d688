/* Invoicing: AWS has no read for payment instruments; the receiver of the invoices is the nearest that it tells. */
#include "common/aws/services/invoicing.h"

#include "common/aws/services/build.h"

static const struct aws_service invoicing = {
    .id = "invoicing",
    .host = "invoicing.us-east-1.api.aws",
    .sign_name = "invoicing",
    .sign_region = "us-east-1",
    .protocol = AWS_JSON_1_0,
    .target = "Invoicing.",
};

static int build_profiles(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "AccountIds!:list", ret, err);
}

static json_t *parse_profiles(const struct aws_reply *reply, struct err *err)
{
    json_t *body = parse_json(reply, err);
    return body ? parse_list(body, "Profiles",
                             "AccountId>account! ReceiverName>receiver ReceiverEmail>email Issuer>issuer "
                             "TaxRegistrationNumber>tax_number",
                             "profiles", NULL, err)
                : NULL;
}

const struct aws_op invoicing_batch_get_invoice_profile = {
    .name = "invoicing:BatchGetInvoiceProfile",
    .service = &invoicing,
    .action = "BatchGetInvoiceProfile",
    .permission = "invoicing:BatchGetInvoiceProfile",
    .family = "invoicing",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_profiles,
    .parse = parse_profiles,
};
