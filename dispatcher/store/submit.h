/* One checked request becomes an import: plan, claim its names in the global slot, then the in-shard submit.
 *
 * Invariant: external_ref decides. Sent again (same or other dispatcher, after any crash) it gives the same import. */
#pragma once

#include "dispatcher/store/store.h"

struct submit_outcome {
    bool is_new;
    const char *import_id;
    const json_t *doc; /* as planned now; for an existing import the stored one may differ */
};
/* Errors: those of plan_import, ERR_IMPORT_EXISTS (text names the import), ERR_FIELD_INVALID (id taken), ERR_REDIS (try
 * again). */
typedef void submit_fn(void *arg, const struct err *err, const struct submit_outcome *outcome);
/* Redis did not say whether it took it, or could not: whoever asked asks again. NULL is an answer. */
bool submit_is_undecided(const struct err *err);
void submit_import(struct store *s, const json_t *request, submit_fn *done, void *arg);
