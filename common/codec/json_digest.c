/* The digest stands apart, because it is the one place where codec needs a hash. */
#include "common/codec/json.h"

#include <openssl/evp.h>

#include "common/base/assert.h"

#define CANONICAL_BYTES_MAX ((size_t)64 << 20)

void json_digest(const json_t *value, char ret[65])
{
    AUTO_STR struct str text;
    str_init(&text, CANONICAL_BYTES_MAX);
    json_canonical(value, &text);
    ASSERT(!text.is_over);
    unsigned char digest[32];
    unsigned len = 0;
    ASSERT(EVP_Digest(text.data, text.len, digest, &len, EVP_sha256(), NULL) == 1 && len == 32);
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        ret[2 * i] = hex[digest[i] >> 4];
        ret[2 * i + 1] = hex[digest[i] & 15];
    }
    ret[64] = 0;
}
