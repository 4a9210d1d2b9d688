/* S3: buckets (names are global over all accounts of the simulation) and just enough of objects. */
#include "svc_s3.h"

#include <openssl/evp.h>
#include <stdlib.h>

json_t *s3_buckets(struct sim_world *w)
{
    json_t *s3 = sim_section(w, "s3"), *buckets = json_object_get(s3, "buckets");
    if (!buckets)
        json_object_set_new(s3, "buckets", buckets = json_object());
    return buckets;
}

static const char *region_of(const json_t *bucket)
{
    const char *region = svc_text(bucket, "region");
    return region[0] ? region : "us-east-1";
}

/* Whose name it is: "" nobody's, "?" somebody outside the simulation. */
static void owner_of(struct sim_request *rq, char ret[13], const json_t **ret_bucket)
{
    struct sim_world *w = sim_world_of_bucket(rq->bucket);
    *ret_bucket = w ? json_object_get(s3_buckets(w), rq->bucket) : NULL;
    const json_t *squatted = json_object_get(json_object_get(sim_section(rq->world, "s3"), "squatted"), rq->bucket);
    (void)snprintf(ret, 13, "%s", w ? w->account : squatted ? "?" : "");
}

json_t *s3_bucket(struct sim_request *rq)
{
    char owner[13];
    const json_t *bucket;
    owner_of(rq, owner, &bucket);
    if (owner[0] == '\0') {
        sim_error(rq, 404, "NoSuchBucket", "The specified bucket does not exist");
        return NULL;
    }
    const char *expected = rq->header(rq, "x-amz-expected-bucket-owner");
    bool other = expected && sim_trap("s3_expected_owner") && !svc_is(expected, owner);
    if (other || !svc_is(owner, rq->caller_account)) {
        sim_error(rq, 403, "AccessDenied", "Access Denied");
        return NULL;
    }
    sim_header(rq, "x-amz-bucket-region", region_of(bucket));
    if (!svc_is(region_of(bucket), rq->region) && !svc_is(rq->action, "GetBucketLocation")) {
        if (sim_trap("s3_other_region_301"))
            sim_error(rq, 301, "PermanentRedirect",
                      "The bucket you are attempting to access must be addressed using the "
                      "specified endpoint.");
        else
            sim_error(rq, 400, "AuthorizationHeaderMalformed",
                      "The authorization header is malformed; the region '%s' is wrong; "
                      "expecting '%s'",
                      rq->region, region_of(bucket));
        return NULL;
    }
    return json_object_get(s3_buckets(rq->world), rq->bucket);
}

void s3_changed(struct sim_request *rq, struct sim_before before, const json_t *bucket)
{
    char resource[128];
    (void)snprintf(resource, sizeof resource, "s3.buckets.%s", rq->bucket);
    sim_effect(rq, resource, before, bucket);
}

void s3_done(struct sim_request *rq, bool no_content)
{
    sim_ok_empty(rq, no_content && sim_trap("s3_no_content") ? 204 : 200);
}

static bool digest_matches(const char *given, const char *algorithm, const char *body, size_t bytes)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_Digest(body ? body : "", bytes, digest, &n, EVP_get_digestbyname(algorithm), NULL) != 1)
        return false;
    char *text = sim_base64(digest, n);
    bool same = svc_is(text, given);
    free(text);
    return same;
}

bool s3_checksum_is_fine(struct sim_request *rq)
{
    const char *md5 = rq->header(rq, "content-md5"), *sha256 = rq->header(rq, "x-amz-checksum-sha256");
    if ((md5 && !digest_matches(md5, "MD5", rq->body, rq->body_bytes)) ||
        (sha256 && !digest_matches(sha256, "SHA256", rq->body, rq->body_bytes))) {
        sim_error(rq, 400, "BadDigest", "The checksum you specified did not match what we received.");
        return false;
    }
    bool any = md5 || sha256 || rq->header(rq, "x-amz-checksum-crc32") || rq->header(rq, "x-amz-checksum-crc64nvme");
    if (!any && sim_trap("s3_put_wants_checksum")) {
        sim_error(rq, 400, "InvalidRequest",
                  "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
        return false;
    }
    return true;
}

json_t *s3_body(struct sim_request *rq, const char *root)
{
    if (!s3_checksum_is_fine(rq))
        return NULL;
    json_t *parsed = sim_xml_parse(rq->body ? rq->body : "", rq->body_bytes), *inner = json_object_get(parsed, root);
    json_incref(inner);
    json_decref(parsed);
    if (inner)
        return inner;
    sim_error(rq, 400, "MalformedXML",
              "The XML you provided was not well-formed or did not validate against our published schema");
    return NULL;
}

/* ---- buckets ---- */

static bool name_is_fine(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes < 3 || bytes > 63 || strstr(name, "..") ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != bytes)
        return false;
    return name[0] != '-' && name[0] != '.' && name[bytes - 1] != '-' && name[bytes - 1] != '.';
}

/* Reads the LocationConstraint; false after refusing one that does not fit the region that was signed. */
static bool place_is_fine(struct sim_request *rq)
{
    char constraint[64] = "";
    if (rq->body_bytes > 0) {
        json_t *parsed = sim_xml_parse(rq->body, rq->body_bytes);
        const json_t *body = json_object_get(parsed, "CreateBucketConfiguration");
        (void)snprintf(constraint, sizeof constraint, "%s", svc_text(body, "LocationConstraint"));
        json_decref(parsed);
        if (!parsed) {
            sim_error(rq, 400, "MalformedXML", "The XML you provided was not well-formed");
            return false;
        }
    }
    if (svc_is(constraint, "us-east-1") && sim_trap("s3_refuses_constraint_us_east_1")) {
        sim_error(rq, 400, "InvalidLocationConstraint", "The specified location-constraint is not valid");
        return false;
    }
    const char *wanted = constraint[0] ? constraint : "us-east-1";
    if (svc_is(wanted, rq->region))
        return true;
    sim_error(rq, 400, "IllegalLocationConstraintException",
              "The %s location constraint is incompatible for the region specific "
              "endpoint this request was sent to.",
              constraint[0] ? constraint : "unspecified");
    return false;
}

static void create_again(struct sim_request *rq, const json_t *found)
{
    json_t *bucket = json_object_get(s3_buckets(rq->world), rq->bucket);
    if (!svc_is(region_of(found), "us-east-1") || !svc_is(rq->region, "us-east-1") ||
        !sim_trap("s3_create_again_in_us_east_1")) {
        sim_error(rq, 409, "BucketAlreadyOwnedByYou",
                  "Your previous request to create the named bucket succeeded and you already "
                  "own it.");
        return;
    }
    struct sim_before before = sim_before(bucket);
    json_object_set_new(bucket, "acl", json_string("private"));
    s3_changed(rq, before, bucket);
    sim_ok_empty(rq, 200);
}

static void create_bucket(struct sim_request *rq)
{
    char owner[13], location[80];
    const json_t *found, *quota = sim_at(rq->world, "s3.quota");
    owner_of(rq, owner, &found);
    if (!name_is_fine(rq->bucket)) {
        sim_error(rq, 400, "InvalidBucketName", "The specified bucket is not valid.");
        return;
    }
    if (!place_is_fine(rq))
        return;
    if (owner[0] && svc_is(owner, rq->caller_account)) {
        create_again(rq, found);
        return;
    }
    if (owner[0]) {
        sim_error(rq, 409, "BucketAlreadyExists",
                  "The requested bucket name is not available. The bucket namespace is shared by "
                  "all users of the system.");
        return;
    }
    json_t *buckets = s3_buckets(rq->world);
    if (json_object_size(buckets) >= (json_is_integer(quota) ? (size_t)json_integer_value(quota) : 10000)) {
        sim_error(rq, 400, "TooManyBuckets", "You have attempted to create more buckets than allowed");
        return;
    }
    const char *ownership = rq->header(rq, "x-amz-object-ownership");
    /* Since 2023 AWS gives every new bucket encryption, closed public access and enforced ownership by itself. */
    json_t *bucket = json_pack(
        "{s:s, s:o, s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b}, s:{s:s, s:b}, s:{}}", "Name", rq->bucket, "CreationDate",
        iam_now(), "region", rq->region, "acl", "private", "ownership", ownership ? ownership : "BucketOwnerEnforced",
        "public_access_block", "BlockPublicAcls", 1, "IgnorePublicAcls", 1, "BlockPublicPolicy", 1,
        "RestrictPublicBuckets", 1, "encryption", "SSEAlgorithm", "AES256", "BucketKeyEnabled", 0, "objects");
    json_object_set_new(buckets, rq->bucket, bucket);
    sim_index_world(rq->world);
    s3_changed(rq, sim_before(NULL), bucket);
    (void)snprintf(location, sizeof location, "/%s", rq->bucket);
    sim_header(rq, "Location", location);
    sim_ok_empty(rq, 200);
}

static void head_bucket(struct sim_request *rq)
{
    if (s3_bucket(rq))
        sim_ok_empty(rq, 200);
}

static void delete_bucket(struct sim_request *rq)
{
    json_t *bucket = s3_bucket(rq);
    if (!bucket)
        return;
    if (json_object_size(json_object_get(bucket, "objects")) > 0) {
        sim_error(rq, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
        return;
    }
    struct sim_before before = sim_before(bucket);
    json_object_del(s3_buckets(rq->world), rq->bucket);
    s3_changed(rq, before, NULL);
    s3_done(rq, true);
}

static void list_buckets(struct sim_request *rq)
{
    const char *most = sim_param(rq, "max-buckets"), *token = sim_param(rq, "continuation-token"), *name;
    size_t max = most[0] ? strtoul(most, NULL, 10) : 10000, start = token[0] ? strtoul(token, NULL, 10) : 0, at = 0,
           given = 0;
    struct sim_text t = {0};
    sim_text_printf(&t,
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult "
                    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>%s</ID></Owner><Buckets>",
                    rq->caller_account);
    json_t *bucket, *all = svc_is(rq->caller_account, rq->world->account) ? s3_buckets(rq->world) : NULL;
    json_object_foreach (all, name, bucket) {
        if (at++ < start || given >= max)
            continue;
        sim_text_printf(
            &t, "<Bucket><Name>%s</Name><CreationDate>%s</CreationDate><BucketRegion>%s</BucketRegion></Bucket>", name,
            svc_text(bucket, "CreationDate"), region_of(bucket));
        given++;
    }
    sim_text_puts(&t, "</Buckets>");
    if (start + given < at)
        sim_text_printf(&t, "<ContinuationToken>%zu</ContinuationToken>", start + given);
    sim_text_puts(&t, "</ListAllMyBucketsResult>");
    sim_ok_xml(rq, 200, t.data);
    free(t.data);
}

static void get_location(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    if (!bucket)
        return;
    const char *region = region_of(bucket);
    bool empty = svc_is(region, "us-east-1") && sim_trap("s3_location_empty_in_us_east_1");
    struct sim_text t = {0};
    sim_text_puts(&t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
                      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"");
    if (empty)
        sim_text_puts(&t, "/>");
    else
        sim_text_printf(&t, ">%s</LocationConstraint>", region);
    sim_ok_xml(rq, 200, t.data);
    free(t.data);
}

/* ---- objects ---- */

static void list_objects(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    if (!bucket)
        return;
    const char *prefix = sim_param(rq, "prefix"), *most = sim_param(rq, "max-keys"),
               *token = sim_param(rq, "continuation-token");
    size_t max = most[0] ? strtoul(most, NULL, 10) : 1000, start = token[0] ? strtoul(token, NULL, 10) : 0, at = 0,
           given = 0;
    struct sim_text t = {0}, list = {0};
    const char *key;
    json_t *object;
    json_object_foreach (json_object_get(bucket, "objects"), key, object) {
        if (strncmp(key, prefix, strlen(prefix)) != 0 || at++ < start || given >= max)
            continue;
        sim_text_puts(&list, "<Contents><Key>");
        sim_text_xml(&list, key);
        sim_text_printf(&list,
                        "</Key><LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag><Size>%lld</Size>"
                        "<StorageClass>STANDARD</StorageClass></Contents>",
                        svc_text(object, "LastModified"), svc_text(object, "etag"),
                        (long long)json_integer_value(json_object_get(object, "size")));
        given++;
    }
    bool more = start + given < at;
    sim_text_printf(&t,
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/"
                    "2006-03-01/\"><Name>%s</Name><Prefix>",
                    rq->bucket);
    sim_text_xml(&t, prefix);
    sim_text_printf(&t, "</Prefix><KeyCount>%zu</KeyCount><MaxKeys>%zu</MaxKeys><IsTruncated>%s</IsTruncated>", given,
                    max, more ? "true" : "false");
    if (more)
        sim_text_printf(&t, "<NextContinuationToken>%zu</NextContinuationToken>", start + given);
    sim_text_add(&t, list.data ? list.data : "", list.bytes);
    sim_text_puts(&t, "</ListBucketResult>");
    sim_ok_xml(rq, 200, t.data);
    free(t.data);
    free(list.data);
}

static json_t *object_of(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    json_t *object = json_object_get(json_object_get(bucket, "objects"), rq->key);
    if (bucket && !object)
        sim_error(rq, 404, "NoSuchKey", "The specified key does not exist.");
    return object;
}

static void get_object(struct sim_request *rq)
{
    const json_t *object = object_of(rq);
    if (!object)
        return;
    sim_header(rq, "ETag", svc_text(object, "etag"));
    if (svc_is(rq->method, "HEAD")) {
        sim_ok_empty(rq, 200);
        return;
    }
    sim_ok_xml(rq, 200, svc_text(object, "body"));
    rq->reply_type = "application/octet-stream";
}

static void put_object(struct sim_request *rq)
{
    json_t *bucket = s3_bucket(rq);
    if (!bucket)
        return;
    json_t *objects = json_object_get(bucket, "objects");
    if (!objects)
        json_object_set_new(bucket, "objects", objects = json_object());
    struct sim_before before = sim_before(json_object_get(objects, rq->key));
    char etag[65], resource[1200];
    sim_sha256_hex(rq->body ? rq->body : "", rq->body_bytes, etag);
    etag[32] = '\0';
    json_t *body = json_stringn(rq->body ? rq->body : "", rq->body_bytes);
    json_t *object = json_pack("{s:I, s:s, s:o, s:o}", "size", (json_int_t)rq->body_bytes, "etag", etag, "LastModified",
                               iam_now(), "body", body ? body : json_string(""));
    // NOLINTNEXTLINE(readability-suspicious-call-argument): jansson's parameter is called object
    json_object_set_new(objects, rq->key, object);
    (void)snprintf(resource, sizeof resource, "s3.objects.%s/%.1000s", rq->bucket, rq->key);
    sim_effect(rq, resource, before, object);
    sim_header(rq, "ETag", etag);
    sim_ok_empty(rq, 200);
}

static void delete_object(struct sim_request *rq)
{
    json_t *bucket = s3_bucket(rq);
    if (!bucket)
        return;
    json_t *objects = json_object_get(bucket, "objects");
    struct sim_before before = sim_before(json_object_get(objects, rq->key));
    char resource[1200];
    json_object_del(objects, rq->key);
    (void)snprintf(resource, sizeof resource, "s3.objects.%s/%.1000s", rq->bucket, rq->key);
    sim_effect(rq, resource, before, NULL);
    s3_done(rq, true);
}

const struct sim_op sim_ops_s3[] = {
    {"s3", "CreateBucket", true, create_bucket},
    {"s3", "HeadBucket", false, head_bucket},
    {"s3", "DeleteBucket", true, delete_bucket},
    {"s3", "ListBuckets", false, list_buckets},
    {"s3", "GetBucketLocation", false, get_location},
    {"s3", "ListObjectsV2", false, list_objects},
    {"s3", "GetObject", false, get_object},
    {"s3", "HeadObject", false, get_object},
    {"s3", "PutObject", true, put_object},
    {"s3", "DeleteObject", true, delete_object},
    {0},
};
