/* What every step declares that it may sign, as JSON: the one source of the policy that customers attach, of the
 * simulation of their rights, of session policies and of the documentation. The dispatcher gets it at build time from a
 * small program (worker/manifest_main.c), so that it never goes stale and never includes a step. */
#pragma once

#include "worker/step.h"

/* See common/policy/policy.h for its shape. Made once per process and kept; borrowed. */
const json_t *steps_manifest(void);
