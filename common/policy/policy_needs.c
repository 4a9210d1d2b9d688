/* What an import asks of AWS, grouped by how far each action can be narrowed. The table of scopes is the one place that
 * knows which resources and conditions an action gets; action_scope.def says which scope an action has. */
#include "common/policy/policy.h"

#include "common/base/mem.h"

#include <string.h>

#define ANYTHING "*"

enum scope {
    ANY,
    ALL_ROLES,
    ALL_POLICIES,
    GROUPS,
    SELF,
    NEW_ROLES,
    OUR_ROLES,
    ATTACH,
    INSTANCE_PROFILES,
    NEW_POLICIES,
    OUR_POLICIES,
    BUCKET,
    REPORT,
    EXPORTS,
    ACCOUNT,
    SCOPE_COUNT
};
enum when { BOTH, KEY, OPTIONAL };

static const struct {
    const char *name;
    enum scope scope;
    enum when when;
} known[] = {
#define ACTION(action, scope, when) {action, scope, when},
#include "common/policy/action_scope.def"
#undef ACTION
};

struct view { /* of the import, borrowed */
    const json_t *import;
    const char *partition, *account, *tag_key, *tag_value;
    bool is_role_route;
};

static struct view view_of(const json_t *import)
{
    const char *account =
        json_str_or(import, "vars.account_id", json_str_at(import, "organization.management_account_id"));
    return (struct view){.import = import,
                         .partition = json_str_or(import, "vars.partition", "aws"),
                         .account = *account ? account : "*",
                         .tag_key = json_str_at(import, "vars.tag_key"),
                         .tag_value = json_str_at(import, "vars.tag_value"),
                         .is_role_route = str_eq(json_str_at(import, "access.method"), "role")};
}

static int known_index(const char *action)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].name, action))
            return (int)i;
    return -1;
}

bool policy_action_is_known(const char *action)
{
    return known_index(action) >= 0;
}

bool policy_action_is_optional(const char *action)
{
    int at = known_index(action);
    return at >= 0 && known[at].when == OPTIONAL;
}

/* ---- Resources of a scope -----------------------------------------------------------------------------------------
 */

PRINTF_LIKE(2, 3) static void add_text(json_t *list, const char *fmt, ...)
{
    AUTO_STR struct str text;
    str_init(&text, 2048);
    va_list ap;
    va_start(ap, fmt);
    str_addfv(&text, fmt, ap);
    va_end(ap);
    if (!json_array_has_str(list, text.data))
        (void)json_array_append_new(list, json_string(text.data));
}

static void add_iam(json_t *list, const struct view *v, const char *what)
{
    add_text(list, "arn:%s:iam::%s:%s", v->partition, v->account, what);
}

/* Each role that this import makes; `fn` gets its definition. */
typedef void role_fn(const struct view *v, const json_t *role, json_t *to);
static void each_role(const struct view *v, role_fn *fn, json_t *to)
{
    const char *which = NULL;
    json_t *role = NULL;
    json_object_foreach ((json_t *)(uintptr_t)json_at(v->import, "vars.roles"), which, role)
        if (!json_is_false(json_object_get(role, "enabled")))
            fn(v, role, to);
}

static void add_role(const struct view *v, const json_t *role, json_t *to)
{
    add_text(to, "arn:%s:iam::%s:role%s%s", v->partition, v->account, json_str_or(role, "path", "/"),
             json_str_at(role, "name"));
}

static void add_policies(const struct view *v, const json_t *role, json_t *to)
{
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(role, "policies"), i, one)
        add_text(to, "arn:%s:iam::%s:policy%s%s", v->partition, v->account, json_str_or(role, "path", "/"),
                 json_str_at(one, "name"));
}

static void add_attachable(const struct view *v, const json_t *role, json_t *to)
{
    const json_t *one = NULL;
    size_t i = 0;
    add_policies(v, role, to);
    json_array_foreach (json_object_get(role, "managed"), i, one)
        if (json_is_string(one))
            add_text(to, "%s", json_string_value(one));
}

static void put_role_arn(const struct view *v, json_t *to)
{
    const char *given = json_str_at(v->import, "access.role_arn");
    if (*given)
        add_text(to, "%s", given);
    else
        add_text(to, "arn:%s:iam::%s:role/%s", v->partition, v->account, json_str_at(v->import, "vars.bootstrap_role"));
}

static void put_self(const struct view *v, json_t *to)
{
    if (v->is_role_route) {
        put_role_arn(v, to);
        return;
    }
    add_iam(to, v, "user/${aws:username}"); /* whatever the customer named the user, it is itself only */
    add_iam(to, v, "user/*/${aws:username}");
}

static void put_account_wide(enum scope scope, const struct view *v, json_t *to)
{
    switch (scope) {
    case ALL_ROLES:
        add_iam(to, v, "role/*");
        break;
    case ALL_POLICIES:
        add_iam(to, v, "policy/*");
        break;
    case GROUPS:
        add_iam(to, v, "group/*");
        break;
    case INSTANCE_PROFILES:
        add_iam(to, v, "instance-profile/*");
        break;
    case EXPORTS:
        add_text(to, "arn:%s:bcm-data-exports:us-east-1:%s:export/*", v->partition, v->account);
        break;
    case ACCOUNT:
        add_text(to, "arn:%s:account::%s:account", v->partition, v->account);
        break;
    default:
        add_text(to, ANYTHING);
        break;
    }
}

static json_t *resources_of(enum scope scope, const struct view *v)
{
    json_t *to = json_array();
    switch (scope) {
    case SELF:
        put_self(v, to);
        break;
    case NEW_ROLES:
    case OUR_ROLES:
    case ATTACH:
        each_role(v, add_role, to);
        break;
    case NEW_POLICIES:
    case OUR_POLICIES:
        each_role(v, add_policies, to);
        break;
    case BUCKET:
        if (*json_str_at(v->import, "vars.bucket"))
            add_text(to, "arn:%s:s3:::%s", v->partition, json_str_at(v->import, "vars.bucket"));
        break;
    case REPORT:
        if (*json_str_at(v->import, "vars.report"))
            add_text(to, "arn:%s:cur:us-east-1:%s:definition/%s", v->partition, v->account,
                     json_str_at(v->import, "vars.report"));
        break;
    default:
        put_account_wide(scope, v, to);
        break;
    }
    json_sort_by(to, NULL);
    return to;
}

/* ---- Conditions: what AWS checks beyond the name --------------------------------------------------------------------
 */

static void put_tag(json_t *condition, json_t *context, const struct view *v, const char *which)
{
    if (!*v->tag_key)
        return;
    AUTO_FREE char *key = mem_printf("%s/%s", which, v->tag_key);
    json_t *equals = json_object();
    json_put_str(equals, key, v->tag_value);
    json_put(condition, "StringEquals", equals);
    json_put(context, key, json_make("[s]", v->tag_value));
}

static void put_attachable(json_t *condition, json_t *context, const struct view *v)
{
    json_t *arns = json_array();
    each_role(v, add_attachable, arns);
    json_sort_by(arns, NULL);
    if (json_array_size(arns))
        json_put(context, "iam:PolicyARN", json_make("[O]", json_array_get(arns, 0)));
    json_put(condition, "ArnEquals", json_make("{s:o}", "iam:PolicyARN", arns));
}

/* `condition` for the document, `context` for a simulation of it. */
static void conditions_of(enum scope scope, const struct view *v, json_t *condition, json_t *context)
{
    switch (scope) {
    case NEW_ROLES:
    case NEW_POLICIES:
        put_tag(condition, context, v, "aws:RequestTag");
        break;
    case ATTACH:
        put_attachable(condition, context, v);
        put_tag(condition, context, v, "aws:ResourceTag");
        break;
    case OUR_ROLES:
    case OUR_POLICIES:
        put_tag(condition, context, v, "aws:ResourceTag");
        break;
    case BUCKET: /* a bucket's ARN names no account; while it is being made it has none */
        json_put(condition, "StringEqualsIfExists", json_make("{s:s}", "aws:ResourceAccount", v->account));
        json_put(context, "aws:ResourceAccount", json_make("[s]", v->account));
        break;
    default:
        break;
    }
}

/* ---- Groups ---------------------------------------------------------------------------------------------------------
 */

static bool is_read(const char *action)
{
    static const char *const verbs[] = {"Get", "List", "Describe", "Lookup", "BatchGet", "Simulate"};
    const char *verb = strchr(action, ':');
    for (size_t i = 0; verb && i < ARRAY_LEN(verbs); i++)
        if (str_starts(verb + 1, verbs[i]))
            return true;
    return false;
}

static bool is_removal(const char *action)
{
    static const char *const verbs[] = {"Delete", "Detach", "Remove", "Untag"};
    const char *verb = strchr(action, ':');
    for (size_t i = 0; verb && i < ARRAY_LEN(verbs); i++)
        if (str_starts(verb + 1, verbs[i]))
            return true;
    return false;
}

static const struct {
    const char *read, *change, *remove; /* Sids */
    const char *note;
} scopes[SCOPE_COUNT] = {
    [ANY] = {"ReadWithoutResourceLevel", "ChangeWithoutResourceLevel", "RemoveWithoutResourceLevel",
             "AWS offers no resource level for these actions, so the resource is *."},
    [ALL_ROLES] = {"ReadRoles", "ChangeRoles", "RemoveRoles",
                   "Reads cover all roles of the account: a namesake may have another path or spelling."},
    [ALL_POLICIES] = {"ReadPolicies", "ChangePolicies", "RemovePolicies",
                      "Reads cover all policies of the account: a namesake may have another path or spelling."},
    [GROUPS] = {"ReadGroups", "ChangeGroups", "RemoveGroups", "Which of its groups gives the user its rights."},
    [SELF] = {"ReadSelf", "RetireOwnKey", "RetireOwnKeyForGood", "Only the identity that was handed over, itself."},
    [NEW_ROLES] = {"ReadNewRoles", "MakeOurRoles", "RemoveNewRoles", "Only with our tag from the first moment."},
    [OUR_ROLES] = {"ReadOurRoles", "ChangeOurRoles", "RemoveOurRoles",
                   "Only roles of these names, and only while they carry our tag."},
    [ATTACH] = {"ReadAttached", "AttachOurPolicies", "DetachOurPolicies",
                "Nothing but the named policies can be attached: no way to administrator rights."},
    [INSTANCE_PROFILES] = {"ReadProfiles", "ChangeProfiles", "RemoveOurRolesFromProfiles",
                           "AWS narrows this by instance profile; used only when one of our roles is taken back."},
    [NEW_POLICIES] = {"ReadNewPolicies", "MakeOurPolicies", "RemoveNewPolicies",
                      "Only with our tag from the first moment."},
    [OUR_POLICIES] = {"ReadOurPolicies", "ChangeOurPolicies", "RemoveOurPolicies",
                      "Only policies of these names, and only while they carry our tag."},
    [BUCKET] = {"ReadOurBucket", "ChangeOurBucket", "RemoveOurBucket",
                "Only this bucket, and only in this account. Objects can be neither read, written nor deleted."},
    [REPORT] = {"ReadOurReport", "ChangeOurReport", "RemoveOurReport", "Only the cost report of this name."},
    [EXPORTS] = {"ReadExports", "ChangeExports", "RemoveExports", "Definitions of data exports, not the data."},
    [ACCOUNT] = {"ReadContacts", "ChangeContacts", "RemoveContacts", "Contacts of the management account only."},
};
#define FEATURES_SID "ReadFeatures"
#define FEATURES_NOTE                                                                                                  \
    "May be left out: the import goes on, and its proof says \"not readable\" for these features before and after."

static json_t *probe_of(enum scope scope, const struct view *v, const json_t *resources)
{
    json_t *probe = json_array(), *one = NULL;
    size_t i = 0;
    if (scope == SELF) {
        add_text(probe, "${self}");
        return probe;
    }
    json_array_foreach ((json_t *)(uintptr_t)resources, i, one) {
        const char *text = json_string_value(one);
        size_t len = strlen(text);
        if (len > 2 && str_ends(text, "/*")) /* a simulation wants something concrete */
            add_text(probe, "%.*s/any", (int)(len - 2), text);
        else
            add_text(probe, "%s", text);
    }
    (void)v;
    return probe;
}

static json_t *group_named(json_t *groups, const char *sid)
{
    json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (groups, i, one)
        if (str_eq(json_str_at(one, "sid"), sid))
            return one;
    return NULL;
}

static json_t *new_group(json_t *groups, const char *sid, enum scope scope, bool reads, bool optional,
                         const struct view *v)
{
    json_t *resources = resources_of(scope, v), *condition = json_object(), *context = json_object();
    if (!json_array_size(resources)) { /* this import makes nothing of the kind */
        json_decref(resources);
        json_decref(condition);
        json_decref(context);
        return NULL;
    }
    conditions_of(scope, v, condition, context);
    json_t *group = json_make("{s:s, s:s, s:[], s:o, s:o, s:s}", "sid", sid, "part", reads ? "read" : "write",
                              "actions", "resources", resources, "probe", probe_of(scope, v, resources), "note",
                              optional ? FEATURES_NOTE : scopes[scope].note);
    if (json_object_size(condition)) {
        json_put(group, "condition", json_incref(condition));
        json_put(group, "context", json_incref(context));
    }
    json_decref(condition);
    json_decref(context);
    (void)json_array_append_new(groups, group);
    return group;
}

static void add_action(json_t *groups, const char *action, const struct view *v)
{
    int at = known_index(action);
    enum scope scope = at < 0 ? ANY : known[at].scope;
    enum when when = at < 0 ? BOTH : known[at].when;
    bool reads = is_read(action), optional = when == OPTIONAL;
    if (when == KEY && v->is_role_route)
        return;
    const char *sid = optional             ? FEATURES_SID
                      : reads              ? scopes[scope].read
                      : is_removal(action) ? scopes[scope].remove
                                           : scopes[scope].change;
    json_t *group = group_named(groups, sid);
    if (!group)
        group = new_group(groups, sid, scope, reads, optional, v);
    json_t *actions = json_object_get(group, "actions");
    if (group && !json_array_has_str(actions, action))
        (void)json_array_append_new(actions, json_string(action));
}

static bool is_wanted_step(const json_t *import, const char *step)
{
    const json_t *steps = json_object_get(import, "steps");
    return !json_array_size(steps) || json_array_has_str(steps, step);
}

static void add_permissions(json_t *groups, const char *list, const struct view *v)
{
    AUTO_FREE char *copy = mem_dup(list);
    char *rest = copy;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ","))
        if (*word)
            add_action(groups, word, v);
}

json_t *policy_needs(const json_t *manifest, const json_t *import)
{
    struct view v = view_of(import);
    json_t *groups = json_array();
    const json_t *step = NULL, *op = NULL;
    size_t i = 0, k = 0;
    json_array_foreach ((json_t *)(uintptr_t)manifest, i, step) {
        if (!is_wanted_step(import, json_str_at(step, "step")))
            continue;
        json_array_foreach (json_object_get(step, "ops"), k, op)
            if (str_eq(json_str_at(op, "who"), "customer"))
                add_permissions(groups, json_str_at(op, "permission"), &v);
    }
    json_array_foreach (groups, i, step)
        json_sort_by(json_object_get(step, "actions"), NULL);
    json_sort_by(groups, "sid");
    return groups;
}

json_t *policy_actions(const json_t *needs)
{
    json_t *all = json_array();
    const json_t *group = NULL, *action = NULL;
    size_t i = 0, k = 0;
    json_array_foreach ((json_t *)(uintptr_t)needs, i, group)
        json_array_foreach (json_object_get(group, "actions"), k, action)
            if (!json_array_has_str(all, json_string_value(action)))
                (void)json_array_append(all, (json_t *)(uintptr_t)action);
    json_sort_by(all, NULL);
    return all;
}
