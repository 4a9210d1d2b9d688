/* root_password: the operator takes over the root password.   Process item 2.1.   Undo: the customer
 * sets another one, after the address is theirs again: then nobody else has ever known it.
 * No call reads or changes a root password; only CloudTrail tells that it changed. So what happened before this task
 * was opened proves nothing. */
#include "common/aws/services/cloudtrail.h"
#include "worker/steps/human.h"

/* PasswordUpdated is written for failures too. */
static const json_t *changed_event(const json_t *events, uint64_t since_ms)
{
    const json_t *recovered = human_event(events, "PasswordRecoveryCompleted", "Root", since_ms), *found = recovered;
    size_t i = 0;
    json_t *event = NULL;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event) {
        json_auto_t *one = json_make("[O]", event);
        if (human_event(one, "PasswordUpdated", "Root", since_ms) &&
            str_eq(json_str_at(event, "response.PasswordUpdated"), "Success"))
            found = event;
    }
    return found;
}

static enum step_result run(struct step *s)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *events = NULL;
    TRY(step_events(s, "", 30000, &events));
    const json_t *event = changed_event(events, opened_ms);
    if (event) {
        step_set(s, "evidence", human_evidence(event));
        step_set(s, "changed_ms", json_integer(json_int_at(event, "at_ms")));
        step_grade(s, "cloudtrail");
        return STEP_DONE;
    }
    const char *email = step_var(s, "root_email");
    return human_ask(
        s,
        &(struct human_task){
            .party = "operator",
            .title = step_text(s, "Set a new root password for account %s", step_var(s, "account_id")),
            .actions = {step_text(s, "Open the link, choose \"Root user\" and enter %s.", email),
                        "Press \"Forgot password?\" and solve the picture.",
                        step_text(s, "Open the message from AWS in the mailbox %s and follow its link.", email),
                        "Let the vault make a long random password, enter it twice and save.",
                        "Store it in the vault under this account's number, and nowhere else."},
            .link = "https://console.aws.amazon.com/console/home",
            .check = "AWS's event history must show that the root password was changed after this task was opened. It "
                     "tells us "
                     "within about 15 minutes.",
            .worst =
                "The customer can no longer sign in as the root user with the old password. Nothing that runs uses it.",
            .undo = "Set a new password the same way and hand it over; the address decides who can reset it.",
            .due_hours = 24,
            .opened_ms = opened_ms,
            .data = json_make("{s:s,s:s}", "root_email", email, "account_id", step_var(s, "account_id"))});
}

static enum step_result undo(struct step *s)
{
    uint64_t asked_ms = step_did_at(s, "opened"), opened_ms = 0;
    const json_t *events = NULL;
    TRY(step_events(s, "", 30000, &events));
    if (!step_has_result(s, "root_password") && (!asked_ms || !changed_event(events, asked_ms)))
        return STEP_DONE; /* the customer's password was never changed */
    opened_ms = human_opened(s);
    const json_t *event = changed_event(events, opened_ms);
    if (event) {
        step_set(s, "evidence", human_evidence(event));
        step_grade(s, "cloudtrail");
        return STEP_DONE;
    }
    const char *email = json_str_or(step_undo_of(s, "root_email"), "email", "the account's root address");
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer",
            .title = step_text(s, "Set your own root password for account %s", step_var(s, "account_id")),
            .actions = {step_text(s, "Open the link, choose \"Root user\" and enter %s.", email),
                        "Press \"Forgot password?\" and solve the picture.",
                        step_text(s, "Open the message from AWS in the mailbox %s and follow its link.", email),
                        "Choose a long new password that nobody else knows, and save.",
                        "Tell nobody. You need your own second factor for the next task."},
            .link = "https://console.aws.amazon.com/console/home",
            .check = "AWS's event history must show that the root password was changed after this task was opened. It "
                     "tells us within about 15 minutes.",
            .worst = "Until you have done this, the operator still knows the root password.",
            .undo = "Set another password the same way; whoever reads the mailbox decides.",
            .due_hours = 120,
            .opened_ms = opened_ms,
            .data =
                json_make("{s:s,s:s,s:b}", "root_email", email, "account_id", step_var(s, "account_id"), "undo", 1)});
}

const struct step_def step_root_password = {
    .name = "root_password",
    .item = "2.1",
    .run = run,
    .undo = undo,
    .ops = OPS(&cloudtrail_lookup_events),
    .version = 1,
};
