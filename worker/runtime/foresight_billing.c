/* What later reads of reports, tax and the partner program show of a planned write. Pure. */
#include "worker/runtime/foresight_private.h"

/* ---- Cost reports ---- */

static void add_report(const struct foresight_write *w, json_t *facts)
{
    (void)json_array_append_new(json_object_get(facts, "reports"),
                                json_deep_copy(json_at(w->args, "ReportDefinition")));
}

static const char *report_of(const struct foresight_write *w)
{
    return json_str_or(w->args, "ReportName", json_str_at(w->args, "ReportDefinition.ReportName"));
}

SEE(see_put_report)
{
    if (read_is(r, "cur:DescribeReportDefinitions") && facts)
        add_report(w, facts);
    if (read_is(r, "cur:ListTagsForResource") && str_eq(json_str_at(r->args, "ReportName"), report_of(w)))
        return instead(facts, json_make("{s:o}", "tags", tags_of(json_at(w->args, "Tags"))));
    return facts;
}

SEE(see_modify_report)
{
    if (read_is(r, "cur:DescribeReportDefinitions") && facts) {
        facts = list_without(facts, "reports", "ReportName", report_of(w));
        add_report(w, facts);
    }
    return facts;
}

SEE(see_delete_report)
{
    if (read_is(r, "cur:DescribeReportDefinitions"))
        return list_without(facts, "reports", "ReportName", report_of(w));
    bool is_of_it = read_is(r, "cur:ListTagsForResource") && str_eq(json_str_at(r->args, "ReportName"), report_of(w));
    return is_of_it ? instead(facts, json_null()) : facts;
}

/* ---- Tax: AWS takes a registration first and verifies it then ---- */

static json_t *own_tax_row(const struct foresight_read *r, json_t *facts)
{
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(facts, "accounts"), i, one)
        if (str_eq(json_str_at(one, "accountId"), json_str_at(r->import, "vars.account_id")))
            return one;
    return NULL;
}

static json_t *registration_of(const struct foresight_write *w)
{
    json_t *registration = json_deep_copy(json_at(w->args, "taxRegistrationEntry"));
    json_put_str(registration, "status", "Pending");
    return registration;
}

SEE(see_put_tax)
{
    if (read_is(r, "tax:GetTaxRegistration"))
        return instead(facts, json_make("{s:o}", "registration", registration_of(w)));
    json_t *row = read_is(r, "tax:ListTaxRegistrations") ? own_tax_row(r, facts) : NULL;
    if (row)
        json_put(row, "taxRegistration", registration_of(w));
    return facts;
}

SEE(see_delete_tax)
{
    (void)w;
    if (read_is(r, "tax:GetTaxRegistration"))
        return instead(facts, json_null());
    json_t *row = read_is(r, "tax:ListTaxRegistrations") ? own_tax_row(r, facts) : NULL;
    if (row)
        (void)json_object_del(row, "taxRegistration");
    return facts;
}

SEE(see_tax_verified)
{
    (void)w;
    json_t *registration = NULL;
    if (read_is(r, "tax:GetTaxRegistration"))
        registration = json_object_get(facts, "registration");
    else if (read_is(r, "tax:ListTaxRegistrations"))
        registration = json_object_get(own_tax_row(r, facts), "taxRegistration");
    if (json_is_object(registration))
        json_put_str(registration, "status", "Verified");
    return facts;
}

SEE(see_tax_country)
{
    json_t *row = read_is(r, "tax:ListTaxRegistrations") ? own_tax_row(r, facts) : NULL;
    if (!row)
        return facts;
    static const char *const path[] = {"accountMetaData", "addressRoleMap", "TaxAddress"};
    for (size_t i = 0; i < ARRAY_LEN(path); i++) {
        json_t *inner = json_object_get(row, path[i]);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_put(row, path[i], inner);
        }
        row = inner;
    }
    json_put_str(row, "countryCode", json_str_at(w->args, "country"));
    return facts;
}

/* ---- Partner program ---- */

SEE(see_create_relationship)
{
    json_auto_t *made = json_make(
        "{s:s, s:s, s:s, s:s, s:s}", "id", FORESIGHT_UNKNOWN, "account_id", json_str_at(w->args, "associatedAccountId"),
        "pma", json_str_at(w->args, "programManagementAccountIdentifier"), "type",
        json_str_at(w->args, "associationType"), "model", json_str_at(w->args, "resaleAccountModel"));
    if (read_is(r, "partnercentral:ListRelationships") && facts)
        (void)json_array_append(json_object_get(facts, "relationships"), made);
    if (read_is(r, "partnercentral:GetRelationship") && str_eq(json_str_at(r->args, "identifier"), FORESIGHT_UNKNOWN))
        return instead(facts, json_incref(made));
    return facts;
}
