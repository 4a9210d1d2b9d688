/* What of each answer the plan stands on. Lists that hold other people's things too are cut to what is ours. */
#include "worker/steps/plan_read_set.h"

#include "common/base/mem.h"
#include "common/codec/json.h"

#include <string.h>
#include <strings.h>

#define SAYS_BYTES_MAX 240

struct watch { /* one answer on its way into the set */
    const json_t *import, *args, *facts;
    json_t *out;
};

/* Takes value. */
static void add(struct watch *w, const char *kind, const char *name, const char *part, json_t *value)
{
    char digest[65];
    json_digest(value, digest);
    AUTO_FREE char *text = json_text(value);
    size_t len = strlen(text);
    if (len > SAYS_BYTES_MAX) {
        len = SAYS_BYTES_MAX;
        while (len && ((unsigned char)text[len] & 0xc0) == 0x80) /* not inside a character */
            len--;
    }
    json_auto_t *says = json_is_null(value) ? json_string("absent") : json_stringn(text, len);
    json_auto_t *item = json_sprintf("%s%s%s", kind, name, part);
    (void)json_array_append_new(w->out, json_make("{s:O, s:s, s:O}", "item", item, "digest", digest, "says", says));
    json_decref(value);
}

/* The named members of the facts; null stays null. New reference. */
static json_t *pick(const json_t *facts, const char *const *members)
{
    if (!json_is_object(facts))
        return facts ? json_incref((json_t *)(uintptr_t)facts) : json_null();
    json_t *some = json_object();
    for (; *members; members++)
        if (json_object_get(facts, *members))
            json_put(some, *members, json_incref(json_object_get(facts, *members)));
    return some;
}

#define PICK(facts_, ...) pick(facts_, (const char *const[]){__VA_ARGS__, NULL})

static json_t *whole(const json_t *facts)
{
    return facts ? json_incref((json_t *)(uintptr_t)facts) : json_null();
}

static const char *arg(const struct watch *w, const char *name)
{
    return json_str_at(w->args, name);
}

/* ---- IAM ---- */

static void see_roles(struct watch *w)
{
    const char *which;
    json_t *role, *names = json_array();
    size_t i;
    const json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)json_at(w->import, "vars.roles"), which, role) {
        json_array_foreach (json_at(w->facts, "roles"), i, one)
            if (strcasecmp(json_str_at(one, "name"), json_str_at(role, "name")) == 0)
                (void)json_array_append(names, json_object_get(one, "name"));
    }
    json_sort_by(names, NULL);
    add(w, "names of our roles", "", "", names);
}

static void see_role(struct watch *w)
{
    add(w, "role ", arg(w, "RoleName"), "",
        PICK(w->facts, "path", "role_id", "trust", "max_session", "description", "tags", "boundary"));
}

static void see_attached(struct watch *w)
{
    add(w, "role ", arg(w, "RoleName"), ": attached policies", whole(json_at(w->facts, "policies")));
}

static void see_inlines(struct watch *w)
{
    add(w, "role ", arg(w, "RoleName"), ": inline policies", whole(json_at(w->facts, "names")));
}

static void see_inline(struct watch *w)
{
    add(w, "role ", arg(w, "RoleName"), ": an inline policy", whole(w->facts));
}

static void see_policy(struct watch *w)
{
    add(w, "policy ", arg(w, "PolicyArn"), "", PICK(w->facts, "path", "policy_id", "default_version", "tags"));
}

static void see_document(struct watch *w)
{
    add(w, "policy ", arg(w, "PolicyArn"), ": document", whole(json_at(w->facts, "document")));
}

static void see_versions(struct watch *w)
{
    add(w, "policy ", arg(w, "PolicyArn"), ": versions", whole(json_at(w->facts, "versions")));
}

/* ---- Root ---- */

static void see_organization(struct watch *w)
{
    add(w, "root email", "", "", whole(json_at(w->facts, "master_email")));
    add(w, "organization", "", "", PICK(w->facts, "id", "master_account_id", "feature_set"));
}

static void see_summary(struct watch *w)
{
    const json_t *summary = json_at(w->facts, "summary");
    add(w, "root user: second factor", "", "", whole(json_object_get(summary, "AccountMFAEnabled")));
    add(w, "root user: access keys", "", "", whole(json_object_get(summary, "AccountAccessKeysPresent")));
}

static void see_devices(struct watch *w)
{
    json_t *serials = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(w->facts, "devices"), i, one)
        if (str_ends(json_str_at(one, "user_arn"), ":root"))
            (void)json_array_append(serials, json_object_get(one, "serial"));
    json_sort_by(serials, NULL);
    add(w, "root user: devices", "", "", serials);
}

static void see_trusted(struct watch *w)
{
    json_t *names = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(w->facts, "services"), i, one)
        (void)json_array_append(names, json_object_get(one, "principal"));
    json_sort_by(names, NULL);
    add(w, "trusted services", "", "", names);
}

static void see_identity(struct watch *w)
{
    add(w, "access that was handed over", "", "", PICK(w->facts, "ok", "account", "arn"));
}

/* ---- Bucket and report ---- */
#define SEE_BUCKET(fn_, what_)                                                                                         \
    static void fn_(struct watch *w)                                                                                   \
    {                                                                                                                  \
        add(w, "bucket ", arg(w, "Bucket"), what_, whole(w->facts));                                                   \
    }
SEE_BUCKET(see_bucket, "")
SEE_BUCKET(see_bucket_tags, ": tags")
SEE_BUCKET(see_bucket_block, ": public access")
SEE_BUCKET(see_bucket_owner, ": ownership")
SEE_BUCKET(see_bucket_encryption, ": encryption")
SEE_BUCKET(see_bucket_policy, ": policy")

static void see_reports(struct watch *w)
{
    const char *name = json_str_at(w->import, "vars.report");
    json_t *mine = json_null();
    size_t i;
    const json_t *one, *reports = json_at(w->facts, "reports");
    json_array_foreach (reports, i, one) {
        if (!str_eq(json_str_at(one, "ReportName"), name))
            continue;
        json_decref(mine);
        mine = json_copy((json_t *)(uintptr_t)one);
        (void)json_object_del(mine, "ReportStatus"); /* deliveries come and go */
    }
    add(w, "report ", name, "", mine);
    add(w, "room for a report", "", "", json_boolean(json_array_size(reports) < 5));
}

static void see_report_tags(struct watch *w)
{
    add(w, "report ", arg(w, "ReportName"), ": tags", whole(json_at(w->facts, "tags")));
}

/* ---- Tax and partner ---- */

static void see_tax(struct watch *w)
{
    add(w, "tax registration", "", "", whole(json_at(w->facts, "registration")));
}

static void see_taxes(struct watch *w)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_at(w->facts, "accounts"), i, one)
        if (str_eq(json_str_at(one, "accountId"), json_str_at(w->import, "vars.account_id")))
            add(w, "tax: seller and address", "", "",
                json_make("{s:s, s:s}", "seller", json_str_at(one, "accountMetaData.seller"), "country",
                          json_str_at(one, "accountMetaData.addressRoleMap.TaxAddress.countryCode")));
}

static void see_inheritance(struct watch *w)
{
    add(w, "tax inheritance", "", "", whole(json_at(w->facts, "status")));
}

static void see_relationships(struct watch *w)
{
    add(w, "partner relationship", "", "", whole(json_at(w->facts, "relationships")));
}

static void see_programs(struct watch *w)
{
    add(w, "program management accounts", "", "", whole(json_at(w->facts, "accounts")));
}

static const struct {
    const char *op;
    void (*see)(struct watch *w);
} watched[] = {
    {"iam:ListRoles", see_roles},
    {"iam:GetRole", see_role},
    {"iam:ListAttachedRolePolicies", see_attached},
    {"iam:ListRolePolicies", see_inlines},
    {"iam:GetRolePolicy", see_inline},
    {"iam:GetPolicy", see_policy},
    {"iam:GetPolicyVersion", see_document},
    {"iam:ListPolicyVersions", see_versions},
    {"iam:GetAccountSummary", see_summary},
    {"iam:ListVirtualMFADevices", see_devices},
    {"organizations:DescribeOrganization", see_organization},
    {"organizations:ListAWSServiceAccessForOrganization", see_trusted},
    {"runtime:identity", see_identity},
    {"s3:GetBucketLocation", see_bucket},
    {"s3:GetBucketTagging", see_bucket_tags},
    {"s3:GetPublicAccessBlock", see_bucket_block},
    {"s3:GetBucketOwnershipControls", see_bucket_owner},
    {"s3:GetBucketEncryption", see_bucket_encryption},
    {"s3:GetBucketPolicy", see_bucket_policy},
    {"cur:DescribeReportDefinitions", see_reports},
    {"cur:ListTagsForResource", see_report_tags},
    {"tax:GetTaxRegistration", see_tax},
    {"tax:ListTaxRegistrations", see_taxes},
    {"tax:GetTaxInheritance", see_inheritance},
    {"partnercentral:ListRelationships", see_relationships},
    {"partnercentral:ListProgramManagementAccounts", see_programs},
};

static bool see(struct watch *w, const char *op)
{
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
        if (!str_eq(watched[i].op, op))
            continue;
        if (json_has(w->facts, "error"))
            add(w, "", op, "", json_sprintf("refused: %s", json_str_at(w->facts, "error")));
        else
            watched[i].see(w);
        return true;
    }
    return false;
}

/* Events and probes are new each time by their nature: not even drift. */
static bool is_passing(const char *op)
{
    return str_in_list("runtime:events,sts:AssumeRole/probe,sts:GetCallerIdentity/retired,s3:ListObjectsV2", op);
}

json_t *plan_read_set(const json_t *import, const json_t *seen, json_t **ret_others)
{
    struct watch w = {.import = import, .out = json_array()};
    json_t *others = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)seen, i, one) {
        const char *op = json_str_at(one, "op");
        char digest[65];
        w.args = json_object_get(one, "args");
        w.facts = json_object_get(one, "facts");
        if (see(&w, op) || is_passing(op))
            continue;
        json_digest(w.facts, digest);
        (void)json_array_append_new(others, json_make("{s:s, s:s}", "op", op, "digest", digest));
    }
    json_sort_by(w.out, "item");
    json_sort_by(others, "op");
    *ret_others = others;
    return w.out;
}

static const json_t *by_item(const json_t *set, const char *item)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)set, i, one)
        if (str_eq(json_str_at(one, "item"), item))
            return one;
    return NULL;
}

static void add_moved(json_t *moved, const char *item, const json_t *from, const json_t *to)
{
    (void)json_array_append_new(moved, json_make("{s:s, s:s, s:s}", "item", item, "from",
                                                 json_str_or(from, "says", "not looked at"), "to",
                                                 json_str_or(to, "says", "not looked at")));
}

/* What only one of the two looked at follows from something else that moved; it is named when it is all there is. */
void plan_read_set_compare(const json_t *before, const json_t *now, json_t *moved)
{
    size_t i;
    const json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)now, i, one) {
        const char *item = json_str_at(one, "item");
        const json_t *was = by_item(before, item);
        if (was && !str_eq(json_str_at(was, "digest"), json_str_at(one, "digest")))
            add_moved(moved, item, was, one);
    }
    if (json_array_size(moved))
        return;
    json_array_foreach ((json_t *)(uintptr_t)now, i, one)
        if (!by_item(before, json_str_at(one, "item")))
            add_moved(moved, json_str_at(one, "item"), NULL, one);
    json_array_foreach ((json_t *)(uintptr_t)before, i, one)
        if (!by_item(now, json_str_at(one, "item")))
            add_moved(moved, json_str_at(one, "item"), one, NULL);
}
