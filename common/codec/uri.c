#include "common/codec/uri.h"

#include "common/base/mem.h"

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

void uri_encode(struct str *out, const char *text, size_t len, bool keep_slash)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_unreserved(text[i]) || (keep_slash && c == '/')) {
            str_add_char(out, text[i]);
        } else {
            char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
            str_add_bytes(out, escape, 3);
        }
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

char *uri_decode(const char *text, size_t len, bool plus_is_space, size_t *ret_len)
{
    AUTO_FREE char *out = mem_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            if (len - i < 3)
                return NULL;
            int hi = hex_value(text[i + 1]);
            int lo = hex_value(text[i + 2]);
            if (hi < 0 || lo < 0)
                return NULL;
            c = (char)(unsigned char)(hi * 16 + lo);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (!c)
            return NULL;
        out[n++] = c;
    }
    if (ret_len)
        *ret_len = n;
    return TAKE(out);
}

static int take_part(char *ret, size_t size, const char *from, size_t len, const char *what, struct err *err)
{
    if (len >= size)
        return err_set(err, ERR_SYNTAX, "URL: %s is too long", what);
    memcpy(ret, from, len);
    ret[len] = 0;
    return 0;
}

static int parse_user(const char *from, size_t len, struct uri *ret, struct err *err)
{
    const char *colon = memchr(from, ':', len);
    size_t user_len = colon ? (size_t)(colon - from) : len;
    AUTO_FREE char *user = uri_decode(from, user_len, false, NULL);
    AUTO_FREE char *password = colon ? uri_decode(colon + 1, len - user_len - 1, false, NULL) : mem_dup("");
    if (!user || !password)
        return err_set(err, ERR_SYNTAX, "URL: broken escape in user or password");
    if (take_part(ret->user, sizeof ret->user, user, strlen(user), "user", err) != 0)
        return -1;
    return take_part(ret->password, sizeof ret->password, password, strlen(password), "password", err);
}

static int parse_host(const char *from, size_t len, struct uri *ret, struct err *err)
{
    const char *end = from + len, *port = NULL;
    if (len && *from == '[') {
        const char *close = memchr(from, ']', len);
        if (!close)
            return err_set(err, ERR_SYNTAX, "URL: `[` without `]`");
        if (take_part(ret->host, sizeof ret->host, from + 1, (size_t)(close - from - 1), "host", err) != 0)
            return -1;
        port = close + 1 < end && close[1] == ':' ? close + 2 : NULL;
        if (!port && close + 1 != end)
            return err_set(err, ERR_SYNTAX, "URL: text after `]`");
    } else {
        const char *colon = memchr(from, ':', len);
        if (take_part(ret->host, sizeof ret->host, from, colon ? (size_t)(colon - from) : len, "host", err) != 0)
            return -1;
        port = colon ? colon + 1 : NULL;
    }
    if (port) {
        char digits[8];
        uint64_t n;
        if (take_part(digits, sizeof digits, port, (size_t)(end - port), "port", err) != 0)
            return -1;
        if (!str_to_u64(digits, 65535, &n))
            return err_set(err, ERR_SYNTAX, "URL: the port is not a number up to 65535");
        ret->port = (uint16_t)n;
    }
    return 0;
}

int uri_parse(const char *text, struct uri *ret, struct err *err)
{
    struct uri u = {0};
    const char *sep = strstr(text, "://");
    if (!sep || sep == text)
        return err_set(err, ERR_SYNTAX, "URL: no scheme");
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return err_set(err, ERR_SYNTAX, "URL: space or control character");
    if (take_part(u.scheme, sizeof u.scheme, text, (size_t)(sep - text), "scheme", err) != 0)
        return -1;
    const char *authority = sep + 3;
    size_t len = strcspn(authority, "/?#");
    const char *at = memchr(authority, '@', len);
    for (const char *next = at; next; next = memchr(at + 1, '@', len - (size_t)(at + 1 - authority)))
        at = next;
    if (at && parse_user(authority, (size_t)(at - authority), &u, err) != 0)
        return -1;
    const char *host = at ? at + 1 : authority;
    if (parse_host(host, (size_t)(authority + len - host), &u, err) != 0)
        return -1;
    const char *path = authority + len;
    size_t path_len = strcspn(path, "?#");
    if (take_part(u.path, sizeof u.path, path, path_len, "path", err) != 0)
        return -1;
    if (path[path_len] == '?') {
        const char *query = path + path_len + 1;
        if (take_part(u.query, sizeof u.query, query, strcspn(query, "#"), "query", err) != 0)
            return -1;
    }
    *ret = u;
    return 0;
}
