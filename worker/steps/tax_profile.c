/* Process item 3.2: the tax registration is the billing profile's.   Undo: the registration that preflight recorded
 * comes back, or ours is deleted where there was none.
 *
 * Two things reach beyond the management account and are held for the operator before anything is written: inheritance
 * hands the registration on to members, and another seller of record keeps accounts of the old one from joining. Where
 * AWS has no registration for a country, a person sets the country in the console. */
#include "common/aws/services/taxsettings.h"
#include "common/proof/bracket.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"
#include "worker/steps/ownership.h"
#include "worker/steps/tax_registration.h"

#define PENDING_EVERY_MS 60000

struct view {
    const json_t *registration; /* NULL: none */
    const json_t *list, *account;
    const char *status, *seller;
    bool is_inherited;
};

static enum step_result read_all(struct step *s, struct view *v)
{
    const json_t *mine = NULL, *inheritance = NULL;
    enum step_result all = STEP_DONE;
    step_also(&all, step_call(s, "tax", &tax_get_tax_registration, NULL, &mine));
    step_also(&all, step_call(s, "taxes", &tax_list_tax_registrations, NULL, &v->list));
    step_also(&all, step_call(s, "inheritance", &tax_get_tax_inheritance, NULL, &inheritance));
    TRY(all);
    v->registration = json_at(mine, "registration");
    v->account = tax_account(v->list, step_var(s, "account_id"));
    v->status = json_str_at(v->registration, "status");
    v->seller = json_str_at(v->account, "accountMetaData.seller");
    v->is_inherited = str_eq(json_str_at(inheritance, "status"), "OptIn");
    return STEP_DONE;
}

/* ---- What needs a decision ---- */

static const char *seller_before(struct step *s)
{
    return json_str_at(step_result_of(s, "preflight"), "tax.seller");
}

static enum step_result hold_seller(struct step *s, const char *from, const char *to)
{
    if (!*from || !*to || str_eq(from, to))
        return STEP_DONE;
    return step_hold(s, ERR_TAX_SELLER,
                     json_make("{s:s,s:s,s:[s]}", "from", from, "to", to, "accounts", step_var(s, "account_id")),
                     "the seller of record would change from %s to %s", from, to);
}

static enum step_result hold_inheritance(struct step *s, const struct view *v)
{
    json_auto_t *heirs = tax_heirs(v->list, step_var(s, "account_id"));
    if (!v->is_inherited || json_array_size(heirs) == 0)
        return STEP_DONE;
    return step_hold(s, ERR_TAX_INHERITANCE, json_make("{s:O}", "accounts", heirs),
                     "tax inheritance is on: %zu member accounts would take the new registration too",
                     json_array_size(heirs));
}

/* ---- By API ---- */

static enum step_result put(struct step *s, const struct view *v, const json_t *entry)
{
    if (str_eq(v->status, "Pending")) /* AWS takes no other while one is pending */
        return step_wait_aws(s, PENDING_EVERY_MS, "another tax registration is waiting for AWS");
    TRY(hold_inheritance(s, v));
    TRY(hold_seller(s, v->seller, step_var(s, "tax.seller")));
    char digest[65];
    json_digest(v->registration, digest);
    const json_t *answer = NULL;
    TRY(step_try(s, step_text(s, "put/%.8s", digest), &tax_put_tax_registration,
                 json_make("{s:O}", "taxRegistrationEntry", entry), "ConflictException", &answer));
    if (json_has(answer, "error"))
        return step_wait_aws(s, PENDING_EVERY_MS, "AWS is still working on a tax registration");
    return step_wait_aws(s, 2000, "AWS has the tax registration"); /* seen by the next entry's fresh read */
}

/* Own account, and members that took it over when an operator accepted that. */
static json_t *values(const struct step *s, const struct view *v)
{
    json_t *all = json_object();
    const char *mine = step_var(s, "account_id");
    size_t i;
    const json_t *one;
    json_put(all, mine, shape_tax(v->registration, v->seller));
    json_array_foreach (json_at(v->list, "accounts"), i, one)
        if (str_eq(json_str_at(one, "taxInheritanceDetails.parentEntityId"), mine))
            json_put(all, json_str_at(one, "accountId"),
                     shape_tax(json_at(one, "taxRegistration"), json_str_at(one, "accountMetaData.seller")));
    return all;
}

static enum step_result finish(struct step *s, const struct view *v)
{
    TRY(hold_seller(s, seller_before(s), v->seller)); /* in case it changed although nobody foresaw it */
    step_set(s, "values", values(s, v));
    step_set_str(s, "country", tax_country(v->registration));
    step_set_str(s, "seller", v->seller);
    step_set_str(s, "status", v->status);
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result run_by_api(struct step *s, const json_t *entry)
{
    struct view v = {0};
    TRY(read_all(s, &v));
    if (!tax_is_as(v.registration, entry))
        return put(s, &v, entry);
    if (str_eq(v.status, "Rejected"))
        return step_fail(s, ERR_TAX_REJECTED, "AWS rejected the registration for %s", tax_country(entry));
    if (!str_eq(v.status, "Verified"))
        return step_wait_aws(s, PENDING_EVERY_MS, "AWS is verifying the tax registration");
    if (!str_eq(tax_country(v.registration), step_var(s, "tax.country")))
        return step_fail(s, ERR_TAX_REJECTED, "the registration is for %s, the billing profile for %s",
                         tax_country(v.registration), step_var(s, "tax.country"));
    return finish(s, &v);
}

/* ---- By hand ---- */

static bool is_country_set(const json_t *account, const char *country)
{
    const char *tax = json_str_at(account, "accountMetaData.addressRoleMap.TaxAddress.countryCode");
    return *country &&
           str_eq(*tax ? tax : json_str_at(account, "accountMetaData.addressRoleMap.BillingAddress.countryCode"),
                  country);
}

static enum step_result run_by_hand(struct step *s)
{
    const json_t *list = NULL, *word;
    uint64_t opened_ms = human_opened(s);
    const char *country = step_var(s, "tax.country");
    TRY(step_call(s, "taxes", &tax_list_tax_registrations, NULL, &list));
    const json_t *account = tax_account(list, step_var(s, "account_id"));
    if (is_country_set(account, country)) {
        step_set_str(s, "country", country);
        step_grade(s, "probed");
        return STEP_DONE;
    }
    word = human_word(s, opened_ms);
    if (word && !*country) {
        human_take_word(s, word);
        return STEP_DONE;
    }
    struct human_task task = {
        .party = "operator",
        .title = "Set the tax profile in the console",
        .actions = {"Sign in to the management account as root.", "Open the tax settings with the link below.",
                    *country
                        ? step_text(s, "Set the tax address of the management account to our billing address in %s.",
                                    country)
                        : "Set the tax address of the management account to our billing address.",
                    "Leave tax inheritance as it is.", "Say what you set in the note."},
        .link = "https://us-east-1.console.aws.amazon.com/billing/home#/tax",
        .check = *country ? "The country of the tax address that AWS shows."
                          : "Your name and note: the profile names no country to look for.",
        .worst = "The invoices of the management account carry the address that you type in.",
        .undo = "Set the earlier address at the same place; the fingerprint taken before shows it.",
        .due_hours = 120,
        .opened_ms = opened_ms,
        .attest = !*country,
    };
    return human_ask(s, &task);
}

static enum step_result run(struct step *s)
{
    const json_t *entry = json_at(step_import(s), "vars.tax.entry");
    return json_is_object(entry) ? run_by_api(s, entry) : run_by_hand(s);
}

/* ---- Undo ---- */

static json_t *entry_from(const json_t *registration)
{
    static const char *const told_only[] = {"status", "jurisdiction", "taxDocumentMetadatas"};
    json_t *entry = json_copy((json_t *)(uintptr_t)registration);
    for (size_t i = 0; i < sizeof told_only / sizeof told_only[0]; i++)
        (void)json_object_del(entry, told_only[i]);
    return entry;
}

static enum step_result undo_by_hand(struct step *s)
{
    const json_t *done = step_result_of(s, "tax_profile");
    if (!done || str_eq(json_str_at(done, "grade"), "already"))
        return STEP_DONE; /* nobody set it for us */
    uint64_t opened_ms = human_opened(s);
    const json_t *word = human_word(s, opened_ms);
    if (word) {
        human_take_word(s, word);
        return STEP_DONE;
    }
    return human_ask(
        s, &(struct human_task){
               .party = "customer+operator",
               .title = "Set the earlier tax address of the management account again",
               .actions = {"Operator: sign in to the management account as root and open the link below.",
                           "Customer: say which tax address stood there before, or should stand there from now on.",
                           "Set it as the tax address of the management account.", "Leave tax inheritance as it is.",
                           "Say what you set in the note."},
               .link = "https://us-east-1.console.aws.amazon.com/billing/home#/tax",
               .check = "Your name and note: no call shows the earlier address.",
               .worst = "The invoices of the management account carry the address that you type in.",
               .undo = "Set another address at the same place.",
               .due_hours = 120,
               .opened_ms = opened_ms,
               .attest = true,
               .data = json_make("{s:s,s:b}", "account_id", step_var(s, "account_id"), "undo", 1)});
}

/* AWS verifies what is put back as it did ours, and may refuse it: no fingerprint holds that, so it is said here. */
static void tell_rejected(struct step *s, const json_t *before, const json_t *now)
{
    if (!str_eq(json_str_at(now, "status"), "Rejected") || str_eq(json_str_at(before, "status"), "Rejected"))
        return;
    json_t *remains = json_array();
    ownership_remains(remains,
                      step_text(s, "tax registration %s: back as it was, and AWS rejected it (it was %s)",
                                json_str_at(now, "registrationId"), json_str_or(before, "status", "not verified")),
                      "customer",
                      "Open https://us-east-1.console.aws.amazon.com/billing/home#/tax, compare the registration with "
                      "the tax office's papers and save it again; if AWS goes on rejecting it, open a support case.");
    step_set(s, "remains", remains);
}

static enum step_result undo(struct step *s)
{
    const json_t *entry = json_at(step_import(s), "vars.tax.entry"), *facts = NULL, *answer = NULL;
    const json_t *before = json_at(step_result_of(s, "preflight"), "tax.registration");
    if (!json_is_object(entry))
        return undo_by_hand(s);
    TRY(step_call(s, "tax", &tax_get_tax_registration, NULL, &facts));
    const json_t *now = json_at(facts, "registration");
    bool is_pending = str_eq(json_str_at(now, "status"), "Pending");
    bool is_as_before = json_is_object(before) && tax_is_as(now, before);
    if (is_pending && (is_as_before || tax_is_as(now, entry)))
        return step_wait_aws(s, PENDING_EVERY_MS, "AWS is verifying the tax registration");
    if (is_as_before)
        tell_rejected(s, before, now);
    if (is_as_before || !tax_is_as(now, entry))
        return STEP_DONE; /* back already, or not ours any more */
    if (!json_is_object(before))
        return step_call(s, "delete", &tax_delete_tax_registration, NULL, NULL);
    TRY(step_try(s, "put", &tax_put_tax_registration, json_make("{s:o}", "taxRegistrationEntry", entry_from(before)),
                 "ConflictException", &answer));
    return step_wait_aws(s, 2000, "AWS has the earlier tax registration back");
}

static json_t *expects(const json_t *import, const json_t *before, const json_t *result)
{
    (void)import;
    json_t *patches = json_array();
    const char *account;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)json_at(result, "values"), account, value)
        shape_put(patches, before, "tax", account, json_incref(value));
    return patches;
}

/* Its own account; those of members are in no patch unless an operator accepted that they inherit. */
static enum step_result touches(struct step *s, json_t *reading)
{
    const json_t *list = NULL;
    const char *account = step_var(s, "account_id");
    TRY(step_look(s, "taxes", &tax_list_tax_registrations, NULL, NULL, NULL, &list));
    const json_t *row = tax_account(list, account);
    bracket_add(reading, "tax", account,
                row ? shape_tax(json_at(row, "taxRegistration"), json_str_at(row, "accountMetaData.seller")) : NULL,
                NULL);
    return STEP_DONE;
}

const struct step_def step_tax_profile = {
    .name = "tax_profile",
    .item = "3.2",
    .run = run,
    .undo = undo,
    .expects = expects,
    .touches = touches,
    .ops = OPS(&tax_get_tax_registration, &tax_list_tax_registrations, &tax_get_tax_inheritance,
               &tax_put_tax_registration, &tax_delete_tax_registration),
    .uses = "preflight",
    .version = 1,
};
