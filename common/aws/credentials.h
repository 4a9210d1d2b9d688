/* Credentials: who signs. Secrets are `struct secret`; identities are shared and counted. */
#pragma once

#include "common/base/env.h"
#include "common/base/err.h"
#include "common/base/secret.h"

#include <stdbool.h>

struct aws_identity {
    uint32_t refs;
    char access_key_id[132];
    struct secret *secret_key;
    struct secret *session_token; /* NULL for long-lived keys */
    uint64_t expires_unix_ms;     /* 0: never */
    char account_id[16];          /* "" until asserted by GetCallerIdentity */
    char arn[256];
    bool is_simulated;
};

struct aws_identity *aws_identity_new(const char *access_key_id, const char *secret_key, const char *session_token);
struct aws_identity *aws_identity_ref(struct aws_identity *i);
void aws_identity_unref(struct aws_identity *i);

/* The operator's own: environment, then AWS_PROFILE / default in the shared files (static keys; role_arn with
 * source_profile is resolved by the caller with sts:AssumeRole: `ret_role_arn`, `ret_external_id` may come back).
 * ERR_OPERATOR_CREDENTIALS when there are none. Values are never echoed. */
struct aws_profile_role {
    char role_arn[256];
    char external_id[256];
    char session_name[65];
    uint32_t duration_s;
};
NODISCARD int aws_credentials_default(const char *profile, struct aws_identity **ret, struct aws_profile_role *ret_role,
                                      struct err *err);
/* From one section of a shared-credentials file (simulated fleets, tests). */
NODISCARD int aws_credentials_file(const char *path, const char *section, struct aws_identity **ret, struct err *err);
