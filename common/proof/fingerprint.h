/* Fingerprint of an organization: what must not change, by section, as canonical JSON and SHA-256.
 *
 * A fingerprint is {"sections": {"organization": {...}, "accounts": {"111122223333": {...}}, ...}, "digests":
 * {"section": hex}, "root": hex, "unstable": [{"section", "digests": [hex, hex]}], "taken_ms": n}. Every section is a
 * JSON object keyed by a natural id (account id, role name, policy id, bucket name), never an array ordered by the
 * service, so that patches address things by name.
 *
 * A patch says what a step changes: [{"section": "iam.roles", "key": "doitintl_cmp", "op": "add"|"replace"|"remove",
 * "value": {...} (absent for remove), "path": "a/b" (optional: inside the value; ~1 is a slash, ~0 a tilde)}]. Counters
 * are never patched: sections hold none. Pure: no I/O here; worker/steps/fingerprint_read.c makes the calls. */
#pragma once

#include "common/codec/json.h"

extern const char *const fingerprint_sections[]; /* NULL-terminated */

/* Computes digests and root over "sections" (object is changed in place). The root is a Merkle tree over the sections
 * by name, so that one section can be shown and checked without the others. */
void fingerprint_seal(json_t *fingerprint);
/* The root over {"section": digest}: what fingerprint_seal stores. */
void fingerprint_root(const json_t *digests, char ret[65]);
/* Why one section belongs to the root, for somebody who shall not see the others: {"section", "digest", "path":
 * [{"side": "left"|"right", "digest"}], "root"}. NULL when there is no such section. New reference. */
json_t *fingerprint_prove(const json_t *fingerprint, const char *section);
/* Whether `value` is the section that `proof` names, under `root` (from a source that the reader trusts). Believes
 * nothing that the proof says of itself. */
bool fingerprint_proof_holds(const json_t *proof, const json_t *value, const char *root);
/* before + patches. New reference; faults are added to `ret_problems` (array) when a patch does not fit. */
json_t *fingerprint_apply(const json_t *before, const json_t *patches, json_t *ret_problems);
/* What differs: [{section, key, kind: "added"|"removed"|"changed", from, to}], sorted. New reference. */
json_t *fingerprint_diff(const json_t *a, const json_t *b);
