/* Small checks of texts that requests and profiles share. All take NULL as "not this". */
#pragma once

#include "common/codec/json.h"

bool shape_is_account_id(const char *text);                             /* 12 digits */
bool shape_is_region(const char *text);                                 /* us-east-1 */
bool shape_is_slug(const char *text, size_t len_max, const char *more); /* a-z 0-9 and the characters in `more` */
bool shape_is_name(const char *text, size_t len_max); /* a-z first, then a-z 0-9 _ : names of variables */
bool shape_is_email(const char *text);
bool shape_is_host(const char *text);
bool shape_is_printable(const char *text, size_t len_max); /* UTF-8 without control characters, not empty */
bool shape_is_hours(const char *text);                     /* 08:00-18:00 */
bool shape_is_zone(const char *text);                      /* UTC, +05:30 or -08:00 */
bool shape_is_days(const json_t *value);                   /* ["mon",..], each once */
bool shape_is_role_name(const char *text);                 /* IAM: 1-64 of A-Za-z0-9+=,.@_- */
