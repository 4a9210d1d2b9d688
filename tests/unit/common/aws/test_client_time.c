/* Time (P3): what a signature's date comes from, when a request may leave, and what follows when AWS finds it too old.
 * The test holds both clocks: it can set the wall clock wrong, and stop this process at any place where the client asks
 * somebody for something. */
#include "tests/unit/test.h"

#include "tests/lib/aws_world.h"

#define WORLD(w, ...)                                                                                                  \
    static const struct script_step steps_[] = {__VA_ARGS__};                                                          \
    struct aws_world w;                                                                                                \
    struct answer a = {0};                                                                                             \
    aws_world_start(&(w), steps_, ARRAY_LEN(steps_), NULL)
#define END(w) (answer_done(&a), aws_world_stop(&(w)))
#define DATED(date, id)                                                                                                \
    {                                                                                                                  \
        SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\n" date id "Content-Length: 2\r\n\r\nok"                                     \
    }
#define ID "x-amzn-RequestId: r\r\n"
#define NOON "Date: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
#define LATE                                                                                                           \
    {                                                                                                                  \
        SCRIPT_ANSWER_CLOSE, CLOSED("403 F", NOON,                                                                     \
                                    XML_ERROR("SignatureDoesNotMatch", "Signature expired: 20261123T115959Z is now "   \
                                                                       "earlier than 20261123T120000Z"))               \
    }
#define HOUR_MS 3600000U

static void assert_dated(const struct aws_world *w, int request, const char *date)
{
    char header[64];
    (void)snprintf(header, sizeof header, "X-Amz-Date: %s\r\n", date);
    if (!strstr(w->server.requests[request], header))
        fail_msg("request %d is not of %s: %s", request, date, w->server.requests[request]);
}

static void setting_our_clock_changes_nothing_that_is_signed(void **state)
{
    (void)state;
    WORLD(w, DATED(NOON, ID), DATED("", ID), DATED("", ID), DATED("", ID));
    w.unix_ms = 1795428000000; /* 10:00, and it is noon */
    world_ask(&w, &op_read, NULL, &a);
    assert_dated(&w, 0, "20261123T100000Z");
    world_ask(&w, &op_write, NULL, &a);
    assert_dated(&w, 1, "20261123T120000Z");
    w.unix_ms += 7 * HOUR_MS; /* somebody sets it */
    world_ask(&w, &op_write, NULL, &a);
    assert_dated(&w, 2, "20261123T120000Z");
    w.unix_ms -= 12 * HOUR_MS;
    w.boot_ms += 90000;
    world_ask(&w, &op_identity, NULL, &a);
    assert_dated(&w, 3, "20261123T120130Z");
    assert_int_equal(aws_client_now_ms(w.client), 1795428000000 + 2 * HOUR_MS + 90000);
    END(w);
}

/* Sends, and lets so much time pass before the answer is read: all of it after AWS dated it, for what we can know. */
static void ask_slowly(struct aws_world *w, uint64_t passing_ms, struct answer *a)
{
    size_t before = w->server.request_count;
    answer_done(a);
    (void)world_call(w, &op_read, NULL, a);
    while (w->server.request_count == before)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(a->calls, 0);
    w->boot_ms += passing_ms;
    world_run(w, a, 1);
}

/* A signature that is dated ahead would live longer than others believe. */
static void what_is_signed_is_never_ahead_of_aws(void **state)
{
    (void)state;
#define AFTER_NOON(time) "Date: Mon, 23 Nov 2026 12:" time " GMT\r\n"
    WORLD(w, DATED(NOON, ID), DATED(AFTER_NOON("00:10"), ID), DATED(AFTER_NOON("01:40"), ID), DATED("", ID));
    world_ask(&w, &op_read, NULL, &a);
    w.boot_ms += 10000;
    ask_slowly(&w, 40000, &a); /* at once, and we were stopped before we read it */
    assert_int_equal(aws_client_now_ms(w.client), 1795428000000 + 2 * HOUR_MS + 50000);
    w.boot_ms += 10000;
    ask_slowly(&w, 40000, &a); /* after 40 s on the way */
    assert_int_equal(aws_client_now_ms(w.client), 1795428000000 + 2 * HOUR_MS + 100000);
    world_ask(&w, &op_read, NULL, &a);
    assert_dated(&w, 3, "20261123T120140Z");
    END(w);
}

static void a_proxys_clock_is_nobodys(void **state)
{
    (void)state;
    WORLD(w, DATED(NOON, ""), {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", NOON, "<html>blocked</html>")}, DATED("", ID));
    w.unix_ms = 1795428000000;
    world_ask(&w, &op_read, NULL, &a);
    world_ask(&w, &op_read, NULL, &a);
    world_ask(&w, &op_read, NULL, &a);
    assert_dated(&w, 2, "20261123T100000Z");
    END(w);
}

/* ---- Leaving ---- */
static struct aws_world *stopped_world;
static uint64_t lease_end_ms, stop_ms;
static int looks; /* at the lease */

static uint64_t lease_of_the_test(void *arg UNUSED)
{
    return lease_end_ms;
}

/* Stopped while the request is being made: whatever was looked at before is of no worth. */
static int build_and_be_stopped(const json_t *args, struct aws_request *r, struct err *err)
{
    stopped_world->boot_ms += stop_ms;
    return build_form(args, r, err);
}

static void ask_under_the_lease(struct aws_world *w, const struct aws_op *op, uint64_t (*lease)(void *),
                                struct answer *a)
{
    const struct aws_op *ops[] = {op, NULL};
    const struct aws_grant own = {.ops = ops, .account_id = ACCOUNT};
    const struct aws_call_input input = {
        .op = op, .grant = &own, .identity = w->identity, .rate_key = ACCOUNT, .leave_before = lease, .leave_arg = w};
    stopped_world = w;
    answer_done(a);
    (void)aws_call(w->client, &input, on_answer, a);
    world_run(w, a, 1);
}

static void assert_lost(const struct answer *a)
{
    assert_true(a->has_err);
    assert_int_equal(a->err.code, ERR_LEASE_LOST);
    assert_int_equal(a->err.applied, APPLIED_NO);
}

static void the_lease_is_looked_at_after_the_signing(void **state)
{
    (void)state;
    WORLD(w, DATED("", ID));
    struct aws_op op = op_write;
    op.build = build_and_be_stopped;
    lease_end_ms = w.boot_ms + 30000;
    stop_ms = 10000; /* then 20 s are left, and the answer may take as long */
    ask_under_the_lease(&w, &op, lease_of_the_test, &a);
    assert_lost(&a);
    assert_int_equal(w.server.connection_count, 0);
    lease_end_ms = w.boot_ms + 30000;
    stop_ms = 9999;
    ask_under_the_lease(&w, &op, lease_of_the_test, &a);
    assert_false(a.has_err);
    END(w);
}

/* The first look finds it in time, the second comes when the connection stands. */
static uint64_t lost_while_connecting(void *arg)
{
    const struct aws_world *w = arg;
    return w->server.connection_count ? 1 : w->boot_ms + 60000;
}

static void a_lease_that_is_lost_while_connecting_holds_the_request_back(void **state)
{
    (void)state;
    WORLD(w, DATED("", ID));
    const struct aws_op op = op_write;
    ask_under_the_lease(&w, &op, lost_while_connecting, &a);
    assert_lost(&a);
    assert_int_equal(w.server.connection_count, 1);
    assert_int_equal(w.server.request_count, 0);
    END(w);
}

static uint64_t suspended_before_it_leaves(void *arg)
{
    struct aws_world *w = arg;
    if (++looks == 2) /* the first is that after the signing; the machine sleeps, and curl's clock with it */
        w->boot_ms += HOUR_MS;
    return 0;
}

static void what_was_signed_before_a_suspend_is_signed_anew(void **state)
{
    (void)state;
    WORLD(w, DATED(NOON, ID), DATED("", ID));
    world_ask(&w, &op_read, NULL, &a);
    const struct aws_op op = op_write;
    looks = 0;
    ask_under_the_lease(&w, &op, suspended_before_it_leaves, &a);
    assert_false(a.has_err);
    assert_int_equal(w.server.request_count, 2);
    assert_dated(&w, 1, "20261123T130000Z");
    END(w);
}

/* ---- Too old for AWS ---- */
static void a_request_that_came_too_late_is_signed_anew_and_asks_nobody(void **state)
{
    (void)state;
    WORLD(w, LATE, LATE, DATED("", ID), LATE, LATE, LATE);
    world_ask(&w, &op_write, NULL, &a);
    assert_false(a.has_err);
    assert_int_equal(w.server.request_count, 3);
    assert_dated(&w, 2, "20261123T120000Z");
    world_ask(&w, &op_write, NULL, &a); /* for ever: tried again later, and nobody is told of wrong keys */
    assert_int_equal(a.err.code, ERR_AWS_TRANSIENT);
    assert_int_equal(a.err.retry, RETRY_BACKOFF);
    assert_int_equal(a.err.applied, APPLIED_NO);
    END(w);
}

static uint64_t lost_after_the_first(void *arg)
{
    return ((const struct aws_world *)arg)->server.request_count ? 1 : 0;
}

static void a_request_that_came_too_late_is_not_sent_again_without_the_lease(void **state)
{
    (void)state;
    WORLD(w, LATE, DATED("", ID));
    const struct aws_op op = op_write;
    ask_under_the_lease(&w, &op, lost_after_the_first, &a);
    assert_lost(&a);
    assert_int_equal(w.server.request_count, 1);
    END(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_our_clock_changes_nothing_that_is_signed),
        cmocka_unit_test(what_is_signed_is_never_ahead_of_aws),
        cmocka_unit_test(a_proxys_clock_is_nobodys),
        cmocka_unit_test(the_lease_is_looked_at_after_the_signing),
        cmocka_unit_test(a_lease_that_is_lost_while_connecting_holds_the_request_back),
        cmocka_unit_test(what_was_signed_before_a_suspend_is_signed_anew),
        cmocka_unit_test(a_request_that_came_too_late_is_signed_anew_and_asks_nobody),
        cmocka_unit_test(a_request_that_came_too_late_is_not_sent_again_without_the_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
