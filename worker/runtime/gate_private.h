/* Inside of a gate: shared by the gate*.c files and by nobody else. */
#pragma once

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "worker/runtime/gate.h"
#include "worker/runtime/mail.h"

#include <stdio.h>
#include <string.h>

enum passage_state {
    PASSAGE_SESSION,
    PASSAGE_TOKENS,
    PASSAGE_LEASE,
    PASSAGE_SENT,
    PASSAGE_SHARED,
    PASSAGE_EVENTS,
    PASSAGE_MAIL
};

struct events;    /* of one region */
struct trail_job; /* gate_events.c */

struct passage { /* one call on its way */
    struct passage *next, **back;
    struct gate *gate;
    struct step_call *call; /* NULL: the gate's own (events) */
    struct events *events;  /* the look that it makes for a cursor */
    const struct aws_op *op;
    const json_t *args;
    json_t *own_args; /* when they are the gate's */
    const char *region;
    enum passage_state state;
    struct session *session;
    struct aws_identity *identity;
    struct aws_call *sent;
    struct later_item *later;
    struct mail_job *mail;
    struct halt_job *halt;
    char key[65];           /* of the read that polls share; "" not shared */
    uint64_t began_boot_ms; /* a write's intent is not older than this */
};

struct gate {
    struct gate_tools tools;
    json_t *import;
    uint64_t (*leave_before)(void *arg);
    void *leave_arg;
    struct session *session;
    struct session *roles[GATE_ROLES_MAX]; /* by place in the document's "access.roles"; made when first used */
    struct passage *passages;
    json_t *reads; /* key -> {facts, at}: answers that polls may share */
    struct events *regions;
    struct trail_job *trail_load, *trail_save; /* under way; NULL: none */
    struct later_item *trail_retry;
    bool is_trail_read;
};

struct passage *passage_new(struct gate *g, struct step_call *call);
void passage_free(struct passage *p);
/* Who signs, tokens, lease: then it leaves. */
void passage_begin(struct passage *p);
void passage_answer(struct passage *p, const struct step_answer *answer);
void passage_fail(struct passage *p, const struct err *err);
const char *gate_account(const struct gate *g);

/* gate_halt.c */
bool halt_forbids(const struct passage *p);
void halt_refuse(struct passage *p); /* answers later */
void halt_ask(struct passage *p);
void halt_forget(struct halt_job *job);

/* gate_events.c */
void events_ask(struct passage *p);
void events_answer(struct events *e, const struct step_answer *answer);
void events_forget(struct passage *p);
void events_free_all(struct gate *g);
const struct aws_op *const *events_manifest(void);
