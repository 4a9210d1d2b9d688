/* Ownership by tag. */
#include "worker/steps/ownership.h"

#define CLOCK_SKEW_MS (5 * 60 * 1000)

json_t *ownership_tags(const struct step *s)
{
    return json_make("[{s:s,s:s}]", "Key", step_var(s, "tag_key"), "Value", step_var(s, "tag_value"));
}

bool ownership_is_ours(const struct step *s, const json_t *tags)
{
    /* Not json_at(): a tag's key may hold dots. */
    const char *value = json_string_value(json_object_get(tags, step_var(s, "tag_key")));
    return *step_var(s, "tag_key") && str_eq(value, step_var(s, "tag_value"));
}

bool ownership_is_new(const struct step *s, int64_t created_ms)
{
    int64_t submitted_ms = json_int_at(step_import(s), "created_ms");
    return submitted_ms > 0 && created_ms >= submitted_ms - CLOCK_SKEW_MS;
}

void ownership_remains_in(json_t *list, const char *section, const char *key)
{
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    if (!json_object_get(last, "in"))
        json_put(last, "in", json_array());
    (void)json_array_append_new(json_object_get(last, "in"), json_make("{s:s,s:s}", "section", section, "key", key));
}

void ownership_remains(json_t *list, const char *what, const char *owner, const char *command)
{
    (void)json_array_append_new(list, json_make("{s:s,s:s,s:s}", "what", what, "owner", owner, "command", command));
}
