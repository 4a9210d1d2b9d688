/* IAM, the account as a whole: summary, everything at once, simulation, reports, providers. */
#include "sim_iam.h"

#include <stdlib.h>

/* ---- GetAccountSummary ---- */

static json_int_t members_with(const json_t *all, const char *list)
{
    json_int_t count = 0;
    const char *name;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)all, name, one)
        count += (json_int_t)json_array_size(json_object_get(one, list));
    return count;
}

static void put_quota(struct sim_request *rq, json_t *map, const char *name, json_int_t otherwise)
{
    const json_t *own =
        json_object_get(json_object_get(sim_account_iam(rq->world, rq->caller_account), "quotas"), name);
    json_object_set_new(map, name, json_integer(json_is_integer(own) ? json_integer_value(own) : otherwise));
}

static void get_account_summary(struct sim_request *rq)
{
    static const struct {
        const char *name;
        json_int_t value;
    } quotas[] = {{"UsersQuota", 5000},
                  {"GroupsQuota", 300},
                  {"RolesQuota", 1000},
                  {"PoliciesQuota", 1500},
                  {"AccessKeysPerUserQuota", 2},
                  {"AttachedPoliciesPerRoleQuota", 10},
                  {"AttachedPoliciesPerUserQuota", 10},
                  {"AttachedPoliciesPerGroupQuota", 10},
                  {"AssumeRolePolicySizeQuota", 2048},
                  {"PolicySizeQuota", 6144},
                  {"UserPolicySizeQuota", 2048},
                  {"GroupPolicySizeQuota", 5120},
                  {"VersionsPerPolicyQuota", 5},
                  {"PolicyVersionsInUseQuota", 10000},
                  {"SigningCertificatesPerUserQuota", 2},
                  {"ServerCertificatesQuota", 20},
                  {"GroupsPerUserQuota", 10},
                  {"InstanceProfilesQuota", 1000},
                  {"GlobalEndpointTokenVersion", 1}};
    const json_t *root = sim_account_root(rq->world, rq->caller_account);
    const json_t *iam = sim_account_iam(rq->world, rq->caller_account);
    const json_t *password = json_object_get(root, "password");
    json_int_t root_mfa = (json_int_t)json_array_size(json_object_get(root, "mfa_devices"));
    json_int_t user_mfa = members_with(iam_all(rq, IAM_USER), "mfa_devices"), versions = 0;
    const char *name;
    json_t *policy, *map = json_object();
    json_object_foreach (iam_all(rq, IAM_POLICY), name, policy)
        versions += (json_int_t)json_object_size(json_object_get(policy, "versions"));
    for (size_t i = 0; i < sizeof quotas / sizeof quotas[0]; i++)
        put_quota(rq, map, quotas[i].name, quotas[i].value);
    json_t *counts = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:I, s:i}", "Users",
        (json_int_t)json_object_size(iam_all(rq, IAM_USER)), "Groups",
        (json_int_t)json_object_size(iam_all(rq, IAM_GROUP)), "Roles",
        (json_int_t)json_object_size(iam_all(rq, IAM_ROLE)), "Policies",
        (json_int_t)json_object_size(iam_all(rq, IAM_POLICY)), "PolicyVersionsInUse", versions, "MFADevices",
        root_mfa + user_mfa, "MFADevicesInUse", root_mfa + user_mfa, "AccountMFAEnabled", (json_int_t)(root_mfa > 0),
        "AccountAccessKeysPresent", (json_int_t)(json_object_size(json_object_get(root, "access_keys")) > 0),
        "AccountPasswordPresent", (json_int_t)!json_is_false(password), "ServerCertificates", 0, "Providers",
        (json_int_t)(json_array_size(json_object_get(iam, "saml")) + json_array_size(json_object_get(iam, "oidc"))),
        "AccountSigningCertificatesPresent", 0);
    json_object_update(map, counts);
    json_decref(counts);
    json_object_set_new(map, "InstanceProfiles",
                        json_integer(members_with(iam_all(rq, IAM_ROLE), "instance_profiles")));
    sim_ok_query(rq, json_pack("{s:{s:o}}", "SummaryMap", "$map", map));
}

/* ---- GetAccountAuthorizationDetails ---- */

static json_t *inline_list(const json_t *owner)
{
    json_t *list = json_array();
    const char *name;
    json_t *document;
    json_object_foreach (json_object_get(owner, "inline"), name, document)
        json_array_append_new(list, json_pack("{s:s, s:o}", "PolicyName", name, "PolicyDocument",
                                              iam_document(json_string_value(document))));
    return list;
}

static json_t *detail_of_user(const json_t *user)
{
    static const char *const names[] = {"Path", "UserName", "UserId", "Arn", "CreateDate", "Tags", NULL};
    json_t *detail = iam_copy(user, names);
    json_object_set_new(detail, "UserPolicyList", inline_list(user));
    json_object_set_new(detail, "AttachedManagedPolicies", iam_attached(user));
    json_t *groups = json_object_get(user, "groups");
    json_object_set_new(detail, "GroupList", groups ? json_copy(groups) : json_array());
    return detail;
}

static json_t *detail_of_group(const json_t *group)
{
    static const char *const names[] = {"Path", "GroupName", "GroupId", "Arn", "CreateDate", NULL};
    json_t *detail = iam_copy(group, names);
    json_object_set_new(detail, "GroupPolicyList", inline_list(group));
    json_object_set_new(detail, "AttachedManagedPolicies", iam_attached(group));
    return detail;
}

static json_t *detail_of_role(const json_t *role)
{
    static const char *const names[] = {
        "Path", "RoleName", "RoleId", "Arn", "CreateDate", "Tags", "PermissionsBoundary", NULL};
    json_t *detail = iam_copy(role, names);
    json_object_set_new(detail, "AssumeRolePolicyDocument", iam_document(svc_text(role, "AssumeRolePolicyDocument")));
    json_object_set_new(detail, "RolePolicyList", inline_list(role));
    json_object_set_new(detail, "AttachedManagedPolicies", iam_attached(role));
    json_object_set_new(detail, "InstanceProfileList", json_array());
    /* Volatile on purpose: a fingerprint that forgets to drop it never agrees with itself. */
    json_object_set_new(detail, "RoleLastUsed",
                        json_pack("{s:o, s:s}", "LastUsedDate", iam_now(), "Region", "us-east-1"));
    return detail;
}

static json_t *detail_of_policy(const json_t *policy)
{
    static const char *const names[] = {"PolicyName",  "PolicyId",   "Arn",        "Path", "DefaultVersionId",
                                        "Description", "CreateDate", "UpdateDate", NULL};
    json_t *detail = iam_copy(policy, names), *versions = json_array();
    const char *id;
    json_t *version;
    json_object_foreach (json_object_get(policy, "versions"), id, version)
        json_array_append_new(versions,
                              json_pack("{s:o, s:s, s:b, s:O}", "Document", iam_document(svc_text(version, "document")),
                                        "VersionId", id, "IsDefaultVersion",
                                        (int)svc_is(id, svc_text(policy, "DefaultVersionId")), "CreateDate",
                                        json_object_get(version, "CreateDate")));
    json_object_set_new(detail, "PolicyVersionList", versions);
    json_object_set_new(detail, "IsAttachable", json_true());
    return detail;
}

static const struct {
    enum iam_kind kind;
    const char *filter, *list;
    json_t *(*detail)(const json_t *one);
} details[] = {
    {IAM_USER, "User", "UserDetailList", detail_of_user},
    {IAM_GROUP, "Group", "GroupDetailList", detail_of_group},
    {IAM_ROLE, "Role", "RoleDetailList", detail_of_role},
    {IAM_POLICY, "LocalManagedPolicy", "Policies", detail_of_policy},
};

static bool is_filtered_out(const struct sim_request *rq, const char *word)
{
    const json_t *filter = json_object_get(rq->params, "Filter");
    for (size_t i = 0; i < json_array_size(filter); i++)
        if (svc_is(json_string_value(json_array_get(filter, i)), word))
            return false;
    return json_array_size(filter) > 0;
}

/* One paged walk over users, then groups, roles and policies, as in AWS. */
static void get_account_authorization_details(struct sim_request *rq)
{
    const char *max_text = sim_param(rq, "MaxItems"), *marker = sim_param(rq, "Marker");
    size_t max = max_text[0] ? strtoul(max_text, NULL, 10) : 100, start = 0, at = 0;
    if (max < 1 || max > 1000 || (marker[0] && strncmp(marker, "d-", 2) != 0)) {
        sim_error(rq, 400, "ValidationError", "MaxItems is 1 to 1000; a Marker comes from the page before");
        return;
    }
    if (marker[0])
        start = strtoul(marker + 2, NULL, 10);
    if (sim_trap("iam_short_pages") && max > 30)
        max = 30;
    json_t *result = json_object();
    bool more = false;
    for (size_t d = 0; d < 4; d++) {
        json_t *list = json_array();
        const char *name;
        json_t *one;
        if (!is_filtered_out(rq, details[d].filter))
            json_object_foreach (iam_all(rq, details[d].kind), name, one) {
                if (at >= start && at < start + max)
                    json_array_append_new(list, details[d].detail(one));
                more = more || at >= start + max;
                at++;
            }
        json_object_set_new(result, details[d].list, list);
    }
    json_object_set_new(result, "IsTruncated", json_boolean(more));
    if (more)
        json_object_set_new(result, "Marker", svc_textf("d-%zu", start + max));
    sim_ok_query(rq, result);
}

/* ---- SimulatePrincipalPolicy ---- */

/* ContextEntries as {"key":["value"]}. */
static json_t *context_of(const json_t *params)
{
    json_t *context = json_object();
    const json_t *entries = json_object_get(params, "ContextEntries");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *one = json_array_get(entries, i);
        json_t *values = json_object_get(one, "ContextKeyValues");
        json_object_set(context, svc_text(one, "ContextKeyName"), values);
    }
    return context;
}

static json_t *one_evaluation(struct sim_world *w, const struct sim_question *q)
{
    struct sim_reason why = {0};
    const char *decision = sim_decide(w, q, &why);
    json_t *matched = json_array();
    if (why.is_explicit && why.source[0])
        json_array_append_new(matched,
                              json_pack("{s:s, s:s}", "SourcePolicyId", why.source, "SourcePolicyType", "IAM Policy"));
    json_t *one = json_pack("{s:s, s:s, s:s, s:o, s:[]}", "EvalActionName", q->action, "EvalResourceName", q->resource,
                            "EvalDecision", decision, "MatchedStatements", matched, "MissingContextValues");
    if (why.boundary_silent)
        json_object_set_new(one, "PermissionsBoundaryDecisionDetail",
                            json_pack("{s:s}", "AllowedByPermissionsBoundary", "false"));
    if (why.organization_deny)
        json_object_set_new(one, "OrganizationsDecisionDetail", json_pack("{s:s}", "AllowedByOrganizations", "false"));
    return one;
}

static void simulate_principal_policy(struct sim_request *rq)
{
    const char *source = sim_param(rq, "PolicySourceArn");
    const json_t *actions = json_object_get(rq->params, "ActionNames"),
                 *resources = json_object_get(rq->params, "ResourceArns");
    const char *name = strrchr(source, '/');
    bool role = strstr(source, ":role/") != NULL;
    if (!name || json_array_size(actions) == 0 || strstr(source, ":assumed-role/")) {
        sim_error(rq, 400, "InvalidInput", "Invalid Entity Arn: %s does not clearly define entity type and name.",
                  source);
        return;
    }
    if (!iam_get(rq, role ? IAM_ROLE : strstr(source, ":group/") ? IAM_GROUP : IAM_USER, name + 1))
        return;
    json_t *all = json_array(), *context = context_of(rq->params);
    size_t many = json_array_size(resources) > 0 ? json_array_size(resources) : 1;
    for (size_t i = 0; i < json_array_size(actions); i++)
        for (size_t k = 0; k < many; k++) {
            const char *action = json_string_value(json_array_get(actions, i));
            const char *resource = json_string_value(json_array_get(resources, k));
            struct sim_question q = {.account = rq->caller_account,
                                     .principal_arn = source,
                                     .action = action ? action : "",
                                     .resource = resource ? resource : "*",
                                     .context = context};
            json_array_append_new(all, one_evaluation(rq->world, &q));
        }
    json_decref(context);
    iam_page(rq, NULL, "EvaluationResults", all);
}

/* ---- credential report ---- */

struct report {
    uint64_t made_ms, asked_ms;
    char *csv;
};
static struct sim_map reports; /* not in the state: making one changes nothing in the account */

static char *write_report(struct sim_request *rq)
{
    struct sim_text t = {0};
    const json_t *root = sim_account_root(rq->world, rq->caller_account);
    bool mfa = json_array_size(json_object_get(root, "mfa_devices")) > 0;
    bool keys = json_object_size(json_object_get(root, "access_keys")) > 0;
    sim_text_puts(&t, "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
                      "password_next_rotation,mfa_active,access_key_1_active\n");
    sim_text_printf(&t,
                    "<root_account>,arn:aws:iam::%s:root,2019-01-01T00:00:00+00:00,not_supported,no_information,"
                    "not_supported,not_supported,%s,%s\n",
                    rq->caller_account, mfa ? "true" : "false", keys ? "true" : "false");
    const char *name;
    json_t *user;
    json_object_foreach (iam_all(rq, IAM_USER), name, user)
        sim_text_printf(&t, "%s,%s,%s,%s,N/A,N/A,N/A,%s,%s\n", name, svc_text(user, "Arn"),
                        svc_text(user, "CreateDate"),
                        json_is_true(json_object_get(user, "login_profile")) ? "true" : "false",
                        json_array_size(json_object_get(user, "mfa_devices")) > 0 ? "true" : "false",
                        json_object_size(json_object_get(user, "access_keys")) > 0 ? "true" : "false");
    return t.data;
}

static void generate_report(struct sim_request *rq)
{
    struct report *report = sim_map_get(&reports, rq->caller_account);
    uint64_t now = sim_now_ms();
    if (!report) {
        report = calloc(1, sizeof *report);
        if (!report)
            abort();
        sim_map_put(&reports, rq->caller_account, report);
    }
    bool stale = !report->csv || !sim_trap("iam_credential_report_stale") || now >= report->made_ms + 4u * 3600000u;
    if (stale && report->asked_ms == 0) {
        report->asked_ms = now;
        sim_ok_query(rq, json_pack("{s:s, s:s}", "State", "STARTED", "Description",
                                   "No report exists. Starting a new report "
                                   "generation task"));
        return;
    }
    if (stale) {
        free(report->csv);
        report->csv = write_report(rq);
        report->made_ms = now;
        report->asked_ms = 0;
    }
    sim_ok_query(rq, json_pack("{s:s}", "State", "COMPLETE"));
}

static void get_report(struct sim_request *rq)
{
    const struct report *report = sim_map_get(&reports, rq->caller_account);
    if (!report || !report->csv) {
        if (report)
            sim_error(rq, 404, "ReportInProgress", "Report is still being generated");
        else
            sim_error(rq, 410, "ReportNotPresent", "No report is present");
        return;
    }
    char at[32], *content = sim_base64(report->csv, strlen(report->csv));
    sim_rfc3339(report->made_ms, at);
    sim_ok_query(rq, json_pack("{s:s, s:s, s:s}", "Content", content, "ReportFormat", "text/csv", "GeneratedTime", at));
    free(content);
}

/* ---- lists of the account ---- */

static void list_of_account(struct sim_request *rq, const char *section, const char *answer_name, bool paged)
{
    json_t *list = json_object_get(sim_account_iam(rq->world, rq->caller_account), section);
    json_t *copy = json_is_array(list) ? json_copy(list) : json_array();
    if (paged)
        iam_page(rq, NULL, answer_name, copy);
    else
        sim_ok_query(rq, json_pack("{s:o}", answer_name, copy));
}

static void list_aliases(struct sim_request *rq)
{
    list_of_account(rq, "aliases", "AccountAliases", true);
}

static void list_saml(struct sim_request *rq)
{
    list_of_account(rq, "saml", "SAMLProviderList", false);
}

static void list_oidc(struct sim_request *rq)
{
    list_of_account(rq, "oidc", "OpenIDConnectProviderList", false);
}

static void list_groups(struct sim_request *rq)
{
    static const char *const names[] = {"Path", "GroupName", "GroupId", "Arn", "CreateDate", NULL};
    json_t *list = json_array();
    const char *name;
    json_t *group;
    json_object_foreach (iam_all(rq, IAM_GROUP), name, group)
        json_array_append_new(list, iam_copy(group, names));
    iam_page(rq, NULL, "Groups", list);
}

static void add_virtual(struct sim_request *rq, json_t *list, const json_t *devices, const char *arn, const char *id)
{
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        const json_t *is_virtual = json_object_get(device, "virtual");
        if (json_is_false(is_virtual) || (!is_virtual && !strstr(svc_text(device, "SerialNumber"), ":mfa/")))
            continue; /* passkeys and hardware keys are not virtual devices */
        json_array_append_new(list, json_pack("{s:O, s:O, s:{s:s, s:s, s:s}}", "SerialNumber",
                                              json_object_get(device, "SerialNumber"), "EnableDate",
                                              json_object_get(device, "EnableDate"), "User", "Arn", arn, "UserId", id,
                                              "CreateDate", "2019-01-01T00:00:00Z"));
    }
    (void)rq;
}

static void list_virtual_mfa(struct sim_request *rq)
{
    json_t *list = json_array();
    char arn[64];
    (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:root", rq->caller_account);
    if (!svc_is(sim_param(rq, "AssignmentStatus"), "Unassigned")) {
        add_virtual(rq, list, json_object_get(sim_account_root(rq->world, rq->caller_account), "mfa_devices"), arn,
                    rq->caller_account);
        const char *name;
        json_t *user;
        json_object_foreach (iam_all(rq, IAM_USER), name, user)
            add_virtual(rq, list, json_object_get(user, "mfa_devices"), svc_text(user, "Arn"),
                        svc_text(user, "UserId"));
    }
    iam_page(rq, NULL, "VirtualMFADevices", list);
}

static void get_password_policy(struct sim_request *rq)
{
    json_t *policy = json_object_get(sim_account_iam(rq->world, rq->caller_account), "password_policy");
    if (policy)
        sim_ok_query(rq, json_pack("{s:O}", "PasswordPolicy", policy));
    else
        sim_error(rq, 404, "NoSuchEntity", "The Password Policy with domain name %s cannot be found.",
                  rq->caller_account);
}

static void list_organizations_features(struct sim_request *rq)
{
    const char *id = svc_text(json_object_get(rq->world->state, "organization"), "Id");
    json_t *features = json_object_get(sim_account_iam(rq->world, rq->caller_account), "organizations_features");
    if (!id[0])
        sim_error(rq, 400, "OrganizationNotFound", "The account is not part of an organization.");
    else if (!svc_is(rq->caller_account, rq->world->account))
        sim_error(rq, 400, "CallerIsNotManagementAccount", "Only the management account may ask this.");
    else
        sim_ok_query(rq, json_pack("{s:s, s:o}", "OrganizationId", id, "EnabledFeatures",
                                   features ? json_copy(features) : json_array()));
}

const struct sim_op sim_ops_iam[] = {
    {"iam", "GetAccountSummary", false, get_account_summary},
    {"iam", "GetAccountAuthorizationDetails", false, get_account_authorization_details},
    {"iam", "SimulatePrincipalPolicy", false, simulate_principal_policy},
    {"iam", "GenerateCredentialReport", false, generate_report},
    {"iam", "GetCredentialReport", false, get_report},
    {"iam", "ListAccountAliases", false, list_aliases},
    {"iam", "ListSAMLProviders", false, list_saml},
    {"iam", "ListOpenIDConnectProviders", false, list_oidc},
    {"iam", "ListGroups", false, list_groups},
    {"iam", "ListVirtualMFADevices", false, list_virtual_mfa},
    {"iam", "GetAccountPasswordPolicy", false, get_password_policy},
    {"iam", "ListOrganizationsFeatures", false, list_organizations_features},
    {0},
};
