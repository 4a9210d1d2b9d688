#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 512
#define LABEL_BYTES 120
#define NOBODY UINT32_MAX

struct node {
    uint32_t parent;
    uint32_t label;
    uint32_t first_edge; /* of `edges`, up to the next node's */
};

static struct {
    const struct model_options *options;
    unsigned char *states;
    struct node *nodes;
    uint32_t *table, *edges;
    uint32_t count, capacity, now, edge_count, edge_capacity, fault;
    size_t table_size;
    const char *what;
    char labels[LABELS_MAX][LABEL_BYTES];
    uint32_t label_count;
    size_t packed_bytes;
    bool is_too_large;
} m;

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static const unsigned char *state_at(uint32_t i)
{
    return m.states + (size_t)i * m.packed_bytes;
}

static void pack(const unsigned char *state, unsigned char *packed)
{
    unsigned char all = 0;
    memset(packed, 0, m.packed_bytes);
    for (size_t i = 0; i < m.options->bytes; i++)
        all |= state[i];
    if (all > 15)
        abort();
    for (size_t i = 0; i < m.options->bytes / 2; i++)
        packed[i] = (unsigned char)(state[2 * i] | state[2 * i + 1] << 4);
    if (m.options->bytes % 2)
        packed[m.options->bytes / 2] = state[m.options->bytes - 1];
}

static void unpack(uint32_t i, unsigned char *state)
{
    const unsigned char *packed = state_at(i);
    for (size_t k = 0; k < m.options->bytes; k++)
        state[k] = k % 2 ? packed[k / 2] >> 4 : packed[k / 2] & 15;
}

static uint64_t hash(const unsigned char *packed)
{
    uint64_t h = 1469598103934665603ULL, word;
    for (size_t i = 0; i < m.packed_bytes; i += sizeof word) {
        memcpy(&word, packed + i, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 32;
    }
    return h;
}

static uint32_t label_of(const char *text)
{
    for (uint32_t i = 0; i < m.label_count; i++)
        if (strcmp(m.labels[i], text) == 0)
            return i;
    if (m.label_count == LABELS_MAX)
        abort();
    (void)snprintf(m.labels[m.label_count], LABEL_BYTES, "%s", text);
    return m.label_count++;
}

static void rehash(void)
{
    m.table_size = m.table_size ? m.table_size * 2 : 1u << 20;
    free(m.table);
    m.table = must(malloc(m.table_size * sizeof *m.table));
    memset(m.table, 0xff, m.table_size * sizeof *m.table);
    for (uint32_t i = 0; i < m.count; i++) {
        size_t at = hash(state_at(i)) & (m.table_size - 1);
        while (m.table[at] != NOBODY)
            at = (at + 1) & (m.table_size - 1);
        m.table[at] = i;
    }
}

static void grow(void)
{
    m.capacity = m.capacity ? m.capacity * 2 : 1u << 16;
    m.states = must(realloc(m.states, (size_t)m.capacity * m.packed_bytes));
    m.nodes = must(realloc(m.nodes, (size_t)m.capacity * sizeof *m.nodes));
}

/* The label is written for a new state only: most transitions lead to a known one. */
static uint32_t add(const void *state, const char *fmt, va_list args)
{
    unsigned char packed[MODEL_STATE_BYTES];
    pack(state, packed);
    if ((size_t)m.count * 2 >= m.table_size)
        rehash();
    size_t at = hash(packed) & (m.table_size - 1);
    for (; m.table[at] != NOBODY; at = (at + 1) & (m.table_size - 1))
        if (memcmp(state_at(m.table[at]), packed, m.packed_bytes) == 0)
            return m.table[at];
    if (m.count == MODEL_STATES_MAX) {
        m.is_too_large = true;
        return 0;
    }
    if (m.count == m.capacity)
        grow();
    char text[LABEL_BYTES];
    (void)vsnprintf(text, sizeof text, fmt, args);
    memcpy(m.states + (size_t)m.count * m.packed_bytes, packed, m.packed_bytes);
    m.nodes[m.count] = (struct node){.parent = m.now, .label = label_of(text)};
    m.table[at] = m.count;
    const char *broken = m.options->judge(state);
    if (broken && m.fault == NOBODY) {
        m.fault = m.count;
        m.what = broken;
    }
    return m.count++;
}

void model_found(const void *state, const char *fmt, va_list args)
{
    if (m.edge_count == m.edge_capacity) {
        m.edge_capacity = m.edge_capacity ? m.edge_capacity * 2 : 1u << 18;
        m.edges = must(realloc(m.edges, (size_t)m.edge_capacity * sizeof *m.edges));
    }
    uint32_t to = add(state, fmt, args);
    m.edges[m.edge_count++] = to;
}

static void begin(const void *state, ...)
{
    va_list none;
    va_start(none, state);
    (void)add(state, "start", none);
    va_end(none);
}

static void tell(uint32_t at)
{
    static uint32_t path[4096];
    size_t n = 0;
    for (; at != NOBODY && n < 4096; at = m.nodes[at].parent)
        path[n++] = at;
    for (size_t i = n; i-- > 0;)
        if (m.nodes[path[i]].parent != NOBODY)
            (void)printf("  %2zu  %s\n", n - 1 - i, m.labels[m.nodes[path[i]].label]);
}

/* States from which no good end can be reached any more: backwards over the edges until nothing changes. */
static uint32_t first_stuck(void)
{
    unsigned char *is_good = must(calloc((size_t)m.count + 1, 1));
    for (uint32_t i = 0; i < m.count; i++) {
        unsigned char state[MODEL_STATE_BYTES];
        unpack(i, state);
        is_good[i] = m.options->is_end(state);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = m.count; i-- > 0;) {
            uint32_t end = i + 1 < m.count ? m.nodes[i + 1].first_edge : m.edge_count;
            for (uint32_t e = m.nodes[i].first_edge; !is_good[i] && e < end; e++)
                if (is_good[m.edges[e]])
                    is_good[i] = changed = true;
        }
    }
    uint32_t stuck = NOBODY;
    for (uint32_t i = 0; i < m.count && stuck == NOBODY; i++)
        if (!is_good[i])
            stuck = i;
    free(is_good);
    return stuck;
}

int model_search(const struct model_options *options, const void *start)
{
    m.options = options;
    m.fault = m.now = NOBODY;
    m.packed_bytes = (options->bytes + 15) / 16 * 8; /* whole words */
    begin(start);
    for (m.now = 0; m.now < m.count && m.fault == NOBODY && !m.is_too_large; m.now++) {
        unsigned char state[MODEL_STATE_BYTES];
        unpack(m.now, state);
        m.nodes[m.now].first_edge = m.edge_count;
        options->expand(state);
    }
    if (m.fault == NOBODY && !m.is_too_large) {
        m.fault = first_stuck();
        m.what = options->live;
    }
    if (m.is_too_large)
        (void)printf("more than %u states\n", MODEL_STATES_MAX);
    else if (m.fault == NOBODY)
        (void)printf("%u states, %u transitions: everything holds\n", m.count, m.edge_count);
    else
        (void)printf("%s, after %u states\n", m.what, m.count);
    if (m.fault != NOBODY)
        tell(m.fault);
    free(m.states);
    free(m.nodes);
    free(m.table);
    free(m.edges);
    return m.is_too_large ? 2 : m.fault == NOBODY ? 0 : 1;
}
