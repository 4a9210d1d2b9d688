/* BCM Data Exports: the customer's existing exports, recorded and left alone. JSON 1.1, only in us-east-1. */
#include "common/aws/services/data_exports.h"

#include "common/aws/services/build.h"

static const struct aws_service data_exports = {
    .id = "bcm_data_exports",
    .host = "bcm-data-exports.us-east-1.api.aws",
    .sign_name = "bcm-data-exports",
    .sign_region = "us-east-1",
    .protocol = AWS_JSON_1_1,
    .target = "AWSBillingAndCostManagementDataExports.",
};

static int build_list(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "NextToken", ret, err);
}

static json_t *parse_exports(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    if (!body)
        return NULL;
    json_t *arns = json_array(), *row = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(body, "Exports"), i, row) {
        if (json_str_at(row, "ExportArn")[0])
            json_array_append(arns, json_object_get(row, "ExportArn"));
    }
    json_auto_t *facts = json_make("{s:o}", "exports", arns);
    if (json_str_at(body, "NextToken")[0])
        json_put_str(facts, "next", json_str_at(body, "NextToken"));
    return TAKE(facts);
}

const struct aws_op data_exports_list_exports = {
    .name = "bcm-data-exports:ListExports",
    .service = &data_exports,
    .action = "ListExports",
    .permission = "bcm-data-exports:ListExports",
    .family = "bcm-data-exports",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_list,
    .parse = parse_exports,
    .pages =
        &(const struct aws_pages){.token_arg = "NextToken", .token_fact = "next", .list = "exports", .pages_max = 50},
};

static int build_get(const json_t *args, struct aws_request *ret, struct err *err)
{
    return build_json(args, "ExportArn!", ret, err);
}

/* ExportStatus is dropped: it changes by itself. */
static json_t *parse_export(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    json_auto_t *facts = json_object();
    if (!body ||
        parse_pick(body,
                   "Export.ExportArn>arn! Export.Name>name Export.Description>description "
                   "Export.DataQuery.QueryStatement>query "
                   "Export.DataQuery.TableConfigurations>tables:any Export.DestinationConfigurations>destination:any "
                   "Export.RefreshCadence.Frequency>refresh",
                   facts, err))
        return NULL;
    return TAKE(facts);
}

const struct aws_op data_exports_get_export = {
    .name = "bcm-data-exports:GetExport",
    .service = &data_exports,
    .action = "GetExport",
    .permission = "bcm-data-exports:GetExport",
    .family = "bcm-data-exports",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_get,
    .parse = parse_export,
    .absent = "ResourceNotFoundException",
};
