/* root_mfa_handover: the root user's second factor passes from the customer to the operator.   Process item 1.4. Undo:
 * the customer registers an own device again.
 *
 *   overlap (default)  the operator's device is registered while the customer's is still there: never without a second
 * factor classic            the customer removes the device first: the exposure clock runs until root_mfa sees the next
 * one
 *
 * The task opens in staffed hours only: an account without its second factor must not wait for somebody to come to
 * work. */
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/iam.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"
#include "worker/steps/root_devices.h"

#define WINDOW_LOOKS_MAX 60

static bool is_classic(const struct step *s)
{
    return str_eq(json_str_at(step_import(s), "mfa_mode"), "classic");
}

/* Sleeps until a staffed minute. Each look has a time of its own, because a wake-up may come late. */
static enum step_result wait_for_staff(struct step *s)
{
    const json_t *staffed = json_at(step_import(s), "staffed");
    for (int look = 0; look < WINDOW_LOOKS_MAX; look++) {
        uint64_t wait_ms = human_staffed_wait(staffed, step_now(s, step_text(s, "staffed/%d", look)));
        if (!wait_ms)
            return STEP_DONE;
        TRY(step_sleep(s, step_text(s, "until-staffed/%d", look), wait_ms));
    }
    return step_fail(s, ERR_WAIT_EXPIRED, "no staffed hour came in which this could be opened");
}

/* ---- Overlap
 * ------------------------------------------------------------------------------------------------------------- */
/* Serials in `now` that were not there in the fingerprint before. New reference. */
static json_t *new_devices(struct step *s, const json_t *now)
{
    const json_t *had = json_object_get(human_root_before(step_result_of(s, "fingerprint_before")), "devices");
    json_t *grown = json_array(), *serial = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)now, i, serial) {
        if (!json_array_has_str(had, json_string_value(serial)))
            json_array_append(grown, serial);
    }
    return grown;
}

/* A customer who was imported before has our devices already: somebody names them, and AWS must show each one. New
 * reference, empty unless all that were named are there. */
static json_t *named_devices(struct step *s, const json_t *now)
{
    json_t *named = json_array();
    for (const char *p = json_str_at(step_signal(s, "done"), "code"); *p;) {
        size_t len = strcspn(p, " ");
        const char *serial = step_text(s, "%.*s", (int)len, p);
        if (!json_array_has_str(now, serial)) {
            json_array_clear(named);
            return named;
        }
        json_array_append_new(named, json_string(serial));
        p += len + strspn(p + len, " ");
    }
    return named;
}

static enum step_result ask_overlap(struct step *s)
{
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer+operator",
            .title = "Register the operator's second factor beside your own",
            .actions =
                {"Meet in a short call with screen sharing. Nothing is removed yet.",
                 "Customer: sign in as the root user and open the page behind the link, \"My security credentials\".",
                 "Customer: press \"Assign MFA device\", choose \"Authenticator app\" and show the QR code.",
                 "Operator: scan the code with the operator's device and read out two codes, one after the other.",
                 "Customer: type both codes and save. Keep your own device: it is removed in a later step."},
            .link = "https://us-east-1.console.aws.amazon.com/iam/home#/security_credentials",
            .check = "AWS must show a further device that the root user itself registered. We look every minute.",
            .worst = "If a device is registered that nobody keeps, it has to be removed again. The root user is "
                     "protected all the "
                     "time, because your own device stays.",
            .undo = "Remove the new device on the same page.",
            .due_hours = 72,
            .opened_ms = human_opened(s),
            .input_key = "code",
            .input_label = "Only if the operator's devices are registered already: their serial numbers (ARN), with "
                           "spaces between",
            .input_pattern = "arn:aws:iam::[0-9]{12}:(mfa|u2f)/[^ ]+( arn:aws:iam::[0-9]{12}:(mfa|u2f)/[^ ]+)*",
            .data = json_make("{s:s,s:s}", "mode", "overlap", "account_id", step_var(s, "account_id"))});
}

static enum step_result run_overlap(struct step *s)
{
    uint64_t opened_ms = human_opened(s);
    const json_t *devices = NULL, *events = NULL;
    enum step_result both = step_call(s, "devices", &iam_list_virtual_mfa_devices,
                                      json_make("{s:s}", "AssignmentStatus", "Assigned"), &devices);
    step_also(&both, step_events(s, "", 30000, &events));
    TRY(both);

    json_t *now = step_keep(s, human_root_devices(devices)), *grown = step_keep(s, new_devices(s, now));
    const json_t *event = human_event(events, "EnableMFADevice", "Root", opened_ms);
    json_t *named = step_keep(s, named_devices(s, now));
    if (!event && json_array_size(grown) == 0 && json_array_size(named) == 0)
        return ask_overlap(s);
    bool is_word = !event && json_array_size(grown) == 0;
    if (is_word)
        grown = named;
    const char *serial = json_str_at(event, "request.serialNumber");
    if (serial[0] && !json_array_has_str(grown, serial))
        json_array_append_new(grown,
                              json_string(serial)); /* hardware keys and passkeys are not in the list of virtual ones */
    step_set_str(s, "mode", "overlap");
    step_set(s, "opened_ms", json_integer((json_int_t)opened_ms));
    step_set(s, "operator_devices", json_incref(grown));
    if (event)
        step_set(s, "evidence", human_evidence(event));
    step_grade(s, event ? "cloudtrail" : is_word ? "attested" : "probed");
    return STEP_DONE;
}

/* ---- Classic
 * ------------------------------------------------------------------------------------------------------------- */
static enum step_result ask_classic(struct step *s)
{
    return human_ask(
        s, &(struct human_task){
               .party = "customer",
               .title = "Remove the root user's second factor",
               .actions = {"Do this only while the operator is at work and on the line: the account is open to the "
                           "password alone "
                           "until the operator's device is in place.",
                           "Sign in as the root user and open the page behind the link, \"My security credentials\".",
                           "Under \"Multi-factor authentication\" select each device and press Remove.",
                           "Tell the operator at once that you are done."},
               .link = "https://us-east-1.console.aws.amazon.com/iam/home#/security_credentials",
               .check = "AWS must say that the root user has no second factor. We look every minute, and from then on "
                        "a clock runs "
                        "until the new one is there.",
               .worst = "While the clock runs, whoever knows the root password can sign in. We recommend the other "
                        "way, where both "
                        "devices overlap and there is no such gap.",
               .undo = "Register your device again on the same page: protection is back at once and the import waits.",
               .due_hours = 72,
               .opened_ms = human_opened(s),
               .data = json_make("{s:s,s:s}", "mode", "classic", "account_id", step_var(s, "account_id"))});
}

static enum step_result run_classic(struct step *s)
{
    const json_t *summary = NULL, *events = NULL;
    TRY(step_call(s, "look", &iam_get_account_summary, NULL, &summary));
    if (json_int_at(summary, "summary.AccountMFAEnabled") != 0)
        return ask_classic(s);
    TRY(step_events(s, "", 30000, &events));
    const json_t *event = human_event(events, "DeactivateMFADevice", "Root", 0);
    uint64_t seen_ms = step_now(s, "exposed"); /* the clock starts at the event where there is one: it is earlier */
    step_set_str(s, "mode", "classic");
    step_set(s, "exposure_opened_ms", json_integer(event ? json_int_at(event, "at_ms") : (json_int_t)seen_ms));
    if (event)
        step_set(s, "evidence", human_evidence(event));
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    TRY(wait_for_staff(s));
    return is_classic(s) ? run_classic(s) : run_overlap(s);
}

/* ---- Undo: the operator's devices go, by the customer's hand, when the customer has the address and password again
 * ---- */

/* `strange` may be the customer's: then they stay, by the customer's word, and the proof lists them. */
static enum step_result ask_back(struct step *s, const struct root_devices *d, const json_t *ours,
                                 const json_t *strange)
{
    bool needs_own = root_devices_had_any(d) && !root_devices_has_theirs(d);
    bool needs_word = json_array_size(strange) > 0;
    return human_ask(
        s,
        &(struct human_task){
            .party = "customer",
            .title = "Remove the operator's second factor from the root user",
            .actions = {"Sign in as the root user with your own password and open the page behind the link.",
                        needs_own ? "First press \"Assign MFA device\" and register your own device."
                                  : "Look at the list: your own device must stand there before you remove any.",
                        json_array_size(ours) || needs_word ? "Select each device that is not yours and press Remove."
                                                            : "Nothing of the operator's is listed any more.",
                        needs_word ? "New devices are there: keep your own, remove what is not yours, and say so."
                                   : NULL},
            .link = "https://us-east-1.console.aws.amazon.com/iam/home#/security_credentials",
            .check =
                "AWS must show that the operator's devices are gone and that the root user is protected as before.",
            .worst = "Until then the operator's device still opens the account together with the password. Never "
                     "remove your own.",
            .undo = "Register a device again on the same page.",
            .due_hours = 120,
            .opened_ms = human_opened(s),
            .attest = needs_word,
            .data = json_make("{s:O,s:O,s:s,s:b,s:b}", "operator_devices", ours, "new_devices", strange, "account_id",
                              step_var(s, "account_id"), "needs_own", (int)needs_own, "undo", 1)});
}

static enum step_result undo(struct step *s)
{
    struct root_devices d;
    const json_t *mfa = step_undo_of(s, "root_mfa");
    uint64_t opened_ms = human_opened(s), asked_ms = (uint64_t)json_int_at(mfa, "asked_ms");
    uint64_t since_ms = asked_ms ? asked_ms : opened_ms;
    TRY(root_devices_read(s, since_ms, &d));
    json_t *ours = step_keep(s, root_devices_ours(&d, step_result_of(s, "root_mfa_handover"), since_ms));
    json_t *strange = step_keep(s, root_devices_strange(&d));
    const json_t *word = json_array_size(strange) ? human_word(s, opened_ms) : NULL;
    bool is_protected = !root_devices_had_any(&d) || root_devices_has_theirs(&d);
    if (json_array_size(ours) || !is_protected || (json_array_size(strange) && !word))
        return ask_back(s, &d, ours, strange);
    step_set(s, "root", shape_root(d.summary, d.devices));
    step_set(s, "root_seen_ms", json_integer((json_int_t)step_now(s, "root-seen")));
    step_grade(s, "probed");
    if (word)
        human_take_word(s, word);
    return STEP_DONE;
}

const struct step_def step_root_mfa_handover = {
    .name = "root_mfa_handover",
    .item = "1.4",
    .run = run,
    .undo = undo,
    .ops = OPS(&iam_get_account_summary, &iam_list_virtual_mfa_devices, &cloudtrail_lookup_events),
    .uses = "fingerprint_before",
    .version = 1,
};
