#include "dispatcher/planner/template.h"
#include "dispatcher/planner/loose.h"

#include "common/base/mem.h"

#include <string.h>

#define TEMPLATE_TEXT_MAX 65536
#define TEMPLATE_NAME_MAX 64

/* Walks one text: literal runs and variables go to the callbacks of `sink`. */
struct sink {
    struct str *out; /* expanding */
    const json_t *vars;
    json_t *names; /* or collecting */
};

static int on_variable(struct sink *to, const char *name, size_t len, struct err *err)
{
    char key[TEMPLATE_NAME_MAX + 1];
    memcpy(key, name, len);
    key[len] = 0;
    if (to->names) {
        json_put_bool(to->names, key, true);
        return 0;
    }
    const json_t *value = json_object_get(to->vars, key);
    if (!json_is_string(value))
        return err_set(err, ERR_VARIABLE_UNDEFINED, "the variable {%s} is not defined", key);
    str_add_bytes(to->out, json_string_value(value), json_string_length(value));
    return 0;
}

static void literal(struct sink *to, const char *bytes, size_t len)
{
    if (to->out)
        str_add_bytes(to->out, bytes, len);
}

static int walk(const char *text, struct sink *to, struct err *err)
{
    for (const char *c = text; *c;) {
        if (c[0] == '$' && c[1] == '{') { /* IAM's own policy variable: up to and with its closing brace */
            const char *end = strchr(c, '}');
            size_t n = end ? (size_t)(end - c) + 1 : strlen(c);
            literal(to, c, n);
            c += n;
        } else if (c[0] == '{' && c[1] == '{') {
            literal(to, c, 1);
            c += 2;
        } else if (c[0] == '{') {
            const char *end = strchr(c, '}');
            size_t n = end ? (size_t)(end - c) - 1 : 0;
            if (!end || n == 0 || n > TEMPLATE_NAME_MAX)
                return err_set(err, ERR_SYNTAX, "a brace opens a variable that has no name or never closes");
            if (on_variable(to, c + 1, n, err) < 0)
                return -1;
            c = end + 1;
        } else {
            literal(to, c, 1);
            c++;
        }
    }
    return 0;
}

char *template_text(const char *text, const json_t *vars, struct err *err)
{
    AUTO_STR struct str out;
    str_init(&out, TEMPLATE_TEXT_MAX);
    if (walk(text, &(struct sink){.out = &out, .vars = vars}, err) < 0)
        return NULL;
    if (out.is_over) {
        (void)err_set(err, ERR_TOO_LARGE, "a template grows over %d bytes", TEMPLATE_TEXT_MAX);
        return NULL;
    }
    return str_take(&out);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as json_read allows
static json_t *expand_object(const json_t *value, const json_t *vars, struct err *err)
{
    json_auto_t *out = json_object();
    const char *key;
    const json_t *item;
    for (void *it = json_object_iter(loose(value)); it; it = json_object_iter_next(loose(value), it)) {
        key = json_object_iter_key(it);
        item = json_object_iter_value(it);
        AUTO_FREE char *new_key = template_text(key, vars, err);
        json_t *new_item = new_key ? template_json(item, vars, err) : NULL;
        if (!new_item)
            return NULL;
        json_put(out, new_key, new_item);
    }
    return TAKE(out);
}

/* Recursion is bounded by the depth that json_read() allows. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as json_read allows
json_t *template_json(const json_t *value, const json_t *vars, struct err *err)
{
    if (json_is_string(value)) {
        AUTO_FREE char *text = template_text(json_string_value(value), vars, err);
        return text ? json_string(text) : NULL;
    }
    if (json_is_object(value))
        return expand_object(value, vars, err);
    if (!json_is_array(value))
        return json_deep_copy(value);
    json_auto_t *out = json_array();
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *item = template_json(json_array_get(value, i), vars, err);
        if (!item)
            return NULL;
        (void)json_array_append_new(out, item);
    }
    return TAKE(out);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as json_read allows
int template_names(const json_t *value, json_t *set, struct err *err)
{
    struct sink to = {.names = set};
    if (json_is_string(value))
        return walk(json_string_value(value), &to, err);
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++)
        if (template_names(json_array_get(value, i), set, err) < 0)
            return -1;
    if (!json_is_object(value))
        return 0;
    json_t *object = loose(value);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        if (walk(json_object_iter_key(it), &to, err) < 0 || template_names(json_object_iter_value(it), set, err) < 0)
            return -1;
    return 0;
}
