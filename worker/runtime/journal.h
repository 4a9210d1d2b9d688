/* The journal of one step: what it wrote at AWS, and the few values that it fixed for good. Pure: no I/O here.
 *
 * Durable form (JSON, at most JOURNAL_BYTES_MAX), written whole with each fenced save:
 *
 *   {"v":1,
 *    "keys":  {"create": {"st":"intent|answer","op":"iam:CreateRole","args":digest,"names":{..},"at":ms,"fence":hex,
 *                         "nonce":hex,"facts":.., "settled":"seen"}},  one entry per write, reads are never here
 *    "now":   {"opened": ms},  "codes": {"mailbox": "123456"},
 *    "task":  {"digest":hex,"at":ms,"due":ms,"expired":ms,"again":ms},          the task that a person sees
 *    "signals": {"done": digest}, "spent": {"reject": digest}, "accepts": {question: digest},
 *    "chunks": {"1/accounts": {"$blob":digest,"bytes":n,"at":ms}},              big values of a try, stored elsewhere
 *    "bracket": {"before": {"at_ms", "calls", "reading"}},                      what it touches, before its first write
 *    "unplanned": {"op digest": [{"by","reason"}]},                             who accepted a call that no plan named
 *    "last":  {"outcome":"W","reads":digest},                                   what the ledger was told last
 *    "head":  hex, "seq": n,                                                    end of this step's ledger chain
 *    "undo":  {"keys": .., "now": .., ..}}                the same sections for the undo of this step; the chain goes
 * on
 *
 * Upgrade: new members may be added freely, old readers keep what they do not know; anything else raises "v". */
#pragma once

#include "common/codec/json.h"

#define JOURNAL_BYTES_MAX (64u * 1024u)

struct journal {
    json_t *root;
    json_t *set;   /* borrowed: the sections at work, `root` or its "undo" */
    bool is_dirty; /* differs from what was last handed out by journal_text() */
};

/* text NULL or "": a new one. ERR_SCHEMA when a newer program wrote it, ERR_CORRUPT when it cannot be read. */
NODISCARD int journal_init(struct journal *j, const char *text, struct err *err);
void journal_done(struct journal *j);
/* From now on everything below works in the undo's own sections; what the forward run wrote is read by
 * journal_forward(). */
void journal_begin_undo(struct journal *j);
/* The forward run's entry of that section, NULL when absent. Borrowed. */
json_t *journal_forward(const struct journal *j, const char *section, const char *key);
/* Whether the forward run of the step came to its good end, out of a stored journal. */
bool journal_text_is_done(const char *text);
/* The whole as text (mem_free) and not dirty any more. NULL with ERR_TOO_LARGE over the bound. */
char *journal_text(struct journal *j, struct err *err);

/* One write. NULL when the key was never used. Borrowed. */
json_t *journal_write(const struct journal *j, const char *key);
bool journal_write_is_open(const json_t *entry); /* an intent without its answer */

struct journal_intent {
    const char *op, *args_digest, *fence, *nonce;
    uint64_t at_ms;
    const json_t *args; /* of it the short texts are kept as "names": they tell one role from another in CloudTrail */
};
void journal_intend(struct journal *j, const char *key, const struct journal_intent *intent);
/* An intent without an answer is closed; `entry` may be one of the forward run. */
void journal_settle(struct journal *j, json_t *entry, const char *settled);
/* settled: NULL for a real answer, else how an open intent was closed. `facts` is borrowed. */
void journal_answer(struct journal *j, const char *key, const json_t *facts, const char *settled);
/* The last intent of that key had no effect. An earlier one that was never answered is open again, as before it. */
void journal_forget(struct journal *j, const char *key);
/* All writes by key, borrowed object; and those of the forward run, NULL outside an undo. */
json_t *journal_writes(const struct journal *j);
json_t *journal_forward_writes(const struct journal *j);
/* Appends what a step's journal (its text) tells of its writes: {step, key, op, at_ms, args}. */
void journal_list_writes(const char *text, const char *step, json_t *ret);
/* Writes that `known`, an older and longer life of this journal, had and that are gone: AWS may have them all the same,
 * so they are listed from now on as well. New reference: what was added. */
json_t *journal_note_lost(struct journal *j, const char *known, const char *step);
bool journal_has_answers(const struct journal *j);

/* A value of one of the small sections, NULL when absent; set takes the reference. */
const json_t *journal_get(const struct journal *j, const char *section, const char *key);
void journal_set(struct journal *j, const char *section, const char *key, json_t *value);
void journal_unset(struct journal *j, const char *section, const char *key);
