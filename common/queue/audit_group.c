/* What must be true of groups (groups.lua): the field g:GROUP, the places q:GROUP:N of its queue, where it stands in
 * the ring, and the imports that say they belong to it.
 *
 * Field and ring are read in one MULTI. Imports are not, so they are counted against the field only where it is the
 * same after the walk as before: every import that enters or leaves a group in between leaves its mark on it. */
#include "common/queue/audit_private.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define UNKNOWN "?"    /* first met as a member of the ring, or in an import: nothing to compare with */
#define GROUP_BYTES 29 /* vt u64, first u64, next u64, open u32, weight u8 */

struct group {
    uint64_t vt, first, next, open;
};

void audit_groups_new(struct audit_groups *g)
{
    *g = (struct audit_groups){.seen = json_object(), .slots = json_object(), .counts = json_object()};
}

void audit_groups_free(struct audit_groups *g)
{
    json_decref(g->seen);
    json_decref(g->slots);
    json_decref(g->counts);
}

void audit_groups_clear(struct audit_groups *g)
{
    json_object_clear(g->seen);
    json_object_clear(g->slots);
    json_object_clear(g->counts);
}

static void hex_of(const redisReply *value, char ret[2 * GROUP_BYTES + 1])
{
    *ret = 0;
    if (!value || value->type != REDIS_REPLY_STRING || value->len != GROUP_BYTES)
        return;
    for (size_t i = 0; i < GROUP_BYTES; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", (unsigned char)value->str[i]);
}

bool audit_groups_scan(struct audit_groups *g, const char *name, const redisReply *value)
{
    char hex[2 * GROUP_BYTES + 1];
    if (str_starts(name, "q:"))
        json_object_set_new(g->slots, name, json_true());
    else if (!str_starts(name, "g:"))
        return false;
    else if (!json_object_get(g->seen, name)) {
        hex_of(value, hex);
        json_put_str(g->seen, name, *hex ? hex : UNKNOWN);
    }
    return true;
}

/* {waiting, open} of its group. */
void audit_groups_count(struct audit_groups *g, const struct audit_import *im)
{
    char name[16];
    uint64_t due_ms;
    if (!im->has_record || !im->record.group)
        return;
    (void)snprintf(name, sizeof name, "g:%08x", im->record.group);
    json_t *one = json_object_get(g->counts, name);
    if (!one) {
        one = json_object();
        json_put(g->counts, name, one);
    }
    json_put_int(one, "waiting", json_int_at(one, "waiting") + (record_place(&im->record, &due_ms) == PLACE_RING));
    json_put_int(one, "open", json_int_at(one, "open") + (im->record.remaining > 0));
    if (im->record.remaining && !json_object_get(g->seen, name))
        json_put_str(g->seen, name, UNKNOWN);
}

size_t audit_groups_ask(const struct audit_groups *g, const struct queue *q, uint32_t shard, struct queue_args *args)
{
    const char *name;
    json_t *value;
    if (!json_object_size(g->seen))
        return 0;
    args[0] = queue_plain(q, "HMGET", shard, "h");
    args[1] = queue_plain(q, "ZMSCORE", shard, "ring");
    json_object_foreach (g->seen, name, value) {
        queue_args_add(&args[0], name);
        queue_args_add(&args[1], name);
    }
    return 2;
}

static uint64_t number(const char *bytes, size_t count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return n;
}

static struct group group_of(const redisReply *field)
{
    if (!field || field->type != REDIS_REPLY_STRING || field->len != GROUP_BYTES)
        return (struct group){0};
    return (struct group){number(field->str, 8), number(field->str + 8, 8), number(field->str + 16, 8),
                          number(field->str + 24, 4)};
}

static uint64_t slots_of(const struct audit_groups *g, const char *name)
{
    const char *field;
    json_t *value;
    uint64_t n = 0;
    json_object_foreach (g->slots, field, value)
        n += strncmp(field + 2, name + 2, 8) == 0;
    return n;
}

/* What was counted import by import. */
static void check_counts(const struct audit_groups *g, const char *name, const struct group *is, json_t *faults)
{
    const json_t *counts = json_object_get(g->counts, name);
    uint64_t waits = is->next - is->first, open = (uint64_t)json_int_at(counts, "open"), slots = slots_of(g, name),
             waiting = (uint64_t)json_int_at(counts, "waiting");
    if (is->open != open)
        audit_fault(faults, "I5", name, "%llu imports of the group are open, it says %llu", (unsigned long long)open,
                    (unsigned long long)is->open);
    if (waits != waiting || waits != slots)
        audit_fault(faults, "I1", name, "%llu imports of the group wait, its queue says %llu and has %llu",
                    (unsigned long long)waiting, (unsigned long long)waits, (unsigned long long)slots);
}

static void check_group(const struct audit_groups *g, const char *name, const redisReply *field,
                        const redisReply *score, json_t *faults)
{
    struct group is = group_of(field);
    char hex[2 * GROUP_BYTES + 1];
    bool waits = is.next > is.first, is_in_ring = score && score->type == REDIS_REPLY_STRING;
    hex_of(field, hex);
    if (is.next < is.first || is.open < is.next - is.first)
        audit_fault(faults, "I5", name, "%llu imports are open, the queue goes from %llu to %llu",
                    (unsigned long long)is.open, (unsigned long long)is.first, (unsigned long long)is.next);
    if (waits != is_in_ring || (is_in_ring && strtoull(score->str, NULL, 10) != is.vt))
        audit_fault(faults, "I1", name, "its place in the ring is %s, it has %llu waiting at %llu",
                    is_in_ring ? score->str : "none", (unsigned long long)(is.next - is.first),
                    (unsigned long long)is.vt);
    if (str_eq(hex, json_str_at(g->seen, name)))
        check_counts(g, name, &is, faults);
}

/* Members of the ring stand for imports: gives how many more there are. */
uint64_t audit_groups_check(const struct audit_groups *g, const redisReply *fields, const redisReply *scores,
                            bool only_count, json_t *faults)
{
    const char *name;
    json_t *value;
    uint64_t more = 0;
    size_t i = 0;
    json_object_foreach (g->seen, name, value) {
        const redisReply *field = queue_reply_at(fields, i), *score = queue_reply_at(scores, i);
        struct group is = group_of(field);
        i++;
        more += is.next > is.first ? is.next - is.first - 1 : 0;
        if (!only_count)
            check_group(g, name, field, score, faults);
    }
    return more;
}
