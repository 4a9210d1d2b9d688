/* What people.c and people_http.c share. */
#pragma once

#include "svc.h"

#include <stdatomic.h>

/* Calls end early once `*stopping`. */
bool people_http_open(const atomic_bool *stopping);
void people_http_close(void);
/* The answer's JSON (new reference, NULL when it has none) and its status, 0 when nobody answered. */
json_t *people_http(const char *method, const char *url, const char *token, const json_t *body, long *ret_status);
void people_escape(const char *text, char *ret, size_t room);
