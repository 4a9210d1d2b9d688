/* Inside of the engine: shared by engine.c, shard.c, hold.c, run.c, beat.c, health.c, tokens.c, chunk.c and by nobody
 * else. */
#pragma once

#include "common/aws/client.h"
#include "common/aws/endpoint.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/queue/queue.h"
#include "common/queue/queue_fleet.h"
#include "worker/runtime/beat.h"
#include "worker/runtime/engine.h"
#include "worker/runtime/gate.h"
#include "worker/runtime/health.h"
#include "worker/runtime/mail.h"
#include "worker/runtime/step_core.h"

#include <string.h>

#define TURN_ITEMS_MAX 32
#define TURNS_MAX 2
#define CLAIMS_MAX 32
#define WARM_MAX 2000
#define WARM_SLOTS 4096 /* power of two */

struct engine;
struct hold;
struct shard;
struct tokens;

/* One step of one claim. */
enum run_state {
    RUN_PREPARING, /* waits for signals, results, credential */
    RUN_PLAYING,   /* the core has it */
    RUN_ENDING     /* its last item is on the way */
};
struct run {
    struct hold *hold;
    uint8_t index;
    struct queue_token token;
    enum run_state state;
    const struct step_def *def;
    struct step *step;
    json_t *results; /* by step name; what lies in blobs is here only while this run lasts */
    json_t *undone;  /* the same of the undo's steps */
    bool is_undo;
    json_t *signals, *writes;
    struct later_item *timer;
    struct run *next_ready;
    struct run *next_dead;
    char *result; /* of its DONE as stored, for later steps */
    struct big_end *big;
    bool is_done, is_listed, is_cut;
};

/* One import in our hands. */
struct hold {
    struct hold *next_hash;
    struct shard *shard;
    char id[IMPORT_ID_BYTES];
    struct record record;
    struct queue_ahead ahead; /* the record as it will be when all our items have arrived */
    uint32_t flying;          /* items of it that are on their way */
    struct fetch *fetch;      /* the one read that is under way */
    struct later_item *retry;
    json_t *doc;
    json_t *results; /* by step name, as stored: big ones are stubs */
    json_t *undone;  /* the same of the undo's steps */
    bool is_undo;    /* as loaded: an undo sees more than the forward run */
    char *journals[RECORD_STEPS_MAX];
    char *doubted[RECORD_STEPS_MAX]; /* journals that Redis has refused since they did not follow what it has */
    char *stored[RECORD_STEPS_MAX];  /* "N:HASH": end of each step's ledger as Redis confirmed it to us */
    json_t *signals[RECORD_STEPS_MAX];
    struct run *runs[RECORD_STEPS_MAX];
    struct gate *gate;
    bool is_loaded, are_signals_stale, is_credential_stale, is_nudged;
    struct err load_err;
    bool has_load_err;
};

/* What a turn carries: owned copies. */
struct item {
    struct item *next;
    struct queue_item q;
    struct hold *hold; /* NULL once dropped */
    struct run *run;   /* NULL for nudges */
    char id[IMPORT_ID_BYTES];
    char *texts[5];
};

struct turn {
    struct turn *next;
    struct shard *shard;
    struct item *items[TURN_ITEMS_MAX];
    struct queue_item sent[TURN_ITEMS_MAX];
    size_t count;
    uint64_t session;
    uint32_t want;
    bool is_in_flight;
};

enum shard_state { SHARD_CLOSED, SHARD_OPENING, SHARD_OPEN, SHARD_CLOSING, SHARD_ENDED };
struct shard {
    struct engine *engine;
    uint32_t id;
    enum shard_state state;
    struct beat_shard *beat;
    struct turn *turns; /* in the order in which they were sent */
    struct item *first, **last;
    size_t item_count;
    uint64_t oldest_boot_ms, due_redis_ms;
    bool is_hungry, is_listing, is_ticking;
    bool is_starving;   /* imports wait here, and this worker had no place for them */
    bool must_list;     /* a turn that wanted imports lost its reply: what it claimed is asked for */
    uint64_t published; /* session whose facts were refreshed last */
    uint32_t mismatches;
    struct later_item *flush, *due, *reopen;
    uint64_t new_session, session_asked_boot_ms;
    size_t hold_count;
};

/* An import that rests: what its next claim here would have to read or open again. */
struct warm {
    struct warm *newer, *older, *next_hash;
    char id[IMPORT_ID_BYTES];
    uint32_t version; /* of the record when we gave it up */
    uint64_t kept_boot_ms;
    bool has_texts; /* journals and results are what the queue has */
    bool are_keys_closed;
    bool is_undo;
    struct gate *gate;
    json_t *doc, *results, *undone;
    char *journals[RECORD_STEPS_MAX];
    char *stored[RECORD_STEPS_MAX];
};

struct engine_counters {
    uint64_t turns, items, claims, done, retried, failed, waited, interrupted, stale, sessions_lost;
};

struct engine {
    uv_loop_t loop;
    const struct config *config;
    struct step_rules rules;
    struct step_host step_host;
    struct later *later;
    struct redis *redis;
    struct queue *queue;
    struct aws_endpoints *endpoints; /* the gate of `http`: what may be dialled at all */
    struct http_client *http;
    struct aws_client *aws;
    struct gate_own own;
    struct gate_mail mail;
    struct gate_tools gate_tools;
    struct tokens *tokens;
    struct beat *beat;
    struct health *health;
    struct shard *shards;
    uint32_t shard_count, feed_next; /* the shard that gets the next free place */
    uv_signal_t term, interrupt;
    struct later_item *tick, *publish, *drain_end, *give_up;
    struct hold **holds; /* hash table */
    size_t hold_count, hold_room;
    uint32_t wants_in_flight;
    struct run *ready, **ready_last;
    struct run *dead; /* freed when nobody is inside them */
    struct later_item *ready_round;
    struct warm *warm_newest, *warm_oldest, *warms[WARM_SLOTS];
    size_t warm_count;
    uint64_t started_unix_ms, trimmed_boot_ms;
    char *told; /* what was published last; own */
    struct engine_counters count;
    bool is_draining, is_closing, is_queue_ready;
    int exit_code;
    struct err fatal;
};

/* engine.c */
uint64_t engine_boot_ms(const struct engine *e);
uint64_t engine_redis_ms(const struct engine *e);
void engine_fail(struct engine *e, const struct err *err); /* ends the process, loudly */
void engine_drained(struct engine *e);                     /* looks whether the drain is complete */
char *engine_worker_json(struct engine *e);

/* shard.c */
void shard_open(struct shard *s);
void shard_close(struct shard *s);
void shard_add(struct shard *s, struct item *item);
void shard_forget(struct shard *s, const struct hold *hold,
                  const struct run *run); /* what is on the way has no owner now */
bool shard_is_quiet(const struct shard *s);
void shard_ring(struct shard *s); /* imports may be waiting */
void shard_lost(struct shard *s);
void shard_beat(struct shard *s);
uint64_t shard_leave_before(void *arg);
struct item *item_new(struct hold *hold, struct run *run, enum queue_outcome outcome);
void item_free(struct item *item);

/* hold.c */
struct hold *hold_find(struct engine *e, const char *id);
void hold_claim(struct shard *s, const struct queue_held *claim);
/* The record after a turn: starts, stops and ends what it says. May free the hold. */
void hold_update(struct hold *h, const struct record *record);
void hold_drop(struct hold *h); /* not ours any more: nothing is written */
void hold_mail(struct hold *h);
/* Redis has confirmed these ledger lines of a step; or it has refused them, and what we hold of the step is void. */
void hold_stored(struct hold *h, uint8_t step, const char *ledger);
void hold_distrust(struct hold *h, uint8_t step);
void hold_pump(struct hold *h);
const char *hold_step_name(const struct hold *h, size_t index);
size_t hold_slot(const char *id, size_t room); /* of a hash table; room is a power of two */
/* While the forward run comes to its end, it is still the forward run. */
bool hold_is_undoing(const struct record *r);

/* warm.c */
/* Takes what the hold has; `has_texts`: journals and results are what the queue has. */
void warm_keep(struct engine *e, struct hold *h, bool has_texts);
void warm_take(struct engine *e, struct hold *h, const struct record *record);
void warm_clear(struct engine *e);
void warm_close_keys(struct engine *e);

/* run.c */
void runs_init(struct engine *e);
void run_start(struct run *r);
void run_stop(struct run *r);
void run_stop_now(struct run *r);
void run_free(struct run *r);
void run_saved(struct run *r);
void run_ended(struct run *r); /* its last item was taken */
void run_fail_early(struct run *r, const struct err *err);
void run_interrupt_early(struct run *r);
void runs_bury(struct engine *e);

/* blob.c */
#define BLOB_FROM_BYTES 1024u
/* text -> zstd bytes and {"$blob","bytes"}; both new. */
void blob_make(const char *text, void **ret_bytes, size_t *ret_len, char **ret_stub, char ret_digest[65]);
json_t *blob_read(const void *bytes, size_t len, const json_t *stub, struct err *err);

/* chunk.c: big values of a walk, on the host's side */
bool chunk_is_about(const struct step_call *call);
void chunk_call(struct engine *e, const char *import_id, struct step_call *call);
void chunk_cancel(struct step_call *call);

/* tokens.c */
struct tokens *tokens_new(struct engine *e);
void tokens_free(struct tokens *t);
void tokens_draw(void *self, const char *account_id, const struct aws_op *op, later_fn *go, void *arg);
void tokens_undraw(void *self, later_fn *go, void *arg);
void tokens_throttled(struct tokens *t, const char *account_id, const char *family, uint32_t delay_ms);
