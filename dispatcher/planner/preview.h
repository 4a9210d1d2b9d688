/* The permissions of an import that need not exist yet: from a request, or from an example when there is none. */
#pragma once

#include "dispatcher/planner/input.h"

/* `request`: checked by input_check, or NULL for an example organization. `method`: "role", "sealed_key" or NULL (the
 * request's own; role in an example). Gives policy_report plus
 * {"external_ref","roles":[policy_role_words],"is_example", "external_ids_known":false}. New reference, or NULL with
 * what plan_import would say. */
json_t *preview_policy(const struct profile *profile, const struct playbook *playbook, const json_t *request,
                       const char *method, struct err *err);
/* The same for the document of an import. New reference. */
json_t *preview_policy_of(const json_t *doc);
