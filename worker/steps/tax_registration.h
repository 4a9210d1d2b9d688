/* Tax registrations: compared by preflight and tax_profile. Pure. */
#pragma once

#include "common/codec/json.h"

/* Whether AWS's taxRegistration says what the entry of the billing profile says. Documents and e-mail for the
 * verification are not told back by AWS and do not count. */
bool tax_is_as(const json_t *registration, const json_t *entry);
/* Country of a registration: its legal address, else its jurisdiction; "" when none. */
const char *tax_country(const json_t *registration);
/* Details of one account in tax_list_tax_registrations' facts; NULL when absent. */
const json_t *tax_account(const json_t *list, const char *account_id);
/* Member accounts that take their registration from `account_id`: [{account_id, name}] (when inheritance is on). New
 * reference. */
json_t *tax_heirs(const json_t *list, const char *account_id);
