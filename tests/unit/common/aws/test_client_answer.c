/* What the client makes of answers: repeat what is proven not applied, and say MAYBE of everything else (P2). */
#include "tests/unit/test.h"

#include "tests/lib/aws_world.h"

#define WORLD(w, ...)                                                                                                  \
    static const struct script_step steps_[] = {__VA_ARGS__};                                                          \
    struct aws_world w;                                                                                                \
    struct answer a = {0};                                                                                             \
    aws_world_start(&(w), steps_, ARRAY_LEN(steps_), NULL)
#define END(w) (answer_done(&a), aws_world_stop(&(w)))

static void assert_err(const struct answer *a, enum err_code code, enum err_applied applied)
{
    assert_true(a->has_err);
    if (a->err.code != code || a->err.applied != applied)
        fail_msg("got %s applied %d: %s (%s)", err_info(a->err.code)->name, (int)a->err.applied, a->err.text,
                 a->err.origin);
}

static void a_call_goes_out_signed_and_its_facts_come_back(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    json_auto_t *args = json_make("{s:s}", "Name", "x");
    world_ask(&w, &op_read, args, &a);
    assert_false(a.has_err);
    assert_string_equal(json_str_at(a.facts, "body"), "ok");
    assert_string_equal(a.request_id, "r-ok");
    assert_int_equal(a.tries, 1);
    const char *got = w.server.requests[0];
    assert_non_null(strstr(got, "\r\n\r\nAction=GetRole&Version=2010-05-08&Name=x"));
    assert_non_null(strstr(got, "Content-Type: application/x-www-form-urlencoded; charset=utf-8"));
    assert_non_null(strstr(got, "X-Amz-Date: 20261123T"));
    assert_non_null(strstr(got, "X-Amz-Security-Token: the-session-token"));
    assert_non_null(strstr(got, "Credential=AKIATESTTESTTEST/20261123/us-east-1/iam/aws4_request, "
                                "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="));
    END(w);
}

static void json_calls_carry_target_and_type(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"});
    world_ask(&w, &op_json_write, NULL, &a);
    assert_false(a.has_err);
    assert_non_null(strstr(w.server.requests[0], "X-Amz-Target: AWSOrganizationsV20161128.Write\r\n"));
    assert_non_null(strstr(w.server.requests[0], "Content-Type: application/x-amz-json-1.1\r\n"));
    assert_non_null(strstr(w.server.requests[0], "\r\n\r\n{}"));
    END(w);
}

static void a_throttled_write_is_repeated_also_when_it_comes_as_400(void **state)
{
    (void)state;
    WORLD(w,
          {SCRIPT_ANSWER_CLOSE, CLOSED("400 Bad", "x-amzn-RequestId: t\r\n",
                                       "{\"__type\":\"com.amazonaws#TooManyRequestsException:x\",\"message\":\"m\"}")},
          {SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"});
    world_ask(&w, &op_json_write, NULL, &a);
    assert_false(a.has_err);
    assert_int_equal(a.tries, 2);
    struct aws_client_stats stats;
    aws_client_stats(w.client, &stats);
    assert_int_equal(stats.throttles, 1);
    assert_int_equal(stats.retries, 1);
    END(w);
}

static void throttling_ends_after_three_tries_and_is_proven_not_applied(void **state)
{
    (void)state;
#define THROTTLED {SCRIPT_ANSWER_CLOSE, CLOSED("400 Bad", "", XML_ERROR("Throttling", "Rate exceeded"))}
    WORLD(w, THROTTLED, THROTTLED, THROTTLED, {SCRIPT_ANSWER, BODY_OK});
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_THROTTLED, APPLIED_NO);
    assert_int_equal(w.server.request_count, 3);
    assert_string_equal(a.aws_code, "Throttling");
    assert_string_equal(a.err.request_id, "r-xml");
    assert_string_equal(a.err.origin, "iam:CreateRole 400 Throttling");
    END(w);
}

static void a_throttle_pauses_the_family_as_long_as_the_server_says(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("429 Slow", "x-amz-retry-after: 2500\r\n", "")}, {SCRIPT_ANSWER, BODY_OK});
    (void)world_call(&w, &op_write, NULL, &a);
    while (!aws_client_wait_ms(w.client, ACCOUNT, &op_read))
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(aws_client_wait_ms(w.client, ACCOUNT, &op_read), 2500);
    assert_int_equal(aws_client_wait_ms(w.client, "999999999999", &op_read), 0);
    w.boot_ms += 2500;
    assert_int_equal(aws_client_wait_ms(w.client, ACCOUNT, &op_read), 0);
    END(w);
}

static void an_unclear_write_is_never_sent_again(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("503 X", "x-amzn-RequestId: q\r\n", XML_ERROR("ServiceFailure", "later"))},
          {SCRIPT_ANSWER_CLOSE, CLOSED("500 X", "", "")}, {SCRIPT_RESET, NULL}, {SCRIPT_CLOSE, NULL},
          {SCRIPT_ANSWER_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut"});
    for (size_t i = 1; i <= ARRAY_LEN(steps_); i++) {
        world_ask(&w, &op_write, NULL, &a);
        assert_err(&a, ERR_AWS_UNCLEAR, APPLIED_MAYBE);
        assert_int_equal(w.server.request_count, i);
    }
    END(w);
}

static void a_write_on_a_kept_connection_that_dies_is_sent_once(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK}, {SCRIPT_CLOSE, NULL}, {SCRIPT_ANSWER, BODY_OK});
    world_ask(&w, &op_write, NULL, &a);
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_UNCLEAR, APPLIED_MAYBE);
    assert_int_equal(w.server.request_count, 2);
    END(w);
}

static void a_read_is_repeated_after_failures_and_resets(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("503 X", "", "")}, {SCRIPT_RESET, NULL}, {SCRIPT_ANSWER, BODY_OK},
          {SCRIPT_RESET, NULL}, {SCRIPT_RESET, NULL}, {SCRIPT_RESET, NULL});
    world_ask(&w, &op_read, NULL, &a);
    assert_false(a.has_err);
    assert_int_equal(a.tries, 3);
    world_ask(&w, &op_read, NULL, &a);
    assert_err(&a, ERR_AWS_TRANSIENT, APPLIED_NO);
    assert_int_equal(w.server.request_count, 6);
    END(w);
}

static void a_refused_connection_is_tried_again_and_proves_a_write_not_applied(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, BODY_OK});
    uv_close((uv_handle_t *)&w.server.listener, NULL);
    while (uv_is_active((uv_handle_t *)&w.server.listener))
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_TRANSIENT, APPLIED_NO);
    assert_int_equal(a.tries, 3);
    answer_done(&a);
    aws_client_free(w.client);
    http_client_close(w.http, NULL, NULL);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w.loop), 0);
    aws_identity_unref(w.identity);
}

static void the_retry_budget_of_an_account_and_service_runs_out(void **state)
{
    (void)state;
    static struct script_step steps[60];
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct script_step){SCRIPT_ANSWER_CLOSE, CLOSED("500 X", "", "")};
    struct aws_world w;
    struct answer a = {0};
    aws_world_start(&w, steps, ARRAY_LEN(steps), NULL);
    uint32_t last_tries = 3;
    for (int i = 0; i < 18 && last_tries == 3; i++) { /* 500 tokens, 14 each, two a call */
        world_ask(&w, &op_read, NULL, &a);
        last_tries = a.tries;
    }
    assert_int_equal(last_tries, 2);
    world_ask(&w, &op_read, NULL, &a);
    assert_int_equal(a.tries, 1);
    END(w);
}

static void a_wrong_clock_is_corrected_once_from_the_answer(void **state)
{
    (void)state;
#define SKEWED(code)                                                                                                   \
    {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "Date: Mon, 23 Nov 2026 11:00:00 GMT\r\n", XML_ERROR(code, "clock"))}
    WORLD(w, SKEWED("RequestTimeTooSkewed"),
          {SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 11:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"},
          SKEWED("SignatureDoesNotMatch"));
    w.unix_ms = 1795428000000; /* 2026-11-23T10:00:00Z: an hour behind */
    world_ask(&w, &op_write, NULL, &a);
    assert_false(a.has_err);
    assert_non_null(strstr(w.server.requests[0], "X-Amz-Date: 20261123T100000Z"));
    assert_non_null(strstr(w.server.requests[1], "X-Amz-Date: 20261123T110000Z"));
    /* Known by now: the same word is about the key then, and nothing is repeated. */
    world_ask(&w, &op_write, NULL, &a);
    assert_non_null(strstr(w.server.requests[2], "X-Amz-Date: 20261123T110000Z"));
    assert_err(&a, ERR_AWS_CREDENTIALS, APPLIED_NO);
    assert_int_equal(w.server.request_count, 3);
    END(w);
}

static void a_message_never_quotes_our_headers(void **state)
{
    (void)state;
    WORLD(w,
          {SCRIPT_ANSWER_CLOSE,
           CLOSED("403 F", "",
                  XML_ERROR("SignatureDoesNotMatch",
                            "It does not match. The Canonical String was 'x-amz-security-token:the-session-token'"))});
    world_ask(&w, &op_read, NULL, &a);
    assert_err(&a, ERR_AWS_CREDENTIALS, APPLIED_NO);
    assert_null(strstr(a.err.text, "the-session-token"));
    assert_non_null(strstr(a.err.text, "It does not match."));
    END(w);
}

static void an_expired_session_goes_back_to_the_caller(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "", XML_ERROR("ExpiredToken", "expired"))});
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_EXPIRED, APPLIED_NO);
    assert_int_equal(a.err.retry, RETRY_REAUTH);
    w.identity->expires_unix_ms = w.unix_ms;
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_EXPIRED, APPLIED_NO);
    assert_int_equal(w.server.request_count, 1);
    END(w);
}

static void absence_is_a_fact(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("404 N", "", XML_ERROR("NoSuchEntity", "none"))},
          {SCRIPT_ANSWER_CLOSE, CLOSED("404 N", "", XML_ERROR("NoSuchEntity", "none"))},
          {SCRIPT_ANSWER, EMPTY("404 N", "x-amz-request-id: s\r\n")}, {SCRIPT_ANSWER, EMPTY("404 N", "")});
    world_ask(&w, &op_read, NULL, &a);
    assert_false(a.has_err);
    assert_true(json_is_null(a.facts));
    world_ask(&w, &op_write, NULL, &a); /* knows no absence */
    assert_err(&a, ERR_AWS_ABSENT, APPLIED_NO);
    json_auto_t *head = json_make("{s:b}", "Head", 1);
    world_ask(&w, &op_head, head, &a); /* HEAD: no body, no code */
    assert_false(a.has_err);
    assert_true(json_is_null(a.facts));
    world_ask(&w, &op_head, head, &a); /* not AWS's 404 */
    assert_err(&a, ERR_AWS_ANSWER, APPLIED_NO);
    END(w);
}

static void denials_name_their_owner(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "", XML_ERROR("AccessDenied", "no"))},
          {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "", XML_ERROR("AccessDenied", "no"))},
          {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "", XML_ERROR("InvalidClientTokenId", "no"))});
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_DENIED, APPLIED_NO);
    assert_int_equal(a.err.owner, OWNER_CUSTOMER);
    world_ask(&w, &op_operator, NULL, &a);
    assert_err(&a, ERR_AWS_DENIED, APPLIED_NO);
    assert_int_equal(a.err.owner, OWNER_OPERATOR);
    world_ask(&w, &op_operator, NULL, &a);
    assert_err(&a, ERR_OPERATOR_CREDENTIALS, APPLIED_NO);
    END(w);
}

static void what_a_proxy_says_proves_nothing_about_a_write(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "", "<html>blocked</html>")},
          {SCRIPT_ANSWER_CLOSE, CLOSED("403 F", "", "<html>blocked</html>")});
    world_ask(&w, &op_write, NULL, &a);
    assert_err(&a, ERR_AWS_UNCLEAR, APPLIED_MAYBE);
    world_ask(&w, &op_read, NULL, &a);
    assert_err(&a, ERR_AWS_ANSWER, APPLIED_NO);
    END(w);
}

static void an_unreadable_success_of_a_write_is_unclear(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{no"},
          {SCRIPT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{no"});
    world_ask(&w, &op_json_write, NULL, &a);
    assert_err(&a, ERR_AWS_UNCLEAR, APPLIED_MAYBE);
    world_ask(&w, &op_list, NULL, &a);
    assert_true(a.has_err);
    assert_int_equal(a.err.applied, APPLIED_NO);
    END(w);
}

#define PAGE(body)                                                                                                     \
    {                                                                                                                  \
        SCRIPT_ANSWER_CLOSE, CLOSED("200 OK", "", body)                                                                \
    }
static void pages_are_joined_by_token_even_when_one_is_empty(void **state)
{
    (void)state;
    WORLD(w, PAGE("{\"accounts\":[1],\"next\":\"t1\"}"), PAGE("{\"accounts\":[],\"next\":\"t2\"}"),
          PAGE("{\"accounts\":[2,3]}"));
    json_auto_t *args = json_make("{s:i}", "MaxResults", 20);
    world_ask(&w, &op_list, args, &a);
    assert_false(a.has_err);
    assert_int_equal(a.pages, 3);
    AUTO_FREE char *text = json_text(a.facts);
    assert_string_equal(text, "{\"accounts\":[1,2,3]}");
    assert_null(strstr(w.server.requests[0], "NextToken"));
    assert_non_null(strstr(w.server.requests[1], "{\"MaxResults\":20,\"NextToken\":\"t1\"}"));
    assert_non_null(strstr(w.server.requests[2], "\"NextToken\":\"t2\""));
    END(w);
}

static void pages_without_end_are_an_error(void **state)
{
    (void)state;
    WORLD(w, PAGE("{\"accounts\":[1],\"next\":\"t\"}"), PAGE("{\"accounts\":[1],\"next\":\"t\"}"),
          PAGE("{\"accounts\":[],\"next\":\"a\"}"), PAGE("{\"accounts\":[],\"next\":\"b\"}"),
          PAGE("{\"accounts\":[],\"next\":\"c\"}"), PAGE("{\"accounts\":[],\"next\":\"d\"}"));
    world_ask(&w, &op_list, NULL, &a);
    assert_err(&a, ERR_AWS_ANSWER, APPLIED_NO);
    world_ask(&w, &op_list, NULL, &a);
    assert_err(&a, ERR_TOO_LARGE, APPLIED_NO);
    assert_int_equal(w.server.request_count, 6);
    END(w);
}

static void a_failed_page_is_asked_again_alone(void **state)
{
    (void)state;
    WORLD(w, PAGE("{\"accounts\":[1],\"next\":\"t1\"}"), {SCRIPT_RESET, NULL}, PAGE("{\"accounts\":[2]}"));
    world_ask(&w, &op_list, NULL, &a);
    assert_false(a.has_err);
    assert_int_equal(json_array_size(json_at(a.facts, "accounts")), 2);
    assert_int_equal(a.tries, 3);
    END(w);
}

static void s3_calls_have_their_own_rules(void **state)
{
    (void)state;
    WORLD(w, {SCRIPT_ANSWER, EMPTY("204 N", "x-amz-request-id: s\r\n")});
    const struct aws_op *ops[] = {&op_bucket, NULL};
    const struct aws_grant grant = {.ops = ops, .account_id = ACCOUNT};
    const struct aws_call_input input = {.op = &op_bucket,
                                         .grant = &grant,
                                         .identity = w.identity,
                                         .region = "eu-west-1",
                                         .bucket_owner = ACCOUNT,
                                         .rate_key = ACCOUNT};
    (void)aws_call(w.client, &input, on_answer, &a);
    world_run(&w, &a, 1);
    assert_false(a.has_err);
    const char *got = w.server.requests[0];
    assert_int_equal(strncmp(got, "PUT /doitintl-awsops-acme42?policy HTTP/1.1", 43), 0);
    assert_non_null(strstr(got, "x-amz-expected-bucket-owner: " ACCOUNT "\r\n"));
    assert_non_null(strstr(got, "X-Amz-Content-Sha256: "));
    assert_non_null(strstr(got, "Content-MD5: "));
    assert_non_null(strstr(got, "/20261123/eu-west-1/s3/aws4_request, "
                                "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date;"
                                "x-amz-expected-bucket-owner;x-amz-security-token"));
    END(w);
}

static void a_bucket_in_another_region_is_signed_for_it_once(void **state)
{
    (void)state;
#define MOVED {SCRIPT_ANSWER, EMPTY("301 M", "x-amz-bucket-region: eu-west-1\r\nx-amz-request-id: s\r\n")}
#define MOVED_AGAIN                                                                                                    \
    {                                                                                                                  \
        SCRIPT_ANSWER, EMPTY("301 M", "x-amz-bucket-region: eu-west-2\r\nx-amz-request-id: s\r\n")                     \
    }
    WORLD(w, MOVED, {SCRIPT_ANSWER, EMPTY("204 N", "")}, MOVED, MOVED_AGAIN,
          {SCRIPT_ANSWER, EMPTY("301 M", "x-amz-bucket-region: evil/../\r\nx-amz-request-id: s\r\n")});
    world_ask(&w, &op_bucket, NULL, &a);
    assert_false(a.has_err);
    assert_non_null(strstr(w.server.requests[0], "/us-east-1/s3/"));
    assert_non_null(strstr(w.server.requests[1], "/eu-west-1/s3/"));
    world_ask(&w, &op_bucket, NULL, &a);
    assert_err(&a, ERR_BUCKET_REGION, APPLIED_NO);
    world_ask(&w, &op_bucket, NULL, &a);
    assert_err(&a, ERR_BUCKET_REGION, APPLIED_NO);
    assert_int_equal(w.server.request_count, 5);
    END(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_out_signed_and_its_facts_come_back),
        cmocka_unit_test(json_calls_carry_target_and_type),
        cmocka_unit_test(a_throttled_write_is_repeated_also_when_it_comes_as_400),
        cmocka_unit_test(throttling_ends_after_three_tries_and_is_proven_not_applied),
        cmocka_unit_test(a_throttle_pauses_the_family_as_long_as_the_server_says),
        cmocka_unit_test(an_unclear_write_is_never_sent_again),
        cmocka_unit_test(a_write_on_a_kept_connection_that_dies_is_sent_once),
        cmocka_unit_test(a_read_is_repeated_after_failures_and_resets),
        cmocka_unit_test(a_refused_connection_is_tried_again_and_proves_a_write_not_applied),
        cmocka_unit_test(the_retry_budget_of_an_account_and_service_runs_out),
        cmocka_unit_test(a_wrong_clock_is_corrected_once_from_the_answer),
        cmocka_unit_test(a_message_never_quotes_our_headers),
        cmocka_unit_test(an_expired_session_goes_back_to_the_caller),
        cmocka_unit_test(absence_is_a_fact),
        cmocka_unit_test(denials_name_their_owner),
        cmocka_unit_test(what_a_proxy_says_proves_nothing_about_a_write),
        cmocka_unit_test(an_unreadable_success_of_a_write_is_unclear),
        cmocka_unit_test(pages_are_joined_by_token_even_when_one_is_empty),
        cmocka_unit_test(pages_without_end_are_an_error),
        cmocka_unit_test(a_failed_page_is_asked_again_alone),
        cmocka_unit_test(s3_calls_have_their_own_rules),
        cmocka_unit_test(a_bucket_in_another_region_is_signed_for_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
