/* The command line: verbs in files of their own, all on these few helpers. It talks HTTP to a dispatcher; without --url
 * it uses the private local fleet (local.h). To add a verb: one file, one line in verbs.def. */
#pragma once

#include "common/codec/json.h"
#include "common/config/config.h"

#include <stdio.h>

/* Exit codes, stable: scripts depend on them. */
enum cli_exit {
    EXIT_OK = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_READY = 3,
    EXIT_PENDING = 4,
    EXIT_WAITING = 5,
    EXIT_PROOF = 6
};

struct cli {
    const struct config *config;
    char url[256]; /* dispatcher, without trailing slash; "" until cli_connect */
    char token[256];
    int argc; /* words after the verb */
    char **argv;
    const char *program;
    bool makes_fleet; /* import and check may begin a first local fleet; who looks or acts needs one that is there */
};

typedef int cli_verb_fn(struct cli *cli);
#define VERB(name, usage, what, example) cli_verb_fn cli_verb_##name;
#include "dispatcher/cli/verbs.def"
#undef VERB

struct cli_verb {
    const char *name, *usage, *what, *example;
    cli_verb_fn *run;
};
extern const struct cli_verb cli_verbs[];
extern const size_t cli_verb_count;
const struct cli_verb *cli_verb_by_name(const char *name);

/* ---- Words of a verb: `--name value`, `--name=value`, `--name`; the rest are positional. ---- */
struct cli_flag {
    const char *name;  /* without dashes */
    const char **text; /* takes a value, or NULL */
    bool *is_set;      /* a switch, or NULL */
};
/* Positional words come back in ret_words (borrowed). EXIT_USAGE after printing what is wrong. */
int cli_parse(struct cli *cli, const struct cli_flag *flags, size_t flag_count, const char **ret_words,
              size_t words_max, size_t *ret_count);
bool cli_number(const char *text, uint64_t max, uint64_t *ret);

/* ---- Talking to the dispatcher ---- */
struct cli_reply {
    int status;   /* HTTP */
    json_t *json; /* NULL when there is none */
    char headers[256];
};
void cli_reply_done(struct cli_reply *r);
#define AUTO_REPLY CLEANUP(cli_reply_done)
/* Finds the dispatcher (--url, or the local fleet, started when need be) and its token. */
NODISCARD int cli_connect(struct cli *cli, struct err *err);
/* -1 only when there was no HTTP answer. `body` NULL for none; `idempotency_key` NULL for none. */
NODISCARD int cli_send(struct cli *cli, const char *method, const char *path, const char *type, const char *body,
                       size_t len, const char *idempotency_key, struct cli_reply *ret, struct err *err);
/* Appends "?name=value" or "&name=value", encoded; nothing when `value` is NULL. */
void cli_add_query(struct str *path, const char *name, const char *value);
NODISCARD int cli_get(struct cli *cli, const char *path, struct cli_reply *ret, struct err *err);
NODISCARD int cli_post(struct cli *cli, const char *path, const json_t *body, struct cli_reply *ret, struct err *err);
/* Prints a problem+json answer with all its faults; gives the exit code that fits. */
int cli_problem(const struct cli *cli, const struct cli_reply *reply);
int cli_error(const struct cli *cli, const struct err *err); /* prints, EXIT_ERROR (USAGE for ERR_USAGE) */
/* All pages of a list. New array, or NULL with err / a printed problem. */
json_t *cli_list(struct cli *cli, const char *path, struct err *err);
/* The id of one import, given its id or external_ref. False after printing. */
bool cli_import_id(struct cli *cli, const char *word, char ret[64]);

/* ---- Printing ---- */
bool cli_is_json(const struct cli *cli);
/* Rows of a list by --output; table columns "title:path:width,...". */
void cli_print_rows(const struct cli *cli, const json_t *rows, const char *columns);
void cli_print_value(const struct cli *cli, const json_t *value);
void cli_print_lines(const char *label, const json_t *lines); /* texts, or objects with a "text": a line each */
/* "3 min" since an RFC 3339 time; "" when absent. */
void cli_since(const char *rfc3339, char ret[32]);
uint64_t cli_now_ms(void);
void cli_pause_ms(uint32_t ms); /* between looks, never to wait for luck: every caller has a condition and a deadline */

/* ---- import.c: sends a file, waits until its batch exists, hands over the keys. ret_batch: new reference or NULL.
 * ---- */
struct cli_file {
    const char *path, *credentials; /* NULL: none */
    bool wants_plan;                /* imports wait for their plan's approval */
    bool is_quiet;
};
int cli_import_file(struct cli *cli, const struct cli_file *file, json_t **ret_batch);
int cli_usage(const struct cli *cli, const char *text); /* prints, EXIT_USAGE */

/* ---- undo.c: the plan and EXIT_PENDING, or, when sure, the beginning ---- */
struct cli_undo {
    const char *reason, *by;
    bool is_sure;
};
int cli_undo(struct cli *cli, const char *word, const struct cli_undo *how);
