/* Fingerprints: sealing, applying patches, showing what differs. Pure.
 * Why a patch that does not fit still sets its value: the expected state stays a definite one, and the misfit is told.
 */
#include "common/proof/fingerprint.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

const char *const fingerprint_sections[] = {
    "accounts",    "contact",    "cur",          "delegation", "exports",   "features",         "handshakes",
    "iam.account", "iam.groups", "iam.policies", "iam.roles",  "iam.users", "organization",     "policies",
    "s3",          "tax",        "trails",       "transfers",  "tree",      "trusted_services", NULL,
};

/* ---- Sealing
 * ----------------------------------------------------------------------------------------------------------- */
static json_t *sorted_keys(const json_t *a, const json_t *b)
{
    json_auto_t *seen = json_object();
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)a, key, value)
        json_object_set(seen, key, value);
    json_object_foreach ((json_t *)(uintptr_t)b, key, value)
        json_object_set(seen, key, value);
    json_t *keys = json_array();
    json_object_foreach (seen, key, value)
        json_array_append_new(keys, json_string(key));
    json_sort_by(keys, NULL);
    return keys;
}

void fingerprint_seal(json_t *fingerprint)
{
    const json_t *sections = json_object_get(fingerprint, "sections");
    ASSERT(json_is_object(sections));
    json_auto_t *names = sorted_keys(sections, NULL);
    json_t *digests = json_object(), *name = NULL;
    size_t i = 0;
    json_array_foreach (names, i, name) {
        char hex[65];
        json_digest(json_object_get(sections, json_string_value(name)), hex);
        json_put_str(digests, json_string_value(name), hex);
    }
    char root[65];
    fingerprint_root(digests, root);
    json_put(fingerprint, "digests", digests);
    json_put_str(fingerprint, "root", root);
    if (!json_object_get(fingerprint, "unstable"))
        json_put(fingerprint, "unstable", json_array());
}

/* ---- Patches
 * ----------------------------------------------------------------------------------------------------------- */
/* One part of a path, ~1 and ~0 undone; moves *at behind it. mem_free. */
static char *path_part(const char **at)
{
    struct str part;
    str_init(&part, 4096);
    const char *p = *at;
    for (; *p && *p != '/'; p++) {
        if (p[0] == '~' && (p[1] == '0' || p[1] == '1'))
            str_add_char(&part, *++p == '1' ? '/' : '~');
        else
            str_add_char(&part, *p);
    }
    *at = *p ? p + 1 : p;
    return str_take(&part);
}

/* Walks `path` down from `value` to the object that holds the last part; *ret_last is that part (mem_free). */
static json_t *path_holder(json_t *value, const char *path, char **ret_last)
{
    const char *at = path;
    char *part = path_part(&at);
    while (*at && json_is_object(value)) {
        value = json_object_get(value, part);
        mem_free(part);
        part = path_part(&at);
    }
    *ret_last = part;
    return json_is_object(value) ? value : NULL;
}

static void problem_add(json_t *problems, const json_t *patch, const char *what)
{
    if (!problems)
        return;
    AUTO_FREE char *text = mem_printf("%s %s: %s, but %s", json_str_at(patch, "section"), json_str_at(patch, "key"),
                                      json_str_at(patch, "op"), what);
    json_array_append_new(problems, json_make("{s:s,s:s,s:s}", "section", json_str_at(patch, "section"), "key",
                                              json_str_at(patch, "key"), "text", text));
}

/* Sets or removes `name` in `holder` as the patch says. */
static void patch_member(json_t *holder, const char *name, const json_t *patch, json_t *problems)
{
    const char *op = json_str_at(patch, "op");
    bool is_there = json_object_get(holder, name) != NULL;
    if (str_eq(op, "remove")) {
        if (!is_there)
            problem_add(problems, patch, "there is nothing to remove");
        json_object_del(holder, name);
        return;
    }
    json_t *value = json_object_get(patch, "value");
    if (!value || (!str_eq(op, "add") && !str_eq(op, "replace"))) {
        problem_add(problems, patch, "the patch cannot be read");
        return;
    }
    if (str_eq(op, "add") && is_there)
        problem_add(problems, patch, "it is there already");
    if (str_eq(op, "replace") && !is_there)
        problem_add(problems, patch, "there is nothing to replace");
    json_put(holder, name, json_deep_copy(value));
}

static void patch_one(json_t *sections, const json_t *patch, json_t *problems)
{
    json_t *section = json_object_get(sections, json_str_at(patch, "section"));
    const char *key = json_str_at(patch, "key"), *path = json_str_at(patch, "path");
    if (!json_is_object(section) || !key[0]) {
        problem_add(problems, patch, "there is no such section");
        return;
    }
    if (!path[0]) {
        patch_member(section, key, patch, problems);
        return;
    }
    AUTO_FREE char *last = NULL;
    json_t *holder = path_holder(json_object_get(section, key), path, &last);
    if (holder)
        patch_member(holder, last, patch, problems);
    else
        problem_add(problems, patch, "its path leads nowhere");
}

json_t *fingerprint_apply(const json_t *before, const json_t *patches, json_t *ret_problems)
{
    json_t *expected = json_object();
    json_put(expected, "sections", json_deep_copy(json_object_get(before, "sections")));
    size_t i = 0;
    json_t *patch = NULL;
    json_array_foreach ((json_t *)(uintptr_t)patches, i, patch)
        patch_one(json_object_get(expected, "sections"), patch, ret_problems);
    fingerprint_seal(expected);
    return expected;
}

/* ---- Differences
 * ------------------------------------------------------------------------------------------------------- */
static bool is_same(const json_t *a, const json_t *b)
{
    if (json_equal(a, b))
        return true;
    if (!a || !b)
        return a == b;
    char one[65], other[65]; /* 1 and 1.0 are the same in canonical form */
    json_digest(a, one);
    json_digest(b, other);
    return str_eq(one, other);
}

static json_t *or_null(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

static void diff_section(json_t *found, const char *section, const json_t *a, const json_t *b)
{
    json_auto_t *keys = sorted_keys(a, b);
    size_t i = 0;
    json_t *key = NULL;
    json_array_foreach (keys, i, key) {
        const char *name = json_string_value(key);
        json_t *from = json_object_get(a, name), *to = json_object_get(b, name);
        if (is_same(from, to))
            continue;
        json_array_append_new(found, json_make("{s:s,s:s,s:s,s:o,s:o}", "section", section, "key", name, "kind",
                                               !from ? "added"
                                               : !to ? "removed"
                                                     : "changed",
                                               "from", or_null(from), "to", or_null(to)));
    }
}

json_t *fingerprint_diff(const json_t *a, const json_t *b)
{
    const json_t *ours = json_object_get(a, "sections"), *theirs = json_object_get(b, "sections");
    json_t *found = json_array(), *name = NULL;
    json_auto_t *names = sorted_keys(ours, theirs);
    size_t i = 0;
    json_array_foreach (names, i, name) {
        const char *section = json_string_value(name);
        diff_section(found, section, json_object_get(ours, section), json_object_get(theirs, section));
    }
    return found;
}
