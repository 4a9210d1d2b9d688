/* IAM and bucket policies as documents: compared by meaning, merged without touching a foreign byte. Pure. */
#pragma once

#include "common/codec/json.h"

#define POLICY_BUCKET_BYTES_MAX 20480u /* S3's limit for a bucket policy */

/* AWS writes one action or many, an account as id or as its root's ARN, in any order: brought to one form.
 * New reference. */
json_t *policy_normal(const json_t *document);
bool policy_equal(const json_t *a, const json_t *b);
/* Whether every Allow of sts:AssumeRole to an AWS principal asks for an external id. */
bool policy_asks_external_id(const json_t *trust);
/* The first external id that a trust asks for, "" when none. Borrowed from `trust`. */
const char *policy_external_id(const json_t *trust);
/* The same trust asking for `external_id` wherever it asks for one. New reference. */
json_t *policy_with_external_id(const json_t *trust, const char *external_id);
/* Whether `document` holds each of `statements` (by Sid) with the same meaning. */
bool policy_holds(const json_t *document, const json_t *statements);
/* The text of a bucket policy with `statements` put in: ours (by Sid) are replaced, all others stay byte for byte.
 * `text` "" makes a new policy. New reference to a JSON text; NULL with ERR_BUCKET_POLICY_SIZE or ERR_SYNTAX. */
json_t *policy_merge(const char *text, const json_t *statements, struct err *err);
/* The other way: the text without the statements that have these Sids; JSON null when none would be left. */
json_t *policy_without(const char *text, const json_t *statements, struct err *err);
