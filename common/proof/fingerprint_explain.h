/* What differs between two fingerprints, as a tree in words, for somebody who knows the organization and not our JSON.
 * Pure.
 */
#pragma once

#include "common/codec/json.h"

/* Section, then thing, then member: what it was and what it is. `differences` is fingerprint_diff(a, b); names of
 * accounts and OUs stand beside their ids. Appends lines. */
void fingerprint_explain(const json_t *a, const json_t *b, const json_t *differences, struct str *out);
/* "Accounts" for "accounts"; the name itself when it is none of ours. */
const char *fingerprint_section_title(const char *section);
