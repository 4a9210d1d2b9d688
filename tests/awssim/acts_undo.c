/* What people do when an import is undone: the reverse of acts.c, with the events that real AWS leaves. */
#include "acts.h"

#include <stdio.h>

/* The customer registers the own device again, by root. */
static const char *customer_root_mfa_on(struct sim_world *w, const json_t *args)
{
    json_t *root = sim_section(w, "root"), *devices = json_object_get(root, "mfa_devices");
    char serial[96], now[32];
    (void)snprintf(serial, sizeof serial, "arn:aws:iam::%s:mfa/%.40s", w->account,
                   act_arg(args, "device", "root-account-mfa-device"));
    if (devices == NULL) {
        devices = json_array();
        json_object_set_new(root, "mfa_devices", devices);
    }
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (svc_is(svc_text(json_array_get(devices, i), "SerialNumber"), serial))
            return NULL;
    if (json_array_size(devices) >= 8)
        return "root has eight devices already";
    sim_rfc3339(sim_now_ms(), now);
    json_array_append_new(devices,
                          json_pack("{s:s, s:s, s:b}", "SerialNumber", serial, "EnableDate", now, "virtual", 1));
    act_root_event(w, "EnableMFADevice", "iam.amazonaws.com",
                   json_pack("{s:s, s:s}", "userName", "AWS ROOT USER", "serialNumber", serial), NULL);
    return NULL;
}

static bool is_named(const json_t *names, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach (names, i, one)
        if (svc_is(json_string_value(one), name))
            return true;
    return false;
}

/* The customer removes the operator's devices: those that are named, or all that bear the operator's name. */
static const char *customer_root_mfa_take(struct sim_world *w, const json_t *args)
{
    json_t *devices = json_object_get(sim_section(w, "root"), "mfa_devices");
    const json_t *named = json_object_get(args, "devices");
    for (size_t i = json_array_size(devices); i-- > 0;) {
        const char *serial = svc_text(json_array_get(devices, i), "SerialNumber");
        if (named != NULL ? !is_named(named, serial) : strstr(serial, ":mfa/operator-") == NULL)
            continue;
        act_root_event(w, "DeactivateMFADevice", "iam.amazonaws.com",
                       json_pack("{s:s, s:s}", "userName", "AWS ROOT USER", "serialNumber", serial), NULL);
        json_array_remove(devices, i);
    }
    return NULL;
}

static const char *customer_root_password(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_set_new(sim_section(w, "root"), "password_changed_ms", json_integer((json_int_t)sim_now_ms()));
    act_root_event(w, "PasswordRecoveryCompleted", "signin.amazonaws.com", NULL,
                   json_pack("{s:s}", "PasswordRecoveryCompleted", "Success"));
    return NULL;
}

/* The own method, which every world begins with, is the default again. */
static const char *customer_payment_method(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_del(sim_section(w, "billing"), "payment");
    act_root_event(w, "Preferences_UpdatePaymentProfile", "payments.amazonaws.com", NULL, NULL);
    return NULL;
}

static const char *customer_org_email_verify(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_set_new(sim_section(w, "root"), "email_verified", json_true());
    return NULL;
}

/* AWS's partner team ends what it made on request. */
static const char *aws_partner_program_end(struct sim_world *w, const json_t *args)
{
    struct sim_world *partner = sim_world_by_account(act_arg(args, "partner_account_id", "777788889999"));
    json_t *relationships = partner ? sim_at(partner, "channel.relationships") : NULL;
    const char *key;
    json_t *one;
    void *next;
    json_object_foreach_safe(relationships, next, key, one)
    {
        if (svc_is(svc_text(one, "associatedAccountId"), w->account))
            json_object_del(relationships, key);
    }
    return NULL;
}

const struct act undo_acts[] = {
    {"customer.root_mfa_on", customer_root_mfa_on},
    {"customer.root_mfa_take", customer_root_mfa_take},
    {"customer.root_password", customer_root_password},
    {"customer.payment_method", customer_payment_method},
    {"customer.org_email_verify", customer_org_email_verify},
    {"aws.partner_program_end", aws_partner_program_end},
    {NULL, NULL},
};
