/* Buckets, reports, exports, tax, contact and trails of a recorded world. */
#include "worlds_load.h"

#include <stdlib.h>

/* What the record knows of the one bucket that the import cares about. */
static void dress_bucket(json_t *bucket, const json_t *known)
{
    static const char *const same[] = {"policy", "public_access_block", "ownership", "encryption"};
    if (json_is_object(json_object_get(known, "tags")))
        json_object_set_new(bucket, "tags", load_tags(json_object_get(known, "tags")));
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (json_object_get(known, same[i]) != NULL && !json_is_null(json_object_get(known, same[i])))
            json_object_set(bucket, same[i], json_object_get(known, same[i]));
}

static void load_buckets(struct load *l)
{
    const json_t *known = json_object_get(l->names, "bucket");
    const char *name, *standing = svc_text(known, "standing");
    json_t *one;
    make_map(&l->m, "s3", "buckets");
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "s3"), name, one) {
        json_t *bucket = make_bucket(&l->m, name, svc_text(one, "region"));
        if (svc_is(name, svc_text(known, "name")))
            dress_bucket(bucket, known);
    }
    if (svc_is(standing, "elsewhere"))
        json_object_set_new(make_map(&l->m, "s3", "squatted"), svc_text(known, "name"),
                            json_pack("{s:s}", "region", "us-west-2"));
}

static void load_reports(struct load *l)
{
    json_t *reports = make_map(&l->m, "cur", "reports"), *one;
    const char *name;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "cur"), name, one) {
        json_t *report = json_deep_copy(one);
        json_object_set_new(report, "ReportStatus",
                            json_pack("{s:s, s:s}", "lastDelivery", "20260601T041500Z", "lastStatus", "SUCCESS"));
        json_object_set_new(report, "delivered", json_true());
        const json_t *tags = json_object_get(json_object_get(l->names, "report_tags"), name);
        if (tags != NULL)
            json_object_set_new(report, "tags", load_tags(tags));
        json_object_set_new(reports, name, report);
    }
}

static void load_exports(struct load *l)
{
    const char *arn;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "exports"), arn, one) {
        const json_t *tables = json_object_get(one, "tables"), *destination = json_object_get(one, "destination");
        json_t *export =
            json_pack("{s:s, s:s, s:{s:s, s:o}, s:o, s:{s:s}}", "ExportArn", arn, "Name", svc_text(one, "name"),
                      "DataQuery", "QueryStatement", svc_text(one, "query"), "TableConfigurations",
                      tables ? json_deep_copy(tables) : json_object(), "DestinationConfigurations",
                      destination ? json_deep_copy(destination) : json_object(), "RefreshCadence", "Frequency",
                      svc_text(one, "refresh"));
        json_object_set_new(make_section(&l->m, "exports"), arn,
                            json_pack("{s:o, s:{s:s, s:i}}", "Export", export, "ExportStatus", "StatusCode", "HEALTHY",
                                      "CreatedAt", 1700000000));
    }
}

/* ---- Tax ---- */

static json_t *tax_entry(const json_t *registration)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "registrationId", svc_text(registration, "id"), "registrationType",
                     svc_text(registration, "type"), "legalName", svc_text(registration, "legal_name"), "sector",
                     "Business", "legalAddress", json_deep_copy(json_object_get(registration, "address")));
}

static void load_tax(struct load *l)
{
    json_t *accounts = make_map(&l->m, "tax", "accounts"), *one;
    const char *account, *status = svc_text(json_object_get(load_section(l, "tax"), "inheritance"), "status");
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "tax"), account, one) {
        const json_t *registration = json_object_get(one, "registration");
        if (svc_is(account, "inheritance"))
            continue;
        json_t *made = json_pack("{s:s}", "seller", svc_text(one, "seller"));
        if (json_is_object(registration)) {
            json_object_set_new(made, "entry", tax_entry(registration));
            json_object_set_new(made, "status", json_string("Verified"));
        }
        json_object_set_new(accounts, account, made);
    }
    json_object_set_new(make_section(&l->m, "tax"), "inheritance", json_string(status[0] ? status : "OptOut"));
    /* The own registration was read whole: with its status, and with what the fingerprint leaves out. */
    const json_t *whole = json_object_get(l->names, "registration");
    json_t *own = json_object_get(accounts, l->m.w->account);
    if (!json_is_object(whole) || own == NULL)
        return;
    json_t *entry = json_deep_copy(whole);
    const char *now = svc_text(whole, "status");
    json_object_set_new(own, "status", json_string(now[0] ? now : "Verified"));
    if (svc_is(now, "Pending"))
        json_object_set_new(own, "settles_ms", json_integer((json_int_t)(sim_now_ms() + 30u * 86400000u)));
    json_object_del(entry, "status");
    json_object_set_new(own, "entry", entry);
}

/* ---- Contact, trails ---- */

static void load_contact(struct load *l)
{
    const char *kind;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "contact"), kind, one) {
        if (svc_is(kind, "contact"))
            json_object_set_new(make_section(&l->m, "contact"), "information", json_deep_copy(one));
        else
            json_object_set_new(make_map(&l->m, "contact", "alternate"), kind,
                                json_pack("{s:s, s:s, s:s, s:s, s:s}", "Name", svc_text(one, "name"), "Title",
                                          svc_text(one, "title"), "EmailAddress", svc_text(one, "email"), "PhoneNumber",
                                          svc_text(one, "phone"), "AlternateContactType", kind));
    }
}

static void load_trails(struct load *l)
{
    static const char *const texts[][2] = {{"name", "Name"},
                                           {"bucket", "S3BucketName"},
                                           {"home", "HomeRegion"},
                                           {"prefix", "S3KeyPrefix"},
                                           {"topic", "SnsTopicARN"},
                                           {"key", "KmsKeyId"},
                                           {"log_group", "CloudWatchLogsLogGroupArn"},
                                           {"log_role", "CloudWatchLogsRoleArn"}};
    static const char *const flags[][2] = {{"global_events", "IncludeGlobalServiceEvents"},
                                           {"multi_region", "IsMultiRegionTrail"},
                                           {"validation", "LogFileValidationEnabled"},
                                           {"selectors", "HasCustomEventSelectors"},
                                           {"insights", "HasInsightSelectors"},
                                           {"organization", "IsOrganizationTrail"}};
    const char *arn;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "trails"), arn, one) {
        json_t *trail = json_pack("{s:s}", "TrailARN", arn);
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            if (svc_text(one, texts[i][0])[0] != '\0')
                json_object_set_new(trail, texts[i][1], json_string(svc_text(one, texts[i][0])));
        for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
            json_object_set_new(trail, flags[i][1], json_boolean(json_is_true(json_object_get(one, flags[i][0]))));
        json_object_set_new(
            make_section(&l->m, "trails"), svc_text(one, "name"),
            json_pack("{s:o, s:b}", "trail", trail, "logging", json_is_true(json_object_get(one, "logging"))));
    }
}

void load_billing(struct load *l)
{
    load_buckets(l);
    load_reports(l);
    load_exports(l);
    load_tax(l);
    load_contact(l);
    load_trails(l);
}
