/* AWS's shared credentials and config format: [section], key = value, # and ; comments, sub-blocks skipped. */
#pragma once

#include "common/base/err.h"

/* Calls `fn` for each key; stops and returns -1 when fn does. Errors name the line, never the value. */
typedef int ini_fn(void *arg, const char *section, const char *key, const char *value, uint32_t line, struct err *err);
NODISCARD int ini_read(const char *bytes, size_t len, ini_fn *fn, void *arg, struct err *err);
