/* The operator's own credentials: environment, shared files, roles; and that no error ever shows a value. */
#include "tests/unit/test.h"

#include "common/aws/credentials.h"
#include "common/base/mem.h"
#include "common/codec/file.h"

#include <unistd.h>

static char folder[] = "/tmp/orgimport-credentials-XXXXXX";
static char credentials_path[96], config_path[96];

static void given(const char *credentials, const char *config)
{
    struct err err;
    assert_int_equal(file_write(credentials_path, credentials, strlen(credentials), 0600, &err), 0);
    assert_int_equal(file_write(config_path, config, strlen(config), 0600, &err), 0);
}

static void clear_environment(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_DEFAULT_PROFILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(unsetenv(names[i]), 0);
    assert_int_equal(setenv("AWS_SHARED_CREDENTIALS_FILE", credentials_path, 1), 0);
    assert_int_equal(setenv("AWS_CONFIG_FILE", config_path, 1), 0);
}

#define KEYS(id) "aws_access_key_id = " id "\naws_secret_access_key = sEcReTvAlUe\n"

static void refuse(const char *profile, const char *words)
{
    struct aws_identity *i = NULL;
    struct aws_profile_role role;
    struct err err = {0};
    assert_int_equal(aws_credentials_default(profile, &i, &role, &err), -1);
    assert_null(i);
    assert_int_equal(err.code, ERR_OPERATOR_CREDENTIALS);
    if (!strstr(err.text, words))
        fail_msg("expected '%s' in: %s", words, err.text);
    assert_null(strstr(err.text, "sEcReT"));
}

static struct aws_profile_role accept(const char *profile, const char *key_id)
{
    struct aws_identity *i = NULL;
    struct aws_profile_role role;
    struct err err = {0};
    if (aws_credentials_default(profile, &i, &role, &err))
        fail_msg("%s", err.text);
    assert_string_equal(i->access_key_id, key_id);
    assert_false(i->is_simulated);
    assert_string_equal(i->account_id, "");
    aws_identity_unref(i);
    return role;
}

static void the_environment_goes_first_unless_a_profile_is_named(void **state)
{
    (void)state;
    clear_environment();
    given("[default]\n" KEYS("AKIADEFAULT00000") "[other]\n" KEYS("AKIAOTHER0000000"), "");
    (void)accept(NULL, "AKIADEFAULT00000");
    assert_int_equal(setenv("AWS_PROFILE", "other", 1), 0);
    (void)accept("", "AKIAOTHER0000000");
    assert_int_equal(setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT0", 1), 0);
    refuse(NULL, "without its secret key");
    assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "sEcReTvAlUe", 1), 0);
    (void)accept(NULL, "AKIAENVIRONMENT0");
    (void)accept("other", "AKIAOTHER0000000");
    assert_int_equal(unsetenv("AWS_ACCESS_KEY_ID"), 0);
    refuse(NULL, "without its access key id");
}

static void a_role_comes_back_with_the_keys_of_its_source(void **state)
{
    (void)state;
    clear_environment();
    given("[base]\n" KEYS("AKIABASE00000000"),
          "[profile roled]\nrole_arn = arn:aws:iam::999900000001:role/ops\nsource_profile = base\nexternal_id = "
          "ext\nrole_session_name = me\n"
          "duration_seconds = 3600\n"
          "[profile self]\nrole_arn = arn:aws:iam::999900000001:role/self\nsource_profile = self\n" KEYS(
              "AKIASELF00000000") "[profile environment]\nrole_arn = "
                                  "arn:aws:iam::999900000001:role/env\ncredential_source = Environment\n");
    struct aws_profile_role role = accept("roled", "AKIABASE00000000");
    assert_string_equal(role.role_arn, "arn:aws:iam::999900000001:role/ops");
    assert_string_equal(role.external_id, "ext");
    assert_string_equal(role.session_name, "me");
    assert_int_equal(role.duration_s, 3600);
    role = accept("self", "AKIASELF00000000");
    assert_string_equal(role.role_arn, "arn:aws:iam::999900000001:role/self");
    refuse("environment", "Environment, where no key is");
    assert_int_equal(
        setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT0", 1) + setenv("AWS_SECRET_ACCESS_KEY", "sEcReTvAlUe", 1), 0);
    role = accept("environment", "AKIAENVIRONMENT0");
    assert_string_equal(role.role_arn, "arn:aws:iam::999900000001:role/env");
    role = accept(NULL, "AKIAENVIRONMENT0");
    assert_string_equal(role.role_arn, "");
}

static void circles_and_chains_end(void **state)
{
    (void)state;
    clear_environment();
    given("[keys]\n" KEYS("AKIABASE00000000"),
          "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\n[profile b]\nrole_arn = "
          "arn:aws:iam::1:role/b\nsource_profile = c\n"
          "[profile c]\nrole_arn = arn:aws:iam::1:role/c\nsource_profile = b\n"
          "[profile me]\nrole_arn = arn:aws:iam::1:role/me\nsource_profile = me\n"
          "[profile two]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = one\n[profile one]\nrole_arn = "
          "arn:aws:iam::1:role/one\nsource_profile = keys\n"
          "[profile lost]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = nowhere\n");
    refuse("a", "round in a circle");
    refuse("me", "round in a circle");
    refuse("two", "chain of roles is not supported");
    refuse("lost", "does not exist");
}

static void what_is_not_supported_is_named(void **state)
{
    (void)state;
    clear_environment();
    given("[spaced]\naws_access_key_id = AKIABASE00000000\naws_secret_access_key = sEcReT "
          "value\n[short]\naws_access_key_id = AKIA\naws_secret_access_key = sEcReT\n",
          "[profile sso]\nsso_session = s\n[profile process]\ncredential_process = /bin/x sEcReT\n[profile "
          "mfa]\nrole_arn = arn:aws:iam::1:role/x\n"
          "source_profile = spaced\nmfa_serial = arn\n[profile instance]\nrole_arn = "
          "arn:aws:iam::1:role/x\ncredential_source = Ec2InstanceMetadata\n"
          "[profile both]\nrole_arn = arn:aws:iam::1:role/x\ncredential_source = Environment\nsource_profile = spaced\n"
          "[profile bare]\nrole_arn = arn:aws:iam::1:role/x\n[profile china]\nrole_arn = "
          "arn:aws-cn:iam::1:role/x\nsource_profile = spaced\n"
          "[profile long]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = spaced\nduration_seconds = 99999\n");
    static const char *const rows[][2] = {{"sso", "sso_session is not supported"},
                                          {"process", "credential_process is not supported"},
                                          {"mfa", "mfa_serial is not supported"},
                                          {"instance", "instance and container credentials are not supported"},
                                          {"both", "exclude each other"},
                                          {"bare", "needs source_profile"},
                                          {"china", "partition `aws`"},
                                          {"long", "duration_seconds"},
                                          {"spaced", "odd characters"},
                                          {"short", "not an access key id"},
                                          {"nobody", "no profile 'nobody'"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        refuse(rows[i][0], rows[i][1]);
    refuse(NULL, "no AWS credentials");
    assert_int_equal(setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x", 1), 0);
    refuse(NULL, "AWS_WEB_IDENTITY_TOKEN_FILE is set, which is not supported");
    given("[default]\nsEcReT without an equals sign\n", "");
    refuse(NULL, "line 2");
}

static void one_section_of_a_file_can_be_read(void **state)
{
    (void)state;
    clear_environment();
    given("# operator\n[operator]\n" KEYS("AKIAOPERATOR0000") "aws_session_token = tok\n[partner]\n" KEYS(
              "AKIAPARTNER00000"),
          "");
    struct aws_identity *i = NULL;
    struct err err;
    assert_int_equal(aws_credentials_file(credentials_path, "operator", &i, &err), 0);
    assert_string_equal(i->access_key_id, "AKIAOPERATOR0000");
    assert_int_equal(secret_len(i->session_token), 3);
    struct aws_identity *again = aws_identity_ref(i);
    aws_identity_unref(i);
    assert_string_equal((const char *)secret_bytes(again->secret_key), "sEcReTvAlUe");
    aws_identity_unref(again);
    assert_int_equal(aws_credentials_file(credentials_path, "trusted", &i, &err), -1);
    assert_int_equal(err.code, ERR_OPERATOR_CREDENTIALS);
    assert_int_equal(aws_credentials_file("/nowhere/at/all", "x", &i, &err), -1);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(credentials_path, sizeof credentials_path, "%s/credentials", folder);
    (void)snprintf(config_path, sizeof config_path, "%s/config", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_goes_first_unless_a_profile_is_named),
        cmocka_unit_test(a_role_comes_back_with_the_keys_of_its_source),
        cmocka_unit_test(circles_and_chains_end),
        cmocka_unit_test(what_is_not_supported_is_named),
        cmocka_unit_test(one_section_of_a_file_can_be_read),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(credentials_path);
    (void)unlink(config_path);
    (void)rmdir(folder);
    return failed;
}
