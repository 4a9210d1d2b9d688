/* What people change long after an import has ended, on the things that it left: roles, policies, bucket, report, tax,
 * root user, trusted services, partner relationship. "drift.*" acts take {"role", "bucket", "report", ..} where there
 * is more than one, and each leaves the event of that call by the user "terraform", or by root. */
#include "acts.h"

#include <stdio.h>
#include <stdlib.h>

static void by_user(struct sim_world *w, const json_t *args, const char *name, const char *source)
{
    act_user_event(w, act_arg(args, "user", "terraform"), name, source, NULL);
}

/* ---- Roles and policies ---- */

static json_t *drift_role(struct sim_world *w, const json_t *args)
{
    return json_object_get(act_map(w, "iam", "roles"), act_arg(args, "role", "doitintl_cmp"));
}

static const char *drift_role_settings(struct sim_world *w, const json_t *args)
{
    json_t *role = drift_role(w, args);
    if (role == NULL)
        return "there is no such role";
    json_object_set_new(role, "MaxSessionDuration", json_integer(7200));
    json_object_set_new(role, "Description", json_string(act_arg(args, "description", "somebody else's words")));
    by_user(w, args, "UpdateRole", "iam.amazonaws.com");
    return NULL;
}

static const char *drift_role_detach(struct sim_world *w, const json_t *args)
{
    json_t *role = drift_role(w, args);
    if (role == NULL || json_array_size(json_object_get(role, "attached")) == 0)
        return "there is no such role, or nothing is attached to it";
    json_array_remove(json_object_get(role, "attached"), 0);
    by_user(w, args, "DetachRolePolicy", "iam.amazonaws.com");
    return NULL;
}

static const char *drift_role_inline(struct sim_world *w, const json_t *args)
{
    json_t *role = drift_role(w, args);
    if (role == NULL)
        return "there is no such role";
    json_object_set_new(json_object_get(role, "inline"), act_arg(args, "name", "extra"),
                        json_string("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":"
                                    "\"iam:*\",\"Resource\":\"*\"}]}"));
    by_user(w, args, "PutRolePolicy", "iam.amazonaws.com");
    return NULL;
}

/* Deleted and made again under the same name: another role, however equal it looks. */
static const char *drift_role_again(struct sim_world *w, const json_t *args)
{
    json_t *role = drift_role(w, args);
    if (role == NULL)
        return "there is no such role";
    json_object_set_new(role, "RoleId", json_string("AROADRIFTEDNAMESAKE12"));
    by_user(w, args, "CreateRole", "iam.amazonaws.com");
    return NULL;
}

static const char *drift_untag_role(struct sim_world *w, const json_t *args)
{
    json_t *role = drift_role(w, args);
    if (role == NULL)
        return "there is no such role";
    json_object_set_new(role, "Tags", json_array());
    by_user(w, args, "UntagRole", "iam.amazonaws.com");
    return NULL;
}

static const char *drift_policy_version(struct sim_world *w, const json_t *args)
{
    json_t *policy = json_object_get(act_map(w, "iam", "policies"), act_arg(args, "policy", "doitintl_cmp"));
    if (policy == NULL)
        return "there is no such policy";
    json_object_set_new(json_object_get(policy, "versions"), "v9",
                        json_pack("{s:s, s:s}", "document",
                                  "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":"
                                  "\"ce:Get*\",\"Resource\":\"*\"}]}",
                                  "CreateDate", "2026-11-01T00:00:00Z"));
    json_object_set_new(policy, "DefaultVersionId", json_string("v9"));
    by_user(w, args, "CreatePolicyVersion", "iam.amazonaws.com");
    return NULL;
}

static const char *drift_policy_gone(struct sim_world *w, const json_t *args)
{
    if (json_object_del(act_map(w, "iam", "policies"), act_arg(args, "policy", "doitintl_cmp")) != 0)
        return "there is no such policy";
    by_user(w, args, "DeletePolicy", "iam.amazonaws.com");
    return NULL;
}

/* ---- Bucket and report ---- */

static json_t *drift_bucket(struct sim_world *w, const char **ret_name)
{
    json_t *buckets = act_map(w, "s3", "buckets"), *one;
    const char *name;
    json_object_foreach (buckets, name, one)
        if (strncmp(name, "doitintl-awsops-", 16) == 0) {
            *ret_name = name;
            return one;
        }
    return NULL;
}

/* {"setting": "tags" | "public_access_block" | "ownership" | "encryption" | "policy"}: back to unset. */
static const char *drift_bucket_setting(struct sim_world *w, const json_t *args)
{
    const char *name = "", *setting = act_arg(args, "setting", "public_access_block");
    json_t *bucket = drift_bucket(w, &name);
    if (bucket == NULL || json_object_get(bucket, setting) == NULL)
        return "there is no such bucket or setting";
    json_object_del(bucket, setting);
    by_user(w, args, "PutBucket*", "s3.amazonaws.com");
    return NULL;
}

static const char *drift_bucket_gone(struct sim_world *w, const json_t *args)
{
    const char *name = "";
    if (drift_bucket(w, &name) == NULL)
        return "there is no such bucket";
    char copy[80];
    (void)snprintf(copy, sizeof copy, "%s", name);
    json_object_del(act_map(w, "s3", "buckets"), copy);
    by_user(w, args, "DeleteBucket", "s3.amazonaws.com");
    return NULL;
}

static json_t *drift_report(struct sim_world *w)
{
    json_t *one;
    const char *name;
    json_object_foreach (act_map(w, "cur", "reports"), name, one)
        if (strncmp(name, "doitintl-awsops-", 16) == 0)
            return one;
    return NULL;
}

static const char *drift_report_definition(struct sim_world *w, const json_t *args)
{
    json_t *report = drift_report(w);
    if (report == NULL)
        return "there is no such report";
    json_object_set_new(report, "TimeUnit", json_string(act_arg(args, "time_unit", "DAILY")));
    by_user(w, args, "ModifyReportDefinition", "cur.amazonaws.com");
    return NULL;
}

static const char *drift_report_gone(struct sim_world *w, const json_t *args)
{
    json_t *report = drift_report(w);
    char name[256];
    if (report == NULL)
        return "there is no such report";
    (void)snprintf(name, sizeof name, "%s", svc_text(report, "ReportName"));
    json_object_del(act_map(w, "cur", "reports"), name);
    by_user(w, args, "DeleteReportDefinition", "cur.amazonaws.com");
    return NULL;
}

/* ---- Tax, root user, organization, partner ---- */

static const char *drift_tax_gone(struct sim_world *w, const json_t *args)
{
    json_t *one = json_object_get(act_map(w, "tax", "accounts"), w->account);
    if (one == NULL || json_object_del(one, "entry") != 0)
        return "there is no registration";
    json_object_del(one, "status");
    by_user(w, args, "DeleteTaxRegistration", "tax.amazonaws.com");
    return NULL;
}

static const char *drift_root_key(struct sim_world *w, const json_t *args)
{
    json_t *root = sim_section(w, "root"), *keys = json_object_get(root, "access_keys");
    char key_id[21], secret[41], when[32];
    (void)args;
    if (keys == NULL) {
        keys = json_object();
        json_object_set_new(root, "access_keys", keys);
    }
    sim_key_id("AKIA", w->account, key_id);
    sim_secret_key(secret);
    sim_rfc3339(sim_now_ms(), when);
    json_object_set_new(keys, key_id,
                        json_pack("{s:s, s:s, s:s}", "secret", secret, "Status", "Active", "CreateDate", when));
    act_root_event(w, "CreateAccessKey", "iam.amazonaws.com", NULL, NULL);
    return NULL;
}

static const char *drift_untrust(struct sim_world *w, const json_t *args)
{
    json_t *list = json_object_get(w->state, "trusted_services");
    if (json_array_size(list) == 0)
        return "the organization trusts no service";
    json_array_remove(list, 0);
    by_user(w, args, "DisableAWSServiceAccess", "organizations.amazonaws.com");
    return NULL;
}

static const char *drift_relationship_gone(struct sim_world *w, const json_t *args)
{
    struct sim_world *partner = sim_world_by_account(act_arg(args, "partner_account_id", "777788889999"));
    json_t *relationships = partner ? sim_at(partner, "channel.relationships") : NULL, *one;
    const char *id;
    json_object_foreach (relationships, id, one)
        if (svc_is(svc_text(one, "associatedAccountId"), w->account)) {
            char copy[64];
            (void)snprintf(copy, sizeof copy, "%s", id);
            json_object_del(relationships, copy);
            return NULL;
        }
    return "there is no relationship";
}

const struct act drift_acts[] = {
    {"drift.role_settings", drift_role_settings},
    {"drift.role_detach", drift_role_detach},
    {"drift.role_inline", drift_role_inline},
    {"drift.role_again", drift_role_again},
    {"drift.role_untag", drift_untag_role},
    {"drift.policy_version", drift_policy_version},
    {"drift.policy_gone", drift_policy_gone},
    {"drift.bucket_setting", drift_bucket_setting},
    {"drift.bucket_gone", drift_bucket_gone},
    {"drift.report_definition", drift_report_definition},
    {"drift.report_gone", drift_report_gone},
    {"drift.tax_gone", drift_tax_gone},
    {"drift.root_key", drift_root_key},
    {"drift.untrust", drift_untrust},
    {"drift.relationship_gone", drift_relationship_gone},
    {NULL, NULL},
};
