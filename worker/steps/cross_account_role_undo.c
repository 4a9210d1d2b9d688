/* Cross-account roles: taking away what this import made, in the order that AWS wants. What is not ours any more, or
 * what others hung on it, stays and is listed with the command that removes it. */
#include "worker/steps/cross_account_role_wish.h"

#include "worker/steps/policy_document.h"

static enum step_result leave(struct step *s, const struct wish *w, const char *why)
{
    json_t *list = json_array();
    ownership_remains(list, step_text(s, "role %s: %s", w->name, why), "customer",
                      step_text(s, "aws iam delete-role --role-name %s", w->name));
    step_set(s, "remains", list);
    return STEP_DONE;
}

/* Whether anything hangs on the role that is not of our making. */
static enum step_result find_foreign(struct step *s, const struct wish *w, bool *ret)
{
    const json_t *attached = NULL, *names = NULL, *one, *wanted = step_keep(s, wish_attached(s, w));
    size_t i, k;
    TRY(step_call(s, "attached", &iam_list_attached_role_policies, json_make("{s:s}", "RoleName", w->name), &attached));
    TRY(step_call(s, "inlines", &iam_list_role_policies, json_make("{s:s}", "RoleName", w->name), &names));
    *ret = false;
    json_array_foreach (json_at(attached, "policies"), i, one)
        if (!json_array_has_str(wanted, json_string_value(one)))
            *ret = true;
    json_array_foreach (json_at(names, "names"), i, one) {
        bool is_ours = false;
        const json_t *mine;
        json_array_foreach ((json_t *)(uintptr_t)w->in_line, k, mine)
            is_ours = is_ours || str_eq(json_str_at(mine, "name"), json_string_value(one));
        *ret = *ret || !is_ours;
    }
    return STEP_DONE;
}

static enum step_result strip(struct step *s, const struct wish *w)
{
    const json_t *attached = NULL, *names = NULL, *profiles = NULL, *one;
    enum step_result all = STEP_DONE;
    size_t i;
    TRY(step_call(s, "attached", &iam_list_attached_role_policies, json_make("{s:s}", "RoleName", w->name), &attached));
    TRY(step_call(s, "inlines", &iam_list_role_policies, json_make("{s:s}", "RoleName", w->name), &names));
    TRY(step_call(s, "profiles", &iam_list_instance_profiles_for_role, json_make("{s:s}", "RoleName", w->name),
                  &profiles));
    json_array_foreach (json_at(attached, "policies"), i, one)
        step_also(&all, step_call(s, step_text(s, "detach/%s", json_string_value(one)), &iam_detach_role_policy,
                                  json_make("{s:s,s:O}", "RoleName", w->name, "PolicyArn", one), NULL));
    json_array_foreach (json_at(names, "names"), i, one)
        step_also(&all, step_call(s, step_text(s, "inline/%s", json_string_value(one)), &iam_delete_role_policy,
                                  json_make("{s:s,s:O}", "RoleName", w->name, "PolicyName", one), NULL));
    json_array_foreach (json_at(profiles, "names"), i, one)
        step_also(&all, step_call(s, step_text(s, "profile/%s", json_string_value(one)),
                                  &iam_remove_role_from_instance_profile,
                                  json_make("{s:s,s:O}", "RoleName", w->name, "InstanceProfileName", one), NULL));
    return all;
}

static enum step_result delete_policy(struct step *s, const char *arn)
{
    const json_t *policy = NULL, *list = NULL, *one;
    enum step_result all = STEP_DONE;
    size_t i;
    TRY(step_call(s, step_text(s, "policy/%s", arn), &iam_get_policy, json_make("{s:s}", "PolicyArn", arn), &policy));
    if (json_is_null(policy) || !ownership_is_ours(s, json_object_get(policy, "tags")))
        return STEP_DONE; /* gone, or somebody else's by now */
    TRY(step_call(s, step_text(s, "versions/%s", arn), &iam_list_policy_versions, json_make("{s:s}", "PolicyArn", arn),
                  &list));
    json_array_foreach (json_at(list, "versions"), i, one)
        if (!json_bool_at(one, "is_default"))
            step_also(&all,
                      step_call(s, step_text(s, "version/%s/%s", arn, json_str_at(one, "version")),
                                &iam_delete_policy_version,
                                json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", json_str_at(one, "version")),
                                NULL));
    TRY(all);
    return step_call(s, step_text(s, "delete/%s", arn), &iam_delete_policy, json_make("{s:s}", "PolicyArn", arn), NULL);
}

static enum step_result delete_policies(struct step *s, const struct wish *w)
{
    enum step_result all = STEP_DONE;
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)w->own, i, one)
        if (step_journal_facts(s, step_text(s, "create-policy/%s", json_str_at(one, "name"))))
            step_also(&all, delete_policy(s, wish_policy_arn(s, w, json_str_at(one, "name"))));
    return all;
}

/* From a role that was there before us goes what this import hung on it. Its trust stays as it was agreed. */
static enum step_result take_back(struct step *s, const struct wish *w)
{
    const json_t *wanted = step_keep(s, wish_attached(s, w)), *one;
    uint64_t began_ms = step_now(s, "undo-began");
    enum step_result all = STEP_DONE;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)wanted, i, one)
        if (step_journal_facts(s, step_text(s, "attach/%s", json_string_value(one))))
            step_also(&all, step_call(s, step_text(s, "detach/%s", json_string_value(one)), &iam_detach_role_policy,
                                      json_make("{s:s,s:O}", "RoleName", w->name, "PolicyArn", one), NULL));
    json_array_foreach ((json_t *)(uintptr_t)w->in_line, i, one) {
        const char *name = json_str_at(one, "name");
        if (step_now(s, step_text(s, "inline-put/%s", name)) < began_ms)
            step_also(&all, step_call(s, step_text(s, "inline/%s", name), &iam_delete_role_policy,
                                      json_make("{s:s,s:s}", "RoleName", w->name, "PolicyName", name), NULL));
    }
    TRY(all);
    TRY(delete_policies(s, w));
    return leave(s, w, "it was there before this import");
}

enum step_result cross_account_role_undo(struct step *s, const char *which)
{
    struct wish w;
    const json_t *role = NULL;
    bool is_shared = false;
    TRY(wish_read(s, which, &w));
    TRY(step_call(s, "look", &iam_get_role, json_make("{s:s}", "RoleName", w.name), &role));
    if (json_is_null(role))
        return delete_policies(s, &w);
    if (!ownership_is_ours(s, json_object_get(role, "tags")))
        return leave(s, &w, "it is not ours");
    if (!ownership_is_new(s, json_int_at(role, "created_ms")))
        return take_back(s, &w);
    TRY(find_foreign(s, &w, &is_shared));
    if (is_shared)
        return leave(s, &w, "others hung something on it");
    TRY(strip(s, &w));
    TRY(step_call(s, "delete", &iam_delete_role, json_make("{s:s}", "RoleName", w.name), NULL));
    return delete_policies(s, &w);
}
