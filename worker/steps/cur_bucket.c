/* Process item 3.5: the bucket that AWS delivers the cost report into.   Undo: the bucket goes if we made it and it is
 * empty; on one that was there our statements leave the policy.
 *
 * Never a blind create: in us-east-1 creating one's own bucket again answers 200 and resets its ACL. */
#include "worker/steps/bucket_settings.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/ownership.h"
#include "worker/steps/report_bucket.h"

/* ---- The bucket ---- */

static enum step_result have_bucket(struct step *s)
{
    struct report_bucket bucket;
    const char *name = step_var(s, "bucket"), *region = step_var(s, "region");
    TRY(report_bucket_look(s, &bucket));
    switch (bucket.standing) {
    case BUCKET_ELSEWHERE:
        return step_fail(s, ERR_BUCKET_TAKEN, "bucket %s belongs to another account", name);
    case BUCKET_FREE:
        /* What is recorded as made and not seen is on its way: the settings below find out. */
        return step_call_in(s, "create", &s3_create_bucket, json_make("{s:s,s:s}", "Bucket", name, "Region", region),
                            region, NULL, NULL);
    case BUCKET_HERE:
    default:
        break;
    }
    if (!str_eq(bucket.region, region))
        return step_fail(s, ERR_BUCKET_REGION, "bucket %s lies in %s, not %s", name, bucket.region, region);
    /* Between creating and tagging it is ours by our own record. */
    if (!ownership_is_ours(s, bucket.tags) && !step_journal_facts(s, "create"))
        return step_fail(s, ERR_BUCKET_FOREIGN, "bucket %s exists in this account and is not ours", name);
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    TRY(have_bucket(s));
    TRY(bucket_settings_have(s));
    step_set_str(s, "bucket", step_var(s, "bucket"));
    step_set_str(s, "region", step_var(s, "region"));
    step_set(s, "created", json_boolean(step_journal_facts(s, "create") != NULL));
    step_grade(s, "probed");
    return STEP_DONE;
}

/* ---- Undo ---- */

static enum step_result leave(struct step *s, const char *why)
{
    json_t *list = json_array();
    const char *name = step_var(s, "bucket");
    ownership_remains(list, step_text(s, "bucket %s: %s", name, why), "customer",
                      step_text(s, "aws s3 rb s3://%s", name));
    ownership_remains_in(list, "s3", name);
    step_set(s, "remains", list);
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    struct report_bucket bucket;
    const json_t *gone = NULL;
    const char *why_not = NULL;
    TRY(report_bucket_look(s, &bucket));
    if (bucket.standing != BUCKET_HERE)
        return STEP_DONE;
    bool is_ours = ownership_is_ours(s, bucket.tags), is_shared = json_object_size(bucket.tags) > 1;
    /* Made and not yet tagged: ours by our own record, unless somebody has put tags on it since. */
    bool is_made = step_journal_facts(s, "create") && (is_ours || json_object_size(bucket.tags) == 0);
    if (is_made && !is_shared)
        TRY(bucket_settings_find_foreign(s, bucket.region, &is_shared));
    if (is_made && !is_shared) {
        TRY(step_call_in(s, "delete", &s3_delete_bucket, report_bucket_args(s), bucket.region, "BucketNotEmpty",
                         &gone));
        return json_has(gone, "error")
                   ? leave(s, "it holds objects: delivered reports are the customer's billing history")
                   : STEP_DONE;
    }
    if (is_made) {
        TRY(bucket_settings_take_back_policy(s, bucket.region, &why_not));
        return leave(
            s, why_not
                   ? step_text(s, "others use it, and S3 does not take its policy without our statements: %s", why_not)
                   : "others use it: it has tags or policy statements that are not ours");
    }
    if (!is_ours)
        return STEP_DONE; /* never touched */
    TRY(bucket_settings_take_back_policy(s, bucket.region, &why_not));
    if (why_not)
        return leave(s, step_text(s,
                                  "it was there before this import, and S3 does not take its policy without our "
                                  "statements: %s",
                                  why_not));
    return leave(
        s, "it was there before this import; our statements are out of its policy, its other settings stay tightened");
}

static json_t *expects(const json_t *import, const json_t *before, const json_t *result)
{
    (void)import;
    json_t *patches = json_array();
    const char *name = json_str_at(result, "bucket");
    return *name ? shape_put(patches, before, "s3", name, json_make("{s:s}", "region", json_str_at(result, "region")))
                 : patches;
}

const struct step_def step_cur_bucket = {
    .name = "cur_bucket",
    .item = "3.5",
    .run = run,
    .undo = undo,
    .expects = expects,
    .touches = bucket_settings_touches,
    .ops = OPS(REPORT_BUCKET_OPS, BUCKET_SETTINGS_OPS, &s3_create_bucket, &s3_delete_bucket),
    .version = 1,
};
