/* The gate of one import: the only way from its steps to AWS and to people's mail. It adds what a step must not care
 * about: who signs, the manifest, the lease, rates shared by all workers, reads shared by polls, the CloudTrail cursor.
 *
 * Invariant: a call leaves only with the calling step's own manifest and the asserted account of its identity (P4). */
#pragma once

#include "common/queue/queue_trail.h"
#include "worker/runtime/session.h"
#include "worker/runtime/step_core.h"

#define GATE_REGIONS_MAX 40
#define GATE_EVENTS_MAX 20000u
#define GATE_ROLES_MAX 4 /* more of "access.roles" are not looked at */

struct gate_own { /* the operator's sessions, shared by all imports of the process; NULL when not configured */
    struct session *sessions[AWS_AS_NOBODY]; /* by enum aws_identity_kind; CUSTOMER unused */
};

struct gate_mail; /* mail.h */

struct gate_tools { /* shared, borrowed */
    struct session_tools session;
    struct gate_own *own;
    struct gate_mail *mail;
    uint64_t share_ms; /* how old a read may be that polls of one import share */
    /* A write is signed this soon after its intent or not at all: others judge it by the age of that (P3). */
    uint64_t sign_within_ms, call_timeout_ms;
    /* Whether a call that changes something may be signed now (the fleet is not halted). NULL: always. */
    bool (*may_write)(void *self);
    void *halt_self;
    /* Halts all writers of the fleet: args {id, import, reason}. NULL: only said to have been done (tests). */
    void (*halt)(void *self, const json_t *args, void (*done)(void *arg, const struct err *err), void *arg);
    /* Where CloudTrail's events of an import are kept (queue_trail.h). NULL: in memory only. */
    struct {
        void *self;
        void (*load)(void *self, const char *import_id, queue_trail_fn *done, void *arg);
        void (*save)(void *self, const char *import_id, const struct queue_trail_part *parts, size_t count,
                     const json_t *gone, queue_done_fn *done, void *arg);
    } trail;
    /* Where answers go; NULL: step_answered(). Tests stand between to lose or change them. */
    void *answer_self;
    void (*answer)(void *self, struct step_call *call, const struct step_answer *answer);
};

struct gate;
/* leave_before(arg): lease end on the boot clock, asked each time a call leaves; 0: no limit. */
struct gate *gate_new(const struct gate_tools *tools, const json_t *import, uint64_t (*leave_before)(void *arg),
                      void *arg);
void gate_free(struct gate *g); /* nothing may be in flight */
struct session *gate_session(struct gate *g);
/* Every customer session begins anew with its next use. */
void gate_drop_sessions(struct gate *g);
void gate_forget_reads(struct gate *g);
/* Somebody else may have held the import meanwhile: what is stored of its events is read before the next look. */
void gate_reload_events(struct gate *g);
/* For struct step_host. */
void gate_call(struct gate *g, struct step_call *call);
void gate_cancel(struct gate *g, struct step_call *call);
