/* A ledger as a story: what happened, in the order in which it was written down. Pure. */
#pragma once

#include "common/codec/json.h"

/* [{at_ms, step, kind, text, who, is_write, request_id, op, with}], oldest first; lines that tell nobody anything
 * (saved times, answers that people gave, told elsewhere) are left out. `steps`: names by index, for decisions about a
 * step. New reference. */
json_t *ledger_story(const json_t *lines, const json_t *steps);
