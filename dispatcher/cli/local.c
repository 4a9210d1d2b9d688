#include "dispatcher/cli/local.h"

#include "common/base/env.h"
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"
#include "common/crypto/seal.h"

#include "common/crypto/sign.h"
#include <arpa/inet.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define START_WAIT_MS 30000
#define ARGS_MAX 48

void local_default_dir(const struct cli *cli, char ret[400])
{
    const char *own = config_text(cli->config, CONFIG_STATE_DIR), *xdg = getenv("XDG_STATE_HOME"),
               *home = getenv("HOME");
    if (*own)
        (void)snprintf(ret, 400, "%s", own);
    else if (xdg && *xdg == '/')
        (void)snprintf(ret, 400, "%s/orgimport", xdg);
    else
        (void)snprintf(ret, 400, "%s/.local/state/orgimport", home && *home ? home : "/tmp");
}

void local_fleet_init(struct local_fleet *fleet, const char *dir)
{
    *fleet = (struct local_fleet){.workers = 1};
    (void)snprintf(fleet->dir, sizeof fleet->dir, "%s", dir);
    ssize_t n = readlink("/proc/self/exe", fleet->bin, sizeof fleet->bin - 1);
    char *slash = n > 0 ? strrchr(fleet->bin, '/') : NULL;
    if (slash)
        *slash = 0;
    else
        (void)snprintf(fleet->bin, sizeof fleet->bin, "/usr/bin");
}

/* ---- Command lines: strings live until the spawn ---- */
struct args {
    char *words[ARGS_MAX + 1];
    size_t count;
};

static void add(struct args *a, char *owned)
{
    if (a->count < ARGS_MAX)
        a->words[a->count++] = owned;
    else
        mem_free(owned);
}

static void args_done(struct args *a)
{
    for (size_t i = 0; i < a->count; i++)
        mem_free(a->words[i]);
}

static int spawn(const struct local_fleet *f, const char *name, struct args *a, struct err *err)
{
    int result = local_spawn(f, name, a->words, err);
    args_done(a);
    return result;
}

static bool socket_answers(const struct local_fleet *f)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (snprintf(to.sun_path, sizeof to.sun_path, "%s/redis.sock", f->dir) >= (int)sizeof to.sun_path)
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval wait = {.tv_sec = 2};
    char answer[8] = "";
    bool is_up = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
                 connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, "PING\r\n", 6) == 6 &&
                 read(fd, answer, sizeof answer - 1) > 0 && str_starts(answer, "+PONG");
    if (fd >= 0)
        (void)close(fd);
    return is_up;
}

/* Append-only with fsync on every write: what was accepted survives kill -9 of everything (P1). */
static int start_redis(const struct local_fleet *f, struct err *err)
{
    if (local_pid(f, "redis"))
        return 0;
    struct args a = {0};
    add(&a, mem_dup("redis-server"));
    const char *const fixed[] = {
        "--port", "0", "--unixsocketperm",   "700",        "--appendonly", "yes", "--appendfsync", "always",
        "--save", "",  "--maxmemory-policy", "noeviction", "--daemonize",  "no",  "--loglevel",    "notice"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        add(&a, mem_dup(fixed[i]));
    add(&a, mem_dup("--dir"));
    add(&a, mem_dup(f->dir));
    add(&a, mem_dup("--unixsocket"));
    add(&a, mem_printf("%s/redis.sock", f->dir));
    if (spawn(f, "redis", &a, err) != 0)
        return -1;
    for (uint64_t end = cli_now_ms() + START_WAIT_MS; !socket_answers(f); cli_pause_ms(10))
        if (cli_now_ms() > end || !local_pid(f, "redis"))
            return err_set(err, ERR_REDIS, "redis-server did not start; see %s/redis.log (is it installed?)", f->dir);
    return 0;
}

static void add_common(struct args *a, const struct local_fleet *f)
{
    add(a, mem_printf("--redis=unix://%s/redis.sock", f->dir));
    add(a, mem_printf("--keys=%s/keys", f->dir));
    add(a, mem_printf("--mode=%s", f->is_simulated ? "sim" : "live"));
}

static int start_dispatcher(const struct local_fleet *f, struct err *err)
{
    if (local_pid(f, "dispatcher"))
        return 0;
    struct args a = {0};
    struct err ignored;
    AUTO_FREE char *old = mem_printf("%s/address", f->dir);
    AUTO_FREE char *address = NULL; /* the same port again, so that clients find a restarted dispatcher */
    if (file_read(old, 128, &address, NULL, &ignored) != 0)
        address = mem_dup("127.0.0.1:0");
    address[strcspn(address, "\n")] = 0;
    (void)unlink(old);
    add(&a, mem_printf("%s/orgimport-dispatcher", f->bin));
    add_common(&a, f);
    add(&a, mem_printf("--listen=%s", str_starts(address, "http://") ? address + 7 : address));
    add(&a, mem_printf("--address-file=%s/address", f->dir));
    add(&a, mem_printf("--token-file=%s/token", f->dir));
    if (f->profile[0])
        add(&a, mem_printf("--profile=%s", f->profile));
    add(&a, mem_printf("--signing-key-file=%s/signing.key", f->dir));
    return spawn(f, "dispatcher", &a, err);
}

static int start_worker(const struct local_fleet *f, uint32_t number, struct err *err)
{
    AUTO_FREE char *name = mem_printf("worker-%u", number);
    if (local_pid(f, name))
        return 0;
    struct args a = {0};
    add(&a, mem_printf("%s/orgimport-worker", f->bin));
    add_common(&a, f);
    add(&a, mem_printf("--name=%s", name));
    add(&a, mem_printf("--health-socket=%s/%s.sock", f->dir, name));
    if (f->is_simulated) {
        add(&a, mem_printf("--endpoints=%s", f->endpoint));
        add(&a, mem_printf("--sim-credentials=%s", f->credentials));
        add(&a, mem_dup("--rate-scale-pct=100000"));
        add(&a, mem_dup("--lease-ms=6000"));
        add(&a, mem_dup("--call-timeout-ms=2000"));
        add(&a, mem_printf("--settle-ms=%u", f->settle_ms));
    }
    if (f->poll_ms)
        add(&a, mem_printf("--poll-ms=%u", f->poll_ms));
    return spawn(f, name, &a, err);
}

static int lock_folder(const struct local_fleet *f, struct err *err)
{
    AUTO_FREE char *path = mem_printf("%s/lock", f->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return fd;
}

static int start_locked(struct local_fleet *f, struct err *err)
{
    AUTO_FREE char *keys = mem_printf("%s/keys", f->dir);
    char address[128];
    AUTO_FREE char *signing = mem_printf("%s/signing.key", f->dir);
    if (seal_keys_ensure(keys, err) != 0 || sign_key_ensure(signing, err) != 0 || start_redis(f, err) != 0 ||
        start_dispatcher(f, err) != 0)
        return -1;
    if (local_wait_file(f, "address", address, sizeof address, START_WAIT_MS, err) != 0)
        return -1;
    for (uint32_t i = 1; i <= f->workers; i++)
        if (start_worker(f, i, err) != 0)
            return -1;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void local_remove(const struct local_fleet *f)
{
    (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool local_is_running(const struct local_fleet *f)
{
    if (!local_pid(f, "redis") || !local_pid(f, "dispatcher"))
        return false;
    for (uint32_t i = 1; i <= f->workers; i++) {
        AUTO_FREE char *name = mem_printf("worker-%u", i);
        if (!local_pid(f, name))
            return false;
    }
    return true;
}

int local_start(struct local_fleet *f, struct err *err)
{
    if (local_is_running(f))
        return 0;
    if (strlen(f->dir) > 90) /* a unix socket's path has 108 bytes */
        return err_set(err, ERR_CONFIG, "the state folder's path is too long for a socket: %s", f->dir);
    if (file_make_dirs(f->dir, 0700, err) != 0)
        return -1;
    int lock = lock_folder(f, err);
    if (lock < 0)
        return -1;
    int result = start_locked(f, err);
    (void)close(lock);
    return result;
}

int local_stop(struct local_fleet *f, struct err *err)
{
    if (access(f->dir, F_OK) != 0)
        return 0;
    int lock = lock_folder(f, err);
    if (lock < 0)
        return -1;
    for (uint32_t i = 1; i <= LOCAL_WORKERS_MAX; i++) {
        AUTO_FREE char *name = mem_printf("worker-%u", i);
        local_terminate(f, name, 20000);
    }
    local_terminate(f, "dispatcher", 10000);
    local_terminate(f, "redis", 10000);
    local_terminate(f, "awssim", 5000);
    (void)close(lock);
    return 0;
}

int local_adopt(struct cli *cli, const struct local_fleet *f, struct err *err)
{
    char address[128];
    if (local_wait_file(f, "address", address, sizeof address, START_WAIT_MS, err) != 0)
        return -1;
    (void)snprintf(cli->url, sizeof cli->url, "%s%s", str_starts(address, "http") ? "" : "http://", address);
    return local_wait_file(f, "token", cli->token, sizeof cli->token, START_WAIT_MS, err);
}

int local_connect(struct cli *cli, struct err *err)
{
    char dir[400];
    local_default_dir(cli, dir);
    struct local_fleet fleet;
    local_fleet_init(&fleet, dir);
    /* A simulated fleet that `demo --keep` left running is used as it is. */
    AUTO_FREE char *demo_dir = mem_printf("%s/demo", dir);
    struct local_fleet demo;
    local_fleet_init(&demo, demo_dir);
    if (local_pid(&demo, "dispatcher") && !local_pid(&fleet, "dispatcher"))
        return local_adopt(cli, &demo, err);
    AUTO_FREE char *token = mem_printf("%s/token", dir); /* written by the first start, kept ever since */
    bool exists = access(token, F_OK) == 0;
    if (!exists && !cli->makes_fleet)
        return err_set(err, ERR_NO_FLEET, "there is no fleet yet: --url names none, and none was ever started in %s",
                       dir);
    /* Never in silence: its worker goes on with live imports. */
    if (!local_is_running(&fleet))
        (void)fprintf(stderr,
                      "orgimport: %s the private local fleet in %s (live AWS; `orgimport local stop` ends it)\n",
                      exists ? "starting" : "beginning", dir);
    if (local_start(&fleet, err) != 0)
        return -1;
    return local_adopt(cli, &fleet, err);
}

/* A port that is free now. The dispatcher binds it a moment later; people need its address before it runs. */
static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = -1;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        port = ntohs(at.sin_port);
    if (fd >= 0)
        (void)close(fd);
    return port;
}

int local_prepare(struct cli *cli, const struct local_fleet *f, struct err *err)
{
    unsigned char random[24];
    char token[49];
    env_random(env_system(), random, sizeof random);
    crypto_hex(random, sizeof random, token);
    int port = free_port();
    AUTO_FREE char *address = mem_printf("127.0.0.1:%d\n", port);
    AUTO_FREE char *address_path = mem_printf("%s/address", f->dir);
    AUTO_FREE char *token_path = mem_printf("%s/token", f->dir);
    if (port <= 0)
        return err_set(err, ERR_IO, "no free port on loopback: %s", strerror(errno));
    if (file_write(token_path, token, strlen(token), 0600, err) != 0 ||
        file_write(address_path, address, strlen(address), 0600, err) != 0)
        return -1;
    (void)snprintf(cli->url, sizeof cli->url, "http://127.0.0.1:%d", port);
    (void)snprintf(cli->token, sizeof cli->token, "%s", token);
    return 0;
}

/* ---- The verb ---- */
static void print_process(const struct local_fleet *f, const char *name)
{
    pid_t pid = local_pid(f, name);
    if (pid)
        printf("  %-11s running, pid %d\n", name, (int)pid);
    else
        printf("  %-11s not running\n", name);
}

static int status(const struct local_fleet *f)
{
    printf("local fleet in %s\n", f->dir);
    print_process(f, "redis");
    print_process(f, "dispatcher");
    print_process(f, "worker-1");
    char address[128];
    struct err ignored;
    if (local_pid(f, "dispatcher") && local_wait_file(f, "address", address, sizeof address, 100, &ignored) == 0)
        printf("  %s (token: %s/token)\n", address, f->dir);
    return local_is_running(f) ? EXIT_OK : EXIT_NOT_READY;
}

int cli_verb_local(struct cli *cli)
{
    const char *word = cli->argc == 1 ? cli->argv[0] : "";
    char dir[400];
    local_default_dir(cli, dir);
    struct local_fleet fleet;
    local_fleet_init(&fleet, dir);
    struct err err;
    AUTO_FREE char *demo_dir = mem_printf("%s/demo", dir);
    struct local_fleet demo;
    local_fleet_init(&demo, demo_dir);
    if (str_eq(word, "status")) /* what other verbs would talk to: a demo that was left up, else the fleet itself */
        return status(local_pid(&demo, "dispatcher") && !local_pid(&fleet, "dispatcher") ? &demo : &fleet);
    if (str_eq(word, "start")) {
        if (local_start(&fleet, &err) != 0)
            return cli_error(cli, &err);
        return status(&fleet);
    }
    if (str_eq(word, "stop")) {
        if (local_stop(&fleet, &err) != 0 || local_stop(&demo, &err) != 0)
            return cli_error(cli, &err);
        puts("stopped; `orgimport local start` goes on where it was");
        return EXIT_OK;
    }
    (void)fprintf(stderr, "usage: orgimport local start|stop|status\n");
    return EXIT_USAGE;
}
