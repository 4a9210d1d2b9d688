/* Evidence for the verdict. Looks go on for an hour: CloudTrail delivers within minutes as a rule and promises nothing.
 */
#include "worker/steps/proof_evidence.h"

#include "common/proof/attribution.h"
#include "worker/steps/bucket_settings.h"

#define MINUTE_MS 60000u
#define HOUR_MS 3600000u
#define FRESH_MS 30000u

json_t *evidence_patches(struct step *s, const json_t *before)
{
    json_t *patches = json_array(), *patch = NULL;
    for (size_t i = 0; step_defs[i]; i++) {
        const json_t *result = step_result_of(s, step_defs[i]->name);
        if (!result || !step_defs[i]->expects)
            continue;
        json_auto_t *own = step_defs[i]->expects(step_import(s), before, result);
        int64_t seen_ms = json_int_at(result, "seen_ms");
        size_t k = 0;
        json_array_foreach (own, k, patch) {
            json_put_str(patch, "step", step_defs[i]->name);
            if (seen_ms)
                json_put_int(patch, "seen_ms", seen_ms);
        }
        json_array_extend(patches, own);
    }
    return patches;
}

json_t *evidence_brackets(struct step *s)
{
    json_t *brackets = json_array();
    for (size_t i = 0; step_defs[i]; i++) {
        const json_t *bracket = json_object_get(step_result_of(s, step_defs[i]->name), "bracket");
        if (json_array_size(json_object_get(bracket, "differences")) == 0)
            continue;
        json_t *one = json_copy((json_t *)(uintptr_t)bracket);
        json_put_str(one, "step", step_defs[i]->name);
        (void)json_array_append_new(brackets, one);
    }
    return brackets;
}

/* ---- Beside the sections ---- */
/* {"sections": {section: {key: value}}} of a reading. New reference. */
static json_t *as_sections(const json_t *reading)
{
    json_t *sections = json_object(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)reading, i, one) {
        const char *name = json_str_at(one, "section");
        if (!json_object_get(sections, name))
            json_put(sections, name, json_object());
        if (json_is_object(json_object_get(one, "value")))
            json_put(json_object_get(sections, name), json_str_at(one, "key"),
                     json_incref(json_object_get(one, "value")));
    }
    return json_make("{s:o}", "sections", sections);
}

enum step_result evidence_extra(struct step *s, const json_t **ret)
{
    const json_t *was = json_at(step_result_of(s, "cur_bucket"), "bracket.entries");
    *ret = NULL;
    if (json_array_size(was) == 0)
        return STEP_DONE;
    json_t *now = step_keep(s, json_array());
    TRY(bucket_settings_touches(s, now));
    json_auto_t *from = as_sections(was), *to = as_sections(now);
    *ret = step_keep(s, fingerprint_diff(from, to));
    return STEP_DONE;
}

/* ---- Events ---- */
static void add_regions(json_t *regions, const json_t *differences)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)differences, i, one) {
        const char *region = attribution_region(one);
        if (*region)
            json_put(regions, region, json_true());
    }
}

enum step_result evidence_events(struct step *s, const json_t *verdict, const json_t **ret)
{
    json_t *regions = step_keep(s, json_object()), *all = step_keep(s, json_array());
    const char *region = NULL;
    json_t *wanted = NULL;
    json_put(regions, "us-east-1", json_true());
    add_regions(regions, json_object_get(verdict, "unexplained"));
    add_regions(regions, json_object_get(verdict, "disrupted"));
    enum step_result done = STEP_DONE;
    json_object_foreach (regions, region, wanted) {
        const json_t *events = NULL;
        step_also(&done, step_events(s, region, FRESH_MS, &events));
        json_array_extend(all, (json_t *)(uintptr_t)events);
    }
    TRY(done);
    json_sort_by(all, "at_ms");
    *ret = all;
    return STEP_DONE;
}

/* The key of the hand-over, and the one in use now: another may have been handed over since. */
enum step_result evidence_keys(struct step *s, const json_t **ret)
{
    const json_t *me = NULL;
    json_t *keys = step_keep(s, json_array());
    TRY(step_identity(s, &me));
    const char *ids[] = {json_str_at(step_result_of(s, "access_handover"), "access_key_id"),
                         json_str_at(me, "access_key_id")};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (*ids[i] && !json_array_has_str(keys, ids[i]))
            (void)json_array_append_new(keys, json_string(ids[i]));
    *ret = keys;
    return STEP_DONE;
}

/* Every minute at first, then less often: each look reads the organization anew, and a person may mend what differs. */
enum step_result evidence_wait(struct step *s, size_t open)
{
    if (step_sleep(s, "attribution", HOUR_MS) == STEP_DONE)
        return STEP_DONE;
    uint64_t again_ms = MINUTE_MS;
    if (step_sleep(s, "attribution", 5 * MINUTE_MS) == STEP_DONE)
        again_ms = 3 * MINUTE_MS;
    if (step_sleep(s, "attribution", 15 * MINUTE_MS) == STEP_DONE)
        again_ms = 10 * MINUTE_MS;
    return step_wait_aws(
        s, again_ms,
        step_text(s, "CloudTrail's events for %zu change%s that no step declared", open, open == 1 ? "" : "s"));
}
