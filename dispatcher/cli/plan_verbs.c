/* orgimport plan, approve, apply: what would change, who agreed to it, and letting it go on. */
#include "common/proof/plan_words.h"
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "dispatcher/cli/progress.h"

#include <string.h>
#include <unistd.h>

#define LOOK_MS 100
#define PLAN_WAIT_MS 600000

struct plan_how {
    bool is_json, is_short;
};

static int get_plan(struct cli *cli, const char *id, struct cli_reply *ret, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/plan", id);
    return cli_get(cli, path, ret, err);
}

/* ---- Showing ---- */

static void print_people(const json_t *told)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(told, "approvals"), i, one)
        printf("approved by %s: %s\n", json_str_at(one, "by"), json_str_at(one, "note"));
    json_array_foreach (json_object_get(told, "moved"), i, one)
        printf("moved since the plan before: %s\n  from %s\n  to   %s\n", json_str_at(one, "item"),
               json_str_at(one, "from"), json_str_at(one, "to"));
    json_array_foreach (json_object_get(told, "drift"), i, one)
        printf("changed meanwhile, and not in the way: %s\n", json_string_value(one));
}

static void print_next(const json_t *told)
{
    const char *state = json_str_at(told, "state"), *word = json_str_at(told, "external_ref");
    int missing = (int)(json_int_at(told, "approvals_wanted") - (int64_t)json_array_size(json_at(told, "approvals")));
    if (str_eq(state, "stopped"))
        printf("Nothing was changed. Mend what would stop it, then: orgimport retry %s\n", word);
    else if (str_eq(state, "applied"))
        puts("It was applied.");
    else if (missing > 0)
        printf("To approve it%s: orgimport approve %s --by NAME --reason TEXT --plan %.12s\n",
               missing > 1 ? " (two people)" : "", word, json_str_at(told, "hash"));
    else
        printf("Approved. To let it go on: orgimport apply %s\n", word);
}

static int code_of(const json_t *told)
{
    if (str_eq(json_str_at(told, "state"), "stopped"))
        return EXIT_NOT_READY;
    bool is_pending = !json_bool_at(told, "plan.no_changes") && !str_eq(json_str_at(told, "state"), "applied");
    return is_pending ? EXIT_PENDING : EXIT_OK;
}

static int show_plan(const struct cli *cli, const struct plan_how *how, const json_t *told)
{
    if (how->is_json || cli_is_json(cli)) {
        cli_print_value(cli, told);
        return code_of(told);
    }
    AUTO_STR struct str out;
    str_init(&out, (size_t)64 << 20);
    plan_words(json_at(told, "plan"),
               &(struct plan_words_options){.has_colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                                            .is_short = how->is_short},
               &out);
    (void)fputs(out.data, stdout);
    print_people(told);
    print_next(told);
    return code_of(told);
}

/* ---- Waiting until it is made ---- */

static int say_why_not(const struct cli *cli, const json_t *import)
{
    const char *state = json_str_at(import, "state");
    (void)cli;
    if (str_eq(state, "failed")) {
        (void)fprintf(stderr, "orgimport: %s failed before its plan, at %s: %s [%s]\n",
                      json_str_at(import, "external_ref"), json_str_at(import, "error.step"),
                      json_str_at(import, "error.text"), json_str_at(import, "error.code"));
        return EXIT_NOT_READY;
    }
    (void)fprintf(stderr, "orgimport: %s has no plan yet: it is %s, and %s is asked for \"%s\" (%s)\n",
                  json_str_at(import, "external_ref"), state, json_str_or(import, "blocking.party", "nobody"),
                  json_str_at(import, "blocking.title"), json_str_at(import, "blocking.step"));
    return EXIT_WAITING;
}

/* Whether the import rests: then no plan comes by itself. Two looks in a row, since a step may be between two waits. */
static int look_at_import(struct cli *cli, const char *id, int *resting, int *ret_code, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, err) != 0)
        return -1;
    *resting = progress_is_at_rest(reply.json) ? *resting + 1 : 0;
    if (*resting >= 3)
        *ret_code = say_why_not(cli, reply.json);
    return 0;
}

static int plan_of(struct cli *cli, const struct plan_how *how, const char *id)
{
    struct err err = {0};
    int resting = 0, code = -1;
    for (uint64_t end = cli_now_ms() + PLAN_WAIT_MS; cli_now_ms() < end; cli_pause_ms(LOOK_MS)) {
        AUTO_REPLY struct cli_reply reply = {0};
        if (get_plan(cli, id, &reply, &err) != 0)
            return cli_error(cli, &err);
        if (reply.status == 200)
            return show_plan(cli, how, reply.json);
        if (!str_eq(json_str_at(reply.json, "code"), "state.conflict"))
            return cli_problem(cli, &reply);
        if (look_at_import(cli, id, &resting, &code, &err) != 0)
            return cli_error(cli, &err);
        if (code >= 0)
            return code;
    }
    err_set(&err, ERR_IO, "the plan is not made yet; `orgimport show %s` tells where it is", id);
    return cli_error(cli, &err);
}

/* The worst of many: an error, then what is not ready, then who is waited for, then pending changes. */
static int worse(int a, int b)
{
    static const int order[] = {EXIT_OK,    EXIT_PENDING, EXIT_WAITING, EXIT_NOT_READY,
                                EXIT_PROOF, EXIT_USAGE,   EXIT_ERROR};
    for (size_t i = ARRAY_LEN(order); i-- > 0;)
        if (order[i] == a || order[i] == b)
            return order[i];
    return EXIT_ERROR;
}

static int plan_file(struct cli *cli, const struct plan_how *how, const char *path, const char *credentials)
{
    json_auto_t *batch = NULL;
    struct cli_file file = {.path = path, .credentials = credentials, .wants_plan = true, .is_quiet = true};
    int code = cli_import_file(cli, &file, &batch);
    size_t i;
    const json_t *row;
    json_array_foreach (json_at(batch, "results"), i, row) {
        const char *id = json_str_at(row, "import_id");
        if (*id)
            code = worse(code, plan_of(cli, how, id));
        else
            (void)fprintf(stderr, "orgimport: %s: %s\n", json_str_at(row, "external_ref"),
                          json_str_or(row, "error", json_str_at(row, "error_code")));
        if (i + 1 < json_array_size(json_at(batch, "results")) && !how->is_json && !cli_is_json(cli))
            puts("");
    }
    return code;
}

int cli_verb_plan(struct cli *cli)
{
    const char *credentials = NULL, *words[1];
    struct plan_how how = {0};
    size_t count = 0;
    struct err err;
    char id[64];
    const struct cli_flag flags[] = {
        {"credentials", &credentials, NULL}, {"json", NULL, &how.is_json}, {"short", NULL, &how.is_short}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code != EXIT_OK)
        return code;
    if (!count)
        return cli_usage(cli, "plan needs a FILE to submit, or an IMPORT (id or external_ref)");
    bool is_file = str_eq(words[0], "-") || access(words[0], R_OK) == 0;
    cli->makes_fleet = is_file;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (is_file)
        return plan_file(cli, &how, words[0], credentials);
    if (!cli_import_id(cli, words[0], id))
        return EXIT_ERROR;
    return plan_of(cli, &how, id);
}

/* ---- approve, apply ---- */

struct decision {
    const char *word, *by, *reason, *plan, *second;
};

static int read_decision(struct cli *cli, struct decision *ret)
{
    const char *words[1];
    size_t count = 0;
    const struct cli_flag flags[] = {{"by", &ret->by, NULL},
                                     {"reason", &ret->reason, NULL},
                                     {"plan", &ret->plan, NULL},
                                     {"second-person", &ret->second, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code == EXIT_OK && !count)
        code = cli_usage(cli, "which IMPORT? (id or external_ref)");
    ret->word = count ? words[0] : NULL;
    return code;
}

static int send_decision(struct cli *cli, const struct decision *d, const char *action, char id[64],
                         struct cli_reply *ret)
{
    struct err err;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (!cli_import_id(cli, d->word, id))
        return EXIT_ERROR;
    json_auto_t *body = json_object();
    const char *const pairs[][2] = {
        {"by", d->by}, {"reason", d->reason}, {"plan", d->plan}, {"second_person", d->second}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (pairs[i][1])
            json_put_str(body, pairs[i][0], pairs[i][1]);
    AUTO_FREE char *path = mem_printf("/v1/imports/%s:%s", id, action);
    if (cli_post(cli, path, body, ret, &err) != 0)
        return cli_error(cli, &err);
    return ret->status >= 300 ? cli_problem(cli, ret) : EXIT_OK;
}

int cli_verb_approve(struct cli *cli)
{
    struct decision d = {0};
    char id[64];
    AUTO_REPLY struct cli_reply reply = {0};
    int code = read_decision(cli, &d);
    if (code == EXIT_OK && (!d.by || !d.reason))
        return cli_usage(cli, "approve needs --by and --reason: both stand in the ledger");
    if (code == EXIT_OK)
        code = send_decision(cli, &d, "approve", id, &reply);
    if (code != EXIT_OK)
        return code;
    if (cli_is_json(cli))
        cli_print_value(cli, reply.json);
    else
        printf("%s: plan %.12s approved by %d of %d\n", d.word, json_str_at(reply.json, "hash"),
               (int)json_array_size(json_at(reply.json, "approvals")),
               (int)json_int_at(reply.json, "approvals_wanted"));
    return EXIT_OK;
}

/* Applied, or refused: then the present plan is another one and says what moved. */
static int await_gate(struct cli *cli, const char *id, const char *hash)
{
    struct err err;
    for (uint64_t end = cli_now_ms() + PLAN_WAIT_MS; cli_now_ms() < end; cli_pause_ms(LOOK_MS)) {
        AUTO_REPLY struct cli_reply reply = {0};
        if (get_plan(cli, id, &reply, &err) != 0)
            return cli_error(cli, &err);
        if (reply.status != 200)
            return cli_problem(cli, &reply);
        bool is_applied = str_eq(json_str_at(reply.json, "state"), "applied");
        if (!is_applied && str_eq(json_str_at(reply.json, "hash"), hash))
            continue;
        if (cli_is_json(cli))
            cli_print_value(cli, reply.json);
        else if (is_applied)
            printf("applied; `orgimport watch %s` shows how it goes on\n", json_str_at(reply.json, "external_ref"));
        if (is_applied || cli_is_json(cli))
            return is_applied ? EXIT_OK : EXIT_NOT_READY;
        (void)fprintf(stderr, "orgimport: refused: what the plan looked at has moved; nothing was changed\n");
        print_people(reply.json);
        printf("The new plan: orgimport plan %s\n", json_str_at(reply.json, "external_ref"));
        return EXIT_NOT_READY;
    }
    err_set(&err, ERR_IO, "the gate has not looked yet; `orgimport plan %s` tells", id);
    return cli_error(cli, &err);
}

int cli_verb_apply(struct cli *cli)
{
    struct decision d = {0};
    char id[64];
    AUTO_REPLY struct cli_reply reply = {0};
    int code = read_decision(cli, &d);
    if (code == EXIT_OK && d.second)
        return cli_usage(cli, "people approve with `orgimport approve`; apply only lets it go on");
    if (code == EXIT_OK)
        code = send_decision(cli, &d, "apply", id, &reply);
    return code == EXIT_OK ? await_gate(cli, id, json_str_at(reply.json, "hash")) : code;
}
