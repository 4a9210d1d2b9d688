/* Redis on the uv loop: hiredis async, reconnecting, RESP3 off (plain RESP2 is enough), bounded pipelines.
 *
 * Invariant: a reply callback is called exactly once for each command that was accepted, with NULL when the connection
 * was lost (outcome unknown). Nothing is repeated here: only the caller knows what is safe. */
#pragma once

#include "common/base/env.h"
#include "common/base/err.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <uv.h>

struct redis;

struct redis_options { /* texts are copied */
    const char *url;   /* redis://user:pw@host:port/db, rediss://, unix:///path?db=0 */
    const char *password_file;
    const char *ca_file, *cert_file, *key_file;
    const char *client_name;
    const struct env *env;
    void (*connected)(void *arg, bool is_up); /* after every change; may be NULL */
    void *arg;
};

NODISCARD int redis_new(uv_loop_t *loop, const struct redis_options *options, struct redis **ret, struct err *err);
/* Pending callbacks get NULL first. `closed` runs when the loop holds nothing of ours; may be NULL. */
void redis_close(struct redis *r, void (*closed)(void *arg), void *arg);
bool redis_is_up(const struct redis *r);
uv_loop_t *redis_loop(const struct redis *r);

/* reply: borrowed until return; NULL = connection lost. */
typedef void redis_reply_fn(void *arg, const redisReply *reply);
/* Queued while connecting (bounded: 100,000 commands, then ERR_REDIS; one that waited 10 s gets NULL). argv is copied.
 */
NODISCARD int redis_send(struct redis *r, int argc, const char *const *argv, const size_t *lens, redis_reply_fn *done,
                         void *arg, struct err *err);
NODISCARD int redis_sendf(struct redis *r, redis_reply_fn *done, void *arg, struct err *err, const char *format, ...);
/* Subscriptions use a connection of their own, made on first use and restored after a loss. Messages may be lost
 * meanwhile: an empty message at the beginning and after each restoration says "look for yourself". */
typedef void redis_message_fn(void *arg, const char *channel, const char *message, size_t len);
NODISCARD int redis_subscribe(struct redis *r, const char *channel, redis_message_fn *message, void *arg,
                              struct err *err);

/* Those with this `arg` stay silent from now on. */
void redis_unsubscribe(struct redis *r, const void *arg);

/* Keeps the object in memory (not the connection) past its close, for holders who may outlive it. */
struct redis *redis_ref(struct redis *r);
void redis_unref(struct redis *r);

/* Blocking connection with the same options, for threads and command lines. */
redisContext *redis_connect_blocking(const struct redis_options *options, uint32_t timeout_ms, struct err *err);
