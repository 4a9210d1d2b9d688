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
    bool is_in_queue; /* its group's queue names it, at the number in its record */
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

/* ---- audit_group.c -------------------------------------------------------------------------------------------------
 */
struct audit_groups {
    json_t *seen;   /* g:GROUP -> the field in hex as it was before the imports were looked at */
    json_t *slots;  /* q:GROUP:N -> true */
    json_t *counts; /* g:GROUP -> {waiting, open}, import by import */
};
void audit_groups_new(struct audit_groups *g);
void audit_groups_free(struct audit_groups *g);
void audit_groups_clear(struct audit_groups *g);
/* A field of h, or a member of the ring (value NULL); gives whether it is one of a group. */
bool audit_groups_scan(struct audit_groups *g, const char *name, const redisReply *value);
void audit_groups_count(struct audit_groups *g, const struct audit_import *im);
/* Two commands for a MULTI, or none. */
size_t audit_groups_ask(const struct audit_groups *g, const struct queue *q, uint32_t shard, struct queue_args *args);
/* Their answers; gives how many imports wait beyond the members of the ring. */
uint64_t audit_groups_check(const struct audit_groups *g, const redisReply *fields, const redisReply *scores,
                            bool only_count, json_t *faults);
