/* A far clock by ours: never behind an answer that was read, never set back by one that was read late. */
#include "common/base/far_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After the above, as cmocka wants. */
#include <cmocka.h>

static void what_was_read_is_never_in_the_future(void **state)
{
    struct far_clock c = {0};
    (void)state;
    far_clock_learn(&c, 1000, 1004, 500002, 500002);
    assert_true(far_clock_ms(&c, 1004) >= 500002);
    far_clock_learn(&c, 1010, 1011, 500011, 500011);
    assert_true(far_clock_ms(&c, 1011) >= 500011);
    assert_true(far_clock_ms(&c, 1010) <= 500011);
}

/* Stopped for a minute between the answer and its reading: time went on, and so does ours. */
static void an_answer_read_late_sets_nothing_back(void **state)
{
    struct far_clock c = {0};
    (void)state;
    far_clock_learn(&c, 1000, 1001, 500000, 500000);
    uint64_t before = far_clock_ms(&c, 1500);
    far_clock_learn(&c, 1500, 61500, 500499, 500499);
    assert_true(far_clock_ms(&c, 1500) == before);
    assert_true(far_clock_ms(&c, 61500) >= 560499);
}

static void a_step_that_follows_begins_no_earlier_than_its_predecessor_ended(void **state)
{
    struct far_clock one = {0}, other = {0};
    (void)state;
    far_clock_learn(&one, 100, 103, 9002, 9002);       /* its boot clock: Redis's minus 8900 */
    far_clock_learn(&other, 70000, 70009, 9001, 9001); /* slow answers */
    uint64_t ended = far_clock_ms(&one, 150);          /* sent at once, taken by Redis at 9051 */
    far_clock_learn(&other, 70050, 70062, 9052, 9052); /* the claim that follows */
    assert_true(ended <= 9051);
    assert_true(far_clock_ms(&other, 70062) >= ended);
}

static void another_redis_has_another_clock(void **state)
{
    struct far_clock c = {0};
    (void)state;
    far_clock_learn(&c, 1000, 1002, 500001, 500001);
    far_clock_learn(&c, 2000, 2004, 480002, 480002); /* twenty seconds behind */
    assert_true(far_clock_ms(&c, 2000) <= 480002);
    far_clock_learn(&c, 3000, 3004, 599002, 599002); /* far ahead */
    assert_true(far_clock_ms(&c, 3004) >= 599002);
}

/* HTTP dates: whole seconds. Many of them find the moment at which a second began, and none is ever run ahead of. */
static void whole_seconds_are_narrowed_down(void **state)
{
    struct far_clock c = {0};
    const uint64_t ahead = 70000;
    (void)state;
    for (uint64_t boot = 1000; boot < 60000; boot += 737) {
        uint64_t shown = (boot + ahead) / 1000 * 1000;
        far_clock_learn(&c, boot - 20, boot + 20, shown, shown + 999);
        assert_true(far_clock_ms(&c, boot) <= boot + ahead);
        assert_true(far_clock_most_ms(&c, boot) >= boot + ahead);
    }
    assert_true(far_clock_ms(&c, 60000) + 60 >= 60000 + ahead);
}

/* Nobody can tell when between sending and reading it was stamped: ages count from the earliest. */
static void an_age_is_never_less_than_it_is(void **state)
{
    struct far_clock c = {0};
    (void)state;
    far_clock_learn(&c, 1000, 31000, 500100, 500100);            /* stopped for half a minute */
    uint64_t stamp = far_clock_ms(&c, 31000), true_now = 530100; /* as if it had been stamped just before reading */
    assert_true(stamp <= 500100);
    assert_true(far_clock_most_ms(&c, 31000) >= true_now);
    assert_true(far_clock_most_ms(&c, 31000) - stamp >= 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_never_in_the_future),
        cmocka_unit_test(an_answer_read_late_sets_nothing_back),
        cmocka_unit_test(a_step_that_follows_begins_no_earlier_than_its_predecessor_ended),
        cmocka_unit_test(another_redis_has_another_clock),
        cmocka_unit_test(whole_seconds_are_narrowed_down),
        cmocka_unit_test(an_age_is_never_less_than_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
