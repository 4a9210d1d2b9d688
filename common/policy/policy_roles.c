/* What a role can do, in plain words, and where it reaches further than it looks. The words are made of the documents
 * themselves, so they hold for any operator's profile. */
#include "common/policy/policy.h"

#include "common/base/mem.h"

#include <string.h>
#include <strings.h>

/* ---- Who may take it ------------------------------------------------------------------------------------------------
 */

static json_t *list_of(const json_t *one_or_many)
{
    if (json_is_array(one_or_many))
        return json_incref((json_t *)(uintptr_t)one_or_many);
    json_t *list = json_array();
    if (one_or_many)
        (void)json_array_append(list, (json_t *)(uintptr_t)one_or_many);
    return list;
}

static const char *external_id_of(const json_t *statement)
{
    static const char *const operators[] = {"StringEquals", "StringLike", "StringEqualsIgnoreCase"};
    const json_t *condition = json_object_get(statement, "Condition");
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        const json_t *id = json_object_get(json_object_get(condition, operators[i]), "sts:ExternalId");
        const char *text = json_string_value(json_is_array(id) ? json_array_get(id, 0) : id);
        if (text)
            return text;
    }
    return NULL;
}

static char *principal_words(const char *kind, const char *principal)
{
    const char *account = strstr(principal, ":iam::");
    if (str_eq(kind, "Service"))
        return mem_printf("the AWS service %s", principal);
    if (str_eq(kind, "Federated"))
        return mem_printf("whoever signs in through %s", principal);
    if (str_eq(principal, "*"))
        return mem_dup("anybody");
    if (account && str_ends(principal, ":root"))
        return mem_printf("AWS account %.12s (whom that account allows)", account + 6);
    if (!account && strlen(principal) == 12)
        return mem_printf("AWS account %s (whom that account allows)", principal);
    return mem_dup(principal);
}

static void add_who(json_t *who, json_t *warnings, const json_t *statement, const char *kind, const json_t *principals)
{
    json_auto_t *list = list_of(principals);
    const char *id = external_id_of(statement);
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (list, i, one) {
        const char *principal = json_is_string(one) ? json_string_value(one) : "";
        AUTO_FREE char *words = principal_words(kind, principal);
        (void)json_array_append_new(
            who, json_make("{s:s, s:s?, s:s}", "principal", principal, "external_id", id, "words", words));
        const char *because = str_eq(principal, "*")       ? "anybody may try to take this role"
                              : id && !*id                 ? "its external id has not been given yet"
                              : !id && str_eq(kind, "AWS") ? "no external id is asked for, so another customer of "
                                                             "that account could be led here"
                                                           : NULL;
        if (because)
            (void)json_array_append_new(warnings, json_make("{s:s, s:s, s:s, s:s}", "action", "sts:AssumeRole", "kind",
                                                            "trust", "on", principal, "because", because));
    }
}

static void read_trust(const json_t *trust, json_t *who, json_t *warnings)
{
    json_auto_t *statements = list_of(json_object_get(trust, "Statement"));
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (statements, i, one) {
        const json_t *principal = json_object_get(one, "Principal");
        const char *kind = NULL;
        json_t *names = NULL;
        if (!str_eq(json_str_at(one, "Effect"), "Allow"))
            continue;
        if (json_is_string(principal))
            add_who(who, warnings, one, "AWS", principal);
        json_object_foreach ((json_t *)(uintptr_t)principal, kind, names)
            add_who(who, warnings, one, kind, names);
    }
}

/* ---- What it can do
 * --------------------------------------------------------------------------------------------------- */

static const char *service_words(const char *prefix, size_t len)
{
    static const struct {
        const char *prefix, *words;
    } names[] = {
#define SERVICE(prefix, words) {prefix, words},
#include "common/policy/service.def"
#undef SERVICE
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i].prefix) == len && strncasecmp(names[i].prefix, prefix, len) == 0)
            return names[i].words;
    return NULL;
}

/* The class of an action by its verb; a pattern that begins with `*` is every verb. */
static const char *class_of(const char *verb)
{
    static const struct {
        const char *verb, *class;
    } classes[] = {{"Get", "reads"},
                   {"Describe", "reads"},
                   {"List", "reads"},
                   {"View", "reads"},
                   {"Lookup", "reads"},
                   {"Search", "reads"},
                   {"Check", "reads"},
                   {"Batch", "reads"},
                   {"Head", "reads"},
                   {"Simulate", "tries out policies in"},
                   {"Generate", "has reports made by"},
                   {"Deliver", "has reports made by"},
                   {"Create", "makes things in"},
                   {"Run", "makes things in"},
                   {"Invite", "invites into"},
                   {"Put", "changes"},
                   {"Update", "changes"},
                   {"Modify", "changes"},
                   {"Set", "changes"},
                   {"Attach", "changes"},
                   {"Detach", "changes"},
                   {"Tag", "changes"},
                   {"Enable", "changes"},
                   {"Disable", "changes"},
                   {"Delete", "deletes in"},
                   {"Remove", "deletes in"},
                   {"Terminate", "deletes in"},
                   {"Assume", "changes into other roles through"},
                   {"Pass", "hands roles over in"},
                   {"*", "does everything in"}};
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (strncasecmp(verb, classes[i].verb, strlen(classes[i].verb)) == 0) /* IAM looks at no case */
            return classes[i].class;
    return "uses";
}

static char *resource_words(const json_t *statement)
{
    const json_t *resources = json_object_get(statement, "Resource");
    const json_t *not_resources = json_object_get(statement, "NotResource");
    json_auto_t *list = list_of(resources ? resources : not_resources);
    AUTO_STR struct str text;
    const json_t *one = NULL;
    size_t i = 0;
    str_init(&text, 8192);
    if (!resources && not_resources)
        str_add(&text, "everything but ");
    json_array_foreach (list, i, one)
        str_addf(&text, "%s%s", i ? ", " : "", json_is_string(one) ? json_string_value(one) : "?");
    if (text.len == 0 || str_eq(text.data, "*")) {
        str_clear(&text);
        str_add(&text, "everything in the account");
    }
    if (json_object_size(json_object_get(statement, "Condition")))
        str_add(&text, " (only under a condition)");
    return str_take(&text);
}

static json_t *entry_named(json_t *can, const char *service, const char *class, const char *on)
{
    json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (can, i, one)
        if (str_eq(json_str_at(one, "service"), service) && str_eq(json_str_at(one, "class"), class) &&
            str_eq(json_str_at(one, "on"), on))
            return one;
    one = json_make("{s:s, s:s, s:s, s:[]}", "service", service, "class", class, "on", on, "actions");
    (void)json_array_append_new(can, one);
    return one;
}

static void add_can(json_t *can, const char *action, const char *on)
{
    const char *colon = strchr(action, ':');
    if (str_eq(action, "*")) {
        json_t *all = entry_named(can, "every service", "does everything in", on);
        (void)json_array_append_new(json_object_get(all, "actions"), json_string(action));
        return;
    }
    if (!colon)
        return;
    size_t len = (size_t)(colon - action);
    const char *words = service_words(action, len);
    AUTO_FREE char *service = words ? mem_dup(words) : mem_printf("%.*s", (int)len, action);
    json_t *entry = entry_named(can, service, class_of(colon + 1), on);
    if (!json_array_has_str(json_object_get(entry, "actions"), action))
        (void)json_array_append_new(json_object_get(entry, "actions"), json_string(action));
}

/* ---- Where it reaches further than it looks
 * ----------------------------------------------------------------------------- */

static const struct {
    const char *action, *kind, *because;
} reaches[] = {
#define REACH(action, kind, because) {action, kind, because},
#include "common/policy/reach.def"
#undef REACH
};

static void warn(json_t *warnings, const char *action, const char *kind, const char *on, const char *because)
{
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (warnings, i, one)
        if (str_eq(json_str_at(one, "action"), action) && str_eq(json_str_at(one, "on"), on) &&
            str_eq(json_str_at(one, "because"), because))
            return;
    (void)json_array_append_new(
        warnings, json_make("{s:s, s:s, s:s, s:s}", "action", action, "kind", kind, "on", on, "because", because));
}

/* Named resources, without a wildcard where the name belongs: "arn:aws:s3:::bucket" and "arn:aws:s3:::bucket/" + star.
 */
static bool is_narrow(const json_t *statement)
{
    json_auto_t *list = list_of(json_object_get(statement, "Resource"));
    const json_t *one = NULL;
    size_t i = 0;
    if (!json_array_size(list))
        return false;
    json_array_foreach (list, i, one) {
        const char *text = json_is_string(one) ? json_string_value(one) : "*";
        size_t len = strlen(text), plain = strcspn(text, "*?");
        if (plain < len && !(plain + 1 == len && len > 2 && text[len - 2] == '/' && strstr(text, ":::")))
            return false;
    }
    return true;
}

static void warn_of_pattern(json_t *warnings, const json_t *statement, const char *pattern, const char *on)
{
    bool narrow = is_narrow(statement);
    const char *verb = strchr(pattern, ':');
    for (size_t i = 0; i < ARRAY_LEN(reaches); i++) {
        if (!policy_matches(pattern, reaches[i].action, true))
            continue;
        if (narrow && (str_eq(reaches[i].kind, "data") || str_eq(reaches[i].kind, "destroys")))
            continue;
        AUTO_FREE char *action =
            strchr(pattern, '*') ? mem_printf("%s (through %s)", reaches[i].action, pattern) : mem_dup(pattern);
        warn(warnings, action, reaches[i].kind, on, reaches[i].because);
    }
    if (str_eq(pattern, "*") || (verb && str_eq(verb, ":*")))
        warn(warnings, pattern, "wildcard", on, "a wildcard takes in every action that AWS will ever add");
}

static void read_statement(const json_t *statement, json_t *can, json_t *warnings)
{
    const json_t *not_actions = json_object_get(statement, "NotAction"), *one = NULL;
    json_auto_t *actions = list_of(json_object_get(statement, "Action"));
    AUTO_FREE char *on = resource_words(statement);
    size_t i = 0;
    if (!str_eq(json_str_at(statement, "Effect"), "Allow"))
        return;
    if (not_actions) {
        json_t *entry = entry_named(can, "every service", "does everything but the listed in", on);
        json_auto_t *list = list_of(not_actions);
        (void)json_array_extend(json_object_get(entry, "actions"), list);
        warn(warnings, "NotAction", "wildcard", on, "it allows everything that is not listed, now and in future");
    }
    json_array_foreach (actions, i, one) {
        if (!json_is_string(one))
            continue;
        add_can(can, json_string_value(one), on);
        warn_of_pattern(warnings, statement, json_string_value(one), on);
    }
}

static void read_document(const json_t *document, json_t *can, json_t *warnings)
{
    json_auto_t *statements = list_of(json_object_get(document, "Statement"));
    const json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (statements, i, one)
        read_statement(one, can, warnings);
}

static void read_managed(const char *arn, json_t *can, json_t *warnings)
{
    static const struct {
        const char *name, *words, *warning;
    } known[] = {
#define MANAGED(name, words, warning) {name, words, warning},
#include "common/policy/managed.def"
#undef MANAGED
    };
    const char *name = strstr(arn, ":policy/");
    name = name ? name + 8 : arn;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_eq(known[i].name, name))
            continue;
        json_t *entry = entry_named(can, known[i].words, "is allowed", "as AWS's managed policy says");
        (void)json_array_append_new(json_object_get(entry, "actions"), json_string(arn));
        if (*known[i].warning)
            warn(warnings, arn, "managed", "the whole account", known[i].warning);
        return;
    }
    json_t *entry = entry_named(can, "what the AWS managed policy says", "is allowed", "as it stands at AWS");
    (void)json_array_append_new(json_object_get(entry, "actions"), json_string(arn));
    warn(warnings, arn, "managed", "the whole account",
         "its contents are AWS's and may change: read it before you agree");
}

static void put_words(json_t *can)
{
    json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (can, i, one) {
        AUTO_FREE char *words = mem_printf("%s %s", json_str_at(one, "class"), json_str_at(one, "service"));
        json_sort_by(json_object_get(one, "actions"), NULL);
        json_put_str(one, "words", words);
    }
    json_sort_by(can, "words");
}

json_t *policy_role_words(const json_t *role)
{
    static const char *const lists[] = {"policies", "inline"};
    json_t *who = json_array(), *can = json_array(), *warnings = json_array();
    const json_t *one = NULL;
    size_t i = 0;
    read_trust(json_object_get(role, "trust"), who, warnings);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        json_array_foreach (json_object_get(role, lists[l]), i, one)
            read_document(json_object_get(one, "document"), can, warnings);
    json_array_foreach (json_object_get(role, "managed"), i, one)
        if (json_is_string(one))
            read_managed(json_string_value(one), can, warnings);
    put_words(can);
    json_t *words = json_make("{s:s, s:o, s:o, s:o, s:b}", "name", json_str_at(role, "name"), "who", who, "can", can,
                              "warnings", warnings, "enabled", !json_is_false(json_object_get(role, "enabled")));
    if (json_has(role, "max_session"))
        json_put_int(words, "max_session", json_int_at(role, "max_session"));
    if (*json_str_at(role, "assumption"))
        json_put_str(words, "assumption", json_str_at(role, "assumption"));
    return words;
}
