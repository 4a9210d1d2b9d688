/* Inside of the offline verifier: shared by bundle_check.c and bundle_check_parts.c. */
#pragma once

#include "common/proof/bundle.h"
#include "common/proof/bundle_check.h"

void bundle_problem(json_t *problems, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Whether what the payload's parts say agrees, and whether the verdict follows from them. */
void bundle_check_parts(const json_t *payload, struct bundle_report *r);
