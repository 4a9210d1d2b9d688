#include "dispatcher/cli/demo.h"

#include "common/base/env.h"
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/crypto/crypto.h"
#include "dispatcher/cli/progress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t was_interrupted;

static void on_signal(int number)
{
    (void)number;
    was_interrupted = 1;
}

/* A fresh folder with a token and an address, so that the dispatcher and the people agree before either runs. */
static int prepare(struct demo *d, struct err *err)
{
    AUTO_FREE char *marker = mem_printf("%s/.orgimport-demo", d->fleet.dir);
    /* Only what a demo has made is removed: the folder's name alone proves nothing. */
    if (access(d->fleet.dir, F_OK) == 0 && rmdir(d->fleet.dir) != 0 && access(marker, F_OK) != 0)
        return err_set(err, ERR_CONFIG, "%s is not a demo's folder; choose another --state-dir", d->fleet.dir);
    if (local_stop(&d->fleet, err) != 0)
        return -1;
    local_remove(&d->fleet);
    if (file_make_dirs(d->fleet.dir, 0700, err) != 0 || file_write(marker, "", 0, 0600, err) != 0)
        return -1;
    return local_prepare(d->cli, &d->fleet, err);
}

/* Keeps the fleet alive: what was killed is started again, and the import goes on. */
static void supervise(void *arg)
{
    struct demo *d = arg;
    struct err err;
    if (was_interrupted)
        d->is_interrupted = true;
    if (local_is_running(&d->fleet) || d->is_interrupted)
        return;
    d->fleet.restarts++;
    if (local_start(&d->fleet, &err) != 0)
        (void)fprintf(stderr, "orgimport: restart: %s\n", err.text);
}

static bool first_is_over(void *arg, const json_t *imports)
{
    struct demo *d = arg;
    return d->is_interrupted || demo_is_over(d, imports);
}

static void tell_why(const json_t *error)
{
    if (!json_is_object(error))
        return;
    printf("  %s: %s\n", json_str_at(error, "code"), json_str_at(error, "text"));
    cli_print_lines("  - ", json_at(error, "findings"));
}

static int run_first(struct demo *d)
{
    AUTO_FREE char *customers = mem_printf("%s/customers.csv", d->fleet.dir);
    AUTO_FREE char *keys = mem_printf("%s/credentials.ini", d->fleet.dir);
    int code =
        cli_import_file(d->cli, &(struct cli_file){.path = customers, .credentials = keys, .is_quiet = true}, NULL);
    if (code != EXIT_OK)
        return code;
    struct progress_options options = {
        .timeout_ms = d->timeout_s * 1000, .is_over = first_is_over, .supervise = supervise, .arg = d};
    (void)progress_watch(d->cli, &options, &d->imports);
    int differences = 0;
    for (size_t i = 0; i < json_array_size(d->imports); i++) {
        const json_t *import = json_array_get(d->imports, i);
        AUTO_FREE char *difference = demo_difference(d, import);
        if (!difference)
            continue;
        differences++;
        printf("DIFFERENT %s (%s): %s\n", json_str_at(import, "external_ref"),
               json_str_at(json_object_get(d->worlds, json_str_at(import, "external_ref")), "kind"), difference);
        tell_why(json_at(import, "error"));
    }
    return differences || json_array_size(d->imports) < json_object_size(d->worlds) ? EXIT_ERROR : EXIT_OK;
}

struct second {
    struct demo *demo;
    size_t rows;
};

static bool second_is_over(void *arg, const json_t *imports)
{
    const struct second *s = arg;
    size_t completed = 0;
    for (size_t i = 0; i < json_array_size(imports); i++) {
        const json_t *one = json_array_get(imports, i);
        completed +=
            str_ends(json_str_at(one, "external_ref"), "-again") && str_eq(json_str_at(one, "state"), "completed");
    }
    return s->demo->is_interrupted || completed == s->rows;
}

static void supervise_second(void *arg)
{
    supervise(((struct second *)arg)->demo);
}

/* The same customers once more: everything is there already, so not one write may happen. */
static int run_second(struct demo *d, size_t *ret_writes)
{
    struct second s = {.demo = d};
    struct err err;
    size_t before, after;
    json_decref(demo_effects_twice(d, &before));
    AUTO_FREE char *path = mem_printf("%s/again.csv", d->fleet.dir);
    if (demo_write_second(d, path, &s.rows, &err) != 0)
        return cli_error(d->cli, &err);
    if (!s.rows)
        return EXIT_OK;
    int code = cli_import_file(d->cli, &(struct cli_file){.path = path, .is_quiet = true}, NULL);
    if (code != EXIT_OK)
        return code;
    struct progress_options options = {
        .timeout_ms = d->timeout_s * 1000, .is_over = second_is_over, .supervise = supervise_second, .arg = &s};
    json_t *imports = NULL;
    (void)progress_watch(d->cli, &options, &imports);
    bool is_done = second_is_over(&s, imports) && !d->is_interrupted;
    json_decref(imports);
    json_decref(demo_effects_twice(d, &after));
    *ret_writes = after - before;
    printf("second run: %zu imports, %zu writes%s\n", s.rows, *ret_writes, is_done ? "" : ", NOT all completed");
    return is_done && *ret_writes == 0 ? EXIT_OK : EXIT_PROOF;
}

/* Names states and verdicts in one line: the result. */
static void print_result(const struct demo *d, size_t effects, size_t twice, int code)
{
    json_auto_t *states = json_object(), *verdicts = json_object();
    for (size_t i = 0; i < json_array_size(d->imports); i++) {
        const json_t *one = json_array_get(d->imports, i);
        const char *state = json_str_at(one, "state"), *verdict = json_str_at(one, "verdict");
        json_put_int(states, state, json_int_at(states, state) + 1);
        if (*verdict)
            json_put_int(verdicts, verdict, json_integer_value(json_object_get(verdicts, verdict)) + 1);
    }
    printf("%s: %zu imports", code == EXIT_OK ? "RESULT" : "RESULT (NOT AS EXPECTED)", json_array_size(d->imports));
    const char *key;
    json_t *n;
    json_object_foreach (states, key, n) {
        printf(", %lld %s", (long long)json_integer_value(n), key);
    }
    printf("; verdicts:");
    json_object_foreach (verdicts, key, n) {
        printf(" %lld %s", (long long)json_integer_value(n), key);
    }
    printf("; %zu writes, %zu twice\n", effects, twice);
}

static int run(struct demo *d)
{
    struct err err;
    uint64_t started = cli_now_ms();
    if (prepare(d, &err) != 0 || demo_world_start(d, &err) != 0 || local_start(&d->fleet, &err) != 0 ||
        local_adopt(d->cli, &d->fleet, &err) != 0)
        return cli_error(d->cli, &err);
    printf("simulated AWS %s with %zu organizations (seed %llu, faults %s); dispatcher %s; state in %s\n", d->endpoint,
           json_object_size(d->worlds), (unsigned long long)d->seed, d->faults, d->cli->url, d->fleet.dir);
    int code = run_first(d);
    size_t effects, writes = 0;
    json_auto_t *twice = demo_effects_twice(d, &effects);
    for (size_t i = 0; i < json_array_size(twice); i++)
        printf("TWICE %s\n", json_string_value(json_array_get(twice, i)));
    if (json_array_size(twice))
        code = EXIT_PROOF;
    if (code == EXIT_OK && !d->no_second_run && !d->is_interrupted)
        code = run_second(d, &writes);
    if (d->fleet.restarts)
        printf("%u times something of the fleet was found dead and started again\n", d->fleet.restarts);
    printf("took %llu s\n", (unsigned long long)(cli_now_ms() - started) / 1000);
    if (d->keep && !d->is_interrupted)
        printf("left running: %s (token in %s/token); `orgimport list` uses it, `orgimport local stop` ends it\n",
               d->cli->url, d->fleet.dir);
    else if (local_stop(&d->fleet, &err) != 0)
        (void)cli_error(d->cli, &err);
    if (d->is_interrupted)
        return EXIT_ERROR;
    print_result(d, effects, json_array_size(twice), code);
    return code;
}

int cli_verb_demo(struct cli *cli)
{
    const char *orgs = "8", *seed = "1", *workers = "1", *timeout = "600", *delay = "400", *latency = "5", *words[1];
    struct demo d = {.cli = cli, .faults = "none", .kinds = "all"};
    size_t count = 0;
    const struct cli_flag flags[] = {{"orgs", &orgs, NULL},          {"seed", &seed, NULL},
                                     {"faults", &d.faults, NULL},    {"kinds", &d.kinds, NULL},
                                     {"workers", &workers, NULL},    {"timeout-s", &timeout, NULL},
                                     {"keep", NULL, &d.keep},        {"people-delay-ms", &delay, NULL},
                                     {"latency-ms", &latency, NULL}, {"no-second-run", NULL, &d.no_second_run}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 0, &count);
    if (code != EXIT_OK)
        return code;
    struct err err;
    if (!cli_number(orgs, 20000, &d.orgs) || !cli_number(seed, UINT32_MAX, &d.seed) ||
        !cli_number(workers, LOCAL_WORKERS_MAX, &d.workers) || !d.workers ||
        !cli_number(timeout, 86400, &d.timeout_s) || !cli_number(delay, 3600000, &d.people_delay_ms) ||
        !cli_number(latency, 10000, &d.latency_ms)) {
        err_set(&err, ERR_USAGE, "an option of demo needs a number (workers 1 to %d)", LOCAL_WORKERS_MAX);
        return cli_error(cli, &err);
    }
    char dir[400];
    local_default_dir(cli, dir);
    AUTO_FREE char *demo_dir = mem_printf("%s/demo", dir);
    local_fleet_init(&d.fleet, demo_dir);
    d.fleet.is_simulated = true;
    d.fleet.workers = (uint32_t)d.workers;
    d.fleet.poll_ms = 250;
    d.fleet.settle_ms = 4000;
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    code = run(&d);
    json_decref(d.worlds);
    json_decref(d.imports);
    return code;
}
