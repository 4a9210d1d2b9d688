/* mailbox_ready: the mailbox of the new root address can be read by the operator.   Process item 1.3.   No undo:
 * nothing is changed. A dead mailbox under a root account is a root account that is lost: so a code goes out and must
 * come back. */
#include "worker/steps/human.h"

static const char *const subject = "Code for the new root mailbox";

static const char *mail_text(struct step *s, const char *code)
{
    return step_text(
        s,
        "Code: %s\n\nThis address is to become the root address of AWS account %s. Type the code into the task "
        "\"Prove that the new root mailbox works\". If you do not know what this is about, tell the operator.\n",
        code, step_var(s, "account_id"));
}

/* This fleet sends no mail (no SMTP server is set): nobody can type a code that never left, so a person's own test and
 * word must do, and the grade says so. */
static enum step_result ask_for_word(struct step *s, const char *mailbox)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *word = human_word(s, opened_ms);
    if (word) {
        step_set_str(s, "mailbox", mailbox);
        step_set_str(s, "by", json_str_at(word, "by"));
        human_take_word(s, word);
        return STEP_DONE;
    }
    return human_ask(
        s,
        &(struct human_task){
            .party = "operator",
            .title = "Prove that the new root mailbox works",
            .actions = {step_text(s, "Send a message to %s from an address outside of your company.", mailbox),
                        "Open that mailbox and find the message. Look into the spam folder too.",
                        "Press Done here and write as the note when it arrived and who can read the mailbox."},
            .link = "https://mail.google.com/",
            .check =
                "This installation is not set up to send mail (--smtp-url), so we cannot send a code; we keep your "
                "name and your note.",
            .notice = step_signal(s, "done") ? "A name and a note are needed: they are all the proof there is." : NULL,
            .worst = "If nobody can read this mailbox, a lost root password can never be reset and the account is lost "
                     "with it.",
            .undo = "Nothing is changed at AWS by this task.",
            .due_hours = 72,
            .opened_ms = opened_ms,
            .attest = true,
            .data = json_make("{s:s}", "mailbox", mailbox)});
}

static enum step_result run(struct step *s)
{
    const char *mailbox = step_var(s, "root_email"), *code = step_code(s, "mailbox");
    TRY(step_mail(s, "code", mailbox, subject, mail_text(s, code)));
    const json_t *mail = step_journal_facts(s, "code");
    if (json_has(mail, "sent") && !json_bool_at(mail, "sent"))
        return ask_for_word(s, mailbox);

    const json_t *done = step_signal(s, "done");
    const char *typed = json_str_at(done, "code");
    if (str_eq(typed, code)) {
        step_set_str(s, "mailbox", mailbox);
        step_set_str(s, "by", json_str_at(done, "by"));
        step_grade(s, "probed");
        return STEP_DONE;
    }
    return human_ask(
        s,
        &(struct human_task){
            .party = "operator",
            .title = "Prove that the new root mailbox works",
            .actions = {step_text(s, "Open the mailbox %s.", mailbox),
                        step_text(s, "Find the message \"%s\". Look into the spam folder too.", subject),
                        "Type its six digits here."},
            .link = "https://mail.google.com/",
            .check = "The code must be the one that we sent to that address.",
            .notice = done ? "The code that was typed in last is not the one that we sent: please look again." : NULL,
            .worst = "If nobody can read this mailbox, a lost root password can never be reset and the account is lost "
                     "with it.",
            .undo = "Nothing is changed at AWS by this task.",
            .due_hours = 72,
            .opened_ms = human_opened(s),
            .input_key = "code",
            .input_label = "6-digit code",
            .input_pattern = "[0-9]{6}",
            .data = json_make("{s:s}", "mailbox", mailbox)});
}

const struct step_def step_mailbox_ready = {
    .name = "mailbox_ready",
    .item = "1.3",
    .run = run,
    .version = 1,
};
