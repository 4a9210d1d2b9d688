/* Inside of struct step: shared by the step_*.c files of this folder and by nobody else. */
#pragma once

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "worker/runtime/foresight.h"
#include "worker/runtime/step_core.h"

#include <string.h>

#define STEP_MAGIC 0x57e90001u
#define LEDGER_BYTES_MAX (4u * 1024u * 1024u)

enum wait_kind { WAIT_NONE, WAIT_SLEEP, WAIT_AWS, WAIT_PERSON, WAIT_HOLD };

struct step {
    uint32_t magic;
    const struct step_host *host;
    void *host_data;
    struct step_input in;
    char fence[20], nonce[12];
    struct journal journal;
    struct str ledger;       /* lines not handed out yet */
    struct step_call *calls; /* of this generation */
    json_t *reads;           /* what was read in this generation, for the ledger: {op: {count, digests}} */
    uint64_t began_ms;       /* of this generation: an intent is judged against it, because reads may be that old */
    json_t *chunks;          /* big values of this try by key, whether durable or not */
    uint32_t requests, entered_requests; /* AWS's answers in this try, and at the last entry */
    uint64_t answers, last_write;        /* answers of this generation counted; the number of the last one to a write */
    uint8_t bracket;                     /* the reading that is being taken, step_bracket.c */
    uint32_t maybes, looks;
    uint32_t reads_again; /* failed reads that were asked again in place */
    uint32_t intents_again;
    bool is_save_running, is_ready, is_inside, is_stopping, has_ended, was_signalled;
    bool was_rejected, was_expired; /* of this generation: every entry comes to the same end */
    bool has_foreseen;              /* of this generation: what the plan needs to know is in memory */
    struct foresight *plan;         /* set: this step is played in plan mode, inside of another one */

    /* made anew by each entry */
    json_t *kept; /* array: what lives until the function returns */
    json_t *result, *warnings, *findings;
    const char *grade;
    struct err err;
    bool has_err, err_is_of_call;
    enum wait_kind wait;
    uint64_t wait_ms;
    enum blocking_party party;
    json_t *task;    /* WAIT_PERSON */
    json_t *details; /* WAIT_HOLD */
};

/* step_core.c */
uint64_t step_clock(const struct step *s);
void step_line(struct step *s, json_t *line);
void step_line_of_save(struct step *s); /* before a journal is handed out */
/* Ends the function with a wait; the strongest of several wins, the earliest look of equals. */
enum step_result step_must_wait(struct step *s, enum wait_kind kind, uint64_t ms, enum blocking_party party);
/* The fleet is halted: nothing is wrong with the step, so it waits and costs no attempt. */
enum step_result step_must_wait_for_release(struct step *s);
enum step_result step_fail_with(struct step *s, const struct err *err, bool is_of_call);
uint64_t step_scaled(const struct step *s, uint64_t ms);
void step_wake(struct step *s);
/* Enters the function once, with nothing left of the entry before; what comes of it is the caller's to decide. */
enum step_result step_play(struct step *s);
/* Frees what one entry made. */
void step_clear_entry(struct step *s);
void step_call_drop(struct step *s, struct step_call *call);
/* Reads forgotten: what follows is decided on fresh facts. */
void step_forget_reads(struct step *s);

/* step_calls.c */
struct ask {
    const char *key;
    const struct aws_op *op;
    json_t *args; /* taken */
    const char *region, *codes;
    unsigned through;
    bool must_be_fresh;
};
enum step_result step_ask(struct step *s, struct ask *ask, struct step_call **ret_call, const json_t **ret);
/* Everything that was asked for and may leave now. */
void step_start_calls(struct step *s);

/* step_chunks.c */
void step_chunk_stored(struct step *s, const struct step_call *call);
/* Nothing that was kept counts any more, in memory and in the journal. */
void step_chunks_forget(struct step *s);
/* Whether the step's manifest names it; what the runtime itself offers needs no naming. */
bool step_declares(const struct step *s, const struct aws_op *op);
enum step_result step_fail_internal(struct step *s, enum err_code code, const char *key, const char *what);
void step_digest_args(struct ask *ask, char ret[65]);

/* step_bracket.c: DONE when there is nothing to read or all of it is read. */
enum step_result step_bracket_before(struct step *s, const struct aws_op *op);
enum step_result step_bracket_after(struct step *s);

/* step_plan.c: DONE when the approved plan names this write, when there is none, or when people accepted it. */
enum step_result step_plan_binds(struct step *s, const struct ask *ask, const char *digest);

/* step_settle.c */
enum settle_verdict { SETTLE_SEND, SETTLE_LATER, SETTLE_DRIFT, SETTLE_PERSON };
/* How long after our own lost answer a look decides. */
uint64_t step_own_age(const struct step *s, const struct aws_op *op);
enum settle_verdict step_settle(struct step *s, const json_t *entry, const struct step_call *call,
                                uint64_t *ret_wait_ms);
/* Before DONE: closes intents whose branch is no longer taken. DONE, or WAIT when one must grow older first. */
enum step_result step_settle_rest(struct step *s);
enum step_result step_settle_question(struct step *s, const char *key, const char *op);

/* step_end.c */
void step_finish(struct step *s, enum step_result r);
void step_finish_interrupted(struct step *s);
