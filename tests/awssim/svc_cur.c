/* Cost and Usage Reports: pages of exactly five, five reports per account, a closed list of regions, the bucket policy
 * looked at when a report is put, and a first delivery some time later.
 *
 * State "cur": {"reports": {"<ReportName>": {ReportDefinition as put.., "made_ms": n, "delivered"?: bool,
 *   "tags"?: [{"Key","Value"}]}},
 *   "seen"?: {"<bucket>": {"policy", "since_ms"}}} (since when AWS knows that policy text). */
#include "svc.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define REPORTS_MAX 5

static const char cur_regions[] =
    "af-south-1,ap-east-1,ap-south-1,ap-south-2,ap-southeast-1,ap-southeast-2,ap-southeast-3,ap-northeast-1,"
    "ap-northeast-2,ap-northeast-3,ca-central-1,eu-central-1,eu-central-2,eu-west-1,eu-west-2,eu-west-3,eu-north-1,"
    "eu-south-1,eu-south-2,me-central-1,me-south-1,sa-east-1,us-east-1,us-east-2,us-west-1,us-west-2,cn-north-1,"
    "cn-northwest-1";

static json_t *cur_reports(struct sim_world *w)
{
    json_t *cur = sim_section(w, "cur");
    json_t *reports = json_object_get(cur, "reports");
    if (reports == NULL) {
        reports = json_object();
        json_object_set_new(cur, "reports", reports);
    }
    return reports;
}

/* ---- May AWS write into that bucket?
 * ---------------------------------------------------------------------------------- */

static bool cur_lists(const json_t *value, const char *wanted)
{
    if (json_is_string(value))
        return svc_is(json_string_value(value), wanted);
    size_t i;
    const json_t *one;
    json_array_foreach (value, i, one)
        if (json_is_string(one) && svc_is(json_string_value(one), wanted))
            return true;
    return false;
}

static bool cur_allows(const json_t *statement, const char *action, const char *resource)
{
    const json_t *actions = json_object_get(statement, "Action");
    bool names_action = cur_lists(actions, action) || cur_lists(actions, "s3:*") || cur_lists(actions, "*");
    const json_t *resources = json_object_get(statement, "Resource");
    return names_action && (cur_lists(resources, resource) || cur_lists(resources, "*"));
}

static bool cur_principal(const json_t *statement)
{
    const json_t *principal = json_object_get(statement, "Principal");
    return cur_lists(principal, "*") ||
           cur_lists(json_object_get(principal, "Service"), "billingreports.amazonaws.com");
}

/* A condition on another account would stop the delivery; one that is missing does not. */
static bool cur_condition(const json_t *statement, const char *account)
{
    const char *op;
    json_t *block;
    json_object_foreach (json_object_get(statement, "Condition"), op, block) {
        const json_t *source = json_object_get(block, "aws:SourceAccount");
        if (source != NULL && !cur_lists(source, account))
            return false;
    }
    return true;
}

static bool cur_bucket_allows(const char *policy_text, const char *bucket, const char *account)
{
    json_t *policy = policy_text ? json_loads(policy_text, 0, NULL) : NULL;
    char all[200], itself[200];
    (void)snprintf(itself, sizeof itself, "arn:aws:s3:::%s", bucket);
    (void)snprintf(all, sizeof all, "arn:aws:s3:::%s/*", bucket);
    bool may_put = false, may_look = false;
    size_t i;
    const json_t *statement;
    json_array_foreach (json_object_get(policy, "Statement"), i, statement) {
        if (!cur_principal(statement) || !cur_condition(statement, account))
            continue;
        bool allow = svc_is(svc_text(statement, "Effect"), "Allow");
        if (cur_allows(statement, "s3:PutObject", all)) {
            if (!allow) {
                may_put = false;
                break;
            }
            may_put = true;
        }
        if (allow && cur_allows(statement, "s3:GetBucketPolicy", itself))
            may_look = true;
    }
    json_decref(policy);
    return may_put && may_look;
}

static json_t *cur_bucket(struct sim_world *w, const char *name)
{
    return json_object_get(json_object_get(json_object_get(w->state, "s3"), "buckets"), name);
}

/* ---- Delivery
 * --------------------------------------------------------------------------------------------------------- */

static void cur_deliver(const char *name, json_t *report, json_t *bucket)
{
    char key[400], when[32], stamp[32];
    uint64_t now = sim_now_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    sim_rfc3339(now, when);
    (void)snprintf(key, sizeof key, "%s/%s/%04d%02d01-%04d%02d01/%s-00001.csv.gz", svc_text(report, "S3Prefix"), name,
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_year + 1900 + (tm.tm_mon == 11), (tm.tm_mon + 1) % 12 + 1,
                   name);
    json_t *objects = json_object_get(bucket, "objects");
    if (objects == NULL) {
        objects = json_object();
        // NOLINTNEXTLINE(readability-suspicious-call-argument): the bucket holds them
        json_object_set_new(bucket, "objects", objects);
    }
    json_object_set_new(
        objects, key,
        json_pack("{s:i, s:s, s:s}", "size", 48213, "etag", "9b2cf535f27731c974343645a3985328", "LastModified", when));
    json_object_set_new(report, "ReportStatus",
                        json_pack("{s:s, s:s}", "lastDelivery", stamp, "lastStatus", "SUCCESS"));
    json_object_set_new(report, "delivered", json_true());
}

/* What AWS does by itself, done when somebody looks: state changes in one thread and in a fixed order that way. */
static void cur_settle(struct sim_world *w)
{
    const char *name;
    json_t *report;
    json_object_foreach (cur_reports(w), name, report) {
        if (json_is_true(json_object_get(report, "delivered")) || json_object_get(report, "made_ms") == NULL)
            continue;
        if (sim_now_ms() < svc_number(report, "made_ms") + svc_timing(w, "delivery_ms", 1500))
            continue;
        json_t *bucket = cur_bucket(w, svc_text(report, "S3Bucket"));
        if (bucket == NULL)
            json_object_set_new(report, "ReportStatus", json_pack("{s:s}", "lastStatus", "ERROR_NO_BUCKET"));
        else if (!cur_bucket_allows(json_string_value(json_object_get(bucket, "policy")), svc_text(report, "S3Bucket"),
                                    w->account))
            json_object_set_new(report, "ReportStatus", json_pack("{s:s}", "lastStatus", "ERROR_PERMISSIONS"));
        else
            cur_deliver(name, report, bucket);
    }
}

void sim_cur_settle(struct sim_world *w)
{
    if (json_object_get(w->state, "cur") != NULL)
        cur_settle(w);
}

/* ---- Operations
 * -------------------------------------------------------------------------------------------------------- */

static json_t *cur_shown(const json_t *report)
{
    json_t *shown = json_deep_copy(report);
    json_object_del(shown, "made_ms");
    json_object_del(shown, "tags");
    json_object_del(shown, "delivered");
    return shown;
}

static void cur_describe(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const json_t *max = json_object_get(rq->params, "MaxResults");
    if (max != NULL && json_integer_value(max) != REPORTS_MAX && sim_trap("cur_max_results_5")) {
        sim_error(rq, 400, "ValidationException", "MaxResults must be 5.");
        return;
    }
    size_t start;
    if (!svc_page(rq, "NextToken", "ValidationException", &start))
        return;
    cur_settle(rq->world);
    json_t *list = json_array(), *reports = cur_reports(rq->world);
    size_t at = 0;
    const char *name;
    json_t *report;
    json_object_foreach (reports, name, report) {
        if (at >= start && at < start + REPORTS_MAX)
            json_array_append_new(list, cur_shown(report));
        at++;
    }
    json_t *answer = json_pack("{s:o}", "ReportDefinitions", list);
    if (at > start + REPORTS_MAX)
        json_object_set_new(answer, "NextToken", svc_page_token(start + REPORTS_MAX));
    sim_ok_json(rq, answer);
}

/* Why the definition is refused, or NULL. */
static const char *cur_fault(const json_t *d)
{
    bool parquet = svc_is(svc_text(d, "Format"), "Parquet");
    if (!svc_matches(svc_text(d, "ReportName"), "!-_.*'()", 1, 256))
        return "The report name is not valid.";
    if (!svc_one_of(svc_text(d, "TimeUnit"), "HOURLY,DAILY,MONTHLY"))
        return "TimeUnit must be HOURLY, DAILY or MONTHLY.";
    if (!svc_one_of(svc_text(d, "Format"), "textORcsv,Parquet"))
        return "Format must be textORcsv or Parquet.";
    if (!svc_one_of(svc_text(d, "Compression"), "ZIP,GZIP,Parquet"))
        return "Compression must be ZIP, GZIP or Parquet.";
    if (parquet != svc_is(svc_text(d, "Compression"), "Parquet"))
        return "Parquet format and compression must be set together.";
    if (!json_is_array(json_object_get(d, "AdditionalSchemaElements")))
        return "AdditionalSchemaElements is required.";
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(d, "AdditionalSchemaElements"), i, one) {
        const char *element = json_string_value(one);
        if (!element || !svc_one_of(element, "RESOURCES,SPLIT_COST_ALLOCATION_DATA,MANUAL_DISCOUNT_COMPATIBILITY"))
            return "AdditionalSchemaElements has an unknown element.";
    }
    if (!svc_matches(svc_text(d, "S3Bucket"), "_.-", 1, 256))
        return "S3Bucket is not valid.";
    if (json_object_get(d, "S3Prefix") == NULL || !svc_matches(svc_text(d, "S3Prefix"), "!-_.*'()/", 0, 256))
        return "S3Prefix is not valid.";
    if (!svc_one_of(svc_text(d, "S3Region"), cur_regions))
        return "S3Region is not supported.";
    const char *versioning = svc_text(d, "ReportVersioning");
    if (versioning[0] != '\0' && !svc_one_of(versioning, "CREATE_NEW_REPORT,OVERWRITE_REPORT"))
        return "ReportVersioning is not valid.";
    return NULL;
}

/* Report names that differ in case are two reports (unless that trap is off). */
static const json_t *cur_named(const json_t *reports, const char *name)
{
    const char *key;
    json_t *report;
    if (sim_trap("cur_duplicate_case_sensitive"))
        return json_object_get(reports, name);
    json_object_foreach ((json_t *)(uintptr_t)reports, key, report)
        if (strcasecmp(key, name) == 0)
            return report;
    return NULL;
}

/* In worlds where AWS is slow, a policy put a moment ago is not seen yet: the first look starts the wait. */
static bool cur_sees_policy(struct sim_world *w, const char *bucket, const char *policy)
{
    uint64_t wait = svc_timing(w, "bucket_policy_ms", 0);
    if (wait == 0 || !sim_trap("cur_bucket_policy_not_seen_at_first"))
        return true;
    json_t *seen = json_object_get(sim_section(w, "cur"), "seen");
    if (seen == NULL) {
        seen = json_object();
        json_object_set_new(sim_section(w, "cur"), "seen", seen);
    }
    json_t *one = json_object_get(seen, bucket);
    if (!svc_is(svc_text(one, "policy"), policy)) {
        one = json_pack("{s:s, s:I}", "policy", policy, "since_ms", (json_int_t)sim_now_ms());
        json_object_set_new(seen, bucket, one);
    }
    return sim_now_ms() >= svc_number(one, "since_ms") + wait;
}

static bool cur_accepts(struct sim_request *rq, const json_t *d)
{
    const char *fault = cur_fault(d);
    if (fault) {
        sim_error(rq, 400, "ValidationException", "%s", fault);
        return false;
    }
    const char *name = svc_text(d, "S3Bucket");
    json_t *bucket = cur_bucket(rq->world, name);
    /* The same text for a bucket that is missing, elsewhere or closed to us: AWS says no more either. */
    bool allowed = bucket != NULL && svc_is(svc_text(bucket, "region"), svc_text(d, "S3Region")) &&
                   cur_bucket_allows(json_string_value(json_object_get(bucket, "policy")), name, rq->world->account) &&
                   cur_sees_policy(rq->world, name, svc_text(bucket, "policy"));
    if (!allowed)
        sim_error(rq, 400, "ValidationException",
                  "Failed to verify customer bucket permission. accountId= %s, bucket name: %s, bucket region: %s",
                  rq->world->account, name, svc_text(d, "S3Region"));
    return allowed;
}

static void cur_put(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const json_t *d = json_object_get(rq->params, "ReportDefinition");
    const char *name = svc_text(d, "ReportName");
    json_t *reports = cur_reports(rq->world);
    const char *fault = cur_fault(d);
    if (fault) {
        sim_error(rq, 400, "ValidationException", "%s", fault);
        return;
    }
    if (cur_named(reports, name) != NULL) {
        sim_error(rq, 400, "DuplicateReportNameException", "A report with the name %s already exists.", name);
        return;
    }
    if (json_object_size(reports) >= REPORTS_MAX) {
        sim_error(rq, 400, "ReportLimitReachedException", "This account already has five reports defined.");
        return;
    }
    if (!cur_accepts(rq, d))
        return;
    json_t *report = json_deep_copy(d);
    json_object_del(report, "ReportStatus");
    json_object_set_new(report, "made_ms", json_integer((json_int_t)sim_now_ms()));
    if (json_is_array(json_object_get(rq->params, "Tags")))
        json_object_set_new(report, "tags", json_deep_copy(json_object_get(rq->params, "Tags")));
    struct sim_before before = sim_before(NULL);
    json_object_set_new(reports, name, report);
    char resource[300];
    (void)snprintf(resource, sizeof resource, "cur.reports.%s", name);
    sim_effect(rq, resource, before, report);
    sim_ok_json(rq, json_object());
}

static void cur_modify(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const json_t *d = json_object_get(rq->params, "ReportDefinition");
    const char *name = sim_param(rq, "ReportName");
    json_t *old = json_object_get(cur_reports(rq->world), name);
    if (old == NULL || !svc_is(name, svc_text(d, "ReportName"))) {
        sim_error(rq, 400, "ValidationException", "No report %s, or its name would change.", name);
        return;
    }
    if (!cur_accepts(rq, d))
        return;
    struct sim_before before = sim_before(old);
    json_t *report = json_deep_copy(d);
    json_object_del(report, "ReportStatus");
    json_object_set(report, "made_ms", json_object_get(old, "made_ms"));
    if (json_object_get(old, "tags") != NULL)
        json_object_set(report, "tags", json_object_get(old, "tags"));
    if (json_object_get(old, "ReportStatus") != NULL)
        json_object_set(report, "ReportStatus", json_object_get(old, "ReportStatus"));
    if (json_is_true(json_object_get(old, "delivered")))
        json_object_set_new(report, "delivered", json_true());
    json_object_set_new(cur_reports(rq->world), name, report);
    char resource[300];
    (void)snprintf(resource, sizeof resource, "cur.reports.%s", name);
    sim_effect(rq, resource, before, report);
    sim_ok_json(rq, json_object());
}

static void cur_delete(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const char *name = sim_param(rq, "ReportName");
    json_t *reports = cur_reports(rq->world);
    const json_t *report = json_object_get(reports, name);
    if (report == NULL) {
        sim_error(rq, 400, "ValidationException", "No report %s.", name);
        return;
    }
    struct sim_before before = sim_before(report);
    char resource[300];
    (void)snprintf(resource, sizeof resource, "cur.reports.%s", name);
    json_object_del(reports, name);
    sim_effect(rq, resource, before, NULL);
    sim_ok_json(rq, json_pack("{s:s}", "ResponseMessage", "Deleted."));
}

static void cur_tags(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const json_t *report = json_object_get(cur_reports(rq->world), sim_param(rq, "ReportName"));
    json_t *tags = json_object_get(report, "tags");
    if (report == NULL)
        sim_error(rq, 400, "ResourceNotFoundException", "No report %s.", sim_param(rq, "ReportName"));
    else
        sim_ok_json(rq, json_pack("{s:o}", "Tags", tags ? json_deep_copy(tags) : json_array()));
}

static void cur_tag(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    json_t *report = json_object_get(cur_reports(rq->world), sim_param(rq, "ReportName"));
    if (report == NULL) {
        sim_error(rq, 400, "ResourceNotFoundException", "No report %s.", sim_param(rq, "ReportName"));
        return;
    }
    struct sim_before before = sim_before(report);
    json_t *tags = json_object_get(report, "tags"), *added;
    size_t i;
    if (tags == NULL) {
        tags = json_array();
        json_object_set_new(report, "tags", tags);
    }
    json_array_foreach (json_object_get(rq->params, "Tags"), i, added) {
        for (size_t k = json_array_size(tags); k-- > 0;)
            if (svc_is(svc_text(json_array_get(tags, k), "Key"), svc_text(added, "Key")))
                json_array_remove(tags, k);
        json_array_append_new(tags, json_deep_copy(added));
    }
    char resource[300];
    (void)snprintf(resource, sizeof resource, "cur.reports.%s", sim_param(rq, "ReportName"));
    sim_effect(rq, resource, before, report);
    sim_ok_json(rq, json_object());
}

const struct sim_op sim_ops_cur[] = {
    {"cur", "DescribeReportDefinitions", false, cur_describe},
    {"cur", "PutReportDefinition", true, cur_put},
    {"cur", "ModifyReportDefinition", true, cur_modify},
    {"cur", "DeleteReportDefinition", true, cur_delete},
    {"cur", "ListTagsForResource", false, cur_tags},
    {"cur", "TagResource", true, cur_tag},
    {0},
};
