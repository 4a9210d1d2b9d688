/* STS: who signs, and sessions of roles. Query protocol, regional hosts. */
#pragma once

#include "common/aws/op.h"

extern const struct aws_service aws_service_sts;

extern const struct aws_op sts_get_caller_identity;         /* {account, arn, user_id} */
extern const struct aws_op sts_get_caller_identity_trusted; /* the same, of our identity in the trusted account */
/* The question put to a key that was retired: {account, arn} while it lives; absent: AWS does not know it any more. */
extern const struct aws_op sts_get_caller_identity_retired;
/* RoleArn! RoleSessionName! ExternalId DurationSeconds Policy. For the credentials of a session only, never through a
 * step: {access_key_id, secret_access_key, session_token, expires_ms, arn, account}. */
extern const struct aws_op sts_assume_role;
/* The same question asked by the account that a new role trusts; the credentials are dropped unread:
 * {arn, account}; absent: AccessDenied, which is half of what the probe wants to hear. */
extern const struct aws_op sts_assume_role_probe;
