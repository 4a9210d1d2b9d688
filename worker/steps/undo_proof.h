/* The proof at the end of an undo: the organization is as before, but for what the undo itself says that it left, and
 * what others changed. fingerprint_after asks for it; its verdict and its question stay the same. */
#pragma once

#include "worker/step.h"

/* What may differ from before: the entries that a remainder explains (ownership_remains_in), the root user's devices as
 * the last step saw them, and what an operator accepted at the end of the forward run. Each as it is now, so that the
 * verdict lets exactly these entries pass. New reference. */
json_t *undo_proof_patches(struct step *s, const json_t *before, const json_t *after);
/* All that the undo leaves, step by step: [{step, what, owner, command, in?}]. New reference. */
json_t *undo_remains(const struct step *s);
