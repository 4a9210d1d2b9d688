/* Requests from args by specs (build.h). Why specs: forty operations as code would be forty places for one mistake. */
#include "common/aws/services/build.h"

#include "common/base/mem.h"
#include "common/codec/uri.h"
#include "common/crypto/crypto.h"

#include <inttypes.h>
#include <stdio.h>

struct word {
    char name[72];
    char kind[12];
    bool is_needed;
};

/* The next word of a spec; NULL at its end. Specs are ours, so a bad one shows in the first test. */
static const char *next_word(const char *spec, struct word *ret)
{
    while (*spec == ' ')
        spec++;
    if (!*spec)
        return NULL;
    size_t len = strcspn(spec, " ");
    size_t name_len = 0;
    while (name_len < len && spec[name_len] != '!' && spec[name_len] != ':')
        name_len++;
    *ret = (struct word){.is_needed = memchr(spec, '!', len) != NULL};
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)name_len, spec);
    const char *colon = memchr(spec, ':', len);
    if (colon)
        (void)snprintf(ret->kind, sizeof ret->kind, "%.*s", (int)(len - (size_t)(colon + 1 - spec)), colon + 1);
    else
        (void)snprintf(ret->kind, sizeof ret->kind, "text");
    return spec + len;
}

static bool spec_has(const char *spec, const char *name)
{
    struct word w;
    while ((spec = next_word(spec, &w)))
        if (str_eq(w.name, name))
            return true;
    return false;
}

static bool is_kind_ok(const json_t *v, const char *kind)
{
    if (str_eq(kind, "text"))
        return json_is_string(v) || json_is_integer(v);
    if (str_eq(kind, "int"))
        return json_is_integer(v);
    if (str_eq(kind, "bool"))
        return json_is_boolean(v);
    if (str_eq(kind, "list") || str_eq(kind, "tags"))
        return json_is_array(v);
    if (str_eq(kind, "map"))
        return json_is_object(v);
    return true; /* object, doc */
}

static bool is_empty(const json_t *v)
{
    return !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
}

int build_check(const json_t *args, const char *spec, struct err *err)
{
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)args, name, v)
        if (!spec_has(spec, name))
            return err_set(err, ERR_INTERNAL, "argument %s is not one of this operation", name);
    struct word w;
    for (const char *at = spec; (at = next_word(at, &w));) {
        v = json_object_get(args, w.name);
        if (w.is_needed && is_empty(v))
            return err_set(err, ERR_INTERNAL, "argument %s is missing", w.name);
        if (!is_empty(v) && !is_kind_ok(v, w.kind))
            return err_set(err, ERR_INTERNAL, "argument %s is not a %s", w.name, w.kind);
    }
    return 0;
}

void build_start(struct aws_request *ret, const char *method, const char *path)
{
    ret->method = method;
    (void)snprintf(ret->path, sizeof ret->path, "%s", path);
    if (!ret->query.data)
        str_init(&ret->query, BUILD_QUERY_MAX);
    if (!ret->body.data)
        str_init(&ret->body, BUILD_BODY_MAX);
}

static void add_pair(struct str *to, const char *name, const char *value, size_t value_len)
{
    if (to->len)
        str_add_char(to, '&');
    uri_encode(to, name, strlen(name), false);
    str_add_char(to, '=');
    uri_encode(to, value, value_len, false);
}

void build_query_pair(struct aws_request *ret, const char *name, const char *value)
{
    add_pair(&ret->query, name, value, strlen(value));
}

int build_header(struct aws_request *ret, const char *name, const char *value, struct err *err)
{
    size_t max = ARRAY_LEN(ret->headers);
    if (ret->header_count >= max || strlen(name) >= sizeof ret->headers[0].name ||
        strlen(value) >= sizeof ret->headers[0].value || strpbrk(value, "\r\n"))
        return err_set(err, ERR_INTERNAL, "header %.48s does not fit", name);
    (void)snprintf(ret->headers[ret->header_count].name, sizeof ret->headers[0].name, "%s", name);
    (void)snprintf(ret->headers[ret->header_count].value, sizeof ret->headers[0].value, "%s", value);
    ret->header_count++;
    return 0;
}

int build_finish(const struct aws_request *ret, struct err *err)
{
    if (ret->query.is_over || ret->body.is_over)
        return err_set(err, ERR_TOO_LARGE, "the request would be larger than its limit");
    return 0;
}

int build_content_md5(struct aws_request *ret, struct err *err)
{
    unsigned char md5[16];
    crypto_md5(ret->body.data, ret->body.len, md5);
    AUTO_FREE char *text = crypto_base64(md5, sizeof md5);
    return build_header(ret, "content-md5", text, err);
}

/* ---- The query protocol's form ---- */

static void add_scalar(struct str *to, const char *name, const json_t *v)
{
    char digits[32];
    if (json_is_string(v)) {
        add_pair(to, name, json_string_value(v), json_string_length(v));
    } else if (json_is_integer(v)) {
        (void)snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        add_pair(to, name, digits, strlen(digits));
    } else if (json_is_boolean(v)) {
        add_pair(to, name, json_is_true(v) ? "true" : "false", json_is_true(v) ? 4 : 5);
    }
}

static void add_texts(struct str *to, const char *name, const json_t *texts)
{
    char key[160];
    size_t i;
    json_t *item;
    json_array_foreach (texts, i, item) {
        (void)snprintf(key, sizeof key, "%s.member.%zu", name, i + 1);
        add_scalar(to, key, item);
    }
}

static void add_list(struct str *to, const char *name, const json_t *list)
{
    char key[128];
    size_t i;
    json_t *item;
    if (json_array_size(list) == 0) /* AWS reads "Name=" as the empty list */
        add_pair(to, name, "", 0);
    json_array_foreach (list, i, item) {
        if (!json_is_object(item)) {
            (void)snprintf(key, sizeof key, "%s.member.%zu", name, i + 1);
            add_scalar(to, key, item);
            continue;
        }
        const char *member;
        json_t *v;
        json_object_foreach (item, member, v) {
            (void)snprintf(key, sizeof key, "%s.member.%zu.%s", name, i + 1, member);
            if (json_is_array(v))
                add_texts(to, key, v);
            else
                add_scalar(to, key, v);
        }
    }
}

static void add_document(struct str *to, const char *name, const json_t *v)
{
    if (json_is_string(v)) {
        add_pair(to, name, json_string_value(v), json_string_length(v));
        return;
    }
    AUTO_FREE char *text = json_text(v);
    add_pair(to, name, text, strlen(text));
}

int build_query(const json_t *args, const char *spec, struct aws_request *ret, struct err *err)
{
    if (build_check(args, spec, err) < 0)
        return -1;
    build_start(ret, "POST", "/");
    struct word w;
    while ((spec = next_word(spec, &w))) {
        const json_t *v = json_object_get(args, w.name);
        if (!v || json_is_null(v))
            continue;
        if (str_eq(w.kind, "list") || str_eq(w.kind, "tags"))
            add_list(&ret->body, w.name, v);
        else if (str_eq(w.kind, "doc") || str_eq(w.kind, "object"))
            add_document(&ret->body, w.name, v);
        else
            add_scalar(&ret->body, w.name, v);
    }
    return build_finish(ret, err);
}

/* ---- JSON bodies ---- */

int build_rest(const json_t *args, const char *path, const char *spec, struct aws_request *ret, struct err *err)
{
    if (build_check(args, spec, err) < 0)
        return -1;
    build_start(ret, "POST", path);
    json_auto_t *body = json_object();
    struct word w;
    while ((spec = next_word(spec, &w))) {
        json_t *v = json_object_get(args, w.name);
        if (!v || json_is_null(v))
            continue;
        if (str_eq(w.kind, "doc") && !json_is_string(v)) {
            AUTO_FREE char *text = json_text(v);
            json_put_str(body, w.name, text);
        } else {
            json_put(body, w.name, json_incref(v));
        }
    }
    AUTO_FREE char *text = json_text(body);
    str_add(&ret->body, text);
    return build_finish(ret, err);
}

int build_json(const json_t *args, const char *spec, struct aws_request *ret, struct err *err)
{
    return build_rest(args, "/", spec, ret, err);
}
