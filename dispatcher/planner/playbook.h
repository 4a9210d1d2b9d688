/* Playbooks: a DAG of steps as data (dispatcher/playbooks/NAME.json). An import is pinned to the version it started
 * with. */
#pragma once

#include "common/codec/json.h"
#include "common/queue/record.h"

struct playbook {
    char name[64];
    int64_t version;
    struct dag dag, undo;                  /* forwards, and the order in which it is undone (undo_dag.h) */
    uint64_t undo_again;                   /* steps by bit that run again in every undo */
    json_t *json;                          /* the whole file, as served by the API */
    const json_t *steps[RECORD_STEPS_MAX]; /* borrowed from json, index = record step */
};

NODISCARD int playbook_load(const char *path, struct playbook **ret, struct err *err);
NODISCARD int playbook_from_json(const json_t *json, struct playbook **ret, struct err *err);
void playbook_free(struct playbook *p);
/* -1 when there is no such step. */
int playbook_step(const struct playbook *p, const char *name);
/* Whether "payer-handover" or "payer-handover@1" means this one. */
bool playbook_is(const struct playbook *p, const char *reference);

DEFINE_CLEANUP(playbook, struct playbook *, playbook_free)
#define AUTO_PLAYBOOK CLEANUP(cleanup_playbook)
