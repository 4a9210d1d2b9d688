#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/config/config.h"

#include <unistd.h>

static int load(char **argv, int argc, struct config **ret, int *rest, struct err *err)
{
    enum config_wants wants;
    return config_load(CONFIG_WORKER, argc, argv, ret, rest, &wants, err);
}

static void flags_beat_environment_beats_file_beats_default(void **state)
{
    (void)state;
    char path[] = "/tmp/orgimport-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct err err;
    const char *text = "{\"lease-ms\": 4000, \"calls-max\": 7, \"poll-ms\": \"900\"}";
    assert_int_equal(file_write(path, text, strlen(text), 0600, &err), 0);
    AUTO_FREE char *file_flag = mem_printf("--config=%s", path);
    char *argv[] = {(char[]){"worker"}, file_flag, (char[]){"--lease-ms"}, (char[]){"6000"}, (char[]){"rest"}};
    setenv("ORGIMPORT_LEASE_MS", "5000", 1);
    setenv("ORGIMPORT_CALLS_MAX", "9", 1);
    struct config *c = NULL;
    int rest = 0;
    assert_int_equal(load(argv, 5, &c, &rest, &err), 0);
    assert_int_equal(config_int(c, CONFIG_LEASE_MS), 6000);
    assert_string_equal(config_source(c, CONFIG_LEASE_MS), "flag");
    assert_int_equal(config_int(c, CONFIG_CALLS_MAX), 9);
    assert_int_equal(config_int(c, CONFIG_POLL_MS), 900);
    assert_string_equal(config_source(c, CONFIG_POLL_MS), "file");
    assert_int_equal(config_int(c, CONFIG_SHARDS), 1);
    assert_string_equal(config_text(c, CONFIG_MODE), "live");
    assert_int_equal(rest, 4);
    config_free(c);
    unsetenv("ORGIMPORT_LEASE_MS");
    unsetenv("ORGIMPORT_CALLS_MAX");
    unlink(path);
}

static void names_what_is_wrong_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *text;
    } cases[] = {{"--lease-ms=1", "2000"},     {"--lease-ms=abc", "number"}, {"--mode=fast", "live|sim"},
                 {"--nothing=1", "--nothing"}, {"--lease-ms", "value"},      {"--listen=x", "--listen"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *flag = mem_dup(cases[i].flag);
        char *argv[] = {(char[]){"worker"}, flag};
        struct config *c = NULL;
        struct err err;
        int rest;
        assert_int_equal(load(argv, 2, &c, &rest, &err), -1);
        if (!strstr(err.text, cases[i].text))
            fail_msg("%s: %s", cases[i].flag, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_beat_environment_beats_file_beats_default),
        cmocka_unit_test(names_what_is_wrong_and_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
