/* What people decide about an import: pause, resume, cancel, retry, accept; and the hand-over of a credential.
 * Each decision carries who and why, and becomes a line of the import's ledger. */
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/crypto/seal.h"
#include "common/log/log.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/loose.h"

#include <stdio.h>

static void acted_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200, import_view(op->api, value, true), NULL);
}

void import_acted(void *arg, const struct err *err)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        import_fetch(op->api, op->import_id, false, acted_read, op);
}

char *import_decision(struct op *op, const char *what)
{
    json_auto_t *out = json_make("{s:s, s:s, s:s, s:s, s:I}", "kind", "decision", "what", what, "by",
                                 json_str_or(op->body, "by", "api"), "reason", json_str_at(op->body, "reason"), "at_ms",
                                 (json_int_t)env_unix_ms(op->api->store->env));
    if (*json_str_at(op->body, "step"))
        json_put_str(out, "step_name", json_str_at(op->body, "step"));
    log_event(LOG_INFO, "import.decision", "import", op->import_id, "what", what, "by",
              json_str_or(op->body, "by", "api"), NULL);
    return json_text(out);
}

static bool read_action(struct op *op, const char *known, const char *required)
{
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(op->r, 0));
    return op_read_body(op, !*required) && op_check_fields(op, known, required);
}

static void pause_start(struct op *op)
{
    if (!read_action(op, "reason,by", ""))
        return;
    AUTO_FREE char *text = import_decision(op, "pause");
    queue_pause(op->api->store->queue, op->import_id, text, import_acted, op);
}

static void resume_start(struct op *op)
{
    if (!read_action(op, "reason,by", ""))
        return;
    AUTO_FREE char *text = import_decision(op, "resume");
    queue_resume(op->api->store->queue, op->import_id, text, import_acted, op);
}

static void cancel_start(struct op *op)
{
    if (!read_action(op, "reason,by,keep", ""))
        return;
    if (json_has(op->body, "keep") && !json_bool_at(op->body, "keep")) { /* what was made goes, too */
        if (op_check_fields(op, "reason,by,keep", "reason,by"))
            imports_undo_begin(op);
        return;
    }
    AUTO_FREE char *text = import_decision(op, "cancel");
    queue_cancel(op->api->store->queue, op->import_id, text, import_acted, op);
}

/* For retry and accept of one step the name becomes the record's index: the document tells. */
static void with_step(struct op *op, import_fetch_fn *next)
{
    import_fetch(op->api, op->import_id, false, next, op);
}

static bool find_step(struct op *op, const struct err *err, const json_t *value)
{
    const char *name = json_str_at(op->body, "step");
    if (err) {
        op_fail(op, err, NULL);
        return false;
    }
    op->step = *name ? import_step_index(json_at(value, "doc"), name) : -1;
    if (*name && op->step < 0) {
        op_fail_code(op, ERR_NOT_FOUND, "this import has no step of that name");
        return false;
    }
    return true;
}

static void retry_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    if (!find_step(op, err, value))
        return;
    AUTO_FREE char *text = import_decision(op, "retry");
    queue_redrive(op->api->store->queue, op->import_id, op->step, text, import_acted, op);
}

static void retry_start(struct op *op)
{
    if (read_action(op, "reason,by,step", ""))
        with_step(op, retry_read);
}

static void accept_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    if (!find_step(op, err, value))
        return;
    const json_t *steps = json_at(value, "steps");
    bool is_any = false;
    for (size_t i = 0; i < json_array_size(steps); i++)
        is_any |= json_bool_at(json_array_get(steps, i), "is_held") && (op->step < 0 || (size_t)op->step == i);
    if (!is_any) {
        op_fail_code(op, ERR_STATE_CONFLICT, "nothing is held for a decision here; the import is %s",
                     json_str_at(value, "state"));
        return;
    }
    AUTO_FREE char *text = import_decision(op, "accept");
    queue_signal(op->api->store->queue, op->import_id, op->step, "accept", text, import_acted, op);
}

static void accept_start(struct op *op)
{
    if (read_action(op, "reason,by,step", "reason"))
        with_step(op, accept_read);
}

#define ACTION(name_)                                                                                                  \
    void imports_##name_(struct http_request *r, void *arg)                                                            \
    {                                                                                                                  \
        if (api_import_id(r, http_param(r, 0)))                                                                        \
            op_start(arg, r, name_##_start);                                                                           \
    }
ACTION(pause)
ACTION(resume)
ACTION(cancel)
ACTION(retry)
ACTION(accept)

/* ---- Credential
 * ------------------------------------------------------------------------------------------------------------ */

/* jansson keeps its own copies of the key: overwritten before they are given back to the allocator. */
static void wipe_texts(json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value)
        if (json_is_string(value))
            secret_wipe(loose(json_string_value(value)), json_string_length(value));
}

static json_t *seal_clear(struct op *op, const json_t *doc, struct err *err)
{
    static const char known[] = "access_key_id,secret_access_key,session_token";
    const char *key;
    json_t *value;
    json_object_foreach (op->body, key, value)
        if (!str_in_list(known, key) || !json_is_string(value)) {
            (void)err_set(err, ERR_FIELD_INVALID,
                          "give {\"sealed\":{..}} or {\"access_key_id\",\"secret_access_key\",\"session_token\"}");
            return NULL;
        }
    if (!*json_str_at(op->body, "access_key_id") || !*json_str_at(op->body, "secret_access_key")) {
        (void)err_set(err, ERR_FIELD_MISSING, "access_key_id and secret_access_key are needed");
        return NULL;
    }
    json_auto_t *public_key = *op->api->keys_dir ? seal_public_key(op->api->keys_dir, err) : NULL;
    if (!public_key) {
        if (!err->code)
            (void)err_set(err, ERR_CONFIG, "this dispatcher has no sealing key (--keys); seal the key yourself");
        return NULL;
    }
    return seal_credential(public_key, json_str_at(doc, "organization.partition"),
                           json_str_at(doc, "organization.management_account_id"), op->body, err);
}

/* The step that waits for it looks at once; an import that has gone on does not mind. */
static void rechecked(void *arg, const struct err *err)
{
    struct op *op = arg;
    (void)err;
    op_reply(op, 200, json_make("{s:s, s:s}", "import_id", op->import_id, "credential", "sealed"), NULL);
}

static void credential_put(void *arg, const struct err *err)
{
    struct op *op = arg;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    log_event(LOG_INFO, "credential.received", "import", op->import_id, NULL);
    queue_signal(op->api->store->queue, op->import_id, -1, "recheck", "{}", rechecked, op);
}

static void credential_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    struct err mine = {0};
    json_auto_t *sealed = NULL;
    if (!err) {
        const json_t *doc = json_at(value, "doc"), *given = json_at(op->body, "sealed");
        sealed = given ? json_deep_copy(given) : seal_clear(op, doc, &mine);
        if (given && json_object_size(op->body) > 1)
            (void)err_set(&mine, ERR_FIELD_UNKNOWN, "nothing else goes with a sealed credential");
        else if (given && seal_check(sealed, &mine) < 0)
            (void)err_wrap(&mine, "sealed");
        else if (!str_eq(json_str_at(doc, "access.method"), "sealed_key"))
            (void)err_set(&mine, ERR_STATE_CONFLICT, "this import works with a role; a key is not taken");
    }
    wipe_texts(op->body);
    if (err || mine.code) {
        op_fail(op, err ? err : &mine, NULL);
        return;
    }
    AUTO_FREE char *text = json_text(sealed);
    queue_credential_put(op->api->store->queue, op->import_id, text, credential_put, op);
}

void imports_credential(struct http_request *r, void *arg)
{
    if (!api_import_id(r, http_param(r, 0)))
        return;
    struct op *op = op_new(arg, r);
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(r, 0));
    if (op_read_body(op, false))
        import_fetch(op->api, op->import_id, false, credential_read, op);
}
