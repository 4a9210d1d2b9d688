#include "worker/steps/undo_proof.h"

#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"
#include "worker/steps/ownership.h"
#include "worker/steps/root_devices.h"

#define ROOT_SECTION "iam.account"
#define ROOT_KEY "root"

struct proof {
    const json_t *before, *after;
    json_t *patches, *seen; /* "section/key" -> true: one patch for each entry */
};

static const json_t *entry(const json_t *fingerprint, const char *section, const char *key)
{
    return json_object_get(json_object_get(json_object_get(fingerprint, "sections"), section), key);
}

static bool is_root(const char *section, const char *key)
{
    return str_eq(section, ROOT_SECTION) && str_eq(key, ROOT_KEY);
}

/* The entry may be what it is now. */
static void let_pass(struct step *s, struct proof *p, const char *section, const char *key)
{
    const char *name = step_text(s, "%s/%s", section, key);
    if (!*section || !*key || json_object_get(p->seen, name))
        return;
    json_object_set_new(p->seen, name, json_true());
    const json_t *now = entry(p->after, section, key);
    if (now)
        shape_put(p->patches, p->before, section, key, same(now));
    else if (entry(p->before, section, key))
        shape_remove(p->patches, section, key);
}

static void let_remains_pass(struct step *s, struct proof *p)
{
    size_t i = 0, k = 0;
    const json_t *one = NULL, *in = NULL, *all = step_keep(s, undo_remains(s));
    json_array_foreach ((json_t *)(uintptr_t)all, i, one)
        json_array_foreach (json_object_get(one, "in"), k, in)
            if (!is_root(json_str_at(in, "section"), json_str_at(in, "key"))) /* it has a rule of its own */
                let_pass(s, p, json_str_at(in, "section"), json_str_at(in, "key"));
}

/* Devices may be others than before, as the last step that looked at them saw them (root_mfa_handover's undo): each of
 * them is listed (undo_root_remains). A second factor that is missing and access keys are never let pass, and what came
 * after that look is somebody's or unexplained, like anything else. */
static void let_devices_pass(struct proof *p, const json_t *handover)
{
    const json_t *seen = json_at(handover, "root.devices"), *had = entry(p->before, ROOT_SECTION, ROOT_KEY);
    if (!seen || !had || json_equal(seen, json_object_get(had, "devices")))
        return;
    json_t *expected = json_deep_copy(had);
    json_put(expected, "devices", same(seen));
    json_object_set_new(p->seen, ROOT_SECTION "/" ROOT_KEY, json_true());
    shape_put(p->patches, p->before, ROOT_SECTION, ROOT_KEY, expected);
    /* Seen right: people's hands are at work on root, not our software, which a later difference must not accuse. */
    int64_t seen_ms = json_int_at(handover, "root_seen_ms");
    json_put_int(json_array_get(p->patches, json_array_size(p->patches) - 1), "seen_ms", seen_ms ? seen_ms : 1);
}

/* What was accepted with a reason is not asked about again, as long as it has not changed since. */
static void let_accepted_pass(struct step *s, struct proof *p)
{
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (json_at(step_result_of(s, "fingerprint_after"), "proof.accepted"), i, one) {
        const char *section = json_str_at(one, "section"), *key = json_str_at(one, "key");
        const json_t *then =
            entry(json_object_get(step_result_of(s, "fingerprint_after"), "fingerprint"), section, key);
        const json_t *now = entry(p->after, section, key);
        if ((!then && !now) || (then && now && json_equal(then, now)))
            let_pass(s, p, section, key);
    }
}

json_t *undo_proof_patches(struct step *s, const json_t *before, const json_t *after)
{
    struct proof p = {.before = before, .after = after, .patches = json_array(), .seen = step_keep(s, json_object())};
    let_remains_pass(s, &p);
    let_devices_pass(&p, step_undo_of(s, "root_mfa_handover"));
    let_accepted_pass(s, &p);
    return p.patches;
}

json_t *undo_root_remains(struct step *s, const json_t *before, const json_t *after, const json_t *events)
{
    const json_t *handover = step_result_of(s, "root_mfa_handover");
    return root_devices_remain(&(struct root_end){.had = entry(before, ROOT_SECTION, ROOT_KEY),
                                                  .has = entry(after, ROOT_SECTION, ROOT_KEY),
                                                  .events = events,
                                                  .ours = json_object_get(handover, "operator_devices"),
                                                  .taken_ms = human_taken_ms(step_result_of(s, "fingerprint_before"))});
}

json_t *undo_remains(const struct step *s)
{
    json_t *all = json_array();
    for (size_t i = 0; step_defs[i]; i++) {
        size_t k = 0;
        const json_t *one = NULL;
        json_array_foreach (json_object_get(step_undo_of(s, step_defs[i]->name), "remains"), k, one) {
            json_t *named = json_copy((json_t *)(uintptr_t)one);
            json_put_str(named, "step", step_defs[i]->name);
            (void)json_array_append_new(all, named);
        }
    }
    return all;
}
