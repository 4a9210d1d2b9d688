/* root_email: the management account's root address becomes the agreed one.   Process item 1.3.   Undo: the same task
 * with the former address. AWS has no call for a management account's address: people change it, Organizations tells.
 */
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/organizations.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"

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
    .expects = expects,
    .ops = OPS(&organizations_describe_organization, &organizations_list_handshakes_for_organization,
               &cloudtrail_lookup_events),
    .uses = "fingerprint_before",
    .version = 1,
};
