/* The hot call: settles what a worker has finished, claims more, one round trip. The packed items match ITEM of
 * scripts/fleet/turn.lua. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

#define ITEM_HEAD_BYTES 37
#define ITEMS_MAX 32
#define SWAP_BYTES_MAX (RECORD_BYTES_MAX + 4096)
enum { FLAG_TIMERS = 1, FLAG_MAIL = 2 };
enum { TEXT_LEDGER = 4, TEXT_SWAP = 5, TEXTS = 6 };

struct turn {
    struct turn *next; /* answered after this one */
    struct queue *q;
    uint32_t shard;
    uint64_t session, sent_boot_ms;
    queue_turn_fn *done;
    void *arg;
    size_t item_count;
    bool has_mail;
    bool is_promise; /* it tells of intents or ends: they must outlive a failover before anybody acts on them */
    char ids[ITEMS_MAX][IMPORT_ID_BYTES];
    struct record *foreseen[ITEMS_MAX]; /* what we computed, NULL: Redis decides */
    struct queue_turn_reply reply;
    struct err err;
    bool has_err, is_settled; /* nothing is waited for any more */
};

/* ---- Request ------------------------------------------------------------------------------------------------------
 */
struct lines {
    uint32_t first, last;
};

static struct lines lines_of(const struct queue_item *it)
{
    if (!it->ledger || !*it->ledger)
        return (struct lines){0, 0};
    struct lines l = {queue_ledger_number(it->ledger), queue_ledger_number(queue_ledger_last(it->ledger))};
    ASSERT(l.first && l.last >= l.first);
    return l;
}

static void add_item(struct str *head, const struct queue_item *it, struct lines lines, unsigned mask)
{
    unsigned char bytes[ITEM_HEAD_BYTES], *at = bytes;
    size_t id_len = strlen(it->import_id);
    at = record_put_number(at, (uint64_t)it->outcome, 1);
    at = record_put_number(at, it->step, 1);
    at = record_put_number(at, it->token.fence, 8);
    at = record_put_number(at, it->token.nonce, 4);
    at = record_put_number(at, it->token.claim_version, 4);
    at = record_put_number(at, it->delay_ms, 8);
    at = record_put_number(at, (uint64_t)it->party, 1);
    at = record_put_number(at, mask, 1);
    at = record_put_number(at, lines.first, 4);
    at = record_put_number(at, lines.last, 4);
    at = record_put_number(at, id_len, 1);
    ASSERT(at == bytes + sizeof bytes);
    str_add_bytes(head, bytes, sizeof bytes);
    str_add_bytes(head, it->import_id, id_len);
}

/* The texts of an item, and how its head says which are there. */
static void add_texts(struct turn *t, size_t i, const struct queue_item *it, uint32_t chance, struct str *head,
                      struct queue_args *texts)
{
    const char *const all[] = {it->journal, it->result, it->task, it->error, it->ledger};
    AUTO_STR struct str swap;
    struct lines lines = lines_of(it);
    unsigned mask = 0;
    str_init(&swap, SWAP_BYTES_MAX);
    for (size_t k = 0; k < ARRAY_LEN(all); k++) {
        if (!all[k] || (k == TEXT_LEDGER && !*all[k]))
            continue;
        mask |= 1u << k;
        queue_args_add(texts, all[k]);
    }
    if (queue_foresee(t->q, t->shard, t->session, it, lines.first, lines.last, chance + (uint32_t)i, &swap)) {
        mask |= 1u << TEXT_SWAP;
        queue_args_add_bytes(texts, swap.data, swap.len);
        t->foreseen[i] = MEM_NEW(struct record);
        *t->foreseen[i] = it->ahead->record;
    }
    add_item(head, it, lines, mask);
}

static void add_items(struct queue_args *args, struct turn *t, const struct queue_item *items, uint32_t chance)
{
    AUTO_STR struct str head;
    struct queue_args texts = {0};
    str_init(&head, ITEMS_MAX * (ITEM_HEAD_BYTES + IMPORT_ID_BYTES));
    for (size_t i = 0; i < t->item_count; i++) {
        const struct queue_item *it = &items[i];
        ASSERT(queue_id_is_valid(t->q, it->import_id));
        (void)snprintf(t->ids[i], sizeof t->ids[i], "%s", it->import_id);
        add_texts(t, i, it, chance, &head, &texts);
        t->is_promise = t->is_promise || it->journal || it->outcome == OUTCOME_DONE;
    }
    ASSERT(!head.is_over);
    queue_args_add_bytes(args, head.data, head.len);
    queue_args_move(args, &texts);
}

/* ---- Reply --------------------------------------------------------------------------------------------------------
 */
static void reply_done(struct turn *t)
{
    struct queue_turn_reply *r = &t->reply;
    for (size_t i = 0; i < t->item_count; i++)
        mem_free(t->foreseen[i]);
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

/* Of several items of one import each tells the same: how the record is after all of them. */
static void tell_the_last(const struct turn *t, struct queue_turn_reply *ret)
{
    for (size_t i = t->item_count; i-- > 1;)
        for (size_t k = i; k-- > 0;)
            if (str_eq(t->ids[k], t->ids[i]))
                ret->items[k].record = ret->items[i].record;
}

static int read_items(const struct turn *t, const redisReply *list, struct queue_turn_reply *ret, struct err *err)
{
    if (!list || list->elements != 2 * t->item_count)
        return err_set(err, ERR_INTERNAL, "a turn answered with the wrong number of items");
    ret->item_count = t->item_count;
    ret->items = mem_alloc((t->item_count + 1) * sizeof *ret->items);
    for (size_t i = 0; i < t->item_count; i++) {
        ret->items[i].ack = (enum queue_ack)queue_reply_u64(list->element[2 * i]);
        const redisReply *record = list->element[2 * i + 1];
        if (read_held(t->ids[i], record, &ret->items[i], err))
            return -1;
        if (t->foreseen[i] && ret->items[i].ack == ACK_OK && record->type == REDIS_REPLY_STRING && !record->len)
            ret->items[i].record = *t->foreseen[i];
    }
    tell_the_last(t, ret);
    return 0;
}

/* What this answer tells of the shard, for the next turns. */
static void learn(struct turn *t)
{
    struct queue_turn_reply *r = &t->reply;
    struct queue_shard *shard = &t->q->shards[t->shard];
    if (r->now_ms)
        far_clock_learn(&t->q->clock, t->sent_boot_ms, env_boot_ms(t->q->env), r->now_ms, r->now_ms);
    else
        r->now_ms = queue_now_ms(t->q); /* not asked */
    shard->others_wait = r->others_wait;
    shard->next_due_ms = r->next_due_ms;
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

static void turn_end(struct turn *t)
{
    t->done(t->arg, t->has_err ? &t->err : NULL, t->has_err ? NULL : &t->reply);
    reply_done(t);
    queue_unref(t->q);
    mem_free(t);
}

/* Answers are told in the order in which Redis gave them: one that waits for its replicas holds up those behind it.
 * Whoever asks takes what it is told last for the newest: a claim that overtook the end of the same import's hold would
 * be forgotten with it, and nobody would work on that import while the session lives. */
static void tell_in_order(struct queue *q, uint32_t shard)
{
    struct queue_shard *s = &q->shards[shard];
    if (s->is_telling)
        return;
    s->is_telling = true;
    (void)queue_ref(q);
    while (s->answers && s->answers->is_settled) {
        struct turn *t = s->answers;
        s->answers = t->next;
        turn_end(t);
    }
    s->is_telling = false;
    queue_unref(q);
}

static void settle(struct turn *t, const struct err *fault)
{
    t->is_settled = true;
    t->has_err = fault != NULL;
    if (fault)
        t->err = *fault;
    tell_in_order(t->q, t->shard);
}

static void on_replicated(void *arg, const struct err *err)
{
    settle(arg, err);
}

static void add_answer(struct turn *t)
{
    struct turn **at = &t->q->shards[t->shard].answers;
    while (*at)
        at = &(*at)->next;
    *at = t;
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
        learn(t);
    } else if (t->has_mail) {
        queue_want_mail(t->q, t->shard);
    }
    add_answer(t);
    if (!fault && t->is_promise)
        queue_promise(t->q, on_replicated, t);
    else
        settle(t, fault);
}

void queue_want_mail(struct queue *q, uint32_t shard)
{
    q->shards[shard].wants_mail = true;
}

bool queue_wants_mail(const struct queue *q, uint32_t shard)
{
    return q->shards[shard].wants_mail;
}

static unsigned flags_of(const struct queue *q, const struct turn *t)
{
    uint64_t next = q->shards[t->shard].next_due_ms;
    bool is_due = next && queue_now_ms(q) >= next;
    return (is_due ? FLAG_TIMERS : 0u) | (t->has_mail ? FLAG_MAIL : 0u);
}

void queue_turn(struct queue *q, uint32_t shard, uint64_t session, uint32_t want, const struct queue_item *items,
                size_t item_count, queue_turn_fn *done, void *arg)
{
    struct turn *t = MEM_NEW(struct turn);
    uint32_t chance;
    char hex[17];
    ASSERT(item_count <= ITEMS_MAX && session && shard < q->shard_count);
    t->q = queue_ref(q);
    t->shard = shard;
    t->session = session;
    t->done = done;
    t->arg = arg;
    t->item_count = item_count;
    t->has_mail = q->shards[shard].wants_mail;
    q->shards[shard].wants_mail = false;
    t->sent_boot_ms = env_boot_ms(q->env);
    env_random(q->env, &chance, sizeof chance);
    queue_hex(session, hex);
    struct queue_args args = queue_fcall(q, "turn", shard);
    queue_args_add(&args, hex);
    queue_args_addf(&args, "%u", chance);
    queue_args_addf(&args, "%u", want > ITEMS_MAX ? ITEMS_MAX : want);
    queue_args_addf(&args, "%u", flags_of(q, t));
    queue_args_addf(&args, "%u", q->verify);
    add_items(&args, t, items, chance);
    queue_call(q, &args, on_turn, t);
}
