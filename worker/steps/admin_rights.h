/* Whether the handed-over identity may do what the import needs: asked by admin_access, and once more by readiness. */
#pragma once

#include "common/aws/services/iam.h"
#include "worker/step.h"

struct admin_rights {
    bool is_enough;
    const char *how;     /* "attached", "group doit-admins", "simulated", ... */
    const char *missing; /* for a person, "" when enough */
};

/* Key route: AdministratorAccess on the user or on one of its groups. Role route: AWS simulates what the playbook's
 * steps declare. `me` comes from step_identity. Reads only; keys begin with "rights/". */
enum step_result admin_rights_read(struct step *s, const json_t *me, struct admin_rights *ret);
/* The user of arn:aws:iam::111122223333:user/path/name; "" when it is not a user. */
const char *admin_user_name(const char *arn);

#define ADMIN_RIGHTS_OPS                                                                                               \
    &iam_list_attached_user_policies, &iam_list_groups_for_user, &iam_list_attached_group_policies,                    \
        &iam_simulate_principal_policy
