/* Permissions as documents: what an import needs at AWS, as policies that a customer attaches and a reviewer reads.
 *
 * Everything here is made of two things: the manifest (what each step declares that it may sign;
 * worker/steps/manifest.h writes it from the step tables themselves) and the import document (names, account, bucket).
 * Pure: no I/O, no clock.
 *
 * Manifest: [{"step":"role_cmp","item":"2.3","ops":[{"op":"iam:CreateRole","permission":"iam:CreateRole,iam:TagRole",
 *            "who":"customer"|"operator"|"partner"|"trusted"|"nobody","mutates":true}]}] */
#pragma once

#include "common/codec/json.h"

#define POLICY_MANAGED_MAX 6144U /* AWS's limits, counted without white space */
#define POLICY_ROLE_INLINE_MAX 10240U
#define POLICY_SESSION_MAX 2048U

/* What the steps of this import ask of AWS as the customer, grouped by the resources that AWS lets it be narrowed to:
 * [{"sid", "part":"read"|"write", "actions":["iam:GetRole"], "resources":["arn:.."], "condition":{..}?,
 *   "probe":["arn:.."] concrete resources for a simulation, "*" alone when there is no resource level,
 *   "context":{"key":["value"]}? what the condition will see, "note": why it is as wide as it is}]
 * Steps are those named in import.steps; NULL or empty there means all. New reference. */
json_t *policy_needs(const json_t *manifest, const json_t *import);
/* Every action of those groups, sorted. New reference. */
json_t *policy_actions(const json_t *needs);
/* Whether the import goes on without it: reads whose refusal is a value of the fingerprint. */
bool policy_action_is_optional(const char *action);
/* Whether this file's table knows how far AWS lets the action be narrowed (a test asks for every declared one). */
bool policy_action_is_known(const char *action);

/* The groups as policies within the limit of a managed policy, read part and write part apart:
 * [{"name":"OrgImportRead","part":"read","document":{..},"actions":n,"characters":n}]. New reference. */
json_t *policy_documents(const json_t *needs);
/* What nobody with these policies may ever do, whatever else is attached: an explicit deny for customers who give
 * AdministratorAccess all the same. New reference. */
json_t *policy_guard(const json_t *import);
/* Who may take the bootstrap role. New reference. */
json_t *policy_trust(const json_t *import);
/* The session policy of the role route as text (mem_free); NULL when there is nothing to allow or it cannot fit. */
char *policy_session(const json_t *manifest, const json_t *import);
/* Characters as IAM counts them: white space is free. */
size_t policy_characters(const json_t *document);
/* All of the above as one answer:
 * {"account_id","method","principal","documents":[..],"guard":{..},"trust":{..}?,"session":{..}?,
 *  "actions":[{"action","part","optional","steps":[..]}],"notes":[..],"administrator":{"document","characters"}} */
json_t *policy_report(const json_t *manifest, const json_t *import);

/* ---- Judging documents ---- */
/* `*` and `?` of policies. Actions are compared without regard to case. */
bool policy_matches(const char *pattern, const char *text, bool ignore_case);
/* Text or list of texts. */
bool policy_any_matches(const json_t *words, const char *text, bool ignore_case);
/* The first statement of `document` with this effect that covers the action on the resource (conditions are not
 * judged), and its number from 1; NULL when there is none. */
const json_t *policy_statement(const json_t *document, const char *effect, const char *action, const char *resource,
                               size_t *ret_number);

/* ---- What a role can do, in words (policy_roles.c) ---- */
/* `role` as in the import document's vars.roles (or a profile): {"name","trust","policies":[{"name","document"}],
 * "inline":[..],"managed":["arn:.."],"max_session"}. Gives
 * {"name","who":[{"principal","external_id","words"}],"can":[{"service","class","actions":[..],"on":[..],"words"}],
 *  "warnings":[{"action","because","on"}],"max_session"}. New reference. */
json_t *policy_role_words(const json_t *role);

/* ---- What AWS says when it refuses (policy_denied.c) ---- */
/* Reads "User: .. is not authorized to perform: iam:CreateRole on resource: .. with an explicit deny in a service
 * control policy: arn:..": {"principal","action","resource","kind":"explicit"|"implicit"|"","layer":"service control
 * policy","policy":"arn:.."}. NULL when it is no such text. New reference. */
json_t *policy_denied_read(const char *text);
