/* orgimport-dispatcher: the API, batches, inbox and timers of a fleet. Stateless: any number may run, any may be
 * killed.
 *
 *   settings -> Redis -> queue checked -> profile stored -> address file (now it takes work) -> ... -> SIGTERM: drain,
 * exit 0 Exit codes: 0 stopped on request, 1 a fault while running, 2 misconfigured (said loudly, at once). */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/codec/file.h"
#include "common/config/config.h"
#include "common/crypto/crypto.h"
#include "common/crypto/seal.h"
#include "common/log/log.h"
#include "dispatcher/api/api.h"
#include "dispatcher/api/drift_clock.h"
#include "dispatcher/api/events.h"
#include "dispatcher/planner/data_path.h"
#include "dispatcher/store/inbox.h"

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define EXIT_MISCONFIGURED 2
#define TICK_MAX_MS 30000 /* workers tick, too; a tick says when the next is due, sessions that may die included */
#define TICK_MIN_MS 20
#define REFRESH_MS 2000
#define DRAIN_MS 5000
#define RETRY_MS 1000

struct ticker { /* timers of one shard: promotes what is due, reaps dead sessions */
    struct dispatcher *dispatcher;
    uv_timer_t timer;
    uint32_t shard;
    bool is_running;
};

struct dispatcher {
    uv_loop_t loop;
    struct config *config;
    struct redis *redis;
    struct store store;
    struct api api;
    struct inbox *inbox;
    struct playbook *playbooks[STORE_PLAYBOOKS_MAX];
    struct ticker *tickers;
    uv_signal_t on_term, on_int;
    uv_timer_t refresh, retry, drain;
    uint32_t drained_ms;
    bool is_draining, is_refreshing, is_server_closed;
    int exit_code;
};

static void fail(const char *event, const struct err *err)
{
    log_error(LOG_ERROR, event, err, NULL);
    (void)fprintf(stderr, "orgimport-dispatcher: %s (%s)\n  fix: %s\n", err->text, err_info(err->code)->name,
                  err_info(err->code)->fix);
}

/* ---- Settings
 * ------------------------------------------------------------------------------------------------------------ */

static int make_token(const struct dispatcher *d, const char *path, char ret[65], struct err *err)
{
    unsigned char bytes[32];
    env_random(d->store.env, bytes, sizeof bytes);
    crypto_hex(bytes, sizeof bytes, ret);
    AUTO_FREE char *line = mem_printf("%s\n", ret);
    return file_write(path, line, strlen(line), 0600, err);
}

static int read_token(const struct dispatcher *d, char ret[257], struct err *err)
{
    const char *path = config_text(d->config, CONFIG_TOKEN_FILE);
    if (!*path)
        return err_set(err, ERR_CONFIG,
                       "token-file is not set: the API needs a token (the file is made when it is absent)");
    struct stat st;
    if (stat(path, &st) != 0)
        return make_token(d, path, ret, err);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, 256, &text, &len, err) < 0)
        return -1;
    text[strcspn(text, "\r\n")] = 0;
    if (strlen(text) < 16)
        return err_set(err, ERR_CONFIG, "token-file: %s holds fewer than 16 characters", path);
    if (st.st_mode & 027) /* the group may read where an operator or an orchestrator said so; the file is made 0600 */
        log_event(LOG_WARN, "token.readable_by_others", "file", path, NULL);
    (void)snprintf(ret, 257, "%s", text);
    secret_wipe(text, len);
    return 0;
}

/* --make-keys: what a fleet shares before its first start. What exists is kept; a token file that is no token is
 * refused. */
static int make_keys(struct dispatcher *d, struct err *err)
{
    const char *keys = config_text(d->config, CONFIG_KEYS_DIR);
    char token[257] = "";
    d->store.env = env_system();
    if (!*keys)
        return err_set(err, ERR_CONFIG, "keys is not set: --make-keys needs the folder for the sealing keys");
    const char *signing = config_text(d->config, CONFIG_SIGNING_KEY_FILE);
    if (seal_keys_ensure(keys, err) < 0 || read_token(d, token, err) < 0 ||
        (*signing && sign_key_ensure(signing, err) < 0))
        return -1;
    secret_wipe(token, sizeof token);
    if (*signing)
        (void)printf("signing key in %s\n", signing);
    (void)printf("sealing keys in %s\ntoken in %s\n", keys, config_text(d->config, CONFIG_TOKEN_FILE));
    return 0;
}

static int load_playbooks(struct dispatcher *d, struct err *err)
{
    char path[4096];
    AUTO_FREE char *first = mem_dup(data_path("playbooks/payer-handover.json", path, sizeof path));
    if (!*first)
        return err_set(err, ERR_CONFIG,
                       "the playbooks are not found; set ORGIMPORT_DATA to where share/orgimport was installed");
    glob_t found = {0};
    (void)snprintf(path, sizeof path, "%.*s/*.json", (int)(strrchr(first, '/') - first), first);
    /* The handover is the default, so it comes first. */
    int result = playbook_load(first, &d->playbooks[d->store.playbook_count++], err);
    if (result == 0 && glob(path, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && d->store.playbook_count < STORE_PLAYBOOKS_MAX && result == 0; i++)
            if (!str_eq(found.gl_pathv[i], first))
                result = playbook_load(found.gl_pathv[i], &d->playbooks[d->store.playbook_count++], err);
    globfree(&found);
    for (size_t i = 0; i < d->store.playbook_count; i++)
        d->store.playbooks[i] = d->playbooks[i];
    return result;
}

static int load_profile(struct dispatcher *d, struct err *err)
{
    char path[4096];
    const char *given = config_text(d->config, CONFIG_PROFILE);
    if (!*given)
        given = data_path("profiles/doit/profile.json", path, sizeof path);
    if (!*given)
        return err_set(err, ERR_CONFIG, "profile is not set, and the profile doit is not found");
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    int result = profile_load(given, &d->store.profile, &faults, err);
    for (size_t i = 0; i < json_array_size(faults.list); i++)
        (void)fprintf(stderr, "%s: %s: %s\n", given, json_str_at(json_array_get(faults.list, i), "pointer"),
                      json_str_at(json_array_get(faults.list, i), "detail"));
    return result;
}

/* ---- Timers
 * --------------------------------------------------------------------------------------------------------------- */

static void tick(uv_timer_t *timer);

static void ticked(void *arg, const struct err *err, uint64_t next_due_ms)
{
    struct ticker *t = arg;
    uint64_t now = env_unix_ms(t->dispatcher->store.env), wait = TICK_MAX_MS;
    t->is_running = false;
    t->dispatcher->store.busy--;
    if (t->dispatcher->is_draining)
        return;
    if (!err && next_due_ms)
        wait = next_due_ms > now ? next_due_ms - now : 0;
    wait = wait < TICK_MIN_MS ? TICK_MIN_MS : wait > TICK_MAX_MS ? TICK_MAX_MS : wait;
    (void)uv_timer_start(&t->timer, tick, wait, 0);
}

static void tick(uv_timer_t *timer)
{
    struct ticker *t = timer->data;
    if (t->is_running || t->dispatcher->is_draining)
        return;
    t->is_running = true;
    t->dispatcher->store.busy++;
    queue_tick(t->dispatcher->store.queue, t->shard, ticked, t);
}

static void start_tickers(struct dispatcher *d)
{
    d->tickers = mem_alloc(sizeof *d->tickers * d->store.shard_count);
    for (uint32_t i = 0; i < d->store.shard_count; i++) {
        struct ticker *t = &d->tickers[i];
        t->dispatcher = d;
        t->shard = i;
        t->timer.data = t;
        ASSERT(uv_timer_init(&d->loop, &t->timer) == 0);
        ASSERT(uv_timer_start(&t->timer, tick, 0, 0) == 0);
    }
}

static void refreshed(void *arg, const struct err *err)
{
    struct dispatcher *d = arg;
    d->is_refreshing = false;
    d->store.busy--;
    if (err && err->code != ERR_REDIS)
        log_error(LOG_WARN, "profile.not_refreshed", err, NULL);
}

static void refresh(uv_timer_t *timer)
{
    struct dispatcher *d = timer->data;
    if (d->is_refreshing || d->is_draining || !redis_is_up(d->redis))
        return;
    d->is_refreshing = true;
    d->store.busy++;
    store_profile_refresh(&d->store, refreshed, d);
}

/* ---- Stop
 * ------------------------------------------------------------------------------------------------------------------ */

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void redis_closed(void *arg)
{
    struct dispatcher *d = arg;
    uv_walk(&d->loop, close_handle, NULL);
}

static void server_closed(void *arg)
{
    struct dispatcher *d = arg;
    d->is_server_closed = true;
}

static void drain(uv_timer_t *timer)
{
    struct dispatcher *d = timer->data;
    d->drained_ms += 20;
    if ((d->store.busy || !d->is_server_closed) && d->drained_ms < DRAIN_MS)
        return;
    if (d->store.busy || !d->is_server_closed) { /* Redis hangs: everything accepted is durable, so leaving is safe */
        log_event(LOG_WARN, "dispatcher.stopped", "left", LOG_N(d->store.busy), NULL);
        _exit(d->exit_code);
    }
    (void)uv_timer_stop(timer);
    if (d->store.queue)
        queue_free(d->store.queue);
    redis_close(d->redis, redis_closed, d);
}

static void stop(struct dispatcher *d)
{
    if (d->is_draining)
        return;
    d->is_draining = true;
    log_event(LOG_INFO, "dispatcher.stopping", NULL);
    (void)uv_timer_stop(&d->refresh);
    (void)uv_timer_stop(&d->retry);
    if (d->inbox)
        inbox_stop(d->inbox);
    if (d->api.batches)
        batch_runner_stop(d->api.batches);
    if (d->api.drift_clock)
        drift_clock_stop(d->api.drift_clock);
    http_server_stop(d->api.server, server_closed, d);
    event_hub_stop(d->api.events);
    (void)uv_timer_start(&d->drain, drain, 20, 20);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

static void give_up(struct dispatcher *d, const char *event, const struct err *err)
{
    fail(event, err);
    d->exit_code = EXIT_MISCONFIGURED;
    stop(d);
}

/* ---- Start
 * ------------------------------------------------------------------------------------------------------------------ */

static void open_queue(struct dispatcher *d);

static void retry(uv_timer_t *timer)
{
    open_queue(timer->data);
}

static void profile_stored(void *arg, const struct err *err)
{
    struct dispatcher *d = arg;
    struct err mine = {0};
    d->store.busy--;
    if (d->is_draining)
        return;
    if (err && err->code == ERR_REDIS) {
        (void)uv_timer_start(&d->retry, retry, RETRY_MS, 0);
        return;
    }
    if (err && err->code != ERR_STATE_CONFLICT) { /* conflict: Redis has a newer one, which refresh takes over */
        give_up(d, "profile.refused", err);
        return;
    }
    if (err)
        log_error(LOG_INFO, "profile.kept", err, NULL);
    d->api.is_ready = true;
    d->inbox = inbox_new(&d->store);
    d->api.batches = batch_runner_new(&d->store);
    d->api.drift_clock = drift_clock_new(&d->api);
    start_tickers(d);
    (void)uv_timer_start(&d->refresh, refresh, 0, REFRESH_MS);
    const char *file = config_text(d->config, CONFIG_ADDRESS_FILE), *address = http_server_address(d->api.server);
    AUTO_FREE char *line = mem_printf("%s\n", address);
    if (*file && file_write(file, line, strlen(line), 0644, &mine) < 0) {
        give_up(d, "address_file.failed", &mine);
        return;
    }
    log_event(LOG_INFO, "dispatcher.ready", "address", address, "mode", d->store.is_simulated ? "sim" : "live", NULL);
}

static void queue_ready(void *arg, const struct err *err)
{
    struct dispatcher *d = arg;
    d->store.busy--;
    if (d->is_draining)
        return;
    if (err && err->code == ERR_REDIS) { /* not there yet: ask again; /readyz says so meanwhile */
        log_error(LOG_WARN, "redis.not_ready", err, NULL);
        (void)uv_timer_start(&d->retry, retry, RETRY_MS, 0);
        return;
    }
    if (err) {
        give_up(d, "queue.refused", err);
        return;
    }
    if (*queue_warnings(d->store.queue))
        log_event(LOG_WARN, "redis.weak", "why", queue_warnings(d->store.queue), NULL);
    d->store.busy++;
    store_profile_put(&d->store, d->store.profile, profile_stored, d);
}

static void open_queue(struct dispatcher *d)
{
    struct queue_options options = {
        .prefix = config_text(d->config, CONFIG_REDIS_PREFIX),
        .shard_count = d->store.shard_count,
        .is_simulated = d->store.is_simulated,
        .is_relaxed = str_eq(config_text(d->config, CONFIG_DURABILITY), "relaxed"),
        .env = d->store.env,
    };
    if (d->store.queue)
        queue_free(d->store.queue);
    d->store.busy++;
    d->store.queue = queue_new(d->redis, &options, queue_ready, d);
}

static bool is_ready(void *arg)
{
    const struct api *api = arg;
    return api->is_ready && redis_is_up(api->store->redis);
}

static int start_redis(struct dispatcher *d, struct err *err)
{
    struct redis_options options = {
        .url = config_text(d->config, CONFIG_REDIS_URL),
        .password_file = config_text(d->config, CONFIG_REDIS_PASSWORD_FILE),
        .ca_file = config_text(d->config, CONFIG_REDIS_CA),
        .cert_file = config_text(d->config, CONFIG_REDIS_CERT),
        .key_file = config_text(d->config, CONFIG_REDIS_KEY),
        .client_name = "orgimport-dispatcher",
        .env = d->store.env,
    };
    if (!*options.url)
        return err_set(err, ERR_CONFIG, "redis is not set: give the URL of the fleet's Redis");
    return redis_new(&d->loop, &options, &d->redis, err);
}

static int start(struct dispatcher *d, struct err *err)
{
    char token[257] = "";
    d->store.env = env_system();
    d->store.loop = &d->loop;
    d->store.shard_count = (uint32_t)config_int(d->config, CONFIG_SHARDS);
    d->store.is_simulated = str_eq(config_text(d->config, CONFIG_MODE), "sim");
    if (load_playbooks(d, err) < 0 || load_profile(d, err) < 0 || read_token(d, token, err) < 0 ||
        start_redis(d, err) < 0)
        return -1;
    d->store.redis = d->redis;
    api_init(&d->api, &d->store);
    d->api.keys_dir = config_text(d->config, CONFIG_KEYS_DIR);
    if (*config_text(d->config, CONFIG_SIGNING_KEY_FILE) &&
        sign_key_load(config_text(d->config, CONFIG_SIGNING_KEY_FILE), &d->api.signing_key, err) < 0)
        return -1;
    struct http_options http = {.listen = config_text(d->config, CONFIG_LISTEN),
                                .token = token,
                                .routes = api_routes,
                                .route_count = api_route_count,
                                .arg = &d->api,
                                .is_ready = is_ready};
    int result = http_server_start(&d->loop, &http, &d->api.server, err);
    secret_wipe(token, sizeof token);
    if (result < 0)
        return -1;
    d->api.events = event_hub_new(&d->api);
    d->refresh.data = d->retry.data = d->drain.data = d->on_term.data = d->on_int.data = d;
    ASSERT(uv_timer_init(&d->loop, &d->refresh) == 0 && uv_timer_init(&d->loop, &d->retry) == 0 &&
           uv_timer_init(&d->loop, &d->drain) == 0);
    ASSERT(uv_signal_init(&d->loop, &d->on_term) == 0 && uv_signal_init(&d->loop, &d->on_int) == 0);
    ASSERT(uv_signal_start(&d->on_term, on_signal, SIGTERM) == 0 &&
           uv_signal_start(&d->on_int, on_signal, SIGINT) == 0);
    open_queue(d);
    return 0;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void done(struct dispatcher *d)
{
    api_done(&d->api);
    profile_unref(d->store.profile);
    for (size_t i = 0; i < d->store.playbook_count; i++)
        playbook_free(d->playbooks[i]);
    mem_free(d->tickers);
    config_free(d->config);
}

static int show_help(void)
{
    AUTO_STR struct str out;
    str_init(&out, 65536);
    str_add(&out,
            "usage: orgimport-dispatcher [options]\n\nThe API, batches, inbox and timers of an orgimport fleet.\n\n");
    config_help(CONFIG_DISPATCHER, &out);
    (void)fputs(out.data, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static struct dispatcher d;
    struct err err = {0};
    enum config_wants wants = CONFIG_RUN;
    int rest = 0;
    enum log_level level = LOG_INFO;
    log_start("dispatcher", level, 2);
    (void)signal(SIGPIPE, SIG_IGN);
    if (config_load(CONFIG_DISPATCHER, argc, argv, &d.config, &rest, &wants, &err) < 0) {
        fail("config.refused", &err);
        return EXIT_MISCONFIGURED;
    }
    if (wants == CONFIG_WANTS_HELP)
        return show_help();
    if (wants == CONFIG_WANTS_VERSION)
        return printf("orgimport-dispatcher %s\n", ORGIMPORT_VERSION) < 0;
    if (log_level_parse(config_text(d.config, CONFIG_LOG_LEVEL), &level))
        log_start("dispatcher", level, 2);
    if (rest < argc)
        (void)err_set(&err, ERR_USAGE, "what is \"%.64s\"? orgimport-dispatcher takes options only", argv[rest]);
    if (!err.code && config_bool(d.config, CONFIG_MAKE_KEYS) && make_keys(&d, &err) == 0)
        return 0;
    raise_file_limit();
    ASSERT(uv_loop_init(&d.loop) == 0);
    if (err.code || start(&d, &err) < 0) {
        fail("start.refused", &err);
        return EXIT_MISCONFIGURED;
    }
    (void)uv_run(&d.loop, UV_RUN_DEFAULT);
    log_event(LOG_INFO, "dispatcher.stopped", NULL);
    (void)uv_loop_close(&d.loop);
    done(&d);
    return d.exit_code;
}
