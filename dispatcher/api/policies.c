/* GET /v1/imports/{id}/policy and POST /v1/policies: the permissions that an import needs, and what its roles can do.
 */
#include "common/base/mem.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/preview.h"

#define ROWS_MAX 200

static void one_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200, preview_policy_of(json_at(value, "doc")), NULL);
}

void imports_policy(struct http_request *r, void *arg)
{
    const char *id = http_param(r, 0);
    if (api_import_id(r, id))
        import_fetch(arg, id, false, one_read, op_new(arg, r));
}

static const struct playbook *playbook_named(const struct store *s, const char *reference)
{
    for (size_t i = 0; i < s->playbook_count; i++)
        if (!reference || playbook_is(s->playbooks[i], reference))
            return s->playbooks[i];
    return NULL;
}

struct making {
    struct op *op;
    const struct playbook *playbook; /* NULL: each row's own */
    const char *method;
    json_t *data;
    struct err err;
};

static bool add_one(struct making *m, const struct playbook *playbook, const json_t *request)
{
    json_t *one = preview_policy(m->op->api->store->profile, playbook, request, m->method, &m->err);
    if (one)
        (void)json_array_append_new(m->data, one);
    return one != NULL;
}

/* Answers faults itself; false then. */
static bool read_rows(struct making *m, const char *bytes, size_t len)
{
    struct input_context ctx = store_context(m->op->api->store);
    AUTO_FAULTS struct faults faults;
    AUTO_INPUT struct input input = {0};
    faults_init(&faults);
    input_read(&ctx, INPUT_AUTO, bytes, len, &input, &faults);
    if (faults.count) {
        (void)err_set(&m->err, faults_first(&faults), "%zu fault%s in the input", faults.count,
                      faults.count == 1 ? "" : "s");
        op_fail(m->op, &m->err, faults.list);
        return false;
    }
    if (input.count > ROWS_MAX) {
        op_fail_code(m->op, ERR_TOO_LARGE, "%zu customers; permissions are shown for at most %d at once", input.count,
                     ROWS_MAX);
        return false;
    }
    for (size_t i = 0; i < input.count; i++)
        if (!add_one(m, m->playbook ? m->playbook : input_playbook(&ctx, input.rows[i].request),
                     input.rows[i].request)) {
            op_fail(m->op, &m->err, NULL);
            return false;
        }
    return true;
}

void policies_post(struct http_request *r, void *arg)
{
    struct op *op = op_new(arg, r);
    const char *reference = http_query(r, "playbook"), *method = http_query(r, "method");
    size_t len = 0;
    const char *bytes = http_body(r, &len);
    struct making m = {.op = op, .method = method && *method ? method : NULL};
    m.playbook = reference && *reference ? playbook_named(op->api->store, reference) : NULL;
    if (reference && *reference && !m.playbook) {
        op_fail_code(op, ERR_PLAYBOOK_UNKNOWN, "no playbook has that name");
        return;
    }
    if (m.method && !str_in_list("role,sealed_key", m.method)) {
        op_fail_code(op, ERR_FIELD_INVALID, "method is role or sealed_key");
        return;
    }
    m.data = json_array();
    bool is_fine = true;
    if (len) {
        is_fine = read_rows(&m, bytes, len);
    } else if (!add_one(&m, m.playbook ? m.playbook : playbook_named(op->api->store, NULL), NULL)) {
        is_fine = false;
        op_fail(op, &m.err, NULL);
    }
    if (is_fine)
        op_reply(op, 200, json_make("{s:O}", "data", m.data), NULL);
    json_decref(m.data);
}
