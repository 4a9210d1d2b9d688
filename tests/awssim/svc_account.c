/* Account management: contact, alternate contacts, regions. The management account may not be named by its number:
 * calls about it leave AccountId out, and its root email can neither be read nor changed here.
 *
 * State "contact": {"information": {FullName..}, "alternate": {"BILLING": {..}}, "regions": {"name": "ENABLED"}? } */
#include "svc.h"

/* Is the call about the caller's own account? False also after answering (then *ret_answered). */
static bool account_is_own(struct sim_request *rq, bool *ret_answered)
{
    const char *account = sim_param(rq, "AccountId");
    *ret_answered = false;
    if (account[0] == '\0' || (svc_is(account, rq->world->account) && !sim_trap("account_refuses_own_id")))
        return true;
    *ret_answered = true;
    if (svc_is(account, rq->world->account))
        sim_error(
            rq, 403, "AccessDeniedException",
            "The management account can only be managed using the standalone context from the management account.");
    else if (json_object_get(json_object_get(rq->world->state, "accounts"), account) == NULL)
        sim_error(rq, 404, "ResourceNotFoundException", "No account %s in this organization.", account);
    else
        *ret_answered = false;
    return false;
}

static void account_get_contact(struct sim_request *rq)
{
    bool answered, own = account_is_own(rq, &answered);
    if (answered)
        return;
    const json_t *information = sim_at(rq->world, "contact.information");
    if (!own || information == NULL)
        sim_error(rq, 404, "ResourceNotFoundException", "No contact information found for the given account.");
    else
        sim_ok_json(rq, json_pack("{s:O}", "ContactInformation", information));
}

static void account_put_contact(struct sim_request *rq)
{
    static const char *const needed[] = {"FullName",   "AddressLine1", "City",
                                         "PostalCode", "CountryCode",  "PhoneNumber"};
    bool answered, own = account_is_own(rq, &answered);
    if (answered)
        return;
    const json_t *information = json_object_get(rq->params, "ContactInformation");
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (svc_text(information, needed[i])[0] == '\0') {
            sim_error(rq, 400, "ValidationException", "ContactInformation.%s is required.", needed[i]);
            return;
        }
    if (svc_text(information, "PhoneNumber")[0] != '+' || strlen(svc_text(information, "CountryCode")) != 2) {
        sim_error(rq, 400, "ValidationException", "PhoneNumber starts with +, CountryCode has two letters.");
        return;
    }
    if (own) {
        json_t *contact = sim_section(rq->world, "contact");
        struct sim_before before = sim_before(json_object_get(contact, "information"));
        json_object_set_new(contact, "information", json_deep_copy(information));
        sim_effect(rq, "contact.information", before, information);
    }
    sim_ok_empty(rq, 200);
}

static void account_get_alternate(struct sim_request *rq)
{
    bool answered, own = account_is_own(rq, &answered);
    if (answered)
        return;
    const char *type = sim_param(rq, "AlternateContactType");
    if (!svc_one_of(type, "BILLING,OPERATIONS,SECURITY")) {
        sim_error(rq, 400, "ValidationException", "AlternateContactType is BILLING, OPERATIONS or SECURITY.");
        return;
    }
    const json_t *contact = own ? json_object_get(sim_at(rq->world, "contact.alternate"), type) : NULL;
    if (contact == NULL)
        sim_error(rq, 404, "ResourceNotFoundException", "No contact of the inputted alternate contact type found.");
    else
        sim_ok_json(rq, json_pack("{s:O}", "AlternateContact", contact));
}

static void account_primary_email(struct sim_request *rq)
{
    const char *account = sim_param(rq, "AccountId");
    if (account[0] == '\0' || svc_is(account, rq->world->account)) {
        sim_error(rq, 403, "AccessDeniedException", "The management account cannot specify its own AccountId.");
        return;
    }
    const json_t *member = json_object_get(json_object_get(rq->world->state, "accounts"), account);
    if (member == NULL)
        sim_error(rq, 404, "ResourceNotFoundException", "No account %s in this organization.", account);
    else
        sim_ok_json(rq, json_pack("{s:s}", "PrimaryEmail", svc_text(member, "Email")));
}

static void account_regions(struct sim_request *rq)
{
    static const char *const by_default[] = {"us-east-1",      "us-east-2",      "us-west-1",  "us-west-2",
                                             "eu-west-1",      "eu-central-1",   "eu-north-1", "ap-northeast-1",
                                             "ap-southeast-1", "ap-southeast-2", "sa-east-1"};
    bool answered;
    account_is_own(rq, &answered);
    if (answered)
        return;
    const json_t *wanted = json_object_get(rq->params, "RegionOptStatusContains");
    json_t *list = json_array(), *all = json_object();
    for (size_t i = 0; i < sizeof by_default / sizeof by_default[0]; i++)
        json_object_set_new(all, by_default[i], json_string("ENABLED_BY_DEFAULT"));
    json_object_set_new(all, "il-central-1", json_string("DISABLED"));
    json_object_update(all, json_object_get(json_object_get(rq->world->state, "contact"), "regions"));
    const char *name;
    json_t *status;
    json_object_foreach (all, name, status) {
        bool take = json_array_size(wanted) == 0;
        for (size_t i = 0; i < json_array_size(wanted); i++)
            take = take || json_equal(json_array_get(wanted, i), status);
        if (take)
            json_array_append_new(list, json_pack("{s:s, s:O}", "RegionName", name, "RegionOptStatus", status));
    }
    json_decref(all);
    sim_ok_json(rq, json_pack("{s:o}", "Regions", list));
}

const struct sim_op sim_ops_account[] = {
    {"account", "GetContactInformation", false, account_get_contact},
    {"account", "PutContactInformation", true, account_put_contact},
    {"account", "GetAlternateContact", false, account_get_alternate},
    {"account", "GetPrimaryEmail", false, account_primary_email},
    {"account", "ListRegions", false, account_regions},
    {0},
};
