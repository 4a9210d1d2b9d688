/* What a run did, counted from the lines of its ledger: the same for a rehearsal, for the real import, and in a bundle.
 * Pure. What an undo did is no part of it. */
#pragma once

#include "common/codec/json.h"

/* A write recorded as done or refused. Mail is no part of what is predicted. */
bool run_line_is_write(const json_t *line);
/* Keys end in a digest of what was seen before a repair; of the same thing with another request id or date it is
 * another one, so it does not count: the length without it. */
size_t run_key_len(const char *key);
/* {reads, writes: ["step op key", sorted], failures: tries that ended in an error, ms: from the first line to the
 * last}. New reference. */
json_t *run_figures(const json_t *lines);
