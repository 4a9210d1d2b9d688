/* The words of a verb, and small things that all verbs print. */
#include "dispatcher/cli/cli.h"

#include "common/base/env.h"
#include "common/base/mem.h"
#include "common/codec/when.h"

#include <string.h>
#include <time.h>

bool cli_number(const char *text, uint64_t max, uint64_t *ret)
{
    return str_to_u64(text, max, ret);
}

static int bad_word(const struct cli *cli, const char *what, const char *word)
{
    (void)fprintf(stderr, "orgimport: %s `%s`; see `orgimport help`\n", what, word);
    (void)cli;
    return EXIT_USAGE;
}

static const struct cli_flag *flag_by_name(const struct cli_flag *flags, size_t count, const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

int cli_parse(struct cli *cli, const struct cli_flag *flags, size_t flag_count, const char **ret_words,
              size_t words_max, size_t *ret_count)
{
    size_t count = 0;
    for (int i = 0; i < cli->argc; i++) {
        const char *word = cli->argv[i];
        if (!str_starts(word, "--")) {
            if (count == words_max)
                return bad_word(cli, "one word too many:", word);
            ret_words[count++] = word;
            continue;
        }
        size_t len = strcspn(word + 2, "=");
        const struct cli_flag *flag = flag_by_name(flags, flag_count, word + 2, len);
        if (!flag)
            return bad_word(cli, "this verb has no option", word);
        if (flag->is_set) {
            *flag->is_set = true;
        } else if (word[2 + len] == '=') {
            *flag->text = word + 3 + len;
        } else {
            if (i + 1 >= cli->argc)
                return bad_word(cli, "a value is missing after", word);
            *flag->text = cli->argv[++i];
        }
    }
    *ret_count = count;
    return EXIT_OK;
}

bool cli_is_json(const struct cli *cli)
{
    return !str_eq(config_text(cli->config, CONFIG_OUTPUT), "table");
}

void cli_print_lines(const char *label, const json_t *lines)
{
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const char *text = json_is_string(line) ? json_string_value(line) : json_str_at(line, "text");
        printf("%s%s\n", label, text);
    }
}

void cli_print_value(const struct cli *cli, const json_t *value)
{
    bool is_lines = str_eq(config_text(cli->config, CONFIG_OUTPUT), "jsonl");
    char *text = json_dumps(value, JSON_ENCODE_ANY | (is_lines ? JSON_COMPACT : JSON_INDENT(2)));
    if (text)
        puts(text);
    mem_free(text);
}

struct column {
    char title[24];
    char path[64];
    int width;
};

static size_t parse_columns(const char *text, struct column *ret, size_t max)
{
    size_t n = 0;
    for (const char *p = text; *p && n < max;) {
        struct column *c = &ret[n++];
        size_t a = strcspn(p, ":"), b = strcspn(p + a + 1, ":");
        (void)snprintf(c->title, sizeof c->title, "%.*s", (int)a, p);
        (void)snprintf(c->path, sizeof c->path, "%.*s", (int)b, p + a + 1);
        char *end;
        c->width = (int)strtol(p + a + b + 2, &end, 10);
        p = *end == ',' ? end + 1 : end;
    }
    return n;
}

void cli_since(const char *rfc3339, char ret[32])
{
    uint64_t at, now = cli_now_ms();
    ret[0] = 0;
    if (rfc3339 && when_parse(rfc3339, &at))
        when_span(now > at ? now - at : 0, ret);
}

static void print_cell(const struct column *c, const json_t *row)
{
    char buf[64] = "";
    const json_t *at = json_at(row, c->path);
    const char *text = json_string_value(at);
    if (json_is_integer(at)) {
        (void)snprintf(buf, sizeof buf, "%" JSON_INTEGER_FORMAT, json_integer_value(at));
        text = buf;
    } else if (text && (str_ends(c->path, "since") || str_ends(c->path, "_at"))) {
        cli_since(text, buf);
        text = buf;
    }
    printf("%-*.*s ", c->width, c->width, text ? text : "");
}

void cli_print_rows(const struct cli *cli, const json_t *rows, const char *columns)
{
    const char *output = config_text(cli->config, CONFIG_OUTPUT);
    if (str_eq(output, "json")) {
        cli_print_value(cli, rows);
        return;
    }
    struct column cols[12];
    size_t n = parse_columns(columns, cols, ARRAY_LEN(cols));
    bool is_table = str_eq(output, "table");
    for (size_t i = 0; is_table && json_array_size(rows) && i < n; i++)
        printf("%-*s%c", cols[i].width, cols[i].title, i + 1 == n ? '\n' : ' ');
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        if (!is_table) {
            cli_print_value(cli, row);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            print_cell(&cols[i], row);
        puts("");
    }
    if (is_table && !json_array_size(rows))
        puts("(none)");
}

uint64_t cli_now_ms(void)
{
    return env_unix_ms(env_system());
}

void cli_pause_ms(uint32_t ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&ts, NULL);
}
