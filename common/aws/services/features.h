/* The organization-wide features that the process promises to leave alone: one read each, for the fingerprint section
 * "features". "Not enabled" is a value (empty list, no setting, null), never an error.
 *   sso_list_instances                             {instances: [{arn, identity_store, owner, status}]}
 *   backup_describe_global_settings                {settings: {name: text}}
 *   fms_get_admin_account                          {admin}; null: none
 *   ram_get_resource_shares                        {shares: [{arn, name, status}]}   those that this account shares
 *   cloudformation_describe_organizations_access   {status} */
#pragma once

#include "common/aws/op.h"

extern const struct aws_op sso_list_instances;
extern const struct aws_op backup_describe_global_settings;
extern const struct aws_op fms_get_admin_account;
extern const struct aws_op ram_get_resource_shares;
extern const struct aws_op cloudformation_describe_organizations_access;
