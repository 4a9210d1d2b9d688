/* Attribution: which events of CloudTrail can have made a difference, and whose they are. Pure.
 * The table attribution.def says which event changes which entry; verdict.h says what counts. */
#pragma once

#include "common/proof/ours.h"

struct attribution_scope {        /* borrowed */
    const json_t *before, *after; /* fingerprints: names of new accounts are looked up there */
    struct ours ours;
    const char *account_id;
    int64_t from_ms, until_ms;
};
/* Whether it could prove anything: ours, root's, or of a kind that the table knows. */
bool attribution_may_matter(const struct attribution_scope *scope, const json_t *event);
/* Events of others that together explain `difference` from `since_ms` on, as attribution_who() shows them, latest
 * first, a few of each member; NULL when some member of it remains unexplained. New reference. */
json_t *attribution_find(const struct attribution_scope *scope, const json_t *events, const json_t *difference,
                         int64_t since_ms);
/* Events of ours that no entry of `writes` explains. New reference, array of attribution_who(). */
json_t *attribution_rogue(const struct attribution_scope *scope, const json_t *events, const json_t *writes);
/* {event_id, name, source, at_ms, who, user_type, ip, region, hash}. New reference. */
json_t *attribution_who(const json_t *event);
/* Where the event of such a difference is to be looked for: "" for the home region (us-east-1). Borrowed from
 * `difference`. */
const char *attribution_region(const json_t *difference);
