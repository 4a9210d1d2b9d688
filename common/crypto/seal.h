/* Customers' credentials, sealed to the workers' key (P8). Anyone may seal; only a process with the private half opens.
 *
 * A sealing key has an epoch ("2026-11-23.1"). Files: DIR/seal-EPOCH.pub (text, base64) and DIR/seal-EPOCH.key (0600).
 * A sealed credential is JSON text: {"epoch":"..","sealed":"base64"}; its associated data is "partition/account id", so
 * that it cannot be moved to another customer. Plain form: {"access_key_id","secret_access_key","session_token"?}. */
#pragma once

#include "common/codec/json.h"
#include "common/crypto/hpke.h"

/* Makes DIR and a first key when there is none. */
NODISCARD int seal_keys_ensure(const char *dir, struct err *err);
/* The newest public key: {"epoch":"..","kem":"x25519","public":"base64"}. New reference. */
json_t *seal_public_key(const char *dir, struct err *err);
/* Seals `plain` to a public key as above. New reference: {"epoch","sealed"}. */
json_t *seal_credential(const json_t *public_key, const char *partition, const char *account_id, const json_t *plain,
                        struct err *err);
/* Opens with the private key of that epoch in DIR. The plain JSON text as a secret. */
NODISCARD int seal_open(const char *dir, const char *partition, const char *account_id, const json_t *sealed,
                        struct secret **ret, struct err *err);
/* The shape of a sealed credential, without opening it (for the dispatcher). */
NODISCARD int seal_check(const json_t *sealed, struct err *err);
