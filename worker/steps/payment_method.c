/* payment_method: the bill is paid by the operator.   Process item 3.1.   Undo: the customer's method becomes the
 * default again. No call reads or changes payment methods. CloudTrail proves that something was changed, a person says
 * what it is now. */
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/invoicing.h"
#include "worker/steps/human.h"

/* Both generations of names: the page moved from billingconsole to payments in autumn 2026. */
#define EVENTS                                                                                                         \
    "Instruments_Create,Instruments_Update,Preferences_CreatePaymentProfile,Preferences_UpdatePaymentProfile,"         \
    "SetPayInformation,SetDefaultPaymentMethod,UpdateDefaultPaymentMethod"
#define SOURCES "payments.amazonaws.com,billingconsole.amazonaws.com"
#define NOT_TOLD                                                                                                       \
    "AccessDenied,AccessDeniedException,ValidationException,ResourceNotFoundException,InternalServerException"

static const json_t *payment_event(const json_t *events, uint64_t since_ms)
{
    json_auto_t *payments = json_array();
    size_t i = 0;
    json_t *event = NULL;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event) {
        if (str_in_list(SOURCES, json_str_at(event, "source")))
            json_array_append(payments, event);
    }
    return human_event(payments, EVENTS, "", since_ms); /* lives on in `events` */
}

static const char *notice_of(const json_t *event, const json_t *word)
{
    if (event && !word)
        return "AWS shows that a payment method was changed. Please say with your name what it is now.";
    if (word && !event)
        return "Thank you for your word. We still wait for AWS to show the change, usually within 15 minutes.";
    return NULL;
}

static enum step_result ask(struct step *s, const json_t *event, const json_t *word)
{
    return human_ask(
        s,
        &(struct human_task){
            .party = "operator",
            .title = step_text(s, "Make our payment method the default of account %s", step_var(s, "account_id")),
            .actions = {"Sign in as the root user with the operator's second factor and open the page behind the link.",
                        step_text(s, "Add the operator's payment method: %s.", step_var(s, "payment.description")),
                        "Set it as the default.",
                        "Leave the customer's own method on file until our first invoice has been paid.",
                        "Press Done here and write as the note which method is the default now."},
            .link = "https://us-east-1.console.aws.amazon.com/billing/home#/paymentpreferences",
            .check = "AWS's event history must show a change of payment methods after this task was opened, and a "
                     "person must say "
                     "what the default is now: AWS lets nobody read that.",
            .notice = notice_of(event, word),
            .worst = "Without any valid method AWS may suspend the account. That is why the old one stays until the "
                     "first invoice is "
                     "paid.",
            .undo = "Make the customer's method the default again on the same page.",
            .due_hours = 72,
            .opened_ms = human_opened(s),
            .attest = true,
            .data = json_make("{s:s,s:b,s:b}", "account_id", step_var(s, "account_id"), "event_seen",
                              (int)(event != NULL), "word_given", (int)(word != NULL))});
}

static enum step_result run(struct step *s)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *events = NULL, *profiles = NULL;
    TRY(step_events(s, "", 30000, &events));
    const json_t *event = payment_event(events, opened_ms), *word = human_word(s, opened_ms);
    if (!event || !word)
        return ask(s, event, word);

    TRY(step_try(s, "invoices", &invoicing_batch_get_invoice_profile,
                 json_make("{s:[s]}", "AccountIds", step_var(s, "account_id")), NOT_TOLD, &profiles));
    step_set(s, "evidence", human_evidence(event));
    human_take_word(s, word);
    step_set_str(s, "content", "attested"); /* the change is seen, what it was changed to is a person's word */
    step_set_str(s, "invoice_receiver", json_str_at(profiles, "profiles.0.receiver"));
    step_grade(s, "cloudtrail");
    return STEP_DONE;
}

static enum step_result ask_back(struct step *s, const json_t *event, const json_t *word)
{
    return human_ask(
        s, &(struct human_task){
               .party = "customer+operator",
               .title = step_text(s, "Make the customer's payment method the default of account %s again",
                                  step_var(s, "account_id")),
               .actions =
                   {"Meet in a short call; the operator signs in as the root user and opens the page behind the link.",
                    "Customer: make sure that your own method is on file and valid, or add it.",
                    "Set the customer's method as the default.",
                    "Remove the operator's method once the default has changed.",
                    "Press Done here and write as the note which method is the default now."},
               .link = "https://us-east-1.console.aws.amazon.com/billing/home#/paymentpreferences",
               .check = "AWS's event history must show a change of payment methods after this task was opened, and a "
                        "person must say what the default is now: AWS lets nobody read that.",
               .notice = notice_of(event, word),
               .worst =
                   "Without any valid method AWS may suspend the account: the customer's goes in before ours goes out.",
               .undo = "Make the operator's method the default again on the same page.",
               .due_hours = 120,
               .opened_ms = human_opened(s),
               .attest = true,
               .data = json_make("{s:s,s:b,s:b,s:b}", "account_id", step_var(s, "account_id"), "event_seen",
                                 (int)(event != NULL), "word_given", (int)(word != NULL), "undo", 1)});
}

static enum step_result undo(struct step *s)
{
    uint64_t asked_ms = step_did_at(s, "opened");
    const json_t *events = NULL;
    TRY(step_events(s, "", 30000, &events));
    if (!step_has_result(s, "payment_method") && (!asked_ms || !payment_event(events, asked_ms)))
        return STEP_DONE; /* nobody changed it for us */
    uint64_t opened_ms = human_opened(s);
    const json_t *event = payment_event(events, opened_ms), *word = human_word(s, opened_ms);
    if (!event || !word)
        return ask_back(s, event, word);
    step_set(s, "evidence", human_evidence(event));
    human_take_word(s, word);
    step_set_str(s, "content", "attested");
    step_grade(s, "cloudtrail");
    return STEP_DONE;
}

const struct step_def step_payment_method = {
    .name = "payment_method",
    .item = "3.1",
    .run = run,
    .undo = undo,
    .ops = OPS(&cloudtrail_lookup_events, &invoicing_batch_get_invoice_profile),
    .version = 1,
};
