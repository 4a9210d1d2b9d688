/* Where Redis is and how to greet it: the URL and files of redis_options, read once. Private to this folder. */
#pragma once

#include "common/redis/redis.h"

#include <hiredis/async.h>

#define REDIS_CONNECT_MS 5000
#define REDIS_REPLY_MS 10000 /* no reply for so long: the connection is dead */
#define REDIS_KEEPALIVE_S 5
#define REDIS_GREETING_MAX 5
#define REDIS_SEEDS_MAX 16

enum redis_kind {
    REDIS_SINGLE,   /* one server, by host or unix socket */
    REDIS_SENTINEL, /* the Sentinels say which server is the master */
    REDIS_CLUSTER   /* several primaries, each with some of the hash slots */
};

struct redis_address {
    char host[256];
    int port;
};

struct redis_target {
    enum redis_kind kind;
    struct redis_address seeds[REDIS_SEEDS_MAX]; /* the server; or Sentinels; or some nodes of the cluster */
    size_t seed_count;
    char *path;   /* unix socket instead of seeds */
    char *master; /* its name, as the Sentinels call it */
    char *user, *password, *client_name;
    uint32_t db;
    void *tls; /* SSL_CTX, NULL without TLS */
};

struct redis_command {
    int argc;
    const char *argv[4];
    bool is_optional; /* an error as its answer does no harm */
};

/* Who is greeted. */
enum redis_part { REDIS_PART_NODE, REDIS_PART_SENTINEL };

NODISCARD int redis_target_init(struct redis_target *t, const struct redis_options *options, struct err *err);
void redis_target_done(struct redis_target *t);
/* redis_url.c: the address alone; an error names the part that is odd and never shows the password. */
NODISCARD int redis_url_read(struct redis_target *t, const char *url, bool *ret_tls, struct err *err);
void redis_target_options(const struct redis_target *t, const struct redis_address *at, uint32_t timeout_ms,
                          redisOptions *ret);
/* The kernel asks an idle peer whether it still lives, and ends a connection whose bytes nobody has confirmed for
 * REDIS_REPLY_MS: where a firewall or a lost host swallows everything, nothing else would notice. */
void redis_target_watch(const struct redis_target *t, redisContext *ctx);
/* Closing it will throw away what the kernel has not delivered yet: given up is given up, it must not arrive later. */
void redis_target_discard(redisContext *ctx);
/* Starts TLS on a context that is connecting or connected; 0 without TLS. */
NODISCARD int redis_target_tls(const struct redis_target *t, const struct redis_address *at, redisContext *ctx,
                               struct err *err);
/* AUTH, SELECT, CLIENT SETNAME, PING, ROLE as they apply; borrowed texts. Gives how many. */
size_t redis_target_greeting(const struct redis_target *t, enum redis_part part, char db_text[16],
                             struct redis_command ret[REDIS_GREETING_MAX]);
/* 0 when a reply to a greeting is as it must be: no error, and ROLE says master. */
NODISCARD int redis_target_check(const struct redis_command *command, const redisReply *reply, struct err *err);
/* One greeted blocking connection; NULL with `err`. */
redisContext *redis_target_connect(const struct redis_target *t, const struct redis_address *at, enum redis_part part,
                                   uint32_t timeout_ms, struct err *err);

bool redis_address_eq(const struct redis_address *a, const struct redis_address *b);
/* Reads "host:port" (IPv6 without brackets, as Redis writes it); false when it is none. */
bool redis_address_read(const char *text, size_t len, struct redis_address *ret);
