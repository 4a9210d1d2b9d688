/* The verb undo: shows what would be taken back, by whom, and what stays; with --yes it begins. cancel without --keep
 * is the same. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"

static void print_people(const json_t *plan)
{
    const json_t *list = json_at(plan, "people");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        printf("  ask     %-20s %s\n", json_str_at(one, "party"), json_str_at(one, "title"));
    }
}

static void print_remains(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        printf("  stays   %-20s %s\n", json_str_at(one, "owner"), json_str_at(one, "what"));
        if (*json_str_at(one, "command"))
            printf("          %-20s   %s\n", "", json_str_at(one, "command"));
    }
}

static void print_plan(const json_t *plan, const char *word)
{
    const json_t *list = json_at(plan, "removes");
    printf("undo of %s (%s), which is %s:\n", word, json_str_at(plan, "import_id"), json_str_at(plan, "state"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        printf("  remove  %-20s %s\n          %-20s   %s\n", json_str_at(one, "step"), json_str_at(one, "what"), "",
               json_str_at(one, "how"));
    }
    print_people(plan);
    print_remains(json_at(plan, "remains"));
    if (!json_array_size(list) && !json_array_size(json_at(plan, "people")))
        puts("  nothing was made yet");
    printf("%s\n", json_str_at(plan, "note"));
}

static int begin(struct cli *cli, const char *id, const char *word, const char *reason, const char *by)
{
    struct err err;
    json_auto_t *body = json_make("{s:s, s:s}", "reason", reason, "by", by);
    AUTO_FREE char *path = mem_printf("/v1/imports/%s:undo", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_post(cli, path, body, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    if (cli_is_json(cli) && reply.json)
        cli_print_value(cli, reply.json);
    else
        printf("%s: undo begun; `orgimport watch %s` shows it, `orgimport tasks` what people have to do\n", word, word);
    return EXIT_OK;
}

int cli_undo(struct cli *cli, const char *word, const struct cli_undo *how)
{
    struct err err;
    char id[64];
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (!cli_import_id(cli, word, id))
        return EXIT_ERROR;
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/undo-plan", id);
    AUTO_REPLY struct cli_reply plan = {0};
    if (cli_get(cli, path, &plan, &err) != 0)
        return cli_error(cli, &err);
    if (plan.status >= 300)
        return cli_problem(cli, &plan);
    if (!json_bool_at(plan.json, "possible")) {
        printf("%s: nothing to do, %s\n", word, json_str_at(plan.json, "why_not"));
        return EXIT_OK;
    }
    if (how->is_sure)
        return begin(cli, id, word, how->reason, how->by);
    if (cli_is_json(cli)) {
        cli_print_value(cli, plan.json);
    } else {
        print_plan(plan.json, word);
        printf("Nothing has been done. To begin: orgimport undo %s --yes --reason TEXT --by NAME\n", word);
    }
    return EXIT_PENDING;
}

int cli_verb_undo(struct cli *cli)
{
    const char *words[1];
    size_t count = 0;
    struct cli_undo how = {0};
    const struct cli_flag flags[] = {{"reason", &how.reason, NULL}, {"by", &how.by, NULL}, {"yes", NULL, &how.is_sure}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code != EXIT_OK)
        return code;
    if (!count)
        return cli_usage(cli, "which IMPORT? (id or external_ref)");
    if (how.is_sure && (!how.reason || !how.by))
        return cli_usage(cli, "undo --yes needs --reason and --by: both stand in the ledger");
    return cli_undo(cli, words[0], &how);
}
