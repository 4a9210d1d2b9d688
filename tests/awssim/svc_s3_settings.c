/* S3: the settings of a bucket: policy, public access block, ownership, encryption, tags, versioning, lifecycle. */
#include "svc_s3.h"

#include <stdlib.h>

#define XMLNS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

/* Answers that a setting was never made. Without the trap: an empty document. */
static void unset(struct sim_request *rq, const char *code, const char *empty)
{
    if (sim_trap("s3_unset_is_404"))
        sim_error(rq, 404, code, "The requested configuration does not exist");
    else
        sim_ok_xml(rq, 200, empty);
}

static void set_part(struct sim_request *rq, const char *part, json_t *value, bool no_content)
{
    json_t *bucket = json_object_get(s3_buckets(rq->world), rq->bucket);
    struct sim_before before = sim_before(bucket);
    if (value)
        json_object_set_new(bucket, part, value);
    else
        json_object_del(bucket, part);
    s3_changed(rq, before, bucket);
    s3_done(rq, no_content);
}

static void drop_part(struct sim_request *rq, const char *part)
{
    if (s3_bucket(rq))
        set_part(rq, part, NULL, true);
}

/* ---- policy ---- */

static bool policy_is_public(const json_t *policy)
{
    const json_t *statements = json_object_get(policy, "Statement");
    for (size_t i = 0; i < json_array_size(statements); i++) {
        const json_t *one = json_array_get(statements, i), *principal = json_object_get(one, "Principal");
        bool all = svc_is(svc_text(one, "Principal"), "*") || svc_is(svc_text(principal, "AWS"), "*");
        if (all && svc_is(svc_text(one, "Effect"), "Allow") && !json_object_get(one, "Condition"))
            return true;
    }
    return false;
}

static bool policy_fits_bucket(struct sim_request *rq, const json_t *policy)
{
    char arn[128];
    int bytes = snprintf(arn, sizeof arn, "arn:aws:s3:::%s", rq->bucket);
    const json_t *statements = json_object_get(policy, "Statement");
    for (size_t i = 0; i < json_array_size(statements); i++) {
        const json_t *one = json_array_get(statements, i), *resource = json_object_get(one, "Resource");
        size_t many = json_is_array(resource) ? json_array_size(resource) : 1;
        for (size_t k = 0; k < many; k++) {
            const char *text = json_string_value(json_is_array(resource) ? json_array_get(resource, k) : resource);
            if (!text || strncmp(text, arn, (size_t)bytes) != 0)
                return false;
        }
    }
    return json_array_size(statements) > 0;
}

static void put_policy(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    if (!bucket || !s3_checksum_is_fine(rq))
        return;
    json_t *policy = rq->body_bytes ? json_loadb(rq->body, rq->body_bytes, 0, NULL) : NULL;
    bool closed = json_is_true(json_object_get(json_object_get(bucket, "public_access_block"), "BlockPublicPolicy"));
    if (rq->body_bytes > 20480) {
        sim_error(rq, 400, "PolicyTooLarge", "Policy exceeds the maximum allowed document size.");
    } else if (!json_is_object(policy)) {
        sim_error(rq, 400, "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'");
    } else if (!policy_fits_bucket(rq, policy)) {
        sim_error(rq, 400, "MalformedPolicy", "Policy has invalid resource");
    } else if (closed && policy_is_public(policy)) {
        sim_error(rq, 403, "AccessDenied",
                  "Access Denied because public policies are blocked by the BlockPublicPolicy setting");
    } else {
        char *text = strndup(rq->body, rq->body_bytes), *stored = text ? iam_stored_document(text) : NULL;
        json_t *kept = json_string(stored ? stored : "");
        free(text);
        free(stored);
        set_part(rq, "policy", kept, true);
    }
    json_decref(policy);
}

static void get_policy(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    const char *policy = svc_text(bucket, "policy");
    if (bucket && !policy[0]) {
        unset(rq, "NoSuchBucketPolicy", "{}");
    } else if (bucket) {
        sim_ok_xml(rq, 200, policy);
        rq->reply_type = "application/json";
    }
}

static void delete_policy(struct sim_request *rq)
{
    drop_part(rq, "policy");
}

/* ---- public access, ownership, encryption ---- */

static const char *const locks[] = {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy",
                                    "RestrictPublicBuckets"};

static void put_public_access(struct sim_request *rq)
{
    json_t *body = s3_bucket(rq) ? s3_body(rq, "PublicAccessBlockConfiguration") : NULL;
    if (!body)
        return;
    json_t *part = json_object();
    for (size_t i = 0; i < 4; i++)
        json_object_set_new(part, locks[i], json_boolean(strcasecmp(svc_text(body, locks[i]), "true") == 0));
    json_decref(body);
    set_part(rq, "public_access_block", part, false);
}

static void get_public_access(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq), *part = json_object_get(bucket, "public_access_block");
    if (!bucket)
        return;
    if (!part) {
        unset(rq, "NoSuchPublicAccessBlockConfiguration", "<PublicAccessBlockConfiguration" XMLNS "/>");
        return;
    }
    struct sim_text t = {0};
    sim_text_puts(&t, "<PublicAccessBlockConfiguration" XMLNS ">");
    for (size_t i = 0; i < 4; i++)
        sim_text_printf(&t, "<%s>%s</%s>", locks[i], json_is_true(json_object_get(part, locks[i])) ? "true" : "false",
                        locks[i]);
    sim_text_puts(&t, "</PublicAccessBlockConfiguration>");
    sim_ok_xml(rq, 200, t.data);
    free(t.data);
}

static void delete_public_access(struct sim_request *rq)
{
    drop_part(rq, "public_access_block");
}

static void put_ownership(struct sim_request *rq)
{
    json_t *body = s3_bucket(rq) ? s3_body(rq, "OwnershipControls") : NULL;
    if (!body)
        return;
    json_t *value = json_string(svc_text(json_object_get(body, "Rule"), "ObjectOwnership"));
    json_decref(body);
    if (svc_one_of(json_string_value(value), "BucketOwnerEnforced,BucketOwnerPreferred,ObjectWriter")) {
        set_part(rq, "ownership", value, false);
        return;
    }
    json_decref(value);
    sim_error(rq, 400, "MalformedXML", "ObjectOwnership is missing or unknown");
}

static void get_ownership(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    char xml[256];
    if (!bucket)
        return;
    if (!svc_text(bucket, "ownership")[0]) {
        unset(rq, "OwnershipControlsNotFoundError", "<OwnershipControls" XMLNS "/>");
        return;
    }
    (void)snprintf(xml, sizeof xml,
                   "<OwnershipControls" XMLNS "><Rule><ObjectOwnership>%s</ObjectOwnership></Rule></OwnershipControls>",
                   svc_text(bucket, "ownership"));
    sim_ok_xml(rq, 200, xml);
}

static void delete_ownership(struct sim_request *rq)
{
    drop_part(rq, "ownership");
}

static void put_encryption(struct sim_request *rq)
{
    json_t *body = s3_bucket(rq) ? s3_body(rq, "ServerSideEncryptionConfiguration") : NULL;
    if (!body)
        return;
    const json_t *rule = json_object_get(body, "Rule");
    const json_t *by_default = json_object_get(rule, "ApplyServerSideEncryptionByDefault");
    json_t *part = json_pack("{s:s, s:b}", "SSEAlgorithm", svc_text(by_default, "SSEAlgorithm"), "BucketKeyEnabled",
                             (int)(strcasecmp(svc_text(rule, "BucketKeyEnabled"), "true") == 0));
    if (svc_text(by_default, "KMSMasterKeyID")[0])
        json_object_set(part, "KMSMasterKeyID", json_object_get(by_default, "KMSMasterKeyID"));
    json_decref(body);
    if (svc_one_of(svc_text(part, "SSEAlgorithm"), "AES256,aws:kms,aws:kms:dsse")) {
        set_part(rq, "encryption", part, false);
        return;
    }
    json_decref(part);
    sim_error(rq, 400, "MalformedXML", "SSEAlgorithm is missing or unknown");
}

static void get_encryption(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq), *part = json_object_get(bucket, "encryption");
    if (!bucket)
        return;
    if (!part) {
        unset(rq, "ServerSideEncryptionConfigurationNotFoundError", "<ServerSideEncryptionConfiguration" XMLNS "/>");
        return;
    }
    struct sim_text t = {0};
    sim_text_printf(&t,
                    "<ServerSideEncryptionConfiguration" XMLNS
                    "><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>%s"
                    "</SSEAlgorithm>",
                    svc_text(part, "SSEAlgorithm"));
    if (svc_text(part, "KMSMasterKeyID")[0])
        sim_text_printf(&t, "<KMSMasterKeyID>%s</KMSMasterKeyID>", svc_text(part, "KMSMasterKeyID"));
    sim_text_printf(&t,
                    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>%s</BucketKeyEnabled></Rule>"
                    "</ServerSideEncryptionConfiguration>",
                    json_is_true(json_object_get(part, "BucketKeyEnabled")) ? "true" : "false");
    sim_ok_xml(rq, 200, t.data);
    free(t.data);
}

/* Encryption cannot be taken away any more: deleting sets it back to AES256. */
static void delete_encryption(struct sim_request *rq)
{
    if (s3_bucket(rq))
        set_part(rq, "encryption", json_pack("{s:s, s:b}", "SSEAlgorithm", "AES256", "BucketKeyEnabled", 0), true);
}

/* ---- tags, versioning, lifecycle, ACL ---- */

static void put_tagging(struct sim_request *rq)
{
    json_t *body = s3_bucket(rq) ? s3_body(rq, "Tagging") : NULL;
    if (!body)
        return;
    const json_t *given = json_object_get(json_object_get(body, "TagSet"), "Tag");
    json_t *tags = json_array();
    size_t many = json_is_array(given) ? json_array_size(given) : given ? 1 : 0;
    bool fine = many <= 50;
    for (size_t i = 0; i < many; i++) {
        const json_t *one = json_is_array(given) ? json_array_get(given, i) : given;
        fine = fine && svc_text(one, "Key")[0] && strlen(svc_text(one, "Key")) <= 128 &&
               strlen(svc_text(one, "Value")) <= 256;
        json_array_append_new(tags,
                              json_pack("{s:s, s:s}", "Key", svc_text(one, "Key"), "Value", svc_text(one, "Value")));
    }
    json_decref(body);
    if (fine) {
        set_part(rq, "tags", tags, true);
        return;
    }
    json_decref(tags);
    sim_error(rq, 400, "InvalidTag", "The tags provided were not valid");
}

static void get_tagging(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq), *tags = json_object_get(bucket, "tags");
    if (!bucket)
        return;
    if (json_array_size(tags) == 0) {
        unset(rq, "NoSuchTagSet", "<Tagging" XMLNS "><TagSet/></Tagging>");
        return;
    }
    struct sim_text t = {0};
    sim_text_puts(&t, "<Tagging" XMLNS "><TagSet>");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        sim_text_puts(&t, "<Tag><Key>");
        sim_text_xml(&t, svc_text(json_array_get(tags, i), "Key"));
        sim_text_puts(&t, "</Key><Value>");
        sim_text_xml(&t, svc_text(json_array_get(tags, i), "Value"));
        sim_text_puts(&t, "</Value></Tag>");
    }
    sim_text_puts(&t, "</TagSet></Tagging>");
    sim_ok_xml(rq, 200, t.data);
    free(t.data);
}

static void delete_tagging(struct sim_request *rq)
{
    drop_part(rq, "tags");
}

static void put_versioning(struct sim_request *rq)
{
    json_t *body = s3_bucket(rq) ? s3_body(rq, "VersioningConfiguration") : NULL;
    if (!body)
        return;
    json_t *status = json_string(svc_text(body, "Status"));
    json_decref(body);
    set_part(rq, "versioning", status, false);
}

static void get_versioning(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    const char *status = svc_text(bucket, "versioning");
    char xml[200];
    if (!bucket)
        return;
    /* Never set is an element without Status here: S3 is not of one mind about "unset". */
    if (status[0])
        (void)snprintf(xml, sizeof xml,
                       "<VersioningConfiguration" XMLNS "><Status>%s</Status></VersioningConfiguration>", status);
    else
        (void)snprintf(xml, sizeof xml, "<VersioningConfiguration" XMLNS "/>");
    sim_ok_xml(rq, 200, xml);
}

static void put_lifecycle(struct sim_request *rq)
{
    json_t *body = s3_bucket(rq) ? s3_body(rq, "LifecycleConfiguration") : NULL;
    json_decref(body);
    if (body)
        set_part(rq, "lifecycle", json_stringn(rq->body, rq->body_bytes), false);
}

static void get_lifecycle(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    if (bucket && svc_text(bucket, "lifecycle")[0])
        sim_ok_xml(rq, 200, svc_text(bucket, "lifecycle"));
    else if (bucket)
        unset(rq, "NoSuchLifecycleConfiguration", "<LifecycleConfiguration" XMLNS "/>");
}

static void delete_lifecycle(struct sim_request *rq)
{
    drop_part(rq, "lifecycle");
}

static void get_acl(struct sim_request *rq)
{
    const json_t *bucket = s3_bucket(rq);
    char xml[512];
    if (!bucket)
        return;
    (void)snprintf(
        xml, sizeof xml,
        "<AccessControlPolicy" XMLNS "><Owner><ID>%s</ID></Owner><AccessControlList><Grant><Grantee "
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>%s</ID></Grantee>"
        "<Permission>%s</Permission></Grant></AccessControlList></AccessControlPolicy>",
        rq->caller_account, rq->caller_account, svc_is(svc_text(bucket, "acl"), "private") ? "FULL_CONTROL" : "READ");
    sim_ok_xml(rq, 200, xml);
}

const struct sim_op s3_setting_ops[] = {
    {"s3", "PutBucketPolicy", true, put_policy},
    {"s3", "GetBucketPolicy", false, get_policy},
    {"s3", "DeleteBucketPolicy", true, delete_policy},
    {"s3", "PutPublicAccessBlock", true, put_public_access},
    {"s3", "GetPublicAccessBlock", false, get_public_access},
    {"s3", "DeletePublicAccessBlock", true, delete_public_access},
    {"s3", "PutBucketOwnershipControls", true, put_ownership},
    {"s3", "GetBucketOwnershipControls", false, get_ownership},
    {"s3", "DeleteBucketOwnershipControls", true, delete_ownership},
    {"s3", "PutBucketEncryption", true, put_encryption},
    {"s3", "GetBucketEncryption", false, get_encryption},
    {"s3", "DeleteBucketEncryption", true, delete_encryption},
    {"s3", "PutBucketTagging", true, put_tagging},
    {"s3", "GetBucketTagging", false, get_tagging},
    {"s3", "DeleteBucketTagging", true, delete_tagging},
    {"s3", "PutBucketVersioning", true, put_versioning},
    {"s3", "GetBucketVersioning", false, get_versioning},
    {"s3", "PutBucketLifecycleConfiguration", true, put_lifecycle},
    {"s3", "GetBucketLifecycleConfiguration", false, get_lifecycle},
    {"s3", "DeleteBucketLifecycle", true, delete_lifecycle},
    {"s3", "GetBucketAcl", false, get_acl},
    {0},
};
