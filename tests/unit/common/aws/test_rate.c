/* Rates, retry budgets and delays, with time as a number. */
#include "tests/unit/test.h"

#include "common/aws/rate.h"
#include "common/aws/retry.h"

static uint64_t dice;
static void throw(void *self, void *bytes, size_t len)
{
    (void)self;
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(dice >> (8 * (i % 8)));
}
static const struct env env = {.random = throw};

static void documented_rates_are_halved_and_chosen_ones_kept(void **state)
{
    (void)state;
    struct rate_limits l = rate_limits_of("organizations.ListAccounts", 100);
    assert_int_equal(l.interval_us, 250000);
    assert_int_equal(l.burst, 6);
    l = rate_limits_of("iam", 100);
    assert_int_equal(l.interval_us, 200000);
    assert_int_equal(l.burst, 10);
    l = rate_limits_of("organizations.NewThing", 100); /* its service's line */
    assert_int_equal(l.interval_us, 2000000);
    assert_int_equal(l.burst, 1);
    l = rate_limits_of("nobody.Knows", 100);
    assert_int_equal(l.interval_us, 1000000);
    assert_false(rate_is_known("nobody.Knows"));
    l = rate_limits_of("organizations.ListAccounts", 1000);
    assert_int_equal(l.interval_us, 25000);
    assert_int_equal(rate_in_flight_max("organizations.ListAccounts"), 1);
    assert_int_equal(rate_in_flight_max("iam"), 0);
}

static void a_burst_leaves_at_once_and_the_rest_at_the_rate(void **state)
{
    (void)state;
    struct rates rates;
    rates_init(&rates, 100);
    struct rate_bucket *b = rates_bucket(&rates, "1", "organizations.ListAccounts", 1000);
    uint64_t now = 1000000;
    for (int i = 0; i < 6; i++)
        assert_int_equal(rate_take(b, now), now);
    assert_int_equal(rate_take(b, now), now + 250);
    assert_int_equal(rate_take(b, now), now + 500);
    assert_int_equal(rate_peek(b, now), now + 750);
    assert_int_equal(rate_take(b, now + 10000), now + 10000);
    /* In any second no more than the rate, and in any time no more than the rate and one burst. */
    uint64_t from = now + 20000, last = 0;
    for (int i = 0; i < 46; i++)
        last = rate_take(b, from);
    assert_int_equal(last, from + 40 * 250);
    rates_done(&rates);
}

static void a_pause_holds_the_family_of_one_account(void **state)
{
    (void)state;
    struct rates rates;
    rates_init(&rates, 100);
    rate_pause(rates_bucket(&rates, "1", "iam", 5000), 9000);
    rate_pause(rates_bucket(&rates, "1", "iam", 5000), 7000); /* never shorter */
    assert_int_equal(rates_wait_ms(&rates, "1", "iam", 5000), 4000);
    assert_int_equal(rates_wait_ms(&rates, "2", "iam", 5000), 0);
    assert_int_equal(rate_take(rates_bucket(&rates, "1", "iam", 5000), 5000), 9000);
    rates_done(&rates);
}

static void idle_buckets_are_swept(void **state)
{
    (void)state;
    struct rates rates;
    rates_init(&rates, 100);
    uint64_t now = 1000000;
    for (unsigned i = 0; i < 20000; i++, now += 100) {
        char key[16];
        (void)snprintf(key, sizeof key, "%u", i);
        (void)rate_take(rates_bucket(&rates, key, "iam", now), now);
    }
    assert_true(rates.map.count < 4000); /* a minute and a little: 600 of them are in use at any time */
    rates_done(&rates);
}

static void the_retry_bucket_pays_and_gets_back(void **state)
{
    (void)state;
    struct keyed_map map;
    retry_tokens_init(&map);
    struct retry_tokens *t = retry_tokens_get(&map, "1", "iam", 0);
    assert_int_equal(t->left, 500);
    assert_true(retry_spend(t, RETRY_FOR_TRANSIENT, 0));
    assert_true(retry_spend(t, RETRY_FOR_THROTTLE, 0));
    assert_int_equal(t->left, 500 - 14 - 5);
    retry_refund(t, retry_price(RETRY_FOR_THROTTLE));
    retry_refund(t, 0);
    assert_int_equal(t->left, 500 - 14 + 1);
    while (retry_spend(t, RETRY_FOR_TRANSIENT, 0))
        ;
    assert_true(t->left < 14);
    assert_int_equal(retry_tokens_get(&map, "1", "sts", 0)->left, 500);
    assert_int_equal(retry_tokens_get(&map, "2", "iam", 0)->left, 500);
    for (int i = 0; i < 600; i++)
        retry_refund(t, 0);
    assert_int_equal(t->left, 500);
    keyed_done(&map);
}

static void delays_are_full_jitter_below_the_cap_and_obey_the_server(void **state)
{
    (void)state;
    dice = 0;
    assert_int_equal(retry_delay_ms(&env, RETRY_FOR_TRANSIENT, 0, false, 0), 0);
    static const struct {
        enum retry_reason reason;
        uint32_t retries, span;
    } rows[] = {{RETRY_FOR_TRANSIENT, 0, 50},   {RETRY_FOR_TRANSIENT, 1, 100},
                {RETRY_FOR_THROTTLE, 0, 1000},  {RETRY_FOR_THROTTLE, 3, 8000},
                {RETRY_FOR_THROTTLE, 9, 20000}, {RETRY_FOR_TRANSIENT, 4000000000U, 20000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t most = 0;
        for (dice = 0; dice <= rows[i].span; dice++) {
            uint32_t d = retry_delay_ms(&env, rows[i].reason, rows[i].retries, false, 0);
            assert_true(d <= rows[i].span);
            most = d > most ? d : most;
        }
        assert_int_equal(most, rows[i].span);
    }
    dice = 0;
    assert_int_equal(retry_delay_ms(&env, RETRY_FOR_THROTTLE, 0, true, 3000), 3000);
    assert_int_equal(retry_delay_ms(&env, RETRY_FOR_THROTTLE, 0, true, 60000), 5000); /* at most delay + 5 s */
    dice = 900;
    assert_int_equal(retry_delay_ms(&env, RETRY_FOR_THROTTLE, 0, true, 100), 900); /* at least delay */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_rates_are_halved_and_chosen_ones_kept),
        cmocka_unit_test(a_burst_leaves_at_once_and_the_rest_at_the_rate),
        cmocka_unit_test(a_pause_holds_the_family_of_one_account),
        cmocka_unit_test(idle_buckets_are_swept),
        cmocka_unit_test(the_retry_bucket_pays_and_gets_back),
        cmocka_unit_test(delays_are_full_jitter_below_the_cap_and_obey_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
