/* Who may call, and when a request leaves: grant, account, fleet, endpoints, lease, order (P3, P4, P11). */
#include "tests/unit/test.h"

#include "tests/lib/aws_world.h"

#define WORLD(w, ...)                                                                                                  \
    static const struct script_step steps_[] = {__VA_ARGS__};                                                          \
    struct aws_world w;                                                                                                \
    struct answer a = {0};                                                                                             \
    aws_world_start(&(w), steps_, ARRAY_LEN(steps_), NULL)
#define END(w) (answer_done(&a), aws_world_stop(&(w)))

static void ask_with(struct aws_world *w, const struct aws_op *op, const struct aws_grant *grant, struct answer *a)
{
    const struct aws_call_input input = {.op = op, .grant = grant, .identity = w->identity, .rate_key = ACCOUNT};
    answer_done(a);
    (void)aws_call(w->client, &input, on_answer, a);
    assert_int_equal(a->calls, 0);
    world_run(w, a, 1);
}

static void assert_refused(const struct aws_world *w, const struct answer *a, enum err_code code)
{
    assert_true(a->has_err);
    if (a->err.code != code)
        fail_msg("got %s: %s", err_info(a->err.code)->name, a->err.text);
    assert_int_equal(a->err.applied, APPLIED_NO);
    assert_int_equal(w->server.connection_count, 0);
    struct aws_client_stats stats;
    aws_client_stats(w->client, &stats);
    assert_int_equal(stats.requests, 0);
}

static void an_undeclared_operation_is_not_signed(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_grant other = {.ops = OPS(&op_read, &op_list), .account_id = ACCOUNT},
                           none = {.account_id = ACCOUNT};
    ask_with(&w, &op_write, &other, &a);
    assert_refused(&w, &a, ERR_OP_UNDECLARED);
    assert_non_null(strstr(a.err.origin, "iam:CreateRole"));
    ask_with(&w, &op_write, &none, &a);
    assert_refused(&w, &a, ERR_OP_UNDECLARED);
    ask_with(&w, &op_write, NULL, &a);
    assert_refused(&w, &a, ERR_OP_UNDECLARED);
    const struct aws_op copy = op_read; /* the same words are not the same operation */
    ask_with(&w, &copy, &other, &a);
    assert_refused(&w, &a, ERR_OP_UNDECLARED);
    END(w);
}

static void credentials_of_another_account_sign_nothing(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_grant other = {.ops = OPS(&op_read), .account_id = "999999999999"},
                           open = {.ops = OPS(&op_read), .account_id = ""};
    ask_with(&w, &op_read, &other, &a);
    assert_refused(&w, &a, ERR_WRONG_ACCOUNT);
    ask_with(&w, &op_read, &open, &a); /* "" is for the asserting call only */
    assert_refused(&w, &a, ERR_WRONG_ACCOUNT);
    const struct aws_grant own = {.ops = OPS(&op_read), .account_id = ACCOUNT};
    w.identity->account_id[0] = 0; /* not asserted yet */
    ask_with(&w, &op_read, &own, &a);
    assert_refused(&w, &a, ERR_WRONG_ACCOUNT);
    END(w);
}

static void the_asserting_call_needs_no_account(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    w.identity->account_id[0] = 0;
    const struct aws_grant open = {.ops = OPS(&op_identity), .account_id = ""};
    ask_with(&w, &op_identity, &open, &a);
    assert_false(a.has_err);
    END(w);
}

static void live_credentials_do_not_sign_in_a_simulated_fleet(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    w.identity->is_simulated = false;
    const struct aws_grant own = {.ops = OPS(&op_read), .account_id = ACCOUNT};
    ask_with(&w, &op_read, &own, &a);
    assert_refused(&w, &a, ERR_FLEET_MODE);
    struct aws_identity *identity = w.identity;
    w.identity = NULL;
    ask_with(&w, &op_read, &own, &a);
    assert_refused(&w, &a, ERR_AWS_CREDENTIALS);
    w.identity = identity;
    END(w);
}

static void simulated_credentials_do_not_sign_in_a_live_fleet(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_client_options live = {
        .env = &w.env, .http = w.http, .endpoints = w.endpoints, .call_timeout_ms = 20000};
    struct err err;
    aws_client_free(w.client);
    assert_int_equal(aws_client_new(&w.loop, &live, &w.client, &err), 0);
    const struct aws_grant own = {.ops = OPS(&op_read), .account_id = ACCOUNT};
    ask_with(&w, &op_read, &own, &a);
    assert_refused(&w, &a, ERR_FLEET_MODE);
    w.identity->is_simulated = false;
    ask_with(&w, &op_read, &own, &a); /* to this machine, with an endpoint that was given: fine */
    assert_false(a.has_err);
    END(w);
}

static void real_aws_and_metadata_are_refused_even_when_listed(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    static const char *const bad[] = {"https://iam.amazonaws.com", "iam=https://IAM.amazonaws.com.",
                                      "*=https://x.api.aws:8443",  "https://sts.cn-north-1.amazonaws.com.cn",
                                      "http://169.254.169.254",    "http://[fd00:ec2::254]:80",
                                      "http://2852039166",         "http://127.0.0.1:1,iam=https://amazonaws.com"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct aws_client_options options = {
            .env = &w.env, .http = w.http, .is_simulated = true, .endpoints = bad[i]};
        struct aws_client *client = NULL;
        struct err err = {0};
        assert_int_equal(aws_client_new(&w.loop, &options, &client, &err), -1);
        if (err.code != ERR_ENDPOINT_CLOSED)
            fail_msg("%s: %s", bad[i], err.text);
    }
    END(w);
}

static void a_service_that_is_not_listed_is_refused(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    assert_int_equal(setenv("AWS_ENDPOINT_URL", w.endpoints, 1), 0);
    assert_int_equal(setenv("AWS_ENDPOINT_URL_IAM", w.endpoints, 1), 0);
    char text[160];
    (void)snprintf(text, sizeof text, "sts=%s", w.endpoints);
    const struct aws_client_options options = {.env = &w.env, .http = w.http, .is_simulated = true, .endpoints = text};
    struct err err;
    aws_client_free(w.client);
    assert_int_equal(aws_client_new(&w.loop, &options, &w.client, &err), 0);
    const struct aws_grant own = {.ops = OPS(&op_read, &op_identity), .account_id = ACCOUNT};
    ask_with(&w, &op_read, &own, &a);
    assert_refused(&w, &a, ERR_ENDPOINT_CLOSED);
    ask_with(&w, &op_identity, &own, &a);
    assert_false(a.has_err);
    assert_int_equal(unsetenv("AWS_ENDPOINT_URL") + unsetenv("AWS_ENDPOINT_URL_IAM"), 0);
    END(w);
}

static void a_lease_that_ends_before_the_answer_could_come_stops_the_call(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_grant own = {.ops = OPS(&op_write), .account_id = ACCOUNT};
    struct aws_call_input input = {.op = &op_write,
                                   .grant = &own,
                                   .identity = w.identity,
                                   .rate_key = ACCOUNT,
                                   .leave_before_boot_ms = w.boot_ms + 20000};
    (void)aws_call(w.client, &input, on_answer, &a);
    world_run(&w, &a, 1);
    assert_refused(&w, &a, ERR_LEASE_LOST);
    input.leave_before_boot_ms++;
    (void)aws_call(w.client, &input, on_answer, &a);
    world_run(&w, &a, 2);
    assert_false(a.has_err);
    END(w);
}

static void a_renewed_lease_lets_a_waiting_call_leave(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_grant own = {.ops = OPS(&op_write), .account_id = ACCOUNT};
    const struct aws_call_input input = {.op = &op_write,
                                         .grant = &own,
                                         .identity = w.identity,
                                         .rate_key = ACCOUNT,
                                         .leave_before_boot_ms = w.boot_ms + 10};
    aws_call_leave_before(aws_call(w.client, &input, on_answer, &a), w.boot_ms + 30000);
    world_run(&w, &a, 1);
    assert_false(a.has_err);
    END(w);
}

static uint64_t lease_now(void *arg)
{
    return *(uint64_t *)arg;
}

/* A call that waits behind others, or for its next page, goes by the lease of then. */
static void a_lease_that_is_asked_counts_at_the_last_moment(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_grant own = {.ops = OPS(&op_read), .account_id = ACCOUNT};
    uint64_t lease = w.boot_ms + 10;
    const struct aws_call_input input = {.op = &op_read,
                                         .grant = &own,
                                         .identity = w.identity,
                                         .rate_key = ACCOUNT,
                                         .leave_before_boot_ms = w.boot_ms + 30000,
                                         .leave_before = lease_now,
                                         .leave_arg = &lease};
    (void)aws_call(w.client, &input, on_answer, &a);
    world_run(&w, &a, 1);
    assert_refused(&w, &a, ERR_LEASE_LOST);
    (void)aws_call(w.client, &input, on_answer, &a);
    lease = w.boot_ms + 30000;
    world_run(&w, &a, 2);
    assert_false(a.has_err);
    END(w);
}

static void a_retry_does_not_outlive_the_lease(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("429 S", "x-amz-retry-after: 4000\r\n", "")}, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_grant own = {.ops = OPS(&op_write), .account_id = ACCOUNT};
    const struct aws_call_input input = {.op = &op_write,
                                         .grant = &own,
                                         .identity = w.identity,
                                         .rate_key = ACCOUNT,
                                         .leave_before_boot_ms = w.boot_ms + 23000};
    (void)aws_call(w.client, &input, on_answer, &a);
    world_run(&w, &a, 1);
    assert_int_equal(a.err.code, ERR_AWS_THROTTLED);
    assert_int_equal(a.err.applied, APPLIED_NO);
    assert_int_equal(a.err.retry_after_ms, 4000);
    assert_int_equal(w.server.request_count, 1);
    END(w);
}

static void calls_leave_in_order_and_only_so_many_at_once(void **state)
{
    (void)state;
    static struct script_step steps[12];
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct script_step){SCRIPT_ANSWER, BODY_OK};
    const struct aws_client_options options = {.calls_max = 1};
    struct aws_world w;
    struct answer a = {0};
    aws_world_start(&w, steps, ARRAY_LEN(steps), &options);
    for (int i = 0; i < 12; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%02d", i);
        json_auto_t *args = json_make("{s:s}", "Name", name);
        (void)world_call(&w, &op_read, args, &a);
    }
    world_run(&w, &a, 12);
    assert_int_equal(w.server.connection_count, 1); /* never two at once */
    for (int i = 0; i < 12; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "Name=n%02d", i);
        assert_non_null(strstr(w.server.requests[i], name));
    }
    END(w);
}

static void organizations_is_asked_one_by_one_per_account(void **state)
{
    (void)state;
    static struct script_step steps[6];
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct script_step){SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"};
    struct aws_world w;
    struct answer a = {0};
    aws_world_start(&w, steps, ARRAY_LEN(steps), NULL);
    for (int i = 0; i < 5; i++)
        (void)world_call(&w, i % 2 ? &op_json_write : &op_list, NULL, &a);
    struct aws_call *cancelled = world_call(&w, &op_list, NULL, &a);
    while (!w.server.request_count)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    aws_call_cancel(cancelled);
    world_run(&w, &a, 5);
    assert_int_equal(w.server.connection_count, 1);
    assert_int_equal(w.server.request_count, 5);
    END(w);
}

static void the_buckets_say_how_long_to_wait(void **state)
{
    (void)state;
    static struct script_step steps[12];
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct script_step){SCRIPT_ANSWER, BODY_OK};
    const struct aws_client_options options = {.rate_scale_pct = 100};
    struct aws_world w;
    struct answer a = {0};
    aws_world_start(&w, steps, ARRAY_LEN(steps), &options);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(aws_client_wait_ms(w.client, ACCOUNT, &op_read), 0);
        (void)world_call(&w, &op_read, NULL, &a);
        world_run(&w, &a, i + 1);
    }
    assert_int_equal(aws_client_wait_ms(w.client, ACCOUNT, &op_read), 200); /* iam: 5 a second after a burst of 10 */
    assert_int_equal(aws_client_wait_ms(w.client, "999999999999", &op_read), 0);
    assert_int_equal(aws_client_wait_ms(w.client, ACCOUNT, &op_identity), 0);
    END(w);
}

static void live_rates_cannot_be_raised(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    const struct aws_client_options options = {.env = &w.env, .http = w.http, .rate_scale_pct = 101};
    struct aws_client *client = NULL;
    struct err err;
    assert_int_equal(aws_client_new(&w.loop, &options, &client, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    END(w);
}

static void cancelled_and_freed_calls_are_silent(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_HANG, NULL}, {SCRIPT_HANG, NULL});
    const struct aws_grant none = {.ops = OPS(&op_list), .account_id = ACCOUNT};
    const struct aws_call_input refused = {.op = &op_read, .grant = &none, .identity = w.identity, .rate_key = ACCOUNT};
    aws_call_cancel(world_call(&w, &op_read, NULL, &a));
    aws_call_cancel(aws_call(w.client, &refused, on_answer, &a));
    struct aws_call *flying = world_call(&w, &op_read, NULL, &a);
    (void)world_call(&w, &op_write, NULL, &a);
    while (w.server.request_count < 2)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    aws_call_cancel(flying);
    (void)aws_call(w.client, &refused, on_answer, &a);
    (void)world_call(&w, &op_read, NULL, &a);
    aws_client_free(w.client);
    w.client = NULL;
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(a.calls, 0);
    END(w);
}

static void free_on_answer(void *arg, const struct aws_outcome *o UNUSED)
{
    struct aws_world *w = arg;
    aws_client_free(w->client);
    w->client = NULL;
    uv_stop(&w->loop);
}

static void a_callback_may_free_the_client(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        WORLD(w, {SCRIPT_ANSWER, BODY_OK}, {SCRIPT_ANSWER, BODY_OK});
        const struct aws_grant grant = {.ops = OPS(&op_read), .account_id = refused ? "999999999999" : ACCOUNT};
        const struct aws_call_input input = {
            .op = &op_read, .grant = &grant, .identity = w.identity, .rate_key = ACCOUNT};
        (void)aws_call(w.client, &input, free_on_answer, &w);
        (void)aws_call(w.client, &input, free_on_answer, &w);
        while (w.client)
            (void)uv_run(&w.loop, UV_RUN_ONCE);
        END(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undeclared_operation_is_not_signed),
        cmocka_unit_test(credentials_of_another_account_sign_nothing),
        cmocka_unit_test(the_asserting_call_needs_no_account),
        cmocka_unit_test(live_credentials_do_not_sign_in_a_simulated_fleet),
        cmocka_unit_test(simulated_credentials_do_not_sign_in_a_live_fleet),
        cmocka_unit_test(real_aws_and_metadata_are_refused_even_when_listed),
        cmocka_unit_test(a_service_that_is_not_listed_is_refused),
        cmocka_unit_test(a_lease_that_ends_before_the_answer_could_come_stops_the_call),
        cmocka_unit_test(a_renewed_lease_lets_a_waiting_call_leave),
        cmocka_unit_test(a_lease_that_is_asked_counts_at_the_last_moment),
        cmocka_unit_test(a_retry_does_not_outlive_the_lease),
        cmocka_unit_test(calls_leave_in_order_and_only_so_many_at_once),
        cmocka_unit_test(organizations_is_asked_one_by_one_per_account),
        cmocka_unit_test(the_buckets_say_how_long_to_wait),
        cmocka_unit_test(live_rates_cannot_be_raised),
        cmocka_unit_test(cancelled_and_freed_calls_are_silent),
        cmocka_unit_test(a_callback_may_free_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
