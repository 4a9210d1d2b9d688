/* GET /v1/imports/{id}/rehearsal: what a rehearsal predicted, what really came, and how they compare; ?seed=true gives
 * what a rehearsal starts from. PUT stores a prediction. Predictions belong to the organization, so that one made from
 * a request's file is there when the import comes. Kept in f:{g}:rehearsals, by account. */
#include "common/base/mem.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/loose.h"
#include "dispatcher/planner/rehearsal.h"

#include <stdio.h>

#define PAGE 5000
#define LINES_MAX 200000u

struct rehearsal { /* one GET */
    struct op *op;
    json_t *value, *lines;
    bool wants_seed;
};

static void done(struct rehearsal *r, const struct err *err, json_t *reply)
{
    if (err)
        op_fail(r->op, err, NULL);
    else
        op_reply(r->op, 200, reply, NULL);
    json_decref(r->value);
    json_decref(r->lines);
    mem_free(r);
}

static void account_field(const json_t *doc, char ret[40])
{
    (void)snprintf(ret, 40, "%.16s/%.12s", json_str_or(doc, "vars.partition", "aws"),
                   json_str_at(doc, "vars.account_id"));
}

static const struct playbook *playbook_of(const struct api *api, const json_t *doc)
{
    for (size_t i = 0; i < api->store->playbook_count; i++)
        if (playbook_is(api->store->playbooks[i], json_str_at(doc, "playbook")))
            return api->store->playbooks[i];
    return NULL;
}

/* ---- Reading a prediction ---- */
struct prediction {
    rehearsal_predicted_fn *tell;
    void *arg;
};

static void prediction_read(void *arg, const struct err *err, const redisReply *reply)
{
    struct prediction *p = arg;
    struct err why = {0};
    const char *text = err ? "" : store_text(reply);
    json_auto_t *value = *text ? json_read(text, strlen(text), 0, &why) : NULL;
    p->tell(p->arg, err, value);
    mem_free(p);
}

void rehearsal_predicted(struct api *api, const json_t *doc, rehearsal_predicted_fn *tell, void *arg)
{
    struct prediction *p = MEM_NEW(struct prediction);
    char field[40];
    *p = (struct prediction){tell, arg};
    account_field(doc, field);
    store_command(api->store, "HGET", "rehearsals", 1, (const char *[]){field}, prediction_read, p);
}

/* ---- GET ---- */
static void predicted_read(void *arg, const struct err *err, const json_t *predicted)
{
    struct rehearsal *r = arg;
    struct err why = {0};
    if (err) {
        done(r, err, NULL);
        return;
    }
    const json_t *doc = json_at(r->value, "doc");
    json_t *real = rehearsal_summary(r->value, r->lines, playbook_of(r->op->api, doc));
    bool is_over = str_in_list("completed,failed,held,cancelled", json_str_at(real, "end.state")) &&
                   str_starts(json_str_at(doc, "playbook"), "payer-handover@");
    json_t *out = json_make("{s:s,s:s}", "object", "rehearsal", "import_id", r->op->import_id);
    json_put(out, "comparison", predicted && is_over ? rehearsal_compare(predicted, real) : json_null());
    json_put(out, "predicted", json_copy_or_null(predicted));
    json_put(out, "real", real);
    if (r->wants_seed) {
        json_t *seed = rehearsal_seed(r->value, &why);
        if (!seed) {
            json_decref(out);
            done(r, &why, NULL);
            return;
        }
        json_put(out, "seed", seed);
    }
    done(r, NULL, out);
}

static void page_read(void *arg, const struct err *err, json_t *page)
{
    struct rehearsal *r = arg;
    size_t count = json_array_size(json_at(page, "data"));
    if (!err)
        json_array_extend(r->lines, loose(json_at(page, "data")));
    json_decref(page);
    if (err) {
        done(r, err, NULL);
        return;
    }
    if (count == PAGE && json_array_size(r->lines) < LINES_MAX) {
        queue_ledger(r->op->api->store->queue, r->op->import_id, (uint32_t)json_array_size(r->lines), PAGE, page_read,
                     r);
        return;
    }
    rehearsal_predicted(r->op->api, json_at(r->value, "doc"), predicted_read, r);
}

static void import_read(void *arg, const struct err *err, const json_t *value)
{
    struct rehearsal *r = arg;
    if (err) {
        done(r, err, NULL);
        return;
    }
    r->value = json_deep_copy(value);
    queue_ledger(r->op->api->store->queue, r->op->import_id, 0, PAGE, page_read, r);
}

void rehearsal_get(struct http_request *request, void *arg)
{
    const char *id = http_param(request, 0), *seed = http_query(request, "seed");
    if (!api_import_id(request, id))
        return;
    struct rehearsal *r = MEM_NEW(struct rehearsal);
    *r = (struct rehearsal){.op = op_new(arg, request), .lines = json_array(), .wants_seed = str_eq(seed, "true")};
    (void)snprintf(r->op->import_id, sizeof r->op->import_id, "%s", id);
    import_fetch(r->op->api, r->op->import_id, true, import_read, r);
}

/* ---- PUT ---- */

static void stored(void *arg, const struct err *err, const redisReply *reply)
{
    struct op *op = arg;
    (void)reply;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200, json_make("{s:s, s:s, s:b}", "object", "rehearsal", "import_id", op->import_id, "stored", 1),
                 NULL);
}

static bool is_summary(const json_t *body)
{
    static const char known[] = "end,writes,calls,calls_by_step,tasks,root,digests,critical_path_ms,elapsed_ms,effects,"
                                "made_at,fidelity,failures";
    const char *key;
    json_t *value;
    json_object_foreach (loose(body), key, value)
        if (!str_in_list(known, key))
            return false;
    return *json_str_at(body, "end.state") && json_is_array(json_at(body, "writes")) &&
           json_is_object(json_at(body, "calls"));
}

static void import_known(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    char field[40];
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    if (!is_summary(op->body)) {
        op_fail_code(op, ERR_FIELD_INVALID, "a prediction has end, writes and calls, as GET gives them");
        return;
    }
    account_field(json_at(value, "doc"), field);
    AUTO_FREE char *text = json_text(op->body);
    store_command(op->api->store, "HSET", "rehearsals", 2, (const char *[]){field, text}, stored, op);
}

void rehearsal_put(struct http_request *request, void *arg)
{
    if (!api_import_id(request, http_param(request, 0)))
        return;
    struct op *op = op_new(arg, request);
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(request, 0));
    if (op_read_body(op, false))
        import_fetch(op->api, op->import_id, false, import_known, op);
}
