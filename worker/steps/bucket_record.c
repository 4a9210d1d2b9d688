#include "worker/steps/bucket_record.h"

#include "worker/steps/ownership.h"

static enum step_result settings(struct step *s, const char *region, json_t *record)
{
    const json_t *block = NULL, *owner = NULL, *crypt = NULL, *policy = NULL;
    enum step_result all = STEP_DONE;
    step_also(&all, step_call_in(s, "bucket/block", &s3_get_public_access_block, report_bucket_args(s), region, NULL,
                                 &block));
    step_also(&all,
              step_call_in(s, "bucket/owner", &s3_get_bucket_ownership, report_bucket_args(s), region, NULL, &owner));
    step_also(&all,
              step_call_in(s, "bucket/crypt", &s3_get_bucket_encryption, report_bucket_args(s), region, NULL, &crypt));
    step_also(&all,
              step_call_in(s, "bucket/policy", &s3_get_bucket_policy, report_bucket_args(s), region, NULL, &policy));
    TRY(all);
    if (json_bool_at(block, "all"))
        json_put(record, "public_access_block",
                 json_make("{s:b,s:b,s:b,s:b}", "BlockPublicAcls", 1, "IgnorePublicAcls", 1, "BlockPublicPolicy", 1,
                           "RestrictPublicBuckets", 1));
    if (*json_str_at(owner, "ownership"))
        json_put_str(record, "ownership", json_str_at(owner, "ownership"));
    if (*json_str_at(crypt, "algorithm"))
        json_put(record, "encryption",
                 json_make("{s:s,s:b}", "SSEAlgorithm", json_str_at(crypt, "algorithm"), "BucketKeyEnabled", 0));
    if (*json_str_at(policy, "policy"))
        json_put_str(record, "policy", json_str_at(policy, "policy"));
    return STEP_DONE;
}

enum step_result bucket_record(struct step *s, const struct report_bucket *bucket, const json_t **ret)
{
    static const char *const words[] = {
        [BUCKET_FREE] = "free", [BUCKET_ELSEWHERE] = "elsewhere", [BUCKET_HERE] = "here"};
    json_t *record = step_keep(s, json_make("{s:s,s:s,s:s}", "name", step_var(s, "bucket"), "standing",
                                            words[bucket->standing], "region", bucket->region));
    *ret = record;
    if (bucket->standing != BUCKET_HERE)
        return STEP_DONE;
    if (json_is_object(bucket->tags))
        json_put(record, "tags", same(bucket->tags));
    return settings(s, bucket->region, record);
}
