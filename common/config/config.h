/* Settings. One table (config.def) makes the parser, the environment names, `--help` and the documentation.
 * Precedence: flags > environment ORGIMPORT_<NAME> > file (--config FILE, JSON object of names) > default. */
#pragma once

#include "common/base/err.h"
#include "common/base/str.h"

enum config_program { CONFIG_CLI = 1, CONFIG_DISPATCHER = 2, CONFIG_WORKER = 4, CONFIG_ALL = 7 };

enum config_key {
#define CONFIG(id, name, type, fallback, min, max, programs, help) CONFIG_##id,
#include "common/config/config.def"
#undef CONFIG
    CONFIG_KEY_COUNT
};

struct config; /* opaque */

/* Reads argv (stops at the first non-flag word or "--"), the environment and the file; bounds are checked for all
 * three. `ret_rest` is the index of the first word not taken. `--help` and `--version` are left to the caller: they are
 * reported through ret_wants. Errors: ERR_CONFIG naming the setting, its source and what is allowed. */
enum config_wants { CONFIG_RUN, CONFIG_WANTS_HELP, CONFIG_WANTS_VERSION };
NODISCARD int config_load(enum config_program program, int argc, char **argv, struct config **ret, int *ret_rest,
                          enum config_wants *ret_wants, struct err *err);
void config_free(struct config *c);
const char *config_text(const struct config *c, enum config_key key); /* "" when unset */
int64_t config_int(const struct config *c, enum config_key key);
bool config_bool(const struct config *c, enum config_key key);
/* Where a value came from: "flag", "environment", "file", "default". */
const char *config_source(const struct config *c, enum config_key key);
/* The options part of --help. */
void config_help(enum config_program program, struct str *out);
