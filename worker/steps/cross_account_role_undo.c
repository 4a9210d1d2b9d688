/* Cross-account roles: taking away what this import made, in the order that AWS wants. What is not ours any more, or
 * what others hung on it, stays and is listed with the command that removes it. */
#include "worker/steps/cross_account_role_wish.h"

#include "worker/steps/policy_document.h"

#define USERS_SETTLE_MS 10000

struct undoing {
    struct wish wish;
    json_t *remains; /* what stays, for the result */
};

static void leave_role(struct step *s, struct undoing *u, const char *why)
{
    const char *name = u->wish.name;
    ownership_remains(u->remains, step_text(s, "role %s: %s", name, why), "customer",
                      step_text(s, "aws iam delete-role --role-name %s", name));
    ownership_remains_in(u->remains, "iam.roles", name);
}

static void leave_policy(struct step *s, struct undoing *u, const char *arn, const char *why)
{
    ownership_remains(u->remains, step_text(s, "policy %s: %s", arn, why), "customer",
                      step_text(s, "aws iam delete-policy --policy-arn %s", arn));
    ownership_remains_in(u->remains, "iam.policies", arn);
}

/* ---- Whether it is still what we made ---- */

static const json_t *wanted_inline(const struct wish *w, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)w->in_line, i, one)
        if (str_eq(json_str_at(one, "name"), name))
            return one;
    return NULL;
}

/* A role that we were stopped in making has less than it should; more, or other, is somebody else's. */
static const char *edited_role(struct step *s, const struct wish *w, const json_t *role)
{
    const char *made_id = json_str_at(step_journal_facts(s, "create"), "role_id");
    if (*made_id && !str_eq(made_id, json_str_at(role, "role_id")))
        return "it is another role than the one that we made";
    if (!policy_equal(json_at(role, "trust"), w->trust))
        return "somebody changed whom it trusts";
    if (json_has(role, "max_session") && json_int_at(role, "max_session") != w->max_session)
        return "somebody changed its session duration";
    if (json_object_size(json_object_get(role, "tags")) > 1)
        return "somebody tagged it";
    return *json_str_at(role, "boundary") ? "somebody set a permissions boundary" : NULL;
}

static enum step_result edited_inline(struct step *s, const struct wish *w, const json_t *names, const char **ret_why)
{
    const json_t *one, *now = NULL;
    size_t i;
    json_array_foreach (json_at(names, "names"), i, one) {
        const char *name = json_string_value(one);
        const json_t *mine = wanted_inline(w, name);
        if (!mine) {
            *ret_why = "others hung something on it";
            return STEP_DONE;
        }
        TRY(step_call(s, step_text(s, "inline/%s", name), &iam_get_role_policy,
                      json_make("{s:s,s:s}", "RoleName", w->name, "PolicyName", name), &now));
        if (!json_is_null(now) && !policy_equal(json_at(now, "document"), json_at(mine, "document")))
            *ret_why = "somebody changed a policy in it";
    }
    return STEP_DONE;
}

/* Why the role is not only ours any more; NULL when it is. */
static enum step_result find_foreign(struct step *s, const struct wish *w, const json_t *role, const char **ret_why)
{
    const json_t *attached = NULL, *names = NULL, *one, *wanted = step_keep(s, wish_attached(s, w));
    size_t i;
    *ret_why = edited_role(s, w, role);
    if (*ret_why)
        return STEP_DONE;
    TRY(step_call(s, "attached", &iam_list_attached_role_policies, json_make("{s:s}", "RoleName", w->name), &attached));
    TRY(step_call(s, "inlines", &iam_list_role_policies, json_make("{s:s}", "RoleName", w->name), &names));
    json_array_foreach (json_at(attached, "policies"), i, one)
        if (!json_array_has_str(wanted, json_string_value(one)))
            *ret_why = "others hung something on it";
    return *ret_why ? STEP_DONE : edited_inline(s, w, names, ret_why);
}

/* ---- Taking it away, in the order that AWS wants ---- */

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
        step_also(&all, step_call(s, step_text(s, "drop/%s", json_string_value(one)), &iam_delete_role_policy,
                                  json_make("{s:s,s:O}", "RoleName", w->name, "PolicyName", one), NULL));
    json_array_foreach (json_at(profiles, "names"), i, one)
        step_also(&all, step_call(s, step_text(s, "profile/%s", json_string_value(one)),
                                  &iam_remove_role_from_instance_profile,
                                  json_make("{s:s,s:O}", "RoleName", w->name, "InstanceProfileName", one), NULL));
    return all;
}

static enum step_result delete_versions(struct step *s, const char *arn)
{
    const json_t *list = NULL, *one;
    enum step_result all = STEP_DONE;
    size_t i;
    TRY(step_call(s, step_text(s, "versions/%s", arn), &iam_list_policy_versions, json_make("{s:s}", "PolicyArn", arn),
                  &list));
    json_array_foreach (json_at(list, "versions"), i, one)
        if (!json_bool_at(one, "is_default"))
            step_also(&all,
                      step_call(s, step_text(s, "version/%s/%s", arn, json_str_at(one, "version")),
                                &iam_delete_policy_version,
                                json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", json_str_at(one, "version")),
                                NULL));
    return all;
}

static enum step_result delete_policy(struct step *s, struct undoing *u, const json_t *wanted)
{
    const char *arn = wish_policy_arn(s, &u->wish, json_str_at(wanted, "name"));
    const json_t *policy = NULL, *now = NULL, *answer = NULL;
    TRY(step_call(s, step_text(s, "policy/%s", arn), &iam_get_policy, json_make("{s:s}", "PolicyArn", arn), &policy));
    if (json_is_null(policy))
        return STEP_DONE;
    const char *version = json_str_at(policy, "default_version");
    TRY(step_call(s, step_text(s, "document/%s/%s", arn, version), &iam_get_policy_version,
                  json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", version), &now));
    if (!ownership_is_ours(s, json_object_get(policy, "tags")))
        leave_policy(s, u, arn, "it is not ours any more");
    else if (!policy_equal(json_at(now, "document"), json_at(wanted, "document")))
        leave_policy(s, u, arn, "somebody changed what it allows");
    else {
        if (json_int_at(policy, "attachments") > 0) /* or IAM still counts the role that has just gone */
            TRY(step_sleep(s, step_text(s, "users/%s", arn), USERS_SETTLE_MS));
        if (json_int_at(policy, "attachments") > 0) {
            leave_policy(s, u, arn, "others use it");
            return STEP_DONE;
        }
        TRY(delete_versions(s, arn));
        TRY(step_try(s, step_text(s, "delete/%s", arn), &iam_delete_policy, json_make("{s:s}", "PolicyArn", arn),
                     "DeleteConflict", &answer));
        if (json_has(answer, "error"))
            leave_policy(s, u, arn, "others use it");
    }
    return STEP_DONE;
}

/* `is_left`: the role stays with them. */
static enum step_result delete_policies(struct step *s, struct undoing *u, bool is_left)
{
    enum step_result all = STEP_DONE;
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)u->wish.own, i, one) {
        const char *name = json_str_at(one, "name");
        if (!step_journal_facts(s, step_text(s, "create-policy/%s", name)))
            continue;
        if (is_left)
            leave_policy(s, u, wish_policy_arn(s, &u->wish, name), "it hangs on the role that stays");
        else
            step_also(&all, delete_policy(s, u, one));
    }
    return all;
}

/* From a role that was there before us goes what this import hung on it. Its trust stays as it was agreed. */
static enum step_result take_back(struct step *s, struct undoing *u)
{
    const struct wish *w = &u->wish;
    const json_t *wanted = step_keep(s, wish_attached(s, w)), *one;
    enum step_result all = STEP_DONE;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)wanted, i, one)
        if (step_journal_facts(s, step_text(s, "attach/%s", json_string_value(one))))
            step_also(&all, step_call(s, step_text(s, "detach/%s", json_string_value(one)), &iam_detach_role_policy,
                                      json_make("{s:s,s:O}", "RoleName", w->name, "PolicyArn", one), NULL));
    json_array_foreach ((json_t *)(uintptr_t)w->in_line, i, one) {
        const char *name = json_str_at(one, "name");
        if (step_did_at(s, step_text(s, "inline-put/%s", name)))
            step_also(&all, step_call(s, step_text(s, "drop/%s", name), &iam_delete_role_policy,
                                      json_make("{s:s,s:s}", "RoleName", w->name, "PolicyName", name), NULL));
    }
    TRY(all);
    leave_role(s, u, "it was there before this import");
    return delete_policies(s, u, false);
}

static enum step_result undo_role(struct step *s, struct undoing *u)
{
    const json_t *role = NULL;
    const char *why = NULL, *name = u->wish.name;
    TRY(step_call(s, "look", &iam_get_role, json_make("{s:s}", "RoleName", name), &role));
    if (json_is_null(role))
        return delete_policies(s, u, false);
    if (!ownership_is_ours(s, json_object_get(role, "tags"))) {
        if (step_journal_facts(s, "create")) /* else it never was */
            leave_role(s, u, "it is not ours any more");
        return delete_policies(s, u, false);
    }
    /* Only what our own journal says we made: an import before this one may have made it a minute ago, with our tag. */
    if (!step_journal_facts(s, "create") || !ownership_is_new(s, json_int_at(role, "created_ms")))
        return take_back(s, u);
    TRY(find_foreign(s, &u->wish, role, &why));
    if (why) {
        leave_role(s, u, why);
        return delete_policies(s, u, true);
    }
    TRY(strip(s, &u->wish));
    TRY(step_call(s, "delete", &iam_delete_role, json_make("{s:s}", "RoleName", name), NULL));
    return delete_policies(s, u, false);
}

enum step_result cross_account_role_undo(struct step *s, const char *which)
{
    struct undoing u = {.remains = step_keep(s, json_array())};
    TRY(wish_read(s, which, &u.wish));
    TRY(undo_role(s, &u));
    if (json_array_size(u.remains))
        step_set(s, "remains", json_incref(u.remains));
    return STEP_DONE;
}
