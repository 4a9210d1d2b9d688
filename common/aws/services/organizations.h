/* AWS Organizations: reads only. The import never changes an organization's structure, so no write exists here.
 * Facts, by operation:
 *   describe_organization  {id, arn, feature_set, master_account_id, master_arn, master_email}; null: no organization
 *   list_accounts          {accounts: [{id, arn, email, name, state, joined_method, joined_ms, paths}]}   all pages;
 * paths: ["o-1/r-1/ou-1/111122223333/"] list_roots             {roots: [{id, arn, name, policy_types: [{type,
 * status}]}]} list_organizational_units_for_parent {ParentId}  {ous: [{id, arn, name}]} list_accounts_for_parent
 * {ParentId}              {accounts: [id]} list_policies {Filter}                           {policies: [{id, arn, name,
 * description, type, aws_managed}]} describe_policy {PolicyId}                       {id, content}   content is JSON
 * where it can be read as such list_targets_for_policy {PolicyId}               {targets: [id]}
 *   list_aws_service_access_for_organization         {services: [{principal, enabled_ms}]}
 *   list_delegated_administrators                    {administrators: [id]}
 *   list_delegated_services_for_account {AccountId}  {services: [principal]}
 *   describe_resource_policy                         {document}; null: none
 *   list_handshakes_for_organization                 {handshakes: [{id, action, state, expires_ms, parties: [{id,
 * type}]}]}
 *   list_handshakes_for_account                      the same, of the account that asks
 *   list_{inbound,outbound}_responsibility_transfers {Type: "BILLING"}
 *                          {transfers: [{id, arn, name, type, status, source, source_email, target, target_email,
 *                                        start_ms, end_ms, handshake}]} */
#pragma once

#include "common/aws/op.h"

extern const struct aws_op organizations_describe_organization;
extern const struct aws_op organizations_list_accounts;
extern const struct aws_op organizations_list_roots;
extern const struct aws_op organizations_list_organizational_units_for_parent;
extern const struct aws_op organizations_list_accounts_for_parent;
extern const struct aws_op organizations_list_policies;
extern const struct aws_op organizations_describe_policy;
extern const struct aws_op organizations_list_targets_for_policy;
extern const struct aws_op organizations_list_aws_service_access_for_organization;
extern const struct aws_op organizations_list_delegated_administrators;
extern const struct aws_op organizations_list_delegated_services_for_account;
extern const struct aws_op organizations_describe_resource_policy;
extern const struct aws_op organizations_list_handshakes_for_organization;
extern const struct aws_op organizations_list_handshakes_for_account;
extern const struct aws_op organizations_list_inbound_responsibility_transfers;
extern const struct aws_op organizations_list_outbound_responsibility_transfers;
