/* Verdicts and error bodies, by protocol, also when they are nonsense. */
#include "tests/unit/test.h"

#include "common/aws/error_map.h"

static struct aws_service service = {.id = "x", .sign_name = "iam", .protocol = AWS_QUERY};
static struct aws_op op = {.name = "x:Y", .service = &service};

static struct aws_verdict judge(const char *sign_name, enum aws_protocol protocol, int status, const char *headers,
                                const char *body, struct aws_fault *fault)
{
    service.sign_name = sign_name;
    service.protocol = protocol;
    const struct aws_reply reply = {.status = status, .headers = headers, .body = body, .body_bytes = strlen(body)};
    aws_fault_read(&service, &reply, fault);
    return aws_error_classify(&op, &reply, fault);
}

static void codes_are_judged_before_status_and_by_service(void **state)
{
    (void)state;
    static const struct {
        const char *service;
        int status;
        const char *code;
        enum aws_kind kind;
        enum err_code err;
    } rows[] = {
        {"organizations", 400, "TooManyRequestsException", AWS_KIND_THROTTLE, ERR_AWS_THROTTLED},
        {"s3", 503, "SlowDown", AWS_KIND_THROTTLE, ERR_AWS_THROTTLED},
        {"tax", 429, "Unheard", AWS_KIND_THROTTLE, ERR_AWS_THROTTLED},
        {"anything", 400, "LimitExceededException", AWS_KIND_THROTTLE, ERR_AWS_THROTTLED},
        {"support", 400, "LimitExceededException", AWS_KIND_FAIL, ERR_AWS_QUOTA},
        {"iam", 409, "LimitExceeded", AWS_KIND_FAIL, ERR_AWS_QUOTA},
        {"iam", 500, "ServiceFailure", AWS_KIND_TRANSIENT, ERR_AWS_TRANSIENT},
        {"s3", 400, "RequestTimeout", AWS_KIND_TRANSIENT, ERR_AWS_TRANSIENT},
        {"iam", 503, "AccessDenied", AWS_KIND_TRANSIENT, ERR_AWS_TRANSIENT}, /* a server error proves nothing */
        {"iam", 409, "ConcurrentModification", AWS_KIND_FAIL, ERR_AWS_CONFLICT},
        {"iam", 409, "EntityTemporarilyUnmodifiable", AWS_KIND_FAIL, ERR_AWS_CONFLICT},
        {"s3", 409, "OperationAborted", AWS_KIND_FAIL, ERR_AWS_CONFLICT},
        {"iam", 409, "EntityAlreadyExists", AWS_KIND_FAIL, ERR_AWS_REFUSED},
        {"iam", 400, "MalformedPolicyDocument", AWS_KIND_FAIL, ERR_AWS_REFUSED},
        {"iam", 403, "AccessDenied", AWS_KIND_FAIL, ERR_AWS_DENIED},
        {"cur", 400, "AccessDeniedException", AWS_KIND_SKEW, ERR_AWS_DENIED},
        {"sts", 403, "InvalidClientTokenId", AWS_KIND_FAIL, ERR_AWS_CREDENTIALS},
        {"sts", 403, "ExpiredToken", AWS_KIND_EXPIRED, ERR_AWS_EXPIRED},
        {"organizations", 400, "AWSOrganizationsNotInUseException", AWS_KIND_FAIL, ERR_ORG_NONE},
        {"iam", 403, "SomethingNew", AWS_KIND_FAIL, ERR_AWS_DENIED},
        {"iam", 404, "NoSuchEntity", AWS_KIND_FAIL, ERR_AWS_ABSENT},
        {"s3", 301, "PermanentRedirect", AWS_KIND_REDIRECT, ERR_BUCKET_REGION},
        {"iam", 301, "PermanentRedirect", AWS_KIND_FAIL, ERR_AWS_REFUSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[256];
        struct aws_fault fault;
        (void)snprintf(body, sizeof body, "{\"__type\":\"ns#%s:http://x\",\"Message\":\"m\"}", rows[i].code);
        struct aws_verdict v = judge(rows[i].service, AWS_JSON_1_1, rows[i].status, "", body, &fault);
        assert_string_equal(fault.code, rows[i].code);
        if (v.kind != rows[i].kind || v.code != rows[i].err)
            fail_msg("%s %d %s: kind %d, %s", rows[i].service, rows[i].status, rows[i].code, (int)v.kind,
                     err_info(v.code)->name);
    }
}

static void bodies_of_all_protocols_are_read(void **state)
{
    (void)state;
    static const struct {
        enum aws_protocol protocol;
        const char *headers, *body, *code, *message, *request_id;
    } rows[] = {
        {AWS_QUERY, "",
         "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>A</Code><Message>b &amp; "
         "c</Message></Error><RequestId>r</RequestId></ErrorResponse>",
         "A", "b & c", "r"},
        {AWS_REST_XML, "x-amz-request-id: h\n",
         "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>m</Message><RequestId>r</RequestId></Error>",
         "NoSuchBucket", "m", "h"},
        {AWS_JSON_1_1, "x-amzn-requestid: r\n", "{\"__type\":\"C\",\"message\":\"m\"}", "C", "m", "r"},
        {AWS_REST_JSON, "x-amzn-errortype: D:http://y\n", "{\"message\":\"m\\u0007\"}", "D", "m", ""},
        {AWS_REST_JSON, "", "{\"code\":\"E\"}", "E", "", ""},
        {AWS_JSON_1_0, "x-amzn-errortype: F\n", "", "F", "", ""},
        {AWS_JSON_1_1, "", "<html>", "", "", ""},
        {AWS_QUERY, "", "<html><body>no</body></html>", "", "", ""},
        {AWS_QUERY, "", "<ErrorResponse><Error><Code>two words</Code></Error></ErrorResponse>", "", "", ""},
        {AWS_JSON_1_1, "", "{\"__type\":{\"a\":1},\"message\":[]}", "", "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct aws_fault fault;
        (void)judge("iam", rows[i].protocol, 400, rows[i].headers, rows[i].body, &fault);
        assert_string_equal(fault.code, rows[i].code);
        assert_string_equal(fault.message, rows[i].message);
        assert_string_equal(fault.request_id, rows[i].request_id);
    }
}

static void only_aws_itself_can_refuse(void **state)
{
    (void)state;
    struct aws_fault fault;
    assert_int_equal(judge("iam", AWS_QUERY, 403, "", "<html/>", &fault).kind, AWS_KIND_ALIEN);
    assert_int_equal(judge("iam", AWS_QUERY, 302, "", "", &fault).kind, AWS_KIND_ALIEN);
    assert_int_equal(judge("s3", AWS_REST_XML, 307, "", "", &fault).kind, AWS_KIND_ALIEN);
    assert_int_equal(judge("s3", AWS_REST_XML, 400, "", "", &fault).kind, AWS_KIND_ALIEN);
    assert_int_equal(judge("s3", AWS_REST_XML, 403, "x-amz-request-id: r\n", "", &fault).code, ERR_AWS_DENIED);
    assert_int_equal(judge("iam", AWS_QUERY, 502, "", "<html/>", &fault).kind, AWS_KIND_TRANSIENT);
    assert_int_equal(judge("iam", AWS_QUERY, 204, "", "", &fault).kind, AWS_KIND_OK);
}

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    char body[2048];
    struct aws_fault fault;
    size_t n = (size_t)snprintf(body, sizeof body, "{\"__type\":\"A\",\"message\":\"");
    while (n < 1500)
        n += (size_t)snprintf(body + n, sizeof body - n, "%s", "漢");
    (void)snprintf(body + n, sizeof body - n, "\"}");
    (void)judge("iam", AWS_JSON_1_1, 400, "", body, &fault);
    assert_true(strlen(fault.message) > 300 && strlen(fault.message) < sizeof fault.message);
    assert_true(str_is_utf8(fault.message, strlen(fault.message)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_judged_before_status_and_by_service),
        cmocka_unit_test(bodies_of_all_protocols_are_read),
        cmocka_unit_test(only_aws_itself_can_refuse),
        cmocka_unit_test(long_messages_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
