/* Tax settings. A put registration is Pending for a while, then Verified (or Rejected, for ids that end in "REJECT"); a
 * pending one refuses the next put. A country's seller of record is known: it may change with the registration.
 *
 * State "tax": {"inheritance": "OptIn"|"OptOut", "rejects"?: true (AWS will reject what is put next),
 *   "accounts": {"<account>": {"entry"?: {taxRegistration as put}, "status"?: "Pending", "settles_ms"?: n, "seller":
 * text, "address": {..}}}}. */
#include "svc.h"

#include <ctype.h>
#include <stdio.h>

static json_t *tax_accounts(struct sim_world *w)
{
    json_t *tax = sim_section(w, "tax");
    json_t *accounts = json_object_get(tax, "accounts");
    if (accounts == NULL) {
        accounts = json_object();
        json_object_set_new(tax, "accounts", accounts);
    }
    return accounts;
}

static bool tax_ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text), tail = strlen(end);
    return bytes >= tail && svc_is(text + bytes - tail, end);
}

const char *sim_tax_seller(const char *country)
{
    if (svc_is(country, "US") || svc_is(country, "IL"))
        return "Amazon Web Services, Inc.";
    if (svc_is(country, "IN"))
        return "Amazon Web Services India Private Limited";
    if (svc_is(country, "JP"))
        return "Amazon Web Services Japan G.K.";
    return "Amazon Web Services EMEA SARL";
}

static void tax_settle(struct sim_world *w)
{
    const char *account;
    json_t *one;
    json_object_foreach (tax_accounts(w), account, one) {
        if (!svc_is(svc_text(one, "status"), "Pending") || sim_now_ms() < svc_number(one, "settles_ms"))
            continue;
        const json_t *entry = json_object_get(one, "entry");
        bool rejected = tax_ends_with(svc_text(entry, "registrationId"), "REJECT") ||
                        json_is_true(json_object_get(json_object_get(w->state, "tax"), "rejects"));
        json_object_set_new(one, "status", json_string(rejected ? "Rejected" : "Verified"));
        json_object_del(one, "settles_ms");
    }
}

/* The account a call means: its own, or a member named. NULL after answering. */
static const char *tax_subject(struct sim_request *rq)
{
    const char *account = sim_param(rq, "accountId");
    if (account[0] == '\0')
        return rq->world->account;
    if (json_object_get(json_object_get(rq->world->state, "accounts"), account) != NULL)
        return account;
    sim_error(rq, 400, "ValidationException", "The account %s is not linked to this one.", account);
    return NULL;
}

static json_t *tax_registration(const json_t *one)
{
    json_t *entry = json_deep_copy(json_object_get(one, "entry"));
    json_object_del(entry, "verificationDetails");
    json_object_set(entry, "status", json_object_get(one, "status"));
    return entry;
}

static void tax_get(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const char *account = tax_subject(rq);
    if (account == NULL)
        return;
    tax_settle(rq->world);
    const json_t *one = json_object_get(tax_accounts(rq->world), account);
    if (json_object_get(one, "entry") == NULL)
        sim_error(rq, 404, "ResourceNotFoundException", "No tax registration is set.");
    else
        sim_ok_json(rq, json_pack("{s:o}", "taxRegistration", tax_registration(one)));
}

/* With inheritance on, members carry what the management account has. */
static bool tax_inherits(struct sim_world *w, const char *account)
{
    return !svc_is(account, w->account) && svc_is(svc_text(json_object_get(w->state, "tax"), "inheritance"), "OptIn");
}

static json_t *tax_details(struct sim_world *w, const char *account, const json_t *own)
{
    const json_t *one = tax_inherits(w, account) ? json_object_get(tax_accounts(w), w->account) : own;
    const json_t *entry = json_object_get(one, "entry");
    const json_t *address = json_object_get(entry, "legalAddress");
    if (address == NULL)
        address = json_object_get(one, "address");
    const char *country = svc_text(address, "countryCode");
    json_t *details =
        json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:{s:s}}}}", "accountId", account, "accountMetaData", "accountName",
                  svc_text(json_object_get(json_object_get(w->state, "accounts"), account), "Name"), "addressType",
                  entry ? "TaxAddress" : "ContactAddress", "seller", svc_text(one, "seller"), "addressRoleMap",
                  entry ? "TaxAddress" : "ContactAddress", "countryCode", country);
    if (address != NULL)
        json_object_set_new(json_object_get(details, "accountMetaData"), "address", json_deep_copy(address));
    if (entry != NULL)
        json_object_set_new(details, "taxRegistration", tax_registration(one));
    if (tax_inherits(w, account))
        json_object_set_new(
            details, "taxInheritanceDetails",
            json_pack("{s:s, s:s}", "parentEntityId", w->account, "inheritanceObtainedReason", "ParentOptedIn"));
    return details;
}

static void tax_list(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    size_t start, at = 0, max = 50;
    const json_t *asked = json_object_get(rq->params, "maxResults");
    if (json_is_integer(asked))
        max = (size_t)json_integer_value(asked);
    if (max < 1 || max > 1000) {
        sim_error(rq, 400, "ValidationException", "maxResults must be between 1 and 1000.");
        return;
    }
    if (!svc_page(rq, "nextToken", "ValidationException", &start))
        return;
    tax_settle(rq->world);
    json_t *list = json_array();
    const char *account;
    json_t *one;
    json_object_foreach (tax_accounts(rq->world), account, one) {
        if (at >= start && at < start + max)
            json_array_append_new(list, tax_details(rq->world, account, one));
        at++;
    }
    json_t *answer = json_pack("{s:o}", "accountDetails", list);
    if (at > start + max)
        json_object_set_new(answer, "nextToken", svc_page_token(start + max));
    sim_ok_json(rq, answer);
}

static const char *tax_fault(const json_t *entry)
{
    if (!json_is_object(entry))
        return "taxRegistrationEntry is required.";
    size_t bytes = strlen(svc_text(entry, "registrationId"));
    if (bytes < 1 || bytes > 200)
        return "registrationId must have 1 to 200 characters.";
    if (!svc_one_of(svc_text(entry, "registrationType"), "VAT,GST,CPF,CNPJ,SST,TIN,NRIC"))
        return "registrationType is not known.";
    if (strlen(svc_text(entry, "legalName")) > 200)
        return "legalName is too long.";
    const json_t *address = json_object_get(entry, "legalAddress");
    if (address == NULL)
        return NULL;
    if (svc_text(address, "addressLine1")[0] == '\0' || svc_text(address, "city")[0] == '\0' ||
        svc_text(address, "postalCode")[0] == '\0')
        return "legalAddress needs addressLine1, city and postalCode.";
    const char *country = svc_text(address, "countryCode");
    if (strlen(country) != 2 || !isupper((unsigned char)country[0]) || !isupper((unsigned char)country[1]))
        return "countryCode must be two capital letters.";
    if (svc_is(country, "US") || svc_is(country, "BR"))
        return "This country's registration cannot be set here.";
    return NULL;
}

static void tax_put(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const char *account = tax_subject(rq);
    if (account == NULL)
        return;
    const json_t *entry = json_object_get(rq->params, "taxRegistrationEntry");
    const char *fault = tax_fault(entry);
    if (fault) {
        sim_error(rq, 400, "ValidationException", "%s", fault);
        return;
    }
    tax_settle(rq->world);
    json_t *accounts = tax_accounts(rq->world);
    json_t *old = json_object_get(accounts, account);
    if (svc_is(svc_text(old, "status"), "Pending") && sim_trap("tax_pending_blocks_put")) {
        sim_error(rq, 409, "ConflictException", "A registration is pending; delete it or wait until it is verified.");
        return;
    }
    struct sim_before before = sim_before(old);
    bool same =
        old != NULL && json_equal(json_object_get(old, "entry"), entry) && svc_is(svc_text(old, "status"), "Verified");
    json_t *one = old ? json_deep_copy(old) : json_object();
    if (!same) {
        json_object_set_new(one, "entry", json_deep_copy(entry));
        json_object_set_new(one, "status", json_string("Pending"));
        json_object_set_new(one, "settles_ms",
                            json_integer((json_int_t)(sim_now_ms() + svc_timing(rq->world, "tax_ms", 400))));
        const char *country = svc_text(json_object_get(entry, "legalAddress"), "countryCode");
        if (country[0] != '\0')
            json_object_set_new(one, "seller", json_string(sim_tax_seller(country)));
    }
    json_object_set_new(accounts, account, one);
    char resource[64];
    (void)snprintf(resource, sizeof resource, "tax.accounts.%s", account);
    sim_effect(rq, resource, before, one);
    sim_ok_json(rq, json_pack("{s:s}", "status", svc_text(one, "status")));
}

static void tax_delete(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const char *account = tax_subject(rq);
    if (account == NULL)
        return;
    json_t *one = json_object_get(tax_accounts(rq->world), account);
    if (json_object_get(one, "entry") == NULL) {
        sim_error(rq, 404, "ResourceNotFoundException", "No tax registration is set.");
        return;
    }
    struct sim_before before = sim_before(one);
    json_object_del(one, "entry");
    json_object_del(one, "status");
    json_object_del(one, "settles_ms");
    char resource[64];
    (void)snprintf(resource, sizeof resource, "tax.accounts.%s", account);
    sim_effect(rq, resource, before, one);
    sim_ok_json(rq, json_object());
}

static void tax_inheritance(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const char *status = svc_text(sim_section(rq->world, "tax"), "inheritance");
    sim_ok_json(rq, json_pack("{s:s}", "heritageStatus", status[0] ? status : "OptOut"));
}

const struct sim_op sim_ops_tax[] = {
    {"tax", "GetTaxRegistration", false, tax_get},        {"tax", "ListTaxRegistrations", false, tax_list},
    {"tax", "PutTaxRegistration", true, tax_put},         {"tax", "DeleteTaxRegistration", true, tax_delete},
    {"tax", "GetTaxInheritance", false, tax_inheritance}, {0},
};
