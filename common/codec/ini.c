#include "common/codec/ini.h"

#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/base/str.h"

#define LINE_BYTES_MAX 8192

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        s[--n] = 0;
    return s;
}

struct ini_state {
    char section[256];
    ini_fn *fn;
    void *arg;
};

static int read_line(struct ini_state *st, char *line, uint32_t number, struct err *err)
{
    bool is_indented = *line == ' ' || *line == '\t';
    char *text = trim(line);
    if (!*text || *text == '#' || *text == ';' || is_indented) /* indented: a sub-block such as "s3 =" */
        return 0;
    if (*text == '[') {
        char *close = strchr(text, ']');
        if (!close || close == text + 1 || (size_t)(close - text) >= sizeof st->section)
            return err_set(err, ERR_SYNTAX, "line %u: a section needs the form [name]", number);
        *close = 0;
        char *name = trim(text + 1);
        memcpy(st->section, name, strlen(name) + 1);
        return 0;
    }
    char *equals = strchr(text, '=');
    if (!equals || !st->section[0])
        return err_set(err, ERR_SYNTAX, "line %u: expected `key = value` below a [section]", number);
    *equals = 0;
    return st->fn(st->arg, st->section, trim(text), trim(equals + 1), number, err);
}

int ini_read(const char *bytes, size_t len, ini_fn *fn, void *arg, struct err *err)
{
    if (!str_is_utf8(bytes, len))
        return err_set(err, ERR_NOT_UTF8, "not valid UTF-8");
    struct ini_state st = {.fn = fn, .arg = arg};
    uint32_t number = 0;
    int result = 0;
    char line[LINE_BYTES_MAX];
    for (const char *p = bytes, *end = bytes + len; p < end && result == 0;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        number++;
        if (n >= sizeof line || memchr(p, 0, n)) {
            result = err_set(err, ERR_SYNTAX, "line %u: too long or not text", number);
            break;
        }
        memcpy(line, p, n);
        line[n] = 0;
        result = read_line(&st, line, number, err);
        p += n + (newline ? 1 : 0);
    }
    secret_wipe(line, sizeof line);
    return result;
}
