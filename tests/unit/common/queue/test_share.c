/* Words of people to numbers of the record: who shares with whom, and what a start weighs. */
#include "common/queue/share.h"

#include "common/queue/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* After the above, as cmocka wants. */
#include <cmocka.h>

static void a_group_has_one_number_for_each_class(void **state)
{
    (void)state;
    struct share a = share_of("acme", ""), b = share_of("acme", "normal"), c = share_of("acme", "bulk");
    assert_true(a.group && a.group == b.group && a.weight == RECORD_WEIGHT && b.weight == RECORD_WEIGHT);
    assert_true(c.group && c.group != a.group && c.weight == 1);
    assert_true(share_of("acme2", "").group != a.group);
}

static void without_a_group_only_the_weight_counts(void **state)
{
    (void)state;
    assert_true(share_of("", "urgent").group == 0 && share_of("", "urgent").weight == 4 * RECORD_WEIGHT);
    assert_true(share_of("", "").weight == RECORD_WEIGHT && RECORD_WEIGHT == 4 * share_of("", "bulk").weight);
}

static void only_three_words_are_classes(void **state)
{
    (void)state;
    assert_true(share_priority_is_known("urgent") && share_priority_is_known("normal") &&
                share_priority_is_known("bulk"));
    assert_false(share_priority_is_known("URGENT") || share_priority_is_known("high"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_has_one_number_for_each_class),
        cmocka_unit_test(without_a_group_only_the_weight_counts),
        cmocka_unit_test(only_three_words_are_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
