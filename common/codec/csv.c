#include "common/codec/csv.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define ROWS_MAX 200001
#define COLUMNS_MAX 256
#define FIELD_BYTES_MAX 65536

struct reader {
    const char *p, *end, *line_start;
    uint32_t line;
    struct csv *out;
    size_t row_cap;
    struct csv_row *row;
};

static unsigned column(const struct reader *r)
{
    return (unsigned)(r->p - r->line_start) + 1;
}

static int fault(struct reader *r, struct err *err, const char *what)
{
    return err_set(err, ERR_SYNTAX, "line %u column %u: %s", r->line, column(r), what);
}

static int begin_row(struct reader *r, struct err *err)
{
    if (r->out->count == ROWS_MAX)
        return err_set(err, ERR_TOO_LARGE, "line %u: more than %d rows", r->line, ROWS_MAX - 1);
    if (r->out->count == r->row_cap) {
        r->row_cap = r->row_cap ? r->row_cap * 2 : 64;
        r->out->rows = mem_resize(r->out->rows, r->row_cap * sizeof *r->out->rows);
    }
    r->row = &r->out->rows[r->out->count++];
    *r->row = (struct csv_row){.line = r->line};
    return 0;
}

static int add_field(struct reader *r, struct str *text, struct err *err)
{
    ASSERT(r->row);
    if (text->is_over)
        return fault(r, err, "a field is longer than 64 KiB (is a quote missing?)");
    if (r->row->count == COLUMNS_MAX)
        return fault(r, err, "more than 256 columns");
    if (r->row->count % 16 == 0)
        r->row->fields = mem_resize(r->row->fields, (r->row->count + 16) * sizeof(char *));
    r->row->fields[r->row->count++] = mem_dup_bytes(text->data, text->len);
    return 0;
}

static int read_quoted(struct reader *r, struct str *text, struct err *err)
{
    uint32_t opened_line = r->line;
    unsigned opened_column = column(r);
    for (r->p++; r->p < r->end; r->p++) {
        if (*r->p == '"') {
            if (r->p + 1 < r->end && r->p[1] == '"') {
                r->p++;
                str_add_char(text, '"');
                continue;
            }
            r->p++;
            if (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r')
                return fault(r, err, "text after a closing quote");
            return 0;
        }
        str_add_char(text, *r->p);
        if (*r->p == '\n') {
            r->line++;
            r->line_start = r->p + 1;
        }
    }
    return err_set(err, ERR_SYNTAX, "line %u column %u: this quote is never closed", opened_line, opened_column);
}

static int read_field(struct reader *r, struct str *text, struct err *err)
{
    str_clear(text);
    if (r->p < r->end && *r->p == '"')
        return read_quoted(r, text, err);
    for (; r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r'; r->p++) {
        if (*r->p == '"')
            return fault(r, err, "a quote inside an unquoted field");
        if (*r->p == 0)
            return fault(r, err, "a NUL byte");
        str_add_char(text, *r->p);
    }
    return 0;
}

static void end_line(struct reader *r)
{
    if (r->p < r->end && *r->p == '\r')
        r->p++;
    if (r->p < r->end && *r->p == '\n')
        r->p++;
    r->line++;
    r->line_start = r->p;
}

static int read_row(struct reader *r, struct str *text, struct err *err)
{
    if (begin_row(r, err) != 0)
        return -1;
    for (;;) {
        if (read_field(r, text, err) != 0 || add_field(r, text, err) != 0)
            return -1;
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            continue;
        }
        end_line(r);
        return 0;
    }
}

int csv_read(const char *bytes, size_t len, struct csv *ret, struct err *err)
{
    *ret = (struct csv){0};
    if (!str_is_utf8(bytes, len))
        return err_set(err, ERR_NOT_UTF8, "not valid UTF-8");
    struct reader r = {.p = bytes, .end = bytes + len, .line = 1, .out = ret};
    if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        r.p += 3;
    r.line_start = r.p;
    AUTO_STR struct str text;
    str_init(&text, FIELD_BYTES_MAX);
    while (r.p < r.end) {
        if (*r.p == '\n' || *r.p == '\r') { /* an empty line is no row */
            end_line(&r);
            continue;
        }
        if (read_row(&r, &text, err) != 0) {
            csv_done(ret);
            return -1;
        }
    }
    return 0;
}

void csv_done(struct csv *csv)
{
    for (size_t i = 0; i < csv->count; i++) {
        for (size_t j = 0; j < csv->rows[i].count; j++)
            mem_free(csv->rows[i].fields[j]);
        mem_free(csv->rows[i].fields);
    }
    mem_free(csv->rows);
    *csv = (struct csv){0};
}
