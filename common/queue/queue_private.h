/* What the queue_*.c files share: commands with their arguments, answers as errors, key names. */
#pragma once

#include "common/base/far_clock.h"
#include "common/queue/queue.h"

#define QUEUE_SCHEMA 1
#define QUEUE_LIBRARY "orgimport_1"
#define PRIMARIES_MAX 256
#define QUEUE_ID_MAX (IMPORT_ID_BYTES - 1)

struct turn;

/* What the last answer of a shard told, for those who compute ahead of Redis. */
struct queue_shard {
    bool others_wait, wants_mail;
    uint64_t next_due_ms;
    struct turn *answers; /* of turns, in the order in which Redis gave them, not yet told */
    bool is_telling;
};
#define QUEUE_SHAPES_MAX 64

struct queue {
    struct redis *redis;
    const struct env *env;
    char *prefix;
    uint32_t shard_count;
    bool is_simulated, is_relaxed, is_server_form;
    bool must_copy;                  /* a promise needs a replica, whether there is one at the moment or not */
    struct queue_primary *primaries; /* queue_durable.c: those that made promises */
    uint32_t verify;
    struct queue_shard *shards;
    struct queue_shape { /* shapes of playbooks, by content: they never change */
        uint64_t hash;
        struct dag *dag;
    } shapes[QUEUE_SHAPES_MAX];
    uint32_t shape_next;
    struct far_clock clock;
    uint32_t refs; /* the owner and every call on its way */
    struct str warnings;
    queue_ready_fn *ready;
    void *ready_arg;
    queue_bell_fn *ring;
    void *ring_arg;
};

struct queue_args;
struct queue *queue_ref(struct queue *q);
void queue_unref(struct queue *q);

/* ---- queue_ahead.c: what a holder computes itself -------------------------------------------------------------------
 */
const struct dag *queue_shape(const struct queue *q, uint64_t hash); /* NULL: not known here yet */
void queue_shape_keep(struct queue *q, const void *bytes, size_t len);
/* Plays the item on what its holder believes. True: `ret` has the bytes that go with the item, `ahead` has moved on.
 * False: Redis has to decide, and `ahead` is not known until it has answered. */
bool queue_foresee(const struct queue *q, uint32_t shard, uint64_t session, const struct queue_item *item,
                   uint32_t ledger_first, uint32_t ledger_last, uint32_t stamp, struct str *ret);

/* ---- queue_ledger.c -------------------------------------------------------------------------------------------------
 */
/* Adds the names of all fields that can hold a chain of `lines` lines (step -1: the decisions); gives how many. */
size_t queue_ledger_fields(struct queue_args *args, const char *import_id, int step, uint32_t lines);
/* Appends the lines of one entry that can be read. */
void queue_ledger_lines(const char *entry, json_t *lines);

/* One command; bytes are copied as they are added. */
struct queue_args {
    int argc, cap;
    unsigned route; /* of its key; REDIS_ANY */
    enum {
        QUEUE_FOLLOW, /* to whoever has the key by now */
        QUEUE_ONCE,   /* part of a MULTI: where its sisters go, or nowhere */
        QUEUE_BACK    /* down the connection whose reply is being handed out */
    } way;
    char **argv;
    size_t *lens;
};
void queue_args_add(struct queue_args *a, const char *text); /* NULL reads as "" */
void queue_args_add_bytes(struct queue_args *a, const void *bytes, size_t len);
void queue_args_addf(struct queue_args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Appends all of `from`, which is empty then. */
void queue_args_move(struct queue_args *to, struct queue_args *from);
/* The key that says where the command goes. */
void queue_args_key(struct queue_args *a, const char *key);
void queue_args_done(struct queue_args *a);
/* "FCALL NAME_1 2 KEY GUARD". A function touches more keys of its slot than it could name, and a slot that moves has
 * some here and some there. The guard is a key of the slot that never exists: while the slot moves, Redis finds it
 * missing and refuses the whole call before it begins (TRYAGAIN). Nothing else tells it to: a function that meets a key
 * which has left breaks off in the middle, or begins it anew beside the true one. */
struct queue_args queue_fcall_key(const char *name, const char *key);
/* The same with KEY f:{s}:h */
struct queue_args queue_fcall(const struct queue *q, const char *name, uint32_t shard);
#define QUEUE_GUARD "-" /* f:{s}:- */
/* "COMMAND f:{s}:NAME" */
struct queue_args queue_plain(const struct queue *q, const char *command, uint32_t shard, const char *name);
/* "COMMAND", for the node that has the shard. */
struct queue_args queue_keyless(const struct queue *q, const char *command, uint32_t shard);

/* err NULL: a reply that is no error. Later, exactly once. `args` is taken over and emptied. Loads the functions and
 * asks again when Redis does not know them. */
typedef void queue_reply_fn(void *arg, const struct err *err, const redisReply *reply);
void queue_call(struct queue *q, struct queue_args *args, queue_reply_fn *done, void *arg);
/* Several at once; `replies` in the order of `args`. The first error ends all. */
#define QUEUE_MANY_MAX 100000
typedef void queue_many_fn(void *arg, const struct err *err, const redisReply *const *replies, size_t count);
void queue_call_many(struct queue *q, struct queue_args *args, size_t count, queue_many_fn *done, void *arg);
/* ---- queue_durable.c ------------------------------------------------------------------------------------------------
 */
/* Fills the warnings; ERR_REDIS_CONFIG when this Redis is too weak and the fleet is not relaxed. */
void queue_check_durability(struct queue *q, queue_done_fn *done, void *arg);
void queue_primaries_free(struct queue *q);

/* Runs `done(arg, err, NULL)` from the loop. */
void queue_fail_later(struct queue *q, const struct err *err, queue_reply_fn *done, void *arg);

/* Reply access that never trusts the shape. */
const redisReply *queue_reply_at(const redisReply *reply, size_t i);
uint64_t queue_reply_u64(const redisReply *reply);
const char *queue_reply_text(const redisReply *reply); /* NULL when it is not a string */
/* {0} -> 0; {1} not found, {2, state} conflict -> -1. */
NODISCARD int queue_reply_code(const redisReply *reply, const char *import_id, struct err *err);
NODISCARD int queue_reply_record(const redisReply *reply, struct record *ret, struct err *err);

bool queue_id_is_valid(const struct queue *q, const char *import_id);
void queue_hex(uint64_t n, char ret[17]);
