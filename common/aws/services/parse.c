/* Facts from answers by specs (build.h). An answer is untrusted: a shape that we do not know is ERR_AWS_ANSWER, never a
 * guess, and its text never quotes the body, which may hold what a ledger must not. */
#include "common/aws/services/build.h"

#include "common/base/mem.h"
#include "common/codec/uri.h"
#include "common/codec/when.h"
#include "common/codec/xml.h"

#include <ctype.h>
#include <stdio.h>

#define ANSWER_DEPTH_MAX 40

json_t *parse_nothing(const struct aws_reply *reply, struct err *err)
{
    (void)reply;
    (void)err;
    return json_object();
}

json_t *parse_json(const struct aws_reply *reply, struct err *err)
{
    if (reply->body_bytes == 0)
        return json_object();
    json_t *v = json_read(reply->body, reply->body_bytes, ANSWER_DEPTH_MAX, err);
    if (!json_is_object(v)) {
        json_decref(v);
        (void)err_set(err, ERR_AWS_ANSWER, "the answer is not a JSON object");
        return NULL;
    }
    return v;
}

json_t *parse_xml(const struct aws_reply *reply, const char *root, struct err *err)
{
    char name[64] = "";
    json_t *v = xml_read(reply->body, reply->body_bytes, name, err);
    if (!v || !str_eq(name, root)) {
        json_decref(v);
        (void)err_set(err, ERR_AWS_ANSWER, "the answer is not a %s document", root);
        return NULL;
    }
    if (!json_is_object(v)) { /* an empty element reads as "" */
        json_decref(v);
        return json_object();
    }
    return v;
}

json_t *parse_query(const struct aws_reply *reply, const char *result, struct err *err)
{
    char name[64] = "";
    json_auto_t *v = xml_read(reply->body, reply->body_bytes, name, err);
    size_t stem = strlen(result) - strlen("Result");
    if (!v || strncmp(name, result, stem) != 0 || !str_eq(name + stem, "Response")) {
        (void)err_set(err, ERR_AWS_ANSWER, "the answer has no %s", result);
        return NULL;
    }
    json_t *inner = json_object_get(v, result);
    return json_is_object(inner) ? json_incref(inner) : json_object();
}

/* ---- Picking ---- */

struct pick {
    char path[96];
    char name[64];
    char kind[12];
    bool is_needed;
};

static void snake(const char *camel, char *ret, size_t ret_size)
{
    size_t n = 0;
    for (const char *p = camel; *p && n + 2 < ret_size; p++) {
        bool is_upper = isupper((unsigned char)*p);
        bool after_lower = p > camel && (islower((unsigned char)p[-1]) || isdigit((unsigned char)p[-1]));
        bool ends_acronym = p > camel && isupper((unsigned char)p[-1]) && islower((unsigned char)p[1]);
        if (is_upper && (after_lower || ends_acronym))
            ret[n++] = '_';
        ret[n++] = (char)tolower((unsigned char)*p);
    }
    ret[n] = 0;
}

static const char *next_pick(const char *spec, struct pick *ret)
{
    while (*spec == ' ')
        spec++;
    if (!*spec)
        return NULL;
    size_t len = strcspn(spec, " "), path_len = strcspn(spec, " >!:");
    *ret = (struct pick){.is_needed = memchr(spec, '!', len) != NULL};
    (void)snprintf(ret->path, sizeof ret->path, "%.*s", (int)path_len, spec);
    const char *as = memchr(spec, '>', len), *colon = memchr(spec, ':', len);
    if (as) {
        (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)strcspn(as + 1, " !:"), as + 1);
    } else {
        const char *dot = strrchr(ret->path, '.');
        snake(dot ? dot + 1 : ret->path, ret->name, sizeof ret->name);
    }
    (void)snprintf(ret->kind, sizeof ret->kind, "text");
    if (colon)
        (void)snprintf(ret->kind, sizeof ret->kind, "%.*s", (int)strcspn(colon + 1, " !"), colon + 1);
    return spec + len;
}

static json_t *as_text(const json_t *v)
{
    char digits[40];
    if (json_is_string(v))
        return json_string(json_string_value(v));
    if (!json_is_integer(v))
        return NULL;
    (void)snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return json_string(digits);
}

static json_t *as_int(const json_t *v)
{
    uint64_t n = 0;
    if (json_is_integer(v))
        return json_integer(json_integer_value(v));
    if (json_is_string(v) && str_to_u64(json_string_value(v), INT64_MAX, &n))
        return json_integer((json_int_t)n);
    return NULL;
}

static json_t *as_bool(const json_t *v)
{
    if (json_is_boolean(v))
        return json_boolean(json_is_true(v));
    const char *t = json_string_value(v);
    if (str_eq(t, "true"))
        return json_true();
    return str_eq(t, "false") ? json_false() : NULL;
}

static json_t *as_when(const json_t *v)
{
    uint64_t ms = 0;
    if (json_is_string(v) && when_parse(json_string_value(v), &ms))
        return json_integer((json_int_t)ms);
    /* Epoch seconds, with a fraction in some services; beyond year 9999 it is not a time. */
    double s = json_is_number(v) ? json_number_value(v) : -1;
    return s >= 0 && s < 253402300800.0 ? json_integer((json_int_t)(s * 1000.0)) : NULL;
}

static json_t *convert(const json_t *from, const char *path, const json_t *v, const char *kind, struct err *err)
{
    if (str_eq(kind, "text"))
        return as_text(v);
    if (str_eq(kind, "int"))
        return as_int(v);
    if (str_eq(kind, "bool"))
        return as_bool(v);
    if (str_eq(kind, "list"))
        return json_is_array(v) ? json_incref((json_t *)(uintptr_t)v) : xml_list(from, path);
    if (str_eq(kind, "when"))
        return as_when(v);
    if (str_eq(kind, "doc"))
        return json_is_string(v) ? parse_document(json_string_value(v), err) : NULL;
    return json_incref((json_t *)(uintptr_t)v);
}

int parse_pick(const json_t *from, const char *spec, json_t *to, struct err *err)
{
    struct pick p;
    while ((spec = next_pick(spec, &p))) {
        const json_t *v = json_at(from, p.path);
        bool is_list = str_eq(p.kind, "list");
        bool is_absent = !v || json_is_null(v) || (json_is_string(v) && !json_string_length(v) && !is_list);
        if (is_absent && is_list) {
            json_put(to, p.name, json_array());
            continue;
        }
        json_t *value = is_absent ? NULL : convert(from, p.path, v, p.kind, err);
        if (!value && (p.is_needed || !is_absent))
            return err_set(err, ERR_AWS_ANSWER, "the answer's member %s is missing or odd", p.path);
        if (value)
            json_put(to, p.name, value);
    }
    return 0;
}

/* The list at `path`, whichever protocol: XML hides one-element lists, JSON does not. New reference. */
static json_t *list_at(const json_t *from, const char *path)
{
    const json_t *v = json_at(from, path);
    if (json_is_array(v))
        return json_incref((json_t *)(uintptr_t)v);
    return xml_list(from, path);
}

json_t *parse_each(const json_t *from, const char *path, const char *spec, struct err *err)
{
    json_auto_t *list = list_at(from, path);
    json_auto_t *all = json_array();
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item) {
        if (json_is_string(item) && !json_string_length(item))
            continue; /* an empty list element of XML */
        if (!*spec) {
            (void)json_array_append(all, item);
            continue;
        }
        json_auto_t *one = json_object();
        if (parse_pick(item, spec, one, err) < 0)
            return NULL;
        (void)json_array_append(all, one);
    }
    return json_incref(all);
}

json_t *parse_list(json_t *from, const char *path, const char *spec, const char *list_name, const char *token,
                   struct err *err)
{
    json_auto_t *mine = from;
    if (!mine)
        return NULL;
    json_t *list = parse_each(mine, path, spec, err);
    if (!list)
        return NULL;
    json_t *facts = json_object();
    json_put(facts, list_name, list);
    /* IAM says IsTruncated beside its Marker; others only give a token while there is more. */
    const json_t *more = json_at(mine, "IsTruncated");
    bool is_last = more && (json_is_false(more) || str_eq(json_string_value(more), "false"));
    const char *next = token && !is_last ? json_str_at(mine, token) : "";
    if (*next)
        json_put_str(facts, "next", next);
    return facts;
}

json_t *parse_tags(const json_t *from, const char *path)
{
    json_t *tags = json_object();
    json_auto_t *list = list_at(from, path);
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item) {
        const char *key = json_str_at(item, "Key");
        if (*key)
            json_put_str(tags, key, json_str_at(item, "Value"));
    }
    return tags;
}

json_t *parse_document(const char *text, struct err *err)
{
    size_t len = 0;
    AUTO_FREE char *plain = uri_decode(text, strlen(text), false, &len);
    json_t *v = plain ? json_read(plain, len, ANSWER_DEPTH_MAX, err) : NULL;
    if (!v)
        (void)err_set(err, ERR_AWS_ANSWER, "a policy document in the answer cannot be read");
    return v;
}

void parse_header(const struct aws_reply *reply, const char *lower_name, char *ret, size_t ret_size)
{
    size_t name_len = strlen(lower_name);
    ret[0] = 0;
    for (const char *line = reply->headers; line && *line;) {
        size_t len = strcspn(line, "\n");
        if (len > name_len + 1 && line[name_len] == ':' && strncmp(line, lower_name, name_len) == 0) {
            const char *value = line + name_len + 1;
            size_t value_len = len - name_len - 1;
            while (value_len && *value == ' ') {
                value++;
                value_len--;
            }
            if (value_len && value[value_len - 1] == '\r')
                value_len--;
            if (value_len < ret_size)
                (void)snprintf(ret, ret_size, "%.*s", (int)value_len, value);
            return;
        }
        line += len + (line[len] == '\n');
    }
}
