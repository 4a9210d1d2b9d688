/* Redis on the uv loop: hiredis async, reconnecting, RESP3 off (plain RESP2 is enough), bounded pipelines. One server,
 * the master that Sentinels name, or a cluster: the same calls.
 *
 * Invariant: a reply callback is called exactly once for each command that was accepted, with NULL when the connection
 * was lost (outcome unknown). Nothing is repeated here that may have been applied: only the caller knows what is safe.
 * MOVED and ASK prove that a command was not applied, so they are followed; TRYAGAIN, CLUSTERDOWN, READONLY and LOADING
 * (and NOREPLICAS) too, so it is sent again for as long as it would have waited for a connection. */
#pragma once

#include "common/base/env.h"
#include "common/base/err.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <uv.h>

struct redis;

struct redis_options { /* texts are copied */
    /* redis://user:pw@host:port/db, rediss://, unix:///path?db=0, redis+sentinel://host:port,host:port/NAME/db,
     * redis+cluster://host:port,host:port; rediss+... with TLS */
    const char *url;
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
/* Cluster: the map is known, and somebody answered when it was last asked for. */
bool redis_is_up(const struct redis *r);
uv_loop_t *redis_loop(const struct redis *r);

/* Where a command goes in a cluster: to the primary of its key (all its keys must be in one slot). */
#define REDIS_ANY 0u
unsigned redis_route(const char *key);
/* A route to each primary, for what every one of them must get. At least one; a cluster's map must be known, which it
 * is after any reply. Gives how many. */
size_t redis_primaries(const struct redis *r, unsigned *ret, size_t max);
bool redis_is_cluster(const struct redis *r);
bool redis_has_sentinel(const struct redis *r);

/* reply: borrowed until return; NULL = connection lost. */
typedef void redis_reply_fn(void *arg, const redisReply *reply);
/* Queued while connecting (bounded: 100,000 commands, then ERR_REDIS; one that waited 10 s gets NULL). argv is copied.
 */
NODISCARD int redis_send_to(struct redis *r, unsigned route, int argc, const char *const *argv, const size_t *lens,
                            redis_reply_fn *done, void *arg, struct err *err);
/* To any node. */
NODISCARD int redis_send(struct redis *r, int argc, const char *const *argv, const size_t *lens, redis_reply_fn *done,
                         void *arg, struct err *err);
NODISCARD int redis_sendf(struct redis *r, redis_reply_fn *done, void *arg, struct err *err, const char *format, ...);
/* For the parts of a MULTI, which stay together: whatever Redis says comes back, a MOVED too. */
NODISCARD int redis_send_once(struct redis *r, unsigned route, int argc, const char *const *argv, const size_t *lens,
                              redis_reply_fn *done, void *arg, struct err *err);
/* Only inside a reply's callback: down the very connection that the reply came on, so that WAIT speaks of that write.
 * ERR_REDIS when it is gone. */
NODISCARD int redis_send_back(struct redis *r, int argc, const char *const *argv, const size_t *lens,
                              redis_reply_fn *done, void *arg, struct err *err);
/* Inside a reply's callback: which server said it ("" a unix socket), for what must be known of each. */
#define REDIS_AT_BYTES 264
void redis_answered_by(const struct redis *r, char ret[REDIS_AT_BYTES]);
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

/* Blocking connection with the same options, for threads and command lines: to the server, the master, or (cluster) to
 * some node. */
redisContext *redis_connect_blocking(const struct redis_options *options, uint32_t timeout_ms, struct err *err);

/* For a thread that asks for many keys: a blocking connection to each node that it needs, made when asked for. A node
 * that could not be reached is refused at once for a while, so that it holds up only its own keys. */
struct redis_blocking;
NODISCARD int redis_blocking_new(const struct redis_options *options, uint32_t timeout_ms, struct redis_blocking **ret,
                                 struct err *err);
/* Borrowed; NULL with `err`. */
redisContext *redis_blocking_get(struct redis_blocking *b, const char *key, struct err *err);
/* After any fault on such a connection, an error as a reply included: closes it, and looks anew who has the key. */
void redis_blocking_forget(struct redis_blocking *b, redisContext *ctx);
void redis_blocking_free(struct redis_blocking *b);
