/* Whole files, bounded. */
#pragma once

#include "common/base/err.h"

/* Reads at most `bytes_max` (over: ERR_TOO_LARGE). New text with a NUL after it (mem_free). */
NODISCARD int file_read(const char *path, size_t bytes_max, char **ret, size_t *ret_len, struct err *err);
/* Writes beside and renames, mode as given; the old file stays on failure. */
NODISCARD int file_write(const char *path, const void *bytes, size_t len, unsigned mode, struct err *err);
NODISCARD int file_make_dirs(const char *path, unsigned mode, struct err *err);
