/* Whether the handed-over identity may do what the import needs: asked by admin_access, and once more by readiness. */
#pragma once

#include "common/aws/services/iam.h"
#include "worker/step.h"

struct admin_rights {
    bool is_enough;
    const char *how;     /* "simulated: all 85 declared actions are allowed" */
    const char *missing; /* for a person, "" when enough */
};

/* AWS simulates, for a user as for a role, every action that the playbook's steps declare, on the resources and under
 * the conditions of the policy that the customer was given (common/policy): AdministratorAccess passes, exactly that
 * policy passes, and so does anything else that allows it all. Each action that is not allowed becomes a finding, an
 * explicit deny with its policy and statement. `me` comes from step_identity. Reads only; keys begin with "rights/". */
enum step_result admin_rights_read(struct step *s, const json_t *me, struct admin_rights *ret);
/* The user of arn:aws:iam::111122223333:user/path/name; "" when it is not a user. */
const char *admin_user_name(const char *arn);

#define ADMIN_RIGHTS_OPS &iam_simulate_principal_policy, &iam_get_account_authorization_details
