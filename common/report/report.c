/* The page: one sentence, the figures, what changed, who did what, how to leave, how to check it. */
#include "common/report/report.h"

#include "common/codec/when.h"
#include "common/proof/ledger_story.h"
#include "common/report/report_private.h"

#include <stdio.h>

static const json_t *doc_of(const json_t *payload)
{
    return json_at(payload, "import.document");
}

static const json_t *result_of(const json_t *payload, const char *step)
{
    return json_object_get(bundle_step(payload, step), "result");
}

static const char *customer_of(const json_t *payload)
{
    return json_str_or(doc_of(payload), "customer.name", json_str_at(payload, "import.id"));
}

/* ---- The sentence on top ---- */
static void plural(char ret[64], size_t n, const char *one, const char *many)
{
    (void)snprintf(ret, 64, "%zu %s", n, n == 1 ? one : many);
}

static void verdict(const struct bundle_report *r, const json_t *payload, struct str *out)
{
    const char *word = json_str_at(payload, "verdict.verdict");
    size_t problems = json_array_size(r->problems);
    bool is_good = r->is_proven && !problems;
    char changes[64], others[64];
    plural(changes, r->changes, "change that was announced", "changes that were announced");
    plural(others, r->foreign, "change of others", "changes of others");
    html(out, "<div class=\"verdict %s\"><div class=\"sign\">%s</div><div><b>",
         is_good    ? "good"
         : problems ? "bad"
                    : "warn",
         is_good ? "&#10003;" : "!");
    if (problems)
        html(out, "This file does not hold together. Do not rely on it.");
    else if (is_good && !r->foreign)
        html(out, "Nothing was disrupted: the organization differs from before by the %s, and by nothing else.",
             changes);
    else if (is_good)
        html(out,
             "Nothing was disrupted: the organization differs from before by the %s, and by %s, each named below with "
             "who "
             "made it.",
             changes, others);
    else if (*word)
        html(out, "Not proven: some differences were not announced and are not explained; they are named below.");
    else
        html(out, "Not finished: the organization has not been compared yet.");
    html(out, "</b>");
    for (size_t i = 0; i < problems && i < 8; i++)
        html_element(out, "p", "", json_string_value(json_array_get(r->problems, i)));
    if (json_has(payload, "verdict.accepted.reason")) {
        html(out, "<p>Accepted by ");
        html_text(out, json_str_at(payload, "verdict.accepted.by"));
        html(out, ": ");
        html_text(out, json_str_at(payload, "verdict.accepted.reason"));
        html(out, "</p>");
    }
    if (is_good)
        html(out,
             "<p class=\"soft\">Verdict %s. Anyone can check this offline with the bundle that this page was made of; "
             "the "
             "last part says how.</p>",
             str_eq(word, "PROVEN") ? "PROVEN" : "PROVEN+FOREIGN");
    html(out, "</div></div>\n");
}

/* ---- Figures ---- */
static void figure(struct str *out, const char *value, const char *what)
{
    html(out, "<div>");
    html_element(out, "b", "", value);
    html_element(out, "span", "", what);
    html(out, "</div>");
}

static void figure_n(struct str *out, size_t n, const char *what)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%zu", n);
    figure(out, text, what);
}

static size_t count_reads(const json_t *lines)
{
    size_t i = 0, k = 0, n = 0;
    json_t *line = NULL, *one = NULL;
    json_array_foreach (LOOSE(lines), i, line) {
        if (!str_eq(json_str_at(line, "kind"), "reads"))
            continue;
        json_array_foreach (json_object_get(line, "result"), k, one)
            n += (size_t)json_int_at(one, "count");
    }
    return n;
}

static void figures(const json_t *payload, const json_t *story, struct str *out)
{
    char span[32];
    size_t i = 0, writes = 0;
    json_t *one = NULL;
    json_array_foreach (LOOSE(story), i, one)
        writes += json_bool_at(one, "is_write");
    int64_t began = json_int_at(payload, "import.created_ms"), ended = json_int_at(payload, "import.ended_ms");
    html(out, "<div class=\"figures\">");
    when_span(ended > began ? (uint64_t)(ended - began) : 0, span);
    figure(out, ended ? span : "under way", "from start to end");
    figure_n(out, json_array_size(json_object_get(payload, "patches")), "announced changes");
    figure_n(out, writes, "writes at AWS");
    figure_n(out, count_reads(json_at(payload, "ledger.lines")), "reads at AWS");
    figure_n(out, json_array_size(json_object_get(payload, "human_steps")), "tasks done by people");
    if (json_is_object(json_object_get(payload, "exposure"))) {
        when_span((uint64_t)json_int_at(payload, "exposure.ms"), span);
        figure(out, json_is_integer(json_at(payload, "exposure.closed_ms")) ? span : "still open",
               "root without second factor");
    } else if (json_is_object(result_of(payload, "root_mfa_handover"))) {
        figure(out, "never", "root without second factor");
    }
    html(out, "</div>\n");
}

static void facts(const json_t *payload, struct str *out)
{
    const json_t *doc = doc_of(payload);
    html(out, "<dl><dt>Organization</dt><dd>");
    html_text(out, json_str_or(result_of(payload, "org_identify"), "organization_id", "not identified"));
    html(out, ", management account ");
    html_text(out, json_str_at(doc, "organization.management_account_id"));
    html(out, "</dd><dt>Taken over by</dt><dd>");
    html_text(out, json_str_at(doc, "vars.operator_name"));
    html(out, "</dd><dt>Began and ended</dt><dd>");
    html_time(out, json_int_at(payload, "import.created_ms"));
    html(out, " &ndash; ");
    html_time(out, json_int_at(payload, "import.ended_ms"));
    html(out, " UTC</dd><dt>Access that was lent</dt><dd>");
    const json_t *retired = result_of(payload, "credential_retire");
    if (str_eq(json_str_at(doc, "access.method"), "role"))
        html(out, "a role; we hold no credential of it any more, and it is yours to delete");
    else if (*json_str_at(retired, "key")) {
        html(out, "an access key, ");
        html_text(out, json_str_at(retired, "key"));
        html(out, "; AWS itself answers that it is dead");
    } else
        html(out, "an access key, not retired yet");
    html(out, "</dd></dl>\n");
}

/* ---- How to leave ---- */
static void leave(const json_t *payload, struct str *out)
{
    const json_t *report = json_object_get(result_of(payload, "handover_report"), "report");
    size_t i = 0;
    json_t *one = NULL;
    html(out, "<h2 id=\"leave\">How to leave</h2><p class=\"lead\">You can end this at any time, without us.</p><ul>");
    json_array_foreach (json_object_get(report, "how_to_leave"), i, one)
        html_element(out, "li", "", json_string_value(one));
    if (!json_array_size(json_object_get(report, "how_to_leave")))
        html(out, "<li>The import has not ended; it can be cancelled, and undone.</li>");
    html(out, "</ul>");
    if (json_array_size(json_object_get(report, "remains")))
        html(out, "<h3>What stays behind on purpose</h3>");
    json_array_foreach (json_object_get(report, "remains"), i, one) {
        html_element(out, "p", "", json_str_at(one, "what"));
        html(out, "<p class=\"by\">Belongs to the ");
        html_text(out, json_str_at(one, "owner"));
        html(out, "; to remove it:</p>");
        html_element(out, "pre", "", json_str_at(one, "command"));
    }
}

/* ---- How to check ---- */
static void digests(const json_t *payload, struct str *out)
{
    const json_t *before = json_at(payload, "fingerprints.before.digests"),
                 *after = json_at(payload, "fingerprints.after.digests");
    const char *name = NULL;
    json_t *value = NULL;
    if (!before)
        return;
    html(out,
         "<details><summary>Fingerprint of every section, before and after</summary><table><thead><tr><th>Section</th>"
         "<th>Before</th><th>After</th></tr></thead><tbody>");
    json_object_foreach (LOOSE(before), name, value) {
        const char *now = json_string_value(json_object_get(after, name));
        html(out, "<tr><td>");
        html_text(out, html_words_of_section(name));
        html(out, "</td><td class=\"mono\">");
        html_digest(out, json_string_value(value));
        html(out, "</td><td class=\"mono\">");
        if (now && str_eq(now, json_string_value(value)))
            html(out, "<span class=\"soft\">the same</span>");
        else
            html_digest(out, now);
        html(out, "</td></tr>");
    }
    html(out, "</tbody></table></details>");
}

static void roots(const json_t *payload, struct str *out)
{
    size_t i = 0;
    json_t *one = NULL;
    if (!json_array_size(json_object_get(payload, "roots_issued")))
        return;
    html(out, "<h3>Roots that were handed out on the way</h3><ul>");
    json_array_foreach (json_object_get(payload, "roots_issued"), i, one) {
        html(out, "<li>");
        html_time(out, json_int_at(one, "at_ms"));
        html(out, " to ");
        html_text(out, json_str_at(one, "to"));
        html(out, "<br><code>");
        html_text(out, json_str_at(one, "root"));
        html(out, "</code></li>");
    }
    html(out, "</ul>");
}

static void proof(const struct bundle_report *r, const json_t *payload, struct str *out)
{
    html(out,
         "<h2 id=\"proof\">Check it yourself</h2><p class=\"lead\">This page is made of a signed file, the bundle. Get "
         "the "
         "signer's public key by another way than the bundle came, and run, offline:</p><pre>orgimport verify BUNDLE "
         "--key PUBLIC-KEY</pre><p>It computes every digest, chain, fingerprint and the verdict again. Your own "
         "CloudTrail "
         "shows our calls under one search word, the import&rsquo;s id.</p><dl><dt>Import</dt><dd class=\"mono\">");
    html_text(out, json_str_at(payload, "import.id"));
    html(out, "</dd><dt>Fingerprint before</dt><dd class=\"mono\">");
    html_text(out, json_str_or(payload, "fingerprints.before.root", "not taken"));
    html(out, "</dd><dt>Fingerprint after</dt><dd class=\"mono\">");
    html_text(out, json_str_or(payload, "fingerprints.after.root", "not taken"));
    html(out, "</dd><dt>Root of the ledger</dt><dd class=\"mono\">");
    html_text(out, json_str_at(payload, "ledger.root"));
    html(out, "</dd><dt>Signed with</dt><dd class=\"mono\">key ");
    html_text(out, r->key_id);
    html(out, "</dd></dl>");
    roots(payload, out);
    digests(payload, out);
}

static void head(const json_t *payload, struct str *out)
{
    html(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
              "content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" "
              "content=\"default-src 'none'; style-src 'unsafe-inline'\"><meta name=\"referrer\" "
              "content=\"no-referrer\"><title>");
    html_text(out, customer_of(payload));
    html(out, " &ndash; handover report</title><style>");
    str_add(out, report_style);
    html(out, "</style></head><body><main><p class=\"eyebrow\">Handover report</p><h1>");
    html_text(out, customer_of(payload));
    html(out, "</h1>\n");
}

void report_html(const struct bundle_report *checked, struct str *out)
{
    const json_t *payload = json_object_get(checked->bundle, "payload");
    json_auto_t *story = ledger_story(json_at(payload, "ledger.lines"), json_at(payload, "import.document.steps"));
    head(payload, out);
    verdict(checked, payload, out);
    figures(payload, story, out);
    facts(payload, out);
    html(out, "<nav><a href=\"#changes\">What changed</a><a href=\"#roles\">What the roles can do</a><a "
              "href=\"#people\">Who did "
              "what</a><a href=\"#rehearsal\">Rehearsal and reality</a><a href=\"#log\">Every call</a><a "
              "href=\"#leave\">How to leave</a><a href=\"#proof\">Check it "
              "yourself</a></nav>\n");
    report_changes(checked, out);
    report_roles(payload, out);
    report_tasks(payload, out);
    report_rehearsal(payload, out);
    leave(payload, out);
    proof(checked, payload, out);
    report_log(payload, out);
    html(out, "<footer>Made by orgimport from the bundle of import ");
    html_text(out, json_str_at(payload, "import.id"));
    html(out, ". This page says nothing that the bundle does not say.</footer></main></body></html>\n");
}
