/* From a finished import to the document of a look for drift: what the handover left, and the roles to look through.
 * Pure. */
#pragma once

#include "common/queue/queue.h"
#include "dispatcher/planner/plan.h"

#define DRIFT_ACCOUNT_KEY_BYTES 48

struct drift_plan_input { /* borrowed */
    const json_t
        *value; /* the finished import as the queue knows it, big results whole: {doc, steps: [{name, result}]} */
    const struct playbook *playbook; /* payer-drift, or payer-drift-asked */
    const char *run_id;
    const char *known; /* digest of what the look before found, "" for none */
    const char *by;    /* who asked; "schedule" */
    bool asks_access;  /* the customer hands over access again */
    bool is_simulated;
    uint64_t now_ms;
};
/* ERR_STATE_CONFLICT when it left no role and access is not asked for; ERR_CORRUPT. */
NODISCARD int drift_plan(const struct drift_plan_input *in, struct plan *ret, struct err *err);
/* A look has an account key of its own, so that it never stands in an import's way: at most one look at a time. */
void drift_account_key(const json_t *doc, char ret[DRIFT_ACCOUNT_KEY_BYTES]);
/* The id of the scheduled look number `slot` of an import: whoever plans it comes to the same one. */
void drift_run_id(const char *import_id, uint64_t slot, char ret[IMPORT_ID_BYTES]);

/* The grid of an import's scheduled looks: spread over the period by the import's name. */
uint64_t drift_slot(const char *import_id, uint64_t period_ms, uint64_t now_ms);
uint64_t drift_slot_begins(const char *import_id, uint64_t period_ms, uint64_t slot);
