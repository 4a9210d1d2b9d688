/* One Merkle tree for all that we root: sections of a fingerprint, chains of a ledger. Leaves and nodes are tagged, so
 * that no node can ever pass for a leaf; the odd one of a level goes up as it is. Hashes are hex SHA-256 over the
 * canonical form: leaf ["leaf", ...], node ["node", left, right], no leaf at all ["empty"]. */
#pragma once

#include "common/codec/json.h"

/* Takes the reference to `leaf`, e.g. ["leaf", name, digest]; appends its hash to `leaves`. */
void merkle_add(json_t *leaves, json_t *leaf);
/* Over the array of leaf hashes, in its order. */
void merkle_root(const json_t *leaves, char ret[65]);
