/* The session policy of the role route: what the steps of this import declare, and nothing else. */
#include "common/policy/policy.h"
#include "worker/runtime/session.h"
#include "worker/steps/manifest.h"

char *session_policy(const json_t *import)
{
    json_t *steps = json_object_get(import, "steps");
    /* An import without steps signs nothing; an absent list would mean "all" in a manifest's eyes. */
    return json_array_size(steps) ? policy_session(steps_manifest(), import) : NULL;
}
