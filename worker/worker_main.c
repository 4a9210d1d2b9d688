/* orgimport-worker: claims imports and plays their steps. No listening TCP socket; everything is in Redis. */
#include "common/log/log.h"
#include "worker/runtime/engine.h"
#include "worker/runtime/health.h"
#include "worker/runtime/settings.h"
#include "worker/runtime/snapshot_run.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int usage(const struct err *err)
{
    (void)fprintf(stderr, "orgimport-worker: %s (%s)\n", err->text, err_info(err->code)->name);
    return 2;
}

static int help(void)
{
    AUTO_STR struct str text;
    str_init(&text, 65536);
    config_help(CONFIG_WORKER, &text);
    (void)printf(
        "orgimport-worker %s: claims imports from the fleet's queue and plays their steps.\n\n"
        "usage: orgimport-worker [options]            work until SIGTERM, then drain\n"
        "       orgimport-worker --health [options]   ask the worker at --health-socket; exit 0 when it is well\n"
        "       orgimport-worker --snapshot[=FILE] [--snapshot-regions=R,..] [--snapshot-profile=NAME]\n"
        "                                             read the caller's organization once and write its fingerprint; "
        "no\n"
        "                                             Redis, reads only (`orgimport snapshot` is the way to call "
        "it)\n\n%s",
        ORGIMPORT_VERSION, text.data);
    return 0;
}

static int work(const struct config *config)
{
    struct err err = {0};
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config_text(config, CONFIG_LOG_LEVEL), &level);
    if (settings_check(config, &err))
        return usage(&err);
    log_start("orgimport-worker", level, 2);
    (void)signal(SIGPIPE, SIG_IGN);
    settings_protect_memory();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = engine_run(config);
    curl_global_cleanup();
    return code;
}

/* ---- One snapshot instead of a fleet's work ---- */
static int check_snapshot(const struct config *config, struct err *err)
{
    bool is_simulated = str_eq(config_text(config, CONFIG_MODE), "sim");
    if (is_simulated && (!*config_text(config, CONFIG_ENDPOINTS) || !*config_text(config, CONFIG_SIM_CREDENTIALS)))
        return err_set(err, ERR_CONFIG, "mode sim needs endpoints and sim-credentials");
    if (!is_simulated && (*config_text(config, CONFIG_ENDPOINTS) || *config_text(config, CONFIG_SIM_CREDENTIALS)))
        return err_set(err, ERR_CONFIG, "endpoints and sim-credentials are for mode sim only");
    return 0;
}

static int take_snapshot(const struct config *config, const struct snapshot_options *options)
{
    struct err err = {0};
    enum log_level level = LOG_WARN;
    (void)log_level_parse(config_text(config, CONFIG_LOG_LEVEL), &level);
    if (check_snapshot(config, &err))
        return usage(&err);
    log_start("orgimport-worker", level > LOG_WARN ? level : LOG_WARN, 2);
    (void)signal(SIGPIPE, SIG_IGN);
    settings_protect_memory();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = snapshot_run(config, options);
    curl_global_cleanup();
    return code;
}

/* Takes `--name=value` out of the words; NULL when it is not there. */
static const char *take_word(int *argc, char **argv, const char *name)
{
    size_t len = strlen(name);
    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], name, len) != 0 || (argv[i][len] != '=' && argv[i][len] != 0))
            continue;
        const char *value = argv[i][len] ? argv[i] + len + 1 : "";
        memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
        --*argc;
        return value;
    }
    return NULL;
}

/* `--health` is a verb in the clothes of a flag: taken out before the settings are read. */
static bool take_health(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--health") != 0)
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
        --*argc;
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    struct err err = {0};
    enum config_wants wants = CONFIG_RUN;
    int rest = 0, code = 0;
    bool is_health = take_health(&argc, argv);
    const char *out = take_word(&argc, argv, "--snapshot");
    const struct snapshot_options snapshot = {.out = out,
                                              .regions = take_word(&argc, argv, "--snapshot-regions"),
                                              .profile = take_word(&argc, argv, "--snapshot-profile")};
    if (take_word(&argc, argv, "--snapshot-policy"))
        return snapshot_policy();
    if (config_load(CONFIG_WORKER, argc, argv, &config, &rest, &wants, &err))
        return usage(&err);
    if (wants == CONFIG_WANTS_HELP) {
        code = help();
    } else if (wants == CONFIG_WANTS_VERSION) {
        (void)printf("orgimport-worker %s\n", ORGIMPORT_VERSION);
    } else if (rest < argc) {
        (void)err_set(&err, ERR_USAGE, "unexpected word \"%.64s\"", argv[rest]);
        code = usage(&err);
    } else if (out) {
        code = take_snapshot(config, &snapshot);
    } else if (is_health) {
        const char *path = config_text(config, CONFIG_HEALTH_SOCKET);
        code = *path ? health_ask(path) : usage((err_set(&err, ERR_CONFIG, "--health needs health-socket"), &err));
    } else {
        code = work(config);
    }
    config_free(config);
    return code;
}
