/* The tree of what differs, in words. Ids are AWS's and stay as they are; names stand beside them, times are dates,
 * lists tell what came and what went instead of being printed twice. */
#include "common/proof/fingerprint_explain.h"

#include "common/base/mem.h"
#include "common/codec/when.h"

#include <string.h>

#define VALUE_BYTES_MAX 300 /* a policy document may be long; the whole stands in the two files */
#define DEPTH_MAX 3         /* members below this are shown as values */

/* The section's title, one of its things, and what it means when such a thing comes or goes. */
static const struct section_words {
    const char *section, *title, *one, *came, *went;
} sections[] = {
    {"accounts", "Accounts", "account", "joined the organization", "left the organization"},
    {"contact", "Contacts", "contact", "was entered", "was deleted"},
    {"cur", "Cost and usage reports", "report", "was defined", "was deleted"},
    {"delegation", "Delegated administration", "account", "became a delegated administrator",
     "is no delegated administrator any more"},
    {"exports", "Data exports", "export", "was made", "was deleted"},
    {"features", "Features of the organization", "feature", "is listed now", "is not listed any more"},
    {"handshakes", "Open invitations and handshakes", "handshake", "was opened", "is not open any more"},
    {"iam.account", "IAM settings of the account", "setting", "was set", "was taken away"},
    {"iam.groups", "IAM groups", "group", "was made", "was deleted"},
    {"iam.policies", "IAM policies", "policy", "was made", "was deleted"},
    {"iam.roles", "IAM roles", "role", "was made", "was deleted"},
    {"iam.users", "IAM users", "user", "was made", "was deleted"},
    {"organization", "The organization itself", "value", "was set", "was taken away"},
    {"policies", "Organization policies", "policy", "was made", "was deleted"},
    {"s3", "Buckets", "bucket", "was made", "was deleted"},
    {"tax", "Tax settings", "tax setting of", "was entered", "was deleted"},
    {"trails", "CloudTrail trails", "trail", "was made", "was deleted"},
    {"transfers", "Billing transfers", "transfer", "was begun", "is gone"},
    {"tree", "Places in the organization", "node", "has a place", "has no place any more"},
    {"trusted_services", "Trusted access", "service", "was trusted", "is not trusted any more"},
};

static const struct {
    const char *member, *words;
} members[] = {
    {"arn", "ARN"},
    {"aws_managed", "managed by AWS"},
    {"boundary", "permissions boundary"},
    {"content", "document"},
    {"devices", "MFA devices of root"},
    {"enabled", "enabled features"},
    {"enabled_ms", "trusted since"},
    {"expires_ms", "expires"},
    {"feature_set", "feature set"},
    {"inline", "inline policies"},
    {"instances", "instances"},
    {"joined_method", "joined by"},
    {"joined_ms", "joined"},
    {"logging", "recording"},
    {"master_email", "root's address"},
    {"max_session", "longest session in seconds"},
    {"mfa", "root has MFA"},
    {"access_keys", "root has access keys"},
    {"parent", "place"},
    {"policies", "attached policies"},
    {"policy_types", "policy types"},
    {"not_readable", "AWS lets us not look"},
    {"services", "services"},
    {"targets", "attached to"},
    {"trust", "who may assume it"},
};

static const struct section_words *words_of(const char *section)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        if (str_eq(sections[i].section, section))
            return &sections[i];
    return NULL;
}

const char *fingerprint_section_title(const char *section)
{
    const struct section_words *words = words_of(section);
    return words ? words->title : section;
}

static const char *member_words(const char *member)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (str_eq(members[i].member, member))
            return members[i].words;
    return member;
}

struct telling {
    const json_t *a, *b;
    struct str *out;
};

/* The name that one of the two knows for an account, an OU or a policy; "" when there is none. */
static const char *name_of(const struct telling *t, const char *id)
{
    static const char *const places[] = {"accounts", "tree", "policies"};
    const json_t *both[] = {t->b, t->a};
    for (size_t f = 0; f < ARRAY_LEN(both); f++) {
        for (size_t p = 0; p < ARRAY_LEN(places); p++) {
            const json_t *section = json_object_get(json_object_get(both[f], "sections"), places[p]);
            const char *name = json_str_at(json_object_get(section, id), "name");
            if (name[0])
                return name;
        }
    }
    return "";
}

/* At most VALUE_BYTES_MAX bytes, never within a character. */
static void add_cut(struct str *out, const char *text)
{
    size_t len = strlen(text);
    bool is_cut = len > VALUE_BYTES_MAX;
    if (is_cut) {
        len = VALUE_BYTES_MAX;
        while (len && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    str_add_bytes(out, text, len);
    str_add(out, is_cut ? "..." : "");
}

static void add_value(const struct telling *t, const char *member, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) || (text && !*text)) {
        str_add(t->out, "nothing");
    } else if (json_is_boolean(value)) {
        str_add(t->out, json_is_true(value) ? "yes" : "no");
    } else if (json_is_integer(value) && str_ends(member, "_ms")) {
        char at[32];
        when_rfc3339((uint64_t)json_integer_value(value), at);
        str_add(t->out, at);
    } else if (text) {
        const char *name = name_of(t, text);
        str_add_char(t->out, '"');
        add_cut(t->out, text);
        str_addf(t->out, name[0] ? "\" (%s)" : "\"", name);
    } else {
        AUTO_FREE char *json = json_text(value);
        add_cut(t->out, json);
    }
}

static bool has_element(const json_t *list, const json_t *wanted)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), wanted))
            return true;
    return false;
}

static void add_line(const struct telling *t, size_t depth, const char *words)
{
    str_addf(t->out, "%*s%s", (int)(2 * depth), "", words);
}

/* Elements of `list` that `other` lacks, one line each. */
static void add_elements(const struct telling *t, size_t depth, const char *member, const json_t *list,
                         const json_t *other, const char *words)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (has_element(other, one))
            continue;
        add_line(t, depth, member_words(member));
        str_addf(t->out, ": %s ", words);
        add_value(t, member, one);
        str_add_char(t->out, '\n');
    }
}

static json_t *keys_of(const json_t *a, const json_t *b)
{
    json_auto_t *seen = json_object();
    json_object_update(seen, (json_t *)(uintptr_t)a);
    json_object_update(seen, (json_t *)(uintptr_t)b);
    json_t *keys = json_array(), *value = NULL;
    const char *key = NULL;
    json_object_foreach (seen, key, value)
        json_array_append_new(keys, json_string(key));
    json_sort_by(keys, NULL);
    return keys;
}

// NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX deep
static void add_change(const struct telling *t, size_t depth, size_t deeper, const char *member, const json_t *from,
                       const json_t *to)
{
    if (json_is_array(from) && json_is_array(to)) {
        add_elements(t, depth, member, to, from, "now also");
        add_elements(t, depth, member, from, to, "no longer");
        return;
    }
    bool is_tree = (json_is_object(from) || json_is_object(to)) && (!from || json_is_object(from)) &&
                   (!to || json_is_object(to)) && deeper;
    if (!is_tree) {
        add_line(t, depth, member_words(member));
        str_add(t->out, " was ");
        add_value(t, member, from);
        str_add(t->out, ", is ");
        add_value(t, member, to);
        str_add_char(t->out, '\n');
        return;
    }
    if (member[0]) {
        add_line(t, depth, member_words(member));
        str_add(t->out, ":\n");
    }
    json_auto_t *keys = keys_of(from, to);
    json_t *key = NULL;
    size_t i = 0;
    json_array_foreach (keys, i, key) {
        const char *name = json_string_value(key);
        const json_t *had = json_object_get(from, name), *has = json_object_get(to, name);
        if (!json_equal(had, has))
            add_change(t, depth + (member[0] != 0), deeper - 1, name, had, has);
    }
}

static void add_thing(const struct telling *t, const struct section_words *words, const json_t *difference)
{
    const char *key = json_str_at(difference, "key"), *kind = json_str_at(difference, "kind");
    const char *name = name_of(t, key);
    const json_t *from = json_object_get(difference, "from"), *to = json_object_get(difference, "to");
    str_addf(t->out, "  %s %s", words ? words->one : "entry", key);
    if (name[0])
        str_addf(t->out, " (%s)", name);
    if (str_eq(kind, "added")) {
        str_addf(t->out, " %s\n", words ? words->came : "was added");
    } else if (str_eq(kind, "removed")) {
        str_addf(t->out, " %s\n", words ? words->went : "was removed");
    } else {
        str_add(t->out, " was changed:\n");
        add_change(t, 2, DEPTH_MAX, json_is_object(from) && json_is_object(to) ? "" : "it", from, to);
    }
}

void fingerprint_explain(const json_t *a, const json_t *b, const json_t *differences, struct str *out)
{
    const struct telling t = {.a = a, .b = b, .out = out};
    const char *last = "";
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)differences, i, one) {
        const char *section = json_str_at(one, "section");
        if (!str_eq(section, last))
            str_addf(out, "%s\n", fingerprint_section_title(section));
        last = section;
        add_thing(&t, words_of(section), one);
    }
}
