/* AWS Signature Version 4, header form. Checked against AWS's public suite and a second implementation. */
#pragma once

#include "common/aws/credentials.h"
#include "common/base/str.h"

struct sigv4_header {
    const char *name; /* any case */
    const char *value;
};

struct sigv4_input {
    const char *method;
    const char *path;  /* as sent, already percent-encoded once */
    const char *query; /* as sent, without '?'; "" when none */
    const struct sigv4_header
        *headers; /* host must be among them; all given are signed except the known hop-by-hop ones */
    size_t header_count;
    const char *payload_hash; /* hex SHA-256 of the body, or UNSIGNED-PAYLOAD */
    const char *region;
    const char *service;
    const char *amz_date; /* 20150830T123600Z, also sent as x-amz-date (must be among headers) */
    bool is_s3;           /* no second encoding, no path normalisation */
    bool keep_path;       /* other services: do not normalise (vectors' "unnormalized" cases) */
};

/* Each stage on its own, so that a test shows the first that is wrong. All append to `ret`. */
void sigv4_canonical_request(const struct sigv4_input *in, struct str *ret, struct str *ret_signed_headers);
void sigv4_string_to_sign(const struct sigv4_input *in, const char *canonical, struct str *ret);
void sigv4_signature(const struct sigv4_input *in, const struct aws_identity *who, const char *string_to_sign,
                     char ret[65]);
/* All of it: the value of the Authorization header. The session token must already be among the headers. */
void sigv4_authorization(const struct sigv4_input *in, const struct aws_identity *who, struct str *ret);
