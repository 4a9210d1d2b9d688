/* What the IAM files share: finding things by name, refusals, pages, tags and documents as IAM writes them. */
#pragma once

#include "sim_core.h"
#include "svc.h"

enum iam_kind { IAM_ROLE, IAM_USER, IAM_GROUP, IAM_POLICY };
extern const struct iam_words {
    const char *section, *word, *name; /* "roles", "role", "RoleName" */
} iam_words[];

json_t *iam_all(struct sim_request *rq, enum iam_kind kind);                   /* the map; created; borrowed */
json_t *iam_get(struct sim_request *rq, enum iam_kind kind, const char *name); /* exact; NULL after NoSuchEntity */
/* Like iam_get, but refuses to change what belongs to AWS (service-linked, reserved). */
json_t *iam_get_ours(struct sim_request *rq, enum iam_kind kind, const char *name);
json_t *iam_get_policy(struct sim_request *rq, const char *arn); /* customer managed, by ARN; NULL after NoSuchEntity */
/* True after refusing because the name is taken, ignoring case as IAM does. */
bool iam_is_taken(struct sim_request *rq, enum iam_kind kind, const char *name);
bool iam_name_is_fine(struct sim_request *rq, const char *what, const char *name, size_t max);
/* False after refusing: not JSON, no statements, or longer than `max`. */
bool iam_document_is_fine(struct sim_request *rq, const char *document, size_t max, const char *quota);
bool iam_within_quota(struct sim_request *rq, const char *quota, size_t otherwise, size_t used);
json_t *iam_document(const char *text);   /* as IAM returns it: percent-encoded */
json_t *iam_tags(struct sim_request *rq); /* of the request; NULL after refusing */
json_t *iam_new_id(const char *prefix);
json_t *iam_now(void);
json_t *iam_attached(const json_t *owner); /* [{PolicyName, PolicyArn}] */
/* Answers with one page of `all` (taken) as list `name` in a result that `result` (taken, may be NULL) begins. */
void iam_page(struct sim_request *rq, json_t *result, const char *name, json_t *all);
/* Rewrites a resource policy or trust as AWS stores it (one_member_lists, principal_account_becomes_arn). malloc'ed. */
char *iam_stored_document(const char *document);
json_t *iam_copy(const json_t *from, const char *const *names); /* the named members that are there */

extern const struct sim_op iam_role_ops[], iam_policy_ops[], iam_user_ops[]; /* beside sim_ops_iam */
