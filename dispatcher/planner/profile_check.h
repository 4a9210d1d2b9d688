/* The checks of an operator profile, apart from its life cycle (profile.c). */
#pragma once

#include "dispatcher/planner/faults.h"

void profile_check(const json_t *json, struct faults *faults);
