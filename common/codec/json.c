#include "common/codec/json.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define DEPTH_MAX_DEFAULT 64

/* Depth is checked on the bytes, before the parser allocates anything for them. */
static bool is_too_deep(const char *p, size_t len, size_t depth_max)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max)
                return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

json_t *json_read(const char *bytes, size_t len, size_t depth_max, struct err *err)
{
    if (!str_is_utf8(bytes, len)) {
        err_set(err, ERR_NOT_UTF8, "not valid UTF-8");
        return NULL;
    }
    if (is_too_deep(bytes, len, depth_max ? depth_max : DEPTH_MAX_DEFAULT)) {
        err_set(err, ERR_SYNTAX, "nested too deep");
        return NULL;
    }
    json_error_t why;
    json_t *value = json_loadb(bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value) {
        char *near = strstr(why.text, " near ");
        if (near) /* jansson quotes the input there; it may hold a secret */
            *near = 0;
        err_set(err, ERR_SYNTAX, "line %d column %d: %s", why.line, why.column, why.text);
    }
    return value;
}

char *json_text(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    if (!text)
        return mem_dup("null");
    return text; /* jansson allocates with malloc, as mem_free expects */
}

/* ---- RFC 8785 ---------------------------------------------------------------------------------------------------- */

static void canonical_string(const char *s, struct str *out)
{
    str_add_char(out, '"');
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        switch (*p) {
        case '"':
            str_add(out, "\\\"");
            break;
        case '\\':
            str_add(out, "\\\\");
            break;
        case '\b':
            str_add(out, "\\b");
            break;
        case '\t':
            str_add(out, "\\t");
            break;
        case '\n':
            str_add(out, "\\n");
            break;
        case '\f':
            str_add(out, "\\f");
            break;
        case '\r':
            str_add(out, "\\r");
            break;
        default:
            if (*p < 0x20)
                str_addf(out, "\\u%04x", *p);
            else
                str_add_char(out, (char)*p);
        }
    }
    str_add_char(out, '"');
}

/* One unit more in the last digit of "1.23e+45", away from zero. False when all of them are nines: the same number has
 * fewer digits then. */
static bool one_more(char *text)
{
    char *p = strchr(text, 'e');
    while (p && p > text) {
        p--;
        if (*p >= '0' && *p < '9') {
            ++*p;
            return true;
        }
        if (*p == '9')
            *p = '0';
    }
    return false;
}

/* The shortest decimal that reads back, as "1.23e+45". What printf rounds to is the nearest of its length; where that
 * does not read back, its neighbour away from zero may: just above a power of two the numbers lie twice as far apart as
 * below it, so more decimals lead to it from there. */
static void shortest_real(double v, char text[static 40])
{
    for (int precision = 1; precision <= 17; precision++) {
        (void)snprintf(text, 40, "%.*e", precision - 1, v);
        if (strtod(text, NULL) == v)
            return;
        if (precision < 17 && one_more(text) && strtod(text, NULL) == v)
            return;
    }
}

/* The digits of ECMAScript's Number::toString, laid out by the exponent. */
static void canonical_real(double v, struct str *out)
{
    if (v == 0) {
        str_add_char(out, '0');
        return;
    }
    char text[40];
    shortest_real(v, text);
    char digits[24];
    size_t n = 0;
    const char *p = text;
    if (*p == '-') {
        str_add_char(out, '-');
        p++;
    }
    for (; *p && *p != 'e'; p++)
        if (*p != '.' && n < sizeof digits - 1)
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
    int point = (int)strtol(p + 1, NULL, 10) + 1; /* position of the decimal point, counted from the first digit */
    int count = (int)n;
    if (count <= point && point <= 21) {
        str_add(out, digits);
        for (int i = count; i < point; i++)
            str_add_char(out, '0');
    } else if (0 < point && point <= 21) {
        str_add_bytes(out, digits, (size_t)point);
        str_add_char(out, '.');
        str_add(out, digits + point);
    } else if (-6 < point && point <= 0) {
        str_add(out, "0.");
        for (int i = point; i < 0; i++)
            str_add_char(out, '0');
        str_add(out, digits);
    } else {
        str_add_char(out, digits[0]);
        if (count > 1) {
            str_add_char(out, '.');
            str_add(out, digits + 1);
        }
        str_addf(out, "e%+d", point - 1);
    }
}

/* RFC 8785 knows doubles only: every other program reads a larger integer as one, and must get the same digest. */
static void canonical_integer(json_int_t n, struct str *out)
{
    const json_int_t exact_max = (json_int_t)1 << 53;
    if (n < -exact_max || n > exact_max)
        canonical_real((double)n, out);
    else
        str_addf(out, "%" JSON_INTEGER_FORMAT, n);
}

/* One code point of well-formed UTF-8, and the step to the next. */
static uint32_t code_point(const unsigned char **p)
{
    uint32_t c = *(*p)++;
    if (c < 0x80)
        return c;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    c &= more == 3 ? 0x07u : more == 2 ? 0x0Fu : 0x1Fu;
    while (more--)
        c = (c << 6) | (uint32_t)(*(*p)++ & 0x3F);
    return c;
}

/* UTF-16 order differs from UTF-8 order only where surrogates meet U+E000..U+FFFF. */
static int compare_utf16(const void *a, const void *b)
{
    const unsigned char *x = *(const unsigned char *const *)a, *y = *(const unsigned char *const *)b;
    while (*x && *y) {
        uint32_t cx = code_point(&x), cy = code_point(&y);
        if (cx == cy)
            continue;
        if ((cx >= 0x10000) != (cy >= 0x10000)) {
            uint32_t ux = cx >= 0x10000 ? 0xD800 : cx, uy = cy >= 0x10000 ? 0xD800 : cy;
            return ux < uy ? -1 : 1;
        }
        return cx < cy ? -1 : 1;
    }
    return (*x != 0) - (*y != 0);
}

/* Recursion is bounded: values come from json_read (depth 64) or from our own code. */
/* NOLINTNEXTLINE(misc-no-recursion) */
void json_canonical(const json_t *value, struct str *out)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: {
        size_t count = json_object_size(value), i = 0;
        const char **keys = mem_alloc((count + 1) * sizeof *keys);
        const char *key;
        json_t *member;
        json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
            keys[i++] = key;
        }
        qsort(keys, count, sizeof *keys, compare_utf16);
        str_add_char(out, '{');
        for (i = 0; i < count; i++) {
            if (i)
                str_add_char(out, ',');
            canonical_string(keys[i], out);
            str_add_char(out, ':');
            json_canonical(json_object_get(value, keys[i]), out);
        }
        str_add_char(out, '}');
        mem_free(keys);
        break;
    }
    case JSON_ARRAY:
        str_add_char(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i)
                str_add_char(out, ',');
            json_canonical(json_array_get(value, i), out);
        }
        str_add_char(out, ']');
        break;
    case JSON_STRING:
        canonical_string(json_string_value(value), out);
        break;
    case JSON_INTEGER:
        canonical_integer(json_integer_value(value), out);
        break;
    case JSON_REAL:
        canonical_real(json_real_value(value), out);
        break;
    case JSON_TRUE:
        str_add(out, "true");
        break;
    case JSON_FALSE:
        str_add(out, "false");
        break;
    case JSON_NULL:
    default:
        str_add(out, "null");
    }
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

const json_t *json_at(const json_t *value, const char *path)
{
    char part[256];
    while (value && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof part)
            return NULL;
        memcpy(part, path, n);
        part[n] = 0;
        uint64_t index;
        if (json_is_object(value))
            value = json_object_get(value, part);
        else if (json_is_array(value) && str_to_u64(part, SIZE_MAX, &index))
            value = json_array_get(value, (size_t)index);
        else
            return NULL;
        path += n;
        if (*path == '.')
            path++;
    }
    return value;
}

const char *json_str_or(const json_t *value, const char *path, const char *other)
{
    const char *s = json_string_value(json_at(value, path));
    return s ? s : other;
}

const char *json_str_at(const json_t *value, const char *path)
{
    return json_str_or(value, path, "");
}

const json_t *json_find_nocase(const json_t *list, const char *path, const char *text)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        if (strcasecmp(json_str_at(one, path), text) == 0)
            return one;
    return NULL;
}

int64_t json_int_at(const json_t *value, const char *path)
{
    return (int64_t)json_integer_value(json_at(value, path));
}

bool json_bool_at(const json_t *value, const char *path)
{
    return json_is_true(json_at(value, path));
}

bool json_has(const json_t *value, const char *path)
{
    return json_at(value, path) != NULL;
}

/* ---- Making ------------------------------------------------------------------------------------------------------ */

void json_put(json_t *object, const char *key, json_t *new_value)
{
    ASSERT(json_is_object(object));
    ASSERT(json_object_set_new(object, key, new_value ? new_value : json_null()) == 0);
}

void json_put_str(json_t *object, const char *key, const char *text)
{
    json_t *value = text ? json_string(text) : json_null();
    if (!value) /* bytes from outside that are not UTF-8: kept, made printable */
        value = json_string("(not UTF-8)");
    json_put(object, key, value);
}

void json_put_int(json_t *object, const char *key, int64_t n)
{
    json_put(object, key, json_integer(n));
}

void json_put_bool(json_t *object, const char *key, bool b)
{
    json_put(object, key, json_boolean(b));
}

json_t *json_make(const char *fmt, ...)
{
    json_error_t why;
    va_list ap;
    va_start(ap, fmt);
    json_t *value = json_vpack_ex(&why, 0, fmt, ap);
    va_end(ap);
    ASSERT(value);
    return value;
}

json_t *json_copy_or_null(const json_t *value)
{
    return value ? json_deep_copy(value) : json_null();
}

bool json_array_has_str(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (str_eq(json_string_value(json_array_get(array, i)), text))
            return true;
    return false;
}

struct sortable {
    char *by;
    json_t *value;
};

static int compare_sortable(const void *a, const void *b)
{
    return strcmp(((const struct sortable *)a)->by, ((const struct sortable *)b)->by);
}

void json_sort_by(json_t *array, const char *key)
{
    size_t count = json_array_size(array);
    struct sortable *items = mem_alloc((count + 1) * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i].value = json_incref(json_array_get(array, i));
        const json_t *at = key ? json_at(items[i].value, key) : items[i].value;
        items[i].by = json_is_string(at) ? mem_dup(json_string_value(at)) : json_text(at);
    }
    qsort(items, count, sizeof *items, compare_sortable);
    json_array_clear(array);
    for (size_t i = 0; i < count; i++) {
        ASSERT(json_array_append_new(array, items[i].value) == 0);
        mem_free(items[i].by);
    }
    mem_free(items);
}
