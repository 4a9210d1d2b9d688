/* The HTTP client against a server that refuses, resets, drips, hangs and answers too much, on the same loop. */
#include "tests/unit/test.h"

#include "common/http/http_client.h"
#include "tests/lib/script_server.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct seen { /* what a callback was told */
    int calls;
    int status;
    char body[256], headers[512];
    size_t body_bytes;
    struct err err;
    bool has_err;
    uint64_t sent, received;
};

struct world {
    uv_loop_t loop;
    struct script_server server;
    struct http_client *client;
    struct http_client_options options;
    bool has_server, is_closed;
    char url[128];
};

static uv_loop_t
    *running; /* a callback ends the turn: timers run before the loop looks for I/O, and might be all there was */

static void on_done(void *arg, const struct http_response *r, const struct err *err)
{
    struct seen *seen = arg;
    seen->calls++;
    uv_stop(running);
    seen->status = r->status;
    seen->body_bytes = r->body_bytes;
    (void)snprintf(seen->body, sizeof seen->body, "%s", r->body ? r->body : "");
    (void)snprintf(seen->headers, sizeof seen->headers, "%s", r->headers ? r->headers : "");
    seen->sent = r->sent_boot_ms;
    seen->received = r->received_boot_ms;
    seen->has_err = err != NULL;
    if (err)
        seen->err = *err;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->is_closed = true;
}

static void start(struct world *w, const struct script_step *steps, size_t count)
{
    w->is_closed = false;
    assert_int_equal(uv_loop_init(&w->loop), 0);
    running = &w->loop;
    script_server_start(&w->server, &w->loop, steps, count);
    w->has_server = true;
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/", w->server.port);
    w->options.connections_max = 16;
    w->client = http_client_new(&w->loop, &w->options);
}
#define START(w, ...)                                                                                                  \
    static const struct script_step steps_[] = {__VA_ARGS__};                                                          \
    struct world w = {0};                                                                                              \
    start(&(w), steps_, ARRAY_LEN(steps_))

static void run_until(struct world *w, const int *counter, int value)
{
    while (*counter < value)
        assert_true(uv_run(&w->loop, UV_RUN_ONCE) || *counter >= value);
}

static void stop_server(struct world *w)
{
    if (w->has_server)
        script_server_stop(&w->server);
    w->has_server = false;
}

static void stop(struct world *w)
{
    if (w->client)
        http_client_close(w->client, on_closed, w);
    stop_server(w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->is_closed);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    script_server_done(&w->server);
}

static struct http_call *send_to(struct world *w, const char *method, const char *url, const char *body,
                                 struct seen *seen)
{
    const struct http_request request = {.method = method,
                                         .url = url,
                                         .body = body,
                                         .body_bytes = body ? strlen(body) : 0,
                                         .connect_timeout_ms = 2000,
                                         .timeout_ms = 5000,
                                         .response_bytes_max = 1024};
    return http_send(w->client, &request, on_done, seen);
}

static void ask(struct world *w, const char *method, const char *body, struct seen *seen)
{
    *seen = (struct seen){0};
    (void)send_to(w, method, w->url, body, seen);
    assert_int_equal(seen->calls, 0); /* always late */
    run_until(w, &seen->calls, 1);
    assert_int_equal(seen->calls, 1);
}

static void answers_arrive_late_and_whole(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER,
              "HTTP/1.1 404 Not Found\r\nX-Amz-Request-ID:  R1 \r\nDate: now\r\nContent-Length: 5\r\n\r\nhello"});
    struct seen seen;
    ask(&w, "GET", NULL, &seen);
    assert_false(seen.has_err);
    assert_int_equal(seen.status, 404);
    assert_string_equal(seen.body, "hello");
    assert_non_null(strstr(seen.headers, "x-amz-request-id: R1"));
    assert_true(seen.sent > 0 && seen.received >= seen.sent);
    char value[8];
    const struct http_response r = {.headers = seen.headers};
    assert_true(http_response_header(&r, "date", value, sizeof value));
    assert_string_equal(value, "now");
    assert_false(http_response_header(&r, "dat", value, sizeof value));
    assert_false(http_response_header(&r, "date", value, 3));
    stop(&w);
}

static void a_refused_connection_is_not_applied(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK});
    stop_server(&w);
    while (uv_run(&w.loop, UV_RUN_NOWAIT) && w.server.connection_count)
        ;
    struct seen seen;
    ask(&w, "POST", "x", &seen);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.code, ERR_IO);
    assert_int_equal(seen.err.applied, APPLIED_NO);
    assert_int_equal(seen.status, 0);
    stop(&w);
}

static void a_name_that_does_not_resolve_is_not_applied(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK});
    struct seen seen = {0};
    (void)send_to(&w, "POST", "http://no-such-host.invalid/", "x", &seen);
    run_until(&w, &seen.calls, 1);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.applied, APPLIED_NO);
    stop(&w);
}

static void a_failed_tls_handshake_is_not_applied(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK});
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", w.server.port);
    struct seen seen = {0};
    struct http_call *call = send_to(&w, "POST", url, "x", &seen);
    assert_non_null(call);
    /* The server waits for the end of an HTTP header that never comes: close it as soon as it has been reached. */
    while (!w.server.connection_count)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    script_drop_connections(&w.server);
    run_until(&w, &seen.calls, 1);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.applied, APPLIED_NO);
    stop(&w);
}

static void a_request_that_was_read_and_not_answered_may_be_applied(void **state)
{
    (void)state;
    START(w, {SCRIPT_RESET, NULL}, {SCRIPT_CLOSE, NULL});
    for (int i = 0; i < 2; i++) {
        struct seen seen;
        ask(&w, "POST", "x", &seen);
        assert_true(seen.has_err);
        assert_int_equal(seen.err.applied, APPLIED_MAYBE);
    }
    assert_int_equal(w.server.request_count, 2);
    stop(&w);
}

static void a_cut_answer_may_be_applied(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"});
    struct seen seen;
    ask(&w, "PUT", "x", &seen);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.applied, APPLIED_MAYBE);
    assert_int_equal(seen.status, 200);
    stop(&w);
}

static void a_timeout_after_sending_may_be_applied(void **state)
{
    (void)state;
    START(w, {SCRIPT_HANG, NULL});
    struct seen seen = {0};
    const struct http_request request = {
        .method = "POST", .url = w.url, .body = "x", .body_bytes = 1, .timeout_ms = 60, .response_bytes_max = 9};
    (void)http_send(w.client, &request, on_done, &seen);
    run_until(&w, &seen.calls, 1);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.applied, APPLIED_MAYBE);
    stop(&w);
}

/* curl by itself would send the second request again on a new connection: one http_send would be two requests. */
static void a_kept_connection_that_dies_never_means_a_second_request(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK}, {SCRIPT_CLOSE, NULL}, {SCRIPT_ANSWER, OK}, {SCRIPT_RESET, NULL}, {SCRIPT_ANSWER, OK});
    static const char *const methods[] = {"POST", "DELETE", "PUT", "GET"};
    struct seen seen;
    ask(&w, "POST", "first", &seen);
    assert_false(seen.has_err);
    ask(&w, methods[0], "second", &seen);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.applied, APPLIED_MAYBE);
    assert_int_equal(w.server.request_count, 2);
    ask(&w, "POST", "third", &seen);
    assert_false(seen.has_err);
    ask(&w, methods[1], NULL, &seen);
    assert_true(seen.has_err);
    assert_int_equal(seen.err.applied, APPLIED_MAYBE);
    assert_int_equal(w.server.request_count, 4);
    ask(&w, methods[3], NULL, &seen);
    assert_false(seen.has_err);
    stop(&w);
}

static void a_connection_that_was_closed_while_idle_is_replaced_unseen(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER_CLOSE, OK}, {SCRIPT_ANSWER, OK});
    struct seen seen;
    ask(&w, "POST", "1", &seen);
    while (w.server.connections[0])
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    ask(&w, "POST", "2", &seen);
    assert_false(seen.has_err);
    assert_int_equal(w.server.connection_count, 2);
    assert_int_equal(w.server.request_count, 2);
    stop(&w);
}

static void connections_are_kept(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK}, {SCRIPT_ANSWER, OK}, {SCRIPT_ANSWER, OK});
    struct seen seen;
    for (int i = 0; i < 3; i++)
        ask(&w, "POST", "x", &seen);
    assert_int_equal(w.server.connection_count, 1);
    stop(&w);
}

static void an_answer_over_its_limit_ends_the_call(void **state)
{
    (void)state;
    static char body[4096], headers[80 * 1024];
    (void)snprintf(body, sizeof body, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n%02000d", 0);
    (void)snprintf(headers, sizeof headers, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (size_t n = strlen(headers); n + 1100 < sizeof headers; n = strlen(headers))
        (void)snprintf(headers + n, sizeof headers - n, "X-%zu: %01000d\r\n", n, 0);
    (void)strncat(headers, "\r\n", 3);
    const struct script_step steps[] = {{SCRIPT_ANSWER, body}, {SCRIPT_ANSWER, headers}};
    struct world w = {0};
    start(&w, steps, 2);
    struct seen seen;
    ask(&w, "POST", "x", &seen);
    assert_int_equal(seen.err.code, ERR_TOO_LARGE);
    assert_int_equal(seen.err.applied, APPLIED_MAYBE);
    assert_true(seen.body_bytes <= 1024);
    ask(&w, "POST", "x", &seen);
    assert_true(seen.has_err);
    stop(&w);
}

static void a_dripping_answer_arrives_whole(void **state)
{
    (void)state;
    START(w, {SCRIPT_DRIP, "HTTP/1.1 100 Continue\r\nA: old\r\n\r\nHTTP/1.1 200 OK\r\nB: new\r\nTransfer-Encoding: "
                           "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"});
    struct seen seen;
    ask(&w, "GET", NULL, &seen);
    assert_false(seen.has_err);
    assert_string_equal(seen.body, "abc");
    assert_null(strstr(seen.headers, "a: old"));
    assert_non_null(strstr(seen.headers, "b: new"));
    stop(&w);
}

static void what_is_sent_is_what_the_caller_wrote(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK}, {SCRIPT_ANSWER, OK}, {SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"});
    char url[160];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/a/../b//%%2f?policy&x=%%20", w.server.port);
    char *big = mem_alloc(2 * 1024 * 1024 + 1);
    memset(big, 'x', (size_t)2 * 1024 * 1024);
    struct seen seen = {0};
    (void)send_to(&w, "POST", url, big, &seen);
    run_until(&w, &seen.calls, 1);
    mem_free(big);
    const char *got = w.server.requests[0];
    assert_int_equal(strncmp(got, "POST /a/../b//%2f?policy&x=%20 HTTP/1.1\r\n", 41), 0);
    assert_null(strcasestr(got, "expect:"));
    assert_null(strcasestr(got, "accept:"));
    assert_null(strcasestr(got, "content-type:"));
    assert_non_null(strstr(got, "Content-Length: 2097152"));
    ask(&w, "PUT", NULL, &seen);
    assert_int_equal(strncmp(w.server.requests[1], "PUT / HTTP/1.1", 14), 0);
    assert_non_null(strstr(w.server.requests[1], "Content-Length: 0"));
    ask(&w, "HEAD", NULL, &seen);
    assert_int_equal(seen.status, 200);
    assert_int_equal(seen.body_bytes, 0);
    stop(&w);
}

static void redirects_are_answers(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, "HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"});
    struct seen seen;
    ask(&w, "GET", NULL, &seen);
    assert_false(seen.has_err);
    assert_int_equal(seen.status, 307);
    stop(&w);
}

static bool gate_of_test(void *arg, const char *origin)
{
    (void)snprintf(arg, 64, "%s", origin);
    return false;
}

static void a_closed_gate_dials_nothing(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{SCRIPT_ANSWER, OK}};
    char origin[64] = "", expected[64];
    struct world w = {.options = {.gate = gate_of_test, .gate_arg = origin}};
    start(&w, steps, 1);
    struct seen seen;
    ask(&w, "GET", NULL, &seen);
    assert_int_equal(seen.err.code, ERR_ENDPOINT_CLOSED);
    assert_int_equal(seen.err.applied, APPLIED_NO);
    (void)snprintf(expected, sizeof expected, "http://127.0.0.1:%d", w.server.port);
    assert_string_equal(origin, expected);
    assert_int_equal(w.server.connection_count, 0);
    struct seen two = {0};
    (void)send_to(&w, "GET", "https://EXAMPLE.com/x", NULL, &two);
    run_until(&w, &two.calls, 1);
    assert_string_equal(origin, "https://example.com:443");
    stop(&w);
}

static void link_local_addresses_are_never_dialled(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK});
    static const char *const urls[] = {"http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/",
                                       "http://[fd00:ec2::254]/", "http://0xa9fea9fe/", "http://[fe80::1]/"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct seen seen = {0};
        (void)send_to(&w, "GET", urls[i], NULL, &seen);
        run_until(&w, &seen.calls, 1);
        assert_true(seen.has_err);
        assert_int_equal(seen.err.code, ERR_ENDPOINT_CLOSED);
        assert_int_equal(seen.err.applied, APPLIED_NO);
    }
    stop(&w);
}

static void odd_requests_are_refused_late(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK});
    static const struct http_header split = {"X-A", "1\r\nX-B: 2"}, name = {"X A", "1"};
    const struct http_request bad[] = {
        {.method = "GET", .url = w.url, .headers = &split, .header_count = 1},
        {.method = "GET", .url = w.url, .headers = &name, .header_count = 1},
        {.method = "GET\r\n", .url = w.url},
        {.method = "GET", .url = "file:///etc/passwd"},
        {.method = "GET", .url = "http://user:secret@127.0.0.1/"},
        {.method = "GET", .url = "nonsense"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct seen seen = {0};
        (void)http_send(w.client, &bad[i], on_done, &seen);
        assert_int_equal(seen.calls, 0);
        run_until(&w, &seen.calls, 1);
        assert_true(seen.has_err);
        assert_int_equal(seen.err.applied, APPLIED_NO);
        assert_null(strstr(seen.err.text, "secret"));
    }
    assert_int_equal(w.server.connection_count, 0);
    stop(&w);
}

static void cancelled_calls_are_silent(void **state)
{
    (void)state;
    START(w, {SCRIPT_HANG, NULL}, {SCRIPT_ANSWER, OK});
    struct seen cancelled = {0}, refused = {0}, other;
    struct http_call *call = send_to(&w, "GET", w.url, NULL, &cancelled);
    while (!w.server.request_count)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    http_cancel(call);
    http_cancel(send_to(&w, "GET", "nonsense", NULL, &refused));
    assert_int_equal(http_client_active(w.client), 0);
    ask(&w, "GET", NULL, &other);
    assert_false(other.has_err);
    assert_int_equal(cancelled.calls + refused.calls, 0);
    stop(&w);
}

static void closing_drops_what_is_outstanding(void **state)
{
    (void)state;
    START(w, {SCRIPT_HANG, NULL}, {SCRIPT_HANG, NULL});
    struct seen a = {0}, b = {0}, c = {0};
    (void)send_to(&w, "GET", w.url, NULL, &a);
    (void)send_to(&w, "GET", w.url, NULL, &b);
    while (w.server.request_count < 2)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    (void)send_to(&w, "GET", "nonsense", NULL, &c);
    assert_int_equal(http_client_active(w.client), 3);
    stop(&w);
    assert_int_equal(a.calls + b.calls + c.calls, 0);
}

static void close_on_done(void *arg, const struct http_response *r UNUSED, const struct err *err UNUSED)
{
    struct world *w = arg;
    http_client_close(w->client, on_closed, w);
    w->client = NULL;
    uv_stop(running);
}

static void a_callback_may_close_the_client(void **state)
{
    (void)state;
    START(w, {SCRIPT_ANSWER, OK}, {SCRIPT_ANSWER, OK});
    struct seen dropped = {0};
    const struct http_request request = {.method = "GET", .url = w.url, .response_bytes_max = 100};
    (void)http_send(w.client, &request, close_on_done, &w);
    (void)http_send(w.client, &request, close_on_done, &w);
    while (w.client)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(dropped.calls, 0);
    stop(&w);
    struct world again = {0};
    start(&again, steps_, 1);
    const struct http_request bad = {.method = "GET", .url = "nonsense"};
    (void)http_send(again.client, &bad, close_on_done, &again);
    (void)http_send(again.client, &bad, close_on_done, &again);
    while (again.client)
        (void)uv_run(&again.loop, UV_RUN_ONCE);
    stop(&again);
}

static void many_calls_at_once_are_all_answered(void **state)
{
    (void)state;
    static struct script_step steps[48];
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct script_step){i % 2 ? SCRIPT_ANSWER : SCRIPT_ANSWER_CLOSE, OK};
    struct world w = {0};
    start(&w, steps, ARRAY_LEN(steps));
    struct seen seen = {0};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        (void)send_to(&w, "GET", w.url, NULL, &seen);
    run_until(&w, &seen.calls, (int)ARRAY_LEN(steps));
    assert_false(seen.has_err);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_arrive_late_and_whole),
        cmocka_unit_test(a_refused_connection_is_not_applied),
        cmocka_unit_test(a_name_that_does_not_resolve_is_not_applied),
        cmocka_unit_test(a_failed_tls_handshake_is_not_applied),
        cmocka_unit_test(a_request_that_was_read_and_not_answered_may_be_applied),
        cmocka_unit_test(a_cut_answer_may_be_applied),
        cmocka_unit_test(a_timeout_after_sending_may_be_applied),
        cmocka_unit_test(a_kept_connection_that_dies_never_means_a_second_request),
        cmocka_unit_test(a_connection_that_was_closed_while_idle_is_replaced_unseen),
        cmocka_unit_test(connections_are_kept),
        cmocka_unit_test(an_answer_over_its_limit_ends_the_call),
        cmocka_unit_test(a_dripping_answer_arrives_whole),
        cmocka_unit_test(what_is_sent_is_what_the_caller_wrote),
        cmocka_unit_test(redirects_are_answers),
        cmocka_unit_test(a_closed_gate_dials_nothing),
        cmocka_unit_test(link_local_addresses_are_never_dialled),
        cmocka_unit_test(odd_requests_are_refused_late),
        cmocka_unit_test(cancelled_calls_are_silent),
        cmocka_unit_test(closing_drops_what_is_outstanding),
        cmocka_unit_test(a_callback_may_close_the_client),
        cmocka_unit_test(many_calls_at_once_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
