/* Chained hash map with a sweep of idle records each time it has doubled. */
#include "common/aws/keyed.h"

#include "common/base/mem.h"

#include <string.h>

#define HEADS_FIRST 64U
#define SWEEP_FIRST 256U

static size_t hash_of(const char *key)
{
    uint64_t h = 1469598103934665603U; /* FNV-1a; keys are ours (accounts and families), not an attacker's */
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211U;
    return (size_t)(h ^ (h >> 32));
}

void keyed_init(struct keyed_map *map, size_t record_bytes, keyed_idle_fn *is_idle)
{
    *map = (struct keyed_map){
        .head_count = HEADS_FIRST, .sweep_at = SWEEP_FIRST, .record_bytes = record_bytes, .is_idle = is_idle};
    map->heads = mem_alloc(map->head_count * sizeof(struct keyed *));
}

static void record_free(struct keyed *record)
{
    mem_free(record->key);
    mem_free(record);
}

void keyed_done(struct keyed_map *map)
{
    for (size_t i = 0; i < map->head_count; i++)
        for (struct keyed *r = map->heads[i], *next; r; r = next) {
            next = r->next;
            record_free(r);
        }
    mem_free(map->heads);
    *map = (struct keyed_map){0};
}

struct keyed *keyed_find(const struct keyed_map *map, const char *key)
{
    struct keyed *r = map->heads[hash_of(key) & (map->head_count - 1)];
    while (r && strcmp(r->key, key) != 0)
        r = r->next;
    return r;
}

static void sweep(struct keyed_map *map, uint64_t now_ms)
{
    for (size_t i = 0; i < map->head_count; i++)
        for (struct keyed **slot = &map->heads[i]; *slot;) {
            struct keyed *r = *slot;
            if (map->is_idle(r, now_ms)) {
                *slot = r->next;
                record_free(r);
                map->count--;
            } else {
                slot = &r->next;
            }
        }
    map->sweep_at = map->count * 2 > SWEEP_FIRST ? map->count * 2 : SWEEP_FIRST;
}

static void grow(struct keyed_map *map)
{
    size_t count = map->head_count * 2;
    struct keyed **heads = mem_alloc(count * sizeof(struct keyed *));
    for (size_t i = 0; i < map->head_count; i++)
        for (struct keyed *r = map->heads[i], *next; r; r = next) {
            next = r->next;
            size_t at = hash_of(r->key) & (count - 1);
            r->next = heads[at];
            heads[at] = r;
        }
    mem_free(map->heads);
    map->heads = heads;
    map->head_count = count;
}

struct keyed *keyed_get(struct keyed_map *map, const char *key, uint64_t now_ms, bool *ret_is_new)
{
    struct keyed *r = keyed_find(map, key);
    if (ret_is_new)
        *ret_is_new = !r;
    if (r)
        return r;
    if (map->count >= map->sweep_at)
        sweep(map, now_ms);
    if (map->count >= map->head_count)
        grow(map);
    r = mem_alloc(map->record_bytes);
    r->key = mem_dup(key);
    size_t at = hash_of(key) & (map->head_count - 1);
    r->next = map->heads[at];
    map->heads[at] = r;
    map->count++;
    return r;
}
