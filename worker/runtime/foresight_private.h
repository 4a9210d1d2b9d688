/* Inside of foresight_*.c: the few moves that all effects are made of. */
#pragma once

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "worker/runtime/foresight.h"

#include <string.h>

static inline bool read_is(const struct foresight_read *r, const char *op)
{
    return str_eq(r->op, op);
}

static inline bool both_say(const struct foresight_read *r, const struct foresight_write *w, const char *member)
{
    const char *said = json_str_at(r->args, member);
    return *said && str_eq(said, json_str_at(w->args, member));
}

/* The whole answer is known, whatever AWS would say. */
static inline json_t *instead(json_t *facts, json_t *new_facts)
{
    json_decref(facts);
    return new_facts;
}

static inline void set_add(json_t *texts, const char *text)
{
    if (!json_array_has_str(texts, text))
        (void)json_array_append_new(texts, json_string(text));
}

static inline void set_remove(json_t *texts, const char *text)
{
    for (size_t i = json_array_size(texts); i-- > 0;)
        if (str_eq(json_string_value(json_array_get(texts, i)), text))
            (void)json_array_remove(texts, i);
}

static inline json_t *list_without(json_t *facts, const char *list, const char *member, const char *value)
{
    json_t *rows = json_object_get(facts, list);
    for (size_t i = json_array_size(rows); i-- > 0;)
        if (str_eq(json_str_at(json_array_get(rows, i), member), value))
            (void)json_array_remove(rows, i);
    return facts;
}

/* {key: value} of AWS's list of {Key, Value}. New reference. */
static inline json_t *tags_of(const json_t *list)
{
    json_t *tags = json_object();
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        json_put_str(tags, json_str_at(one, "Key"), json_str_at(one, "Value"));
    return tags;
}

/* arn:aws:iam::111122223333:role/path/name. New reference. */
static inline json_t *iam_arn(const struct foresight_read *r, const char *kind, const char *path, const char *name)
{
    return json_sprintf("arn:%s:iam::%s:%s%s%s", json_str_or(r->import, "vars.partition", "aws"),
                        json_str_at(r->import, "vars.account_id"), kind, path, name);
}
