/* The ledger against the customer's CloudTrail, both ways. Pure.
 *
 * There: every write of the ledger that AWS took has its event. Back: every event of our session has its line in the
 * ledger (whose event it is: ours.h). What CloudTrail shows of our session and the ledger lacks is the one thing that
 * nobody may explain away.
 *
 * An event is known by AWS's request id, which stands in both. Where an answer was lost (no request id in the ledger),
 * name and time decide. Reads are in neither. Events are shaped as cloudtrail:LookupEvents gives them (common/aws):
 * {id, name, source, at_ms, user, access_key_id, agent, source_identity, request_id, error}. */
#pragma once

#include "common/proof/ours.h"

/* Events out of a customer's own export: a trail's file {"Records": [event]}, the answer of `aws cloudtrail
 * lookup-events`
 * {"Events": [{"CloudTrailEvent": text}]}, or an array of either. Reads and what cannot be read are left out. New
 * reference. */
json_t *reconcile_read(const json_t *export);
/* How the import of a bundle's payload signs itself. Borrowed from it. */
struct ours reconcile_who_of(const json_t *payload);

/* `until_ms`: events were asked for up to this time; what is younger than `late_ms` before it may still come.
 * {"writes": n, "matched": n, "by_name": n (of these without a common request id), "refused": n events of calls that
 * AWS refused, "late": [write], "missing": [write], "lacking": [event]} write: {step, key, op, n, at_ms, request_id};
 * event: {id, name, source, at_ms, user, request_id, error}. Agreement is: missing and lacking are empty; it is final
 * when late is empty, too. New reference. */
json_t *reconcile(const struct ours *who, const json_t *lines, const json_t *events, uint64_t until_ms,
                  uint64_t late_ms);
