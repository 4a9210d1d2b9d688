#include "common/log/log.h"

#include "common/base/env.h"
#include "common/base/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define VALUE_BYTES_MAX 512

static struct {
    const char *program;
    enum log_level least;
    int fd;
} logger = {"orgimport", LOG_INFO, 2};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_start(const char *program, enum log_level least, int fd)
{
    logger.program = program;
    logger.least = least;
    logger.fd = fd;
}

const char *log_num(struct log_num *buf, int64_t n)
{
    (void)snprintf(buf->text, sizeof buf->text, "%" PRId64, n);
    return buf->text;
}

bool log_level_parse(const char *text, enum log_level *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq(text, level_names[i])) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

static void add_quoted(struct str *out, const char *text)
{
    str_add_char(out, '"');
    for (size_t i = 0; text[i] && i < VALUE_BYTES_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            str_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            str_addf(out, "\\u%04x", c);
        else
            str_add_char(out, text[i]);
    }
    str_add_char(out, '"');
}

static void add_pair(struct str *out, const char *name, const char *value)
{
    str_addf(out, ",\"%s\":", name);
    add_quoted(out, value ? value : "");
}

static void begin(struct str *out, enum log_level level, const char *event)
{
    str_init(out, 16384);
    struct timespec now;
    struct tm tm;
    char at[32] = "";
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 && gmtime_r(&now.tv_sec, &tm))
        (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &tm);
    str_addf(out, "{\"at\":\"%s.%03ldZ\",\"level\":\"%s\",\"program\":\"%s\",\"ev\":", at, now.tv_nsec / 1000000,
             level_names[level], logger.program);
    add_quoted(out, event);
}

static void end(struct str *out)
{
    str_add(out, "}\n");
    /* One write per line keeps lines of several processes whole; a full disk must not stop the work. */
    ssize_t ignored = write(logger.fd, out->data, out->len);
    (void)ignored;
    str_done(out);
}

static void add_pairs(struct str *out, va_list ap)
{
    for (const char *name; (name = va_arg(ap, const char *));)
        add_pair(out, name, va_arg(ap, const char *));
}

void log_event(enum log_level level, const char *event, ...)
{
    if (level < logger.least)
        return;
    struct str out;
    begin(&out, level, event);
    va_list ap;
    va_start(ap, event);
    add_pairs(&out, ap);
    va_end(ap);
    end(&out);
}

void log_error(enum log_level level, const char *event, const struct err *err, ...)
{
    if (level < logger.least)
        return;
    struct str out;
    begin(&out, level, event);
    va_list ap;
    va_start(ap, err);
    add_pairs(&out, ap);
    va_end(ap);
    add_pair(&out, "code", err_info(err->code)->name);
    add_pair(&out, "text", err->text);
    if (err->origin[0])
        add_pair(&out, "origin", err->origin);
    if (err->request_id[0])
        add_pair(&out, "aws_req", err->request_id);
    end(&out);
}
