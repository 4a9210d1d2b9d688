/* orgimport import FILE, orgimport check FILE: one JSON object, JSONL or CSV. Keys come from --credentials, are sealed
 * here and never travel in clear. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "common/codec/csv.h"
#include "common/codec/file.h"
#include "common/codec/ini.h"
#include "common/crypto/crypto.h"
#include "common/crypto/seal.h"
#include "dispatcher/cli/key_file.h"
#include "dispatcher/cli/progress.h"

#include <string.h>

#define FILE_BYTES_MAX ((size_t)100 << 20)

enum input_kind { INPUT_JSON, INPUT_JSONL, INPUT_CSV };

static enum input_kind kind_of(const char *path, const char *text)
{
    const char *p = text + strspn(text, " \t\r\n\xEF\xBB\xBF");
    if (*p != '{' && *p != '[')
        return INPUT_CSV;
    if (str_ends(path, ".jsonl") || str_ends(path, ".ndjson"))
        return INPUT_JSONL;
    const char *newline = strchr(p, '\n');
    while (newline && strspn(newline, " \t\r\n") == strlen(newline)) /* only white space follows */
        newline = NULL;
    struct err ignored;
    json_auto_t *first = newline ? json_read(p, (size_t)(newline - p), 0, &ignored) : NULL;
    return first ? INPUT_JSONL : INPUT_JSON;
}

static const char *type_of(enum input_kind kind)
{
    return kind == INPUT_CSV ? "text/csv" : kind == INPUT_JSONL ? "application/jsonl" : "application/json";
}

static int read_input(const char *path, char **ret, size_t *ret_len, struct err *err)
{
    if (file_read(str_eq(path, "-") ? "/dev/stdin" : path, FILE_BYTES_MAX, ret, ret_len, err) != 0)
        return -1;
    return *ret_len ? 0 : err_set(err, ERR_SYNTAX, "%s is empty", path);
}

/* The batch's id is made from its bytes, so that sending the same file again finds the same batch. */
enum sending { SEND_IMPORT, SEND_PLAN, SEND_CHECK };

static int send_file(struct cli *cli, const char *path, enum sending how, struct cli_reply *ret, struct err *err)
{
    static const char *const queries[] = {"", "?plan=1", "?dry_run=1"};
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (read_input(path, &text, &len, err) != 0)
        return -1;
    char digest[65];
    crypto_sha256_hex(text, len, digest);
    AUTO_FREE char *where = mem_printf("/v1/batches%s", queries[how]);
    AUTO_FREE char *key = mem_printf("%s%s", how == SEND_PLAN ? "plan-" : "", digest);
    return cli_send(cli, "POST", where, type_of(kind_of(path, text)), text, len, how == SEND_CHECK ? NULL : key, ret,
                    err);
}

/* The batch is durable when it is accepted; this only waits to show the result. */
static int await_batch(struct cli *cli, const char *batch, struct cli_reply *ret, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/batches/%s", batch);
    for (uint64_t end = cli_now_ms() + 600000; cli_now_ms() < end; cli_pause_ms(50)) {
        cli_reply_done(ret);
        if (cli_get(cli, path, ret, err) != 0)
            return -1;
        if (ret->status != 200)
            return 0;
        if (json_int_at(ret->json, "done") + json_int_at(ret->json, "failed") >= json_int_at(ret->json, "rows"))
            return 0;
    }
    return err_set(err, ERR_IO, "the batch is still being created; `orgimport list` shows it");
}

static int hand_over_keys(struct cli *cli, const struct key_file *keys, const json_t *results)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *row = json_array_get(results, i);
        const struct key_entry *key = key_file_find(keys, json_str_at(row, "external_ref"));
        if (!key || !*json_str_at(row, "import_id"))
            continue;
        struct err err;
        if (key_file_hand_over(cli, key, json_str_at(row, "import_id"), &err) != 0)
            code = cli_error(cli, &err);
    }
    return code;
}

static void print_results(const struct cli *cli, const json_t *batch)
{
    cli_print_rows(cli, json_at(batch, "results"),
                   "external_ref:external_ref:20,import:import_id:40,status:status:10,error:error:50");
    if (!cli_is_json(cli))
        printf("%d rows: %d created or known, %d refused\n", (int)json_int_at(batch, "rows"),
               (int)json_int_at(batch, "done"), (int)json_int_at(batch, "failed"));
}

int cli_import_file(struct cli *cli, const struct cli_file *file, json_t **ret_batch)
{
    struct err err;
    CLEANUP(key_file_done) struct key_file keys = {0};
    if (file->credentials && key_file_read(file->credentials, &keys, &err) != 0)
        return cli_error(cli, &err);
    AUTO_REPLY struct cli_reply reply = {0};
    if (send_file(cli, file->path, file->wants_plan ? SEND_PLAN : SEND_IMPORT, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    AUTO_FREE char *batch = mem_dup(json_str_at(reply.json, "id"));
    if (await_batch(cli, batch, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status != 200)
        return cli_problem(cli, &reply);
    if (!file->is_quiet)
        print_results(cli, reply.json);
    int code = hand_over_keys(cli, &keys, json_at(reply.json, "results"));
    if (json_int_at(reply.json, "failed"))
        code = EXIT_ERROR;
    if (ret_batch)
        *ret_batch = json_incref(reply.json);
    return code;
}

int cli_verb_import(struct cli *cli)
{
    const char *credentials = NULL, *words[1];
    bool is_watching = false;
    size_t count = 0;
    const struct cli_flag flags[] = {{"credentials", &credentials, NULL}, {"watch", NULL, &is_watching}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code != EXIT_OK)
        return code;
    struct err err;
    if (!count) {
        err_set(&err, ERR_USAGE, "import needs a FILE");
        return cli_error(cli, &err);
    }
    cli->makes_fleet = true;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    json_auto_t *batch = NULL;
    code = cli_import_file(cli, &(struct cli_file){.path = words[0], .credentials = credentials}, &batch);
    if (!is_watching || !batch)
        return code;
    struct progress_options options = {.timeout_ms = UINT64_MAX};
    return progress_watch(cli, &options, NULL);
}

int cli_verb_check(struct cli *cli)
{
    const char *words[1];
    size_t count = 0;
    int code = cli_parse(cli, NULL, 0, words, 1, &count);
    struct err err;
    if (code != EXIT_OK)
        return code;
    if (!count) {
        err_set(&err, ERR_USAGE, "check needs a FILE");
        return cli_error(cli, &err);
    }
    AUTO_REPLY struct cli_reply reply = {0};
    cli->makes_fleet = true;
    if (cli_connect(cli, &err) != 0 || send_file(cli, words[0], SEND_CHECK, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    if (cli_is_json(cli))
        cli_print_value(cli, reply.json);
    else
        printf("%s: %d imports, no faults; nothing was created\n", words[0], (int)json_int_at(reply.json, "rows"));
    return EXIT_OK;
}
