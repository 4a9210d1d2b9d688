/* The hot call: settles what a worker has finished, claims more, one round trip. The packed items match fleet.lua's
 * ITEM. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

#define ITEM_HEAD_BYTES 29
#define ITEMS_MAX 32

struct turn {
    struct queue *q;
    uint64_t session;
    queue_turn_fn *done;
    void *arg;
    size_t item_count;
    bool is_promise; /* it tells of intents or ends: they must outlive a failover before anybody acts on them */
    char ids[ITEMS_MAX][IMPORT_ID_BYTES];
    struct queue_turn_reply reply;
};

/* ---- Request ------------------------------------------------------------------------------------------------------
 */
static unsigned char *put(unsigned char *at, uint64_t n, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(n >> (8 * i) & 0xff);
    return at + bytes;
}

static void add_item(struct str *head, const struct queue_item *it, unsigned mask)
{
    unsigned char bytes[ITEM_HEAD_BYTES], *at = bytes;
    size_t id_len = strlen(it->import_id);
    at = put(at, (uint64_t)it->outcome, 1);
    at = put(at, it->step, 1);
    at = put(at, it->token.fence, 8);
    at = put(at, it->token.nonce, 4);
    at = put(at, it->token.claim_version, 4);
    at = put(at, it->delay_ms, 8);
    at = put(at, (uint64_t)it->party, 1);
    at = put(at, mask, 1);
    at = put(at, id_len, 1);
    ASSERT(at == bytes + sizeof bytes);
    str_add_bytes(head, bytes, sizeof bytes);
    str_add_bytes(head, it->import_id, id_len);
}

static void add_items(struct queue_args *args, struct turn *t, const struct queue_item *items)
{
    AUTO_STR struct str head;
    str_init(&head, ITEMS_MAX * (ITEM_HEAD_BYTES + IMPORT_ID_BYTES));
    for (size_t i = 0; i < t->item_count; i++) {
        const struct queue_item *it = &items[i];
        const char *const texts[] = {it->journal, it->result, it->task, it->error, it->ledger};
        unsigned mask = 0;
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            mask |= texts[k] && (k != 4 || *texts[k]) ? 1u << k : 0;
        ASSERT(queue_id_is_valid(t->q, it->import_id));
        add_item(&head, it, mask);
        (void)snprintf(t->ids[i], sizeof t->ids[i], "%s", it->import_id);
        t->is_promise = t->is_promise || it->journal || it->outcome == OUTCOME_DONE;
    }
    ASSERT(!head.is_over);
    queue_args_add_bytes(args, head.data, head.len);
    for (size_t i = 0; i < t->item_count; i++) {
        const char *const texts[] = {items[i].journal, items[i].result, items[i].task, items[i].error, items[i].ledger};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            if (texts[k] && (k != 4 || *texts[k]))
                queue_args_add(args, texts[k]);
    }
}

/* ---- Reply --------------------------------------------------------------------------------------------------------
 */
static void reply_done(struct queue_turn_reply *r)
{
    mem_free(r->items);
    mem_free(r->claims);
    mem_free(r->mail);
}

static int read_held(const char *id, const redisReply *record, struct queue_held *ret, struct err *err)
{
    (void)snprintf(ret->import_id, sizeof ret->import_id, "%s", id ? id : "");
    if (!record || record->type != REDIS_REPLY_STRING || !record->len)
        return 0; /* no such import: the empty record */
    return record_unpack(record->str, record->len, &ret->record, err);
}

static int read_items(const struct turn *t, const redisReply *list, struct queue_turn_reply *ret, struct err *err)
{
    if (!list || list->elements != 2 * t->item_count)
        return err_set(err, ERR_INTERNAL, "a turn answered with the wrong number of items");
    ret->item_count = t->item_count;
    ret->items = mem_alloc((t->item_count + 1) * sizeof *ret->items);
    for (size_t i = 0; i < t->item_count; i++) {
        ret->items[i].ack = (enum queue_ack)queue_reply_u64(list->element[2 * i]);
        if (read_held(t->ids[i], list->element[2 * i + 1], &ret->items[i], err))
            return -1;
    }
    return 0;
}

static int read_claims(const redisReply *list, struct queue_turn_reply *ret, struct err *err)
{
    size_t count = list && list->type == REDIS_REPLY_ARRAY ? list->elements / 2 : 0;
    ret->claims = mem_alloc((count + 1) * sizeof *ret->claims);
    for (size_t i = 0; i < count; i++) {
        const char *id = queue_reply_text(list->element[2 * i]);
        if (read_held(id, list->element[2 * i + 1], &ret->claims[i], err))
            return -1;
    }
    ret->claim_count = count;
    return 0;
}

static void read_mail(const redisReply *list, struct queue_turn_reply *ret)
{
    size_t count = list && list->type == REDIS_REPLY_ARRAY ? list->elements : 0;
    ret->mail = mem_alloc((count + 1) * sizeof *ret->mail);
    for (size_t i = 0; i < count; i++) {
        const char *id = queue_reply_text(list->element[i]);
        if (id && strlen(id) < IMPORT_ID_BYTES)
            (void)snprintf(ret->mail[ret->mail_count++], IMPORT_ID_BYTES, "%s", id);
    }
}

static void turn_end(struct turn *t, const struct err *fault)
{
    t->done(t->arg, fault, fault ? NULL : &t->reply);
    reply_done(&t->reply);
    queue_unref(t->q);
    mem_free(t);
}

static void on_replicated(void *arg, const struct err *err)
{
    turn_end(arg, err);
}

static void on_turn(void *arg, const struct err *fault, const redisReply *reply)
{
    struct turn *t = arg;
    struct queue_turn_reply *ret = &t->reply;
    struct err err;
    if (!fault) {
        ret->now_ms = queue_reply_u64(queue_reply_at(reply, 0));
        ret->next_due_ms = queue_reply_u64(queue_reply_at(reply, 1));
        ret->others_wait = queue_reply_u64(queue_reply_at(reply, 2)) != 0;
        ret->is_gone = queue_reply_u64(queue_reply_at(reply, 3)) != 0;
        if (read_items(t, queue_reply_at(reply, 4), ret, &err) || read_claims(queue_reply_at(reply, 5), ret, &err))
            fault = &err;
        read_mail(queue_reply_at(reply, 6), ret);
    }
    if (!fault && t->is_promise && t->q->uses_wait)
        queue_wait_replica(t->q, on_replicated, t);
    else
        turn_end(t, fault);
}

void queue_turn(struct queue *q, uint32_t shard, uint64_t session, uint32_t want, const struct queue_item *items,
                size_t item_count, queue_turn_fn *done, void *arg)
{
    struct turn *t = MEM_NEW(struct turn);
    uint32_t chance;
    char hex[17];
    ASSERT(item_count <= ITEMS_MAX && session);
    t->q = queue_ref(q);
    t->done = done;
    t->arg = arg;
    t->item_count = item_count;
    env_random(q->env, &chance, sizeof chance);
    queue_hex(session, hex);
    struct queue_args args = queue_fcall(q, "turn", shard);
    queue_args_add(&args, hex);
    queue_args_addf(&args, "%u", chance);
    queue_args_addf(&args, "%u", want > ITEMS_MAX ? ITEMS_MAX : want);
    add_items(&args, t, items);
    queue_call(q, &args, on_turn, t);
}
