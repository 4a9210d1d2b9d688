/* A map from text to small records that come and go: rate buckets, retry tokens, clock offsets. Records that are idle
 * are swept, so that ten thousand imports a day leave nothing behind. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct keyed { /* first member of every record */
    struct keyed *next;
    char *key;
};
typedef bool keyed_idle_fn(const struct keyed *record, uint64_t now_ms);

struct keyed_map {
    struct keyed **heads;
    size_t head_count; /* a power of two */
    size_t count;
    size_t sweep_at; /* count that starts the next sweep */
    size_t record_bytes;
    keyed_idle_fn *is_idle;
};

void keyed_init(struct keyed_map *map, size_t record_bytes, keyed_idle_fn *is_idle);
void keyed_done(struct keyed_map *map);
struct keyed *keyed_find(const struct keyed_map *map, const char *key); /* NULL when absent */
/* Finds or makes (zeroed); `ret_is_new` may be NULL. The address stays until the record is swept: records in use must
 * not count as idle. */
struct keyed *keyed_get(struct keyed_map *map, const char *key, uint64_t now_ms, bool *ret_is_new);
