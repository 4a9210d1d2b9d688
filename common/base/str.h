/* A growing byte string, born with a maximum. Going over sets `is_over` and drops what does not fit: callers check it
 * once at the end. `data` is always NUL-terminated (never NULL after str_init). */
#pragma once

#include "common/base/macros.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct str {
    char *data;
    size_t len;
    size_t cap;
    size_t max;
    bool is_over;
};

void str_init(struct str *s, size_t bytes_max);
void str_done(struct str *s);
void str_clear(struct str *s);
void str_add(struct str *s, const char *text);
void str_add_bytes(struct str *s, const void *bytes, size_t len);
void str_add_char(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_addfv(struct str *s, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Hands the bytes over (free with mem_free); the string is done afterwards. */
char *str_take(struct str *s);

#define AUTO_STR CLEANUP(str_done) /* AUTO_STR struct str s; str_init(&s, 4096); */

static inline bool str_eq(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}
static inline bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}
bool str_ends(const char *s, const char *suffix);
/* A decimal number of at most `max`, the whole text, no sign, no space. */
bool str_to_u64(const char *s, uint64_t max, uint64_t *ret);
bool str_is_utf8(const char *bytes, size_t len);
/* Whether `word` is one of the comma-separated words of `list`. */
bool str_in_list(const char *list, const char *word);
