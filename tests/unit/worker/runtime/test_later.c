/* Timers without handles: order, cancelling from inside, no starvation. */
#include "common/base/mem.h"
#include "worker/runtime/later.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t now_ms;
static char said[64];

static uint64_t fake_boot(void *self)
{
    (void)self;
    return now_ms;
}
static const struct env fake_env = {.boot_ms = fake_boot};

struct rig {
    uv_loop_t loop;
    struct later *later;
};

static int setup(void **state)
{
    struct rig *r = MEM_NEW(struct rig);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    now_ms = 1000;
    said[0] = 0;
    r->later = later_new(&r->loop, &fake_env);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    later_close(r->later);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    mem_free(r);
    return 0;
}

static char names[4][2] = {"a", "b", "c", "d"};

static void say(void *arg)
{
    size_t len = strlen(said);
    (void)snprintf(said + len, sizeof said - len, "%s", (const char *)arg);
}

static void runs_in_order_of_time_and_of_adding(void **state)
{
    struct rig *r = *state;
    (void)later_add(r->later, 3, say, names[3]);
    (void)later_add(r->later, 1, say, names[1]);
    (void)later_add(r->later, 0, say, names[0]);
    (void)later_add(r->later, 1, say, names[2]);
    assert_string_equal(said, "");
    now_ms += 10;
    while (strlen(said) < 4)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    assert_string_equal(said, "abcd");
}

static void a_cancelled_item_never_runs(void **state)
{
    struct rig *r = *state;
    struct later_item *items[20];
    char letters[20][2];
    for (int i = 0; i < 20; i++) {
        letters[i][0] = (char)('a' + i);
        letters[i][1] = 0;
        items[i] = later_add(r->later, (uint64_t)((i * 7) % 20), say, letters[i]);
    }
    for (int i = 0; i < 20; i += 2)
        later_cancel(items[i]);
    now_ms += 100;
    while (strlen(said) < 10)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    (void)uv_run(&r->loop, UV_RUN_NOWAIT);
    assert_int_equal(strlen(said), 10);
    for (const char *c = said; *c; c++)
        assert_int_equal((*c - 'a') % 2, 1);
}

static struct later *chain;
static int links;

static void add_again(void *arg)
{
    (void)arg;
    if (++links < 1000)
        (void)later_add(chain, 0, add_again, NULL);
}

static void a_chain_of_at_once_lets_the_loop_breathe(void **state)
{
    struct rig *r = *state;
    chain = r->later;
    links = 0;
    (void)later_add(r->later, 0, add_again, NULL);
    (void)uv_run(&r->loop, UV_RUN_NOWAIT);
    (void)uv_run(&r->loop, UV_RUN_NOWAIT);
    assert_in_range(links, 1, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_in_order_of_time_and_of_adding, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_item_never_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_of_at_once_lets_the_loop_breathe, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
