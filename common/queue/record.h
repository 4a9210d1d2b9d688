/* The packed record of an import: what the queue knows of it, in one string, written as one value.
 *
 * Layout (little-endian), durable; scripts/fleet reads the same bytes. Upgrade: new fields go to the spare bytes,
 * or raise RECORD_LAYOUT and teach both sides to read the old one.
 *
 *   0 fence u64      16 stamp u32     28 state u8       34 run u8        46 vt u64 (us)        70 group u32
 *   8 nonce u32      20 session u64   29 step_count     35 weight u8     54 created_ms u64     74 spare u16
 *  12 version u32                     30 remaining      36 party u8      62 since_ms u64
 *                                     31 writers        37 layout u8
 *                                     32 readers        38 dag u64 (hash)
 *                                     33 flags
 *   76 + 20*i: state u8, deps u8, attempts u8, crashes u8, claim_version u32, due_ms u48, flags u8, party u8, lines u32
 *
 * vt: virtual time of an import of no group (0): where it stands in the ring, and what it has started since. Of one of
 * a group: its number in the group's queue while it waits there, and while it is held what it has started and its group
 * was not charged for. A start costs 1,000,000 / weight.
 *
 * Token of an active step = (fence, nonce, claim_version). The first 20 bytes name the content: whoever writes a record
 * draws its stamp at random, so two records with equal heads are equal, also where a failover has turned back time. */
#pragma once

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_LAYOUT 2
#define RECORD_WEIGHT 4      /* of an import that nobody gave another one */
#define RECORD_NAME_BYTES 20 /* fence, nonce, version, stamp */
#define RECORD_HEAD_BYTES 76
#define RECORD_STEP_BYTES 20
#define RECORD_STEPS_MAX 64
#define RECORD_BYTES_MAX (RECORD_HEAD_BYTES + RECORD_STEP_BYTES * RECORD_STEPS_MAX)

enum step_state {
    STATE_PENDING = 0, /* predecessors unfinished */
    STATE_READY,
    STATE_BLOCKED, /* ready, and the account's cap is used up */
    STATE_ACTIVE,
    STATE_DELAYED, /* retry, sleep or poll: due_ms */
    STATE_WAITING, /* a person, AWS or a signal: due_ms is the next look */
    STATE_DONE,
    STATE_FAILED, /* needs somebody before it can go on: redrive */
    STATE_DEAD,   /* quarantined: too many crashes */
    STATE_CANCELLED,
    STATE_SKIPPED,
    STATE_COUNT
};

enum import_state {
    IMPORT_ACCEPTED = 0,
    IMPORT_RUNNING,
    IMPORT_WAITING, /* only people or AWS can move it */
    IMPORT_HELD,    /* stopped for an operator's decision */
    IMPORT_PAUSED,
    IMPORT_FAILED, /* steps failed and nothing else can go on: retry resumes */
    IMPORT_COMPLETED,
    IMPORT_CANCELLED,
    IMPORT_UNDOING,
    IMPORT_UNDONE,
    IMPORT_STATE_COUNT
};

enum record_flag {
    RECORD_IS_PAUSED = 1,
    RECORD_IS_CANCELLED = 2,
    RECORD_IS_SIMULATED = 4,
    RECORD_HAS_CLAIM = 8,   /* was ever claimed */
    RECORD_IS_UNDOING = 16, /* the steps run backwards, in the order of the undo's own shape */
    RECORD_IS_STOPPING = 32 /* undo was decided, and steps of the forward run are still at work: nothing starts */
};
enum record_step_flag {
    STEP_FLAG_HELD = 1,      /* an operator's decision is asked (OUTCOME_HOLD) */
    STEP_FLAG_SIGNALLED = 2, /* a signal came that the step has not looked at yet */
    STEP_FLAG_RELEASED = 4,  /* failed, and the steps after it went on (on_fail continue): never release them again */
    STEP_FLAG_TASK = 8,      /* a task of this step is open */
    STEP_FLAG_SIGNALS = 16   /* signals are stored for this step, looked at or not */
};
enum blocking_party { PARTY_NONE = 0, PARTY_CUSTOMER, PARTY_OPERATOR, PARTY_AWS, PARTY_ORGIMPORT };

struct record_step {
    uint8_t state, deps, attempts, crashes;
    uint32_t claim_version;
    uint64_t due_ms; /* 48 bits */
    uint8_t flags, party;
    uint32_t lines; /* of its ledger that are stored */
};

struct record {
    uint64_t fence;
    uint32_t nonce, version, stamp;
    uint64_t session; /* 0: nobody holds it */
    uint8_t state, step_count, remaining, writers, readers, flags, run, weight, party;
    uint64_t dag;
    uint64_t vt, created_ms, since_ms;
    uint32_t group;
    struct record_step steps[RECORD_STEPS_MAX];
};

/* What a holder tells of a step. */
enum queue_outcome {
    OUTCOME_SAVE = 'S', /* journal and ledger only; the step stays ACTIVE */
    OUTCOME_DONE = 'D',
    OUTCOME_RETRY = 'R', /* failed, again in delay_ms; over attempts_max it becomes FAILED */
    OUTCOME_FAIL = 'F',  /* needs somebody */
    OUTCOME_WAIT = 'W',  /* a person or AWS: next look in delay_ms, attempt restored */
    OUTCOME_SLEEP = 'P', /* sleep or poll: again in delay_ms, attempt restored */
    OUTCOME_HOLD =
        'H', /* an operator's decision: a signal or redrive moves it; looked at again in delay_ms (0: never) */
    OUTCOME_INTERRUPT = 'I', /* handed back: READY, attempt restored, nothing new is started by this item */
    OUTCOME_NUDGE = 'N'      /* no step: look at this import again (mail or an own timer) */
};

struct queue_token {
    uint64_t fence;
    uint32_t nonce;
    uint32_t claim_version;
};

enum queue_ack {
    ACK_OK = 0,
    ACK_ALREADY = 1 /* this very write had arrived */,
    ACK_STALE = 2 /* not yours any more: stop */
};

/* `bytes` of `n`, little-endian; gives where to go on. */
unsigned char *record_put_number(unsigned char *at, uint64_t n, size_t bytes);
/* What names its content: RECORD_NAME_BYTES. */
unsigned char *record_put_name(unsigned char *at, const struct record *r);
/* `ret` has RECORD_BYTES_MAX; gives the bytes used. */
size_t record_pack(const struct record *r, unsigned char *ret);
/* ERR_CORRUPT on anything that pack would not write. */
NODISCARD int record_unpack(const void *bytes, size_t len, struct record *ret, struct err *err);

const char *step_state_name(enum step_state s);     /* "PENDING", "DONE", ... */
const char *import_state_name(enum import_state s); /* "accepted", ... */
const char *party_name(enum blocking_party p);      /* "", "customer", ... */
bool import_state_parse(const char *name, enum import_state *ret);
bool import_state_is_terminal(enum import_state s); /* completed, cancelled, undone */

/* The shape of a playbook as the queue needs it. */
enum dag_class { DAG_NONE = 0, DAG_READER, DAG_WRITER };
enum dag_on_fail { DAG_STOP = 0, DAG_CONTINUE };
struct dag_step {
    uint8_t class_, on_fail, attempts_max, needs_count, next_count;
    uint8_t needs[RECORD_STEPS_MAX], next[RECORD_STEPS_MAX];
};
struct dag {
    uint8_t step_count;
    struct dag_step steps[RECORD_STEPS_MAX];
};
/* Fills `next` and needs_count from `needs`; refuses cycles, dangling or repeated needs. */
NODISCARD int dag_finish(struct dag *dag, struct err *err);
size_t dag_pack(const struct dag *dag, unsigned char *ret, size_t size); /* 4096 is enough */
NODISCARD int dag_unpack(const void *bytes, size_t len, struct dag *ret, struct err *err);
uint64_t dag_hash(const struct dag *dag);
/* A fresh record: roots READY, `skipped[i]` steps SKIPPED (they count as done for their successors). */
void record_new(const struct dag *dag, const bool *skipped, uint64_t now_ms, struct record *ret);
