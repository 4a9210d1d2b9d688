/* Ledger lines of one step: a hash chain, written by its fenced holder in the same turn as the journal (I14).
 *
 * Line: {"n","step","kind","key","op","args","at_ms","fence","nonce","result","request_id","prev","hash"}; hash is the
 * SHA-256 of the canonical JSON of the line without "hash", prev the hash of the line before ("" for the first). The
 * end of the chain (head, seq) lives in the journal, so that both move together or not at all. */
#pragma once

#include "worker/runtime/journal.h"

struct ledger_who {
    const char *step, *fence, *nonce;
    uint64_t at_ms;
};

/* Appends one line and "\n" to `out` and moves the journal's head. `line` brings kind, key, op, args, result,
 * request_id as far as they apply; its reference is taken. */
void ledger_add(struct journal *j, const struct ledger_who *who, json_t *line, struct str *out);
/* What stands in a line for facts: themselves when small, else {"digest","bytes"}. New reference. */
json_t *ledger_facts(const json_t *facts);
json_t *ledger_arguments(const json_t *args); /* the same, with more room */
