/* Step core: plays a step's function again and again until it ends, with everything that has an effect behind a host.
 *
 * Callbacks only record (step_answered, step_saved, step_timer_fired) and ask the host to enter the step; step_enter()
 * is the one place that runs the function and decides. No loop, no Redis and no network here: the engine and the
 * scenario runner are two hosts of the same core.
 *
 *                  step_new                     step_answered / step_saved / step_timer_fired
 *                     |                                        |
 *                     v                                        v
 *      host.ready -> step_enter -> function -> WAIT -> start reads, save journal, start saved writes
 *                                           -> DONE / FAIL / person, sleep, hold -> host.ended (once, last)
 *
 * Invariants: a mutating call leaves only after its intent was saved (P2); a step never ends while a write that was
 * sent has no answer, unless it is dropped; nothing is called on the host after `ended`. */
#pragma once

#include "common/queue/record.h"
#include "worker/runtime/ledger.h"
#include "worker/step.h"

#define STEP_MAYBES_MAX 5        /* lost answers settled in place before the try ends */
#define STEP_INTENTS_AGAIN_MAX 5 /* writes that did not leave in time and were intended anew, before the try ends */
#define STEP_READS_AGAIN_MAX                                                                                           \
    60 /* reads that failed for a moment and were asked again in place, all calls of a try together */
/* From so many answers on, what a step keeps in chunks is made durable: before that, asking again is as cheap. */
#define STEP_CHUNKS_FROM_REQUESTS 200
#define STEP_ENTER_EVERY_REQUESTS                                                                                      \
    100                       /* a walk of thousands of reads is entered at least so often, to keep what it has */
#define STEP_LOOKS_MAX 20     /* polls in place before the step gives its place back */
#define STEP_LOOK_MS_MAX 2000 /* polls at longer intervals give it back at once */

/* The same letters as enum queue_outcome (common/queue/queue.h). */
enum step_outcome {
    STEP_ENDED_DONE = 'D',
    STEP_ENDED_RETRY = 'R',
    STEP_ENDED_FAIL = 'F',
    STEP_ENDED_WAIT = 'W',
    STEP_ENDED_SLEEP = 'P',
    STEP_ENDED_HOLD = 'H',
    STEP_ENDED_INTERRUPT = 'I'
};

struct step_rules {
    bool is_simulated;
    uint64_t settle_ms;          /* another holder's intent is believed absent only when older than this */
    uint64_t settle_slow_ms;     /* the same for signatures that live longer */
    uint64_t settle_own_ms;      /* wait after our own lost answer: its connection is closed by then */
    uint64_t settle_own_slow_ms; /* the same where AWS would do it twice: its back end may still be at work */
    uint64_t backoff_base_ms, backoff_cap_ms;
    uint64_t halt_look_ms;   /* a writer looks so often whether the fleet has been released */
    uint64_t poll_ms;        /* first interval of human steps */
    uint32_t wait_scale_ppm; /* waits that steps ask for, times this per million (simulated fleets are in a hurry) */
};
void step_rules_live(struct step_rules *ret, uint64_t poll_ms);
void step_rules_simulated(struct step_rules *ret, uint64_t settle_ms, uint64_t poll_ms);

enum step_call_state {
    STEP_CALL_NEW,      /* asked for, not started */
    STEP_CALL_SAVING,   /* its intent is on the way to Redis */
    STEP_CALL_SENT,     /* with the host */
    STEP_CALL_ANSWERED, /* `facts` */
    STEP_CALL_FAILED,   /* `err`: proven not applied, or a read */
    STEP_CALL_MAYBE,    /* a write whose answer is lost: looked at again after settle_own_ms */
    STEP_CALL_PAUSED    /* a poll between two looks, or a read that failed for a moment */
};

/* What the runtime itself offers beside AWS; `op` of such calls. */
extern const struct aws_op step_op_identity; /* facts as step_identity gives them */
extern const struct aws_op step_op_mail;     /* args {to, subject, text}; facts {"sent":bool,"how"} */
extern const struct aws_op step_op_halt;     /* args {id, import, reason}: halts all writers of the fleet */
extern const struct aws_op step_op_events;   /* args {region, fresh_ms}; facts: array of events */
/* Big values of a step (step_keep_chunk). Put: store step_chunk_of(call) by content; facts {"$blob", "bytes"}.
 * Get: args are such facts; facts are the value, null when it is gone. A host without a store answers null to both. */
extern const struct aws_op step_op_chunk_put, step_op_chunk_get;

struct step_call {
    struct step_call *next;
    struct step *step;
    char *key;
    const struct aws_op *op;
    json_t *args;
    char *region;
    char digest[65]; /* of args and region */
    enum step_call_state state;
    uint64_t answered;  /* the how manieth answer of its step this is */
    bool must_be_fresh; /* no answer shared with other steps */
    unsigned through;   /* role of "access.roles" that signs; 0: the access handed over */
    json_t *facts;
    struct err err;
    char aws_code[64];
    char request_id[72];
    uint64_t intended_ms; /* a write: the time that its intent bears, by which others judge it (P3) */
    uint64_t look_at_ms;  /* PAUSED: when to look again */
    void *host_data;      /* the host's, while SENT */
};

struct step_answer {     /* borrowed during step_answered */
    const json_t *facts; /* when err is NULL */
    const struct err *err;
    const char *aws_code, *request_id;
    uint32_t pages; /* answers that AWS gave for it; 0 counts as 1 */
};

struct step_end { /* borrowed during host.ended */
    enum step_outcome outcome;
    uint64_t delay_ms;
    enum blocking_party party;
    const char *journal, *result, *task, *error, *ledger; /* as in struct queue_item */
    const struct err *err;                                /* FAIL and RETRY */
    bool drops_session;                                   /* fresh credentials before the next try */
    bool lost_credentials;                                /* the customer's credentials do not work any more */
};

struct step_host {
    void *self;
    const struct step_rules *rules;
    uint64_t (*now_ms)(void *self);    /* Redis's clock as well as it is known, never ahead of it */
    uint64_t (*latest_ms)(void *self); /* never behind it; NULL: now_ms is exact */
    void (*random)(void *self, void *bytes, size_t len);
    bool (*has_identity)(void *self, enum aws_identity_kind who);
    bool (*is_halted)(void *self);                      /* all writers of the fleet; NULL: never */
    void (*call)(void *self, struct step_call *call);   /* answer later through step_answered */
    void (*cancel)(void *self, struct step_call *call); /* no answer afterwards */
    /* One at a time per step; step_saved() later. Texts are borrowed during the call. */
    void (*save)(void *self, struct step *s, const char *journal, const char *ledger);
    void (*timer)(void *self, struct step *s, uint64_t delay_ms);          /* one per step; replaces the one before */
    void (*ready)(void *self, struct step *s);                             /* step_enter(s) later, once */
    void (*ended)(void *self, struct step *s, const struct step_end *end); /* step_free() it later, not in here */
};

struct step_input { /* borrowed while the step lives, except the texts */
    const struct step_def *def;
    bool is_undo;
    const json_t *import;
    const json_t *results; /* by step name, finished ones only; {"$blob"} where one is not at hand */
    const json_t *undone;  /* the same of the undo's steps, or NULL */
    const json_t *signals; /* of this step by key, or NULL */
    const json_t *writes;  /* of all steps, for those that declare sees_writes; NULL unknown */
    const char *journal;
    const char *doubted;     /* the journal that we had when Redis refused it, NULL none */
    const char *stored_head; /* "N:HASH" of its last ledger line that Redis confirmed to us, NULL unknown */
    bool has_task;           /* a task of this step is open */
    uint64_t fence;
    uint32_t nonce;
    uint8_t attempts; /* counted at claim, 1 for the first */
};

/* ERR_CORRUPT or ERR_SCHEMA when the journal cannot be used. Asks the host for its first entry. */
NODISCARD int step_new(const struct step_host *host, const struct step_input *input, void *host_data, struct step **ret,
                       struct err *err);
/* At any time; running calls are cancelled, nothing is written. */
void step_free(struct step *s);
void *step_host_data(const struct step *s);
void step_enter(struct step *s);
void step_answered(struct step_call *call, const struct step_answer *answer);
void step_saved(struct step *s);
void step_timer_fired(struct step *s);
/* Cancel, pause or drain: no new write starts, reads are dropped, writes that were sent are awaited; ends as INTERRUPT.
 */
void step_stop(struct step *s);
/* Ends now, whatever is in flight: open intents stay in the journal (the drain's patience is over). */
void step_stop_now(struct step *s);
/* Not ours any more: calls are cancelled now, nothing is said to the host afterwards. step_free() it later. */
void step_cut(struct step *s);
/* For hosts and tests. */
bool step_has_write_in_flight(const struct step *s);
bool step_is_poll(const struct step *s); /* entered again for an open task: may share reads with others */
const char *step_name(const struct step *s);
const char *step_nonce(const struct step *s); /* of the hold that plays it, as the ledger writes it */
const struct aws_op *const *step_manifest(const struct step *s);
bool step_def_could_write(const struct step_def *def);
/* The step whose result holds the approved plan; steps that are bound by it need that result at hand. */
#define PLAN_APPROVAL "plan_approval"
bool step_def_is_bound(const struct step_def *def, bool is_undo);
struct journal *step_journal(struct step *s);
/* The value that a step_op_chunk_put is about; borrowed while the call lives. */
const json_t *step_chunk_of(const struct step_call *call);
/* How old a write's intent may be by Redis's clock; 0 for a read. */
uint64_t step_call_age_ms(const struct step_call *call);
uint32_t step_requests(const struct step *s); /* answers of AWS in this try */
