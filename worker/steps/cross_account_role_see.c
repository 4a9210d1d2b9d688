/* Cross-account roles: their customer managed policies, and the reading back of all. */
#include "worker/steps/cross_account_role_wish.h"

#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/policy_document.h"

#define SEE_EVERY_MS 2000
#define SEE_DEADLINE_MS 60000
#define VERSIONS_MAX 5 /* AWS keeps no more */

/* ---- Customer managed policies ---- */

/* The oldest version that is not the default goes, because the sixth does not fit. The policy is ours by its tag. */
static enum step_result make_room(struct step *s, const char *arn)
{
    const json_t *list = NULL, *one, *oldest = NULL;
    size_t i;
    TRY(step_call(s, step_text(s, "versions/%s", arn), &iam_list_policy_versions, json_make("{s:s}", "PolicyArn", arn),
                  &list));
    if (json_array_size(json_at(list, "versions")) < VERSIONS_MAX)
        return STEP_DONE;
    json_array_foreach (json_at(list, "versions"), i, one)
        if (!json_bool_at(one, "is_default") &&
            (!oldest || json_int_at(one, "created_ms") <= json_int_at(oldest, "created_ms")))
            oldest = one;
    const char *version = json_str_at(oldest, "version");
    return step_call(s, step_text(s, "drop/%s/%s", arn, version), &iam_delete_policy_version,
                     json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", version), NULL);
}

static enum step_result mend_policy(struct step *s, const json_t *policy, const json_t *wanted, bool *ret_wrote)
{
    const char *arn = json_str_at(policy, "arn"), *version = json_str_at(policy, "default_version");
    if (!ownership_is_ours(s, json_object_get(policy, "tags")))
        return step_fail(s, ERR_POLICY_NAME_TAKEN, "policy %s exists and is not ours", json_str_at(policy, "name"));
    const json_t *now = NULL;
    TRY(step_call(s, step_text(s, "document/%s/%s", arn, version), &iam_get_policy_version,
                  json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", version), &now));
    if (policy_equal(json_at(now, "document"), json_at(wanted, "document")))
        return STEP_DONE;
    TRY(make_room(s, arn));
    *ret_wrote = true;
    step_warn(s, "our policy %s differed from the profile; it has a new default version", json_str_at(policy, "name"));
    /* The version that we saw is in the key: seen again after a later change, it is another repair. */
    return step_call(
        s, step_text(s, "version/%s/after-%s", arn, version), &iam_create_policy_version,
        json_make("{s:s,s:O,s:b}", "PolicyArn", arn, "PolicyDocument", json_at(wanted, "document"), "SetAsDefault", 1),
        NULL);
}

static enum step_result have_policy(struct step *s, const struct wish *w, const json_t *wanted, bool *ret_wrote)
{
    const char *name = json_str_at(wanted, "name"), *arn = wish_policy_arn(s, w, name);
    const json_t *policy = NULL;
    TRY(step_call(s, step_text(s, "policy/%s", name), &iam_get_policy, json_make("{s:s}", "PolicyArn", arn), &policy));
    if (!json_is_null(policy))
        return mend_policy(s, policy, wanted, ret_wrote);
    *ret_wrote = true;
    json_t *args = json_make("{s:s,s:s,s:O,s:o}", "PolicyName", name, "Path", w->path, "PolicyDocument",
                             json_at(wanted, "document"), "Tags", ownership_tags(s));
    return step_call(s, step_text(s, "create-policy/%s", name), &iam_create_policy, args, NULL);
}

enum step_result wish_have_policies(struct step *s, const struct wish *w, bool *ret_wrote)
{
    enum step_result all = STEP_DONE;
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)w->own, i, one)
        step_also(&all, have_policy(s, w, one, ret_wrote));
    return all;
}

/* ---- Reading back. IAM shows a write only eventually, so each look is a poll. ---- */

static bool is_role_seen(const json_t *facts, const json_t *wanted)
{
    bool is_session_right =
        !json_has(facts, "max_session") || json_int_at(facts, "max_session") == json_int_at(wanted, "max_session");
    return json_is_object(facts) && is_session_right &&
           policy_equal(json_at(facts, "trust"), json_at(wanted, "trust")) &&
           str_eq(json_str_at(facts, "description"), json_str_at(wanted, "description"));
}

static bool are_policies_seen(const json_t *facts, const json_t *wanted)
{
    json_auto_t *now = shape_set(json_at(facts, "policies"));
    return json_is_object(facts) && json_equal(now, json_at(wanted, "policies"));
}

static bool is_document_seen(const json_t *facts, const json_t *wanted)
{
    return json_is_object(facts) && policy_equal(json_at(facts, "document"), json_at(wanted, "document"));
}

static bool is_policy_seen(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return json_is_object(facts);
}

static enum step_result see_inline(struct step *s, const struct wish *w, json_t *documents)
{
    size_t i;
    const json_t *one, *seen = NULL;
    enum step_result all = STEP_DONE;
    json_array_foreach ((json_t *)(uintptr_t)w->in_line, i, one) {
        const char *name = json_str_at(one, "name");
        json_t *args = json_make("{s:s,s:s}", "RoleName", w->name, "PolicyName", name);
        enum step_result r = step_poll(s, step_text(s, "see/inline/%s", name), &iam_get_role_policy, args,
                                       is_document_seen, one, SEE_EVERY_MS, SEE_DEADLINE_MS, ERR_NOT_YET, &seen);
        if (r == STEP_DONE)
            json_put(documents, name, same(json_at(seen, "document")));
        step_also(&all, r);
    }
    return all;
}

static enum step_result see_policies(struct step *s, const struct wish *w, json_t *policies)
{
    size_t i;
    const json_t *one, *policy = NULL, *seen = NULL;
    json_array_foreach ((json_t *)(uintptr_t)w->own, i, one) {
        const char *name = json_str_at(one, "name"), *arn = wish_policy_arn(s, w, name);
        TRY(step_poll(s, step_text(s, "see/policy/%s", name), &iam_get_policy, json_make("{s:s}", "PolicyArn", arn),
                      is_policy_seen, NULL, SEE_EVERY_MS, SEE_DEADLINE_MS, ERR_NOT_YET, &policy));
        const char *version = json_str_at(policy, "default_version");
        TRY(step_poll(s, step_text(s, "see/document/%s/%s", name, version), &iam_get_policy_version,
                      json_make("{s:s,s:s}", "PolicyArn", arn, "VersionId", version), is_document_seen, one,
                      SEE_EVERY_MS, SEE_DEADLINE_MS, ERR_NOT_YET, &seen));
        (void)json_array_append_new(policies,
                                    json_make("{s:s,s:O}", "arn", arn, "document", json_at(seen, "document")));
    }
    return STEP_DONE;
}

enum step_result wish_see(struct step *s, const struct wish *w, const json_t **ret_role)
{
    const json_t *role = NULL, *attached = NULL;
    const json_t *wanted =
        step_keep(s, json_make("{s:O,s:I,s:s,s:o}", "trust", w->trust, "max_session", (json_int_t)w->max_session,
                               "description", w->description, "policies", wish_attached(s, w)));
    json_t *documents = step_keep(s, json_object()), *policies = step_keep(s, json_array());
    TRY(step_poll(s, "see/role", &iam_get_role, json_make("{s:s}", "RoleName", w->name), is_role_seen, wanted,
                  SEE_EVERY_MS, SEE_DEADLINE_MS, ERR_NOT_YET, &role));
    TRY(step_poll(s, "see/attached", &iam_list_attached_role_policies, json_make("{s:s}", "RoleName", w->name),
                  are_policies_seen, wanted, SEE_EVERY_MS, SEE_DEADLINE_MS, ERR_NOT_YET, &attached));
    TRY(see_inline(s, w, documents));
    TRY(see_policies(s, w, policies));

    step_set(s, "role",
             json_make("{s:s,s:s,s:s,s:I}", "name", w->name, "arn", json_str_at(role, "arn"), "role_id",
                       json_str_at(role, "role_id"), "created_ms", (json_int_t)json_int_at(role, "created_ms")));
    step_set(s, "role_value",
             shape_role(json_str_at(role, "path"), json_str_at(role, "role_id"), json_at(role, "trust"),
                        json_has(role, "max_session") ? json_int_at(role, "max_session") : w->max_session,
                        json_str_at(role, "description"), json_at(attached, "policies"), documents,
                        json_object_get(role, "tags"), json_str_at(role, "boundary")));
    step_set(s, "policies", json_incref(policies));
    step_set(s, "created",
             json_boolean(step_journal_facts(s, "create") && ownership_is_new(s, json_int_at(role, "created_ms"))));
    *ret_role = role;
    return STEP_DONE;
}

json_t *cross_account_role_expects(const json_t *import, const json_t *before, const json_t *result)
{
    (void)import;
    json_t *patches = json_array();
    const char *name = json_str_at(result, "role.name");
    size_t i;
    const json_t *one;
    if (!*name)
        return patches;
    shape_put(patches, before, "iam.roles", name, same(json_at(result, "role_value")));
    json_array_foreach (json_at(result, "policies"), i, one)
        shape_put(patches, before, "iam.policies", json_str_at(one, "arn"),
                  json_make("{s:O}", "document", json_at(one, "document")));
    return patches;
}
