/* What people and foreign programs do to a world, by name. Each act changes the state as the console would and leaves
 * the CloudTrail event that real AWS leaves, by root or by the user who did it. Acts may be repeated: a person who is
 * told twice to do a thing finds it done. To add one: a function and a line in `acts`, and a row in README.md. */
#include "acts.h"

#include <stdio.h>

const char *act_arg(const json_t *args, const char *name, const char *otherwise)
{
    const char *text = svc_text(args, name);
    return text[0] != '\0' ? text : otherwise;
}

void act_root_event(struct sim_world *w, const char *name, const char *source, json_t *request, json_t *response)
{
    char arn[64];
    (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:root", w->account);
    sim_trail(w, name, source, "Root", arn, "", request, response, svc_timing(w, "trail_ms", 300));
}

json_t *act_map(struct sim_world *w, const char *a, const char *b)
{
    json_t *section = sim_section(w, a);
    json_t *map = json_object_get(section, b);
    if (map == NULL) {
        map = json_object();
        json_object_set_new(section, b, map);
    }
    return map;
}

static json_t *now_text(void)
{
    char text[32];
    sim_rfc3339(sim_now_ms(), text);
    return json_string(text);
}

/* ---- The customer
 * ------------------------------------------------------------------------------------------------------ */

static const char *customer_bootstrap_role(struct sim_world *w, const json_t *args)
{
    const char *role = act_arg(args, "role", "OrgImportBootstrap"), *external_id = act_arg(args, "external_id", "");
    const char *trusted = act_arg(args, "operator_account_id", "999900000001");
    json_t *roles = act_map(w, "iam", "roles"), *old = json_object_get(roles, role);
    json_t *trust =
        svc_textf("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:"
                  "iam::%s:root\"},"
                  "\"Action\":[\"sts:AssumeRole\",\"sts:SetSourceIdentity\"],\"Condition\":{\"StringEquals\":{\"sts:"
                  "ExternalId\":\"%s\"}}}]}",
                  trusted, external_id);
    if (old != NULL) {
        json_object_set_new(old, "AssumeRolePolicyDocument", trust);
        act_user_event(w, "jane.doe", "UpdateAssumeRolePolicy", "iam.amazonaws.com",
                       json_pack("{s:s}", "roleName", role));
        return NULL;
    }
    json_t *made =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:[], s:[s], s:{}}", "Path", "/", "RoleName", role, "RoleId",
                  json_string("AROABOOTSTRAPROLE2345"), "Arn", svc_textf("arn:aws:iam::%s:role/%s", w->account, role),
                  "CreateDate", now_text(), "AssumeRolePolicyDocument", trust, "MaxSessionDuration", 3600, "Tags",
                  "attached", "arn:aws:iam::aws:policy/AdministratorAccess", "inline");
    json_object_set_new(made, "usable_ms",
                        json_integer((json_int_t)(sim_now_ms() + svc_timing(w, "role_settles_ms", 200))));
    json_object_set_new(roles, role, made);
    act_user_event(w, "jane.doe", "CreateRole", "iam.amazonaws.com",
                   json_pack("{s:s, s:O}", "roleName", role, "assumeRolePolicyDocument", trust));
    act_user_event(
        w, "jane.doe", "AttachRolePolicy", "iam.amazonaws.com",
        json_pack("{s:s, s:s}", "roleName", role, "policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"));
    return NULL;
}

static const char *customer_root_email(struct sim_world *w, const json_t *args)
{
    const char *email = act_arg(args, "email", "");
    json_t *organization = json_object_get(w->state, "organization");
    json_t *account = json_object_get(json_object_get(w->state, "accounts"), w->account);
    size_t bytes = strlen(email);
    if (strchr(email, '@') == NULL || bytes < 6 || bytes > 64)
        return "an email address of 6 to 64 characters is needed";
    if (svc_is(svc_text(sim_section(w, "root"), "email"), email))
        return NULL;
    json_object_set_new(sim_section(w, "root"), "email", json_string(email));
    json_object_set_new(sim_section(w, "root"), "email_verified", json_false());
    if (organization != NULL)
        json_object_set_new(organization, "MasterAccountEmail", json_string(email));
    if (account != NULL)
        json_object_set_new(account, "Email", json_string(email));
    act_root_event(w, "EmailUpdated", "signin.amazonaws.com", NULL, json_pack("{s:s}", "EmailUpdated", "Success"));
    return NULL;
}

/* Removes root's devices; with `keep` those stay that are the operator's of that hand-over: "" of any, "-2" of the
 * second. */
static void root_devices_remove(struct sim_world *w, const char *keep)
{
    json_t *root = sim_section(w, "root"), *devices = json_object_get(root, "mfa_devices");
    for (size_t i = json_array_size(devices); i-- > 0;) {
        const char *serial = svc_text(json_array_get(devices, i), "SerialNumber");
        size_t bytes = strlen(serial), mark = keep != NULL ? strlen(keep) : 0;
        if (keep != NULL && strstr(serial, ":mfa/operator-") != NULL && bytes > mark &&
            strcmp(serial + bytes - mark, keep) == 0)
            continue;
        act_root_event(w, "DeactivateMFADevice", "iam.amazonaws.com",
                       json_pack("{s:s, s:s}", "userName", "AWS ROOT USER", "serialNumber", serial), NULL);
        json_array_remove(devices, i);
    }
}

static const char *customer_root_mfa_off(struct sim_world *w, const json_t *args)
{
    (void)args;
    root_devices_remove(w, NULL);
    return NULL;
}

static const char *customer_root_mfa_leave(struct sim_world *w, const json_t *args)
{
    root_devices_remove(w, act_arg(args, "mark", ""));
    return NULL;
}

static const char *customer_billing_access_on(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_set_new(sim_section(w, "billing"), "iam_access", json_true());
    act_root_event(w, "SetIAMAccessPreference", "billingconsole.amazonaws.com", json_pack("{s:b}", "activated", 1),
                   NULL);
    return NULL;
}

/* IAM has no rename: the role is made anew under another name and the old one deleted. */
static const char *customer_rename_role(struct sim_world *w, const json_t *args)
{
    const char *from = act_arg(args, "role", "DOITINTL_CMP"), *to = act_arg(args, "to", "legacy-cmp");
    json_t *roles = act_map(w, "iam", "roles"), *old = json_object_get(roles, from);
    if (old == NULL)
        return json_object_get(roles, to) != NULL ? NULL : "there is no such role";
    json_t *made = json_deep_copy(old);
    json_object_set_new(made, "RoleName", json_string(to));
    json_object_set_new(made, "Arn", svc_textf("arn:aws:iam::%s:role/%s", w->account, to));
    json_object_set_new(made, "RoleId", json_string("AROARENAMEDROLE234567"));
    json_object_set_new(roles, to, made);
    json_object_del(roles, from);
    act_user_event(w, "jane.doe", "CreateRole", "iam.amazonaws.com", json_pack("{s:s}", "roleName", to));
    act_user_event(w, "jane.doe", "DeleteRole", "iam.amazonaws.com", json_pack("{s:s}", "roleName", from));
    return NULL;
}

static const char *key_status(struct sim_world *w, const char *status)
{
    const json_t *customer = json_object_get(w->state, "customer");
    const char *name, *key_id = svc_text(customer, "access_key_id");
    json_t *user;
    json_object_foreach (act_map(w, "iam", "users"), name, user) {
        json_t *key = json_object_get(json_object_get(user, "access_keys"), key_id);
        if (key == NULL)
            continue;
        json_object_set_new(key, "Status", json_string(status));
        act_user_event(w, "jane.doe", "UpdateAccessKey", "iam.amazonaws.com",
                       json_pack("{s:s, s:s, s:s}", "userName", name, "accessKeyId", key_id, "status", status));
        return NULL;
    }
    return "there is no such key";
}

static const char *customer_key_deactivate(struct sim_world *w, const json_t *args)
{
    (void)args;
    return key_status(w, "Inactive");
}

static const char *customer_key_activate(struct sim_world *w, const json_t *args)
{
    (void)args;
    return key_status(w, "Active");
}

/* Another key for the user that was handed over: what a new hand-over needs. The world's description shows it. */
static const char *customer_new_key(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "user", "doit-onboarding");
    json_t *user = json_object_get(act_map(w, "iam", "users"), name), *keys = json_object_get(user, "access_keys");
    json_t *customer = sim_section(w, "customer");
    char key_id[21], secret[41];
    if (user == NULL)
        return "there is no such user";
    if (json_object_size(keys) >= 2)
        json_object_del(keys, svc_text(customer, "access_key_id"));
    sim_key_id("AKIA", w->account, key_id);
    sim_secret_key(secret);
    json_object_set_new(keys, key_id,
                        json_pack("{s:s, s:s, s:o}", "secret", secret, "Status", "Active", "CreateDate", now_text()));
    json_object_set_new(customer, "access_key_id", json_string(key_id));
    json_object_set_new(customer, "secret_access_key", json_string(secret));
    act_user_event(w, "jane.doe", "CreateAccessKey", "iam.amazonaws.com", json_pack("{s:s}", "userName", name));
    return NULL;
}

static const char *customer_delete_root_keys(struct sim_world *w, const json_t *args)
{
    (void)args;
    const char *key_id;
    json_t *key;
    json_t *keys = json_object_get(sim_section(w, "root"), "access_keys");
    json_object_foreach (keys, key_id, key)
        act_root_event(w, "DeleteAccessKey", "iam.amazonaws.com", json_pack("{s:s}", "accessKeyId", key_id), NULL);
    json_object_clear(keys);
    return NULL;
}

static const char *customer_attach_admin(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "user", "doit-onboarding");
    json_t *user = json_object_get(act_map(w, "iam", "users"), name);
    if (user == NULL)
        return "there is no such user";
    json_array_append_new(json_object_get(user, "attached"),
                          json_string("arn:aws:iam::aws:policy/AdministratorAccess"));
    act_user_event(
        w, "jane.doe", "AttachUserPolicy", "iam.amazonaws.com",
        json_pack("{s:s, s:s}", "userName", name, "policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"));
    return NULL;
}

static const char *customer_close_invitations(struct sim_world *w, const json_t *args)
{
    (void)args;
    size_t i;
    json_t *one;
    json_array_foreach (sim_at(w, "handshakes.organization"), i, one) {
        json_object_set_new(one, "State", json_string("CANCELED"));
        act_user_event(w, "jane.doe", "CancelHandshake", "organizations.amazonaws.com",
                       json_pack("{s:s}", "handshakeId", svc_text(one, "Id")));
    }
    return NULL;
}

/* ---- The operator
 * ------------------------------------------------------------------------------------------------------ */

static const char *operator_device(struct sim_world *w, const char *custodian, const char *mark)
{
    json_t *root = sim_section(w, "root"), *devices = json_object_get(root, "mfa_devices");
    char serial[96];
    (void)snprintf(serial, sizeof serial, "arn:aws:iam::%s:mfa/operator-%s%.8s", w->account, custodian, mark);
    if (devices == NULL) {
        devices = json_array();
        json_object_set_new(root, "mfa_devices", devices);
    }
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (svc_is(svc_text(json_array_get(devices, i), "SerialNumber"), serial))
            return NULL;
    if (json_array_size(devices) >= 8)
        return "root has eight devices already";
    json_array_append_new(devices,
                          json_pack("{s:s, s:o, s:b}", "SerialNumber", serial, "EnableDate", now_text(), "virtual", 1));
    act_root_event(w, "EnableMFADevice", "iam.amazonaws.com",
                   json_pack("{s:s, s:s}", "userName", "AWS ROOT USER", "serialNumber", serial), NULL);
    return NULL;
}

static const char *operator_root_mfa_on(struct sim_world *w, const json_t *args)
{
    const char *mark = act_arg(args, "mark", "");
    const char *why = operator_device(w, "security", mark);
    return why ? why : operator_device(w, "operations", mark);
}

static const char *operator_root_password(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_set_new(sim_section(w, "root"), "password_changed_ms", json_integer((json_int_t)sim_now_ms()));
    act_root_event(w, "PasswordUpdated", "signin.amazonaws.com", NULL,
                   json_pack("{s:s}", "PasswordUpdated", "Success"));
    return NULL;
}

static const char *operator_payment_method(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_set_new(sim_section(w, "billing"), "payment",
                        json_pack("{s:s}", "description", act_arg(args, "description", "operator's")));
    act_root_event(w, "Instruments_Create", "payments.amazonaws.com",
                   json_pack("{s:s}", "instrumentType", "BANK_ACCOUNT"), NULL);
    act_root_event(w, "Preferences_UpdatePaymentProfile", "payments.amazonaws.com", NULL, NULL);
    return NULL;
}

/* AWS has no read and no event for it: only the simulator knows. */
static const char *operator_org_email_verify(struct sim_world *w, const json_t *args)
{
    (void)args;
    json_object_set_new(sim_section(w, "root"), "email_verified", json_true());
    return NULL;
}

/* By hand in the console, for countries and states that the interface does not take. Without an entry the address alone
 * is set, which no call shows. */
static const char *operator_tax_by_hand(struct sim_world *w, const json_t *args)
{
    json_t *entry = json_object_get(args, "entry"), *accounts = act_map(w, "tax", "accounts");
    if (entry != NULL) {
        json_t *one = json_object_get(accounts, w->account);
        if (one == NULL) {
            one = json_object();
            json_object_set_new(accounts, w->account, one);
        }
        json_object_set(one, "entry", entry);
        json_object_set_new(one, "status", json_string("Verified"));
        json_object_del(one, "settles_ms");
    }
    act_root_event(w, "PutTaxRegistration", "tax.amazonaws.com", NULL, NULL);
    return NULL;
}

/* AWS's partner team makes the relationship on request. */
static const char *aws_partner_program(struct sim_world *w, const json_t *args)
{
    struct sim_world *partner = sim_world_by_account(act_arg(args, "partner_account_id", "777788889999"));
    json_t *relationships = partner ? sim_at(partner, "channel.relationships") : NULL;
    const char *key, *pma = act_arg(args, "program_management_account", "pma-doit000000001");
    json_t *one;
    char id[24];
    if (relationships == NULL)
        return "there is no partner account";
    json_object_foreach (relationships, key, one)
        if (svc_is(svc_text(one, "associatedAccountId"), w->account))
            return NULL;
    (void)snprintf(id, sizeof id, "rs-%sa", w->account);
    one = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", id, "revision", "1", "catalog", "AWS", "associationType",
        "END_CUSTOMER", "programManagementAccountId", pma, "associatedAccountId", w->account, "displayName",
        act_arg(args, "display_name", "By request"), "sector", "COMMERCIAL", "arn",
        svc_textf("arn:aws:partnercentral:us-east-1:%s:catalog/AWS/program-management-account/%s/relationship/%s",
                  partner->account, pma, id));
    json_object_set_new(one, "resaleAccountModel", json_string("END_CUSTOMER"));
    json_object_set_new(one, "createdAt", svc_seconds(sim_now_ms()));
    json_object_set_new(relationships, id, one);
    return NULL;
}

/* ---- The table
 * --------------------------------------------------------------------------------------------------------- */

static const struct act acts[] = {
    {"customer.bootstrap_role", customer_bootstrap_role},
    {"customer.root_email", customer_root_email},
    {"customer.root_mfa_off", customer_root_mfa_off},
    {"customer.root_mfa_leave", customer_root_mfa_leave},
    {"customer.billing_access_on", customer_billing_access_on},
    {"customer.rename_role", customer_rename_role},
    {"customer.key_deactivate", customer_key_deactivate},
    {"customer.key_activate", customer_key_activate},
    {"customer.new_key", customer_new_key},
    {"customer.delete_root_keys", customer_delete_root_keys},
    {"customer.attach_admin", customer_attach_admin},
    {"customer.close_invitations", customer_close_invitations},
    {"operator.root_mfa_on", operator_root_mfa_on},
    {"operator.root_password", operator_root_password},
    {"operator.payment_method", operator_payment_method},
    {"operator.org_email_verify", operator_org_email_verify},
    {"operator.tax_by_hand", operator_tax_by_hand},
    {"aws.partner_program", aws_partner_program},
};

const char *sim_act(struct sim_world *w, const char *what, const json_t *args)
{
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (svc_is(acts[i].name, what))
            return acts[i].run(w, args);
    for (const struct act *act = undo_acts; act->name != NULL; act++)
        if (svc_is(act->name, what))
            return act->run(w, args);
    for (const struct act *act = rights_acts; act->name != NULL; act++)
        if (svc_is(act->name, what))
            return act->run(w, args);
    for (const struct act *act = foreign_acts; act->name != NULL; act++)
        if (svc_is(act->name, what))
            return act->run(w, args);
    for (const struct act *act = drift_acts; act->name != NULL; act++)
        if (svc_is(act->name, what))
            return act->run(w, args);
    return "nobody knows how to do that; tests/awssim/README.md lists the acts";
}
