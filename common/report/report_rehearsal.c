/* What a rehearsal said beside what came. */
#include "common/report/report_private.h"

#include "common/codec/when.h"

#include <stdio.h>

#define NAMES_SHOWN_MAX 40

static void row(struct str *out, const char *what, const char *predicted, const char *real)
{
    html(out, "<tr><td>%s</td>", what);
    html_element(out, "td", "", predicted);
    html_element(out, "td", "", real);
    html(out, "</tr>");
}

static void row_n(struct str *out, const char *what, const json_t *predicted, const json_t *real)
{
    char texts[2][32] = {"not counted", "not counted"};
    const json_t *values[2] = {predicted, real};
    for (size_t i = 0; i < 2; i++)
        if (json_is_integer(values[i]))
            (void)snprintf(texts[i], sizeof texts[i], "%lld", (long long)json_integer_value(values[i]));
    row(out, what, texts[0], texts[1]);
}

static void span(const json_t *run, char ret[32])
{
    int64_t ms = json_int_at(run, "ms");
    when_span(ms > 0 ? (uint64_t)ms : 0, ret);
}

/* "completed, PROVEN"; of one that stopped: "failed at preflight: preflight.findings". New, mem_free(). */
static char *end_words(const json_t *run)
{
    const char *verdict = json_str_at(run, "end.verdict"), *step = json_str_at(run, "end.step");
    const char *code = json_str_at(run, "end.code");
    return mem_printf("%s%s%s%s%s%s%s", json_str_at(run, "end.state"), *verdict ? ", " : "", verdict,
                      *step ? " at " : "", step, *code ? ": " : "", code);
}

/* What `a` has more often than `b`; both sorted. New reference. */
static json_t *beyond(const json_t *a, const json_t *b)
{
    json_t *list = json_array();
    size_t k = 0;
    for (size_t i = 0; i < json_array_size(a); i++) {
        const char *name = json_string_value(json_array_get(a, i)), *other = NULL;
        while ((other = json_string_value(json_array_get(b, k))) && name && strcmp(other, name) < 0)
            k++;
        if (name && other && strcmp(other, name) == 0)
            k++;
        else
            (void)json_array_append(list, json_array_get(a, i));
    }
    return list;
}

static void names(struct str *out, const json_t *list, const char *title)
{
    size_t i = 0, count = json_array_size(list);
    json_t *one = NULL;
    if (!count)
        return;
    html(out, "<h3>%s</h3><ul>", title);
    json_array_foreach (LOOSE(list), i, one)
        if (i < NAMES_SHOWN_MAX)
            html_element(out, "li", "mono", json_string_value(one) ? json_string_value(one) : "");
    if (count > NAMES_SHOWN_MAX)
        html(out, "<li>and %zu more, in the bundle</li>", count - NAMES_SHOWN_MAX);
    html(out, "</ul>");
}

static void beside(const json_t *payload, const json_t *predicted, const json_t *real, struct str *out)
{
    const json_t *said = json_object_get(predicted, "writes"), *done = json_object_get(real, "writes");
    json_auto_t *missing = beyond(said, done), *extra = beyond(done, said);
    json_auto_t *said_n = json_integer((json_int_t)json_array_size(said)),
                *done_n = json_integer((json_int_t)json_array_size(done));
    AUTO_FREE char *said_end = end_words(predicted), *done_end = end_words(real);
    char times[2][32];
    int64_t made_ms = json_int_at(predicted, "made_ms"), ended_ms = json_int_at(payload, "import.ended_ms");
    span(predicted, times[0]);
    span(real, times[1]);
    html(out, "<p class=\"lead\">The whole import was played against a simulated copy of the organization on ");
    html_time(out, made_ms);
    html(out, " UTC. What it said, beside what came:</p>");
    if (ended_ms && made_ms > ended_ms)
        html(out, "<p><b>It was played after the import had ended, from what was recorded before it: it shows how true "
                  "the copy is, and foretold nothing.</b></p>");
    html(out, "<table class=\"beside\"><thead><tr><th></th><th>Rehearsal</th><th>Reality</th></tr></thead><tbody>");
    row_n(out, "Calls that read", json_object_get(predicted, "reads"), json_object_get(real, "reads"));
    row_n(out, "Calls that write", said_n, done_n);
    row_n(out, "Tries that failed", json_object_get(predicted, "failures"), json_object_get(real, "failures"));
    row(out,
        "Time <small class=\"soft\">(rehearsal: the machine alone, at 100 ms a call; reality: people, too)</small>",
        times[0], times[1]);
    row(out, "End", said_end, done_end);
    html(out, "</tbody></table>");
    if (!json_array_size(missing) && !json_array_size(extra))
        html(out, "<p>Every write that was foretold was made, and no other.</p>");
    names(out, missing, "Foretold, and not made");
    names(out, extra, "Made, and not foretold");
}

void report_rehearsal(const json_t *payload, struct str *out)
{
    const json_t *predicted = json_at(payload, "rehearsal.predicted"), *real = json_at(payload, "rehearsal.real");
    html(out, "<h2 id=\"rehearsal\">Rehearsal and reality</h2>");
    if (json_is_object(predicted) && json_is_object(real))
        beside(payload, predicted, real, out);
    else
        html(out, "<p class=\"lead\">No rehearsal was made of this import.</p>");
}
