/* Scheduled looks for drift, where the operator profile says "drift": {"every_hours": N}. Any dispatcher does it: what
 * is due is claimed in Redis for a minute, and a look's id is made of import and due time, so that nobody can do it
 * twice. Each import has its own place within the period, by its name: no herd. */
#pragma once

#include "dispatcher/api/api.h"

struct drift_clock;
struct drift_clock *drift_clock_new(struct api *api);
void drift_clock_stop(struct drift_clock *clock); /* frees itself when nothing is under way */
