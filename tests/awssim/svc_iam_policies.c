/* IAM policies: customer managed with versions; attached and inline ones of roles, users and groups (one code for the
 * three). */
#include "sim_iam.h"

#include <stdlib.h>

/* ---- what hangs on a role, user or group ---- */

static bool action_is_for(const struct sim_request *rq, const char *word)
{
    return strstr(rq->action, word) != NULL;
}

static enum iam_kind kind_of(const struct sim_request *rq)
{
    return action_is_for(rq, "Role") ? IAM_ROLE : action_is_for(rq, "User") ? IAM_USER : IAM_GROUP;
}

static json_t *owner_of(struct sim_request *rq, bool to_change)
{
    enum iam_kind kind = kind_of(rq);
    const char *name = sim_param(rq, iam_words[kind].name);
    return to_change ? iam_get_ours(rq, kind, name) : iam_get(rq, kind, name);
}

static json_t *part_of(json_t *owner, const char *name, bool list)
{
    json_t *part = json_object_get(owner, name);
    if (!part)
        json_object_set_new(owner, name, part = list ? json_array() : json_object());
    return part;
}

static void changed(struct sim_request *rq, const json_t *owner, struct sim_before before)
{
    enum iam_kind kind = kind_of(rq);
    char resource[160];
    (void)snprintf(resource, sizeof resource, "iam.%s.%s", iam_words[kind].section,
                   sim_param(rq, iam_words[kind].name));
    sim_effect(rq, resource, before, owner);
    sim_ok_query(rq, NULL);
}

static size_t place_of(const json_t *list, const char *arn)
{
    size_t i = 0;
    while (i < json_array_size(list) && !svc_is(json_string_value(json_array_get(list, i)), arn))
        i++;
    return i;
}

static void attach(struct sim_request *rq)
{
    json_t *owner = owner_of(rq, true);
    const char *arn = sim_param(rq, "PolicyArn");
    if (!owner || (!sim_policy_is_managed(arn) && !iam_get_policy(rq, arn)))
        return;
    json_t *list = part_of(owner, "attached", true);
    struct sim_before before = sim_before(owner);
    if (place_of(list, arn) == json_array_size(list)) {
        if (!iam_within_quota(rq, "AttachedPoliciesPerRoleQuota", 10, json_array_size(list)))
            return;
        json_array_append_new(list, json_string(arn));
    }
    changed(rq, owner, before);
}

static void detach(struct sim_request *rq)
{
    json_t *owner = owner_of(rq, true);
    const char *arn = sim_param(rq, "PolicyArn");
    if (!owner)
        return;
    json_t *list = part_of(owner, "attached", true);
    size_t place = place_of(list, arn);
    if (place == json_array_size(list)) {
        sim_error(rq, 404, "NoSuchEntity", "Policy %s was not found.", arn);
        return;
    }
    struct sim_before before = sim_before(owner);
    json_array_remove(list, place);
    changed(rq, owner, before);
}

static void list_attached(struct sim_request *rq)
{
    const json_t *owner = owner_of(rq, false);
    if (owner)
        iam_page(rq, NULL, "AttachedPolicies", iam_attached(owner));
}

static void put_inline(struct sim_request *rq)
{
    json_t *owner = owner_of(rq, true);
    const char *name = sim_param(rq, "PolicyName"), *document = sim_param(rq, "PolicyDocument");
    if (!owner || !iam_name_is_fine(rq, "policyName", name, 128) ||
        !iam_document_is_fine(rq, document, kind_of(rq) == IAM_ROLE ? 10240 : 2048, "inline policy size"))
        return;
    struct sim_before before = sim_before(owner);
    json_object_set_new(part_of(owner, "inline", false), name, json_string(document));
    changed(rq, owner, before);
}

static const char *inline_of(struct sim_request *rq, const json_t *owner)
{
    const char *name = sim_param(rq, "PolicyName");
    const char *document = json_string_value(json_object_get(json_object_get(owner, "inline"), name));
    if (!document)
        sim_error(rq, 404, "NoSuchEntity", "The policy with name %s cannot be found.", name);
    return document;
}

static void get_inline(struct sim_request *rq)
{
    const json_t *owner = owner_of(rq, false);
    const char *document = owner ? inline_of(rq, owner) : NULL;
    const char *name = iam_words[kind_of(rq)].name;
    if (document)
        sim_ok_query(rq, json_pack("{s:s, s:s, s:o}", name, sim_param(rq, name), "PolicyName",
                                   sim_param(rq, "PolicyName"), "PolicyDocument", iam_document(document)));
}

static void delete_inline(struct sim_request *rq)
{
    json_t *owner = owner_of(rq, true);
    if (!owner || !inline_of(rq, owner))
        return;
    struct sim_before before = sim_before(owner);
    json_object_del(json_object_get(owner, "inline"), sim_param(rq, "PolicyName"));
    changed(rq, owner, before);
}

static void list_inline(struct sim_request *rq)
{
    const json_t *owner = owner_of(rq, false);
    if (!owner)
        return;
    json_t *names = json_array();
    const char *name;
    json_t *document;
    json_object_foreach (json_object_get(owner, "inline"), name, document)
        json_array_append_new(names, json_string(name));
    iam_page(rq, NULL, "PolicyNames", names);
}

/* ---- customer managed ---- */

static json_int_t attachments(struct sim_request *rq, const char *arn)
{
    json_int_t count = 0;
    for (int kind = IAM_ROLE; kind <= IAM_GROUP; kind++) {
        const char *name;
        json_t *owner;
        json_object_foreach (iam_all(rq, (enum iam_kind)kind), name, owner) {
            const json_t *list = json_object_get(owner, "attached");
            count += place_of(list, arn) < json_array_size(list);
        }
    }
    return count;
}

static json_t *policy_reply(struct sim_request *rq, const json_t *policy, bool with_text)
{
    static const char *const names[] = {"PolicyName",       "PolicyId",   "Arn",        "Path",
                                        "DefaultVersionId", "CreateDate", "UpdateDate", NULL};
    json_t *reply = iam_copy(policy, names);
    json_object_set_new(reply, "AttachmentCount", json_integer(attachments(rq, svc_text(policy, "Arn"))));
    json_object_set_new(reply, "PermissionsBoundaryUsageCount", json_integer(0));
    json_object_set_new(reply, "IsAttachable", json_true());
    if (with_text) { /* ListPolicies leaves these two out */
        if (svc_text(policy, "Description")[0])
            json_object_set(reply, "Description", json_object_get(policy, "Description"));
        if (json_array_size(json_object_get(policy, "Tags")) > 0)
            json_object_set(reply, "Tags", json_object_get(policy, "Tags"));
    }
    return reply;
}

static void policy_changed(struct sim_request *rq, const json_t *policy, const char *name, struct sim_before before)
{
    char resource[200];
    (void)snprintf(resource, sizeof resource, "iam.policies.%s", name);
    sim_effect(rq, resource, before, policy);
}

static void create_policy(struct sim_request *rq)
{
    const char *name = sim_param(rq, "PolicyName"), *document = sim_param(rq, "PolicyDocument"),
               *path = sim_param(rq, "Path");
    json_t *all = iam_all(rq, IAM_POLICY);
    if (!iam_name_is_fine(rq, "policyName", name, 128) || iam_is_taken(rq, IAM_POLICY, name) ||
        !iam_document_is_fine(rq, document, 6144, "PolicySize") ||
        !iam_within_quota(rq, "PoliciesQuota", 1500, json_object_size(all)))
        return;
    json_t *tags = iam_tags(rq);
    if (!tags)
        return;
    json_t *now = iam_now();
    path = path[0] ? path : "/";
    json_t *policy =
        json_pack("{s:s, s:o, s:o, s:s, s:O, s:O, s:o, s:s, s:i, s:{s:{s:s, s:o}}}", "PolicyName", name, "PolicyId",
                  iam_new_id("ANPA"), "Arn", svc_textf("arn:aws:iam::%s:policy%s%s", rq->caller_account, path, name),
                  "Path", path, "CreateDate", now, "UpdateDate", now, "Tags", tags, "DefaultVersionId", "v1",
                  "next_version", 2, "versions", "v1", "document", document, "CreateDate", now);
    if (sim_param(rq, "Description")[0])
        json_object_set_new(policy, "Description", json_string(sim_param(rq, "Description")));
    json_object_set_new(all, name, policy);
    policy_changed(rq, policy, name, sim_before(NULL));
    sim_ok_query(rq, json_pack("{s:o}", "Policy", policy_reply(rq, policy, true)));
}

static void get_policy(struct sim_request *rq)
{
    const char *arn = sim_param(rq, "PolicyArn");
    if (sim_policy_is_managed(arn)) {
        sim_ok_query(rq, json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s}}", "Policy", "PolicyName",
                                   strrchr(arn, '/') + 1, "PolicyId", "ANPAAWSMANAGED0000000", "Arn", arn, "Path", "/",
                                   "DefaultVersionId", "v1", "AttachmentCount", attachments(rq, arn), "IsAttachable", 1,
                                   "CreateDate", "2015-02-06T18:39:46Z", "UpdateDate", "2015-02-06T18:39:46Z"));
        return;
    }
    const json_t *policy = iam_get_policy(rq, arn);
    if (policy)
        sim_ok_query(rq, json_pack("{s:o}", "Policy", policy_reply(rq, policy, true)));
}

static void list_policies(struct sim_request *rq)
{
    json_t *list = json_array();
    const char *name;
    json_t *policy;
    if (!svc_is(sim_param(rq, "Scope"), "AWS"))
        json_object_foreach (iam_all(rq, IAM_POLICY), name, policy)
            json_array_append_new(list, policy_reply(rq, policy, false));
    iam_page(rq, NULL, "Policies", list);
}

static json_t *version_reply(const json_t *policy, const char *id, const json_t *version, bool with_document)
{
    json_t *reply = json_object();
    if (with_document)
        json_object_set_new(reply, "Document", iam_document(svc_text(version, "document")));
    json_object_set_new(reply, "VersionId", json_string(id));
    json_object_set_new(reply, "IsDefaultVersion", json_boolean(svc_is(id, svc_text(policy, "DefaultVersionId"))));
    json_object_set(reply, "CreateDate", json_object_get(version, "CreateDate"));
    return reply;
}

static json_t *version_of(struct sim_request *rq, const json_t *policy)
{
    const char *id = sim_param(rq, "VersionId");
    json_t *version = json_object_get(json_object_get(policy, "versions"), id);
    if (!version)
        sim_error(rq, 404, "NoSuchEntity", "Policy %s version %s does not exist or is not attachable.",
                  sim_param(rq, "PolicyArn"), id);
    return version;
}

static void get_policy_version(struct sim_request *rq)
{
    const char *arn = sim_param(rq, "PolicyArn");
    if (sim_policy_is_managed(arn)) {
        sim_ok_query(rq, json_pack("{s:{s:o, s:s, s:b, s:s}}", "PolicyVersion", "Document",
                                   iam_document(sim_policy_managed_document(arn)), "VersionId", "v1",
                                   "IsDefaultVersion", 1, "CreateDate", "2015-02-06T18:39:46Z"));
        return;
    }
    const json_t *policy = iam_get_policy(rq, arn);
    const json_t *version = policy ? version_of(rq, policy) : NULL;
    if (version)
        sim_ok_query(
            rq, json_pack("{s:o}", "PolicyVersion", version_reply(policy, sim_param(rq, "VersionId"), version, true)));
}

static void create_policy_version(struct sim_request *rq)
{
    json_t *policy = iam_get_policy(rq, sim_param(rq, "PolicyArn"));
    const char *document = sim_param(rq, "PolicyDocument");
    if (!policy || !iam_document_is_fine(rq, document, 6144, "PolicySize"))
        return;
    json_t *versions = json_object_get(policy, "versions");
    if (json_object_size(versions) >= 5) {
        sim_error(rq, 409, "LimitExceeded",
                  "A managed policy can have up to 5 versions. Before you create a new version, you must "
                  "delete an existing version.");
        return;
    }
    struct sim_before before = sim_before(policy);
    json_int_t next = json_integer_value(json_object_get(policy, "next_version"));
    char id[24];
    (void)snprintf(id, sizeof id, "v%lld", (long long)(next > 1 ? next : 2));
    json_object_set_new(policy, "next_version", json_integer((next > 1 ? next : 2) + 1));
    json_t *version = json_pack("{s:s, s:o}", "document", document, "CreateDate", iam_now());
    json_object_set_new(versions, id, version);
    if (svc_is(sim_param(rq, "SetAsDefault"), "true"))
        json_object_set_new(policy, "DefaultVersionId", json_string(id));
    json_object_set_new(policy, "UpdateDate", iam_now());
    policy_changed(rq, policy, svc_text(policy, "PolicyName"), before);
    sim_ok_query(rq, json_pack("{s:o}", "PolicyVersion", version_reply(policy, id, version, false)));
}

static void set_default_version(struct sim_request *rq)
{
    json_t *policy = iam_get_policy(rq, sim_param(rq, "PolicyArn"));
    if (!policy || !version_of(rq, policy))
        return;
    struct sim_before before = sim_before(policy);
    json_object_set_new(policy, "DefaultVersionId", json_string(sim_param(rq, "VersionId")));
    policy_changed(rq, policy, svc_text(policy, "PolicyName"), before);
    sim_ok_query(rq, NULL);
}

static void delete_policy_version(struct sim_request *rq)
{
    json_t *policy = iam_get_policy(rq, sim_param(rq, "PolicyArn"));
    if (!policy || !version_of(rq, policy))
        return;
    if (svc_is(sim_param(rq, "VersionId"), svc_text(policy, "DefaultVersionId"))) {
        sim_error(rq, 409, "DeleteConflict", "Cannot delete the default version of a policy.");
        return;
    }
    struct sim_before before = sim_before(policy);
    json_object_del(json_object_get(policy, "versions"), sim_param(rq, "VersionId"));
    policy_changed(rq, policy, svc_text(policy, "PolicyName"), before);
    sim_ok_query(rq, NULL);
}

static void list_policy_versions(struct sim_request *rq)
{
    const json_t *policy = iam_get_policy(rq, sim_param(rq, "PolicyArn"));
    if (!policy)
        return;
    json_t *list = json_array();
    const char *id;
    json_t *version;
    json_object_foreach (json_object_get(policy, "versions"), id, version)
        json_array_insert_new(list, 0, version_reply(policy, id, version, false)); /* newest first */
    iam_page(rq, NULL, "Versions", list);
}

static void delete_policy(struct sim_request *rq)
{
    const char *arn = sim_param(rq, "PolicyArn");
    json_t *policy = iam_get_policy(rq, arn);
    if (!policy)
        return;
    if (attachments(rq, arn) > 0 || json_object_size(json_object_get(policy, "versions")) > 1) {
        sim_error(
            rq, 409, "DeleteConflict",
            attachments(rq, arn) > 0
                ? "Cannot delete a policy attached to entities."
                : "This policy has more than one version. Before you delete a "
                  "policy, you must delete the policy's versions. The default version is deleted with the policy.");
        return;
    }
    struct sim_before before = sim_before(policy);
    char name[140];
    (void)snprintf(name, sizeof name, "%s", svc_text(policy, "PolicyName"));
    json_object_del(iam_all(rq, IAM_POLICY), name);
    policy_changed(rq, NULL, name, before);
    sim_ok_query(rq, NULL);
}

static void tag_policy(struct sim_request *rq)
{
    json_t *policy = iam_get_policy(rq, sim_param(rq, "PolicyArn"));
    json_t *tags = policy ? iam_tags(rq) : NULL;
    if (!tags)
        return;
    struct sim_before before = sim_before(policy);
    json_object_set_new(policy, "Tags", tags);
    policy_changed(rq, policy, svc_text(policy, "PolicyName"), before);
    sim_ok_query(rq, NULL);
}

static void list_policy_tags(struct sim_request *rq)
{
    const json_t *policy = iam_get_policy(rq, sim_param(rq, "PolicyArn"));
    json_t *tags = json_object_get(policy, "Tags");
    if (policy)
        iam_page(rq, NULL, "Tags", tags ? json_copy(tags) : json_array());
}

const struct sim_op iam_policy_ops[] = {
    {"iam", "AttachRolePolicy", true, attach},
    {"iam", "AttachUserPolicy", true, attach},
    {"iam", "AttachGroupPolicy", true, attach},
    {"iam", "DetachRolePolicy", true, detach},
    {"iam", "DetachUserPolicy", true, detach},
    {"iam", "DetachGroupPolicy", true, detach},
    {"iam", "ListAttachedRolePolicies", false, list_attached},
    {"iam", "ListAttachedUserPolicies", false, list_attached},
    {"iam", "ListAttachedGroupPolicies", false, list_attached},
    {"iam", "PutRolePolicy", true, put_inline},
    {"iam", "PutUserPolicy", true, put_inline},
    {"iam", "GetRolePolicy", false, get_inline},
    {"iam", "GetUserPolicy", false, get_inline},
    {"iam", "DeleteRolePolicy", true, delete_inline},
    {"iam", "DeleteUserPolicy", true, delete_inline},
    {"iam", "ListRolePolicies", false, list_inline},
    {"iam", "ListUserPolicies", false, list_inline},
    {"iam", "ListGroupPolicies", false, list_inline},
    {"iam", "CreatePolicy", true, create_policy},
    {"iam", "GetPolicy", false, get_policy},
    {"iam", "ListPolicies", false, list_policies},
    {"iam", "GetPolicyVersion", false, get_policy_version},
    {"iam", "CreatePolicyVersion", true, create_policy_version},
    {"iam", "SetDefaultPolicyVersion", true, set_default_version},
    {"iam", "DeletePolicyVersion", true, delete_policy_version},
    {"iam", "ListPolicyVersions", false, list_policy_versions},
    {"iam", "DeletePolicy", true, delete_policy},
    {"iam", "TagPolicy", true, tag_policy},
    {"iam", "ListPolicyTags", false, list_policy_tags},
    {0},
};
