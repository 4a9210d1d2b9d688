/* The table of routes, and what every POST has in common. To add a route: one line here, one in openapi.json. */
#include "dispatcher/api/api.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/crypto.h"
#include "dispatcher/api/events.h"
#include "dispatcher/planner/input.h"
#include "dispatcher/planner/key_guard.h"
#include "dispatcher/planner/shape.h"

#include <stdio.h>

#define SMALL ((size_t)64 << 10)
#define BOOLEANS "keep,ask_access" /* members of bodies that are true or false; all others are texts */

const struct http_route api_routes[] = {
    {"GET", "/healthz", health_get, 0, HTTP_OPEN | HTTP_LOCAL},
    {"GET", "/readyz", ready_get, 0, HTTP_OPEN | HTTP_LOCAL},
    {"GET", "/metrics", metrics_get, 0, HTTP_OPEN | HTTP_LOCAL},
    {"GET", "/openapi.json", openapi_get, 0, HTTP_OPEN | HTTP_LOCAL},
    {"POST", "/v1/imports", imports_post, INPUT_IMPORT_BYTES_MAX, 0},
    {"GET", "/v1/imports", imports_list, 0, 0},
    {"GET", "/v1/imports/{id}", imports_get, 0, 0},
    {"POST", "/v1/imports/{id}:pause", imports_pause, SMALL, 0},
    {"POST", "/v1/imports/{id}:resume", imports_resume, SMALL, 0},
    {"POST", "/v1/imports/{id}:cancel", imports_cancel, SMALL, 0},
    {"POST", "/v1/imports/{id}:undo", imports_undo, SMALL, 0},
    {"GET", "/v1/imports/{id}/undo-plan", imports_undo_plan, 0, 0},
    {"POST", "/v1/imports/{id}:retry", imports_retry, SMALL, 0},
    {"POST", "/v1/imports/{id}:accept", imports_accept, SMALL, 0},
    {"GET", "/v1/imports/{id}/plan", imports_plan, 0, 0},
    {"POST", "/v1/imports/{id}:approve", imports_approve, SMALL, 0},
    {"POST", "/v1/imports/{id}:apply", imports_apply, SMALL, 0},
    {"POST", "/v1/imports/{id}:drift", drift_post, SMALL, 0},
    {"GET", "/v1/imports/{id}/drift", drift_get, 0, 0},
    {"GET", "/v1/imports/{id}/rehearsal", rehearsal_get, 0, 0},
    {"PUT", "/v1/imports/{id}/rehearsal", rehearsal_put, INPUT_IMPORT_BYTES_MAX, 0},
    {"PUT", "/v1/imports/{id}/credential", imports_credential, SMALL, HTTP_SECRET},
    {"GET", "/v1/imports/{id}/ledger", imports_ledger, 0, 0},
    {"GET", "/v1/imports/{id}/policy", imports_policy, 0, 0},
    {"POST", "/v1/policies", policies_post, INPUT_IMPORT_BYTES_MAX, 0},
    {"POST", "/v1/imports/{id}/roots", imports_root, SMALL, 0},
    {"GET", "/v1/imports/{id}/evidence", imports_evidence, 0, 0},
    {"POST", "/v1/batches", batches_post, INPUT_BYTES_MAX, 0},
    {"GET", "/v1/batches/{id}", batches_get, 0, 0},
    {"GET", "/v1/tasks", tasks_list, 0, 0},
    {"GET", "/v1/tasks/{id}", tasks_get, 0, 0},
    {"POST", "/v1/tasks/{id}:done", tasks_done, SMALL, 0},
    {"POST", "/v1/tasks/{id}:reject", tasks_reject, SMALL, 0},
    {"POST", "/v1/tasks/{id}:recheck", tasks_recheck, SMALL, 0},
    {"GET", "/v1/events", events_get, 0, 0},
    {"GET", "/v1/sealing-key", sealing_key_get, 0, HTTP_LOCAL},
    {"GET", "/v1/signing-key", signing_key_get, 0, HTTP_LOCAL},
    {"GET", "/v1/profiles/{name}", profiles_get, 0, 0},
    {"PUT", "/v1/profiles/{name}", profiles_put, INPUT_IMPORT_BYTES_MAX, 0},
    {"GET", "/v1/playbooks", playbooks_get, 0, HTTP_LOCAL},
    {"GET", "/v1/errors", errors_get, 0, HTTP_LOCAL},
    {"GET", "/v1/fleet", fleet_get, 0, 0},
    {"POST", "/v1/fleet:halt", fleet_halt, SMALL, 0},
    {"POST", "/v1/fleet:release", fleet_release, SMALL, 0},
    {"POST", "/v1/audit", audit_post, SMALL, 0},
};
const size_t api_route_count = ARRAY_LEN(api_routes);

void api_init(struct api *api, struct store *store)
{
    *api = (struct api){.store = store,
                        .facts = json_object(),
                        .documents = json_object(),
                        .playbook_steps = json_object(),
                        .views = json_object(),
                        .keys_dir = ""};
}

void api_done(struct api *api)
{
    json_decref(api->facts);
    json_decref(api->documents);
    json_decref(api->playbook_steps);
    json_decref(api->views);
    sign_key_free(api->signing_key);
}

bool api_import_id(struct http_request *r, const char *id)
{
    struct err err = {0};
    if (str_starts(id, "imp_") && strlen(id) > 6 && strlen(id) < IMPORT_ID_BYTES &&
        shape_is_slug(id + 4, IMPORT_ID_BYTES, ""))
        return true;
    (void)err_set(&err, ERR_NOT_FOUND, "there is no such import");
    http_reply_err(r, &err, NULL);
    return false;
}

bool api_limit(struct http_request *r, uint32_t fallback, uint32_t max, uint32_t *ret)
{
    const char *text = http_query(r, "limit");
    uint64_t n = fallback;
    struct err err = {0};
    if (text && (!str_to_u64(text, max, &n) || n == 0)) {
        (void)err_set(&err, ERR_FIELD_INVALID, "limit must be 1 to %u", max);
        http_reply_err(r, &err, NULL);
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}

/* ---- Operations
 * ------------------------------------------------------------------------------------------------------------- */

void op_end(struct op *op)
{
    op->api->store->busy--;
    json_decref(op->body);
    json_decref(op->value);
    mem_free(op);
}

struct ending { /* the stored response comes first: only then the client is told */
    struct op *op;
    unsigned status;
    json_t *value;
    char *location;
};

static void reply_now(struct op *op, unsigned status, json_t *value, const char *location)
{
    if (location && *location)
        http_add_header(op->r, "Location", location);
    http_reply_json(op->r, status, value);
    op_end(op);
}

static void response_stored(void *arg, const struct err *err)
{
    struct ending *e = arg;
    (void)err; /* not stored: a resend does it again, and it is idempotent below */
    reply_now(e->op, e->status, e->value, e->location);
    mem_free(e->location);
    mem_free(e);
}

void op_reply(struct op *op, unsigned status, json_t *value, const char *location)
{
    if (!op->key[0]) {
        reply_now(op, status, value, location);
        return;
    }
    struct ending *e = MEM_NEW(struct ending);
    *e = (struct ending){op, status, value, mem_dup(location)};
    json_auto_t *stored =
        json_make("{s:i, s:O, s:s}", "status", (int)status, "body", value, "location", location ? location : "");
    AUTO_FREE char *text = json_text(stored);
    store_idem_end(op->api->store, op->key, op->digest, text, response_stored, e);
}

struct failing {
    struct op *op;
    struct err err;
    json_t *errors;
};

static void key_forgotten(void *arg, const struct err *err)
{
    struct failing *f = arg;
    (void)err;
    http_reply_err(f->op->r, &f->err, f->errors);
    json_decref(f->errors);
    op_end(f->op);
    mem_free(f);
}

void op_fail(struct op *op, const struct err *err, const json_t *errors)
{
    if (!op->key[0]) {
        http_reply_err(op->r, err, errors);
        op_end(op);
        return;
    }
    struct failing *f = MEM_NEW(struct failing);
    *f = (struct failing){op, *err, errors ? json_deep_copy(errors) : NULL};
    store_idem_end(op->api->store, op->key, op->digest, NULL, key_forgotten, f);
}

void op_fail_code(struct op *op, enum err_code code, const char *fmt, ...)
{
    struct err err = {0};
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)err_set(&err, code, "%s", text);
    op_fail(op, &err, NULL);
}

struct beginning {
    struct op *op;
    op_fn *next;
};

static void replay(struct op *op, const char *response)
{
    struct err err = {0};
    json_auto_t *stored = json_read(response, strlen(response), 0, &err);
    http_add_header(op->r, "Idempotent-Replayed", "true");
    op->key[0] = 0;
    if (!stored)
        op_fail(op, &err, NULL);
    else
        reply_now(op, (unsigned)json_int_at(stored, "status"), json_deep_copy(json_at(stored, "body")),
                  json_str_at(stored, "location"));
}

static void key_known(void *arg, const struct err *err, enum store_idem what, const char *response)
{
    struct beginning *b = arg;
    struct op *op = b->op;
    op_fn *next = b->next;
    mem_free(b);
    if (!err && what == IDEM_NEW) {
        next(op);
        return;
    }
    if (!err && what == IDEM_DONE) {
        replay(op, response);
        return;
    }
    op->key[0] = 0; /* it is not ours to end */
    if (err)
        op_fail(op, err, NULL);
    else if (what == IDEM_MISMATCH)
        op_fail_code(op, ERR_IDEMPOTENCY_MISMATCH, "this Idempotency-Key came with another request before");
    else
        op_fail_code(op, ERR_STATE_CONFLICT, "a request with this Idempotency-Key is under way");
}

struct op *op_new(struct api *api, struct http_request *r)
{
    struct op *op = MEM_NEW(struct op);
    op->api = api;
    op->r = r;
    op->step = -1;
    api->store->busy++;
    return op;
}

void op_start(struct api *api, struct http_request *r, op_fn *next)
{
    struct op *op = op_new(api, r);
    const char *key = http_header(r, "Idempotency-Key");
    if (!key) {
        next(op);
        return;
    }
    if (!shape_is_printable(key, sizeof op->key - 1) || key_guard_text(key, strlen(key))) {
        op_fail_code(op, ERR_FIELD_INVALID, "an Idempotency-Key has 1 to 255 printable characters");
        return;
    }
    (void)snprintf(op->key, sizeof op->key, "%s", key);
    struct crypto_hash *hash = crypto_hash_new();
    size_t len = 0;
    const char *body = http_body(r, &len);
    crypto_hash_add(hash, http_method(r), strlen(http_method(r)));
    crypto_hash_add(hash, http_path(r), strlen(http_path(r)) + 1);
    crypto_hash_add(hash, body ? body : "", len);
    unsigned char digest[32];
    crypto_hash_end(hash, digest);
    crypto_hex(digest, sizeof digest, op->digest);
    struct beginning *b = MEM_NEW(struct beginning);
    *b = (struct beginning){op, next};
    store_idem_begin(api->store, op->key, op->digest, key_known, b);
}

bool op_read_body(struct op *op, bool is_optional)
{
    size_t len = 0;
    const char *bytes = http_body(op->r, &len);
    struct err err = {0};
    if (!len && is_optional)
        op->body = json_object();
    else if (!len)
        (void)err_set(&err, ERR_SYNTAX, "a JSON body is needed");
    else
        op->body = json_read(bytes, len, 32, &err);
    if (op->body && !json_is_object(op->body))
        (void)err_set(&err, ERR_SYNTAX, "the body must be a JSON object");
    if (err.code)
        op_fail(op, &err, NULL);
    return err.code == ERR_NONE;
}

bool op_check_fields(struct op *op, const char *known, const char *required)
{
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    const char *key;
    json_t *value;
    json_object_foreach (op->body, key, value) {
        struct place at = {.field = key};
        const char *text = json_string_value(value);
        if (key_guard_text(key, strlen(key)) || (text && key_guard_text(text, json_string_length(value))))
            faults_add(&faults, at, ERR_SECRET_IN_INPUT, "this looks like a secret key; it is not shown");
        else if (!str_in_list(known, key))
            faults_add(&faults, at, ERR_FIELD_UNKNOWN, "known here: %s", known);
        else if (str_in_list(BOOLEANS, key) ? !json_is_boolean(value)
                                            : !text || (*text && !shape_is_printable(text, 2000)))
            faults_add(&faults, at, ERR_FIELD_INVALID, "must be %s",
                       str_in_list(BOOLEANS, key) ? "true or false" : "a text of at most 2000 characters");
    }
    AUTO_FREE char *list = mem_dup(required);
    char *rest = list;
    for (char *name = strsep(&rest, ","); name && *name; name = strsep(&rest, ","))
        if (!*json_str_at(op->body, name))
            faults_add(&faults, (struct place){.field = name}, ERR_FIELD_MISSING, "this field is required");
    if (!faults.count)
        return true;
    struct err err = {0};
    (void)err_set(&err, faults_first(&faults), "%zu faults in the request", faults.count);
    op_fail(op, &err, faults.list);
    return false;
}
