/* The plan as people read, sign and compare it: made by change_plan, made again by plan_approval right before it lets
 * the import go on.
 *
 *   {"format": "orgimport-plan/1", "hash": SHA-256 of the canonical JSON of "pinned",
 *    "pinned": {import, account, customer, playbook, profile, intent, read_set,
 *               steps: [{step, item, ends, resources: [{resource, action: create|adopt|change|remove|nothing, reason}],
 *                        calls, tasks, mails, decisions, waits, warnings, stop?}]},
 *    "no_changes": bool, "is_complete": bool, "summary": {..}, "estimate": {..}, "others": [..], "made_ms"}
 *
 * What is outside of "pinned" may differ between two plans of the same world. */
#pragma once

#include "common/aws/services/channel.h"
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/invoicing.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/sts.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/admin_rights.h"

/* Asks AWS, writes nothing. */
enum step_result plan_make(struct step *s, const json_t **ret_plan);
/* What of `now` differs from `before` so that its approval is void: [{item, from, to}]. New reference. */
json_t *plan_moved(const json_t *before, const json_t *now);
/* What only looks different: [{op}]. New reference. */
json_t *plan_drift(const json_t *before, const json_t *now);
/* What plan_moved needs to know of a plan, small enough for a note. New reference. */
json_t *plan_digest(const json_t *plan);

/* Every read of the steps that are played ahead (a test compares), and of the trusted services. No write. */
#define PLAN_OPS                                                                                                       \
    &organizations_describe_organization, &organizations_list_handshakes_for_organization,                             \
        &organizations_list_aws_service_access_for_organization, &cloudtrail_lookup_events, ADMIN_RIGHTS_OPS,          \
        &iam_get_role, &iam_list_roles, &iam_list_attached_role_policies, &iam_list_role_policies,                     \
        &iam_get_role_policy, &iam_get_policy, &iam_get_policy_version, &iam_list_policy_versions,                     \
        &iam_list_instance_profiles_for_role, &iam_get_account_summary, &iam_list_virtual_mfa_devices,                 \
        &sts_get_caller_identity_trusted, &sts_assume_role_probe, &sts_get_caller_identity_retired,                    \
        &channel_list_program_management_accounts, &channel_list_relationships, &channel_get_relationship,             \
        &invoicing_batch_get_invoice_profile, &tax_get_tax_registration, &tax_list_tax_registrations,                  \
        &tax_get_tax_inheritance, &cur_describe_report_definitions, &cur_list_tags_for_resource,                       \
        &s3_get_bucket_location, &s3_get_bucket_tagging, &s3_get_public_access_block, &s3_get_bucket_ownership,        \
        &s3_get_bucket_encryption, &s3_get_bucket_policy, &s3_list_objects
/* Results that the steps ahead read, and the plan itself. */
#define PLAN_USES                                                                                                      \
    "access_handover,org_identify,admin_access,preflight,fingerprint_before,change_plan,mailbox_ready,root_email,"     \
    "root_mfa_handover,readiness"
