/* The proof at the end of an undo: the organization is as before, but for what the undo itself says that it left, and
 * what others changed. fingerprint_after asks for it; its verdict and its question stay the same. */
#pragma once

#include "worker/step.h"

/* What may differ from before: the entries that a remainder explains (ownership_remains_in) and what an operator
 * accepted at the end of the forward run, each as it is now; and the root user's devices, as the last step saw them.
 * The verdict lets exactly these pass. New reference. */
json_t *undo_proof_patches(struct step *s, const json_t *before, const json_t *after);
/* What differs on the root user from before, each as a remainder, whether the verdict lets it pass or not: people are
 * at work there, and an operator's device must not stay on a customer's root user without anybody being told. New
 * reference. */
json_t *undo_root_remains(struct step *s, const json_t *before, const json_t *after, const json_t *events);
/* All that the undo leaves, step by step: [{step, what, owner, command, in?}]. New reference. */
json_t *undo_remains(const struct step *s);
