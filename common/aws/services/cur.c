/* Cost and usage report operations. */
#include "common/aws/services/cur.h"

#include "common/aws/services/build.h"

const struct aws_service aws_service_cur = {
    .id = "cost_and_usage_report_service",
    .host = "cur.us-east-1.amazonaws.com",
    .sign_name = "cur",
    .sign_region = "us-east-1",
    .protocol = AWS_JSON_1_1,
    .version = "2017-01-06",
    .target = "AWSOrigamiServiceGatewayService.",
};

#define CUR_OP(symbol, verb, permission_, ...)                                                                         \
    const struct aws_op symbol = {.name = "cur:" verb,                                                                 \
                                  .service = &aws_service_cur,                                                         \
                                  .action = verb,                                                                      \
                                  .permission = permission_,                                                           \
                                  .family = "cur",                                                                     \
                                  __VA_ARGS__}

/* AWS accepts no other page size than five. */
static int describe_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    json_auto_t *five = json_make("{s:i}", "MaxResults", 5);
    if (json_has(args, "NextToken"))
        json_put_str(five, "NextToken", json_str_at(args, "NextToken"));
    return build_json(five, "MaxResults!:int NextToken", ret, err);
}

static json_t *describe_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *facts = parse_list(parse_json(reply, err), "ReportDefinitions", "", "reports", "NextToken", err);
    if (!facts)
        return NULL;
    size_t i;
    const json_t *report;
    json_array_foreach (json_at(facts, "reports"), i, report) {
        if (*json_str_at(report, "ReportName"))
            continue;
        (void)err_set(err, ERR_AWS_ANSWER, "a report definition has no name");
        return NULL;
    }
    return json_incref(facts);
}

static const struct aws_pages describe_pages = {"NextToken", "next", "reports", 20};
CUR_OP(cur_describe_report_definitions, "DescribeReportDefinitions", "cur:DescribeReportDefinitions",
       .build = describe_build, .parse = describe_parse, .pages = &describe_pages);

BUILD_JSON(put_build, "ReportDefinition!:object Tags:tags")
/* DuplicateReportNameException refuses the second. */
CUR_OP(cur_put_report_definition, "PutReportDefinition", "cur:PutReportDefinition,cur:TagResource", .mutates = true,
       .settle = SETTLE_LOOK, .refuses_second = true, .build = put_build, .parse = parse_nothing);

BUILD_JSON(modify_build, "ReportName! ReportDefinition!:object")
CUR_OP(cur_modify_report_definition, "ModifyReportDefinition", "cur:ModifyReportDefinition", .mutates = true,
       .settle = SETTLE_RESEND, .build = modify_build, .parse = parse_nothing);

BUILD_JSON(name_build, "ReportName!")
/* Deleting a report that is not there answers like any other deletion. */
CUR_OP(cur_delete_report_definition, "DeleteReportDefinition", "cur:DeleteReportDefinition", .mutates = true,
       .settle = SETTLE_LOOK, .build = name_build, .parse = parse_nothing);

static json_t *tags_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_json(reply, err);
    return r ? json_make("{s:o}", "tags", parse_tags(r, "Tags")) : NULL;
}

CUR_OP(cur_list_tags_for_resource, "ListTagsForResource", "cur:ListTagsForResource",
       .absent = "ResourceNotFoundException", .build = name_build, .parse = tags_parse);
