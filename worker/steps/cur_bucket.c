/* Process item 3.5: the bucket that AWS delivers the cost report into.   Undo: the bucket goes if we made it and it is
 * empty.
 *
 * Never a blind create: in us-east-1 creating one's own bucket again answers 200 and resets its ACL. Each of the five
 * settings is read, compared, written when it differs, and read again. */
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/ownership.h"
#include "worker/steps/policy_document.h"
#include "worker/steps/report_bucket.h"

typedef bool setting_ok_fn(const json_t *facts, const json_t *wanted);

struct setting {
    const char *name;
    const struct aws_op *get, *put;
    setting_ok_fn *is_right;
};

static bool is_blocked(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return json_bool_at(facts, "all");
}

static bool is_owner_enforced(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return str_eq(json_str_at(facts, "ownership"), "BucketOwnerEnforced");
}

static bool is_encrypted(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return str_eq(json_str_at(facts, "algorithm"), "AES256");
}

static bool is_tagged(const json_t *facts, const json_t *wanted)
{
    return json_equal(json_at(facts, "tags"), wanted);
}

/* A policy travels as text; it is right when it holds our statements, whatever else stands there. */
static bool has_statements(const json_t *facts, const json_t *wanted)
{
    struct err err;
    const char *text = json_str_at(facts, "policy");
    if (json_array_size(wanted) == 0)
        return true;
    json_auto_t *document = *text ? json_read(text, strlen(text), 0, &err) : NULL;
    return document && policy_holds(document, wanted);
}

static const struct setting blocking = {"public-access", &s3_get_public_access_block, &s3_put_public_access_block,
                                        is_blocked};
static const struct setting owning = {"ownership", &s3_get_bucket_ownership, &s3_put_bucket_ownership,
                                      is_owner_enforced};
static const struct setting crypting = {"encryption", &s3_get_bucket_encryption, &s3_put_bucket_encryption,
                                        is_encrypted};
static const struct setting tagging = {"tags", &s3_get_bucket_tagging, &s3_put_bucket_tagging, is_tagged};
static const struct setting granting = {"policy", &s3_get_bucket_policy, &s3_put_bucket_policy, has_statements};

static enum step_result look(struct step *s, const struct setting *one, const char *when, const json_t **ret)
{
    return step_call_in(s, step_text(s, "%s/%s", one->name, when), one->get, report_bucket_args(s),
                        step_var(s, "region"), NULL, ret);
}

/* Writes it (`args` is taken) when what was seen is not right, and reads it again. */
static enum step_result settle(struct step *s, const struct setting *one, const json_t *seen, const json_t *wanted,
                               json_t *args)
{
    json_t *kept = step_keep(s, args);
    if (one->is_right(seen, wanted))
        return STEP_DONE;
    char digest[65];
    json_digest(seen, digest);
    const json_t *now = NULL;
    TRY(step_call_in(s, step_text(s, "%s/put/%.8s", one->name, digest), one->put, json_incref(kept),
                     step_var(s, "region"), NULL, NULL));
    TRY(look(s, one, "seen", &now));
    if (!one->is_right(now, wanted))
        return step_fail(s, ERR_NOT_YET, "the bucket's %s was written and is not visible yet", one->name);
    return STEP_DONE;
}

static enum step_result settle_simple(struct step *s, const struct setting *one, json_t *args)
{
    const json_t *seen = NULL;
    json_t *kept = step_keep(s, args);
    TRY(look(s, one, "look", &seen));
    return settle(s, one, seen, NULL, json_incref(kept));
}

/* PutBucketTagging replaces the whole set: what others put there goes along. */
static enum step_result settle_tags(struct step *s)
{
    const json_t *seen = NULL;
    const char *key;
    json_t *value;
    TRY(look(s, &tagging, "look", &seen));
    json_t *wanted = step_keep(s, same_or(json_at(seen, "tags"), json_object()));
    wanted = step_keep(s, json_copy(wanted));
    json_put_str(wanted, step_var(s, "tag_key"), step_var(s, "tag_value"));
    json_t *args = report_bucket_args(s), *list = json_array();
    json_object_foreach (wanted, key, value)
        (void)json_array_append_new(list, json_make("{s:s,s:O}", "Key", key, "Value", value));
    json_sort_by(list, "Key");
    json_put(args, "Tags", list);
    return settle(s, &tagging, seen, wanted, args);
}

static enum step_result settle_policy(struct step *s)
{
    const json_t *seen = NULL, *wanted = json_at(step_import(s), "vars.bucket_policy");
    struct err err = {0};
    TRY(look(s, &granting, "look", &seen));
    json_t *text = policy_merge(json_str_at(seen, "policy"), wanted, &err);
    if (!text)
        return step_fail(s, err.code, "%s", err.text);
    json_t *args = report_bucket_args(s);
    json_put(args, "Policy", text);
    return settle(s, &granting, seen, wanted, args);
}

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
    json_t *ownership = step_keep(s, report_bucket_args(s));
    json_put_str(ownership, "Ownership", "BucketOwnerEnforced");
    TRY(have_bucket(s));
    TRY(settle_tags(s)); /* first: from here on it carries our mark */
    TRY(settle_simple(s, &blocking, report_bucket_args(s)));
    TRY(settle_simple(s, &owning, json_incref(ownership)));
    TRY(settle_simple(s, &crypting, report_bucket_args(s)));
    TRY(settle_policy(s));
    step_set_str(s, "bucket", step_var(s, "bucket"));
    step_set_str(s, "region", step_var(s, "region"));
    step_set(s, "created", json_boolean(step_journal_facts(s, "create") != NULL));
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    struct report_bucket bucket;
    const json_t *gone = NULL;
    const char *name = step_var(s, "bucket");
    TRY(report_bucket_look(s, &bucket));
    if (bucket.standing != BUCKET_HERE)
        return STEP_DONE;
    const char *why = "it was there before this import";
    if (step_journal_facts(s, "create") && ownership_is_ours(s, bucket.tags)) {
        TRY(step_call_in(s, "delete", &s3_delete_bucket, report_bucket_args(s), bucket.region, "BucketNotEmpty",
                         &gone));
        if (!json_has(gone, "error"))
            return STEP_DONE;
        why = "it holds delivered reports, which are the customer's billing history";
    }
    json_t *list = json_array();
    ownership_remains(list, step_text(s, "bucket %s: %s", name, why), "customer",
                      step_text(s, "aws s3 rb s3://%s", name));
    step_set(s, "remains", list);
    return STEP_DONE;
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
    .ops =
        OPS(REPORT_BUCKET_OPS, &s3_create_bucket, &s3_delete_bucket, &s3_get_public_access_block,
            &s3_put_public_access_block, &s3_get_bucket_ownership, &s3_put_bucket_ownership, &s3_get_bucket_encryption,
            &s3_put_bucket_encryption, &s3_put_bucket_tagging, &s3_get_bucket_policy, &s3_put_bucket_policy),
    .version = 1,
};
