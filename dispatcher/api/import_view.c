#include "dispatcher/api/import_view.h"

#include "common/base/mem.h"
#include "common/codec/when.h"
#include "dispatcher/planner/import_steps.h"
#include "dispatcher/planner/loose.h"

#include <stdio.h>

const char *import_step_name(const json_t *doc, size_t index)
{
    const char *name = json_string_value(json_array_get(json_at(doc, "steps"), index));
    return name ? name : "";
}

int import_step_index(const json_t *doc, const char *name)
{
    const json_t *steps = json_at(doc, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (str_eq(import_step_name(doc, i), name))
            return (int)i;
    return -1;
}

json_t *import_time_view(int64_t ms)
{
    char text[32];
    if (ms <= 0)
        return json_null();
    when_rfc3339((uint64_t)ms, text);
    return json_string(text);
}

json_t *import_task_view(const json_t *doc, const char *import_id, const char *step_name, const json_t *task,
                         int64_t opened_ms)
{
    if (!json_is_object(task))
        return NULL;
    json_t *out = json_deep_copy(task);
    json_put_str(out, "object", "task");
    json_put(out, "id", json_sprintf("tsk_%s.%s", import_id + 4, step_name));
    json_put_str(out, "import_id", import_id);
    json_put_str(out, "external_ref", json_str_at(doc, "external_ref"));
    json_put_str(out, "step", step_name);
    json_put_str(out, "state", "open");
    json_put(out, "opened_at", import_time_view(opened_ms));
    json_put(out, "due_at", import_time_view(json_int_at(task, "due_ms")));
    return out;
}

static const json_t *playbook_step_of(const struct api *api, const json_t *doc, const char *name)
{
    for (size_t i = 0; i < api->store->playbook_count; i++) {
        const struct playbook *p = api->store->playbooks[i];
        if (playbook_is(p, json_str_at(doc, "playbook")) && playbook_step(p, name) >= 0)
            return p->steps[playbook_step(p, name)];
    }
    return NULL;
}

static bool is_state(const json_t *step, const char *states)
{
    return str_in_list(states, json_str_at(step, "state"));
}

/* How much a step stands in the way of its import, 0: not at all. A step that looks again (ACTIVE for a moment) still
 * blocks while its task is open, or the answer would flicker. */
static int blocking_rank(const json_t *value, const json_t *step)
{
    const char *state = json_str_at(value, "state"), *party = json_str_at(value, "party");
    bool is_over = is_state(step, "DONE,SKIPPED,CANCELLED,PENDING");
    bool is_undoing = str_eq(state, "undoing");
    if ((is_undoing || str_eq(state, "failed")) && is_state(step, "FAILED,DEAD"))
        return 5;
    if ((is_undoing || str_eq(state, "held")) && json_bool_at(step, "is_held"))
        return 5;
    if (is_over || !str_in_list("waiting,held,failed,running,paused,undoing", state))
        return 0;
    if (json_is_object(json_at(step, "task")))
        return *party && str_eq(json_str_at(step, "party"), party) ? 4 : 3;
    if (is_state(step, "WAITING") && *json_str_at(step, "party"))
        return str_eq(json_str_at(step, "party"), party) ? 3 : 2;
    bool works = str_eq(state, "running") || (is_undoing && !*party);
    return !works && is_state(step, "WAITING,FAILED,DEAD,DELAYED") ? 1 : 0;
}

/* The step that people should look at first. */
static const json_t *blocking_step(const json_t *value)
{
    const json_t *steps = json_at(value, "steps"), *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        int rank = blocking_rank(value, json_array_get(steps, i));
        if (rank > best_rank) {
            best_rank = rank;
            best = json_array_get(steps, i);
        }
    }
    return best;
}

static json_t *blocking_of(const struct api *api, const json_t *value)
{
    const json_t *step = blocking_step(value);
    if (!step)
        return json_null();
    const char *name = json_str_at(step, "name");
    const char *title =
        json_str_or(step, "task.title", json_str_at(playbook_step_of(api, json_at(value, "doc"), name), "title"));
    const char *party = json_str_or(step, "task.party", json_str_at(step, "party"));
    if (is_state(step, "FAILED,DEAD"))
        party = json_str_or(step, "error.owner", "operator");
    if (json_bool_at(step, "is_held"))
        party = "operator";
    json_t *out = json_make("{s:s, s:s, s:s}", "party", *party ? party : json_str_at(value, "party"), "step", name,
                            "title", title);
    json_put(out, "since", import_time_view(json_int_at(value, "since_ms")));
    return out;
}

/* New reference; null when nothing is wrong. Whoever crashed could not say so: that is told here. */
static json_t *error_of(const json_t *step)
{
    const struct err_info *crashed = err_info(ERR_STEP_CRASHED);
    if (json_is_object(json_at(step, "error")))
        return json_deep_copy(json_at(step, "error"));
    if (!is_state(step, "DEAD"))
        return json_null();
    json_t *told = json_make("{s:s, s:s, s:s, s:s}", "code", crashed->name, "owner", err_owner_name(crashed->owner),
                             "retry", err_retry_name(crashed->retry), "fix", crashed->fix);
    json_put(told, "text",
             json_sprintf("%d workers in a row died while they held the step", (int)json_int_at(step, "crashes")));
    return told;
}

static json_t *step_view(const struct api *api, const json_t *value, const json_t *step)
{
    const char *name = json_str_at(step, "name"), *id = json_str_at(value, "id");
    const json_t *told = playbook_step_of(api, json_at(value, "doc"), name), *task = json_at(step, "task");
    json_t *out = json_make("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "name", name, "item", json_str_at(told, "item"),
                            "title", json_str_at(told, "title"), "kind", json_str_at(told, "kind"), "state",
                            json_str_at(step, "state"), "attempts", (json_int_t)json_int_at(step, "attempts"),
                            "crashes", (json_int_t)json_int_at(step, "crashes"), "party",
                            json_str_or(step, "task.party", json_str_at(step, "party")));
    json_put(out, "due_at",
             import_time_view(json_has(task, "due_ms") ? json_int_at(task, "due_ms") : json_int_at(step, "due_ms")));
    json_put_bool(out, "is_held", json_bool_at(step, "is_held"));
    json_put_str(out, "grade", *json_str_at(step, "result.grade") ? json_str_at(step, "result.grade") : NULL);
    json_put(out, "result",
             json_is_object(json_at(step, "result")) ? json_deep_copy(json_at(step, "result")) : json_null());
    if (json_is_object(json_at(step, "undo")))
        json_put(out, "undo", json_deep_copy(json_at(step, "undo")));
    json_put(out, "error", error_of(step));
    json_put(out, "task_id", json_is_object(task) ? json_sprintf("tsk_%s.%s", id + 4, name) : json_null());
    return out;
}

static json_t *progress_of(const json_t *value)
{
    const json_t *steps = json_at(value, "steps");
    json_int_t done = 0, total = 0;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        total += !is_state(step, "SKIPPED");
        done += is_state(step, "DONE");
    }
    return json_make("{s:I, s:I}", "done", done, "total", total);
}

/* Root without a second factor: from the handover in classic mode until ours is on. In overlap mode it never opens. */
static json_t *exposure_of(const json_t *value)
{
    int64_t opened = json_int_at(import_step(value, "root_mfa_handover"), "result.exposure_opened_ms");
    int64_t closed = json_int_at(import_step(value, "root_mfa"), "result.exposure_closed_ms");
    json_t *out = json_object();
    json_put_bool(out, "open", opened > 0 && closed <= 0);
    json_put(out, "opened_at", import_time_view(opened));
    json_put(out, "closed_at", import_time_view(closed));
    return out;
}

/* What an undo has come to so far: its own verdict, and what stays with owner and command. */
static void put_undo(const json_t *value, json_t *out)
{
    const json_t *steps = json_at(value, "steps");
    json_t *remains = json_array();
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (!str_eq(json_str_at(json_array_get(steps, i), "name"), "handover_report")) /* which repeats them all */
            (void)json_array_extend(remains, loose(json_at(json_array_get(steps, i), "undo.remains")));
    const char *verdict = json_str_at(import_step(value, "fingerprint_after"), "undo.verdict");
    json_t *undo = json_make("{s:o}", "remains", remains);
    json_put_str(undo, "verdict", *verdict ? verdict : NULL);
    json_put(out, "undo", undo);
}

static void put_outcome(const json_t *value, json_t *out)
{
    const json_t *steps = json_at(value, "steps");
    json_t *warnings = json_array(), *error = json_null();
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i), *list = json_at(step, "result.warnings");
        if (json_is_null(error) && is_state(step, "FAILED,DEAD,WAITING,DELAYED")) {
            error = error_of(step);
            if (json_is_object(error))
                json_put_str(error, "step", json_str_at(step, "name"));
        }
        for (size_t k = 0; k < json_array_size(list); k++)
            (void)json_array_append_new(
                warnings, json_make("{s:s, s:O}", "step", json_str_at(step, "name"), "text", json_array_get(list, k)));
    }
    json_put(out, "error", error);
    json_put(out, "warnings", warnings);
    const char *verdict = json_str_at(import_step(value, "fingerprint_after"), "result.verdict");
    json_put_str(out, "verdict", *verdict ? verdict : NULL);
    json_put(out, "exposure", exposure_of(value));
    if (str_in_list("undoing,undone", json_str_at(value, "state")))
        put_undo(value, out);
}

json_t *import_view(const struct api *api, const json_t *value, bool with_steps)
{
    const json_t *doc = json_at(value, "doc"), *steps = json_at(value, "steps");
    json_t *out =
        json_make("{s:s, s:s, s:s, s:b, s:s, s:s}", "object", "import", "id", json_str_at(value, "id"), "external_ref",
                  json_str_at(doc, "external_ref"), "livemode", (int)json_bool_at(doc, "livemode"), "state",
                  json_str_at(value, "state"), "playbook", json_str_at(doc, "playbook"));
    static const char *const copied[] = {"group",  "priority", "customer", "organization",
                                         "labels", "contacts", "profile",  "mfa_mode"};
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        if (json_has(doc, copied[i]))
            json_put(out, copied[i], json_deep_copy(json_at(doc, copied[i])));
    json_put_str(out, "access_method", json_str_at(doc, "access.method"));
    json_put(out, "names",
             json_make("{s:s, s:s, s:s, s:s}", "id", json_str_at(doc, "vars.id"), "root_email",
                       json_str_at(doc, "vars.root_email"), "bucket", json_str_at(doc, "vars.bucket"), "report",
                       json_str_at(doc, "vars.report")));
    json_put(out, "blocking", blocking_of(api, value));
    int64_t created = json_int_at(value, "created_ms");
    json_put(out, "created_at", import_time_view(created ? created : json_int_at(doc, "created_ms")));
    json_put(out, "since", import_time_view(json_int_at(value, "since_ms")));
    json_put(out, "progress", progress_of(value));
    json_put_int(out, "version", json_int_at(value, "version"));
    put_outcome(value, out);
    if (!with_steps)
        return out;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(steps); i++)
        (void)json_array_append_new(list, step_view(api, value, json_array_get(steps, i)));
    json_put(out, "steps", list);
    return out;
}
