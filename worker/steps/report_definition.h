/* Cost report definitions: compared by preflight, made by cur_report. Pure. */
#pragma once

#include "common/codec/json.h"

#define REPORTS_MAX 5 /* AWS allows no more per account */

/* The definition of that name in cur_describe_report_definitions' facts; NULL when absent. Names are case sensitive. */
const json_t *report_by_name(const json_t *facts, const char *name);
/* Whether `found` says everything that `wanted` says, lists in any order; members that we do not set are AWS's
 * business. */
bool report_is_as(const json_t *found, const json_t *wanted);
/* Whether AWS delivers reports into buckets of that region. */
bool report_region_is_open(const char *region);
