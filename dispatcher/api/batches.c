/* POST /v1/batches: read and checked on another thread (10,000 rows must not stop the loop), stored whole, then
 * acknowledged. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/api/api.h"
#include "dispatcher/planner/shape.h"

#include <stdio.h>

struct reading {
    uv_work_t work;
    struct op *op;
    char *bytes;
    size_t len;
    enum input_format format;
    bool is_dry_run, wants_plan;
    struct profile *profile;
    struct input_context ctx;
    struct faults faults;
    struct batch_rows rows;
    size_t row_count;
};

/* ?plan=1: as if each row said options.plan. */
static void ask_for_plans(struct input *input)
{
    for (size_t i = 0; i < input->count; i++) {
        json_t *options = json_object_get(input->rows[i].request, "options");
        if (!json_is_object(options)) {
            options = json_object();
            json_put(input->rows[i].request, "options", options);
        }
        json_put_bool(options, "plan", true);
    }
}

static void read_all(uv_work_t *work)
{
    struct reading *m = work->data;
    AUTO_INPUT struct input input = {0};
    input_read(&m->ctx, m->format, m->bytes, m->len, &input, &m->faults);
    m->row_count = input.count;
    if (!m->faults.count && m->wants_plan)
        ask_for_plans(&input);
    if (!m->faults.count && !m->is_dry_run)
        batch_rows_make(&input, &m->rows);
}

static void created(void *arg, const struct err *err, const char *id)
{
    struct op *op = arg;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    op->api->batches_accepted++;
    log_event(LOG_INFO, "batch.accepted", "batch", id, NULL);
    if (op->api->batches)
        batch_runner_kick(op->api->batches);
    AUTO_FREE char *location = mem_printf("/v1/batches/%s", id);
    op_reply(op, 202,
             json_make("{s:s, s:s, s:O, s:[], s:s}", "object", "batch", "id", id, "rows", op->value, "created", "state",
                       "open"),
             location);
}

static void after_read(uv_work_t *work, int status)
{
    struct reading *m = work->data;
    struct op *op = m->op;
    ASSERT(status == 0);
    op->value = json_integer((json_int_t)m->row_count);
    if (m->faults.count) {
        struct err err = {0};
        (void)err_set(&err, faults_first(&m->faults), "%zu fault%s in the input; nothing was created", m->faults.count,
                      m->faults.count == 1 ? "" : "s");
        op_fail(op, &err, m->faults.list);
    } else if (m->is_dry_run) {
        op_reply(op, 200, json_make("{s:s, s:b, s:O}", "object", "batch", "dry_run", 1, "rows", op->value), NULL);
    } else {
        batch_create(op->api->store, &m->rows, created, op);
    }
    batch_rows_done(&m->rows);
    faults_done(&m->faults);
    profile_unref(m->profile);
    mem_free(m->bytes);
    mem_free(m);
}

static bool format_of(const char *type, enum input_format *ret)
{
    size_t n = type ? strcspn(type, "; ") : 0;
    if (!n || (n == 24 && strncmp(type, "application/octet-stream", n) == 0))
        *ret = INPUT_AUTO;
    else if (n == 8 && strncmp(type, "text/csv", n) == 0)
        *ret = INPUT_CSV;
    else if (n == 16 && strncmp(type, "application/json", n) == 0)
        *ret = INPUT_JSON;
    else if ((n == 17 && strncmp(type, "application/jsonl", n) == 0) ||
             (n == 20 && strncmp(type, "application/x-ndjson", n) == 0))
        *ret = INPUT_JSONL;
    else
        return false;
    return true;
}

static void start(struct op *op)
{
    const char *dry = http_query(op->r, "dry_run"), *plan = http_query(op->r, "plan");
    enum input_format format;
    if (!format_of(http_header(op->r, "Content-Type"), &format)) {
        op_fail_code(op, ERR_FIELD_INVALID, "Content-Type is text/csv, application/jsonl or application/json");
        return;
    }
    struct reading *m = MEM_NEW(struct reading);
    m->work.data = m;
    m->op = op;
    m->format = format;
    m->is_dry_run = dry && !str_eq(dry, "0") && !str_eq(dry, "false");
    m->wants_plan = plan && !str_eq(plan, "0") && !str_eq(plan, "false");
    m->bytes = http_body_take(op->r, &m->len);
    m->profile = profile_ref(op->api->store->profile); /* a newer one may come while the thread reads */
    m->ctx = store_context(op->api->store);
    faults_init(&m->faults);
    ASSERT(uv_queue_work(op->api->store->loop, &m->work, read_all, after_read) == 0);
}

void batches_post(struct http_request *r, void *arg)
{
    op_start(arg, r, start);
}

static void got(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200, json_incref(value), NULL);
}

void batches_get(struct http_request *r, void *arg)
{
    struct op *op = op_new(arg, r);
    const char *id = http_param(r, 0);
    if (!str_starts(id, "bat_") || strlen(id) >= BATCH_ID_BYTES || !shape_is_slug(id + 4, BATCH_ID_BYTES, ""))
        op_fail_code(op, ERR_NOT_FOUND, "there is no such batch");
    else
        batch_get(op->api->store, id, got, op);
}
