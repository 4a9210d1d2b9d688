/* The generated policy: narrow, within AWS's sizes, reading apart from writing; roles in words; refusals taken apart.
 */
#include "common/policy/policy.h"

#include "common/base/mem.h"
#include "tests/unit/test.h"

#include <string.h>

static json_t *read_text(const char *text)
{
    struct err err = {0};
    json_t *value = json_read(text, strlen(text), 0, &err);
    if (!value)
        fail_msg("%s in %s", err.text, text);
    return value;
}

static json_t *manifest(void)
{
    return read_text("[{\"step\":\"one\",\"ops\":[{\"permission\":\"iam:CreateRole,iam:TagRole\",\"who\":\"customer\"},"
                     "{\"permission\":\"iam:AttachRolePolicy\",\"who\":\"customer\"},"
                     "{\"permission\":\"organizations:ListRoots\",\"who\":\"customer\"},"
                     "{\"permission\":\"sso:ListInstances\",\"who\":\"customer\"},"
                     "{\"permission\":\"iam:DeleteAccessKey\",\"who\":\"customer\"},"
                     "{\"permission\":\"sts:AssumeRole\",\"who\":\"operator\"}]},"
                     "{\"step\":\"two\",\"ops\":[{\"permission\":\"s3:PutBucketPolicy\",\"who\":\"customer\"},"
                     "{\"permission\":\"cur:PutReportDefinition\",\"who\":\"customer\"}]}]");
}

static json_t *import_of(const char *method)
{
    json_t *import = read_text(
        "{\"access\":{},\"steps\":[\"one\",\"two\"],\"vars\":{\"account_id\":\"111122223333\",\"tag_key\":\"o:i\","
        "\"tag_value\":\"acme\",\"bucket\":\"b-acme\",\"report\":\"r-acme\",\"bootstrap_role\":\"Boot\","
        "\"operator_account_id\":\"999900000001\",\"external_id_bootstrap\":\"secret-id\",\"roles\":{"
        "\"a\":{\"name\":\"RoleA\",\"enabled\":true,\"path\":\"/x/\",\"policies\":[{\"name\":\"PolA\"}],"
        "\"managed\":[\"arn:aws:iam::aws:policy/AWSBillingReadOnlyAccess\"]},"
        "\"b\":{\"name\":\"RoleB\",\"enabled\":false,\"policies\":[{\"name\":\"PolB\"}]}}}}");
    json_put_str(json_object_get(import, "access"), "method", method);
    return import;
}

static const json_t *group(const json_t *needs, const char *action)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)needs, i, one)
        if (json_array_has_str(json_object_get(one, "actions"), action))
            return one;
    return NULL;
}

static void actions_get_their_own_resources_and_conditions(void **state)
{
    (void)state;
    json_auto_t *m = manifest(), *import = import_of("role"), *needs = policy_needs(m, import);
    const json_t *create = group(needs, "iam:CreateRole"), *attach = group(needs, "iam:AttachRolePolicy");
    assert_string_equal(json_str_at(create, "resources.0"), "arn:aws:iam::111122223333:role/x/RoleA");
    assert_int_equal(json_array_size(json_at(create, "resources")), 1); /* RoleB is not made */
    assert_string_equal(
        json_string_value(json_object_get(json_at(create, "condition.StringEquals"), "aws:RequestTag/o:i")), "acme");
    assert_true(json_array_has_str(json_object_get(json_at(attach, "condition.ArnEquals"), "iam:PolicyARN"),
                                   "arn:aws:iam::111122223333:policy/x/PolA"));
    assert_true(json_array_has_str(json_object_get(json_at(attach, "condition.ArnEquals"), "iam:PolicyARN"),
                                   "arn:aws:iam::aws:policy/AWSBillingReadOnlyAccess"));
    assert_string_equal(json_str_at(group(needs, "s3:PutBucketPolicy"), "resources.0"), "arn:aws:s3:::b-acme");
    assert_string_equal(json_str_at(group(needs, "cur:PutReportDefinition"), "resources.0"),
                        "arn:aws:cur:us-east-1:111122223333:definition/r-acme");
    assert_string_equal(json_str_at(group(needs, "organizations:ListRoots"), "resources.0"), "*");
    assert_null(group(needs, "sts:AssumeRole"));      /* the operator's own right */
    assert_null(group(needs, "iam:DeleteAccessKey")); /* nothing to delete on this route */
    json_auto_t *key = import_of("sealed_key"), *more = policy_needs(m, key);
    assert_string_equal(json_str_at(group(more, "iam:DeleteAccessKey"), "resources.0"),
                        "arn:aws:iam::111122223333:user/${aws:username}");
    assert_string_equal(json_str_at(group(more, "iam:DeleteAccessKey"), "probe.0"), "${self}");
    json_put(import, "steps", json_make("[s]", "two"));
    json_auto_t *less = policy_needs(m, import);
    assert_null(group(less, "iam:CreateRole"));
    assert_non_null(group(less, "s3:PutBucketPolicy"));
}

static void reading_and_writing_are_apart_and_within_the_limit(void **state)
{
    (void)state;
    json_auto_t *m = json_array();
    json_auto_t *import = import_of("role");
    json_auto_t *ops = json_array();
    for (int i = 0; i < 400; i++) { /* more than any document holds */
        AUTO_FREE char *name = mem_printf("fantasy:%sSomethingWithAQuiteLongName%d", i % 2 ? "Get" : "Put", i);
        (void)json_array_append_new(ops, json_make("{s:s, s:s}", "permission", name, "who", "customer"));
    }
    (void)json_array_append_new(m, json_make("{s:s, s:O}", "step", "one", "ops", ops));
    json_auto_t *needs = policy_needs(m, import), *documents = policy_documents(needs), *seen = json_object();
    assert_true(json_array_size(documents) >= 4);
    size_t i, k, a;
    const json_t *one, *statement, *action;
    json_array_foreach (documents, i, one) {
        assert_true(policy_characters(json_at(one, "document")) <= POLICY_MANAGED_MAX);
        assert_int_equal(json_int_at(one, "characters"), policy_characters(json_at(one, "document")));
        json_array_foreach (json_at(one, "document.Statement"), k, statement)
            json_array_foreach (json_object_get(statement, "Action"), a, action) {
                assert_null(json_object_get(seen, json_string_value(action)));
                json_put(seen, json_string_value(action), json_true());
                assert_true((strstr(json_string_value(action), ":Get") != NULL) ==
                            str_eq(json_str_at(one, "part"), "read"));
            }
    }
    assert_int_equal(json_object_size(seen), 400);
    assert_null(policy_session(m, import)); /* cannot fit: said, not cut */
}

static void the_report_tells_sizes_reasons_and_trust(void **state)
{
    (void)state;
    json_auto_t *m = manifest(), *import = import_of("role"), *report = policy_report(m, import);
    assert_string_equal(json_str_at(report, "principal"), "Boot");
    assert_string_equal(json_str_at(report, "trust.Statement.0.Principal.AWS"), "arn:aws:iam::999900000001:root");
    const json_t *condition = json_at(report, "trust.Statement.0.Condition.StringEquals");
    assert_string_equal(json_string_value(json_object_get(condition, "sts:ExternalId")), "secret-id");
    assert_true(json_int_at(report, "session.characters") <= POLICY_SESSION_MAX);
    assert_true(json_int_at(report, "administrator.characters") > 0);
    size_t i, found = 0;
    const json_t *one;
    json_array_foreach (json_at(report, "actions"), i, one)
        if (str_eq(json_str_at(one, "action"), "sso:ListInstances")) {
            found++;
            assert_true(json_bool_at(one, "optional"));
            assert_string_equal(json_str_at(one, "steps.0"), "one");
        }
    assert_int_equal(found, 1);
    json_auto_t *key = import_of("sealed_key"), *other = policy_report(m, key);
    assert_null(json_at(other, "trust")); /* nobody takes a user */
}

static void nothing_that_we_need_is_in_the_never_list(void **state)
{
    (void)state;
    json_auto_t *m = manifest(), *import = import_of("sealed_key"), *guard = policy_guard(import);
    json_auto_t *needs = policy_needs(m, import);
    size_t i, k, r, number;
    const json_t *one, *action, *resource;
    json_array_foreach (needs, i, one)
        json_array_foreach (json_object_get(one, "actions"), k, action)
            json_array_foreach (json_object_get(one, "probe"), r, resource)
                assert_null(
                    policy_statement(guard, "Deny", json_string_value(action), json_string_value(resource), &number));
    assert_non_null(policy_statement(guard, "Deny", "organizations:LeaveOrganization", "*", &number));
    assert_non_null(policy_statement(guard, "Deny", "iam:AttachRolePolicy",
                                     "arn:aws:iam::111122223333:role/OrganizationAccountAccessRole", &number));
    assert_true(policy_characters(guard) <= POLICY_MANAGED_MAX);
}

/* ---- Roles in words ---- */

static bool warns(const json_t *words, const char *action, const char *because)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(words, "warnings"), i, one)
        if (str_starts(json_str_at(one, "action"), action) && strstr(json_str_at(one, "because"), because))
            return true;
    return false;
}

static json_t *words_of(const char *statement)
{
    AUTO_FREE char *text =
        mem_printf("{\"name\":\"R\",\"trust\":{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":"
                   "\"arn:aws:iam::068664126052:root\"},\"Action\":\"sts:AssumeRole\",\"Condition\":{"
                   "\"StringEquals\":{\"sts:ExternalId\":\"x\"}}}]},\"policies\":[{\"document\":{"
                   "\"Statement\":%s}}]}",
                   statement);
    json_auto_t *role = read_text(text);
    return policy_role_words(role);
}

static void what_reaches_far_is_warned_about(void **state)
{
    (void)state;
    static const struct {
        const char *statement, *action, *because; /* action NULL: no warning at all */
    } cases[] = {
        {"{\"Effect\":\"Allow\",\"Action\":\"ce:Get*\",\"Resource\":\"*\"}", NULL, NULL},
        {"{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resource\":\"*\"}", "iam:PassRole", "hand any role"},
        {"{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resource\":\"arn:aws:iam::1:role/x\"}", "iam:PassRole",
         "hand"},
        {"{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Resource\":\"arn:aws:iam::*:role/"
         "OrganizationAccountAccessRole\"}",
         "sts:AssumeRole", "every member account"},
        {"{\"Effect\":\"Allow\",\"Action\":\"S3:get*\",\"Resource\":\"*\"}", "s3:GetObject", "what is stored"},
        {"{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::reports/*\"}", NULL, NULL},
        {"{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::rep*/*\"}", "s3:GetObject",
         "stored"},
        {"{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}", "*", "ever add"},
        {"{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\"}", "kms:Decrypt", "decrypts"},
        {"{\"Effect\":\"Allow\",\"NotAction\":\"iam:*\",\"Resource\":\"*\"}", "NotAction", "not listed"},
        {"{\"Effect\":\"Allow\",\"Action\":\"organizations:CreateAccount\",\"Resource\":\"*\"}",
         "organizations:CreateAccount", "new accounts"},
        {"{\"Effect\":\"Allow\",\"Action\":\"health:Enable*\",\"Resource\":\"*\"}", "health:EnableHealth",
         "trusted access"},
        {"{\"Effect\":\"Allow\",\"Action\":\"secretsmanager:Get*\",\"Resource\":\"*\"}",
         "secretsmanager:GetSecretValue", "secrets"},
        {"{\"Effect\":\"Allow\",\"Action\":\"lambda:List*\",\"Resource\":\"*\"}", "lambda:ListFunctions",
         "environment"},
        {"{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *words = words_of(cases[i].statement);
        bool is_right = cases[i].action ? warns(words, cases[i].action, cases[i].because)
                                        : json_array_size(json_at(words, "warnings")) == 0;
        if (!is_right) {
            AUTO_FREE char *text = json_text(words);
            fail_msg("%s gives %s", cases[i].statement, text);
        }
    }
}

static void a_role_is_told_by_service_and_verb(void **state)
{
    (void)state;
    json_auto_t *words =
        words_of("[{\"Effect\":\"Allow\",\"Action\":[\"organizations:ListAccounts\",\"ce:GetCostAndUsage\","
                 "\"organizations:DescribeOrganization\",\"unheard:DeleteThing\"],\"Resource\":\"*\"}]");
    assert_int_equal(json_array_size(json_at(words, "can")), 3);
    assert_string_equal(json_str_at(words, "can.0.words"), "deletes in unheard");
    assert_string_equal(json_str_at(words, "can.1.words"), "reads AWS Organizations");
    assert_int_equal(json_array_size(json_at(words, "can.1.actions")), 2);
    json_auto_t *shouted = words_of("{\"Effect\":\"Allow\",\"Action\":\"S3:GET*\",\"Resource\":\"*\"}");
    assert_string_equal(json_str_at(shouted, "can.0.words"), "reads S3 (storage)");
    assert_string_equal(json_str_at(words, "who.0.external_id"), "x");
    assert_non_null(strstr(json_str_at(words, "who.0.words"), "068664126052"));
    json_auto_t *open =
        read_text("{\"name\":\"R\",\"trust\":{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
                  "\"sts:AssumeRole\"}},\"managed\":[\"arn:aws:iam::aws:policy/ReadOnlyAccess\","
                  "\"arn:aws:iam::aws:policy/Unheard\"]}");
    json_auto_t *far = policy_role_words(open);
    assert_true(warns(far, "sts:AssumeRole", "anybody"));
    assert_true(warns(far, "arn:aws:iam::aws:policy/ReadOnlyAccess", "contents"));
    assert_true(warns(far, "arn:aws:iam::aws:policy/Unheard", "may change"));
}

/* ---- Refusals ---- */

static void refusals_of_aws_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *action, *resource, *kind, *layer, *policy;
    } cases[] = {
        {"User: arn:aws:iam::1:user/a is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::1:role/r "
         "because "
         "no identity-based policy allows the iam:CreateRole action",
         "iam:CreateRole", "arn:aws:iam::1:role/r", "implicit", "identity-based policy", ""},
        {"User: arn:aws:iam::1:user/a is not authorized to perform: s3:CreateBucket on resource: \"arn:aws:s3:::b\" "
         "with an "
         "explicit deny in a service control policy",
         "s3:CreateBucket", "arn:aws:s3:::b", "explicit", "service control policy", ""},
        {"User: arn:aws:sts::1:assumed-role/R/s is not authorized to perform: iam:CreateRole on resource: "
         "arn:aws:iam::1:role/r with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/Guard",
         "iam:CreateRole", "arn:aws:iam::1:role/r", "explicit", "identity-based policy", "arn:aws:iam::1:policy/Guard"},
        {"User: arn:aws:iam::1:user/a is not authorized to perform: cur:PutReportDefinition", "cur:PutReportDefinition",
         "", "", "", ""},
        {"User: arn:aws:iam::1:user/a is not authorized to perform: iam:GetRole on resource: role r because no "
         "permissions "
         "boundary allows the iam:GetRole action",
         "iam:GetRole", "role r", "implicit", "permissions boundary", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *facts = policy_denied_read(cases[i].text);
        assert_string_equal(json_str_at(facts, "action"), cases[i].action);
        assert_string_equal(json_str_at(facts, "resource"), cases[i].resource);
        assert_string_equal(json_str_at(facts, "kind"), cases[i].kind);
        assert_string_equal(json_str_at(facts, "layer"), cases[i].layer);
        assert_string_equal(json_str_at(facts, "policy"), cases[i].policy);
    }
    assert_null(policy_denied_read("Rate exceeded"));
    assert_null(policy_denied_read(NULL));
}

static void patterns_match_as_iam_does(void **state)
{
    (void)state;
    assert_true(policy_matches("iam:*Role", "iam:CreateRole", true));
    assert_true(policy_matches("IAM:create?ole", "iam:CreateRole", true));
    assert_false(policy_matches("iam:Create", "iam:CreateRole", true));
    assert_true(policy_matches("*", "", false));
    assert_false(policy_matches("arn:A", "arn:a", false));
    assert_true(policy_matches("a*b*c", "aXbYbZc", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_get_their_own_resources_and_conditions),
        cmocka_unit_test(reading_and_writing_are_apart_and_within_the_limit),
        cmocka_unit_test(the_report_tells_sizes_reasons_and_trust),
        cmocka_unit_test(nothing_that_we_need_is_in_the_never_list),
        cmocka_unit_test(what_reaches_far_is_warned_about),
        cmocka_unit_test(a_role_is_told_by_service_and_verb),
        cmocka_unit_test(refusals_of_aws_are_taken_apart),
        cmocka_unit_test(patterns_match_as_iam_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
