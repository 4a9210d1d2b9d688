/* Records and playbook shapes: what is packed comes back, and nothing else is believed. */
#include "common/queue/transition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* After the above, as cmocka wants. */
#include <cmocka.h>

static uint64_t seed = 88172645463325252ULL;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return below ? seed % below : 0;
}

static struct record random_record(void)
{
    struct record r = {
        .fence = draw(1ULL << 53), .nonce = (uint32_t)draw(1ULL << 32), .version = (uint32_t)draw(1ULL << 32)};
    r.stamp = (uint32_t)draw(1ULL << 32);
    r.session = draw(UINT64_MAX);
    r.state = (uint8_t)draw(IMPORT_STATE_COUNT);
    r.step_count = (uint8_t)(1 + draw(RECORD_STEPS_MAX));
    r.remaining = (uint8_t)draw(r.step_count + 1u);
    r.writers = (uint8_t)draw(2);
    r.readers = (uint8_t)draw(5);
    r.flags = (uint8_t)draw(16);
    r.run = (uint8_t)draw(256);
    r.weight = (uint8_t)(1 + draw(255));
    r.party = (uint8_t)draw(5);
    r.dag = draw(UINT64_MAX);
    r.vt = draw(1ULL << 53);
    r.created_ms = draw(1ULL << 45);
    r.since_ms = draw(1ULL << 45);
    r.group = (uint32_t)draw(1ULL << 32);
    for (size_t i = 0; i < r.step_count; i++) {
        struct record_step *s = &r.steps[i];
        s->state = (uint8_t)draw(STATE_COUNT);
        s->deps = (uint8_t)draw(r.step_count);
        s->attempts = (uint8_t)draw(256);
        s->crashes = (uint8_t)draw(256);
        s->claim_version = (uint32_t)draw(1ULL << 32);
        s->due_ms = draw(1ULL << 48);
        s->flags = (uint8_t)draw(32);
        s->party = (uint8_t)draw(5);
        s->lines = (uint32_t)draw(1ULL << 32);
    }
    return r;
}

static void a_packed_record_comes_back_equal(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct record r = random_record(), back;
        unsigned char bytes[RECORD_BYTES_MAX], again[RECORD_BYTES_MAX];
        struct err err;
        size_t len = record_pack(&r, bytes);
        assert_int_equal(len, RECORD_HEAD_BYTES + RECORD_STEP_BYTES * r.step_count);
        assert_int_equal(record_unpack(bytes, len, &back, &err), 0);
        assert_int_equal(record_pack(&back, again), len);
        assert_memory_equal(bytes, again, len);
    }
}

static const char want[] = "0807060504030201"
                           "14131211"
                           "24232221"
                           "2c2b2a29"
                           "3837363534333231" /* names it, session */
                           "03"
                           "01"
                           "00"
                           "00"
                           "00"
                           "00"
                           "00"
                           "07"
                           "03"
                           "02" /* state .. layout */
                           "4847464544434241"
                           "5100000000000000"
                           "6100000000000000"
                           "7100000000000000"
                           "84838281"
                           "0000"
                           "08"
                           "00"
                           "03"
                           "02"
                           "94939291"
                           "a6a5a4a3a2a1"
                           "08"
                           "01"
                           "b4b3b2b1";

/* The layout is durable and the functions in Redis read it: a moved byte must fail here. */
static void the_layout_does_not_move(void **state)
{
    (void)state;
    struct record r = {.fence = 0x0102030405060708,
                       .nonce = 0x11121314,
                       .version = 0x21222324,
                       .stamp = 0x292a2b2c,
                       .session = 0x3132333435363738};
    unsigned char b[RECORD_BYTES_MAX];
    r.step_count = 1;
    r.state = IMPORT_HELD;
    r.weight = 7;
    r.party = PARTY_AWS;
    r.dag = 0x4142434445464748;
    r.vt = 0x51;
    r.created_ms = 0x61;
    r.since_ms = 0x71;
    r.group = 0x81828384;
    r.steps[0] = (struct record_step){STATE_DEAD,     0,         3, 2, 0x91929394, 0xa1a2a3a4a5a6, STEP_FLAG_TASK,
                                      PARTY_CUSTOMER, 0xb1b2b3b4};
    size_t len = record_pack(&r, b);
    char hex[2 * RECORD_BYTES_MAX + 1];
    for (size_t i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", b[i]);
    assert_int_equal(len, 96);
    assert_string_equal(hex, want);
}

/* Whatever unpack accepts, pack writes again exactly: there is no second way to say the same. */
static void damaged_bytes_are_refused_or_mean_themselves(void **state)
{
    (void)state;
    size_t refused = 0;
    for (int i = 0; i < 20000; i++) {
        struct record r = random_record(), back;
        unsigned char bytes[RECORD_BYTES_MAX], again[RECORD_BYTES_MAX];
        struct err err = {0};
        size_t len = record_pack(&r, bytes);
        bytes[draw(len)] = (unsigned char)draw(256);
        if (draw(4) == 0)
            len = draw(len + 1);
        if (record_unpack(bytes, len, &back, &err)) {
            assert_int_equal(err.code, ERR_CORRUPT);
            refused++;
            continue;
        }
        assert_int_equal(record_pack(&back, again), len);
        assert_memory_equal(bytes, again, len);
    }
    assert_true(refused > 5000);
}

static struct dag diamond(void)
{
    struct dag d = {.step_count = 4};
    struct err err;
    d.steps[1] = (struct dag_step){.needs_count = 1, .needs = {0}};
    d.steps[2] = (struct dag_step){.needs_count = 1, .needs = {0}, .class_ = DAG_WRITER};
    d.steps[3] = (struct dag_step){.needs_count = 2, .needs = {1, 2}, .attempts_max = 8};
    assert_int_equal(dag_finish(&d, &err), 0);
    return d;
}

static void a_shape_comes_back_equal(void **state)
{
    (void)state;
    struct dag d = diamond(), back;
    unsigned char bytes[4096];
    struct err err;
    size_t len = dag_pack(&d, bytes, sizeof bytes);
    assert_int_equal(dag_unpack(bytes, len, &back, &err), 0);
    assert_memory_equal(&d, &back, sizeof d);
    assert_true(dag_hash(&d) == dag_hash(&back));
    assert_int_equal(back.steps[0].next_count, 2);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(dag_unpack(bytes, cut, &back, &err), -1);
    for (int i = 0; i < 5000; i++) { /* must not crash, that is all */
        unsigned char hurt[64];
        memcpy(hurt, bytes, len);
        hurt[draw(len)] = (unsigned char)draw(256);
        (void)!dag_unpack(hurt, len, &back, &err);
    }
    back = d;
    back.steps[3].attempts_max = 9;
    assert_true(dag_hash(&d) != dag_hash(&back));
}

static void the_largest_shape_fits(void **state)
{
    (void)state;
    struct dag d = {.step_count = RECORD_STEPS_MAX}, back;
    unsigned char bytes[4096];
    struct err err;
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++)
        for (size_t k = 0; k < i; k++)
            d.steps[i].needs[d.steps[i].needs_count++] = (uint8_t)k;
    assert_int_equal(dag_finish(&d, &err), 0);
    size_t len = dag_pack(&d, bytes, sizeof bytes);
    assert_true(len > 0 && len <= sizeof bytes);
    assert_int_equal(dag_unpack(bytes, len, &back, &err), 0);
}

static void circles_and_loose_ends_are_refused(void **state)
{
    (void)state;
    struct err err;
    struct dag circle = diamond(), loose = diamond(), twice = diamond(), self = diamond(), none = {0};
    circle.steps[0] = (struct dag_step){.needs_count = 1, .needs = {3}};
    loose.steps[1].needs[0] = 9;
    twice.steps[3].needs[1] = 1;
    self.steps[1].needs[0] = 1;
    struct dag *const bad[] = {&circle, &loose, &twice, &self, &none};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(dag_finish(bad[i], &err), -1);
}

static void a_new_record_skips_what_is_not_wanted(void **state)
{
    (void)state;
    struct dag d = diamond();
    struct record r;
    bool skipped[RECORD_STEPS_MAX] = {true, false, true, false};
    record_new(&d, skipped, 5, &r);
    assert_int_equal(r.remaining, 2);
    assert_int_equal(r.steps[0].state, STATE_SKIPPED);
    assert_int_equal(r.steps[1].state, STATE_READY);
    assert_int_equal(r.steps[3].deps, 1);
    record_new(&d, NULL, 5, &r);
    assert_int_equal(r.remaining, 4);
    assert_int_equal(r.steps[0].state, STATE_READY);
    assert_int_equal(r.steps[3].state, STATE_PENDING);
}

static void names_are_public_and_complete(void **state)
{
    (void)state;
    for (int i = 0; i < IMPORT_STATE_COUNT; i++) {
        enum import_state s;
        assert_true(import_state_parse(import_state_name((enum import_state)i), &s));
        assert_int_equal(s, i);
    }
    enum import_state s;
    assert_false(import_state_parse("nonsense", &s));
    assert_string_equal(step_state_name(STATE_SKIPPED), "SKIPPED");
    assert_string_equal(party_name(PARTY_ORGIMPORT), "orgimport");
    assert_true(import_state_is_terminal(IMPORT_UNDONE) && !import_state_is_terminal(IMPORT_FAILED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packed_record_comes_back_equal),
        cmocka_unit_test(the_layout_does_not_move),
        cmocka_unit_test(damaged_bytes_are_refused_or_mean_themselves),
        cmocka_unit_test(a_shape_comes_back_equal),
        cmocka_unit_test(the_largest_shape_fits),
        cmocka_unit_test(circles_and_loose_ends_are_refused),
        cmocka_unit_test(a_new_record_skips_what_is_not_wanted),
        cmocka_unit_test(names_are_public_and_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
