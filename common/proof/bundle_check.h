/* The offline verifier: reads a bundle as bytes and believes nothing that it can compute. Pure; no Redis, no
 * configuration, no network. */
#pragma once

#include "common/codec/json.h"

struct bundle_report {
    json_t *problems; /* array of texts; empty: all parts agree */
    json_t *bundle;   /* NULL when it cannot be read */
    bool is_signed;   /* by the key that the file names */
    bool is_pinned;   /* and that key is the one that was given */
    bool is_proven;   /* the import is over and its verdict is PROVEN or PROVEN+FOREIGN */
    char key_id[17];
    size_t lines, changes, foreign;
    char text[512]; /* the result in one line */
};

/* `public_key`: the signer's 32 bytes as the reader got them by another way; NULL unknown. */
void bundle_check(const char *bytes, size_t len, const unsigned char *public_key, struct bundle_report *ret);
void bundle_report_done(struct bundle_report *r);
/* Proven, signed by the pinned key, and nothing wrong. */
bool bundle_is_good(const struct bundle_report *r);
