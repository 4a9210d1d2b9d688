/* IAM: roles, policies, users, and what the account says of itself. Query protocol, one global host.
 * A comment gives args (AWS's names, ! needed) and, after ->, facts. "absent": NoSuchEntity gives JSON null. */
#pragma once

#include "common/aws/op.h"

extern const struct aws_service aws_service_iam;

/* ---- Roles (iam_roles.c) ---- */
/* RoleName! -> {name, arn, path, role_id, created_ms, description?, max_session?, trust, tags{}, boundary?}; absent */
extern const struct aws_op iam_get_role;
extern const struct aws_op
    iam_list_roles; /* -> {roles: [{name, path, arn, role_id?, description?, max_session?}]}; pages */
/* RoleName! AssumeRolePolicyDocument!:doc Path Description MaxSessionDuration Tags -> as iam_get_role */
extern const struct aws_op iam_create_role;
extern const struct aws_op iam_update_role;                       /* RoleName! Description MaxSessionDuration */
extern const struct aws_op iam_update_assume_role_policy;         /* RoleName! PolicyDocument!:doc */
extern const struct aws_op iam_delete_role;                       /* RoleName!; absent */
extern const struct aws_op iam_list_attached_role_policies;       /* RoleName! -> {policies: [arn]}; pages; absent */
extern const struct aws_op iam_attach_role_policy;                /* RoleName! PolicyArn! */
extern const struct aws_op iam_detach_role_policy;                /* RoleName! PolicyArn!; absent */
extern const struct aws_op iam_list_role_policies;                /* RoleName! -> {names: [text]}; pages; absent */
extern const struct aws_op iam_get_role_policy;                   /* RoleName! PolicyName! -> {document}; absent */
extern const struct aws_op iam_put_role_policy;                   /* RoleName! PolicyName! PolicyDocument!:doc */
extern const struct aws_op iam_delete_role_policy;                /* RoleName! PolicyName!; absent */
extern const struct aws_op iam_list_instance_profiles_for_role;   /* RoleName! -> {names: [text]}; pages; absent */
extern const struct aws_op iam_remove_role_from_instance_profile; /* RoleName! InstanceProfileName!; absent */

/* ---- Customer managed policies (iam_policies.c) ---- */
extern const struct aws_op iam_get_policy; /* PolicyArn! -> {arn, name, path, policy_id, default_version, attachments,
                                              description?, tags{}}; absent */
extern const struct aws_op iam_list_policies; /* (Scope=Local) -> {policies: [{name, arn, path}]}; pages */
extern const struct aws_op
    iam_get_policy_version; /* PolicyArn! VersionId! -> {version, is_default, document}; absent */
extern const struct aws_op
    iam_list_policy_versions; /* PolicyArn! -> {versions: [{version, is_default, created_ms}]}; pages; absent */
extern const struct aws_op
    iam_create_policy; /* PolicyName! PolicyDocument!:doc Path Description Tags -> as iam_get_policy */
extern const struct aws_op iam_create_policy_version; /* PolicyArn! PolicyDocument!:doc SetAsDefault -> {version} */
extern const struct aws_op iam_delete_policy_version; /* PolicyArn! VersionId!; absent */
extern const struct aws_op iam_delete_policy;         /* PolicyArn!; absent */

/* ---- Users (iam_users.c) ---- */
extern const struct aws_op iam_list_attached_user_policies;  /* UserName! -> {policies: [arn]}; pages; absent */
extern const struct aws_op iam_list_groups_for_user;         /* UserName! -> {groups: [name]}; pages; absent */
extern const struct aws_op iam_list_attached_group_policies; /* GroupName! -> {policies: [arn]}; pages; absent */
extern const struct aws_op iam_simulate_principal_policy;    /* PolicySourceArn! ActionNames! ResourceArns -> {results:
                                                                [{action, decision}]}; pages */
extern const struct aws_op iam_update_access_key;            /* UserName! AccessKeyId! Status!; absent */
extern const struct aws_op iam_delete_access_key;            /* UserName! AccessKeyId!; absent */

/* ---- The account (iam_account.c) ---- */
extern const struct aws_op iam_get_account_summary; /* -> {summary: {"AccountMFAEnabled": 0, "Roles": 12, ...}} */
/* [Filter] -> {users, groups, roles, policies}; pages. Members, documents decoded:
 * user   {name, path, user_id, arn, groups: [name], policies: [arn], inline: {name: document}, tags{}, boundary?}
 * group  {name, path, group_id, arn, policies, inline}
 * role   {name, path, role_id, arn, trust, policies, inline, tags{}, boundary?, instance_profiles?: [name]}  (no
 * description, no max_session: AWS omits them) policy {arn, path, default_version, document, name?, policy_id?}  (the
 * default version's) */
extern const struct aws_op iam_get_account_authorization_details;
extern const struct aws_op iam_list_account_aliases;           /* -> {aliases: [text]}; pages */
extern const struct aws_op iam_list_saml_providers;            /* -> {providers: [arn]} */
extern const struct aws_op iam_list_open_id_connect_providers; /* -> {providers: [arn]} */
extern const struct aws_op iam_get_account_password_policy;    /* -> {policy: {..AWS's names, texts}}; absent */
extern const struct aws_op
    iam_list_virtual_mfa_devices; /* AssignmentStatus -> {devices: [{serial, user_arn?}]}; pages */
extern const struct aws_op iam_list_organizations_features; /* -> {features: [name]} of central root access */
