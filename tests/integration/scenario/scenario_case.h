/* One case file: the world it is about, the import document of that world, and what it expects. */
#pragma once

#include "tests/integration/scenario/scenario_play.h"

struct scenario_case {
    const char *name;
    json_t *file;  /* the case with its {placeholders} filled in */
    json_t *world; /* as the simulator describes it */
    json_t *import;
    char *credential; /* sealed, or NULL */
    char account[16]; /* of the world; the import's may be another (wrong_account) */
    const struct step_def *def;
    json_t *results;
};

/* Reads the file, makes the world, does what happens before, plays the steps of "after", and saves the world.
 * Ends the program on a broken file. */
void scenario_case_open(struct scenario_case *c, struct stage *stage, const char *source_dir, const char *step,
                        const char *path);
void scenario_case_close(struct scenario_case *c);
/* The saved world again, at the present time. */
void scenario_case_restore(const struct scenario_case *c, struct stage *stage);
/* NULL when `actual` holds everything that `expected` says; else what differs (mem_free). */
char *scenario_difference(const json_t *expected, const json_t *actual, const char *where);
