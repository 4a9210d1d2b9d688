/* Whose is the bucket's name? The expected owner goes with every call, so a squatted name answers with a clean 403. */
#include "worker/steps/report_bucket.h"

json_t *report_bucket_args(const struct step *s)
{
    return json_make("{s:s,s:s}", "Bucket", step_var(s, "bucket"), "ExpectedBucketOwner", step_var(s, "account_id"));
}

enum step_result report_bucket_look(struct step *s, struct report_bucket *ret)
{
    const json_t *where = NULL, *tags = NULL;
    *ret = (struct report_bucket){.standing = BUCKET_FREE, .region = ""};
    TRY(step_call_in(s, "bucket/location", &s3_get_bucket_location, report_bucket_args(s), step_var(s, "region"),
                     "AccessDenied", &where));
    if (json_is_null(where))
        return STEP_DONE;
    if (json_has(where, "error")) {
        ret->standing = BUCKET_ELSEWHERE;
        return STEP_DONE;
    }
    ret->standing = BUCKET_HERE;
    ret->region = json_str_at(where, "region");
    TRY(step_call_in(s, "bucket/tags", &s3_get_bucket_tagging, report_bucket_args(s), ret->region, NULL, &tags));
    ret->tags = json_at(tags, "tags");
    return STEP_DONE;
}
