/* Redis's clock by ours: never behind an answer that was read, never set back by one that was read late. */
#include "common/queue/queue_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After the above, as cmocka wants. */
#include <cmocka.h>

static void what_was_read_is_never_in_the_future(void **state)
{
    struct queue_clock c = {0};
    (void)state;
    queue_clock_learn(&c, 1000, 1004, 500002);
    assert_true(queue_clock_ms(&c, 1004) >= 500002);
    queue_clock_learn(&c, 1010, 1011, 500011);
    assert_true(queue_clock_ms(&c, 1011) >= 500011);
    assert_true(queue_clock_ms(&c, 1010) <= 500011);
}

/* Stopped for a minute between the answer and its reading: time went on, and so does ours. */
static void an_answer_read_late_sets_nothing_back(void **state)
{
    struct queue_clock c = {0};
    (void)state;
    queue_clock_learn(&c, 1000, 1001, 500000);
    uint64_t before = queue_clock_ms(&c, 1500);
    queue_clock_learn(&c, 1500, 61500, 500499);
    assert_true(queue_clock_ms(&c, 1500) == before);
    assert_true(queue_clock_ms(&c, 61500) >= 560499);
}

static void a_step_that_follows_begins_no_earlier_than_its_predecessor_ended(void **state)
{
    struct queue_clock one = {0}, other = {0};
    (void)state;
    queue_clock_learn(&one, 100, 103, 9002);       /* its boot clock: Redis's minus 8900 */
    queue_clock_learn(&other, 70000, 70009, 9001); /* slow answers */
    uint64_t ended = queue_clock_ms(&one, 150);    /* sent at once, taken by Redis at 9051 */
    queue_clock_learn(&other, 70050, 70062, 9052); /* the claim that follows */
    assert_true(ended <= 9051);
    assert_true(queue_clock_ms(&other, 70062) >= ended);
}

static void another_redis_has_another_clock(void **state)
{
    struct queue_clock c = {0};
    (void)state;
    queue_clock_learn(&c, 1000, 1002, 500001);
    queue_clock_learn(&c, 2000, 2004, 480002); /* twenty seconds behind */
    assert_true(queue_clock_ms(&c, 2000) <= 480002);
    queue_clock_learn(&c, 3000, 3004, 599002); /* far ahead */
    assert_true(queue_clock_ms(&c, 3004) >= 599002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_never_in_the_future),
        cmocka_unit_test(an_answer_read_late_sets_nothing_back),
        cmocka_unit_test(a_step_that_follows_begins_no_earlier_than_its_predecessor_ended),
        cmocka_unit_test(another_redis_has_another_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
