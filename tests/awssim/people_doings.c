/* What the scripted people do for each task, forwards and on the way back: acts in their world, by the admin endpoint.
 */
#include "people.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_undone(const char *import_id)
{
    char path[200];
    long status;
    (void)snprintf(path, sizeof path, "/v1/imports/%.120s", import_id);
    json_t *import = people_get(path, &status);
    bool is = status == 200 && svc_is(svc_text(import, "state"), "undoing");
    json_decref(import);
    return is;
}

const char *people_text(const struct person *p, const char *name, const char *otherwise)
{
    const char *text = svc_text(p->data, name);
    return text[0] != '\0' ? text : otherwise;
}

/* The key of the submission came with the file. When it has ended and an undo asks for access again, the customer makes
 * another one for the same user and gives it to the upload. */
static bool hand_over_key(const struct person *p)
{
    char path[300];
    json_t *key = NULL, *one;
    size_t i;
    if (!is_undone(p->import_id) || !people_act(p, "customer.new_key", NULL))
        return false;
    json_t *list = people_worlds();
    json_array_foreach (list, i, one)
        if (svc_is(svc_text(one, "account"), p->account))
            key = json_pack("{s:s, s:s}", "access_key_id", svc_text(one, "access_key_id"), "secret_access_key",
                            svc_text(one, "secret_access_key"));
    json_decref(list);
    (void)snprintf(path, sizeof path, "/v1/imports/%.160s/credential", p->import_id);
    return key != NULL && people_put(path, key);
}

static bool do_access(const struct person *p)
{
    bool asks_for_role = strstr(svc_text(p->task, "link"), "/roles/") != NULL;
    if (!asks_for_role && !svc_is(p->access, "role"))
        return hand_over_key(p);
    return people_act(p, "customer.bootstrap_role",
                      json_pack("{s:s, s:s, s:s}", "role", people_text(p, "bootstrap_role", "OrgImportBootstrap"),
                                "operator_account_id", people_text(p, "operator_account_id", "999900000001"),
                                "external_id", people_text(p, "external_id", "")));
}

static bool do_root_email(const struct person *p)
{
    const char *email = people_text(p, "root_email", "");
    char wrong[96];
    (void)snprintf(wrong, sizeof wrong, "oops-%.60s", email);
    bool mistaken = svc_is(p->kind, "wrong_email_first") && p->tries == 0;
    if (svc_is(p->kind, "key_revoked")) /* first, so that nobody can see the new address any more */
        people_act(p, "customer.key_deactivate", NULL);
    return people_act(p, "customer.root_email", json_pack("{s:s}", "email", mistaken ? wrong : email));
}

static bool do_mfa_handover(const struct person *p)
{
    if (svc_is(p->mfa, "classic"))
        return people_act(p, "customer.root_mfa_off", NULL);
    return people_act(p, "operator.root_mfa_on",
                      json_pack("{s:s}", "mark", p->mark)); /* the customer's own device stays until root_mfa */
}

static bool do_root_password(const struct person *p)
{
    static const char *const changes[] = {"foreign.create_user", "foreign.trusted_service", "foreign.new_scp",
                                          "foreign.contact", "foreign.create_role"};
    const char *change = changes[strtoull(p->account, NULL, 10) / 1000 % 5];
    if (svc_is(p->kind, "foreign_change") && p->tries == 0)
        people_act(p, change, NULL);
    if (svc_is(p->kind, "foreign_unseen") && p->tries == 0)
        people_act(p, change, json_pack("{s:s}", "trail", "none"));
    return people_act(p, "operator.root_password", NULL);
}

static bool do_root_mfa(const struct person *p)
{
    return people_act(p, "operator.root_mfa_on", json_pack("{s:s}", "mark", p->mark)) &&
           people_act(p, "customer.root_mfa_leave", json_pack("{s:s}", "mark", p->mark));
}

static bool do_partner(const struct person *p)
{
    return people_act(p, "aws.partner_program",
                      json_pack("{s:s}", "display_name", people_text(p, "display_name", "By request")));
}

static bool do_payment(const struct person *p)
{
    return people_act(p, "operator.payment_method",
                      json_pack("{s:s}", "description", people_text(p, "description", "operator's")));
}

static bool do_tax(const struct person *p)
{
    json_t *args = json_object(), *entry = json_object_get(p->data, "entry");
    if (entry != NULL)
        json_object_set(args, "entry", entry);
    return people_act(p, "operator.tax_by_hand", args);
}

static bool do_email_verify(const struct person *p)
{
    return people_act(p, "operator.org_email_verify", NULL);
}

static bool do_billing_access(const struct person *p)
{
    return !svc_is(p->kind, "no_admin") && people_act(p, "customer.billing_access_on", NULL);
}

static bool do_nothing(const struct person *p)
{
    (void)p;
    return true; /* only the word is asked for */
}

/* ---- The way back ---- */

static bool undo_root_mfa(const struct person *p)
{
    return people_act(p, "customer.root_mfa_on", NULL);
}

/* Of the new devices the customer knows the own ones: those do not bear the operator's name. */
static bool undo_mfa_handover(const struct person *p)
{
    if (json_is_true(json_object_get(p->data, "needs_own")) && !people_act(p, "customer.root_mfa_on", NULL))
        return false;
    json_t *theirs = json_deep_copy(json_object_get(p->data, "operator_devices")), *one;
    size_t i;
    json_array_foreach (json_object_get(p->data, "new_devices"), i, one)
        if (theirs != NULL && strstr(json_string_value(one), ":mfa/operator-") != NULL)
            json_array_append(theirs, one);
    return people_act(p, "customer.root_mfa_take", theirs ? json_pack("{s:o}", "devices", theirs) : NULL);
}

static bool undo_root_email(const struct person *p)
{
    return people_act(p, "customer.root_email", json_pack("{s:s}", "email", people_text(p, "root_email", "")));
}

static bool undo_root_password(const struct person *p)
{
    return people_act(p, "customer.root_password", NULL);
}

static bool undo_partner(const struct person *p)
{
    return people_act(p, "aws.partner_program_end", NULL);
}

static bool undo_payment(const struct person *p)
{
    return people_act(p, "customer.payment_method", NULL);
}

static bool undo_email_verify(const struct person *p)
{
    return people_act(p, "customer.org_email_verify", NULL);
}

static const struct doing {
    const char *step;
    bool (*act)(const struct person *p);
} undoings[] = {
    {"root_mfa", undo_root_mfa},           {"root_mfa_handover", undo_mfa_handover},
    {"root_password", undo_root_password}, {"partner_program", undo_partner},
    {"payment_method", undo_payment},      {"org_email_verify", undo_email_verify},
    {"root_email", undo_root_email},       {"tax_profile", do_nothing},
};

static const struct doing doings[] = {
    {"access_handover", do_access},         {"mailbox_ready", do_nothing},       {"root_email", do_root_email},
    {"root_mfa_handover", do_mfa_handover}, {"root_password", do_root_password}, {"root_mfa", do_root_mfa},
    {"partner_program", do_partner},        {"payment_method", do_payment},      {"tax_profile", do_tax},
    {"org_email_verify", do_email_verify},  {"admin_access", do_billing_access}, {"role_cloudhealth", do_nothing},
};

bool people_do(const struct person *p)
{
    bool is_back = json_is_true(json_object_get(p->data, "undo"));
    const struct doing *known = is_back ? undoings : doings;
    size_t count = is_back ? sizeof undoings / sizeof undoings[0] : sizeof doings / sizeof doings[0];
    for (size_t i = 0; i < count; i++)
        if (svc_is(known[i].step, p->step) && !known[i].act(p))
            return false;
    return true;
}
