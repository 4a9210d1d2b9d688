/* Brackets: what a writing step saw of the entries it touches, just before its first and right after its last write.
 *
 * Why `expects` is not enough: it declares what was read back, so whatever our own write destroyed in the same entry
 * would be declared along with it. A bracket knows what was there before.
 *
 * A reading is a list: [{section, key, value: the entry or null, own: {member: [names]}}]. `own` are the names inside a
 * member that are ours to set (our tag's key, our statement's Sid, our inline policy). Values that are large inside are
 * digests. Pure. */
#pragma once

#include "common/codec/json.h"

/* Appends one entry; takes `new_value` and `new_own` (NULL: nothing in particular). */
void bracket_add(json_t *reading, const char *section, const char *key, json_t *new_value, json_t *new_own);
/* What changed between the two readings that this kind of step never changes: [{section, key, kind, from, to}], `from`
 * and `to` with only the members concerned. Empty when it is clean. New reference.
 *   of an entry that was not there: nothing, all of it is ours
 *   members that a step sets       (role: trust, max_session; policy: document; bucket: three settings; report; tax)
 *   members that only grow         (role: policies, inline, tags; bucket: tags, policy), but for `own`
 *   all others                     must be equal */
json_t *bracket_differences(const json_t *before, const json_t *after);
