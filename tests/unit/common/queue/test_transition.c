/* The rules alone: random events on one import, and after each what must hold of any record. The same rules in Lua are
 * compared with these in tests/integration/queue/differential.c. */
#include "common/queue/transition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* After the above, as cmocka wants. */
#include <cmocka.h>

static uint64_t seed = 4101842887655102017ULL;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static struct dag random_dag(void)
{
    struct dag d = {.step_count = (uint8_t)(1 + draw(20))};
    struct err err;
    for (size_t i = 0; i < d.step_count; i++) {
        d.steps[i].class_ = (uint8_t)draw(3);
        d.steps[i].on_fail = draw(5) == 0;
        d.steps[i].attempts_max = 3;
        for (size_t k = 0; k < i; k++)
            if (draw(i) < 2)
                d.steps[i].needs[d.steps[i].needs_count++] = (uint8_t)k;
    }
    assert_int_equal(dag_finish(&d, &err), 0);
    return d;
}

static void check(const struct record *r, const struct dag *dag)
{
    unsigned active = 0, writers = 0, readers = 0, remaining = 0;
    for (size_t i = 0; i < r->step_count; i++) {
        const struct record_step *s = &r->steps[i];
        bool is_active = s->state == STATE_ACTIVE;
        active += is_active;
        writers += is_active && dag->steps[i].class_ == DAG_WRITER;
        readers += is_active && dag->steps[i].class_ == DAG_READER;
        remaining += record_step_counts(s, &dag->steps[i]);
        if (s->state == STATE_PENDING)
            assert_true(s->deps > 0);
        if (s->state == STATE_READY || is_active || s->state == STATE_DONE)
            assert_int_equal(s->deps, 0);
        if (s->flags & STEP_FLAG_TASK)
            assert_true(step_state_is_live(s->state));
    }
    assert_int_equal(r->writers, writers);
    assert_int_equal(r->readers, readers);
    assert_true(writers <= 1 && readers <= 4 && active <= 5);
    assert_int_equal(r->remaining, remaining);
    assert_int_equal(r->session != 0, active > 0);
}

static struct transition_event random_event(const struct record *r, uint64_t now_us)
{
    static const char outcomes[] = "SDDDRFWPHI";
    struct transition_event ev = {.kind = (enum transition_kind)draw(TRANSITION_PROMOTE + 1), .now_us = now_us};
    if (draw(2) && r->session)
        ev.kind = TRANSITION_FINISH;
    if (ev.kind == TRANSITION_CANCEL && draw(20))
        ev.kind = TRANSITION_CLAIM;
    ev.session = draw(5) ? (r->session ? r->session : 1 + draw(2)) : 1 + draw(2);
    ev.nonce = (uint32_t)(1 + draw(UINT32_MAX));
    ev.others_wait = draw(2);
    ev.step = ev.kind == TRANSITION_REDRIVE && draw(2) ? -1 : (int)draw(r->step_count);
    for (size_t k = 0; k < r->step_count && r->steps[ev.step < 0 ? 0 : ev.step].state != STATE_ACTIVE; k++)
        if (ev.kind == TRANSITION_FINISH)
            ev.step = (ev.step + 1) % r->step_count;
    if (ev.step >= 0)
        ev.token = (struct queue_token){r->fence, r->nonce, r->steps[ev.step].claim_version};
    ev.outcome = (enum queue_outcome)outcomes[draw(sizeof outcomes - 1)];
    ev.delay_ms = draw(3) * 400;
    ev.party = (enum blocking_party)draw(5);
    ev.task = (enum transition_task)draw(3);
    ev.is_recheck = draw(2);
    ev.is_stored = draw(2);
    return ev;
}

static void every_event_leaves_a_sound_record(void **state)
{
    (void)state;
    size_t done = 0;
    for (int run = 0; run < 400; run++) {
        struct dag dag = random_dag();
        struct record r;
        uint64_t now_us = 1700000000000000ULL;
        record_new(&dag, NULL, now_us / 1000, &r);
        for (int i = 0; i < 400 && r.remaining; i++) {
            struct transition_effects out;
            now_us += draw(300000);
            struct transition_event ev = random_event(&r, now_us);
            struct record before = r;
            int unchanged = transition(&r, &dag, &ev, &out);
            check(&r, &dag);
            if (unchanged)
                assert_memory_equal(&r, &before, sizeof r);
            else
                assert_int_equal(r.version, before.version + 1);
            assert_true(r.fence >= before.fence);
        }
        done += !r.remaining;
    }
    assert_true(done > 100);
}

/* Nobody's help but claims, finishes and time: every import comes to its end (no step is lost). */
static void work_always_ends(void **state)
{
    (void)state;
    for (int run = 0; run < 300; run++) {
        struct dag dag = random_dag();
        struct record r;
        uint64_t now_us = 1700000000000000ULL, due;
        record_new(&dag, NULL, now_us / 1000, &r);
        for (int i = 0; r.remaining; i++) {
            struct transition_event ev = {.kind = TRANSITION_CLAIM, .session = 1, .nonce = 1};
            struct transition_effects out;
            assert_true(i < 2000);
            now_us += 1000000;
            ev.now_us = now_us;
            if (record_place(&r, &due) == PLACE_DUE)
                ev.kind = TRANSITION_PROMOTE;
            if (r.session) {
                ev.kind = TRANSITION_FINISH;
                while (r.steps[ev.step].state != STATE_ACTIVE)
                    ev.step++;
                ev.token = (struct queue_token){r.fence, r.nonce, r.steps[ev.step].claim_version};
                ev.outcome = draw(3) ? OUTCOME_DONE : OUTCOME_WAIT;
                ev.delay_ms = 900;
            }
            assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        }
        assert_int_equal(r.state, IMPORT_COMPLETED);
    }
}

static void a_quantum_ends_the_hold_only_when_others_wait(void **state)
{
    (void)state;
    for (int others = 0; others < 2; others++) {
        struct dag dag = {.step_count = 20};
        struct record r;
        struct err err;
        struct transition_effects out;
        unsigned finishes = 0;
        for (size_t i = 1; i < 20; i++)
            dag.steps[i] = (struct dag_step){.needs_count = 1, .needs = {(uint8_t)(i - 1)}};
        assert_int_equal(dag_finish(&dag, &err), 0);
        record_new(&dag, NULL, 1, &r);
        struct transition_event ev = {.kind = TRANSITION_CLAIM, .session = 1, .nonce = 1, .others_wait = others};
        ev.now_us = 5000;
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        ev.kind = TRANSITION_FINISH;
        ev.outcome = OUTCOME_DONE;
        while (r.session) {
            ev.step = (int)finishes++;
            ev.token = (struct queue_token){r.fence, r.nonce, r.steps[ev.step].claim_version};
            assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        }
        assert_int_equal(finishes, others ? TRANSITION_QUANTUM : 20);
        assert_int_equal(out.place, others ? PLACE_RING : PLACE_TERMINAL);
    }
}

static void who_enters_the_ring_starts_at_the_floor(void **state)
{
    (void)state;
    struct dag dag = {.step_count = 1};
    struct record r;
    struct err err;
    struct transition_effects out;
    assert_int_equal(dag_finish(&dag, &err), 0);
    record_new(&dag, NULL, 1, &r);
    struct transition_event ev = {.kind = TRANSITION_CLAIM, .session = 1, .nonce = 1, .now_us = 5000, .floor = 9000000};
    assert_int_equal(transition(&r, &dag, &ev, &out), 0);
    assert_true(r.vt == 1000000 / RECORD_WEIGHT); /* what it used, not credit */
    ev.kind = TRANSITION_RELEASE;
    assert_int_equal(transition(&r, &dag, &ev, &out), 0);
    assert_int_equal(out.place, PLACE_RING);
    assert_true(r.vt == 9000000);
}

/* Its group pays: for what the claim starts at the claim, for the rest when the hold ends; each start once. */
static void an_import_of_a_group_is_charged_to_the_group(void **state)
{
    (void)state;
    struct dag dag = {.step_count = 3};
    struct record r;
    struct err err;
    struct transition_effects out;
    dag.steps[1] = (struct dag_step){.needs_count = 1, .needs = {0}};
    dag.steps[2] = (struct dag_step){.needs_count = 1, .needs = {1}};
    assert_int_equal(dag_finish(&dag, &err), 0);
    record_new(&dag, NULL, 1, &r);
    r.group = 7;
    r.weight = 16;
    r.vt = 41; /* its number in the group's queue */
    struct transition_event ev = {.kind = TRANSITION_CLAIM, .session = 1, .nonce = 1, .now_us = 5000, .floor = 9000000};
    assert_int_equal(transition(&r, &dag, &ev, &out), 0);
    assert_true(out.charge == 62500 && r.vt == 0);
    ev.kind = TRANSITION_FINISH;
    ev.outcome = OUTCOME_DONE;
    for (int i = 0; i < 2; i++) {
        ev.step = i;
        ev.token = (struct queue_token){r.fence, r.nonce, r.steps[i].claim_version};
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        assert_true(out.charge == 0 && r.vt == 62500U * (unsigned)(i + 1)); /* held: kept for the end */
    }
    ev.kind = TRANSITION_RELEASE;
    assert_int_equal(transition(&r, &dag, &ev, &out), 0);
    assert_int_equal(out.place, PLACE_RING);
    assert_true(out.charge == 125000 && r.vt == 0); /* its new number is the shard's to give */
}

/* A step that came to its own rest has not crashed; one that was given back may crash again the same way. */
static void a_rest_of_its_own_ends_the_count_of_crashes(void **state)
{
    (void)state;
    static const char outcomes[] = {OUTCOME_WAIT, OUTCOME_SLEEP, OUTCOME_HOLD, OUTCOME_RETRY, OUTCOME_INTERRUPT};
    for (size_t i = 0; i < sizeof outcomes; i++) {
        struct dag dag = {.step_count = 1};
        struct record r;
        struct err err;
        struct transition_effects out;
        assert_int_equal(dag_finish(&dag, &err), 0);
        record_new(&dag, NULL, 1, &r);
        struct transition_event ev = {.kind = TRANSITION_CLAIM, .session = 1, .nonce = 1, .now_us = 5000};
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        ev.kind = TRANSITION_REAP;
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        assert_int_equal(r.steps[0].crashes, 1);
        ev.now_us = 5000000000;
        ev.kind = TRANSITION_PROMOTE;
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        ev.kind = TRANSITION_CLAIM;
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        ev.kind = TRANSITION_FINISH;
        ev.outcome = (enum queue_outcome)outcomes[i];
        ev.token = (struct queue_token){r.fence, r.nonce, r.steps[0].claim_version};
        assert_int_equal(transition(&r, &dag, &ev, &out), 0);
        assert_int_equal(r.steps[0].crashes, i < 3 ? 0 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_leaves_a_sound_record),
        cmocka_unit_test(work_always_ends),
        cmocka_unit_test(a_quantum_ends_the_hold_only_when_others_wait),
        cmocka_unit_test(who_enters_the_ring_starts_at_the_floor),
        cmocka_unit_test(an_import_of_a_group_is_charged_to_the_group),
        cmocka_unit_test(a_rest_of_its_own_ends_the_count_of_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
