/* Times as text: RFC 3339 UTC, AWS's basic format, HTTP dates. All in milliseconds since 1970. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

void when_rfc3339(uint64_t unix_ms, char ret[32]);             /* 2026-11-23T10:00:00Z */
void when_amz(uint64_t unix_ms, char ret[20]);                 /* 20261123T100000Z */
bool when_parse(const char *text, uint64_t *ret_unix_ms);      /* RFC 3339 or the basic format, offsets honoured */
bool when_parse_http(const char *text, uint64_t *ret_unix_ms); /* Mon, 23 Nov 2026 10:00:00 GMT */
/* "3 d 4 h", "2 min", "41 s": for people, at most two units; `ret` holds 32 bytes. */
void when_span(uint64_t ms, char ret[32]);
