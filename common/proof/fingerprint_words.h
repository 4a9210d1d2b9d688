/* A difference of two fingerprints in plain words, for the person who has to decide. Pure. */
#pragma once

#include "common/codec/json.h"

/* "IAM role Billing was changed: description (\"old\", now \"new\")". Appends; long values are cut. */
void fingerprint_words(const json_t *difference, struct str *out);
