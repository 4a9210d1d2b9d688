/* The floor of a walk. Page sizes are AWS's largest: 20 in Organizations, 1,000 in IAM and for buckets, 5 cost reports.
 */
#include "worker/steps/fingerprint_cost.h"

#include "common/aws/services/account.h"
#include "common/aws/services/cloudtrail.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/data_exports.h"
#include "common/aws/services/features.h"
#include "common/aws/services/iam.h"
#include "common/aws/services/organizations.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/taxsettings.h"

#define ORG_PAGE 20
#define IAM_PAGE 1000
#define BUCKET_PAGE 1000
#define REPORT_PAGE 5
#define TAX_PAGE 100
#define POLICY_TYPES 13

static size_t pages(size_t count, size_t page)
{
    return count ? (count + page - 1) / page : 1;
}

static const json_t *section(const json_t *fingerprint, const char *name)
{
    return json_object_get(json_object_get(fingerprint, "sections"), name);
}

static size_t size_of(const json_t *fingerprint, const char *name)
{
    return json_object_size(section(fingerprint, name));
}

/* Roots, and one list of OUs for each root and OU: AWS has no other way down. Accounts tell their places themselves. */
static size_t tree_floor(const json_t *fingerprint)
{
    json_auto_t *children = json_object();
    const char *id = NULL;
    json_t *node = NULL;
    size_t roots = 0, sum = 0;
    json_object_foreach ((json_t *)(uintptr_t)section(fingerprint, "tree"), id, node) {
        const char *type = json_str_at(node, "type"), *parent = json_str_at(node, "parent");
        if (str_eq(type, "ACCOUNT"))
            continue;
        roots += str_eq(type, "ROOT");
        if (!json_object_get(children, id))
            json_put_int(children, id, 0);
        if (parent[0])
            json_put_int(children, parent, json_integer_value(json_object_get(children, parent)) + 1);
    }
    json_object_foreach (children, id, node)
        sum += pages((size_t)json_integer_value(node), ORG_PAGE);
    return pages(roots, ORG_PAGE) + sum;
}

/* One list for each type, then document and targets of each policy. */
static size_t policies_floor(const json_t *fingerprint)
{
    size_t sum = POLICY_TYPES;
    const char *id = NULL;
    json_t *policy = NULL;
    json_object_foreach ((json_t *)(uintptr_t)section(fingerprint, "policies"), id, policy)
        sum += 1 + pages(json_array_size(json_object_get(policy, "targets")), ORG_PAGE);
    return sum;
}

static size_t delegation_floor(const json_t *fingerprint)
{
    size_t administrators = size_of(fingerprint, "delegation");
    if (json_object_get(section(fingerprint, "delegation"), "resource_policy"))
        administrators--;
    return pages(administrators, ORG_PAGE) + 1 + administrators;
}

static size_t iam_floor(const json_t *fingerprint)
{
    size_t things = size_of(fingerprint, "iam.users") + size_of(fingerprint, "iam.groups") +
                    size_of(fingerprint, "iam.roles") + size_of(fingerprint, "iam.policies");
    return pages(things, IAM_PAGE) + pages(size_of(fingerprint, "iam.roles"), IAM_PAGE);
}

json_t *fingerprint_floor(const json_t *fingerprint, size_t regions)
{
    const struct {
        const char *section;
        size_t calls;
    } rows[] = {
        {"organization", 1},
        {"accounts", pages(size_of(fingerprint, "accounts"), ORG_PAGE)},
        {"tree", tree_floor(fingerprint)},
        {"policies", policies_floor(fingerprint)},
        {"trusted_services", pages(size_of(fingerprint, "trusted_services"), ORG_PAGE)},
        {"delegation", delegation_floor(fingerprint)},
        {"handshakes", 1 + pages(size_of(fingerprint, "handshakes"), ORG_PAGE)},
        {"transfers", 2},
        {"features", 2 * regions + 3},
        {"iam", iam_floor(fingerprint)},
        {"iam.account", 7},
        {"s3", pages(size_of(fingerprint, "s3"), BUCKET_PAGE)},
        {"cur", pages(size_of(fingerprint, "cur"), REPORT_PAGE)},
        {"exports", 1 + size_of(fingerprint, "exports")},
        {"tax", 1 + pages(size_of(fingerprint, "tax") > 1 ? size_of(fingerprint, "tax") - 1 : 0, TAX_PAGE)},
        {"contact", 4},
        {"trails", regions + size_of(fingerprint, "trails")},
    };
    json_t *floor = json_object();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_put_int(floor, rows[i].section, (int64_t)rows[i].calls);
    return floor;
}

const char *fingerprint_section_of(const struct aws_op *op)
{
    static const struct {
        const struct aws_op *op;
        const char *section;
    } rows[] = {
        {&organizations_describe_organization, "organization"},
        {&organizations_list_accounts, "accounts"},
        {&organizations_list_roots, "tree"},
        {&organizations_list_organizational_units_for_parent, "tree"},
        {&organizations_list_accounts_for_parent, "tree"},
        {&organizations_list_policies, "policies"},
        {&organizations_describe_policy, "policies"},
        {&organizations_list_targets_for_policy, "policies"},
        {&organizations_list_aws_service_access_for_organization, "trusted_services"},
        {&organizations_list_delegated_administrators, "delegation"},
        {&organizations_list_delegated_services_for_account, "delegation"},
        {&organizations_describe_resource_policy, "delegation"},
        {&organizations_list_handshakes_for_organization, "handshakes"},
        {&organizations_list_handshakes_for_account, "handshakes"},
        {&organizations_list_inbound_responsibility_transfers, "transfers"},
        {&organizations_list_outbound_responsibility_transfers, "transfers"},
        {&sso_list_instances, "features"},
        {&backup_describe_global_settings, "features"},
        {&fms_get_admin_account, "features"},
        {&ram_get_resource_shares, "features"},
        {&cloudformation_describe_organizations_access, "features"},
        {&iam_get_account_authorization_details, "iam"},
        {&iam_list_roles, "iam"},
        {&iam_get_account_summary, "iam.account"},
        {&iam_list_account_aliases, "iam.account"},
        {&iam_list_virtual_mfa_devices, "iam.account"},
        {&iam_get_account_password_policy, "iam.account"},
        {&iam_list_saml_providers, "iam.account"},
        {&iam_list_open_id_connect_providers, "iam.account"},
        {&iam_list_organizations_features, "iam.account"},
        {&s3_list_buckets, "s3"},
        {&s3_get_bucket_location, "s3"},
        {&cur_describe_report_definitions, "cur"},
        {&data_exports_list_exports, "exports"},
        {&data_exports_get_export, "exports"},
        {&tax_list_tax_registrations, "tax"},
        {&tax_get_tax_inheritance, "tax"},
        {&account_get_contact_information, "contact"},
        {&account_get_alternate_contact, "contact"},
        {&cloudtrail_describe_trails, "trails"},
        {&cloudtrail_get_trail_status, "trails"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].op == op)
            return rows[i].section;
    return "";
}
