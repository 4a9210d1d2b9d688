/* access_handover: the customer hands over access to the management account.   Process item 1.2.   Undo:
 * credential_retire; an
 * undo needs access again and asks for it where it has ended. Two ways: a role that trusts our account with our
 * external id, or an administrator's key, sealed. Done means that AWS itself answered with the agreed account. */
#include "common/aws/services/sts.h"
#include "common/policy/policy.h"
#include "worker/steps/human.h"
#include "worker/steps/manifest.h"
#include "worker/steps/undo_scope.h"

static bool is_role_route(const struct step *s)
{
    return str_eq(json_str_at(step_import(s), "access.method"), "role");
}

/* The exact choice instead of administrator rights, from the steps' own manifests: it cannot say less or more than what
 * the signer lets pass, nor differ from what `orgimport policy` prints. */
static json_t *exact_policies(const struct step *s)
{
    json_auto_t *needs = policy_needs(steps_manifest(), step_import(s));
    return policy_documents(needs);
}

static json_t *task_data(const struct step *s, const json_t *identity)
{
    return json_make(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:[s,s,s,s]}", "bootstrap_role", step_var(s, "bootstrap_role"),
        "operator_account_id", step_var(s, "operator_account_id"), "external_id", step_var(s, "external_id_bootstrap"),
        "role_arn", json_str_at(step_import(s), "access.role_arn"), "account_id", step_var(s, "account_id"), "code",
        json_str_at(identity, "code"), "managed_policy", "AdministratorAccess", "trust", policy_trust(step_import(s)),
        "policies", exact_policies(s), "overview",
        "Your organization stays yours. We take over the bill of the management account: its root email address, "
        "password and "
        "second factor, two or three roles for billing tools, the payment method, the tax profile, and one cost report "
        "with its "
        "bucket. Accounts, organizational units, policies and everything that runs stay as they are; we record them "
        "before and "
        "after and show you that nothing else changed. At the end the access that you hand over now is retired, and we "
        "name "
        "what is left of it with the command that removes it.",
        "meaning",
        "Reading: organization, accounts, policies, roles, buckets' names, reports and tax settings, to compare before "
        "and after.",
        "Writing: up to three roles with their policies, one bucket, one cost report, the tax registration. Nothing "
        "else is possible "
        "for the program, whatever rights it has.",
        "Removing: only what we made, and at the end the key that you hand over now. Its user, or the role, is yours "
        "to "
        "delete: without a key nobody of ours can do it.",
        "Never: member accounts, organizational units, service control policies, other users, other roles, your data.");
}

/* Why the access that we have does not do. NULL when there is none yet. */
static const char *notice_of(struct step *s, const json_t *identity)
{
    const char *text = json_str_at(identity, "text");
    return text[0] ? step_text(s, "Last look: %.300s.", text) : NULL;
}

static enum step_result ask_for_role(struct step *s, const json_t *identity)
{
    const char *role = step_var(s, "bootstrap_role");
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer",
            .title = "Let us into the management account with a role",
            .actions =
                {step_text(s, "Sign in to AWS account %s as an administrator.", step_var(s, "account_id")),
                 step_text(s,
                           "Open IAM, Roles, Create role, and choose \"AWS account\", then \"Another AWS account\" %s.",
                           step_var(s, "operator_account_id")),
                 step_text(
                     s, "Tick \"Require external ID\" and enter %s. It makes sure that nobody else can use the role.",
                     step_var(s, "external_id_bootstrap")),
                 "Attach the policy AdministratorAccess, or instead the exact policies that are shown with this task.",
                 step_text(s, "Name the role %s and create it.", role)},
            .link = "https://us-east-1.console.aws.amazon.com/iam/home#/roles/create",
            .check =
                "We try to use the role every minute and ask AWS which account answers. You need not report anything.",
            .notice = notice_of(s, identity),
            .worst =
                "Whoever controls our account could administer your management account until the role is deleted. "
                "That is why "
                "the role only works with your own external ID and why you get the command that deletes it at the end.",
            .undo = "Delete the role in IAM at any time: our access ends at once and the import waits.",
            .due_hours = 72,
            .opened_ms = human_opened(s),
            .data = task_data(s, identity)});
}

/* As credential_retire does it. */
static bool is_key_deleted(const struct step *s)
{
    return json_bool_at(step_import(s), "vars.retire.delete_user");
}

static enum step_result ask_for_key(struct step *s, const json_t *identity)
{
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer",
            .title = "Hand over an administrator's access key for the management account",
            .actions =
                {step_text(s, "Sign in to AWS account %s as an administrator.", step_var(s, "account_id")),
                 "Open IAM, Users, Create user. Name it orgimport; it needs no access to the console.",
                 "Attach AdministratorAccess to the user, or instead the exact policies that are shown with this task.",
                 "Open the new user, Security credentials, Create access key, and choose \"Third-party service\".",
                 "Upload the key where your contact told you: it is sealed on the way. Never send it by mail or chat."},
            .link = "https://us-east-1.console.aws.amazon.com/iam/home#/users/create",
            .check = "We ask AWS which account the key belongs to as soon as it arrives.",
            .notice = notice_of(s, identity),
            .worst = step_text(s,
                               "Whoever gets hold of the key could administer your management account. It is stored "
                               "sealed, used by this import only, and %s at the end; we show you AWS's refusal of the "
                               "dead key as proof, and the command that deletes the user that is left.",
                               is_key_deleted(s) ? "deleted" : "deactivated"),
            .undo = "Deactivate or delete the key in IAM at any time: our access ends at once and the import waits.",
            .due_hours = 72,
            .opened_ms = human_opened(s),
            .data = task_data(s, identity)});
}

static void set_user(struct step *s, const char *arn)
{
    const char *slash = strrchr(arn, '/');
    step_set_str(s, "user", strstr(arn, ":user/") && slash ? slash + 1 : "");
}

static enum step_result run(struct step *s)
{
    const json_t *identity = NULL, *alive = NULL;
    TRY(step_identity(s, &identity));
    if (!json_bool_at(identity, "ok") && undo_has_nothing(s)) {
        step_set_str(s, "method", "none"); /* nothing of ours is there, so nobody is asked to let us in */
        return STEP_DONE;
    }
    if (!json_bool_at(identity, "ok"))
        return is_role_route(s) ? ask_for_role(s, identity) : ask_for_key(s, identity);
    /* The session may still know the answer of a key that has been retired since. */
    if (step_is_undo(s)) {
        TRY(step_call(s, "alive", &sts_get_caller_identity_retired, NULL, &alive));
        if (json_is_null(alive))
            return is_role_route(s) ? ask_for_role(s, identity) : ask_for_key(s, identity);
    }
    step_set_str(s, "account", json_str_at(identity, "account"));
    step_set_str(s, "arn", json_str_at(identity, "arn"));
    step_set_str(s, "method", json_str_at(identity, "method"));
    step_set_str(s, "access_key_id", json_str_at(identity, "access_key_id"));
    set_user(s, json_str_at(identity, "arn"));
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_access_handover = {
    .name = "access_handover",
    .item = "1.2",
    .run = run,
    .runs_in_undo = true,
    .ops = OPS(&sts_get_caller_identity, &sts_get_caller_identity_retired),
    .version = 1,
};
