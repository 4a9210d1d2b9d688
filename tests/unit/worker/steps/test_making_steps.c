/* Steps that make things, against a world that remembers what was written. */
#include "common/aws/op.h"
#include "tests/unit/worker/steps/fake_host.h"
#include "tests/unit/worker/steps/import_doc.h"

static const json_t *arg_of(const struct step_call *call, const char *name)
{
    return json_object_get(call->args, name);
}

static const char *text_of(const struct step_call *call, const char *name)
{
    return json_str_at(call->args, name);
}

static void put(struct fake_host *h, const char *key, json_t *facts)
{
    json_put(h->world, key, facts);
}

static json_t *tags(const char *value)
{
    return json_make("{s:s}", "doit:onboarding", value);
}

static json_t *live_role(const json_t *trust, const char *tag)
{
    return json_make("{s:s,s:s,s:s,s:s,s:I,s:s,s:i,s:O,s:o}", "name", "doitintl_cmp", "arn",
                     "arn:aws:iam::111122223333:role/doitintl_cmp", "path", "/", "role_id", "AROA1", "created_ms",
                     (json_int_t)DOC_CREATED_MS + 5000, "description", "d", "max_session", 3600, "trust", trust, "tags",
                     tags(tag));
}

/* What AWS would show after these writes. Reads that were answered before keep their answers. */
static void iam_remembers(struct fake_host *h, const struct step_call *call)
{
    const char *op = call->op->name;
    if (str_eq(op, "iam:CreateRole"))
        put(h, "iam:GetRole", live_role(arg_of(call, "AssumeRolePolicyDocument"), "acme42"));
    if (str_eq(op, "iam:UpdateAssumeRolePolicy"))
        json_put(json_object_get(h->world, "iam:GetRole"), "trust",
                 json_incref((json_t *)(uintptr_t)arg_of(call, "PolicyDocument")));
    if (str_eq(op, "iam:AttachRolePolicy"))
        (void)json_array_append(json_object_get(json_object_get(h->world, "iam:ListAttachedRolePolicies"), "policies"),
                                (json_t *)(uintptr_t)arg_of(call, "PolicyArn"));
    if (str_eq(op, "iam:CreatePolicy") || str_eq(op, "iam:CreatePolicyVersion")) {
        const char *version = str_eq(op, "iam:CreatePolicy") ? "v1" : "v9";
        put(h, "iam:GetPolicy",
            json_make("{s:s,s:s,s:s,s:o}", "arn", "arn:aws:iam::111122223333:policy/doitintl_cmp", "name",
                      "doitintl_cmp", "default_version", version, "tags", tags("acme42")));
        put(h, "iam:GetPolicyVersion",
            json_make("{s:s,s:O}", "version", version, "document", arg_of(call, "PolicyDocument")));
    }
}

static void setup_roles(struct fake_host *h)
{
    *h = (struct fake_host){
        .world = json_object(), .import = import_doc(), .results = json_object(), .now_ms = DOC_CREATED_MS + 1000};
    h->on_answer = iam_remembers;
    put(h, "iam:ListRoles", json_make("{s:[]}", "roles"));
    put(h, "iam:ListAttachedRolePolicies", json_make("{s:[]}", "policies"));
    put(h, "iam:ListRolePolicies", json_make("{s:[]}", "names"));
    put(h, "iam:ListInstanceProfilesForRole", json_make("{s:[]}", "names"));
    put(h, "sts:GetCallerIdentity/trusted", json_make("{s:s}", "account", "999900000001")); /* not the trusted one */
}

static const json_t *wanted_trust(const struct fake_host *h)
{
    return json_at(h->import, "vars.roles.cmp.trust");
}

static size_t writes(const struct fake_host *h)
{
    size_t n = 0;
    for (size_t i = 0; i < h->call_count; i++) {
        const struct aws_op *op = aws_op_by_name(h->asked[i]);
        n += op && op->mutates;
    }
    return n;
}

static void check_end(const struct fake_host *h, enum step_outcome outcome, const char *code)
{
    if (h->outcome != outcome || !str_eq(json_str_at(h->error, "code"), code)) {
        AUTO_FREE char *error = json_text(h->error);
        fail_msg("ended %c with %s, wanted %c %s", h->outcome, error, outcome, code);
    }
}

static void a_role_is_made_once_and_read_back(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 3); /* policy, role, attachment */
    assert_string_equal(json_str_at(h.result, "role.role_id"), "AROA1");
    assert_true(json_bool_at(h.result, "created"));
    assert_string_equal(json_str_at(h.result, "assumable"), "not observed");
    assert_true(str_ends(json_str_at(h.result, "role_value.policies.0"), ":policy/doitintl_cmp"));

    json_auto_t *patches = GOT(step_def_by_name("role_cmp"))->expects(h.import, NULL, h.result);
    assert_int_equal(json_array_size(patches), 2);
    assert_string_equal(json_str_at(patches, "0.section"), "iam.roles");
    assert_string_equal(json_str_at(patches, "0.op"), "add");

    /* A second import of the same organization finds everything and writes nothing. */
    mem_free(h.journal);
    h.journal = NULL;
    h.call_count = 0;
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

static void a_role_that_is_not_ours_is_left_alone(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    put(&h, "iam:GetRole", live_role(wanted_trust(&h), "someone-else"));
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_FAIL, "role.name_taken");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

static void a_name_in_other_case_is_a_collision(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    put(&h, "iam:ListRoles", json_make("{s:[{s:s}]}", "roles", "name", "DOITINTL_CMP"));
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_FAIL, "role.name_taken");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

static void drift_is_mended_on_ours_and_the_live_external_id_stays(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    struct err err;
    static const char open[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},"
        "\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":\"older\"}}}]}";
    json_auto_t *trust = json_read(open, sizeof open - 1, 0, &err);
    put(&h, "iam:GetRole", live_role(trust, "acme42"));
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_string_equal(json_str_at(h.result, "external_id_adopted"), "older");
    const json_t *mended = json_at(json_object_get(h.world, "iam:GetRole"), "trust.Statement.0");
    assert_string_equal(json_str_at(mended, "Principal.AWS"), "arn:aws:iam::068664126052:root");
    assert_string_equal(json_string_value(json_object_get(json_at(mended, "Condition.StringEquals"), "sts:ExternalId")),
                        "older");
    assert_true(json_array_size(json_at(h.result, "warnings")) > 0);
    fake_done(&h);
}

static void what_others_attached_to_our_role_stops(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    put(&h, "iam:GetRole", live_role(wanted_trust(&h), "acme42"));
    put(&h, "iam:ListAttachedRolePolicies",
        json_make("{s:[s]}", "policies", "arn:aws:iam::aws:policy/AdministratorAccess"));
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_FAIL, "role.changed");
    fake_done(&h);
}

static void a_trust_without_external_id_is_never_made(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    json_t *statement = json_array_get(json_object_get((json_t *)(uintptr_t)wanted_trust(&h), "Statement"), 0);
    (void)json_object_del(statement, "Condition");
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_FAIL, "profile.invalid");
    assert_int_equal(h.call_count, 0);
    fake_done(&h);
}

/* With our identity in the trusted account: let in twice, and then also without the id. */
static void a_role_open_to_everybody_is_reported(void **state)
{
    (void)state;
    struct fake_host h;
    setup_roles(&h);
    h.on_answer = NULL;
    put(&h, "iam:GetRole", live_role(wanted_trust(&h), "acme42"));
    put(&h, "iam:GetPolicy",
        json_make("{s:s,s:s,s:s,s:o}", "arn", "arn:aws:iam::111122223333:policy/doitintl_cmp", "name", "doitintl_cmp",
                  "default_version", "v1", "tags", tags("acme42")));
    put(&h, "iam:GetPolicyVersion",
        json_make("{s:O}", "document", json_at(h.import, "vars.roles.cmp.policies.0.document")));
    put(&h, "iam:ListAttachedRolePolicies",
        json_make("{s:[s]}", "policies", "arn:aws:iam::111122223333:policy/doitintl_cmp"));
    put(&h, "sts:GetCallerIdentity/trusted", json_make("{s:s}", "account", "068664126052"));
    put(&h, "sts:AssumeRole/probe", json_make("{s:s}", "arn", "arn:aws:sts::111122223333:assumed-role/doitintl_cmp/x"));
    fake_run(&h, step_def_by_name("role_cmp"));
    check_end(&h, STEP_ENDED_FAIL, "role.trust_too_open");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

/* ---- Bucket and report ---- */

static void s3_remembers(struct fake_host *h, const struct step_call *call)
{
    const char *op = call->op->name;
    if (str_eq(op, "s3:CreateBucket"))
        put(h, "s3:GetBucketLocation", json_make("{s:s}", "region", text_of(call, "Region")));
    if (str_eq(op, "s3:PutBucketTagging")) {
        json_t *all = json_object();
        size_t i;
        const json_t *tag;
        json_array_foreach ((json_t *)(uintptr_t)arg_of(call, "Tags"), i, tag)
            json_put_str(all, json_str_at(tag, "Key"), json_str_at(tag, "Value"));
        put(h, "s3:GetBucketTagging", json_make("{s:o}", "tags", all));
    }
    if (str_eq(op, "s3:PutPublicAccessBlock"))
        put(h, "s3:GetPublicAccessBlock", json_make("{s:b}", "all", 1));
    if (str_eq(op, "s3:PutBucketOwnershipControls"))
        put(h, "s3:GetBucketOwnershipControls", json_make("{s:s}", "ownership", "BucketOwnerEnforced"));
    if (str_eq(op, "s3:PutBucketEncryption"))
        put(h, "s3:GetBucketEncryption", json_make("{s:s}", "algorithm", "AES256"));
    if (str_eq(op, "s3:PutBucketPolicy"))
        put(h, "s3:GetBucketPolicy", json_make("{s:s}", "policy", text_of(call, "Policy")));
    if (str_eq(op, "cur:PutReportDefinition"))
        put(h, "cur:DescribeReportDefinitions", json_make("{s:[O]}", "reports", arg_of(call, "ReportDefinition")));
}

static void setup_bucket(struct fake_host *h)
{
    *h = (struct fake_host){
        .world = json_object(), .import = import_doc(), .results = json_object(), .now_ms = DOC_CREATED_MS + 1000};
    h->on_answer = s3_remembers;
    put(h, "cur:DescribeReportDefinitions", json_make("{s:[]}", "reports"));
}

static void a_bucket_gets_all_five_settings(void **state)
{
    (void)state;
    struct fake_host h;
    setup_bucket(&h);
    fake_run(&h, step_def_by_name("cur_bucket"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 6);
    assert_string_equal(h.asked[1], "s3:CreateBucket");
    assert_true(json_bool_at(h.result, "created"));
    json_auto_t *patches = GOT(step_def_by_name("cur_bucket"))->expects(h.import, NULL, h.result);
    assert_string_equal(json_str_at(patches, "0.value.region"), "eu-west-1");
    mem_free(h.journal);
    h.journal = NULL;
    h.call_count = 0;
    fake_run(&h, step_def_by_name("cur_bucket"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

static void a_foreign_bucket_is_left_alone(void **state)
{
    (void)state;
    static const struct {
        const char *location, *tag, *code;
    } cases[] = {
        {"{\"$error\":\"AccessDenied\"}", NULL, "bucket.name_taken"},
        {"{\"region\":\"eu-west-1\"}", NULL, "bucket.not_ours"},
        {"{\"region\":\"eu-west-1\"}", "other", "bucket.not_ours"},
        {"{\"region\":\"us-east-1\"}", "acme42", "bucket.region"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_host h;
        struct err err;
        setup_bucket(&h);
        put(&h, "s3:GetBucketLocation", json_read(cases[i].location, strlen(cases[i].location), 0, &err));
        if (cases[i].tag)
            put(&h, "s3:GetBucketTagging", json_make("{s:o}", "tags", tags(cases[i].tag)));
        fake_run(&h, step_def_by_name("cur_bucket"));
        check_end(&h, STEP_ENDED_FAIL, cases[i].code);
        assert_int_equal(writes(&h), 0);
        fake_done(&h);
    }
}

static void an_adopted_bucket_keeps_foreign_tags_and_statements(void **state)
{
    (void)state;
    struct fake_host h;
    setup_bucket(&h);
    static const char theirs[] =
        "{ \"Version\":\"2012-10-17\",\"Statement\":[ {\"Sid\":\"Theirs\",  \"Effect\":\"Deny\"} ]}";
    put(&h, "s3:GetBucketLocation", json_make("{s:s}", "region", "eu-west-1"));
    put(&h, "s3:GetBucketTagging", json_make("{s:{s:s,s:s}}", "tags", "doit:onboarding", "acme42", "team", "finance"));
    put(&h, "s3:GetBucketPolicy", json_make("{s:s}", "policy", theirs));
    fake_run(&h, step_def_by_name("cur_bucket"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 4); /* no create, no tagging */
    assert_false(json_bool_at(h.result, "created"));
    assert_non_null(strstr(json_str_at(json_object_get(h.world, "s3:GetBucketPolicy"), "policy"),
                           "{\"Sid\":\"Theirs\",  \"Effect\":\"Deny\"}"));
    fake_done(&h);
}

/* ---- Brackets ---- */
/* S3 as it would be if our PutBucketPolicy forgot what others had put there. */
static void s3_loses_theirs(struct fake_host *h, const struct step_call *call)
{
    s3_remembers(h, call);
    if (str_eq(call->op->name, "s3:PutBucketPolicy")) {
        struct err err;
        json_auto_t *document = json_read(text_of(call, "Policy"), strlen(text_of(call, "Policy")), 0, &err);
        json_t *list = json_object_get(document, "Statement");
        for (size_t i = json_array_size(list); i-- > 0;)
            if (str_eq(json_str_at(json_array_get(list, i), "Sid"), "Theirs"))
                json_array_remove(list, i);
        AUTO_FREE char *text = json_text(document);
        put(h, "s3:GetBucketPolicy", json_make("{s:s}", "policy", text));
    }
}

static void brackets_find_what_our_writes_destroyed(void **state)
{
    (void)state;
    static const char theirs[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Theirs\",\"Effect\":\"Deny\"}]}";
    for (int is_lost = 0; is_lost < 2; is_lost++) {
        struct fake_host h;
        setup_bucket(&h);
        if (is_lost)
            h.on_answer = s3_loses_theirs;
        put(&h, "s3:GetBucketLocation", json_make("{s:s}", "region", "eu-west-1"));
        put(&h, "s3:GetBucketTagging", json_make("{s:{s:s}}", "tags", "doit:onboarding", "acme42"));
        put(&h, "s3:GetBucketPolicy", json_make("{s:s}", "policy", theirs));
        fake_run(&h, step_def_by_name("cur_bucket"));
        check_end(&h, STEP_ENDED_DONE, "");
        const json_t *bracket = json_object_get(h.result, "bracket");
        assert_int_equal(json_array_size(json_object_get(bracket, "differences")), is_lost);
        assert_int_equal(json_array_size(json_object_get(h.result, "warnings")), is_lost);
        if (is_lost)
            assert_true(json_is_null(json_at(bracket, "differences.0.to.policy.Theirs")) ||
                        !json_has(bracket, "differences.0.to.policy.Theirs"));
        assert_string_equal(json_str_at(bracket, "entries.0.section"), "s3.settings");
        assert_true(json_int_at(bracket, "calls") <= 8);
        fake_done(&h);
    }
}

/* What the step has read itself is not asked again. */
static void brackets_add_few_calls(void **state)
{
    (void)state;
    static const struct {
        const char *step;
        int64_t calls_max;
    } cases[] = {{"role_cmp", 4}, {"cur_report", 0}, {"cur_bucket", 5}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_host h;
        if (str_starts(cases[i].step, "role"))
            setup_roles(&h);
        else
            setup_bucket(&h);
        fake_run(&h, step_def_by_name(cases[i].step));
        check_end(&h, STEP_ENDED_DONE, "");
        const json_t *bracket = json_object_get(h.result, "bracket");
        assert_non_null(bracket);
        assert_int_equal(json_array_size(json_object_get(bracket, "differences")), 0);
        if (json_int_at(bracket, "calls") > cases[i].calls_max)
            fail_msg("%s: %lld calls", cases[i].step, (long long)json_int_at(bracket, "calls"));
        assert_true(json_int_at(bracket, "began_ms") <= json_int_at(bracket, "ended_ms"));
        fake_done(&h);
    }
}

static void who_writes_nothing_has_no_bracket(void **state)
{
    (void)state;
    struct fake_host h;
    setup_bucket(&h);
    fake_run(&h, step_def_by_name("cur_report"));
    mem_free(h.journal);
    h.journal = NULL;
    fake_run(&h, step_def_by_name("cur_report"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_false(json_has(h.result, "bracket"));
    fake_done(&h);
}

static void a_report_is_made_and_its_delivery_not_waited_for(void **state)
{
    (void)state;
    struct fake_host h;
    setup_bucket(&h);
    fake_run(&h, step_def_by_name("cur_report"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 1);
    assert_string_equal(json_str_at(h.result, "delivery"), "not observed");
    h.call_count = 0;
    mem_free(h.journal);
    h.journal = NULL;
    fake_run(&h, step_def_by_name("cur_report"));
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

static void reports_stop_where_they_must(void **state)
{
    (void)state;
    struct fake_host h;
    setup_bucket(&h);
    json_t *five = json_array();
    for (int i = 0; i < 5; i++)
        (void)json_array_append_new(five, json_make("{s:s}", "ReportName", i ? "x" : "doitintl-awsops-acme4"));
    put(&h, "cur:DescribeReportDefinitions", json_make("{s:o}", "reports", five));
    fake_run(&h, step_def_by_name("cur_report"));
    check_end(&h, STEP_ENDED_FAIL, "cur.quota");
    json_put_str(json_array_get(five, 0), "ReportName", "doitintl-awsops-acme42");
    put(&h, "cur:ListTagsForResource", json_make("{s:{}}", "tags"));
    fake_run(&h, step_def_by_name("cur_report"));
    check_end(&h, STEP_ENDED_FAIL, "cur.name_taken");
    put(&h, "cur:DescribeReportDefinitions", json_make("{s:[]}", "reports"));
    put(&h, "cur:PutReportDefinition", json_make("{s:s}", "$error", "ValidationException"));
    h.on_answer = NULL;
    fake_run(&h, step_def_by_name("cur_report"));
    check_end(&h, STEP_ENDED_RETRY, "not_yet");
    assert_int_equal(writes(&h), 1);
    fake_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_is_made_once_and_read_back),
        cmocka_unit_test(a_role_that_is_not_ours_is_left_alone),
        cmocka_unit_test(a_name_in_other_case_is_a_collision),
        cmocka_unit_test(drift_is_mended_on_ours_and_the_live_external_id_stays),
        cmocka_unit_test(what_others_attached_to_our_role_stops),
        cmocka_unit_test(a_trust_without_external_id_is_never_made),
        cmocka_unit_test(a_role_open_to_everybody_is_reported),
        cmocka_unit_test(a_bucket_gets_all_five_settings),
        cmocka_unit_test(a_foreign_bucket_is_left_alone),
        cmocka_unit_test(brackets_find_what_our_writes_destroyed),
        cmocka_unit_test(brackets_add_few_calls),
        cmocka_unit_test(who_writes_nothing_has_no_bracket),
        cmocka_unit_test(an_adopted_bucket_keeps_foreign_tags_and_statements),
        cmocka_unit_test(a_report_is_made_and_its_delivery_not_waited_for),
        cmocka_unit_test(reports_stop_where_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
