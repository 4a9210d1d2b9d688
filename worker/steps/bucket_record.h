/* The report bucket as it is found, for the record: a fingerprint keeps only its region, and a rehearsal needs the
 * rest. */
#pragma once

#include "worker/steps/report_bucket.h"

/* {name, standing: "free"|"elsewhere"|"here", region, tags, policy, public_access_block, ownership, encryption};
 * settings that are not set are left out. Borrowed until the step returns. */
enum step_result bucket_record(struct step *s, const struct report_bucket *bucket, const json_t **ret);

#define BUCKET_RECORD_OPS                                                                                              \
    &s3_get_public_access_block, &s3_get_bucket_ownership, &s3_get_bucket_encryption, &s3_get_bucket_policy
