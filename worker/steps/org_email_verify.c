/* org_email_verify: the organization's new address is verified.   Process item 3.3.   Undo: the address that came back
 * is verified by the customer.
 * AWS neither reads nor triggers it by a call; inviting an account would tell, and would be a real invitation. So a
 * person's word is all there is, and it is graded as that. */
#include "worker/steps/human.h"

static enum step_result run(struct step *s)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *word = human_word(s, opened_ms);
    if (word) {
        step_set_str(s, "email", step_var(s, "root_email"));
        human_take_word(s, word);
        return STEP_DONE;
    }
    return human_ask(
        s,
        &(struct human_task){
            .party = "operator",
            .title = "Verify the organization's email address",
            .actions =
                {"Sign in as the root user and open the page behind the link.",
                 "Press \"Send verification request\". If there is no such button, the address is verified already.",
                 step_text(s, "Open the message from AWS in the mailbox %s and follow its link within 24 hours.",
                           step_var(s, "root_email")),
                 "Press Done here and write as the note what the page says now."},
            .link = "https://us-east-1.console.aws.amazon.com/organizations/v2/home/settings",
            .check = "AWS lets no program read this, so we keep your name and your note.",
            .notice = step_signal(s, "done") ? "A name and a note are needed: they are all the proof there is." : NULL,
            .worst = "While the address is not verified, accounts that are invited cannot join the organization. "
                     "Nothing else waits.",
            .undo = "There is nothing to take back.",
            .due_hours = 48,
            .opened_ms = opened_ms,
            .attest = true,
            .data = json_make("{s:s}", "root_email", step_var(s, "root_email"))});
}

static enum step_result undo(struct step *s)
{
    const char *email = json_str_at(step_undo_of(s, "root_email"), "email");
    if (!step_has_result(s, "org_email_verify") || !*email || str_eq(email, step_var(s, "root_email")))
        return STEP_DONE; /* the address is the one that was verified */
    uint64_t opened_ms = human_opened(s);
    const json_t *word = human_word(s, opened_ms);
    if (word) {
        step_set_str(s, "email", email);
        human_take_word(s, word);
        return STEP_DONE;
    }
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer",
            .title = "Verify the organization's former email address again",
            .actions = {"Sign in as the root user and open the page behind the link.",
                        "Press \"Send verification request\". If there is no such button, the address is verified.",
                        step_text(s, "Open the message from AWS in the mailbox %s and follow its link within 24 hours.",
                                  email),
                        "Press Done here and write as the note what the page says now."},
            .link = "https://us-east-1.console.aws.amazon.com/organizations/v2/home/settings",
            .check = "AWS lets no program read this, so we keep your name and your note.",
            .worst = "While the address is not verified, accounts that are invited cannot join the organization. "
                     "Nothing else waits.",
            .undo = "There is nothing to take back.",
            .due_hours = 120,
            .opened_ms = opened_ms,
            .attest = true,
            .data = json_make("{s:s,s:b}", "root_email", email, "undo", 1)});
}

const struct step_def step_org_email_verify = {
    .name = "org_email_verify",
    .item = "3.3",
    .run = run,
    .undo = undo,
    .version = 1,
};
