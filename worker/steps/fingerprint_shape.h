/* The shape of every fingerprint section: what fingerprint_read*.c keep and what `expects` patches address.
 *
 * A section is an object keyed by a natural id. A value holds only what a person or a program set: counters, "last
 * used" times, delivery states and the service's own order are dropped here, once, so that they can never make a
 * difference. Lists that AWS does not order are sorted. Policy documents are JSON values (decoded), compared as
 * canonical JSON.
 *
 *   section           key                     value
 *   organization      "id" "arn" "feature_set" "master_account_id" "master_email"      text
 *   accounts          account id              {arn, email, name, state, joined_method, joined_ms}
 *   tree              root, OU, account id    {type: "ROOT"|"OU"|"ACCOUNT", parent ("" for a root), name ("" for an
 *                                              account), policy_types: {"SERVICE_CONTROL_POLICY": "ENABLED"} (roots)}
 *   policies          policy id               {type, name, description, aws_managed, content, targets: [sorted ids]}
 *   trusted_services  service principal       {enabled_ms}
 *   delegation        account id              {services: [sorted principals]}
 *                     "resource_policy"       {document}            (key absent: none)
 *   handshakes        handshake id            {action, state, parties: [sorted "TYPE id"], expires_ms}  (open ones, of
 * the organization and of its management account) transfers         transfer arn            {name, type, status,
 * source, source_email, target, target_email, start_ms, end_ms, handshake}    (billing transfers, both directions)
 *   features          "identity_center"       {instances: [{arn, identity_store, owner, status}]} sorted by arn
 *                     "backup"                {settings: {name: text}}
 *                     "firewall_manager"      {admin: account id or ""}
 *                     "resource_sharing"      {shares: [sorted arns]}
 *                     "stacksets"             {status: "ENABLED"|"DISABLED"|"DISABLED_PERMANENTLY"}
 *                     any of them             {not_readable: true}  (AWS denied it: the same before and after)
 *   iam.account       "aliases"               {names: [sorted]}
 *                     "root"                  {mfa: bool, access_keys: bool, devices: [sorted serials]} (virtual ones)
 *                     "password_policy"       the policy's members  (key absent: none)
 *                     "organizations_features" {enabled: [sorted]} of central root access, or {not_readable: true}
 *                     provider arn            {} (SAML and OIDC providers)
 *   iam.users         user name               {path, user_id, groups: [sorted], policies: [sorted attached arns],
 *                                              inline: {name: document}, tags: {key: value}, boundary: arn or ""}
 *   iam.groups        group name              {path, group_id, policies, inline}
 *   iam.roles         role name               {path, role_id, trust: document, max_session: seconds, description,
 *                                              policies: [sorted attached arns], inline: {name: document}, tags,
 *                                              boundary: arn or "", instance_profiles: [sorted] (absent: none)}
 *   iam.policies      policy arn              {document}            (default version of a customer managed policy)
 *   s3                bucket name             {region}
 *   cur               report name             the definition under AWS's own names, as shape_report() leaves it
 *   exports           export arn              {name, query, tables, destination, refresh}
 *   tax               account id              {registration: null or {id, type, legal_name, address}, seller}
 *                     "inheritance"           {status: "OptIn"|"OptOut"}
 *   contact           "contact"               AWS's own names, without empty members
 *                     "BILLING" "OPERATIONS" "SECURITY"   {name, title, email, phone}   (key absent: none)
 *   trails            trail arn               {name, home, bucket, prefix, topic, key, log_group, log_role,
 * multi_region, global_events, organization, validation, insights, selectors, logging} region {not_readable: true} (AWS
 * denied it there)
 *
 * `expects(import, before, result)` gets the whole fingerprint as `before` ({"sections", "digests", ..}) and gives an
 * array. A step writes its patches with the helpers below and gives values that it read back, so that "expected" is
 * what AWS says and not what we hoped. Pure. */
#pragma once

#include "common/codec/json.h"

/* Appends {section, key, op: "add", value}; takes the reference. Returns `patches` for chaining. */
json_t *shape_add(json_t *patches, const char *section, const char *key, json_t *new_value);
/* Replaces the whole value (path NULL) or the member at `path` ("tags/owner") inside it. */
json_t *shape_replace(json_t *patches, const char *section, const char *key, const char *path, json_t *new_value);
json_t *shape_remove(json_t *patches, const char *section, const char *key);
/* add when `before` lacks the key, replace when it has another value, nothing when it is equal: for adopted things. */
json_t *shape_put(json_t *patches, const json_t *before, const char *section, const char *key, json_t *new_value);

/* A report definition without ReportStatus and Tags, lists sorted, empty lists dropped. New reference. */
json_t *shape_report(const json_t *definition);
/* The value in section iam.roles. trust and inline documents are values; policies an array of arns; tags an object, or
 * AWS's list of {Key, Value}. Borrowed arguments. New reference. */
json_t *shape_role(const char *path, const char *role_id, const json_t *trust, int64_t max_session,
                   const char *description, const json_t *policies, const json_t *inline_documents, const json_t *tags,
                   const char *boundary);
/* The value in section tax, from AWS's own shapes: taxRegistration (or a taxRegistrationEntry; NULL or null: none;
 * legalAddress under its own name) and the seller. New reference. */
json_t *shape_tax(const json_t *registration, const char *seller);
/* The value "root" in section iam.account, from the facts of iam_get_account_summary and iam_list_virtual_mfa_devices.
 */
json_t *shape_root(const json_t *summary, const json_t *devices);
/* Sorted copy of a list of texts. New reference. */
json_t *shape_set(const json_t *list);
/* {key: value} from AWS's list of {Key, Value}; an object is copied. New reference. */
json_t *shape_tags(const json_t *tags);
