/* Addresses: where an operation goes in a live fleet, and what is never dialled. */
#include "tests/unit/test.h"

#include "common/aws/endpoint.h"
#include "common/aws/partition.h"

static const struct aws_service iam = {
    .id = "iam", .host = "iam.amazonaws.com", .sign_name = "iam", .sign_region = "us-east-1"};
static const struct aws_service sts = {.id = "sts", .host = "sts.{region}.amazonaws.com", .sign_name = "sts"};
static const struct aws_service s3 = {.id = "s3", .host = "s3.{region}.amazonaws.com", .sign_name = "s3"};
static const struct aws_service exports = {.id = "bcm_data_exports",
                                           .host = "bcm-data-exports.us-east-1.api.aws",
                                           .sign_name = "bcm-data-exports",
                                           .sign_region = "us-east-1"};

static struct aws_endpoints *make(bool is_simulated, const char *text)
{
    struct aws_endpoints *e = NULL;
    struct err err;
    if (aws_endpoints_new(is_simulated, text, &e, &err))
        fail_msg("%s", err.text);
    return e;
}

static void check(struct aws_endpoints *e, const struct aws_service *s, const char *region, const char *bucket,
                  const char *origin, const char *sign)
{
    struct aws_target t;
    struct err err;
    if (aws_endpoints_resolve(e, s, region, bucket, &t, &err))
        fail_msg("%s", err.text);
    assert_string_equal(t.origin, origin);
    assert_string_equal(t.region, sign);
}

static void live_calls_go_to_aws(void **state)
{
    (void)state;
    struct aws_endpoints *e = make(false, NULL);
    check(e, &iam, "eu-west-1", "", "https://iam.amazonaws.com", "us-east-1");
    check(e, &sts, "", "", "https://sts.us-east-1.amazonaws.com", "us-east-1");
    check(e, &sts, "eu-west-1", "", "https://sts.eu-west-1.amazonaws.com", "eu-west-1");
    check(e, &s3, "eu-west-1", "doitintl-awsops-a", "https://doitintl-awsops-a.s3.eu-west-1.amazonaws.com",
          "eu-west-1");
    check(e, &s3, "eu-west-1", "with.dots", "https://s3.eu-west-1.amazonaws.com", "eu-west-1");
    check(e, &exports, "", "", "https://bcm-data-exports.us-east-1.api.aws", "us-east-1");
    aws_endpoints_free(e);
}

static void other_partitions_and_odd_regions_are_refused(void **state)
{
    (void)state;
    struct aws_endpoints *e = make(false, NULL);
    static const struct {
        const char *region;
        enum err_code code;
    } rows[] = {{"cn-north-1", ERR_PARTITION},       {"us-gov-west-1", ERR_PARTITION},
                {"eusc-de-east-1", ERR_PARTITION},   {"us-iso-east-1", ERR_PARTITION},
                {"evil.com/#-1", ERR_FIELD_INVALID}, {"us-east", ERR_FIELD_INVALID},
                {"US-EAST-1", ERR_FIELD_INVALID},    {"us--east-1", ERR_FIELD_INVALID},
                {"xx-east-1", ERR_FIELD_INVALID},    {"us-east-1.x", ERR_FIELD_INVALID}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct aws_target t;
        struct err err = {0};
        assert_int_equal(aws_endpoints_resolve(e, &sts, rows[i].region, "", &t, &err), -1);
        if (err.code != rows[i].code)
            fail_msg("%s: %s", rows[i].region, err.text);
    }
    struct err err;
    assert_int_equal(aws_partition_check("aws", &err), 0);
    assert_int_equal(aws_partition_check("aws-cn", &err), -1);
    assert_non_null(strstr(err.text, "aws-cn"));
    assert_int_equal(aws_partition_check("nonsense", &err), -1);
    assert_string_equal(aws_partition_of_arn("arn:aws-us-gov:iam::1:role/x")->name, "aws-us-gov");
    assert_null(aws_partition_of_arn("arn:aws"));
    for (const char *const *r = (const char *const[]){"us-east-1", "eu-central-2", "ap-southeast-5", "il-central-1",
                                                      "mx-central-1", "me-south-1", NULL};
         *r; r++)
        assert_int_equal(aws_region_check(*r, &err), 0);
    aws_endpoints_free(e);
}

static void live_overrides_are_checked(void **state)
{
    (void)state;
    struct aws_endpoints *e = make(false, NULL);
    struct aws_target t;
    struct err err;
    static const struct {
        const char *url;
        enum err_code code;
    } rows[] = {{"http://169.254.169.254", ERR_ENDPOINT_CLOSED},
                {"http://proxy.example.com", ERR_CONFIG},
                {"ftp://x.example.com", ERR_CONFIG},
                {"https://u:p@x.example.com", ERR_CONFIG},
                {"https://x.example.com/path", ERR_CONFIG},
                {"https://x%2eexample.com", ERR_CONFIG},
                {"nonsense", ERR_SYNTAX}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(setenv("AWS_ENDPOINT_URL_BCM_DATA_EXPORTS", rows[i].url, 1), 0);
        assert_int_equal(aws_endpoints_resolve(e, &exports, "", "", &t, &err), -1);
        if (err.code != rows[i].code)
            fail_msg("%s: %s", rows[i].url, err.text);
    }
    assert_int_equal(setenv("AWS_ENDPOINT_URL_BCM_DATA_EXPORTS", "https://VPCE.example.com:8443/", 1), 0);
    check(e, &exports, "", "", "https://vpce.example.com:8443", "us-east-1");
    check(e, &iam, "", "", "https://iam.amazonaws.com", "us-east-1");
    assert_int_equal(setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000", 1), 0);
    check(e, &iam, "", "", "http://127.0.0.1:5000", "us-east-1");
    assert_int_equal(setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1), 0);
    check(e, &iam, "", "", "https://iam.amazonaws.com", "us-east-1");
    assert_int_equal(unsetenv("AWS_ENDPOINT_URL_BCM_DATA_EXPORTS") + unsetenv("AWS_ENDPOINT_URL") +
                         unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
                     0);
    aws_endpoints_free(e);
}

static void simulated_calls_only_go_where_they_are_listed(void **state)
{
    (void)state;
    struct aws_endpoints *e =
        make(true, "bcm-data-exports=http://127.0.0.1:1,sts=http://[::1]:2,*=https://sim.example.com");
    check(e, &exports, "", "", "http://127.0.0.1:1", "us-east-1");
    check(e, &sts, "eu-west-1", "", "http://[::1]:2", "eu-west-1");
    check(e, &s3, "", "bucket", "https://sim.example.com", "us-east-1");
    struct err err;
    assert_int_equal(aws_endpoints_allow(e, "http://127.0.0.1:3", &err), 0);
    static const struct {
        const char *origin;
        bool is_open;
    } rows[] = {{"http://127.0.0.1:1", true},          {"http://[::1]:2", true},
                {"https://sim.example.com:443", true}, {"http://127.0.0.1:3", true},
                {"https://127.0.0.1:1", false},        {"http://127.0.0.1:4", false},
                {"http://sim.example.com:443", false}, {"https://iam.amazonaws.com:443", false},
                {"http://169.254.169.254:80", false},  {"nonsense", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (aws_endpoints_gate(e, rows[i].origin) != rows[i].is_open)
            fail_msg("%s", rows[i].origin);
    aws_endpoints_free(e);
    assert_int_equal(aws_endpoints_new(true, "", &e, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
}

static void hosts_of_aws_and_of_metadata_are_known_in_every_spelling(void **state)
{
    (void)state;
    static const char *const real[] = {
        "amazonaws.com",      "IAM.amazonaws.com", "s3.eu-west-1.amazonaws.com.", "x.api.aws",
        "a.amazonaws.com.cn", "b.amazonaws.eu",    "console.aws.amazon.com"};
    static const char *const other[] = {"127.0.0.1", "notamazonaws.com", "amazonaws.com.example.org",
                                        "api.aws.example.org", "localhost"};
    static const char *const metadata[] = {
        "169.254.169.254", "169.254.170.2",       "[fd00:ec2::254]",    "fe80::1%eth0",
        "2852039166",      "0xa9.0xfe.0xa9.0xfe", "::ffff:169.254.1.1", "instance-data.ec2.internal"};
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        assert_true(aws_host_is_real(real[i]));
    for (size_t i = 0; i < sizeof metadata / sizeof *metadata; i++)
        assert_true(aws_host_is_metadata(metadata[i]));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(aws_host_is_real(other[i]) || aws_host_is_metadata(other[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_calls_go_to_aws),
        cmocka_unit_test(other_partitions_and_odd_regions_are_refused),
        cmocka_unit_test(live_overrides_are_checked),
        cmocka_unit_test(simulated_calls_only_go_where_they_are_listed),
        cmocka_unit_test(hosts_of_aws_and_of_metadata_are_known_in_every_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
