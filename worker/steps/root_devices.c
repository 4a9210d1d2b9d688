/* Whose second factor is whose, when the root user goes back to the customer. */
#include "worker/steps/root_devices.h"

#include "worker/steps/human.h"

/* Serials of root's registrations since then, but for those that the hand-over named as ours: CloudTrail counts whole
 * seconds, and an undo may begin in the very second of our own registration. New reference. */
static json_t *enabled_since(const json_t *events, const json_t *ours, uint64_t since_ms)
{
    json_t *serials = json_array(), *event = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event) {
        json_auto_t *one = json_make("[O]", event);
        const char *serial = json_str_at(event, "request.serialNumber");
        if (*serial && !json_array_has_str(ours, serial) && human_event(one, "EnableMFADevice", "Root", since_ms))
            json_array_append_new(serials, json_string(serial));
    }
    return serials;
}

enum step_result root_devices_read(struct step *s, uint64_t since_ms, struct root_devices *ret)
{
    *ret = (struct root_devices){.before = human_root_before(step_result_of(s, "fingerprint_before"))};
    /* First whether there is any, then which: asked at once, the list could be older than the answer. */
    TRY(step_call(s, "look", &iam_get_account_summary, NULL, &ret->summary));
    enum step_result all = step_call(s, "devices", &iam_list_virtual_mfa_devices,
                                     json_make("{s:s}", "AssignmentStatus", "Assigned"), &ret->devices);
    step_also(&all, step_events(s, "", 30000, &ret->events));
    TRY(all);
    ret->listed = step_keep(s, human_root_devices(ret->devices));
    const json_t *ours = json_object_get(step_result_of(s, "root_mfa_handover"), "operator_devices");
    ret->enabled = step_keep(s, enabled_since(ret->events, ours, since_ms));
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
        if (!str_eq(json_str_at(event, "request.serialNumber"), serial))
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
    return ours;
}
