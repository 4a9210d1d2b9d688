/* What later reads of IAM show of a planned write. Pure: facts in, facts out. */
#include "worker/runtime/foresight_private.h"

#include "worker/steps/policy_document.h"

/* ---- Would this trust let that caller in? ---- */

static bool is_allowed(const json_t *statement, const char *external_id)
{
    json_auto_t *one = json_make("{s:s, s:[O]}", "Version", "2012-10-17", "Statement", statement);
    const char *asked = policy_external_id(one);
    return str_eq(json_str_at(statement, "Effect"), "Allow") && (!*asked || str_eq(asked, external_id));
}

/* The steps ask only where our identity is in the trusted account, so the principal fits. */
static json_t *judge_trust(const struct foresight_read *r, const json_t *trust)
{
    const json_t *statements = json_at(trust, "Statement");
    json_auto_t *only = json_is_object(statements) ? json_make("[O]", statements) : NULL;
    size_t i;
    const json_t *one;
    json_array_foreach (only ? only : statements, i, one)
        if (is_allowed(one, json_str_at(r->args, "ExternalId")))
            return json_make("{s:s}", "arn", json_str_at(r->args, "RoleArn"));
    return json_null();
}

static bool is_probe_of(const struct foresight_read *r, const char *role_name)
{
    const char *arn = json_str_at(r->args, "RoleArn"), *slash = strrchr(arn, '/');
    return read_is(r, "sts:AssumeRole/probe") && slash && str_eq(slash + 1, role_name);
}

/* ---- Roles ---- */

static bool is_about_role(const struct foresight_read *r, const struct foresight_write *w)
{
    return both_say(r, w, "RoleName");
}

static json_t *new_role(const struct foresight_read *r, const struct foresight_write *w)
{
    const char *name = json_str_at(w->args, "RoleName"), *path = json_str_or(w->args, "Path", "/");
    json_t *role =
        json_make("{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:O?}", "name", name, "path", path, "role_id", FORESIGHT_UNKNOWN,
                  "description", json_str_at(w->args, "Description"), "created_ms", (json_int_t)w->at_ms, "boundary",
                  "", "max_session", (json_int_t)json_int_at(w->args, "MaxSessionDuration"), "trust",
                  json_at(w->args, "AssumeRolePolicyDocument"));
    json_put(role, "arn", iam_arn(r, "role", path, name));
    json_put(role, "tags", tags_of(json_at(w->args, "Tags")));
    return role;
}

SEE(see_create_role)
{
    if (is_probe_of(r, json_str_at(w->args, "RoleName")))
        return instead(facts, judge_trust(r, json_at(w->args, "AssumeRolePolicyDocument")));
    if (read_is(r, "iam:ListRoles") && facts) {
        (void)json_array_append_new(json_object_get(facts, "roles"), new_role(r, w));
        return facts;
    }
    if (!is_about_role(r, w))
        return facts;
    if (read_is(r, "iam:GetRole"))
        return instead(facts, new_role(r, w));
    if (read_is(r, "iam:ListAttachedRolePolicies"))
        return instead(facts, json_make("{s:[]}", "policies"));
    if (str_in_list("iam:ListRolePolicies,iam:ListInstanceProfilesForRole", r->op))
        return instead(facts, json_make("{s:[]}", "names"));
    return read_is(r, "iam:GetRolePolicy") ? instead(facts, json_null()) : facts;
}

SEE(see_update_role)
{
    if (!read_is(r, "iam:GetRole") || !is_about_role(r, w) || !json_is_object(facts))
        return facts;
    json_put_int(facts, "max_session", json_int_at(w->args, "MaxSessionDuration"));
    json_put_str(facts, "description", json_str_at(w->args, "Description"));
    return facts;
}

SEE(see_update_trust)
{
    if (is_probe_of(r, json_str_at(w->args, "RoleName")))
        return instead(facts, judge_trust(r, json_at(w->args, "PolicyDocument")));
    if (read_is(r, "iam:GetRole") && is_about_role(r, w) && json_is_object(facts))
        json_put(facts, "trust", json_deep_copy(json_at(w->args, "PolicyDocument")));
    return facts;
}

SEE(see_delete_role)
{
    if (is_probe_of(r, json_str_at(w->args, "RoleName")))
        return instead(facts, json_null());
    if (read_is(r, "iam:ListRoles"))
        return list_without(facts, "roles", "name", json_str_at(w->args, "RoleName"));
    bool is_of_it = str_in_list("iam:GetRole,iam:ListAttachedRolePolicies,iam:ListRolePolicies,iam:GetRolePolicy,"
                                "iam:ListInstanceProfilesForRole",
                                r->op);
    return is_of_it && is_about_role(r, w) ? instead(facts, json_null()) : facts;
}

/* ---- What hangs on a role ---- */

SEE(see_attach)
{
    if (read_is(r, "iam:ListAttachedRolePolicies") && is_about_role(r, w) && json_is_object(facts))
        set_add(json_object_get(facts, "policies"), json_str_at(w->args, "PolicyArn"));
    return facts;
}

SEE(see_detach)
{
    if (read_is(r, "iam:ListAttachedRolePolicies") && is_about_role(r, w) && json_is_object(facts))
        set_remove(json_object_get(facts, "policies"), json_str_at(w->args, "PolicyArn"));
    return facts;
}

SEE(see_put_inline)
{
    if (!is_about_role(r, w))
        return facts;
    if (read_is(r, "iam:ListRolePolicies") && json_is_object(facts))
        set_add(json_object_get(facts, "names"), json_str_at(w->args, "PolicyName"));
    if (read_is(r, "iam:GetRolePolicy") && both_say(r, w, "PolicyName"))
        return instead(facts, json_make("{s:O?}", "document", json_at(w->args, "PolicyDocument")));
    return facts;
}

SEE(see_delete_inline)
{
    if (!is_about_role(r, w))
        return facts;
    if (read_is(r, "iam:ListRolePolicies") && json_is_object(facts))
        set_remove(json_object_get(facts, "names"), json_str_at(w->args, "PolicyName"));
    return read_is(r, "iam:GetRolePolicy") && both_say(r, w, "PolicyName") ? instead(facts, json_null()) : facts;
}

SEE(see_leave_profile)
{
    if (read_is(r, "iam:ListInstanceProfilesForRole") && is_about_role(r, w) && json_is_object(facts))
        set_remove(json_object_get(facts, "names"), json_str_at(w->args, "InstanceProfileName"));
    return facts;
}

/* ---- Customer managed policies ---- */
#define NEW_VERSION "v0" /* of an existing policy: AWS counts on from a number that no read tells */

static json_t *arn_of(const struct foresight_read *r, const struct foresight_write *w)
{
    return iam_arn(r, "policy", json_str_or(w->args, "Path", "/"), json_str_at(w->args, "PolicyName"));
}

static json_t *new_policy(const struct foresight_read *r, const struct foresight_write *w)
{
    json_t *policy = json_make("{s:s, s:s, s:s, s:s, s:i, s:s}", "name", json_str_at(w->args, "PolicyName"), "path",
                               json_str_or(w->args, "Path", "/"), "policy_id", FORESIGHT_UNKNOWN, "default_version",
                               "v1", "attachments", 0, "description", json_str_at(w->args, "Description"));
    json_put(policy, "arn", arn_of(r, w));
    json_put(policy, "tags", tags_of(json_at(w->args, "Tags")));
    return policy;
}

static json_t *new_document(const struct foresight_write *w, const char *version)
{
    return json_make("{s:s, s:b, s:O?}", "version", version, "is_default", 1, "document",
                     json_at(w->args, "PolicyDocument"));
}

static json_t *version_row(const struct foresight_write *w, const char *version)
{
    return json_make("{s:s, s:b, s:I}", "version", version, "is_default", 1, "created_ms", (json_int_t)w->at_ms);
}

SEE(see_create_policy)
{
    if (read_is(r, "iam:ListPolicies") && facts) {
        (void)json_array_append_new(json_object_get(facts, "policies"), new_policy(r, w));
        return facts;
    }
    json_auto_t *arn = arn_of(r, w);
    if (!str_eq(json_str_at(r->args, "PolicyArn"), json_string_value(arn)))
        return facts;
    if (read_is(r, "iam:GetPolicy"))
        return instead(facts, new_policy(r, w));
    if (read_is(r, "iam:GetPolicyVersion") && str_eq(json_str_at(r->args, "VersionId"), "v1"))
        return instead(facts, new_document(w, "v1"));
    if (read_is(r, "iam:ListPolicyVersions"))
        return instead(facts, json_make("{s:[o]}", "versions", version_row(w, "v1")));
    return facts;
}

SEE(see_create_version)
{
    size_t i;
    json_t *one;
    if (!both_say(r, w, "PolicyArn"))
        return facts;
    if (read_is(r, "iam:GetPolicyVersion") && str_eq(json_str_at(r->args, "VersionId"), NEW_VERSION))
        return instead(facts, new_document(w, NEW_VERSION));
    if (read_is(r, "iam:GetPolicy") && json_is_object(facts))
        json_put_str(facts, "default_version", NEW_VERSION);
    if (read_is(r, "iam:ListPolicyVersions") && json_is_object(facts)) {
        json_array_foreach (json_object_get(facts, "versions"), i, one)
            json_put_bool(one, "is_default", false);
        (void)json_array_append_new(json_object_get(facts, "versions"), version_row(w, NEW_VERSION));
    }
    return facts;
}

SEE(see_delete_version)
{
    if (!both_say(r, w, "PolicyArn"))
        return facts;
    if (read_is(r, "iam:ListPolicyVersions"))
        return list_without(facts, "versions", "version", json_str_at(w->args, "VersionId"));
    return read_is(r, "iam:GetPolicyVersion") && both_say(r, w, "VersionId") ? instead(facts, json_null()) : facts;
}

SEE(see_delete_policy)
{
    if (read_is(r, "iam:ListPolicies"))
        return list_without(facts, "policies", "arn", json_str_at(w->args, "PolicyArn"));
    bool is_of_it = str_in_list("iam:GetPolicy,iam:GetPolicyVersion,iam:ListPolicyVersions", r->op);
    return is_of_it && both_say(r, w, "PolicyArn") ? instead(facts, json_null()) : facts;
}

/* ---- Keys: a dead key answers nothing any more ---- */

SEE(see_key_end)
{
    (void)w;
    return read_is(r, "sts:GetCallerIdentity/retired") ? instead(facts, json_null()) : facts;
}
