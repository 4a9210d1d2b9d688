/* What the S3 files share: finding a bucket the way S3 answers for it, and the checks that come before every change. */
#pragma once

#include "sim_iam.h"

json_t *s3_buckets(struct sim_world *w); /* map; created; borrowed */
/* The bucket that the request names, in the caller's account, region and expected owner; NULL after refusing. */
json_t *s3_bucket(struct sim_request *rq);
/* The body as JSON below its root element, after checking that its checksum came along; NULL after refusing. New. */
json_t *s3_body(struct sim_request *rq, const char *root);
bool s3_checksum_is_fine(struct sim_request *rq);
void s3_changed(struct sim_request *rq, struct sim_before before, const json_t *bucket);
void s3_done(struct sim_request *rq, bool no_content);

extern const struct sim_op s3_setting_ops[]; /* beside sim_ops_s3 */
