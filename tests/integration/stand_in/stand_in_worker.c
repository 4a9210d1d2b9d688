/* stand_in_worker REDIS_URL SHARDS PLAYBOOK SCRIPT: takes imports from the real queue and ends their steps as SCRIPT
 * says.
 *
 * SCRIPT is a JSON file, read again before each round: {"step name": {"outcome":"D|W|H|F", "party":"customer",
 *   "task":{..}, "result":{..}, "error":{..}, "until":"done", "big":true}}; a step that is not named is DONE at once.
 * "until": a signal with that key makes it DONE; "big": the result goes through a compressed blob. No AWS anywhere. */
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"
#include "common/queue/queue.h"
#include "dispatcher/planner/playbook.h"

#include <stdio.h>
#include <zstd.h>

#define HELD_MAX 64
#define ROUND_MS 20

struct hold {
    struct stand_in *me;
    uint32_t shard;
    char id[IMPORT_ID_BYTES];
    struct record record;
    bool is_used, is_busy;
    uint8_t step;
    char *result, *task, *error;
    struct queue_item item;
};

struct stand_in {
    uv_loop_t loop;
    uv_timer_t timer;
    struct redis *redis;
    struct queue *queue;
    struct playbook *playbook;
    const char *script_path;
    json_t *script;
    uint32_t shards;
    uint64_t session;
    uint32_t busy;
    struct hold holds[HELD_MAX];
};

static void read_script(struct stand_in *m)
{
    struct err err;
    char *text = NULL;
    size_t len = 0;
    if (file_read(m->script_path, 1 << 20, &text, &len, &err) == 0) {
        json_t *fresh = json_read(text, len, 0, &err);
        if (fresh) {
            json_decref(m->script);
            m->script = fresh;
        }
    }
    mem_free(text);
}

static struct hold *hold_of(struct stand_in *m, uint32_t shard, const char *id)
{
    struct hold *empty = NULL;
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (m->holds[i].is_used && str_eq(m->holds[i].id, id))
            return &m->holds[i];
        if (!m->holds[i].is_used && !empty)
            empty = &m->holds[i];
    }
    if (empty) {
        *empty = (struct hold){.me = m, .shard = shard, .is_used = true};
        (void)snprintf(empty->id, sizeof empty->id, "%s", id);
    }
    return empty;
}

static void keep(struct stand_in *m, uint32_t shard, const struct queue_held *held)
{
    struct hold *h = hold_of(m, shard, held->import_id);
    if (!h)
        return;
    h->record = held->record;
    if (h->record.session != m->session)
        h->is_used = h->is_busy;
}

static void turned(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct hold *h = arg;
    h->is_busy = false;
    mem_free(h->result);
    mem_free(h->task);
    mem_free(h->error);
    h->result = h->task = h->error = NULL;
    if (err) {
        (void)fprintf(stderr, "turn: %s\n", err->text);
        return;
    }
    for (size_t i = 0; i < reply->item_count; i++)
        keep(h->me, h->shard, &reply->items[i]);
}

static void send_item(struct hold *h)
{
    queue_turn(h->me->queue, h->shard, h->me->session, 0, &h->item, 1, turned, h);
}

static void blob_put(void *arg, const struct err *err)
{
    struct hold *h = arg;
    if (err)
        (void)fprintf(stderr, "blob: %s\n", err->text);
    send_item(h);
}

/* As the runtime keeps big results: the text by its digest, compressed. */
static void put_big(struct hold *h)
{
    char digest[65], packed[65536];
    size_t len = strlen(h->result);
    crypto_sha256_hex(h->result, len, digest);
    size_t n = ZSTD_compress(packed, sizeof packed, h->result, len, 3);
    mem_free(h->result);
    h->result = mem_printf("{\"$blob\":\"%s\",\"bytes\":%zu}", digest, len);
    h->item.result = h->result;
    queue_blob_put(h->me->queue, h->id, digest, packed, n, blob_put, h);
}

static char *text_at(const json_t *how, const char *key)
{
    const json_t *value = json_object_get(how, key);
    return value ? json_text(value) : NULL;
}

static enum blocking_party party_of(const char *name)
{
    for (int i = PARTY_NONE; i <= PARTY_ORGIMPORT; i++)
        if (str_eq(party_name((enum blocking_party)i), name))
            return (enum blocking_party)i;
    return PARTY_NONE;
}

static void end_step(struct hold *h, const json_t *how, bool is_signalled)
{
    const struct record *r = &h->record;
    char outcome = is_signalled ? 'D' : *json_str_or(how, "outcome", "D");
    h->result = outcome == 'D' ? text_at(how, "result") : NULL;
    if (outcome == 'D' && !h->result)
        h->result = mem_printf("{\"grade\":\"%s\"}", is_signalled ? "attested" : "probed");
    h->task = outcome == 'D' ? mem_dup("") : text_at(how, "task");
    h->error = outcome == 'D' ? mem_dup("") : text_at(how, "error");
    h->item = (struct queue_item){.outcome = (enum queue_outcome)outcome,
                                  .import_id = h->id,
                                  .step = h->step,
                                  .delay_ms = 600000,
                                  .token = {r->fence, r->nonce, r->steps[h->step].claim_version},
                                  .party = party_of(json_str_or(how, "party", "customer")),
                                  .result = h->result,
                                  .task = h->task,
                                  .error = h->error};
    if (h->result && json_bool_at(how, "big"))
        put_big(h);
    else
        send_item(h);
}

static const json_t *how_of(const struct hold *h)
{
    return json_object_get(h->me->script, json_str_at(h->me->playbook->steps[h->step], "id"));
}

static void signals_read(void *arg, const struct err *err, const struct queue_load *load)
{
    struct hold *h = arg;
    struct err why;
    const char *text = err ? NULL : load->signals[h->step];
    json_auto_t *signals = text ? json_read(text, strlen(text), 0, &why) : NULL;
    end_step(h, how_of(h), json_object_get(signals, json_str_or(how_of(h), "until", "done")) != NULL);
}

static void work(struct hold *h)
{
    for (uint8_t i = 0; i < h->record.step_count && !h->is_busy; i++) {
        if (h->record.steps[i].state != STATE_ACTIVE)
            continue;
        h->is_busy = true;
        h->step = i;
        queue_load(h->me->queue, h->id, &h->record, true, signals_read, h);
    }
}

/* ---- Claiming
 * ---------------------------------------------------------------------------------------------------------- */

struct claiming {
    struct stand_in *me;
    uint32_t shard;
    struct queue_item nudge;
    char id[IMPORT_ID_BYTES];
};

static void nudge(struct stand_in *m, uint32_t shard, const char *id);

static void claimed(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct claiming *c = arg;
    c->me->busy--;
    for (size_t i = 0; !err && i < reply->claim_count; i++)
        keep(c->me, c->shard, &reply->claims[i]);
    for (size_t i = 0; !err && i < reply->item_count; i++)
        keep(c->me, c->shard, &reply->items[i]);
    for (size_t i = 0; !err && i < reply->mail_count; i++)
        nudge(c->me, c->shard, reply->mail[i]);
    if (err)
        (void)fprintf(stderr, "claim: %s\n", err->text);
    mem_free(c);
}

static void nudge(struct stand_in *m, uint32_t shard, const char *id)
{
    struct claiming *c = MEM_NEW(struct claiming);
    c->me = m;
    c->shard = shard;
    (void)snprintf(c->id, sizeof c->id, "%s", id);
    c->nudge = (struct queue_item){.outcome = OUTCOME_NUDGE, .import_id = c->id};
    m->busy++;
    queue_turn(m->queue, shard, m->session, 0, &c->nudge, 1, claimed, c);
}

static void go_round(uv_timer_t *timer)
{
    struct stand_in *m = timer->data;
    uint32_t room = 0;
    read_script(m);
    for (size_t i = 0; i < HELD_MAX; i++) {
        room += !m->holds[i].is_used;
        if (m->holds[i].is_used && !m->holds[i].is_busy)
            work(&m->holds[i]);
    }
    for (uint32_t i = 0, is_idle = m->busy == 0; i < m->shards && is_idle; i++) {
        struct claiming *c = MEM_NEW(struct claiming);
        c->me = m;
        c->shard = i;
        m->busy++;
        queue_turn(m->queue, i, m->session, room > 32 ? 32 : room, NULL, 0, claimed, c);
    }
}

static void opened(void *arg, const struct err *err)
{
    struct stand_in *m = arg;
    m->busy--;
    if (err) {
        (void)fprintf(stderr, "session: %s\n", err->text);
        _exit(1);
    }
    if (!m->busy) {
        (void)uv_timer_start(&m->timer, go_round, 0, ROUND_MS);
        (void)puts("ready");
        (void)fflush(stdout);
    }
}

static void ready(void *arg, const struct err *err)
{
    struct stand_in *m = arg;
    if (err) {
        (void)fprintf(stderr, "queue: %s\n", err->text);
        _exit(1);
    }
    m->busy = m->shards;
    for (uint32_t i = 0; i < m->shards; i++)
        queue_session_open(m->queue, i, m->session, 600000, "{\"name\":\"stand-in\"}", opened, m);
}

int main(int argc, char **argv)
{
    static struct stand_in me;
    struct err err = {0};
    uint64_t shards = 0;
    if (argc != 5 || !str_to_u64(argv[2], 256, &shards)) {
        (void)fputs("usage: stand_in_worker REDIS_URL SHARDS PLAYBOOK SCRIPT\n", stderr);
        return 2;
    }
    me.shards = (uint32_t)shards;
    me.script_path = argv[4];
    me.session = 1 + env_random_below(env_system(), UINT32_MAX);
    me.timer.data = &me;
    struct redis_options redis = {.url = argv[1], .client_name = "stand-in", .env = env_system()};
    struct queue_options options = {.prefix = "f", .shard_count = me.shards, .is_simulated = true, .env = env_system()};
    if (uv_loop_init(&me.loop) != 0 || uv_timer_init(&me.loop, &me.timer) != 0 ||
        playbook_load(argv[3], &me.playbook, &err) < 0 || redis_new(&me.loop, &redis, &me.redis, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    me.queue = queue_new(me.redis, &options, ready, &me);
    return uv_run(&me.loop, UV_RUN_DEFAULT);
}
