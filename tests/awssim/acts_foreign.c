/* Foreign changes: what the customer's own people and programs do to the organization while an import runs, so that
 * proofs have something to find. Done by the user "terraform" unless args say {"user"}; each leaves its CloudTrail
 * event. */
#include "acts.h"

#include <stdio.h>
#include <stdlib.h>

void act_user_event(struct sim_world *w, const char *user, const char *name, const char *source, json_t *request)
{
    char arn[128];
    (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:user/%s", w->account, user);
    sim_trail(w, name, source, "IAMUser", arn, "AKIAFOREIGNCHANGE234", request, NULL, svc_timing(w, "trail_ms", 300));
}

/* The event that was just written: where it happened, and with which program. */
static void event_put(struct sim_world *w, const char *member, const char *text)
{
    json_t *events = json_object_get(w->state, "trail_events");
    json_t *last = json_array_get(events, json_array_size(events) - 1);
    if (text[0] != '\0')
        json_object_set_new(json_object_get(last, "CloudTrailEvent"), member, json_string(text));
}

/* As our own session would have done it: with the handed-over key, or in a session of the bootstrap role. */
static void session_event(struct sim_world *w, const json_t *args, const char *name, const char *source,
                          json_t *request, uint64_t delay_ms)
{
    const char *key_id = svc_text(json_object_get(w->state, "customer"), "access_key_id");
    const char *session = act_arg(args, "session", "imp_unknown");
    char arn[192], agent[96];
    if (key_id[0] != '\0')
        (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:user/doit-onboarding", w->account);
    else
        (void)snprintf(arn, sizeof arn, "arn:aws:sts::%s:assumed-role/OrgImportBootstrap/%s", w->account, session);
    (void)snprintf(agent, sizeof agent, "orgimport import/%s", session);
    sim_trail(w, name, source, key_id[0] != '\0' ? "IAMUser" : "AssumedRole", arn,
              key_id[0] != '\0' ? key_id : "ASIAOURSESSION234567", request, NULL, delay_ms);
    event_put(w, "userAgent", agent);
}

/* args: "user"; "trail":"none" (no event), "late_ms" (it comes later), "as":"session" (ours), "region". */
static void foreign_event(struct sim_world *w, const json_t *args, const char *name, const char *source,
                          json_t *request)
{
    char arn[128];
    uint64_t delay_ms = svc_timing(w, "trail_ms", 300) + (uint64_t)svc_number(args, "late_ms");
    if (svc_is(act_arg(args, "trail", ""), "none")) {
        json_decref(request);
        return;
    }
    (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:user/%s", w->account, act_arg(args, "user", "terraform"));
    if (svc_is(act_arg(args, "as", ""), "session"))
        session_event(w, args, name, source, request, delay_ms);
    else
        sim_trail(w, name, source, "IAMUser", arn, "AKIAFOREIGNCHANGE234", request, NULL, delay_ms);
    event_put(w, "awsRegion", act_arg(args, "region", ""));
}

static json_t *foreign_role(struct sim_world *w, const json_t *args, const char *otherwise)
{
    return json_object_get(act_map(w, "iam", "roles"), act_arg(args, "role", otherwise));
}

static const char *foreign_add_tag(struct sim_world *w, const json_t *args)
{
    json_t *role = foreign_role(w, args, "app-0");
    if (role == NULL)
        return "there is no such role";
    json_array_append_new(json_object_get(role, "Tags"),
                          json_pack("{s:s, s:s}", "Key", act_arg(args, "key", "touched-by"), "Value",
                                    act_arg(args, "value", "terraform")));
    foreign_event(w, args, "TagRole", "iam.amazonaws.com",
                  json_pack("{s:s}", "roleName", act_arg(args, "role", "app-0")));
    return NULL;
}

static const char *foreign_attach_policy(struct sim_world *w, const json_t *args)
{
    json_t *role = foreign_role(w, args, "app-0");
    const char *policy = act_arg(args, "policy", "arn:aws:iam::aws:policy/ReadOnlyAccess");
    if (role == NULL)
        return "there is no such role";
    json_array_append_new(json_object_get(role, "attached"), json_string(policy));
    foreign_event(w, args, "AttachRolePolicy", "iam.amazonaws.com",
                  json_pack("{s:s, s:s}", "roleName", act_arg(args, "role", "app-0"), "policyArn", policy));
    return NULL;
}

static const char *foreign_detach_policy(struct sim_world *w, const json_t *args)
{
    json_t *role = foreign_role(w, args, "doitintl_cmp"), *attached = json_object_get(role, "attached");
    if (json_array_size(attached) == 0)
        return "there is no such role, or nothing is attached to it";
    const json_t *policy = json_array_get(attached, 0);
    foreign_event(w, args, "DetachRolePolicy", "iam.amazonaws.com",
                  json_pack("{s:s, s:s}", "roleName", act_arg(args, "role", "doitintl_cmp"), "policyArn",
                            json_string_value(policy)));
    json_array_remove(attached, 0);
    return NULL;
}

static const char *foreign_create_role(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "role", "pipeline");
    char when[32];
    sim_rfc3339(sim_now_ms(), when);
    json_t *role =
        json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:i, s:[], s:[], s:{}}", "Path", "/", "RoleName", name, "RoleId",
                  "AROAFOREIGNROLE234567", "Arn", svc_textf("arn:aws:iam::%s:role/%s", w->account, name), "CreateDate",
                  when, "AssumeRolePolicyDocument",
                  "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ec2."
                  "amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}",
                  "MaxSessionDuration", 3600, "Tags", "attached", "inline");
    json_object_set_new(act_map(w, "iam", "roles"), name, role);
    foreign_event(w, args, "CreateRole", "iam.amazonaws.com", json_pack("{s:s}", "roleName", name));
    return NULL;
}

static const char *foreign_delete_role(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "role", "doitintl_cmp");
    if (json_object_del(act_map(w, "iam", "roles"), name) != 0)
        return "there is no such role";
    foreign_event(w, args, "DeleteRole", "iam.amazonaws.com", json_pack("{s:s}", "roleName", name));
    return NULL;
}

static const char *foreign_change_trust(struct sim_world *w, const json_t *args)
{
    json_t *role = foreign_role(w, args, "doitintl_cmp");
    if (role == NULL)
        return "there is no such role";
    json_object_set_new(role, "AssumeRolePolicyDocument",
                        svc_textf("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{"
                                  "\"AWS\":\"arn:aws:iam::%s:root\"},\"Action\":\"sts:AssumeRole\"}]}",
                                  act_arg(args, "account", w->account)));
    foreign_event(w, args, "UpdateAssumeRolePolicy", "iam.amazonaws.com",
                  json_pack("{s:s}", "roleName", act_arg(args, "role", "doitintl_cmp")));
    return NULL;
}

static const char *foreign_create_user(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "name", "contractor");
    char when[32];
    sim_rfc3339(sim_now_ms(), when);
    json_t *user = json_pack("{s:s, s:s, s:s, s:o, s:s, s:[], s:b, s:[], s:[], s:{}, s:{}, s:[], s:[], s:[], s:[]}",
                             "Path", "/", "UserName", name, "UserId", "AIDAFOREIGNUSER234567", "Arn",
                             svc_textf("arn:aws:iam::%s:user/%s", w->account, name), "CreateDate", when, "Tags",
                             "login_profile", 0, "groups", "attached", "inline", "access_keys", "mfa_devices",
                             "signing_certificates", "ssh_keys", "service_credentials");
    json_object_set_new(act_map(w, "iam", "users"), name, user);
    foreign_event(w, args, "CreateUser", "iam.amazonaws.com", json_pack("{s:s}", "userName", name));
    return NULL;
}

static const char *foreign_trusted_service(struct sim_world *w, const json_t *args)
{
    const char *principal = act_arg(args, "principal", "config.amazonaws.com");
    json_t *list = json_object_get(w->state, "trusted_services");
    if (list == NULL) {
        list = json_array();
        json_object_set_new(w->state, "trusted_services", list);
    }
    json_array_append_new(
        list, json_pack("{s:s, s:I}", "ServicePrincipal", principal, "DateEnabled", (json_int_t)(sim_now_ms() / 1000)));
    foreign_event(w, args, "EnableAWSServiceAccess", "organizations.amazonaws.com",
                  json_pack("{s:s}", "servicePrincipal", principal));
    return NULL;
}

/* The node of the tree that holds this account; *ret_at is its place there. */
static json_t *foreign_holder(struct sim_world *w, const char *account, size_t *ret_at)
{
    const char *parent;
    json_t *node;
    json_object_foreach (act_map(w, "tree", "children"), parent, node) {
        json_t *accounts = json_object_get(node, "accounts");
        for (size_t i = 0; i < json_array_size(accounts); i++)
            if (svc_is(json_string_value(json_array_get(accounts, i)), account)) {
                *ret_at = i;
                return accounts;
            }
    }
    return NULL;
}

static const char *foreign_some_account(struct sim_world *w, const json_t *args)
{
    const char *account, *last = NULL;
    json_t *one;
    json_object_foreach (json_object_get(w->state, "accounts"), account, one)
        if (!svc_is(account, w->account))
            last = account;
    return act_arg(args, "account", last ? last : "");
}

/* Where an account is, as ListAccounts tells it: "o-1/r-1/ou-1/111122223333/". */
static void foreign_set_path(struct sim_world *w, const char *account, const char *parent)
{
    char path[512], longer[512], at[64];
    (void)snprintf(path, sizeof path, "%s/", account);
    (void)snprintf(at, sizeof at, "%s", parent);
    for (int depth = 0; depth < 8 && at[0] != '\0'; depth++) {
        (void)snprintf(longer, sizeof longer, "%.60s/%.440s", at, path);
        memcpy(path, longer, sizeof path);
        const char *above = "", *holder;
        json_t *node;
        json_object_foreach (act_map(w, "tree", "children"), holder, node) {
            const json_t *ous = json_object_get(node, "ous");
            for (size_t i = 0; i < json_array_size(ous); i++)
                if (svc_is(json_string_value(json_array_get(ous, i)), at))
                    above = holder;
        }
        (void)snprintf(longer, sizeof longer, "%s", above);
        (void)snprintf(at, sizeof at, "%.63s", longer);
    }
    const char *org = svc_text(json_object_get(w->state, "organization"), "Id");
    json_t *one = json_object_get(json_object_get(w->state, "accounts"), account);
    if (json_object_get(one, "Paths"))
        json_object_set_new(one, "Paths", json_pack("[o]", svc_textf("%s/%s", org, path)));
}

static const char *foreign_move_account(struct sim_world *w, const json_t *args)
{
    const char *account = foreign_some_account(w, args), *parent, *to = act_arg(args, "to", "");
    size_t at = 0;
    json_t *from = foreign_holder(w, account, &at), *node;
    if (from == NULL)
        return "there is no such account";
    json_object_foreach (act_map(w, "tree", "children"), parent, node) {
        bool wanted = to[0] != '\0' ? svc_is(parent, to) : json_object_get(node, "accounts") != from;
        if (!wanted)
            continue;
        json_array_remove(from, at);
        json_array_append_new(json_object_get(node, "accounts"), json_string(account));
        foreign_set_path(w, account, parent);
        foreign_event(w, args, "MoveAccount", "organizations.amazonaws.com",
                      json_pack("{s:s, s:s}", "accountId", account, "destinationParentId", parent));
        return NULL;
    }
    return "there is nowhere to move it to";
}

/* Anything at all, for tests: {"path": ["iam","groups","Ops"], "value": .. or null to delete}; with "event" and
 * "source" it leaves an event of that name. The objects above the last part are made when they are not there. */
static const char *foreign_edit(struct sim_world *w, const json_t *args)
{
    const json_t *path = json_object_get(args, "path");
    json_t *at = w->state, *value = json_object_get(args, "value");
    size_t count = json_array_size(path);
    if (count == 0)
        return "path is missing";
    for (size_t i = 0; i + 1 < count; i++) {
        const char *name = json_string_value(json_array_get(path, i));
        size_t index = name ? (size_t)strtoul(name, NULL, 10) : 0;
        json_t *next = json_is_array(at) ? json_array_get(at, index) : json_object_get(at, name ? name : "");
        if (next == NULL && json_is_object(at) && name) {
            next = json_object();
            json_object_set_new(at, name, next);
        }
        at = next;
    }
    const char *last = json_string_value(json_array_get(path, count - 1));
    if (json_is_array(at))
        json_array_append(at, value);
    else if (!json_is_object(at) || !last)
        return "there is no such place";
    else if (value == NULL || json_is_null(value))
        json_object_del(at, last);
    else
        json_object_set(at, last, value);
    if (act_arg(args, "event", "")[0] != '\0')
        foreign_event(w, args, act_arg(args, "event", ""), act_arg(args, "source", "iam.amazonaws.com"), json_object());
    return NULL;
}

static const char *foreign_new_account(struct sim_world *w, const json_t *args)
{
    json_t *accounts = json_object_get(w->state, "accounts"), *roots = sim_at(w, "tree.roots");
    const char *root = svc_text(json_array_get(roots, 0), "Id");
    char id[13];
    (void)snprintf(id, sizeof id, "9%.8s%03u", w->account + 1, (unsigned)(json_object_size(accounts) % 1000));
    if (accounts == NULL || root[0] == '\0')
        return "there is no organization";
    const char *org = svc_text(json_object_get(w->state, "organization"), "Id");
    json_t *one = json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:I, s:[o]}", "Id", id, "Arn",
                            svc_textf("arn:aws:organizations::%s:account/%s/%s", w->account, org, id), "Email",
                            svc_textf("aws+%s@new.example", id), "Name", "newcomer", "Status", "ACTIVE", "State",
                            "ACTIVE", "JoinedMethod", "CREATED", "JoinedTimestamp", (json_int_t)(sim_now_ms() / 1000),
                            "Paths", svc_textf("%s/%s/%s/", org, root, id));
    json_object_set_new(accounts, id, one);
    json_t *node = json_object_get(act_map(w, "tree", "children"), root);
    json_array_append_new(json_object_get(node, "accounts"), json_string(id));
    foreign_event(w, args, "CreateAccount", "organizations.amazonaws.com",
                  json_pack("{s:s}", "accountName", "newcomer"));
    return NULL;
}

static const char *foreign_new_scp(struct sim_world *w, const json_t *args)
{
    const json_t *root = json_array_get(sim_at(w, "tree.roots"), 0);
    if (root == NULL)
        return "there is no organization";
    json_t *policy = json_pack(
        "{s:{s:s, s:o, s:s, s:s, s:s, s:b}, s:s, s:[{s:s, s:s, s:s, s:s}]}", "PolicySummary", "Id", "p-foreign1", "Arn",
        svc_textf("arn:aws:organizations::%s:policy/%s/service_control_policy/p-foreign1", w->account,
                  svc_text(json_object_get(w->state, "organization"), "Id")),
        "Name", "freeze", "Description", "", "Type", "SERVICE_CONTROL_POLICY", "AwsManaged", 0, "Content",
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"ec2:RunInstances\",\"Resource\":"
        "\"*\"}]}",
        "targets", "TargetId", svc_text(root, "Id"), "Arn", svc_text(root, "Arn"), "Name", "Root", "Type", "ROOT");
    json_object_set_new(sim_section(w, "policies"), "p-foreign1", policy);
    foreign_event(w, args, "CreatePolicy", "organizations.amazonaws.com", json_pack("{s:s}", "name", "freeze"));
    foreign_event(w, args, "AttachPolicy", "organizations.amazonaws.com", json_pack("{s:s}", "policyId", "p-foreign1"));
    return NULL;
}

static const char *foreign_invite(struct sim_world *w, const json_t *args)
{
    const char *org = svc_text(json_object_get(w->state, "organization"), "Id"),
               *email = act_arg(args, "email", "later@company.example");
    json_t *list = sim_at(w, "handshakes.organization");
    if (list == NULL)
        return "there is no organization";
    json_array_append_new(
        list,
        json_pack("{s:s, s:o, s:[{s:s, s:s}, {s:s, s:s}], s:s, s:I, s:I, s:s, s:[{s:s, s:s}]}", "Id", "h-foreign1",
                  "Arn", svc_textf("arn:aws:organizations::%s:handshake/%s/invite/h-foreign1", w->account, org),
                  "Parties", "Id", org, "Type", "ORGANIZATION", "Id", email, "Type", "EMAIL", "State", "OPEN",
                  "RequestedTimestamp", (json_int_t)(sim_now_ms() / 1000), "ExpirationTimestamp",
                  (json_int_t)(sim_now_ms() / 1000 + 1209600), "Action", "INVITE", "Resources", "Value", org, "Type",
                  "ORGANIZATION"));
    foreign_event(w, args, "InviteAccountToOrganization", "organizations.amazonaws.com",
                  json_pack("{s:s}", "target", email));
    return NULL;
}

/* One more statement in a bucket's policy: by default the report's bucket, if there is one. */
static const char *foreign_bucket_statement(struct sim_world *w, const json_t *args)
{
    const char *name, *wanted = act_arg(args, "bucket", "");
    json_t *bucket = NULL, *one;
    json_object_foreach (act_map(w, "s3", "buckets"), name, one) {
        bool match = wanted[0] != '\0' ? svc_is(name, wanted) : strncmp(name, "doitintl-", 9) == 0;
        if (match)
            bucket = one;
    }
    if (bucket == NULL)
        return "there is no such bucket";
    json_t *policy = json_loads(svc_text(bucket, "policy"), 0, NULL);
    if (policy == NULL)
        policy = json_pack("{s:s, s:[]}", "Version", "2012-10-17", "Statement");
    json_array_append_new(json_object_get(policy, "Statement"),
                          json_pack("{s:s, s:s, s:s, s:s, s:o}", "Sid", act_arg(args, "sid", "AuditReads"), "Effect",
                                    act_arg(args, "effect", "Allow"), "Principal", "*", "Action",
                                    "s3:GetBucketLocation", "Resource",
                                    svc_textf("arn:aws:s3:::%s", svc_text(bucket, "Name"))));
    char *text = json_dumps(policy, JSON_COMPACT);
    json_object_set_new(bucket, "policy", json_string(text ? text : ""));
    foreign_event(w, args, "PutBucketPolicy", "s3.amazonaws.com",
                  json_pack("{s:s}", "bucketName", svc_text(bucket, "Name")));
    free(text);
    json_decref(policy);
    return NULL;
}

static const char *foreign_new_bucket(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "bucket", "");
    char own[64], when[32];
    (void)snprintf(own, sizeof own, "foreign-%s", w->account);
    sim_rfc3339(sim_now_ms(), when);
    if (name[0] == '\0')
        name = own;
    json_object_set_new(act_map(w, "s3", "buckets"), name,
                        json_pack("{s:s, s:s, s:s, s:s, s:{}}", "Name", name, "CreationDate", when, "region",
                                  act_arg(args, "region", "us-east-1"), "acl", "private", "objects"));
    foreign_event(w, args, "CreateBucket", "s3.amazonaws.com", json_pack("{s:s}", "bucketName", name));
    return NULL;
}

/* The first statement of the report bucket's policy that is not of Sid `keep` goes. */
static const char *foreign_bucket_statement_lost(struct sim_world *w, const json_t *args)
{
    const char *name;
    json_t *one;
    json_object_foreach (act_map(w, "s3", "buckets"), name, one) {
        json_t *policy = strncmp(name, "doitintl-", 9) == 0 ? json_loads(svc_text(one, "policy"), 0, NULL) : NULL;
        if (json_array_size(json_object_get(policy, "Statement")) == 0) {
            json_decref(policy);
            continue;
        }
        json_array_remove(json_object_get(policy, "Statement"), 0);
        char *text = json_dumps(policy, JSON_COMPACT);
        json_object_set_new(one, "policy", json_string(text ? text : ""));
        foreign_event(w, args, "PutBucketPolicy", "s3.amazonaws.com", json_pack("{s:s}", "bucketName", name));
        free(text);
        json_decref(policy);
        return NULL;
    }
    return "there is no such bucket";
}

static const char *foreign_second_report(struct sim_world *w, const json_t *args)
{
    const char *name = act_arg(args, "report", "second");
    json_t *reports = act_map(w, "cur", "reports");
    json_t *first = json_object_iter_value(json_object_iter(reports));
    if (first == NULL)
        return "there is no report to take as a pattern";
    json_t *copy = json_deep_copy(first);
    json_object_set_new(json_is_object(json_object_get(copy, "definition")) ? json_object_get(copy, "definition")
                                                                            : copy,
                        "ReportName", json_string(name));
    json_object_set_new(reports, name, copy);
    foreign_event(w, args, "PutReportDefinition", "cur.amazonaws.com",
                  json_pack("{s:{s:s}}", "reportDefinition", "reportName", name));
    return NULL;
}

/* Our report becomes a daily one: same name, same tags. */
static const char *foreign_change_report(struct sim_world *w, const json_t *args)
{
    const char *name;
    json_t *one;
    json_object_foreach (act_map(w, "cur", "reports"), name, one) {
        json_t *definition = json_object_get(one, "definition");
        if (strncmp(name, "doitintl-", 9) != 0)
            continue;
        json_object_set_new(definition ? definition : one, "TimeUnit", json_string("DAILY"));
        foreign_event(w, args, "ModifyReportDefinition", "cur.amazonaws.com", json_pack("{s:s}", "reportName", name));
        return NULL;
    }
    return "our report is not there";
}

static const char *foreign_root_device(struct sim_world *w, const json_t *args)
{
    char serial[96], when[32];
    json_t *root = sim_section(w, "root"), *devices = json_object_get(root, "mfa_devices");
    (void)snprintf(serial, sizeof serial, "arn:aws:iam::%s:mfa/%.32s", w->account, act_arg(args, "device", "spare"));
    sim_rfc3339(sim_now_ms(), when);
    if (devices == NULL || json_array_size(devices) >= 8)
        return "root takes no more devices";
    json_array_append_new(devices,
                          json_pack("{s:s, s:s, s:b}", "SerialNumber", serial, "EnableDate", when, "virtual", 1));
    foreign_event(w, args, "EnableMFADevice", "iam.amazonaws.com",
                  json_pack("{s:s, s:s}", "userName", "AWS ROOT USER", "serialNumber", serial));
    return NULL;
}

static const char *foreign_delete_report(struct sim_world *w, const json_t *args)
{
    json_t *reports = act_map(w, "cur", "reports");
    const char *name =
        act_arg(args, "report",
                json_object_iter_key(json_object_iter(reports)) ? json_object_iter_key(json_object_iter(reports)) : "");
    if (json_object_get(reports, name) == NULL)
        return "there is no such report";
    foreign_event(w, args, "DeleteReportDefinition", "cur.amazonaws.com", json_pack("{s:s}", "reportName", name));
    json_object_del(reports, name);
    return NULL;
}

static const char *foreign_contact(struct sim_world *w, const json_t *args)
{
    json_object_set_new(act_map(w, "contact", "information"), "FullName",
                        json_string(act_arg(args, "name", "N. Ewperson")));
    foreign_event(w, args, "PutContactInformation", "account.amazonaws.com", NULL);
    return NULL;
}

static const char *foreign_tax_inheritance(struct sim_world *w, const json_t *args)
{
    json_object_set_new(sim_section(w, "tax"), "inheritance", json_string(act_arg(args, "status", "OptIn")));
    foreign_event(w, args, "PutTaxInheritance", "tax.amazonaws.com", NULL);
    return NULL;
}

const struct act foreign_acts[] = {
    {"foreign.add_tag", foreign_add_tag},
    {"foreign.attach_policy", foreign_attach_policy},
    {"foreign.detach_policy", foreign_detach_policy},
    {"foreign.create_role", foreign_create_role},
    {"foreign.delete_role", foreign_delete_role},
    {"foreign.change_trust", foreign_change_trust},
    {"foreign.create_user", foreign_create_user},
    {"foreign.trusted_service", foreign_trusted_service},
    {"foreign.move_account", foreign_move_account},
    {"foreign.new_account", foreign_new_account},
    {"foreign.new_scp", foreign_new_scp},
    {"foreign.invite", foreign_invite},
    {"foreign.bucket_statement", foreign_bucket_statement},
    {"foreign.bucket_statement_lost", foreign_bucket_statement_lost},
    {"foreign.second_report", foreign_second_report},
    {"foreign.change_report", foreign_change_report},
    {"foreign.root_device", foreign_root_device},
    {"foreign.new_bucket", foreign_new_bucket},
    {"foreign.delete_report", foreign_delete_report},
    {"foreign.contact", foreign_contact},
    {"foreign.tax_inheritance", foreign_tax_inheritance},
    {"foreign.edit", foreign_edit},
    {NULL, NULL},
};
