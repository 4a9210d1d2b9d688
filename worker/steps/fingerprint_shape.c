/* Values and patches in the shape that fingerprint_shape.h fixes. Pure: readers and `expects` both come through here,
 * so that "expected" and "after" can only differ where the organization does. */
#include "worker/steps/fingerprint_shape.h"

#include "worker/steps/human.h"

static json_t *patch(const char *section, const char *key, const char *op, json_t *new_value)
{
    json_t *one = json_make("{s:s,s:s,s:s}", "section", section, "key", key, "op", op);
    if (new_value)
        json_put(one, "value", new_value);
    return one;
}

json_t *shape_add(json_t *patches, const char *section, const char *key, json_t *new_value)
{
    json_array_append_new(patches, patch(section, key, "add", new_value));
    return patches;
}

json_t *shape_replace(json_t *patches, const char *section, const char *key, const char *path, json_t *new_value)
{
    json_t *one = patch(section, key, "replace", new_value);
    if (path && path[0])
        json_put_str(one, "path", path);
    json_array_append_new(patches, one);
    return patches;
}

json_t *shape_remove(json_t *patches, const char *section, const char *key)
{
    json_array_append_new(patches, patch(section, key, "remove", NULL));
    return patches;
}

json_t *shape_put(json_t *patches, const json_t *before, const char *section, const char *key, json_t *new_value)
{
    const json_t *had = json_object_get(json_object_get(json_object_get(before, "sections"), section), key);
    if (!had)
        return shape_add(patches, section, key, new_value);
    char old_digest[65], new_digest[65];
    json_digest(had, old_digest);
    json_digest(new_value, new_digest);
    if (!str_eq(old_digest, new_digest))
        return shape_replace(patches, section, key, NULL, new_value);
    json_decref(new_value);
    return patches;
}

json_t *shape_set(const json_t *list)
{
    json_t *sorted = json_array();
    json_array_extend(sorted, (json_t *)(uintptr_t)list);
    json_sort_by(sorted, NULL);
    return sorted;
}

json_t *shape_tags(const json_t *tags)
{
    if (json_is_object(tags))
        return json_deep_copy(tags);
    json_t *map = json_object(), *tag = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)tags, i, tag)
        json_put_str(map, json_str_at(tag, "Key"), json_str_at(tag, "Value"));
    return map;
}

json_t *shape_report(const json_t *definition)
{
    json_t *kept = json_object(), *value = NULL;
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)definition, name, value) {
        if (str_eq(name, "ReportStatus") || str_eq(name, "Tags") || json_is_null(value))
            continue; /* a delivery's state changes by itself; definitions are answered without their tags */
        if (json_is_array(value) && json_array_size(value) == 0)
            continue; /* AWS answers some lists empty and leaves others out */
        json_put(kept, name, json_is_array(value) ? shape_set(value) : json_deep_copy(value));
    }
    return kept;
}

static json_t *copy_or_object(const json_t *value)
{
    return json_is_object(value) ? json_deep_copy(value) : json_object();
}

json_t *shape_role(const char *path, const char *role_id, const json_t *trust, int64_t max_session,
                   const char *description, const json_t *policies, const json_t *inline_documents, const json_t *tags,
                   const char *boundary)
{
    return json_make("{s:s,s:s,s:o,s:I,s:s,s:o,s:o,s:o,s:s}", "path", path, "role_id", role_id, "trust",
                     copy_or_object(trust), "max_session", (json_int_t)(max_session > 0 ? max_session : 3600),
                     "description", description, "policies", shape_set(policies), "inline",
                     copy_or_object(inline_documents), "tags", shape_tags(tags), "boundary", boundary);
}

/* First of two names that has a value: an answer and the entry that was sent use different cases. */
static const json_t *either(const json_t *value, const char *name, const char *other)
{
    const json_t *found = json_object_get(value, name);
    return found ? found : json_object_get(value, other);
}

static void copy_text(json_t *to, const char *key, const json_t *value)
{
    json_put_str(to, key, json_is_string(value) ? json_string_value(value) : "");
}

json_t *shape_tax(const json_t *registration, const char *seller)
{
    json_t *kept = json_null();
    if (json_is_object(registration) && json_object_size(registration)) {
        kept = json_object();
        copy_text(kept, "id", either(registration, "registrationId", "id"));
        copy_text(kept, "type", either(registration, "registrationType", "type"));
        copy_text(kept, "legal_name", either(registration, "legalName", "legal_name"));
        json_put(kept, "address", copy_or_object(either(registration, "legalAddress", "address")));
    }
    return json_make("{s:o,s:s}", "registration", kept, "seller", seller);
}

json_t *shape_root(const json_t *summary, const json_t *devices)
{
    const json_t *counts = json_object_get(summary, "summary");
    return json_make("{s:b,s:b,s:o}", "mfa", (int)(json_int_at(counts, "AccountMFAEnabled") > 0), "access_keys",
                     (int)(json_int_at(counts, "AccountAccessKeysPresent") > 0), "devices",
                     human_root_devices(devices));
}
