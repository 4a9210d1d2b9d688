/* Rights of the handed-over identity. */
#include "worker/steps/admin_rights.h"

#define ADMINISTRATOR "arn:aws:iam::aws:policy/AdministratorAccess"
#define ACTIONS_PER_CALL 40

const char *admin_user_name(const char *arn)
{
    const char *user = strstr(arn, ":user/"), *slash = strrchr(arn, '/');
    return user && slash ? slash + 1 : "";
}

static enum step_result read_key_route(struct step *s, const char *user, struct admin_rights *ret)
{
    const json_t *attached = NULL, *groups = NULL, *group;
    size_t i;
    TRY(step_call(s, "rights/attached", &iam_list_attached_user_policies, json_make("{s:s}", "UserName", user),
                  &attached));
    if (json_array_has_str(json_at(attached, "policies"), ADMINISTRATOR)) {
        *ret = (struct admin_rights){true, "attached to the user", ""};
        return STEP_DONE;
    }
    TRY(step_call(s, "rights/groups", &iam_list_groups_for_user, json_make("{s:s}", "UserName", user), &groups));
    json_array_foreach (json_at(groups, "groups"), i, group) {
        const char *name = json_string_value(group);
        const json_t *policies = NULL;
        TRY(step_call(s, step_text(s, "rights/group/%s", name), &iam_list_attached_group_policies,
                      json_make("{s:s}", "GroupName", name), &policies));
        if (!json_array_has_str(json_at(policies, "policies"), ADMINISTRATOR))
            continue;
        *ret = (struct admin_rights){true, step_text(s, "through group %s", name), ""};
        return STEP_DONE;
    }
    *ret = (struct admin_rights){false, "",
                                 step_text(s, "AdministratorAccess is not attached to user %s or a group of it", user)};
    return STEP_DONE;
}

/* ---- Role route ---- */

/* Reads of features that answer "not readable" when denied: their denial stops nothing. */
static bool is_optional(const char *action)
{
    static const char *const services[] = {"sso:", "backup:", "fms:", "ram:", "cloudformation:"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (str_starts(action, services[i]))
            return true;
    return false;
}

static void add_actions(json_t *set, const char *list)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        json_t *action = json_stringn(list, len);
        if (len && json_string_value(action) && !json_array_has_str(set, json_string_value(action)))
            (void)json_array_append(set, action);
        json_decref(action);
        list += len + (list[len] == ',');
    }
}

/* All that the steps of this import's playbook sign as the customer, sorted. New reference. */
static json_t *declared_actions(const struct step *s)
{
    json_t *set = json_array();
    size_t i;
    const json_t *name;
    json_array_foreach (json_at(step_import(s), "steps"), i, name) {
        const struct step_def *def = step_def_by_name(json_string_value(name));
        for (const struct aws_op *const *op = def ? def->ops : NULL; op && *op; op++)
            if ((*op)->who == AWS_AS_CUSTOMER)
                add_actions(set, (*op)->permission);
    }
    json_sort_by(set, NULL);
    return set;
}

static enum step_result read_role_route(struct step *s, const char *role_arn, struct admin_rights *ret)
{
    const json_t *actions = step_keep(s, declared_actions(s)), *one;
    json_t *denied = step_keep(s, json_array());
    enum step_result all = STEP_DONE;
    for (size_t at = 0; at < json_array_size(actions); at += ACTIONS_PER_CALL) {
        json_t *some = json_array();
        for (size_t i = at; i < json_array_size(actions) && i < at + ACTIONS_PER_CALL; i++)
            (void)json_array_append(some, json_array_get(actions, i));
        const json_t *answer = NULL;
        size_t i;
        step_also(&all, step_call(s, step_text(s, "rights/simulate/%zu", at), &iam_simulate_principal_policy,
                                  json_make("{s:s,s:o}", "PolicySourceArn", role_arn, "ActionNames", some), &answer));
        json_array_foreach (json_at(answer, "results"), i, one)
            if (!str_eq(json_str_at(one, "decision"), "allowed") && !is_optional(json_str_at(one, "action")))
                (void)json_array_append(denied, json_object_get(one, "action"));
    }
    TRY(all);
    size_t count = json_array_size(denied);
    const char *first = json_string_value(json_array_get(denied, 0)),
               *second = json_string_value(json_array_get(denied, 1));
    if (count == 0)
        *ret = (struct admin_rights){true, "simulated: every declared action is allowed", ""};
    else
        *ret = (struct admin_rights){false, "",
                                     step_text(s, "%zu of %zu needed actions are denied to the role, such as %s%s%s",
                                               count, json_array_size(actions), first, second ? " and " : "",
                                               second ? second : "")};
    step_set(s, "denied_actions", json_incref(denied));
    return STEP_DONE;
}

/* Without a role_arn the role is the one that access_handover asked for, as sessions take it too. */
static const char *role_arn_of(struct step *s)
{
    const char *given = json_str_at(step_import(s), "access.role_arn");
    return *given ? given
                  : step_text(s, "arn:%s:iam::%s:role/%s", step_var(s, "partition"), step_var(s, "account_id"),
                              step_var(s, "bootstrap_role"));
}

enum step_result admin_rights_read(struct step *s, const json_t *me, struct admin_rights *ret)
{
    const char *arn = json_str_at(me, "arn"), *user = admin_user_name(arn);
    if (str_eq(json_str_at(step_import(s), "access.method"), "role"))
        return read_role_route(s, role_arn_of(s), ret);
    if (*user)
        return read_key_route(s, user, ret);
    if (str_ends(arn, ":root"))
        *ret = (struct admin_rights){false, "",
                                     "the key belongs to the root user; hand over a key of an IAM user instead"};
    else
        *ret = (struct admin_rights){false, "", "the key belongs to no IAM user"};
    return STEP_DONE;
}
