/* The verdict: does the organization differ exactly by what the steps declared, and if not, whose work is it? Pure.
 *
 * THE RULES, once. Compared are before + patches ("expected") and after, entry by entry (section and key). Roots and
 * digests are computed here from the sections; a stored one is never believed, and counters are no part of any section,
 * so nothing is excused because it "only follows" from something else.
 *
 *   TOUCHED   A difference is of something we touched when a patch names its section and key, and its path, where it
 *             has one, leads to a member that differs (either path may be the longer one).
 *   OURS      An event that this import caused: the one rule is in ours.h (session, source identity, handed-over key).
 *   ROGUE     An event of ours that changed something (no error) and that no recorded write of this import explains:
 *             same operation, and no argument that contradicts the request. Rogue is never excused: DISRUPTED.
 *   ATTRIBUTED A difference is somebody's when, for every member of it that differs, an event of another principal
 * names this very entry and is of a kind that can make this difference (attribution.def), succeeded, and happened
 *             between the reading of before and the reading of after; of something we touched, after the step that
 *             touched it had seen it right ("seen_ms" of its patch). An event at another thing, of another kind,
 * without success, or by us is no attribution. Root is another principal: people, not our software. BRACKET   What a
 * writing step saw of the entries it touches just before its first and right after its last write (bracket.h). What it
 * never changes must be the same in both, or its own writes did more than they should. What changes outside of every
 * bracket is foreign by construction, whoever it was.
 *
 *   PROVEN          no difference, nothing rogue, every bracket clean
 *   PROVEN+FOREIGN  every difference is attributed: who, which event, when, from where
 *   UNEXPLAINED     a difference that nobody's event explains, of something that we did not touch, or that was seen
 * right when its step ended; or a patch that does not fit. This import waits for an operator, others go on DISRUPTED
 * rogue events; a bracket that is not clean and whose difference is nobody's; a difference of something that we
 * touched, nobody's, that no step has seen right. All writers of the fleet are halted
 *
 * Accepting moves differences out of "unexplained" and "disrupted" into "accepted"; it never makes the verdict better.
 */
#pragma once

#include "common/proof/fingerprint.h"

enum verdict { VERDICT_PROVEN, VERDICT_PROVEN_FOREIGN, VERDICT_UNEXPLAINED, VERDICT_DISRUPTED };
const char *verdict_name(enum verdict v); /* "PROVEN", "PROVEN+FOREIGN", ... */

struct verdict_input { /* borrowed */
    const json_t *before, *after;
    /* Patches as fingerprint.h has them. A patch may carry "step", and "seen_ms": when its step had last read the entry
     * and found it as declared. */
    const json_t *patches;
    /* [{step, began_ms, ended_ms, differences: [{section, key, kind, from, to}]}]: brackets that are not clean. */
    const json_t *brackets;
    /* Differences of entries that no section holds (a bucket's settings), as fingerprint_diff() gives them. */
    const json_t *extra;
    const json_t *events; /* CloudTrail's writes of the regions asked; NULL: not looked at */
    /* What the ledger has: [{op: "iam:CreateRole", args: {..} or absent}]; NULL: unknown, then nothing is rogue. */
    const json_t *writes;
    const json_t *our_keys;  /* access key ids that were handed over */
    const char *our_session; /* role session name: the import's id; "" none */
    const char *account_id;  /* of the organization */
    const json_t *accepted;  /* differences and rogue events that an operator accepted with a reason */
};
/* {verdict, before, after, expected (roots), patches: n, unexplained: [diff], foreign: [diff + {events: [who], touched:
 * bool, step}], disrupted: [diff + {why, step}], rogue: [who], accepted: [..], unstable: [..]}. A patch that does not
 * fit is a difference of kind "patch" with a text. New reference. */
json_t *verdict_of(const struct verdict_input *in);
/* Without events, brackets and ledger. */
json_t *verdict_make(const json_t *before, const json_t *after, const json_t *patches, const json_t *accepted);
