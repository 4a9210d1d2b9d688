/* The bundle: everything that a stranger needs to check an import offline, in one signed file. Pure.
 *
 * The file is the RFC 8785 form of this object and one newline, so that there is exactly one way to write it:
 *
 *   {"format": "orgimport-bundle@1", "payload": {..},
 *    "signature": {"alg": "Ed25519", "key_id", "public_key": base64, "value": base64}}
 *
 * Signed are the bytes "orgimport-bundle@1\n" followed by the canonical payload. The payload:
 *
 *   import          {id, state, created_ms, ended_ms (0 while it goes on), document}
 *   playbook        the playbook as the import was pinned to it, with its DAG
 *   steps           [{name, item, kind, title, party, state, result, undo}] in the document's order. Result and undo
 * (null when there is none) are the facts that the step left; the ledger's outcome line has their digest fingerprints
 * {before, after}, in full; null when it was not taken patches         what the steps declared to change, each with its
 * step ledger          {lines, heads, root}: see ledger_chain.h and what follows from these, for readers (a checker
 * makes it again and compares): plan            {hash, approvals} or null             human_steps     who did what, how
 * sure we are, by which event exposure        {opened_ms, closed_ms, ms} or null    closing_writes  the writes after
 * the last look verdict         {verdict, before, after, expected, accepted} or null roots_issued    [{root, at_ms, to,
 * by, counts}]: roots that were handed out on the way
 *   rehearsal       {predicted, real} or null when nobody rehearsed: {reads, writes: ["step op key"], failures, ms,
 * end}; predicted has made_ms, too, and is the operator's word; real follows from the ledger
 *
 * To say nothing twice, {"$in": "fingerprints.before"} (.after, or "patches") stands in a result for what moved up. */
#pragma once

#include "common/codec/json.h"

#define BUNDLE_FORMAT "orgimport-bundle@1"
#define BUNDLE_BYTES_MAX ((size_t)256 << 20)

struct bundle_parts {        /* borrowed */
    const json_t *import;    /* as queue_get() gives it, with all results in full */
    const json_t *lines;     /* of its ledger, as stored */
    const json_t *playbook;  /* the one that the document names */
    const json_t *rehearsal; /* {predicted} or NULL */
};
/* New reference. */
json_t *bundle_payload(const struct bundle_parts *parts);
/* The facts of a step with nothing moved up; `which` is "result" or "undo". New reference, NULL when it has none. */
json_t *bundle_facts(const json_t *payload, const json_t *step, const char *which);
const json_t *bundle_step(const json_t *payload, const char *name); /* NULL when there is none */
/* The last line of a step that tells how it ended; NULL when there is none. Borrowed. */
const json_t *bundle_outcome(const json_t *payload, const char *step, bool is_undo);
/* {plan, human_steps, exposure, closing_writes, verdict, roots_issued, rehearsal, heads, root} made from the rest. New
 * reference. */
json_t *bundle_derived(const json_t *payload);
/* What is signed. */
void bundle_signed_bytes(const json_t *payload, struct str *out);
/* The whole file. `signature` has alg, key_id, public_key and value. */
void bundle_write(const json_t *payload, const json_t *signature, struct str *out);
