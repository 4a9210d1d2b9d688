/* Every kind of bad input: exact place, exact code, nothing echoed that looks like a key, nothing let through. */
#include "common/base/mem.h"
#include "dispatcher/planner/input.h"
#include "dispatcher/planner/key_guard.h"
#include "tests/unit/test.h"

static struct profile *profile;
static struct playbook *playbook;
static const struct playbook *playbooks[1];
static struct input_context ctx;

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    assert_int_equal(
        profile_load(TEST_SOURCE_DIR "/tests/unit/dispatcher/planner/profile.json", &profile, &faults, &err), 0);
    assert_int_equal(playbook_load(TEST_SOURCE_DIR "/dispatcher/playbooks/payer-handover.json", &playbook, &err), 0);
    playbooks[0] = playbook;
    ctx = (struct input_context){profile, playbooks, 1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    profile_unref(profile);
    playbook_free(playbook);
    return 0;
}

#define ACCOUNT "\"organization\":{\"management_account_id\":\"111122223333\"}"
#define HEAD "external_ref,customer.name,organization.management_account_id"
#define KEY_ID "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

static const struct {
    const char *name;
    enum input_format format;
    enum err_code code;
    const char *text;
    const char *where; /* "/pointer" or "line:field" */
} cases[] = {
    {"unknown field", INPUT_JSON, ERR_FIELD_UNKNOWN,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\",\"size\":\"big\"}," ACCOUNT "}", "/customer/size"},
    {"unknown top field", INPUT_JSON, ERR_FIELD_UNKNOWN,
     "{\"external_ref\":\"a\",\"colour\":1,\"customer\":{\"name\":\"A\"}," ACCOUNT "}", "/colour"},
    {"missing field", INPUT_JSON, ERR_FIELD_MISSING, "{\"customer\":{\"name\":\"A\"}," ACCOUNT "}", "/external_ref"},
    {"missing parent", INPUT_JSON, ERR_FIELD_MISSING, "{\"external_ref\":\"a\"," ACCOUNT "}", "/customer/name"},
    {"wrong type", INPUT_JSON, ERR_FIELD_INVALID, "{\"external_ref\":7,\"customer\":{\"name\":\"A\"}," ACCOUNT "}",
     "/external_ref"},
    {"parent of wrong type is one fault", INPUT_JSON, ERR_FIELD_INVALID,
     "{\"external_ref\":\"a\",\"customer\":\"Acme\"," ACCOUNT "}", "/customer"},
    {"account as number", INPUT_JSON, ERR_ACCOUNT_ID,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"},\"organization\":{\"management_account_id\":111122223333}}",
     "/organization/management_account_id"},
    {"account in scientific notation", INPUT_CSV, ERR_ACCOUNT_ID, HEAD "\na,A,1.11122E+11\n",
     "2:organization.management_account_id"},
    {"account that lost its zeros", INPUT_CSV, ERR_ACCOUNT_ID, HEAD "\na,A,11122223333\n",
     "2:organization.management_account_id"},
    {"account with dashes", INPUT_CSV, ERR_ACCOUNT_ID, HEAD "\na,A,1111-2222-3333\n",
     "2:organization.management_account_id"},
    {"key id in a label", INPUT_JSON, ERR_SECRET_IN_INPUT,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"},\"labels\":{\"note\":\"key " KEY_ID " here\"}," ACCOUNT "}",
     "/labels/note"},
    {"secret as customer name", INPUT_CSV, ERR_SECRET_IN_INPUT, HEAD "\na," SECRET ",111122223333\n",
     "2:customer.name"},
    {"private key", INPUT_JSON, ERR_SECRET_IN_INPUT,
     "{\"external_ref\":\"-----BEGIN RSA PRIVATE KEY-----\",\"customer\":{\"name\":\"A\"}," ACCOUNT "}",
     "/external_ref"},
    {"field for a secret", INPUT_JSON, ERR_SECRET_IN_INPUT,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"},\"access\":{\"secret_access_key\":\"x\"}," ACCOUNT "}",
     "/access/secret_access_key"},
    {"column for a secret", INPUT_CSV, ERR_SECRET_IN_INPUT, HEAD ",aws_secret_access_key\na,A,111122223333,x\n",
     "1:aws_secret_access_key"},
    {"key as field name", INPUT_JSON, ERR_SECRET_IN_INPUT,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"},\"" KEY_ID "\":1," ACCOUNT "}", ""},
    {"timezone by place", INPUT_CSV, ERR_FIELD_INVALID,
     HEAD ",window.hours,window.timezone\na,A,111122223333,08:00-16:00,Europe/Berlin\n", "2:window.timezone"},
    {"timezone that no place has", INPUT_JSON, ERR_FIELD_INVALID,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"},\"window\":{\"timezone\":\"+25:00\"}," ACCOUNT "}",
     "/window/timezone"},
    {"duplicate external_ref", INPUT_CSV, ERR_ROW_DUPLICATE, HEAD "\na,A,111122223333\na,B,222233334444\n",
     "3:external_ref"},
    {"duplicate account", INPUT_JSONL, ERR_ROW_DUPLICATE,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"}," ACCOUNT
     "}\n\n{\"external_ref\":\"b\",\"customer\":{\"name\":\"B\"}," ACCOUNT "}\n",
     "3:organization.management_account_id"},
    {"other partition", INPUT_CSV, ERR_PARTITION, HEAD ",organization.partition\na,A,111122223333,aws-cn\n",
     "2:organization.partition"},
    {"role of another partition", INPUT_CSV, ERR_PARTITION,
     HEAD ",access.role_arn\na,A,111122223333,arn:aws-cn:iam::111122223333:role/X\n", "2:access.role_arn"},
    {"role of another account", INPUT_CSV, ERR_FIELD_INVALID,
     HEAD ",access.role_arn\na,A,111122223333,arn:aws:iam::999922223333:role/X\n", "2:access.role_arn"},
    {"unknown playbook", INPUT_CSV, ERR_PLAYBOOK_UNKNOWN, HEAD ",playbook\na,A,111122223333,world-tour@1\n",
     "2:playbook"},
    {"unknown version of a playbook", INPUT_CSV, ERR_PLAYBOOK_UNKNOWN,
     HEAD ",playbook\na,A,111122223333,payer-handover@9\n", "2:playbook"},
    {"unknown billing profile", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",billing.profile\na,A,111122223333,mars\n",
     "2:billing.profile"},
    {"made variable given", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",vars.bucket\na,A,111122223333,mine\n",
     "2:vars.bucket"},
    {"not UTF-8", INPUT_CSV, ERR_NOT_UTF8, HEAD "\na,A\xff,111122223333\n", "2:"},
    {"empty", INPUT_AUTO, ERR_SYNTAX, " \n\n", ""},
    {"header without rows", INPUT_CSV, ERR_SYNTAX, HEAD "\n", ""},
    {"quote never closed", INPUT_CSV, ERR_SYNTAX, HEAD "\na,\"A,111122223333\n", "2:"},
    {"text after a quote", INPUT_CSV, ERR_SYNTAX, HEAD "\na,\"A\"b,111122223333\n", "2:"},
    {"comma too many", INPUT_CSV, ERR_SYNTAX, HEAD "\na,A,B,111122223333\n", "2:"},
    {"unknown column", INPUT_CSV, ERR_FIELD_UNKNOWN, HEAD ",shoe_size\na,A,111122223333,9\n", "1:shoe_size"},
    {"missing column", INPUT_CSV, ERR_FIELD_MISSING, "external_ref,customer.name\na,A\n",
     "1:organization.management_account_id"},
    {"column twice", INPUT_CSV, ERR_ROW_DUPLICATE, HEAD ",customer.name\na,A,111122223333,B\n", "1:customer.name"},
    {"broken JSON line", INPUT_JSONL, ERR_SYNTAX,
     "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"}," ACCOUNT "}\n{\"external_ref\":\n", "2:"},
    {"bad id", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",id\na,A,111122223333,Acme_1\n", "2:id"},
    {"bad email", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",contacts.cloud_admin.email\na,A,111122223333,nobody\n",
     "2:contacts.cloud_admin.email"},
    {"bad class", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",priority\na,A,111122223333,asap\n", "2:priority"},
    {"bad group", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",group\na,A,111122223333,\"a\tb\"\n", "2:group"},
    {"bad mode", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",mfa_mode\na,A,111122223333,none\n", "2:mfa_mode"},
    {"bad role", INPUT_CSV, ERR_FIELD_INVALID, HEAD ",roles\na,A,111122223333,cmp;root\n", "2:roles"},
    {"JSON that is no object", INPUT_JSON, ERR_SYNTAX, "7", ""},
};

static void read_text(enum input_format format, const char *text, struct input *in, struct faults *faults)
{
    faults_init(faults);
    input_read(&ctx, format, text, strlen(text), in, faults);
}

static void place_text(const json_t *fault, char *ret, size_t size)
{
    if (json_has(fault, "line"))
        (void)snprintf(ret, size, "%lld:%s", (long long)json_int_at(fault, "line"), json_str_at(fault, "field"));
    else
        (void)snprintf(ret, size, "%s", json_str_at(fault, "pointer"));
}

static void tells_every_bad_input_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_INPUT struct input in = {0};
        AUTO_FAULTS struct faults faults;
        char where[200];
        read_text(cases[i].format, cases[i].text, &in, &faults);
        AUTO_FREE char *all = json_text(faults.list);
        const json_t *first = json_array_get(faults.list, 0);
        place_text(first, where, sizeof where);
        bool is_right = faults.count == 1 && str_eq(where, cases[i].where) &&
                        str_eq(json_str_at(first, "code"), err_info(cases[i].code)->name);
        if (!is_right)
            fail_msg("%s: %s", cases[i].name, all);
        assert_null(strstr(all, KEY_ID));
        assert_null(strstr(all, SECRET));
        assert_true(*json_str_at(first, "fix") && *json_str_at(first, "owner"));
    }
}

static void tells_all_faults_of_a_file_at_once(void **state)
{
    (void)state;
    AUTO_INPUT struct input in = {0};
    AUTO_FAULTS struct faults faults;
    read_text(INPUT_CSV, HEAD ",region,mfa_mode\na,A,1.2E+11,nowhere,never\n,B,222233334444,,\nc,C,333344445555,,\n",
              &in, &faults);
    assert_int_equal(faults.count, 4);
    assert_int_equal(json_int_at(faults.list, "0.line"), 2);
    assert_string_equal(json_str_at(faults.list, "3.field"), "external_ref");
    assert_int_equal(json_int_at(faults.list, "3.line"), 3);
}

static void refuses_too_large_before_reading(void **state)
{
    (void)state;
    AUTO_INPUT struct input in = {0};
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    input_read(&ctx, INPUT_CSV, "x", (size_t)100 << 20, &in, &faults); /* one byte is there: nothing may be touched */
    assert_int_equal(faults.count, 1);
    assert_string_equal(json_str_at(faults.list, "0.code"), "input.too_large");
}

static void refuses_an_email_that_grows_too_long(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_INPUT struct input in = {0};
    AUTO_FAULTS struct faults faults;
    json_auto_t *json = json_deep_copy(profile_json(profile));
    json_put_str(json_object_get(json, "naming"), "root_email",
                 "a-very-long-beginning-of-an-address-for-operators+{id}@testop.example");
    AUTO_FAULTS struct faults none;
    faults_init(&none);
    AUTO_PROFILE struct profile *mine = NULL;
    assert_int_equal(profile_from_json(json, &mine, &none, &err), 0);
    struct input_context other = {mine, playbooks, 1};
    faults_init(&faults);
    const char *text = HEAD ",id\na,A,111122223333,acme\n";
    input_read(&other, INPUT_CSV, text, strlen(text), &in, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(json_str_at(faults.list, "0.field"), "id");
}

static void reads_the_same_import_from_all_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"},\"organization\":{\"management_account_id\":"
        "\"011122223333\"},"
        "\"roles\":[\"cmp\",\"awsadmin\"],\"contacts\":[{\"role\":\"cloud_admin\",\"email\":\"a@a.example\"}],"
        "\"labels\":{\"tier\":\"gold\"},"
        "\"options\":{\"rerun\":true}}",
        "\xef\xbb\xbf" HEAD ",roles,contacts.cloud_admin.email,labels.tier,options.rerun,region\r\na,A,011122223333,"
        "cmp; awsadmin,a@a.example,gold,true,\r\n",
    };
    json_auto_t *first = NULL;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        AUTO_INPUT struct input in = {0};
        AUTO_FAULTS struct faults faults;
        read_text(INPUT_AUTO, forms[i], &in, &faults);
        assert_int_equal(faults.count, 0);
        assert_int_equal(in.count, 1);
        if (!first)
            first = json_incref(in.rows[0].request);
        assert_true(json_equal(first, in.rows[0].request));
    }
}

static void knows_the_form_by_itself(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t rows;
    } forms[] = {
        {"{\n\"external_ref\":\"a\",\n\"customer\":{\"name\":\"A\"}," ACCOUNT "}\n", 1},
        {"{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"}," ACCOUNT
         "}\n{\"external_ref\":\"b\",\"customer\":{\"name\":\"B\"},"
         "\"organization\":{\"management_account_id\":\"222233334444\"}}",
         2},
        {"[{\"external_ref\":\"a\",\"customer\":{\"name\":\"A\"}," ACCOUNT "}]", 1},
        {HEAD "\na,A,111122223333\nb,\"B, \"\"and\"\"\nmore\",222233334444\n", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        AUTO_INPUT struct input in = {0};
        AUTO_FAULTS struct faults faults;
        read_text(INPUT_AUTO, forms[i].text, &in, &faults);
        AUTO_FREE char *all = json_text(faults.list);
        if (i == 3) { /* a name over two lines is well-quoted CSV, and still no name */
            assert_int_equal(faults.count, 1);
            assert_string_equal(json_str_at(faults.list, "0.field"), "customer.name");
        } else if (faults.count || in.count != forms[i].rows) {
            fail_msg("form %zu: %zu rows, %s", i, in.count, all);
        }
    }
}

static void key_guard_knows_keys_from_other_words(void **state)
{
    (void)state;
    static const char *const keys[] = {KEY_ID, "x" KEY_ID, "=" SECRET "\"", "ASIAIOSFODNN7EXAMPLE.",
                                       "-----BEGIN OPENSSH PRIVATE KEY-----"};
    static const char *const words[] = {"arn:aws:iam::111122223333:role/OrgImportBootstrap",
                                        "da39a3ee5e6b4b0d3255bfef95601890afd80709", "AKIA",
                                        "an ordinary sentence about nothing in particular", "2026-11-23T10:00:00Z"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_true(key_guard_text(keys[i], strlen(keys[i])));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_false(key_guard_text(words[i], strlen(words[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_every_bad_input_with_its_place),  cmocka_unit_test(tells_all_faults_of_a_file_at_once),
        cmocka_unit_test(refuses_too_large_before_reading),      cmocka_unit_test(refuses_an_email_that_grows_too_long),
        cmocka_unit_test(reads_the_same_import_from_all_forms),  cmocka_unit_test(knows_the_form_by_itself),
        cmocka_unit_test(key_guard_knows_keys_from_other_words),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
