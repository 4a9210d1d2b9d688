/* The read set of a plan: what it looked at about our names, bucket, report, tax, email, second factor and trusted
 * services, one item each, with the digest of what AWS showed. When one of them moves, the plan is void; everything
 * else that was read is drift: shown, never fatal. Pure. */
#pragma once

#include "common/codec/json.h"

/* `seen`: of step_foresee. Gives [{item, digest, says}] sorted by item; `ret_others` [{op, digest}] of what is only
 * drift. New references. */
json_t *plan_read_set(const json_t *import, const json_t *seen, json_t **ret_others);
/* Appends {item, from, to} to `moved` for each item that differs. */
void plan_read_set_compare(const json_t *before, const json_t *now, json_t *moved);
