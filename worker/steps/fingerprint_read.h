/* Reads the whole organization into a fingerprint (common/proof/fingerprint.h), in the shape of fingerprint_shape.h. */
#pragma once

#include "worker/step.h"

/* Every operation it uses: for the manifests of the steps that call it. */
#define FINGERPRINT_OPS                                                                                                \
    &organizations_describe_organization, &organizations_list_accounts, &organizations_list_roots,                     \
        &organizations_list_organizational_units_for_parent, &organizations_list_accounts_for_parent,                  \
        &organizations_list_policies, &organizations_describe_policy, &organizations_list_targets_for_policy,          \
        &organizations_list_aws_service_access_for_organization, &organizations_list_delegated_administrators,         \
        &organizations_list_delegated_services_for_account, &organizations_describe_resource_policy,                   \
        &organizations_list_handshakes_for_organization, &organizations_list_handshakes_for_account,                   \
        &organizations_list_inbound_responsibility_transfers, &organizations_list_outbound_responsibility_transfers,   \
        &sso_list_instances, &backup_describe_global_settings, &cloudtrail_describe_trails,                            \
        &cloudtrail_get_trail_status, &iam_list_organizations_features, &fms_get_admin_account,                        \
        &ram_get_resource_shares, &cloudformation_describe_organizations_access,                                       \
        &iam_get_account_authorization_details, &iam_list_roles, &iam_get_account_summary, &iam_list_account_aliases,  \
        &iam_list_virtual_mfa_devices, &iam_get_account_password_policy, &iam_list_saml_providers,                     \
        &iam_list_open_id_connect_providers, &s3_list_buckets, &s3_get_bucket_location,                                \
        &cur_describe_report_definitions, &data_exports_list_exports, &data_exports_get_export,                        \
        &tax_list_tax_registrations, &tax_get_tax_inheritance, &account_get_contact_information,                       \
        &account_get_alternate_contact

/* Reads every section until two reads in a row are equal, five tries at most; what would not hold still is listed in
 * "unstable" with its last two digests, and its last value is kept. `ret` is borrowed until the step returns. */
enum step_result fingerprint_read(struct step *s, const json_t **ret);
/* The same of some sections only (comma list; NULL: all), for a step that looks just before and just after what it
 * writes. `name` tells the reads of one step apart: "before", "after". The step's manifest lists what it needs. */
enum step_result fingerprint_read_sections(struct step *s, const char *name, const char *sections, const json_t **ret);
