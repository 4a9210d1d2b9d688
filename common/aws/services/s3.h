/* S3: one bucket for the cost report, and the names of all. REST with XML. Bucket operations take Bucket! and
 * ExpectedBucketOwner (goes out as x-amz-expected-bucket-owner: it turns a squatted bucket into a clean 403).
 * "absent": the code by which S3 says "not set" gives JSON null. */
#pragma once

#include "common/aws/op.h"

extern const struct aws_service aws_service_s3;

extern const struct aws_op s3_list_buckets;        /* -> {buckets: [{name, region?, created_ms?}]}; pages */
extern const struct aws_op s3_create_bucket;       /* Bucket! Region! (us-east-1 sends no body) -> {} */
extern const struct aws_op s3_delete_bucket;       /* absent: NoSuchBucket */
extern const struct aws_op s3_get_bucket_location; /* -> {region}; absent: no such bucket */
extern const struct aws_op
    s3_get_public_access_block; /* -> {all: bool, block_public_acls, ignore_public_acls, ...}; absent */
extern const struct aws_op s3_put_public_access_block; /* all four on */
extern const struct aws_op s3_get_bucket_ownership;    /* -> {ownership}; absent */
extern const struct aws_op s3_put_bucket_ownership;    /* Ownership! */
extern const struct aws_op s3_get_bucket_encryption;   /* -> {algorithm, key?}; absent */
extern const struct aws_op s3_put_bucket_encryption;   /* AES256 */
extern const struct aws_op s3_get_bucket_tagging;      /* -> {tags{}}; absent */
extern const struct aws_op s3_put_bucket_tagging;      /* Tags! [{Key, Value}]: the whole set */
extern const struct aws_op s3_get_bucket_policy;       /* -> {policy: its text}; absent */
extern const struct aws_op s3_put_bucket_policy;       /* Policy! (a text) */
extern const struct aws_op s3_delete_bucket_policy;    /* absent: none there */
extern const struct aws_op
    s3_list_objects; /* Prefix MaxKeys -> {count, first?: {key, modified_ms?}}; absent: NoSuchBucket */
