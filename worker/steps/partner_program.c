/* Process item 2.6: the organization is registered for resale under the partner program (ECAM).   Undo: none by
 * machine: a relationship is a contract, so it is listed with what ends it, or a person asks AWS to.
 *
 * By the channel API where the profile names a program management account and we hold an identity in it. AWS's own
 * words: END_CUSTOMER is the end customer account model; that both are one thing is inferred, not documented. Otherwise
 * a person asks AWS's partner team and attests the answer. */
#include "common/aws/services/channel.h"
#include "worker/steps/human.h"
#include "worker/steps/ownership.h"

#define SEE_EVERY_MS 2000
#define SEE_DEADLINE_MS 60000

static const char *catalog(const struct step *s)
{
    const char *name = step_var(s, "partner.catalog");
    return *name ? name : "AWS";
}

/* The same relationship asked for twice is one request to AWS. */
static json_t *create_args(struct step *s)
{
    const char *pma = step_var(s, "partner.program_management_account"), *account = step_var(s, "account_id");
    char digest[65];
    json_auto_t *what = json_make("[s,s,s]", catalog(s), pma, account);
    json_digest(what, digest);
    json_t *args = json_make("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "catalog", catalog(s), "associationType", "END_CUSTOMER",
                             "programManagementAccountIdentifier", pma, "associatedAccountId", account, "displayName",
                             step_var(s, "partner.display_name"), "sector", step_var(s, "partner.sector"),
                             "clientToken", step_text(s, "%.32s", digest));
    if (*step_var(s, "partner.model"))
        json_put_str(args, "resaleAccountModel", step_var(s, "partner.model"));
    return args;
}

static enum step_result check_account(struct step *s)
{
    const char *pma = step_var(s, "partner.program_management_account");
    const json_t *list = NULL, *one;
    size_t i;
    TRY(step_call(s, "accounts", &channel_list_program_management_accounts, json_make("{s:s}", "catalog", catalog(s)),
                  &list));
    json_array_foreach (json_at(list, "accounts"), i, one)
        if (str_eq(json_str_at(one, "id"), pma) && str_eq(json_str_at(one, "status"), "ACTIVE"))
            return STEP_DONE;
    return step_fail(s, ERR_PROFILE_INVALID, "program management account %s is not active in catalog %s", pma,
                     catalog(s));
}

static enum step_result find(struct step *s, const char *key, const json_t **ret)
{
    const json_t *list = NULL, *one;
    size_t i;
    *ret = NULL;
    TRY(step_call(s, key, &channel_list_relationships,
                  json_make("{s:s,s:[s]}", "catalog", catalog(s), "associatedAccountIds", step_var(s, "account_id")),
                  &list));
    json_array_foreach (json_at(list, "relationships"), i, one)
        if (str_eq(json_str_at(one, "account_id"), step_var(s, "account_id")))
            *ret = one;
    return STEP_DONE;
}

/* The program management account is named by its id (pma-..); a relationship shows that or its ARN. */
static bool is_ours(const struct step *s, const json_t *relationship)
{
    const char *pma = json_str_at(relationship, "pma"), *mine = step_var(s, "partner.program_management_account");
    return !*pma || str_eq(pma, mine) || str_ends(pma, mine) || str_eq(pma, step_var(s, "partner.account_id"));
}

static enum step_result conflict(struct step *s, const char *why)
{
    return step_fail(s, ERR_PARTNER_CONFLICT, "account %s: %s", step_var(s, "account_id"), why);
}

static bool is_there(const json_t *facts, const json_t *arg)
{
    (void)arg;
    return json_is_object(facts);
}

static enum step_result run_by_api(struct step *s)
{
    const json_t *found = NULL, *made = NULL, *seen = NULL;
    const char *pma = step_var(s, "partner.program_management_account");
    TRY(check_account(s));
    TRY(find(s, "look", &found));
    if (found && !is_ours(s, found))
        return conflict(s, "it belongs to another program management account of ours");
    if (!found) {
        TRY(step_try(s, "create", &channel_create_relationship, create_args(s), "ConflictException", &made));
        if (json_has(made, "error")) {
            TRY(find(s, "look/again", &found));
            if (!found || !is_ours(s, found))
                return conflict(s, json_str_or(made, "message", "AWS reports a conflict"));
        }
    }
    const char *id = json_str_at(found ? found : made, "id");
    TRY(step_poll(
        s, "see", &channel_get_relationship,
        json_make("{s:s,s:s,s:s}", "catalog", catalog(s), "programManagementAccountIdentifier", pma, "identifier", id),
        is_there, NULL, SEE_EVERY_MS, SEE_DEADLINE_MS, ERR_NOT_YET, &seen));
    step_set_str(s, "relationship", json_str_at(seen, "id"));
    step_set_str(s, "route", "channel API");
    step_set(s, "created", json_boolean(step_journal_facts(s, "create") != NULL));
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result run_by_hand(struct step *s)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *word = human_word(s, opened_ms);
    if (word) {
        step_set_str(s, "route", "AWS's partner team");
        human_take_word(s, word);
        return STEP_DONE;
    }
    struct human_task task = {
        .party = "operator",
        .title = "Register the organization with AWS's partner program",
        .actions = {"Open Partner Central with the link below, or write to your partner team at AWS.",
                    step_text(s, "Ask to register management account %s under the end customer account model (ECAM).",
                              step_var(s, "account_id")),
                    "Leave the customer's support plan as it is unless the contract says otherwise.",
                    "Wait for AWS's confirmation.", "Put the confirmation's number or wording into the note."},
        .link = "https://partnercentral.awspartner.com/",
        .check = "Your name and note: AWS lets nobody read this without the channel API.",
        .worst = "The account is registered under the wrong model or partner; prices and support follow from it.",
        .undo = "Ask AWS's partner team to end the relationship.",
        .due_hours = 240,
        .opened_ms = opened_ms,
        .attest = true,
        .data = json_make("{s:s}", "account_id", step_var(s, "account_id")),
    };
    return human_ask(s, &task);
}

static bool is_by_api(const struct step *s)
{
    return json_is_object(json_at(step_import(s), "vars.partner")) && step_has_identity(s, AWS_AS_PARTNER);
}

static enum step_result run(struct step *s)
{
    return is_by_api(s) ? run_by_api(s) : run_by_hand(s);
}

/* ---- Undo ---- */

static enum step_result undo_by_hand(struct step *s)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *word = human_word(s, opened_ms);
    if (word) {
        human_take_word(s, word);
        return STEP_DONE;
    }
    return human_ask(
        s, &(struct human_task){
               .party = "operator",
               .title = "Ask AWS's partner team to end the relationship",
               .actions = {"Open Partner Central with the link below, or write to your partner team at AWS.",
                           step_text(s, "Ask to end the end customer account model (ECAM) for management account %s.",
                                     step_var(s, "account_id")),
                           "Put the confirmation's number or wording into the note, or that nothing was ever asked."},
               .link = "https://partnercentral.awspartner.com/",
               .check = "Your name and note: AWS lets nobody read this without the channel API.",
               .worst = "Until AWS has ended it, the account stays registered with the operator; prices and support "
                        "follow from that.",
               .undo = "Ask AWS's partner team to register the account again.",
               .due_hours = 240,
               .opened_ms = opened_ms,
               .attest = true,
               .data = json_make("{s:s,s:b}", "account_id", step_var(s, "account_id"), "undo", 1)});
}

/* A contract is not ended by a program: what stands is named with the command that ends it. */
static enum step_result leave_relationship(struct step *s, const json_t *found)
{
    json_t *list = json_array();
    const char *id = json_str_at(found, "id");
    ownership_remains(list, step_text(s, "partner relationship %s of account %s", id, step_var(s, "account_id")),
                      "operator",
                      step_text(s,
                                "aws partnercentral-channel delete-relationship --catalog %s --identifier %s "
                                "--program-management-account-identifier %s",
                                catalog(s), id, step_var(s, "partner.program_management_account")));
    step_set(s, "remains", list);
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    const json_t *found = NULL;
    if (!is_by_api(s)) /* an unfinished task may have been acted on: only a person knows */
        return step_has_result(s, "partner_program") || step_did_at(s, "opened") ? undo_by_hand(s) : STEP_DONE;
    TRY(find(s, "look", &found));
    return found && step_journal_facts(s, "create") ? leave_relationship(s, found) : STEP_DONE;
}

const struct step_def step_partner_program = {
    .name = "partner_program",
    .item = "2.6",
    .run = run,
    .undo = undo,
    .ops = OPS(&channel_list_program_management_accounts, &channel_list_relationships, &channel_create_relationship,
               &channel_get_relationship),
    .version = 1,
};
