/* Process item 3.4: cost and usage reports can be read, and what exists is recorded.
 *
 * AWS has no switch for it: the first report is the enabling, and step cur_report makes ours. */
#include "common/aws/services/cur.h"
#include "worker/steps/ownership.h"

static enum step_result run(struct step *s)
{
    const json_t *found = NULL, *report;
    size_t i;
    TRY(step_try(s, "reports", &cur_describe_report_definitions, NULL, "AccessDeniedException,AccessDenied", &found));
    if (json_has(found, "error"))
        return step_fail(s, ERR_BILLING_ACCESS, "AWS denies reading the cost reports");
    json_t *names = json_array();
    json_array_foreach (json_at(found, "reports"), i, report)
        (void)json_array_append_new(names, json_string(json_str_at(report, "ReportName")));
    json_sort_by(names, NULL);
    step_set(s, "enabled", json_boolean(json_array_size(names) > 0));
    step_set(s, "reports_before", names);
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_cur_enabled = {
    .name = "cur_enabled",
    .item = "3.4",
    .run = run,
    .ops = OPS(&cur_describe_report_definitions),
    .version = 1,
    .only_looks = true,
};
