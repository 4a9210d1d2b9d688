/* POST /v1/imports: one request, all its faults at once, or an import. */
#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/api/api.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/store/submit.h"

#include <stdio.h>

static json_t *brief(const char *import_id, const json_t *doc, const char *state)
{
    json_t *out = json_make("{s:s, s:s, s:s, s:b, s:s, s:s}", "object", "import", "id", import_id, "external_ref",
                            json_str_at(doc, "external_ref"), "livemode", (int)json_bool_at(doc, "livemode"), "state",
                            state, "playbook", json_str_at(doc, "playbook"));
    json_put_str(out, "priority", json_str_at(doc, "priority"));
    if (json_has(doc, "group"))
        json_put_str(out, "group", json_str_at(doc, "group"));
    json_put(out, "customer", json_deep_copy(json_at(doc, "customer")));
    json_put(out, "organization", json_deep_copy(json_at(doc, "organization")));
    json_put(out, "names",
             json_make("{s:s, s:s, s:s, s:s}", "id", json_str_at(doc, "vars.id"), "root_email",
                       json_str_at(doc, "vars.root_email"), "bucket", json_str_at(doc, "vars.bucket"), "report",
                       json_str_at(doc, "vars.report")));
    return out;
}

/* It was there already: the resource as it stands is the answer, with 200 instead of 202. */
static void existing_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    AUTO_FREE char *location = mem_printf("/v1/imports/%s", op->import_id);
    json_t *view = import_view(op->api, value, true);
    json_put_bool(view, "existing", true);
    op_reply(op, 200, view, location);
}

static void submitted(void *arg, const struct err *err, const struct submit_outcome *outcome)
{
    struct op *op = arg;
    if (err) {
        op->api->imports_refused++;
        op_fail(op, err, NULL);
        return;
    }
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", outcome->import_id);
    if (!outcome->is_new) {
        import_fetch(op->api, op->import_id, false, existing_read, op);
        return;
    }
    op->api->imports_accepted++;
    log_event(LOG_INFO, "import.accepted", "import", outcome->import_id, "external_ref",
              json_str_at(outcome->doc, "external_ref"), NULL);
    AUTO_FREE char *location = mem_printf("/v1/imports/%s", outcome->import_id);
    op_reply(op, 202, brief(outcome->import_id, outcome->doc, "accepted"), location);
}

static void start(struct op *op)
{
    size_t len = 0;
    const char *bytes = http_body(op->r, &len);
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    AUTO_INPUT struct input input = {0};
    struct input_context ctx = store_context(op->api->store);
    input_read(&ctx, INPUT_JSON, bytes, len, &input, &faults);
    if (!faults.count && input.count != 1)
        faults_add(&faults, (struct place){.field = ""}, ERR_SYNTAX,
                   "one import is one JSON object; lists go to /v1/batches");
    if (faults.count) {
        struct err err = {0};
        (void)err_set(&err, faults_first(&faults), "%zu fault%s in the request; nothing was created", faults.count,
                      faults.count == 1 ? "" : "s");
        op->api->imports_refused++;
        op_fail(op, &err, faults.list);
        return;
    }
    submit_import(op->api->store, input.rows[0].request, submitted, op);
}

void imports_post(struct http_request *r, void *arg)
{
    op_start(arg, r, start);
}
