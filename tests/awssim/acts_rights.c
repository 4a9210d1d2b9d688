/* What the customer does about rights: exact policies instead of AdministratorAccess, a boundary, a guard rail. The
 * documents come with the act, so that a test gives exactly what `orgimport policy` printed, or all but one action. */
#include "acts.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *identity_of(struct sim_world *w, const json_t *args)
{
    const char *role = act_arg(args, "role", ""), *user = act_arg(args, "user", "doit-onboarding");
    return role[0] ? json_object_get(act_map(w, "iam", "roles"), role)
                   : json_object_get(act_map(w, "iam", "users"), user);
}

/* A managed policy of the customer's own, made or replaced. Its ARN. */
static json_t *have_policy(struct sim_world *w, const char *name, const json_t *document)
{
    json_t *policies = act_map(w, "iam", "policies"), *arn = svc_textf("arn:aws:iam::%s:policy/%s", w->account, name);
    char now[32], *text = json_dumps(document, JSON_COMPACT);
    if (text == NULL)
        abort();
    sim_rfc3339(sim_now_ms(), now);
    json_object_set_new(policies, name,
                        json_pack("{s:s, s:o, s:O, s:s, s:s, s:s, s:[], s:s, s:i, s:{s:{s:s, s:s}}}", "PolicyName",
                                  name, "PolicyId", svc_textf("ANPA%017zX", strlen(name)), "Arn", arn, "Path", "/",
                                  "CreateDate", now, "UpdateDate", now, "Tags", "DefaultVersionId", "v1",
                                  "next_version", 2, "versions", "v1", "document", text, "CreateDate", now));
    free(text);
    act_user_event(w, "jane.doe", "CreatePolicy", "iam.amazonaws.com", json_pack("{s:s}", "policyName", name));
    return arn;
}

/* {"user"|"role", "documents":[{"name","document"}], "and_admin"?:true}: these and nothing else hang on the identity.
 */
static const char *customer_permissions(struct sim_world *w, const json_t *args)
{
    json_t *identity = identity_of(w, args), *attached = json_array();
    const json_t *documents = json_object_get(args, "documents");
    if (identity == NULL) {
        json_decref(attached);
        return "there is no such user or role";
    }
    for (size_t i = 0; i < json_array_size(documents); i++) {
        const json_t *one = json_array_get(documents, i);
        json_array_append_new(attached, have_policy(w, svc_text(one, "name"), json_object_get(one, "document")));
    }
    if (json_is_true(json_object_get(args, "and_admin")))
        json_array_append_new(attached, json_string("arn:aws:iam::aws:policy/AdministratorAccess"));
    json_object_set_new(identity, "attached", attached);
    json_object_set_new(identity, "inline", json_object());
    if (json_object_get(identity, "groups"))
        json_object_set_new(identity, "groups", json_array());
    act_user_event(w, "jane.doe", "AttachUserPolicy", "iam.amazonaws.com", NULL);
    return NULL;
}

/* {"user"|"role", "document"}: a permissions boundary. */
static const char *customer_boundary(struct sim_world *w, const json_t *args)
{
    json_t *identity = identity_of(w, args);
    if (identity == NULL)
        return "there is no such user or role";
    json_object_set_new(identity, "PermissionsBoundary",
                        json_pack("{s:s, s:o}", "PermissionsBoundaryType", "Policy", "PermissionsBoundaryArn",
                                  have_policy(w, "Boundary", json_object_get(args, "document"))));
    return NULL;
}

const struct act rights_acts[] = {
    {"customer.permissions", customer_permissions},
    {"customer.boundary", customer_boundary},
    {NULL, NULL},
};
