/* The verdict: verdict.h has the rules, this applies them in their order. Pure. */
#include "common/proof/verdict.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/proof/attribution.h"

const char *verdict_name(enum verdict v)
{
    switch (v) {
    case VERDICT_PROVEN:
        return "PROVEN";
    case VERDICT_PROVEN_FOREIGN:
        return "PROVEN+FOREIGN";
    case VERDICT_UNEXPLAINED:
        return "UNEXPLAINED";
    case VERDICT_DISRUPTED:
        return "DISRUPTED";
    }
    ASSERT(false);
    return "";
}

struct judging {
    const struct verdict_input *in;
    struct attribution_scope scope;
    json_t *open, *foreign, *disrupted, *accepted; /* the verdict's lists */
    enum verdict worst;
};

static bool is_accepted(const struct judging *j, const json_t *one)
{
    char want[65], have[65];
    json_digest(one, want);
    size_t i = 0;
    json_t *known = NULL;
    json_array_foreach ((json_t *)(uintptr_t)j->in->accepted, i, known) {
        json_digest(known, have);
        if (str_eq(have, want))
            return true;
    }
    return false;
}

/* Takes `one`. */
static void put(struct judging *j, enum verdict verdict, json_t *list, json_t *one)
{
    if (verdict > j->worst)
        j->worst = verdict;
    if (verdict > VERDICT_PROVEN_FOREIGN && is_accepted(j, one))
        list = j->accepted;
    (void)json_array_append_new(list, one);
}

/* ---- What we touched ---- */
/* One path of the other, part by part: "tags" and "tags/owner" meet. */
static bool paths_meet(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (!*a && (!*b || *b == '/')) || (!*b && *a == '/');
}

/* Names as paths have them: ~ is ~0, / is ~1. mem_free. */
static char *path_below(const char *at, const char *name)
{
    struct str path;
    str_init(&path, 8192);
    str_addf(&path, "%s%s", at, *at ? "/" : "");
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            str_add(&path, *name == '/' ? "~1" : "~0");
        else
            str_add_char(&path, *name);
    }
    return str_take(&path);
}

/* Whether `from` and `to` differ somewhere that meets `path`; `at` is where they stand in their entry. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the entry, which was read with a bound
static bool differs_at(const json_t *from, const json_t *to, const char *at, const char *path)
{
    const char *name = NULL;
    json_t *value = NULL;
    if (!json_is_object(from) || !json_is_object(to))
        return !json_equal(from, to) && paths_meet(at, path);
    json_auto_t *both = json_copy((json_t *)(uintptr_t)from);
    json_object_update(both, (json_t *)(uintptr_t)to);
    json_object_foreach (both, name, value) {
        AUTO_FREE char *below = path_below(at, name);
        const json_t *a = json_object_get(from, name), *b = json_object_get(to, name);
        if (!json_equal(a, b) && paths_meet(below, path) && differs_at(a, b, below, path))
            return true;
    }
    return false;
}

static bool touches(const json_t *patch, const json_t *difference)
{
    const char *path = json_str_at(patch, "path");
    if (!str_eq(json_str_at(patch, "section"), json_str_at(difference, "section")) ||
        !str_eq(json_str_at(patch, "key"), json_str_at(difference, "key")))
        return false;
    const json_t *from = json_object_get(difference, "from"), *to = json_object_get(difference, "to");
    return !*path || !json_is_object(from) || !json_is_object(to) || differs_at(from, to, "", path);
}

/* The patch that touched it last; NULL when none did. */
static const json_t *touched_by(const struct judging *j, const json_t *difference)
{
    const json_t *last = NULL;
    size_t i = 0;
    json_t *patch = NULL;
    json_array_foreach ((json_t *)(uintptr_t)j->in->patches, i, patch)
        if (touches(patch, difference) && (!last || json_int_at(patch, "seen_ms") >= json_int_at(last, "seen_ms")))
            last = patch;
    return last;
}

/* ---- One difference ---- */
static json_t *with_why(const json_t *difference, const char *why, const char *step)
{
    json_t *one = json_copy((json_t *)(uintptr_t)difference);
    json_put_str(one, "why", why);
    if (*step)
        json_put_str(one, "step", step);
    return one;
}

static void judge(struct judging *j, const json_t *difference)
{
    const json_t *patch = touched_by(j, difference);
    int64_t seen_ms = patch ? json_int_at(patch, "seen_ms") : 0;
    json_t *events = attribution_find(&j->scope, j->in->events, difference, seen_ms);
    const char *step = json_str_at(patch, "step");
    if (events) {
        json_t *one = json_copy((json_t *)(uintptr_t)difference);
        json_put(one, "events", events);
        json_put_bool(one, "touched", patch != NULL);
        if (*step)
            json_put_str(one, "step", step);
        put(j, VERDICT_PROVEN_FOREIGN, j->foreign, one);
    } else if (patch && !seen_ms) {
        put(j, VERDICT_DISRUPTED, j->disrupted,
            with_why(difference, "we touched it, it is not as declared, and nobody else's event explains it", step));
    } else {
        put(j, VERDICT_UNEXPLAINED, j->open, json_incref((json_t *)(uintptr_t)difference));
    }
}

/* A patch that does not fit is a fault in what a step declared: it must not hide behind an end state that happens to
 * agree. */
static void judge_problems(struct judging *j, const json_t *problems)
{
    size_t i = 0;
    json_t *problem = NULL;
    json_array_foreach ((json_t *)(uintptr_t)problems, i, problem)
        put(j, VERDICT_UNEXPLAINED, j->open,
            json_make("{s:s,s:s,s:s,s:n,s:n,s:s}", "section", json_str_at(problem, "section"), "key",
                      json_str_at(problem, "key"), "kind", "patch", "from", "to", "text",
                      json_str_at(problem, "text")));
}

static void judge_all(struct judging *j, const json_t *differences)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)differences, i, one)
        judge(j, one);
}

/* ---- Brackets ---- */
/* What changed while our own step was writing, beyond what it declared. */
static void judge_bracket(struct judging *j, const json_t *bracket)
{
    struct attribution_scope within = j->scope;
    within.from_ms = json_int_at(bracket, "began_ms");
    within.until_ms = json_int_at(bracket, "ended_ms");
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(bracket, "differences"), i, one) {
        json_t *events = attribution_find(&within, j->in->events, one, 0);
        const char *step = json_str_at(bracket, "step");
        if (!events) {
            put(j, VERDICT_DISRUPTED, j->disrupted,
                with_why(one, "it changed while our step was writing, beyond what the step declared", step));
            continue;
        }
        json_t *theirs = with_why(one, "somebody else changed it while our step was writing", step);
        json_put(theirs, "events", events);
        json_put_bool(theirs, "touched", true);
        put(j, VERDICT_PROVEN_FOREIGN, j->foreign, theirs);
    }
}

static void judge_brackets(struct judging *j)
{
    size_t i = 0;
    json_t *bracket = NULL;
    json_array_foreach ((json_t *)(uintptr_t)j->in->brackets, i, bracket)
        judge_bracket(j, bracket);
}

/* ---- Rogue events ---- */
static void judge_rogue(struct judging *j, json_t *ret_rogue)
{
    if (!j->in->writes || !j->in->events)
        return;
    json_auto_t *rogue = attribution_rogue(&j->scope, j->in->events, j->in->writes);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (rogue, i, one)
        put(j, VERDICT_DISRUPTED, ret_rogue, json_incref(one));
}

/* ---- All together ---- */
static const char *root_of(const json_t *fingerprint)
{
    return json_str_at(fingerprint, "root");
}

/* Sections that would not hold still in one of the two fingerprints. New reference. */
static json_t *unstable_of(const json_t *before, const json_t *after)
{
    json_t *all = json_array();
    json_array_extend(all, json_object_get(before, "unstable"));
    json_array_extend(all, json_object_get(after, "unstable"));
    return all;
}

/* The reading of before lasted from began_ms (older fingerprints do not say) to taken_ms; the one of after ends now. */
static struct attribution_scope scope_of(const struct verdict_input *in)
{
    int64_t began = json_int_at(in->before, "began_ms"), after_ms = json_int_at(in->after, "taken_ms");
    struct ours ours = {.import_id = in->our_session};
    size_t i = 0;
    json_t *key = NULL;
    json_array_foreach ((json_t *)(uintptr_t)in->our_keys, i, key)
        ours_add_key(&ours, json_string_value(key));
    return (struct attribution_scope){.before = in->before,
                                      .after = in->after,
                                      .ours = ours,
                                      .account_id = in->account_id ? in->account_id : "",
                                      .from_ms = began ? began : json_int_at(in->before, "taken_ms"),
                                      .until_ms = after_ms ? after_ms : INT64_MAX};
}

json_t *verdict_of(const struct verdict_input *in)
{
    struct judging j = {.in = in,
                        .scope = scope_of(in),
                        .open = json_array(),
                        .foreign = json_array(),
                        .disrupted = json_array(),
                        .accepted = json_array(),
                        .worst = VERDICT_PROVEN};
    json_auto_t *problems = json_array();
    json_auto_t *expected = fingerprint_apply(in->before, in->patches, problems);
    json_auto_t *now = json_make("{s:O}", "sections", json_object_get(in->after, "sections"));
    fingerprint_seal(now); /* never believe a stored root */
    json_auto_t *differences = fingerprint_diff(expected, now);
    json_t *rogue = json_array();
    judge_all(&j, differences);
    judge_all(&j, in->extra);
    judge_problems(&j, problems);
    judge_brackets(&j);
    judge_rogue(&j, rogue);
    ASSERT(j.worst != VERDICT_PROVEN || str_eq(root_of(expected), root_of(now)));
    return json_make("{s:s,s:s,s:s,s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "verdict", verdict_name(j.worst), "before",
                     root_of(in->before), "after", root_of(now), "expected", root_of(expected), "patches",
                     (int)json_array_size(in->patches), "unexplained", j.open, "foreign", j.foreign, "disrupted",
                     j.disrupted, "rogue", rogue, "accepted", j.accepted, "unstable",
                     unstable_of(in->before, in->after));
}

json_t *verdict_make(const json_t *before, const json_t *after, const json_t *patches, const json_t *accepted)
{
    return verdict_of(&(struct verdict_input){.before = before,
                                              .after = after,
                                              .patches = patches,
                                              .accepted = accepted,
                                              .our_session = "",
                                              .account_id = ""});
}
