/* Whose call an event is: every kind of principal that a trail shows. */
#include "tests/unit/test.h"

#include "common/proof/attribution.h"
#include "common/proof/reconcile.h"

#define ID "imp_00abc"
#define HANDED "AKIAHANDEDOVER"
#define AGENT "orgimport/1 " ID
#define STS "arn:aws:sts::111122223333:assumed-role/"
#define IAM "arn:aws:iam::111122223333:"

static const struct {
    const char *name;
    bool is_ours;
    const char *user, *identity, *key, *agent; /* NULL: the event does not have it */
} cases[] = {
    {"our session, in whatever role", true, STS "OrgImportBootstrap/" ID, NULL, "ASIATEMPORARY", AGENT},
    {"our session without anything else", true, STS "Any/" ID, NULL, NULL, NULL},
    {"a session made from ours: the source identity stays", true, STS "Chained/other", ID, "ASIATEMPORARY", "x"},
    {"the handed-over key, used by us", true, IAM "user/doit", NULL, HANDED, AGENT},
    {"the same, the id alone", true, IAM "user/doit", NULL, HANDED, ID},
    {"the same, and the event tells no program", true, IAM "user/doit", NULL, HANDED, NULL},
    {"the same, with an empty program", true, IAM "user/doit", NULL, HANDED, ""},
    {"the same, and the event tells no principal", true, NULL, NULL, HANDED, AGENT},
    {"the second key that was handed over", true, IAM "user/doit", NULL, "AKIASECOND", AGENT},
    {"the handed-over key, used by its owner", false, IAM "user/doit", NULL, HANDED, "aws-cli/2.15"},
    {"the handed-over key, used for another import", false, IAM "user/doit", NULL, HANDED, "orgimport/1 imp_00abcd"},
    {"another key with our program's name", false, IAM "user/x", NULL, "AKIAOTHER", AGENT},
    {"the operator's own principal", false, "arn:aws:sts::999900000001:assumed-role/fleet/orgimport", NULL,
     "ASIAOPERATOR", "orgimport/1"},
    {"another import through the same role", false, STS "OrgImportBootstrap/imp_00abcd", "imp_00abcd", "ASIAX",
     "orgimport/1 imp_00abcd"},
    {"somebody else in a role that is called like ours", false, STS "OrgImportBootstrap/alice", NULL, "ASIAX",
     "aws-cli/2"},
    {"a role that is called like our session", false, STS ID "/alice", NULL, "ASIAX", "aws-cli/2"},
    {"a user that is called like our session", false, IAM "user/" ID, NULL, "AKIAX", "aws-cli/2"},
    {"root", false, IAM "root", NULL, "", "signin.amazonaws.com"},
    {"an AWS service", false, "cloudformation.amazonaws.com", NULL, NULL, "cloudformation.amazonaws.com"},
    {"a service's own role", false, STS "AWSServiceRoleForOrganizations/org", NULL, "ASIASERVICE",
     "organizations.amazonaws.com"},
    {"an event without any field", false, NULL, NULL, NULL, NULL},
    {"an event with empty fields", false, "", "", "", ""},
};

static json_t *event_of(size_t i)
{
    json_t *event = json_make("{s:s,s:s,s:s,s:I}", "id", "e", "name", "CreateRole", "source", "iam.amazonaws.com",
                              "at_ms", (json_int_t)5000);
    const char *const names[] = {"user", "source_identity", "access_key_id", "agent"};
    const char *const values[] = {cases[i].user, cases[i].identity, cases[i].key, cases[i].agent};
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        if (values[k])
            json_put_str(event, names[k], values[k]);
    return event;
}

static struct ours us(void)
{
    struct ours ours = {.import_id = ID};
    ours_add_key(&ours, HANDED);
    ours_add_key(&ours, "");
    ours_add_key(&ours, HANDED);
    ours_add_key(&ours, "AKIASECOND");
    return ours;
}

static void each_principal_is_told_apart(void **state)
{
    (void)state;
    const struct ours ours = us();
    assert_null(ours.keys[2]);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *event = event_of(i);
        if (ours_caused(&ours, event) != cases[i].is_ours)
            fail_msg("%s", cases[i].name);
    }
}

/* A verdict and a reconciliation of the same event cannot come to two ends: one looks for rogue events, the other for
 * what the ledger lacks. */
static void verdict_and_reconciliation_agree(void **state)
{
    (void)state;
    const struct attribution_scope scope = {.ours = us(), .account_id = "111122223333", .until_ms = 9000};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *events = json_make("[o]", event_of(i)), *nothing = json_array();
        json_auto_t *rogue = attribution_rogue(&scope, events, nothing);
        json_auto_t *found = reconcile(&scope.ours, nothing, events, 9000, 0);
        if (json_array_size(rogue) != cases[i].is_ours ||
            json_array_size(json_object_get(found, "lacking")) != cases[i].is_ours)
            fail_msg("%s: %zu rogue, %zu lacking", cases[i].name, json_array_size(rogue),
                     json_array_size(json_object_get(found, "lacking")));
    }
}

static void who_has_no_id_and_no_key_caused_nothing(void **state)
{
    (void)state;
    const struct ours nobody = {.import_id = ""}, unknown = {0};
    json_auto_t *bare = json_make("{s:s,s:s,s:s}", "user", STS "Role/", "source_identity", "", "access_key_id", "");
    assert_false(ours_caused(&nobody, bare) || ours_caused(&unknown, bare));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *event = event_of(i);
        assert_false(ours_caused(&nobody, event) || ours_caused(&unknown, event));
    }
}

static void operations_are_known_by_their_events(void **state)
{
    (void)state;
    static const struct {
        const char *op, *source, *name;
        bool is_same;
    } ops[] = {
        {"iam:CreateRole", "iam.amazonaws.com", "CreateRole", true},
        {"iam:CreateRole", "", "CreateRole", true},
        {"iam:CreateRole", "sts.amazonaws.com", "CreateRole", false},
        {"iam:CreateRole", "iam.amazonaws.com", "CreateRoleAlias", false},
        {"iam:CreateRole", "iam.amazonaws.com", "CreateRol", false},
        {"iam:CreateRole", "iam.amazonaws.com", "", false},
        {"s3:PutPublicAccessBlock", "s3.amazonaws.com", "PutBucketPublicAccessBlock", true},
        {"s3:PutBucketPolicy", "s3.amazonaws.com", "PutBucketPolicy", true},
        {"s3:PutBucketPolicy", "s3.amazonaws.com", "PutBucketTagging", false},
        {"s3:CreateBucket", "s3control.amazonaws.com", "CreateBucket", false},
        {"tax:PutTaxRegistration", "taxsettings.amazonaws.com", "PutTaxRegistration", true},
        {"tax:PutTaxRegistration", "tax.amazonaws.com", "PutTaxRegistration", true},
        {"tax:PutTaxRegistration", "taxfree.amazonaws.com", "PutTaxRegistration", false},
        {"sts:GetCallerIdentity/retired", "sts.amazonaws.com", "GetCallerIdentity", true},
        {"CreateRole", "iam.amazonaws.com", "CreateRole", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        json_auto_t *event = json_make("{s:s,s:s}", "source", ops[i].source, "name", ops[i].name);
        if (ours_is_op(ops[i].op, event) != ops[i].is_same)
            fail_msg("%s and %s %s", ops[i].op, ops[i].source, ops[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_principal_is_told_apart),
        cmocka_unit_test(verdict_and_reconciliation_agree),
        cmocka_unit_test(who_has_no_id_and_no_key_caused_nothing),
        cmocka_unit_test(operations_are_known_by_their_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
