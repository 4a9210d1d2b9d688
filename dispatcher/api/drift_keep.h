/* How long looks for drift are kept: the profile's "drift": {"keep_last": N, "keep_days": D} keeps the last N and those
 * younger than D days, and always the newest one that found something. All others go whole, a few with each new look.
 *
 * f:{g}:drift:found, a hash: import -> the newest look that found something, as far as anybody has seen. */
#pragma once

#include "dispatcher/api/api.h"

#define DRIFT_KEEP_LAST 30
#define DRIFT_KEEP_DAYS 90

/* This ended look found something; `import_id` is what it was about. */
void drift_keep_found(struct api *api, const char *import_id, const char *run_id);
/* Deletes what need not be kept of that import's looks, oldest first, at most a few. Nobody waits for it; what fails is
 * tried with the next look. */
void drift_keep_sweep(struct api *api, const char *import_id);
