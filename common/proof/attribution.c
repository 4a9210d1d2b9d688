/* Attribution: the table attribution.def against the events of CloudTrail. Pure. */
#include "common/proof/attribution.h"

#include "common/base/mem.h"

#include <strings.h>

#define SECOND_MS 1000      /* CloudTrail's times are whole seconds, cut off */
#define EVENTS_PER_MEMBER 3 /* shown with a difference; one is proof enough */
#define PATH_PART_BYTES_MAX 64

enum how { IS, ENDS, NAME, FIXED, ROOT, MINE, PARTY, HANDSHAKE, ACCOUNT, TARGET, ANY };

struct rule {
    const char *section, *source, *names, *kinds;
    enum how how;
    const char *where, *members;
};
static const struct rule rules[] = {
#define EVENT(section, source, names, kinds, how, where, members) {section, source, names, kinds, how, where, members},
#include "common/proof/attribution.def"
#undef EVENT
};

/* ---- Looking into events ---- */
static const json_t *member(const json_t *object, const char *name)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (json_is_array(object)) {
        uint64_t at = 0;
        return str_to_u64(name, 1000, &at) ? json_array_get(object, (size_t)at) : NULL;
    }
    json_object_foreach ((json_t *)(uintptr_t)object, key, value)
        if (strcasecmp(key, name) == 0)
            return value;
    return NULL;
}

/* One path of `where`; *at moves behind it and its "|". */
static const json_t *path_value(const json_t *event, const char **at)
{
    const json_t *value = event;
    while (**at && **at != '|') {
        size_t len = strcspn(*at, ".|");
        char part[PATH_PART_BYTES_MAX];
        if (len >= sizeof part)
            return NULL;
        memcpy(part, *at, len);
        part[len] = 0;
        value = member(value, part);
        *at += len + ((*at)[len] == '.');
    }
    *at += **at == '|';
    return value;
}

typedef bool text_fits_fn(const char *text, const void *arg);

/* Whether a text that `where` leads to fits; a list of texts counts as each of them. */
static bool any_text(const json_t *event, const char *where, text_fits_fn *fits, const void *arg)
{
    while (*where) {
        const json_t *value = path_value(event, &where);
        const char *text = json_string_value(value);
        size_t i = 0;
        json_t *one = NULL;
        if (text && *text && fits(text, arg))
            return true;
        json_array_foreach ((json_t *)(uintptr_t)value, i, one)
            if (json_is_string(one) && fits(json_string_value(one), arg))
                return true;
    }
    return false;
}

static bool has_any_text(const char *text, const void *arg)
{
    (void)arg;
    return *text != 0;
}

/* ---- Which entry an event names ---- */
static bool is_key(const char *text, const void *arg)
{
    return str_eq(text, json_str_at(arg, "key"));
}

static bool ends_key(const char *text, const void *arg)
{
    const char *key = json_str_at(arg, "key");
    size_t len = strlen(key), tail = strlen(text);
    return len > tail && key[len - tail - 1] == '/' && str_eq(key + len - tail, text);
}

static const json_t *side(const json_t *difference)
{
    const json_t *to = json_object_get(difference, "to");
    return json_is_object(to) ? to : json_object_get(difference, "from");
}

static bool is_name_of(const json_t *value, const char *text)
{
    return str_eq(json_str_at(value, "name"), text) || str_eq(json_str_at(value, "Name"), text) ||
           str_eq(json_str_at(value, "email"), text);
}

static bool is_name(const char *text, const void *arg)
{
    return is_name_of(side(arg), text);
}

static bool is_party(const char *text, const void *arg)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(side(arg), "parties"), i, one)
        if (str_ends(json_string_value(one) ? json_string_value(one) : "", text))
            return true;
    return false;
}

static bool is_handshake(const char *text, const void *arg)
{
    return str_eq(json_str_at(side(arg), "handshake"), text);
}

static bool is_target(const char *text, const void *arg)
{
    const json_t *from = json_object_get(json_object_get(arg, "from"), "targets"),
                 *to = json_object_get(json_object_get(arg, "to"), "targets");
    return json_array_has_str(from, text) != json_array_has_str(to, text);
}

static const json_t *account_row(const struct attribution_scope *scope, const char *id)
{
    return json_object_get(json_object_get(json_object_get(scope->after, "sections"), "accounts"), id);
}

static bool is_about_account(const struct attribution_scope *scope, const json_t *event, const char *id)
{
    const char *known =
        json_str_or(event, "response.createAccountStatus.accountId", json_str_at(event, "response.accountId"));
    if (*known)
        return str_eq(known, id);
    const json_t *row = account_row(scope, id);
    const char *name = json_string_value(member(json_object_get(event, "request"), "accountName")),
               *email = json_string_value(member(json_object_get(event, "request"), "email"));
    return row &&
           ((name && str_eq(json_str_at(row, "name"), name)) || (email && str_eq(json_str_at(row, "email"), email)));
}

static bool has_new_target(const struct attribution_scope *scope, const json_t *event, const json_t *difference)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(json_object_get(difference, "to"), "targets"), i, one) {
        const char *id = json_string_value(one);
        if (id && is_target(id, difference) && is_about_account(scope, event, id))
            return true;
    }
    return false;
}

static bool is_about_root(const json_t *event)
{
    return str_eq(json_str_at(event, "user_type"), "Root") ||
           str_eq(json_str_at(event, "request.userName"), "AWS ROOT USER") ||
           str_ends(json_str_at(event, "request.serialNumber"), ":mfa/root-account-mfa-device");
}

/* Of rules whose `where` leads to a text in the event: how that text must fit the difference. */
static text_fits_fn *const fits[] = {
    [IS] = is_key,        [ENDS] = ends_key, [NAME] = is_name, [PARTY] = is_party, [HANDSHAKE] = is_handshake,
    [TARGET] = is_target, [MINE] = is_key,   [ANY] = NULL};

static bool names_entry(const struct attribution_scope *scope, const struct rule *rule, const json_t *event,
                        const json_t *difference)
{
    const char *key = json_str_at(difference, "key");
    bool is_named = fits[rule->how] && any_text(event, rule->where, fits[rule->how], difference);
    switch (rule->how) {
    case FIXED:
        return str_eq(rule->where, key);
    case ROOT:
        return str_eq(rule->where, key) && is_about_root(event);
    case MINE:
        return is_named || (!any_text(event, rule->where, has_any_text, NULL) && str_eq(scope->account_id, key));
    case ACCOUNT:
        return is_about_account(scope, event, key);
    case TARGET:
        return is_named || has_new_target(scope, event, difference);
    case ANY:
        return true;
    default:
        return is_named;
    }
}

/* ---- Whose it is, and when ---- */
static bool has_failed(const json_t *event)
{
    return *json_str_at(event, "error") != 0;
}

bool attribution_may_matter(const struct attribution_scope *scope, const json_t *event)
{
    if (has_failed(event))
        return false;
    if (str_eq(json_str_at(event, "user_type"), "Root") || ours_caused(&scope->ours, event))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_in_list(rules[i].source, json_str_at(event, "source")) &&
            str_in_list(rules[i].names, json_str_at(event, "name")))
            return true;
    return false;
}

static bool is_between(const json_t *event, int64_t from_ms, int64_t until_ms)
{
    int64_t at = json_int_at(event, "at_ms");
    return at + SECOND_MS > from_ms && at <= until_ms;
}

json_t *attribution_who(const json_t *event)
{
    char digest[65];
    json_digest(event, digest);
    return json_make("{s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:s}", "event_id", json_str_at(event, "id"), "name",
                     json_str_at(event, "name"), "source", json_str_at(event, "source"), "at_ms",
                     (json_int_t)json_int_at(event, "at_ms"), "who", json_str_at(event, "user"), "user_type",
                     json_str_at(event, "user_type"), "ip", json_str_at(event, "ip"), "region",
                     json_str_at(event, "region"), "hash", json_str_or(event, "hash", digest));
}

/* ---- Differences ---- */
static char kind_letter(const json_t *difference)
{
    return json_str_at(difference, "kind")[0]; /* added, removed, changed, patch */
}

/* The members that differ, "*" for the whole. New reference, array of texts. */
static json_t *members_of(const json_t *difference)
{
    const json_t *from = json_object_get(difference, "from"), *to = json_object_get(difference, "to");
    json_t *members = json_array(), *value = NULL;
    const char *name = NULL;
    if (kind_letter(difference) == 'c' && json_is_object(from) && json_is_object(to)) {
        json_object_foreach ((json_t *)(uintptr_t)from, name, value)
            if (!json_equal(value, json_object_get(to, name)))
                (void)json_array_append_new(members, json_string(name));
        json_object_foreach ((json_t *)(uintptr_t)to, name, value)
            if (!json_object_get(from, name))
                (void)json_array_append_new(members, json_string(name));
    }
    if (json_array_size(members) == 0)
        (void)json_array_append_new(members, json_string("*"));
    return members;
}

static bool can_make(const struct rule *rule, const json_t *event, const json_t *difference)
{
    return strchr(rule->kinds, kind_letter(difference)) && str_eq(rule->section, json_str_at(difference, "section")) &&
           str_in_list(rule->source, json_str_at(event, "source")) &&
           str_in_list(rule->names, json_str_at(event, "name"));
}

/* `name` "*" is the entry as a whole. */
static bool covers(const struct rule *rule, const char *name)
{
    return str_eq(rule->members, "*") || str_in_list(rule->members, name) || str_eq(name, "*");
}

static bool explains(const struct attribution_scope *scope, const json_t *event, const json_t *difference,
                     const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (can_make(&rules[i], event, difference) && covers(&rules[i], name) &&
            names_entry(scope, &rules[i], event, difference))
            return true;
    return false;
}

/* Adds the latest events that explain this member; how many it found. */
static size_t find_for(const struct attribution_scope *scope, const json_t *events, const json_t *difference,
                       const char *name, int64_t since_ms, json_t *found)
{
    size_t count = 0;
    int64_t from_ms = since_ms > scope->from_ms ? since_ms : scope->from_ms;
    for (size_t i = json_array_size(events); i-- > 0 && count < EVENTS_PER_MEMBER;) {
        json_t *event = json_array_get(events, i);
        if (has_failed(event) || !is_between(event, from_ms, scope->until_ms) || ours_caused(&scope->ours, event) ||
            !explains(scope, event, difference, name))
            continue;
        json_object_set(found, json_str_at(event, "id"), event);
        count++;
    }
    return count;
}

json_t *attribution_find(const struct attribution_scope *scope, const json_t *events, const json_t *difference,
                         int64_t since_ms)
{
    json_auto_t *members = members_of(difference), *found = json_object();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (members, i, one)
        if (find_for(scope, events, difference, json_string_value(one), since_ms, found) == 0)
            return NULL;
    json_t *list = json_array();
    const char *id = NULL;
    json_object_foreach (found, id, one)
        (void)json_array_append_new(list, attribution_who(one));
    json_sort_by(list, "at_ms");
    return list;
}

const char *attribution_region(const json_t *difference)
{
    const char *section = json_str_at(difference, "section");
    if (str_eq(section, "trails"))
        return json_str_at(side(difference), "home");
    return str_eq(section, "s3") || str_eq(section, "s3.settings") ? json_str_at(side(difference), "region") : "";
}

/* ---- What we did and the ledger does not know ---- */
/* A text that both tell must be the same; what only one of them tells contradicts nothing. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the arguments, which are ours
static bool contradicts(const json_t *args, const json_t *request)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)args, name, value) {
        const json_t *told = member(request, str_eq(name, "Bucket") ? "bucketName" : name);
        if (json_is_string(value) && json_is_string(told) && !json_equal(value, told))
            return true;
        if (json_is_object(value) && json_is_object(told) && contradicts(value, told))
            return true;
    }
    return false;
}

static bool is_recorded(const json_t *writes, const json_t *event)
{
    size_t i = 0;
    json_t *write = NULL;
    json_array_foreach ((json_t *)(uintptr_t)writes, i, write)
        if (ours_is_op(json_str_at(write, "op"), event) &&
            !contradicts(json_object_get(write, "args"), json_object_get(event, "request")))
            return true;
    return false;
}

json_t *attribution_rogue(const struct attribution_scope *scope, const json_t *events, const json_t *writes)
{
    json_t *rogue = json_array(), *event = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event)
        if (!has_failed(event) && is_between(event, scope->from_ms, scope->until_ms) &&
            ours_caused(&scope->ours, event) && !is_recorded(writes, event))
            (void)json_array_append_new(rogue, attribution_who(event));
    return rogue;
}
