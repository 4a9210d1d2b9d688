/* What acts.c (customer, operator), acts_undo.c (the same people going back) and acts_foreign.c (everybody else) share.
 */
#pragma once

#include "svc.h"

struct act {
    const char *name;
    const char *(*run)(struct sim_world *w, const json_t *args); /* NULL: done */
};
extern const struct act foreign_acts[]; /* ends with a NULL name */
extern const struct act undo_acts[];    /* the same: people take back what they did */
extern const struct act rights_acts[];  /* the same: what the handed-over identity may do */
extern const struct act drift_acts[];   /* the same: what changes long after an import */

const char *act_arg(const json_t *args, const char *name, const char *otherwise);
json_t *act_map(struct sim_world *w, const char *a, const char *b);
void act_root_event(struct sim_world *w, const char *name, const char *source, json_t *request, json_t *response);
/* An event by one of the customer's own users. `request` is taken. */
void act_user_event(struct sim_world *w, const char *user, const char *name, const char *source, json_t *request);
