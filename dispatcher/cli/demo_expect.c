#include "dispatcher/cli/demo.h"

#include "common/base/mem.h"

#include <string.h>

static const json_t *world_of(const struct demo *d, const json_t *import)
{
    return json_object_get(d->worlds, json_str_at(import, "external_ref"));
}

/* The code itself, or one of the findings behind it. */
static bool has_code(const json_t *error, const char *code)
{
    const json_t *findings = json_at(error, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (str_eq(code, json_str_at(json_array_get(findings, i), "code")))
            return true;
    return str_eq(code, json_str_at(error, "code"));
}

/* The step that an import stands at, by the state that is expected of it. */
static const char *step_of(const json_t *import)
{
    const char *failed = json_str_at(import, "error.step");
    return *failed ? failed : json_str_at(import, "blocking.step");
}

char *demo_difference(const struct demo *d, const json_t *import)
{
    const json_t *world = world_of(d, import);
    if (!world)
        return NULL;
    const char *state = json_str_at(world, "expect.state"), *step = json_str_at(world, "expect.step");
    const char *code = json_str_at(world, "expect.code"), *verdict = json_str_at(world, "expect.verdict");
    if (!str_eq(state, json_str_at(import, "state")))
        return mem_printf("is %s, expected %s", json_str_at(import, "state"), state);
    if (*step && !str_eq(step, step_of(import)))
        return mem_printf("%s at %s, expected at %s", state, step_of(import), step);
    if (*code && !has_code(json_at(import, "error"), code))
        return mem_printf("%s with %s, expected %s", state, json_str_at(import, "error.code"), code);
    if (*verdict && !str_eq(verdict, json_str_at(import, "verdict")))
        return mem_printf("verdict %s, expected %s", json_str_at(import, "verdict"), verdict);
    return NULL;
}

bool demo_is_over(void *arg, const json_t *imports)
{
    const struct demo *d = arg;
    size_t seen = 0;
    for (size_t i = 0; i < json_array_size(imports); i++) {
        const json_t *import = json_array_get(imports, i);
        if (!world_of(d, import))
            continue;
        seen++;
        AUTO_FREE char *difference = demo_difference(d, import);
        if (difference)
            return false;
    }
    return seen == json_object_size(d->worlds);
}
