/* Whose second factor is whose, when the root user goes back to the customer. */
#include "worker/steps/root_devices.h"

#include "worker/steps/human.h"
#include "worker/steps/ownership.h"

#define ROOT_DEVICES_PAGE "https://us-east-1.console.aws.amazon.com/iam/home#/security_credentials"

/* Two codes that were typed wrongly leave an event, too. */
static bool has_failed(const json_t *event)
{
    return *json_str_at(event, "error") != 0;
}

/* Serials of root's registrations in that time, but for those that the hand-over named as ours: CloudTrail counts whole
 * seconds, and an undo may begin in the very second of our own registration. New reference. */
static json_t *enabled_between(const json_t *events, const json_t *ours, uint64_t since_ms, uint64_t until_ms)
{
    json_t *serials = json_array(), *event = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event) {
        json_auto_t *one = json_make("[O]", event);
        const char *serial = json_str_at(event, "request.serialNumber");
        bool is_known = !*serial || json_array_has_str(ours, serial) || json_array_has_str(serials, serial);
        if (!is_known && !has_failed(event) && (uint64_t)json_int_at(event, "at_ms") < until_ms &&
            human_event(one, "EnableMFADevice", "Root", since_ms))
            json_array_append_new(serials, json_string(serial));
    }
    return serials;
}

enum step_result root_devices_read(struct step *s, uint64_t since_ms, struct root_devices *ret)
{
    const json_t *taken = step_result_of(s, "fingerprint_before");
    *ret = (struct root_devices){.before = human_root_before(taken), .taken_ms = human_taken_ms(taken)};
    /* First whether there is any, then which: asked at once, the list could be older than the answer. */
    TRY(step_call(s, "look", &iam_get_account_summary, NULL, &ret->summary));
    enum step_result all = step_call(s, "devices", &iam_list_virtual_mfa_devices,
                                     json_make("{s:s}", "AssignmentStatus", "Assigned"), &ret->devices);
    step_also(&all, step_events(s, "", 30000, &ret->events));
    TRY(all);
    ret->listed = step_keep(s, human_root_devices(ret->devices));
    const json_t *ours = json_object_get(step_result_of(s, "root_mfa_handover"), "operator_devices");
    ret->enabled = step_keep(s, enabled_between(ret->events, ours, since_ms, UINT64_MAX));
    return STEP_DONE;
}

bool root_devices_had_any(const struct root_devices *d)
{
    return json_bool_at(d->before, "mfa");
}

static bool was_before(const struct root_devices *d, const char *serial)
{
    return json_array_has_str(json_object_get(d->before, "devices"), serial);
}

/* The last word on a serial counts: a device of the same name that went before (in an import before this one, say) and
 * came again is there. Events come newest last. */
static bool is_gone(const json_t *events, const char *serial, uint64_t since_ms)
{
    bool is_gone_now = false;
    size_t i = 0;
    json_t *event = NULL;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event) {
        if (!str_eq(json_str_at(event, "request.serialNumber"), serial) || has_failed(event))
            continue;
        json_auto_t *one = json_make("[O]", event);
        if (human_event(one, "DeactivateMFADevice", "Root", since_ms))
            is_gone_now = true;
        else if (human_event(one, "EnableMFADevice", "Root", since_ms))
            is_gone_now = false;
    }
    return is_gone_now;
}

bool root_devices_has_theirs(const struct root_devices *d)
{
    size_t i = 0;
    json_t *one = NULL;
    if (json_int_at(d->summary, "summary.AccountMFAEnabled") == 0)
        return false;
    json_array_foreach (d->listed, i, one)
        if (was_before(d, json_string_value(one)))
            return true;
    json_array_foreach (d->enabled, i, one)
        if (!is_gone(d->events, json_string_value(one), 0))
            return true;
    return false;
}

static bool is_listed_kind(const char *serial)
{
    return strstr(serial, ":mfa/") != NULL;
}

/* Keys and passkeys that the root user registered in that time and that no event tells to be gone. */
static void add_unlisted(json_t *serials, const json_t *events, uint64_t since_ms, uint64_t until_ms)
{
    json_auto_t *all = enabled_between(events, serials, since_ms, until_ms);
    json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (all, i, one)
        if (!is_listed_kind(json_string_value(one)) && !is_gone(events, json_string_value(one), 0))
            json_array_append(serials, one);
}

json_t *root_devices_ours(const struct root_devices *d, const json_t *handover, uint64_t since_ms)
{
    json_t *ours = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (d->listed, i, one)
        if (!was_before(d, json_string_value(one)) && !json_array_has_str(d->enabled, json_string_value(one)))
            json_array_append(ours, one);
    json_array_foreach (json_object_get(handover, "operator_devices"), i, one) {
        const char *serial = json_string_value(one);
        if (!is_listed_kind(serial) && !was_before(d, serial) && !is_gone(d->events, serial, since_ms))
            json_array_append(ours, one);
    }
    add_unlisted(ours, d->events, d->taken_ms, since_ms); /* the operator's second key, say, which no hand-over named */
    return ours;
}

json_t *root_devices_strange(const struct root_devices *d)
{
    json_t *strange = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (d->enabled, i, one) {
        const char *serial = json_string_value(one);
        bool is_there = is_listed_kind(serial) ? json_array_has_str(d->listed, serial) : !is_gone(d->events, serial, 0);
        if (is_there && !was_before(d, serial))
            json_array_append(strange, one);
    }
    return strange;
}

/* ---- What is left at the end of an undo ---- */
/* Takes `what`. The root user is the customer's again: nobody else can remove anything there. */
static void remain(json_t *list, json_t *what, const char *command)
{
    json_auto_t *text = what;
    ownership_remains(list, json_string_value(text), "customer", command);
    ownership_remains_in(list, "iam.account", "root");
}

/* In `a` and not in `b`. New reference. */
static json_t *only_in(const json_t *a, const json_t *b)
{
    json_t *only = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)a, i, one)
        if (!json_array_has_str(b, json_string_value(one)))
            json_array_append(only, one);
    return only;
}

json_t *root_devices_remain(const struct root_end *end)
{
    const json_t *had = json_object_get(end->had, "devices"), *has = json_object_get(end->has, "devices");
    json_t *list = json_array(), *one = NULL;
    json_auto_t *come = only_in(has, had), *gone = only_in(had, has);
    size_t i = 0;
    add_unlisted(come, end->events, end->taken_ms, UINT64_MAX);
    json_array_foreach (come, i, one) {
        const char *serial = json_string_value(one);
        bool is_operators = json_array_has_str(end->ours, serial);
        remain(list,
               json_sprintf("%s %s on the root user, which was not there before",
                            is_operators ? "the operator's second factor" : "second factor", serial),
               is_operators ? "remove it: " ROOT_DEVICES_PAGE
                            : "keep it if it is yours, else remove it: " ROOT_DEVICES_PAGE);
    }
    json_array_foreach (gone, i, one)
        remain(list,
               json_sprintf("second factor %s of the root user is not registered any more", json_string_value(one)),
               "register it again if it is still wanted: " ROOT_DEVICES_PAGE);
    if (json_bool_at(end->has, "access_keys") && !json_bool_at(end->had, "access_keys"))
        remain(list, json_string("access keys of the root user, which had none before"),
               "delete them: " ROOT_DEVICES_PAGE);
    if (!json_bool_at(end->has, "mfa") && json_bool_at(end->had, "mfa"))
        remain(list, json_string("the root user has no second factor, and had one before"),
               "register one at once: " ROOT_DEVICES_PAGE);
    return list;
}
