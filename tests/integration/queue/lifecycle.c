/* What must hold in an import's life, whatever comes between: zombies, lost answers, deaths.
 * The audit runs after each test. Time belongs to the test. */
#include "tests/integration/queue/life.h"

#include "common/queue/queue_private.h"

#include "common/base/mem.h"
#include "common/crypto/crypto.h"

#include <string.h>

/* ---- Fencing ------------------------------------------------------------------------------------------------------
 */
static void a_write_with_a_wrong_token_changes_nothing(void)
{
    static const enum queue_outcome all[] = {OUTCOME_SAVE, OUTCOME_DONE,  OUTCOME_RETRY, OUTCOME_FAIL,
                                             OUTCOME_WAIT, OUTCOME_SLEEP, OUTCOME_HOLD,  OUTCOME_INTERRUPT};
    const char *id = import_new("0 1:0");
    struct queue_held h = claim_one(S1, id);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (int wrong = 0; wrong < 5; wrong++) {
            struct queue_item it = rig_item(&h, 0, all[i]);
            it.journal = "{\"zombie\":1}";
            it.ledger = "{\"n\":1,\"step\":\"x\"}\n";
            it.token.fence += wrong == 0;
            it.token.fence -= wrong == 1;
            it.token.nonce ^= wrong == 2;
            it.token.claim_version += wrong == 3;
            (void)send_one(wrong == 4 ? S2 : S1, it, ACK_STALE);
        }
    CHECK(rig_number("HEXISTS f:{0}:h %s/0", id) == 0 && rig_number("HEXISTS f:{0}:h %s/0>1", id) == 0);
    struct record r = rig_record(id);
    CHECK(r.version == h.record.version && r.steps[0].state == STATE_ACTIVE);
    put_away(id);
}

/* The old holder of a step that somebody else has now is refused at every kind of write. */
static void a_zombie_is_refused_at_every_write(void)
{
    static const enum queue_outcome all[] = {OUTCOME_SAVE,  OUTCOME_DONE, OUTCOME_RETRY,     OUTCOME_FAIL, OUTCOME_WAIT,
                                             OUTCOME_SLEEP, OUTCOME_HOLD, OUTCOME_INTERRUPT, OUTCOME_NUDGE};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        uint64_t dying = 0x2000000000000000ULL + i;
        const char *id = import_new("0 1:0");
        CHECK_OK(rig_session(dying, 10000));
        struct queue_held old = claim_one(dying, id);
        rig_clock_add(10001);
        (void)rig_tick();
        struct record r = rig_record(id);
        CHECK(r.session == 0 && r.steps[0].state == STATE_DELAYED && r.steps[0].crashes == 1);
        (void)send_one(S1, rig_item(&old, 0, all[i]), ACK_STALE); /* reaped, nobody has it yet */
        rig_clock_add(2000);
        CHECK_OK(rig_session(S1, 1000000));
        struct queue_held now = claim_one(S1, id);
        CHECK(now.record.fence > old.record.fence && now.record.nonce != old.record.nonce);
        struct queue_item it = rig_item(&old, 0, all[i]);
        it.journal = "{\"zombie\":1}";
        struct rig_turn t;
        CHECK_OK(rig_turn(dying, 4, &it, 1, &t));
        CHECK(t.is_gone && t.items[0].ack == ACK_STALE && t.claim_count == 0);
        CHECK(rig_number("HEXISTS f:{0}:h %s/0", id) == 0);
        put_away(id);
    }
}

static void a_lost_answer_is_sent_again_and_nothing_happens_twice(void)
{
    static const enum queue_outcome all[] = {OUTCOME_DONE,  OUTCOME_RETRY, OUTCOME_FAIL,     OUTCOME_WAIT,
                                             OUTCOME_SLEEP, OUTCOME_HOLD,  OUTCOME_INTERRUPT};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const char *id = import_new("0 1:0");
        struct queue_held h = claim_one(S1, id);
        struct queue_item it = rig_item(&h, 0, all[i]);
        it.delay_ms = 60000;
        char hash[65];
        AUTO_FREE char *line = chain_line("x", 1, "", hash);
        it.ledger = line;
        struct queue_held first = send_one(S1, it, ACK_OK), second = send_one(S1, it, ACK_ALREADY);
        CHECK(rig_is_same(&first.record, &second.record));
        CHECK(second.record.steps[0].lines == 1 && rig_number("HEXISTS f:{0}:h %s/0>1", id) == 1);
        put_away(id);
    }
}

/* SAVEs leave the step ACTIVE: a repeated one is known by its ledger line. */
static void a_repeated_save_adds_no_second_ledger_line(void)
{
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    char one_hash[65], two_hash[65];
    AUTO_FREE char *one = chain_line("zero", 1, "", one_hash);
    AUTO_FREE char *two = chain_line("zero", 2, one_hash, two_hash);
    struct queue_item a = rig_item(&h, 0, OUTCOME_SAVE), b = a;
    a.journal = "{\"seq\":1}";
    a.ledger = one;
    b.journal = "{\"seq\":2}";
    b.ledger = two;
    (void)send_one(S1, a, ACK_OK);
    (void)send_one(S1, b, ACK_OK);
    (void)send_one(S1, a, ACK_ALREADY);
    (void)send_one(S1, b, ACK_ALREADY);
    json_auto_t *get = rig_get(id);
    CHECK(json_int_at(get, "ledger_count") == 2);
    CHECK(rig_record(id).steps[0].state == STATE_ACTIVE);
    put_away(id);
}

/* An answer to a SAVE lets its call leave, so that nobody may mistake another intent for it: one under the same number
 * that a holder wrote before a failover and that came late, or one of a beginning of the step that is over. */
static void a_save_is_taken_for_stored_only_when_it_is(void)
{
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    char early_hash[65], hash[65];
    AUTO_FREE char *early = chain_line("early", 1, "", early_hash);
    AUTO_FREE char *line = chain_line("zero", 1, "", hash);
    struct queue_item late = rig_item(&h, 0, OUTCOME_SAVE), save = late, again = rig_item(&h, 0, OUTCOME_RETRY);
    late.journal = "{\"early\":1}";
    late.ledger = early;
    save.journal = "{\"seq\":1}";
    save.ledger = line;
    (void)send_one(S1, late, ACK_OK);
    (void)send_one(S1, save, ACK_STALE);
    CHECK(rig_number("HSTRLEN f:{0}:h %s/0", id) == (long long)strlen(late.journal));
    (void)send_one(S1, late, ACK_ALREADY);
    (void)send_one(S1, again, ACK_OK); /* the step is over, or begins anew: by a copy that came late, perhaps */
    (void)send_one(S1, again, ACK_ALREADY);
    (void)send_one(S1, late, ACK_STALE);
    put_away(id);
}

/* After a failover Redis may have fewer lines than the holder remembers: the holder is told, not believed. */
static void a_line_that_does_not_follow_is_refused(void)
{
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    char one_hash[65], two_hash[65], three_hash[65];
    AUTO_FREE char *one = chain_line("zero", 1, "", one_hash);
    AUTO_FREE char *two = chain_line("zero", 2, one_hash, two_hash);
    AUTO_FREE char *three = chain_line("zero", 3, two_hash, three_hash);
    struct queue_item save = rig_item(&h, 0, OUTCOME_SAVE), end = rig_item(&h, 0, OUTCOME_DONE);
    save.journal = "{\"seq\":1}";
    save.ledger = one;
    end.journal = "{\"seq\":3}";
    end.ledger = three; /* line 2 was lost */
    (void)send_one(S1, save, ACK_OK);
    struct queue_held after = send_one(S1, end, ACK_STALE);
    CHECK(after.record.steps[0].state == STATE_ACTIVE && after.record.steps[0].lines == 1);
    end.ledger = two;
    (void)send_one(S1, end, ACK_OK);
    CHECK(rig_record(id).steps[0].lines == 2);
    rig_audit();
    put_away(id);
}

static void the_audit_sees_a_line_that_was_changed(void)
{
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    char hash[65];
    AUTO_FREE char *line = chain_line("zero", 1, "", hash);
    struct queue_item it = rig_item(&h, 0, OUTCOME_DONE);
    it.ledger = line;
    (void)send_one(S1, it, ACK_OK);
    rig_audit();
    char was = line[strlen(line) - 10];
    line[strlen(line) - 10] = was == 'a' ? 'b' : 'a';
    freeReplyObject(rig_command("HSET f:{0}:h %s/0>1 %s", id, line));
    json_auto_t *faults = rig_audit_faults();
    CHECK(json_array_size(faults) >= 1 && strstr(json_string_value(json_array_get(faults, 0)), "I14"));
    freeReplyObject(rig_command("HDEL f:{0}:h %s/0>1", id));
    json_auto_t *holes = rig_audit_faults();
    CHECK(json_array_size(holes) == 1 && strstr(json_string_value(json_array_get(holes, 0)), "I14"));
    line[strlen(line) - 10] = was;
    freeReplyObject(rig_command("HSET f:{0}:h %s/0>1 %s", id, line));
    rig_audit();
}

/* ---- What a holder computes itself ----------------------------------------------------------------------------------
 */
/* Redis computes one in so many again: who computes otherwise than the rules say is stopped, and everybody sees it. */
static void a_record_that_the_rules_do_not_give_stops_the_import(void)
{
    const char *id = import_new("0 1:0 2:1");
    struct queue_held h = claim_one(S1, id);
    struct dag dag = rig_dag("0 1:0 2:1");
    rig_learn_shape(&dag);
    struct queue_ahead ahead = {h.record, true};
    struct queue_item it = rig_item(&h, 0, OUTCOME_DONE);
    it.ahead = &ahead;
    struct queue_held good = send_one(S1, it, ACK_OK);
    CHECK(good.record.steps[1].state == STATE_ACTIVE && ahead.is_known);
    ahead.record.steps[2].attempts = 7; /* the same name, another content */
    it = rig_item(&good, 1, OUTCOME_DONE);
    it.ahead = &ahead;
    struct queue_held stopped = send_one(S1, it, ACK_OK);
    CHECK(stopped.record.steps[1].state == STATE_DONE && stopped.record.steps[2].attempts <= 1);
    CHECK(stopped.record.flags & RECORD_IS_PAUSED);
    json_auto_t *faults = rig_audit_faults();
    CHECK(json_array_size(faults) == 1 && strstr(json_string_value(json_array_get(faults, 0)), "I2"));
    freeReplyObject(rig_command("HDEL f:{0}:h %s!swap", id));
    put_away(id);
}

/* Whatever a holder sends, it moves steps of an import that it holds, and nothing else. */
static void a_computed_record_stays_within_its_bounds(void)
{
    enum { CASES = 7 };
    rig.queue->verify = 0; /* nothing else looks */
    for (int wrong = 0; wrong < CASES; wrong++) {
        const char *id = import_new("0 1:0 2:1");
        struct queue_held h = claim_one(S1, id);
        struct queue_ahead ahead = {h.record, true};
        struct record *r = &ahead.record;
        r->weight = wrong == 0 ? 9 : r->weight;
        r->group += wrong == 1;
        r->created_ms += wrong == 2;
        r->since_ms += wrong == 3;
        r->readers = wrong == 4 ? 9 : r->readers;
        r->writers = wrong == 5 ? 9 : r->writers;
        r->state = wrong == 6 ? IMPORT_RUNNING : r->state;
        r->party = wrong == 6 ? PARTY_AWS : r->party;
        struct queue_item it = rig_item(&h, 0, OUTCOME_DONE);
        it.ahead = &ahead;
        struct queue_held after = send_one(S1, it, ACK_OK);
        CHECK(after.record.weight == h.record.weight && after.record.group == h.record.group &&
              after.record.created_ms == h.record.created_ms && after.record.readers <= 1 &&
              after.record.writers <= 1 && after.record.party == h.record.party);
        put_away(id);
    }
    rig.queue->verify = rig_verify;
}

/* A decision that comes between is not lost: the record has another name then, and the rules decide. */
static void a_cancel_between_wins_over_what_was_computed(void)
{
    const char *id = import_new("0 1:0 2:1");
    struct queue_held h = claim_one(S1, id);
    struct queue_ahead ahead = {h.record, true};
    CHECK_OK(rig_decide(queue_cancel, id));
    struct queue_item it = rig_item(&h, 0, OUTCOME_DONE);
    it.ahead = &ahead;
    struct queue_held after = send_one(S1, it, ACK_OK);
    CHECK(after.record.steps[0].state == STATE_CANCELLED && after.record.state == IMPORT_CANCELLED);
    put_away(id);
}

/* ---- Death and loss -------------------------------------------------------------------------------------------------
 */
static void a_lost_claim_is_found_by_the_list(void)
{
    const char *id = import_new("0");
    struct queue_beat beat;
    struct err err;
    struct rig_turn t;
    /* A bell that nobody heard: the beat tells that somebody waits. */
    CHECK(queue_beat(rig.plain, "f", 0, S1, 1000000, &beat, &err) == 0 && beat.held == 0 && beat.ring == 1);
    (void)claim_one(S1, id); /* the reply is lost: forget it */
    CHECK(queue_beat(rig.plain, "f", 0, S1, 1000000, &beat, &err) == 0 && beat.held == 1 && beat.ring == 0);
    CHECK_OK(rig_session_list(S1, &t));
    CHECK(!t.is_gone && t.claim_count == 1 && str_eq(t.claims[0].import_id, id));
    (void)send_one(S1, rig_item(&t.claims[0], 0, OUTCOME_DONE), ACK_OK);
    CHECK_OK(rig_session_list(S1, &t));
    CHECK(!t.is_gone && t.claim_count == 0);
    CHECK_OK(rig_session_list(0x77, &t));
    CHECK(t.is_gone);
    CHECK(queue_beat(rig.plain, "f", 0, 0x77, 1000, &beat, &err) == -1 && err.code == ERR_LEASE_LOST && beat.is_gone);
    rig_audit();
}

struct order {
    unsigned *told, own;
    bool is_done;
};

static void on_told(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct order *o = arg;
    CHECK(!err && !reply->is_gone);
    o->own = ++*o->told;
    o->is_done = true;
}

/* The first waits for the replicas to be asked for, the second has nothing to wait for. */
static void turns_are_told_in_the_order_in_which_they_were_answered(void)
{
    const char *id = import_new("0");
    unsigned told = 0;
    struct order first = {.told = &told}, second = {.told = &told};
    struct queue_held h = claim_one(S1, id);
    rig_close(); /* so that the queue knows of no primary yet */
    rig_open(true);
    struct queue_item it = rig_item(&h, 0, OUTCOME_SAVE);
    it.journal = "{\"seq\":0}";
    queue_turn(rig.queue, 0, S1, 0, &it, 1, on_told, &first);
    queue_turn(rig.queue, 0, S1, 1, NULL, 0, on_told, &second);
    rig_wait(&first.is_done);
    rig_wait(&second.is_done);
    CHECK(first.own == 1 && second.own == 2);
    put_away(id);
}

static void crashes_in_a_row_are_quarantined_and_redriven_with_the_journal(void)
{
    const char *id = import_new("0 1:0");
    for (unsigned i = 0; i < TRANSITION_CRASHES_MAX; i++) {
        uint64_t dying = 0x3000000000000000ULL + i;
        CHECK_OK(rig_session(dying, 10000));
        struct queue_held h = claim_one(dying, id);
        CHECK(h.record.steps[0].crashes == i && h.record.steps[0].attempts == i + 1);
        struct queue_item it = rig_item(&h, 0, OUTCOME_SAVE);
        it.journal = "{\"seq\":0}";
        (void)send_one(dying, it, ACK_OK);
        rig_clock_add(10001);
        CHECK_OK(rig_session(S1, 1000000));
        (void)rig_tick();
        rig_audit();
        uint64_t now_ms = rig_clock_us / 1000, due_ms = rig_record(id).steps[0].due_ms; /* four times wider each time */
        if (i + 1 < TRANSITION_CRASHES_MAX)
            CHECK(due_ms >= now_ms + (100u << 2 * i) && due_ms < now_ms + (1000u << 2 * i));
        rig_clock_add(1000u << 2 * i);
    }
    struct record r = rig_record(id);
    CHECK(r.steps[0].state == STATE_DEAD && r.state == IMPORT_FAILED && r.party == PARTY_ORGIMPORT);
    CHECK(r.steps[1].state == STATE_PENDING);
    CHECK_OK(rig_redrive(id, 0));
    struct queue_held h = claim_one(S1, id);
    CHECK(h.record.steps[0].crashes == 0 && h.record.steps[0].attempts == 1);
    CHECK(rig_number("HEXISTS f:{0}:h %s/0", id) == 1);
    put_away(id);
}

/* A task watched for weeks outlives any number of crashes that lie between its polls. */
static void a_poll_that_ends_well_forgets_the_crashes(void)
{
    const char *id = import_new("0");
    for (unsigned i = 0; i < 5; i++) {
        uint64_t dying = 0x3100000000000000ULL + i;
        CHECK_OK(rig_session(dying, 10000));
        (void)claim_one(dying, id);
        rig_clock_add(10001);
        CHECK_OK(rig_session(S1, 1000000));
        (void)rig_tick();
        rig_clock_add(2000);
        struct queue_held h = claim_one(S1, id);
        CHECK(h.record.steps[0].crashes == 1);
        static const enum queue_outcome rests[] = {OUTCOME_WAIT, OUTCOME_SLEEP, OUTCOME_HOLD};
        struct queue_item it = rig_item(&h, 0, rests[i % 3]);
        it.delay_ms = 1;
        CHECK(send_one(S1, it, ACK_OK).record.steps[0].crashes == 0);
        rig_clock_add(2);
    }
    put_away(id);
}

/* A worker that slept through its lease publishes its facts when it wakes: that must not make it a holder again. */
static void refreshing_the_facts_never_revives_a_reaped_session(void)
{
    uint64_t dying = 0x3200000000000000ULL;
    struct rig_turn t;
    const char *id = import_new("0");
    CHECK_OK(rig_session(dying, 10000));
    CHECK_OK(rig_session_refresh(dying, 10000, "{\"worker\":\"rig\",\"fresh\":1}"));
    redisReply *facts = rig_command("HGET f:{0}:h s:3200000000000000");
    CHECK(facts->str && strstr(facts->str, "fresh")); /* while it lives its facts are replaced */
    freeReplyObject(facts);
    (void)claim_one(dying, id);
    rig_clock_add(10001);
    CHECK_OK(rig_session(S1, 1000000));
    (void)rig_tick();
    CHECK_ERR(rig_session_refresh(dying, 10000, "{\"worker\":\"rig\"}"), ERR_LEASE_LOST);
    CHECK(rig_number("HEXISTS f:{0}:h s:3200000000000000") == 0);
    redisReply *score = rig_command("ZSCORE f:{0}:sess 3200000000000000");
    CHECK(score->type == REDIS_REPLY_NIL);
    freeReplyObject(score);
    CHECK_OK(rig_turn(dying, 4, NULL, 0, &t));
    CHECK(t.is_gone && t.claim_count == 0);
    put_away(id);
}

/* More than one call can reap: 64 at a time, and the dead session is refused from the first on. */
static void a_session_with_many_imports_is_reaped_in_portions(void)
{
    char existing[IMPORT_ID_BYTES], id[IMPORT_ID_BYTES], account[32];
    struct dag dag = rig_dag("0");
    uint64_t dying = 0x4000000000000000ULL;
    struct rig_turn t;
    size_t claimed = 0;
    CHECK_OK(rig_session(dying, 10000));
    for (unsigned i = 0; i < 150; i++) {
        (void)snprintf(id, sizeof id, "imp_00many%u", i);
        (void)snprintf(account, sizeof account, "aws/many%u", i);
        CHECK_OK(rig_submit(id, account, &dag, NULL, existing));
    }
    while (claimed < 150) {
        CHECK_OK(rig_turn(dying, 32, NULL, 0, &t));
        CHECK(t.claim_count > 0);
        claimed += t.claim_count;
    }
    rig_clock_add(10001);
    CHECK_OK(rig_session(S1, 1000000));
    CHECK(rig_tick() <= rig_clock_us / 1000);
    CHECK(rig_number("SCARD f:{0}:own:4000000000000000") == 150 - 64);
    CHECK_OK(rig_turn(dying, 4, NULL, 0, &t));
    CHECK(t.is_gone && t.claim_count == 0);
    for (int i = 0; i < 4; i++)
        (void)rig_tick();
    CHECK(rig_number("EXISTS f:{0}:own:4000000000000000") == 0);
    rig_audit();
    for (unsigned i = 0; i < 150; i++) {
        (void)snprintf(id, sizeof id, "imp_00many%u", i);
        CHECK_OK(rig_decide(queue_cancel, id));
    }
    rig_audit();
}

static void closing_a_session_gives_back_with_the_attempt_restored(void)
{
    const char *id = import_new("0 1:0");
    CHECK_OK(rig_session(S2, 10000));
    struct queue_held old = claim_one(S2, id);
    CHECK_OK(rig_session_close(S2));
    struct record r = rig_record(id);
    CHECK(r.session == 0 && r.steps[0].state == STATE_READY && r.steps[0].attempts == 0 && r.steps[0].crashes == 0);
    (void)send_one(S1, rig_item(&old, 0, OUTCOME_DONE), ACK_STALE);
    struct queue_held h = claim_one(S1, id);
    CHECK(h.record.steps[0].attempts == 1);
    put_away(id);
}

static void ten_thousand_polls_leave_the_attempt_at_one(void)
{
    const char *id = import_new("0");
    struct queue_held h = claim_one(S1, id);
    for (int i = 0; i < 10000; i++) {
        struct queue_item it = rig_item(&h, 0, i % 2 ? OUTCOME_WAIT : OUTCOME_SLEEP);
        struct rig_turn t;
        it.delay_ms = 1;
        it.party = PARTY_AWS;
        CHECK_OK(rig_turn(S1, 0, &it, 1, &t));
        CHECK(t.items[0].ack == ACK_OK);
        rig_clock_add(2);
        CHECK_OK(rig_turn(S1, 1, NULL, 0, &t));
        CHECK(t.claim_count == 1);
        h = t.claims[0];
    }
    CHECK(h.record.steps[0].attempts == 1 && h.record.steps[0].state == STATE_ACTIVE);
    put_away(id);
}

int main(void)
{
    rig_start("appendonly no", 1, true);
    rig_open(true);
    CHECK_OK(rig_session(S1, 1000000));
    CHECK_OK(rig_session(S2, 1000000));
    RUN(a_write_with_a_wrong_token_changes_nothing);
    RUN(a_zombie_is_refused_at_every_write);
    RUN(a_lost_answer_is_sent_again_and_nothing_happens_twice);
    RUN(a_repeated_save_adds_no_second_ledger_line);
    RUN(a_save_is_taken_for_stored_only_when_it_is);
    RUN(a_line_that_does_not_follow_is_refused);
    RUN(the_audit_sees_a_line_that_was_changed);
    RUN(a_record_that_the_rules_do_not_give_stops_the_import);
    RUN(a_computed_record_stays_within_its_bounds);
    RUN(a_cancel_between_wins_over_what_was_computed);
    RUN(a_lost_claim_is_found_by_the_list);
    RUN(turns_are_told_in_the_order_in_which_they_were_answered);
    RUN(crashes_in_a_row_are_quarantined_and_redriven_with_the_journal);
    RUN(a_poll_that_ends_well_forgets_the_crashes);
    RUN(refreshing_the_facts_never_revives_a_reaped_session);
    RUN(a_session_with_many_imports_is_reaped_in_portions);
    RUN(closing_a_session_gives_back_with_the_attempt_restored);
    RUN(ten_thousand_polls_leave_the_attempt_at_one);
    rig_stop();
    return 0;
}
