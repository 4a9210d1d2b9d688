/* orgimport drift: looks again at a finished import, through the roles that it made, and says what has changed since.
 * Exit code 4 when something changed, 0 when nothing did. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"

#include <string.h>

#define POLL_MS 150

struct words {
    const char *word, *by, *timeout;
    bool json, last, asks_access, no_wait;
    uint64_t timeout_ms;
};

static json_t *newest(struct cli *cli, const char *id, struct err *err)
{
    AUTO_FREE char *path = mem_printf("/v1/imports/%s/drift?limit=1", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_get(cli, path, &reply, err) != 0)
        return NULL;
    if (reply.status != 200) {
        (void)err_set(err, ERR_NOT_FOUND, "%s", json_str_or(reply.json, "title", "the dispatcher refuses"));
        return NULL;
    }
    const json_t *first = json_array_get(json_at(reply.json, "data"), 0);
    return first ? json_incref((json_t *)(uintptr_t)first) : json_null();
}

/* ---- Printing ---- */

static void print_value(const char *word, const json_t *value)
{
    if (!value)
        return;
    AUTO_FREE char *text = json_text(value);
    size_t len = strlen(text);
    printf("         %s %.*s%s\n", word, 600, text, len > 600 ? ".. (--json shows all)" : "");
}

/* What differs, at length. */
static void print_differences(const json_t *look, const char *status)
{
    const json_t *items = json_at(look, "items"), *item;
    for (size_t i = 0; i < json_array_size(items); i++) {
        item = json_array_get(items, i);
        if (!str_eq(json_str_at(item, "status"), status))
            continue;
        const char *text = json_str_at(item, "text");
        printf("%-8s %s: %s%s%s\n", status, json_str_at(item, "resource"), json_str_at(item, "what"), *text ? ": " : "",
               text);
        print_value("from", json_at(item, "from"));
        print_value("to  ", json_at(item, "to"));
    }
}

/* Everything else: one line for each thing and reason. */
static void print_group(const json_t *look, const char *status, const char *title)
{
    json_auto_t *lines = json_object();
    const json_t *items = json_at(look, "items"), *item;
    for (size_t i = 0; i < json_array_size(items); i++) {
        item = json_array_get(items, i);
        if (!str_eq(json_str_at(item, "status"), status))
            continue;
        const char *lacks = json_str_at(item, "lacks"), *resource = json_str_at(item, "resource");
        AUTO_FREE char *one =
            mem_printf("%s%s%s%s", json_str_at(item, "what"), *lacks ? " (lacks " : "", lacks, *lacks ? ")" : "");
        const char *had = json_string_value(json_object_get(lines, resource));
        json_put(lines, resource, had ? json_sprintf("%s, %s", had, one) : json_string(one));
    }
    if (!json_object_size(lines))
        return;
    printf("%s:\n", title);
    const char *resource;
    json_t *text;
    json_object_foreach (lines, resource, text)
        printf("  %s: %s\n", resource, json_string_value(text));
}

static void print_look(const char *word, const json_t *look)
{
    const json_t *through = json_at(look, "through");
    print_group(look, "same", "same as at the handover");
    print_group(look, "not_visible", "not visible through the roles that were made");
    print_differences(look, "changed");
    print_differences(look, "gone");
    printf("%s: ", word);
    if (json_int_at(look, "found") == 0)
        printf("no drift");
    else
        printf("DRIFT, %lld changed, %lld gone", (long long)json_int_at(look, "counts.changed"),
               (long long)json_int_at(look, "counts.gone"));
    printf("; %lld same, %lld not visible; looked at %s through ", (long long)json_int_at(look, "counts.same"),
           (long long)json_int_at(look, "counts.not_visible"), json_str_at(look, "looked_at"));
    for (size_t i = 0; i < json_array_size(through); i++)
        printf("%s%s", i ? ", " : "", json_string_value(json_array_get(through, i)));
    puts("");
}

static int report(const struct cli *cli, const struct words *w, const json_t *look)
{
    const json_t *error = json_at(look, "error");
    bool is_done = str_eq(json_str_at(look, "state"), "completed");
    if (w->json || cli_is_json(cli)) {
        AUTO_FREE char *text = json_text(look);
        puts(text);
    } else if (is_done) {
        print_look(w->word, look);
    } else if (json_is_object(error)) {
        (void)fprintf(stderr, "orgimport: %s (%s, %s)\n  fix: %s\n", json_str_at(error, "text"),
                      json_str_at(error, "code"), json_str_at(error, "owner"), json_str_at(error, "fix"));
    } else if (*json_str_at(look, "task_id")) {
        printf("%s: waits for the customer: %s\n  orgimport drift %s --last   shows the result once access is there\n",
               w->word, json_str_at(look, "task_id"), w->word);
    } else {
        printf("%s: the look is %s\n", w->word, json_str_at(look, "state"));
    }
    if (is_done)
        return json_int_at(look, "found") ? EXIT_PENDING : EXIT_OK;
    return json_is_object(error) ? EXIT_ERROR : *json_str_at(look, "task_id") ? EXIT_WAITING : EXIT_NOT_READY;
}

/* ---- Looking ---- */

static bool is_over(const json_t *look)
{
    return str_in_list("completed,failed,cancelled,held,waiting", json_str_at(look, "state"));
}

static int follow(struct cli *cli, const struct words *w, const char *id)
{
    struct err err = {0};
    for (uint64_t end = cli_now_ms() + w->timeout_ms;; cli_pause_ms(POLL_MS)) {
        json_auto_t *look = newest(cli, id, &err);
        if (!look)
            return cli_error(cli, &err);
        if (w->last && json_is_null(look))
            return cli_usage(cli, "nobody has looked for drift yet; leave --last out");
        if (w->last || is_over(look) || cli_now_ms() > end)
            return report(cli, w, look);
    }
}

static int ask(struct cli *cli, const struct words *w, const char *id)
{
    struct err err = {0};
    json_auto_t *body =
        json_make("{s:s, s:b}", "by", w->by ? w->by : "command line", "ask_access", (int)w->asks_access);
    AUTO_FREE char *path = mem_printf("/v1/imports/%s:drift", id);
    AUTO_REPLY struct cli_reply reply = {0};
    if (cli_post(cli, path, body, &reply, &err) != 0)
        return cli_error(cli, &err);
    if (reply.status >= 300)
        return cli_problem(cli, &reply);
    if (!w->no_wait)
        return follow(cli, w, id);
    printf("%s: looking; `orgimport drift %s --last` shows the result\n", w->word, w->word);
    return EXIT_OK;
}

int cli_verb_drift(struct cli *cli)
{
    struct words w = {.timeout = "300"};
    const char *words[1];
    size_t count = 0;
    char id[64];
    struct err err = {0};
    uint64_t seconds = 0;
    const struct cli_flag flags[] = {{"json", NULL, &w.json},       {"last", NULL, &w.last},
                                     {"by", &w.by, NULL},           {"ask-access", NULL, &w.asks_access},
                                     {"no-wait", NULL, &w.no_wait}, {"timeout-s", &w.timeout, NULL}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 1, &count);
    if (code != EXIT_OK)
        return code;
    if (!count || !cli_number(w.timeout, 1000000, &seconds))
        return cli_usage(cli, "drift needs an IMPORT (id or external_ref); --timeout-s takes a number");
    w.word = words[0];
    w.timeout_ms = seconds * 1000;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    if (!cli_import_id(cli, w.word, id))
        return EXIT_ERROR;
    return w.last ? follow(cli, &w, id) : ask(cli, &w, id);
}
