/* Tax registrations. */
#include "worker/steps/tax_registration.h"

/* Every text of `wanted` stands in `found` too. AWS fills in more than it was given. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the profile's entry, which was read with a bound
static bool holds(const json_t *found, const json_t *wanted)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)wanted, key, value) {
        const json_t *there = json_object_get(found, key);
        if (json_is_object(value) ? !holds(there, value) : !json_equal(there, value))
            return false;
    }
    return true;
}

bool tax_is_as(const json_t *registration, const json_t *entry)
{
    static const char *const told[] = {"registrationId", "registrationType", "legalName", "legalAddress", "sector"};
    json_auto_t *wanted = json_object();
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (json_object_get(entry, told[i]))
            (void)json_object_set(wanted, told[i], json_object_get(entry, told[i]));
    return json_is_object(registration) && holds(registration, wanted);
}

const char *tax_country(const json_t *registration)
{
    return json_str_or(registration, "legalAddress.countryCode", json_str_at(registration, "jurisdiction.countryCode"));
}

const json_t *tax_account(const json_t *list, const char *account_id)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(list, "accounts"), i, one)
        if (str_eq(json_str_at(one, "accountId"), account_id))
            return one;
    return NULL;
}

json_t *tax_heirs(const json_t *list, const char *account_id)
{
    json_t *heirs = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(list, "accounts"), i, one)
        if (!str_eq(json_str_at(one, "accountId"), account_id))
            (void)json_array_append_new(heirs, json_make("{s:s,s:s}", "account_id", json_str_at(one, "accountId"),
                                                         "name", json_str_at(one, "accountMetaData.accountName")));
    json_sort_by(heirs, "account_id");
    return heirs;
}
