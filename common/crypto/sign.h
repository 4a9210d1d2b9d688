/* The operator's signature under what leaves this system for good (bundles). Ed25519 (RFC 8032).
 *
 * The private key is a file of one line, base64 of the 32-byte seed, mode 0600; it exists in memory only as a struct
 * secret. A public key is named by the first 16 hex digits of its SHA-256. */
#pragma once

#include "common/codec/json.h"

#define SIGN_PUBLIC_BYTES 32
#define SIGN_BYTES 64

struct sign_key; /* opaque */

/* Makes the file when there is none. */
NODISCARD int sign_key_ensure(const char *path, struct err *err);
/* ERR_CONFIG when the file is no key, or others may read it. */
NODISCARD int sign_key_load(const char *path, struct sign_key **ret, struct err *err);
void sign_key_free(struct sign_key *key);
/* {"alg":"Ed25519","key_id":"..","public_key":base64}. New reference. */
json_t *sign_key_public(const struct sign_key *key);
void sign_key_id(const unsigned char public_key[SIGN_PUBLIC_BYTES], char ret[17]);
void sign_make(const struct sign_key *key, const void *bytes, size_t len, unsigned char ret[SIGN_BYTES]);
bool sign_check(const unsigned char public_key[SIGN_PUBLIC_BYTES], const void *bytes, size_t len,
                const unsigned char signature[SIGN_BYTES]);

DEFINE_CLEANUP(sign_key, struct sign_key *, sign_key_free)
#define AUTO_SIGN_KEY CLEANUP(cleanup_sign_key)
