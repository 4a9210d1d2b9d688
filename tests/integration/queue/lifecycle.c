/* What must hold in an import's life, whatever comes between: zombies, lost answers, deaths.
 * The audit runs after each test. Time belongs to the test. */
#include "tests/integration/queue/life.h"

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
    CHECK(rig_number("HEXISTS f:{0}:h %s/0", id) == 0 && rig_number("EXISTS f:{0}:led:%s", id) == 0);
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
        it.ledger = "{\"n\":1,\"step\":\"x\"}\n";
        struct queue_held first = send_one(S1, it, ACK_OK), second = send_one(S1, it, ACK_ALREADY);
        CHECK(rig_is_same(&first.record, &second.record));
        CHECK(rig_number("LLEN f:{0}:led:%s", id) == 1);
        freeReplyObject(rig_command("DEL f:{0}:led:%s", id)); /* no real chain: out of the audit's way */
        put_away(id);
    }
}

static char *chain_line(const char *step, int n, const char *prev, char hash[65])
{
    json_auto_t *line = json_make("{s:s, s:i, s:s, s:s}", "step", step, "n", n, "kind", "intent", "prev", prev);
    json_digest(line, hash);
    json_put_str(line, "hash", hash);
    AUTO_FREE char *text = json_text(line);
    return mem_printf("%s\n", text);
}

/* SAVEs leave the step ACTIVE: a repeated one is known by the number of its ledger line. */
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
    CHECK(rig_number("LLEN f:{0}:led:%s", id) == 2);
    json_auto_t *get = rig_get(id);
    CHECK(json_int_at(get, "ledger_count") == 2);
    CHECK(rig_record(id).steps[0].state == STATE_ACTIVE);
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
    CHECK(after.record.steps[0].state == STATE_ACTIVE && rig_number("LLEN f:{0}:led:%s", id) == 1);
    end.ledger = two;
    (void)send_one(S1, end, ACK_OK);
    CHECK(rig_number("LLEN f:{0}:led:%s", id) == 2);
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
    line[strlen(line) - 10] = line[strlen(line) - 10] == 'a' ? 'b' : 'a';
    freeReplyObject(rig_command("LSET f:{0}:led:%s 0 %s", id, line));
    json_auto_t *faults = rig_audit_faults();
    CHECK(json_array_size(faults) >= 1 && strstr(json_string_value(json_array_get(faults, 0)), "I14"));
    freeReplyObject(rig_command("DEL f:{0}:led:%s", id));
    rig_audit();
}

/* ---- Death and loss -------------------------------------------------------------------------------------------------
 */
static void a_lost_claim_is_found_by_the_list(void)
{
    const char *id = import_new("0");
    struct queue_beat beat;
    struct err err;
    struct rig_turn t;
    (void)claim_one(S1, id); /* the reply is lost: forget it */
    CHECK(queue_beat(rig.plain, "f", 0, S1, 1000000, &beat, &err) == 0 && beat.held == 1);
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

static void three_crashes_are_quarantined_and_redriven_with_the_journal(void)
{
    const char *id = import_new("0 1:0");
    for (unsigned i = 0; i < 3; i++) {
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
        rig_clock_add(2000);
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
    RUN(a_line_that_does_not_follow_is_refused);
    RUN(the_audit_sees_a_line_that_was_changed);
    RUN(a_lost_claim_is_found_by_the_list);
    RUN(three_crashes_are_quarantined_and_redriven_with_the_journal);
    RUN(a_poll_that_ends_well_forgets_the_crashes);
    RUN(refreshing_the_facts_never_revives_a_reaped_session);
    RUN(a_session_with_many_imports_is_reaped_in_portions);
    RUN(closing_a_session_gives_back_with_the_attempt_restored);
    RUN(ten_thousand_polls_leave_the_attempt_at_one);
    rig_stop();
    return 0;
}
