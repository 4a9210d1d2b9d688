/* What is odd about each kind: one function per line of worlds.def that needs one, run on a world that is otherwise
 * healthy. */
#include "worlds.h"

#include <stdio.h>
#include <stdlib.h>

#define TAG_KEY "doit:onboarding"

static void twist_customer(struct make *m, const char *name, const char *value)
{
    json_object_set_new(make_section(m, "customer"), name, json_string(value));
}

/* Our name for the bucket and the report. */
static const char *our_name(const struct make *m, char room[64])
{
    (void)snprintf(room, 64, "doitintl-awsops-%s", m->id);
    return room;
}

static const char *own_region(struct make *m)
{
    return svc_text(make_section(m, "customer"), "region");
}

static json_t *own_trust(const char *external_id)
{
    return svc_textf("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:"
                     "aws:iam::068664126052:root\"},"
                     "\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":\"%s\"}}}]}",
                     external_id);
}

/* ---- Names that exist
 * -------------------------------------------------------------------------------------------------- */

static const char *const ec2_trust = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{"
                                     "\"Service\":\"ec2.amazonaws.com\"},"
                                     "\"Action\":\"sts:AssumeRole\"}]}";

static void twist_role_name_taken(struct make *m)
{
    json_t *role = make_role(m, "/", "DOITINTL_CMP",
                             "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{"
                             "\"Service\":\"ec2.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}");
    make_tag(role, "Tags", "owner", "somebody");
}

static void twist_role_adoptable(struct make *m)
{
    char external_id[32] = "ext-";
    make_letters(m, false, 20, external_id + 4);
    json_t *trust = own_trust(external_id);
    json_t *role = make_role(m, "/", "doitintl_cmp", json_string_value(trust));
    json_object_set_new(role, "Description", json_string("Made by an earlier try"));
    make_tag(role, "Tags", TAG_KEY, m->id);
    json_decref(trust);
    m->gives_id = true;
}

static void twist_policy_name_taken(struct make *m)
{
    make_iam_policy(m, "doitintl_cmp",
                    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ce:Get*\","
                    "\"Resource\":\"*\"}]}");
}

/* The bootstrap role of a role customer comes on top: it is made by people, who are not asked for a quota here. */
static void twist_role_quota(struct make *m)
{
    json_t *iam = make_section(m, "iam");
    size_t roles = json_object_size(json_object_get(iam, "roles")) + (m->role_access ? 1 : 0);
    json_object_set_new(iam, "quotas", json_pack("{s:I}", "RolesQuota", (json_int_t)roles));
}

static void twist_names_close(struct make *m)
{
    char name[80];
    make_role(m, "/", "doitintl_cmp2", ec2_trust);
    make_role(m, "/", "AWSAdmins", ec2_trust);
    (void)snprintf(name, sizeof name, "doitintl-awsops-%s-old", m->id);
    make_bucket(m, name, "us-east-1");
    make_report(m, name, name, "us-east-1");
    m->gives_id = true;
}

/* ---- Buckets
 * ----------------------------------------------------------------------------------------------------------- */

static void twist_bucket_squatted(struct make *m)
{
    char name[64];
    json_object_set_new(make_map(m, "s3", "squatted"), our_name(m, name), json_pack("{s:s}", "region", "us-west-2"));
    m->gives_id = true;
}

static void twist_bucket_exists(struct make *m)
{
    char name[64];
    json_t *bucket = make_bucket(m, our_name(m, name), own_region(m));
    make_tag(bucket, "tags", TAG_KEY, m->id);
    make_tag(bucket, "tags", "team", "finance");
    /* Odd spacing and order on purpose: what is foreign must come back as the same bytes. */
    json_object_set_new(
        bucket, "policy",
        svc_textf("{ \"Version\" : \"2012-10-17\", \"Id\":\"finance\", \"Statement\":[ "
                  "{\"Sid\":\"FinanceReads\",\"Effect\":\"Allow\",\"Principal\":"
                  "{\"AWS\":\"arn:aws:iam::%s:root\"},\"Action\":[\"s3:GetObject\",\"s3:ListBucket\"],\"Resource\":["
                  "\"arn:aws:s3:::%s\",\"arn:aws:s3:::%s/*\"]},"
                  "{\"Resource\":\"arn:aws:s3:::%s/"
                  "*\",\"Sid\":\"NoPlainText\",\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\","
                  "\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}} ] }",
                  m->w->account, name, name, name));
    m->gives_id = true;
}

static void twist_bucket_not_ours(struct make *m)
{
    char name[64];
    make_tag(make_bucket(m, our_name(m, name), own_region(m)), "tags", "team", "finance");
    m->gives_id = true;
}

static void twist_bucket_region(struct make *m)
{
    char name[64];
    json_t *bucket = make_bucket(m, our_name(m, name), "eu-central-1");
    make_tag(bucket, "tags", TAG_KEY, m->id);
    m->gives_id = true;
}

/* ---- Reports
 * ----------------------------------------------------------------------------------------------------------- */

static void fill_reports(struct make *m, unsigned count)
{
    char bucket[64], report[64];
    (void)snprintf(bucket, sizeof bucket, "%s-many-reports-%s", m->id, m->w->account);
    make_bucket(m, bucket, "us-east-1");
    json_object_clear(make_map(m, "cur", "reports"));
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(report, sizeof report, "team-%u-costs", i + 1);
        make_report(m, report, bucket, "us-east-1");
    }
}

static void twist_five_reports(struct make *m)
{
    fill_reports(m, 5);
}

static void twist_four_reports(struct make *m)
{
    fill_reports(m, 4);
}

static void twist_report_namesake(struct make *m)
{
    char name[64], bucket[64];
    (void)snprintf(bucket, sizeof bucket, "%s-other-%s", m->id, m->w->account);
    make_bucket(m, bucket, "us-east-1");
    make_report(m, our_name(m, name), bucket, "us-east-1");
    m->gives_id = true;
}

/* ---- The organization
 * ---------------------------------------------------------------------------------------------------- */

static void no_tree(struct make *m)
{
    static const char *const sections[] = {"policies", "trusted_services", "delegated", "org_tags", "features"};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        json_object_del(m->state, sections[i]);
}

/* The key handed over is of a user in a member account. */
static void member_key(struct make *m, char member[13])
{
    char key_id[21], secret[41];
    make_member_account(m, 1, member);
    json_t *part = json_object();
    json_object_set_new(make_section(m, "members"), member, json_pack("{s:o}", "iam", part));
    json_t *user = make_user(m, part, member, "doit-onboarding");
    json_array_append_new(json_object_get(user, "attached"),
                          json_string("arn:aws:iam::aws:policy/AdministratorAccess"));
    make_user_key(m, user, member, key_id, secret);
    twist_customer(m, "access_key_id", key_id);
    twist_customer(m, "secret_access_key", secret);
}

static void twist_member_account(struct make *m)
{
    char member[13];
    member_key(m, member);
    twist_customer(m, "account", member);
}

static void twist_wrong_account(struct make *m)
{
    char member[13];
    member_key(m, member);
}

static void twist_no_organization(struct make *m)
{
    no_tree(m);
    json_object_del(m->state, "organization");
    json_object_del(m->state, "accounts");
    json_object_del(m->state, "tree");
    json_object_del(m->state, "handshakes");
}

static void twist_org_mismatch(struct make *m)
{
    char other[16] = "o-";
    make_letters(m, false, 10, other + 2);
    twist_customer(m, "organization_id", other);
}

static void twist_consolidated(struct make *m)
{
    no_tree(m);
    json_object_set_new(json_object_get(m->state, "organization"), "FeatureSet", json_string("CONSOLIDATED_BILLING"));
    json_object_set_new(json_object_get(m->state, "organization"), "AvailablePolicyTypes", json_array());
    json_object_set_new(json_array_get(sim_at(m->w, "tree.roots"), 0), "PolicyTypes", json_array());
}

static void twist_invitations(struct make *m)
{
    make_invitation(m, "new-team@partner.example");
    make_invitation(m, "acquired@company.example");
}

static void twist_suspended(struct make *m)
{
    static const char *const states[] = {"SUSPENDED", "PENDING_CLOSURE", "SUSPENDED"};
    for (unsigned n = 1; n <= 3; n++) {
        char member[13];
        make_member_account(m, n, member);
        json_t *one = json_object_get(make_section(m, "accounts"), member);
        json_object_set_new(one, "State", json_string(states[n - 1]));
        json_object_set_new(one, "Status", json_string(n == 2 ? "PENDING_CLOSURE" : "SUSPENDED"));
    }
}

/* ---- Access, root
 * --------------------------------------------------------------------------------------------------------- */

static json_t *handed_user(struct make *m)
{
    return json_object_get(sim_at(m->w, "iam.users"), "doit-onboarding");
}

static void twist_no_admin(struct make *m)
{
    json_t *user = handed_user(m);
    json_object_set_new(user, "attached", json_pack("[s]", "arn:aws:iam::aws:policy/ReadOnlyAccess"));
}

/* Administrator, and yet: a guard rail of the customer's own, through a group, denies what the import must do. */
static void twist_explicit_deny(struct make *m)
{
    json_t *user = handed_user(m), *groups = make_map(m, "iam", "groups");
    make_iam_policy(m, "GuardRails",
                    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Look\",\"Effect\":\"Allow\",\"Action\":"
                    "\"iam:Get*\",\"Resource\":\"*\"},{\"Sid\":\"DenyNewRoles\",\"Effect\":\"Deny\",\"Action\":"
                    "[\"iam:CreateRole\",\"iam:UpdateAssumeRolePolicy\"],\"Resource\":\"*\"}]}");
    json_object_set_new(groups, "Everybody",
                        json_pack("{s:s, s:s, s:s, s:o, s:s, s:[o], s:{}}", "Path", "/", "GroupName", "Everybody",
                                  "GroupId", "AGPAEVERYBODY23456789", "Arn",
                                  svc_textf("arn:aws:iam::%s:group/Everybody", m->w->account), "CreateDate",
                                  "2020-01-01T00:00:00Z", "attached",
                                  svc_textf("arn:aws:iam::%s:policy/GuardRails", m->w->account), "inline"));
    json_object_set_new(user, "groups", json_pack("[s]", "Everybody"));
}

/* Administrator inside a permissions boundary that knows nothing of billing. */
static void twist_boundary(struct make *m)
{
    make_iam_policy(
        m, "Boundary",
        "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"NotAction\":[\"tax:*\",\"cur:Put*\"],"
        "\"Resource\":\"*\"}}");
    json_object_set_new(handed_user(m), "PermissionsBoundary",
                        json_pack("{s:s, s:o}", "PermissionsBoundaryType", "Policy", "PermissionsBoundaryArn",
                                  svc_textf("arn:aws:iam::%s:policy/Boundary", m->w->account)));
}

static void twist_admin_by_group(struct make *m)
{
    json_t *user = handed_user(m);
    json_object_set_new(user, "attached", json_array());
    json_object_set_new(user, "groups", json_pack("[s]", "Administrators"));
}

static void twist_already_ready(struct make *m)
{
    char email[96];
    (void)snprintf(email, sizeof email, "awsops+%s@doit-intl.com", m->id);
    json_object_set_new(make_section(m, "root"), "email", json_string(email));
    json_object_set_new(make_section(m, "root"), "mfa_devices", json_array());
    json_object_set_new(json_object_get(m->state, "organization"), "MasterAccountEmail", json_string(email));
    json_object_set_new(json_object_get(make_section(m, "accounts"), m->w->account), "Email", json_string(email));
    m->gives_id = true;
}

static void twist_root_keys(struct make *m)
{
    char key_id[21], secret[41];
    make_key(m, m->w->account, key_id, secret);
    json_object_set_new(json_object_get(make_section(m, "root"), "access_keys"), key_id,
                        json_pack("{s:s, s:s, s:o}", "secret", secret, "Status", "Active", "CreateDate",
                                  make_time(make_past(m, 900, 2000))));
}

/* ---- Billing, tax, partner, time
 * ------------------------------------------------------------------------------------------ */

static void twist_billing_off(struct make *m)
{
    json_object_set_new(make_section(m, "billing"), "iam_access", json_false());
}

static void twist_tax_pending(struct make *m)
{
    make_tax(m, m->w->account, m->country, "Pending");
    json_t *one = json_object_get(make_map(m, "tax", "accounts"), m->w->account);
    json_object_set_new(one, "settles_ms", json_integer((json_int_t)(sim_now_ms() + 30u * 86400000u)));
}

static void twist_tax_inheritance(struct make *m)
{
    json_object_set_new(make_section(m, "tax"), "inheritance", json_string("OptIn"));
}

static void twist_tax_rejected(struct make *m)
{
    json_object_set_new(make_section(m, "tax"), "rejects", json_true());
}

static void twist_seller(struct make *m)
{
    (void)snprintf(m->country, sizeof m->country, "US");
    twist_customer(m, "country", "US");
    json_object_clear(make_map(m, "tax", "accounts"));
    make_tax(m, m->w->account, "US", "");
    for (unsigned n = 1; n <= m->members; n++) {
        char member[13];
        make_member_account(m, n, member);
        make_tax(m, member, "US", "");
    }
    json_object_set_new(sim_at(m->w, "contact.information"), "CountryCode", json_string("US"));
}

static void twist_partner_conflict(struct make *m)
{
    json_object_set_new(make_section(m, "channel"), "held_by", json_string("Another Reseller"));
}

static void twist_vendor_missing(struct make *m)
{
    twist_customer(m, "roles", "cmp;cloudhealth;awsadmin");
    json_object_set_new(make_section(m, "customer"), "vendor_missing", json_true());
}

static void twist_tax_by_hand(struct make *m)
{
    json_object_set_new(json_object_get(make_section(m, "customer"), "row"), "billing.profile", json_string("console"));
}

static void twist_slow(struct make *m)
{
    json_t *timing = make_section(m, "timing");
    json_object_set_new(timing, "role_settles_ms", json_integer(3000));
    json_object_set_new(timing, "key_ms", json_integer(2000));
    json_object_set_new(timing, "bucket_policy_ms", json_integer(2500));
    json_object_set_new(timing, "trail_ms", json_integer(4000));
    json_object_set_new(timing, "tax_ms", json_integer(1500));
    json_object_set_new(timing, "delivery_ms", json_integer(5000));
}

static const struct twist {
    const char *kind;
    void (*change)(struct make *m);
} twists[] = {
    {"role_adoptable", twist_role_adoptable},
    {"bucket_exists_with_policy", twist_bucket_exists},
    {"billing_off", twist_billing_off},
    {"already_ready", twist_already_ready},
    {"slow_consistency", twist_slow},
    {"suspended_accounts", twist_suspended},
    {"consolidated_billing", twist_consolidated},
    {"old_report_stays", twist_four_reports},
    {"names_close_to_ours", twist_names_close},
    {"admin_by_group", twist_admin_by_group},
    {"mends_after_failure", twist_role_name_taken},
    {"role_name_taken", twist_role_name_taken},
    {"policy_name_taken", twist_policy_name_taken},
    {"role_quota", twist_role_quota},
    {"bucket_other_region", twist_bucket_region},
    {"tax_by_hand", twist_tax_by_hand},
    {"bucket_squatted", twist_bucket_squatted},
    {"bucket_not_ours", twist_bucket_not_ours},
    {"five_reports", twist_five_reports},
    {"report_namesake", twist_report_namesake},
    {"invitations_open", twist_invitations},
    {"vendor_missing", twist_vendor_missing},
    {"tax_pending", twist_tax_pending},
    {"member_account", twist_member_account},
    {"no_organization", twist_no_organization},
    {"org_mismatch", twist_org_mismatch},
    {"no_admin", twist_no_admin},
    {"explicit_deny", twist_explicit_deny},
    {"permissions_boundary", twist_boundary},
    {"root_access_keys", twist_root_keys},
    {"partner_conflict", twist_partner_conflict},
    {"tax_rejected", twist_tax_rejected},
    {"tax_inheritance", twist_tax_inheritance},
    {"seller_change", twist_seller},
    {"wrong_account", twist_wrong_account},
};

/* Sometimes the plan of an ordinary customer has CloudHealth in it, and the organization id is given and right. */
static void twist_ordinary(struct make *m)
{
    if (make_chance(m, 30)) {
        twist_customer(m, "roles", "cmp;cloudhealth;awsadmin");
        json_object_set_new(json_object_get(make_section(m, "customer"), "row"), "vars.cloudhealth_external_id",
                            svc_textf("ch-%08x", (unsigned)make_random(m)));
    }
    if (make_chance(m, 30))
        twist_customer(m, "organization_id", m->org);
}

void make_twist(struct make *m)
{
    if (svc_is(m->kind, "healthy") || svc_is(m->kind, "large"))
        twist_ordinary(m);
    for (size_t i = 0; i < sizeof twists / sizeof twists[0]; i++)
        if (svc_is(twists[i].kind, m->kind))
            twists[i].change(m);
}

#define MEMBERS_MAX 5000 /* what AWS grants on request; the account numbers would do for 6,999 */

unsigned make_size(struct make *m)
{
    unsigned max = sim_accounts_max ? sim_accounts_max : 25;
    if (svc_is(m->kind, "large"))
        max = sim_accounts_max ? sim_accounts_max : 300;
    if (max > MEMBERS_MAX)
        max = MEMBERS_MAX;
    if (svc_is(m->kind, "large"))
        return max - 1;
    if (svc_is(m->kind, "single_account") || svc_is(m->kind, "no_organization"))
        return 0;
    unsigned least = svc_is(m->kind, "healthy") ? 1 : 3;
    if (max <= least + 1)
        return least;
    /* Most customers are small. */
    unsigned a = (unsigned)make_below(m, max - least), b = (unsigned)make_below(m, max - least);
    return least + (a < b ? a : b);
}
