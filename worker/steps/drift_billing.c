/* Drift of what bills travel through: the bucket and its settings, the report, the tax registration, the relationship
 * with the partner program. */
#include "common/aws/services/channel.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/s3.h"
#include "common/aws/services/taxsettings.h"
#include "worker/steps/drift_items.h"
#include "worker/steps/fingerprint_shape.h"
#include "worker/steps/policy_document.h"
#include "worker/steps/report_bucket.h"
#include "worker/steps/report_definition.h"

/* ---- Bucket ---- */

static struct drift_sighting ask_bucket(struct drift_look *l, const char *key, const struct aws_op *op)
{
    return drift_ask(l, key, op, report_bucket_args(l->s), json_str_at(l->handover, "bucket.region"));
}

static void look_at_statements(struct drift_look *l, const char *resource)
{
    struct drift_sighting at = ask_bucket(l, "bucket/policy", &s3_get_bucket_policy);
    const json_t *ours = json_at(step_import(l->s), "vars.bucket_policy");
    struct err ignored = {0};
    size_t i;
    json_t *statement = NULL;
    if (!drift_is_seen(l, &at, resource, "policy"))
        return;
    const char *text = json_str_at(at.facts, "policy");
    const json_t *document = *text ? step_keep(l->s, json_read(text, strlen(text), 0, &ignored)) : NULL;
    json_array_foreach ((json_t *)(uintptr_t)ours, i, statement) {
        json_auto_t *alone = json_make("[O]", statement);
        const char *what = step_text(l->s, "statement %s", json_str_at(statement, "Sid"));
        bool is_there = json_is_object(document) && policy_holds(document, alone);
        drift_say(l, resource, what, is_there ? "same" : "gone", is_there ? NULL : statement, NULL, at.through,
                  is_there ? NULL : "without it AWS delivers no report");
    }
}

/* What cur_bucket read back when the import ended. */
static void look_at_settings(struct drift_look *l, const char *resource)
{
    struct drift_sighting tags = ask_bucket(l, "bucket/tags", &s3_get_bucket_tagging);
    if (drift_is_seen(l, &tags, resource, "our tag"))
        drift_compare(l, &tags, resource, "our tag", step_keep(l->s, json_string(step_var(l->s, "tag_value"))),
                      json_incref(json_object_get(json_object_get(tags.facts, "tags"), step_var(l->s, "tag_key"))));
    struct drift_sighting block = ask_bucket(l, "bucket/public-access", &s3_get_public_access_block);
    if (drift_is_seen(l, &block, resource, "public access block"))
        drift_compare(l, &block, resource, "public access block", step_keep(l->s, json_true()),
                      json_boolean(json_bool_at(block.facts, "all")));
    struct drift_sighting owner = ask_bucket(l, "bucket/ownership", &s3_get_bucket_ownership);
    if (drift_is_seen(l, &owner, resource, "object ownership"))
        drift_compare(l, &owner, resource, "object ownership", step_keep(l->s, json_string("BucketOwnerEnforced")),
                      json_incref(json_object_get(owner.facts, "ownership")));
    struct drift_sighting crypt = ask_bucket(l, "bucket/encryption", &s3_get_bucket_encryption);
    if (drift_is_seen(l, &crypt, resource, "encryption"))
        drift_compare(l, &crypt, resource, "encryption", step_keep(l->s, json_string("AES256")),
                      json_incref(json_object_get(crypt.facts, "algorithm")));
    look_at_statements(l, resource);
}

static void look_at_bucket(struct drift_look *l)
{
    const json_t *from = json_object_get(l->handover, "bucket");
    const char *resource = step_text(l->s, "bucket %s", json_str_at(from, "name"));
    if (!json_is_object(from))
        return;
    struct drift_sighting at = ask_bucket(l, "bucket/location", &s3_get_bucket_location);
    if (at.sight == DRIFT_SEEN && json_is_null(at.facts)) {
        drift_say(l, resource, "bucket", "gone", json_object_get(from, "name"), NULL, at.through, NULL);
        return;
    }
    /* Refused is also what S3 says of a bucket that somebody else owns by now; the settings then tell no more. */
    if (drift_is_seen(l, &at, resource, "bucket"))
        drift_compare(l, &at, resource, "region", json_object_get(from, "region"),
                      json_incref(json_object_get(at.facts, "region")));
    look_at_settings(l, resource);
}

/* ---- Report ---- */

/* Only the members that differ: a whole definition hides what changed. */
static void compare_definition(struct drift_look *l, const struct drift_sighting *at, const char *resource,
                               const json_t *from, const json_t *report)
{
    json_auto_t *now = shape_report(report);
    json_t *old_part = step_keep(l->s, json_object()), *new_part = step_keep(l->s, json_object()), *value = NULL;
    const char *member = NULL;
    json_object_foreach ((json_t *)(uintptr_t)from, member, value)
        if (!json_equal(json_object_get(now, member), value)) {
            json_put(old_part, member, json_incref(value));
            json_put(new_part, member,
                     json_object_get(now, member) ? json_incref(json_object_get(now, member)) : json_null());
        }
    bool is_same = json_object_size(old_part) == 0;
    drift_say(l, resource, "definition", is_same ? "same" : "changed", is_same ? NULL : old_part,
              is_same ? NULL : new_part, at->through, NULL);
}

static void compare_delivery(struct drift_look *l, const struct drift_sighting *at, const char *resource,
                             const json_t *left, const json_t *report)
{
    const char *status = json_str_at(report, "ReportStatus.lastStatus");
    const char *last = json_str_at(report, "ReportStatus.lastDelivery");
    bool was_observed = str_eq(json_str_at(left, "delivery"), "observed");
    if (str_eq(status, "SUCCESS"))
        drift_say(l, resource, "delivery", "same", NULL, NULL, at->through, step_text(l->s, "last delivery %s", last));
    else if (*status)
        drift_say(l, resource, "delivery", "changed", json_object_get(left, "delivery"),
                  step_keep(l->s, json_string(status)), at->through, "AWS cannot deliver the report");
    else if (was_observed && *json_str_at(left, "last_delivery"))
        drift_say(l, resource, "delivery", "changed", json_object_get(left, "last_delivery"),
                  step_keep(l->s, json_null()), at->through, "AWS says nothing of a delivery any more");
    else
        drift_say(l, resource, "delivery", "same", NULL, NULL, at->through, "not observed yet");
}

static void look_at_report(struct drift_look *l)
{
    const json_t *left = json_object_get(l->handover, "report");
    const char *name = json_str_at(left, "name"), *resource = step_text(l->s, "report %s", name);
    if (!json_is_object(left))
        return;
    struct drift_sighting at = drift_ask(l, "reports", &cur_describe_report_definitions, NULL, "");
    if (!drift_is_seen(l, &at, resource, "definition,delivery"))
        return;
    const json_t *report = report_by_name(at.facts, name);
    if (!report) {
        drift_say(l, resource, "report", "gone", json_object_get(left, "name"), NULL, at.through, NULL);
        return;
    }
    compare_definition(l, &at, resource, json_object_get(left, "definition"), report);
    compare_delivery(l, &at, resource, left, report);
}

/* ---- Tax ---- */

static json_t *tax_value(const json_t *facts, const char *account)
{
    size_t i;
    json_t *one = NULL;
    json_array_foreach (json_object_get(facts, "accounts"), i, one)
        if (str_eq(json_str_at(one, "accountId"), account))
            return shape_tax(json_object_get(one, "taxRegistration"), json_str_at(one, "accountMetaData.seller"));
    return NULL;
}

static void look_at_tax(struct drift_look *l)
{
    const json_t *from = json_object_get(l->handover, "tax");
    const char *account = NULL;
    json_t *value = NULL;
    if (!json_object_size(from))
        return;
    struct drift_sighting at = drift_ask(l, "tax", &tax_list_tax_registrations, NULL, "");
    struct drift_sighting heirs = drift_ask(l, "inheritance", &tax_get_tax_inheritance, NULL, "");
    if (drift_is_seen(l, &at, "tax", "registration"))
        json_object_foreach ((json_t *)(uintptr_t)from, account, value)
            if (!str_eq(account, "inheritance"))
                drift_compare(l, &at, "tax", step_text(l->s, "registration of %s", account), value,
                              tax_value(at.facts, account));
    if (json_has(from, "inheritance") && drift_is_seen(l, &heirs, "tax", "inheritance"))
        drift_compare(l, &heirs, "tax", "inheritance", json_at(from, "inheritance.status"),
                      json_incref(json_object_get(heirs.facts, "status")));
}

/* ---- Partner program: seen by the operator's own account, through no role ---- */

static void look_at_partner(struct drift_look *l)
{
    const char *id = json_str_at(l->handover, "partner.relationship");
    const char *pma = step_var(l->s, "partner.program_management_account");
    const json_t *facts = NULL;
    if (!*id || !step_has_identity(l->s, AWS_AS_PARTNER)) {
        drift_say(l, "partner program", "relationship", "not_visible", NULL, NULL, NULL,
                  *id ? "no identity in the program management account is configured"
                      : "it was made by AWS's partner team; AWS lets nobody read it without the channel API");
        return;
    }
    const char *catalog = step_var(l->s, "partner.catalog");
    enum step_result one = step_call(l->s, "relationship", &channel_get_relationship,
                                     json_make("{s:s,s:s,s:s}", "catalog", *catalog ? catalog : "AWS",
                                               "programManagementAccountIdentifier", pma, "identifier", id),
                                     &facts);
    step_also(&l->all, one);
    if (one != STEP_DONE)
        return;
    const struct drift_sighting at = {.sight = DRIFT_SEEN, .facts = facts, .through = "the operator's partner account"};
    drift_compare(l, &at, "partner program", "relationship", json_at(l->handover, "partner.relationship"),
                  json_is_object(facts) ? json_string(json_str_at(facts, "id")) : NULL);
}

void drift_look_billing(struct drift_look *l)
{
    look_at_bucket(l);
    look_at_report(l);
    look_at_tax(l);
    look_at_partner(l);
}
