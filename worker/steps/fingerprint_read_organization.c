/* What AWS Organizations says: the organization, its accounts and their places, policies, trust, delegation,
 * invitations and billing transfers. The tree is walked by OU and never by ListParents per account, which is what gets
 * tools throttled; where ListAccounts tells each account's path, its place costs no call at all. */
#include "common/aws/services/organizations.h"

#include "worker/steps/fingerprint_reading.h"
#include "worker/steps/fingerprint_shape.h"

#include <string.h>

#define NODES_MAX 5000 /* roots and OUs: AWS allows 2,000 */
/* A policy type that this organization or partition does not know has no policies. */
#define UNKNOWN_TYPE "UnsupportedAPIEndpointException,InvalidInputException,ValidationException"

const struct reading_list reading_account_lists[] = {
    {"accounts", "accounts", &organizations_list_accounts, NULL, "accounts", "id",
     "arn email name state joined_method joined_ms:n"},
    {0},
};

const struct reading_list reading_trusted_lists[] = {
    {"trusted_services", "trusted", &organizations_list_aws_service_access_for_organization, NULL, "services",
     "principal", "enabled_ms:n"},
    {0},
};

#define TRANSFER_FIELDS "name type status source source_email target target_email start_ms:n end_ms:n handshake"
const struct reading_list reading_transfer_lists[] = {
    {"transfers", "transfers-in", &organizations_list_inbound_responsibility_transfers, "{\"Type\":\"BILLING\"}",
     "transfers", "arn", TRANSFER_FIELDS},
    {"transfers", "transfers-out", &organizations_list_outbound_responsibility_transfers, "{\"Type\":\"BILLING\"}",
     "transfers", "arn", TRANSFER_FIELDS},
    {0},
};

void reading_organization(struct reading *r)
{
    const json_t *org = reading_ask(r, "organization", &organizations_describe_organization, NULL);
    if (r->is_building)
        json_put(r->sections, "organization", reading_pick(org, "id arn feature_set master_account_id master_email"));
}

/* ---- The tree ---- */
static json_t *policy_types_of(const json_t *root)
{
    json_t *types = json_object(), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(root, "policy_types"), i, one)
        json_put_str(types, json_str_at(one, "type"), json_str_at(one, "status"));
    return types;
}

static json_t *tree_node(const char *type, const char *parent, const char *name)
{
    return json_make("{s:s,s:s,s:s}", "type", type, "parent", parent, "name", name);
}

/* OUs of one parent; they join `parents` to be walked in their turn. */
static void read_ous(struct reading *r, const char *parent, json_t *parents)
{
    const json_t *ous =
        reading_ask(r, step_text(r->s, "ous/%s", parent), &organizations_list_organizational_units_for_parent,
                    json_make("{s:s}", "ParentId", parent));
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(ous, "ous"), i, one) {
        json_array_append(parents, json_object_get(one, "id"));
        if (r->is_building)
            json_put(reading_section(r, "tree"), json_str_at(one, "id"),
                     tree_node("OU", parent, json_str_at(one, "name")));
    }
}

/* Roots and OUs, breadth first. New reference: their ids. */
static json_t *walk_ous(struct reading *r)
{
    const json_t *roots = reading_ask(r, "roots", &organizations_list_roots, NULL);
    json_t *parents = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(roots, "roots"), i, one) {
        json_array_append(parents, json_object_get(one, "id"));
        if (!r->is_building)
            continue;
        json_t *node = tree_node("ROOT", "", json_str_at(one, "name"));
        json_put(node, "policy_types", policy_types_of(one));
        json_put(reading_section(r, "tree"), json_str_at(one, "id"), node);
    }
    for (i = 0; i < json_array_size(parents) && i < NODES_MAX; i++)
        read_ous(r, json_string_value(json_array_get(parents, i)), parents);
    return parents;
}

/* The parent in "o-1/r-1/ou-1/111122223333/": the part before the account itself. "" when it is no such path. */
static const char *parent_in(struct reading *r, const char *path, const char *account)
{
    size_t len = strlen(path), id_len = strlen(account);
    while (len && path[len - 1] == '/')
        len--;
    if (len <= id_len + 1 || strncmp(path + len - id_len, account, id_len) != 0 || path[len - id_len - 1] != '/')
        return "";
    size_t end = len - id_len - 1, start = end;
    while (start && path[start - 1] != '/')
        start--;
    return start ? step_text(r->s, "%.*s", (int)(end - start), path + start) : "";
}

static const char *told_parent(struct reading *r, const json_t *account)
{
    const json_t *paths = json_object_get(account, "paths");
    return json_array_size(paths) == 1 ? parent_in(r, json_str_at(paths, "0"), json_str_at(account, "id")) : "";
}

static bool are_places_told(struct reading *r, const json_t *accounts)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)accounts, i, one) {
        if (!told_parent(r, one)[0])
            return false;
    }
    return json_array_size(accounts) > 0;
}

static void place_told(struct reading *r, const json_t *accounts)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach ((json_t *)(uintptr_t)accounts, i, one)
        json_put(reading_section(r, "tree"), json_str_at(one, "id"), tree_node("ACCOUNT", told_parent(r, one), ""));
}

/* The slow way, where ListAccounts does not tell: one list per parent. */
static void place_asked(struct reading *r, const json_t *parents)
{
    for (size_t p = 0; p < json_array_size(parents) && p < NODES_MAX; p++) {
        const char *parent = json_string_value(json_array_get(parents, p));
        const json_t *facts =
            reading_ask(r, step_text(r->s, "children/%s", parent), &organizations_list_accounts_for_parent,
                        json_make("{s:s}", "ParentId", parent));
        size_t i = 0;
        json_t *one = NULL;
        if (!r->is_building)
            continue;
        json_array_foreach (json_object_get(facts, "accounts"), i, one)
            json_put(reading_section(r, "tree"), json_string_value(one), tree_node("ACCOUNT", parent, ""));
    }
}

void reading_tree(struct reading *r)
{
    const json_t *facts = reading_ask(r, "accounts", &organizations_list_accounts, NULL);
    json_auto_t *parents = walk_ous(r);
    if (!facts)
        return;
    const json_t *accounts = json_object_get(facts, "accounts");
    if (!are_places_told(r, accounts))
        place_asked(r, parents);
    else if (r->is_building)
        place_told(r, accounts);
}

/* ---- Policies ---- */
static const char *const policy_types[] = {
    "SERVICE_CONTROL_POLICY",
    "RESOURCE_CONTROL_POLICY",
    "TAG_POLICY",
    "BACKUP_POLICY",
    "AISERVICES_OPT_OUT_POLICY",
    "CHATBOT_POLICY",
    "DECLARATIVE_POLICY_EC2",
    "SECURITYHUB_POLICY",
    "INSPECTOR_POLICY",
    "UPGRADE_ROLLOUT_POLICY",
    "BEDROCK_POLICY",
    "S3_POLICY",
    "NETWORK_SECURITY_DIRECTOR_POLICY",
};

static void read_policy(struct reading *r, const json_t *policy)
{
    const char *id = json_str_at(policy, "id");
    const json_t *full = reading_ask(r, step_text(r->s, "policy/%s", id), &organizations_describe_policy,
                                     json_make("{s:s}", "PolicyId", id));
    const json_t *targets = reading_ask(r, step_text(r->s, "targets/%s", id), &organizations_list_targets_for_policy,
                                        json_make("{s:s}", "PolicyId", id));
    if (!r->is_building)
        return;
    json_t *kept = reading_pick(policy, "type name description aws_managed:b"),
           *content = json_object_get(full, "content");
    json_put(kept, "content", json_incref(content));
    json_put(kept, "targets", shape_set(json_object_get(targets, "targets")));
    json_put(reading_section(r, "policies"), id, kept);
}

/* All types, enabled or not: the policies of a type that was switched off are still there and come back with it. */
void reading_policies(struct reading *r)
{
    for (size_t t = 0; t < ARRAY_LEN(policy_types); t++) {
        const json_t *facts =
            reading_ask_in(r, step_text(r->s, "policies/%s", policy_types[t]), &organizations_list_policies,
                           json_make("{s:s}", "Filter", policy_types[t]), "", UNKNOWN_TYPE);
        size_t i = 0;
        json_t *policy = NULL;
        json_array_foreach (json_object_get(facts, "policies"), i, policy)
            read_policy(r, policy);
    }
}

/* ---- Delegation, handshakes ---- */
void reading_delegation(struct reading *r)
{
    const json_t *facts = reading_ask(r, "delegated", &organizations_list_delegated_administrators, NULL);
    const json_t *policy = reading_ask(r, "resource-policy", &organizations_describe_resource_policy, NULL);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(facts, "administrators"), i, one) {
        const char *id = json_string_value(one);
        const json_t *services =
            reading_ask(r, step_text(r->s, "delegated/%s", id), &organizations_list_delegated_services_for_account,
                        json_make("{s:s}", "AccountId", id));
        if (r->is_building)
            json_put(reading_section(r, "delegation"), id, reading_pick(services, "services:set"));
    }
    if (r->is_building && json_is_object(policy))
        json_put(reading_section(r, "delegation"), "resource_policy", reading_pick(policy, "document:any"));
}

static json_t *parties_of(const json_t *handshake)
{
    json_t *parties = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(handshake, "parties"), i, one) {
        AUTO_STR struct str text;
        str_init(&text, 512);
        str_addf(&text, "%s %s", json_str_at(one, "type"), json_str_at(one, "id"));
        json_array_append_new(parties, json_string(text.data));
    }
    json_sort_by(parties, NULL);
    return parties;
}

/* Only open ones: finished handshakes vanish by themselves after 30 days. Those of the organization and those of its
 * management account are two lists, and one may stand in both. */
void reading_handshakes(struct reading *r)
{
    const json_t *lists[] = {
        reading_ask(r, "handshakes", &organizations_list_handshakes_for_organization, NULL),
        reading_ask(r, "handshakes-account", &organizations_list_handshakes_for_account, NULL),
    };
    for (size_t l = 0; l < ARRAY_LEN(lists) && r->is_building; l++) {
        size_t i = 0;
        json_t *one = NULL;
        json_array_foreach (json_object_get(lists[l], "handshakes"), i, one) {
            if (!str_in_list("OPEN,REQUESTED", json_str_at(one, "state")))
                continue;
            json_t *kept = reading_pick(one, "action state expires_ms:n");
            json_put(kept, "parties", parties_of(one));
            json_put(reading_section(r, "handshakes"), json_str_at(one, "id"), kept);
        }
    }
}
