/* One import as the audit sees it, read in one MULTI: see audit.c. Private to this folder. */
#pragma once

#include "common/queue/queue_private.h"
#include "common/queue/transition.h"

struct audit_import {
    const char *id;
    bool has_record, has_dag;
    struct record record;
    struct dag dag;
    /* Scores; -1: not a member. */
    int64_t ring, due, all, ix[IMPORT_STATE_COUNT], task[RECORD_STEPS_MAX];
    bool has_task_text[RECORD_STEPS_MAX];
    char decision_head[96]; /* N:HASH */
    bool has_credential;
    bool is_in_account;   /* it has its account's place */
    bool is_in_own;       /* of the session in its record */
    bool is_in_other_own; /* of any other */
    bool session_lives;
    bool has_differed; /* its holder computed a record that Redis computes otherwise */
    json_t *chains;    /* the ledger: lines of each step, then of the decisions */
};

/* Appends texts, "I1: imp_..: what". */
void audit_check_import(const struct audit_import *im, json_t *faults);
void audit_check_ledger(const struct audit_import *im, json_t *faults);
void audit_fault(json_t *faults, const char *invariant, const char *id, const char *fmt, ...) PRINTF_LIKE(4, 5);
