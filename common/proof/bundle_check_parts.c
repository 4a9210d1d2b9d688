/* What the parts of a bundle say about each other: every digest, chain, root, fingerprint, patch and grade is computed
 * again, so that even the right signer cannot sign a story that does not hold together. */
#include "common/proof/bundle_check_parts.h"

#include "common/proof/fingerprint.h"
#include "common/proof/ledger_chain.h"

#include <stddef.h>
#include <stdio.h>

#define LOOSE(p) ((json_t *)(uintptr_t)(p))

static bool is_equal(const json_t *a, const json_t *b)
{
    char one[65], other[65];
    if (!a || !b)
        return a == b;
    json_digest(a, one);
    json_digest(b, other);
    return str_eq(one, other);
}

/* ---- Ledger ---- */
static void check_ledger(const json_t *payload, struct bundle_report *r)
{
    const json_t *lines = json_at(payload, "ledger.lines");
    char root[65], digest[65];
    json_auto_t *heads = ledger_heads(lines, r->problems);
    ledger_root(heads, root);
    r->lines = json_array_size(lines);
    if (!is_equal(heads, json_at(payload, "ledger.heads")) || !str_eq(root, json_str_at(payload, "ledger.root")))
        bundle_problem(r->problems, "the ledger's heads or root do not follow from its lines");
    json_digest(json_at(payload, "import.document"), digest);
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach (LOOSE(lines), i, line) {
        const char *step = json_str_at(line, "step");
        if (*step && !bundle_step(payload, step))
            bundle_problem(r->problems, "the ledger tells of a step `%.40s` that the playbook does not have", step);
        if (*step && json_int_at(line, "n") == 1 && !str_eq(json_str_at(line, "import"), digest))
            bundle_problem(r->problems, "the chain of %.40s began in an import with another document", step);
    }
}

/* A root that was handed out must follow from the lines that there were then, and all of them must still be here. */
static void check_roots(const json_t *payload, struct bundle_report *r)
{
    const json_t *lines = json_at(payload, "ledger.lines");
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(payload, "roots_issued"), i, one) {
        char root[65] = "";
        json_auto_t *heads = ledger_heads_at(lines, json_object_get(one, "heads"));
        if (heads)
            ledger_root(heads, root);
        if (!str_eq(root, json_str_at(one, "root")))
            bundle_problem(r->problems, "a root that was handed out to %.60s does not follow from the ledger",
                           json_str_at(one, "to"));
    }
}

/* ---- Steps ---- */
static void check_facts(const json_t *payload, const json_t *step, const char *which, struct bundle_report *r)
{
    const char *name = json_str_at(step, "name");
    const json_t *outcome = bundle_outcome(payload, name, str_eq(which, "undo"));
    bool is_done = str_eq(json_str_at(outcome, "result.outcome"), "D");
    json_auto_t *facts = bundle_facts(payload, step, which);
    char digest[65] = "";
    if (is_done != (facts != NULL) || (!facts && !json_is_null(json_object_get(step, which)))) {
        bundle_problem(r->problems, "%s: its %s and its ledger disagree about whether it ended", name, which);
        return;
    }
    if (!facts)
        return;
    json_digest(facts, digest);
    if (!str_eq(digest, json_str_at(outcome, "result.result")))
        bundle_problem(r->problems, "%s: its %s is not what the ledger recorded", name, which);
    if (!str_eq(json_str_at(facts, "grade"), json_str_at(outcome, "result.grade")))
        bundle_problem(r->problems, "%s: its grade is not what the ledger recorded", name);
}

static const json_t *told_of(const json_t *payload, const char *name)
{
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach (json_at(payload, "playbook.steps") ? LOOSE(json_at(payload, "playbook.steps")) : NULL, i, step)
        if (str_eq(json_str_at(step, "id"), name))
            return step;
    return NULL;
}

static void check_step(const json_t *payload, const json_t *step, struct bundle_report *r)
{
    static const char *const same[] = {"item", "kind", "title", "party"};
    const char *name = json_str_at(step, "name"), *state = json_str_at(step, "state");
    const json_t *told = told_of(payload, name);
    if (!told)
        bundle_problem(r->problems, "%s is no step of the playbook", name);
    for (size_t i = 0; told && i < ARRAY_LEN(same); i++)
        if (!str_eq(json_str_at(step, same[i]), json_str_at(told, same[i])))
            bundle_problem(r->problems, "%s: its %s is not the playbook's", name, same[i]);
    check_facts(payload, step, "result", r);
    check_facts(payload, step, "undo", r);
    bool has_facts = json_is_object(json_object_get(step, "result")) || json_is_object(json_object_get(step, "undo"));
    if (str_eq(state, "DONE") && !has_facts)
        bundle_problem(r->problems, "%s is said to be done, and the ledger does not say so", name);
    if (str_in_list("SKIPPED,PENDING", state) && json_is_object(json_object_get(step, "result")) &&
        !str_in_list("undoing,undone", json_str_at(payload, "import.state")))
        bundle_problem(r->problems, "%s is said not to have run, and the ledger has its end", name);
}

/* Where in the ledger a step began, or ended for the first time; -1 never. */
static ptrdiff_t place_of(const json_t *payload, const char *name, bool is_end)
{
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach (LOOSE(json_at(payload, "ledger.lines")), i, line)
        if (str_eq(json_str_at(line, "step"), name) && !json_bool_at(line, "undo") &&
            (!is_end || str_eq(json_str_at(line, "result.outcome"), "D")))
            return (ptrdiff_t)i;
    return -1;
}

/* No step began before what it needs had ended. */
static void check_order(const json_t *payload, const json_t *step, struct bundle_report *r)
{
    const char *name = json_str_at(step, "name");
    const json_t *needs = json_object_get(told_of(payload, name), "needs");
    ptrdiff_t began = place_of(payload, name, false);
    size_t i = 0;
    json_t *need = NULL;
    json_array_foreach (LOOSE(needs), i, need) {
        const json_t *other = bundle_step(payload, json_string_value(need));
        ptrdiff_t ended = place_of(payload, json_string_value(need), true);
        if (began >= 0 && ended > began)
            bundle_problem(r->problems, "%s began before %s had ended", name, json_string_value(need));
        if (began >= 0 && ended < 0 && str_eq(json_str_at(other, "state"), "DONE"))
            bundle_problem(r->problems, "%s began, and %s never ended", name, json_string_value(need));
    }
}

static void check_steps(const json_t *payload, struct bundle_report *r)
{
    const json_t *steps = json_object_get(payload, "steps"), *names = json_at(payload, "import.document.steps");
    char pinned[200];
    (void)snprintf(pinned, sizeof pinned, "%s@%lld", json_str_at(payload, "playbook.name"),
                   (long long)json_int_at(payload, "playbook.version"));
    if (!str_eq(json_str_at(payload, "import.document.playbook"), pinned))
        bundle_problem(r->problems, "the playbook is %.60s, the document names another", pinned);
    if (!str_eq(json_str_at(payload, "import.document.id"), json_str_at(payload, "import.id")))
        bundle_problem(r->problems, "the document is of another import");
    if (json_int_at(payload, "import.document.created_ms") > json_int_at(payload, "import.created_ms") + 60000)
        bundle_problem(r->problems, "the import began before its document was made");
    if (json_array_size(steps) != json_array_size(json_at(payload, "playbook.steps")))
        bundle_problem(r->problems, "there are %zu steps, the playbook has another number", json_array_size(steps));
    if (json_array_size(steps) != json_array_size(names))
        bundle_problem(r->problems, "there are %zu steps, the document has %zu", json_array_size(steps),
                       json_array_size(names));
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach (LOOSE(steps), i, step) {
        const json_t *told = json_array_get(json_at(payload, "playbook.steps"), i);
        if (!str_eq(json_str_at(step, "name"), json_str_at(told, "id")))
            bundle_problem(r->problems, "step %zu is not the playbook's", i);
        if (!str_eq(json_str_at(step, "name"), json_string_value(json_array_get(names, i))))
            bundle_problem(r->problems, "step %zu is not the document's", i);
        check_step(payload, step, r);
        check_order(payload, step, r);
    }
}

/* A person's answer stands twice: in the decision chain by who gave it, and in the step's own chain when it was heard.
 */
static void check_answers(const json_t *payload, struct bundle_report *r)
{
    const json_t *lines = json_at(payload, "ledger.lines");
    json_auto_t *said = json_object();
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach (LOOSE(lines), i, line)
        if (!*json_str_at(line, "step") && *json_str_at(line, "args"))
            json_put(said, json_str_at(line, "args"), json_true());
    json_array_foreach (LOOSE(lines), i, line) {
        const json_t *body = json_object_get(line, "result");
        bool is_heard = *json_str_at(line, "step") && str_eq(json_str_at(line, "kind"), "signal") &&
                        !str_eq(json_str_at(line, "key"), "recheck") && !json_has(body, "code");
        char digest[65];
        if (!is_heard)
            continue;
        json_digest(body, digest);
        if (!json_object_get(said, digest))
            bundle_problem(r->problems, "%s heard an answer that is not among the decisions",
                           json_str_at(line, "step"));
    }
}

/* ---- Fingerprints and verdict ---- */
static void check_print(const json_t *payload, const char *which, const char *step, struct bundle_report *r)
{
    const json_t *print = json_object_get(json_object_get(payload, "fingerprints"), which);
    const char *recorded = json_str_at(json_object_get(bundle_step(payload, step), "result"), "root");
    if (!json_is_object(print)) {
        if (*recorded)
            bundle_problem(r->problems, "the fingerprint %s is missing", which);
        return;
    }
    if (!json_is_object(json_object_get(print, "sections"))) {
        bundle_problem(r->problems, "the fingerprint %s has no sections", which);
        return;
    }
    json_auto_t *again = json_make("{s:O}", "sections", json_object_get(print, "sections"));
    fingerprint_seal(again);
    if (!is_equal(json_object_get(again, "digests"), json_object_get(print, "digests")) ||
        !is_equal(json_object_get(again, "root"), json_object_get(print, "root")))
        bundle_problem(r->problems, "the fingerprint %s does not have the digests that it says", which);
    if (!str_eq(json_str_at(print, "root"), recorded))
        bundle_problem(r->problems, "the fingerprint %s is not the one that the step recorded", which);
}

static bool is_same_difference(const json_t *a, const json_t *b)
{
    static const char *const parts[] = {"section", "key", "kind", "from", "to"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!is_equal(json_object_get(a, parts[i]), json_object_get(b, parts[i])))
            return false;
    return true;
}

static bool is_listed(const json_t *proof, const char *list, const json_t *difference)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(proof, list), i, one)
        if (is_same_difference(one, difference) || is_same_difference(json_object_get(one, "difference"), difference))
            return true;
    return false;
}

static size_t count_of(const json_t *proof, const char *list)
{
    return json_array_size(json_object_get(proof, list));
}

/* before + patches against after: each difference must stand in the proof, under a heading that fits the verdict. */
static void check_differences(const json_t *payload, const json_t *proof, struct bundle_report *r)
{
    const json_t *before = json_at(payload, "fingerprints.before"), *after = json_at(payload, "fingerprints.after");
    json_auto_t *misfits = json_array();
    json_auto_t *expected = fingerprint_apply(before, json_object_get(payload, "patches"), misfits);
    json_auto_t *differences = fingerprint_diff(expected, after);
    const char *verdict = json_str_at(payload, "verdict.verdict");
    size_t i = 0, misfit_count = json_array_size(misfits);
    json_t *one = NULL;
    bool is_clean = str_eq(verdict, "PROVEN"), is_foreign = str_eq(verdict, "PROVEN+FOREIGN");
    if (!str_eq(json_str_at(expected, "root"), json_str_at(proof, "expected")) ||
        !str_eq(json_str_at(before, "root"), json_str_at(proof, "before")) ||
        !str_eq(json_str_at(after, "root"), json_str_at(proof, "after")))
        bundle_problem(r->problems, "the verdict is about other roots than these fingerprints and patches have");
    json_array_foreach (differences, i, one) {
        bool is_in = is_listed(proof, "foreign", one) ||
                     (!is_foreign && (is_listed(proof, "unexplained", one) || is_listed(proof, "disrupted", one) ||
                                      is_listed(proof, "accepted", one)));
        if (is_clean || !is_in)
            bundle_problem(r->problems, "the organization differs in %s %.60s, which the verdict does not name",
                           json_str_at(one, "section"), json_str_at(one, "key"));
    }
    if ((is_clean || is_foreign) && misfit_count + count_of(proof, "unexplained") + count_of(proof, "disrupted") +
                                            count_of(proof, "rogue") + count_of(proof, "accepted") >
                                        0)
        bundle_problem(r->problems, "the verdict %s does not follow from its own proof", verdict);
    if (is_clean && count_of(proof, "foreign"))
        bundle_problem(r->problems, "PROVEN, and somebody else's changes are listed");
    if (is_foreign && !count_of(proof, "foreign"))
        bundle_problem(r->problems, "PROVEN+FOREIGN, and no change of anybody else is listed");
    json_array_foreach (json_object_get(proof, "foreign"), i, one)
        if (!json_array_size(json_object_get(one, "events")))
            bundle_problem(r->problems, "a foreign change of %s has no event", json_str_at(one, "section"));
    r->foreign = count_of(proof, "foreign");
}

static void check_patches(const json_t *payload, struct bundle_report *r)
{
    size_t i = 0;
    json_t *patch = NULL;
    const json_t *patches = json_object_get(payload, "patches");
    r->changes = json_array_size(patches);
    json_array_foreach (LOOSE(patches), i, patch) {
        const char *step = json_str_at(patch, "step");
        bool is_expiry = !*step && str_eq(json_str_at(patch, "section"), "handshakes") &&
                         str_eq(json_str_at(patch, "op"), "remove"); /* an open invitation ended by its own date */
        if (!is_expiry && !json_is_object(json_object_get(bundle_step(payload, step), "result")))
            bundle_problem(r->problems, "a change is declared by `%.40s`, which did not do anything", step);
    }
}

static void check_verdict(const json_t *payload, struct bundle_report *r)
{
    const json_t *result = json_object_get(bundle_step(payload, "fingerprint_after"), "result"),
                 *proof = json_object_get(result, "proof");
    check_print(payload, "before", "fingerprint_before", r);
    check_print(payload, "after", "fingerprint_after", r);
    if (!json_is_object(result))
        return;
    if (!json_is_object(proof) || !json_is_object(json_at(payload, "fingerprints.before.sections")) ||
        !json_is_object(json_at(payload, "fingerprints.after.sections")) ||
        !json_is_array(json_object_get(payload, "patches"))) {
        bundle_problem(r->problems, "the verdict comes without its proof");
        return;
    }
    check_patches(payload, r);
    check_differences(payload, proof, r);
    const char *verdict = json_str_at(payload, "verdict.verdict");
    r->is_proven =
        str_in_list("PROVEN,PROVEN+FOREIGN", verdict) && str_eq(json_str_at(payload, "import.state"), "completed");
}

/* After the last look nothing was written but what retires the access. */
static void check_closing(const json_t *payload, struct bundle_report *r)
{
    bool is_after = false;
    size_t i = 0, closing = 0;
    json_t *line = NULL;
    json_array_foreach (LOOSE(json_at(payload, "ledger.lines")), i, line) {
        const char *step = json_str_at(line, "step"), *op = json_str_at(line, "op");
        bool is_write = str_eq(json_str_at(line, "kind"), "answer") && *op && !str_starts(op, "runtime:") &&
                        !json_has(line, "result.applied") && !json_bool_at(line, "undo");
        is_after = is_after || (str_eq(step, "fingerprint_after") && str_eq(json_str_at(line, "result.outcome"), "D"));
        if (!is_after || !is_write)
            continue;
        closing++;
        if (!str_eq(step, "credential_retire"))
            bundle_problem(r->problems, "%s was called by %s after the last look at the organization", op, step);
    }
    if (closing < json_array_size(json_object_get(payload, "closing_writes")))
        bundle_problem(r->problems, "closing writes are listed that the ledger does not have");
}

/* What is there for readers must be what follows from the rest. */
static void check_derived(const json_t *payload, struct bundle_report *r)
{
    static const char *const names[] = {"plan",    "human_steps",  "exposure", "closing_writes",
                                        "verdict", "roots_issued", "rehearsal"};
    json_auto_t *derived = bundle_derived(payload);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!is_equal(json_object_get(derived, names[i]), json_object_get(payload, names[i])))
            bundle_problem(r->problems, "%s does not follow from the steps and the ledger", names[i]);
    bool is_over = str_in_list("completed,cancelled,undone", json_str_at(payload, "import.state"));
    if (is_over != (json_int_at(payload, "import.ended_ms") > 0))
        bundle_problem(r->problems, "the import's end does not fit its state");
}

void bundle_check_parts(const json_t *payload, struct bundle_report *r)
{
    if (!json_is_array(json_at(payload, "ledger.lines")) || !json_is_array(json_object_get(payload, "steps"))) {
        bundle_problem(r->problems, "the ledger or the steps are missing");
        return;
    }
    check_ledger(payload, r);
    check_steps(payload, r);
    check_answers(payload, r);
    check_roots(payload, r);
    check_verdict(payload, r);
    check_closing(payload, r);
    check_derived(payload, r);
}
