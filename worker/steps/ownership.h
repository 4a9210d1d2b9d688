/* What is ours: the tag that the operator profile names, and nothing else. Shared by all steps that make something. */
#pragma once

#include "worker/step.h"

/* Another reference to a borrowed value. */
static inline json_t *same(const json_t *value)
{
    return json_incref((json_t *)(uintptr_t)value);
}
static inline json_t *same_or(const json_t *value, json_t *new_other)
{
    if (!value)
        return new_other;
    json_decref(new_other);
    return same(value);
}

json_t *ownership_tags(const struct step *s);                     /* [{"Key", "Value"}], new reference */
bool ownership_is_ours(const struct step *s, const json_t *tags); /* tags: {"key": "value"} */
/* Made since this import was submitted: what undo may take away. Clocks of AWS and Redis may differ by minutes. */
bool ownership_is_new(const struct step *s, int64_t created_ms);
/* One entry of the list of what undo leaves behind: {what, owner, command}. Set under "remains" by the caller. */
void ownership_remains(json_t *list, const char *what, const char *owner, const char *command);
/* The last entry is why that key of the fingerprint may differ from before: the proof at the end of an undo lets it
 * pass, and nothing else. May be called for several keys. */
void ownership_remains_in(json_t *list, const char *section, const char *key);
