/* The OpenAPI 3.1 document, byte for byte the file beside this one. */
#pragma once

#include <stddef.h>

extern const char openapi_text[];
size_t openapi_len(void);
