/* Policy documents: normal form, comparison, and a merge that works on the text, because parsing and writing again
 * would reorder what the customer wrote. */
#include "worker/steps/policy_document.h"

#include "common/base/mem.h"

#include <ctype.h>

/* ---- Normal form ---- */

static json_t *same(const json_t *v)
{
    return json_incref((json_t *)(uintptr_t)v);
}

/* One text or many: always a sorted array without repeats. Anything else stays as it is. */
static json_t *as_set(const json_t *v)
{
    json_t *set = json_array();
    size_t i;
    const json_t *one;
    if (json_is_string(v)) {
        (void)json_array_append(set, (json_t *)(uintptr_t)v);
    } else if (json_is_array(v)) {
        json_array_foreach ((json_t *)(uintptr_t)v, i, one)
            if (!json_is_string(one) || !json_array_has_str(set, json_string_value(one)))
                (void)json_array_append(set, (json_t *)(uintptr_t)one);
        json_sort_by(set, NULL);
    } else { /* numbers and booleans in conditions read as texts */
        json_decref(set);
        return json_is_boolean(v) ? json_make("[s]", json_is_true(v) ? "true" : "false") : same(v);
    }
    return set;
}

static bool is_account(const char *text)
{
    return strlen(text) == 12 && strspn(text, "0123456789") == 12;
}

static json_t *normal_principal(const json_t *v)
{
    if (json_is_string(v))
        return json_make("{s:[s]}", "AWS", json_string_value(v)); /* "*" */
    json_t *all = json_object();
    const char *kind;
    json_t *names;
    json_object_foreach ((json_t *)(uintptr_t)v, kind, names) {
        json_auto_t *set = as_set(names);
        json_t *full = json_array();
        size_t i;
        const json_t *one;
        json_array_foreach (set, i, one) {
            const char *name = json_string_value(one);
            bool is_short = str_eq(kind, "AWS") && name && is_account(name);
            (void)json_array_append_new(full, is_short ? json_sprintf("arn:aws:iam::%s:root", name) : same(one));
        }
        json_sort_by(full, NULL);
        json_put(all, kind, full);
    }
    return all;
}

static json_t *normal_condition(const json_t *v)
{
    json_t *all = json_object();
    const char *op, *key;
    json_t *block, *value;
    json_object_foreach ((json_t *)(uintptr_t)v, op, block) {
        json_t *keys = json_object();
        json_object_foreach (block, key, value)
            json_put(keys, key, as_set(value));
        json_put(all, op, keys);
    }
    return all;
}

static json_t *normal_statement(const json_t *statement)
{
    if (!json_is_object(statement))
        return same(statement);
    json_t *all = json_object();
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)statement, key, value) {
        if (str_in_list("Action,NotAction,Resource,NotResource", key))
            json_put(all, key, as_set(value));
        else if (str_in_list("Principal,NotPrincipal", key))
            json_put(all, key, normal_principal(value));
        else if (str_eq(key, "Condition"))
            json_put(all, key, normal_condition(value));
        else
            json_put(all, key, json_incref(value));
    }
    return all;
}

/* Statement is an object or an array of them. New reference to an array. */
static json_t *statements_of(const json_t *document)
{
    const json_t *list = json_object_get(document, "Statement");
    if (json_is_array(list))
        return same(list);
    return json_is_object(list) ? json_make("[O]", list) : json_array();
}

json_t *policy_normal(const json_t *document)
{
    json_auto_t *list = statements_of(document);
    json_t *all = json_object(), *normal = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        (void)json_array_append_new(normal, normal_statement(one));
    json_put_str(all, "Version", json_str_or(document, "Version", "2008-10-17"));
    json_put(all, "Statement", normal);
    return all;
}

bool policy_equal(const json_t *a, const json_t *b)
{
    json_auto_t *x = policy_normal(a), *y = policy_normal(b);
    return json_equal(x, y) != 0;
}

bool policy_asks_external_id(const json_t *trust)
{
    json_auto_t *normal = policy_normal(trust);
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(normal, "Statement"), i, one) {
        bool lets_in = str_eq(json_str_at(one, "Effect"), "Allow") && json_has(one, "Principal.AWS");
        const json_t *ids = json_object_get(json_at(one, "Condition.StringEquals"), "sts:ExternalId");
        if (lets_in && (json_array_size(ids) == 0 || json_array_has_str(ids, "")))
            return false;
    }
    return true;
}

static json_t *asked_ids(const json_t *statement)
{
    return json_object_get(json_at(statement, "Condition.StringEquals"), "sts:ExternalId");
}

const char *policy_external_id(const json_t *trust)
{
    json_auto_t *list = statements_of(trust);
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one) {
        const json_t *ids = asked_ids(one);
        const char *id = json_string_value(json_is_array(ids) ? json_array_get(ids, 0) : ids);
        if (id && *id)
            return id;
    }
    return "";
}

json_t *policy_with_external_id(const json_t *trust, const char *external_id)
{
    json_t *copy = json_deep_copy(trust);
    json_auto_t *list = statements_of(copy);
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one)
        if (asked_ids(one))
            json_put_str(json_object_get(json_object_get(one, "Condition"), "StringEquals"), "sts:ExternalId",
                         external_id);
    return copy;
}

static const json_t *by_sid(const json_t *list, const char *sid)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        if (*sid && str_eq(json_str_at(one, "Sid"), sid))
            return one;
    return NULL;
}

bool policy_holds(const json_t *document, const json_t *statements)
{
    json_auto_t *list = statements_of(document);
    size_t i;
    const json_t *wanted;
    json_array_foreach ((json_t *)(uintptr_t)statements, i, wanted) {
        const json_t *found = by_sid(list, json_str_at(wanted, "Sid"));
        if (!found)
            return false;
        json_auto_t *x = normal_statement(wanted), *y = normal_statement(found);
        if (!json_equal(x, y))
            return false;
    }
    return true;
}

/* ---- Merge on the text. It was parsed before, so it is well-formed JSON and the scanner need not check. ---- */

static const char *skip_space(const char *p)
{
    while (*p && isspace((unsigned char)*p))
        p++;
    return p;
}

/* Behind the value that begins at `p`. */
static const char *skip_value(const char *p)
{
    size_t depth = 0;
    bool is_text = false;
    for (; *p; p++) {
        if (is_text) {
            if (*p == '\\' && p[1])
                p++;
            else if (*p == '"')
                is_text = false;
        } else if (*p == '"') {
            is_text = true;
        } else if (*p == '{' || *p == '[') {
            depth++;
            continue;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p; /* the end of what surrounds a bare number or word */
            depth--;
        } else if (depth == 0 && (*p == ',' || isspace((unsigned char)*p))) {
            return p;
        } else {
            continue;
        }
        if (depth == 0 && !is_text)
            return p + 1;
    }
    return p;
}

/* The value of the top object's member "Statement"; NULL when it has none. */
static const char *find_statement(const char *text)
{
    static const char name[] = "\"Statement\"";
    const char *p = skip_space(text);
    for (p = skip_space(*p == '{' ? p + 1 : p); *p == '"';) {
        bool is_it = strncmp(p, name, sizeof name - 1) == 0;
        p = skip_space(skip_value(p)); /* at the colon */
        p = skip_space(*p == ':' ? p + 1 : p);
        if (is_it)
            return p;
        p = skip_space(skip_value(p));
        p = skip_space(*p == ',' ? p + 1 : p);
    }
    return NULL;
}

/* Appends the raw text of one statement unless it has the Sid of one of ours. */
static void keep_foreign(struct str *out, const char *from, const char *to, const json_t *ours)
{
    struct err err;
    json_auto_t *one = json_read(from, (size_t)(to - from), 0, &err);
    if (by_sid(ours, json_str_at(one, "Sid")))
        return;
    if (out->data[out->len - 1] != '[')
        str_add_char(out, ',');
    str_add_bytes(out, from, (size_t)(to - from));
}

/* Puts `ours` in (adds) or leaves them out. Everything that is not ours is copied as it stands. */
static json_t *rewrite(const char *text, const json_t *ours, bool adds, struct err *err)
{
    json_auto_t *check = json_read(text, strlen(text), 0, err);
    const char *at = json_is_object(check) ? find_statement(text) : NULL;
    if (!at) {
        (void)err_set(err, ERR_SYNTAX, "the bucket's policy has no statements that can be read");
        return NULL;
    }
    AUTO_STR struct str out;
    str_init(&out, POLICY_BUCKET_BYTES_MAX);
    str_add_bytes(&out, text, (size_t)(at - text));
    str_add_char(&out, '[');
    const char *end = skip_value(at);
    if (*at == '{')
        keep_foreign(&out, at, end, ours);
    for (const char *p = skip_space(at + 1); *at == '[' && *p && *p != ']';) {
        const char *next = skip_value(p);
        keep_foreign(&out, p, next, ours);
        p = skip_space(next);
        p = skip_space(*p == ',' ? p + 1 : p);
    }
    bool is_none = out.data[out.len - 1] == '[';
    for (size_t i = 0; adds && i < json_array_size(ours); i++) {
        AUTO_FREE char *plain = json_text(json_array_get(ours, i));
        if (out.data[out.len - 1] != '[')
            str_add_char(&out, ',');
        str_add(&out, plain);
    }
    str_add_char(&out, ']');
    str_add(&out, end);
    if (out.is_over) {
        (void)err_set(err, ERR_BUCKET_POLICY_SIZE, "with our statements the policy would be larger than %u bytes",
                      POLICY_BUCKET_BYTES_MAX);
        return NULL;
    }
    return is_none && !adds ? json_null() : json_string(out.data);
}

json_t *policy_merge(const char *text, const json_t *statements, struct err *err)
{
    return rewrite(*text ? text : "{\"Version\":\"2012-10-17\",\"Statement\":[]}", statements, true, err);
}

json_t *policy_without(const char *text, const json_t *statements, struct err *err)
{
    return rewrite(text, statements, false, err);
}
