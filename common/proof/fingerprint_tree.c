/* The Merkle tree over a fingerprint's sections, and the proof that one section belongs to a root. Pure.
 *
 * Leaves stand in the order of their names. leaf = SHA-256 of canonical ["leaf", name, digest of the section], node =
 * of
 * ["node", left, right]: tagged, so that no node can ever pass for a leaf, and a leaf binds its section's name. The odd
 * one of a level goes up as it is. */
#include "common/proof/fingerprint.h"

#include <string.h>

#define PATH_MAX_NODES 32 /* far more than a tree of sections can be deep */

static void digest_of(json_t *new_value, char ret[65])
{
    json_digest(new_value, ret);
    json_decref(new_value);
}

static json_t *leaf_of(const char *section, const char *digest)
{
    char hex[65];
    digest_of(json_make("[s,s,s]", "leaf", section, digest), hex);
    return json_string(hex);
}

static json_t *node_of(const char *left, const char *right)
{
    char hex[65];
    digest_of(json_make("[s,s,s]", "node", left, right), hex);
    return json_string(hex);
}

static json_t *level_above(const json_t *level)
{
    json_t *above = json_array();
    size_t n = json_array_size(level);
    for (size_t i = 0; i + 1 < n; i += 2)
        json_array_append_new(above, node_of(json_string_value(json_array_get(level, i)),
                                             json_string_value(json_array_get(level, i + 1))));
    if (n % 2)
        json_array_append(above, json_array_get(level, n - 1));
    return above;
}

/* Section names in order. New reference. */
static json_t *names_of(const json_t *digests)
{
    json_t *names = json_array(), *value = NULL;
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)digests, name, value)
        json_array_append_new(names, json_string(name));
    json_sort_by(names, NULL);
    return names;
}

/* All leaves; *ret_index is the place of `section` among them, SIZE_MAX when it is not there. New reference. */
static json_t *leaves_of(const json_t *digests, const char *section, size_t *ret_index)
{
    json_auto_t *names = names_of(digests);
    json_t *leaves = json_array(), *name = NULL;
    size_t i = 0;
    *ret_index = SIZE_MAX;
    json_array_foreach (names, i, name) {
        const char *text = json_string_value(name);
        if (str_eq(text, section))
            *ret_index = i;
        json_array_append_new(leaves, leaf_of(text, json_string_value(json_object_get(digests, text))));
    }
    return leaves;
}

/* The root over `new_level`; the siblings on the way up from `index` are added to `path` (may be NULL). */
static void climb(json_t *new_level, size_t index, json_t *path, char ret[65])
{
    json_t *level = new_level;
    while (json_array_size(level) > 1) {
        size_t sibling = index ^ 1;
        if (path && sibling < json_array_size(level))
            json_array_append_new(path, json_make("{s:s,s:O}", "side", sibling < index ? "left" : "right", "digest",
                                                  json_array_get(level, sibling)));
        json_t *above = level_above(level);
        json_decref(level);
        level = above;
        index /= 2;
    }
    if (json_array_size(level))
        memcpy(ret, json_string_value(json_array_get(level, 0)), 65);
    else
        digest_of(json_make("[s]", "empty"), ret);
    json_decref(level);
}

void fingerprint_root(const json_t *digests, char ret[65])
{
    size_t index = 0;
    climb(leaves_of(digests, "", &index), 0, NULL, ret);
}

json_t *fingerprint_prove(const json_t *fingerprint, const char *section)
{
    const json_t *digests = json_object_get(fingerprint, "digests");
    const char *digest = json_string_value(json_object_get(digests, section));
    char root[65];
    size_t index = 0;
    if (!digest)
        return NULL;
    json_t *path = json_array(), *leaves = leaves_of(digests, section, &index);
    climb(leaves, index, path, root);
    return json_make("{s:s,s:s,s:o,s:s}", "section", section, "digest", digest, "path", path, "root", root);
}

bool fingerprint_proof_holds(const json_t *proof, const json_t *value, const char *root)
{
    const json_t *path = json_object_get(proof, "path");
    const char *section = json_str_at(proof, "section");
    char digest[65];
    if (!value || !section[0] || !json_is_array(path) || json_array_size(path) > PATH_MAX_NODES)
        return false;
    json_digest(value, digest);
    json_auto_t *at = leaf_of(section, digest);
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach ((json_t *)(uintptr_t)path, i, step) {
        const char *side = json_str_at(step, "side"), *other = json_str_at(step, "digest");
        if (strlen(other) != 64 || (!str_eq(side, "left") && !str_eq(side, "right")))
            return false;
        json_t *above = side[0] == 'l' ? node_of(other, json_string_value(at)) : node_of(json_string_value(at), other);
        json_decref(at);
        at = above;
    }
    return str_eq(json_string_value(at), root);
}
