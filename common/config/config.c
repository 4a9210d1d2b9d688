#include "common/config/config.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

enum type { TEXT, INT, BOOL, CHOICE, PATH };

struct setting {
    const char *name;
    enum type type;
    const char *fallback; /* CHOICE: all words, the default first */
    int64_t min, max;
    unsigned programs;
    const char *help;
};

static const struct setting settings[CONFIG_KEY_COUNT] = {
#define CONFIG(id, name, type, fallback, min, max, programs, help)                                                     \
    [CONFIG_##id] = {name, type, fallback, min, max, programs, help},
#include "common/config/config.def"
#undef CONFIG
};

struct value {
    char *text;
    int64_t number;
    const char *source;
};

struct config {
    enum config_program program;
    struct value values[CONFIG_KEY_COUNT];
};

static int find(const struct config *c, const char *name, size_t len)
{
    for (int i = 0; i < CONFIG_KEY_COUNT; i++)
        if ((settings[i].programs & c->program) && strlen(settings[i].name) == len &&
            memcmp(settings[i].name, name, len) == 0)
            return i;
    return -1;
}

static bool parse_int(const char *text, int64_t *ret)
{
    bool is_negative = *text == '-';
    uint64_t n;
    if (!str_to_u64(text + is_negative, INT64_MAX, &n))
        return false;
    *ret = is_negative ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *p = choices; n && p;) {
        size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, text, n) == 0)
            return true;
        p = p[len] ? p + len + 1 : NULL;
    }
    return false;
}

static int set(struct config *c, int key, const char *text, const char *source, struct err *err)
{
    const struct setting *s = &settings[key];
    int64_t number = 0;
    switch (s->type) {
    case INT:
        if (!parse_int(text, &number) || number < s->min || number > s->max)
            return err_set(err, ERR_CONFIG, "%s (from %s) must be a number from %" PRId64 " to %" PRId64, s->name,
                           source, s->min, s->max);
        break;
    case BOOL:
        number = str_eq(text, "true") || str_eq(text, "1") || str_eq(text, "yes");
        if (!number && !str_eq(text, "false") && !str_eq(text, "0") && !str_eq(text, "no"))
            return err_set(err, ERR_CONFIG, "%s (from %s) must be true or false", s->name, source);
        break;
    case CHOICE:
        if (!is_choice(s->fallback, text))
            return err_set(err, ERR_CONFIG, "%s (from %s) must be one of %s", s->name, source, s->fallback);
        break;
    case TEXT:
    case PATH:
    default:
        if (strlen(text) > 4096)
            return err_set(err, ERR_CONFIG, "%s (from %s) is longer than 4096 bytes", s->name, source);
    }
    mem_free(c->values[key].text);
    c->values[key] = (struct value){.text = mem_dup(text), .number = number, .source = source};
    return 0;
}

static int load_defaults(struct config *c, struct err *err)
{
    for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *fallback = settings[i].fallback;
        AUTO_FREE char *first =
            mem_dup_bytes(fallback, settings[i].type == CHOICE ? strcspn(fallback, "|") : strlen(fallback));
        if (set(c, i, first, "default", err) != 0)
            return -1;
    }
    return 0;
}

static int load_file(struct config *c, const char *path, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, (size_t)1 << 20, &text, &len, err) != 0)
        return -1;
    json_auto_t *root = json_read(text, len, 0, err);
    if (!root)
        return err_wrap(err, "%s", path);
    if (!json_is_object(root))
        return err_set(err, ERR_CONFIG, "%s: must be a JSON object of settings", path);
    const char *name;
    json_t *value;
    json_object_foreach (root, name, value) {
        int key = find(c, name, strlen(name));
        if (key < 0 || key == CONFIG_CONFIG_FILE)
            return err_set(err, ERR_CONFIG, "%s: no setting is called `%s` here", path, name);
        AUTO_FREE char *plain = json_is_string(value) ? mem_dup(json_string_value(value)) : json_text(value);
        if (set(c, key, plain, "file", err) != 0)
            return -1;
    }
    return 0;
}

static void env_name(const char *name, char *ret, size_t size)
{
    (void)snprintf(ret, size, "ORGIMPORT_%s", name);
    for (char *p = ret; *p; p++)
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

static int load_environment(struct config *c, bool only_file, struct err *err)
{
    for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
        char name[64];
        env_name(settings[i].name, name, sizeof name);
        const char *text = getenv(name);
        if (!text || !(settings[i].programs & c->program) || only_file != (i == CONFIG_CONFIG_FILE))
            continue;
        if (set(c, i, text, "environment", err) != 0)
            return -1;
    }
    return 0;
}

/* One pass over the flags; only_file picks --config alone, so that the file can be read before the other flags win. */
static int load_flags(struct config *c, int argc, char **argv, bool only_file, int *ret_rest,
                      enum config_wants *ret_wants, struct err *err)
{
    int i = 1;
    for (; i < argc; i++) {
        const char *arg = argv[i];
        if (str_eq(arg, "--")) {
            i++;
            break;
        }
        if (arg[0] != '-' || !arg[1])
            break;
        if (str_eq(arg, "--help") || str_eq(arg, "-h") || str_eq(arg, "--version")) {
            *ret_wants = str_eq(arg, "--version") ? CONFIG_WANTS_VERSION : CONFIG_WANTS_HELP;
            continue;
        }
        size_t len = strcspn(arg, "=");
        int key = str_starts(arg, "--") && len > 2 ? find(c, arg + 2, len - 2) : -1;
        if (key < 0)
            return err_set(err, ERR_USAGE, "there is no option %.*s", (int)len, arg);
        bool has_value = arg[len] == '=';
        const char *text = has_value                    ? arg + len + 1
                           : settings[key].type == BOOL ? "true"
                           : i + 1 < argc               ? argv[++i]
                                                        : NULL;
        if (!text)
            return err_set(err, ERR_USAGE, "%s needs a value", arg);
        if (only_file == (key == CONFIG_CONFIG_FILE) && set(c, key, text, "flag", err) != 0)
            return -1;
    }
    *ret_rest = i;
    return 0;
}

int config_load(enum config_program program, int argc, char **argv, struct config **ret, int *ret_rest,
                enum config_wants *ret_wants, struct err *err)
{
    struct config *c = MEM_NEW(struct config);
    c->program = program;
    *ret_wants = CONFIG_RUN;
    int result = load_defaults(c, err);
    if (result == 0)
        result = load_environment(c, true, err);
    if (result == 0)
        result = load_flags(c, argc, argv, true, ret_rest, ret_wants, err);
    if (result == 0 && *config_text(c, CONFIG_CONFIG_FILE))
        result = load_file(c, config_text(c, CONFIG_CONFIG_FILE), err);
    if (result == 0)
        result = load_environment(c, false, err);
    if (result == 0)
        result = load_flags(c, argc, argv, false, ret_rest, ret_wants, err);
    if (result != 0) {
        config_free(c);
        return -1;
    }
    *ret = c;
    return 0;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (int i = 0; i < CONFIG_KEY_COUNT; i++)
        mem_free(c->values[i].text);
    mem_free(c);
}

const char *config_text(const struct config *c, enum config_key key)
{
    return c->values[key].text;
}

int64_t config_int(const struct config *c, enum config_key key)
{
    return c->values[key].number;
}

bool config_bool(const struct config *c, enum config_key key)
{
    return c->values[key].number != 0;
}

const char *config_source(const struct config *c, enum config_key key)
{
    return c->values[key].source;
}

void config_help(enum config_program program, struct str *out)
{
    static const char *const type_names[] = {"TEXT", "N", "", "", "PATH"};
    for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct setting *s = &settings[i];
        if (!(s->programs & program))
            continue;
        char left[96];
        (void)snprintf(left, sizeof left, "--%s %s", s->name, s->type == CHOICE ? s->fallback : type_names[s->type]);
        str_addf(out, "  %-34s %s", left, s->help);
        if (s->type == INT)
            str_addf(out, " (%s; %" PRId64 " to %" PRId64 ")", s->fallback, s->min, s->max);
        else if (s->type == TEXT && *s->fallback)
            str_addf(out, " (%s)", s->fallback);
        str_add(out, "\n");
    }
}
