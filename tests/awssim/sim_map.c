/* A string map: open addressing, no deletion of single keys (nothing here needs it). Keys are copied. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *key)
{
    uint64_t h = 1469598103934665603u;
    for (const unsigned char *c = (const unsigned char *)key; *c; c++)
        h = (h ^ *c) * 1099511628211u;
    return h ^ (h >> 29);
}

static struct sim_map_slot *find(const struct sim_map *m, const char *key, uint64_t hash)
{
    for (size_t i = hash & (m->room - 1);; i = (i + 1) & (m->room - 1)) {
        struct sim_map_slot *slot = &m->slots[i];
        if (!slot->key || (slot->hash == hash && strcmp(slot->key, key) == 0))
            return slot;
    }
}

void *sim_map_get(const struct sim_map *m, const char *key)
{
    return m->room ? find(m, key, hash_of(key))->value : NULL;
}

static void grow(struct sim_map *m)
{
    struct sim_map_slot *old = m->slots;
    size_t old_room = m->room;
    m->room = old_room ? old_room * 2 : 64;
    m->slots = calloc(m->room, sizeof *m->slots);
    if (!m->slots)
        abort();
    for (size_t i = 0; i < old_room; i++)
        if (old[i].key)
            *find(m, old[i].key, old[i].hash) = old[i];
    free(old);
}

void sim_map_put(struct sim_map *m, const char *key, void *value)
{
    if (m->used * 2 >= m->room)
        grow(m);
    uint64_t hash = hash_of(key);
    struct sim_map_slot *slot = find(m, key, hash);
    if (!slot->key) {
        slot->key = strdup(key);
        if (!slot->key)
            abort();
        slot->hash = hash;
        m->used++;
    }
    slot->value = value;
}

void sim_map_clear(struct sim_map *m, void (*drop)(void *value))
{
    for (size_t i = 0; i < m->room; i++) {
        if (m->slots[i].key && drop && m->slots[i].value)
            drop(m->slots[i].value);
        free(m->slots[i].key);
    }
    free(m->slots);
    *m = (struct sim_map){0};
}
