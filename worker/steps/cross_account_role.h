/* One algorithm for the three roles that we make in the management account: doitintl_cmp, CloudHealth, AWSAdmin.
 *
 * Look -> make what is missing, mend what drifted on ours, stop at what is not ours -> read everything back.
 * A role is ours only by the profile's tag. Names are unique ignoring case at AWS. `which` is the key below vars.roles.
 */
#pragma once

#include "common/aws/services/iam.h"
#include "worker/steps/ownership.h"

/* DONE with `ret_role`: {name, arn, role_id, ..} as read back; leaves "role", "role_value", "policies" and "created" in
 * the result for expects and undo. */
enum step_result cross_account_role_make(struct step *s, const char *which, const json_t **ret_role);
/* Removes it when this import made it, it is still ours, and nobody hung something of theirs on it. */
enum step_result cross_account_role_undo(struct step *s, const char *which);
enum step_result cross_account_role_touches(struct step *s, const char *which, json_t *reading);
json_t *cross_account_role_expects(const json_t *import, const json_t *before, const json_t *result);

/* What each of the three step files must declare. */
#define CROSS_ACCOUNT_ROLE_OPS                                                                                         \
    &iam_get_role, &iam_list_roles, &iam_create_role, &iam_update_role, &iam_update_assume_role_policy,                \
        &iam_list_attached_role_policies, &iam_attach_role_policy, &iam_list_role_policies, &iam_get_role_policy,      \
        &iam_put_role_policy, &iam_get_policy, &iam_get_policy_version, &iam_list_policy_versions, &iam_create_policy, \
        &iam_create_policy_version, &iam_delete_policy_version, &iam_detach_role_policy, &iam_delete_role_policy,      \
        &iam_list_instance_profiles_for_role, &iam_remove_role_from_instance_profile, &iam_delete_role,                \
        &iam_delete_policy
