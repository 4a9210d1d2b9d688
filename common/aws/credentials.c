/* Identities: counted holders of keys. How they are found is in credentials_files.c. */
#include "common/aws/credentials.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

struct aws_identity *aws_identity_new(const char *access_key_id, const char *secret_key, const char *session_token)
{
    struct aws_identity *i = MEM_NEW(struct aws_identity);
    size_t n = strlen(access_key_id);
    ASSERT(n < sizeof i->access_key_id);
    memcpy(i->access_key_id, access_key_id, n);
    i->refs = 1;
    i->secret_key = secret_new(secret_key, strlen(secret_key));
    i->session_token = session_token && *session_token ? secret_new(session_token, strlen(session_token)) : NULL;
    return i;
}

struct aws_identity *aws_identity_ref(struct aws_identity *i)
{
    if (i)
        i->refs++;
    return i;
}

void aws_identity_unref(struct aws_identity *i)
{
    if (!i || --i->refs)
        return;
    secret_unref(i->secret_key);
    secret_unref(i->session_token);
    mem_free(i);
}
