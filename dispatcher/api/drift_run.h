/* Looks for drift as the dispatcher starts and shows them. A look is a run of its own (playbook payer-drift) that names
 * the import it is about ("drift_of"); the finished import itself is never touched.
 *
 * f:{g}:drift:IMPORT is a sorted set of its looks by time, written before the look is submitted: a crash between leaves
 * a name without a run, which readers skip. f:{g}:drift:due holds every import by when it is looked at next. */
#pragma once

#include "dispatcher/api/import_view.h"

struct drift_ask {
    const char *import_id;
    const char *by;     /* who asks */
    bool asks_access;   /* the customer hands over access again */
    const char *run_id; /* of a scheduled look; NULL: a new one */
};
/* `run_id`: of the new look, or of the one that is under way already. ERR_STATE_CONFLICT: not finished. */
typedef void drift_started_fn(void *arg, const struct err *err, const char *run_id, bool is_new);
void drift_start(struct api *api, const struct drift_ask *ask, drift_started_fn *done, void *arg);

/* One look as people see it. `value` from import_fetch with all results. New reference. */
json_t *drift_view(const json_t *value);
/* How many things it found changed or gone; 0 when it has not ended. */
int64_t drift_found(const json_t *value);
/* What an ended look says to the event stream: "drift.found", "drift.cleared" or NULL when it is no news. */
const char *drift_event(const json_t *value);
