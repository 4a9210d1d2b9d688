/* Collects faults with their place; a detail never carries a value that looks like a key. */
#include "dispatcher/planner/faults.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "dispatcher/planner/key_guard.h"

#include <stdio.h>

void faults_init(struct faults *f)
{
    *f = (struct faults){.list = json_array()};
}

void faults_done(struct faults *f)
{
    json_decref(f->list);
    *f = (struct faults){0};
}

/* "customer.name" -> "/customer/name" (RFC 6901). Field names with '.' do not exist in our documents. */
static char *pointer_of(const char *field)
{
    AUTO_STR struct str out;
    str_init(&out, 1024);
    if (*field)
        str_add_char(&out, '/');
    for (const char *c = field; *c; c++) {
        if (*c == '.')
            str_add_char(&out, '/');
        else if (*c == '/')
            str_add(&out, "~1");
        else if (*c == '~')
            str_add(&out, "~0");
        else
            str_add_char(&out, *c);
    }
    return str_take(&out);
}

static void add(struct faults *f, struct place where, enum err_code code, const char *detail)
{
    f->count++;
    if (f->count > FAULTS_MAX)
        return;
    const struct err_info *info = err_info(code);
    /* A field name can be a key itself when columns slipped. */
    const char *field = key_guard_text(where.field, strlen(where.field)) ? "(not shown)" : where.field;
    json_t *one = json_object();
    if (where.line) {
        json_put_int(one, "line", where.line);
        json_put_str(one, "field", field);
    } else {
        AUTO_FREE char *pointer = pointer_of(field);
        json_put_str(one, "pointer", pointer);
    }
    json_put_str(one, "code", info->name);
    json_put_str(one, "owner", err_owner_name(info->owner));
    json_put_str(one, "detail", key_guard_text(detail, strlen(detail)) ? info->title : detail);
    json_put_str(one, "fix", info->fix);
    (void)json_array_append_new(f->list, one);
}

void faults_add(struct faults *f, struct place where, enum err_code code, const char *fmt, ...)
{
    char detail[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    /* A cut in the middle of a UTF-8 sequence would make jansson refuse the text. */
    size_t len = strlen(detail);
    while (len && !str_is_utf8(detail, len))
        detail[--len] = 0;
    add(f, where, code, detail);
}

void faults_add_err(struct faults *f, struct place where, const struct err *err)
{
    add(f, where, err->code, err->text);
}

enum err_code faults_first(const struct faults *f)
{
    return f->count ? err_code_by_name(json_str_at(f->list, "0.code")) : ERR_NONE;
}

const char *faults_show(const char *value, char ret[64])
{
    if (key_guard_text(value, strlen(value)))
        return "(not shown)";
    size_t n = 0;
    for (; n < 40 && value[n]; n++)
        ret[n] = (unsigned char)value[n] < 0x20 || value[n] == 0x7f ? '?' : value[n];
    while (n && !str_is_utf8(ret, n))
        n--;
    if (value[n]) {
        ret[n++] = '.';
        ret[n++] = '.';
    }
    ret[n] = 0;
    return ret;
}
