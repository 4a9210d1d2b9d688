/* The organization of a world: accounts, tree, policies, trusted services, delegation, handshakes, tags, features. */
#include "worlds.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *org_arn(const struct make *m, const char *type, const char *id)
{
    return svc_textf("arn:aws:organizations::%s:%s/%s%s%s", m->w->account, type, m->org, id[0] ? "/" : "", id);
}

static void org_account(struct make *m, const char *account, const char *name, const char *email, const char *state,
                        bool created)
{
    json_t *arn = org_arn(m, "account", account);
    json_t *one = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s}", "Id", account, "Arn", arn, "Email", email, "Name",
                            name, "Status", svc_is(state, "ACTIVE") ? "ACTIVE" : "SUSPENDED", "State", state,
                            "JoinedMethod", created ? "CREATED" : "INVITED");
    json_object_set_new(one, "JoinedTimestamp", make_seconds(m->founded_ms + make_below(m, 200) * 86400000u));
    json_object_set_new(one, "Paths", json_array());
    json_object_set_new(make_section(m, "accounts"), account, one);
}

static void org_place(struct make *m, const char *parent, const char *list, const char *child)
{
    json_t *children = make_map(m, "tree", "children");
    json_t *node = json_object_get(children, parent);
    if (node == NULL) {
        node = json_pack("{s:[], s:[]}", "ous", "accounts");
        json_object_set_new(children, parent, node);
    }
    json_array_append_new(json_object_get(node, list), json_string(child));
}

/* ---- The tree
 * ---------------------------------------------------------------------------------------------------------- */

#define UNITS_MAX 512

struct units {
    unsigned count;
    char id[UNITS_MAX][32];
    char path[UNITS_MAX][200];
    unsigned depth[UNITS_MAX];
};

/* Unit 0 is the root; every other hangs below an earlier one, five deep at most. */
static void org_units(struct make *m, struct units *u)
{
    static const char *const names[] = {"Workloads",  "Sandbox", "Security",  "Infrastructure",
                                        "Production", "Staging", "Suspended", "Exceptions"};
    unsigned wanted = 1 + (unsigned)make_below(m, 4) + m->members / 12;
    if (wanted > UNITS_MAX - 1)
        wanted = UNITS_MAX - 1;
    (void)snprintf(u->id[0], sizeof u->id[0], "%s", m->root);
    (void)snprintf(u->path[0], sizeof u->path[0], "%s/%s/", m->org, m->root);
    u->count = 1;
    for (unsigned i = 1; i <= wanted; i++) {
        unsigned parent = (unsigned)make_below(m, u->count);
        char letters[9];
        if (u->depth[parent] >= 5)
            parent = 0;
        make_letters(m, false, 8, letters);
        (void)snprintf(u->id[i], sizeof u->id[i], "ou-%s-%s", m->root + 2, letters);
        (void)snprintf(u->path[i], sizeof u->path[i], "%.150s%s/", u->path[parent], u->id[i]);
        u->depth[i] = u->depth[parent] + 1;
        json_t *unit = json_pack("{s:s, s:o, s:o}", "Id", u->id[i], "Arn", org_arn(m, "ou", u->id[i]), "Name",
                                 i <= 8 ? json_string(names[i - 1]) : svc_textf("Team %u", i));
        json_object_set_new(make_map(m, "tree", "ous"), u->id[i], unit);
        org_place(m, u->id[parent], "ous", u->id[i]);
        u->count = i + 1;
    }
}

static void org_members(struct make *m, const struct units *u)
{
    static const char *const uses[] = {"prod", "staging", "dev", "logs", "audit", "shared", "data", "sandbox"};
    for (unsigned n = 1; n <= m->members; n++) {
        char account[13], name[64], email[96];
        unsigned unit = (unsigned)make_below(m, u->count);
        make_member_account(m, n, account);
        (void)snprintf(name, sizeof name, "%s-%u", uses[n % 8], n);
        (void)snprintf(email, sizeof email, "aws+%s%u@%s", uses[n % 8], n, m->domain);
        org_account(m, account, name, email, "ACTIVE", make_chance(m, 80));
        org_place(m, u->id[unit], "accounts", account);
        json_t *one = json_object_get(make_section(m, "accounts"), account);
        json_array_append_new(json_object_get(one, "Paths"), svc_textf("%s%s/", u->path[unit], account));
        if (make_chance(m, 20))
            json_object_set_new(make_section(m, "org_tags"), account,
                                json_pack("[{s:s, s:s}, {s:s, s:s}]", "Key", "cost-center", "Value", uses[(n + 3) % 8],
                                          "Key", "owner", "Value", m->domain));
    }
}

/* ---- Policies
 * ---------------------------------------------------------------------------------------------------------- */

static json_t *policy_target(struct make *m, const char *id)
{
    const char *type = id[0] == 'r' ? "ROOT" : id[0] == 'o' ? "ORGANIZATIONAL_UNIT" : "ACCOUNT";
    const char *arn_type = id[0] == 'r' ? "root" : id[0] == 'o' ? "ou" : "account";
    const json_t *named = json_object_get(id[0] == 'o' ? make_map(m, "tree", "ous") : make_section(m, "accounts"), id);
    return json_pack("{s:s, s:o, s:s, s:s}", "TargetId", id, "Arn", org_arn(m, arn_type, id), "Name",
                     id[0] == 'r' ? "Root" : svc_text(named, "Name"), "Type", type);
}

void make_policy(struct make *m, const char *type, const char *name, const char *content, const char *const *targets)
{
    char lower[64], id[16] = "p-";
    size_t at = 0;
    for (; type[at] != '\0' && at < sizeof lower - 1; at++)
        lower[at] = (char)(type[at] >= 'A' && type[at] <= 'Z' ? type[at] + 32 : type[at]);
    lower[at] = '\0';
    make_letters(m, false, 8, id + 2);
    json_t *policy = json_pack("{s:{s:s, s:o, s:s, s:s, s:s, s:b}, s:s, s:[]}", "PolicySummary", "Id", id, "Arn",
                               svc_textf("arn:aws:organizations::%s:policy/%s/%s/%s", m->w->account, m->org, lower, id),
                               "Name", name, "Description", "Made by the customer", "Type", type, "AwsManaged", 0,
                               "Content", content, "targets");
    for (size_t i = 0; targets != NULL && targets[i] != NULL; i++)
        json_array_append_new(json_object_get(policy, "targets"), policy_target(m, targets[i]));
    json_object_set_new(make_section(m, "policies"), id, policy);
}

static void org_full_access(struct make *m, const struct units *u)
{
    json_t *policy = json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:s, s:b}, s:s, s:[]}", "PolicySummary", "Id", "p-FullAWSAccess", "Arn",
        "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", "Name", "FullAWSAccess",
        "Description", "Allows access to every operation", "Type", "SERVICE_CONTROL_POLICY", "AwsManaged", 1, "Content",
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
        "targets");
    json_t *targets = json_object_get(policy, "targets");
    for (unsigned i = 0; i < u->count; i++)
        json_array_append_new(targets, policy_target(m, u->id[i]));
    const char *account;
    json_t *one;
    json_object_foreach (make_section(m, "accounts"), account, one)
        json_array_append_new(targets, policy_target(m, account));
    json_object_set_new(make_section(m, "policies"), "p-FullAWSAccess", policy);
}

static void org_policies(struct make *m, const struct units *u)
{
    static const char *const deny[][2] = {
        {"deny-leave", "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"DenyLeave\",\"Effect\":\"Deny\","
                       "\"Action\":\"organizations:LeaveOrganization\",\"Resource\":\"*\"}]}"},
        {"deny-regions", "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"DenyRegions\",\"Effect\":\"Deny\","
                         "\"NotAction\":[\"iam:*\",\"organizations:*\",\"s3:*\"],"
                         "\"Resource\":\"*\",\"Condition\":{\"StringNotEquals\":{\"aws:RequestedRegion\":[\"eu-west-"
                         "1\",\"us-east-1\"]}}}]}"},
        {"deny-root", "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"DenyRoot\",\"Effect\":\"Deny\",\"Action\":"
                      "\"*\",\"Resource\":\"*\","
                      "\"Condition\":{\"StringLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::*:root\"}}}]}"},
        {"protect-trail", "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Deny\", \"Action\": "
                          "[\"cloudtrail:StopLogging\", \"cloudtrail:DeleteTrail\"], \"Resource\": \"*\"}]}"},
    };
    unsigned wanted = 1 + (unsigned)make_below(m, 3) + m->members / 25;
    org_full_access(m, u);
    for (unsigned i = 0; i < wanted && i < 60; i++) {
        char name[64];
        const char *targets[] = {u->id[make_below(m, u->count)], NULL};
        (void)snprintf(name, sizeof name, i < 4 ? "%s" : "%s-%u", deny[i % 4][0], i);
        make_policy(m, "SERVICE_CONTROL_POLICY", name, deny[i % 4][1], targets);
    }
    if (!make_chance(m, 40))
        return;
    const char *at_root[] = {m->root, NULL};
    make_policy(m, "TAG_POLICY", "cost-tags",
                "{\"tags\":{\"cost-center\":{\"tag_key\":{\"@@assign\":\"cost-center\"}}}}", at_root);
}

/* ---- Trusted services, delegation, features
 * ------------------------------------------------------------------------------ */

static void org_trust(struct make *m, const char *principal)
{
    json_t *list = json_object_get(m->state, "trusted_services");
    if (list == NULL) {
        list = json_array();
        json_object_set_new(m->state, "trusted_services", list);
    }
    json_array_append_new(list, json_pack("{s:s, s:o}", "ServicePrincipal", principal, "DateEnabled",
                                          make_seconds(m->founded_ms + make_below(m, 90) * 86400000u)));
}

static void org_delegate(struct make *m, const char *account, const char *principal)
{
    json_t *one = json_object_get(make_section(m, "delegated"), account);
    json_t *when = make_seconds(m->founded_ms + 100u * 86400000u);
    if (one == NULL) {
        one = json_pack("{s:O, s:[]}", "DelegationEnabledDate", when, "services");
        json_object_set_new(make_section(m, "delegated"), account, one);
    }
    json_array_append_new(json_object_get(one, "services"),
                          json_pack("{s:s, s:o}", "ServicePrincipal", principal, "DelegationEnabledDate", when));
}

static void org_features(struct make *m)
{
    json_t *features = make_section(m, "features");
    const char *region = make_chance(m, 60) ? "us-east-1" : "eu-west-1";
    char security[13];
    make_member_account(m, 1, security);
    org_trust(m, "cloudtrail.amazonaws.com");
    if (make_chance(m, 70)) {
        org_trust(m, "sso.amazonaws.com");
        json_t *instance = json_pack("{s:o, s:o, s:s, s:s, s:s}", "InstanceArn",
                                     make_id(m, "arn:aws:sso:::instance/ssoins-", 16, false), "IdentityStoreId",
                                     make_id(m, "d-", 10, false), "OwnerAccountId", m->w->account, "Status", "ACTIVE",
                                     "region", region);
        json_object_set_new(features, "sso", json_pack("[o]", instance));
    }
    if (make_chance(m, 40)) {
        org_trust(m, "backup.amazonaws.com");
        json_object_set_new(features, "backup", json_pack("{s:s}", "isCrossAccountBackupEnabled", "true"));
    }
    if (make_chance(m, 40)) {
        org_trust(m, "member.org.stacksets.cloudformation.amazonaws.com");
        json_object_set_new(features, "stacksets", json_string("ENABLED"));
    }
    if (make_chance(m, 30)) {
        org_trust(m, "ram.amazonaws.com");
        json_t *arn = svc_textf("arn:aws:ram:us-east-1:%s:resource-share/%08x-2b3c-4d5e-8f90-a1b2c3d4e5f6",
                                m->w->account, (unsigned)make_random(m));
        json_t *share =
            json_pack("{s:o, s:s, s:s, s:b, s:s, s:s}", "resourceShareArn", arn, "name", "transit", "owningAccountId",
                      m->w->account, "allowExternalPrincipals", 0, "status", "ACTIVE", "region", "us-east-1");
        json_object_set_new(features, "ram", json_pack("[o]", share));
    }
    if (m->members == 0)
        return;
    if (make_chance(m, 50)) {
        org_trust(m, "guardduty.amazonaws.com");
        org_delegate(m, security, "guardduty.amazonaws.com");
        org_delegate(m, security, "securityhub.amazonaws.com");
        org_trust(m, "securityhub.amazonaws.com");
    }
    if (make_chance(m, 25)) {
        org_trust(m, "fms.amazonaws.com");
        org_delegate(m, security, "fms.amazonaws.com");
        json_object_set_new(features, "fms", json_pack("{s:s, s:s}", "AdminAccount", security, "RoleStatus", "READY"));
    }
}

void make_invitation(struct make *m, const char *email)
{
    json_t *list = json_object_get(make_section(m, "handshakes"), "organization");
    char id[12] = "h-";
    make_letters(m, false, 8, id + 2);
    uint64_t now = sim_now_ms();
    json_t *one = json_pack("{s:s, s:o, s:[{s:s, s:s}, {s:s, s:s}], s:s, s:s, s:[{s:s, s:s}]}", "Id", id, "Arn",
                            svc_textf("arn:aws:organizations::%s:handshake/%s/invite/%s", m->w->account, m->org, id),
                            "Parties", "Id", m->org, "Type", "ORGANIZATION", "Id", email, "Type", "EMAIL", "State",
                            "OPEN", "Action", "INVITE", "Resources", "Value", m->org, "Type", "ORGANIZATION");
    json_object_set_new(one, "RequestedTimestamp", make_seconds(now - 86400000u));
    json_object_set_new(one, "ExpirationTimestamp", make_seconds(now + 14u * 86400000u));
    json_array_append_new(list, one);
}

void make_organization(struct make *m)
{
    struct units *u = calloc(1, sizeof *u);
    char root_email[96];
    if (u == NULL)
        abort();
    memcpy(m->org, "o-", 3);
    make_letters(m, false, 10, m->org + 2);
    memcpy(m->root, "r-", 3);
    make_letters(m, false, 4, m->root + 2);
    (void)snprintf(root_email, sizeof root_email, "aws-root@%s", m->domain);
    json_t *organization =
        json_pack("{s:s, s:o, s:s, s:s, s:o, s:s, s:[{s:s, s:s}]}", "Id", m->org, "Arn", org_arn(m, "organization", ""),
                  "FeatureSet", "ALL", "MasterAccountId", m->w->account, "MasterAccountArn",
                  org_arn(m, "account", m->w->account), "MasterAccountEmail", root_email, "AvailablePolicyTypes",
                  "Type", "SERVICE_CONTROL_POLICY", "Status", "ENABLED");
    json_object_set_new(m->state, "organization", organization);
    json_object_set_new(make_section(m, "root"), "email", json_string(root_email));
    json_object_set_new(make_section(m, "tree"), "roots",
                        json_pack("[{s:s, s:o, s:s, s:[{s:s, s:s}, {s:s, s:s}]}]", "Id", m->root, "Arn",
                                  org_arn(m, "root", m->root), "Name", "Root", "PolicyTypes", "Type",
                                  "SERVICE_CONTROL_POLICY", "Status", "ENABLED", "Type", "TAG_POLICY", "Status",
                                  "ENABLED"));
    make_map(m, "tree", "ous");
    org_units(m, u);
    org_account(m, m->w->account, m->name, root_email, "ACTIVE", false);
    org_place(m, m->root, "accounts", m->w->account);
    json_array_append_new(json_object_get(json_object_get(make_section(m, "accounts"), m->w->account), "Paths"),
                          svc_textf("%s/%s/%s/", m->org, m->root, m->w->account));
    org_members(m, u);
    org_policies(m, u);
    org_features(m);
    json_object_set_new(m->state, "handshakes", json_pack("{s:[], s:[]}", "organization", "account"));
    json_object_set_new(m->state, "transfers", json_pack("{s:[], s:[]}", "inbound", "outbound"));
    free(u);
}
