/* Process item 1.5: items 1.1 to 1.4 are green together on one fresh read. That is the notice; a person's word is not.
 *
 * Everything is read anew here: between the first check and now people have worked in the account for days. */
#include "common/aws/services/organizations.h"
#include "worker/steps/admin_rights.h"

#include <strings.h>

static void check_mfa(struct step *s, const json_t *summary)
{
    bool is_on = json_int_at(summary, "summary.AccountMFAEnabled") > 0;
    bool is_classic = str_eq(json_str_at(step_import(s), "mfa_mode"), "classic");
    step_set(s, "root_mfa", json_boolean(is_on));
    if (is_classic && is_on)
        step_finding(s, ERR_READINESS, "1.4: the root user still has its second factor");
    if (!is_classic && !is_on)
        step_finding(s, ERR_READINESS, "1.4: the root user has no second factor, but both sides agreed on an overlap");
}

static void check_organization(struct step *s, const json_t *me, const json_t *org)
{
    const char *email = json_str_at(org, "master_email"), *wanted = step_var(s, "root_email");
    if (json_is_null(org))
        step_finding(s, ERR_ORG_NONE, "1.1: the account is in no organization any more");
    else if (!str_eq(json_str_at(org, "master_account_id"), json_str_at(me, "account")))
        step_finding(s, ERR_ORG_MEMBER, "1.1: the management account is %s now", json_str_at(org, "master_account_id"));
    else if (!str_eq(json_str_at(org, "id"),
                     json_str_or(step_result_of(s, "org_identify"), "organization_id", json_str_at(org, "id"))))
        step_finding(s, ERR_ORG_MISMATCH, "1.1: the organization is %s now", json_str_at(org, "id"));
    /* AWS compares addresses without regard to case, and some consoles store what was typed. */
    if (!json_is_null(org) && strcasecmp(email, wanted) != 0)
        step_finding(s, ERR_EMAIL_MISMATCH, "1.3: the root email is %s, not %s", email, wanted);
}

static enum step_result tell(struct step *s)
{
    size_t i;
    const json_t *one;
    enum step_result all = STEP_DONE;
    json_array_foreach (json_at(step_import(s), "contacts"), i, one) {
        const char *email = json_str_at(one, "email"), *role = json_str_at(one, "role");
        if (!*email || !str_in_list("success_manager,customer_success,csm", role))
            continue;
        const char *customer = json_str_at(step_import(s), "customer.name");
        step_also(&all,
                  step_mail(s, step_text(s, "told/%s", email), email,
                            step_text(s, "%s is ready to be taken over", customer),
                            step_text(s, "All four readiness items of %s (account %s) are green on one fresh read.",
                                      customer, step_var(s, "account_id"))));
    }
    return all;
}

static enum step_result run(struct step *s)
{
    const json_t *me = NULL, *org = NULL, *summary = NULL;
    struct admin_rights rights = {0};
    TRY(step_identity(s, &me));
    if (!json_bool_at(me, "ok"))
        return step_fail(s, err_code_by_name(json_str_or(me, "code", "aws.credentials")), "%s",
                         json_str_at(me, "text"));
    enum step_result all = STEP_DONE;
    step_also(&all, step_call(s, "organization", &organizations_describe_organization, NULL, &org));
    step_also(&all, step_call(s, "summary", &iam_get_account_summary, NULL, &summary));
    step_also(&all, admin_rights_read(s, me, &rights));
    TRY(all);

    check_organization(s, me, org);
    if (!rights.is_enough)
        step_finding(s, ERR_ADMIN_MISSING, "1.2: %s", rights.missing);
    check_mfa(s, summary);
    size_t count = step_finding_count(s);
    if (count)
        return step_fail(s, ERR_READINESS, "%zu of the readiness items %s not green", count, count == 1 ? "is" : "are");
    TRY(tell(s));
    step_set_str(s, "root_email", json_str_at(org, "master_email"));
    step_set_str(s, "rights", rights.how);
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_readiness = {
    .name = "readiness",
    .item = "1.5",
    .run = run,
    .ops = OPS(ADMIN_RIGHTS_OPS, &organizations_describe_organization, &iam_get_account_summary),
    .uses = "org_identify",
    .version = 1,
    .only_looks = true,
};
