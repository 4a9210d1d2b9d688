/* What a holder computes itself: the record that comes out of an item, so that Redis only has to compare and to store
 * (scripts/fleet, swap() in turn.lua). The rules are transition()'s own, played on what the holder believes.
 *
 * Only what leaves the import in its holder's hands, in the same state, and opens or closes no task is sent this way:
 * everything that an index of the shard knows is Redis's own to change. */
#include "common/queue/queue_private.h"

#include "common/base/mem.h"
#include "common/queue/transition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Shapes -------------------------------------------------------------------------------------------------------
 */
const struct dag *queue_shape(const struct queue *q, uint64_t hash)
{
    for (size_t i = 0; i < QUEUE_SHAPES_MAX; i++)
        if (q->shapes[i].dag && q->shapes[i].hash == hash)
            return q->shapes[i].dag;
    return NULL;
}

void queue_shape_keep(struct queue *q, const void *bytes, size_t len)
{
    struct err err;
    AUTO_FREE struct dag *dag = MEM_NEW(struct dag);
    if (dag_unpack(bytes, len, dag, &err))
        return;
    uint64_t hash = dag_hash(dag);
    if (queue_shape(q, hash))
        return;
    struct queue_shape *place = &q->shapes[q->shape_next++ % QUEUE_SHAPES_MAX];
    mem_free(place->dag);
    *place = (struct queue_shape){hash, TAKE(dag)};
}

uint64_t queue_now_ms(const struct queue *q)
{
    return q->clock.is_known ? far_clock_ms(&q->clock, env_boot_ms(q->env)) : env_unix_ms(q->env);
}

uint64_t queue_latest_ms(const struct queue *q)
{
    return q->clock.is_known ? far_clock_most_ms(&q->clock, env_boot_ms(q->env)) : env_unix_ms(q->env);
}

/* ---- Playing ------------------------------------------------------------------------------------------------------
 */
static bool stays_as_it_is(const struct record *was, const struct record *is, const struct transition_effects *out)
{
    return out->place == PLACE_OWN && is->state == was->state && is->party == was->party &&
           is->since_ms == was->since_ms && is->flags == was->flags && !out->closed && !out->mail_session &&
           !out->cleared;
}

/* "imp_x s3=6,0 s4=3,0", as describe() in commit.lua; nothing when no step has another state or party. */
static void add_event(struct str *to, const char *import_id, const struct record *was, const struct record *is)
{
    bool is_first = true;
    for (size_t i = 0; i < is->step_count; i++) {
        const struct record_step *a = &was->steps[i], *b = &is->steps[i];
        if (a->state == b->state && a->party == b->party)
            continue;
        if (is_first)
            str_add(to, import_id);
        is_first = false;
        str_addf(to, " s%zu=%u,%u", i, b->state, b->party);
    }
}

/* As SWAP in turn.lua: name of the record it starts from, what was assumed, the record, what to tell. */
static void put_words(struct str *to, const struct record *was, const struct record *is, const char *import_id,
                      const struct transition_event *ev)
{
    unsigned char head[RECORD_NAME_BYTES + 11], bytes[RECORD_BYTES_MAX];
    size_t len = record_pack(is, bytes);
    unsigned char *at = record_put_name(head, was);
    at = record_put_number(at, ev->others_wait, 1);
    at = record_put_number(at, ev->now_us, 8);
    at = record_put_number(at, len, 2);
    str_add_bytes(to, head, (size_t)(at - head));
    str_add_bytes(to, bytes, len);
    add_event(to, import_id, was, is);
}

bool queue_foresee(const struct queue *q, uint32_t shard, uint64_t session, const struct queue_item *item,
                   uint32_t ledger_first, uint32_t ledger_last, uint32_t stamp, struct str *ret)
{
    struct queue_ahead *ahead = item->ahead;
    if (!ahead)
        return false;
    const struct dag *dag = ahead->is_known ? queue_shape(q, ahead->record.dag) : NULL;
    bool was_known = ahead->is_known;
    ahead->is_known = false;
    if (!was_known || !dag || q->is_server_form || item->outcome == OUTCOME_NUDGE || item->task ||
        ahead->record.session != session || (ahead->record.flags & RECORD_IS_STOPPING))
        return false;
    struct transition_event ev = {.kind = TRANSITION_FINISH,
                                  .now_us = queue_now_ms(q) * 1000,
                                  .stamp = stamp,
                                  .others_wait = q->shards[shard].others_wait,
                                  .session = session,
                                  .step = item->step,
                                  .token = item->token,
                                  .outcome = item->outcome,
                                  .delay_ms = item->delay_ms,
                                  .party = item->party,
                                  .ledger_first = ledger_first,
                                  .ledger_last = ledger_last};
    struct record next = ahead->record;
    struct transition_effects out;
    if (transition(&next, dag, &ev, &out) || !stays_as_it_is(&ahead->record, &next, &out))
        return false;
    put_words(ret, &ahead->record, &next, item->import_id, &ev);
    if (ret->is_over)
        return false;
    ahead->record = next;
    ahead->is_known = true;
    return true;
}
