#include "common/crypto/hpke.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <string.h>

#define TAG_BYTES 16
#define PLAIN_BYTES_MAX (1 << 20)

static uint16_t kem_id(enum hpke_kem kem)
{
    return kem == HPKE_X25519 ? 0x0020 : 0x0010;
}

/* ---- HKDF-SHA256 with HPKE's labels (RFC 9180, section 4) ------------------------------------------------------ */

struct label {
    unsigned char suite[10];
    size_t suite_len;
};

static struct label kem_suite(enum hpke_kem kem)
{
    struct label l = {.suite_len = 5};
    memcpy(l.suite, "KEM", 3);
    l.suite[3] = (unsigned char)(kem_id(kem) >> 8);
    l.suite[4] = (unsigned char)kem_id(kem);
    return l;
}

static struct label hpke_suite(enum hpke_kem kem)
{
    struct label l = {.suite_len = 10};
    const unsigned char ids[6] = {
        (unsigned char)(kem_id(kem) >> 8), (unsigned char)kem_id(kem), 0, 1 /* HKDF-SHA256 */, 0, 2 /* AES-256-GCM */};
    memcpy(l.suite, "HPKE", 4);
    memcpy(l.suite + 4, ids, 6);
    return l;
}

struct bytes {
    unsigned char data[2048];
    size_t len;
};

static int put(struct bytes *b, const void *p, size_t len, struct err *err)
{
    if (len > sizeof b->data - b->len)
        return err_set(err, ERR_TOO_LARGE, "HPKE: info or key too long");
    if (len)
        memcpy(b->data + b->len, p, len);
    b->len += len;
    return 0;
}

static int labeled_extract(struct label suite, const unsigned char *salt, size_t salt_len, const char *label,
                           const void *ikm, size_t ikm_len, unsigned char ret[32], struct err *err)
{
    struct bytes in = {.len = 0};
    if (put(&in, "HPKE-v1", 7, err) != 0 || put(&in, suite.suite, suite.suite_len, err) != 0 ||
        put(&in, label, strlen(label), err) != 0 || put(&in, ikm, ikm_len, err) != 0)
        return -1;
    crypto_hmac_sha256(salt, salt_len, in.data, in.len, ret);
    secret_wipe(&in, sizeof in);
    return 0;
}

static int labeled_expand(struct label suite, const unsigned char prk[32], const char *label, const void *info,
                          size_t info_len, unsigned char *ret, size_t ret_len, struct err *err)
{
    ASSERT(ret_len <= 32); /* one block is all this suite ever needs */
    struct bytes in = {.len = 0};
    const unsigned char length[2] = {(unsigned char)(ret_len >> 8), (unsigned char)ret_len};
    if (put(&in, length, 2, err) != 0 || put(&in, "HPKE-v1", 7, err) != 0 ||
        put(&in, suite.suite, suite.suite_len, err) != 0 || put(&in, label, strlen(label), err) != 0 ||
        put(&in, info, info_len, err) != 0 || put(&in, "\x01", 1, err) != 0)
        return -1;
    unsigned char block[32];
    crypto_hmac_sha256(prk, 32, in.data, in.len, block);
    memcpy(ret, block, ret_len);
    secret_wipe(block, sizeof block);
    secret_wipe(&in, sizeof in);
    return 0;
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

void hpke_key_done(struct hpke_key *key)
{
    secret_unref(key->priv);
    *key = (struct hpke_key){0};
}

static EVP_PKEY *public_pkey(enum hpke_kem kem, const unsigned char *pub, size_t len)
{
    if (kem == HPKE_X25519)
        return len == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, pub, len) : NULL;
    if (len != 65 || pub[0] != 4)
        return NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    ASSERT(build && ctx && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
           OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, pub, len));
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *p256_private(const unsigned char priv[32], unsigned char ret_pub[65])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *d = BN_bin2bn(priv, 32, NULL);
    EC_POINT *point = EC_POINT_new(group);
    EVP_PKEY *key = NULL;
    if (group && d && point && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0 &&
        EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 &&
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, ret_pub, 65, NULL) == 65) {
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        ASSERT(build && ctx && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
               OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, ret_pub, 65) &&
               OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d));
        OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
        if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
            key = NULL;
        OSSL_PARAM_free(params);
        OSSL_PARAM_BLD_free(build);
        EVP_PKEY_CTX_free(ctx);
    }
    EC_POINT_free(point);
    BN_clear_free(d);
    EC_GROUP_free(group);
    return key;
}

/* The OpenSSL key of a private half, and its public bytes. */
static EVP_PKEY *private_pkey(enum hpke_kem kem, const unsigned char priv[32], unsigned char ret_pub[65],
                              size_t *ret_len)
{
    if (kem == HPKE_P256) {
        *ret_len = 65;
        return p256_private(priv, ret_pub);
    }
    *ret_len = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, 32);
    if (key && EVP_PKEY_get_raw_public_key(key, ret_pub, ret_len) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

int hpke_key_from_private(enum hpke_kem kem, const unsigned char priv[32], struct hpke_key *ret, struct err *err)
{
    struct hpke_key key = {.kem = kem};
    EVP_PKEY *pkey = private_pkey(kem, priv, key.pub, &key.pub_len);
    if (!pkey)
        return err_set(err, ERR_CONFIG, "not a private key of this kind");
    EVP_PKEY_free(pkey);
    key.priv = secret_new(priv, 32);
    *ret = key;
    return 0;
}

int hpke_key_generate(enum hpke_kem kem, struct hpke_key *ret, struct err *err)
{
    unsigned char priv[32];
    int result = -1;
    for (int i = 0; i < 8 && result != 0; i++) { /* a random P-256 scalar is out of range once in 2^32 */
        ASSERT(RAND_priv_bytes(priv, sizeof priv) == 1);
        result = hpke_key_from_private(kem, priv, ret, err);
    }
    secret_wipe(priv, sizeof priv);
    return result;
}

/* ---- KEM and key schedule ---------------------------------------------------------------------------------------- */

static int shared_dh(EVP_PKEY *mine, EVP_PKEY *theirs, unsigned char ret[32], struct err *err)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
    size_t len = 32;
    bool is_fine = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
                   EVP_PKEY_derive(ctx, ret, &len) == 1 && len == 32;
    EVP_PKEY_CTX_free(ctx);
    return is_fine ? 0 : err_set(err, ERR_FIELD_INVALID, "HPKE: the public key is not valid");
}

static int kem_secret(enum hpke_kem kem, const unsigned char dh[32], const unsigned char *enc, size_t enc_len,
                      const unsigned char *pub, size_t pub_len, unsigned char ret[32], struct err *err)
{
    struct label suite = kem_suite(kem);
    struct bytes context = {.len = 0};
    unsigned char prk[32];
    if (put(&context, enc, enc_len, err) != 0 || put(&context, pub, pub_len, err) != 0 ||
        labeled_extract(suite, (const unsigned char *)"", 0, "eae_prk", dh, 32, prk, err) != 0)
        return -1;
    int result = labeled_expand(suite, prk, "shared_secret", context.data, context.len, ret, 32, err);
    secret_wipe(prk, sizeof prk);
    return result;
}

static int key_schedule(enum hpke_kem kem, const unsigned char secret[32], const void *info, size_t info_len,
                        struct hpke_context *ret, struct err *err)
{
    struct label suite = hpke_suite(kem);
    unsigned char context[65] = {0 /* mode_base */}, prk[32];
    const unsigned char *none = (const unsigned char *)"";
    *ret = (struct hpke_context){0};
    if (labeled_extract(suite, none, 0, "psk_id_hash", "", 0, context + 1, err) != 0 ||
        labeled_extract(suite, none, 0, "info_hash", info, info_len, context + 33, err) != 0 ||
        labeled_extract(suite, secret, 32, "secret", "", 0, prk, err) != 0 ||
        labeled_expand(suite, prk, "key", context, sizeof context, ret->key, 32, err) != 0 ||
        labeled_expand(suite, prk, "base_nonce", context, sizeof context, ret->base_nonce, 12, err) != 0 ||
        labeled_expand(suite, prk, "exp", context, sizeof context, ret->exporter_secret, 32, err) != 0)
        return -1;
    secret_wipe(prk, sizeof prk);
    return 0;
}

int hpke_setup_sender(const struct hpke_key *to, const void *info, size_t info_len, const unsigned char *eph_priv,
                      unsigned char *ret_enc, size_t *ret_enc_len, struct hpke_context *ret, struct err *err)
{
    struct hpke_key eph = {0};
    unsigned char dh[32], secret[32];
    int result = eph_priv ? hpke_key_from_private(to->kem, eph_priv, &eph, err) : hpke_key_generate(to->kem, &eph, err);
    if (result != 0)
        return -1;
    unsigned char scratch[65];
    size_t scratch_len;
    EVP_PKEY *mine = private_pkey(to->kem, secret_bytes(eph.priv), scratch, &scratch_len);
    EVP_PKEY *theirs = public_pkey(to->kem, to->pub, to->pub_len);
    if (!mine || !theirs)
        result = err_set(err, ERR_FIELD_INVALID, "HPKE: the public key is not valid");
    if (result == 0)
        result = shared_dh(mine, theirs, dh, err);
    if (result == 0)
        result = kem_secret(to->kem, dh, eph.pub, eph.pub_len, to->pub, to->pub_len, secret, err);
    if (result == 0)
        result = key_schedule(to->kem, secret, info, info_len, ret, err);
    if (result == 0) {
        memcpy(ret_enc, eph.pub, eph.pub_len);
        *ret_enc_len = eph.pub_len;
    }
    EVP_PKEY_free(mine);
    EVP_PKEY_free(theirs);
    hpke_key_done(&eph);
    secret_wipe(dh, sizeof dh);
    secret_wipe(secret, sizeof secret);
    return result;
}

int hpke_setup_receiver(const struct hpke_key *mine, const unsigned char *enc, size_t enc_len, const void *info,
                        size_t info_len, struct hpke_context *ret, struct err *err)
{
    unsigned char dh[32], secret[32], pub[65];
    size_t pub_len;
    EVP_PKEY *own = private_pkey(mine->kem, secret_bytes(mine->priv), pub, &pub_len);
    EVP_PKEY *theirs = public_pkey(mine->kem, enc, enc_len);
    int result = own && theirs ? 0 : err_set(err, ERR_FIELD_INVALID, "HPKE: the encapsulated key is not valid");
    if (result == 0)
        result = shared_dh(own, theirs, dh, err);
    if (result == 0)
        result = kem_secret(mine->kem, dh, enc, enc_len, pub, pub_len, secret, err);
    if (result == 0)
        result = key_schedule(mine->kem, secret, info, info_len, ret, err);
    EVP_PKEY_free(own);
    EVP_PKEY_free(theirs);
    secret_wipe(dh, sizeof dh);
    secret_wipe(secret, sizeof secret);
    return result;
}

/* ---- AES-256-GCM ------------------------------------------------------------------------------------------------- */

static void next_nonce(struct hpke_context *ctx, unsigned char ret[12])
{
    memcpy(ret, ctx->base_nonce, 12);
    for (unsigned i = 0; i < 8; i++)
        ret[11 - i] ^= (unsigned char)(ctx->seq >> (8 * i));
}

int hpke_context_seal(struct hpke_context *ctx, const void *aad, size_t aad_len, const void *plain, size_t len,
                      unsigned char *ret, struct err *err)
{
    if (len > PLAIN_BYTES_MAX || aad_len > PLAIN_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "HPKE: more than %d bytes", PLAIN_BYTES_MAX);
    unsigned char nonce[12];
    next_nonce(ctx, nonce);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0, m = 0;
    ASSERT(c && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, ctx->key, nonce) == 1);
    ASSERT(!aad_len || EVP_EncryptUpdate(c, NULL, &n, aad, (int)aad_len) == 1);
    n = 0;
    ASSERT(!len || EVP_EncryptUpdate(c, ret, &n, plain, (int)len) == 1);
    ASSERT(EVP_EncryptFinal_ex(c, ret + n, &m) == 1 && (size_t)(n + m) == len);
    ASSERT(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, ret + len) == 1);
    EVP_CIPHER_CTX_free(c);
    ctx->seq++;
    return 0;
}

int hpke_context_open(struct hpke_context *ctx, const void *aad, size_t aad_len, const unsigned char *sealed,
                      size_t sealed_len, unsigned char *ret, struct err *err)
{
    if (sealed_len < TAG_BYTES || sealed_len > PLAIN_BYTES_MAX || aad_len > PLAIN_BYTES_MAX)
        return err_set(err, ERR_FIELD_INVALID, "HPKE: wrong length");
    size_t len = sealed_len - TAG_BYTES;
    unsigned char nonce[12], tag[TAG_BYTES];
    memcpy(tag, sealed + len, TAG_BYTES);
    next_nonce(ctx, nonce);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0, m = 0;
    ASSERT(c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, ctx->key, nonce) == 1);
    ASSERT(!aad_len || EVP_DecryptUpdate(c, NULL, &n, aad, (int)aad_len) == 1);
    n = 0;
    ASSERT(!len || EVP_DecryptUpdate(c, ret, &n, sealed, (int)len) == 1);
    ASSERT(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1);
    unsigned char none[16];
    bool is_fine = EVP_DecryptFinal_ex(c, len ? ret + n : none, &m) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!is_fine) {
        secret_wipe(ret, len);
        return err_set(err, ERR_FIELD_INVALID, "HPKE: not sealed for this key, or altered");
    }
    ctx->seq++;
    return 0;
}

/* ---- Single shot ------------------------------------------------------------------------------------------------- */

int hpke_seal(const struct hpke_key *to, const void *info, size_t info_len, const void *aad, size_t aad_len,
              const void *plain, size_t plain_len, unsigned char **ret, size_t *ret_len, struct err *err)
{
    unsigned char enc[65];
    size_t enc_len = 0;
    struct hpke_context ctx;
    if (hpke_setup_sender(to, info, info_len, NULL, enc, &enc_len, &ctx, err) != 0)
        return -1;
    AUTO_FREE unsigned char *out = mem_alloc(enc_len + plain_len + TAG_BYTES);
    memcpy(out, enc, enc_len);
    int result = hpke_context_seal(&ctx, aad, aad_len, plain, plain_len, out + enc_len, err);
    secret_wipe(&ctx, sizeof ctx);
    if (result != 0)
        return -1;
    *ret_len = enc_len + plain_len + TAG_BYTES;
    *ret = TAKE(out);
    return 0;
}

int hpke_open(const struct hpke_key *mine, const void *info, size_t info_len, const void *aad, size_t aad_len,
              const unsigned char *sealed, size_t sealed_len, struct secret **ret, struct err *err)
{
    size_t enc_len = mine->kem == HPKE_X25519 ? 32 : 65;
    if (sealed_len < enc_len + TAG_BYTES || sealed_len > PLAIN_BYTES_MAX)
        return err_set(err, ERR_FIELD_INVALID, "HPKE: wrong length");
    struct hpke_context ctx;
    if (hpke_setup_receiver(mine, sealed, enc_len, info, info_len, &ctx, err) != 0)
        return -1;
    size_t len = sealed_len - enc_len - TAG_BYTES;
    AUTO_FREE unsigned char *plain = mem_alloc(len + 1);
    int result = hpke_context_open(&ctx, aad, aad_len, sealed + enc_len, sealed_len - enc_len, plain, err);
    if (result == 0)
        *ret = secret_new(plain, len);
    secret_wipe(plain, len);
    secret_wipe(&ctx, sizeof ctx);
    return result;
}
