/* Percent-encoding (RFC 3986) and URL parts. */
#pragma once

#include "common/base/err.h"
#include "common/base/str.h"

/* Appends `text` encoded: everything but A-Z a-z 0-9 - . _ ~ becomes %XX (upper-case); '/' is kept when `keep_slash`.
 */
void uri_encode(struct str *out, const char *text, size_t len, bool keep_slash);
/* Decodes %XX (and '+' to space when `plus_is_space`). New text (mem_free) with its length, NULL on a broken escape or
 * NUL. */
char *uri_decode(const char *text, size_t len, bool plus_is_space, size_t *ret_len);

struct uri {
    char scheme[16];
    char user[128];
    char password[256];
    char host[256];
    uint16_t port;   /* 0 when absent */
    char path[1024]; /* with leading '/', "" when absent */
    char query[1024];
};
/* Splits an absolute URL. ERR_SYNTAX on anything odd; the text never echoes a password. */
NODISCARD int uri_parse(const char *text, struct uri *ret, struct err *err);
