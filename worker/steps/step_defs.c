/* The table of all steps, in the order of steps.def. Alone in its file: a program that brings a table of its own (the
 * drills in tests/) links before this archive, and the linker never takes this one. */
#include "worker/step.h"

const struct step_def *const step_defs[] = {
#define STEP(id) &step_##id,
#include "worker/steps/steps.def"
#undef STEP
    NULL,
};
