/* The bucket of the cost report as AWS shows it now: looked at by preflight and by cur_bucket. */
#pragma once

#include "common/aws/services/s3.h"
#include "worker/step.h"

enum bucket_standing {
    BUCKET_FREE,      /* nobody has the name */
    BUCKET_ELSEWHERE, /* another account has it */
    BUCKET_HERE       /* in this account; `region` and `tags` are set */
};
struct report_bucket {
    enum bucket_standing standing;
    const char *region;
    const json_t *tags; /* {"key": "value"} */
};

/* {Bucket, ExpectedBucketOwner}, new reference. */
json_t *report_bucket_args(const struct step *s);
/* Two reads at most, under "bucket/location" and "bucket/tags". */
enum step_result report_bucket_look(struct step *s, struct report_bucket *ret);

#define REPORT_BUCKET_OPS &s3_get_bucket_location, &s3_get_bucket_tagging
