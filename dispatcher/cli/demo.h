/* orgimport demo: simulated AWS + local fleet + sample customers + scripted people, compared with what the worlds
 * expect. */
#pragma once

#include "dispatcher/cli/local.h"

struct demo {
    struct cli *cli;
    struct local_fleet fleet;
    char endpoint[128];
    uint64_t orgs, seed, workers, timeout_s, people_delay_ms, latency_ms;
    const char *faults, *kinds;
    bool keep, no_second_run, is_interrupted;
    json_t *worlds;  /* by external_ref */
    json_t *imports; /* the last look of the first run */
};

/* ---- demo_world.c: the simulated side ---- */
NODISCARD int demo_world_start(struct demo *d, struct err *err); /* awssim, its files, d->worlds */
bool demo_world_is_running(const struct demo *d);
NODISCARD int demo_world_restart(struct demo *d, struct err *err);
/* GET of an admin page. New reference or NULL. */
json_t *demo_world_get(struct demo *d, const char *path);
/* Effects of ours that happened twice, as texts; ret_count: all effects. New reference. */
json_t *demo_effects_twice(struct demo *d, size_t *ret_count);
/* CSV of the completed customers for the second run: role access, new external_ref. */
NODISCARD int demo_write_second(struct demo *d, const char *path, size_t *ret_rows, struct err *err);

/* ---- demo_expect.c: comparing ---- */
/* NULL when the import ended as its world says, else what is different (mem_free). */
char *demo_difference(const struct demo *d, const json_t *import);
bool demo_is_over(void *arg, const json_t *imports); /* a progress_fn on struct demo */
