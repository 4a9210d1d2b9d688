/* The fleet from above: state, audit, health, metrics. */
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/queue/queue_fleet.h"
#include "dispatcher/api/api.h"
#include "dispatcher/api/openapi.h"

static void replied(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    if (err) {
        op_fail(op, err, NULL);
        json_decref(value);
    } else {
        op_reply(op, 200, value, NULL);
    }
}

/* Stats with the halt: in one answer, because nobody should look at a fleet's numbers and miss that it stands still. */
static void halt_read(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    if (!err) {
        json_object_update(op->value, value);
        json_decref(value);
        value = json_incref(op->value);
    }
    replied(op, err, value);
}

static void stats_read(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    if (!err) {
        json_put_str(value, "mode", op->api->store->is_simulated ? "sim" : "live");
        json_put_str(value, "version", ORGIMPORT_VERSION);
        json_put(value, "profile",
                 json_make("{s:s, s:I, s:s}", "name", profile_name(op->api->store->profile), "version",
                           (json_int_t)profile_version(op->api->store->profile), "digest",
                           profile_digest(op->api->store->profile)));
        json_put_str(value, "warnings", queue_warnings(op->api->store->queue));
        op->value = value;
        queue_fleet_get(op->api->store->queue, halt_read, op);
        return;
    }
    replied(op, err, value);
}

void fleet_get(struct http_request *r, void *arg)
{
    struct api *api = arg;
    queue_stats(api->store->queue, stats_read, op_new(api, r));
}

/* ---- Halt and release ---- */
static void ordered(void *arg, const struct err *err)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        queue_fleet_get(op->api->store->queue, replied, op);
}

static bool read_order(struct op *op, const char *what)
{
    if (!op_read_body(op, false) || !op_check_fields(op, "reason,by", "reason,by"))
        return false;
    log_event(LOG_WARN, "fleet.decision", "what", what, "by", json_str_at(op->body, "by"), "reason",
              json_str_at(op->body, "reason"), NULL);
    return true;
}

static void halt_start(struct op *op)
{
    if (read_order(op, "halt"))
        queue_fleet_halt(op->api->store->queue,
                         &(struct queue_halt){.id = "",
                                              .import_id = "",
                                              .reason = json_str_at(op->body, "reason"),
                                              .by = json_str_at(op->body, "by")},
                         ordered, op);
}

static void release_start(struct op *op)
{
    if (read_order(op, "release"))
        queue_fleet_release(op->api->store->queue, json_str_at(op->body, "reason"), json_str_at(op->body, "by"),
                            ordered, op);
}

void fleet_halt(struct http_request *r, void *arg)
{
    op_start(arg, r, halt_start);
}

void fleet_release(struct http_request *r, void *arg)
{
    op_start(arg, r, release_start);
}

void audit_post(struct http_request *r, void *arg)
{
    struct api *api = arg;
    queue_audit(api->store->queue, replied, op_new(api, r));
}

void health_get(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply_json(r, 200, json_make("{s:s}", "status", "ok"));
}

void ready_get(struct http_request *r, void *arg)
{
    struct api *api = arg;
    bool is_up = redis_is_up(api->store->redis);
    http_reply_json(r, api->is_ready && is_up ? 200 : 503,
                    json_make("{s:b, s:b}", "ready", (int)(api->is_ready && is_up), "redis", (int)is_up));
}

void openapi_get(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply_bytes(r, 200, "application/json", openapi_text, openapi_len());
}

/* ---- Metrics: Prometheus text by hand
 * ---------------------------------------------------------------------------------- */

static void head(struct str *out, const char *name, const char *type, const char *help)
{
    str_addf(out, "# HELP orgimport_%s %s\n# TYPE orgimport_%s %s\n", name, help, name, type);
}

static void own_metrics(const struct api *api, struct str *out)
{
    const struct http_counts *c = http_server_counts(api->server);
    head(out, "build_info", "gauge", "Version and mode of this dispatcher.");
    str_addf(out, "orgimport_build_info{version=\"%s\",mode=\"%s\"} 1\n", ORGIMPORT_VERSION,
             api->store->is_simulated ? "sim" : "live");
    head(out, "redis_up", "gauge", "Whether Redis answers this dispatcher.");
    str_addf(out, "orgimport_redis_up %d\n", redis_is_up(api->store->redis) ? 1 : 0);
    head(out, "http_requests_total", "counter", "Requests since the start.");
    str_addf(out, "orgimport_http_requests_total %llu\n", (unsigned long long)c->requests);
    head(out, "http_errors_total", "counter", "Answers with an error, by class.");
    str_addf(out, "orgimport_http_errors_total{class=\"4xx\"} %llu\norgimport_http_errors_total{class=\"5xx\"} %llu\n",
             (unsigned long long)c->errors_4xx, (unsigned long long)c->errors_5xx);
    head(out, "http_refused_busy_total", "counter", "Requests refused with 429.");
    str_addf(out, "orgimport_http_refused_busy_total %llu\n", (unsigned long long)c->refused_busy);
    head(out, "http_open", "gauge", "Requests and streams that are open.");
    str_addf(out, "orgimport_http_open %u\n", c->open);
    head(out, "event_streams", "gauge", "Open event streams.");
    str_addf(out, "orgimport_event_streams %u\n", c->streams);
    head(out, "imports_submitted_total", "counter", "Imports submitted through this dispatcher, by result.");
    str_addf(out,
             "orgimport_imports_submitted_total{result=\"accepted\"} "
             "%llu\norgimport_imports_submitted_total{result=\"refused\"} %llu\n",
             (unsigned long long)api->imports_accepted, (unsigned long long)api->imports_refused);
}

static void shard_gauge(const json_t *shards, const char *key, const char *help, struct str *out)
{
    AUTO_FREE char *name = mem_printf("queue_%s", key);
    head(out, name, "gauge", help);
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *one = json_array_get(shards, i);
        str_addf(out, "orgimport_%s{shard=\"%lld\"} %lld\n", name, (long long)json_int_at(one, "shard"),
                 (long long)json_int_at(one, key));
    }
}

static void queue_metrics(const json_t *stats, struct str *out)
{
    const json_t *shards = json_at(stats, "shards");
    head(out, "imports", "gauge", "Imports by state.");
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *one = json_array_get(shards, i);
        const char *state;
        json_t *count;
        json_object_foreach (json_object_get(one, "imports"), state, count)
            str_addf(out, "orgimport_imports{shard=\"%lld\",state=\"%s\"} %lld\n", (long long)json_int_at(one, "shard"),
                     state, (long long)json_integer_value(count));
    }
    shard_gauge(shards, "ring", "Imports that wait for a worker.", out);
    shard_gauge(shards, "due", "Imports that wait for a time.", out);
    shard_gauge(shards, "tasks", "Open tasks of people.", out);
    shard_gauge(shards, "events", "Entries of the event stream.", out);
    head(out, "workers", "gauge", "Workers with a live session.");
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *one = json_array_get(shards, i);
        str_addf(out, "orgimport_workers{shard=\"%lld\"} %zu\n", (long long)json_int_at(one, "shard"),
                 json_array_size(json_at(one, "sessions")));
    }
}

static void metrics_end(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    AUTO_STR struct str out;
    str_init(&out, 1 << 20);
    own_metrics(op->api, &out);
    if (op->value)
        queue_metrics(op->value, &out);
    if (!err && value) {
        head(&out, "fleet_halted", "gauge", "Whether all writers of the fleet are halted.");
        str_addf(&out, "orgimport_fleet_halted %d\n", json_bool_at(value, "halted") ? 1 : 0);
    }
    json_decref(value);
    http_reply(op->r, 200, "text/plain; version=0.0.4; charset=utf-8", str_take(&out));
    op_end(op);
}

static void metrics_read(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    op->value = value; /* NULL when there is none: op_end lets go of it */
    if (err)
        metrics_end(op, err, NULL);
    else
        queue_fleet_get(op->api->store->queue, metrics_end, op);
}

/* Without Redis there are still the dispatcher's own numbers: a scrape never fails because of it. */
void metrics_get(struct http_request *r, void *arg)
{
    struct api *api = arg;
    struct op *op = op_new(api, r);
    struct err err = {0};
    if (api->is_ready && redis_is_up(api->store->redis)) {
        queue_stats(api->store->queue, metrics_read, op);
        return;
    }
    (void)err_set(&err, ERR_REDIS, "Redis is away");
    metrics_read(op, &err, NULL);
}
