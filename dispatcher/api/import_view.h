/* How an import looks to people: the resource of the API, made from what the queue knows. Pure, but for import_fetch.
 */
#pragma once

#include "dispatcher/api/api.h"

/* `value`: from queue_get, big results already replaced (import_fetch does). New reference. */
json_t *import_view(const struct api *api, const json_t *value, bool with_steps);
/* A task as the API shows it; NULL when the step has none open. `step`: from queue_get's steps. New reference. */
json_t *import_task_view(const json_t *doc, const char *import_id, const char *step_name, const json_t *task,
                         int64_t opened_ms);
/* RFC 3339; JSON null for 0 and less. New reference. */
json_t *import_time_view(int64_t ms);
const char *import_step_name(const json_t *doc, size_t index);
int import_step_index(const json_t *doc, const char *name); /* -1: none */

/* Reads an import with the small facts of its big results. `all_results`: big results whole. Value borrowed. */
typedef void import_fetch_fn(void *arg, const struct err *err, const json_t *value);
void import_fetch(struct api *api, const char *import_id, bool all_results, import_fetch_fn *done, void *arg);
/* The same with the big results of these steps only (comma list, static text). */
void import_fetch_steps(struct api *api, const char *import_id, const char *steps, import_fetch_fn *done, void *arg);
/* What a rehearsal of this organization said, NULL when nobody rehearsed. Borrowed. */
typedef void rehearsal_predicted_fn(void *arg, const struct err *err, const json_t *predicted);
void rehearsal_predicted(struct api *api, const json_t *doc, rehearsal_predicted_fn *tell, void *arg);
/* Keeps what lists need of a document ({external_ref, steps}); later looked up without reading the import again. */
void import_remember(struct api *api, const char *import_id, const json_t *doc);
