/* Evidence: the signed bundle of an import, made on demand from what Redis has; roots of its ledger that are handed
 * out. Any dispatcher makes the same bytes: nothing of the moment is in them. */
#include "common/base/mem.h"
#include "common/crypto/crypto.h"
#include "common/log/log.h"
#include "common/proof/bundle.h"
#include "common/proof/ledger_chain.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/loose.h"
#include "dispatcher/planner/rehearsal.h"

#include <stdio.h>

#define PAGE 1000u
#define TRIES_MAX 4

/* ---- All lines of a ledger ---- */
typedef void lines_fn(void *arg, const struct err *err, json_t *lines /* taken */);
struct lines_read {
    struct api *api;
    char import_id[40];
    json_t *lines;
    lines_fn *done;
    void *arg;
};

static void page_read(void *arg, const struct err *err, json_t *value)
{
    struct lines_read *l = arg;
    json_auto_t *page = value;
    int64_t next = err ? 0 : json_int_at(page, "next");
    if (!err)
        (void)json_array_extend(l->lines, json_object_get(page, "data"));
    if (next > 0) {
        queue_ledger(l->api->store->queue, l->import_id, (uint32_t)next, PAGE, page_read, l);
        return;
    }
    if (err)
        json_decref(TAKE(l->lines));
    l->done(l->arg, err, TAKE(l->lines));
    mem_free(l);
}

static void read_lines(struct api *api, const char *import_id, lines_fn *done, void *arg)
{
    struct lines_read *l = MEM_NEW(struct lines_read);
    *l = (struct lines_read){.api = api, .lines = json_array(), .done = done, .arg = arg};
    (void)snprintf(l->import_id, sizeof l->import_id, "%s", import_id);
    queue_ledger(api->store->queue, import_id, 0, PAGE, page_read, l);
}

/* ---- The bundle ---- */
struct evidence {
    struct op *op;
    json_t *import, *lines, *rehearsal;
    int tries;
};

static void read_import(struct evidence *e);

static void evidence_end(struct evidence *e, const struct err *err)
{
    if (err)
        op_fail(e->op, err, NULL);
    json_decref(e->import);
    json_decref(e->lines);
    json_decref(e->rehearsal);
    mem_free(e);
}

static const json_t *playbook_of(const struct api *api, const json_t *doc)
{
    for (size_t i = 0; i < api->store->playbook_count; i++)
        if (playbook_is(api->store->playbooks[i], json_str_at(doc, "playbook")))
            return api->store->playbooks[i]->json;
    return NULL;
}

static void reply(struct evidence *e, const json_t *playbook)
{
    struct api *api = e->op->api;
    json_auto_t *payload = bundle_payload(&(struct bundle_parts){
        .import = e->import, .lines = e->lines, .playbook = playbook, .rehearsal = e->rehearsal});
    json_auto_t *signature = sign_key_public(api->signing_key);
    AUTO_STR struct str text;
    struct err err = {0};
    unsigned char value[SIGN_BYTES];
    str_init(&text, BUNDLE_BYTES_MAX);
    bundle_signed_bytes(payload, &text);
    sign_make(api->signing_key, text.data, text.len, value);
    AUTO_FREE char *base64 = crypto_base64(value, sizeof value);
    json_put_str(signature, "value", base64);
    str_clear(&text);
    bundle_write(payload, signature, &text);
    if (text.is_over) {
        (void)err_set(&err, ERR_TOO_LARGE, "the evidence of this import is too large");
        evidence_end(e, &err);
        return;
    }
    log_event(LOG_INFO, "evidence.made", "import", e->op->import_id, "root", json_str_at(payload, "ledger.root"), NULL);
    http_reply(e->op->r, 200, "application/json", str_take(&text));
    op_end(e->op);
    evidence_end(e, NULL);
}

/* An import that goes on may have moved between the reads: then they are made again. */
static void looked_again(void *arg, const struct err *err, json_t *value)
{
    struct evidence *e = arg;
    json_auto_t *now = value;
    struct err mine = {0};
    bool has_moved = json_int_at(now, "version") != json_int_at(e->import, "version") ||
                     json_int_at(now, "ledger_count") != json_int_at(e->import, "ledger_count");
    const json_t *playbook = playbook_of(e->op->api, json_object_get(e->import, "doc"));
    if (err) {
        evidence_end(e, err);
    } else if (has_moved && ++e->tries < TRIES_MAX) {
        json_decref(TAKE(e->import));
        json_decref(TAKE(e->lines));
        read_import(e);
    } else if (has_moved) {
        (void)err_set(&mine, ERR_STATE_CONFLICT, "the import is at work just now; ask again in a moment");
        evidence_end(e, &mine);
    } else if (!playbook) {
        (void)err_set(&mine, ERR_PLAYBOOK_UNKNOWN, "this dispatcher does not have the playbook %.60s",
                      json_str_at(e->import, "doc.playbook"));
        evidence_end(e, &mine);
    } else {
        reply(e, playbook);
    }
}

static void rehearsal_came(void *arg, const struct err *err, const json_t *predicted)
{
    struct evidence *e = arg;
    if (err) {
        evidence_end(e, err);
        return;
    }
    json_decref(e->rehearsal);
    e->rehearsal = predicted ? rehearsal_for_bundle(predicted) : NULL;
    queue_get(e->op->api->store->queue, e->op->import_id, looked_again, e);
}

static void lines_came(void *arg, const struct err *err, json_t *lines)
{
    struct evidence *e = arg;
    e->lines = lines;
    if (err)
        evidence_end(e, err);
    else
        rehearsal_predicted(e->op->api, json_object_get(e->import, "doc"), rehearsal_came, e);
}

static void import_came(void *arg, const struct err *err, const json_t *value)
{
    struct evidence *e = arg;
    struct err mine = {0};
    if (!err && json_bool_at(value, "is_partial")) /* a fingerprint is missing: this would prove nothing */
        err_set(&mine, ERR_CORRUPT, "a stored result of this import cannot be read");
    if (err || mine.code) {
        evidence_end(e, err ? err : &mine);
        return;
    }
    e->import = json_incref(loose(value));
    read_lines(e->op->api, e->op->import_id, lines_came, e);
}

static void read_import(struct evidence *e)
{
    import_fetch(e->op->api, e->op->import_id, true, import_came, e);
}

void imports_evidence(struct http_request *r, void *arg)
{
    struct api *api = arg;
    if (!api_import_id(r, http_param(r, 0)))
        return;
    struct op *op = op_new(api, r);
    if (!api->signing_key) {
        op_fail_code(op, ERR_NOT_FOUND, "this dispatcher has no signing key (--signing-key-file)");
        return;
    }
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(r, 0));
    struct evidence *e = MEM_NEW(struct evidence);
    e->op = op;
    read_import(e);
}

/* ---- Roots ---- */
static void root_noted(void *arg, const struct err *err)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 201, TAKE(op->value), NULL);
}

static void root_lines(void *arg, const struct err *err, json_t *new_lines)
{
    struct op *op = arg;
    json_auto_t *lines = new_lines, *problems = json_array();
    char root[65];
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    json_auto_t *heads = ledger_heads(lines, problems), *counts = ledger_counts(heads);
    if (json_array_size(problems)) { /* never hand out the root of a broken chain */
        op_fail_code(op, ERR_CORRUPT, "the ledger does not hold together: %s",
                     json_string_value(json_array_get(problems, 0)));
        return;
    }
    ledger_root(heads, root);
    op->value =
        json_make("{s:s,s:O,s:s,s:s,s:I}", "root", root, "heads", counts, "to", json_str_at(op->body, "to"), "by",
                  json_str_or(op->body, "by", "api"), "at_ms", (json_int_t)env_unix_ms(op->api->store->env));
    json_auto_t *line = json_copy(op->value);
    json_put_str(line, "kind", "root");
    json_put_str(line, "what", "root");
    AUTO_FREE char *text = json_text(line);
    queue_note(op->api->store->queue, op->import_id, text, root_noted, op);
}

static void root_start(struct op *op)
{
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(op->r, 0));
    if (op_read_body(op, false) && op_check_fields(op, "to,by", "to"))
        read_lines(op->api, op->import_id, root_lines, op);
}

void imports_root(struct http_request *r, void *arg)
{
    if (api_import_id(r, http_param(r, 0)))
        op_start(arg, r, root_start);
}

void signing_key_get(struct http_request *r, void *arg)
{
    const struct api *api = arg;
    struct err err = {0};
    if (api->signing_key) {
        http_reply_json(r, 200, sign_key_public(api->signing_key));
        return;
    }
    (void)err_set(&err, ERR_NOT_FOUND, "no signing key is configured here (--signing-key-file)");
    http_reply_err(r, &err, NULL);
}
