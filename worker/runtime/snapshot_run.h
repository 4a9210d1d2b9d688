/* A fingerprint without a fleet: one process, one walk, one file. For customers who recompute what an import says. */
#pragma once

#include "common/config/config.h"

struct snapshot_options {
    const char *out;     /* file; NULL or "-": standard output */
    const char *regions; /* comma list of further regions to look into, or NULL */
    const char *profile; /* of AWS's shared files; NULL: the default chain */
};

/* Exit code: 0, 1 with the reason on stderr. Signs reads of a fingerprint and nothing else. */
int snapshot_run(const struct config *config, const struct snapshot_options *options);
/* Prints the IAM policy that is enough for it. */
int snapshot_policy(void);
