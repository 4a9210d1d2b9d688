/* Rights of the handed-over identity, by AWS's own simulation. */
#include "worker/steps/admin_rights.h"

#include "common/policy/policy.h"
#include "worker/steps/admin_denies.h"
#include "worker/steps/manifest.h"

#define ACTIONS_PER_CALL 40
#define FINDINGS_MAX 120

const char *admin_user_name(const char *arn)
{
    const char *user = strstr(arn, ":user/"), *slash = strrchr(arn, '/');
    return user && slash ? slash + 1 : "";
}

/* ---- What to ask: actions that share their resources go together ---- */

/* Adds the group to `calls`, an object from the resources' text to {"resources","actions","context"}. */
static void add_group(struct step *s, json_t *calls, const json_t *group, const char *self)
{
    const json_t *probe = json_object_get(group, "probe"), *one;
    AUTO_STR struct str key;
    size_t i;
    str_init(&key, 8192);
    json_t *resources = json_array();
    json_array_foreach ((json_t *)(uintptr_t)probe, i, one) {
        const char *text = str_eq(json_string_value(one), "${self}") ? self : json_string_value(one);
        str_addf(&key, "%s ", text);
        (void)json_array_append_new(resources, json_string(text));
    }
    json_t *call = json_object_get(calls, key.data);
    if (!call) {
        call = json_make("{s:O, s:[], s:{}}", "resources", resources, "actions", "context");
        json_put(calls, key.data, call);
    }
    json_decref(resources);
    (void)json_array_extend(json_object_get(call, "actions"), json_object_get(group, "actions"));
    (void)json_object_update(json_object_get(call, "context"), json_object_get(group, "context"));
    (void)s;
}

static json_t *context_entries(const json_t *context, const char *self)
{
    json_t *entries = json_array(), *values;
    const char *key, *user = admin_user_name(self);
    json_object_foreach ((json_t *)(uintptr_t)context, key, values)
        (void)json_array_append_new(entries, json_make("{s:s, s:s, s:O}", "ContextKeyName", key, "ContextKeyType",
                                                       "string", "ContextKeyValues", values));
    if (*user) /* the documents say ${aws:username} */
        (void)json_array_append_new(entries, json_make("{s:s, s:s, s:[s]}", "ContextKeyName", "aws:username",
                                                       "ContextKeyType", "string", "ContextKeyValues", user));
    return entries;
}

static json_t *simulate_args(const json_t *call, size_t from, const char *self)
{
    json_t *some = json_array();
    const json_t *actions = json_object_get(call, "actions"), *resources = json_object_get(call, "resources");
    for (size_t i = from; i < json_array_size(actions) && i < from + ACTIONS_PER_CALL; i++)
        (void)json_array_append(some, json_array_get(actions, i));
    json_t *args = json_make("{s:s, s:o}", "PolicySourceArn", self, "ActionNames", some);
    if (!str_eq(json_string_value(json_array_get(resources, 0)), "*"))
        json_put(args, "ResourceArns", json_incref((json_t *)(uintptr_t)resources));
    json_t *entries = context_entries(json_object_get(call, "context"), self);
    if (json_array_size(entries))
        json_put(args, "ContextEntries", json_incref(entries));
    json_decref(entries);
    return args;
}

/* ---- What came of it ---- */

static bool is_known(const json_t *list, const char *action)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)list, i, one)
        if (str_eq(json_str_at(one, "action"), action))
            return true;
    return false;
}

static void add_denied(json_t *denied, json_t *optional, const char *action, json_t *new_result)
{
    json_t *list = policy_action_is_optional(action) ? optional : denied;
    if (is_known(list, action))
        json_decref(new_result); /* one entry per action: the first resource that lacks it stops an import */
    else
        (void)json_array_append_new(list, new_result);
}

static void collect(const json_t *asked, const json_t *answer, json_t *denied, json_t *optional)
{
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(answer, "results"), i, one)
        if (!str_eq(json_str_at(one, "decision"), "allowed"))
            add_denied(denied, optional, json_str_at(one, "action"), json_incref(one));
    json_array_foreach ((json_t *)(uintptr_t)asked, i, one) { /* silence is no permission */
        const char *action = json_string_value(one);
        if (!is_known(json_object_get(answer, "results"), action))
            add_denied(denied, optional, action, json_make("{s:s, s:s}", "action", action, "decision", "unanswered"));
    }
}

static enum step_result ask_one(struct step *s, size_t number, const json_t *call, const char *self, json_t *denied,
                                json_t *optional)
{
    enum step_result all = STEP_DONE;
    size_t count = json_array_size(json_object_get(call, "actions"));
    for (size_t at = 0; at < count; at += ACTIONS_PER_CALL) {
        const json_t *answer = NULL;
        json_t *args = step_keep(s, simulate_args(call, at, self));
        enum step_result one = step_try(s, step_text(s, "rights/simulate/%zu/%zu", number, at),
                                        &iam_simulate_principal_policy, json_incref(args), "AccessDenied", &answer);
        step_also(&all, one);
        if (one != STEP_DONE)
            continue;
        if (json_has(answer, "error")) { /* without this one nothing can be known in advance */
            if (!is_known(denied, "iam:SimulatePrincipalPolicy"))
                (void)json_array_append_new(denied,
                                            json_make("{s:s, s:s, s:s}", "action", "iam:SimulatePrincipalPolicy",
                                                      "resource", self, "said", json_str_at(answer, "message")));
            continue;
        }
        collect(json_object_get(args, "ActionNames"), answer, denied, optional);
    }
    return all;
}

static void say_optional(struct step *s, const json_t *optional)
{
    AUTO_STR struct str names;
    size_t i;
    const json_t *one;
    str_init(&names, 1024);
    json_array_foreach ((json_t *)(uintptr_t)optional, i, one)
        str_addf(&names, "%s%s", i ? ", " : "", json_str_at(one, "action"));
    if (names.len)
        step_warn(s, "not allowed, so the fingerprint says \"not readable\" there: %s", names.data);
}

static json_t *names_of(const json_t *denied)
{
    json_t *names = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)denied, i, one)
        (void)json_array_append(names, json_object_get(one, "action"));
    json_sort_by(names, NULL);
    return names;
}

static void say_missing(struct step *s, const json_t *denied, const json_t *words, size_t asked,
                        struct admin_rights *ret)
{
    size_t count = json_array_size(denied), i;
    const json_t *one;
    json_t *names = step_keep(s, names_of(denied));
    json_array_foreach ((json_t *)(uintptr_t)denied, i, one) {
        const char *text = json_string_value(json_array_get(words, i));
        if (i < FINDINGS_MAX)
            step_finding(s, admin_deny_is_explicit(one) ? ERR_ACTION_DENIED : ERR_ACTION_MISSING, "%s", text);
    }
    const char *first = json_string_value(json_array_get(names, 0)),
               *second = json_string_value(json_array_get(names, 1));
    ret->missing = count == 1 ? step_text(s, "%s", json_string_value(json_array_get(words, 0)))
                              : step_text(s, "%zu of %zu needed actions are not allowed, such as %s and %s", count,
                                          asked, first, second);
    step_set(s, "denied_actions", json_incref(names));
}

static enum step_result simulate(struct step *s, const char *self, struct admin_rights *ret)
{
    json_t *needs = step_keep(s, policy_needs(steps_manifest(), step_import(s)));
    json_t *calls = step_keep(s, json_object()), *denied = step_keep(s, json_array());
    json_t *optional = step_keep(s, json_array()), *call = NULL;
    enum step_result all = STEP_DONE;
    const json_t *group, *words = NULL;
    const char *key;
    size_t i, number = 0, asked = 0;
    json_array_foreach (needs, i, group) {
        asked += json_array_size(json_object_get(group, "actions"));
        add_group(s, calls, group, self);
    }
    json_object_foreach (calls, key, call)
        step_also(&all, ask_one(s, number++, call, self, denied, optional));
    TRY(all);
    say_optional(s, optional);
    if (json_array_size(denied)) {
        TRY(admin_denies_in_words(s, self, denied, &words));
        say_missing(s, denied, words, asked, ret);
        return STEP_DONE;
    }
    *ret = (struct admin_rights){true, step_text(s, "simulated: all %zu declared actions are allowed", asked), ""};
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
    const char *arn = json_str_at(me, "arn");
    *ret = (struct admin_rights){false, "", ""};
    if (str_eq(json_str_at(step_import(s), "access.method"), "role"))
        return simulate(s, role_arn_of(s), ret);
    if (*admin_user_name(arn))
        return simulate(s, arn, ret);
    ret->missing = str_ends(arn, ":root") ? "the key belongs to the root user; hand over a key of an IAM user instead"
                                          : "the key belongs to no IAM user";
    return STEP_DONE;
}
