#include "tests/bench/load.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

#define HASH "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
const char *const load_journal =
    "{\"head\":\"" HASH "\",\"seq\":1,\"set\":{\"last\":{\"code\":\"\",\"outcome\":\"D\",\"reads\":\"" HASH
    "\"}},\"version\":1}";
const char *const load_result = "{\"grade\":\"probed\"}";
const char *const load_ledger =
    "{\"at_ms\":1700000000000,\"fence\":\"1700000000000000\",\"hash\":"
    "\"2e01e8e52ed3c57987e0f92104db4ec4d7ea7a4941d57d80da25d8c51b0cf433"
    "\",\"kind\":\"outcome\",\"n\":1,\"nonce\":\"3735928559\",\"prev\":\"\",\"result\":{\"grade\":\"probed\","
    "\"outcome\":\"D\",\"result\":\"" HASH "\"},\"step\":\"drill_noop_01\"}\n";

#define SUBMITS_ON_THE_WAY 256
#define CLAIMS_MOST 32

struct dag load_chain(unsigned steps)
{
    struct dag dag = {.step_count = (uint8_t)steps};
    struct err err;
    for (unsigned i = 0; i < steps; i++) {
        dag.steps[i].class_ = DAG_WRITER;
        dag.steps[i].attempts_max = 200;
        dag.steps[i].needs_count = i > 0;
        dag.steps[i].needs[0] = (uint8_t)(i > 0 ? i - 1 : 0);
    }
    CHECK(dag_finish(&dag, &err) == 0);
    return dag;
}

/* ---- Submit ---- */
struct submits {
    const struct dag *dag;
    uint32_t left, on_the_way, groups;
    struct rig_share share;
    bool is_done;
};
static uint64_t submit_serial;

uint64_t load_count(void)
{
    return submit_serial;
}

const char *load_id(uint64_t n)
{
    static char id[IMPORT_ID_BYTES];
    (void)snprintf(id, sizeof id, "imp_00bench%019llu", (unsigned long long)n);
    return id;
}

static void submit_more(struct submits *s);

static void submitted(void *arg, const struct err *err, const char *existing)
{
    struct submits *s = arg;
    CHECK(!err && str_eq(existing, ""));
    s->on_the_way--;
    submit_more(s);
    s->is_done = !s->left && !s->on_the_way;
}

static void submit_more(struct submits *s)
{
    while (s->left && s->on_the_way < SUBMITS_ON_THE_WAY) {
        char id[IMPORT_ID_BYTES], account[32];
        struct record record;
        uint64_t n = submit_serial++;
        (void)snprintf(id, sizeof id, "%s", load_id(n));
        (void)snprintf(account, sizeof account, "aws/%012llu", (unsigned long long)n);
        record_new(s->dag, NULL, 1, &record);
        record.group = s->groups ? s->left % s->groups + 1 : s->share.group;
        record.weight = s->share.weight;
        s->left--;
        s->on_the_way++;
        queue_submit(rig.queue,
                     &(struct queue_submit){.import_id = id,
                                            .account_key = account,
                                            .dag = s->dag,
                                            .record = &record,
                                            .doc =
                                                "{\"customer\":{\"name\":\"Acme\"},\"organization\":"
                                                "{\"management_account_id\":\"111122223333\"},\"playbook\":\"b@1\"}"},
                     submitted, s);
    }
}

/* The rig waits a minute at most, and a million steps take longer on a busy machine. */
static void wait_long(const bool *done)
{
    while (!*done)
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
}

static void submit_all(struct submits s)
{
    s.is_done = !s.left;
    rig_learn_shape(s.dag);
    submit_more(&s);
    wait_long(&s.is_done);
}

void load_submit_share(uint32_t imports, struct rig_share share, const struct dag *dag)
{
    submit_all((struct submits){.dag = dag, .left = imports, .share = share});
}

void load_submit_groups(uint32_t imports, uint32_t groups, const struct dag *dag)
{
    submit_all((struct submits){.dag = dag, .left = imports, .groups = groups, .share = {.weight = RECORD_WEIGHT}});
}

void load_submit(uint32_t imports, const struct dag *dag)
{
    load_submit_groups(imports, 0, dag);
}

/* ---- Turns ---- */
struct ready { /* an active step of ours that nobody has finished yet */
    char id[IMPORT_ID_BYTES];
    uint8_t step;
    struct queue_token token;
    struct queue_ahead ahead; /* as a worker has it: the record is computed here, not in Redis */
};

struct holder {
    uint64_t session;
    struct load_shape shape;
    struct ready *ready; /* a ring buffer */
    size_t first, count, room;
    uint32_t held, on_the_way, wants;
    uint64_t steps, turns, steps_max, sent;
    bool may_claim, may_finish, is_done;
};

struct one_turn {
    struct holder *h;
    uint32_t want;
    size_t count;
    struct ready items[32];
};

static void add_active(struct holder *h, const struct queue_held *held)
{
    for (unsigned i = 0; i < held->record.step_count; i++) {
        const struct record_step *s = &held->record.steps[i];
        if (s->state != STATE_ACTIVE)
            continue;
        ASSERT(h->count < h->room);
        struct ready *r = &h->ready[(h->first + h->count++) % h->room];
        memcpy(r->id, held->import_id, sizeof r->id);
        r->step = (uint8_t)i;
        r->token = (struct queue_token){held->record.fence, held->record.nonce, s->claim_version};
        r->ahead = (struct queue_ahead){held->record, true};
    }
}

static void pump(struct holder *h);

static void turned(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct one_turn *t = arg;
    struct holder *h = t->h;
    if (err)
        (void)fprintf(stderr, "%s\n", err->text);
    CHECK(!err && !reply->is_gone);
    for (size_t i = 0; i < reply->item_count; i++) {
        CHECK(reply->items[i].ack == ACK_OK);
        if (reply->items[i].record.session == h->session)
            add_active(h, &reply->items[i]);
        else
            h->held--;
    }
    for (size_t i = 0; i < reply->claim_count; i++)
        add_active(h, &reply->claims[i]);
    h->held += (uint32_t)reply->claim_count;
    h->wants -= t->want;
    h->may_claim = reply->others_wait;
    h->steps += reply->item_count;
    h->turns++;
    h->on_the_way--;
    mem_free(t);
    pump(h);
}

static void send_turn(struct holder *h, uint32_t want)
{
    struct queue_item items[32];
    struct one_turn *t = MEM_NEW(struct one_turn);
    t->h = h;
    t->want = want;
    while (h->may_finish && h->count && t->count < h->shape.batch && h->sent < h->steps_max) {
        t->items[t->count] = h->ready[h->first];
        h->first = (h->first + 1) % h->room;
        h->count--;
        h->sent++;
        struct ready *r = &t->items[t->count];
        items[t->count++] = (struct queue_item){.outcome = OUTCOME_DONE,
                                                .import_id = r->id,
                                                .step = r->step,
                                                .token = r->token,
                                                .journal = load_journal,
                                                .result = load_result,
                                                .ledger = load_ledger,
                                                .ahead = &r->ahead};
    }
    h->wants += want;
    h->on_the_way++;
    queue_turn(rig.queue, 0, h->session, want, items, t->count, turned, t);
}

/* Full turns while there are any; the rest goes when nothing else is on the way that could fill one. */
static void pump(struct holder *h)
{
    while (h->on_the_way < h->shape.pipeline) {
        uint32_t room = h->shape.slots > h->held + h->wants ? h->shape.slots - h->held - h->wants : 0;
        uint32_t want = !h->may_claim ? 0 : room > CLAIMS_MOST ? CLAIMS_MOST : room;
        bool can_finish = h->may_finish && h->count && h->sent < h->steps_max;
        bool is_full = can_finish && h->count >= h->shape.batch;
        if (!want && !is_full && !(can_finish && !h->on_the_way))
            break;
        if (want)
            h->may_claim = false; /* until an answer says that others wait */
        send_turn(h, want);
    }
    h->is_done = !h->on_the_way;
}

static void work(struct holder *h, struct load_count *ret)
{
    uint64_t began = uv_hrtime();
    h->room = h->shape.slots + CLAIMS_MOST + 1;
    h->ready = mem_alloc(h->room * sizeof *h->ready);
    h->may_claim = true;
    pump(h);
    wait_long(&h->is_done);
    if (ret)
        *ret = (struct load_count){h->steps, h->turns, (double)(uv_hrtime() - began) / 1e9};
    mem_free(h->ready);
}

void load_hold(uint64_t session, uint32_t imports)
{
    struct holder h = {.session = session, .shape = {.batch = 1, .pipeline = 4, .slots = imports}};
    CHECK_OK(rig_session(session, 600000));
    work(&h, NULL);
    CHECK(h.held == imports);
}

void load_run_some(uint64_t session, const struct load_shape *shape, uint64_t steps_max, struct load_count *ret)
{
    struct holder h = {.session = session, .shape = *shape, .may_finish = true, .steps_max = steps_max};
    CHECK_OK(rig_session(session, 600000));
    work(&h, ret);
}

void load_run(uint64_t session, const struct load_shape *shape, struct load_count *ret)
{
    load_run_some(session, shape, UINT64_MAX, ret);
}

/* ---- Redis's own words ---- */
static double info_number(const char *info, const char *field)
{
    const char *at = strstr(info, field);
    CHECK(at);
    return strtod(at + strlen(field), NULL);
}

static bool is_ours(const char *name)
{
    static const char *const not_ours[] = {"fcall:", "info:", "config|", "slowlog|", "ping:", "client|"};
    for (size_t i = 0; i < ARRAY_LEN(not_ours); i++)
        if (str_starts(name, not_ours[i]))
            return false;
    return true;
}

struct load_meter load_meter(void)
{
    struct load_meter m = {0};
    redisReply *cpu = rig_command("INFO cpu"), *commands = rig_command("INFO commandstats"),
               *memory = rig_command("INFO memory");
    m.cpu_us = 1e6 * (info_number(cpu->str, "used_cpu_user_main_thread:") +
                      info_number(cpu->str, "used_cpu_sys_main_thread:"));
    m.memory = (uint64_t)info_number(memory->str, "used_memory:");
    for (const char *at = strstr(commands->str, "cmdstat_"); at; at = strstr(at, "cmdstat_")) {
        at += strlen("cmdstat_");
        uint64_t calls = (uint64_t)info_number(at, "calls=");
        m.inner += is_ours(at) ? calls : 0;
        m.outer += str_starts(at, "fcall:") ? calls : 0;
    }
    freeReplyObject(cpu);
    freeReplyObject(commands);
    freeReplyObject(memory);
    return m;
}

void load_slowlog_reset(void)
{
    freeReplyObject(rig_command("CONFIG SET slowlog-log-slower-than 100"));
    freeReplyObject(rig_command("CONFIG SET slowlog-max-len 4096"));
    freeReplyObject(rig_command("SLOWLOG RESET"));
}

uint64_t load_slowest_us(void)
{
    redisReply *log = rig_command("SLOWLOG GET 4096");
    long long most = 0;
    for (size_t i = 0; i < log->elements; i++) {
        const redisReply *words = log->element[i]->element[3];
        bool is_turn = words->elements > 1 && str_eq(words->element[1]->str, "turn_1");
        if (is_turn && log->element[i]->element[2]->integer > most)
            most = log->element[i]->element[2]->integer;
    }
    freeReplyObject(log);
    return (uint64_t)most;
}
