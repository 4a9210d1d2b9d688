/* Partner Central's channel management: who resells whom. Signed by the operator's program management account.
 * JSON 1.0; IAM calls the actions "partnercentral:". AWS offers SigV4A first and lists plain SigV4 for us-east-1
 * second. */
#pragma once

#include "common/aws/op.h"

extern const struct aws_service aws_service_channel;

/* catalog! accountIds -> {accounts: [{id, arn?, account_id, program?, status}]}; pages */
extern const struct aws_op channel_list_program_management_accounts;
/* catalog! associatedAccountIds associationTypes -> {relationships: [{id, arn?, account_id, pma?, type?, model?,
 * sector?}]}; pages */
extern const struct aws_op channel_list_relationships;
/* catalog! associationType! programManagementAccountIdentifier! associatedAccountId! displayName! resaleAccountModel
 * sector! clientToken! -> {id, arn?} */
extern const struct aws_op channel_create_relationship;
/* catalog! programManagementAccountIdentifier! identifier! -> {id, account_id, ...}; absent */
extern const struct aws_op channel_get_relationship;
