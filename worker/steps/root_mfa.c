/* root_mfa: from now on only the operator's second factor protects the root user.   Process item 2.2.   Undo: people
 * register the customer's device again.
 *
 *   classic  the root user has a second factor again; the exposure clock stops
 *   overlap  every device that is not ours is gone
 *
 * In both: the root user has no access keys, which would pass every second factor by. */
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/iam.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"
#include "worker/steps/root_devices.h"

#define CONSOLE "https://us-east-1.console.aws.amazon.com/iam/home#/security_credentials"

struct look {
    const json_t *summary, *devices, *events; /* as read now */
    json_t *serials;                          /* root's virtual devices now */
    const json_t *handover, *before;          /* root_mfa_handover's result; root before everything */
    bool is_classic;
    uint64_t handed_ms; /* the customer's part was opened then at the earliest */
};

static const char *keepers(struct step *s)
{
    const json_t *names = json_at(step_import(s), "vars.custodians");
    if (json_array_size(names) < 2)
        return "two different people";
    return step_text(s, "%s and %s", json_string_value(json_array_get(names, 0)),
                     json_string_value(json_array_get(names, 1)));
}

static enum step_result ask_classic(struct step *s)
{
    return human_ask(
        s, &(struct human_task){
               .party = "operator",
               .title = "Protect the root user with a second factor, now",
               .actions = {"Do this at once: until then the password alone opens the account.",
                           "Sign in as the root user with the new password and open the page behind the link.",
                           "Press \"Assign MFA device\" and register the operator's first device.",
                           step_text(s, "Register a second device. The two are kept apart by %s.", keepers(s))},
               .link = CONSOLE,
               .check = "AWS must say that the root user has a second factor. We look every minute; the exposure clock "
                        "stops then.",
               .worst = "If both devices are lost, only AWS Support can open the account again: hence two devices in "
                        "two places.",
               .undo = "Remove a device on the same page.",
               .due_hours = 24,
               .opened_ms = human_opened(s),
               .data = json_make("{s:s,s:s}", "mode", "classic", "account_id", step_var(s, "account_id"))});
}

static enum step_result ask_overlap(struct step *s, const json_t *theirs)
{
    return human_ask(
        s, &(struct human_task){
               .party = "operator",
               .title = "Remove the customer's second factor from the root user",
               .actions =
                   {"Sign in as the root user with the operator's own device and open the page behind the link.",
                    step_text(s, "Register a second device first. The two are kept apart by %s.", keepers(s)),
                    "Under \"Multi-factor authentication\" select each device that is the customer's and press Remove.",
                    "Tell the customer that the old device can be deleted."},
               .link = CONSOLE,
               .check = "AWS must show that the customer's devices are gone and that the root user is still protected.",
               .worst =
                   "If the wrong device is removed, the other one still opens the account: never remove the last one.",
               .undo = "Register the customer's device again on the same page.",
               .due_hours = 24,
               .opened_ms = human_opened(s),
               .data = json_make("{s:s,s:s,s:O}", "mode", "overlap", "account_id", step_var(s, "account_id"),
                                 "devices_to_remove", theirs)});
}

/* The customer's devices that are still there: those of before. New reference. */
static json_t *theirs_of(const struct look *l)
{
    const json_t *had = json_object_get(l->before, "devices"), *ours = json_object_get(l->handover, "operator_devices");
    json_t *left = json_array(), *serial = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)l->serials, i, serial) {
        if (json_array_has_str(had, json_string_value(serial)) && !json_array_has_str(ours, json_string_value(serial)))
            json_array_append(left, serial);
    }
    return left;
}

/* A hardware key or passkey is on no list: that it went is only told by an event. Needed when the customer had a second
 * factor and none of it was a virtual device. */
static bool is_unlisted_left(const struct look *l)
{
    bool had_listed = json_array_size(json_object_get(l->before, "devices")) > 0;
    bool had_any = json_bool_at(l->before, "mfa");
    return had_any && !had_listed && !human_event(l->events, "DeactivateMFADevice", "Root", l->handed_ms);
}

/* Ours as far as anything tells: handed over, listed now, or enabled by root since. */
static size_t count_ours(const struct look *l)
{
    json_auto_t *seen = json_object();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(l->handover, "operator_devices"), i, one)
        json_object_set_new(seen, json_string_value(one), json_true());
    json_array_foreach (l->serials, i, one)
        json_object_set_new(seen, json_string_value(one), json_true());
    json_array_foreach ((json_t *)(uintptr_t)l->events, i, one) {
        bool is_new = str_eq(json_str_at(one, "name"), "EnableMFADevice") &&
                      str_eq(json_str_at(one, "user_type"), "Root") &&
                      (uint64_t)json_int_at(one, "at_ms") + 1000 > l->handed_ms;
        if (is_new && json_str_at(one, "request.serialNumber")[0])
            json_object_set_new(seen, json_str_at(one, "request.serialNumber"), json_true());
    }
    return json_object_size(seen);
}

static enum step_result finish(struct step *s, const struct look *l)
{
    const char *name = l->is_classic ? "EnableMFADevice" : "DeactivateMFADevice";
    const json_t *event = human_event(l->events, name, "Root", l->handed_ms);
    uint64_t seen_ms = step_now(s, "protected");
    if (l->is_classic)
        step_set(s, "exposure_closed_ms", json_integer(event ? json_int_at(event, "at_ms") : (json_int_t)seen_ms));
    if (count_ours(l) < 2)
        step_warn(s,
                  "we see fewer than two second factors of the root user; register another one, kept by somebody else");
    step_set_str(s, "mode", l->is_classic ? "classic" : "overlap");
    step_set(s, "root", shape_root(l->summary, l->devices));
    if (event)
        step_set(s, "evidence", human_evidence(event));
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    struct look l = {.handover = step_result_of(s, "root_mfa_handover"),
                     .before = human_root_before(step_result_of(s, "fingerprint_before"))};
    l.is_classic = str_eq(json_str_at(l.handover, "mode"), "classic");
    l.handed_ms = (uint64_t)json_int_at(l.handover, l.is_classic ? "exposure_opened_ms" : "opened_ms");
    /* First whether there is any, then which: asked at once, the list could be older than the answer, and the result
     * would declare a root user without the devices that were registered in between. */
    TRY(step_call(s, "look", &iam_get_account_summary, NULL, &l.summary));
    if (json_int_at(l.summary, "summary.AccountMFAEnabled") == 0)
        return ask_classic(s);
    enum step_result all = step_call(s, "devices", &iam_list_virtual_mfa_devices,
                                     json_make("{s:s}", "AssignmentStatus", "Assigned"), &l.devices);
    step_also(&all, step_events(s, "", 30000, &l.events));
    TRY(all);

    l.serials = step_keep(s, human_root_devices(l.devices));
    json_t *theirs = step_keep(s, theirs_of(&l));
    if (!l.is_classic && (json_array_size(theirs) || is_unlisted_left(&l)))
        return ask_overlap(s, theirs);
    if (json_int_at(l.summary, "summary.AccountAccessKeysPresent") != 0)
        return step_fail(s, ERR_ROOT_KEYS,
                         "the root user of account %s has access keys, which pass every second factor by: ask whether "
                         "anything still "
                         "uses them, deactivate them on " CONSOLE ", and delete them",
                         step_var(s, "account_id"));
    return finish(s, &l);
}

/* ---- Undo: the customer's device is registered beside ours; ours go with root_mfa_handover ---- */

static enum step_result ask_back(struct step *s)
{
    return human_ask(
        s, &(struct human_task){
               .party = "customer+operator",
               .title = "Register the customer's second factor again beside the operator's",
               .actions = {"Meet in a short call with screen sharing. Nothing is removed yet.",
                           "Operator: sign in as the root user and open the page behind the link.",
                           "Operator: press \"Assign MFA device\", choose \"Authenticator app\" and show the QR code.",
                           "Customer: scan the code with your own device and read out two codes, one after the other.",
                           "Operator: type both codes and save. The operator's devices stay for the moment."},
               .link = CONSOLE,
               .check = "AWS must show that the root user registered a further device after this task was opened.",
               .worst = "If a device is registered that nobody keeps, it has to be removed again. The root user is "
                        "protected all the time.",
               .undo = "Remove the new device on the same page.",
               .due_hours = 120,
               .opened_ms = human_opened(s),
               .data = json_make("{s:s,s:b}", "account_id", step_var(s, "account_id"), "undo", 1)});
}

static enum step_result undo(struct step *s)
{
    struct root_devices d;
    uint64_t opened_ms = human_opened(s);
    TRY(root_devices_read(s, opened_ms, &d));
    if (!root_devices_had_any(&d)) { /* there is nothing to give back */
        step_set_str(s, "before", "no second factor");
        return STEP_DONE;
    }
    if (!root_devices_has_theirs(&d))
        return ask_back(s);
    step_set(s, "asked_ms", json_integer((json_int_t)opened_ms));
    step_set(s, "customer_devices", json_incref(d.enabled));
    step_grade(s, json_array_size(d.enabled) ? "cloudtrail" : "probed");
    return STEP_DONE;
}

static json_t *expects(const json_t *import, const json_t *before, const json_t *result)
{
    (void)import;
    json_t *root = json_object_get(result, "root");
    return root ? shape_put(json_array(), before, "iam.account", "root", json_incref(root)) : NULL;
}

const struct step_def step_root_mfa = {
    .name = "root_mfa",
    .item = "2.2",
    .run = run,
    .undo = undo,
    .expects = expects,
    .ops = OPS(&iam_get_account_summary, &iam_list_virtual_mfa_devices, &cloudtrail_lookup_events),
    .uses = "root_mfa_handover,fingerprint_before",
    .version = 1,
};
