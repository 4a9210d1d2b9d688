/* How an import's record changes: every rule of the queue in one pure function. common/redis/scripts/fleet has the same
 * rules in the same order; tests/integration/queue_differential.c compares both, byte by byte.
 *
 *   PENDING -> READY -> ACTIVE -> DONE | FAILED | DEAD | CANCELLED
 *                ^  \-> BLOCKED  \-> DELAYED, WAITING -> READY (due, signal, redrive)
 *                \---- redrive: FAILED, DEAD
 *
 * To add an event: a kind here, its rule in transition.c, the same in scripts/fleet, one line in the differential test.
 */
#pragma once

#include "common/queue/record.h"

#define TRANSITION_ACTIVE_MAX 5 /* steps of one account at a time */
#define TRANSITION_WRITERS_MAX 1
#define TRANSITION_READERS_MAX 4
#define TRANSITION_QUANTUM 8     /* starts in one hold while other imports wait */
#define TRANSITION_CRASHES_MAX 5 /* in a row, without a turn that ended in between: see crash_delay_ms() */
#define TRANSITION_DELAY_MS_MAX 315360000000ULL /* ten years: keeps due_ms in its 48 bits */

enum transition_kind {
    TRANSITION_CLAIM,   /* session, nonce */
    TRANSITION_FINISH,  /* session, step, token, outcome, delay_ms, party, task */
    TRANSITION_NUDGE,   /* session */
    TRANSITION_REAP,    /* session: it died */
    TRANSITION_RELEASE, /* session: it gives up the import in good order */
    TRANSITION_SIGNAL,  /* step, is_recheck, is_stored */
    TRANSITION_CANCEL,
    TRANSITION_PAUSE,
    TRANSITION_RESUME,
    TRANSITION_REDRIVE, /* step or -1 */
    TRANSITION_PROMOTE, /* what is due becomes READY */
    TRANSITION_UNDO     /* undo_dag, again: see transition_undo.c */
};

enum transition_task { TASK_UNCHANGED, TASK_OPEN, TASK_CLOSE };

struct transition_event {
    enum transition_kind kind;
    uint64_t now_us;  /* Redis's clock */
    uint32_t stamp;   /* names what this call writes */
    uint64_t floor;   /* the shard's virtual time: who enters the ring starts there at the earliest */
    bool others_wait; /* the ring holds other imports */
    uint64_t session;
    uint32_t nonce;
    int step;
    struct queue_token token;
    enum queue_outcome outcome;
    uint64_t delay_ms;
    enum blocking_party party;
    enum transition_task task;
    uint32_t ledger_first, ledger_last; /* finish: numbers of the ledger lines that come with it; 0 none */
    bool is_recheck;                    /* signal: look again, decides nothing */
    bool is_stored; /* signal: one with this key is stored already; SAVE: this very ledger text is */
    const struct dag
        *undo_dag;  /* undo: the same steps and classes in the undo's order; the record's shape from now on */
    uint64_t again; /* undo: steps by bit that run in every undo, whether they ever started or not */
};

enum transition_answer {
    ANSWER_OK,
    ANSWER_NOTHING, /* true already: nothing changed */
    ANSWER_ALREADY, /* this write had arrived */
    ANSWER_STALE,   /* not the holder */
    ANSWER_CONFLICT /* not possible in this state */
};

/* Where an import is kept; exactly one at a time (I1). */
enum transition_place { PLACE_TERMINAL, PLACE_OWN, PLACE_PARKED, PLACE_RING, PLACE_DUE };

struct transition_effects {
    enum transition_answer answer;
    enum transition_place place;
    uint64_t due_ms;       /* PLACE_DUE: its earliest due */
    uint64_t mail_session; /* 0, or the holder to be told */
    uint64_t started;      /* steps by bit */
    uint64_t closed;       /* tasks to close */
    uint64_t cleared;      /* redriven or turned round: signals and error to forget */
    uint64_t charge;       /* work to be charged to its group: at its claim, and when its hold ends */
};

/* 0 when the record changed, 1 when not (see answer). The record is untouched then. */
int transition(struct record *r, const struct dag *dag, const struct transition_event *ev,
               struct transition_effects *ret);
enum transition_place record_place(const struct record *r, uint64_t *ret_due_ms);
/* State and blocking party of the import, from its steps. */
enum import_state record_derive(const struct record *r, const struct dag *dag, enum blocking_party *ret_party);
/* Whether the step still counts in `remaining`. */
bool record_step_counts(const struct record_step *s, const struct dag_step *d);
bool step_state_is_live(enum step_state s); /* READY, BLOCKED, ACTIVE, DELAYED, WAITING */
bool step_state_is_over(enum step_state s); /* DONE, CANCELLED, SKIPPED */

/* ---- transition_undo.c: records turned round ------------------------------------------------------------------------
 */
/* The event UNDO: every step that ever started, or stands in `again`, will run in the undo; ACTIVE ones first come to
 * their end. */
enum transition_answer undo_turn(struct record *r, const struct dag *dag, const struct transition_event *ev,
                                 struct transition_effects *out);
/* A step of the forward run came to its end after the undo was decided: its turn in the undo comes. */
void undo_rewind_step(struct record_step *s);
