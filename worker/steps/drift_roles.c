/* Drift of the roles that the import made: the role itself, what hangs on it, and its own policies. */
#include "common/aws/services/iam.h"
#include "worker/steps/drift_items.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/ownership.h"

/* Members of the fingerprint's role value that GetRole shows. */
static void compare_role(struct drift_look *l, const struct drift_sighting *at, const char *resource,
                         const json_t *from)
{
    const json_t *now = at->facts;
    const char *old_id = json_str_at(from, "role_id");
    if (*old_id && !str_eq(old_id, json_str_at(now, "role_id")))
        drift_say(l, resource, "identity", "changed", json_object_get(from, "role_id"), json_object_get(now, "role_id"),
                  at->through, "it was deleted and another one of that name was made");
    else
        drift_say(l, resource, "identity", "same", NULL, NULL, at->through, NULL);
    drift_compare_policy(l, at, resource, "trust", json_object_get(from, "trust"), json_object_get(now, "trust"));
    drift_compare(l, at, resource, "tags", json_object_get(from, "tags"), shape_tags(json_object_get(now, "tags")));
    drift_compare(l, at, resource, "path", json_object_get(from, "path"), json_string(json_str_at(now, "path")));
    if (json_has(now, "max_session"))
        drift_compare(l, at, resource, "session length", json_object_get(from, "max_session"),
                      json_integer(json_int_at(now, "max_session")));
    drift_compare(l, at, resource, "description", json_object_get(from, "description"),
                  json_string(json_str_at(now, "description")));
    drift_compare(l, at, resource, "permissions boundary", json_object_get(from, "boundary"),
                  json_string(json_str_at(now, "boundary")));
}

static void look_at_attached(struct drift_look *l, const char *resource, const char *name, const json_t *from)
{
    struct drift_sighting at = drift_ask(l, step_text(l->s, "attached/%s", name), &iam_list_attached_role_policies,
                                         json_make("{s:s}", "RoleName", name), "");
    if (drift_is_seen(l, &at, resource, "attached policies"))
        drift_compare(l, &at, resource, "attached policies", json_object_get(from, "policies"),
                      json_is_null(at.facts) ? NULL : shape_set(json_object_get(at.facts, "policies")));
}

static void look_at_inline(struct drift_look *l, const char *resource, const char *name, const json_t *from)
{
    struct drift_sighting at = drift_ask(l, step_text(l->s, "inlines/%s", name), &iam_list_role_policies,
                                         json_make("{s:s}", "RoleName", name), "");
    if (!drift_is_seen(l, &at, resource, "inline policies"))
        return;
    json_auto_t *had = json_array();
    const char *policy = NULL;
    json_t *document = NULL;
    json_object_foreach (json_object_get(from, "inline"), policy, document)
        (void)json_array_append_new(had, json_string(policy));
    json_sort_by(had, NULL);
    drift_compare(l, &at, resource, "inline policies", step_keep(l->s, json_incref(had)),
                  shape_set(json_object_get(at.facts, "names")));
    json_object_foreach (json_object_get(from, "inline"), policy, document) {
        if (!json_array_has_str(json_object_get(at.facts, "names"), policy))
            continue;
        struct drift_sighting one = drift_ask(l, step_text(l->s, "inline/%s/%s", name, policy), &iam_get_role_policy,
                                              json_make("{s:s,s:s}", "RoleName", name, "PolicyName", policy), "");
        const char *what = step_text(l->s, "inline policy %s", policy);
        if (drift_is_seen(l, &one, resource, what))
            drift_compare_policy(l, &one, resource, what, document, json_object_get(one.facts, "document"));
    }
}

static void look_at_role(struct drift_look *l, const char *name, const json_t *left)
{
    const json_t *from = json_object_get(left, "value");
    const char *resource = step_text(l->s, "role %s", name);
    struct drift_sighting at =
        drift_ask(l, step_text(l->s, "role/%s", name), &iam_get_role, json_make("{s:s}", "RoleName", name), "");
    bool is_seen = drift_is_seen(l, &at, resource, "trust,tags,session length");
    if (is_seen && json_is_null(at.facts)) {
        drift_say(l, resource, "role", "gone", json_object_get(left, "arn"), NULL, at.through, NULL);
        return; /* what hung on it went with it */
    }
    if (is_seen)
        compare_role(l, &at, resource, from);
    look_at_attached(l, resource, name, from);
    look_at_inline(l, resource, name, from);
}

static void look_at_policy(struct drift_look *l, const json_t *left)
{
    const char *arn = json_str_at(left, "arn"), *slash = strrchr(arn, '/');
    const char *resource = step_text(l->s, "policy %s", slash ? slash + 1 : arn);
    struct drift_sighting at =
        drift_ask(l, step_text(l->s, "policy/%s", arn), &iam_get_policy, json_make("{s:s}", "PolicyArn", arn), "");
    if (!drift_is_seen(l, &at, resource, "tags,document"))
        return;
    if (json_is_null(at.facts)) {
        drift_say(l, resource, "policy", "gone", json_object_get(left, "arn"), NULL, at.through, NULL);
        return;
    }
    json_t *mine = json_string(step_var(l->s, "tag_value"));
    drift_compare(l, &at, resource, "our tag", step_keep(l->s, mine),
                  json_incref(json_object_get(json_object_get(at.facts, "tags"), step_var(l->s, "tag_key"))));
    const char *version = json_str_at(at.facts, "default_version");
    struct drift_sighting document =
        drift_ask(l, step_text(l->s, "document/%s/%s", arn, version), &iam_get_policy_version,
                  json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", version), "");
    if (drift_is_seen(l, &document, resource, "document"))
        drift_compare_policy(l, &document, resource, "document", json_object_get(left, "document"),
                             json_object_get(document.facts, "document"));
}

void drift_look_roles(struct drift_look *l)
{
    const char *name = NULL;
    json_t *left = NULL, *policy = NULL;
    size_t i;
    json_object_foreach (json_object_get(l->handover, "roles"), name, left) {
        look_at_role(l, name, left);
        json_array_foreach (json_object_get(left, "policies"), i, policy)
            look_at_policy(l, policy);
    }
}
