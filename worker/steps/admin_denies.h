/* Why AWS would refuse, for a person: which policy, which statement. */
#pragma once

#include "worker/step.h"

/* An entry of a simulation's results that is not allowed. */
bool admin_deny_is_explicit(const json_t *result);
/* One text per entry of `denied`, in its order, borrowed until the function returns. Policies are read (once, all
 * together) only when something is denied explicitly; where that is not allowed either, AWS's own words must do. */
enum step_result admin_denies_in_words(struct step *s, const char *self, const json_t *denied, const json_t **ret);
