/* Worlds from a record (--recorded FILE), for rehearsals: {"operator", "partner", "trusted": account ids, "pma",
 * "worlds":
 * [{"account", "customer", "sections", "names"}]}. What a fingerprint drops (dates, counters, other people's keys) is
 * made up; what no step looks at may be missing. */
#include "worlds_load.h"

#include "sim_core.h"

#include <stdlib.h>

const struct sim_kind sim_kind_recorded = {
    "recorded", "an organization as it was recorded", "any", "any", "", "", "", "", "", ""};

const json_t *load_section(const struct load *l, const char *name)
{
    return json_object_get(l->sections, name);
}

json_t *load_document(const json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *ret = json_string(text ? text : "{}");
    free(text);
    return ret;
}

json_t *load_tags(const json_t *map)
{
    json_t *list = json_array();
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)map, key, value)
        json_array_append_new(list, json_pack("{s:s, s:O}", "Key", key, "Value", value));
    return list;
}

json_t *load_copy_list(const json_t *list)
{
    return json_is_array(list) ? json_deep_copy(list) : json_array();
}

json_t *load_seconds(const json_t *object, const char *name_ms)
{
    return json_integer((json_int_t)(svc_number(object, name_ms) / 1000));
}

static json_t *org_arn(const struct load *l, const char *type, const char *id)
{
    return svc_textf("arn:aws:organizations::%s:%s/%s/%s", l->m.w->account, type, l->m.org, id);
}

/* ---- Accounts and tree ---- */

static void load_accounts(struct load *l)
{
    json_t *accounts = make_section(&l->m, "accounts");
    const json_t *from = load_section(l, "accounts"), *own = json_object_get(from, l->m.w->account);
    const char *id;
    json_t *one;
    if (own != NULL) /* the management account first, as AWS lists it */
        json_object_set_new(accounts, l->m.w->account, json_object());
    json_object_foreach ((json_t *)(uintptr_t)from, id, one) {
        const char *state = svc_text(one, "state");
        json_object_set_new(accounts, id,
                            json_pack("{s:s, s:O, s:O, s:O, s:s, s:s, s:O, s:o, s:[]}", "Id", id, "Arn",
                                      json_object_get(one, "arn"), "Email", json_object_get(one, "email"), "Name",
                                      json_object_get(one, "name"), "Status",
                                      svc_one_of(state, "ACTIVE,SUSPENDED,PENDING_CLOSURE") ? state : "ACTIVE", "State",
                                      state, "JoinedMethod", json_object_get(one, "joined_method"), "JoinedTimestamp",
                                      load_seconds(one, "joined_ms"), "Paths"));
    }
}

static json_t *children_of(struct load *l, const char *parent, const char *list)
{
    json_t *children = make_map(&l->m, "tree", "children"), *node = json_object_get(children, parent);
    if (node == NULL) {
        node = json_pack("{s:[], s:[]}", "ous", "accounts");
        json_object_set_new(children, parent, node);
    }
    return json_object_get(node, list);
}

static void load_node(struct load *l, const char *id, const json_t *node)
{
    const char *type = svc_text(node, "type"), *parent = svc_text(node, "parent");
    if (svc_is(type, "ROOT")) {
        json_t *types = json_array(), *status;
        const char *policy_type;
        json_object_foreach (json_object_get(node, "policy_types"), policy_type, status)
            json_array_append_new(types, json_pack("{s:s, s:O}", "Type", policy_type, "Status", status));
        json_array_append_new(json_object_get(make_section(&l->m, "tree"), "roots"),
                              json_pack("{s:s, s:o, s:O, s:o}", "Id", id, "Arn", org_arn(l, "root", id), "Name",
                                        json_object_get(node, "name"), "PolicyTypes", types));
        children_of(l, id, "ous");
        return;
    }
    json_array_append_new(children_of(l, parent, svc_is(type, "OU") ? "ous" : "accounts"), json_string(id));
    if (svc_is(type, "OU")) {
        children_of(l, id, "ous");
        json_object_set_new(
            make_map(&l->m, "tree", "ous"), id,
            json_pack("{s:s, s:o, s:O}", "Id", id, "Arn", org_arn(l, "ou", id), "Name", json_object_get(node, "name")));
    }
}

static void load_tree(struct load *l)
{
    const char *id;
    json_t *node;
    json_object_set_new(make_section(&l->m, "tree"), "roots", json_array());
    make_map(&l->m, "tree", "ous");
    make_map(&l->m, "tree", "children");
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "tree"), id, node)
        load_node(l, id, node);
}

/* ---- Policies, services, delegation, handshakes ---- */

static json_t *target_of(struct load *l, const char *id)
{
    const json_t *node = json_object_get(load_section(l, "tree"), id);
    const char *type = svc_text(node, "type");
    return json_pack("{s:s, s:o, s:s, s:s}", "TargetId", id, "Arn", org_arn(l, "target", id), "Name",
                     svc_text(node, "name"), "Type",
                     svc_is(type, "OU")     ? "ORGANIZATIONAL_UNIT"
                     : svc_is(type, "ROOT") ? "ROOT"
                                            : "ACCOUNT");
}

static void load_policies(struct load *l)
{
    const char *id;
    json_t *one, *target;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "policies"), id, one) {
        json_t *targets = json_array();
        json_array_foreach (json_object_get(one, "targets"), i, target)
            json_array_append_new(targets, target_of(l, json_string_value(target)));
        json_t *summary =
            json_pack("{s:s, s:o, s:O, s:O, s:O, s:O}", "Id", id, "Arn", org_arn(l, "policy", id), "Name",
                      json_object_get(one, "name"), "Description", json_object_get(one, "description"), "Type",
                      json_object_get(one, "type"), "AwsManaged", json_object_get(one, "aws_managed"));
        json_object_set_new(make_section(&l->m, "policies"), id,
                            json_pack("{s:o, s:o, s:o}", "PolicySummary", summary, "Content",
                                      load_document(json_object_get(one, "content")), "targets", targets));
    }
}

static void load_services(struct load *l)
{
    json_t *list = json_array(), *one;
    const char *principal;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "trusted_services"), principal, one)
        json_array_append_new(list, json_pack("{s:s, s:o}", "ServicePrincipal", principal, "DateEnabled",
                                              load_seconds(one, "enabled_ms")));
    json_object_set_new(l->m.state, "trusted_services", list);
}

static void load_delegation(struct load *l)
{
    const char *account;
    json_t *one, *service;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "delegation"), account, one) {
        if (svc_is(account, "resource_policy")) {
            json_object_set_new(l->m.state, "resource_policy",
                                json_pack("{s:{s:s, s:o}, s:o}", "ResourcePolicySummary", "Id", "rp-recorded", "Arn",
                                          org_arn(l, "resourcepolicy", "rp-recorded"), "Content",
                                          load_document(json_object_get(one, "document"))));
            continue;
        }
        json_t *services = json_array();
        json_array_foreach (json_object_get(one, "services"), i, service)
            json_array_append_new(
                services, json_pack("{s:O, s:i}", "ServicePrincipal", service, "DelegationEnabledDate", 1700000000));
        json_object_set_new(make_section(&l->m, "delegated"), account,
                            json_pack("{s:i, s:o}", "DelegationEnabledDate", 1700000000, "services", services));
    }
}

static void load_handshakes(struct load *l)
{
    json_t *list = json_array(), *one, *party;
    const char *id;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "handshakes"), id, one) {
        json_t *parties = json_array();
        json_array_foreach (json_object_get(one, "parties"), i, party) {
            const char *text = json_string_value(party) ? json_string_value(party) : "";
            size_t type = strcspn(text, " ");
            json_array_append_new(
                parties, json_pack("{s:s, s:s%}", "Id", text[type] ? text + type + 1 : "", "Type", text, type));
        }
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:O, s:O, s:i, s:o, s:[]}", "Id", id, "Arn",
                                              org_arn(l, "handshake", id), "Parties", parties, "State",
                                              json_object_get(one, "state"), "Action", json_object_get(one, "action"),
                                              "RequestedTimestamp", 1700000000, "ExpirationTimestamp",
                                              load_seconds(one, "expires_ms"), "Resources"));
    }
    json_object_set_new(l->m.state, "handshakes", json_pack("{s:o, s:[]}", "organization", list, "account"));
    json_object_set_new(l->m.state, "transfers", json_pack("{s:[], s:[]}", "inbound", "outbound"));
}

/* ---- Features ---- */

static void load_features(struct load *l)
{
    const json_t *from = load_section(l, "features");
    json_t *features = make_section(&l->m, "features"), *one;
    json_t *sso = json_array(), *ram = json_array();
    size_t i;
    json_array_foreach (json_object_get(json_object_get(from, "identity_center"), "instances"), i, one)
        json_array_append_new(sso, json_pack("{s:O, s:O, s:O, s:O, s:s}", "InstanceArn", json_object_get(one, "arn"),
                                             "IdentityStoreId", json_object_get(one, "identity_store"),
                                             "OwnerAccountId", json_object_get(one, "owner"), "Status",
                                             json_object_get(one, "status"), "region", "us-east-1"));
    json_array_foreach (json_object_get(json_object_get(from, "resource_sharing"), "shares"), i, one)
        json_array_append_new(ram, json_pack("{s:O, s:s, s:s, s:b, s:s, s:s}", "resourceShareArn", one, "name",
                                             "recorded", "owningAccountId", l->m.w->account, "allowExternalPrincipals",
                                             0, "status", "ACTIVE", "region", "us-east-1"));
    json_object_set_new(features, "sso", sso);
    json_object_set_new(features, "ram", ram);
    const json_t *settings = json_object_get(json_object_get(from, "backup"), "settings");
    if (json_object_size(settings) > 0)
        json_object_set_new(features, "backup", json_deep_copy(settings));
    const char *admin = svc_text(json_object_get(from, "firewall_manager"), "admin");
    if (admin[0] != '\0')
        json_object_set_new(features, "fms", json_pack("{s:s, s:s}", "AdminAccount", admin, "RoleStatus", "READY"));
    const char *stacks = svc_text(json_object_get(from, "stacksets"), "status");
    if (stacks[0] != '\0')
        json_object_set_new(features, "stacksets", json_string(stacks));
}

void load_organization(struct load *l)
{
    const json_t *from = load_section(l, "organization");
    (void)snprintf(l->m.org, sizeof l->m.org, "%s", svc_text(from, "id"));
    json_t *organization =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:[]}", "Id", l->m.org, "Arn", svc_text(from, "arn"), "FeatureSet",
                  svc_text(from, "feature_set"), "MasterAccountId", svc_text(from, "master_account_id"),
                  "MasterAccountArn", org_arn(l, "account", l->m.w->account), "MasterAccountEmail",
                  svc_text(from, "master_email"), "AvailablePolicyTypes");
    json_object_set_new(l->m.state, "organization", organization);
    json_object_set_new(make_section(&l->m, "root"), "email", json_string(svc_text(from, "master_email")));
    load_accounts(l);
    load_tree(l);
    load_policies(l);
    load_services(l);
    load_delegation(l);
    load_handshakes(l);
    load_features(l);
}

/* ---- One world, and the file ---- */

static int load_world(const json_t *record, uint64_t seed)
{
    const char *account = svc_text(record, "account");
    if (strlen(account) != 12 || sim_world_by_account(account) != NULL ||
        !json_is_object(json_object_get(record, "sections")))
        return -1;
    struct sim_world *w = sim_world_blank(account, &sim_kind_recorded, seed);
    struct load l = {.m = {.w = w, .state = w->state, .kind = "recorded", .random = seed, .founded_ms = 1600000000000u},
                     .sections = json_object_get(record, "sections"),
                     .names = json_object_get(record, "names"),
                     .customer = json_object_get(record, "customer")};
    json_object_set_new(w->state, "customer", json_deep_copy(l.customer));
    json_object_set_new(make_section(&l.m, "customer"), "account", json_string(account));
    json_object_set_new(make_section(&l.m, "billing"), "iam_access", json_true());
    json_object_set_new(make_section(&l.m, "timing"), "trail_ms", json_integer(100));
    load_organization(&l);
    load_iam(&l);
    load_billing(&l);
    sim_world_register(w);
    return 0;
}

int sim_worlds_load(const char *path, uint64_t seed)
{
    json_error_t why;
    json_t *file = json_load_file(path, 0, &why), *record;
    size_t i;
    int bad = file == NULL;
    if (bad)
        (void)fprintf(stderr, "orgimport-awssim: %s: %s\n", path, why.text);
    else
        sim_worlds_operator(file, seed);
    json_array_foreach (json_object_get(file, "worlds"), i, record)
        if (load_world(record, seed) != 0) {
            (void)fprintf(stderr, "orgimport-awssim: %s: record %zu has no account of its own or no sections\n", path,
                          i);
            bad = 1;
        }
    json_decref(file);
    return bad ? -1 : 0;
}
