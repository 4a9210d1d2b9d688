#include "tests/integration/scenario/scenario_sim.h"

#include "common/base/mem.h"
#include "common/codec/file.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct scenario_sim {
    pid_t pid;
    int port;
    char *credentials, *effects;
    CURL *curl;
    long mark; /* bytes of the effect log that were there */
};

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "scenario_runner: %s: %s\n", what, detail);
    exit(1);
}

static int read_port(const char *path)
{
    struct err err = {0};
    char *text = NULL;
    size_t len = 0;
    int port = 0;
    if (file_read(path, 256, &text, &len, &err))
        return 0;
    const char *colon = strrchr(text, ':');
    uint64_t n = 0;
    char digits[8] = "";
    if (colon)
        (void)snprintf(digits, sizeof digits, "%.*s", (int)strspn(colon + 1, "0123456789"), colon + 1);
    if (str_to_u64(digits, 65535, &n))
        port = (int)n;
    mem_free(text);
    return port;
}

/* Who ends us ends the simulator, too. */
static volatile sig_atomic_t child;

static void on_signal(int signum)
{
    (void)signum;
    if (child)
        (void)kill((pid_t)child, SIGTERM);
    _exit(1);
}

static char *in_dir(const char *dir, const char *name)
{
    return mem_printf("%s/%s", dir, name);
}

struct scenario_sim *scenario_sim_start(const char *bin_dir, const char *dir)
{
    extern char **environ;
    struct scenario_sim *sim = MEM_NEW(struct scenario_sim);
    AUTO_FREE char *program = in_dir(bin_dir, "orgimport-awssim"), *address = in_dir(dir, "address");
    char listen[] = "127.0.0.1:0", zero[] = "0", seed[] = "7";
    char flags[][32] = {"--listen", "--address-file", "--orgs", "--seed", "--effects", "--operator-credentials"};
    sim->credentials = in_dir(dir, "operator.ini");
    sim->effects = in_dir(dir, "effects.jsonl");
    char *argv[] = {program,  flags[0], listen,   flags[1],     address,  flags[2],         zero,
                    flags[3], seed,     flags[4], sim->effects, flags[5], sim->credentials, NULL};
    int r = posix_spawn(&sim->pid, program, NULL, NULL, argv, environ);
    if (r)
        die(program, strerror(r));
    child = (sig_atomic_t)sim->pid;
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    for (int i = 0; i < 600 && !sim->port; i++) {
        (void)usleep(10000); /* a child that comes up: there is nothing else to wait on */
        if (waitpid(sim->pid, NULL, WNOHANG) == sim->pid)
            die(program, "ended at once");
        sim->port = read_port(address);
    }
    if (!sim->port)
        die(program, "wrote no address");
    sim->curl = curl_easy_init();
    return sim;
}

void scenario_sim_stop(struct scenario_sim *sim)
{
    (void)kill(sim->pid, SIGTERM);
    (void)waitpid(sim->pid, NULL, 0);
    curl_easy_cleanup(sim->curl);
    mem_free(sim->credentials);
    mem_free(sim->effects);
    mem_free(sim);
}

int scenario_sim_port(const struct scenario_sim *sim)
{
    return sim->port;
}

const char *scenario_sim_credentials(const struct scenario_sim *sim)
{
    return sim->credentials;
}

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    str_add_bytes(arg, bytes, size * count);
    return size * count;
}

json_t *scenario_sim_ask(struct scenario_sim *sim, const char *path, const json_t *body)
{
    AUTO_FREE char *url = mem_printf("http://127.0.0.1:%d/_sim/%s", sim->port, path);
    AUTO_FREE char *text = body ? json_text(body) : NULL;
    AUTO_STR struct str answer;
    long status = 0;
    struct err err = {0};
    str_init(&answer, 64u << 20);
    curl_easy_reset(sim->curl);
    curl_easy_setopt(sim->curl, CURLOPT_URL, url);
    curl_easy_setopt(sim->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(sim->curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(sim->curl, CURLOPT_NOPROXY, "*");
    if (text) {
        curl_easy_setopt(sim->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(sim->curl, CURLOPT_POSTFIELDS, text);
    }
    CURLcode code = curl_easy_perform(sim->curl);
    if (code != CURLE_OK)
        die(url, curl_easy_strerror(code));
    curl_easy_getinfo(sim->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        die(url, answer.data);
    json_t *value = json_read(answer.data, answer.len, 0, &err);
    if (!value)
        die(url, err.text);
    return value;
}

/* ---- Effects ---- */
static void flush(struct scenario_sim *sim)
{
    json_decref(scenario_sim_ask(sim, "effects?account=000000000000", NULL));
}

void scenario_sim_mark(struct scenario_sim *sim)
{
    flush(sim);
    FILE *f = fopen(sim->effects, "r");
    if (!f)
        die(sim->effects, strerror(errno));
    (void)fseek(f, 0, SEEK_END);
    sim->mark = ftell(f);
    (void)fclose(f);
}

json_t *scenario_sim_effects(struct scenario_sim *sim, const char *account)
{
    json_t *list = json_array();
    char *line = NULL;
    size_t room = 0;
    flush(sim);
    FILE *f = fopen(sim->effects, "r");
    if (!f || fseek(f, sim->mark, SEEK_SET) != 0)
        die(sim->effects, strerror(errno));
    while (getline(&line, &room, f) > 0) {
        json_t *one = json_loads(line, 0, NULL);
        if (one && str_eq(json_str_at(one, "account"), account))
            (void)json_array_append_new(list, one);
        else
            json_decref(one);
    }
    (void)fclose(f);
    free(line);
    return list;
}

/* ---- Worlds that can be compared ---- */
/* Made-up ids, times and what AWS counts by itself: they differ between two runs that are otherwise the same. */
static const char *const volatile_keys[] = {
    "trail_events", "CreateDate", "UpdateDate",   "RoleId",       "PolicyId",     "UserId",    "CreationDate",
    "LastModified", "last_used",  "LastUsedDate", "usable_ms",    "settles_ms",   "Timestamp", "visible_ms",
    "time_ms",      "made_ms",    "at_ms",        "RoleLastUsed", "next_version", "etag",      "mail",
    "ReportStatus", "delivered",  "objects",      "seen"};

static bool is_volatile(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(volatile_keys); i++)
        if (strcmp(volatile_keys[i], key) == 0)
            return true;
    return str_ends(key, "_ms") || str_ends(key, "Date") || str_ends(key, "Timestamp");
}

/* Policies are kept as text; equal is what means the same. */
static json_t *parsed(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && *text == '{' ? json_loads(text, 0, NULL) : NULL;
}

static void clean(json_t *tree) // NOLINT(misc-no-recursion): as deep as the world's own JSON
{
    if (json_is_object(tree)) {
        const char *key = NULL;
        void *next = NULL;
        json_t *inner = NULL;
        json_object_foreach_safe(tree, next, key, inner)
        {
            json_t *as_json = parsed(inner);
            if (is_volatile(key))
                json_object_del(tree, key);
            else if (!as_json)
                clean(inner);
            if (as_json)
                json_put(tree, key, as_json);
        }
    } else if (json_is_array(tree)) {
        size_t i = 0;
        json_t *inner = NULL;
        json_array_foreach (tree, i, inner)
            clean(inner);
    }
}

json_t *scenario_sim_world(struct scenario_sim *sim, const char *account)
{
    char path[64];
    (void)snprintf(path, sizeof path, "world/%.12s", account);
    json_auto_t *shown = scenario_sim_ask(sim, path, NULL);
    json_t *state = json_deep_copy(json_object_get(shown, "state"));
    clean(state);
    return state;
}
