/* Rehearsals: what a simulated AWS needs to become the organization that was recorded, what a run did (the same summary
 * of a rehearsal and of the real one), and how the two compare. Pure. */
#pragma once

#include "common/queue/record.h"
#include "dispatcher/planner/playbook.h"

/* `value`: the import with all results whole. {request, org, profile, record, root}; ERR_STATE_CONFLICT when no
 * fingerprint is recorded yet. New reference. */
json_t *rehearsal_seed(const json_t *value, struct err *err);
/* {end: {state, step, code, findings, verdict}, writes: [{step, op, key, args}], calls: {reads, writes, by_op}, tasks,
 * root, critical_path_ms, elapsed_ms, failures}. `lines`: the ledger. `playbook` may be NULL. New reference. */
json_t *rehearsal_summary(const json_t *value, const json_t *lines, const struct playbook *playbook);
/* {predicted: {made_ms, end, reads, writes: ["step op key"], failures (null: not counted), ms: what the machine needs
 * at least}}: what of a stored prediction goes into a bundle. New reference. */
json_t *rehearsal_for_bundle(const json_t *predicted);
/* {is_same, end: {is_same}, writes: {predicted, real, same, same_arguments, missing: [..], extra: [..]}}. */
json_t *rehearsal_compare(const json_t *predicted, const json_t *real);
