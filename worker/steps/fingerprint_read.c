/* Reads the organization section by section, twice at least: a snapshot of many calls is not atomic.
 *
 * How it is built: each group asks for what it needs through ask(); while answers are missing it only arranges calls.
 * When all have come, the same functions run once more with `is_building` and put the sections together. So nothing is
 * assembled a hundred times while a hundred answers come in one by one.
 * The tree is walked by OU and never by ListParents per account, which is what gets tools throttled. */
#include "worker/steps/fingerprint_read.h"

#include "common/aws/services/account.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/data_exports.h"
#include "common/aws/services/features.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/taxsettings.h"
#include "common/proof/fingerprint.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/human.h"

#define TRIES_MAX 5
#define REGIONS_MAX 16
#define NODES_MAX 5000 /* roots and OUs: AWS allows 2,000 */

/* AWS's ways to say "you may not look": a value in section features, the same before and after. */
#define DENIED                                                                                                         \
    "AccessDenied,AccessDeniedException,UnauthorizedOperation,OptInRequired,SubscriptionRequiredException,"            \
    "InvalidOperationException"
/* A policy type that this organization or partition does not know has no policies. */
#define UNKNOWN_TYPE "UnsupportedAPIEndpointException,InvalidInputException,ValidationException"

struct reading {
    struct step *s;
    int pass;
    enum step_result all;
    bool is_building;
    json_t *sections; /* while building */
};

/* Facts of one read of this pass; NULL while they are not there. `key` names it within the pass. Takes `new_args`. */
static const json_t *ask_in(struct reading *r, const char *key, const struct aws_op *op, json_t *new_args,
                            const char *region, const char *codes)
{
    const json_t *facts = NULL;
    enum step_result one =
        step_call_in(r->s, step_text(r->s, "%d/%s", r->pass, key), op, new_args, region, codes, &facts);
    step_also(&r->all, one);
    return one == STEP_DONE ? facts : NULL;
}

static const json_t *ask(struct reading *r, const char *key, const struct aws_op *op, json_t *new_args)
{
    return ask_in(r, key, op, new_args, "", NULL);
}

/* The section under construction. */
static json_t *section(struct reading *r, const char *name)
{
    json_t *found = json_object_get(r->sections, name);
    if (!found) {
        found = json_object();
        json_put(r->sections, name, found);
    }
    return found;
}

static json_t *members_of(const json_t *from, const char *list)
{
    return json_object_get(from, list);
}

/* ---- Organization, accounts, tree
 * --------------------------------------------------------------------------------------- */
static void read_organization(struct reading *r)
{
    const json_t *org = ask(r, "organization", &organizations_describe_organization, NULL);
    if (!r->is_building)
        return;
    static const char *const members[] = {"id", "arn", "feature_set", "master_account_id", "master_email"};
    json_t *to = section(r, "organization");
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_put_str(to, members[i], json_str_at(org, members[i]));
}

static void read_accounts(struct reading *r)
{
    const json_t *facts = ask(r, "accounts", &organizations_list_accounts, NULL);
    if (!r->is_building)
        return;
    json_t *to = section(r, "accounts"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "accounts"), i, one)
        json_put(to, json_str_at(one, "id"),
                 json_make("{s:s,s:s,s:s,s:s,s:s,s:I}", "arn", json_str_at(one, "arn"), "email",
                           json_str_at(one, "email"), "name", json_str_at(one, "name"), "state",
                           json_str_at(one, "state"), "joined_method", json_str_at(one, "joined_method"), "joined_ms",
                           (json_int_t)json_int_at(one, "joined_ms")));
}

static json_t *policy_types_of(const json_t *root)
{
    json_t *types = json_object(), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(root, "policy_types"), i, one)
        json_put_str(types, json_str_at(one, "type"), json_str_at(one, "status"));
    return types;
}

static json_t *tree_node(const char *type, const char *parent, const char *name)
{
    return json_make("{s:s,s:s,s:s}", "type", type, "parent", parent, "name", name);
}

/* Children of one parent: OUs join `parents` to be walked in their turn. */
static void read_children(struct reading *r, const char *parent, json_t *parents)
{
    const json_t *ous = ask(r, step_text(r->s, "ous/%s", parent), &organizations_list_organizational_units_for_parent,
                            json_make("{s:s}", "ParentId", parent));
    const json_t *accounts = ask(r, step_text(r->s, "children/%s", parent), &organizations_list_accounts_for_parent,
                                 json_make("{s:s}", "ParentId", parent));
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (members_of(ous, "ous"), i, one) {
        json_array_append(parents, json_object_get(one, "id"));
        if (r->is_building)
            json_put(section(r, "tree"), json_str_at(one, "id"), tree_node("OU", parent, json_str_at(one, "name")));
    }
    if (!r->is_building)
        return;
    json_array_foreach (members_of(accounts, "accounts"), i, one)
        json_put(section(r, "tree"), json_string_value(one), tree_node("ACCOUNT", parent, ""));
}

static void read_tree(struct reading *r)
{
    const json_t *roots = ask(r, "roots", &organizations_list_roots, NULL);
    json_auto_t *parents = json_array();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (members_of(roots, "roots"), i, one) {
        json_array_append(parents, json_object_get(one, "id"));
        if (!r->is_building)
            continue;
        json_t *node = tree_node("ROOT", "", json_str_at(one, "name"));
        json_put(node, "policy_types", policy_types_of(one));
        json_put(section(r, "tree"), json_str_at(one, "id"), node);
    }
    for (i = 0; i < json_array_size(parents) && i < NODES_MAX; i++)
        read_children(r, json_string_value(json_array_get(parents, i)), parents);
    if (r->is_building)
        (void)section(r, "tree");
}

/* ---- Policies
 * ------------------------------------------------------------------------------------------------------------ */
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
    const json_t *full =
        ask(r, step_text(r->s, "policy/%s", id), &organizations_describe_policy, json_make("{s:s}", "PolicyId", id));
    const json_t *targets = ask(r, step_text(r->s, "targets/%s", id), &organizations_list_targets_for_policy,
                                json_make("{s:s}", "PolicyId", id));
    if (!r->is_building)
        return;
    json_t *content = json_object_get(full, "content");
    json_put(section(r, "policies"), id,
             json_make("{s:s,s:s,s:s,s:b,s:O,s:o}", "type", json_str_at(policy, "type"), "name",
                       json_str_at(policy, "name"), "description", json_str_at(policy, "description"), "aws_managed",
                       (int)json_bool_at(policy, "aws_managed"), "content", content ? content : json_null(), "targets",
                       shape_set(members_of(targets, "targets"))));
}

static void read_policies(struct reading *r)
{
    for (size_t t = 0; t < ARRAY_LEN(policy_types); t++) {
        const json_t *facts = ask_in(r, step_text(r->s, "policies/%s", policy_types[t]), &organizations_list_policies,
                                     json_make("{s:s}", "Filter", policy_types[t]), "", UNKNOWN_TYPE);
        size_t i = 0;
        json_t *policy = NULL;
        json_array_foreach (members_of(facts, "policies"), i, policy)
            read_policy(r, policy);
    }
    if (r->is_building)
        (void)section(r, "policies");
}

/* ---- Trusted services, delegation, handshakes
 * ---------------------------------------------------------------------------- */
static void read_trusted(struct reading *r)
{
    const json_t *facts = ask(r, "trusted", &organizations_list_aws_service_access_for_organization, NULL);
    if (!r->is_building)
        return;
    json_t *to = section(r, "trusted_services"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "services"), i, one)
        json_put(to, json_str_at(one, "principal"),
                 json_make("{s:I}", "enabled_ms", (json_int_t)json_int_at(one, "enabled_ms")));
}

static void read_delegation(struct reading *r)
{
    const json_t *facts = ask(r, "delegated", &organizations_list_delegated_administrators, NULL);
    const json_t *policy = ask(r, "resource-policy", &organizations_describe_resource_policy, NULL);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (members_of(facts, "administrators"), i, one) {
        const char *id = json_string_value(one);
        const json_t *services =
            ask(r, step_text(r->s, "delegated/%s", id), &organizations_list_delegated_services_for_account,
                json_make("{s:s}", "AccountId", id));
        if (r->is_building)
            json_put(section(r, "delegation"), id,
                     json_make("{s:o}", "services", shape_set(members_of(services, "services"))));
    }
    if (r->is_building && json_is_object(policy))
        json_put(section(r, "delegation"), "resource_policy",
                 json_make("{s:O}", "document", json_object_get(policy, "document")));
    if (r->is_building)
        (void)section(r, "delegation");
}

static json_t *parties_of(const json_t *handshake)
{
    json_t *parties = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(handshake, "parties"), i, one) {
        AUTO_STR struct str text;
        str_init(&text, 512);
        str_addf(&text, "%s %s", json_str_at(one, "type"), json_str_at(one, "id"));
        json_array_append_new(parties, json_string(text.data));
    }
    json_sort_by(parties, NULL);
    return parties;
}

/* Only open ones: finished handshakes vanish by themselves after 30 days. */
static void read_handshakes(struct reading *r)
{
    const json_t *facts = ask(r, "handshakes", &organizations_list_handshakes_for_organization, NULL);
    if (!r->is_building)
        return;
    json_t *to = section(r, "handshakes"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "handshakes"), i, one) {
        if (!str_in_list("OPEN,REQUESTED", json_str_at(one, "state")))
            continue;
        json_put(to, json_str_at(one, "id"),
                 json_make("{s:s,s:s,s:o,s:I}", "action", json_str_at(one, "action"), "state",
                           json_str_at(one, "state"), "parties", parties_of(one), "expires_ms",
                           (json_int_t)json_int_at(one, "expires_ms")));
    }
}

/* ---- Features
 * ------------------------------------------------------------------------------------------------------------ */
/* A bucket's region; "" while it is not known. The list need not tell it: AWS does in paged lists, others never. */
static const char *bucket_region(struct reading *r, const json_t *bucket)
{
    const char *name = json_str_at(bucket, "name"), *told = json_str_at(bucket, "region");
    if (told[0])
        return told;
    const json_t *where = ask_in(r, step_text(r->s, "location/%s", name), &s3_get_bucket_location,
                                 json_make("{s:s}", "Bucket", name), "", DENIED);
    return json_str_at(where, "region");
}

/* Regions in use, as far as buckets and the import tell: us-east-1 first. New reference. */
static json_t *regions_in_use(struct reading *r)
{
    const json_t *facts = ask(r, "buckets", &s3_list_buckets, NULL);
    json_auto_t *seen = json_array();
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (members_of(facts, "buckets"), i, one) {
        const char *region = bucket_region(r, one);
        if (region[0] && !json_array_has_str(seen, region))
            json_array_append_new(seen, json_string(region));
    }
    const char *own = step_var(r->s, "region");
    if (own[0] && !json_array_has_str(seen, own))
        json_array_append_new(seen, json_string(own));
    json_sort_by(seen, NULL);
    json_t *regions = json_make("[s]", "us-east-1");
    json_array_foreach (seen, i, one) {
        if (!str_eq(json_string_value(one), "us-east-1") && json_array_size(regions) < REGIONS_MAX)
            json_array_append(regions, one);
    }
    return regions;
}

static bool is_denied(const json_t *facts)
{
    return json_has(facts, "error");
}

static void put_feature(struct reading *r, const char *name, bool is_readable, json_t *new_value)
{
    if (!is_readable) {
        json_decref(new_value);
        new_value = json_make("{s:b}", "not_readable", 1);
    }
    json_put(section(r, "features"), name, new_value);
}

/* Identity Center and resource shares live in regions: every region in use is asked. Readable when any region answers.
 */
static void read_regional(struct reading *r, const json_t *regions, const char *feature, const struct aws_op *op,
                          const char *list, const char *member)
{
    json_t *all = json_array();
    bool is_readable = false;
    for (size_t i = 0; i < json_array_size(regions); i++) {
        const char *region = json_string_value(json_array_get(regions, i));
        const json_t *facts = ask_in(r, step_text(r->s, "%s/%s", feature, region), op, NULL, region, DENIED);
        is_readable = is_readable || (facts && !is_denied(facts));
        size_t k = 0;
        json_t *one = NULL;
        json_array_foreach (members_of(facts, list), k, one)
            json_array_append(all, member ? json_object_get(one, member) : one);
    }
    json_auto_t *found = all;
    if (!r->is_building)
        return;
    json_sort_by(found, member ? NULL : "arn");
    put_feature(r, feature, is_readable, json_make("{s:O}", member ? "shares" : "instances", found));
}

static void read_features(struct reading *r)
{
    json_auto_t *regions = regions_in_use(r);
    read_regional(r, regions, "identity_center", &sso_list_instances, "instances", NULL);
    read_regional(r, regions, "resource_sharing", &ram_get_resource_shares, "shares", "arn");
    const json_t *backup = ask_in(r, "backup", &backup_describe_global_settings, NULL, "us-east-1", DENIED);
    const json_t *fms = ask_in(r, "fms", &fms_get_admin_account, NULL, "", DENIED);
    const json_t *stacks =
        ask_in(r, "stacksets", &cloudformation_describe_organizations_access, NULL, "us-east-1", DENIED);
    if (!r->is_building)
        return;
    json_t *settings = json_object_get(backup, "settings");
    put_feature(r, "backup", !is_denied(backup),
                json_make("{s:o}", "settings", settings ? json_deep_copy(settings) : json_object()));
    put_feature(r, "firewall_manager", !is_denied(fms), json_make("{s:s}", "admin", json_str_at(fms, "admin")));
    put_feature(r, "stacksets", !is_denied(stacks), json_make("{s:s}", "status", json_str_at(stacks, "status")));
}

/* ---- IAM
 * ----------------------------------------------------------------------------------------------------------------- */
/* Roles by name with what the big call leaves out. New reference. */
static json_t *role_extras(const json_t *facts)
{
    json_t *by_name = json_object(), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "roles"), i, one)
        json_object_set(by_name, json_str_at(one, "name"), one);
    return by_name;
}

static json_t *copy_of(const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    return json_is_object(value) ? json_deep_copy(value) : json_object();
}

static void put_roles(struct reading *r, const json_t *details, const json_t *listed)
{
    json_auto_t *extras = role_extras(listed);
    json_t *to = section(r, "iam.roles"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(details, "roles"), i, one) {
        const json_t *extra = json_object_get(extras, json_str_at(one, "name"));
        json_put(to, json_str_at(one, "name"),
                 shape_role(json_str_at(one, "path"), json_str_at(one, "role_id"), json_object_get(one, "trust"),
                            json_int_at(extra, "max_session"), json_str_at(extra, "description"),
                            json_object_get(one, "policies"), json_object_get(one, "inline"),
                            json_object_get(one, "tags"), json_str_at(one, "boundary")));
    }
}

static void put_users_and_groups(struct reading *r, const json_t *details)
{
    json_t *users = section(r, "iam.users"), *groups = section(r, "iam.groups"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(details, "users"), i, one)
        json_put(users, json_str_at(one, "name"),
                 json_make("{s:s,s:s,s:o,s:o,s:o,s:o,s:s}", "path", json_str_at(one, "path"), "user_id",
                           json_str_at(one, "user_id"), "groups", shape_set(json_object_get(one, "groups")), "policies",
                           shape_set(json_object_get(one, "policies")), "inline", copy_of(one, "inline"), "tags",
                           copy_of(one, "tags"), "boundary", json_str_at(one, "boundary")));
    json_array_foreach (members_of(details, "groups"), i, one)
        json_put(groups, json_str_at(one, "name"),
                 json_make("{s:s,s:s,s:o,s:o}", "path", json_str_at(one, "path"), "group_id",
                           json_str_at(one, "group_id"), "policies", shape_set(json_object_get(one, "policies")),
                           "inline", copy_of(one, "inline")));
}

static void read_iam(struct reading *r)
{
    const json_t *details = ask(r, "iam", &iam_get_account_authorization_details,
                                json_make("{s:[s,s,s,s]}", "Filter", "User", "Role", "Group", "LocalManagedPolicy"));
    const json_t *listed = ask(r, "roles", &iam_list_roles, NULL);
    if (!r->is_building)
        return;
    put_roles(r, details, listed);
    put_users_and_groups(r, details);
    json_t *to = section(r, "iam.policies"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(details, "policies"), i, one)
        json_put(to, json_str_at(one, "arn"), json_make("{s:o}", "document", copy_of(one, "document")));
}

static void read_iam_account(struct reading *r)
{
    const json_t *summary = ask(r, "summary", &iam_get_account_summary, NULL);
    const json_t *devices =
        ask(r, "devices", &iam_list_virtual_mfa_devices, json_make("{s:s}", "AssignmentStatus", "Assigned"));
    const json_t *aliases = ask(r, "aliases", &iam_list_account_aliases, NULL);
    const json_t *password = ask(r, "password-policy", &iam_get_account_password_policy, NULL);
    const json_t *providers[2] = {ask(r, "saml", &iam_list_saml_providers, NULL),
                                  ask(r, "oidc", &iam_list_open_id_connect_providers, NULL)};
    if (!r->is_building)
        return;
    json_t *to = section(r, "iam.account"), *one = NULL;
    json_put(to, "root", shape_root(summary, devices));
    json_put(to, "aliases", json_make("{s:o}", "names", shape_set(members_of(aliases, "aliases"))));
    if (json_is_object(password))
        json_put(to, "password_policy", copy_of(password, "policy"));
    for (size_t p = 0; p < ARRAY_LEN(providers); p++) {
        size_t i = 0;
        json_array_foreach (members_of(providers[p], "providers"), i, one)
            json_put(to, json_string_value(one), json_object());
    }
}

/* ---- Buckets, reports, exports, tax, contact
 * ------------------------------------------------------------------------------ */
static void read_buckets(struct reading *r)
{
    const json_t *facts = ask(r, "buckets", &s3_list_buckets, NULL);
    json_t *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "buckets"), i, one) {
        const char *region = bucket_region(r, one);
        if (r->is_building)
            json_put(section(r, "s3"), json_str_at(one, "name"), json_make("{s:s}", "region", region));
    }
    if (r->is_building)
        (void)section(r, "s3");
}

static void read_reports(struct reading *r)
{
    const json_t *facts = ask(r, "reports", &cur_describe_report_definitions, NULL);
    if (!r->is_building)
        return;
    json_t *to = section(r, "cur"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "reports"), i, one)
        json_put(to, json_str_at(one, "ReportName"), shape_report(one));
}

static void read_exports(struct reading *r)
{
    const json_t *facts = ask(r, "exports", &data_exports_list_exports, NULL);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (members_of(facts, "exports"), i, one) {
        const char *arn = json_string_value(one);
        const json_t *full =
            ask(r, step_text(r->s, "export/%s", arn), &data_exports_get_export, json_make("{s:s}", "ExportArn", arn));
        if (!r->is_building || !json_is_object(full))
            continue;
        json_t *kept = json_deep_copy(full);
        json_object_del(kept, "arn");
        json_put(section(r, "exports"), arn, kept);
    }
    if (r->is_building)
        (void)section(r, "exports");
}

static void read_tax(struct reading *r)
{
    const json_t *facts = ask(r, "tax", &tax_list_tax_registrations, NULL);
    const json_t *inheritance = ask(r, "inheritance", &tax_get_tax_inheritance, NULL);
    if (!r->is_building)
        return;
    json_t *to = section(r, "tax"), *one = NULL;
    size_t i = 0;
    json_array_foreach (members_of(facts, "accounts"), i, one)
        json_put(to, json_str_at(one, "accountId"),
                 shape_tax(json_object_get(one, "taxRegistration"), json_str_at(one, "accountMetaData.seller")));
    json_put(to, "inheritance", json_make("{s:s}", "status", json_str_at(inheritance, "status")));
}

static void read_contact(struct reading *r)
{
    static const char *const kinds[] = {"BILLING", "OPERATIONS", "SECURITY"};
    const json_t *contact = ask(r, "contact", &account_get_contact_information, NULL);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const json_t *facts = ask(r, step_text(r->s, "contact/%s", kinds[i]), &account_get_alternate_contact,
                                  json_make("{s:s}", "AlternateContactType", kinds[i]));
        if (r->is_building && json_is_object(facts))
            json_put(section(r, "contact"), kinds[i], json_deep_copy(facts));
    }
    if (r->is_building && json_is_object(contact))
        json_put(section(r, "contact"), "contact", copy_of(contact, "contact"));
    if (r->is_building)
        (void)section(r, "contact");
}

/* ---- Two equal reads
 * ------------------------------------------------------------------------------------------------------ */
static const struct {
    void (*read)(struct reading *r);
    const char *sections;
} groups[] = {
    {read_organization, "organization"},
    {read_accounts, "accounts"},
    {read_tree, "tree"},
    {read_policies, "policies"},
    {read_trusted, "trusted_services"},
    {read_delegation, "delegation"},
    {read_handshakes, "handshakes"},
    {read_features, "features"},
    {read_iam, "iam.users,iam.groups,iam.roles,iam.policies"},
    {read_iam_account, "iam.account"},
    {read_buckets, "s3"},
    {read_reports, "cur"},
    {read_exports, "exports"},
    {read_tax, "tax"},
    {read_contact, "contact"},
};

/* One pass over the groups in `wanted` (bits), asking; then building. NULL while answers are missing. */
static json_t *read_pass(struct step *s, int pass, uint32_t wanted, enum step_result *ret)
{
    struct reading r = {.s = s, .pass = pass, .all = STEP_DONE};
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        if (wanted & (1U << g))
            groups[g].read(&r);
    *ret = r.all;
    if (r.all != STEP_DONE)
        return NULL;
    r.is_building = true;
    r.sections = step_keep(s, json_object());
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        if (wanted & (1U << g))
            groups[g].read(&r);
    return r.sections;
}

static bool is_equal_group(const json_t *a, const json_t *b, const char *names)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)b, name, value) {
        if (str_in_list(names, name) && !json_equal(json_object_get(a, name), value))
            return false;
    }
    return true;
}

static uint32_t unequal_groups(const json_t *a, const json_t *b, uint32_t wanted)
{
    uint32_t unequal = 0;
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        if ((wanted & (1U << g)) && !is_equal_group(a, b, groups[g].sections))
            unequal |= 1U << g;
    return unequal;
}

/* [{section, digests: [last but one, last]}] of the sections that differ still. New reference. */
static json_t *list_unstable(const json_t *a, const json_t *b, uint32_t unequal)
{
    json_t *list = json_array(), *value = NULL;
    const char *name = NULL;
    json_object_foreach ((json_t *)(uintptr_t)b, name, value) {
        for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
            if (!(unequal & (1U << g)) || !str_in_list(groups[g].sections, name) ||
                json_equal(json_object_get(a, name), value))
                continue;
            char old_digest[65], new_digest[65];
            json_digest(json_object_get(a, name), old_digest);
            json_digest(value, new_digest);
            json_array_append_new(list, json_make("{s:s,s:[s,s]}", "section", name, "digests", old_digest, new_digest));
        }
    }
    json_sort_by(list, "section");
    return list;
}

enum step_result fingerprint_read(struct step *s, const json_t **ret)
{
    uint32_t wanted = (1U << ARRAY_LEN(groups)) - 1;
    enum step_result r = STEP_DONE;
    /* Both first passes before the first comparison: a section is assembled when it is needed, not on every entry. */
    struct reading first = {.s = s, .pass = 1, .all = STEP_DONE};
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        groups[g].read(&first);
    TRY(first.all);
    struct reading second = {.s = s, .pass = 2, .all = STEP_DONE};
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        groups[g].read(&second);
    TRY(second.all);

    json_t *sections = step_keep(s, json_object()), *unstable = step_keep(s, json_array());
    const json_t *last = read_pass(s, 1, wanted, &r);
    TRY(r);
    for (int pass = 2; pass <= TRIES_MAX && wanted; pass++) {
        const json_t *now = read_pass(s, pass, wanted, &r);
        TRY(r);
        uint32_t unequal = unequal_groups(last, now, wanted);
        json_object_update(sections, (json_t *)(uintptr_t)now);
        if (pass == TRIES_MAX && unequal)
            unstable = step_keep(s, list_unstable(last, now, unequal));
        last = now;
        wanted = unequal;
    }
    json_t *fingerprint = step_keep(s, json_make("{s:O,s:O,s:I}", "sections", sections, "unstable", unstable,
                                                 "taken_ms", (json_int_t)step_now(s, "taken")));
    fingerprint_seal(fingerprint);
    *ret = fingerprint;
    return STEP_DONE;
}
