/* The verdict: does the organization differ exactly by what the steps declared? Pure.
 * PROVEN+FOREIGN and DISRUPTED need attribution through CloudTrail; until that exists, what is not declared is
 * UNEXPLAINED. */
#include "common/proof/fingerprint.h"

#include "common/base/assert.h"

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

static bool is_accepted(const json_t *accepted, const json_t *difference)
{
    char want[65], have[65];
    json_digest(difference, want);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)accepted, i, one) {
        json_digest(one, have);
        if (str_eq(have, want))
            return true;
    }
    return false;
}

/* A patch that does not fit is a fault in what a step declared: it must not hide behind an end state that happens to
 * agree. */
static void add_problems(json_t *differences, const json_t *problems)
{
    size_t i = 0;
    json_t *problem = NULL;
    json_array_foreach ((json_t *)(uintptr_t)problems, i, problem)
        json_array_append_new(differences,
                              json_make("{s:s,s:s,s:s,s:n,s:n,s:s}", "section", json_str_at(problem, "section"), "key",
                                        json_str_at(problem, "key"), "kind", "patch", "from", "to", "text",
                                        json_str_at(problem, "text")));
}

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

json_t *verdict_make(const json_t *before, const json_t *after, const json_t *patches, const json_t *accepted)
{
    json_auto_t *problems = json_array();
    json_auto_t *expected = fingerprint_apply(before, patches, problems);
    json_auto_t *now = json_make("{s:O}", "sections", json_object_get(after, "sections"));
    fingerprint_seal(now); /* never believe a stored root */
    json_auto_t *differences = fingerprint_diff(expected, now);
    add_problems(differences, problems);

    json_t *open = json_array(), *closed = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (differences, i, one)
        json_array_append(is_accepted(accepted, one) ? closed : open, one);
    enum verdict verdict = json_array_size(differences) ? VERDICT_UNEXPLAINED : VERDICT_PROVEN;
    ASSERT(verdict != VERDICT_PROVEN || str_eq(root_of(expected), root_of(now)));
    return json_make("{s:s,s:s,s:s,s:s,s:i,s:o,s:o,s:o}", "verdict", verdict_name(verdict), "before", root_of(before),
                     "after", root_of(now), "expected", root_of(expected), "patches", (int)json_array_size(patches),
                     "unexplained", open, "accepted", closed, "unstable", unstable_of(before, after));
}
