/* The whole answer that people and programs get: documents, trust, sizes, and which step asks for which action. */
#include "common/policy/policy.h"

#include "common/base/mem.h"

#include <string.h>

static json_t *administrator(void)
{
    json_t *document = json_make("{s:s, s:[{s:s, s:s, s:s}]}", "Version", "2012-10-17", "Statement", "Effect", "Allow",
                                 "Action", "*", "Resource", "*");
    return json_make("{s:s, s:I, s:o}", "name", "AdministratorAccess", "characters",
                     (json_int_t)policy_characters(document), "document", document);
}

static const char *part_of(const json_t *needs, const char *action)
{
    const json_t *group = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)needs, i, group)
        if (json_array_has_str(json_object_get(group, "actions"), action))
            return json_str_at(group, "part");
    return "";
}

static bool step_needs(const json_t *step, const char *action)
{
    const json_t *op = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(step, "ops"), i, op)
        if (str_eq(json_str_at(op, "who"), "customer") && str_in_list(json_str_at(op, "permission"), action))
            return true;
    return false;
}

static json_t *steps_of(const json_t *manifest, const json_t *import, const char *action)
{
    const json_t *wanted = json_object_get(import, "steps"), *step = NULL;
    json_t *names = json_array();
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)manifest, i, step) {
        const char *name = json_str_at(step, "step");
        if (step_needs(step, action) && (!json_array_size(wanted) || json_array_has_str(wanted, name)))
            (void)json_array_append_new(names, json_string(name));
    }
    return names;
}

static json_t *actions_of(const json_t *manifest, const json_t *import, const json_t *needs)
{
    json_auto_t *names = policy_actions(needs);
    json_t *list = json_array();
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (names, i, one) {
        const char *action = json_string_value(one);
        (void)json_array_append_new(
            list, json_make("{s:s, s:s, s:b, s:o}", "action", action, "part", part_of(needs, action), "optional",
                            (int)policy_action_is_optional(action), "steps", steps_of(manifest, import, action)));
    }
    return list;
}

static json_t *notes_of(const json_t *needs)
{
    json_t *notes = json_array();
    const json_t *group = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)needs, i, group)
        (void)json_array_append_new(
            notes, json_make("{s:s, s:s}", "sid", json_str_at(group, "sid"), "note", json_str_at(group, "note")));
    return notes;
}

static json_t *session_of(const json_t *manifest, const json_t *import)
{
    AUTO_FREE char *text = policy_session(manifest, import);
    if (!text)
        return json_null();
    struct err ignored;
    json_t *document = json_read(text, strlen(text), 0, &ignored);
    return json_make("{s:o, s:I, s:I}", "document", document, "characters", (json_int_t)strlen(text), "limit",
                     (json_int_t)POLICY_SESSION_MAX);
}

static const char *principal_of(const json_t *import, bool is_role)
{
    const char *given = json_str_at(import, "access.role_arn"), *slash = strrchr(given, '/');
    if (!is_role)
        return "orgimport"; /* what the task suggests; the documents fit a user of any name */
    return slash ? slash + 1 : json_str_at(import, "vars.bootstrap_role");
}

json_t *policy_report(const json_t *manifest, const json_t *import)
{
    bool is_role = str_eq(json_str_at(import, "access.method"), "role");
    json_auto_t *needs = policy_needs(manifest, import);
    json_t *guard = policy_guard(import);
    json_t *report = json_make("{s:s, s:s, s:s, s:s, s:o, s:{s:s, s:I, s:o}, s:o, s:o, s:o, s:{s:I, s:I}}",
                               "account_id", json_str_at(import, "vars.account_id"), "playbook",
                               json_str_at(import, "playbook"), "method", is_role ? "role" : "sealed_key", "principal",
                               principal_of(import, is_role), "documents", policy_documents(needs), "guard", "name",
                               "OrgImportNever", "characters", (json_int_t)policy_characters(guard), "document", guard,
                               "actions", actions_of(manifest, import, needs), "notes", notes_of(needs),
                               "administrator", administrator(), "limits", "managed", (json_int_t)POLICY_MANAGED_MAX,
                               "role_inline", (json_int_t)POLICY_ROLE_INLINE_MAX);
    if (is_role) {
        json_put(report, "trust", policy_trust(import));
        json_put(report, "session", session_of(manifest, import));
    }
    return report;
}
