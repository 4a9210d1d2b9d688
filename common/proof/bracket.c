/* Brackets: which member may change how. A new writing step brings a line for its section. */
#include "common/proof/bracket.h"

#include "common/base/mem.h"

#define VALUE_BYTES_MAX 2048 /* of one name inside a member: larger ones are kept as digests */

static const struct {
    const char *section, *sets, *grows;
} rules[] = {
    {"iam.roles", "trust,max_session", "policies,inline,tags"},
    {"iam.policies", "document", ""},
    {"s3.settings", "public_access,ownership,encryption", "tags,policy"},
    {"cur", "*", ""},
    {"tax", "registration", ""},
};

static const char *sets_of(const char *section)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_eq(rules[i].section, section))
            return rules[i].sets;
    return "";
}

static const char *grows_of(const char *section)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_eq(rules[i].section, section))
            return rules[i].grows;
    return "";
}

/* New reference: itself, or {"$digest"} when it is large. */
static json_t *shortened(json_t *value)
{
    AUTO_FREE char *text = json_text(value);
    if (strlen(text) <= VALUE_BYTES_MAX)
        return json_incref(value);
    char digest[65];
    json_digest(value, digest);
    return json_make("{s:s}", "$digest", digest);
}

static json_t *shortened_entry(const json_t *entry)
{
    json_t *kept = json_object(), *value = NULL, *inner = NULL;
    const char *name = NULL, *inner_name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)entry, name, value) {
        if (!json_is_object(value)) {
            json_put(kept, name, shortened(value));
            continue;
        }
        json_t *members = json_object();
        json_object_foreach (value, inner_name, inner)
            json_put(members, inner_name, shortened(inner));
        json_put(kept, name, members);
    }
    return kept;
}

void bracket_add(json_t *reading, const char *section, const char *key, json_t *new_value, json_t *new_own)
{
    json_t *value = json_is_object(new_value) ? shortened_entry(new_value) : json_null();
    (void)json_array_append_new(reading, json_make("{s:s,s:s,s:o,s:o}", "section", section, "key", key, "value", value,
                                                   "own", new_own ? new_own : json_object()));
    json_decref(new_value);
}

/* Whether all of `had` is still in `has`, but for the names in `own`. */
static bool has_all(const json_t *had, const json_t *has, const json_t *own)
{
    const char *name = NULL;
    size_t i = 0;
    json_t *value = NULL;
    if (json_is_array(had)) {
        json_array_foreach ((json_t *)(uintptr_t)had, i, value)
            if (json_is_string(value) && !json_array_has_str(has, json_string_value(value)))
                return false;
        return true;
    }
    json_object_foreach ((json_t *)(uintptr_t)had, name, value)
        if (!json_array_has_str(own, name) && !json_equal(value, json_object_get(has, name)))
            return false;
    return true;
}

static bool may_change(const char *section, const char *member, const json_t *had, const json_t *has, const json_t *own)
{
    const char *sets = sets_of(section);
    if (json_equal(had, has) || str_eq(sets, "*") || str_in_list(sets, member))
        return true;
    return str_in_list(grows_of(section), member) && has_all(had, has, json_object_get(own, member));
}

static const json_t *entry_of(const json_t *reading, const json_t *like)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)reading, i, one)
        if (str_eq(json_str_at(one, "section"), json_str_at(like, "section")) &&
            str_eq(json_str_at(one, "key"), json_str_at(like, "key")))
            return one;
    return NULL;
}

static void put_or_null(json_t *to, const char *name, json_t *value)
{
    json_put(to, name, value ? json_incref(value) : json_null());
}

static void compare(json_t *found, const json_t *before, const json_t *after)
{
    const char *section = json_str_at(before, "section"), *member = NULL;
    json_t *had = json_object_get(before, "value"), *has = json_object_get(after, "value"), *value = NULL;
    if (!json_is_object(had))
        return;
    if (!json_is_object(has)) {
        (void)json_array_append_new(found, json_make("{s:s,s:s,s:s,s:O,s:n}", "section", section, "key",
                                                     json_str_at(before, "key"), "kind", "removed", "from", had, "to"));
        return;
    }
    json_auto_t *object = json_copy(had), *from = json_object(), *to = json_object();
    json_object_update(object, has);
    json_object_foreach (object, member, value) {
        json_t *a = json_object_get(had, member), *b = json_object_get(has, member);
        if (may_change(section, member, a, b, json_object_get(after, "own")))
            continue;
        put_or_null(from, member, a);
        put_or_null(to, member, b);
    }
    if (json_object_size(from))
        (void)json_array_append_new(found,
                                    json_make("{s:s,s:s,s:s,s:O,s:O}", "section", section, "key",
                                              json_str_at(before, "key"), "kind", "changed", "from", from, "to", to));
}

json_t *bracket_differences(const json_t *before, const json_t *after)
{
    json_t *found = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)before, i, one)
        compare(found, one, entry_of(after, one));
    return found;
}
