/* Inside of cross_account_role*.c: the role as the import wants it. */
#pragma once

#include "worker/steps/cross_account_role.h"

struct wish {
    const json_t *role; /* vars.roles.<which> */
    const char *name, *path, *description;
    const json_t *trust;   /* document */
    const json_t *own;     /* [{name, document}]: customer managed policies */
    const json_t *managed; /* [arn] of AWS */
    const json_t *in_line; /* [{name, document}] */
    int64_t max_session;
};

/* ERR_PROFILE_INVALID when the trust would let anybody of the trusted account in without an external id. */
enum step_result wish_read(struct step *s, const char *which, struct wish *ret);
const char *wish_policy_arn(struct step *s, const struct wish *w, const char *policy_name);
/* The role's managed policies, ours and AWS's, sorted. New reference. */
json_t *wish_attached(struct step *s, const struct wish *w);
/* Customer managed policies exist with the wanted default version. */
enum step_result wish_have_policies(struct step *s, const struct wish *w, bool *ret_wrote);
/* Reads everything back, waits until it is so, and leaves it in the result. `seen` says that all was already read
 * equal. */
enum step_result wish_see(struct step *s, const struct wish *w, const json_t **ret_role);
