/* The queue protocol: one hash per shard, imports held by a worker's session, every holder's write fenced.
 * The rules live in transition.c (pure) and again in common/redis/scripts/fleet; this is the way to call them.
 * See README.md here for keys, functions and invariants I1-I14.
 *
 * Callbacks: exactly once, later, on the loop. `err` is NULL on success; ERR_REDIS means the outcome is unknown, and
 * every call here may then simply be made again (idempotent by fence, nonce and key). */
#pragma once

#include "common/codec/json.h"
#include "common/queue/record.h"
#include "common/redis/redis.h"

#define IMPORT_ID_BYTES 40 /* "imp_" + 2 hex of the shard + 24 base32 of time and chance */

struct queue;
struct queue_options {
    const char *prefix; /* "f" */
    uint32_t shard_count;
    bool is_simulated;
    bool is_relaxed;     /* durability warnings instead of refusals */
    uint32_t verify;     /* a holder's computed records that Redis computes again: 1 all, N one in N */
    bool is_server_form; /* holders compute nothing: Redis decides alone */
    const struct env *env;
};

/* `ready` is called once: functions loaded, fleet mode, schema and durability checked; then the queue may be used. */
typedef void queue_ready_fn(void *arg, const struct err *err);
struct queue *queue_new(struct redis *redis, const struct queue_options *options, queue_ready_fn *ready, void *arg);
/* Calls on their way still get their answer. */
void queue_free(struct queue *q);
/* What is weak about this Redis, one sentence per line; "" when nothing is, and before `ready`. */
const char *queue_warnings(const struct queue *q);
uint32_t queue_shard_of(const struct queue *q, const char *partition, const char *account_id);
uint32_t queue_shard_of_import(const char *import_id);
void queue_import_id(const struct queue *q, const char *partition, const char *account_id, char ret[IMPORT_ID_BYTES]);
/* f:{s}:NAME and f:{g}:NAME, for the few plain commands of other modules. */
void queue_key(const struct queue *q, uint32_t shard, const char *name, char ret[128]);
void queue_global_key(const struct queue *q, const char *name, char ret[512]);
struct redis *queue_redis(struct queue *q);
/* Redis's clock by our own, as the last answer told it; ours before the first. */
uint64_t queue_now_ms(const struct queue *q);
/* It is not later than this by Redis's clock: for ages of what queue_now_ms() has stamped. */
uint64_t queue_latest_ms(const struct queue *q);

typedef void queue_done_fn(void *arg, const struct err *err);

/* Only inside the callback of a command that promises something, on the same `redis`: `done` (perhaps at once) when
 * what it wrote will not be taken back by a failover, or with ERR_REDIS (applied maybe) when not all replicas say in
 * time that they have it. Whoever gets that sends the same again: what is answered ALREADY then is waited for like the
 * first. All calls below that promise do it themselves. */
void queue_promise(struct queue *q, queue_done_fn *done, void *arg);

/* ---- Submit --------------------------------------------------------------------------------------------------------
 */
struct queue_submit { /* borrowed during the call */
    const char *import_id;
    const char *account_key; /* "aws/111122223333": at most one open import each */
    const struct dag *dag;
    const struct record *record; /* from record_new */
    const char *doc;             /* immutable import document, JSON text */
    const char *credential;      /* sealed credential JSON or NULL */
};
/* existing_id: "" when created; this import's id when it was there already (idempotent); another id ->
 * ERR_IMPORT_EXISTS. */
typedef void queue_submit_fn(void *arg, const struct err *err, const char *existing_id);
void queue_submit(struct queue *q, const struct queue_submit *in, queue_submit_fn *done, void *arg);

/* ---- The holder's side ----------------------------------------------------------------------------------------------
 */
struct queue_item { /* borrowed until the turn's callback */
    enum queue_outcome outcome;
    const char *import_id;
    uint8_t step;
    struct queue_token token;
    uint64_t delay_ms;
    enum blocking_party party;
    const char *journal;       /* NULL: unchanged. JSON text, the whole journal of the step */
    const char *result;        /* NULL: none. JSON text (DONE: facts for later steps) */
    const char *task;          /* NULL: unchanged, "": closed, else the task's JSON text */
    const char *error;         /* NULL: unchanged, "": cleared, else {"code",..} */
    const char *ledger;        /* NULL: none. One or more lines, "\n" after each */
    struct queue_ahead *ahead; /* what the holder believes, see there; used during the call only. NULL: Redis decides */
};

/* An import as its holder believes it to be once all that is on its way has arrived. queue_turn() plays an item on it
 * and sends the outcome along, so that Redis only compares and stores; where the belief is wrong Redis decides as ever,
 * and nothing is lost but the time. `is_known` false: something is on its way whose outcome only Redis knows. */
struct queue_ahead {
    struct record record;
    bool is_known;
};

struct queue_held {
    char import_id[IMPORT_ID_BYTES];
    enum queue_ack ack;   /* claims: ACK_OK */
    struct record record; /* after the turn; session differs from ours: the hold ended. ACTIVE steps are ours to run */
};
struct queue_turn_reply {
    uint64_t now_ms;      /* Redis's clock */
    uint64_t next_due_ms; /* earliest timer or session end of the shard; 0 none */
    bool others_wait;     /* the ring is not empty */
    bool is_gone;         /* our session ended: drop everything held in this shard, begin a new session */
    size_t item_count;    /* one per item sent, same order */
    struct queue_held *items;
    size_t claim_count;
    struct queue_held *claims;
    size_t mail_count; /* imports of ours that somebody cancelled, paused, signalled or redrove: nudge them */
    char (*mail)[IMPORT_ID_BYTES];
};
typedef void queue_turn_fn(void *arg, const struct err *err, const struct queue_turn_reply *reply);

/* One session per worker and shard. `session` is random and not 0. want: imports to claim (<= 32). items <= 32. */
void queue_session_open(struct queue *q, uint32_t shard, uint64_t session, uint32_t lease_ms, const char *worker_json,
                        queue_done_fn *done, void *arg);
/* New facts of a worker whose session lives; ERR_LEASE_LOST when it has ended: it is never brought back to life. */
void queue_session_refresh(struct queue *q, uint32_t shard, uint64_t session, uint32_t lease_ms,
                           const char *worker_json, queue_done_fn *done, void *arg);
void queue_turn(struct queue *q, uint32_t shard, uint64_t session, uint32_t want, const struct queue_item *items,
                size_t item_count, queue_turn_fn *done, void *arg);
/* Gives up all that the session holds (after INTERRUPTs) and ends it. */
void queue_session_close(struct queue *q, uint32_t shard, uint64_t session, queue_done_fn *done, void *arg);
/* What the session holds: after a lost reply. Claims in the reply's `claims`. */
void queue_session_list(struct queue *q, uint32_t shard, uint64_t session, queue_turn_fn *done, void *arg);
/* For the beat thread: blocking. held: -1 do not compare. Gives -1 with ERR_LEASE_LOST when the session is gone. */
struct queue_beat {
    bool is_gone;
    uint32_t held;        /* as Redis knows it */
    uint32_t mail;        /* waiting mails: do a turn */
    uint32_t ring;        /* imports that wait for a place: a bell may have been lost */
    uint64_t next_due_ms; /* as in queue_turn_reply */
};
NODISCARD int queue_beat(redisContext *ctx, const char *prefix, uint32_t shard, uint64_t session, uint32_t lease_ms,
                         struct queue_beat *ret, struct err *err);
/* The next turn of this shard brings its mail. A bell does the same by itself. */
void queue_want_mail(struct queue *q, uint32_t shard);
bool queue_wants_mail(const struct queue *q, uint32_t shard);
/* Calls `ring` when imports may be waiting in a shard, or mail for somebody (a hint only). */
typedef void queue_bell_fn(void *arg, uint32_t shard);
NODISCARD int queue_listen(struct queue *q, queue_bell_fn *ring, void *arg, struct err *err);

/* What a worker reads when it takes an import. Texts borrowed, NULL when absent. */
struct queue_load {
    const char *doc, *credential;
    const char *journal[RECORD_STEPS_MAX], *result[RECORD_STEPS_MAX];
    const char *undone[RECORD_STEPS_MAX];  /* result of the undo of a step */
    const char *signals[RECORD_STEPS_MAX]; /* JSON object by key, NULL when none */
    const char *task[RECORD_STEPS_MAX];
};
typedef void queue_load_fn(void *arg, const struct err *err, const struct queue_load *load);
/* Asks for what `record` says can be there, and keeps the shape of its playbook for queue_turn(). signals_only: just
 * the signals (after mail). */
void queue_load(struct queue *q, const char *import_id, const struct record *record, bool signals_only,
                queue_load_fn *done, void *arg);
/* Big things by content: key in the shard of the import. Idempotent. */
void queue_blob_put(struct queue *q, const char *import_id, const char *digest, const void *bytes, size_t len,
                    queue_done_fn *done, void *arg);
/* The same for a time: it is gone after `ttl_ms`. Never for what a record names. */
void queue_blob_lend(struct queue *q, const char *import_id, const char *digest, const void *bytes, size_t len,
                     uint64_t ttl_ms, queue_done_fn *done, void *arg);
typedef void queue_blob_fn(void *arg, const struct err *err, const void *bytes, size_t len);
void queue_blob_get(struct queue *q, const char *import_id, const char *digest, queue_blob_fn *done, void *arg);
/* Takes up to `want` tokens of an operator's bucket shared by all workers; ret via granted and wait_ms. pause_ms: AWS
 * wants to be left alone for so long (0: nothing said); no worker gets a token before. */
struct queue_bucket {
    const char *account_id, *family;
    uint32_t rate_per_s_x100, burst;
};
typedef void queue_tokens_fn(void *arg, const struct err *err, uint32_t granted, uint32_t wait_ms);
void queue_tokens(struct queue *q, const struct queue_bucket *bucket, uint32_t want, uint32_t pause_ms,
                  queue_tokens_fn *done, void *arg);

/* ---- Everybody's side
 * ------------------------------------------------------------------------------------------------ */
/* step: index, or -1 for the whole import. Each is idempotent; ERR_NOT_FOUND, ERR_STATE_CONFLICT (text names the
 * state). */
void queue_signal(struct queue *q, const char *import_id, int step, const char *key, const char *body_json,
                  queue_done_fn *done, void *arg);
void queue_cancel(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg);
void queue_pause(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg);
void queue_resume(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg);
/* FAILED, DEAD and (recheck) WAITING or DELAYED steps become READY; journals stay. step -1: all of them. */
void queue_redrive(struct queue *q, const char *import_id, int step, const char *decision_json, queue_done_fn *done,
                   void *arg);
/* Turns the import round: what ever started is taken back in the order of `undo` (the same steps and classes), and the
 * steps in `again` (by bit) run in any case. Idempotent while it is being undone and afterwards; ERR_IMPORT_EXISTS
 * names the account's other open import. */
void queue_undo(struct queue *q, const char *import_id, const struct dag *undo, uint64_t again,
                const char *decision_json, queue_done_fn *done, void *arg);
/* A decision that moves nothing (an approval, a root that was handed out): one line of the import's decision chain. */
void queue_note(struct queue *q, const char *import_id, const char *decision_json, queue_done_fn *done, void *arg);
/* Reaps dead sessions and promotes what is due; anyone may call it. next_due_ms: when to call again. */
typedef void queue_tick_fn(void *arg, const struct err *err, uint64_t next_due_ms);
void queue_tick(struct queue *q, uint32_t shard, queue_tick_fn *done, void *arg);
void queue_credential_put(struct queue *q, const char *import_id, const char *credential, queue_done_fn *done,
                          void *arg);

/* Reads for people. New reference in `value` handed to the callback (it must decref), NULL on error. */
typedef void queue_json_fn(void *arg, const struct err *err, json_t *value);
/* {id, state, party, since_ms, created_ms, version, fence, worker, doc,
 * steps:[{index,name,state,attempts,crashes,due_ms,party,is_held,started,result,undo,error,task,journal_keys,signals}],
 * ledger_count} */
void queue_get(struct queue *q, const char *import_id, queue_json_fn *done, void *arg);
/* Newest first. state NULL: all. after: import id or "". {data:[{id,state,party,since_ms,created_ms,version}], next} */
void queue_list(struct queue *q, uint32_t shard, const char *state, const char *after, uint32_t limit,
                queue_json_fn *done, void *arg);
/* Open tasks oldest first: {data:[{import_id, step, opened_ms, task}], next} */
void queue_tasks(struct queue *q, uint32_t shard, const char *after, uint32_t limit, queue_json_fn *done, void *arg);
/* In the text of an item's lines: where the last one begins, and the number of the line that begins there (0: none). */
const char *queue_ledger_last(const char *lines);
uint32_t queue_ledger_number(const char *line);
/* {data: lines, next: where to go on, 0 at the end}: the chains of all steps and of the decisions, by time. */
void queue_ledger(struct queue *q, const char *import_id, uint32_t from, uint32_t limit, queue_json_fn *done,
                  void *arg);
/* Events after `cursor` ("0" for all, "$" for new ones): {data:[{cursor, at_ms, import_id, ...}], cursor} */
void queue_events(struct queue *q, uint32_t shard, const char *cursor, uint32_t limit, queue_json_fn *done, void *arg);
/* {shards:[{shard, imports:{state:n}, ring, held, due, sessions:[{worker...}]}], ...} for metrics and health. */
void queue_stats(struct queue *q, queue_json_fn *done, void *arg);
/* Walks everything and checks I1-I14: {checked, faults:[text]}. For tests and operators, not for the hot path. */
void queue_audit(struct queue *q, queue_json_fn *done, void *arg);
