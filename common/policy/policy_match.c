/* Matching as IAM does it: `*` any run, `?` one character; actions without regard to case, resources with. */
#include "common/policy/policy.h"

#include <ctype.h>

static bool same_char(char a, char b, bool ignore_case)
{
    return a == b || (ignore_case && tolower((unsigned char)a) == tolower((unsigned char)b));
}

bool policy_matches(const char *pattern, const char *text, bool ignore_case)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern && (*pattern == '?' || same_char(*pattern, *text, ignore_case))) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool policy_any_matches(const json_t *words, const char *text, bool ignore_case)
{
    if (json_is_string(words))
        return policy_matches(json_string_value(words), text, ignore_case);
    size_t i = 0;
    const json_t *word = NULL;
    json_array_foreach ((json_t *)(uintptr_t)words, i, word)
        if (json_is_string(word) && policy_matches(json_string_value(word), text, ignore_case))
            return true;
    return false;
}

static bool covers(const json_t *statement, const char *action, const char *resource)
{
    const json_t *actions = json_object_get(statement, "Action"),
                 *not_actions = json_object_get(statement, "NotAction");
    const json_t *resources = json_object_get(statement, "Resource");
    const json_t *not_resources = json_object_get(statement, "NotResource");
    if (actions ? !policy_any_matches(actions, action, true)
                : !not_actions || policy_any_matches(not_actions, action, true))
        return false;
    if (not_resources)
        return !policy_any_matches(not_resources, resource, false);
    return !resources || policy_any_matches(resources, resource, false);
}

const json_t *policy_statement(const json_t *document, const char *effect, const char *action, const char *resource,
                               size_t *ret_number)
{
    const json_t *statements = json_object_get(document, "Statement");
    size_t count = json_is_array(statements) ? json_array_size(statements) : statements ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(statements) ? json_array_get(statements, i) : statements;
        if (!str_eq(json_str_at(one, "Effect"), effect) || !covers(one, action, resource))
            continue;
        *ret_number = i + 1;
        return one;
    }
    return NULL;
}
