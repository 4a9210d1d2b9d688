/* Verbs that only look: list, show, watch, tasks, explain. */
#include "dispatcher/cli/cli.h"

#include "common/base/err.h"
#include "common/base/mem.h"
#include "dispatcher/cli/progress.h"

#include <string.h>

int cli_usage(const struct cli *cli, const char *text)
{
    struct err err;
    err_set(&err, ERR_USAGE, "%s", text);
    return cli_error(cli, &err);
}

static int list_and_print(struct cli *cli, const char *path, const char *columns)
{
    struct err err;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    json_auto_t *rows = cli_list(cli, path, &err);
    if (!rows)
        return cli_error(cli, &err);
    cli_print_rows(cli, rows, columns);
    return EXIT_OK;
}

int cli_verb_list(struct cli *cli)
{
    const char *state = NULL, *party = NULL, *words[1];
    size_t count = 0;
    const struct cli_flag flags[] = {{"state", &state, NULL}, {"party", &party, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 0, &count);
    if (code != EXIT_OK)
        return code;
    AUTO_STR struct str path;
    str_init(&path, 1024);
    str_add(&path, "/v1/imports");
    cli_add_query(&path, "state", state);
    cli_add_query(&path, "party", party);
    return list_and_print(
        cli, path.data,
        "external_ref:external_ref:18,customer:customer.name:22,account:organization.management_account_id:12,"
        "state:state:10,priority:priority:8,blocked "
        "by:blocking.party:10,at:blocking.step:20,for:blocking.since:10,id:id:34");
}

int cli_verb_tasks(struct cli *cli)
{
    const char *party = NULL, *import = NULL, *words[1];
    size_t count = 0;
    const struct cli_flag flags[] = {{"party", &party, NULL}, {"import", &import, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 0, &count);
    if (code != EXIT_OK)
        return code;
    struct err err;
    char id[64] = "";
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (import && !cli_import_id(cli, import, id))
        return EXIT_ERROR;
    AUTO_STR struct str path;
    str_init(&path, 1024);
    str_add(&path, "/v1/tasks");
    cli_add_query(&path, "party", party);
    cli_add_query(&path, "import_id", *id ? id : NULL);
    return list_and_print(cli, path.data, "open for:opened_at:10,party:party:18,what:title:44,task:id:60");
}

static void print_step(const json_t *s)
{
    const json_t *undo = json_at(s, "undo");
    const char *grade = json_is_object(undo) ? json_str_at(undo, "grade") : json_str_at(s, "grade");
    printf("  %-4s %-20s %-10s %-14s %s\n", json_str_at(s, "item"), json_str_at(s, "name"), json_str_at(s, "state"),
           grade, json_str_at(s, "party"));
    const json_t *error = json_at(s, "error");
    if (json_is_object(error)) {
        printf("         %s [%s, %s]\n", json_str_at(error, "text"), json_str_at(error, "code"),
               json_str_at(error, "owner"));
        cli_print_lines("         - ", json_at(error, "findings"));
        printf("         fix: %s\n", json_str_at(error, "fix"));
    }
    if (*json_str_at(s, "task_id"))
        printf("         task: %s\n", json_str_at(s, "task_id"));
    cli_print_lines("         warning: ", json_at(s, "result.warnings"));
}

static void print_undo(const json_t *undo)
{
    const json_t *remains = json_at(undo, "remains");
    if (*json_str_at(undo, "verdict"))
        printf("undo: %s\n", json_str_at(undo, "verdict"));
    for (size_t n = 0; n < json_array_size(remains); n++) {
        const json_t *one = json_array_get(remains, n);
        printf("  stays, for the %s: %s\n    %s\n", json_str_at(one, "owner"), json_str_at(one, "what"),
               json_str_at(one, "command"));
    }
}

static void print_import(const json_t *i)
{
    printf("%s  %s  %s\n", json_str_at(i, "external_ref"), json_str_at(i, "customer.name"), json_str_at(i, "id"));
    printf("account %s  playbook %s  %s\n", json_str_at(i, "organization.management_account_id"),
           json_str_at(i, "playbook"), json_bool_at(i, "livemode") ? "live" : "simulated");
    char since[32];
    cli_since(json_str_or(i, "blocking.since", NULL), since);
    printf("state %s", json_str_at(i, "state"));
    if (*json_str_at(i, "blocking.party"))
        printf(", blocked by %s at %s for %s", json_str_at(i, "blocking.party"), json_str_at(i, "blocking.step"),
               since);
    if (*json_str_at(i, "verdict"))
        printf(", verdict %s", json_str_at(i, "verdict"));
    puts("");
    if (json_has(i, "group") || !str_eq(json_str_or(i, "priority", "normal"), "normal"))
        printf("priority %s  group %s\n", json_str_or(i, "priority", "normal"), json_str_or(i, "group", "none"));
    const json_t *steps = json_at(i, "steps");
    for (size_t n = 0; n < json_array_size(steps); n++)
        print_step(json_array_get(steps, n));
    print_undo(json_at(i, "undo"));
}

/* What a rehearsal said, and whether it came so; nothing when nobody has rehearsed. */
static void print_rehearsal(struct cli *cli, const char *id)
{
    struct err ignored;
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/rehearsal", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, &ignored) != 0 || reply.status != 200 ||
        !json_is_object(json_at(reply.json, "predicted")))
        return;
    const json_t *end = json_at(reply.json, "predicted.end"), *compared = json_at(reply.json, "comparison");
    printf("rehearsal: predicted %s %s %s, %zu writes", json_str_at(end, "state"), json_str_at(end, "step"),
           json_str_at(end, "code"), json_array_size(json_at(reply.json, "predicted.writes")));
    if (!json_is_object(compared))
        puts("");
    else if (json_bool_at(compared, "is_same"))
        puts("; it came exactly so");
    else
        printf("; it came otherwise: %lld of them were made, %zu others, the end was %s\n",
               (long long)json_int_at(compared, "writes.same"), json_array_size(json_at(compared, "writes.extra")),
               json_bool_at(compared, "end.is_same") ? "the same" : "another");
}

/* The last look for drift, when somebody has looked. */
static void print_drift(struct cli *cli, const char *id)
{
    struct err ignored;
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/drift?limit=1", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, &ignored) != 0 || reply.status != 200)
        return;
    const json_t *look = json_array_get(json_at(reply.json, "data"), 0);
    if (!look)
        return;
    if (!str_eq(json_str_at(look, "state"), "completed"))
        printf("drift: the last look is %s %s\n", json_str_at(look, "state"), json_str_at(look, "error.code"));
    else if (json_int_at(look, "found"))
        printf("drift: %lld changed, %lld gone at %s; orgimport drift --last tells what\n",
               (long long)json_int_at(look, "counts.changed"), (long long)json_int_at(look, "counts.gone"),
               json_str_at(look, "looked_at"));
    else
        printf("drift: none at %s (%lld things not visible)\n", json_str_at(look, "looked_at"),
               (long long)json_int_at(look, "counts.not_visible"));
}

int cli_verb_show(struct cli *cli)
{
    const char *words[1];
    size_t count = 0;
    int code = cli_parse(cli, NULL, 0, words, 1, &count);
    struct err err;
    char id[64];
    if (code != EXIT_OK)
        return code;
    if (!count)
        return cli_usage(cli, "show needs an IMPORT (id or external_ref)");
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (!cli_import_id(cli, words[0], id))
        return EXIT_ERROR;
    AUTO_FREE char *path = mem_printf("/v1/imports/%s", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status != 200)
        return cli_problem(cli, &reply);
    if (cli_is_json(cli)) {
        cli_print_value(cli, reply.json);
        return EXIT_OK;
    }
    print_import(reply.json);
    print_rehearsal(cli, id);
    if (str_eq(json_str_at(reply.json, "state"), "completed"))
        print_drift(cli, id);
    return EXIT_OK;
}

int cli_verb_watch(struct cli *cli)
{
    const char *words[64], *timeout = NULL;
    size_t count = 0;
    const struct cli_flag flags[] = {{"timeout-s", &timeout, NULL}};
    int code = cli_parse(cli, flags, 1, words, ARRAY_LEN(words), &count);
    struct err err;
    uint64_t seconds = 0;
    if (code != EXIT_OK)
        return code;
    if (timeout && !cli_number(timeout, 10000000, &seconds))
        return cli_usage(cli, "--timeout-s needs a number");
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    struct progress_options options = {
        .only = words, .only_count = count, .timeout_ms = timeout ? seconds * 1000 : UINT64_MAX};
    return progress_watch(cli, &options, NULL);
}

int cli_verb_explain(struct cli *cli)
{
    const char *words[1];
    size_t count = 0;
    int code = cli_parse(cli, NULL, 0, words, 1, &count);
    if (code != EXIT_OK)
        return code;
    if (!count) {
        for (int i = 1; i < ERR_CODE_COUNT; i++)
            printf("%-28s %-10s %s\n", err_info((enum err_code)i)->name,
                   err_owner_name(err_info((enum err_code)i)->owner), err_info((enum err_code)i)->title);
        return EXIT_OK;
    }
    enum err_code found = err_code_by_name(words[0]);
    if (found == ERR_NONE)
        return cli_usage(cli, "no error has that code; `orgimport explain` lists them");
    const struct err_info *info = err_info(found);
    printf("%s\n  %s\n  mended by: %s\n  fix: %s\n  tried again: %s\n", info->name, info->title,
           err_owner_name(info->owner), info->fix, err_retry_name(info->retry));
    return EXIT_OK;
}
