/* One JSON object per line on stderr (or the file given), stable event names. Strings are quoted and capped at 512
 * bytes.
 *
 *   log_event(LOG_INFO, "step.done", "import", id, "step", name, NULL);      pairs of text, ended by NULL
 * Numbers: format with LOG_N(n). Secrets cannot get here: they have no text form. */
#pragma once

#include "common/base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_num {
    char text[24];
};
const char *log_num(struct log_num *buf, int64_t n);
#define LOG_N(n) log_num(&(struct log_num){{0}}, (int64_t)(n))

void log_start(const char *program, enum log_level least, int fd); /* once, in main */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* The same with the error's code, text, origin and request id added. */
void log_error(enum log_level level, const char *event, const struct err *err, ...) __attribute__((sentinel));
bool log_level_parse(const char *text, enum log_level *ret);
