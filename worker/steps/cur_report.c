/* Process item 3.6: the cost and usage report.   Undo: the definition goes if we made it; delivered objects stay.
 *
 * The first delivery can take a day, so it is looked at and never waited for. AWS checks the bucket's policy when a
 * report is put and may not know a policy that is seconds old: that refusal means "not yet". */
#include "common/aws/services/cur.h"
#include "common/proof/bracket.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/ownership.h"
#include "worker/steps/report_bucket.h"
#include "worker/steps/report_definition.h"

#define SEE_EVERY_MS 2000
#define SEE_DEADLINE_MS 60000

static const json_t *wanted_definition(const struct step *s)
{
    return json_at(step_import(s), "vars.report_definition");
}

static enum step_result make(struct step *s, const json_t *found)
{
    const json_t *answer = NULL;
    if (json_array_size(json_at(found, "reports")) >= REPORTS_MAX)
        return step_fail(s, ERR_CUR_QUOTA, "five cost reports exist already");
    TRY(step_try(s, "put", &cur_put_report_definition,
                 json_make("{s:O,s:o}", "ReportDefinition", wanted_definition(s), "Tags", ownership_tags(s)),
                 "ValidationException", &answer));
    if (json_has(answer, "error"))
        return step_fail(s, ERR_NOT_YET, "AWS does not take the report yet, it must see the bucket's policy first: %s",
                         json_str_at(answer, "message"));
    return STEP_DONE;
}

static enum step_result mend(struct step *s, const json_t *report)
{
    const json_t *tags = NULL, *answer = NULL;
    const char *name = json_str_at(report, "ReportName");
    TRY(step_call(s, "tags", &cur_list_tags_for_resource, json_make("{s:s}", "ReportName", name), &tags));
    if (!ownership_is_ours(s, json_at(tags, "tags")))
        return step_fail(s, ERR_CUR_NAME_TAKEN, "report %s exists with another definition and is not ours", name);
    char digest[65];
    json_auto_t *shape = shape_report(report);
    json_digest(shape, digest);
    step_warn(s, "our report %s had been changed; it is as agreed again", name);
    TRY(step_try(s, step_text(s, "modify/%.8s", digest), &cur_modify_report_definition,
                 json_make("{s:s,s:O}", "ReportName", name, "ReportDefinition", wanted_definition(s)),
                 "ValidationException", &answer));
    if (json_has(answer, "error"))
        return step_fail(s, ERR_NOT_YET, "AWS does not take the change yet: %s", json_str_at(answer, "message"));
    return STEP_DONE;
}

static bool is_seen(const json_t *facts, const json_t *wanted)
{
    const json_t *report = report_by_name(facts, json_str_at(wanted, "ReportName"));
    return report && report_is_as(report, wanted);
}

static enum step_result look_for_delivery(struct step *s, const json_t *report)
{
    const char *status = json_str_at(report, "ReportStatus.lastStatus");
    const json_t *objects = NULL;
    if (*status && !str_eq(status, "SUCCESS"))
        return step_fail(s, ERR_CUR_DELIVERY, "AWS cannot deliver the report: %s", status);
    step_set_str(s, "delivery", "not observed");
    if (*status) {
        step_set_str(s, "delivery", "observed");
        step_set_str(s, "last_delivery", json_str_at(report, "ReportStatus.lastDelivery"));
        return STEP_DONE;
    }
    json_t *args = report_bucket_args(s);
    json_put_str(args, "Prefix", step_text(s, "%s/%s/", step_var(s, "report_prefix"), step_var(s, "report")));
    TRY(step_call_in(s, "objects", &s3_list_objects, args, step_var(s, "region"), "AccessDenied", &objects));
    if (json_int_at(objects, "count") > 0)
        step_set_str(s, "delivery", "observed");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    const json_t *found = NULL, *seen = NULL, *wanted = wanted_definition(s);
    const char *name = json_str_at(wanted, "ReportName");
    if (!report_region_is_open(json_str_at(wanted, "S3Region")))
        return step_fail(s, ERR_CUR_REGION, "AWS delivers no reports to %s", json_str_at(wanted, "S3Region"));
    TRY(step_call(s, "look", &cur_describe_report_definitions, NULL, &found));
    const json_t *report = report_by_name(found, name);
    if (!report)
        TRY(make(s, found));
    else if (!report_is_as(report, wanted))
        TRY(mend(s, report));
    TRY(step_poll(s, "see", &cur_describe_report_definitions, NULL, is_seen, wanted, SEE_EVERY_MS, SEE_DEADLINE_MS,
                  ERR_NOT_YET, &seen));
    report = report_by_name(seen, name);
    TRY(look_for_delivery(s, report));
    step_set_str(s, "report", name);
    step_set(s, "definition", shape_report(report));
    step_set(s, "created", json_boolean(step_journal_facts(s, "put") != NULL));
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result leave(struct step *s, const char *why)
{
    json_t *list = json_array();
    const char *name = step_var(s, "report");
    ownership_remains(list, step_text(s, "report %s: %s", name, why), "customer",
                      step_text(s, "aws cur delete-report-definition --region us-east-1 --report-name %s", name));
    ownership_remains_in(list, "cur", name);
    step_set(s, "remains", list);
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    const json_t *found = NULL, *tags = NULL;
    const char *name = step_var(s, "report");
    TRY(step_call(s, "look", &cur_describe_report_definitions, NULL, &found));
    const json_t *report = report_by_name(found, name);
    if (!report)
        return STEP_DONE;
    if (!step_journal_facts(s, "put"))
        return step_has_result(s, "cur_report") ? leave(s, "it was there before this import") : STEP_DONE;
    TRY(step_call(s, "tags", &cur_list_tags_for_resource, json_make("{s:s}", "ReportName", name), &tags));
    if (!ownership_is_ours(s, json_at(tags, "tags")))
        return leave(s, "it is not ours any more");
    if (!report_is_as(report, wanted_definition(s)))
        return leave(s, "somebody changed it");
    return step_call(s, "delete", &cur_delete_report_definition, json_make("{s:s}", "ReportName", name), NULL);
}

static json_t *expects(const json_t *import, const json_t *before, const json_t *result)
{
    (void)import;
    json_t *patches = json_array();
    const char *name = json_str_at(result, "report");
    return *name ? shape_put(patches, before, "cur", name, same(json_at(result, "definition"))) : patches;
}

static enum step_result touches(struct step *s, json_t *reading)
{
    const json_t *found = NULL;
    TRY(step_look(s, "reports", &cur_describe_report_definitions, NULL, NULL, NULL, &found));
    const char *name = json_str_at(wanted_definition(s), "ReportName");
    const json_t *report = report_by_name(found, name);
    bracket_add(reading, "cur", name, report ? shape_report(report) : NULL, NULL);
    return STEP_DONE;
}

const struct step_def step_cur_report = {
    .name = "cur_report",
    .item = "3.6",
    .run = run,
    .undo = undo,
    .expects = expects,
    .touches = touches,
    .ops = OPS(&cur_describe_report_definitions, &cur_put_report_definition, &cur_modify_report_definition,
               &cur_delete_report_definition, &cur_list_tags_for_resource, &s3_list_objects),
    .version = 1,
};
