/* CloudTrail LookupEvents: one attribute only (ReadOnly = false), the last 90 days, two calls a second per account and
 * region, works without any trail. The event itself is JSON inside a text. */
#include "common/aws/services/cloudtrail.h"

#include "common/aws/services/build.h"
#include "common/base/mem.h"
#include "common/codec/when.h"
#include "common/crypto/crypto.h"

#define EVENT_PART_BYTES_MAX                                                                                           \
    8192U /* request or response elements larger than this are not kept: the hash still binds them */

static const struct aws_service cloudtrail = {
    .id = "cloudtrail",
    .host = "cloudtrail.{region}.amazonaws.com",
    .sign_name = "cloudtrail",
    .protocol = AWS_JSON_1_1,
    .target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.",
};

static int build_lookup(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (build_check(args, "start_ms!:int end_ms:int NextToken", err))
        return -1;
    json_auto_t *wire =
        json_make("{s:[{s:s,s:s}],s:I,s:i}", "LookupAttributes", "AttributeKey", "ReadOnly", "AttributeValue", "false",
                  "StartTime", (json_int_t)(json_int_at(args, "start_ms") / 1000), "MaxResults", 50);
    if (json_has(args, "end_ms"))
        json_put_int(wire, "EndTime", (json_int_at(args, "end_ms") + 999) / 1000);
    if (json_has(args, "NextToken"))
        json_put_str(wire, "NextToken", json_str_at(args, "NextToken"));
    return build_json(wire, "LookupAttributes:object StartTime:int EndTime:int MaxResults:int NextToken", ret, err);
}

/* requestParameters or responseElements without what nobody may keep. New reference. */
static json_t *event_part(const json_t *event, const char *name)
{
    const json_t *part = json_object_get(event, name);
    if (!json_is_object(part))
        return json_null();
    json_t *kept = json_deep_copy(part);
    json_object_del(kept, "credentials");
    AUTO_FREE char *text = json_text(kept);
    if (strlen(text) <= EVENT_PART_BYTES_MAX)
        return kept;
    json_decref(kept);
    return json_make("{s:b}", "too_large", 1);
}

/* One event as facts. New reference; NULL when it is unreadable: such an event proves nothing and stops nothing. */
static json_t *read_event(const json_t *row)
{
    const char *text = json_str_at(row, "CloudTrailEvent");
    struct err ignored;
    json_auto_t *event = json_read(text, strlen(text), 0, &ignored);
    uint64_t at_ms = 0;
    if (!json_is_object(event) || !when_parse(json_str_at(event, "eventTime"), &at_ms) ||
        !json_str_at(event, "eventID")[0])
        return NULL;
    char hash[65];
    crypto_sha256_hex(text, strlen(text), hash);
    const char *user = json_str_or(event, "userIdentity.arn", json_str_at(row, "Username"));
    json_t *facts = json_make(
        "{s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:o,s:o,s:s}", "id", json_str_at(event, "eventID"), "name",
        json_str_at(event, "eventName"), "source", json_str_at(event, "eventSource"), "at_ms", (json_int_t)at_ms,
        "user_type", json_str_at(event, "userIdentity.type"), "user", user, "ip", json_str_at(event, "sourceIPAddress"),
        "access_key_id", json_str_at(event, "userIdentity.accessKeyId"), "request",
        event_part(event, "requestParameters"), "response", event_part(event, "responseElements"), "hash", hash);
    static const char *const who[][2] = {{"agent", "userAgent"},
                                         {"source_identity", "userIdentity.sessionContext.sourceIdentity"},
                                         {"request_id", "requestID"},
                                         {"error", "errorCode"}};
    for (size_t i = 0; i < ARRAY_LEN(who); i++)
        if (*json_str_at(event, who[i][1]))
            json_put_str(facts, who[i][0], json_str_at(event, who[i][1]));
    return facts;
}

static json_t *parse_lookup(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err);
    if (!body)
        return NULL;
    json_t *events = json_array(), *row = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(body, "Events"), i, row) {
        json_t *event = read_event(row);
        if (event)
            json_array_append_new(events, event);
    }
    json_auto_t *facts = json_make("{s:o}", "events", events);
    if (json_str_at(body, "NextToken")[0])
        json_put_str(facts, "next", json_str_at(body, "NextToken"));
    return TAKE(facts);
}

const struct aws_op cloudtrail_lookup_events = {
    .name = "cloudtrail:LookupEvents",
    .service = &cloudtrail,
    .action = "LookupEvents",
    .permission = "cloudtrail:LookupEvents",
    .family = "cloudtrail.LookupEvents",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_lookup,
    .parse = parse_lookup,
    .pages =
        &(const struct aws_pages){.token_arg = "NextToken", .token_fact = "next", .list = "events", .pages_max = 400},
};

/* ---- Trails: what is recorded, and whether it is just now ---- */
BUILD_JSON(build_trails, "trailNameList:list includeShadowTrails:bool")

static json_t *parse_trails(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_json(reply, err), "trailList",
                      "TrailARN>arn! Name>name HomeRegion>home S3BucketName>bucket S3KeyPrefix>prefix "
                      "SnsTopicARN>topic KmsKeyId>key CloudWatchLogsLogGroupArn>log_group "
                      "CloudWatchLogsRoleArn>log_role IsMultiRegionTrail>multi_region:bool "
                      "IncludeGlobalServiceEvents>global_events:bool IsOrganizationTrail>organization:bool "
                      "LogFileValidationEnabled>validation:bool HasInsightSelectors>insights:bool "
                      "HasCustomEventSelectors>selectors:bool",
                      "trails", NULL, err);
}

const struct aws_op cloudtrail_describe_trails = {
    .name = "cloudtrail:DescribeTrails",
    .service = &cloudtrail,
    .action = "DescribeTrails",
    .permission = "cloudtrail:DescribeTrails",
    .family = "cloudtrail.read",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_trails,
    .parse = parse_trails,
};

BUILD_JSON(build_status, "Name!")

/* Only whether it records: the times and errors of deliveries change by themselves. */
static json_t *parse_status(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *body = parse_json(reply, err), *facts = json_object();
    if (!body || parse_pick(body, "IsLogging>logging:bool", facts, err))
        return NULL;
    return TAKE(facts);
}

const struct aws_op cloudtrail_get_trail_status = {
    .name = "cloudtrail:GetTrailStatus",
    .service = &cloudtrail,
    .action = "GetTrailStatus",
    .permission = "cloudtrail:GetTrailStatus",
    .family = "cloudtrail.read",
    .who = AWS_AS_CUSTOMER,
    .settle = SETTLE_NONE,
    .build = build_status,
    .parse = parse_status,
    .absent = "TrailNotFoundException",
};
