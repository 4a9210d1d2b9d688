#include "common/base/str.h"

#include "common/base/mem.h"

#include <stdio.h>

void str_init(struct str *s, size_t bytes_max)
{
    *s = (struct str){.max = bytes_max, .cap = 64};
    s->data = mem_alloc(s->cap);
}

void str_done(struct str *s)
{
    mem_free(s->data);
    *s = (struct str){0};
}

void str_clear(struct str *s)
{
    s->len = 0;
    s->is_over = false;
    s->data[0] = 0;
}

static bool reserve(struct str *s, size_t more)
{
    if (more > s->max || s->len > s->max - more) {
        s->is_over = true;
        return false;
    }
    size_t need = s->len + more + 1;
    if (need > s->cap) {
        size_t cap = s->cap;
        while (cap < need)
            cap *= 2;
        s->data = mem_resize(s->data, cap);
        s->cap = cap;
    }
    return true;
}

void str_add_bytes(struct str *s, const void *bytes, size_t len)
{
    if (!len || !reserve(s, len))
        return;
    memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = 0;
}

void str_add(struct str *s, const char *text)
{
    str_add_bytes(s, text, strlen(text));
}

void str_add_char(struct str *s, char c)
{
    str_add_bytes(s, &c, 1);
}

void str_addfv(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n > 0 && reserve(s, (size_t)n)) {
        (void)vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
        s->len += (size_t)n;
    }
    va_end(again);
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_addfv(s, fmt, ap);
    va_end(ap);
}

char *str_take(struct str *s)
{
    char *data = s->data;
    *s = (struct str){0};
    return data;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_to_u64(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

/* Well-formed UTF-8 of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool str_is_utf8(const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes, *end = p + len;
    while (p < end) {
        unsigned c = *p++;
        unsigned more = c < 0x80                   ? 0
                        : (c >= 0xC2 && c <= 0xDF) ? 1
                        : (c >= 0xE0 && c <= 0xEF) ? 2
                        : (c >= 0xF0 && c <= 0xF4) ? 3
                                                   : 9;
        if (more == 9 || (size_t)(end - p) < more)
            return false;
        if ((c == 0xE0 && p[0] < 0xA0) || (c == 0xED && p[0] > 0x9F) || (c == 0xF0 && p[0] < 0x90) ||
            (c == 0xF4 && p[0] > 0x8F))
            return false;
        for (unsigned i = 0; i < more; i++, p++)
            if ((*p & 0xC0) != 0x80)
                return false;
    }
    return true;
}

bool str_in_list(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p;) {
        const char *comma = strchr(p, ',');
        size_t len = comma ? (size_t)(comma - p) : strlen(p);
        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p = comma ? comma + 1 : NULL;
    }
    return false;
}
