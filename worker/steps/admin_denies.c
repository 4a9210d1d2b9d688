/* Explicit denies by policy and statement. AWS's simulation names the policy; the statement's Sid stands only in the
 * document, so the documents of this one identity are looked through for the statement that covers the call. */
#include "worker/steps/admin_denies.h"

#include "common/aws/services/iam.h"
#include "common/policy/policy.h"
#include "worker/steps/admin_rights.h"

#include <string.h>

bool admin_deny_is_explicit(const json_t *result)
{
    return str_eq(json_str_at(result, "decision"), "explicitDeny");
}

struct found {
    const json_t *statement;
    size_t number;
    const char *policy, *through; /* "attached to group Ops" */
};

static const json_t *by(const json_t *list, const char *key, const char *value)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        if (str_eq(json_str_at(one, key), value))
            return one;
    return NULL;
}

static bool look_inline(struct step *s, const json_t *identity, const char *what, const json_t *denied,
                        struct found *ret)
{
    const char *name;
    json_t *document;
    json_object_foreach (json_object_get(identity, "inline"), name, document) {
        size_t number = 0;
        const json_t *statement = policy_statement(document, "Deny", json_str_at(denied, "action"),
                                                   json_str_or(denied, "resource", "*"), &number);
        if (!statement)
            continue;
        *ret = (struct found){statement, number, step_text(s, "%s", name), step_text(s, "inline of %s", what)};
        return true;
    }
    return false;
}

static bool look_attached(struct step *s, const json_t *details, const json_t *identity, const char *what,
                          const json_t *denied, struct found *ret)
{
    size_t i;
    const json_t *arn;
    json_array_foreach (json_object_get(identity, "policies"), i, arn) {
        const json_t *policy = by(json_object_get(details, "policies"), "arn", json_string_value(arn));
        size_t number = 0;
        const json_t *statement =
            policy_statement(json_object_get(policy, "document"), "Deny", json_str_at(denied, "action"),
                             json_str_or(denied, "resource", "*"), &number);
        if (!statement)
            continue;
        *ret = (struct found){statement, number, json_string_value(arn), step_text(s, "attached to %s", what)};
        return true;
    }
    return false;
}

static bool look(struct step *s, const json_t *details, const char *self, const json_t *denied, struct found *ret)
{
    bool is_user = *admin_user_name(self) != 0;
    const json_t *identity = by(json_object_get(details, is_user ? "users" : "roles"), "arn", self), *name;
    const char *what = step_text(s, "%s %s", is_user ? "user" : "role", json_str_at(identity, "name"));
    size_t i;
    if (look_inline(s, identity, what, denied, ret) || look_attached(s, details, identity, what, denied, ret))
        return true;
    json_array_foreach (json_object_get(identity, "groups"), i, name) {
        const json_t *group = by(json_object_get(details, "groups"), "name", json_string_value(name));
        what = step_text(s, "group %s", json_string_value(name));
        if (look_inline(s, group, what, denied, ret) || look_attached(s, details, group, what, denied, ret))
            return true;
    }
    return false;
}

/* What AWS itself says, when the documents say no more. */
static const char *plain_words(struct step *s, const json_t *denied)
{
    const char *action = json_str_at(denied, "action"), *policy = json_str_at(denied, "statements.0.policy");
    if (*json_str_at(denied, "said"))
        return step_text(s, "%s is not allowed, and without it no other right can be checked in advance (%.300s)",
                         action, json_str_at(denied, "said"));
    if (admin_deny_is_explicit(denied))
        return step_text(s, "%s is explicitly denied by %s%s", action, *policy ? "policy " : "a policy of the account",
                         policy);
    if (str_eq(json_str_at(denied, "decision"), "unanswered"))
        return step_text(s, "AWS's simulation says nothing of %s", action);
    if (str_eq(json_str_at(denied, "boundary"), "false"))
        return step_text(s, "%s is not allowed by the permissions boundary of the identity", action);
    if (str_eq(json_str_at(denied, "organization"), "false"))
        return step_text(s, "%s is not allowed by a service control policy of the organization", action);
    return step_text(s, "%s is not allowed on %s: no policy of the identity allows it", action,
                     json_str_or(denied, "resource", "*"));
}

static const char *words_of(struct step *s, const json_t *details, const char *self, const json_t *denied)
{
    struct found found;
    if (!admin_deny_is_explicit(denied) || !look(s, details, self, denied, &found))
        return plain_words(s, denied);
    const char *sid = json_str_at(found.statement, "Sid");
    return step_text(s, "%s is explicitly denied by statement %s of policy %s, %s", json_str_at(denied, "action"),
                     *sid ? sid : step_text(s, "number %zu (it has no Sid)", found.number), found.policy,
                     found.through);
}

enum step_result admin_denies_in_words(struct step *s, const char *self, const json_t *denied, const json_t **ret)
{
    const json_t *details = NULL, *one;
    bool is_explicit = false;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)denied, i, one)
        is_explicit = is_explicit || admin_deny_is_explicit(one);
    if (is_explicit)
        TRY(step_try(s, "rights/policies", &iam_get_account_authorization_details, NULL, "AccessDenied", &details));
    json_t *words = step_keep(s, json_array());
    json_array_foreach ((json_t *)(uintptr_t)denied, i, one)
        (void)json_array_append_new(words, json_string(words_of(s, details, self, one)));
    *ret = words;
    return STEP_DONE;
}
