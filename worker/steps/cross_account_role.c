/* Cross-account roles: look, make, mend. cross_account_role_see.c reads back, cross_account_role_undo.c takes away. */
#include "worker/steps/cross_account_role_wish.h"

#include "worker/steps/policy_document.h"

#include <strings.h>

enum step_result wish_read(struct step *s, const char *which, struct wish *ret)
{
    const json_t *roles = json_at(step_import(s), "vars.roles"), *role = json_object_get(roles, which);
    *ret = (struct wish){.role = role,
                         .name = json_str_at(role, "name"),
                         .path = json_str_or(role, "path", "/"),
                         .description = json_str_at(role, "description"),
                         .trust = json_at(role, "trust"),
                         .own = json_at(role, "policies"),
                         .managed = json_at(role, "managed"),
                         .in_line = json_at(role, "inline"),
                         .max_session = json_has(role, "max_session") ? json_int_at(role, "max_session") : 3600};
    if (!*ret->name || !json_is_object(ret->trust))
        return step_fail(s, ERR_PROFILE_INVALID, "the profile has no name or trust for the role %s", which);
    if (!policy_asks_external_id(ret->trust))
        return step_fail(s, ERR_PROFILE_INVALID, "the trust of role %s does not ask for an external id", ret->name);
    return STEP_DONE;
}

const char *wish_policy_arn(struct step *s, const struct wish *w, const char *policy_name)
{
    return step_text(s, "arn:aws:iam::%s:policy%s%s", step_var(s, "account_id"), w->path, policy_name);
}

json_t *wish_attached(struct step *s, const struct wish *w)
{
    json_t *arns = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)w->own, i, one)
        (void)json_array_append_new(arns, json_string(wish_policy_arn(s, w, json_str_at(one, "name"))));
    json_array_foreach ((json_t *)(uintptr_t)w->managed, i, one)
        (void)json_array_append(arns, (json_t *)(uintptr_t)one);
    json_sort_by(arns, NULL);
    return arns;
}

static json_t *role_args(const struct wish *w)
{
    return json_make("{s:s}", "RoleName", w->name);
}

/* The first 8 digits of what we saw: a second drift is another key, never the answer of the first repair. */
static const char *seen_digest(struct step *s, const json_t *seen)
{
    char digest[65];
    json_digest(seen, digest);
    return step_text(s, "%.8s", digest);
}

/* ---- The role itself ---- */

/* GetRole asks for one spelling; a role that differs only in case refuses ours all the same. */
static enum step_result check_spelling(struct step *s, const struct wish *w)
{
    const json_t *all = NULL, *one;
    size_t i;
    TRY(step_call(s, "names", &iam_list_roles, NULL, &all));
    json_array_foreach (json_at(all, "roles"), i, one)
        if (strcasecmp(json_str_at(one, "name"), w->name) == 0 && !str_eq(json_str_at(one, "name"), w->name))
            return step_fail(s, ERR_ROLE_NAME_TAKEN, "role %s exists and is not ours; it takes the name %s too",
                             json_str_at(one, "name"), w->name);
    return STEP_DONE;
}

static enum step_result create_role(struct step *s, const struct wish *w, const json_t **ret_role)
{
    TRY(check_spelling(s, w));
    json_t *args = role_args(w);
    json_put(args, "AssumeRolePolicyDocument", same(w->trust));
    json_put_str(args, "Path", w->path);
    json_put_int(args, "MaxSessionDuration", w->max_session);
    if (*w->description)
        json_put_str(args, "Description", w->description);
    json_put(args, "Tags", ownership_tags(s));
    return step_call(s, "create", &iam_create_role, args, ret_role);
}

/* Our product already knows the id by which a role of an earlier import lets it in: that id stays. A vendor's id was
 * given for this import and is not ours to keep. */
static void adopt_external_id(struct step *s, struct wish *w, const json_t *role)
{
    const char *live = policy_external_id(json_at(role, "trust")), *mine = policy_external_id(w->trust);
    if (!*live || str_eq(live, mine) || !str_eq(mine, step_var(s, "external_id")))
        return;
    w->trust = step_keep(s, policy_with_external_id(w->trust, live));
    step_set_str(s, "external_id_adopted", live);
}

static enum step_result mend_role(struct step *s, struct wish *w, const json_t *role, bool *ret_wrote)
{
    if (!ownership_is_ours(s, json_object_get(role, "tags")) || !str_eq(json_str_at(role, "name"), w->name))
        return step_fail(s, ERR_ROLE_NAME_TAKEN, "role %s exists and is not ours", json_str_at(role, "name"));
    if (!str_eq(json_str_at(role, "path"), w->path))
        return step_fail(s, ERR_ROLE_DRIFT, "our role %s has the path %s, not %s; AWS cannot change a path", w->name,
                         json_str_at(role, "path"), w->path);
    adopt_external_id(s, w, role);
    if (!policy_equal(json_at(role, "trust"), w->trust)) {
        json_t *args = role_args(w);
        json_put(args, "PolicyDocument", same(w->trust));
        *ret_wrote = true;
        step_warn(s, "the trust of our role %s had been changed; it is as agreed again", w->name);
        TRY(step_call(s, step_text(s, "trust/%s", seen_digest(s, json_at(role, "trust"))),
                      &iam_update_assume_role_policy, args, NULL));
    }
    w->description = json_str_at(role, "description"); /* whoever wrote it: not worth a write */
    if (json_has(role, "max_session") && json_int_at(role, "max_session") != w->max_session) {
        json_t *args = role_args(w);
        json_put_int(args, "MaxSessionDuration", w->max_session);
        json_put_str(args, "Description", w->description); /* AWS takes both or forgets one */
        *ret_wrote = true;
        TRY(step_call(s, step_text(s, "settings/%s", seen_digest(s, role)), &iam_update_role, args, NULL));
    }
    return STEP_DONE;
}

/* ---- What hangs on it ---- */

static enum step_result have_attached(struct step *s, const struct wish *w, bool *ret_wrote)
{
    const json_t *now = NULL, *wanted = step_keep(s, wish_attached(s, w)), *arn;
    size_t i;
    TRY(step_call(s, "attached", &iam_list_attached_role_policies, role_args(w), &now));
    json_array_foreach (json_at(now, "policies"), i, arn)
        if (!json_array_has_str(wanted, json_string_value(arn)))
            return step_fail(s, ERR_ROLE_DRIFT, "somebody attached %s to our role %s", json_string_value(arn), w->name);
    enum step_result all = STEP_DONE;
    json_array_foreach ((json_t *)(uintptr_t)wanted, i, arn) {
        if (json_array_has_str(json_at(now, "policies"), json_string_value(arn)))
            continue;
        json_t *args = role_args(w);
        json_put_str(args, "PolicyArn", json_string_value(arn));
        *ret_wrote = true;
        step_also(&all,
                  step_call(s, step_text(s, "attach/%s", json_string_value(arn)), &iam_attach_role_policy, args, NULL));
    }
    return all;
}

static bool is_wanted_inline(const struct wish *w, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)w->in_line, i, one)
        if (str_eq(json_str_at(one, "name"), name))
            return true;
    return false;
}

static enum step_result have_one_inline(struct step *s, const struct wish *w, const json_t *one, bool *ret_wrote)
{
    const char *name = json_str_at(one, "name");
    const json_t *now = NULL;
    json_t *args = role_args(w);
    json_put_str(args, "PolicyName", name);
    TRY(step_call(s, step_text(s, "inline/%s", name), &iam_get_role_policy, args, &now));
    if (!json_is_null(now) && policy_equal(json_at(now, "document"), json_at(one, "document")))
        return STEP_DONE;
    json_t *put = role_args(w);
    json_put_str(put, "PolicyName", name);
    json_put(put, "PolicyDocument", same(json_at(one, "document")));
    *ret_wrote = true;
    (void)step_now(s, step_text(s, "inline-put/%s", name)); /* undo asks for it */
    return step_call(s, step_text(s, "put/%s/%s", name, seen_digest(s, now)), &iam_put_role_policy, put, NULL);
}

static enum step_result have_inline(struct step *s, const struct wish *w, bool *ret_wrote)
{
    const json_t *now = NULL, *one;
    size_t i;
    TRY(step_call(s, "inlines", &iam_list_role_policies, role_args(w), &now));
    json_array_foreach (json_at(now, "names"), i, one)
        if (!is_wanted_inline(w, json_string_value(one)))
            return step_fail(s, ERR_ROLE_DRIFT, "somebody put the policy %s into our role %s", json_string_value(one),
                             w->name);
    enum step_result all = STEP_DONE;
    json_array_foreach ((json_t *)(uintptr_t)w->in_line, i, one)
        step_also(&all, have_one_inline(s, w, one, ret_wrote));
    return all;
}

enum step_result cross_account_role_make(struct step *s, const char *which, const json_t **ret_role)
{
    struct wish w;
    const json_t *role = NULL;
    bool wrote = false;
    TRY(wish_read(s, which, &w));
    TRY(step_call(s, "look", &iam_get_role, role_args(&w), &role));
    if (json_is_null(role))
        TRY(create_role(s, &w, &role));
    else
        TRY(mend_role(s, &w, role, &wrote));
    TRY(wish_have_policies(s, &w, &wrote));
    TRY(have_attached(s, &w, &wrote));
    TRY(have_inline(s, &w, &wrote));
    return wish_see(s, &w, ret_role);
}
