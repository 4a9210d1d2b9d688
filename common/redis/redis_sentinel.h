/* What Sentinels say, read, and asked for in a blocking way. */
#pragma once

#include "common/redis/redis_target.h"

/* The answer to SENTINEL GET-MASTER-ADDR-BY-NAME; false when it names none. */
bool sentinel_master(const redisReply *reply, struct redis_address *ret);
/* Asks one Sentinel after the other until a server says itself that it is the master; connected to that one. */
redisContext *sentinel_connect(const struct redis_target *t, uint32_t timeout_ms, struct err *err);
