/* The model and Redis, byte by byte. */
#include "tests/integration/queue/differential.h"

#include <stdlib.h>
#include <string.h>

static bool is_same_step(const struct record_step *a, const struct record_step *b)
{
    return a->state == b->state && a->deps == b->deps && a->attempts == b->attempts && a->crashes == b->crashes &&
           a->claim_version == b->claim_version && a->due_ms == b->due_ms && a->flags == b->flags &&
           a->party == b->party;
}

static void differs(const char *what, const char *id, const struct record *want, const struct record *got)
{
    (void)fprintf(stderr, "event %lu: %s of %s differs\n", event_number, what, id);
    const struct record *both[] = {want, got};
    for (int k = 0; k < 2; k++) {
        const struct record *r = both[k];
        (void)fprintf(
            stderr,
            "%s: fence %llu nonce %u version %u session %llx state %u remaining %u w%u r%u flags %u run %u party "
            "%u group %u vt %llu since %llu\n",
            k ? "lua" : "c  ", (unsigned long long)r->fence, r->nonce, r->version, (unsigned long long)r->session,
            r->state, r->remaining, r->writers, r->readers, r->flags, r->run, r->party, r->group,
            (unsigned long long)r->vt, (unsigned long long)r->since_ms);
        for (size_t i = 0; i < r->step_count; i++) {
            const struct record_step *s = &r->steps[i];
            if (!is_same_step(s, &both[!k]->steps[i]))
                (void)fprintf(stderr,
                              "  step %zu: %s deps %u attempts %u crashes %u claim %u due %llu flags %u party %u\n", i,
                              step_state_name(s->state), s->deps, s->attempts, s->crashes, s->claim_version,
                              (unsigned long long)s->due_ms, s->flags, s->party);
        }
    }
    exit(1);
}

void compare(const char *what, const char *id, const struct record *want, const struct record *got)
{
    if (!rig_is_same(want, got))
        differs(what, id, want, got);
}

/* As groups.lua packs it: vt, first, next, open, weight. */
static void compare_group(size_t k)
{
    const struct model_group *g = &m.groups[k];
    unsigned char want[29], *at = want;
    redisReply *got = rig_command("HGET f:{0}:h g:%08x", (unsigned)k),
               *score = rig_command("ZSCORE f:{0}:ring g:%08x", (unsigned)k);
    at = record_put_number(at, g->vt, 8);
    at = record_put_number(at, g->first, 8);
    at = record_put_number(at, g->next, 8);
    at = record_put_number(at, g->open, 4);
    at = record_put_number(at, g->weight, 1);
    bool is_same = g->open ? got->type == REDIS_REPLY_STRING && got->len == (size_t)(at - want) &&
                                 memcmp(got->str, want, got->len) == 0
                           : got->type == REDIS_REPLY_NIL;
    bool is_in_place = g->first == g->next
                           ? score->type == REDIS_REPLY_NIL
                           : score->type == REDIS_REPLY_STRING && strtoull(score->str, NULL, 10) == g->vt;
    if (!is_same || !is_in_place)
        (void)fprintf(stderr, "event %lu: group %zu differs: vt %llu, %llu to %llu, %u open, weight %u\n", event_number,
                      k, (unsigned long long)g->vt, (unsigned long long)g->first, (unsigned long long)g->next, g->open,
                      g->weight);
    CHECK(is_same && is_in_place);
    freeReplyObject(got);
    freeReplyObject(score);
}

void compare_all(void)
{
    for (size_t k = 1; k <= GROUPS; k++)
        compare_group(k);
    for (size_t i = 0; i < IMPORTS; i++)
        if (m.imports[i].exists) {
            struct record r = rig_record(m.imports[i].id);
            compare("record", m.imports[i].id, &m.imports[i].r, &r);
        }
}
