/* Verb fleet: what all workers do together, and the halt of all writers. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "common/codec/when.h"

static size_t workers_of(const json_t *fleet)
{
    size_t i = 0, k = 0;
    json_t *shard = NULL, *session = NULL;
    json_auto_t *names = json_object();
    json_array_foreach (json_object_get(fleet, "shards"), i, shard)
        json_array_foreach (json_object_get(shard, "sessions"), k, session)
            json_put(names, json_str_at(session, "worker.name"), json_true());
    return json_object_size(names);
}

static json_int_t imports_in(const json_t *fleet, const char *state)
{
    size_t i = 0;
    json_t *shard = NULL;
    json_int_t sum = 0;
    json_array_foreach (json_object_get(fleet, "shards"), i, shard)
        sum += (json_int_t)json_int_at(json_object_get(shard, "imports"), state);
    return sum;
}

static void print_line(const json_t *line, const char *when)
{
    printf("  %-8s %s ago by %s: %s%s%s%s\n", json_str_at(line, "what"), when, json_str_at(line, "by"),
           json_str_at(line, "reason"), *json_str_at(line, "import") ? " (" : "", json_str_at(line, "import"),
           *json_str_at(line, "import") ? ")" : "");
}

static void since(const json_t *line, char ret[32])
{
    uint64_t at = (uint64_t)json_int_at(line, "at_ms"), now = cli_now_ms();
    when_span(now > at ? now - at : 0, ret);
}

static int print_status(struct cli *cli, const json_t *fleet)
{
    char when[32];
    size_t i = 0;
    json_t *line = NULL;
    const json_t *halt = json_object_get(fleet, "halt");
    if (cli_is_json(cli)) {
        cli_print_value(cli, fleet);
        return json_bool_at(fleet, "halted") ? EXIT_PROOF : EXIT_OK;
    }
    printf("%s fleet, %zu workers; imports: %lld running, %lld waiting, %lld held, %lld completed\n",
           json_str_or(fleet, "mode", "this"), workers_of(fleet), (long long)imports_in(fleet, "running"),
           (long long)imports_in(fleet, "waiting"), (long long)imports_in(fleet, "held"),
           (long long)imports_in(fleet, "completed"));
    if (json_bool_at(fleet, "halted")) {
        since(halt, when);
        printf("HALTED since %s by %s: %s\nNo worker changes anything at AWS; reads go on. Find the cause, then: "
               "orgimport "
               "fleet release --reason TEXT --by NAME\n",
               when, json_str_at(halt, "by"), json_str_at(halt, "reason"));
    } else {
        puts("not halted");
    }
    json_array_foreach (json_object_get(fleet, "log"), i, line) {
        since(line, when);
        print_line(line, when);
    }
    return json_bool_at(fleet, "halted") ? EXIT_PROOF : EXIT_OK;
}

static int status(struct cli *cli)
{
    struct err err;
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, "/v1/fleet", &reply, &err) != 0)
        return cli_error(cli, &err);
    return reply.status >= 300 ? cli_problem(cli, &reply) : print_status(cli, reply.json);
}

static int order(struct cli *cli, const char *what, const char *reason, const char *by)
{
    struct err err;
    if (!reason || !by)
        return cli_usage(cli, "fleet halt and fleet release need --reason and --by: both stand in the fleet's log");
    json_auto_t *body = json_make("{s:s, s:s}", "reason", reason, "by", by);
    AUTO_FREE char *path = mem_printf("/v1/fleet:%s", what);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_post(cli, path, body, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    if (cli_is_json(cli))
        cli_print_value(cli, reply.json);
    else
        puts(json_bool_at(reply.json, "halted") ? "halted: every worker stops writing within one lease time"
                                                : "released: writers go on by themselves");
    return EXIT_OK;
}

int cli_verb_fleet(struct cli *cli)
{
    const char *reason = NULL, *by = NULL, *words[1];
    size_t count = 0;
    struct err err;
    const struct cli_flag flags[] = {{"reason", &reason, NULL}, {"by", &by, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code != EXIT_OK)
        return code;
    const char *what = count ? words[0] : "status";
    if (!str_in_list("status,halt,release", what))
        return cli_usage(cli, "fleet status, fleet halt or fleet release");
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    return str_eq(what, "status") ? status(cli) : order(cli, what, reason, by);
}
