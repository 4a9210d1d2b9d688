/* S3 operations. HeadBucket is left out on purpose: its answers have no body, so "not yours" and "another region" would
 * come without a code. GetBucketLocation asks the same question and answers in words. */
#include "common/aws/services/s3.h"

#include "common/aws/services/build.h"
#include "common/base/mem.h"
#include "common/codec/xml.h"

#include <inttypes.h>
#include <stdio.h>

#define S3_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

const struct aws_service aws_service_s3 = {
    .id = "s3",
    .host = "s3.{region}.amazonaws.com",
    .sign_name = "s3",
    .sign_region = NULL,
    .protocol = AWS_REST_XML,
    .version = "2006-03-01",
};

#define S3_OP(symbol, verb, permission_, ...)                                                                          \
    const struct aws_op symbol = {.name = "s3:" verb,                                                                  \
                                  .service = &aws_service_s3,                                                          \
                                  .action = verb,                                                                      \
                                  .permission = permission_,                                                           \
                                  .family = "s3",                                                                      \
                                  .is_slow_signature = true,                                                           \
                                  __VA_ARGS__}

static int is_bucket_name(const char *name)
{
    size_t len = strlen(name);
    return len >= 3 && len <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

/* Everything that addresses a bucket begins here. `sub`: "policy", or "" for the bucket itself. */
static int start(const json_t *args, const char *spec, const char *method, const char *sub, struct aws_request *ret,
                 struct err *err)
{
    const char *bucket = json_str_at(args, "Bucket"), *owner = json_str_at(args, "ExpectedBucketOwner");
    if (build_check(args, spec, err) < 0)
        return -1;
    if (!is_bucket_name(bucket))
        return err_set(err, ERR_INTERNAL, "not a bucket name");
    build_start(ret, method, "/");
    (void)snprintf(ret->bucket, sizeof ret->bucket, "%s", bucket);
    if (*sub)
        build_query_pair(ret, sub, "");
    return *owner ? build_header(ret, "x-amz-expected-bucket-owner", owner, err) : 0;
}

#define PLAIN "Bucket! ExpectedBucketOwner"
#define S3_BUILD(fn, method, sub)                                                                                      \
    static int fn(const json_t *args, struct aws_request *ret, struct err *err)                                        \
    {                                                                                                                  \
        return start(args, PLAIN, method, sub, ret, err) < 0 ? -1 : build_finish(ret, err);                            \
    }

/* A PUT whose body never changes. S3 wants a checksum for these. */
static int put_fixed(const json_t *args, const char *sub, const char *body, struct aws_request *ret, struct err *err)
{
    if (start(args, PLAIN, "PUT", sub, ret, err) < 0)
        return -1;
    str_add(&ret->body, body);
    return build_content_md5(ret, err) < 0 ? -1 : build_finish(ret, err);
}

/* ---- The bucket itself ---- */

static int list_buckets_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (build_check(args, "MaxBuckets:int ContinuationToken", err) < 0)
        return -1;
    build_start(ret, "GET", "/");
    char max[24];
    int64_t n = json_int_at(args, "MaxBuckets");
    (void)snprintf(max, sizeof max, "%" PRId64, n > 0 ? n : 1000);
    build_query_pair(ret, "max-buckets", max);
    if (*json_str_at(args, "ContinuationToken"))
        build_query_pair(ret, "continuation-token", json_str_at(args, "ContinuationToken"));
    return build_finish(ret, err);
}

static json_t *list_buckets_parse(const struct aws_reply *reply, struct err *err)
{
    return parse_list(parse_xml(reply, "ListAllMyBucketsResult", err), "Buckets.Bucket",
                      "Name! BucketRegion>region CreationDate>created_ms:when", "buckets", "ContinuationToken", err);
}

static const struct aws_pages list_buckets_pages = {"ContinuationToken", "next", "buckets", 20};
S3_OP(s3_list_buckets, "ListBuckets", "s3:ListAllMyBuckets", .build = list_buckets_build, .parse = list_buckets_parse,
      .pages = &list_buckets_pages);

static int create_bucket_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (start(args, "Bucket! Region!", "PUT", "", ret, err) < 0 ||
        build_header(ret, "x-amz-object-ownership", "BucketOwnerEnforced", err) < 0)
        return -1;
    const char *region = json_str_at(args, "Region");
    if (!str_eq(region, "us-east-1")) { /* naming us-east-1 is InvalidLocationConstraint */
        str_add(&ret->body, "<CreateBucketConfiguration xmlns=\"" S3_NAMESPACE "\"><LocationConstraint>");
        xml_escape(&ret->body, region);
        str_add(&ret->body, "</LocationConstraint></CreateBucketConfiguration>");
    }
    return build_finish(ret, err);
}

/* Not "refuses second": in us-east-1 creating one's own bucket again answers 200 and resets its ACL. */
S3_OP(s3_create_bucket, "CreateBucket", "s3:CreateBucket,s3:PutBucketOwnershipControls", .mutates = true,
      .settle = SETTLE_LOOK, .build = create_bucket_build, .parse = parse_nothing);

S3_BUILD(delete_bucket_build, "DELETE", "")
S3_OP(s3_delete_bucket, "DeleteBucket", "s3:DeleteBucket", .mutates = true, .settle = SETTLE_LOOK,
      .absent = "NoSuchBucket", .build = delete_bucket_build, .parse = parse_nothing);

S3_BUILD(location_build, "GET", "location")

static json_t *location_parse(const struct aws_reply *reply, struct err *err)
{
    char root[64] = "";
    json_auto_t *v = xml_read(reply->body, reply->body_bytes, root, err);
    if (!v || !str_eq(root, "LocationConstraint")) {
        (void)err_set(err, ERR_AWS_ANSWER, "the answer is not a LocationConstraint document");
        return NULL;
    }
    const char *region = json_is_string(v) ? json_string_value(v) : "";
    if (!*region) /* us-east-1 is an empty element, eu-west-1 has an old name */
        region = "us-east-1";
    else if (str_eq(region, "EU"))
        region = "eu-west-1";
    return json_make("{s:s}", "region", region);
}

S3_OP(s3_get_bucket_location, "GetBucketLocation", "s3:GetBucketLocation", .absent = "NoSuchBucket",
      .build = location_build, .parse = location_parse);

/* ---- Settings ---- */

S3_BUILD(get_block_build, "GET", "publicAccessBlock")

static json_t *get_block_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_xml(reply, "PublicAccessBlockConfiguration", err), *facts = json_object();
    if (!r ||
        parse_pick(r, "BlockPublicAcls:bool IgnorePublicAcls:bool BlockPublicPolicy:bool RestrictPublicBuckets:bool",
                   facts, err) < 0)
        return NULL;
    json_put_bool(facts, "all",
                  json_bool_at(facts, "block_public_acls") && json_bool_at(facts, "ignore_public_acls") &&
                      json_bool_at(facts, "block_public_policy") && json_bool_at(facts, "restrict_public_buckets"));
    return json_incref(facts);
}

S3_OP(s3_get_public_access_block, "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock",
      .absent = "NoSuchPublicAccessBlockConfiguration,NoSuchBucket", .build = get_block_build,
      .parse = get_block_parse);

static int put_block_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    return put_fixed(args, "publicAccessBlock",
                     "<PublicAccessBlockConfiguration xmlns=\"" S3_NAMESPACE
                     "\"><BlockPublicAcls>true</BlockPublicAcls>"
                     "<IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>"
                     "<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>",
                     ret, err);
}

S3_OP(s3_put_public_access_block, "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock", .mutates = true,
      .settle = SETTLE_RESEND, .build = put_block_build, .parse = parse_nothing);

S3_BUILD(get_ownership_build, "GET", "ownershipControls")

static json_t *get_ownership_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_xml(reply, "OwnershipControls", err), *facts = json_object();
    if (!r || parse_pick(r, "Rule.ObjectOwnership>ownership!", facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

S3_OP(s3_get_bucket_ownership, "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls",
      .absent = "OwnershipControlsNotFoundError,NoSuchBucket", .build = get_ownership_build,
      .parse = get_ownership_parse);

static int put_ownership_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (start(args, PLAIN " Ownership!", "PUT", "ownershipControls", ret, err) < 0)
        return -1;
    str_add(&ret->body, "<OwnershipControls xmlns=\"" S3_NAMESPACE "\"><Rule><ObjectOwnership>");
    xml_escape(&ret->body, json_str_at(args, "Ownership"));
    str_add(&ret->body, "</ObjectOwnership></Rule></OwnershipControls>");
    return build_content_md5(ret, err) < 0 ? -1 : build_finish(ret, err);
}

S3_OP(s3_put_bucket_ownership, "PutBucketOwnershipControls", "s3:PutBucketOwnershipControls", .mutates = true,
      .settle = SETTLE_RESEND, .build = put_ownership_build, .parse = parse_nothing);

S3_BUILD(get_encryption_build, "GET", "encryption")

static json_t *get_encryption_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_xml(reply, "ServerSideEncryptionConfiguration", err), *facts = json_object();
    if (!r || parse_pick(r,
                         "Rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm>algorithm! "
                         "Rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID>key",
                         facts, err) < 0)
        return NULL;
    return json_incref(facts);
}

S3_OP(s3_get_bucket_encryption, "GetBucketEncryption", "s3:GetEncryptionConfiguration",
      .absent = "ServerSideEncryptionConfigurationNotFoundError,NoSuchBucket", .build = get_encryption_build,
      .parse = get_encryption_parse);

static int put_encryption_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    return put_fixed(args, "encryption",
                     "<ServerSideEncryptionConfiguration xmlns=\"" S3_NAMESPACE "\"><Rule>"
                     "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
                     "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
                     ret, err);
}

S3_OP(s3_put_bucket_encryption, "PutBucketEncryption", "s3:PutEncryptionConfiguration", .mutates = true,
      .settle = SETTLE_RESEND, .build = put_encryption_build, .parse = parse_nothing);

S3_BUILD(get_tagging_build, "GET", "tagging")

static json_t *get_tagging_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_xml(reply, "Tagging", err);
    return r ? json_make("{s:o}", "tags", parse_tags(r, "TagSet.Tag")) : NULL;
}

S3_OP(s3_get_bucket_tagging, "GetBucketTagging", "s3:GetBucketTagging", .absent = "NoSuchTagSet,NoSuchBucket",
      .build = get_tagging_build, .parse = get_tagging_parse);

static int put_tagging_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (start(args, PLAIN " Tags!:tags", "PUT", "tagging", ret, err) < 0)
        return -1;
    str_add(&ret->body, "<Tagging xmlns=\"" S3_NAMESPACE "\"><TagSet>");
    size_t i;
    const json_t *tag;
    json_array_foreach (json_object_get(args, "Tags"), i, tag) {
        str_add(&ret->body, "<Tag><Key>");
        xml_escape(&ret->body, json_str_at(tag, "Key"));
        str_add(&ret->body, "</Key><Value>");
        xml_escape(&ret->body, json_str_at(tag, "Value"));
        str_add(&ret->body, "</Value></Tag>");
    }
    str_add(&ret->body, "</TagSet></Tagging>");
    return build_content_md5(ret, err) < 0 ? -1 : build_finish(ret, err);
}

S3_OP(s3_put_bucket_tagging, "PutBucketTagging", "s3:PutBucketTagging", .mutates = true, .settle = SETTLE_RESEND,
      .build = put_tagging_build, .parse = parse_nothing);

/* ---- Policy: kept as text, because foreign statements must stay as they were written ---- */

S3_BUILD(get_policy_build, "GET", "policy")

static json_t *get_policy_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *v = json_read(reply->body, reply->body_bytes, 0, err);
    AUTO_FREE char *text = mem_dup_bytes(reply->body ? reply->body : "", reply->body_bytes);
    if (!json_is_object(v) || strlen(text) != reply->body_bytes) {
        (void)err_set(err, ERR_AWS_ANSWER, "the bucket's policy cannot be read");
        return NULL;
    }
    return json_make("{s:s}", "policy", text);
}

S3_OP(s3_get_bucket_policy, "GetBucketPolicy", "s3:GetBucketPolicy", .absent = "NoSuchBucketPolicy,NoSuchBucket",
      .build = get_policy_build, .parse = get_policy_parse);

static int put_policy_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (start(args, PLAIN " Policy!", "PUT", "policy", ret, err) < 0)
        return -1;
    str_add(&ret->body, json_str_at(args, "Policy"));
    return build_content_md5(ret, err) < 0 ? -1 : build_finish(ret, err);
}

S3_OP(s3_put_bucket_policy, "PutBucketPolicy", "s3:PutBucketPolicy", .mutates = true, .settle = SETTLE_RESEND,
      .build = put_policy_build, .parse = parse_nothing);

S3_BUILD(delete_policy_build, "DELETE", "policy")
S3_OP(s3_delete_bucket_policy, "DeleteBucketPolicy", "s3:DeleteBucketPolicy", .mutates = true, .settle = SETTLE_LOOK,
      .absent = "NoSuchBucketPolicy,NoSuchBucket", .build = delete_policy_build, .parse = parse_nothing);

/* ---- Objects: only whether there are any ---- */

static int list_objects_build(const json_t *args, struct aws_request *ret, struct err *err)
{
    if (start(args, PLAIN " Prefix MaxKeys:int", "GET", "", ret, err) < 0)
        return -1;
    char max[24];
    int64_t n = json_int_at(args, "MaxKeys");
    (void)snprintf(max, sizeof max, "%" PRId64, n > 0 && n <= 1000 ? n : 10);
    build_query_pair(ret, "list-type", "2");
    build_query_pair(ret, "max-keys", max);
    if (*json_str_at(args, "Prefix"))
        build_query_pair(ret, "prefix", json_str_at(args, "Prefix"));
    return build_finish(ret, err);
}

static json_t *list_objects_parse(const struct aws_reply *reply, struct err *err)
{
    json_auto_t *r = parse_xml(reply, "ListBucketResult", err);
    json_auto_t *list = r ? parse_each(r, "Contents", "Key! LastModified>modified_ms:when", err) : NULL;
    if (!list)
        return NULL;
    json_t *facts = json_make("{s:i}", "count", (int)json_array_size(list));
    if (json_array_size(list))
        json_put(facts, "first", json_incref(json_array_get(list, 0)));
    return facts;
}

S3_OP(s3_list_objects, "ListObjectsV2", "s3:ListBucket", .absent = "NoSuchBucket", .build = list_objects_build,
      .parse = list_objects_parse);
