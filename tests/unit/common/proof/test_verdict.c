/* Verdicts: for every section and every kind of change that our steps make, one extra change of the same kind, made by
 * somebody with an event, by somebody without, and by our own session. */
#include "common/proof/bracket.h"
#include "common/proof/verdict.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ACCOUNT "111122223333"
#define IMPORT "imp_00abc"
#define KEY "AKIAHANDEDOVER"
#define BEFORE_MS 1000000
#define SEEN_MS 2000000
#define CHANGE_MS 3000000
#define AFTER_MS 4000000

static json_t *read_text(const char *text)
{
    struct err err = {0};
    json_t *value = json_read(text, strlen(text), 0, &err);
    if (!value)
        fail_msg("%s in %s", err.text, text);
    return value;
}

static const char base_text[] =
    "{\"organization\":{\"master_email\":\"a@x.example\",\"feature_set\":\"ALL\"},"
    "\"accounts\":{\"" ACCOUNT "\":{\"email\":\"a@x.example\",\"name\":\"payer\",\"state\":\"ACTIVE\"},"
    "\"444455556666\":{\"email\":\"b@x.example\",\"name\":\"b\",\"state\":\"ACTIVE\"}},"
    "\"tree\":{\"r-1\":{\"type\":\"ROOT\",\"parent\":\"\",\"name\":\"Root\",\"policy_types\":{}},\"ou-1\":{\"type\":"
    "\"OU\",\"parent\":\"r-1\",\"name\":\"Prod\"},\"444455556666\":{\"type\":\"ACCOUNT\",\"parent\":\"ou-1\",\"name\":"
    "\"\"}},"
    "\"policies\":{\"p-1\":{\"name\":\"deny\",\"content\":{\"a\":1},\"targets\":[\"ou-1\"]}},"
    "\"trusted_services\":{\"sso.amazonaws.com\":{\"enabled_ms\":1}},"
    "\"delegation\":{\"444455556666\":{\"services\":[\"a.amazonaws.com\"]}},"
    "\"handshakes\":{\"h-1\":{\"state\":\"OPEN\",\"parties\":[\"EMAIL c@x.example\"]}},"
    "\"features\":{\"backup\":{\"settings\":{\"x\":\"true\"}},\"stacksets\":{\"status\":\"ENABLED\"},"
    "\"identity_center\":{\"instances\":[]},\"firewall_manager\":{\"admin\":\"\"},\"resource_sharing\":{\"shares\":[]}}"
    ","
    "\"iam.account\":{\"aliases\":{\"names\":[\"x\"]},\"root\":{\"mfa\":true,\"access_keys\":false,\"devices\":[\"d1\"]"
    "},"
    "\"password_policy\":{\"MinimumPasswordLength\":\"8\"}},"
    "\"iam.users\":{\"jane\":{\"path\":\"/"
    "\",\"groups\":[],\"policies\":[],\"inline\":{},\"tags\":{},\"boundary\":\"\"}},"
    "\"iam.groups\":{\"g\":{\"path\":\"/\",\"policies\":[],\"inline\":{}}},"
    "\"iam.roles\":{\"app\":{\"path\":\"/\",\"trust\":{},\"max_session\":3600,\"description\":\"\",\"policies\":[\"arn:"
    "p1\"],\"inline\":{},\"tags\":{},\"boundary\":\"\"}},"
    "\"iam.policies\":{\"arn:aws:iam::" ACCOUNT ":policy/p\":{\"document\":{\"a\":1}}},"
    "\"s3\":{\"logs\":{\"region\":\"eu-west-1\"}},"
    "\"cur\":{\"daily\":{\"ReportName\":\"daily\",\"TimeUnit\":\"DAILY\"}},"
    "\"exports\":{\"arn:e\":{\"name\":\"e\",\"query\":\"SELECT 1\"}},"
    "\"tax\":{\"" ACCOUNT "\":{\"registration\":{\"id\":\"DE1\"},\"seller\":\"EMEA\"},\"inheritance\":{\"status\":"
    "\"OptOut\"}},"
    "\"trails\":{\"arn:aws:cloudtrail:eu-west-1:" ACCOUNT ":trail/main\":{\"name\":\"main\",\"home\":\"eu-west-1\","
    "\"bucket\":\"logs\",\"selectors\":[],\"logging\":true}},"
    "\"transfers\":{\"arn:t/rt-1\":{\"name\":\"ours\",\"status\":\"REQUESTED\",\"handshake\":\"h-9\"}},"
    "\"contact\":{\"contact\":{\"FullName\":\"Acme\"},\"BILLING\":{\"name\":\"Bill\"}}}";

static json_t *base(int64_t taken_ms)
{
    json_t *fingerprint = json_make("{s:o,s:I}", "sections", read_text(base_text), "taken_ms", (json_int_t)taken_ms);
    fingerprint_seal(fingerprint);
    return fingerprint;
}

/* What our steps declare and leave: role, policy, report, bucket, tax, root's devices, email. */
static json_t *our_patches(bool was_seen)
{
    json_t *patches = read_text(
        "[{\"section\":\"iam.roles\",\"key\":\"ours\",\"op\":\"add\",\"value\":{\"path\":\"/"
        "\",\"trust\":{},\"max_session\":3600,\"description\":\"\",\"policies\":[\"arn:o\"],\"inline\":{},\"tags\":{"
        "\"owner\":\"us\"},\"boundary\":\"\"},\"step\":\"role_cmp\"},"
        "{\"section\":\"iam.policies\",\"key\":\"arn:aws:iam::" ACCOUNT
        ":policy/ours\",\"op\":\"add\",\"value\":{\"document\":{\"b\":1}},\"step\":\"role_cmp\"},"
        "{\"section\":\"cur\",\"key\":\"ours\",\"op\":\"add\",\"value\":{\"ReportName\":\"ours\",\"TimeUnit\":"
        "\"HOURLY\"},\"step\":\"cur_report\"},"
        "{\"section\":\"s3\",\"key\":\"ours\",\"op\":\"add\",\"value\":{\"region\":\"eu-west-1\"},\"step\":\"cur_"
        "bucket\"},"
        "{\"section\":\"tax\",\"key\":\"" ACCOUNT
        "\",\"op\":\"replace\",\"value\":{\"registration\":{\"id\":\"IE1\"},\"seller\":\"EMEA\"},\"step\":\"tax_"
        "profile\"},"
        "{\"section\":\"iam.account\",\"key\":\"root\",\"op\":\"replace\",\"value\":{\"mfa\":true,\"access_keys\":"
        "false,\"devices\":[\"o1\",\"o2\"]},\"step\":\"root_mfa\"},"
        "{\"section\":\"organization\",\"key\":\"master_email\",\"op\":\"replace\",\"value\":\"o@us.example\",\"step\":"
        "\"root_email\"},"
        "{\"section\":\"accounts\",\"key\":\"" ACCOUNT
        "\",\"op\":\"replace\",\"path\":\"email\",\"value\":\"o@us.example\",\"step\":\"root_email\"}]");
    size_t i = 0;
    json_t *patch = NULL;
    json_array_foreach (patches, i, patch)
        if (was_seen)
            json_put_int(patch, "seen_ms", SEEN_MS);
    return patches;
}

static json_t *after_ours(void)
{
    json_auto_t *before = base(BEFORE_MS), *patches = our_patches(true);
    json_t *after = fingerprint_apply(before, patches, NULL);
    json_put_int(after, "taken_ms", AFTER_MS);
    return after;
}

/* One change: op "put" a value at path ("" the whole entry), or "del". */
static void change(json_t *after, const char *section, const char *key, const char *path, const char *value)
{
    json_t *entries = json_object_get(json_object_get(after, "sections"), section);
    assert_non_null(entries);
    json_t *holder = *path ? json_object_get(entries, key) : entries;
    const char *name = *path ? path : key;
    assert_true(json_is_object(holder));
    if (value)
        json_put(holder, name, read_text(value));
    else
        assert_int_equal(json_object_del(holder, name), 0);
}

/* ---- The matrix ---- */
struct extra {
    const char *what, *section, *key, *path, *value; /* value NULL: removed */
    const char *source, *event, *request, *response;
    bool is_touched;
};
#define IAM "iam.amazonaws.com"
#define ORG "organizations.amazonaws.com"
static const struct extra extras[] = {
    /* On what we made or changed. */
    {"a second tag on our role", "iam.roles", "ours", "tags", "{\"owner\":\"us\",\"more\":\"1\"}", IAM, "TagRole",
     "{\"roleName\":\"ours\"}", NULL, true},
    {"a policy detached from our role", "iam.roles", "ours", "policies", "[]", IAM, "DetachRolePolicy",
     "{\"roleName\":\"ours\"}", NULL, true},
    {"another policy attached to our role", "iam.roles", "ours", "policies", "[\"arn:o\",\"arn:x\"]", IAM,
     "AttachRolePolicy", "{\"roleName\":\"ours\"}", NULL, true},
    {"our role's trust changed", "iam.roles", "ours", "trust", "{\"x\":1}", IAM, "UpdateAssumeRolePolicy",
     "{\"roleName\":\"ours\"}", NULL, true},
    {"an inline policy in our role", "iam.roles", "ours", "inline", "{\"p\":{}}", IAM, "PutRolePolicy",
     "{\"roleName\":\"ours\"}", NULL, true},
    {"our role's session longer", "iam.roles", "ours", "max_session", "7200", IAM, "UpdateRole",
     "{\"roleName\":\"ours\"}", NULL, true},
    {"a boundary on our role", "iam.roles", "ours", "boundary", "\"arn:b\"", IAM, "PutRolePermissionsBoundary",
     "{\"roleName\":\"ours\"}", NULL, true},
    {"our role deleted", "iam.roles", "ours", "", NULL, IAM, "DeleteRole", "{\"roleName\":\"ours\"}", NULL, true},
    {"our policy rewritten", "iam.policies", "arn:aws:iam::" ACCOUNT ":policy/ours", "document", "{\"c\":1}", IAM,
     "CreatePolicyVersion", "{\"policyArn\":\"arn:aws:iam::" ACCOUNT ":policy/ours\"}", NULL, true},
    {"our report changed", "cur", "ours", "TimeUnit", "\"DAILY\"", "cur.amazonaws.com", "ModifyReportDefinition",
     "{\"reportName\":\"ours\"}", NULL, true},
    {"our report deleted", "cur", "ours", "", NULL, "cur.amazonaws.com", "DeleteReportDefinition",
     "{\"reportName\":\"ours\"}", NULL, true},
    {"our bucket deleted", "s3", "ours", "", NULL, "s3.amazonaws.com", "DeleteBucket", "{\"bucketName\":\"ours\"}",
     NULL, true},
    {"our tax registration changed", "tax", ACCOUNT, "registration", "{\"id\":\"FR1\"}", "taxsettings.amazonaws.com",
     "PutTaxRegistration", "{}", NULL, true},
    {"another MFA device of root", "iam.account", "root", "devices", "[\"o1\",\"o2\",\"x\"]", IAM, "EnableMFADevice",
     "{\"userName\":\"AWS ROOT USER\"}", NULL, true},
    {"an access key of root", "iam.account", "root", "access_keys", "true", IAM, "CreateAccessKey",
     "{\"userName\":\"AWS ROOT USER\"}", NULL, true},
    {"the root email changed again", "organization", "master_email", "", "\"z@x.example\"", "signin.amazonaws.com",
     "EmailUpdated", "{}", NULL, true},
    {"the payer's email row changed again", "accounts", ACCOUNT, "email", "\"z@x.example\"", "signin.amazonaws.com",
     "EmailUpdated", "{}", NULL, true},
    /* Beside it, of the same kind. */
    {"the payer renamed, whose email we changed", "accounts", ACCOUNT, "name", "\"new\"", "account.amazonaws.com",
     "PutAccountName", "{}", NULL, false},
    {"a tag on another role", "iam.roles", "app", "tags", "{\"t\":\"1\"}", IAM, "TagRole", "{\"roleName\":\"app\"}",
     NULL, false},
    {"a policy detached from another role", "iam.roles", "app", "policies", "[]", IAM, "DetachRolePolicy",
     "{\"roleName\":\"app\"}", NULL, false},
    {"another role", "iam.roles", "new", "", "{\"path\":\"/\"}", IAM, "CreateRole", "{\"roleName\":\"new\"}", NULL,
     false},
    {"a role of a service", "iam.roles", "AWSServiceRoleForX", "", "{\"path\":\"/\"}", IAM, "CreateServiceLinkedRole",
     "{\"aWSServiceName\":\"x\"}", "{\"role\":{\"roleName\":\"AWSServiceRoleForX\"}}", false},
    {"another role deleted", "iam.roles", "app", "", NULL, IAM, "DeleteRole", "{\"roleName\":\"app\"}", NULL, false},
    {"another policy", "iam.policies", "arn:aws:iam::" ACCOUNT ":policy/team/new", "", "{\"document\":{}}", IAM,
     "CreatePolicy", "{\"policyName\":\"new\"}", NULL, false},
    {"another user", "iam.users", "new", "", "{\"path\":\"/\"}", IAM, "CreateUser", "{\"userName\":\"new\"}", NULL,
     false},
    {"a user in a group", "iam.users", "jane", "groups", "[\"g\"]", IAM, "AddUserToGroup",
     "{\"userName\":\"jane\",\"groupName\":\"g\"}", NULL, false},
    {"a user deleted", "iam.users", "jane", "", NULL, IAM, "DeleteUser", "{\"userName\":\"jane\"}", NULL, false},
    {"a policy on a group", "iam.groups", "g", "policies", "[\"arn:x\"]", IAM, "AttachGroupPolicy",
     "{\"groupName\":\"g\"}", NULL, false},
    {"another password policy", "iam.account", "password_policy", "MinimumPasswordLength", "\"14\"", IAM,
     "UpdateAccountPasswordPolicy", "{}", NULL, false},
    {"no password policy", "iam.account", "password_policy", "", NULL, IAM, "DeleteAccountPasswordPolicy", "{}", NULL,
     false},
    {"another alias", "iam.account", "aliases", "names", "[\"y\"]", IAM, "CreateAccountAlias",
     "{\"accountAlias\":\"y\"}", NULL, false},
    {"a SAML provider", "iam.account", "arn:aws:iam::" ACCOUNT ":saml-provider/okta", "", "{}", IAM,
     "CreateSAMLProvider", "{\"name\":\"okta\"}", NULL, false},
    {"another trusted service", "trusted_services", "config.amazonaws.com", "", "{\"enabled_ms\":9}", ORG,
     "EnableAWSServiceAccess", "{\"servicePrincipal\":\"config.amazonaws.com\"}", NULL, false},
    {"a trusted service less", "trusted_services", "sso.amazonaws.com", "", NULL, ORG, "DisableAWSServiceAccess",
     "{\"servicePrincipal\":\"sso.amazonaws.com\"}", NULL, false},
    {"a moved account", "tree", "444455556666", "parent", "\"r-1\"", ORG, "MoveAccount",
     "{\"accountId\":\"444455556666\"}", NULL, false},
    {"another unit", "tree", "ou-2", "", "{\"type\":\"OU\",\"parent\":\"r-1\",\"name\":\"Dev\"}", ORG,
     "CreateOrganizationalUnit", "{\"name\":\"Dev\"}", NULL, false},
    {"a renamed unit", "tree", "ou-1", "name", "\"Live\"", ORG, "UpdateOrganizationalUnit",
     "{\"organizationalUnitId\":\"ou-1\"}", NULL, false},
    {"a policy type switched on", "tree", "r-1", "policy_types", "{\"TAG_POLICY\":\"ENABLED\"}", ORG,
     "EnablePolicyType", "{\"rootId\":\"r-1\"}", NULL, false},
    {"an account closed", "accounts", "444455556666", "state", "\"CLOSED\"", ORG, "CloseAccount",
     "{\"accountId\":\"444455556666\"}", NULL, false},
    {"an account gone", "accounts", "444455556666", "", NULL, ORG, "RemoveAccountFromOrganization",
     "{\"accountId\":\"444455556666\"}", NULL, false},
    {"an account more", "accounts", "777788889999", "",
     "{\"name\":\"n\",\"email\":\"n@x.example\",\"state\":\"ACTIVE\"}", ORG, "CreateAccountResult", NULL,
     "{\"createAccountStatus\":{\"accountId\":\"777788889999\"}}", false},
    {"another organization policy", "policies", "p-9", "", "{\"name\":\"freeze\",\"targets\":[]}", ORG, "CreatePolicy",
     "{\"name\":\"freeze\"}", NULL, false},
    {"an organization policy rewritten", "policies", "p-1", "content", "{\"b\":2}", ORG, "UpdatePolicy",
     "{\"policyId\":\"p-1\"}", NULL, false},
    {"an organization policy detached", "policies", "p-1", "targets", "[]", ORG, "DetachPolicy",
     "{\"policyId\":\"p-1\"}", NULL, false},
    {"a delegated administrator", "delegation", "999900001111", "", "{\"services\":[\"x\"]}", ORG,
     "RegisterDelegatedAdministrator", "{\"accountId\":\"999900001111\"}", NULL, false},
    {"the resource policy", "delegation", "resource_policy", "", "{\"document\":{}}", ORG, "PutResourcePolicy", "{}",
     NULL, false},
    {"an invitation", "handshakes", "h-2", "", "{\"state\":\"OPEN\",\"parties\":[\"EMAIL d@x.example\"]}", ORG,
     "InviteAccountToOrganization", "{\"target\":{\"id\":\"d@x.example\"}}", NULL, false},
    {"an invitation withdrawn", "handshakes", "h-1", "", NULL, ORG, "CancelHandshake", "{\"handshakeId\":\"h-1\"}",
     NULL, false},
    {"backup's settings", "features", "backup", "settings", "{}", "backup.amazonaws.com", "UpdateGlobalSettings", "{}",
     NULL, false},
    {"StackSets off", "features", "stacksets", "status", "\"DISABLED\"", "cloudformation.amazonaws.com",
     "DeactivateOrganizationsAccess", "{}", NULL, false},
    {"Identity Center", "features", "identity_center", "instances", "[{}]", "sso.amazonaws.com", "CreateInstance", "{}",
     NULL, false},
    {"Firewall Manager", "features", "firewall_manager", "admin", "\"444455556666\"", "fms.amazonaws.com",
     "AssociateAdminAccount", "{}", NULL, false},
    {"a resource share", "features", "resource_sharing", "shares", "[\"arn:s\"]", "ram.amazonaws.com",
     "CreateResourceShare", "{}", NULL, false},
    {"all features", "organization", "feature_set", "", "\"CONSOLIDATED\"", ORG, "EnableAllFeatures", "{}", NULL,
     false},
    {"another bucket", "s3", "new", "", "{\"region\":\"eu-west-1\"}", "s3.amazonaws.com", "CreateBucket",
     "{\"bucketName\":\"new\"}", NULL, false},
    {"a bucket gone", "s3", "logs", "", NULL, "s3.amazonaws.com", "DeleteBucket", "{\"bucketName\":\"logs\"}", NULL,
     false},
    {"a second report", "cur", "second", "", "{\"ReportName\":\"second\"}", "cur.amazonaws.com", "PutReportDefinition",
     "{\"reportDefinition\":{\"ReportName\":\"second\"}}", NULL, false},
    {"a report gone", "cur", "daily", "", NULL, "cur.amazonaws.com", "DeleteReportDefinition",
     "{\"reportName\":\"daily\"}", NULL, false},
    {"another export", "exports", "arn:f", "", "{\"name\":\"f\"}", "bcm-data-exports.amazonaws.com", "CreateExport",
     "{\"export\":{\"name\":\"f\"}}", NULL, false},
    {"an export changed", "exports", "arn:e", "query", "\"SELECT 2\"", "bcm-data-exports.amazonaws.com", "UpdateExport",
     "{\"exportArn\":\"arn:e\"}", NULL, false},
    {"tax inheritance", "tax", "inheritance", "status", "\"OptIn\"", "tax.amazonaws.com", "PutTaxInheritance", "{}",
     NULL, false},
    {"a trail stopped", "trails", "arn:aws:cloudtrail:eu-west-1:" ACCOUNT ":trail/main", "logging", "false",
     "cloudtrail.amazonaws.com", "StopLogging", "{\"name\":\"main\"}", NULL, false},
    {"a trail's selectors", "trails", "arn:aws:cloudtrail:eu-west-1:" ACCOUNT ":trail/main", "selectors", "[1]",
     "cloudtrail.amazonaws.com", "PutEventSelectors",
     "{\"trailName\":\"arn:aws:cloudtrail:eu-west-1:" ACCOUNT ":trail/main\"}", NULL, false},
    {"a trail deleted", "trails", "arn:aws:cloudtrail:eu-west-1:" ACCOUNT ":trail/main", "", NULL,
     "cloudtrail.amazonaws.com", "DeleteTrail", "{\"name\":\"main\"}", NULL, false},
    {"another trail", "trails", "arn:aws:cloudtrail:eu-west-1:" ACCOUNT ":trail/new", "",
     "{\"name\":\"new\",\"home\":\"eu-west-1\"}", "cloudtrail.amazonaws.com", "CreateTrail", "{\"name\":\"new\"}", NULL,
     false},
    {"a billing transfer ended", "transfers", "arn:t/rt-1", "status", "\"WITHDRAWN\"", ORG,
     "TerminateResponsibilityTransfer", "{\"id\":\"rt-1\"}", NULL, false},
    {"a billing transfer accepted", "transfers", "arn:t/rt-1", "status", "\"ACCEPTED\"", ORG, "AcceptHandshake",
     "{\"handshakeId\":\"h-9\"}", NULL, false},
    {"central root access", "iam.account", "organizations_features", "", "{\"enabled\":[\"RootSessions\"]}", IAM,
     "EnableOrganizationsRootSessions", "{}", NULL, false},
    {"the contact", "contact", "contact", "FullName", "\"New\"", "account.amazonaws.com", "PutContactInformation", "{}",
     NULL, false},
    {"an alternate contact", "contact", "SECURITY", "", "{\"name\":\"S\"}", "account.amazonaws.com",
     "PutAlternateContact", "{\"alternateContactType\":\"SECURITY\"}", NULL, false},
};

enum author { FOREIGNER, OUR_KEY, OUR_ROLE, ROOT_USER };

static json_t *event_of(const struct extra *x, enum author by, int64_t at_ms)
{
    static const char *const users[] = {"arn:aws:iam::" ACCOUNT ":user/terraform", "arn:aws:iam::" ACCOUNT ":user/doit",
                                        "arn:aws:sts::" ACCOUNT ":assumed-role/Boot/" IMPORT,
                                        "arn:aws:iam::" ACCOUNT ":root"};
    static const char *const keys[] = {"AKIAFOREIGN", KEY, "ASIATEMPORARY", ""};
    static const char *const types[] = {"IAMUser", "IAMUser", "AssumedRole", "Root"};
    return json_make("{s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:o,s:o}", "id", "e-1", "name", x->event, "source", x->source,
                     "at_ms", (json_int_t)at_ms, "user", users[by], "user_type", types[by], "ip", "198.51.100.7",
                     "access_key_id", keys[by], "request", x->request ? read_text(x->request) : json_null(), "response",
                     x->response ? read_text(x->response) : json_null());
}

struct scene {
    json_t *before, *after, *patches, *events, *writes, *keys;
};

static struct scene scene_of(const struct extra *x, bool was_seen)
{
    struct scene s = {.before = base(BEFORE_MS),
                      .after = after_ours(),
                      .patches = our_patches(was_seen),
                      .events = json_array(),
                      .writes = json_make("[{s:s,s:{s:s}}]", "op", "iam:CreateRole", "args", "RoleName", "ours"),
                      .keys = json_make("[s]", KEY)};
    if (x)
        change(s.after, x->section, x->key, x->path, x->value);
    return s;
}

static json_t *judge(const struct scene *s, const json_t *accepted)
{
    return verdict_of(&(struct verdict_input){.before = s->before,
                                              .after = s->after,
                                              .patches = s->patches,
                                              .events = s->events,
                                              .writes = s->writes,
                                              .our_keys = s->keys,
                                              .our_session = IMPORT,
                                              .account_id = ACCOUNT,
                                              .accepted = accepted});
}

static void scene_done(struct scene *s)
{
    json_decref(s->before);
    json_decref(s->after);
    json_decref(s->patches);
    json_decref(s->events);
    json_decref(s->writes);
    json_decref(s->keys);
}

static void expect(const struct scene *s, const char *what, const char *want, const char *list, size_t count)
{
    json_auto_t *v = judge(s, NULL);
    if (!str_eq(json_str_at(v, "verdict"), want) || json_array_size(json_object_get(v, list)) != count) {
        AUTO_FREE char *text = json_text(v);
        fail_msg("%s: wanted %s with %zu %s, got %s", what, want, count, list, text);
    }
}

static void what_our_steps_declare_is_proven(void **state)
{
    (void)state;
    struct scene s = scene_of(NULL, true);
    expect(&s, "ours alone", "PROVEN", "unexplained", 0);
    scene_done(&s);
}

static void each_extra_change_with_somebodys_event_is_foreign(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
        bool by_root = extras[i].source[0] == 's' && str_eq(extras[i].source, "signin.amazonaws.com");
        struct scene s = scene_of(&extras[i], true);
        (void)json_array_append_new(s.events, event_of(&extras[i], by_root ? ROOT_USER : FOREIGNER, CHANGE_MS));
        expect(&s, extras[i].what, "PROVEN+FOREIGN", "foreign", 1);
        json_auto_t *v = judge(&s, NULL);
        const json_t *one = json_at(v, "foreign.0");
        assert_string_equal(json_str_at(one, "events.0.event_id"), "e-1");
        assert_string_equal(json_str_at(one, "events.0.ip"), "198.51.100.7");
        assert_int_equal(json_int_at(one, "events.0.at_ms"), CHANGE_MS);
        if (json_bool_at(one, "touched") != extras[i].is_touched)
            fail_msg("%s: touched is wrong", extras[i].what);
        scene_done(&s);
    }
}

static void each_extra_change_without_an_event_is_unexplained(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
        struct scene s = scene_of(&extras[i], true);
        expect(&s, extras[i].what, "UNEXPLAINED", "unexplained", 1);
        scene_done(&s);
    }
}

/* No step has seen it right: what we touched is then our doing until somebody's event says otherwise. */
static void what_we_touched_and_never_saw_right_is_disrupted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
        struct scene s = scene_of(&extras[i], false);
        bool is_ours = extras[i].is_touched;
        expect(&s, extras[i].what, is_ours ? "DISRUPTED" : "UNEXPLAINED", is_ours ? "disrupted" : "unexplained", 1);
        scene_done(&s);
    }
}

static void each_extra_change_by_our_own_session_is_disrupted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(extras); i++)
        for (enum author by = OUR_KEY; by <= OUR_ROLE; by++) {
            struct scene s = scene_of(&extras[i], true);
            (void)json_array_append_new(s.events, event_of(&extras[i], by, CHANGE_MS));
            expect(&s, extras[i].what, "DISRUPTED", "rogue", 1);
            scene_done(&s);
        }
}

/* ---- What is no attribution ---- */
static const struct extra tag_app = {
    "a tag", "iam.roles", "app", "tags", "{\"t\":\"1\"}", IAM, "TagRole", "{\"roleName\":\"app\"}", NULL, false};

static void expect_no_attribution(const char *what, json_t *new_event)
{
    struct scene s = scene_of(&tag_app, true);
    (void)json_array_append_new(s.events, new_event);
    expect(&s, what, "UNEXPLAINED", "unexplained", 1);
    scene_done(&s);
}

static void an_event_that_cannot_have_made_it_is_no_attribution(void **state)
{
    (void)state;
    struct extra other = tag_app;
    other.request = "{\"roleName\":\"another\"}";
    expect_no_attribution("another role", event_of(&other, FOREIGNER, CHANGE_MS));
    other = tag_app;
    other.event = "UpdateAssumeRolePolicy";
    expect_no_attribution("another kind", event_of(&other, FOREIGNER, CHANGE_MS));
    other.event = "CreateRole";
    other.request = "{\"roleName\":\"app2\"}";
    expect_no_attribution("another thing", event_of(&other, FOREIGNER, CHANGE_MS));
    other = tag_app;
    other.source = "sso.amazonaws.com";
    expect_no_attribution("another service", event_of(&other, FOREIGNER, CHANGE_MS));
    other = tag_app;
    other.request = NULL;
    expect_no_attribution("no name", event_of(&other, FOREIGNER, CHANGE_MS));
    expect_no_attribution("before", event_of(&tag_app, FOREIGNER, BEFORE_MS - 1000));
    expect_no_attribution("later than what was read", event_of(&tag_app, FOREIGNER, AFTER_MS + 1));
    json_t *refused = event_of(&tag_app, FOREIGNER, CHANGE_MS);
    json_put_str(refused, "error", "AccessDenied");
    expect_no_attribution("refused", refused);
}

static void every_member_that_differs_needs_its_event(void **state)
{
    (void)state;
    struct scene s = scene_of(&tag_app, true);
    change(s.after, "iam.roles", "app", "policies", "[]");
    (void)json_array_append_new(s.events, event_of(&tag_app, FOREIGNER, CHANGE_MS));
    expect(&s, "one of two", "UNEXPLAINED", "unexplained", 1);
    struct extra detach = tag_app;
    detach.event = "DetachRolePolicy";
    json_t *second = event_of(&detach, FOREIGNER, CHANGE_MS);
    json_put_str(second, "id", "e-2");
    (void)json_array_append_new(s.events, second);
    expect(&s, "both", "PROVEN+FOREIGN", "foreign", 1);
    json_auto_t *v = judge(&s, NULL);
    assert_int_equal(json_array_size(json_at(v, "foreign.0.events")), 2);
    scene_done(&s);
}

/* The event that brought our own state about is no excuse for what came after it. */
static void an_event_before_our_step_saw_it_right_is_no_excuse(void **state)
{
    (void)state;
    const struct extra *email = NULL;
    for (size_t i = 0; i < ARRAY_LEN(extras); i++)
        if (str_eq(extras[i].what, "the root email changed again"))
            email = &extras[i];
    struct scene s = scene_of(email, true);
    (void)json_array_append_new(s.events, event_of(email, ROOT_USER, SEEN_MS - 5000));
    expect(&s, "the change that was asked for", "UNEXPLAINED", "unexplained", 1);
    scene_done(&s);
}

static void a_new_account_explains_its_place_its_tax_and_its_policies(void **state)
{
    (void)state;
    struct scene s = scene_of(NULL, true);
    change(s.after, "accounts", "777788889999", "", "{\"name\":\"new\",\"email\":\"n@x.example\"}");
    change(s.after, "tree", "777788889999", "", "{\"type\":\"ACCOUNT\",\"parent\":\"r-1\",\"name\":\"\"}");
    change(s.after, "tax", "777788889999", "", "{\"registration\":null,\"seller\":\"EMEA\"}");
    change(s.after, "policies", "p-1", "targets", "[\"777788889999\",\"ou-1\"]");
    struct extra made = {.source = ORG, .event = "CreateAccount", .request = "{\"accountName\":\"new\"}"};
    expect(&s, "without", "UNEXPLAINED", "unexplained", 4);
    (void)json_array_append_new(s.events, event_of(&made, FOREIGNER, CHANGE_MS));
    expect(&s, "with", "PROVEN+FOREIGN", "foreign", 4);
    scene_done(&s);
}

/* ---- Rogue ---- */
static void our_recorded_writes_are_not_rogue(void **state)
{
    (void)state;
    static const struct extra ours = {.source = IAM, .event = "CreateRole", .request = "{\"roleName\":\"ours\"}"};
    struct scene s = scene_of(NULL, true);
    (void)json_array_append_new(s.events, event_of(&ours, OUR_KEY, CHANGE_MS));
    expect(&s, "recorded", "PROVEN", "rogue", 0);
    scene_done(&s);
}

static void a_write_of_ours_with_other_arguments_is_rogue_and_leaves_no_way_out(void **state)
{
    (void)state;
    static const struct extra evil = {.source = IAM, .event = "CreateRole", .request = "{\"roleName\":\"backdoor\"}"};
    struct scene s = scene_of(NULL, true);
    (void)json_array_append_new(s.events, event_of(&evil, OUR_ROLE, CHANGE_MS));
    expect(&s, "made and deleted again", "DISRUPTED", "rogue", 1);
    json_decref(s.writes);
    s.writes = NULL; /* an unknown ledger accuses nobody */
    expect(&s, "unknown ledger", "PROVEN", "rogue", 0);
    s.writes = json_array();
    expect(&s, "empty ledger", "DISRUPTED", "rogue", 1);
    json_put_str(json_array_get(s.events, 0), "error", "AccessDenied");
    expect(&s, "refused by AWS", "PROVEN", "rogue", 0);
    scene_done(&s);
}

static void names_that_services_spell_differently_are_the_same_write(void **state)
{
    (void)state;
    struct scene s = scene_of(NULL, true);
    json_decref(s.writes);
    s.writes = read_text("[{\"op\":\"s3:PutPublicAccessBlock\",\"args\":{\"Bucket\":\"ours\"}},{\"op\":\"tax:"
                         "PutTaxRegistration\"}]");
    struct extra put = {
        .source = "s3.amazonaws.com", .event = "PutBucketPublicAccessBlock", .request = "{\"bucketName\":\"ours\"}"};
    (void)json_array_append_new(s.events, event_of(&put, OUR_KEY, CHANGE_MS));
    struct extra tax = {.source = "taxsettings.amazonaws.com", .event = "PutTaxRegistration"};
    (void)json_array_append_new(s.events, event_of(&tax, OUR_KEY, CHANGE_MS));
    expect(&s, "spelled differently", "PROVEN", "rogue", 0);
    put.request = "{\"bucketName\":\"theirs\"}";
    (void)json_array_append_new(s.events, event_of(&put, OUR_KEY, CHANGE_MS));
    expect(&s, "another bucket", "DISRUPTED", "rogue", 1);
    scene_done(&s);
}

/* ---- Brackets ---- */
static json_t *bucket(const char *policy, const char *tags)
{
    json_t *reading = json_array();
    bracket_add(reading, "s3.settings", "ours",
                json_make("{s:s,s:o,s:o,s:b}", "region", "eu-west-1", "policy", read_text(policy), "tags",
                          read_text(tags), "public_access", 1),
                read_text("{\"policy\":[\"ours\"],\"tags\":[\"owner\"]}"));
    return reading;
}

static void assert_bracket(const char *policy, const char *tags, size_t want)
{
    json_auto_t *before = bucket("{\"theirs\":{\"a\":1},\"ours\":{\"old\":1}}", "{\"team\":\"x\"}"),
                *after = bucket(policy, tags);
    json_auto_t *found = bracket_differences(before, after);
    assert_int_equal(json_array_size(found), want);
}

static void a_bracket_finds_what_our_writes_destroyed(void **state)
{
    (void)state;
    assert_bracket("{\"theirs\":{\"a\":1},\"ours\":{\"new\":1}}", "{\"team\":\"x\",\"owner\":\"us\"}", 0);
    assert_bracket("{\"ours\":{\"new\":1}}", "{\"team\":\"x\"}", 1);               /* a lost statement */
    assert_bracket("{\"theirs\":{\"a\":2},\"ours\":{}}", "{\"team\":\"x\"}", 1);   /* another one in its place */
    assert_bracket("{\"theirs\":{\"a\":1},\"ours\":{}}", "{\"owner\":\"us\"}", 1); /* a lost tag */
    json_auto_t *before = json_array(), *after = json_array(), *gone = json_array(), *nothing = json_array();
    bracket_add(before, "iam.roles", "r",
                read_text("{\"trust\":{},\"path\":\"/\",\"policies\":[\"a\"],\"boundary\":\"b\"}"), NULL);
    bracket_add(after, "iam.roles", "r",
                read_text("{\"trust\":{\"n\":1},\"path\":\"/\",\"policies\":[\"a\",\"c\"],\"boundary\":\"\"}"), NULL);
    bracket_add(gone, "iam.roles", "r", NULL, NULL);
    bracket_add(nothing, "iam.roles", "r", json_null(), NULL);
    json_auto_t *boundary = bracket_differences(before, after), *removed = bracket_differences(before, gone),
                *made = bracket_differences(nothing, after);
    assert_string_equal(json_str_at(boundary, "0.from.boundary"), "b");
    assert_int_equal(json_object_size(json_at(boundary, "0.from")), 1);
    assert_string_equal(json_str_at(removed, "0.kind"), "removed");
    assert_int_equal(json_array_size(made), 0); /* all of what we make is ours */
}

static void a_lost_statement_in_a_merged_policy_is_disrupted_unless_somebody_did_it(void **state)
{
    (void)state;
    json_auto_t *before = bucket("{\"theirs\":{\"a\":1}}", "{}"), *lost = bucket("{\"ours\":{}}", "{}");
    json_auto_t *found = bracket_differences(before, lost);
    struct scene s = scene_of(NULL, true);
    json_auto_t *brackets = json_make("[{s:s,s:i,s:i,s:O}]", "step", "cur_bucket", "began_ms", SEEN_MS - 10000,
                                      "ended_ms", SEEN_MS, "differences", found);
    struct verdict_input in = {.before = s.before,
                               .after = s.after,
                               .patches = s.patches,
                               .events = s.events,
                               .brackets = brackets,
                               .account_id = ACCOUNT};
    json_auto_t *alone = verdict_of(&in);
    assert_string_equal(json_str_at(alone, "verdict"), "DISRUPTED");
    assert_string_equal(json_str_at(alone, "disrupted.0.step"), "cur_bucket");
    struct extra put = {
        .source = "s3.amazonaws.com", .event = "PutBucketPolicy", .request = "{\"bucketName\":\"ours\"}"};
    (void)json_array_append_new(s.events, event_of(&put, FOREIGNER, CHANGE_MS));
    json_auto_t *outside = verdict_of(&in);
    assert_string_equal(json_str_at(outside, "verdict"), "DISRUPTED"); /* later than the bracket */
    (void)json_array_append_new(s.events, event_of(&put, FOREIGNER, SEEN_MS - 5000));
    json_auto_t *within = verdict_of(&in);
    assert_string_equal(json_str_at(within, "verdict"), "PROVEN+FOREIGN");
    scene_done(&s);
}

static void what_no_section_holds_is_judged_by_the_same_rules(void **state)
{
    (void)state;
    struct scene s = scene_of(NULL, true);
    json_auto_t *extra =
        read_text("[{\"section\":\"s3.settings\",\"key\":\"ours\",\"kind\":\"changed\",\"from\":{"
                  "\"region\":\"eu-west-1\",\"policy\":{\"theirs\":1}},\"to\":{\"region\":\"eu-west-1\","
                  "\"policy\":{}}}]");
    struct verdict_input in = {.before = s.before,
                               .after = s.after,
                               .patches = s.patches,
                               .events = s.events,
                               .extra = extra,
                               .account_id = ACCOUNT};
    json_auto_t *nobody = verdict_of(&in);
    assert_string_equal(json_str_at(nobody, "verdict"), "UNEXPLAINED");
    struct extra put = {
        .source = "s3.amazonaws.com", .event = "PutBucketPolicy", .request = "{\"bucketName\":\"ours\"}"};
    (void)json_array_append_new(s.events, event_of(&put, FOREIGNER, CHANGE_MS));
    json_auto_t *somebody = verdict_of(&in);
    assert_string_equal(json_str_at(somebody, "verdict"), "PROVEN+FOREIGN");
    scene_done(&s);
}

/* ---- Accepting, and many ---- */
static void accepting_never_makes_a_verdict_better(void **state)
{
    (void)state;
    struct scene s = scene_of(&tag_app, true);
    (void)json_array_append_new(s.events, event_of(&tag_app, OUR_KEY, CHANGE_MS));
    json_auto_t *first = judge(&s, NULL);
    json_auto_t *all = json_copy(json_object_get(first, "unexplained"));
    json_array_extend(all, json_object_get(first, "rogue"));
    json_auto_t *again = judge(&s, all);
    assert_string_equal(json_str_at(again, "verdict"), "DISRUPTED");
    assert_int_equal(json_array_size(json_object_get(again, "accepted")), 2);
    assert_int_equal(json_array_size(json_object_get(again, "rogue")), 0);
    assert_int_equal(json_array_size(json_object_get(again, "unexplained")), 0);
    scene_done(&s);
}

static void a_hundred_foreign_changes_name_exactly_those_without_events(void **state)
{
    (void)state;
    struct scene s = scene_of(NULL, true);
    json_t *roles = json_object_get(json_object_get(s.after, "sections"), "iam.roles");
    for (int i = 0; i < 100; i++) {
        char name[16], request[48], id[16];
        (void)snprintf(name, sizeof name, "busy-%d", i);
        (void)snprintf(id, sizeof id, "e-%d", i);
        (void)snprintf(request, sizeof request, "{\"roleName\":\"%s\"}", name);
        json_put(roles, name, json_make("{s:s}", "path", "/"));
        struct extra made = {.source = IAM, .event = "CreateRole", .request = request};
        json_t *event = event_of(&made, FOREIGNER, CHANGE_MS + i);
        json_put_str(event, "id", id);
        if (i % 10 == 7)
            json_decref(event);
        else
            (void)json_array_append_new(s.events, event);
    }
    expect(&s, "ninety of a hundred", "UNEXPLAINED", "foreign", 90);
    json_auto_t *v = judge(&s, NULL);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(v, "unexplained"), i, one)
        assert_true(str_ends(json_str_at(one, "key"), "7"));
    assert_int_equal(i, 10);
    assert_int_equal(json_array_size(json_object_get(v, "disrupted")), 0);
    scene_done(&s);
}

static void every_section_has_an_extra_change_and_an_event(void **state)
{
    (void)state;
    for (size_t n = 0; fingerprint_sections[n]; n++) {
        bool is_there = false;
        for (size_t i = 0; i < ARRAY_LEN(extras); i++)
            is_there = is_there || str_eq(extras[i].section, fingerprint_sections[n]);
        if (!is_there)
            fail_msg("no extra change in section %s: add one here and its events to attribution.def",
                     fingerprint_sections[n]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_our_steps_declare_is_proven),
        cmocka_unit_test(each_extra_change_with_somebodys_event_is_foreign),
        cmocka_unit_test(each_extra_change_without_an_event_is_unexplained),
        cmocka_unit_test(what_we_touched_and_never_saw_right_is_disrupted),
        cmocka_unit_test(each_extra_change_by_our_own_session_is_disrupted),
        cmocka_unit_test(an_event_that_cannot_have_made_it_is_no_attribution),
        cmocka_unit_test(every_member_that_differs_needs_its_event),
        cmocka_unit_test(an_event_before_our_step_saw_it_right_is_no_excuse),
        cmocka_unit_test(a_new_account_explains_its_place_its_tax_and_its_policies),
        cmocka_unit_test(our_recorded_writes_are_not_rogue),
        cmocka_unit_test(a_write_of_ours_with_other_arguments_is_rogue_and_leaves_no_way_out),
        cmocka_unit_test(names_that_services_spell_differently_are_the_same_write),
        cmocka_unit_test(a_bracket_finds_what_our_writes_destroyed),
        cmocka_unit_test(a_lost_statement_in_a_merged_policy_is_disrupted_unless_somebody_did_it),
        cmocka_unit_test(what_no_section_holds_is_judged_by_the_same_rules),
        cmocka_unit_test(accepting_never_makes_a_verdict_better),
        cmocka_unit_test(a_hundred_foreign_changes_name_exactly_those_without_events),
        cmocka_unit_test(every_section_has_an_extra_change_and_an_event),
    };
    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
