/* Process item 1.2: the identity that was handed over may do all that the import needs, billing included.
 *
 * IAM access to billing is a switch that only root can move. When it is off, AWS denies billing reads to everybody
 * else, administrators too: then the customer gets a task, and the next look tells when it is done. */
#include "common/aws/services/cur.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/admin_rights.h"
#include "worker/steps/human.h"
#include "worker/steps/undo_scope.h"

#define DENIED "AccessDeniedException,AccessDenied,UnauthorizedOperation"

static enum step_result ask_root(struct step *s, const char *what)
{
    struct human_task task = {
        .party = "customer",
        .title = "Switch on access to billing for IAM users and roles",
        .actions = {"Sign in to the management account as the root user.", "Open the account page with the link below.",
                    "Find \"IAM user and role access to Billing information\" and choose Edit.",
                    "Tick \"Activate IAM Access\" and choose Update."},
        .link = "https://us-east-1.console.aws.amazon.com/billing/home#/account",
        .check = "Reading the cost reports and the tax settings works with the access that was handed over.",
        .notice = step_text(s, "AWS denies %s now.", what),
        .worst = "Users and roles of the management account whose policies allow billing pages can open them. Nothing "
                 "else changes.",
        .undo = "Choose Edit at the same place and untick the box.",
        .due_hours = 72,
        .opened_ms = human_opened(s),
    };
    return human_ask(s, &task);
}

static enum step_result check_billing(struct step *s)
{
    const json_t *reports = NULL, *tax = NULL;
    TRY(step_try(s, "reports", &cur_describe_report_definitions, NULL, DENIED, &reports));
    TRY(step_try(s, "tax", &tax_get_tax_registration, NULL, DENIED, &tax));
    if (json_has(reports, "error"))
        return ask_root(s, "reading the cost reports");
    if (json_has(tax, "error"))
        return ask_root(s, "reading the tax settings");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    const json_t *me = NULL;
    struct admin_rights rights = {0};
    if (undo_has_nothing(s))
        return STEP_DONE;
    TRY(step_identity(s, &me));
    if (!json_bool_at(me, "ok"))
        return step_fail(s, err_code_by_name(json_str_or(me, "code", "aws.credentials")), "%s",
                         json_str_at(me, "text"));
    TRY(admin_rights_read(s, me, &rights));
    if (!rights.is_enough)
        return step_fail(s, ERR_ADMIN_MISSING, "%s", rights.missing);
    TRY(check_billing(s));
    step_set_str(s, "identity", json_str_at(me, "arn"));
    step_set_str(s, "rights", rights.how);
    step_set_str(s, "billing", "readable");
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_admin_access = {
    .name = "admin_access",
    .item = "1.2",
    .run = run,
    .runs_in_undo = true,
    .ops = OPS(ADMIN_RIGHTS_OPS, &cur_describe_report_definitions, &tax_get_tax_registration),
    .version = 1,
    .only_looks = true,
};
