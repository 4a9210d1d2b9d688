/* What fingerprint_after judges: what the steps declared and saw, and whose events there are. */
#pragma once

#include "common/proof/verdict.h"
#include "worker/step.h"

/* All that the finished steps declared, each patch with "step" and "seen_ms" (when its step had read the entry back).
 * New reference. */
json_t *evidence_patches(struct step *s, const json_t *before);
/* Brackets that are not clean, as verdict.h wants them. New reference. */
json_t *evidence_brackets(struct step *s);
/* What differs in entries that no section holds (the report bucket's settings) since their step's bracket. Borrowed. */
enum step_result evidence_extra(struct step *s, const json_t **ret);
/* CloudTrail's writes where `verdict`'s open differences are to be looked for: the home region always. Borrowed. */
enum step_result evidence_events(struct step *s, const json_t *verdict, const json_t **ret);
/* Access key ids that were handed over for this import. Borrowed. */
enum step_result evidence_keys(struct step *s, const json_t **ret);
/* Events come late: DONE once they had an hour to arrive, else WAIT until the next look. */
enum step_result evidence_wait(struct step *s, size_t open);
