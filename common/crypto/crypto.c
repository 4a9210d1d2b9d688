#include "common/crypto/crypto.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static void digest(const EVP_MD *md, const void *bytes, size_t len, unsigned char *ret, unsigned size)
{
    unsigned got = 0;
    ASSERT(EVP_Digest(bytes, len, ret, &got, md, NULL) == 1 && got == size);
}

void crypto_sha256(const void *bytes, size_t len, unsigned char ret[32])
{
    digest(EVP_sha256(), bytes, len, ret, 32);
}

void crypto_sha256_hex(const void *bytes, size_t len, char ret[65])
{
    unsigned char raw[32];
    crypto_sha256(bytes, len, raw);
    crypto_hex(raw, sizeof raw, ret);
}

void crypto_md5(const void *bytes, size_t len, unsigned char ret[16])
{
    digest(EVP_md5(), bytes, len, ret, 16);
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char ret[32])
{
    unsigned got = 0;
    /* An empty key must still be a pointer, or OpenSSL reuses the one before. */
    ASSERT(key_len < INT32_MAX);
    ASSERT(HMAC(EVP_sha256(), key_len ? key : "", (int)key_len, bytes, len, ret, &got) && got == 32);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_hex(const unsigned char *bytes, size_t len, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * len] = 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool crypto_unhex(const char *text, unsigned char *ret, size_t len)
{
    if (strlen(text) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        ret[i] = (unsigned char)(hi * 16 + lo);
    }
    return true;
}

char *crypto_base64(const void *bytes, size_t len)
{
    ASSERT(len < (size_t)1 << 28);
    char *out = mem_alloc((len + 2) / 3 * 4 + 1);
    (void)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    return out;
}

unsigned char *crypto_unbase64(const char *text, size_t *ret_len)
{
    size_t len = strlen(text);
    if (len % 4 || len >= (size_t)1 << 28)
        return NULL;
    for (size_t i = 0; i < len; i++) /* EVP skips white space; we do not */
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", text[i]))
            return NULL;
    unsigned char *out = mem_alloc(len / 4 * 3 + 1);
    int n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    if (n < 0) {
        mem_free(out);
        return NULL;
    }
    size_t pad = len && text[len - 1] == '=' ? (text[len - 2] == '=' ? 2 : 1) : 0;
    *ret_len = (size_t)n - pad;
    out[*ret_len] = 0;
    return out;
}

struct crypto_hash {
    EVP_MD_CTX *ctx;
};

struct crypto_hash *crypto_hash_new(void)
{
    struct crypto_hash *h = MEM_NEW(struct crypto_hash);
    h->ctx = EVP_MD_CTX_new();
    ASSERT(h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) == 1);
    return h;
}

void crypto_hash_add(struct crypto_hash *h, const void *bytes, size_t len)
{
    ASSERT(EVP_DigestUpdate(h->ctx, bytes, len) == 1);
}

void crypto_hash_end(struct crypto_hash *h, unsigned char ret[32])
{
    unsigned got = 0;
    ASSERT(EVP_DigestFinal_ex(h->ctx, ret, &got) == 1 && got == 32);
    EVP_MD_CTX_free(h->ctx);
    mem_free(h);
}
