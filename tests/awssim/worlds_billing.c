/* Billing of a world: buckets, reports, tax registrations, contact data, trails, exports, invoices: all there before
 * us. */
#include "worlds.h"

#include <stdio.h>

json_t *make_bucket(struct make *m, const char *name, const char *region)
{
    json_t *bucket = json_pack("{s:s, s:o, s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b}, s:{s:s, s:b}, s:{}}", "Name", name,
                               "CreationDate", make_time(make_past(m, 5, 1500)), "region", region, "acl", "private",
                               "ownership", "BucketOwnerEnforced", "public_access_block", "BlockPublicAcls", 1,
                               "IgnorePublicAcls", 1, "BlockPublicPolicy", 1, "RestrictPublicBuckets", 1, "encryption",
                               "SSEAlgorithm", "AES256", "BucketKeyEnabled", 0, "objects");
    json_object_set_new(make_map(m, "s3", "buckets"), name, bucket);
    return bucket;
}

static json_t *billing_cur_policy(const struct make *m, const char *bucket)
{
    return svc_textf("{\"Version\":\"2008-10-17\",\"Id\":\"Policy1335892530063\",\"Statement\":[{\"Sid\":"
                     "\"Stmt1335892150622\",\"Effect\":\"Allow\",\"Principal\":"
                     "{\"Service\":\"billingreports.amazonaws.com\"},\"Action\":[\"s3:GetBucketAcl\",\"s3:"
                     "GetBucketPolicy\"],\"Resource\":"
                     "\"arn:aws:s3:::%s\",\"Condition\":{\"StringEquals\":{\"aws:SourceAccount\":\"%s\"}}},{\"Sid\":"
                     "\"Stmt1335892526596\",\"Effect\":\"Allow\","
                     "\"Principal\":{\"Service\":\"billingreports.amazonaws.com\"},\"Action\":\"s3:PutObject\","
                     "\"Resource\":\"arn:aws:s3:::%s/*\"}]}",
                     bucket, m->w->account, bucket);
}

void make_report(struct make *m, const char *name, const char *bucket, const char *region)
{
    json_t *report =
        json_pack("{s:s, s:s, s:s, s:s, s:[s], s:s, s:s, s:s, s:[s], s:b, s:s}", "ReportName", name, "TimeUnit",
                  make_chance(m, 50) ? "DAILY" : "HOURLY", "Format", "Parquet", "Compression", "Parquet",
                  "AdditionalSchemaElements", "RESOURCES", "S3Bucket", bucket, "S3Prefix", "cur", "S3Region", region,
                  "AdditionalArtifacts", "ATHENA", "RefreshClosedReports", 1, "ReportVersioning", "OVERWRITE_REPORT");
    json_object_set_new(report, "ReportStatus",
                        json_pack("{s:s, s:s}", "lastDelivery", "20260601T041500Z", "lastStatus", "SUCCESS"));
    json_object_set_new(report, "delivered", json_true());
    json_object_set_new(make_map(m, "cur", "reports"), name, report);
}

static void billing_reports(struct make *m)
{
    char bucket[64], report[64];
    unsigned count = (unsigned)make_below(m, 4);
    (void)snprintf(bucket, sizeof bucket, "%s-cost-reports-%s", m->id, m->w->account);
    make_map(m, "cur", "reports");
    if (count == 0)
        return;
    json_t *made = make_bucket(m, bucket, "us-east-1");
    json_object_set_new(made, "policy", billing_cur_policy(m, bucket));
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(report, sizeof report, "%s-costs-%u", m->id, i + 1);
        make_report(m, report, bucket, "us-east-1");
    }
}

static void billing_buckets(struct make *m)
{
    static const char *const uses[] = {"artifacts", "backups", "website", "logs", "terraform-state"};
    static const char *const regions[] = {"us-east-1", "eu-west-1", "eu-central-1"};
    unsigned count = 1 + (unsigned)make_below(m, 5);
    for (unsigned i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s-%s-%s", m->id, uses[i], m->w->account);
        json_t *bucket = make_bucket(m, name, regions[make_below(m, 3)]);
        if (make_chance(m, 40))
            make_tag(bucket, "tags", "owner", "platform");
        if (make_chance(m, 30))
            json_object_set_new(bucket, "versioning", json_string("Enabled"));
        if (make_chance(m, 30))
            json_object_set_new(
                bucket, "policy",
                svc_textf("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"TLS\",\"Effect\":\"Deny\","
                          "\"Principal\":\"*\",\"Action\":"
                          "\"s3:*\",\"Resource\":[\"arn:aws:s3:::%s\",\"arn:aws:s3:::%s/*\"],\"Condition\":{\"Bool\":"
                          "{\"aws:SecureTransport\":\"false\"}}}]}",
                          name, name));
    }
}

static json_t *billing_address(const struct make *m, const char *country)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "countryCode", country, "city", "Springfield", "postalCode", "10115",
                     "addressLine1", svc_textf("Main Street %u", m->index));
}

void make_tax(struct make *m, const char *account, const char *country, const char *status)
{
    json_t *one = json_pack("{s:s, s:o}", "seller", sim_tax_seller(country), "address", billing_address(m, country));
    if (status[0] != '\0') {
        json_object_set_new(one, "entry",
                            json_pack("{s:o, s:s, s:s, s:s, s:o}", "registrationId",
                                      svc_textf("%s%09u", country, 123000000u + m->index), "registrationType", "VAT",
                                      "legalName", m->name, "sector", "Business", "legalAddress",
                                      billing_address(m, country)));
        json_object_set_new(one, "status", json_string(status));
    }
    json_object_set_new(make_map(m, "tax", "accounts"), account, one);
}

static void billing_tax(struct make *m)
{
    make_tax(m, m->w->account, m->country, make_chance(m, 70) ? "Verified" : "");
    for (unsigned n = 1; n <= m->members; n++) {
        char member[13];
        make_member_account(m, n, member);
        make_tax(m, member, m->country, n % 7 == 0 ? "Verified" : "");
    }
    json_object_set_new(make_section(m, "tax"), "inheritance", json_string("OptOut"));
}

static void billing_contact(struct make *m)
{
    json_t *information =
        json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s}", "FullName", "R. Roe", "AddressLine1",
                  svc_textf("Main Street %u", m->index), "City", "Springfield", "PostalCode", "10115", "CountryCode",
                  m->country, "PhoneNumber", "+49 30 555 0100", "CompanyName", m->name);
    json_object_set_new(make_section(m, "contact"), "information", information);
    if (make_chance(m, 60))
        json_object_set_new(make_map(m, "contact", "alternate"), "BILLING",
                            json_pack("{s:s, s:s, s:o, s:s, s:s}", "Name", "Finance", "Title", "Accounts payable",
                                      "EmailAddress", svc_textf("finance@%s", m->domain), "PhoneNumber",
                                      "+49 30 555 0101", "AlternateContactType", "BILLING"));
    if (make_chance(m, 40))
        json_object_set_new(make_map(m, "contact", "alternate"), "SECURITY",
                            json_pack("{s:s, s:s, s:o, s:s, s:s}", "Name", "SOC", "Title", "Security", "EmailAddress",
                                      svc_textf("soc@%s", m->domain), "PhoneNumber", "+49 30 555 0102",
                                      "AlternateContactType", "SECURITY"));
}

static void billing_trail(struct make *m)
{
    char bucket[64];
    (void)snprintf(bucket, sizeof bucket, "%s-org-trail-%s", m->id, m->w->account);
    make_bucket(m, bucket, "us-east-1");
    json_t *trail = json_pack("{s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:b, s:b}", "Name", "org-trail", "S3BucketName",
                              bucket, "HomeRegion", "us-east-1", "TrailARN",
                              svc_textf("arn:aws:cloudtrail:us-east-1:%s:trail/org-trail", m->w->account),
                              "IncludeGlobalServiceEvents", 1, "IsMultiRegionTrail", 1, "LogFileValidationEnabled", 1,
                              "HasCustomEventSelectors", 0, "HasInsightSelectors", 0, "IsOrganizationTrail", 1);
    json_object_set_new(make_section(m, "trails"), "org-trail", json_pack("{s:o, s:b}", "trail", trail, "logging", 1));
}

static void billing_export(struct make *m)
{
    json_t *arn =
        svc_textf("arn:aws:bcm-data-exports:us-east-1:%s:export/focus-%08x", m->w->account, (unsigned)make_random(m));
    json_t *export = json_pack(
        "{s:O, s:s, s:{s:s, s:{s:{s:s}}}, s:{s:{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s}}}, s:{s:s}}", "ExportArn", arn,
        "Name", "focus", "DataQuery", "QueryStatement", "SELECT BilledCost FROM FOCUS_1_0_AWS", "TableConfigurations",
        "FOCUS_1_0_AWS", "TIME_GRANULARITY", "DAILY", "DestinationConfigurations", "S3Destination", "S3Bucket",
        "exports", "S3Prefix", "focus", "S3Region", "us-east-1", "S3OutputConfigurations", "OutputType", "CUSTOM",
        "Format", "PARQUET", "Compression", "PARQUET", "Overwrite", "OVERWRITE_REPORT", "RefreshCadence", "Frequency",
        "SYNCHRONOUS");
    json_t *status = json_pack("{s:s, s:o}", "StatusCode", "HEALTHY", "CreatedAt", make_seconds(m->founded_ms));
    json_object_set_new(make_section(m, "exports"), json_string_value(arn),
                        json_pack("{s:o, s:o}", "Export", export, "ExportStatus", status));
    json_decref(arn);
}

static void billing_invoices(struct make *m)
{
    json_t *summary =
        json_pack("{s:s, s:o, s:{s:i, s:i}, s:{s:s, s:s}, s:s, s:{s:s, s:s}}", "AccountId", m->w->account, "InvoiceId",
                  svc_textf("EUINGB26-%u", 100000u + m->index), "BillingPeriod", "Month", 5, "Year", 2026, "Entity",
                  "InvoicingEntity", sim_tax_seller(m->country), "BillingEntity", "AWS", "InvoiceType", "INVOICE",
                  "BaseCurrencyAmount", "TotalAmount", "18233.10", "CurrencyCode", "USD");
    json_object_set_new(m->state, "invoices", json_pack("[o]", summary));
    json_object_set_new(make_section(m, "invoice_profiles"), m->w->account,
                        json_pack("{s:s, s:s, s:o, s:s}", "AccountId", m->w->account, "ReceiverName", m->name,
                                  "ReceiverEmail", svc_textf("finance@%s", m->domain), "Issuer",
                                  sim_tax_seller(m->country)));
}

void make_billing(struct make *m)
{
    billing_reports(m);
    billing_buckets(m);
    billing_tax(m);
    billing_contact(m);
    billing_trail(m);
    if (make_chance(m, 30))
        billing_export(m);
    billing_invoices(m);
}
