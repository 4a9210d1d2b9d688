/* root_email: the management account's root address becomes the agreed one.   Process item 1.3.   Undo: the same task
 * with the former address. AWS has no call for a management account's address: people change it, Organizations tells.
 */
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/organizations.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"
#include "worker/steps/ownership.h"

#define EVENTS "EmailUpdated,SetAccountPreferences"

static size_t open_invitations(const json_t *facts)
{
    size_t count = 0, i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(facts, "handshakes"), i, one) {
        if (str_eq(json_str_at(one, "action"), "INVITE") && str_in_list("OPEN,REQUESTED", json_str_at(one, "state")))
            count++;
    }
    return count;
}

/* The address at the time of the fingerprint: what to go back to. */
static const char *former_email(struct step *s, const char *now)
{
    const char *before =
        json_str_at(step_result_of(s, "fingerprint_before"), "fingerprint.sections.organization.master_email");
    return before[0] ? before : now;
}

static enum step_result ask(struct step *s, const char *wanted, const char *now)
{
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer+operator",
            .title = step_text(s, "Change the root email address of account %s", step_var(s, "account_id")),
            .actions =
                {"Customer: sign in to AWS as the root user (not as an IAM user) and open the page behind the link.",
                 "Customer: press Edit beside the account's email address and enter the root password again.",
                 step_text(s, "Customer: enter %s as the new address and continue.", wanted),
                 "Operator: AWS sends a one-time code to the new address; read it to the customer on the phone.",
                 "Customer: type the code and save."},
            .link = "https://us-east-1.console.aws.amazon.com/billing/home#/account",
            .check = step_text(s, "AWS must name %s as the organization's root address. We look every minute.", wanted),
            .worst = "From then on password resets for the root user go to the operator's mailbox. That is the purpose "
                     "of this step; "
                     "the mailbox was tested before. Sign-in and everything that runs go on as before.",
            .undo = step_text(
                s, "Change the address back to %s the same way; keep that mailbox until the import has ended.",
                former_email(s, now)),
            .due_hours = 120,
            .opened_ms = human_opened(s),
            .data = json_make("{s:s,s:s}", "root_email", wanted, "former_email", former_email(s, now))});
}

static enum step_result run(struct step *s)
{
    const char *wanted = step_var(s, "root_email");
    const json_t *org = NULL, *handshakes = NULL, *events = NULL;

    TRY(step_call(s, "look", &organizations_describe_organization, NULL, &org));
    const char *now = json_str_at(org, "master_email");
    if (!human_is_same_email(now, wanted))
        return ask(s, wanted, now);

    enum step_result both =
        step_call(s, "invitations", &organizations_list_handshakes_for_organization, NULL, &handshakes);
    step_also(&both, step_events(s, "", 60000, &events));
    TRY(both);
    size_t open = open_invitations(handshakes);
    if (open)
        step_warn(s, "%zu invitations are open; they cannot be accepted until the new address is verified (item 3.3)",
                  open);
    step_set_str(s, "email", now);
    step_set_str(s, "former_email", former_email(s, now));
    const json_t *event = human_event(events, EVENTS, "Root", 0);
    if (event)
        step_set(s, "evidence", human_evidence(event));
    step_grade(s, "probed");
    return STEP_DONE;
}

/* ---- Undo ---- */

static enum step_result ask_back(struct step *s, const char *former, const char *now)
{
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer+operator",
            .title = step_text(s, "Give the root email address of account %s back", step_var(s, "account_id")),
            .actions = {"Meet in a short call. The customer must be able to read the mailbox of the former address.",
                        "Operator: sign in as the root user and open the page behind the link.",
                        "Operator: press Edit beside the account's email address and enter the root password again.",
                        step_text(s, "Operator: enter %s as the new address and continue.", former),
                        "Customer: AWS sends a one-time code to that mailbox; read it to the operator.",
                        "Operator: type the code and save."},
            .link = "https://us-east-1.console.aws.amazon.com/billing/home#/account",
            .check = step_text(s, "AWS must name %s as the organization's root address. We look every minute.", former),
            .worst = "If nobody reads that mailbox any more, a lost root password can never be reset: test it before "
                     "you meet. From then on the operator can reset nothing.",
            .undo = step_text(s, "Change the address to %s again the same way.", now),
            .due_hours = 120,
            .opened_ms = human_opened(s),
            .data = json_make("{s:s,s:s,s:b}", "root_email", former, "former_email", now, "undo", 1)});
}

static enum step_result undo(struct step *s)
{
    const json_t *org = NULL;
    TRY(step_call(s, "look", &organizations_describe_organization, NULL, &org));
    const char *now = json_str_at(org, "master_email"), *former = former_email(s, now);
    if (human_is_same_email(now, former)) {
        step_set_str(s, "email", now);
        step_grade(s, "probed");
        return STEP_DONE;
    }
    if (human_is_same_email(now, step_var(s, "root_email")))
        return ask_back(s, former, now);
    json_t *list = json_array(); /* a third address: not ours any more */
    ownership_remains(list, step_text(s, "root email %s: neither ours nor the former one", now), "customer",
                      "change it on the account page if it is not what you want");
    ownership_remains_in(list, "organization", "master_email");
    ownership_remains_in(list, "accounts", step_var(s, "account_id"));
    step_set(s, "remains", list);
    return STEP_DONE;
}

static json_t *expects(const json_t *import, const json_t *before, const json_t *result)
{
    const char *account = json_str_at(import, "vars.account_id"), *email = json_str_at(result, "email");
    json_t *patches = json_array();
    if (!str_eq(json_str_at(before, "sections.organization.master_email"), email))
        shape_replace(patches, "organization", "master_email", NULL, json_string(email));
    const json_t *row = json_object_get(json_object_get(json_object_get(before, "sections"), "accounts"), account);
    if (row && !str_eq(json_str_at(row, "email"), email))
        shape_replace(patches, "accounts", account, "email", json_string(email));
    return patches;
}

const struct step_def step_root_email = {
    .name = "root_email",
    .item = "1.3",
    .run = run,
    .undo = undo,
    .expects = expects,
    .ops = OPS(&organizations_describe_organization, &organizations_list_handshakes_for_organization,
               &cloudtrail_lookup_events),
    .uses = "fingerprint_before",
    .version = 1,
};
