/* Steps of an import as queue_get() gives them, found by name. */
#pragma once

#include "common/codec/json.h"

/* Borrowed; NULL when the import has no such step. */
static inline const json_t *import_step(const json_t *value, const char *name)
{
    const json_t *steps = json_at(value, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (str_eq(json_str_at(json_array_get(steps, i), "name"), name))
            return json_array_get(steps, i);
    return NULL;
}

static inline const json_t *import_result(const json_t *value, const char *step_name)
{
    return json_at(import_step(value, step_name), "result");
}
