/* The organization before and after: the tree of units and accounts, and every section with what moved in it. */
#include "common/proof/fingerprint.h"
#include "common/report/report_private.h"

#define NAMES_SHOWN_MAX 400
#define DEPTH_MAX 12 /* AWS allows five levels of units */

struct changes {
    const json_t *payload, *before, *after, *proof; /* sections */
    json_t *differences;
};

static const json_t *entry_of(const json_t *sections, const char *section, const char *key)
{
    return json_object_get(json_object_get(sections, section), key);
}

static const json_t *difference_of(const struct changes *c, const char *section, const char *key)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (c->differences, i, one)
        if (str_eq(json_str_at(one, "section"), section) && str_eq(json_str_at(one, "key"), key))
            return one;
    return NULL;
}

static const json_t *listed(const struct changes *c, const char *list, const json_t *difference)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(c->proof, list), i, one)
        if (str_eq(json_str_at(one, "section"), json_str_at(difference, "section")) &&
            str_eq(json_str_at(one, "key"), json_str_at(difference, "key")))
            return one;
    return NULL;
}

static const json_t *patch_of(const struct changes *c, const json_t *difference)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(c->payload, "patches"), i, one)
        if (str_eq(json_str_at(one, "section"), json_str_at(difference, "section")) &&
            str_eq(json_str_at(one, "key"), json_str_at(difference, "key")))
            return one;
    return NULL;
}

/* ---- Marks ---- */
static const char *sign_of(const json_t *difference)
{
    const char *kind = json_str_at(difference, "kind");
    return str_eq(kind, "added") ? "+" : str_eq(kind, "removed") ? "&minus;" : "&ne;";
}

static void mark(const struct changes *c, const json_t *difference, struct str *out)
{
    bool is_theirs = listed(c, "foreign", difference) != NULL;
    bool is_open = listed(c, "unexplained", difference) || listed(c, "disrupted", difference) ||
                   listed(c, "accepted", difference) || (!is_theirs && !patch_of(c, difference));
    html(out, "<span class=\"mark %s\">%s</span>",
         is_open     ? "open"
         : is_theirs ? "theirs"
                     : "ours",
         sign_of(difference));
}

static void by_whom(const struct changes *c, const json_t *difference, struct str *out)
{
    const json_t *foreign = listed(c, "foreign", difference), *patch = patch_of(c, difference);
    html(out, " <span class=\"by\">");
    if (foreign) {
        const json_t *event = json_array_get(json_object_get(foreign, "events"), 0);
        html(out, "by ");
        html_text(out, json_str_or(event, "user", json_str_or(event, "who", "somebody else")));
        html(out, ", ");
        html_text(out, json_str_at(event, "name"));
        html(out, " ");
        html_time(out, json_int_at(event, "at_ms"));
    } else if (patch) {
        const json_t *step = bundle_step(c->payload, json_str_at(patch, "step"));
        html(out, "announced: ");
        html_text(out, json_str_or(step, "title", "ended by its own date"));
    } else {
        html(out, "nobody announced it, and no event explains it");
    }
    html(out, "</span>");
}

/* ---- The tree ---- */
static const char *node_name(const struct changes *c, const char *id, const json_t *node)
{
    const char *own = json_str_at(node, "name"), *of_account = json_str_at(entry_of(c->after, "accounts", id), "name");
    return *own ? own : *of_account ? of_account : json_str_or(entry_of(c->before, "accounts", id), "name", id);
}

static void node_line(const struct changes *c, const char *id, const json_t *node, struct str *out)
{
    const char *type = json_str_at(node, "type");
    const json_t *moved = difference_of(c, "tree", id), *changed = difference_of(c, "accounts", id);
    if (moved || changed)
        mark(c, moved ? moved : changed, out);
    html_text(out, node_name(c, id, node));
    html(out, "<span class=\"kind\">%s ", str_eq(type, "ACCOUNT") ? "account" : str_eq(type, "OU") ? "unit" : "");
    html_text(out, id);
    html(out, "</span>");
    if (moved || changed)
        by_whom(c, moved ? moved : changed, out);
}

// NOLINTNEXTLINE(misc-no-recursion): at most DEPTH_MAX levels
static void children(const struct changes *c, const json_t *tree, const char *parent, unsigned depth, struct str *out)
{
    const char *id = NULL;
    json_t *node = NULL;
    bool is_open = false;
    if (depth > DEPTH_MAX)
        return;
    json_object_foreach (LOOSE(tree), id, node) {
        if (!str_eq(json_str_at(node, "parent"), parent))
            continue;
        if (!is_open)
            html(out, depth ? "<ul>" : "<ul class=\"tree\">");
        is_open = true;
        html(out, "<li>");
        node_line(c, id, node, out);
        if (*id && !str_eq(json_str_at(node, "type"), "ACCOUNT"))
            children(c, tree, id, depth + 1, out);
        html(out, "</li>");
    }
    if (is_open)
        html(out, "</ul>");
}

/* What stands in either picture, so that what is gone is shown at its old place. */
static void whole_tree(const struct changes *c, struct str *out)
{
    json_auto_t *both = json_copy(LOOSE(json_object_get(c->before, "tree")));
    const json_t *after = json_object_get(c->after, "tree");
    if (!both)
        return;
    if (after)
        (void)json_object_update(both, LOOSE(after));
    html(out, "<h3>Units and accounts</h3>");
    children(c, both, "", 0, out);
}

/* ---- Entries ---- */
static void short_value(struct str *out, const char *tag, const json_t *value)
{
    if (!value || json_is_null(value)) {
        html_element(out, tag, "", "nothing");
        return;
    }
    AUTO_FREE char *text = json_is_string(value) ? mem_dup(json_string_value(value)) : json_text(value);
    html_element(out, tag, "mono", *text ? text : "nothing");
}

static bool is_same(const json_t *a, const json_t *b)
{
    return a && b ? json_equal(a, b) : a == b;
}

static void member_changes(const json_t *from, const json_t *to, struct str *out)
{
    json_auto_t *names = json_copy(LOOSE(from));
    const char *name = NULL;
    json_t *value = NULL;
    (void)json_object_update(names, LOOSE(to));
    html(out, "<div class=\"diff\">");
    json_object_foreach (names, name, value) {
        const json_t *was = json_object_get(from, name), *is = json_object_get(to, name);
        if (is_same(was, is))
            continue;
        html_element(out, "span", "soft", name);
        html(out, "<span>");
        short_value(out, "del", was);
        html(out, " &rarr; ");
        short_value(out, "ins", is);
        html(out, "</span>");
    }
    html(out, "</div>");
}

/* Of an ARN the name first: it is what people know the thing by. */
static void key_of(const char *key, struct str *out)
{
    const char *slash = str_starts(key, "arn:") ? strrchr(key, '/') : NULL;
    html_element(out, "strong", "", slash ? slash + 1 : key);
    if (slash) {
        html(out, " ");
        html_element(out, "span", "by mono", key);
    }
}

static void entry(const struct changes *c, const json_t *difference, struct str *out)
{
    const json_t *from = json_object_get(difference, "from"), *to = json_object_get(difference, "to");
    html(out, "<div class=\"entry\">");
    mark(c, difference, out);
    key_of(json_str_at(difference, "key"), out);
    by_whom(c, difference, out);
    if (json_is_object(from) && json_is_object(to)) {
        member_changes(from, to, out);
    } else if (json_is_null(from) || json_is_null(to)) {
        html(out, "<details><summary class=\"by\">%s, in full</summary>",
             json_is_null(from) ? "What was added" : "What was there");
        html_json(out, json_is_null(from) ? to : from);
        html(out, "</details>");
    } else {
        html(out, "<div class=\"diff\"><span class=\"soft\">value</span><span>");
        short_value(out, "del", from);
        html(out, " &rarr; ");
        short_value(out, "ins", to);
        html(out, "</span></div>");
    }
    html(out, "</div>");
}

/* Names that are in both and the same; how many. */
static size_t names_of(const struct changes *c, const char *section, struct str *out)
{
    const char *key = NULL;
    json_t *value = NULL;
    size_t n = 0;
    json_object_foreach (json_object_get(c->after, section), key, value) {
        if (difference_of(c, section, key) || n++ >= NAMES_SHOWN_MAX)
            continue;
        const char *name = json_str_at(value, "name"), *id = json_str_at(value, "id");
        str_addf(out, "%s%s", n > 1 ? ", " : "", *name ? name : key);
        if (*name || *id)
            str_addf(out, " (%s)", key);
    }
    if (n > NAMES_SHOWN_MAX)
        str_addf(out, ", and %zu others", n - NAMES_SHOWN_MAX);
    return n;
}

static void unchanged(const struct changes *c, const char *section, struct str *out)
{
    AUTO_STR struct str names;
    str_init(&names, BUNDLE_BYTES_MAX);
    size_t n = names_of(c, section, &names);
    if (!n)
        return;
    html(out, "<details><summary class=\"by\">%zu unchanged</summary><p class=\"soft\"><small>", n);
    html_text(out, names.data);
    html(out, "</small></p></details>");
}

static size_t moved_in(const struct changes *c, const char *section)
{
    size_t i = 0, n = 0;
    json_t *one = NULL;
    json_array_foreach (c->differences, i, one)
        n += str_eq(json_str_at(one, "section"), section);
    return n;
}

static void changed_section(const struct changes *c, const char *section, struct str *out)
{
    size_t i = 0, was = json_object_size(json_object_get(c->before, section)),
           is = json_object_size(json_object_get(c->after, section));
    json_t *one = NULL;
    html(out, "<div class=\"section moved\"><div class=\"head\">");
    html_element(out, "strong", "", html_words_of_section(section));
    html(out, "<span class=\"count\">%zu before, %zu after</span></div>", was, is);
    json_array_foreach (c->differences, i, one)
        if (str_eq(json_str_at(one, "section"), section))
            entry(c, one, out);
    unchanged(c, section, out);
    html(out, "</div>\n");
}

static void quiet_sections(const struct changes *c, struct str *out)
{
    const char *section = NULL;
    json_t *value = NULL;
    html(out, "<h3>Read before and after, and exactly the same</h3>");
    json_object_foreach (LOOSE(c->before), section, value) {
        if (moved_in(c, section))
            continue;
        html(out, "<details class=\"section\"><summary><strong>");
        html_text(out, html_words_of_section(section));
        html(out, "</strong><span class=\"count\">%zu</span></summary><p class=\"soft\"><small>",
             json_object_size(value));
        AUTO_STR struct str names;
        str_init(&names, BUNDLE_BYTES_MAX);
        (void)names_of(c, section, &names);
        html_text(out, *names.data ? names.data : "nothing, before and after");
        html(out, "</small></p></details>");
    }
}

void report_changes(const struct bundle_report *checked, struct str *out)
{
    const json_t *payload = json_object_get(checked->bundle, "payload");
    struct changes c = {.payload = payload,
                        .before = json_at(payload, "fingerprints.before.sections"),
                        .after = json_at(payload, "fingerprints.after.sections"),
                        .proof =
                            json_at(json_object_get(bundle_step(payload, "fingerprint_after"), "result"), "proof")};
    const char *section = NULL;
    json_t *value = NULL;
    html(out, "<h2 id=\"changes\">The organization, before and after</h2>");
    if (!json_is_object(c.before) || !json_is_object(c.after)) {
        html(out, "<p class=\"lead\">It has not been read twice yet.</p>");
        return;
    }
    json_auto_t *differences =
        fingerprint_diff(json_at(payload, "fingerprints.before"), json_at(payload, "fingerprints.after"));
    c.differences = differences;
    html(out,
         "<p class=\"lead legend\"><span><span class=\"mark ours\">us</span>announced and done</span> <span><span "
         "class=\"mark theirs\">others</span>somebody else, meanwhile</span> <span><span "
         "class=\"mark open\">open</span>neither</span> <span><b>+</b> new</span> <span><b>&ne;</b> changed</span> "
         "<span><b>&minus;</b> gone</span></p>");
    whole_tree(&c, out);
    html(out, "<h3>What is different</h3>");
    json_object_foreach (LOOSE(c.after), section, value)
        if (moved_in(&c, section))
            changed_section(&c, section, out);
    if (!json_array_size(differences))
        html(out, "<p>Nothing.</p>");
    quiet_sections(&c, out);
}
