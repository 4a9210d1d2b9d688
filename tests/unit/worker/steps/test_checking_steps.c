/* Steps that check, decide or wait: what they find, whom they ask, and how the access ends. */
#include "common/aws/op.h"
#include "tests/unit/worker/steps/fake_host.h"
#include "tests/unit/worker/steps/import_doc.h"

#define PRESENT                                                                                                        \
    json_make("{s:b,s:s,s:s,s:s,s:s}", "ok", 1, "code", "", "account", "111122223333", "arn",                          \
              "arn:aws:iam::111122223333:user/orgimport", "access_key_id", "AKIA1")

static void put(struct fake_host *h, const char *key, json_t *facts)
{
    json_put(h->world, key, facts);
}

/* AWS's simulation: all is allowed but what the world's "deny" says, {"action": decision}. */
static json_t *simulate(struct fake_host *h, const struct step_call *call)
{
    if (!str_eq(call->op->name, "iam:SimulatePrincipalPolicy"))
        return NULL;
    json_t *results = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(call->args, "ActionNames"), i, one) {
        const char *decision =
            json_string_value(json_object_get(json_object_get(h->world, "deny"), json_string_value(one)));
        json_t *result = json_make(
            "{s:O, s:s, s:O, s:[]}", "action", one, "decision", decision ? decision : "allowed", "resource",
            json_at(call->args, "ResourceArns.0") ? json_at(call->args, "ResourceArns.0") : one, "statements");
        if (decision && str_eq(decision, "silent"))
            json_decref(result);
        else
            (void)json_array_append_new(results, result);
    }
    return json_make("{s:o}", "results", results);
}

static void setup(struct fake_host *h)
{
    *h = (struct fake_host){.answer = simulate,
                            .world = json_object(),
                            .import = import_doc(),
                            .results = json_object(),
                            .now_ms = DOC_CREATED_MS + 1000};
    put(h, "runtime:identity", PRESENT);
    put(h, "organizations:DescribeOrganization",
        json_make("{s:s,s:s,s:s,s:s}", "id", "o-1", "master_account_id", "111122223333", "master_email",
                  "AWSops+acme42@doit-intl.com", "feature_set", "ALL"));
    put(h, "iam:GetAccountSummary",
        json_make("{s:{s:i,s:i,s:i}}", "summary", "AccountMFAEnabled", 0, "Roles", 10, "RolesQuota", 1000));
    put(h, "iam:ListRoles", json_make("{s:[]}", "roles"));
    put(h, "iam:ListPolicies", json_make("{s:[]}", "policies"));
    put(h, "cur:DescribeReportDefinitions", json_make("{s:[]}", "reports"));
    put(h, "organizations:ListHandshakesForOrganization", json_make("{s:[]}", "handshakes"));
    put(h, "tax:ListTaxRegistrations",
        json_make("{s:[{s:s,s:{s:s}}]}", "accounts", "accountId", "111122223333", "accountMetaData", "seller", "EMEA"));
    put(h, "tax:GetTaxInheritance", json_make("{s:s}", "status", "OptOut"));
}

static void check_end(const struct fake_host *h, enum step_outcome outcome, const char *code)
{
    if (h->outcome != outcome || !str_eq(json_str_at(h->error, "code"), code)) {
        AUTO_FREE char *error = json_text(h->error);
        fail_msg("ended %c with %s, wanted %c %s", h->outcome, error, outcome, code);
    }
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

static bool has_finding(const struct fake_host *h, const char *code)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(h->error, "findings"), i, one)
        if (str_eq(json_str_at(one, "code"), code))
            return true;
    return false;
}

static void the_management_account_is_told_from_others(void **state)
{
    (void)state;
    static const struct {
        const char *master, *org, *arn, *code;
    } cases[] = {
        {"111122223333", NULL, "arn:aws:iam::111122223333:user/a", ""},
        {"999988887777", NULL, "arn:aws:iam::111122223333:user/a", "org.member_account"},
        {"111122223333", "o-2", "arn:aws:iam::111122223333:user/a", "org.mismatch"},
        {"111122223333", NULL, "arn:aws-cn:iam::111122223333:user/a", "partition.unsupported"},
        {NULL, NULL, "arn:aws:iam::111122223333:user/a", "org.none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_host h;
        setup(&h);
        if (cases[i].master)
            json_put_str(json_object_get(h.world, "organizations:DescribeOrganization"), "master_account_id",
                         cases[i].master);
        else
            put(&h, "organizations:DescribeOrganization", json_null());
        if (cases[i].org)
            json_put_str(json_object_get(h.import, "organization"), "id", cases[i].org);
        json_put_str(json_object_get(h.world, "runtime:identity"), "arn", cases[i].arn);
        fake_run(&h, step_def_by_name("org_identify"));
        check_end(&h, *cases[i].code ? STEP_ENDED_FAIL : STEP_ENDED_DONE, cases[i].code);
        fake_done(&h);
    }
}

static const char *finding_text(const struct fake_host *h, const char *action)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(h->error, "findings"), i, one)
        if (str_starts(json_str_at(one, "text"), action))
            return json_str_at(one, "text");
    return "";
}

static void rights_are_judged_by_simulation_on_both_routes(void **state)
{
    (void)state;
    static const char *const methods[] = {"sealed_key", "role"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct fake_host h;
        setup(&h);
        json_put(h.import, "access", json_make("{s:s}", "method", methods[i]));
        fake_run(&h, step_def_by_name("admin_access"));
        check_end(&h, STEP_ENDED_DONE, "");
        assert_true(str_starts(json_str_at(h.result, "rights"), "simulated: all "));
        put(&h, "deny", json_make("{s:s, s:s}", "iam:CreateRole", "implicitDeny", "s3:PutBucketPolicy", "silent"));
        json_put(h.import, "steps", json_make("[s, s]", "role_cmp", "cur_bucket"));
        fake_run(&h, step_def_by_name("admin_access"));
        check_end(&h, STEP_ENDED_FAIL, "admin.missing");
        assert_int_equal(json_array_size(json_object_get(h.error, "findings")), 2);
        assert_non_null(strstr(finding_text(&h, "iam:CreateRole"), "no policy of the identity allows it"));
        assert_non_null(strstr(json_str_at(h.error, "text"), "such as iam:CreateRole and s3:PutBucketPolicy"));
        assert_true(has_finding(&h, "access.action_missing"));
        fake_done(&h);
    }
}

static void what_is_optional_is_only_warned_about(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_put(h.import, "steps", json_make("[s]", "fingerprint_before"));
    put(&h, "deny", json_make("{s:s}", "sso:ListInstances", "implicitDeny"));
    fake_run(&h, step_def_by_name("admin_access"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_non_null(strstr(json_str_at(h.result, "warnings.0"), "sso:ListInstances"));
    fake_done(&h);
}

static void an_explicit_deny_is_named_by_policy_and_statement(void **state)
{
    (void)state;
    static const struct {
        const char *details, *wanted;
    } cases[] = {
        {"{\"users\":[{\"name\":\"a\",\"arn\":\"arn:aws:iam::111122223333:user/a\",\"groups\":[\"ops\"],\"inline\":{},"
         "\"policies\":[]}],\"groups\":[{\"name\":\"ops\",\"inline\":{},\"policies\":[\"arn:p\"]}],\"policies\":[{"
         "\"arn\":"
         "\"arn:p\",\"document\":{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Sid\":"
         "\"NoRoles\",\"Effect\":\"Deny\",\"Action\":\"iam:Create*\",\"Resource\":\"*\"}]}}]}",
         "iam:CreateRole is explicitly denied by statement NoRoles of policy arn:p, attached to group ops"},
        {"{\"users\":[{\"name\":\"a\",\"arn\":\"arn:aws:iam::111122223333:user/"
         "a\",\"policies\":[],\"inline\":{\"guard\":"
         "{\"Statement\":{\"Effect\":\"Deny\",\"NotAction\":\"s3:*\",\"Resource\":\"*\"}}}}]}",
         "iam:CreateRole is explicitly denied by statement number 1 (it has no Sid) of policy guard, inline of user a"},
        {"{\"users\":[]}", "iam:CreateRole is explicitly denied by a policy of the account"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_host h;
        struct err err;
        setup(&h);
        put(&h, "deny", json_make("{s:s}", "iam:CreateRole", "explicitDeny"));
        json_put_str(json_object_get(h.world, "runtime:identity"), "arn", "arn:aws:iam::111122223333:user/a");
        put(&h, "iam:GetAccountAuthorizationDetails", json_read(cases[i].details, strlen(cases[i].details), 0, &err));
        fake_run(&h, step_def_by_name("admin_access"));
        check_end(&h, STEP_ENDED_FAIL, "admin.missing");
        assert_true(has_finding(&h, "access.explicit_deny"));
        assert_string_equal(finding_text(&h, "iam:CreateRole"), cases[i].wanted);
        fake_done(&h);
    }
}

static void denied_billing_asks_root_and_goes_on_when_it_is_on(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    put(&h, "cur:DescribeReportDefinitions", json_make("{s:s}", "$error", "AccessDeniedException"));
    fake_run(&h, step_def_by_name("admin_access"));
    check_end(&h, STEP_ENDED_WAIT, "");
    assert_string_equal(json_str_at(h.task, "party"), "customer");
    put(&h, "cur:DescribeReportDefinitions", json_make("{s:[]}", "reports"));
    fake_run(&h, step_def_by_name("admin_access"));
    check_end(&h, STEP_ENDED_DONE, "");
    fake_done(&h);
}

static void preflight_tells_everything_at_once(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_t *doc = h.import;
    json_put_bool((json_t *)(uintptr_t)json_at(doc, "vars.roles.cloudhealth"), "enabled", true);
    put(&h, "iam:ListRoles", json_make("{s:[{s:s}]}", "roles", "name", "Doitintl_CMP"));
    put(&h, "iam:ListPolicies", json_make("{s:[{s:s,s:s}]}", "policies", "name", "doitintl_cmp", "arn", "arn:p"));
    put(&h, "iam:GetPolicy", json_make("{s:s,s:{}}", "arn", "arn:p", "tags"));
    put(&h, "s3:GetBucketLocation", json_make("{s:s}", "$error", "AccessDenied"));
    json_t *five = json_array();
    for (int i = 0; i < 5; i++)
        (void)json_array_append_new(five, json_make("{s:s}", "ReportName", "r"));
    put(&h, "cur:DescribeReportDefinitions", json_make("{s:o}", "reports", five));
    put(&h, "organizations:ListHandshakesForOrganization",
        json_make("{s:[{s:s,s:s},{s:s,s:s}]}", "handshakes", "action", "INVITE", "state", "OPEN", "action", "INVITE",
                  "state", "ACCEPTED"));
    put(&h, "tax:GetTaxRegistration",
        json_make("{s:{s:s,s:s}}", "registration", "registrationId", "DE1", "status", "Pending"));
    put(&h, "iam:GetAccountSummary",
        json_make("{s:{s:i,s:i,s:i}}", "summary", "AccountMFAEnabled", 0, "Roles", 1000, "RolesQuota", 1000));
    fake_run(&h, step_def_by_name("preflight"));
    check_end(&h, STEP_ENDED_FAIL, "preflight.findings");
    static const char *const codes[] = {
        "role.name_taken",      "policy.name_taken", "bucket.name_taken",          "cur.quota",
        "org.invitations_open", "tax.pending",       "vendor.external_id_missing", "aws.quota"};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (!has_finding(&h, codes[i]))
            fail_msg("%s is missing", codes[i]);
    assert_int_equal(json_array_size(json_object_get(h.error, "findings")), ARRAY_LEN(codes));
    fake_done(&h);
}

static void preflight_warns_of_what_will_be_asked_later(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    put(&h, "tax:GetTaxInheritance", json_make("{s:s}", "status", "OptIn"));
    put(&h, "tax:ListTaxRegistrations",
        json_make("{s:[{s:s,s:{s:s}}]}", "accounts", "accountId", "111122223333", "accountMetaData", "seller", "Inc."));
    fake_run(&h, step_def_by_name("preflight"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(json_array_size(json_at(h.result, "warnings")), 2);
    assert_string_equal(json_str_at(h.result, "tax.seller"), "Inc.");
    fake_done(&h);
}

static void readiness_lists_what_is_missing(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    fake_run(&h, step_def_by_name("readiness"));
    check_end(&h, STEP_ENDED_DONE, "");
    put(&h, "iam:GetAccountSummary", json_make("{s:{s:i}}", "summary", "AccountMFAEnabled", 1));
    put(&h, "deny", json_make("{s:s}", "iam:CreateRole", "implicitDeny"));
    json_put_str(json_object_get(h.world, "organizations:DescribeOrganization"), "master_email", "old@example.com");
    fake_run(&h, step_def_by_name("readiness"));
    check_end(&h, STEP_ENDED_FAIL, "readiness.incomplete");
    assert_true(has_finding(&h, "readiness.incomplete") && has_finding(&h, "admin.missing") &&
                has_finding(&h, "email.mismatch"));
    fake_done(&h);
}

/* ---- Tax ---- */

static json_t *registration(const struct fake_host *h, const char *status)
{
    json_t *r = json_deep_copy(json_at(h->import, "vars.tax.entry"));
    json_put_str(r, "status", status);
    return json_make("{s:o}", "registration", r);
}

static void tax_is_put_once_and_waited_for(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_WAIT, "");
    assert_int_equal(writes(&h), 1);
    put(&h, "tax:GetTaxRegistration", registration(&h, "Pending"));
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_WAIT, "");
    put(&h, "tax:GetTaxRegistration", registration(&h, "Verified"));
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 1);
    assert_string_equal(json_str_at(h.result, "country"), "IE");
    json_auto_t *patches = GOT(step_def_by_name("tax_profile"))->expects(h.import, NULL, h.result);
    assert_string_equal(json_str_at(patches, "0.key"), "111122223333");
    put(&h, "tax:GetTaxRegistration", registration(&h, "Rejected"));
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_FAIL, "tax.rejected");
    fake_done(&h);
}

static void tax_is_held_before_it_reaches_others(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    put(&h, "tax:GetTaxInheritance", json_make("{s:s}", "status", "OptIn"));
    put(&h, "tax:ListTaxRegistrations",
        json_make("{s:[{s:s,s:{s:s}},{s:s}]}", "accounts", "accountId", "111122223333", "accountMetaData", "seller",
                  "EMEA", "accountId", "222233334444"));
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_HOLD, "tax.inheritance");
    assert_int_equal(writes(&h), 0);
    h.signals = json_make("{s:{s:s,s:s}}", "accept", "by", "op", "reason", "agreed");
    fake_run(&h, step_def_by_name("tax_profile"));
    assert_int_equal(writes(&h), 1);
    fake_done(&h);

    setup(&h);
    put(&h, "tax:ListTaxRegistrations",
        json_make("{s:[{s:s,s:{s:s}}]}", "accounts", "accountId", "111122223333", "accountMetaData", "seller", "Inc."));
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_HOLD, "tax.seller_change");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

static void a_country_without_api_is_set_by_a_person(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_put(json_object_get(h.import, "vars"), "tax", json_null());
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_WAIT, "");
    assert_true(json_bool_at(h.task, "attest"));
    h.signals = json_make("{s:{s:s,s:s,s:I}}", "done", "by", "Ann", "note", "set", "at_ms", (json_int_t)h.now_ms);
    fake_run(&h, step_def_by_name("tax_profile"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_string_equal(json_str_at(h.result, "grade"), "attested");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

/* ---- Partner ---- */

static void a_relationship_is_made_adopted_or_in_conflict(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    put(&h, "partnercentral:ListProgramManagementAccounts",
        json_make("{s:[{s:s,s:s}]}", "accounts", "id", "pma-1", "status", "ACTIVE"));
    put(&h, "partnercentral:ListRelationships", json_make("{s:[]}", "relationships"));
    put(&h, "partnercentral:CreateRelationship", json_make("{s:s}", "id", "rs-1"));
    put(&h, "partnercentral:GetRelationship", json_make("{s:s}", "id", "rs-1"));
    fake_run(&h, step_def_by_name("partner_program"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 1);
    mem_free(h.journal);
    h.journal = NULL;
    put(&h, "partnercentral:CreateRelationship", json_make("{s:s}", "$error", "ConflictException"));
    fake_run(&h, step_def_by_name("partner_program"));
    check_end(&h, STEP_ENDED_FAIL, "partner.conflict");
    put(&h, "partnercentral:ListRelationships",
        json_make("{s:[{s:s,s:s,s:s}]}", "relationships", "id", "rs-1", "account_id", "111122223333", "pma", "pma-1"));
    h.call_count = 0;
    fake_run(&h, step_def_by_name("partner_program"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 0);
    fake_done(&h);
}

/* ---- The end of the access ---- */

static void a_key_dies(struct fake_host *h, const struct step_call *call)
{
    if (str_eq(call->op->name, "iam:DeleteAccessKey"))
        put(h, "sts:GetCallerIdentity/retired", json_null());
}

static void the_dead_key_is_the_proof(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_put(h.results, "access_handover", json_make("{s:s,s:s}", "user", "orgimport", "access_key_id", "AKIA1"));
    put(&h, "sts:GetCallerIdentity/retired", json_make("{s:s}", "account", "111122223333"));
    do { /* the key goes on working */
        h.now_ms += 10000;
        fake_run(&h, step_def_by_name("credential_retire"));
    } while (h.outcome == STEP_ENDED_SLEEP);
    check_end(&h, STEP_ENDED_FAIL, "credential.alive");
    mem_free(h.journal);
    h.journal = NULL;
    h.on_answer = a_key_dies;
    h.call_count = 0;
    fake_run(&h, step_def_by_name("credential_retire"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 1);
    assert_string_equal(json_str_at(h.result, "key"), "deleted");
    assert_string_equal(json_str_at(h.result, "closing.0.op"), "iam:DeleteAccessKey");

    /* A worker that starts anew finds nothing that signs, and knows why. */
    put(&h, "runtime:identity",
        json_make("{s:b,s:s,s:s,s:s}", "ok", 0, "code", "aws.credentials", "access_key_id", "AKIA1", "origin",
                  "sts:GetCallerIdentity 403 InvalidClientTokenId"));
    h.call_count = 0;
    fake_run(&h, step_def_by_name("credential_retire"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(writes(&h), 0);
    assert_string_equal(json_str_at(h.result, "key"), "deleted");
    fake_done(&h);
}

/* Whatever else keeps us from signing, the key may be alive: nobody may be told that it is dead (P8). */
static void only_aws_says_that_a_key_is_dead(void **state)
{
    (void)state;
    static const struct {
        const char *origin, *key_id;
    } cases[] = {{"", "AKIA1"},
                 {"sts:GetCallerIdentity 403 SignatureDoesNotMatch", "AKIA1"},
                 {"sts:GetCallerIdentity 403 InvalidClientTokenId", "AKIA2"},
                 {"sts:GetCallerIdentity 403 InvalidClientTokenId", ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_host h;
        setup(&h);
        json_put(h.results, "access_handover", json_make("{s:s,s:s}", "user", "orgimport", "access_key_id", "AKIA1"));
        put(&h, "runtime:identity",
            json_make("{s:b,s:s,s:s,s:s}", "ok", 0, "code", "aws.credentials", "access_key_id", cases[i].key_id,
                      "origin", cases[i].origin));
        fake_run(&h, step_def_by_name("credential_retire"));
        check_end(&h, STEP_ENDED_FAIL, "aws.credentials");
        fake_done(&h);
    }
}

static json_t *dead(const char *key_id)
{
    return json_make("{s:b,s:s,s:s,s:s}", "ok", 0, "code", "aws.credentials", "access_key_id", key_id, "origin",
                     "sts:GetCallerIdentity 403 InvalidClientTokenId");
}

/* A key that took the first one's place is retired in its stead; the first is left to its owner, by name. */
static void a_replaced_key_is_left_to_its_owner(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_put(h.results, "access_handover", json_make("{s:s,s:s}", "user", "orgimport", "access_key_id", "AKIA1"));
    put(&h, "runtime:identity",
        json_make("{s:b,s:s,s:s}", "ok", 1, "access_key_id", "AKIA2", "arn", "arn:aws:iam::111122223333:user/x/Two"));
    put(&h, "sts:GetCallerIdentity/retired", json_make("{s:s}", "account", "111122223333"));
    h.on_answer = a_key_dies;
    fake_run(&h, step_def_by_name("credential_retire"));
    for (int round = 0; round < 2; round++) {
        check_end(&h, STEP_ENDED_DONE, "");
        assert_string_equal(json_str_at(h.result, "access_key_id"), "AKIA2");
        assert_string_equal(json_str_at(h.result, "key"), "deleted");
        assert_string_equal(json_str_at(h.result, "remains.0.owner"), "customer");
        assert_string_equal(json_str_at(h.result, "remains.0.command"),
                            "aws iam delete-access-key --user-name orgimport --access-key-id AKIA1");
        if (round)
            break;
        assert_string_equal(json_str_at(h.result, "closing.0.resource"), "Two/AKIA2");
        /* Killed before the finish was stored: the dead key is known as the one that was being retired. */
        put(&h, "runtime:identity", dead("AKIA2"));
        h.call_count = 0;
        fake_run(&h, step_def_by_name("credential_retire"));
        assert_int_equal(writes(&h), 0);
    }
    fake_done(&h);
}

/* AWS took the call and its answer was lost: what is asked next is who we are, not the same again by a key that cannot
 * sign any more. In an undo, too, where the key's end is recorded under a name of the undo's own. */
static void a_lost_answer_is_learned_from_the_dead_key(void **state)
{
    (void)state;
    for (int is_undo = 0; is_undo < 2; is_undo++) {
        struct fake_host h;
        setup(&h);
        json_t *handed = json_make("{s:s,s:s}", "user", "orgimport", "access_key_id", "AKIA1");
        json_put(h.results, "access_handover", handed);
        if (is_undo)
            h.undone = json_make("{s:O}", "access_handover", handed);
        put(&h, "runtime:identity",
            json_make("{s:b,s:s,s:s}", "ok", 1, "access_key_id", "AKIA2", "arn", "arn:aws:iam::111122223333:user/Two"));
        put(&h, "sts:GetCallerIdentity/retired", json_make("{s:s}", "account", "111122223333"));
        put(&h, "iam:DeleteAccessKey", json_make("{s:s,s:b}", "$error", "ServiceFailure", "$lost", 1));
        h.on_answer = a_key_dies;
        fake_run(&h, step_def_by_name("credential_retire"));
        if (h.outcome == STEP_ENDED_SLEEP) { /* until the lost call is old enough to be settled */
            h.now_ms += 400000;
            put(&h, "runtime:identity", dead("AKIA2"));
            fake_run(&h, step_def_by_name("credential_retire"));
        }
        check_end(&h, STEP_ENDED_DONE, "");
        assert_int_equal(writes(&h), 1);
        assert_string_equal(json_str_at(h.result, "key"), "deleted");
        fake_done(&h);
    }
}

/* The refusal may be all that is left of it: an earlier sending was taken, and AWS let the key live on for a moment. */
static void a_refusal_by_the_key_s_own_death_is_no_failure(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_put(h.results, "access_handover", json_make("{s:s,s:s}", "user", "orgimport", "access_key_id", "AKIA1"));
    put(&h, "runtime:identity",
        json_make("{s:b,s:s,s:s}", "ok", 1, "access_key_id", "AKIA2", "arn", "arn:aws:iam::111122223333:user/Two"));
    put(&h, "sts:GetCallerIdentity/retired", json_make("{s:s}", "account", "111122223333"));
    put(&h, "iam:DeleteAccessKey", json_make("{s:s}", "$error", "InvalidClientTokenId"));
    fake_run(&h, step_def_by_name("credential_retire"));
    assert_int_equal(h.outcome, STEP_ENDED_SLEEP);
    put(&h, "runtime:identity", dead("AKIA2"));
    fake_run(&h, step_def_by_name("credential_retire"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_string_equal(json_str_at(h.result, "key"), "dead after we asked for its end");
    assert_int_equal(json_array_size(json_object_get(h.result, "closing")), 0); /* nothing that the ledger lacks */
    fake_done(&h);
}

/* The import failed because its user may do too little, this too: its undo ends, and says that the key lives. */
static void a_key_that_may_not_end_itself_is_left_to_its_owner_by_an_undo(void **state)
{
    (void)state;
    for (int is_undo = 0; is_undo < 2; is_undo++) {
        struct fake_host h;
        setup(&h);
        json_t *handed = json_make("{s:s,s:s}", "user", "orgimport", "access_key_id", "AKIA1");
        json_put(h.results, "access_handover", handed);
        if (is_undo)
            h.undone = json_make("{s:O}", "access_handover", handed);
        put(&h, "sts:GetCallerIdentity/retired", json_make("{s:s}", "account", "111122223333"));
        put(&h, "iam:DeleteAccessKey", json_make("{s:s}", "$error", "AccessDenied"));
        fake_run(&h, step_def_by_name("credential_retire"));
        check_end(&h, is_undo ? STEP_ENDED_DONE : STEP_ENDED_FAIL, is_undo ? "" : "aws.denied");
        if (is_undo) {
            assert_string_equal(json_str_at(h.result, "key"), "alive: left to its owner");
            assert_string_equal(json_str_at(h.result, "remains.0.command"),
                                "aws iam delete-access-key --user-name orgimport --access-key-id AKIA1");
        }
        fake_done(&h);
    }
}

static void the_role_route_has_nothing_to_retire(void **state)
{
    (void)state;
    struct fake_host h;
    setup(&h);
    json_put(h.import, "access",
             json_make("{s:s,s:s}", "method", "role", "role_arn", "arn:aws:iam::111122223333:role/x/Boot"));
    fake_run(&h, step_def_by_name("credential_retire"));
    check_end(&h, STEP_ENDED_DONE, "");
    assert_int_equal(h.call_count, 0);
    assert_non_null(strstr(json_str_at(h.result, "remains.0.command"), "--role-name Boot "));
    fake_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_management_account_is_told_from_others),
        cmocka_unit_test(rights_are_judged_by_simulation_on_both_routes),
        cmocka_unit_test(what_is_optional_is_only_warned_about),
        cmocka_unit_test(an_explicit_deny_is_named_by_policy_and_statement),
        cmocka_unit_test(denied_billing_asks_root_and_goes_on_when_it_is_on),
        cmocka_unit_test(preflight_tells_everything_at_once),
        cmocka_unit_test(preflight_warns_of_what_will_be_asked_later),
        cmocka_unit_test(readiness_lists_what_is_missing),
        cmocka_unit_test(tax_is_put_once_and_waited_for),
        cmocka_unit_test(tax_is_held_before_it_reaches_others),
        cmocka_unit_test(a_country_without_api_is_set_by_a_person),
        cmocka_unit_test(a_relationship_is_made_adopted_or_in_conflict),
        cmocka_unit_test(the_dead_key_is_the_proof),
        cmocka_unit_test(only_aws_says_that_a_key_is_dead),
        cmocka_unit_test(a_replaced_key_is_left_to_its_owner),
        cmocka_unit_test(a_lost_answer_is_learned_from_the_dead_key),
        cmocka_unit_test(a_refusal_by_the_key_s_own_death_is_no_failure),
        cmocka_unit_test(a_key_that_may_not_end_itself_is_left_to_its_owner_by_an_undo),
        cmocka_unit_test(the_role_route_has_nothing_to_retire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
