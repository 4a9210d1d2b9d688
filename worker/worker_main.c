/* orgimport-worker: claims imports and plays their steps. No listening TCP socket; everything is in Redis. */
#include "common/log/log.h"
#include "worker/runtime/engine.h"
#include "worker/runtime/health.h"
#include "worker/runtime/settings.h"

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
        "       orgimport-worker --health [options]   ask the worker at --health-socket; exit 0 when it is well\n\n%s",
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
    if (config_load(CONFIG_WORKER, argc, argv, &config, &rest, &wants, &err))
        return usage(&err);
    if (wants == CONFIG_WANTS_HELP) {
        code = help();
    } else if (wants == CONFIG_WANTS_VERSION) {
        (void)printf("orgimport-worker %s\n", ORGIMPORT_VERSION);
    } else if (rest < argc) {
        (void)err_set(&err, ERR_USAGE, "unexpected word \"%.64s\"", argv[rest]);
        code = usage(&err);
    } else if (is_health) {
        const char *path = config_text(config, CONFIG_HEALTH_SOCKET);
        code = *path ? health_ask(path) : usage((err_set(&err, ERR_CONFIG, "--health needs health-socket"), &err));
    } else {
        code = work(config);
    }
    config_free(config);
    return code;
}
