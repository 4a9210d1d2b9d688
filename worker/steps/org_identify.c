/* Process item 1.1: the account that was handed over is the management account of the organization that was submitted.
 */
#include "common/aws/services/organizations.h"
#include "worker/steps/undo_scope.h"

static bool is_partition_aws(const char *arn)
{
    return str_starts(arn, "arn:aws:");
}

static enum step_result check(struct step *s, const json_t *me, const json_t *org)
{
    const char *account = json_str_at(me, "account"), *master = json_str_at(org, "master_account_id");
    const char *wanted_org = json_str_at(step_import(s), "organization.id"), *org_id = json_str_at(org, "id");
    if (!is_partition_aws(json_str_at(me, "arn")))
        return step_fail(s, ERR_PARTITION, "account %s is not in the partition aws", account);
    if (json_is_null(org))
        return step_fail(s, ERR_ORG_NONE, "account %s is not in any organization", account);
    if (!str_eq(account, master))
        return step_fail(s, ERR_ORG_MEMBER, "account %s is a member of %s; its management account is %s", account,
                         org_id, master);
    if (*wanted_org && !str_eq(wanted_org, org_id))
        return step_fail(s, ERR_ORG_MISMATCH, "account %s manages %s, not %s", account, org_id, wanted_org);
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    const json_t *me = NULL, *org = NULL;
    if (undo_has_nothing(s))
        return STEP_DONE;
    TRY(step_identity(s, &me));
    if (!json_bool_at(me, "ok"))
        return step_fail(s, err_code_by_name(json_str_or(me, "code", "aws.credentials")), "%s",
                         json_str_at(me, "text"));
    TRY(step_call(s, "organization", &organizations_describe_organization, NULL, &org));
    TRY(check(s, me, org));

    step_set_str(s, "organization_id", json_str_at(org, "id"));
    step_set_str(s, "account_id", json_str_at(me, "account"));
    step_set_str(s, "identity", json_str_at(me, "arn"));
    step_set_str(s, "feature_set", json_str_at(org, "feature_set"));
    step_set_str(s, "root_email_before", json_str_at(org, "master_email"));
    if (!str_eq(json_str_at(org, "feature_set"), "ALL"))
        step_warn(
            s, "the organization has consolidated billing features only: it has no policies and no trusted services");
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_org_identify = {
    .name = "org_identify",
    .item = "1.1",
    .run = run,
    .runs_in_undo = true,
    .ops = OPS(&organizations_describe_organization),
    .version = 1,
    .only_looks = true,
};
