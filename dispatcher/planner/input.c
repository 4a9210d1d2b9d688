/* The three forms of input, and what only shows over all rows (duplicates). */
#include "dispatcher/planner/input.h"

#include "common/base/mem.h"
#include "dispatcher/planner/input_csv.h"
#include "dispatcher/planner/key_guard.h"
#include "dispatcher/planner/plan.h"

#include <stdio.h>

#define LINE(n_) ((struct place){.line = (n_), .field = ""})

void input_add_row(struct input *in, uint32_t line, json_t *request)
{
    if ((in->count & (in->count - 1)) == 0) /* capacity is the next power of two */
        in->rows = mem_resize(in->rows, sizeof *in->rows * (in->count ? in->count * 2 : 1));
    in->rows[in->count++] = (struct input_row){.line = line, .request = request};
}

void input_done(struct input *in)
{
    for (size_t i = 0; i < in->count; i++)
        json_decref(in->rows[i].request);
    mem_free(in->rows);
    *in = (struct input){0};
}

static uint32_t line_at(const char *bytes, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += bytes[i] == '\n';
    return line;
}

/* The first byte that is not UTF-8. Halving works because a prefix cut inside a character is bad only at its very end.
 */
static size_t bad_byte(const char *bytes, size_t len)
{
    size_t start = 0;
    while (start < len) {
        const char *newline = memchr(bytes + start, '\n', len - start);
        size_t n = newline ? (size_t)(newline - bytes - (ptrdiff_t)start) + 1 : len - start;
        if (!str_is_utf8(bytes + start, n))
            return start;
        start += n;
    }
    return len;
}

static void read_json(const struct input_context *ctx, const char *bytes, size_t len, struct input *ret,
                      struct faults *faults)
{
    struct err err = {0};
    json_auto_t *value = json_read(bytes, len, 32, &err);
    if (!value) {
        faults_add_err(faults, LINE(0), &err);
        return;
    }
    if (!json_is_array(value)) {
        input_check(ctx, value, 0, faults);
        input_add_row(ret, 0, TAKE(value));
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        input_check(ctx, json_array_get(value, i), (uint32_t)i + 1, faults);
        input_add_row(ret, (uint32_t)i + 1, json_incref(json_array_get(value, i)));
    }
}

static bool is_blank(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n')
            return false;
    return true;
}

static void read_jsonl(const struct input_context *ctx, const char *bytes, size_t len, struct input *ret,
                       struct faults *faults)
{
    uint32_t line = 0;
    for (size_t start = 0; start < len && ret->count <= INPUT_ROWS_MAX;) {
        const char *newline = memchr(bytes + start, '\n', len - start);
        size_t n = newline ? (size_t)(newline - bytes) - start : len - start;
        line++;
        struct err err = {0};
        json_t *value = is_blank(bytes + start, n) ? NULL : json_read(bytes + start, n, 32, &err);
        if (value) {
            input_check(ctx, value, line, faults);
            input_add_row(ret, line, value);
        } else if (err.code) {
            char *inner = str_starts(err.text, "line 1 ") ? err.text + 7 : err.text; /* each row counts from 1 */
            memmove(err.text, inner, strlen(inner) + 1);
            faults_add_err(faults, LINE(line), &err);
        }
        start += n + 1;
    }
}

/* The same customer twice in one file is a mistake of the file: the later row is named, with the earlier one. */
static void check_duplicates(const struct input *in, struct faults *faults)
{
    static const char *const keys[] = {"external_ref", "organization.management_account_id", "id"};
    for (size_t k = 0; in->count > 1 && k < ARRAY_LEN(keys); k++) {
        json_auto_t *seen = json_object();
        for (size_t i = 0; i < in->count; i++) {
            const char *value = json_str_at(in->rows[i].request, keys[k]);
            const json_t *first = json_object_get(seen, value);
            char shown[64];
            if (!*value)
                continue;
            if (first)
                faults_add(faults, (struct place){in->rows[i].line, keys[k]}, ERR_ROW_DUPLICATE,
                           "\"%s\" stands in line %lld already", faults_show(value, shown),
                           (long long)json_integer_value(first));
            else
                json_put_int(seen, value, in->rows[i].line);
        }
    }
}

/* Names made for an import must fit (root email, bucket); told here so that nothing of a file enters when one row
 * fails. */
static void check_names(const struct input_context *ctx, const struct input *in, struct faults *faults)
{
    for (size_t i = 0; i < in->count; i++) {
        struct err err = {0};
        const json_t *request = in->rows[i].request;
        if (plan_check_names(ctx->profile, input_playbook(ctx, request), request, &err) < 0)
            faults_add_err(faults, (struct place){in->rows[i].line, json_has(request, "id") ? "id" : "customer.name"},
                           &err);
    }
}

static enum input_format guess(const char *bytes, size_t len)
{
    size_t start = len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (start < len && strchr(" \t\r\n", bytes[start]) && bytes[start])
        start++;
    if (start < len && bytes[start] == '[')
        return INPUT_JSON;
    if (start >= len || bytes[start] != '{')
        return INPUT_CSV;
    /* One document over many lines, or one per line: it is lines when the first line is a document by itself. */
    const char *newline = memchr(bytes + start, '\n', len - start);
    struct err err;
    if (!newline || is_blank(newline, (size_t)(bytes + len - newline)))
        return INPUT_JSON;
    json_auto_t *first = json_read(bytes + start, (size_t)(newline - bytes) - start, 32, &err);
    /* Two lines that each open a document are lines too, even when the first one is broken. */
    const char *next = newline + 1 + strspn(newline + 1, " \t\r\n");
    return first || *next == '{' ? INPUT_JSONL : INPUT_JSON;
}

void input_read(const struct input_context *ctx, enum input_format format, const char *bytes, size_t len,
                struct input *ret, struct faults *faults)
{
    *ret = (struct input){0};
    if (len > INPUT_BYTES_MAX) {
        faults_add(faults, LINE(0), ERR_TOO_LARGE, "%zu bytes; at most %zu are taken at once", len, INPUT_BYTES_MAX);
        return;
    }
    if (is_blank(bytes, len)) {
        faults_add(faults, LINE(0), ERR_SYNTAX, "the input is empty");
        return;
    }
    size_t bad = bad_byte(bytes, len);
    if (bad < len) {
        uint32_t line = line_at(bytes, bad);
        faults_add(faults, LINE(line), ERR_NOT_UTF8, "line %u is not UTF-8", line);
        return;
    }
    if (format == INPUT_AUTO)
        format = guess(bytes, len);
    if (format == INPUT_CSV)
        input_csv_read(ctx, bytes, len, ret, faults);
    else if (format == INPUT_JSONL)
        read_jsonl(ctx, bytes, len, ret, faults);
    else
        read_json(ctx, bytes, len, ret, faults);
    if (ret->count > INPUT_ROWS_MAX)
        faults_add(faults, LINE(0), ERR_TOO_LARGE, "more than %d rows; split the file", INPUT_ROWS_MAX);
    else if (!ret->count && !faults->count)
        faults_add(faults, LINE(0), ERR_SYNTAX, "there is a header and no row below it");
    check_duplicates(ret, faults);
    if (!faults->count)
        check_names(ctx, ret, faults);
}
