/* The client where there is no Redis: addresses, and callbacks that come exactly once. With a Redis:
 * tests/integration/queue/faults.c. */
#include "common/redis/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* After the above, as cmocka wants. */
#include <cmocka.h>

static unsigned answered, with_reply;
static void on_reply(void *arg, const redisReply *reply)
{
    (void)arg;
    answered++;
    with_reply += reply != NULL;
}

static bool is_closed;
static void on_closed(void *arg)
{
    assert_int_equal(uv_loop_close(arg), 0); /* the loop holds nothing of ours any more */
    is_closed = true;
}

static void commands_without_a_redis_are_answered_with_nothing_once(void **state)
{
    uv_loop_t loop;
    struct redis *r;
    struct err err;
    struct redis_options o = {.url = "unix:///nonexistent/redis.sock"};
    const char *const argv[] = {"SET", "k", "v"};
    const size_t lens[] = {3, 1, 1};
    (void)state;
    answered = with_reply = 0;
    is_closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(redis_new(&loop, &o, &r, &err), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(redis_send(r, 3, argv, lens, on_reply, NULL, &err), 0);
    for (int i = 0; i < 20; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(redis_is_up(r));
    assert_int_equal(answered, 0); /* still hoping */
    (void)redis_ref(r);
    redis_close(r, on_closed, &loop);
    assert_int_equal(answered, 10);
    assert_int_equal(with_reply, 0);
    assert_int_equal(redis_sendf(r, on_reply, NULL, &err, "PING"), -1);
    assert_int_equal(err.code, ERR_REDIS);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    redis_unref(r);
    assert_int_equal(answered, 10);
}

static void the_number_of_waiting_commands_is_bounded(void **state)
{
    uv_loop_t loop;
    struct redis *r;
    struct err err;
    struct redis_options o = {.url = "redis://127.0.0.1:1"};
    unsigned accepted = 0;
    (void)state;
    answered = 0;
    is_closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(redis_new(&loop, &o, &r, &err), 0);
    while (redis_sendf(r, on_reply, NULL, &err, "PING") == 0)
        accepted++;
    assert_int_equal(accepted, 100000);
    assert_int_equal(err.code, ERR_REDIS);
    redis_close(r, on_closed, &loop);
    assert_int_equal(answered, accepted);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
}

static void odd_addresses_are_refused_by_name(void **state)
{
    static const struct {
        const char *url, *says;
    } bad[] = {{"", "no scheme"},           {"http://localhost", "redis://"}, {"redis://h:70000", "port"},
               {"redis://h/x", "database"}, {"redis://h/4096", "database"},   {"unix://", "path"},
               {"unix:///a%zz", "path"}};
    uv_loop_t loop;
    struct redis *r;
    struct err err;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct redis_options o = {.url = bad[i].url};
        assert_int_equal(redis_new(&loop, &o, &r, &err), -1);
        if (!strstr(err.text, bad[i].says))
            print_message("%s: %s\n", bad[i].url, err.text);
        assert_non_null(strstr(err.text, bad[i].says));
    }
    struct redis_options o = {.url = "redis://u:topsecret@h:1/99999"};
    assert_int_equal(redis_new(&loop, &o, &r, &err), -1);
    assert_null(strstr(err.text, "topsecret"));
    o = (struct redis_options){.url = "redis://h", .password_file = "/nonexistent"};
    assert_int_equal(redis_new(&loop, &o, &r, &err), -1);
    o = (struct redis_options){.url = "rediss://h", .ca_file = "/nonexistent"};
    assert_int_equal(redis_new(&loop, &o, &r, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_without_a_redis_are_answered_with_nothing_once),
        cmocka_unit_test(the_number_of_waiting_commands_is_bounded),
        cmocka_unit_test(odd_addresses_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
