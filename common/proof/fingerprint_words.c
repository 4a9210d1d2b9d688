/* Differences in words. Long values are cut here; the full ones stand in the proof. */
#include "common/proof/fingerprint_words.h"

#include "common/base/mem.h"

#define MEMBERS_SHOWN_MAX 4
#define VALUE_BYTES_MAX 60

static const struct {
    const char *section, *words;
} names[] = {
    {"accounts", "Account"},
    {"contact", "Contact"},
    {"cur", "Cost report"},
    {"delegation", "Delegation to"},
    {"exports", "Data export"},
    {"features", "Feature"},
    {"handshakes", "Invitation"},
    {"iam.account", "IAM setting"},
    {"iam.groups", "IAM group"},
    {"iam.policies", "IAM policy"},
    {"iam.roles", "IAM role"},
    {"iam.users", "IAM user"},
    {"organization", "Organization's"},
    {"policies", "Organization policy"},
    {"s3", "Bucket"},
    {"tax", "Tax setting of"},
    {"trails", "CloudTrail trail"},
    {"transfers", "Billing transfer"},
    {"tree", "Place in the organization of"},
    {"trusted_services", "Trusted access of"},
};

static const char *section_words(const char *section)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i].section, section))
            return names[i].words;
    return section;
}

static void add_value(struct str *out, const json_t *value)
{
    if (!value || json_is_null(value)) {
        str_add(out, "nothing");
        return;
    }
    AUTO_FREE char *text = json_text(value);
    size_t len = strlen(text);
    bool is_cut = len > VALUE_BYTES_MAX;
    if (is_cut) {
        len = VALUE_BYTES_MAX;
        while (len && ((unsigned char)text[len] & 0xC0) == 0x80) /* never within a character */
            len--;
        text[len] = 0;
    }
    str_addf(out, "%s%s", text, is_cut ? "..." : "");
}

static void add_change(struct str *out, const char *name, const json_t *from, const json_t *to)
{
    str_addf(out, "%s (", name);
    add_value(out, from);
    str_add(out, ", now ");
    add_value(out, to);
    str_add(out, ")");
}

static void add_members(struct str *out, const json_t *from, const json_t *to)
{
    json_auto_t *keys = json_object(), *sorted = json_array();
    json_object_update(keys, (json_t *)(uintptr_t)from);
    json_object_update(keys, (json_t *)(uintptr_t)to);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach (keys, name, value)
        json_array_append_new(sorted, json_string(name));
    json_sort_by(sorted, NULL);
    size_t shown = 0, i = 0;
    json_t *key = NULL;
    json_array_foreach (sorted, i, key) {
        const json_t *had = json_object_get(from, json_string_value(key)),
                     *has = json_object_get(to, json_string_value(key));
        if (json_equal(had, has))
            continue;
        if (shown == MEMBERS_SHOWN_MAX) {
            str_add(out, ", and more");
            return;
        }
        str_add(out, shown++ ? ", " : ": ");
        add_change(out, json_string_value(key), had, has);
    }
}

void fingerprint_words(const json_t *difference, struct str *out)
{
    const char *kind = json_str_at(difference, "kind");
    const json_t *from = json_object_get(difference, "from"), *to = json_object_get(difference, "to");
    if (str_eq(kind, "patch")) {
        str_addf(out, "A step declared a change that does not fit: %s", json_str_at(difference, "text"));
        return;
    }
    str_addf(out, "%s %s was %s", section_words(json_str_at(difference, "section")), json_str_at(difference, "key"),
             kind);
    if (!str_eq(kind, "changed"))
        return;
    if (json_is_object(from) && json_is_object(to)) {
        add_members(out, from, to);
    } else {
        str_add(out, ": ");
        add_change(out, "value", from, to);
    }
}
