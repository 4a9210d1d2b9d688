/* A signing case as JSON (tests/tools/sigv4_cases.py says its fields), run through our signer one stage at a time. */
#pragma once

#include "common/aws/sigv4.h"
#include "common/base/assert.h"
#include "common/codec/json.h"

struct sigv4_stages {
    struct str canonical, names, string_to_sign, authorization;
    char signature[65];
};

static inline void sigv4_case_run(const json_t *one, struct sigv4_stages *ret)
{
    struct sigv4_header headers[64];
    size_t count = 0, i;
    json_t *pair;
    const json_t *given = json_at(one, "headers");
    for (i = 0; i < json_array_size(given) && (pair = json_array_get(given, i)); i++) {
        ASSERT(count < ARRAY_LEN(headers));
        headers[count++] = (struct sigv4_header){json_str_at(pair, "0"), json_str_at(pair, "1")};
    }
    const struct sigv4_input in = {
        .method = json_str_at(one, "method"),
        .path = json_str_at(one, "path"),
        .query = json_str_at(one, "query"),
        .headers = headers,
        .header_count = count,
        .payload_hash = json_str_at(one, "payload_hash"),
        .region = json_str_at(one, "region"),
        .service = json_str_at(one, "service"),
        .amz_date = json_str_at(one, "amz_date"),
        .is_s3 = json_bool_at(one, "is_s3"),
        .keep_path = json_bool_at(one, "keep_path"),
    };
    struct aws_identity *who =
        aws_identity_new(json_str_at(one, "access_key_id"), json_str_at(one, "secret_key"), json_str_at(one, "token"));
    str_init(&ret->canonical, 65536);
    str_init(&ret->names, 4096);
    str_init(&ret->string_to_sign, 4096);
    str_init(&ret->authorization, 8192);
    sigv4_canonical_request(&in, &ret->canonical, &ret->names);
    sigv4_string_to_sign(&in, ret->canonical.data, &ret->string_to_sign);
    sigv4_signature(&in, who, ret->string_to_sign.data, ret->signature);
    sigv4_authorization(&in, who, &ret->authorization);
    aws_identity_unref(who);
}

static inline void sigv4_stages_done(struct sigv4_stages *s)
{
    str_done(&s->canonical);
    str_done(&s->names);
    str_done(&s->string_to_sign);
    str_done(&s->authorization);
}
