/* HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, on EVP because OpenSSL 3.0 has no
 * call for it. P-256 is there too, because the published vectors cover it and an HSM may offer nothing else. */
#pragma once

#include "common/base/err.h"
#include "common/base/secret.h"

enum hpke_kem { HPKE_X25519, HPKE_P256 };

struct hpke_key { /* public: 32 bytes (X25519) or 65 (P-256, uncompressed); secret: 32 */
    enum hpke_kem kem;
    unsigned char pub[65];
    size_t pub_len;
    struct secret *priv; /* NULL for a public key */
};

void hpke_key_done(struct hpke_key *key);
NODISCARD int hpke_key_generate(enum hpke_kem kem, struct hpke_key *ret, struct err *err);
NODISCARD int hpke_key_from_private(enum hpke_kem kem, const unsigned char priv[32], struct hpke_key *ret,
                                    struct err *err);

/* Single-shot seal: `ret` = enc || ciphertext || tag (mem_free). */
NODISCARD int hpke_seal(const struct hpke_key *to, const void *info, size_t info_len, const void *aad, size_t aad_len,
                        const void *plain, size_t plain_len, unsigned char **ret, size_t *ret_len, struct err *err);
NODISCARD int hpke_open(const struct hpke_key *mine, const void *info, size_t info_len, const void *aad, size_t aad_len,
                        const unsigned char *sealed, size_t sealed_len, struct secret **ret, struct err *err);

/* For the vectors: a context with its sequence number. `eph_priv` fixes the ephemeral key (tests only). */
struct hpke_context {
    unsigned char key[32];
    unsigned char base_nonce[12];
    unsigned char exporter_secret[32];
    uint64_t seq;
};
NODISCARD int hpke_setup_sender(const struct hpke_key *to, const void *info, size_t info_len,
                                const unsigned char *eph_priv, unsigned char *ret_enc, size_t *ret_enc_len,
                                struct hpke_context *ret, struct err *err);
NODISCARD int hpke_setup_receiver(const struct hpke_key *mine, const unsigned char *enc, size_t enc_len,
                                  const void *info, size_t info_len, struct hpke_context *ret, struct err *err);
NODISCARD int hpke_context_seal(struct hpke_context *ctx, const void *aad, size_t aad_len, const void *plain,
                                size_t len, unsigned char *ret /* len + 16 */, struct err *err);
NODISCARD int hpke_context_open(struct hpke_context *ctx, const void *aad, size_t aad_len, const unsigned char *sealed,
                                size_t sealed_len, unsigned char *ret /* sealed_len - 16 */, struct err *err);
