/* The rest: invoices and data exports, both only read.
 *
 * State "invoices": [{invoice summary}], "invoice_profiles": {"<account>": {..}}, "exports": {"<arn>": {Export..}}. */
#include "svc.h"

static void misc_invoices(struct sim_request *rq)
{
    const json_t *selector = json_object_get(rq->params, "Selector");
    const json_t *period = json_object_get(json_object_get(rq->params, "Filter"), "BillingPeriod");
    if (!svc_billing_open(rq))
        return;
    if (!svc_one_of(svc_text(selector, "ResourceType"), "ACCOUNT_ID,INVOICE_ID")) {
        sim_error(rq, 400, "ValidationException", "Selector.ResourceType is required.");
        return;
    }
    const char *field = svc_is(svc_text(selector, "ResourceType"), "ACCOUNT_ID") ? "AccountId" : "InvoiceId";
    json_t *list = json_array();
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(rq->world->state, "invoices"), i, one) {
        bool take = svc_is(svc_text(one, field), svc_text(selector, "Value")) &&
                    (period == NULL || json_equal(period, json_object_get(one, "BillingPeriod")));
        if (take)
            json_array_append(list, one);
    }
    sim_ok_json(rq, json_pack("{s:o}", "InvoiceSummaries", list));
}

static void misc_invoice_profiles(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    json_t *list = json_array();
    size_t i;
    const json_t *account;
    json_array_foreach (json_object_get(rq->params, "AccountIds"), i, account) {
        const char *id = json_string_value(account);
        json_t *profile = id ? json_object_get(json_object_get(rq->world->state, "invoice_profiles"), id) : NULL;
        if (profile != NULL)
            json_array_append(list, profile);
    }
    sim_ok_json(rq, json_pack("{s:o}", "Profiles", list));
}

static void misc_exports(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    json_t *list = json_array();
    const char *arn;
    json_t *one;
    json_object_foreach (json_object_get(rq->world->state, "exports"), arn, one)
        json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "ExportArn", arn, "ExportName",
                                              json_object_get(json_object_get(one, "Export"), "Name"), "ExportStatus",
                                              json_object_get(one, "ExportStatus")));
    sim_ok_json(rq, json_pack("{s:o}", "Exports", list));
}

static void misc_export(struct sim_request *rq)
{
    if (!svc_billing_open(rq))
        return;
    const json_t *one = json_object_get(json_object_get(rq->world->state, "exports"), sim_param(rq, "ExportArn"));
    if (one == NULL)
        sim_error(rq, 400, "ResourceNotFoundException", "There is no export %s.", sim_param(rq, "ExportArn"));
    else
        sim_ok_json(rq, json_deep_copy(one));
}

const struct sim_op sim_ops_misc[] = {
    {"invoicing", "ListInvoiceSummaries", false, misc_invoices},
    {"invoicing", "BatchGetInvoiceProfile", false, misc_invoice_profiles},
    {"bcm-data-exports", "ListExports", false, misc_exports},
    {"bcm-data-exports", "GetExport", false, misc_export},
    {0},
};
