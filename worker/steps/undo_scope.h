/* What an undo has to do at all, as the forward run left it: asked by the steps that run again in an undo. */
#pragma once

#include "worker/step.h"

/* In an undo whose forward run ended before anything could be changed: the fingerprint was never taken. Access is not
 * asked for again then, and nothing is compared. Always false outside an undo. */
static inline bool undo_has_nothing(const struct step *s)
{
    return step_is_undo(s) && !step_has_result(s, "fingerprint_before");
}

/* The access that is in use: handed over again for the undo of a finished import. NULL when there is none. */
static inline const json_t *undo_access(const struct step *s)
{
    return step_is_undo(s) ? step_undo_of(s, "access_handover") : step_result_of(s, "access_handover");
}
