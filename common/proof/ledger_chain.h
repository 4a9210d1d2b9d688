/* The ledger of an import as a stranger reads it: chains, their heads, the root over them. Pure.
 *
 * A line is one JSON object of one chain. The chain of a step is named by "step"; the chain of people's decisions is
 * "".
 *
 *   {"n": 1.., "prev": hash of line n-1 or "", "hash": SHA-256 of the canonical line without "hash",
 *    "step", "kind", "at_ms", ...}
 *
 *   kind      members beside those
 *   intent    key, op, args (digest), with (the arguments when small, else {digest,bytes}), as (when it is not the
 *             customer's account that is written to), result {"before"} when it was open before
 *   answer    key, op, args, as, request_id, result: facts, {"error","aws","applied"} or {"settled"}
 *   reads     result: [{"op","count","digest"}]: what was looked at, sorted by operation
 *   now       key, result: a time that was fixed once
 *   task      result {"title","digest"}: a person was asked
 *   signal    key or what, by, reason: a person's answer to a task (typed codes only as digests)
 *   decision  what, by, reason, target: a person's decision
 *   root      root, heads {step: n}, to, by: the root as it was handed out
 *   outcome   result {"outcome": D R F W P H, "code", "grade", "result": digest of the facts when D}
 *   save      nothing else: a step kept something of its own (a code that was mailed, the opening of a task)
 *   rollback  writes [{key,op,at_ms}], result {"lost_n","lost_hash","kept_n","kept_hash"}: lines kept_n+1 .. lost_n
 * were stored once, and a failover to a replica that lagged behind has lost them; the holder knows it because it wrote
 * them
 *
 * The first line of a step carries "import": the digest of the import's document. Lines of an undo carry "undo": true.
 * Lines of a worker carry fence and nonce of its hold. The root of an import is the Merkle tree (merkle.h) over the
 * heads of its chains, sorted by name byte by byte: leaf ["leaf", name, n, hash of its last line]. */
#pragma once

#include "common/codec/json.h"

/* Hash of one line, whatever its "hash" says. */
void ledger_line_hash(const json_t *line, char ret[65]);
/* Walks `lines` (array, any interleaving of chains): {name: {"n", "hash"}} of what is there. What is wrong goes to
 * `ret_problems` (array of texts, may be NULL): a wrong hash, a gap, a fork, a fence that goes back. New reference. */
json_t *ledger_heads(const json_t *lines, json_t *ret_problems);
/* {name: {"n","hash"}} as they were when the chains had `counts` {name: n} lines. New reference; NULL when `lines` has
 * no such line. */
json_t *ledger_heads_at(const json_t *lines, const json_t *counts);
/* Names with their n, as a root line names them. New reference. */
json_t *ledger_counts(const json_t *heads);
void ledger_root(const json_t *heads, char ret[65]);
