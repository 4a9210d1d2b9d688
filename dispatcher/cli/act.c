/* Verbs that steer: retry, pause, resume, accept, cancel, done. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"

#include <string.h>

/* POST /v1/imports/{id}:ACTION and what all such verbs say. */
static int act(struct cli *cli, const char *word, const char *action, json_t *body_taken)
{
    json_auto_t *body = body_taken;
    struct err err;
    char id[64];
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (!cli_import_id(cli, word, id))
        return EXIT_ERROR;
    AUTO_FREE char *path = mem_printf("/v1/imports/%s:%s", id, action);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_post(cli, path, body, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    if (cli_is_json(cli) && reply.json)
        cli_print_value(cli, reply.json);
    else
        printf("%s: %s\n", word, action);
    return EXIT_OK;
}

struct words {
    const char *word, *reason, *by, *step;
    bool keep, is_sure;
};

static int parse_action(struct cli *cli, struct words *ret)
{
    const char *words[1];
    size_t count = 0;
    const struct cli_flag flags[] = {{"reason", &ret->reason, NULL},
                                     {"by", &ret->by, NULL},
                                     {"step", &ret->step, NULL},
                                     {"keep", NULL, &ret->keep},
                                     {"yes", NULL, &ret->is_sure}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code == EXIT_OK && !count)
        code = cli_usage(cli, "which IMPORT? (id or external_ref)");
    ret->word = count ? words[0] : NULL;
    return code;
}

static json_t *action_body(const struct words *w)
{
    json_t *body = json_object();
    if (w->reason)
        json_put_str(body, "reason", w->reason);
    if (w->by)
        json_put_str(body, "by", w->by);
    if (w->step)
        json_put_str(body, "step", w->step);
    if (w->keep)
        json_put_bool(body, "keep", true);
    return body;
}

static int simple_action(struct cli *cli, const char *action)
{
    struct words w = {0};
    int code = parse_action(cli, &w);
    return code == EXIT_OK ? act(cli, w.word, action, action_body(&w)) : code;
}

int cli_verb_pause(struct cli *cli)
{
    return simple_action(cli, "pause");
}

int cli_verb_resume(struct cli *cli)
{
    return simple_action(cli, "resume");
}

int cli_verb_retry(struct cli *cli)
{
    return simple_action(cli, "retry");
}

int cli_verb_accept(struct cli *cli)
{
    struct words w = {0};
    int code = parse_action(cli, &w);
    if (code == EXIT_OK && (!w.reason || !w.by))
        return cli_usage(cli, "accept needs --reason and --by: both stand in the ledger");
    return code == EXIT_OK ? act(cli, w.word, "accept", action_body(&w)) : code;
}

int cli_verb_cancel(struct cli *cli)
{
    struct words w = {0};
    int code = parse_action(cli, &w);
    if (code == EXIT_OK && w.is_sure && !w.keep && (!w.reason || !w.by))
        return cli_usage(cli, "cancel without --keep is undo; with --yes it needs --reason and --by");
    if (code == EXIT_OK && !w.keep) {
        if (!w.is_sure)
            puts("cancel takes back what was made. Say --keep to leave it in the account as it is.");
        return cli_undo(cli, w.word, &(struct cli_undo){.reason = w.reason, .by = w.by, .is_sure = w.is_sure});
    }
    return code == EXIT_OK ? act(cli, w.word, "cancel", action_body(&w)) : code;
}

int cli_verb_done(struct cli *cli)
{
    const char *by = NULL, *note = NULL, *code_text = NULL, *second = NULL, *words[1];
    size_t count = 0;
    const struct cli_flag flags[] = {
        {"by", &by, NULL}, {"note", &note, NULL}, {"code", &code_text, NULL}, {"second-person", &second, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    struct err err;
    if (code != EXIT_OK)
        return code;
    if (!count || !by)
        return cli_usage(cli, "done needs a TASK and --by NAME; `orgimport tasks` lists them");
    json_auto_t *body = json_make("{s:s}", "by", by);
    if (note)
        json_put_str(body, "note", note);
    if (code_text)
        json_put_str(body, "code", code_text);
    if (second)
        json_put_str(body, "second_person", second);
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    AUTO_FREE char *path = mem_printf("/v1/tasks/%s:done", words[0]);
    AUTO_REPLY struct cli_reply reply = {0};
    if (strpbrk(words[0], "/?&#"))
        return cli_usage(cli, "that is no task id");
    if (cli_post(cli, path, body, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    puts("noted; the step looks for itself now");
    return EXIT_OK;
}
