/* Where Redis is and how to greet it: the URL and files of redis_options, read once. Private to this folder. */
#pragma once

#include "common/redis/redis.h"

#include <hiredis/async.h>

#define REDIS_CONNECT_MS 5000
#define REDIS_REPLY_MS 30000 /* no reply for so long: the connection is dead */
#define REDIS_GREETING_MAX 4

struct redis_target {
    char *host, *path; /* path: unix socket */
    char *user, *password, *client_name;
    int port;
    uint32_t db;
    void *tls; /* SSL_CTX, NULL without TLS */
};

struct redis_command {
    int argc;
    const char *argv[4];
};

NODISCARD int redis_target_init(struct redis_target *t, const struct redis_options *options, struct err *err);
void redis_target_done(struct redis_target *t);
void redis_target_options(const struct redis_target *t, uint32_t timeout_ms, redisOptions *ret);
/* Starts TLS on a context that is connecting or connected; 0 without TLS. */
NODISCARD int redis_target_tls(const struct redis_target *t, redisContext *ctx, struct err *err);
/* AUTH, SELECT, CLIENT SETNAME, PING as they apply; borrowed texts. Gives how many. */
size_t redis_target_greeting(const struct redis_target *t, char db_text[16],
                             struct redis_command ret[REDIS_GREETING_MAX]);
