#include "worker/steps/undo_report.h"

#include "worker/steps/undo_proof.h"
#include "worker/steps/undo_scope.h"

/* One line per step that was taken back, in the order of the process. New reference. */
static json_t *list_steps(const struct step *s)
{
    static const char *const kept[] = {"grade", "evidence", "attested", "warnings", "remains"};
    json_t *lines = json_array();
    for (size_t i = 0; step_defs[i]; i++) {
        const json_t *undone = step_undo_of(s, step_defs[i]->name);
        if (!undone || step_defs[i]->only_looks)
            continue;
        json_t *line = json_make("{s:s,s:s}", "step", step_defs[i]->name, "item", step_defs[i]->item);
        for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++)
            if (json_object_get(undone, kept[k]))
                json_put(line, kept[k], json_deep_copy(json_object_get(undone, kept[k])));
        (void)json_array_append_new(lines, line);
    }
    return lines;
}

static const char *headline(struct step *s, const char *verdict, size_t remains)
{
    const char *customer = json_str_or(step_import(s), "customer.name", step_var(s, "account_id"));
    if (undo_has_nothing(s))
        return step_text(s, "The import of %s ended before anything was changed.", customer);
    const char *as = str_starts(verdict, "PROVEN")
                         ? "as it was before, but for what is listed and what others changed"
                         : "different from before in ways that an operator looked at and accepted";
    return step_text(s, "The import of %s is undone. The organization is %s; %zu thing%s stay%s.", customer, as,
                     remains, remains == 1 ? "" : "s", remains == 1 ? "s" : "");
}

enum step_result undo_report(struct step *s)
{
    json_t *remains = step_keep(s, undo_remains(s));
    const json_t *proof = step_undo_of(s, "fingerprint_after"), *retired = step_undo_of(s, "credential_retire");
    const char *verdict = json_str_at(proof, "verdict");
    json_t *report = json_make("{s:s,s:s,s:s,s:s,s:s,s:o,s:O}", "import", json_str_at(step_import(s), "id"), "account",
                               step_var(s, "account_id"), "verdict", verdict, "before",
                               json_str_at(step_result_of(s, "fingerprint_before"), "root"), "after",
                               json_str_at(proof, "root"), "steps", list_steps(s), "remains", remains);
    json_put(report, "access_retired",
             json_make("{s:s,s:s}", "key", json_str_at(retired, "key"), "access_key_id",
                       json_str_at(retired, "access_key_id")));
    step_set_str(s, "summary", headline(s, verdict, json_array_size(remains)));
    step_set_str(s, "verdict", verdict);
    step_set(s, "remains", json_incref(remains));
    step_set(s, "report", report);
    return STEP_DONE;
}
