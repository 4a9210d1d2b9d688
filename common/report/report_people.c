/* Who did what: tasks with how sure we are of each, roles in words, and the whole log. */
#include "common/policy/policy.h"
#include "common/proof/ledger_story.h"
#include "common/report/report_private.h"

/* ---- Roles ---- */
/* On which resources, where a statement names them. */
static void where(const json_t *on, struct str *out)
{
    size_t i = 0;
    json_t *one = NULL;
    if (!json_array_size(on) || (json_array_size(on) == 1 && str_eq(json_string_value(json_array_get(on, 0)), "*")))
        return;
    html(out, " <small class=\"soft mono\">on ");
    json_array_foreach (LOOSE(on), i, one) {
        html(out, i ? ", " : "");
        html_text(out, json_string_value(one));
    }
    html(out, "</small>");
}

static void list_words(struct str *out, const json_t *list, const char *class)
{
    size_t i = 0;
    json_t *one = NULL;
    json_auto_t *said = json_object(); /* two statements may say the same */
    html(out, *class ? "<ul class=\"%s\">" : "<ul%s>", class);
    json_array_foreach (LOOSE(list), i, one) {
        AUTO_FREE char *same = mem_printf("%s|%s", json_str_at(one, "words"), json_str_at(one, "action"));
        if (json_object_get(said, same) && !json_has(one, "because"))
            continue;
        json_put(said, same, json_true());
        html(out, "<li>");
        if (json_has(one, "because")) {
            html_element(out, "code", "", json_str_at(one, "action"));
            html(out, " ");
            html_text(out, json_str_at(one, "because"));
        } else {
            html_text(out, json_str_or(one, "words", json_str_at(one, "service")));
            where(json_object_get(one, "on"), out);
            if (*json_str_at(one, "external_id"))
                html(out, ", only with the agreed external id");
        }
        html(out, "</li>");
    }
    html(out, "</ul>");
}

static void one_role(const json_t *role, const char *title, struct str *out)
{
    json_auto_t *words = policy_role_words(role);
    html(out, "<div class=\"role\"><h3>");
    html_text(out, json_str_at(words, "name"));
    html(out, " <span class=\"by\">");
    html_text(out, title);
    html(out, "</span></h3><p>Who can take it:</p>");
    list_words(out, json_object_get(words, "who"), "");
    html(out, "<p>What it can do:</p>");
    list_words(out, json_object_get(words, "can"), "columns");
    if (json_array_size(json_object_get(words, "warnings"))) {
        html(out, "<p class=\"caution\">Reaches further than it looks:</p>");
        list_words(out, json_object_get(words, "warnings"), "caution");
    }
    html(out, "<details><summary class=\"by\">The documents, as they were written</summary>");
    json_auto_t *documents = json_object();
    static const char *const kept[] = {"trust", "policies", "inline", "managed"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_has(role, kept[i]))
            json_put(documents, kept[i], json_incref(json_object_get(role, kept[i])));
    html_json(out, documents);
    html(out, "</details></div>");
}

void report_roles(const json_t *payload, struct str *out)
{
    const json_t *roles = json_at(payload, "import.document.vars.roles");
    const char *name = NULL;
    json_t *role = NULL;
    size_t count = 0;
    html(out, "<h2 id=\"roles\">What each role can do</h2>");
    json_object_foreach (LOOSE(roles), name, role) {
        AUTO_FREE char *step_name = mem_printf("role_%s", name);
        const json_t *step = bundle_step(payload, step_name);
        if (!json_is_object(json_object_get(step, "result")))
            continue;
        count++;
        one_role(role, json_str_at(step, "title"), out);
    }
    if (!count)
        html(out, "<p class=\"lead\">No role has been made.</p>");
}

/* ---- Tasks ---- */
static const struct {
    const char *grade, *class, *words;
} grades[] = {
    {"already", "strong", "it was so before we asked: read at AWS"},
    {"probed", "strong", "read at AWS after it was done"},
    {"cloudtrail", "strong", "AWS recorded the event in your CloudTrail"},
    {"attested", "weak", "AWS cannot be asked; one person said so, by name"},
    {"attested+second_person", "weak", "AWS cannot be asked; two people said so, by name"},
};

static void grade(struct str *out, const char *name)
{
    const char *class = "";
    for (size_t i = 0; i < ARRAY_LEN(grades); i++)
        if (str_eq(grades[i].grade, name))
            class = grades[i].class;
    html(out, "<span class=\"grade %s\">", class);
    html_text(out, name);
    html(out, "</span>");
}

static void evidence_of(const json_t *one, struct str *out)
{
    const json_t *event = json_object_get(one, "event"), *answer = NULL;
    size_t i = 0;
    if (json_is_object(event)) {
        html_element(out, "code", "", json_str_at(event, "name"));
        html(out, " by ");
        html_text(out, json_str_at(event, "user_type"));
        html(out, " ");
        html_time(out, json_int_at(event, "at_ms"));
        html(out, "<br><small class=\"soft\">event ");
        html_text(out, json_str_at(event, "event_id"));
        html(out, "</small>");
    }
    json_array_foreach (json_object_get(one, "answers"), i, answer) {
        html(out, i || json_is_object(event) ? "<br>" : "");
        html_text(out, json_str_at(answer, "by"));
        html(out, ": ");
        html_text(out, json_str_or(answer, "note", json_str_or(answer, "reason", json_str_at(answer, "what"))));
    }
}

static void explain_grades(struct str *out)
{
    html(out, "<dl>");
    for (size_t i = 0; i < ARRAY_LEN(grades); i++) {
        html(out, "<dt>");
        grade(out, grades[i].grade);
        html(out, "</dt><dd>%s</dd>", grades[i].words);
    }
    html(out, "</dl>");
}

void report_tasks(const json_t *payload, struct str *out)
{
    size_t i = 0;
    json_t *one = NULL;
    html(out,
         "<h2 id=\"people\">What people did, and how sure we are</h2><p class=\"lead\">Nothing counts as done because "
         "somebody pressed a button: each task is read back at AWS wherever AWS can be asked.</p>");
    explain_grades(out);
    html(out, "<table><thead><tr><th>Task</th><th>By</th><th>Grade</th><th>Evidence</th></tr></thead><tbody>");
    json_array_foreach (json_object_get(payload, "human_steps"), i, one) {
        const json_t *step = bundle_step(payload, json_str_at(one, "step"));
        html(out, "<tr><td>");
        html_text(out, json_str_at(step, "title"));
        html(out, " <small class=\"soft\">");
        html_text(out, json_str_at(one, "item"));
        html(out, "</small></td><td>");
        html_text(out, json_str_at(one, "party"));
        html(out, "</td><td>");
        grade(out, json_str_at(one, "grade"));
        html(out, "</td><td>");
        evidence_of(one, out);
        html(out, "</td></tr>");
    }
    html(out, "</tbody></table>\n");
}

/* ---- The log ---- */
static void log_row(const json_t *payload, const json_t *one, struct str *out)
{
    const char *who = json_str_at(one, "who"), *step = json_str_at(one, "step");
    bool is_person = !str_eq(who, "orgimport");
    html(out, "<tr class=\"%s\"><td>", is_person ? "person" : json_bool_at(one, "is_write") ? "write" : "");
    html_time(out, json_int_at(one, "at_ms"));
    html(out, "</td><td>");
    html_text(out, json_str_or(bundle_step(payload, step), "title", *step ? step : "The import"));
    html(out, "</td><td>");
    if (is_person)
        html_element(out, "strong", "", who);
    html(out, is_person ? " " : "");
    html_text(out, json_str_at(one, "text"));
    if (*json_str_at(one, "request_id")) {
        html(out, "<br><small class=\"soft\">AWS request ");
        html_text(out, json_str_at(one, "request_id"));
        html(out, "</small>");
    }
    if (json_is_object(json_object_get(one, "with"))) {
        html(out, "<details><summary class=\"by\">exactly what was sent</summary>");
        html_json(out, json_object_get(one, "with"));
        html(out, "</details>");
    }
    html(out, "</td></tr>\n");
}

void report_log(const json_t *payload, struct str *out)
{
    json_auto_t *story = ledger_story(json_at(payload, "ledger.lines"), json_at(payload, "import.document.steps"));
    size_t i = 0;
    json_t *one = NULL;
    html(out,
         "<h2 id=\"log\">Every call and every decision</h2><p class=\"lead\">In the order in which they were written "
         "down; "
         "times are UTC. A blue bar marks what was written at AWS, a violet one what a person decided. Each line is "
         "bound "
         "to the one before it.</p><table class=\"log\"><thead><tr><th>When</th><th>Step</th><th>What</th></tr></thead>"
         "<tbody>");
    json_array_foreach (story, i, one)
        log_row(payload, one, out);
    html(out, "</tbody></table>");
}
