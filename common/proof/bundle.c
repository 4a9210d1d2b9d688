/* Making a bundle out of what Redis has, and what follows from its parts; see bundle.h. */
#include "common/proof/bundle.h"

#include "common/proof/ledger_chain.h"
#include "common/proof/run_figures.h"

#define LOOSE(p) ((json_t *)(uintptr_t)(p))

/* What moves out of which step's result, and where to. */
static const struct {
    const char *step, *member, *place;
} moved[] = {
    {"fingerprint_before", "fingerprint", "fingerprints.before"},
    {"fingerprint_after", "fingerprint", "fingerprints.after"},
    {"fingerprint_after", "patches", "patches"},
};

/* ---- Looking things up ---- */
const json_t *bundle_step(const json_t *payload, const char *name)
{
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach (json_object_get(payload, "steps"), i, step)
        if (str_eq(json_str_at(step, "name"), name))
            return step;
    return NULL;
}

const json_t *bundle_outcome(const json_t *payload, const char *step, bool is_undo)
{
    const json_t *lines = json_at(payload, "ledger.lines");
    for (size_t i = json_array_size(lines); i > 0; i--) {
        const json_t *line = json_array_get(lines, i - 1);
        if (str_eq(json_str_at(line, "kind"), "outcome") && str_eq(json_str_at(line, "step"), step) &&
            json_bool_at(line, "undo") == is_undo)
            return line;
    }
    return NULL;
}

json_t *bundle_facts(const json_t *payload, const json_t *step, const char *which)
{
    const json_t *facts = json_object_get(step, which);
    if (!json_is_object(facts))
        return NULL;
    json_t *whole = json_copy(LOOSE(facts));
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        const json_t *stub = json_object_get(facts, moved[i].member), *place = json_at(payload, moved[i].place);
        if (str_eq(moved[i].step, json_str_at(step, "name")) && str_eq(which, "result") && place &&
            json_object_size(stub) == 1 && str_eq(json_str_at(stub, "$in"), moved[i].place))
            json_put(whole, moved[i].member, json_incref(LOOSE(place)));
    }
    return whole;
}

/* ---- What follows ---- */
static const json_t *fact(const json_t *payload, const char *step, const char *path)
{
    return json_at(json_object_get(bundle_step(payload, step), "result"), path);
}

static bool is_done(const json_t *payload, const json_t *step)
{
    return str_eq(json_str_at(bundle_outcome(payload, json_str_at(step, "name"), false), "result.outcome"), "D");
}

static json_t *plan_of(const json_t *payload)
{
    const json_t *hash = fact(payload, "plan_approval", "hash");
    if (!hash)
        hash = fact(payload, "change_plan", "hash");
    if (!hash)
        return json_null();
    return json_make("{s:O,s:o}", "hash", hash, "approvals",
                     json_copy_or_null(fact(payload, "plan_approval", "approvals")));
}

/* What people said to a task: lines of the decision chain with that target. New reference. */
static json_t *answers_to(const json_t *payload, size_t index)
{
    static const char *const kept[] = {"at_ms", "what", "by", "reason", "note", "second_person"};
    json_t *answers = json_array(), *line = NULL;
    size_t i = 0;
    json_array_foreach (LOOSE(json_at(payload, "ledger.lines")), i, line) {
        const json_t *target = json_object_get(line, "target");
        if (*json_str_at(line, "step") || !str_eq(json_str_at(line, "kind"), "signal") || !json_is_integer(target) ||
            json_integer_value(target) != (json_int_t)index)
            continue;
        json_t *one = json_object();
        for (size_t k = 0; k < ARRAY_LEN(kept); k++)
            if (json_object_get(line, kept[k]))
                json_put(one, kept[k], json_deep_copy(json_object_get(line, kept[k])));
        (void)json_array_append_new(answers, one);
    }
    return answers;
}

static json_t *human_steps_of(const json_t *payload)
{
    json_t *all = json_array(), *step = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(payload, "steps"), i, step) {
        if (!str_eq(json_str_at(step, "kind"), "human") || !is_done(payload, step))
            continue;
        const json_t *result = json_object_get(step, "result");
        (void)json_array_append_new(all, json_make("{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "step", json_str_at(step, "name"),
                                                   "item", json_str_at(step, "item"), "party",
                                                   json_str_at(step, "party"), "grade", json_str_at(result, "grade"),
                                                   "event", json_copy_or_null(json_object_get(result, "evidence")),
                                                   "attested", json_copy_or_null(json_object_get(result, "attested")),
                                                   "answers", answers_to(payload, i)));
    }
    return all;
}

static json_t *exposure_of(const json_t *payload)
{
    const json_t *opened = fact(payload, "root_mfa_handover", "exposure_opened_ms"),
                 *closed = fact(payload, "root_mfa", "exposure_closed_ms");
    if (!json_is_integer(opened) || json_integer_value(opened) == 0)
        return json_null();
    json_int_t ms = json_is_integer(closed) ? json_integer_value(closed) - json_integer_value(opened) : 0;
    return json_make("{s:O,s:o,s:I}", "opened_ms", opened, "closed_ms", json_copy_or_null(closed), "ms",
                     ms > 0 ? ms : 0);
}

static json_t *verdict_summary(const json_t *payload)
{
    static const char *const kept[] = {"verdict", "accepted"}, *const roots[] = {"before", "after", "expected"};
    const json_t *result = json_object_get(bundle_step(payload, "fingerprint_after"), "result");
    if (!json_has(result, "verdict"))
        return json_null();
    json_t *out = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        json_put(out, kept[i], json_copy_or_null(json_object_get(result, kept[i])));
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        json_put(out, roots[i], json_copy_or_null(json_at(json_object_get(result, "proof"), roots[i])));
    return out;
}

static json_t *roots_of(const json_t *lines)
{
    static const char *const kept[] = {"root", "at_ms", "to", "by", "heads"};
    json_t *roots = json_array(), *line = NULL;
    size_t i = 0;
    json_array_foreach (LOOSE(lines), i, line) {
        if (!str_eq(json_str_at(line, "kind"), "root") || *json_str_at(line, "step"))
            continue;
        json_t *one = json_object();
        for (size_t k = 0; k < ARRAY_LEN(kept); k++)
            json_put(one, kept[k], json_copy_or_null(json_object_get(line, kept[k])));
        (void)json_array_append_new(roots, one);
    }
    return roots;
}

/* The prediction as it stands, beside what the ledger says of the same things. */
static json_t *rehearsal_of(const json_t *payload)
{
    const json_t *predicted = json_at(payload, "rehearsal.predicted");
    if (!json_is_object(predicted))
        return json_null();
    json_t *real = run_figures(json_at(payload, "ledger.lines"));
    json_put(real, "end",
             json_make("{s:s,s:s}", "state", json_str_at(payload, "import.state"), "verdict",
                       json_str_at(bundle_step(payload, "fingerprint_after"), "result.verdict")));
    return json_make("{s:O,s:o}", "predicted", predicted, "real", real);
}

json_t *bundle_derived(const json_t *payload)
{
    const json_t *lines = json_at(payload, "ledger.lines");
    char root[65];
    json_t *heads = ledger_heads(lines, NULL);
    ledger_root(heads, root);
    return json_make("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "plan", plan_of(payload), "human_steps",
                     human_steps_of(payload), "exposure", exposure_of(payload), "closing_writes",
                     json_copy_or_null(fact(payload, "credential_retire", "closing")), "verdict",
                     verdict_summary(payload), "roots_issued", roots_of(lines), "rehearsal", rehearsal_of(payload),
                     "heads", heads, "root", root);
}

/* ---- Making it ---- */
static const json_t *playbook_step(const json_t *playbook, const char *name)
{
    size_t i = 0;
    json_t *step = NULL;
    json_array_foreach (json_object_get(playbook, "steps"), i, step)
        if (str_eq(json_str_at(step, "id"), name))
            return step;
    return NULL;
}

/* Facts only where the ledger has their digest: what a step that goes on has shown so far is nobody's proof. */
static void put_facts(const json_t *payload, json_t *out, const json_t *step, const char *which)
{
    const json_t *facts = json_object_get(step, which);
    bool is_undo = str_eq(which, "undo");
    const json_t *outcome = bundle_outcome(payload, json_str_at(step, "name"), is_undo);
    bool is_bound = json_is_object(facts) && str_eq(json_str_at(outcome, "result.outcome"), "D");
    json_put(out, which, is_bound ? json_copy(LOOSE(facts)) : json_null());
}

static json_t *step_entry(const json_t *payload, const json_t *step, const json_t *playbook)
{
    const json_t *told = playbook_step(playbook, json_str_at(step, "name"));
    json_t *out =
        json_make("{s:s,s:s,s:s,s:s,s:s,s:s}", "name", json_str_at(step, "name"), "item", json_str_at(told, "item"),
                  "kind", json_str_at(told, "kind"), "title", json_str_at(told, "title"), "party",
                  json_str_at(told, "party"), "state", json_str_at(step, "state"));
    put_facts(payload, out, step, "result");
    put_facts(payload, out, step, "undo");
    return out;
}

static void move_up(json_t *payload)
{
    json_t *prints = json_make("{s:n,s:n}", "before", "after");
    json_put(payload, "fingerprints", prints);
    json_put(payload, "patches", json_null());
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        json_t *result = json_object_get(bundle_step(payload, moved[i].step), "result");
        json_t *value = json_object_get(result, moved[i].member);
        const char *dot = strchr(moved[i].place, '.');
        if (!value)
            continue;
        json_put(dot ? prints : payload, dot ? dot + 1 : moved[i].place, json_incref(value));
        json_put(result, moved[i].member, json_make("{s:s}", "$in", moved[i].place));
    }
}

static bool is_over(const char *state)
{
    return str_in_list("completed,cancelled,undone", state);
}

json_t *bundle_payload(const struct bundle_parts *parts)
{
    const json_t *import = parts->import;
    const char *state = json_str_at(import, "state");
    json_t *payload = json_make("{s:{s:s,s:s,s:I,s:I,s:o},s:o,s:{s:o}}", "import", "id", json_str_at(import, "id"),
                                "state", state, "created_ms", (json_int_t)json_int_at(import, "created_ms"), "ended_ms",
                                (json_int_t)(is_over(state) ? json_int_at(import, "since_ms") : 0), "document",
                                json_copy_or_null(json_object_get(import, "doc")), "playbook",
                                json_copy_or_null(parts->playbook), "ledger", "lines", json_copy_or_null(parts->lines));
    json_t *steps = json_array(), *step = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(import, "steps"), i, step)
        (void)json_array_append_new(steps, step_entry(payload, step, parts->playbook));
    json_put(payload, "steps", steps);
    move_up(payload);
    json_put(payload, "rehearsal", json_copy_or_null(parts->rehearsal));
    json_t *derived = bundle_derived(payload), *ledger = json_object_get(payload, "ledger");
    json_put(ledger, "heads", json_incref(json_object_get(derived, "heads")));
    json_put(ledger, "root", json_incref(json_object_get(derived, "root")));
    (void)json_object_del(derived, "heads");
    (void)json_object_del(derived, "root");
    (void)json_object_update(payload, derived);
    json_decref(derived);
    return payload;
}

void bundle_signed_bytes(const json_t *payload, struct str *out)
{
    str_add(out, BUNDLE_FORMAT "\n");
    json_canonical(payload, out);
}

void bundle_write(const json_t *payload, const json_t *signature, struct str *out)
{
    json_auto_t *whole =
        json_make("{s:s,s:O,s:O}", "format", BUNDLE_FORMAT, "payload", payload, "signature", signature);
    json_canonical(whole, out);
    str_add_char(out, '\n');
}
