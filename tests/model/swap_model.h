/* Redis's half of the model of the `swap` form: the record, the `server` rule that decides an event, and the script
 * that stores what the holder computed when its head is the one that the holder started from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

#define STEPS 2
#define WORKERS 2

enum { STEP_OPEN, STEP_ACTIVE, STEP_DONE };
/* SAVE: the intent; RETRY: the step begins anew; HAND_BACK: the holder stops because of a cancel. */
enum kind { NO_EVENT, SAVE, FINISH, RETRY, HAND_BACK };
enum verdict { STALE, ACCEPTED, ALREADY };

struct record {
    uint8_t fence, nonce, version, stamp; /* the head: equal heads mean equal content */
    uint8_t holder, is_cancelled;         /* holder: session, 0 nobody */
    uint8_t note, attempts;               /* note: what else people decide; attempts: new beginnings */
    uint8_t step[STEPS], claimed[STEPS];  /* claimed: the version at which the step became active */
    uint8_t lines[STEPS];                 /* of its ledger, and one: 0 is that of no record */
};

/* An event as its holder sends it. The token is fence and nonce of `record`, and `claimed`. */
struct turn {
    uint8_t kind, step, claimed, age; /* age: of the intent that a SAVE brings; it has its time from its holder */
    uint8_t line;                     /* line: the number of its ledger line, counted like those of the record */
    uint8_t version, stamp; /* of the record that the holder started from; fence and nonce are those of `record` */
    struct record record;   /* what the holder made of it */
};

struct intent {
    uint8_t is_open, nonce, age;
};

struct db { /* what one Redis knows */
    struct record record;
    struct intent intent[STEPS];
};

/* Each can be switched off, to see what it is for. */
struct rules {
    bool nonce, claimed, over, afresh, lines, stamp, compare, wait_intent, wait_finish, wait_cancel, age, signing,
        cancel, note;
};
extern struct rules rules;

enum fault { NO_FAULT, FAULT_EQUAL, FAULT_KEPT, FAULT_LOST, FAULT_STARTED }; /* the gravest last */

int record_next_step(const struct record *record);
enum verdict record_decide(struct record *record, const struct turn *turn, bool is_stored);
void record_claim(struct record *record, uint8_t holder, uint8_t nonce, uint8_t stamp);
void record_free(struct record *record, uint8_t stamp);
void record_cancel(struct record *record, uint8_t stamp);
void record_note(struct record *record, uint8_t stamp);
enum verdict script_turn(struct db *db, const struct turn *turn, uint8_t stamp, enum fault *ret_fault);

#define RETRIES 1 /* new beginnings of a step: the turns that nobody waits for the replica with */
#define INTENTS 2 /* of one beginning of a step in one hold */
#define SIGN 1
#define LIFE 1
#define OLD (SIGN + LIFE + 1) /* ages are counted up to here */
#define TURNS 2               /* of a holder, on their way */

enum pc { IDLE, LOOKING, SAVING, MAY_CALL, CALLED, ENDING };
enum { TOGETHER, LAGGING, ALONE }; /* master and replica */

struct worker {
    uint8_t session, pc, step, intents;
    uint8_t intent_age;   /* by its own clock */
    struct record record; /* as it believes it to be once its turns have arrived */
    struct turn turn[TURNS];
};

struct request { /* to AWS */
    uint8_t is_there, age;
};

struct state {
    struct db master, replica;
    struct worker worker[WORKERS];
    struct turn late; /* a copy on a connection that its sender has given up */
    struct request request[WORKERS][STEPS];
    uint8_t effects[STEPS], told[STEPS];
    uint8_t retries, notes, phase, cancel_told, fault;
};
_Static_assert(sizeof(struct state) <= MODEL_STATE_BYTES, "raise MODEL_STATE_BYTES");

#define NONCE_DEAD 15 /* of a hold that neither Redis has */

/* Versions, stamps, nonces ... matter only by being equal to others (and some by being one more). A state whose numbers
 * are settled is one with every state that differs from it in its past alone. */
void names_settle(const struct state *state, struct state *ret);
uint8_t names_fresh_stamp(const struct state *state);
uint8_t names_fresh_nonce(const struct state *state);
uint8_t names_fresh_session(const struct state *state);
