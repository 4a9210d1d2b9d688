/* Live progress: on a terminal an overall bar and one line per import (step, who is blocking, since when); elsewhere
 * one plain line per change. */
#pragma once

#include "dispatcher/cli/cli.h"

/* Called after each look with all imports; true ends the watch. NULL: ends when every import rests. */
typedef bool progress_fn(void *arg, const json_t *imports);

struct progress_options {
    const char *const *only; /* ids or external_refs; none: all */
    size_t only_count;
    uint64_t timeout_ms;
    progress_fn *is_over;
    void (*supervise)(void *arg); /* between looks: keeps the local fleet alive; may be NULL */
    void *arg;
};

/* Completed, failed, held, cancelled, or waiting for a person. */
bool progress_is_at_rest(const json_t *import);
/* Exit code by what was seen: OK, ERROR (a failure), WAITING, PROOF (held or a verdict that is not PROVEN).
 * ret_imports: new reference to the last look, may be NULL. */
int progress_watch(struct cli *cli, const struct progress_options *options, json_t **ret_imports);
