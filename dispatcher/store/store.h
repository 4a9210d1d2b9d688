/* What is global to a fleet, in the one slot f:{g}: names of organizations, external_ref -> import, idempotency keys,
 * profiles, batches. Claim the name first, then submit in the shard; both may be repeated, so a crash between heals.
 *
 *   refs   HASH external_ref -> "import_id account_key"       orgs  HASH account_key -> {id, external_id, ..}
 *   ids    HASH id -> account_key                             idem:DIGEST  "open D" or "done D RESPONSE"
 *   profiles HASH name -> JSON, "name@version" -> JSON        bats SET, bat:ID*  see batch.h
 *
 * Callbacks: exactly once, later, on the loop. */
#pragma once

#include "common/base/env.h"
#include "common/queue/queue.h"
#include "dispatcher/planner/input.h"

#define STORE_PLAYBOOKS_MAX 16

struct store {
    struct queue *queue;
    struct redis *redis;
    uv_loop_t *loop;
    const struct env *env;
    uint32_t shard_count;
    bool is_simulated;
    struct profile *profile; /* the default one; replaced when a newer version appears in Redis */
    const struct playbook *playbooks[STORE_PLAYBOOKS_MAX];
    size_t playbook_count;
    uint32_t busy; /* chains of calls under way anywhere in the dispatcher: it stops cleanly when there are none */
};

typedef void store_done_fn(void *arg, const struct err *err);
static inline struct input_context store_context(const struct store *s)
{
    return (struct input_context){s->profile, s->playbooks, s->playbook_count};
}

/* Runs a Lua text on keys of the global slot. Names are without the f:{g}: prefix. */
typedef void store_reply_fn(void *arg, const struct err *err, const redisReply *reply);
struct store_call {
    const char *script;
    const char *const *keys;
    size_t key_count;
    const char *const *args;
    size_t arg_count;
};
void store_eval(struct store *s, const struct store_call *call, store_reply_fn *done, void *arg);
/* One plain command whose first argument is such a key: store_command(s, done, arg, "HGET", "profiles", 1, args). */
void store_command(struct store *s, const char *command, const char *key, size_t arg_count, const char *const *args,
                   store_reply_fn *done, void *arg);
/* Text of a reply (element), "" when it is none. */
const char *store_text(const redisReply *reply);
const redisReply *store_element(const redisReply *reply, size_t index);

/* ---- Idempotency keys
 * ------------------------------------------------------------------------------------------------ */
enum store_idem { IDEM_NEW, IDEM_DONE, IDEM_BUSY, IDEM_MISMATCH };
typedef void store_idem_fn(void *arg, const struct err *err, enum store_idem what, const char *response);
/* digest: of method, path and body. NEW: ours for 30 s, then somebody else may try. */
void store_idem_begin(struct store *s, const char *key, const char *digest, store_idem_fn *done, void *arg);
/* Keeps the response for a day; response NULL forgets the key (nothing happened). */
void store_idem_end(struct store *s, const char *key, const char *digest, const char *response, store_done_fn *done,
                    void *arg);

/* ---- Profiles
 * -------------------------------------------------------------------------------------------------------- */
/* ERR_STATE_CONFLICT when a newer or another profile of that version is stored. */
void store_profile_put(struct store *s, const struct profile *profile, store_done_fn *done, void *arg);
/* Takes over a newer version of the default profile, if any. */
void store_profile_refresh(struct store *s, store_done_fn *done, void *arg);
typedef void store_json_fn(void *arg, const struct err *err, json_t *value); /* borrowed; NULL on error */
void store_profile_get(struct store *s, const char *name_or_version, store_json_fn *done, void *arg);
