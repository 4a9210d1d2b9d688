/* Cross-account roles: what such a step touches, for the bracket around its writes. */
#include "worker/steps/cross_account_role_wish.h"

#include "common/proof/bracket.h"
#include "worker/steps/fingerprint_shape.h"

static json_t *names_of(const json_t *list)
{
    json_t *names = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        (void)json_array_append_new(names, json_string(json_str_at(one, "name")));
    return names;
}

static enum step_result look_inline(struct step *s, const struct wish *w, json_t **ret)
{
    const json_t *list = NULL, *policy = NULL;
    json_t *documents = step_keep(s, json_object()), *name = NULL;
    size_t i = 0;
    TRY(step_look(s, "inlines", &iam_list_role_policies, json_make("{s:s}", "RoleName", w->name), NULL, NULL, &list));
    json_array_foreach (json_object_get(list, "names"), i, name) {
        const char *text = json_string_value(name);
        TRY(step_look(s, step_text(s, "inline/%s", text), &iam_get_role_policy,
                      json_make("{s:s,s:s}", "RoleName", w->name, "PolicyName", text), NULL, NULL, &policy));
        json_put(documents, text, same_or(json_at(policy, "document"), json_null()));
    }
    *ret = documents;
    return STEP_DONE;
}

static enum step_result touch_role(struct step *s, const struct wish *w, json_t *reading)
{
    const json_t *role = NULL, *attached = NULL;
    json_t *documents = NULL;
    TRY(step_look(s, "role", &iam_get_role, json_make("{s:s}", "RoleName", w->name), NULL, NULL, &role));
    if (!json_is_object(role)) {
        bracket_add(reading, "iam.roles", w->name, NULL, NULL);
        return STEP_DONE;
    }
    TRY(step_look(s, "attached", &iam_list_attached_role_policies, json_make("{s:s}", "RoleName", w->name), NULL, NULL,
                  &attached));
    TRY(look_inline(s, w, &documents));
    bracket_add(reading, "iam.roles", w->name,
                shape_role(json_str_at(role, "path"), json_str_at(role, "role_id"), json_at(role, "trust"),
                           json_int_at(role, "max_session"), json_str_at(role, "description"),
                           json_at(attached, "policies"), documents, json_object_get(role, "tags"),
                           json_str_at(role, "boundary")),
                json_make("{s:o,s:[s]}", "inline", names_of(w->in_line), "tags", step_var(s, "tag_key")));
    return STEP_DONE;
}

static enum step_result touch_policy(struct step *s, const char *arn, json_t *reading)
{
    const json_t *policy = NULL, *document = NULL;
    TRY(step_look(s, arn, &iam_get_policy, json_make("{s:s}", "PolicyArn", arn), NULL, NULL, &policy));
    if (!json_is_object(policy)) {
        bracket_add(reading, "iam.policies", arn, NULL, NULL);
        return STEP_DONE;
    }
    const char *version = json_str_at(policy, "default_version");
    TRY(step_look(s, step_text(s, "%s/%s", arn, version), &iam_get_policy_version,
                  json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", version), NULL, NULL, &document));
    bracket_add(reading, "iam.policies", arn,
                json_make("{s:o}", "document", same_or(json_at(document, "document"), json_null())), NULL);
    return STEP_DONE;
}

enum step_result cross_account_role_touches(struct step *s, const char *which, json_t *reading)
{
    struct wish w;
    size_t i = 0;
    json_t *one = NULL;
    TRY(wish_read(s, which, &w));
    TRY(touch_role(s, &w, reading));
    json_array_foreach ((json_t *)(uintptr_t)w.own, i, one)
        TRY(touch_policy(s, wish_policy_arn(s, &w, json_str_at(one, "name")), reading));
    return STEP_DONE;
}
