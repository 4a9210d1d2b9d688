#include "dispatcher/cli/progress.h"

#include "common/base/mem.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LOOK_MS 250

struct screen {
    bool is_terminal;
    int columns, rows, drawn; /* drawn: lines to go back over */
    uint64_t started_ms;
    json_t *last; /* plain mode: what was printed by id */
};

bool progress_is_at_rest(const json_t *import)
{
    const char *state = json_str_at(import, "state");
    bool is_waiting_undo = str_eq(state, "undoing") && *json_str_at(import, "blocking.party");
    return is_waiting_undo || str_in_list("completed,failed,held,cancelled,paused,undone,waiting", state);
}

static void screen_init(struct screen *s, const struct cli *cli)
{
    *s = (struct screen){.is_terminal = isatty(1) && !cli_is_json(cli),
                         .columns = 100,
                         .rows = 30,
                         .started_ms = cli_now_ms(),
                         .last = json_object()};
    struct winsize size;
    if (s->is_terminal && ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 && size.ws_row > 5) {
        s->columns = size.ws_col;
        s->rows = size.ws_row;
    }
}

struct tally {
    size_t total, completed, failed, held, waiting, other;
    int64_t steps_done, steps_total;
};

static struct tally tally_of(const json_t *imports)
{
    struct tally t = {.total = json_array_size(imports)};
    for (size_t i = 0; i < t.total; i++) {
        const json_t *one = json_array_get(imports, i);
        const char *state = json_str_at(one, "state");
        t.steps_done += json_int_at(one, "progress.done");
        t.steps_total += json_int_at(one, "progress.total");
        bool is_waiting_undo = str_eq(state, "undoing") && *json_str_at(one, "blocking.party");
        if (str_in_list("completed,undone", state))
            t.completed++;
        else if (str_eq(state, "failed"))
            t.failed++;
        else if (str_eq(state, "held"))
            t.held++;
        else if (is_waiting_undo || str_eq(state, "waiting"))
            t.waiting++;
        else
            t.other++;
    }
    return t;
}

static void describe(const json_t *one, char *ret, size_t size)
{
    char since[32];
    cli_since(json_str_or(one, "blocking.since", NULL), since);
    const char *party = json_str_at(one, "blocking.party"), *step = json_str_at(one, "blocking.step");
    (void)snprintf(ret, size, "%-16.16s %-20.20s %2d/%-2d %-10s %s%s%s%s%s%s", json_str_at(one, "external_ref"),
                   json_str_at(one, "customer.name"), (int)json_int_at(one, "progress.done"),
                   (int)json_int_at(one, "progress.total"), json_str_at(one, "state"), step, *party ? " <- " : "",
                   party, *party && *since ? ", " : "", *party ? since : "",
                   *json_str_at(one, "verdict") && str_eq(json_str_at(one, "state"), "completed")
                       ? json_str_at(one, "verdict")
                       : "");
}

static void draw_bar(const struct screen *s, const struct tally *t)
{
    int width = s->columns > 70 ? 30 : 10;
    int full = t->steps_total ? (int)(t->steps_done * width / t->steps_total) : 0;
    char bar[40];
    for (int i = 0; i < width; i++)
        bar[i] = i < full ? '#' : '.';
    bar[width] = 0;
    printf("\x1b[K[%s] %lld/%lld steps  %zu completed  %zu running  %zu waiting  %zu held  %zu failed  %llus\n", bar,
           (long long)t->steps_done, (long long)t->steps_total, t->completed, t->other, t->waiting, t->held, t->failed,
           (unsigned long long)(cli_now_ms() - s->started_ms) / 1000);
}

/* Unfinished imports first: what is blocking is what one wants to see when the window is small. */
static void draw(struct screen *s, const json_t *imports, const struct tally *t)
{
    if (s->drawn)
        printf("\x1b[%dA", s->drawn);
    draw_bar(s, t);
    int lines = 1, room = s->rows - 3;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < t->total && lines < room; i++) {
            const json_t *one = json_array_get(imports, i);
            if (str_in_list("completed,undone", json_str_at(one, "state")) != (pass == 1))
                continue;
            char text[300];
            describe(one, text, sizeof text);
            printf("\x1b[K%.*s\n", s->columns - 1, text);
            lines++;
        }
    if ((size_t)lines - 1 < t->total) {
        printf("\x1b[K  ... and %zu more\n", t->total - (size_t)lines + 1);
        lines++;
    }
    for (int i = lines; i < s->drawn; i++)
        printf("\x1b[K\n");
    s->drawn = lines > s->drawn ? lines : s->drawn;
    (void)fflush(stdout);
}

static void print_changes(struct screen *s, const json_t *imports)
{
    for (size_t i = 0; i < json_array_size(imports); i++) {
        const json_t *one = json_array_get(imports, i);
        AUTO_FREE char *now = mem_printf("%s|%s|%s", json_str_at(one, "state"), json_str_at(one, "blocking.step"),
                                         json_str_at(one, "blocking.party"));
        const char *id = json_str_at(one, "id");
        if (str_eq(json_string_value(json_object_get(s->last, id)), now))
            continue;
        json_put_str(s->last, id, now);
        char text[300];
        describe(one, text, sizeof text);
        puts(text);
    }
    (void)fflush(stdout);
}

static bool is_wanted(const struct progress_options *o, const json_t *import)
{
    for (size_t i = 0; i < o->only_count; i++)
        if (str_eq(o->only[i], json_str_at(import, "id")) || str_eq(o->only[i], json_str_at(import, "external_ref")))
            return true;
    return o->only_count == 0;
}

static json_t *look(struct cli *cli, const struct progress_options *o, struct err *err)
{
    json_auto_t *all = cli_list(cli, "/v1/imports", err);
    if (!all)
        return NULL;
    json_t *wanted = json_array();
    for (size_t i = json_array_size(all); i-- > 0;) { /* the API gives the newest first */
        json_t *one = json_array_get(all, i);
        if (is_wanted(o, one))
            (void)json_array_append(wanted, one);
    }
    return wanted;
}

static bool all_rest(const json_t *imports)
{
    for (size_t i = 0; i < json_array_size(imports); i++)
        if (!progress_is_at_rest(json_array_get(imports, i)))
            return false;
    return json_array_size(imports) > 0;
}

static int exit_code(const struct tally *t)
{
    if (t->failed)
        return EXIT_ERROR;
    if (t->held)
        return EXIT_PROOF;
    return t->waiting || t->other ? EXIT_WAITING : EXIT_OK;
}

int progress_watch(struct cli *cli, const struct progress_options *options, json_t **ret_imports)
{
    struct screen screen;
    screen_init(&screen, cli);
    json_auto_t *imports = json_array();
    struct err err = {0};
    uint32_t silent = 0; /* looks in a row without an answer: a restarting dispatcher is not an end */
    bool is_over = false;
    int resting = 0;
    while (!is_over) {
        if (options->supervise)
            options->supervise(options->arg);
        json_t *now = look(cli, options, &err);
        if (now) {
            json_decref(imports);
            imports = now;
            silent = 0;
            struct tally t = tally_of(imports);
            if (screen.is_terminal)
                draw(&screen, imports, &t);
            else if (!cli_is_json(cli))
                print_changes(&screen, imports);
            /* Two looks in a row: a step may be between two waits. */
            resting = all_rest(imports) ? resting + 1 : 0;
            is_over = options->is_over ? options->is_over(options->arg, imports) : resting >= 2;
        } else if (++silent > 120) {
            json_decref(screen.last);
            return cli_error(cli, &err);
        }
        if (!is_over && cli_now_ms() - screen.started_ms > options->timeout_ms)
            break;
        if (!is_over) /* a long list is looked at less often: looking must not be what the dispatcher is busy with */
            cli_pause_ms(LOOK_MS + (uint32_t)json_array_size(imports) * 2);
    }
    json_decref(screen.last);
    struct tally t = tally_of(imports);
    if (cli_is_json(cli))
        cli_print_value(cli, imports);
    if (ret_imports)
        *ret_imports = json_incref(imports);
    return exit_code(&t);
}
