/* orgimport: finds the verb, leaves the rest to its file. */
#include "dispatcher/cli/cli.h"

#include "common/log/log.h"

#include <signal.h>
#include <string.h>

const struct cli_verb cli_verbs[] = {
#define VERB(name, usage, what, example) {#name, usage, what, example, cli_verb_##name},
#include "dispatcher/cli/verbs.def"
#undef VERB
};
const size_t cli_verb_count = ARRAY_LEN(cli_verbs);

const struct cli_verb *cli_verb_by_name(const char *name)
{
    for (size_t i = 0; i < cli_verb_count; i++)
        if (str_eq(cli_verbs[i].name, name))
            return &cli_verbs[i];
    return NULL;
}

int cli_verb_version(struct cli *cli)
{
    (void)cli;
    puts("orgimport " ORGIMPORT_VERSION);
    return EXIT_OK;
}

static void print_overview(void)
{
    puts("orgimport takes over AWS Organizations with zero disruption, and proves it.\n\n"
         "usage: orgimport [options] VERB [words]\n");
    for (size_t i = 0; i < cli_verb_count; i++)
        printf("  %-8s %s\n", cli_verbs[i].name, cli_verbs[i].what);
    AUTO_STR struct str options;
    str_init(&options, 65536);
    config_help(CONFIG_CLI, &options);
    printf("\nOptions (also as ORGIMPORT_<NAME> in the environment, or in --config FILE):\n%s", options.data);
    puts(
        "\nExit codes: 0 ok, 1 error, 2 usage, 3 not ready, 4 changes pending, 5 waiting on a person, 6 proof failed.\n"
        "Without --url a private local fleet is used; `orgimport demo` shows everything on a simulated AWS.");
}

int cli_verb_help(struct cli *cli)
{
    if (!cli->argc) {
        print_overview();
        return EXIT_OK;
    }
    const struct cli_verb *verb = cli_verb_by_name(cli->argv[0]);
    if (!verb) {
        (void)fprintf(stderr, "orgimport: there is no verb `%s`; `orgimport help` lists them\n", cli->argv[0]);
        return EXIT_USAGE;
    }
    printf("orgimport %s %s\n  %s\n\nexample:\n  %s\n", verb->name, verb->usage, verb->what, verb->example);
    return EXIT_OK;
}

static int run(struct config *config, int rest, enum config_wants wants, int argc, char **argv)
{
    struct cli cli = {.config = config, .program = argv[0]};
    if (wants == CONFIG_WANTS_VERSION)
        return cli_verb_version(&cli);
    if (wants == CONFIG_WANTS_HELP || rest >= argc)
        return cli_verb_help(&cli);
    const struct cli_verb *verb = cli_verb_by_name(argv[rest]);
    if (!verb) {
        (void)fprintf(stderr, "orgimport: there is no verb `%s`; `orgimport help` lists them\n", argv[rest]);
        return EXIT_USAGE;
    }
    cli.argc = argc - rest - 1;
    cli.argv = argv + rest + 1;
    for (int i = 0; i < cli.argc; i++)
        if (str_eq(cli.argv[i], "--help") || str_eq(cli.argv[i], "-h")) {
            char *name = argv[rest];
            cli.argc = 1;
            cli.argv = &name;
            return cli_verb_help(&cli);
        }
    return verb->run(&cli);
}

/* People write options after the verb too (`orgimport list --output json`): those of the table above go to the front.
 */
static void options_first(int argc, char **argv)
{
    static const char *const names[] = {"config", "token-file", "url", "output", "state-dir", "log-level"};
    int front = 1;
    for (int i = 1; i < argc; i++) {
        size_t len = str_starts(argv[i], "--") ? strcspn(argv[i] + 2, "=") : 0;
        bool is_ours = false;
        for (size_t n = 0; len && n < ARRAY_LEN(names); n++)
            is_ours = is_ours || (strlen(names[n]) == len && memcmp(names[n], argv[i] + 2, len) == 0);
        if (!is_ours)
            continue;
        int take = argv[i][2 + len] == '=' || i + 1 >= argc ? 1 : 2;
        for (int k = 0; k < take; k++, front++) {
            char *word = argv[i + k];
            memmove(&argv[front + 1], &argv[front], (size_t)(i + k - front) * sizeof *argv);
            argv[front] = word;
        }
        i += take - 1;
    }
}

int main(int argc, char **argv)
{
    struct err err;
    options_first(argc, argv);
    struct config *config = NULL;
    int rest = argc;
    enum config_wants wants;
    (void)signal(SIGPIPE, SIG_IGN);
    log_start("orgimport", LOG_WARN, 2);
    if (config_load(CONFIG_CLI, argc, argv, &config, &rest, &wants, &err) != 0) {
        (void)fprintf(stderr, "orgimport: %s\n", err.text);
        return EXIT_USAGE;
    }
    int code = run(config, rest, wants, argc, argv);
    config_free(config);
    return code;
}
