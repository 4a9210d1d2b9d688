/* change_plan: everything that this import would do, from live reads, before anything is changed or anybody is asked.
 * Process: FAQ "can you please share ...?". Reads only. What would stop the import later stops it here, where nothing
 * is half done. */
#include "worker/steps/plan_document.h"

/* Each foreseen stop is a finding of its own kind, owner and fix. */
static void find_stops(struct step *s, const json_t *plan)
{
    size_t i, k;
    const json_t *step, *finding;
    json_array_foreach (json_at(plan, "pinned.steps"), i, step) {
        const char *name = json_str_at(step, "step"), *ends = json_str_at(step, "ends");
        const json_t *stop = json_object_get(step, "stop"), *findings = json_object_get(stop, "findings");
        json_array_foreach (findings, k, finding)
            step_finding(s, err_code_by_name(json_str_at(finding, "code")), "%s: %s", name,
                         json_str_at(finding, "text"));
        if (stop && !json_array_size(findings))
            step_finding(s, err_code_by_name(json_str_at(stop, "code")), "%s: %s", name, json_str_at(stop, "text"));
        if (str_eq(ends, "unforeseen"))
            step_finding(s, ERR_PLAN_STOPS, "%s: nobody can tell what it would do", name);
    }
}

static enum step_result run(struct step *s)
{
    const json_t *plan = NULL;
    TRY(plan_make(s, &plan));
    step_set(s, "plan", json_incref((json_t *)(uintptr_t)plan));
    step_set_str(s, "hash", json_str_at(plan, "hash"));
    step_set(s, "no_changes", json_boolean(json_bool_at(plan, "no_changes")));
    find_stops(s, plan);
    size_t stops = step_finding_count(s);
    if (stops)
        return step_fail(s, ERR_PLAN_STOPS,
                         "the plan shows %zu thing%s that would stop the import; nothing was changed", stops,
                         stops == 1 ? "" : "s");
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_change_plan = {
    .name = "change_plan",
    .item = "FAQ",
    .run = run,
    .ops = OPS(PLAN_OPS),
    .uses = PLAN_USES,
    .version = 1,
    .only_looks = true,
};
