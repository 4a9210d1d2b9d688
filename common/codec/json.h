/* JSON through jansson, with the bounds and conveniences that all of us need. Values are borrowed unless a comment says
 * "new reference". Includes <jansson.h>, so that a step file needs no other header for JSON. */
#pragma once

#include "common/base/err.h"
#include "common/base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Parses hostile bytes: UTF-8 only, no duplicate keys, depth at most `depth_max` (0: 64), any top value.
 * New reference, or NULL with ERR_SYNTAX / ERR_NOT_UTF8 naming line and column. The text never echoes the input. */
json_t *json_read(const char *bytes, size_t len, size_t depth_max, struct err *err);
/* Compact text with sorted keys (mem_free). NULL value gives "null". */
char *json_text(const json_t *value);
/* RFC 8785 canonical form: sorted by UTF-16 code units, shortest numbers. Appends to `out`. */
void json_canonical(const json_t *value, struct str *out);
/* Hex SHA-256 of the canonical form; `ret` holds 65 bytes. */
void json_digest(const json_t *value, char ret[65]);

/* Path access, "a.b.c" or "a.0.b"; NULL / "" / 0 / false when absent or of another type. */
const json_t *json_at(const json_t *value, const char *path);
NEVER_NULL const char *json_str_at(const json_t *value, const char *path);         /* "" when absent */
const char *json_str_or(const json_t *value, const char *path, const char *other); /* `other` when absent */
/* The first element whose text at `path` is `text`, but for the case of letters; NULL when there is none. */
const json_t *json_find_nocase(const json_t *list, const char *path, const char *text);
int64_t json_int_at(const json_t *value, const char *path);
bool json_bool_at(const json_t *value, const char *path);
bool json_has(const json_t *value, const char *path);

/* Sets, taking the new value's reference; creates nothing on the way. Asserts on a non-object. */
void json_put(json_t *object, const char *key, json_t *new_value);
void json_put_str(json_t *object, const char *key, const char *text); /* NULL text: JSON null */
void json_put_int(json_t *object, const char *key, int64_t n);
void json_put_bool(json_t *object, const char *key, bool b);
/* json_pack that must succeed (a bug otherwise). New reference. */
json_t *json_make(const char *fmt, ...);
/* A deep copy; JSON null for NULL. New reference. */
json_t *json_copy_or_null(const json_t *value);
/* A set-like array of strings. */
bool json_array_has_str(const json_t *array, const char *text);
/* Sorts an array of objects in place by the text (or canonical form) at `key`; key NULL sorts strings. */
void json_sort_by(json_t *array, const char *key);
