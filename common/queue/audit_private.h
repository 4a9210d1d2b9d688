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
    const char *decision_head;
    bool has_credential;
    const char *account_import; /* who has the account's place; NULL nobody */
    bool is_in_own;             /* of the session in its record */
    bool is_in_other_own;       /* of any other */
    bool session_lives;
    const redisReply *ledger;
};

/* Appends texts, "I1: imp_..: what". */
void audit_check_import(const struct audit_import *im, json_t *faults);
void audit_check_ledger(const struct audit_import *im, json_t *faults);
void audit_fault(json_t *faults, const char *invariant, const char *id, const char *fmt, ...) PRINTF_LIKE(4, 5);
