#include "worker/steps/undo_proof.h"

#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/ownership.h"

struct proof {
    const json_t *before, *after;
    json_t *patches, *seen; /* "section/key" -> true: one patch for each entry */
};

static const json_t *entry(const json_t *fingerprint, const char *section, const char *key)
{
    return json_object_get(json_object_get(json_object_get(fingerprint, "sections"), section), key);
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
            let_pass(s, p, json_str_at(in, "section"), json_str_at(in, "key"));
}

/* The customer's device may be another one than before; that root is protected as before was the step's own check. */
static void let_root_pass(struct step *s, struct proof *p)
{
    const json_t *root = json_object_get(step_undo_of(s, "root_mfa_handover"), "root");
    const json_t *had = entry(p->before, "iam.account", "root"), *now = entry(p->after, "iam.account", "root");
    if (root && json_equal(root, now) && json_bool_at(had, "mfa") == json_bool_at(now, "mfa") &&
        json_bool_at(had, "access_keys") == json_bool_at(now, "access_keys"))
        let_pass(s, p, "iam.account", "root");
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
    let_root_pass(s, &p);
    let_accepted_pass(s, &p);
    return p.patches;
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
