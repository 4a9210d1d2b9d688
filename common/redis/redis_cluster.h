/* What a cluster says of itself, read: for the asynchronous and the blocking client alike. Pure. */
#pragma once

#include "common/redis/redis_target.h"

struct cluster_range {
    uint32_t first, last; /* slots */
    struct redis_address at;
};
/* The next range of CLUSTER SLOTS (`at` counts on); false at the end. An empty host means the one that was asked. */
bool cluster_range(const redisReply *map, size_t *at, const struct redis_address *asked, struct cluster_range *ret);

struct cluster_move {
    uint16_t slot;
    bool is_ask; /* this once; the map stays */
    struct redis_address at;
};
/* "MOVED 3999 127.0.0.1:6381" or "ASK ..."; false for any other error. */
bool cluster_moved(const char *error, const struct redis_address *from, struct cluster_move *ret);
