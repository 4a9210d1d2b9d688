/* What billing and the account itself say: cost reports, data exports, tax, contacts. */
#include "common/aws/services/account.h"
#include "common/aws/services/cur.h"
#include "common/aws/services/data_exports.h"
#include "common/aws/services/taxsettings.h"

#include "worker/steps/fingerprint_reading.h"
#include "worker/steps/fingerprint_shape.h"

#define TAX_PAGE 100 /* the documented most; the default is half of it, and the rate is one call a second */

void reading_reports(struct reading *r)
{
    const json_t *facts = reading_ask(r, "reports", &cur_describe_report_definitions, NULL);
    json_t *one = NULL;
    size_t i = 0;
    if (!r->is_building)
        return;
    json_array_foreach (json_object_get(facts, "reports"), i, one)
        json_put(reading_section(r, "cur"), json_str_at(one, "ReportName"), shape_report(one));
}

void reading_exports(struct reading *r)
{
    const json_t *facts = reading_ask(r, "exports", &data_exports_list_exports, NULL);
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(facts, "exports"), i, one) {
        const char *arn = json_string_value(one);
        const json_t *full = reading_ask(r, step_text(r->s, "export/%s", arn), &data_exports_get_export,
                                         json_make("{s:s}", "ExportArn", arn));
        if (!r->is_building || !json_is_object(full))
            continue;
        json_t *kept = json_deep_copy(full);
        json_object_del(kept, "arn");
        json_put(reading_section(r, "exports"), arn, kept);
    }
}

void reading_tax(struct reading *r)
{
    const json_t *facts =
        reading_ask(r, "tax", &tax_list_tax_registrations, json_make("{s:i}", "maxResults", TAX_PAGE));
    const json_t *inheritance = reading_ask(r, "inheritance", &tax_get_tax_inheritance, NULL);
    if (!r->is_building)
        return;
    json_t *to = reading_section(r, "tax"), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(facts, "accounts"), i, one)
        json_put(to, json_str_at(one, "accountId"),
                 shape_tax(json_object_get(one, "taxRegistration"), json_str_at(one, "accountMetaData.seller")));
    json_put(to, "inheritance", reading_pick(inheritance, "status"));
}

void reading_contact(struct reading *r)
{
    static const char *const kinds[] = {"BILLING", "OPERATIONS", "SECURITY"};
    const json_t *contact = reading_ask(r, "contact", &account_get_contact_information, NULL);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const json_t *facts = reading_ask(r, step_text(r->s, "contact/%s", kinds[i]), &account_get_alternate_contact,
                                          json_make("{s:s}", "AlternateContactType", kinds[i]));
        if (r->is_building && json_is_object(facts))
            json_put(reading_section(r, "contact"), kinds[i], json_deep_copy(facts));
    }
    if (r->is_building && json_is_object(contact))
        json_put(reading_section(r, "contact"), "contact", json_deep_copy(json_object_get(contact, "contact")));
}
