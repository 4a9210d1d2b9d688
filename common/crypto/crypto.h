/* The only user of OpenSSL's primitives (TLS aside). Failures here mean a broken library or machine and abort, except
 * where a function can fail because of its input. */
#pragma once

#include "common/base/err.h"
#include "common/base/secret.h"

#include <stdbool.h>

void crypto_sha256(const void *bytes, size_t len, unsigned char ret[32]);
void crypto_sha256_hex(const void *bytes, size_t len, char ret[65]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char ret[32]);
void crypto_md5(const void *bytes, size_t len, unsigned char ret[16]); /* S3's Content-MD5 only */
bool crypto_equal(const void *a, const void *b, size_t len);           /* constant time */

void crypto_hex(const unsigned char *bytes, size_t len, char *ret);  /* 2*len + 1 bytes, lower-case */
bool crypto_unhex(const char *text, unsigned char *ret, size_t len); /* exactly 2*len digits */
char *crypto_base64(const void *bytes, size_t len);                  /* mem_free */
unsigned char *crypto_unbase64(const char *text, size_t *ret_len);   /* NULL on bad input; mem_free */

/* Incremental SHA-256. */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void);
void crypto_hash_add(struct crypto_hash *h, const void *bytes, size_t len);
void crypto_hash_end(struct crypto_hash *h, unsigned char ret[32]); /* frees h */
