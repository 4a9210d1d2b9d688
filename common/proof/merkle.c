/* The tree itself; see merkle.h for its form. */
#include "common/proof/merkle.h"

static json_t *tagged_digest(json_t *new_value)
{
    json_auto_t *value = new_value;
    char hex[65];
    json_digest(value, hex);
    return json_string(hex);
}

void merkle_add(json_t *leaves, json_t *leaf)
{
    (void)json_array_append_new(leaves, tagged_digest(leaf));
}

static json_t *level_above(const json_t *level)
{
    json_t *above = json_array();
    size_t n = json_array_size(level);
    for (size_t i = 0; i < n; i += 2) {
        json_t *left = json_array_get(level, i);
        if (i + 1 == n)
            (void)json_array_append(above, left);
        else
            merkle_add(above, json_make("[s,O,O]", "node", left, json_array_get(level, i + 1)));
    }
    return above;
}

void merkle_root(const json_t *leaves, char ret[65])
{
    json_auto_t *level = json_copy((json_t *)(uintptr_t)leaves);
    if (!json_array_size(level))
        merkle_add(level, json_make("[s]", "empty"));
    while (json_array_size(level) > 1) {
        json_t *above = level_above(level);
        json_decref(level);
        level = above;
    }
    const char *root = json_string_value(json_array_get(level, 0));
    memcpy(ret, root ? root : "", root ? 65 : 1);
}
