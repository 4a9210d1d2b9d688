/* The table of all steps, in the order of steps.def. */
#include "worker/step.h"

const struct step_def *const step_defs[] = {
#define STEP(id) &step_##id,
#include "worker/steps/steps.def"
#undef STEP
    NULL,
};

const struct step_def *step_def_by_name(const char *name)
{
    for (const struct step_def *const *def = step_defs; *def; def++)
        if (str_eq((*def)->name, name))
            return *def;
    return NULL;
}
