/* What later reads of a bucket show of a planned write. Pure. */
#include "worker/runtime/foresight_private.h"

static bool is_about_bucket(const struct foresight_read *r, const struct foresight_write *w)
{
    return both_say(r, w, "Bucket");
}

static json_t *closed(void)
{
    return json_make("{s:b, s:b, s:b, s:b, s:b}", "block_public_acls", 1, "ignore_public_acls", 1,
                     "block_public_policy", 1, "restrict_public_buckets", 1, "all", 1);
}

/* Since 2023 AWS gives every new bucket encryption, closed public access and enforced ownership by itself. */
SEE(see_create_bucket)
{
    if (read_is(r, "s3:ListBuckets") && facts) {
        (void)json_array_append_new(json_object_get(facts, "buckets"),
                                    json_make("{s:s, s:s, s:I}", "name", json_str_at(w->args, "Bucket"), "region",
                                              json_str_at(w->args, "Region"), "created_ms", (json_int_t)w->at_ms));
        return facts;
    }
    if (!is_about_bucket(r, w))
        return facts;
    if (read_is(r, "s3:GetBucketLocation"))
        return instead(facts, json_make("{s:s}", "region", json_str_at(w->args, "Region")));
    if (read_is(r, "s3:GetPublicAccessBlock"))
        return instead(facts, closed());
    if (read_is(r, "s3:GetBucketOwnershipControls"))
        return instead(facts, json_make("{s:s}", "ownership", "BucketOwnerEnforced"));
    if (read_is(r, "s3:GetBucketEncryption"))
        return instead(facts, json_make("{s:s}", "algorithm", "AES256"));
    if (read_is(r, "s3:ListObjectsV2"))
        return instead(facts, json_make("{s:i}", "count", 0));
    return str_in_list("s3:GetBucketTagging,s3:GetBucketPolicy", r->op) ? instead(facts, json_null()) : facts;
}

SEE(see_delete_bucket)
{
    if (read_is(r, "s3:ListBuckets"))
        return list_without(facts, "buckets", "name", json_str_at(w->args, "Bucket"));
    return is_about_bucket(r, w) ? instead(facts, json_null()) : facts;
}

SEE(see_put_block)
{
    return read_is(r, "s3:GetPublicAccessBlock") && is_about_bucket(r, w) ? instead(facts, closed()) : facts;
}

SEE(see_put_ownership)
{
    return read_is(r, "s3:GetBucketOwnershipControls") && is_about_bucket(r, w)
               ? instead(facts, json_make("{s:s}", "ownership", json_str_at(w->args, "Ownership")))
               : facts;
}

SEE(see_put_encryption)
{
    return read_is(r, "s3:GetBucketEncryption") && is_about_bucket(r, w)
               ? instead(facts, json_make("{s:s}", "algorithm", "AES256"))
               : facts;
}

SEE(see_put_tags)
{
    return read_is(r, "s3:GetBucketTagging") && is_about_bucket(r, w)
               ? instead(facts, json_make("{s:o}", "tags", tags_of(json_at(w->args, "Tags"))))
               : facts;
}

SEE(see_put_policy)
{
    return read_is(r, "s3:GetBucketPolicy") && is_about_bucket(r, w)
               ? instead(facts, json_make("{s:s}", "policy", json_str_at(w->args, "Policy")))
               : facts;
}

SEE(see_delete_bucket_policy)
{
    return read_is(r, "s3:GetBucketPolicy") && is_about_bucket(r, w) ? instead(facts, json_null()) : facts;
}
