#include "common/proof/plan_words.h"

#include "common/base/macros.h"
#include "common/base/mem.h"
#include "common/codec/text_diff.h"

#include <stdio.h>
#include <string.h>

struct words {
    const struct plan_words_options *how;
    struct str *out;
};

/* ---- Marks: one sign and one colour per kind of line ---- */

static const struct mark {
    const char *kind;
    char sign;
    const char *colour;
} marks[] = {
    {"create", '+', "\033[32m"},  {"change", '~', "\033[33m"},   {"remove", '-', "\033[31m"},
    {"adopt", '=', ""},           {"nothing", ' ', "\033[2m"},   {"person", '>', "\033[36m"},
    {"mail", '@', "\033[36m"},    {"decision", '?', "\033[35m"}, {"stop", '!', "\033[1;31m"},
    {"warning", '*', "\033[33m"},
};

static const struct mark *mark_of(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (str_eq(marks[i].kind, kind))
            return &marks[i];
    return &marks[1];
}

static void line(struct words *w, const char *kind, const char *what, const char *why)
{
    const struct mark *m = mark_of(kind);
    const char *colour = w->how->has_colours ? m->colour : "";
    str_addf(w->out, "%s  %c %s%s", colour, m->sign, what, *colour ? "\033[0m" : "");
    if (*why)
        str_addf(w->out, "   %s", why);
    str_add_char(w->out, '\n');
}

/* ---- Documents ---- */

/* S3 keeps policies as text; both are shown as the same kind of document. */
static char *pretty(const json_t *value)
{
    struct err err;
    json_auto_t *parsed = NULL;
    if (!value || json_is_null(value))
        return mem_dup("");
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        parsed = *text == '{' || *text == '[' ? json_read(text, strlen(text), 0, &err) : NULL;
    }
    char *text = json_dumps(parsed ? parsed : value, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    return text ? text : mem_dup("");
}

static void add_diff_line(void *arg, char sign, const char *text, size_t len)
{
    struct words *w = arg;
    const char *colour = !w->how->has_colours ? "" : sign == '+' ? "\033[32m" : sign == '-' ? "\033[31m" : "";
    str_addf(w->out, "%s        %c %.*s%s\n", colour, sign, (int)len, text, *colour ? "\033[0m" : "");
}

/* Plain arguments in one line; documents follow as a difference. */
static void add_arguments(struct words *w, const json_t *call)
{
    const char *name, *document = json_str_at(call, "document");
    json_t *value;
    str_addf(w->out, "      %s", json_str_at(call, "op"));
    json_object_foreach (json_object_get(call, "args"), name, value) {
        if (str_eq(name, document))
            continue;
        AUTO_FREE char *text = json_is_string(value) ? mem_dup(json_string_value(value)) : json_text(value);
        str_addf(w->out, " %s=%s", name, text);
    }
    if (*json_str_at(call, "region"))
        str_addf(w->out, " (%s)", json_str_at(call, "region"));
    str_add_char(w->out, '\n');
    if (!*document && !json_has(call, "before"))
        return;
    const json_t *after = *document ? json_object_get(json_object_get(call, "args"), document) : NULL;
    AUTO_FREE char *before_text = pretty(json_object_get(call, "before")), *after_text = pretty(after);
    if (*document)
        text_diff(before_text, after_text, add_diff_line, w);
}

/* ---- One step ---- */

static void add_resources(struct words *w, const json_t *step)
{
    size_t i, k;
    const json_t *one, *call;
    json_array_foreach (json_object_get(step, "resources"), i, one) {
        const char *name = json_str_at(one, "resource");
        line(w, json_str_at(one, "action"), name, json_str_at(one, "reason"));
        json_array_foreach (json_object_get(step, "calls"), k, call)
            if (!w->how->is_short && str_ends(name, json_str_at(call, "resource")))
                add_arguments(w, call);
    }
}

static void add_people(struct words *w, const json_t *step)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(step, "mails"), i, one) {
        AUTO_FREE char *what = mem_printf("mail to %s: %s", json_str_at(one, "to"), json_str_at(one, "subject"));
        line(w, "mail", what, "");
    }
    json_array_foreach (json_object_get(step, "tasks"), i, one) {
        AUTO_FREE char *what = mem_printf("%s: %s", json_str_at(one, "party"), json_str_at(one, "title"));
        AUTO_FREE char *due = mem_printf("(within %lld h of its opening)", (long long)json_int_at(one, "due_hours"));
        line(w, "person", what, due);
        if (!w->how->is_short)
            str_addf(w->out, "      seen by: %s\n", json_str_at(one, "check"));
    }
    json_array_foreach (json_object_get(step, "decisions"), i, one) {
        AUTO_FREE char *what = mem_printf("%s decides [%s]", json_str_at(one, "party"), json_str_at(one, "code"));
        line(w, "decision", what, json_str_at(one, "text"));
    }
    json_array_foreach (json_object_get(step, "waits"), i, one)
        str_addf(w->out, "    waits: %s\n", json_str_at(one, "for"));
    json_array_foreach (json_object_get(step, "warnings"), i, one)
        line(w, "warning", json_string_value(one), "");
}

static void add_stop(struct words *w, const json_t *step)
{
    const json_t *stop = json_object_get(step, "stop");
    if (!stop)
        return;
    AUTO_FREE char *what = mem_printf("would stop: %s [%s, %s]", json_str_at(stop, "text"), json_str_at(stop, "code"),
                                      json_str_at(stop, "owner"));
    line(w, "stop", what, "");
    str_addf(w->out, "      fix: %s\n", json_str_at(stop, "fix"));
}

static bool says_something(const json_t *step)
{
    static const char *const lists[] = {"resources", "mails", "tasks", "decisions", "waits", "warnings"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (json_array_size(json_object_get(step, lists[i])))
            return true;
    return json_has(step, "stop") || str_eq(json_str_at(step, "ends"), "unforeseen");
}

static void add_step(struct words *w, const json_t *step)
{
    str_addf(w->out, "\n%s%-4s %s%s\n", w->how->has_colours ? "\033[1m" : "", json_str_at(step, "item"),
             json_str_at(step, "step"), w->how->has_colours ? "\033[0m" : "");
    add_resources(w, step);
    add_people(w, step);
    add_stop(w, step);
    if (str_eq(json_str_at(step, "ends"), "unforeseen"))
        line(w, "stop", "nobody can tell what this step would do", "");
}

/* ---- Figures ---- */

static void add_costs(struct words *w, const json_t *plan)
{
    size_t i;
    const json_t *one, *estimate = json_at(plan, "estimate");
    int64_t ms = json_int_at(estimate, "machine_ms");
    str_addf(w->out, "Machine time about %lld s for %lld calls, at half of AWS's documented rates:",
             (long long)((ms + 999) / 1000), (long long)json_int_at(estimate, "calls"));
    json_array_foreach (json_at(estimate, "rates"), i, one)
        str_addf(w->out, "%s %s %lld", i ? "," : "", json_str_at(one, "family"), (long long)json_int_at(one, "calls"));
    str_add(w->out, ".\n");
}

static void add_summary(struct words *w, const json_t *plan)
{
    const json_t *n = json_at(plan, "summary");
#define N(name_) ((long long)json_int_at(n, name_))
    str_add_char(w->out, '\n');
    if (json_bool_at(plan, "no_changes"))
        str_addf(w->out, "No changes. %lld adopted as they are, %lld as agreed; no call changes anything.", N("adopt"),
                 N("nothing"));
    else
        str_addf(
            w->out,
            "Plan: %lld to create, %lld to change, %lld to remove, %lld adopted; %lld calls that change something.",
            N("create"), N("change"), N("remove"), N("adopt"), N("calls"));
    str_addf(w->out, " %lld task%s for people, %lld mail%s, %lld decision%s.\n", N("tasks"), N("tasks") == 1 ? "" : "s",
             N("mails"), N("mails") == 1 ? "" : "s", N("decisions"), N("decisions") == 1 ? "" : "s");
#undef N
    add_costs(w, plan);
}

static void add_quiet(struct words *w, const json_t *steps)
{
    size_t i, count = 0;
    const json_t *step;
    json_array_foreach ((json_t *)(uintptr_t)steps, i, step) {
        if (says_something(step) || str_eq(json_str_at(step, "ends"), "skipped"))
            continue;
        str_addf(w->out, "%s%s", count++ ? ", " : "\nOnly looks: ", json_str_at(step, "step"));
    }
    if (count)
        str_add_char(w->out, '\n');
}

void plan_words(const json_t *plan, const struct plan_words_options *options, struct str *out)
{
    struct words w = {options, out};
    const json_t *pinned = json_at(plan, "pinned"), *step;
    size_t i;
    str_addf(out, "Plan for %s, account %s, import %s\nplaybook %s, profile %s version %lld\nplan %s\n",
             json_str_at(pinned, "customer"), json_str_at(pinned, "account"), json_str_at(pinned, "import"),
             json_str_at(pinned, "playbook"), json_str_at(pinned, "profile.name"),
             (long long)json_int_at(pinned, "profile.version"), json_str_at(plan, "hash"));
    json_array_foreach (json_at(pinned, "steps"), i, step)
        if (says_something(step))
            add_step(&w, step);
    add_quiet(&w, json_at(pinned, "steps"));
    add_summary(&w, plan);
}
