/* Looking ahead: every write that any step may make shows in later reads as AWS would show it. */
#include "worker/runtime/foresight.h"

#include "common/base/mem.h"
#include "tests/unit/test.h"
#include "worker/steps/plan_read_set.h"

#include <string.h>

static const char import_text[] = "{\"vars\":{\"partition\":\"aws\",\"account_id\":\"111122223333\",\"report\":\"r\","
                                  "\"roles\":{\"cmp\":{\"name\":\"R\"}}}}";

static json_t *parsed(const char *text)
{
    struct err err = {0};
    if (!text)
        return NULL;
    json_t *value = json_read(text, strlen(text), 0, &err);
    if (!value)
        fail_msg("%s: %s", err.text, text);
    return value;
}

/* facts NULL: AWS was not asked; after NULL: it still must be. ' stands for ". */
static const struct {
    const char *write, *write_args, *read, *read_args, *facts, *after;
} cases[] = {
    /* roles */
    {"iam:CreateRole",
     "{'RoleName':'R','AssumeRolePolicyDocument':{'Statement':[]},'MaxSessionDuration':3600,'Tags':[{'Key':'k','Value':"
     "'v'}]}",
     "iam:GetRole", "{'RoleName':'R'}", NULL,
     "{'name':'R','path':'/','arn':'arn:aws:iam::111122223333:role/R','tags':{'k':'v'},'max_session':3600}"},
    {"iam:CreateRole", "{'RoleName':'R'}", "iam:GetRole", "{'RoleName':'Other'}", NULL, NULL},
    {"iam:CreateRole", "{'RoleName':'R'}", "iam:ListRoles", "{}", NULL, NULL},
    {"iam:CreateRole", "{'RoleName':'R'}", "iam:ListRoles", "{}", "{'roles':[]}", "{'roles':[{'name':'R'}]}"},
    {"iam:CreateRole", "{'RoleName':'R'}", "iam:ListAttachedRolePolicies", "{'RoleName':'R'}", NULL, "{'policies':[]}"},
    {"iam:CreateRole", "{'RoleName':'R'}", "iam:ListRolePolicies", "{'RoleName':'R'}", NULL, "{'names':[]}"},
    {"iam:CreateRole", "{'RoleName':'R'}", "iam:GetRolePolicy", "{'RoleName':'R','PolicyName':'p'}", NULL, "null"},
    {"iam:UpdateRole", "{'RoleName':'R','MaxSessionDuration':7200,'Description':'d'}", "iam:GetRole",
     "{'RoleName':'R'}", "{'max_session':3600,'description':'d'}", "{'max_session':7200,'description':'d'}"},
    {"iam:UpdateAssumeRolePolicy", "{'RoleName':'R','PolicyDocument':{'a':1}}", "iam:GetRole", "{'RoleName':'R'}",
     "{'trust':{}}", "{'trust':{'a':1}}"},
    {"iam:DeleteRole", "{'RoleName':'R'}", "iam:GetRole", "{'RoleName':'R'}", NULL, "null"},
    {"iam:DeleteRole", "{'RoleName':'R'}", "iam:ListRoles", "{}", "{'roles':[{'name':'R'},{'name':'S'}]}",
     "{'roles':[{'name':'S'}]}"},
    {"iam:AttachRolePolicy", "{'RoleName':'R','PolicyArn':'a'}", "iam:ListAttachedRolePolicies", "{'RoleName':'R'}",
     "{'policies':['b']}", "{'policies':['b','a']}"},
    {"iam:AttachRolePolicy", "{'RoleName':'R','PolicyArn':'a'}", "iam:ListAttachedRolePolicies", "{'RoleName':'S'}",
     "{'policies':['b']}", "{'policies':['b']}"},
    {"iam:DetachRolePolicy", "{'RoleName':'R','PolicyArn':'a'}", "iam:ListAttachedRolePolicies", "{'RoleName':'R'}",
     "{'policies':['b','a']}", "{'policies':['b']}"},
    {"iam:PutRolePolicy", "{'RoleName':'R','PolicyName':'p','PolicyDocument':{'a':1}}", "iam:GetRolePolicy",
     "{'RoleName':'R','PolicyName':'p'}", NULL, "{'document':{'a':1}}"},
    {"iam:PutRolePolicy", "{'RoleName':'R','PolicyName':'p','PolicyDocument':{}}", "iam:ListRolePolicies",
     "{'RoleName':'R'}", "{'names':[]}", "{'names':['p']}"},
    {"iam:DeleteRolePolicy", "{'RoleName':'R','PolicyName':'p'}", "iam:ListRolePolicies", "{'RoleName':'R'}",
     "{'names':['p','q']}", "{'names':['q']}"},
    {"iam:RemoveRoleFromInstanceProfile", "{'RoleName':'R','InstanceProfileName':'i'}",
     "iam:ListInstanceProfilesForRole", "{'RoleName':'R'}", "{'names':['i']}", "{'names':[]}"},
    /* policies */
    {"iam:CreatePolicy", "{'PolicyName':'P','Path':'/x/','PolicyDocument':{'a':1}}", "iam:GetPolicy",
     "{'PolicyArn':'arn:aws:iam::111122223333:policy/x/P'}", NULL, "{'name':'P','default_version':'v1'}"},
    {"iam:CreatePolicy", "{'PolicyName':'P','PolicyDocument':{'a':1}}", "iam:GetPolicyVersion",
     "{'PolicyArn':'arn:aws:iam::111122223333:policy/P','VersionId':'v1'}", NULL,
     "{'document':{'a':1},'is_default':true}"},
    {"iam:CreatePolicyVersion", "{'PolicyArn':'a','PolicyDocument':{'a':2}}", "iam:GetPolicy", "{'PolicyArn':'a'}",
     "{'default_version':'v3'}", "{'default_version':'v0'}"},
    {"iam:CreatePolicyVersion", "{'PolicyArn':'a','PolicyDocument':{'a':2}}", "iam:GetPolicyVersion",
     "{'PolicyArn':'a','VersionId':'v0'}", NULL, "{'document':{'a':2}}"},
    {"iam:CreatePolicyVersion", "{'PolicyArn':'a','PolicyDocument':{}}", "iam:ListPolicyVersions", "{'PolicyArn':'a'}",
     "{'versions':[{'version':'v3','is_default':true}]}",
     "{'versions':[{'version':'v3','is_default':false},{'version':'v0','is_default':true}]}"},
    {"iam:DeletePolicyVersion", "{'PolicyArn':'a','VersionId':'v1'}", "iam:ListPolicyVersions", "{'PolicyArn':'a'}",
     "{'versions':[{'version':'v1'},{'version':'v2'}]}", "{'versions':[{'version':'v2'}]}"},
    {"iam:DeletePolicy", "{'PolicyArn':'a'}", "iam:GetPolicy", "{'PolicyArn':'a'}", NULL, "null"},
    /* keys */
    {"iam:UpdateAccessKey", "{'UserName':'u'}", "sts:GetCallerIdentity/retired", "{}", NULL, "null"},
    {"iam:DeleteAccessKey", "{'UserName':'u'}", "sts:GetCallerIdentity/retired", "{}", NULL, "null"},
    /* buckets */
    {"s3:CreateBucket", "{'Bucket':'b','Region':'eu-west-1'}", "s3:GetBucketLocation", "{'Bucket':'b'}", NULL,
     "{'region':'eu-west-1'}"},
    {"s3:CreateBucket", "{'Bucket':'b','Region':'eu-west-1'}", "s3:GetBucketPolicy", "{'Bucket':'b'}", NULL, "null"},
    {"s3:CreateBucket", "{'Bucket':'b','Region':'eu-west-1'}", "s3:GetPublicAccessBlock", "{'Bucket':'b'}", NULL,
     "{'all':true}"},
    {"s3:CreateBucket", "{'Bucket':'b','Region':'eu-west-1'}", "s3:GetBucketLocation", "{'Bucket':'c'}", NULL, NULL},
    {"s3:DeleteBucket", "{'Bucket':'b'}", "s3:GetBucketLocation", "{'Bucket':'b'}", NULL, "null"},
    {"s3:PutPublicAccessBlock", "{'Bucket':'b'}", "s3:GetPublicAccessBlock", "{'Bucket':'b'}", NULL, "{'all':true}"},
    {"s3:PutBucketOwnershipControls", "{'Bucket':'b','Ownership':'o'}", "s3:GetBucketOwnershipControls",
     "{'Bucket':'b'}", NULL, "{'ownership':'o'}"},
    {"s3:PutBucketEncryption", "{'Bucket':'b'}", "s3:GetBucketEncryption", "{'Bucket':'b'}", NULL,
     "{'algorithm':'AES256'}"},
    {"s3:PutBucketTagging", "{'Bucket':'b','Tags':[{'Key':'k','Value':'v'}]}", "s3:GetBucketTagging", "{'Bucket':'b'}",
     NULL, "{'tags':{'k':'v'}}"},
    {"s3:PutBucketPolicy", "{'Bucket':'b','Policy':'{}'}", "s3:GetBucketPolicy", "{'Bucket':'b'}", NULL,
     "{'policy':'{}'}"},
    {"s3:DeleteBucketPolicy", "{'Bucket':'b'}", "s3:GetBucketPolicy", "{'Bucket':'b'}", NULL, "null"},
    /* reports, tax, partner */
    {"cur:PutReportDefinition", "{'ReportDefinition':{'ReportName':'r'}}", "cur:DescribeReportDefinitions", "{}",
     "{'reports':[{'ReportName':'o'}]}", "{'reports':[{'ReportName':'o'},{'ReportName':'r'}]}"},
    {"cur:PutReportDefinition", "{'ReportDefinition':{'ReportName':'r'},'Tags':[{'Key':'k','Value':'v'}]}",
     "cur:ListTagsForResource", "{'ReportName':'r'}", NULL, "{'tags':{'k':'v'}}"},
    {"cur:ModifyReportDefinition", "{'ReportName':'r','ReportDefinition':{'ReportName':'r','a':2}}",
     "cur:DescribeReportDefinitions", "{}", "{'reports':[{'ReportName':'r','a':1}]}",
     "{'reports':[{'ReportName':'r','a':2}]}"},
    {"cur:DeleteReportDefinition", "{'ReportName':'r'}", "cur:DescribeReportDefinitions", "{}",
     "{'reports':[{'ReportName':'r'}]}", "{'reports':[]}"},
    {"tax:PutTaxRegistration", "{'taxRegistrationEntry':{'registrationId':'x'}}", "tax:GetTaxRegistration", "{}", NULL,
     "{'registration':{'registrationId':'x','status':'Pending'}}"},
    {"tax:PutTaxRegistration", "{'taxRegistrationEntry':{'registrationId':'x'}}", "tax:ListTaxRegistrations", "{}",
     "{'accounts':[{'accountId':'111122223333'},{'accountId':'2'}]}",
     "{'accounts':[{'accountId':'111122223333','taxRegistration':{'registrationId':'x'}},{'accountId':'2'}]}"},
    {"tax:DeleteTaxRegistration", "{}", "tax:GetTaxRegistration", "{}", NULL, "null"},
    {"partnercentral:CreateRelationship", "{'associatedAccountId':'1','programManagementAccountIdentifier':'p'}",
     "partnercentral:ListRelationships", "{}", "{'relationships':[]}",
     "{'relationships':[{'account_id':'1','pma':'p'}]}"},
    {"partnercentral:CreateRelationship", "{'associatedAccountId':'1'}", "partnercentral:GetRelationship",
     "{'identifier':'" FORESIGHT_UNKNOWN "'}", NULL, "{'account_id':'1'}"},
    /* people and AWS */
    {"person:root_email", "{'email':'new@x'}", "organizations:DescribeOrganization", "{}", "{'master_email':'old@x'}",
     "{'master_email':'new@x'}"},
    {"person:root_device_on", "{'number':1}", "iam:GetAccountSummary", "{}", "{'summary':{'AccountMFAEnabled':0}}",
     "{'summary':{'AccountMFAEnabled':1}}"},
    {"person:root_devices_off", "{}", "iam:ListVirtualMFADevices", "{}",
     "{'devices':[{'serial':'a','user_arn':'arn:aws:iam::1:root'},{'serial':'u','user_arn':'arn:aws:iam::1:user/u'}]}",
     "{'devices':[{'serial':'u'}]}"},
    {"person:root_devices_off", "{'devices':['a']}", "iam:GetAccountSummary", "{}",
     "{'summary':{'AccountMFAEnabled':1}}", "{'summary':{'AccountMFAEnabled':1}}"},
    {"person:event", "{'name':'PasswordUpdated','source':'s'}", "runtime:events", "{}", "[]",
     "[{'name':'PasswordUpdated','source':'s','user_type':'Root'}]"},
    {"person:tax_country", "{'country':'IE'}", "tax:ListTaxRegistrations", "{}",
     "{'accounts':[{'accountId':'111122223333'}]}",
     "{'accounts':[{'accountMetaData':{'addressRoleMap':{'TaxAddress':{'countryCode':'IE'}}}}]}"},
    {"aws:tax_verified", "{}", "tax:GetTaxRegistration", "{}", "{'registration':{'status':'Pending'}}",
     "{'registration':{'status':'Verified'}}"},
};

static char *quoted(const char *text)
{
    char *copy = text ? mem_dup(text) : NULL;
    for (char *p = copy; p && *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}

static json_t *value_of(const char *text)
{
    AUTO_FREE char *json = quoted(text);
    return parsed(json);
}

/* Objects: at least these members; arrays: as long as given. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the table
static bool holds(const json_t *actual, const json_t *expected)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(expected)) {
        json_object_foreach ((json_t *)(uintptr_t)expected, key, value)
            if (!holds(json_object_get(actual, key), value))
                return false;
        return json_is_object(actual);
    }
    if (!json_is_array(expected))
        return actual && json_equal(actual, expected);
    json_array_foreach ((json_t *)(uintptr_t)expected, i, value)
        if (!holds(json_array_get(actual, i), value))
            return false;
    return json_array_size(actual) == json_array_size(expected);
}

static void later_reads_show_each_write(void **state)
{
    (void)state;
    json_auto_t *import = parsed(import_text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *write_args = value_of(cases[i].write_args), *read_args = value_of(cases[i].read_args);
        json_auto_t *expected = value_of(cases[i].after);
        const struct foresight_effect *e = foresight_effect_of(cases[i].write);
        struct foresight_write w = {cases[i].write, write_args, 1000};
        struct foresight_read r = {cases[i].read, read_args, import};
        assert_non_null(e);
        json_auto_t *after = e->see(&r, &w, value_of(cases[i].facts));
        AUTO_FREE char *text = after ? json_text(after) : mem_dup("(not known)");
        if (expected ? !holds(after, expected) : after != NULL)
            fail_msg("%s then %s %s: %s", cases[i].write, cases[i].read, cases[i].read_args, text);
    }
}

static bool is_tried(const char *op)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (str_eq(cases[i].write, op))
            return true;
    return false;
}

/* A new operation that changes something needs a line in foresight_effects.def and a case above. */
static void every_write_there_is_has_an_effect(void **state)
{
    (void)state;
    for (size_t i = 0; aws_ops[i]; i++) {
        const struct foresight_effect *e = foresight_effect_of(aws_ops[i]->name);
        if (!aws_ops[i]->mutates)
            continue;
        if (!e) {
            fail_msg("%s changes something, and foresight_effects.def has no line for it", aws_ops[i]->name);
            return;
        }
        if (e->see && !is_tried(aws_ops[i]->name))
            fail_msg("no case tries what later reads show of %s", aws_ops[i]->name);
        assert_true(str_in_list("create,change,remove", e->verb));
        assert_true(*e->resource && *e->why);
        assert_true(!*e->before_op || aws_op_by_name(e->before_op));
    }
}

static bool has_op(const struct step_def *def, const struct aws_op *wanted)
{
    for (const struct aws_op *const *op = def->ops; op && *op; op++)
        if (*op == wanted)
            return true;
    return false;
}

static void the_plan_may_ask_all_that_later_steps_ask_and_write_nothing(void **state)
{
    (void)state;
    const struct step_def *plan = GOT(step_def_by_name("change_plan"));
    bool is_later = false;
    for (const struct aws_op *const *op = plan->ops; *op; op++)
        assert_false((*op)->mutates);
    for (size_t i = 0; step_defs[i]; i++) {
        const struct step_def *def = step_defs[i];
        for (const struct aws_op *const *op = def->ops; is_later && op && *op; op++)
            if (!(*op)->mutates && !str_in_list("fingerprint_after,handover_report", def->name) && !has_op(plan, *op))
                fail_msg("%s may ask %s, and change_plan may not", def->name, (*op)->name);
        is_later = is_later || str_eq(def->name, "plan_approval");
    }
}

/* ---- Who would be let in ---- */

static json_t *probe(const char *trust, const char *external_id)
{
    json_auto_t *import = parsed(import_text);
    AUTO_FREE char *json = mem_printf("{'RoleName':'R','AssumeRolePolicyDocument':%s}", trust);
    json_auto_t *write_args = value_of(json);
    json_auto_t *read_args = json_make("{s:s}", "RoleArn", "arn:aws:iam::111122223333:role/R");
    if (external_id)
        json_put_str(read_args, "ExternalId", external_id);
    struct foresight_write w = {"iam:CreateRole", write_args, 1000};
    struct foresight_read r = {"sts:AssumeRole/probe", read_args, import};
    return foresight_effect_of("iam:CreateRole")->see(&r, &w, NULL);
}

static void a_planned_trust_is_judged_like_a_real_one(void **state)
{
    (void)state;
    static const char asking[] = "{'Statement':[{'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::068664126052:root'},"
                                 "'Action':'sts:AssumeRole',"
                                 "'Condition':{'StringEquals':{'sts:ExternalId':'ours'}}}]}";
    static const char open[] =
        "{'Statement':[{'Effect':'Allow','Principal':{'AWS':'068664126052'},'Action':'sts:AssumeRole'}]}";
    json_auto_t *right = probe(asking, "ours"), *wrong = probe(asking, "theirs"), *none = probe(asking, NULL),
                *any = probe(open, NULL);
    assert_true(json_is_object(right));
    assert_true(json_is_null(wrong));
    assert_true(json_is_null(none));
    assert_true(json_is_object(any));
}

/* ---- Read set ---- */

static json_t *set_of(const char *seen_text, json_t **ret_others)
{
    json_auto_t *import = parsed(import_text), *seen = value_of(seen_text);
    return plan_read_set(import, seen, ret_others);
}

static void names_what_moved_and_nothing_else(void **state)
{
    (void)state;
    json_t *others = NULL, *others_now = NULL;
    json_auto_t *before =
        set_of("[{'op':'iam:ListRoles','args':{},'facts':{'roles':[{'name':'x'}]}},"
               "{'op':'cur:DescribeReportDefinitions','args':{},'facts':{'reports':[{'ReportName':'r','ReportStatus':{'"
               "a':1}}]}},"
               "{'op':'organizations:ListHandshakesForOrganization','args':{},'facts':{'handshakes':[]}},"
               "{'op':'iam:GetRole','args':{'RoleName':'R'},'facts':null}]",
               &others);
    json_auto_t *now =
        set_of("[{'op':'iam:ListRoles','args':{},'facts':{'roles':[{'name':'y'},{'name':'z'}]}},"
               "{'op':'cur:DescribeReportDefinitions','args':{},'facts':{'reports':[{'ReportName':'r','ReportStatus':{'"
               "a':2}}]}},"
               "{'op':'organizations:ListHandshakesForOrganization','args':{},'facts':{'handshakes':[1]}},"
               "{'op':'iam:GetRole','args':{'RoleName':'R'},'facts':{'role_id':'A','path':'/'}}]",
               &others_now);
    json_auto_t *moved = json_array(), *same = json_array();
    plan_read_set_compare(before, now, moved);
    plan_read_set_compare(before, before, same);
    assert_int_equal(json_array_size(same), 0);
    assert_int_equal(json_array_size(moved), 1);
    assert_string_equal(json_str_at(moved, "0.item"), "role R");
    assert_string_equal(json_str_at(moved, "0.from"), "absent");
    assert_false(json_equal(others, others_now)); /* drift: somebody was invited */
    json_decref(others);
    json_decref(others_now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_reads_show_each_write),
        cmocka_unit_test(every_write_there_is_has_an_effect),
        cmocka_unit_test(the_plan_may_ask_all_that_later_steps_ask_and_write_nothing),
        cmocka_unit_test(a_planned_trust_is_judged_like_a_real_one),
        cmocka_unit_test(names_what_moved_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
