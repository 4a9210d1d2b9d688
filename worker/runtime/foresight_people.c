/* What people will have done once their task is open, and what AWS does by itself: so that the steps after them can be
 * foreseen. Nothing here is believed when it really happens: the real run looks for itself. */
#include "worker/runtime/foresight_private.h"

#define DEVICE "mfa/(the operator's device %lld)"

/* ---- Effects ---- */

SEE(see_root_email)
{
    if (read_is(r, "organizations:DescribeOrganization") && json_is_object(facts))
        json_put_str(facts, "master_email", json_str_at(w->args, "email"));
    return facts;
}

static bool is_of_root(const json_t *device)
{
    return str_ends(json_str_at(device, "user_arn"), ":root");
}

static json_t *root_event(const struct foresight_write *w, const char *name, const char *serial)
{
    return json_make("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:{s:s}, s:{}}", "id", FORESIGHT_UNKNOWN, "name", name,
                     "source", "iam.amazonaws.com", "user_type", "Root", "at_ms", (json_int_t)w->at_ms, "user", "root",
                     "ip", "", "request", "serialNumber", serial, "response");
}

SEE(see_root_device_on)
{
    const char *account = json_str_at(r->import, "vars.account_id");
    json_auto_t *serial = json_sprintf("arn:aws:iam::%s:" DEVICE, account, (long long)json_int_at(w->args, "number"));
    json_auto_t *user = json_sprintf("arn:aws:iam::%s:root", account);
    if (read_is(r, "iam:GetAccountSummary") && facts)
        json_put_int(json_object_get(facts, "summary"), "AccountMFAEnabled", 1);
    if (read_is(r, "iam:ListVirtualMFADevices") && facts)
        (void)json_array_append_new(json_object_get(facts, "devices"),
                                    json_make("{s:O, s:O}", "serial", serial, "user_arn", user));
    if (read_is(r, "runtime:events") && json_is_array(facts))
        (void)json_array_append_new(facts, root_event(w, "EnableMFADevice", json_string_value(serial)));
    return facts;
}

/* args.devices: these; without it all of them, and the root user has no second factor then. */
SEE(see_root_devices_off)
{
    const json_t *which = json_object_get(w->args, "devices");
    if (read_is(r, "iam:GetAccountSummary") && facts && !which)
        json_put_int(json_object_get(facts, "summary"), "AccountMFAEnabled", 0);
    if (read_is(r, "runtime:events") && json_is_array(facts))
        (void)json_array_append_new(facts, root_event(w, "DeactivateMFADevice", ""));
    if (!read_is(r, "iam:ListVirtualMFADevices") || !facts)
        return facts;
    json_t *devices = json_object_get(facts, "devices");
    for (size_t i = json_array_size(devices); i-- > 0;) {
        const json_t *one = json_array_get(devices, i);
        if (is_of_root(one) && (!which || json_array_has_str(which, json_str_at(one, "serial"))))
            (void)json_array_remove(devices, i);
    }
    return facts;
}

SEE(see_event)
{
    if (!read_is(r, "runtime:events") || !json_is_array(facts))
        return facts;
    json_t *event = root_event(w, json_str_at(w->args, "name"), "");
    json_put_str(event, "source", json_str_at(w->args, "source"));
    if (json_has(w->args, "response"))
        json_put(event, "response", json_deep_copy(json_at(w->args, "response")));
    (void)json_array_append_new(facts, event);
    return facts;
}

/* ---- Who does what ---- */

static void do_root_email(struct foresight *f, const json_t *task)
{
    foresight_add(f, "person:root_email", json_make("{s:s}", "email", json_str_at(task, "data.root_email")));
}

static void add_device(struct foresight *f, int number)
{
    foresight_add(f, "person:root_device_on", json_make("{s:i}", "number", number));
}

static void do_mfa_handover(struct foresight *f, const json_t *task)
{
    if (str_eq(json_str_at(task, "data.mode"), "classic"))
        foresight_add(f, "person:root_devices_off", json_object());
    else
        add_device(f, 1);
}

static void do_root_mfa(struct foresight *f, const json_t *task)
{
    if (str_eq(json_str_at(task, "data.mode"), "classic"))
        add_device(f, 1);
    else
        foresight_add(f, "person:root_devices_off",
                      json_make("{s:O?}", "devices", json_at(task, "data.devices_to_remove")));
    add_device(f, 2); /* both tasks ask for a second one, kept elsewhere */
}

static void do_root_password(struct foresight *f, const json_t *task)
{
    (void)task;
    foresight_add(f, "person:event",
                  json_make("{s:s, s:s, s:{s:s}}", "name", "PasswordUpdated", "source", "signin.amazonaws.com",
                            "response", "PasswordUpdated", "Success"));
}

static void do_payment(struct foresight *f, const json_t *task)
{
    (void)task;
    foresight_add(f, "person:event",
                  json_make("{s:s, s:s}", "name", "Instruments_Create", "source", "payments.amazonaws.com"));
}

static void do_tax(struct foresight *f, const json_t *task)
{
    (void)task;
    foresight_add(f, "person:tax_country",
                  json_make("{s:s}", "country", json_str_at(foresight_import(f), "vars.tax.country")));
}

static void do_word(struct foresight *f, const json_t *task)
{
    (void)f;
    (void)task; /* what they say is all there is */
}

static const struct doing {
    const char *step;
    void (*act)(struct foresight *f, const json_t *task);
} doings[] = {
    {"mailbox_ready", do_word},          {"root_email", do_root_email}, {"root_mfa_handover", do_mfa_handover},
    {"root_password", do_root_password}, {"root_mfa", do_root_mfa},     {"partner_program", do_word},
    {"payment_method", do_payment},      {"tax_profile", do_tax},       {"org_email_verify", do_word},
};

bool foresight_person(struct foresight *f, const char *step, const json_t *task, json_t *signals)
{
    for (size_t i = 0; i < ARRAY_LEN(doings); i++) {
        if (!str_eq(doings[i].step, step))
            continue;
        doings[i].act(f, task);
        json_t *done = json_make("{s:s, s:s, s:I, s:s}", "by", json_str_at(task, "party"), "note", FORESIGHT_UNKNOWN,
                                 "at_ms", (json_int_t)foresight_clock(f), "code", "");
        if (str_eq(step, "mailbox_ready"))
            json_put_str(done, "code", FORESIGHT_CODE);
        json_put(signals, "done", done);
        return true;
    }
    return false;
}

void foresight_aws(struct foresight *f, const char *step)
{
    if (str_eq(step, "tax_profile"))
        foresight_add(f, "aws:tax_verified", json_object());
}
