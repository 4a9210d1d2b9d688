/* What a run did, from its ledger and its steps, and how a rehearsal compares with the real run. */
#include "dispatcher/planner/rehearsal.h"

#include "common/base/mem.h"
#include "common/proof/run_figures.h"
#include "dispatcher/planner/import_steps.h"
#include "dispatcher/planner/loose.h"

#define CALL_MS 100 /* what a call to AWS takes, for the estimate */

/* ---- One run ---- */

static bool is_stuck(const json_t *step)
{
    return str_in_list("FAILED,DEAD", json_str_at(step, "state")) || json_bool_at(step, "is_held");
}

static json_t *end_of(const json_t *value)
{
    const char *step_name = "", *code = "", *verdict = "";
    json_t *findings = json_array(), *step = NULL, *one = NULL;
    size_t i, k;
    json_array_foreach (loose(json_at(value, "steps")), i, step) {
        if (str_eq(json_str_at(step, "name"), "fingerprint_after"))
            verdict = json_str_at(step, "result.verdict");
        if (*step_name || !is_stuck(step))
            continue;
        step_name = json_str_at(step, "name");
        code = json_str_at(step, "error.code");
        json_array_foreach (loose(json_at(step, "error.findings")), k, one)
            (void)json_array_append_new(findings, json_string(json_str_at(one, "code")));
    }
    json_sort_by(findings, NULL);
    return json_make("{s:s,s:s,s:s,s:o,s:s}", "state", json_str_at(value, "state"), "step", step_name, "code", code,
                     "findings", findings, "verdict", verdict);
}

static json_t *write_of(const json_t *line)
{
    const char *key = json_str_at(line, "key");
    return json_make("{s:s,s:s,s:o,s:s}", "step", json_str_at(line, "step"), "op", json_str_at(line, "op"), "key",
                     json_stringn(key, run_key_len(key)), "args", json_str_at(line, "args"));
}

static void count_call(json_t *calls, json_t *by_step, const char *step, const char *op, int64_t n, bool is_read)
{
    json_t *by_op = json_object_get(calls, "by_op");
    const char *kind = is_read ? "reads" : "writes";
    if (str_starts(op, "runtime:") || n <= 0)
        return;
    json_put_int(calls, kind, json_int_at(calls, kind) + n);
    json_put_int(by_op, op, json_integer_value(json_object_get(by_op, op)) + n);
    json_put_int(by_step, step, json_integer_value(json_object_get(by_step, step)) + n);
}

struct walk {
    json_t *writes, *calls, *by_step, *tasks;
    int64_t first_ms, last_ms;
};

static void walk_line(struct walk *w, const json_t *line)
{
    const char *step = json_str_at(line, "step"), *kind = json_str_at(line, "kind");
    int64_t at = json_int_at(line, "at_ms");
    json_t *one = NULL;
    size_t i;
    w->first_ms = !w->first_ms || at < w->first_ms ? at : w->first_ms;
    w->last_ms = at > w->last_ms ? at : w->last_ms;
    if (run_line_is_write(line)) {
        (void)json_array_append_new(w->writes, write_of(line));
        count_call(w->calls, w->by_step, step, json_str_at(line, "op"), 1, false);
    }
    if (str_eq(kind, "reads"))
        json_array_foreach (loose(json_at(line, "result")), i, one)
            count_call(w->calls, w->by_step, step, json_str_at(one, "op"), json_int_at(one, "count"), true);
    if (str_eq(kind, "task") && !json_array_has_str(w->tasks, step))
        (void)json_array_append_new(w->tasks, json_string(step));
}

/* Steps side by side, calls of a step one after the other: what the machine needs at least, people not counted. */
static int64_t critical_path_ms(const struct playbook *p, const json_t *by_step)
{
    int64_t ends[RECORD_STEPS_MAX] = {0}, longest = 0;
    for (size_t round = 0; p && round < p->dag.step_count; round++) /* needs may come later in the list */
        for (size_t i = 0; i < p->dag.step_count; i++) {
            int64_t begin = 0;
            for (size_t k = 0; k < p->dag.steps[i].needs_count; k++)
                if (ends[p->dag.steps[i].needs[k]] > begin)
                    begin = ends[p->dag.steps[i].needs[k]];
            ends[i] = begin + CALL_MS * json_integer_value(json_object_get(by_step, json_str_at(p->steps[i], "id")));
            longest = ends[i] > longest ? ends[i] : longest;
        }
    return longest;
}

json_t *rehearsal_summary(const json_t *value, const json_t *lines, const struct playbook *playbook)
{
    const json_t *before = import_result(value, "fingerprint_before"),
                 *digests = json_at(before, "fingerprint.digests");
    struct walk w = {.writes = json_array(),
                     .calls = json_make("{s:i,s:i,s:{}}", "reads", 0, "writes", 0, "by_op"),
                     .by_step = json_object(),
                     .tasks = json_array()};
    size_t i;
    json_t *line = NULL;
    json_array_foreach (loose(lines), i, line)
        walk_line(&w, line);
    json_sort_by(w.tasks, NULL);
    json_t *out = json_make("{s:o,s:o,s:o,s:o,s:s,s:o,s:I,s:I}", "end", end_of(value), "writes", w.writes, "calls",
                            w.calls, "tasks", w.tasks, "root", json_str_at(before, "root"), "digests",
                            json_is_object(digests) ? json_deep_copy(digests) : json_object(), "critical_path_ms",
                            (json_int_t)critical_path_ms(playbook, w.by_step), "elapsed_ms",
                            (json_int_t)(w.last_ms - w.first_ms));
    json_put(out, "calls_by_step", w.by_step);
    json_auto_t *figures = run_figures(lines);
    json_put_int(out, "failures", json_int_at(figures, "failures"));
    return out;
}

/* ---- Two runs ---- */

static char *name_of(const json_t *write)
{
    return mem_printf("%s %s %s", json_str_at(write, "step"), json_str_at(write, "op"), json_str_at(write, "key"));
}

json_t *rehearsal_for_bundle(const json_t *predicted)
{
    json_t *writes = json_array(), *write = NULL;
    size_t i;
    json_array_foreach (loose(json_at(predicted, "writes")), i, write) {
        AUTO_FREE char *name = name_of(write);
        (void)json_array_append_new(writes, json_string(name));
    }
    json_sort_by(writes, NULL);
    return json_make("{s:{s:I,s:o,s:I,s:o,s:o,s:I}}", "predicted", "made_ms",
                     (json_int_t)json_int_at(predicted, "made_at"), "end", json_copy_or_null(json_at(predicted, "end")),
                     "reads", (json_int_t)json_int_at(predicted, "calls.reads"), "writes", writes, "failures",
                     json_copy_or_null(json_at(predicted, "failures")), "ms",
                     (json_int_t)json_int_at(predicted, "critical_path_ms"));
}

/* {name: how often}, and the digests of arguments by name. */
static json_t *tally(const json_t *writes)
{
    json_t *out = json_object(), *write = NULL;
    size_t i;
    json_array_foreach (loose(writes), i, write) {
        AUTO_FREE char *name = name_of(write);
        json_t *args = json_object_get(out, name);
        if (!args) {
            args = json_array();
            json_put(out, name, args);
        }
        (void)json_array_append_new(args, json_string(json_str_at(write, "args")));
    }
    return out;
}

/* What `a` has more often than `b`. */
static json_t *beyond(const json_t *a, const json_t *b)
{
    json_t *list = json_array(), *args = NULL;
    const char *name = NULL;
    json_object_foreach (loose(a), name, args) {
        size_t had = json_array_size(json_object_get(b, name));
        for (size_t i = had; i < json_array_size(args); i++)
            (void)json_array_append_new(list, json_string(name));
    }
    json_sort_by(list, NULL);
    return list;
}

static json_t *compare_writes(const json_t *predicted, const json_t *real)
{
    json_auto_t *a = tally(json_at(predicted, "writes")), *b = tally(json_at(real, "writes"));
    json_t *missing = beyond(a, b), *extra = beyond(b, a), *args = NULL;
    const char *name = NULL;
    size_t count = json_array_size(json_at(predicted, "writes")), same_arguments = 0, i;
    json_t *one = NULL;
    json_object_foreach (a, name, args)
        json_array_foreach (args, i, one)
            same_arguments += json_array_has_str(json_object_get(b, name), json_string_value(one));
    return json_make("{s:I,s:I,s:I,s:I,s:o,s:o}", "predicted", (json_int_t)count, "real",
                     (json_int_t)json_array_size(json_at(real, "writes")), "same",
                     (json_int_t)(count - json_array_size(missing)), "same_arguments", (json_int_t)same_arguments,
                     "missing", missing, "extra", extra);
}

json_t *rehearsal_compare(const json_t *predicted, const json_t *real)
{
    json_t *writes = compare_writes(predicted, real);
    bool is_end_same = json_equal(json_at(predicted, "end"), json_at(real, "end"));
    bool is_same =
        is_end_same && !json_array_size(json_at(writes, "missing")) && !json_array_size(json_at(writes, "extra"));
    return json_make("{s:b,s:{s:b,s:O,s:O},s:o,s:{s:I,s:I,s:I,s:I}}", "is_same", (int)is_same, "end", "is_same",
                     (int)is_end_same, "predicted", json_at(predicted, "end"), "real", json_at(real, "end"), "writes",
                     writes, "calls", "predicted_reads", (json_int_t)json_int_at(predicted, "calls.reads"),
                     "real_reads", (json_int_t)json_int_at(real, "calls.reads"), "predicted_ms",
                     (json_int_t)json_int_at(predicted, "critical_path_ms"), "real_ms",
                     (json_int_t)json_int_at(real, "elapsed_ms"));
}
