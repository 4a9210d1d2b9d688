/* What the steps declare that they may sign: the worker's own tables, embedded at build time (dispatcher/CMakeLists.txt
 * runs orgimport-manifest). The dispatcher includes nothing of the worker. Shape: common/policy/policy.h. */
#pragma once

#include "common/codec/json.h"

/* Read once per process and kept; borrowed. */
const json_t *step_manifest(void);
