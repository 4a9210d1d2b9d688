/* POST /v1/imports/{id}:drift starts a look; GET /v1/imports/{id}/drift gives the looks, newest first. */
#include "common/base/mem.h"
#include "dispatcher/api/drift_run.h"

#include <stdio.h>

#define LOOKS_MAX 50

struct looks { /* one GET */
    struct op *op;
    json_t *out; /* a place for each look */
    size_t waiting;
    struct err err;
    bool is_post;
    bool is_new;
};

struct place_of_look {
    struct looks *looks;
    size_t index;
};

static void answer(struct looks *l)
{
    struct op *op = l->op;
    if (l->err.code) {
        op_fail(op, &l->err, NULL);
    } else if (l->is_post) {
        json_t *one = json_array_get(l->out, 0);
        op_reply(op, l->is_new ? 202 : 200, one ? json_incref(one) : json_null(), NULL);
    } else {
        json_t *data = json_array();
        for (size_t i = 0; i < json_array_size(l->out); i++)
            if (!json_is_null(json_array_get(l->out, i))) /* named, and never submitted */
                (void)json_array_append(data, json_array_get(l->out, i));
        const json_t *every = json_at(profile_json(op->api->store->profile), "drift.every_hours");
        op_reply(op, 200,
                 json_make("{s:s, s:s, s:o, s:o}", "object", "drift", "import_id", op->import_id, "every_hours",
                           json_copy_or_null(every), "data", data),
                 NULL);
    }
    json_decref(l->out);
    mem_free(l);
}

static void look_read(void *arg, const struct err *err, const json_t *value)
{
    struct place_of_look *p = arg;
    struct looks *l = p->looks;
    if (err && err->code != ERR_NOT_FOUND)
        l->err = *err;
    else if (!err)
        (void)json_array_set_new(l->out, p->index, drift_view(value));
    mem_free(p);
    if (--l->waiting == 0)
        answer(l);
}

static void add_look(struct looks *l, const char *run_id)
{
    struct place_of_look *p = MEM_NEW(struct place_of_look);
    *p = (struct place_of_look){l, json_array_size(l->out)};
    (void)json_array_append_new(l->out, json_null());
    l->waiting++;
    import_fetch(l->op->api, run_id, true, look_read, p);
}

static struct looks *looks_new(struct op *op)
{
    struct looks *l = MEM_NEW(struct looks);
    *l = (struct looks){.op = op, .out = json_array()};
    return l;
}

static void listed(void *arg, const struct err *err, const redisReply *reply)
{
    struct looks *l = looks_new(arg);
    if (err)
        l->err = *err;
    l->waiting = 1;
    for (size_t i = 0; !err && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        add_look(l, store_text(store_element(reply, i)));
    if (--l->waiting == 0)
        answer(l);
}

static void import_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    char set[IMPORT_ID_BYTES + 8], last[16];
    (void)value;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    (void)snprintf(set, sizeof set, "drift:%s", op->import_id);
    (void)snprintf(last, sizeof last, "%d", op->step);
    store_command(op->api->store, "ZREVRANGE", set, 2, (const char *[]){"0", last}, listed, op);
}

void drift_get(struct http_request *r, void *arg)
{
    const char *id = http_param(r, 0);
    uint32_t limit = 0;
    if (!api_import_id(r, id) || !api_limit(r, 1, LOOKS_MAX, &limit))
        return;
    struct op *op = op_new(arg, r);
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", id);
    op->step = (int)limit - 1;
    import_fetch(op->api, op->import_id, false, import_read, op);
}

static void started(void *arg, const struct err *err, const char *run_id, bool is_new)
{
    struct op *op = arg;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    struct looks *l = looks_new(op);
    l->is_post = true;
    l->is_new = is_new;
    add_look(l, run_id);
}

static void post_start(struct op *op)
{
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(op->r, 0));
    if (!op_read_body(op, true) || !op_check_fields(op, "by,ask_access", ""))
        return;
    struct drift_ask ask = {.import_id = op->import_id,
                            .by = json_str_or(op->body, "by", "api"),
                            .asks_access = json_bool_at(op->body, "ask_access")};
    drift_start(op->api, &ask, started, op);
}

void drift_post(struct http_request *r, void *arg)
{
    if (api_import_id(r, http_param(r, 0)))
        op_start(arg, r, post_start);
}
