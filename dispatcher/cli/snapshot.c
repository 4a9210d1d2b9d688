/* orgimport snapshot: the fingerprint for customers who recompute what an import says. Works alone: no dispatcher, no
 * Redis, no account with us; `take` needs read permissions only, the others just files. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/proof/fingerprint.h"
#include "common/proof/fingerprint_explain.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define EXPLAIN_BYTES_MAX ((size_t)64 << 20)

/* ---- take, policy: orgimport-worker does it, beside us in the same folder ---- */
static void worker_path(char ret[512])
{
    ssize_t n = readlink("/proc/self/exe", ret, 511 - sizeof "-worker");
    if (n <= 0) {
        (void)snprintf(ret, 512, "orgimport-worker");
        return;
    }
    ret[n] = 0;
    char *slash = strrchr(ret, '/');
    (void)snprintf(slash ? slash + 1 : ret, slash ? 511 - (size_t)(slash - ret) : 512, "orgimport-worker");
}

static int run_worker(char *const words[])
{
    char path[512];
    worker_path(path);
    execv(path, words);
    (void)fprintf(stderr, "orgimport: cannot start %s: %s\n", path, strerror(errno));
    return EXIT_ERROR;
}

static int snapshot_take(struct cli *cli)
{
    const char *out = NULL, *region = NULL, *profile = NULL, *sim = NULL, *credentials = NULL, *rate = NULL;
    const struct cli_flag flags[] = {{"out", &out, NULL},
                                     {"region", &region, NULL},
                                     {"profile", &profile, NULL},
                                     {"sim", &sim, NULL},
                                     {"sim-credentials", &credentials, NULL},
                                     {"rate-scale-pct", &rate, NULL}};
    const char *none[1];
    size_t count = 0;
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), none, 0, &count);
    if (code)
        return code;
    AUTO_FREE char *to = mem_printf("--snapshot=%s", out ? out : "-");
    AUTO_FREE char *regions = mem_printf("--snapshot-regions=%s", region ? region : "");
    AUTO_FREE char *who = mem_printf("--snapshot-profile=%s", profile ? profile : "");
    AUTO_FREE char *endpoints = mem_printf("--endpoints=%s", sim ? sim : "");
    AUTO_FREE char *keys = mem_printf("--sim-credentials=%s", credentials ? credentials : "");
    AUTO_FREE char *scale = mem_printf("--rate-scale-pct=%s", rate ? rate : "100");
    char name[] = "orgimport-worker", mode[] = "--mode=sim";
    char *words[10] = {name, to, regions};
    size_t n = 3;
    if (profile)
        words[n++] = who;
    if (sim) {
        words[n++] = mode;
        words[n++] = endpoints;
        words[n++] = keys;
        words[n++] = scale;
    } else if (credentials || rate) {
        return cli_usage(cli, "--sim-credentials and --rate-scale-pct go with --sim");
    }
    return run_worker(words);
}

static int snapshot_print_policy(void)
{
    char name[] = "orgimport-worker", policy[] = "--snapshot-policy";
    char *words[] = {name, policy, NULL};
    return run_worker(words);
}

/* ---- Files ---- */
static bool is_shaped(const json_t *fingerprint)
{
    const char *name = NULL;
    json_t *section = NULL;
    if (!json_is_object(json_object_get(fingerprint, "sections")))
        return false;
    json_object_foreach (json_object_get(fingerprint, "sections"), name, section) {
        if (!json_is_object(section))
            return false;
    }
    return true;
}

/* The fingerprint in a file: a snapshot, a step's result or the bare thing. Its root is computed, and one that is
 * written in the file must be the same. New reference, or NULL with *ret_code. */
static json_t *read_fingerprint(const struct cli *cli, const char *path, int *ret_code)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    struct err err;
    *ret_code = EXIT_ERROR;
    if (file_read(path, FILE_BYTES_MAX, &text, &len, &err) != 0) {
        *ret_code = cli_error(cli, &err);
        return NULL;
    }
    json_auto_t *document = json_read(text, len, 0, &err);
    if (!document) {
        (void)fprintf(stderr, "orgimport: %s: %s\n", path, err.text);
        return NULL;
    }
    json_t *inner = json_object_get(document, "fingerprint");
    json_t *found = inner ? inner : document;
    if (!is_shaped(found)) {
        (void)fprintf(stderr, "orgimport: %s is no snapshot: it has no sections\n", path);
        return NULL;
    }
    AUTO_FREE char *told = mem_dup(json_str_at(found, "root"));
    AUTO_FREE char *outer = mem_dup(json_str_or(document, "root", told));
    fingerprint_seal(found);
    const char *root = json_str_at(found, "root");
    if ((*told && !str_eq(told, root)) || !str_eq(outer, *told ? told : outer)) {
        (void)fprintf(stderr, "orgimport: %s says root %s, but its sections give %s: it was changed\n", path, outer,
                      root);
        *ret_code = EXIT_PROOF;
        return NULL;
    }
    return json_incref(found);
}

/* ---- diff ---- */
static void print_counts(const json_t *differences)
{
    const char *kinds[] = {"added", "removed", "changed"};
    for (size_t i = 0; i < json_array_size(differences);) {
        const char *section = json_str_at(json_array_get(differences, i), "section");
        size_t counts[3] = {0};
        for (; i < json_array_size(differences); i++) {
            const json_t *one = json_array_get(differences, i);
            if (!str_eq(json_str_at(one, "section"), section))
                break;
            for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
                counts[k] += str_eq(json_str_at(one, "kind"), kinds[k]);
        }
        printf("%-36s %zu added, %zu removed, %zu changed\n", fingerprint_section_title(section), counts[0], counts[1],
               counts[2]);
    }
}

static void print_unstable(const char *path, const json_t *fingerprint)
{
    for (size_t i = 0; i < json_array_size(json_object_get(fingerprint, "unstable")); i++)
        printf("%s: section %s would not hold still while it was read\n", path,
               json_str_at(json_array_get(json_object_get(fingerprint, "unstable"), i), "section"));
}

static int snapshot_diff(struct cli *cli)
{
    bool is_json = false, explains = false;
    const struct cli_flag flags[] = {{"json", NULL, &is_json}, {"explain", NULL, &explains}};
    const char *paths[2];
    size_t count = 0;
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), paths, 2, &count);
    if (code)
        return code;
    if (count != 2)
        return cli_usage(cli, "snapshot diff wants two files");
    json_auto_t *a = read_fingerprint(cli, paths[0], &code);
    json_auto_t *b = a ? read_fingerprint(cli, paths[1], &code) : NULL;
    if (!b)
        return code;
    json_auto_t *differences = fingerprint_diff(a, b);
    bool is_equal = json_array_size(differences) == 0;
    if (is_json || cli_is_json(cli)) {
        cli_print_value(cli, differences);
        return is_equal ? EXIT_OK : EXIT_PENDING;
    }
    printf("A %s  %s\nB %s  %s\n", json_str_at(a, "root"), paths[0], json_str_at(b, "root"), paths[1]);
    print_unstable(paths[0], a);
    print_unstable(paths[1], b);
    if (is_equal) {
        puts("equal: nothing differs");
        return EXIT_OK;
    }
    printf("%zu difference%s\n\n", json_array_size(differences), json_array_size(differences) == 1 ? "" : "s");
    if (explains) {
        AUTO_STR struct str words;
        str_init(&words, EXPLAIN_BYTES_MAX);
        fingerprint_explain(a, b, differences, &words);
        (void)fputs(words.data, stdout);
    } else {
        print_counts(differences);
    }
    return EXIT_PENDING;
}

/* ---- prove, check: one section for somebody who shall not see the others ---- */
static int snapshot_prove(struct cli *cli)
{
    const char *words[2];
    size_t count = 0;
    int code = cli_parse(cli, NULL, 0, words, 2, &count);
    if (code)
        return code;
    if (count != 2)
        return cli_usage(cli, "snapshot prove wants a file and the name of a section");
    json_auto_t *fingerprint = read_fingerprint(cli, words[0], &code);
    if (!fingerprint)
        return code;
    json_auto_t *proof = fingerprint_prove(fingerprint, words[1]);
    if (!proof) {
        (void)fprintf(stderr, "orgimport: %s has no section %s\n", words[0], words[1]);
        return EXIT_ERROR;
    }
    json_auto_t *shown = json_make("{s:s,s:O,s:O}", "kind", "orgimport.section", "proof", proof, "value",
                                   json_object_get(json_object_get(fingerprint, "sections"), words[1]));
    cli_print_value(cli, shown);
    return EXIT_OK;
}

static int snapshot_check(struct cli *cli)
{
    const char *root = NULL, *words[1];
    const struct cli_flag flags[] = {{"root", &root, NULL}};
    size_t count = 0;
    struct err err;
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code)
        return code;
    if (count != 1 || !root)
        return cli_usage(cli, "snapshot check wants a file made by `prove`, and --root from a source that you trust");
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(words[0], FILE_BYTES_MAX, &text, &len, &err) != 0)
        return cli_error(cli, &err);
    json_auto_t *shown = json_read(text, len, 0, &err);
    const json_t *proof = json_object_get(shown, "proof");
    if (!fingerprint_proof_holds(proof, json_object_get(shown, "value"), root)) {
        (void)fprintf(stderr, "orgimport: %s is not part of %s\n", words[0], root);
        return EXIT_PROOF;
    }
    printf("section %s is part of %s\n", json_str_at(proof, "section"), root);
    return EXIT_OK;
}

int cli_verb_snapshot(struct cli *cli)
{
    static const char wants[] = "snapshot wants one of: take, diff, prove, check, policy";
    if (!cli->argc)
        return cli_usage(cli, wants);
    const char *what = cli->argv[0];
    cli->argc--;
    cli->argv++;
    if (str_eq(what, "take"))
        return snapshot_take(cli);
    if (str_eq(what, "diff"))
        return snapshot_diff(cli);
    if (str_eq(what, "prove"))
        return snapshot_prove(cli);
    if (str_eq(what, "check"))
        return snapshot_check(cli);
    if (str_eq(what, "policy"))
        return snapshot_print_policy();
    return cli_usage(cli, wants);
}
