#include "worker/runtime/settings.h"

#include "common/aws/credentials.h"
#include "common/base/str.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool has_private_key(const char *dir)
{
    DIR *d = opendir(dir);
    bool has = false;
    if (!d)
        return false;
    for (const struct dirent *entry = readdir(d); entry && !has; entry = readdir(d)) {
        AUTO_STR struct str path;
        str_init(&path, 4096);
        str_addf(&path, "%s/%s", dir, entry->d_name);
        has = str_starts(entry->d_name, "seal-") && str_ends(entry->d_name, ".key") && access(path.data, R_OK) == 0;
    }
    (void)closedir(d);
    return has;
}

static int check_simulated(const struct config *c, struct err *err)
{
    struct aws_identity *who = NULL;
    const char *file = config_text(c, CONFIG_SIM_CREDENTIALS);
    if (!*config_text(c, CONFIG_ENDPOINTS))
        return err_set(err, ERR_CONFIG, "mode sim needs endpoints: where the simulated AWS answers");
    if (!*file)
        return err_set(err, ERR_CONFIG, "mode sim needs sim-credentials: the operator's simulated accounts");
    if (aws_credentials_file(file, "operator", &who, err))
        return err_wrap(err, "sim-credentials");
    aws_identity_unref(who);
    return 0;
}

static int check_live(const struct config *c, struct err *err)
{
    static const enum config_key simulated[] = {CONFIG_ENDPOINTS, CONFIG_SIM_CREDENTIALS, CONFIG_SETTLE_MS,
                                                CONFIG_RATE_SCALE_PCT};
    static const char *const names[] = {"endpoints", "sim-credentials", "settle-ms", "rate-scale-pct"};
    for (size_t i = 0; i < ARRAY_LEN(simulated); i++)
        if (!str_eq(config_source(c, simulated[i]), "default"))
            return err_set(err, ERR_CONFIG, "%s is for mode sim only", names[i]);
    if (*config_text(c, CONFIG_SMTP_URL) && !*config_text(c, CONFIG_MAIL_FROM))
        return err_set(err, ERR_CONFIG, "smtp-url needs mail-from");
    return 0;
}

int settings_check(const struct config *c, struct err *err)
{
    const char *keys = config_text(c, CONFIG_KEYS_DIR);
    int64_t lease = config_int(c, CONFIG_LEASE_MS), timeout = config_int(c, CONFIG_CALL_TIMEOUT_MS);
    if (!*config_text(c, CONFIG_REDIS_URL))
        return err_set(err, ERR_CONFIG, "redis is not set: where is the fleet's Redis?");
    if (!*keys)
        return err_set(err, ERR_CONFIG, "keys is not set: workers need the sealing keys");
    if (!has_private_key(keys))
        return err_set(err, ERR_CONFIG, "keys: no readable seal-*.key in %.200s", keys);
    if (timeout > lease * 9 / 10)
        return err_set(err, ERR_CONFIG, "call-timeout-ms must be at most nine tenths of lease-ms");
    return str_eq(config_text(c, CONFIG_MODE), "sim") ? check_simulated(c, err) : check_live(c, err);
}

void settings_protect_memory(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
