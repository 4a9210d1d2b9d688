/* record_names: what a fingerprint leaves out of the things that the import will care about.   Process: FAQ. Reads
 * only, judges nothing: a rehearsal of the record comes to its own end, and says so with the code that the import would
 * have. */
#include "common/aws/services/cur.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/bucket_record.h"
#include "worker/steps/ownership.h"
#include "worker/steps/report_definition.h"

/* Quotas that would stop us; those of AWS's own default are left out by nobody, so all are kept. */
static json_t *quotas(const json_t *summary)
{
    static const char *const kept[] = {"RolesQuota", "PoliciesQuota"};
    json_t *out = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_has(json_at(summary, "summary"), kept[i]))
            json_put_int(out, kept[i], json_int_at(json_at(summary, "summary"), kept[i]));
    return out;
}

static enum step_result policy_tags(struct step *s, json_t *ret)
{
    const char *which = NULL;
    json_t *role = NULL, *policy = NULL;
    enum step_result all = STEP_DONE;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)json_at(step_import(s), "vars.roles"), which, role)
        json_array_foreach (json_object_get(role, "policies"), i, policy) {
            const char *name = json_str_at(policy, "name");
            const json_t *facts = NULL;
            enum step_result one =
                step_call(s, step_text(s, "policy/%s/%s", which, name), &iam_get_policy,
                          json_make("{s:s}", "PolicyArn",
                                    step_text(s, "arn:aws:iam::%s:policy%s%s", step_var(s, "account_id"),
                                              json_str_or(role, "path", "/"), name)),
                          &facts);
            step_also(&all, one);
            if (one == STEP_DONE && json_is_object(json_object_get(facts, "tags")))
                json_put(ret, name, same(json_object_get(facts, "tags")));
        }
    return all;
}

static enum step_result report_tags(struct step *s, json_t *ret)
{
    const json_t *reports = NULL, *tags = NULL;
    const char *name = step_var(s, "report");
    TRY(step_call(s, "reports", &cur_describe_report_definitions, NULL, &reports));
    if (!report_by_name(reports, name))
        return STEP_DONE;
    TRY(step_call(s, "report/tags", &cur_list_tags_for_resource, json_make("{s:s}", "ReportName", name), &tags));
    if (json_is_object(json_at(tags, "tags")))
        json_put(ret, name, same(json_at(tags, "tags")));
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    const json_t *summary = NULL, *tax = NULL, *bucket = NULL;
    json_t *policies = step_keep(s, json_object()), *reports = step_keep(s, json_object());
    struct report_bucket found;
    enum step_result all = STEP_DONE;
    step_also(&all, step_call(s, "summary", &iam_get_account_summary, NULL, &summary));
    step_also(&all, step_call(s, "tax", &tax_get_tax_registration, NULL, &tax));
    step_also(&all, policy_tags(s, policies));
    step_also(&all, report_tags(s, reports));
    TRY(report_bucket_look(s, &found));
    TRY(bucket_record(s, &found, &bucket));
    TRY(all);
    step_set(s, "names",
             json_make("{s:O,s:o,s:O,s:O,s:o}", "bucket", bucket, "quotas", quotas(summary), "policy_tags", policies,
                       "report_tags", reports, "registration", same_or(json_at(tax, "registration"), json_null())));
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_record_names = {
    .name = "record_names",
    .item = "FAQ",
    .run = run,
    .ops = OPS(&iam_get_account_summary, &iam_get_policy, &cur_describe_report_definitions, &cur_list_tags_for_resource,
               &tax_get_tax_registration, REPORT_BUCKET_OPS, BUCKET_RECORD_OPS),
    .version = 1,
    .only_looks = true,
};
