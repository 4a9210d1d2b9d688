/* Process item 1.5, first half: everything that would stop the import later, found now and told at once.
 *
 * All reads go out together; every fault is one finding. Tax inheritance and a change of the seller of record are
 * warned about here and held at tax_profile: they are decisions, not faults. What tax looked like now is kept: later it
 * is gone. */
#include "common/aws/services/cur.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/bucket_record.h"
#include "worker/steps/ownership.h"
#include "worker/steps/report_definition.h"
#include "worker/steps/tax_registration.h"

struct view { /* all facts, borrowed */
    const json_t *roles, *policies, *reports, *summary, *handshakes, *registration, *taxes, *inheritance;
    struct report_bucket bucket;
};

static enum step_result read_all(struct step *s, struct view *v)
{
    enum step_result all = STEP_DONE;
    step_also(&all, step_call(s, "roles", &iam_list_roles, NULL, &v->roles));
    step_also(&all, step_call(s, "policies", &iam_list_policies, json_make("{s:s}", "Scope", "Local"), &v->policies));
    step_also(&all, step_call(s, "reports", &cur_describe_report_definitions, NULL, &v->reports));
    step_also(&all, step_call(s, "summary", &iam_get_account_summary, NULL, &v->summary));
    step_also(&all, step_call(s, "handshakes", &organizations_list_handshakes_for_organization, NULL, &v->handshakes));
    step_also(&all, step_call(s, "tax", &tax_get_tax_registration, NULL, &v->registration));
    step_also(&all, step_call(s, "taxes", &tax_list_tax_registrations, NULL, &v->taxes));
    step_also(&all, step_call(s, "inheritance", &tax_get_tax_inheritance, NULL, &v->inheritance));
    step_also(&all, report_bucket_look(s, &v->bucket));
    return all;
}

/* ---- Roles and policies ---- */

static enum step_result check_role_name(struct step *s, const struct view *v, const json_t *role, size_t *needed)
{
    const char *name = json_str_at(role, "name");
    const json_t *found = json_find_nocase(json_at(v->roles, "roles"), "name", name), *full = NULL;
    if (!found) {
        ++*needed;
        return STEP_DONE;
    }
    if (!str_eq(json_str_at(found, "name"), name)) {
        step_finding(s, ERR_ROLE_NAME_TAKEN, "role %s exists; AWS does not let %s stand beside it",
                     json_str_at(found, "name"), name);
        return STEP_DONE;
    }
    TRY(step_call(s, step_text(s, "role/%s", name), &iam_get_role, json_make("{s:s}", "RoleName", name),
                  &full)); /* lists have no tags */
    if (!json_is_null(full) && !ownership_is_ours(s, json_object_get(full, "tags")))
        step_finding(s, ERR_ROLE_NAME_TAKEN, "role %s exists and is not ours", name);
    return STEP_DONE;
}

static enum step_result check_policy_name(struct step *s, const struct view *v, const char *name, size_t *needed)
{
    const json_t *found = json_find_nocase(json_at(v->policies, "policies"), "name", name), *full = NULL;
    if (!found) {
        ++*needed;
        return STEP_DONE;
    }
    TRY(step_call(s, step_text(s, "policy/%s", name), &iam_get_policy,
                  json_make("{s:s}", "PolicyArn", json_str_at(found, "arn")), &full));
    if (!json_is_null(full) && !ownership_is_ours(s, json_object_get(full, "tags")))
        step_finding(s, ERR_POLICY_NAME_TAKEN, "policy %s exists and is not ours", json_str_at(found, "name"));
    return STEP_DONE;
}

static void check_quota(struct step *s, const struct view *v, const char *what, size_t needed)
{
    const json_t *summary = json_at(v->summary, "summary");
    int64_t used = json_int_at(summary, what), quota = json_int_at(summary, step_text(s, "%sQuota", what));
    if (needed && quota > 0 && used + (int64_t)needed > quota)
        step_finding(s, ERR_AWS_QUOTA, "the account has %lld of %lld %s; the import needs %zu more", (long long)used,
                     (long long)quota, str_eq(what, "Roles") ? "roles" : "policies", needed);
}

static enum step_result check_roles(struct step *s, const struct view *v)
{
    size_t roles_needed = 0, policies_needed = 0, i;
    enum step_result all = STEP_DONE;
    const char *which;
    json_t *role;
    const json_t *policy;
    json_object_foreach ((json_t *)(uintptr_t)json_at(step_import(s), "vars.roles"), which, role) {
        if (!json_bool_at(role, "enabled"))
            continue;
        step_also(&all, check_role_name(s, v, role, &roles_needed));
        json_array_foreach (json_at(role, "policies"), i, policy)
            step_also(&all, check_policy_name(s, v, json_str_at(policy, "name"), &policies_needed));
        if (str_eq(which, "cloudhealth") && !*step_var(s, "cloudhealth_external_id"))
            step_finding(s, ERR_VENDOR_ID_MISSING, "the role %s needs the vendor's external id",
                         json_str_at(role, "name"));
    }
    if (all == STEP_DONE) {
        check_quota(s, v, "Roles", roles_needed);
        check_quota(s, v, "Policies", policies_needed);
    }
    return all;
}

/* ---- Bucket and report ---- */

static void check_bucket(struct step *s, const struct view *v)
{
    const char *name = step_var(s, "bucket");
    if (v->bucket.standing == BUCKET_ELSEWHERE)
        step_finding(s, ERR_BUCKET_TAKEN, "bucket %s belongs to another account", name);
    if (v->bucket.standing != BUCKET_HERE)
        return;
    if (!ownership_is_ours(s, v->bucket.tags))
        step_finding(s, ERR_BUCKET_FOREIGN, "bucket %s exists in this account and is not ours", name);
    else if (!str_eq(v->bucket.region, step_var(s, "region")))
        step_finding(s, ERR_BUCKET_REGION, "bucket %s lies in %s, not %s", name, v->bucket.region,
                     step_var(s, "region"));
}

static enum step_result check_report(struct step *s, const struct view *v)
{
    const json_t *wanted = json_at(step_import(s), "vars.report_definition"), *tags = NULL;
    const char *name = json_str_at(wanted, "ReportName");
    const json_t *report = report_by_name(v->reports, name);
    if (!report_region_is_open(json_str_at(wanted, "S3Region")))
        step_finding(s, ERR_CUR_REGION, "AWS delivers no reports to %s", json_str_at(wanted, "S3Region"));
    if (!report && json_array_size(json_at(v->reports, "reports")) >= REPORTS_MAX)
        step_finding(s, ERR_CUR_QUOTA, "five cost reports exist already");
    if (!report || report_is_as(report, wanted))
        return STEP_DONE;
    TRY(step_call(s, "report/tags", &cur_list_tags_for_resource, json_make("{s:s}", "ReportName", name), &tags));
    if (!ownership_is_ours(s, json_at(tags, "tags")))
        step_finding(s, ERR_CUR_NAME_TAKEN, "report %s exists with another definition and is not ours", name);
    return STEP_DONE;
}

/* ---- Organization and tax ---- */

static void check_invitations(struct step *s, const struct view *v)
{
    size_t i, open = 0;
    const json_t *one;
    json_array_foreach (json_at(v->handshakes, "handshakes"), i, one)
        if (str_eq(json_str_at(one, "action"), "INVITE") && str_in_list("REQUESTED,OPEN", json_str_at(one, "state")))
            open++;
    if (open)
        step_finding(s, ERR_INVITATIONS_OPEN, "%zu invitation%s open", open, open == 1 ? " is" : "s are");
}

static void check_tax(struct step *s, const struct view *v)
{
    const json_t *entry = json_at(step_import(s), "vars.tax.entry"),
                 *registration = json_at(v->registration, "registration");
    const json_t *mine = tax_account(v->taxes, step_var(s, "account_id"));
    const char *seller = json_str_at(mine, "accountMetaData.seller"), *wanted_seller = step_var(s, "tax.seller");
    step_set(s, "tax", json_make("{s:o,s:s}", "registration", same_or(registration, json_null()), "seller", seller));
    if (!json_is_object(entry) || tax_is_as(registration, entry))
        return;
    if (str_eq(json_str_at(registration, "status"), "Pending"))
        step_finding(s, ERR_TAX_PENDING, "another tax registration of the account is waiting for AWS");
    if (str_eq(json_str_at(v->inheritance, "status"), "OptIn"))
        step_warn(s, "tax inheritance is on: member accounts take the new registration too; the import will stop and "
                     "ask before it");
    if (*wanted_seller && *seller && !str_eq(seller, wanted_seller))
        step_warn(s, "the seller of record is %s and would become %s; the import will stop and ask before it", seller,
                  wanted_seller);
}

static enum step_result run(struct step *s)
{
    struct view v = {0};
    const json_t *bucket = NULL;
    TRY(read_all(s, &v));
    TRY(bucket_record(s, &v.bucket, &bucket));
    step_set(s, "bucket", same(bucket)); /* for a rehearsal: a fingerprint keeps only its region */
    enum step_result all = STEP_DONE;
    step_also(&all, check_roles(s, &v));
    step_also(&all, check_report(s, &v));
    TRY(all);
    check_bucket(s, &v);
    check_invitations(s, &v);
    check_tax(s, &v);
    size_t count = step_finding_count(s);
    if (count)
        return step_fail(s, ERR_PREFLIGHT, "%zu finding%s would stop the import later", count, count == 1 ? "" : "s");
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_preflight = {
    .name = "preflight",
    .item = "1.5",
    .run = run,
    .ops = OPS(&iam_list_roles, &iam_get_role, &iam_list_policies, &iam_get_policy, &iam_get_account_summary,
               &cur_describe_report_definitions, &cur_list_tags_for_resource,
               &organizations_list_handshakes_for_organization, &tax_get_tax_registration, &tax_list_tax_registrations,
               &tax_get_tax_inheritance, REPORT_BUCKET_OPS, BUCKET_RECORD_OPS),
    .version = 1,
    .only_looks = true,
};
