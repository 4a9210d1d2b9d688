#include "common/crypto/sign.h"

#include "common/base/assert.h"
#include "common/base/env.h"
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"

#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_BYTES 32

struct sign_key {
    struct secret *seed;
    unsigned char public_key[SIGN_PUBLIC_BYTES];
};

void sign_key_free(struct sign_key *key)
{
    if (!key)
        return;
    secret_unref(key->seed);
    mem_free(key);
}

static EVP_PKEY *private_of(const struct sign_key *key)
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret_bytes(key->seed), SEED_BYTES);
    ASSERT(pkey);
    return pkey;
}

int sign_key_ensure(const char *path, struct err *err)
{
    if (access(path, F_OK) == 0)
        return 0;
    unsigned char seed[SEED_BYTES];
    env_random(env_system(), seed, sizeof seed);
    char *text = crypto_base64(seed, sizeof seed);
    secret_wipe(seed, sizeof seed);
    int result = file_write(path, text, strlen(text), 0600, err);
    secret_wipe(text, strlen(text));
    mem_free(text);
    return result;
}

static int check_mode(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
        return err_set(err, ERR_CONFIG, "%s: others may read the signing key; set its mode to 0600", path);
    return 0;
}

int sign_key_load(const char *path, struct sign_key **ret, struct err *err)
{
    char *text = NULL;
    if (check_mode(path, err) || file_read(path, 256, &text, NULL, err))
        return -1;
    text[strcspn(text, "\r\n")] = 0;
    size_t len = 0, public_len = SIGN_PUBLIC_BYTES;
    unsigned char *seed = crypto_unbase64(text, &len);
    secret_wipe(text, strlen(text));
    mem_free(text);
    if (!seed || len != SEED_BYTES) {
        if (seed)
            secret_wipe(seed, len);
        mem_free(seed);
        return err_set(err, ERR_CONFIG, "%s: not a signing key (base64 of 32 bytes)", path);
    }
    struct sign_key *key = MEM_NEW(struct sign_key);
    key->seed = secret_new(seed, len);
    secret_wipe(seed, len);
    mem_free(seed);
    EVP_PKEY *pkey = private_of(key);
    ASSERT(EVP_PKEY_get_raw_public_key(pkey, key->public_key, &public_len) == 1 && public_len == SIGN_PUBLIC_BYTES);
    EVP_PKEY_free(pkey);
    *ret = key;
    return 0;
}

void sign_key_id(const unsigned char public_key[SIGN_PUBLIC_BYTES], char ret[17])
{
    char hex[65];
    crypto_sha256_hex(public_key, SIGN_PUBLIC_BYTES, hex);
    memcpy(ret, hex, 16);
    ret[16] = 0;
}

json_t *sign_key_public(const struct sign_key *key)
{
    char id[17];
    sign_key_id(key->public_key, id);
    AUTO_FREE char *text = crypto_base64(key->public_key, SIGN_PUBLIC_BYTES);
    return json_make("{s:s, s:s, s:s}", "alg", "Ed25519", "key_id", id, "public_key", text);
}

void sign_make(const struct sign_key *key, const void *bytes, size_t len, unsigned char ret[SIGN_BYTES])
{
    size_t n = SIGN_BYTES;
    EVP_PKEY *pkey = private_of(key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ASSERT(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1);
    ASSERT(EVP_DigestSign(ctx, ret, &n, bytes, len) == 1 && n == SIGN_BYTES);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

bool sign_check(const unsigned char public_key[SIGN_PUBLIC_BYTES], const void *bytes, size_t len,
                const unsigned char signature[SIGN_BYTES])
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGN_PUBLIC_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_good = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                   EVP_DigestVerify(ctx, signature, SIGN_BYTES, bytes, len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return is_good;
}
