/* What people.c, people_doings.c and people_http.c share. */
#pragma once

#include "svc.h"

#include <stdatomic.h>

/* Calls end early once `*stopping`. */
bool people_http_open(const atomic_bool *stopping);
void people_http_close(void);
/* The answer's JSON (new reference, NULL when it has none) and its status, 0 when nobody answered. */
json_t *people_http(const char *method, const char *url, const char *token, const json_t *body, long *ret_status);
void people_escape(const char *text, char *ret, size_t room);

struct person { /* one task, seen through the eyes of who does it */
    const char *task_id, *step, *import_id;
    const json_t *task, *data;
    char account[16], kind[48], mfa[16], access[8], mark[8];
    unsigned tries;
};
/* Does what the task asks, in the world; false: not possible (yet). */
bool people_do(const struct person *p);
bool people_act(const struct person *p, const char *what, json_t *args /* taken; may be NULL */);
const char *people_text(const struct person *p, const char *name, const char *otherwise); /* of the task's data */
json_t *people_get(const char *path, long *ret_status);                                   /* from the fleet */
bool people_put(const char *path, json_t *body /* taken */);
json_t *people_worlds(void); /* as the simulator describes them; new reference */
