/* drift_look: what of the handover is still so.   Process: FAQ. Reads only, and no undo: there is nothing to take back.
 *
 * A finished import left roles, a bucket, a report, a registration and a root user in a known state. This step goes
 * back in through the roles that were made (the document's "access.roles"), asks for each of these things, and says
 * same, changed, gone or not visible. Each role is an answer of its own: that it lets us in, and nobody without the id.
 */
#include "common/aws/services/channel.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/sts.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/drift_items.h"

static bool is_handed_over(const struct step *s)
{
    return !str_eq(json_str_at(step_import(s), "access.method"), "product_roles");
}

/* A role that lets us in with the id must not let us in without it. */
static void try_without_id(struct drift_look *l, const json_t *role, const char *resource)
{
    const json_t *open = NULL;
    enum step_result one =
        step_call(l->s, step_text(l->s, "without-id/%s", json_str_at(role, "name")), &sts_assume_role_probe,
                  json_make("{s:s,s:s,s:i}", "RoleArn", json_str_at(role, "role_arn"), "RoleSessionName",
                            step_text(l->s, "orgimport-drift-%.40s", step_var(l->s, "id")), "DurationSeconds", 900),
                  &open);
    step_also(&l->all, one);
    if (one != STEP_DONE)
        return;
    if (json_is_null(open))
        drift_say(l, resource, "refuses us without the external id", "same", NULL, NULL, NULL, NULL);
    else
        drift_say(l, resource, "refuses us without the external id", "changed", step_keep(l->s, json_string("refused")),
                  step_keep(l->s, json_string("let in")), NULL, "the trust does not ask for an external id any more");
}

static enum step_result open_doors(struct drift_look *l, const char **ret_why)
{
    const json_t *roles = json_at(step_import(l->s), "access.roles"), *identity[DRIFT_DOORS_MAX] = {0};
    size_t count = json_array_size(roles) < DRIFT_DOORS_MAX - 1 ? json_array_size(roles) : DRIFT_DOORS_MAX - 1;
    const json_t *handed = NULL;
    enum step_result all = STEP_DONE;
    for (size_t i = 0; i < count; i++)
        step_also(&all, step_identity_through(l->s, (unsigned)i + 1, &identity[i]));
    if (is_handed_over(l->s))
        step_also(&all, step_identity(l->s, &handed));
    TRY(all);
    for (size_t i = 0; i < count; i++) {
        const json_t *role = json_array_get(roles, i);
        const char *resource = step_text(l->s, "role %s", json_str_at(role, "name"));
        if (!json_bool_at(identity[i], "ok")) {
            *ret_why = json_str_at(identity[i], "text");
            drift_say(l, resource, "lets us in with the external id", "changed", step_keep(l->s, json_string("let in")),
                      step_keep(l->s, json_string("refused")), NULL, *ret_why);
            continue;
        }
        l->doors[l->door_count].role = (unsigned)i + 1;
        l->doors[l->door_count++].name = json_str_at(role, "name");
        drift_say(l, resource, "lets us in with the external id", "same", NULL, NULL, NULL, NULL);
        try_without_id(l, role, resource);
    }
    if (json_bool_at(handed, "ok")) {
        l->doors[l->door_count].role = 0;
        l->doors[l->door_count++].name = "the access handed over again";
    }
    return STEP_DONE;
}

/* What no call of AWS shows: said each time, so that nobody takes silence for "same". */
static void say_unreadable(struct drift_look *l)
{
    static const char *const things[][2] = {{"payment method", "default instrument"},
                                            {"organization", "verification of the root address"},
                                            {"root user", "password"}};
    for (size_t i = 0; i < ARRAY_LEN(things); i++)
        drift_say(l, things[i][0], things[i][1], "not_visible", NULL, NULL, NULL, "AWS has no way to read it");
}

static void set_result(struct step *s, const struct drift_look *l)
{
    json_t *counts = json_make("{s:i,s:i,s:i,s:i}", "same", 0, "changed", 0, "gone", 0, "not_visible", 0), *item = NULL;
    json_t *through = json_array();
    json_auto_t *found = json_array();
    size_t i;
    json_array_foreach (l->items, i, item) {
        const char *status = json_str_at(item, "status");
        json_put_int(counts, status, json_int_at(counts, status) + 1);
        if (str_in_list("changed,gone", status))
            (void)json_array_append(found, item);
    }
    for (size_t d = 0; d < l->door_count; d++)
        (void)json_array_append_new(through, json_string(l->doors[d].name));
    char digest[65];
    json_digest(found, digest);
    const char *known = json_str_at(step_import(s), "handover.known");
    step_set(s, "found", json_integer((json_int_t)json_array_size(found)));
    /* The same difference found again is no news. */
    step_set(s, "is_new", json_boolean(json_array_size(found) && !str_eq(known, digest)));
    step_set_str(s, "digest", json_array_size(found) ? digest : "");
    step_set(s, "counts", counts);
    step_set(s, "through", through);
    step_set(s, "items", json_incref(l->items));
    step_set(s, "looked_ms", json_integer((json_int_t)step_now(s, "looked")));
}

static enum step_result run(struct step *s)
{
    struct drift_look l = {
        .s = s, .handover = json_at(step_import(s), "handover"), .items = step_keep(s, json_array())};
    const char *why = "the import left no role that we may use";
    if (!json_is_object(l.handover))
        return step_fail(s, ERR_CORRUPT, "the document does not say what the handover left");
    TRY(open_doors(&l, &why));
    if (!l.door_count)
        return step_fail(s, ERR_DRIFT_NO_ACCESS, "no role lets us in: %.180s", why);
    drift_look_roles(&l);
    drift_look_billing(&l);
    drift_look_account(&l);
    TRY(l.all);
    say_unreadable(&l);
    set_result(s, &l);
    step_grade(s, "probed");
    return STEP_DONE;
}

const struct step_def step_drift_look = {
    .name = "drift_look",
    .item = "FAQ",
    .run = run,
    .ops = OPS(DRIFT_ROLES_OPS, DRIFT_BILLING_OPS, DRIFT_ACCOUNT_OPS, &sts_assume_role_probe),
    .version = 1,
    .only_looks = true,
};
