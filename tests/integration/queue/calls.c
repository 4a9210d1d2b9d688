/* Every call of the queue once or twice against a real Redis: what it answers, and what people read back. */
#include "tests/integration/queue/rig.h"

#include <string.h>

#define A "imp_00a"
#define B "imp_00b"
#define S1 0xabcdef0123456789ULL

static void submit_is_idempotent_and_an_account_has_one_open_import(void)
{
    struct dag dag = rig_dag("0 1:0w 2:0r 3:1,2");
    char existing[IMPORT_ID_BYTES];
    CHECK_OK(rig_submit(A, "aws/111111111111", &dag, NULL, existing));
    CHECK(str_eq(existing, ""));
    CHECK_OK(rig_submit(A, "aws/111111111111", &dag, NULL, existing));
    CHECK(str_eq(existing, A));
    CHECK_ERR(rig_submit(B, "aws/111111111111", &dag, NULL, existing), ERR_IMPORT_EXISTS);
    CHECK(str_eq(existing, A) && strstr(rig_text, A));
    CHECK_ERR(rig_submit("imp_zz/../x", "aws/1", &dag, NULL, existing), ERR_FIELD_INVALID);
    rig_audit();
}

static void a_held_import_runs_its_steps_to_the_end(void)
{
    struct rig_turn t;
    CHECK_OK(rig_session(S1, 30000));
    CHECK_OK(rig_turn(S1, 4, NULL, 0, &t));
    CHECK(t.claim_count == 1 && str_eq(t.claims[0].import_id, A));
    struct queue_held h = t.claims[0];
    CHECK(h.record.steps[0].state == STATE_ACTIVE && h.record.steps[1].state == STATE_PENDING);
    CHECK(h.record.state == IMPORT_RUNNING && h.record.session == S1);

    struct queue_item it = rig_item(&h, 0, OUTCOME_DONE);
    it.result = "{\"x\":1}";
    it.journal = "{\"seq\":1}";
    CHECK_OK(rig_turn(S1, 4, &it, 1, &t));
    CHECK(t.items[0].ack == ACK_OK && t.claim_count == 0);
    h = t.items[0];
    CHECK(h.record.steps[1].state == STATE_ACTIVE && h.record.steps[2].state == STATE_ACTIVE);
    CHECK(h.record.writers == 1 && h.record.readers == 1);
    /* The reply was lost: the same once more. */
    CHECK_OK(rig_turn(S1, 4, &it, 1, &t));
    CHECK(t.items[0].ack == ACK_ALREADY && t.items[0].record.version == h.record.version);

    struct queue_item two[2] = {rig_item(&h, 1, OUTCOME_DONE), rig_item(&h, 2, OUTCOME_WAIT)};
    two[1].task = "{\"title\":\"look\"}";
    two[1].party = PARTY_CUSTOMER;
    two[1].delay_ms = 60000;
    CHECK_OK(rig_turn(S1, 4, two, 2, &t));
    h = t.items[1];
    CHECK(h.record.session == 0 && h.record.state == IMPORT_WAITING && h.record.party == PARTY_CUSTOMER);
    CHECK(h.record.steps[2].attempts == 0);
    rig_audit();
}

static json_t *ask(void (*call)(struct queue *, queue_json_fn *, void *))
{
    struct rig_json j = {0};
    call(rig.queue, rig_on_json, &j);
    rig_wait(&j.is_done);
    CHECK_OK(j.code);
    return j.value;
}

static void tasks_first_page(struct queue *q, queue_json_fn *fn, void *arg)
{
    queue_tasks(q, 0, "", 10, fn, arg);
}
static void waiting_page(struct queue *q, queue_json_fn *fn, void *arg)
{
    queue_list(q, 0, "waiting", "", 10, fn, arg);
}
static void all_events(struct queue *q, queue_json_fn *fn, void *arg)
{
    queue_events(q, 0, "0", 100, fn, arg);
}
static void end_of_events(struct queue *q, queue_json_fn *fn, void *arg)
{
    queue_events(q, 0, "$", 100, fn, arg);
}
static void ledger_page(struct queue *q, queue_json_fn *fn, void *arg)
{
    queue_ledger(q, A, 0, 100, fn, arg);
}

static void people_read_what_is_stored(void)
{
    json_auto_t *get = rig_get(A), *tasks = ask(tasks_first_page), *list = ask(waiting_page), *stats = ask(queue_stats);
    json_auto_t *events = ask(all_events), *end = ask(end_of_events);
    CHECK(str_eq(json_str_at(get, "state"), "waiting") && str_eq(json_str_at(get, "party"), "customer"));
    CHECK(str_eq(json_str_at(get, "steps.1.name"), "one") && str_eq(json_str_at(get, "steps.0.state"), "DONE"));
    CHECK(json_int_at(get, "steps.0.result.x") == 1 && str_eq(json_str_at(get, "steps.0.journal_keys.0"), "seq"));
    CHECK(str_eq(json_str_at(get, "steps.2.task.title"), "look") && json_bool_at(get, "has_credential"));
    CHECK(json_array_size(json_at(tasks, "data")) == 1 && json_int_at(tasks, "data.0.step") == 2);
    CHECK(str_eq(json_str_at(tasks, "data.0.import_id"), A));
    CHECK(json_array_size(json_at(list, "data")) == 1 && str_eq(json_str_at(list, "data.0.id"), A));
    CHECK(json_int_at(stats, "shards.0.imports.waiting") == 1 && json_int_at(stats, "shards.0.due") == 1);
    CHECK(str_eq(json_str_at(stats, "shards.0.sessions.0.worker.worker"), "rig"));
    CHECK(str_eq(json_str_at(events, "data.0.type"), "import.state") &&
          str_eq(json_str_at(events, "data.0.state"), "accepted"));
    CHECK(str_eq(json_str_at(events, "cursor"), json_str_at(end, "cursor")));
    bool has_task_event = false;
    for (size_t i = 0; i < json_array_size(json_at(events, "data")); i++)
        has_task_event |= str_eq(json_str_at(json_array_get(json_at(events, "data"), i), "type"), "task.opened");
    CHECK(has_task_event);
}

static void a_signal_wakes_and_the_import_completes(void)
{
    struct rig_turn t;
    CHECK_OK(rig_signal(A, 2, "done", "{\"by\":\"ann\",\"code\":\"123456\"}"));
    CHECK_OK(rig_signal(A, 2, "done", "{\"by\":\"bob\"}")); /* the first writer wins */
    CHECK_OK(rig_turn(S1, 4, NULL, 0, &t));
    CHECK(t.claim_count == 1);
    struct queue_held h = t.claims[0];
    CHECK(h.record.steps[2].state == STATE_ACTIVE);
    json_auto_t *get = rig_get(A);
    CHECK(str_eq(json_str_at(get, "steps.2.signals.done.by"), "ann"));
    CHECK(str_eq(json_str_at(get, "worker.worker"), "rig"));
    struct queue_item it = rig_item(&h, 2, OUTCOME_DONE);
    CHECK_OK(rig_turn(S1, 4, &it, 1, &t));
    h = t.items[0];
    CHECK(h.record.steps[3].state == STATE_ACTIVE);
    it = rig_item(&h, 3, OUTCOME_DONE);
    CHECK_OK(rig_turn(S1, 4, &it, 1, &t));
    CHECK(t.items[0].record.state == IMPORT_COMPLETED && t.items[0].record.session == 0);
    CHECK_ERR(rig_redrive(A, -1), ERR_STATE_CONFLICT);
    CHECK_ERR(rig_decide(queue_cancel, A), ERR_STATE_CONFLICT);
    CHECK_ERR(rig_signal(A, 3, "done", "{}"), ERR_STATE_CONFLICT);
    CHECK_ERR(rig_signal("imp_00nobody", 3, "done", "{}"), ERR_NOT_FOUND);
    json_auto_t *ledger = ask(ledger_page);
    CHECK(json_array_size(json_at(ledger, "data")) == 1 && str_eq(json_str_at(ledger, "data.0.by"), "ann"));
    CHECK(!json_has(json_at(ledger, "data.0"), "code"));
    /* The account is free again. */
    struct dag dag = rig_dag("0");
    char existing[IMPORT_ID_BYTES];
    CHECK_OK(rig_submit(B, "aws/111111111111", &dag, NULL, existing));
    CHECK_OK(rig_decide(queue_cancel, B));
    CHECK_OK(rig_decide(queue_cancel, B));
    CHECK(rig_record(B).state == IMPORT_CANCELLED);
    rig_audit();
}

static bool blob_seen, load_seen;
static void on_blob(void *arg, const struct err *err, const void *bytes, size_t len)
{
    (void)arg;
    CHECK(!err && len == 5 && memcmp(bytes, "a\0bcd", 5) == 0);
    blob_seen = true;
}
static void on_done(void *arg, const struct err *err)
{
    CHECK(!err);
    *(bool *)arg = true;
}
static void on_load(void *arg, const struct err *err, const struct queue_load *load)
{
    (void)arg;
    CHECK(!err && strstr(load->doc, "Acme") && !load->credential); /* finished: the credential is gone */
    CHECK(str_eq(load->journal[0], "{\"seq\":1}") && str_eq(load->result[0], "{\"x\":1}") && !load->result[1]);
    CHECK(strstr(load->signals[2], "ann") && !load->signals[0]);
    load_seen = true;
}

static void texts_and_blobs_come_back(void)
{
    bool done = false;
    queue_blob_put(rig.queue, A, "d1", "a\0bcd", 5, on_done, &done);
    rig_wait(&done);
    queue_blob_get(rig.queue, A, "d1", on_blob, NULL);
    rig_wait(&blob_seen);
    struct record record = rig_record(A);
    queue_load(rig.queue, A, &record, false, on_load, NULL);
    rig_wait(&load_seen);
}

static uint32_t granted, wait_ms;
static bool tokens_seen;
static void on_tokens(void *arg, const struct err *err, uint32_t got, uint32_t wait)
{
    (void)arg;
    CHECK(!err);
    granted = got;
    wait_ms = wait;
    tokens_seen = true;
}

static void buckets_are_shared_and_refill_by_the_rate(void)
{
    const struct {
        uint32_t want, granted, wait_ms;
        uint64_t later_ms;
        uint32_t pause_ms;
    } cases[] = {{3, 3, 0, 0, 0},
                 {3, 2, 1000, 0, 0},
                 {1, 0, 1000, 0, 0},
                 {1, 0, 500, 500, 0},
                 {1, 1, 0, 500, 0},
                 {9, 5, 1000, 100000, 0},
                 /* A throttle: nobody before its end, and then one by one; a shorter one changes nothing. */
                 {0, 0, 0, 100000, 7000},
                 {1, 0, 8000, 0, 0},
                 {1, 0, 5000, 3000, 2000},
                 {1, 0, 1000, 4000, 0},
                 {1, 1, 0, 1000, 0},
                 {1, 0, 1000, 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rig_clock_add(cases[i].later_ms);
        tokens_seen = false;
        const struct queue_bucket bucket = {"999900000001", "iam", 100, 5};
        queue_tokens(rig.queue, &bucket, cases[i].want, cases[i].pause_ms, on_tokens, NULL);
        rig_wait(&tokens_seen);
        CHECK(granted == cases[i].granted && wait_ms == cases[i].wait_ms);
    }
}

static void a_fleet_of_the_other_kind_is_refused(void)
{
    rig_close();
    CHECK_ERR(rig_open_as(false, 1, false), ERR_FLEET_MODE);
    rig_close();
    CHECK_ERR(rig_open_as(true, 4, false), ERR_CONFIG);
    rig_close();
    freeReplyObject(rig_command("CONFIG SET appendfsync everysec"));
    CHECK_ERR(rig_open_as(true, 1, false), ERR_REDIS_CONFIG);
    CHECK(strstr(rig_text, "appendfsync"));
    rig_close();
    CHECK_OK(rig_open_as(true, 1, true));
    CHECK(strstr(queue_warnings(rig.queue), "disk"));
    freeReplyObject(rig_command("HSET f:{0}:meta min_client 9"));
    rig_close();
    CHECK_ERR(rig_open_as(true, 1, true), ERR_SCHEMA);
    freeReplyObject(rig_command("HSET f:{0}:meta min_client 1"));
    freeReplyObject(rig_command("CONFIG SET appendfsync always"));
    rig_close();
    rig_open(false);
}

static void lost_functions_are_loaded_again(void)
{
    freeReplyObject(rig_command("FUNCTION FLUSH"));
    CHECK(rig_tick() < UINT64_MAX);
    rig_audit();
}

/* As the user that deploy/redis ships (integration.queue.acl.calls): our keys and commands, nothing else. */
static bool is_denied(redisContext *ctx, const char *command)
{
    redisReply *reply = redisCommand(ctx, command);
    CHECK(reply);
    bool is = reply->type == REDIS_REPLY_ERROR && str_starts(reply->str, "NOPERM");
    freeReplyObject(reply);
    return is;
}

static void the_shipped_user_can_do_nothing_else(void)
{
    static const char *const outside[] = {"GET other:key",     "HSET other h v",     "FLUSHALL",
                                          "KEYS f:*",          "CONFIG SET dir /",   "ACL LIST",
                                          "SHUTDOWN",          "REPLICAOF NO ONE",   "FUNCTION FLUSH",
                                          "FUNCTION DELETE x", "SCRIPT FLUSH",       "MONITOR",
                                          "SUBSCRIBE other",   "CLUSTER RESET",      "CLIENT LIST",
                                          "MIGRATE h 1 k 0 1", "RENAME f:{0}:h f:x", "XGROUP DESTROY f:a g"};
    struct err err;
    struct redis_options o = {.url = rig.queue_url};
    redisContext *ctx = redis_connect_blocking(&o, 2000, &err);
    CHECK(ctx);
    bool is_limited = getenv("ORGIMPORT_ACL") != NULL;
    for (size_t i = 0; is_limited && i < ARRAY_LEN(outside); i++)
        if (!is_denied(ctx, outside[i]))
            rig_fail(__FILE__, __LINE__, outside[i]);
    /* A script may run, and reach no further than its caller. */
    redisReply *reply = redisCommand(ctx, "EVAL %s 0", "return redis.call('GET', 'other:key')");
    CHECK(reply && (reply->type == REDIS_REPLY_ERROR) == is_limited);
    freeReplyObject(reply);
    redisFree(ctx);
}

int main(void)
{
    rig_start(NULL, 1, true);
    rig_open(false);
    RUN(submit_is_idempotent_and_an_account_has_one_open_import);
    RUN(a_held_import_runs_its_steps_to_the_end);
    RUN(people_read_what_is_stored);
    RUN(a_signal_wakes_and_the_import_completes);
    RUN(texts_and_blobs_come_back);
    RUN(buckets_are_shared_and_refill_by_the_rate);
    RUN(a_fleet_of_the_other_kind_is_refused);
    RUN(lost_functions_are_loaded_again);
    RUN(the_shipped_user_can_do_nothing_else);
    rig_stop();
    return 0;
}
