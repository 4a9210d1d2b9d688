/* Customers' keys from a file in the shared-credentials format, section = external_ref. The file must be 0600. */
#pragma once

#include "common/base/secret.h"
#include "dispatcher/cli/cli.h"

struct credential {
    char external_ref[256];
    char access_key_id[132];
    struct secret *secret_key, *session_token;
};
struct credentials {
    size_t count;
    struct credential *items;
};

NODISCARD int credentials_read(const char *path, struct credentials *ret, struct err *err);
void credentials_done(struct credentials *c);
const struct credential *credentials_find(const struct credentials *c, const char *external_ref);
/* Seals it to the workers' key and hands it to one import. */
NODISCARD int credentials_hand_over(struct cli *cli, const struct credential *key, const char *import_id, struct err *err);
