/* What a fingerprint costs: the least number of answers that AWS's page sizes allow, beside what was really asked.
 * Pure. */
#pragma once

#include "worker/step.h"

/* Fewest answers for one read of each section: {"accounts": 250, ..}, from the sections of a fingerprint. `regions`:
 * how many were asked. New reference. */
json_t *fingerprint_floor(const json_t *fingerprint, size_t regions);
/* The section that an operation is asked for; "" when it is none of a fingerprint. */
const char *fingerprint_section_of(const struct aws_op *op);
