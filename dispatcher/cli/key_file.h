/* Customers' keys from a file in the shared-credentials format, section = external_ref. The file must be 0600. */
#pragma once

#include "common/base/secret.h"
#include "dispatcher/cli/cli.h"

struct key_entry {
    char external_ref[256];
    char access_key_id[132];
    struct secret *secret_key, *session_token;
};
struct key_file {
    size_t count;
    struct key_entry *items;
};

NODISCARD int key_file_read(const char *path, struct key_file *ret, struct err *err);
void key_file_done(struct key_file *c);
const struct key_entry *key_file_find(const struct key_file *c, const char *external_ref);
/* Seals it to the workers' key and hands it to one import. */
NODISCARD int key_file_hand_over(struct cli *cli, const struct key_entry *key, const char *import_id, struct err *err);
