/* RFC 4180 with exact positions. Quoting gone wrong is an error with line and column, never a guess. */
#pragma once

#include "common/base/err.h"

struct csv_row {
    uint32_t line; /* of the row's first byte, from 1 */
    size_t count;
    char **fields; /* NUL-terminated, unquoted */
};
struct csv {
    size_t count;
    struct csv_row *rows; /* the header is row 0 */
};
/* A leading BOM is accepted. Bounds: 200,000 rows, 256 columns, 64 KiB a field. */
NODISCARD int csv_read(const char *bytes, size_t len, struct csv *ret, struct err *err);
void csv_done(struct csv *csv);
