/* The HTTP API of the dispatcher: what all handlers share. One file per resource; the table of routes is in api.c. */
#pragma once

#include "common/crypto/sign.h"
#include "dispatcher/api/http_server.h"
#include "dispatcher/store/batch.h"
#include "dispatcher/store/store.h"

struct api {
    struct store *store;
    struct batch_runner *batches;
    struct event_hub *events;
    struct drift_clock *drift_clock;
    struct http_server *server;
    const char *keys_dir;         /* "" when no sealing keys are configured */
    struct sign_key *signing_key; /* NULL when none is configured */
    json_t *facts;                /* digest of a big result -> what views need of it */
    json_t *documents;            /* import id -> {external_ref, steps}: documents never change */
    json_t *views;          /* import id -> its resource without steps, as of its version: lists read only what moved */
    json_t *playbook_steps; /* "name@version" -> names of its steps */
    uint64_t imports_accepted, imports_refused, batches_accepted;
    bool is_ready; /* queue checked, profile stored */
};

extern const struct http_route api_routes[];
extern const size_t api_route_count;

void api_init(struct api *api, struct store *store);
void api_done(struct api *api);

/* ---- One request being worked on
 * ---------------------------------------------------------------------------------------- */
/* Carries the Idempotency-Key, so that every POST answers a resend with the stored response. */
struct op {
    struct api *api;
    struct http_request *r;
    char key[260], digest[65]; /* "" without a key */
    json_t *body;              /* parsed JSON body, NULL when none was asked for */
    char import_id[40];
    int step;
    json_t *value; /* what the handler keeps between its callbacks */
};
typedef void op_fn(struct op *op);
/* Without Idempotency-Key: for reads. */
struct op *op_new(struct api *api, struct http_request *r);
/* After an answer that was not made by op_reply or op_fail. */
void op_end(struct op *op);
/* Checks the Idempotency-Key, if any, then goes on with `next`; answers replays, mismatches and doubles by itself. */
void op_start(struct api *api, struct http_request *r, op_fn *next);
/* The body as a JSON object; `is_optional`: empty is {}. False: it has been answered. */
bool op_read_body(struct op *op, bool is_optional);
/* Refuses fields of the body beyond `known`, wrong types and what looks like a key. False: it has been answered. */
bool op_check_fields(struct op *op, const char *known, const char *required);
void op_reply(struct op *op, unsigned status, json_t *value /* taken */, const char *location);
void op_fail(struct op *op, const struct err *err, const json_t *errors);
void op_fail_code(struct op *op, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Whether the path's {id} can be an import's; answers 404 when not. */
bool api_import_id(struct http_request *r, const char *id);
/* ?limit=: 1..max, `fallback` when absent; answers 422 when it is no such number. */
bool api_limit(struct http_request *r, uint32_t fallback, uint32_t max, uint32_t *ret);

/* ---- Handlers
 * ------------------------------------------------------------------------------------------------------------- */
void imports_post(struct http_request *r, void *arg);
void imports_list(struct http_request *r, void *arg);
void imports_get(struct http_request *r, void *arg);
void imports_evidence(struct http_request *r, void *arg);
void imports_root(struct http_request *r, void *arg);
void signing_key_get(struct http_request *r, void *arg);
void imports_ledger(struct http_request *r, void *arg);
void imports_policy(struct http_request *r, void *arg);
void policies_post(struct http_request *r, void *arg);
void imports_pause(struct http_request *r, void *arg);
void imports_resume(struct http_request *r, void *arg);
void imports_cancel(struct http_request *r, void *arg);
void imports_undo(struct http_request *r, void *arg);
void imports_undo_plan(struct http_request *r, void *arg);
/* The decision with op->body's `by` and `reason`: what :undo does, and :cancel without keep. */
void imports_undo_begin(struct op *op);
/* The line that a decision of this request leaves in the import's ledger, by whom and why; logged. mem_free. */
char *import_decision(struct op *op, const char *what);
/* queue_done_fn: answers with the import as it is after a decision. */
void import_acted(void *arg, const struct err *err);
void imports_retry(struct http_request *r, void *arg);
void imports_accept(struct http_request *r, void *arg);
void imports_plan(struct http_request *r, void *arg);
void imports_approve(struct http_request *r, void *arg);
void imports_apply(struct http_request *r, void *arg);
void drift_post(struct http_request *r, void *arg);
void drift_get(struct http_request *r, void *arg);
void rehearsal_get(struct http_request *r, void *arg);
void rehearsal_put(struct http_request *r, void *arg);
void imports_credential(struct http_request *r, void *arg);
void batches_post(struct http_request *r, void *arg);
void batches_get(struct http_request *r, void *arg);
void tasks_list(struct http_request *r, void *arg);
void tasks_get(struct http_request *r, void *arg);
void tasks_done(struct http_request *r, void *arg);
void tasks_reject(struct http_request *r, void *arg);
void tasks_recheck(struct http_request *r, void *arg);
void events_get(struct http_request *r, void *arg);
void sealing_key_get(struct http_request *r, void *arg);
void profiles_get(struct http_request *r, void *arg);
void profiles_put(struct http_request *r, void *arg);
void playbooks_get(struct http_request *r, void *arg);
void errors_get(struct http_request *r, void *arg);
void fleet_get(struct http_request *r, void *arg);
void fleet_halt(struct http_request *r, void *arg);
void fleet_release(struct http_request *r, void *arg);
void audit_post(struct http_request *r, void *arg);
void health_get(struct http_request *r, void *arg);
void ready_get(struct http_request *r, void *arg);
void metrics_get(struct http_request *r, void *arg);
void openapi_get(struct http_request *r, void *arg);
