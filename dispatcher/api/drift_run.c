#include "dispatcher/api/drift_run.h"

#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/api/drift_keep.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/drift_plan.h"

#include <stdio.h>

struct start {
    struct api *api;
    char import_id[IMPORT_ID_BYTES], run_id[IMPORT_ID_BYTES], last_id[IMPORT_ID_BYTES];
    char set[IMPORT_ID_BYTES + 8];
    char known[65];
    char *by;
    bool asks_access, is_scheduled;
    json_t *value; /* the finished import */
    struct plan plan;
    drift_started_fn *done;
    void *arg;
    struct err err;
};

static void finish(struct start *s, const struct err *err, const char *run_id, bool is_new)
{
    s->done(s->arg, err, run_id, is_new);
    if (!err && is_new)
        drift_keep_sweep(s->api, s->import_id);
    s->api->store->busy--;
    plan_done(&s->plan);
    json_decref(s->value);
    mem_free(s->by);
    mem_free(s);
}

static const struct playbook *playbook_named(const struct api *api, const char *name)
{
    for (size_t i = 0; i < api->store->playbook_count; i++)
        if (str_eq(api->store->playbooks[i]->name, name))
            return api->store->playbooks[i];
    return NULL;
}

static const char *playbook_name(const struct start *s)
{
    return s->asks_access ? "payer-drift-asked" : "payer-drift";
}

/* ---- Into the shard ---- */

static void unnamed(void *arg, const struct err *err, const redisReply *reply)
{
    struct start *s = arg;
    (void)err; /* a name without a run is skipped by readers */
    (void)reply;
    finish(s, &s->err, NULL, false);
}

static void submitted(void *arg, const struct err *err, const char *existing_id)
{
    struct start *s = arg;
    if (!err) {
        log_event(LOG_INFO, "drift.started", "import", s->import_id, "run", s->run_id, "by", s->by, NULL);
        finish(s, NULL, s->run_id, !existing_id || !*existing_id);
        return;
    }
    if (err->code == ERR_IMPORT_EXISTS && existing_id &&
        *existing_id) { /* somebody was faster: one look answers both */
        finish(s, NULL, existing_id, false);
        return;
    }
    s->err = *err;
    if (err->code == ERR_REDIS) { /* unknown outcome: the name must stay */
        finish(s, &s->err, NULL, false);
        return;
    }
    store_command(s->api->store, "ZREM", s->set, 1, (const char *[]){s->run_id}, unnamed, s);
}

static void named(void *arg, const struct err *err, const redisReply *reply)
{
    struct start *s = arg;
    (void)reply;
    if (err) {
        finish(s, err, NULL, false);
        return;
    }
    char account_key[DRIFT_ACCOUNT_KEY_BYTES];
    drift_account_key(s->plan.doc, account_key);
    AUTO_FREE char *doc = json_text(s->plan.doc);
    struct queue_submit in = {
        .import_id = s->run_id, .account_key = account_key, .dag = &s->plan.dag, .record = &s->plan.record, .doc = doc};
    queue_submit(s->api->store->queue, &in, submitted, s);
}

static void make_plan(struct start *s)
{
    struct store *store = s->api->store;
    uint64_t now = env_unix_ms(store->env);
    struct drift_plan_input in = {.value = s->value,
                                  .playbook = playbook_named(s->api, playbook_name(s)),
                                  .run_id = s->run_id,
                                  .known = s->known,
                                  .by = s->by,
                                  .asks_access = s->asks_access,
                                  .is_simulated = store->is_simulated,
                                  .now_ms = now};
    if (!s->run_id[0])
        queue_import_id(store->queue, json_str_or(s->value, "doc.vars.partition", "aws"),
                        json_str_at(s->value, "doc.vars.account_id"), s->run_id);
    if (!in.playbook)
        (void)err_set(&s->err, ERR_PLAYBOOK_UNKNOWN, "the playbook %s is not installed", playbook_name(s));
    if (!in.playbook || drift_plan(&in, &s->plan, &s->err) < 0) {
        finish(s, &s->err, NULL, false);
        return;
    }
    char score[24];
    (void)snprintf(score, sizeof score, "%llu", (unsigned long long)now);
    store_command(store, "ZADD", s->set, 3, (const char *[]){"NX", score, s->run_id}, named, s);
}

/* ---- What was before ---- */

static void cancelled(void *arg, const struct err *err)
{
    struct start *s = arg;
    if (err && err->code != ERR_STATE_CONFLICT)
        finish(s, err, NULL, false);
    else
        make_plan(s);
}

static bool is_open(const json_t *value)
{
    enum import_state state = IMPORT_ACCEPTED;
    return import_state_parse(json_str_at(value, "state"), &state) && !import_state_is_terminal(state);
}

static const json_t *look_result(const json_t *value)
{
    const json_t *steps = json_at(value, "steps");
    size_t count = json_array_size(steps);
    return count ? json_at(json_array_get(steps, count - 1), "result") : NULL; /* drift_look is the last step */
}

int64_t drift_found(const json_t *value)
{
    const json_t *result = look_result(value);
    return json_has(result, "counts") ? json_int_at(result, "found") : 0;
}

static void last_read(void *arg, const struct err *err, const json_t *value)
{
    struct start *s = arg;
    if (err && err->code != ERR_NOT_FOUND) {
        finish(s, err, NULL, false);
        return;
    }
    if (!err && drift_found(value) > 0)
        drift_keep_found(s->api, s->import_id, s->last_id);
    if (!err)
        (void)snprintf(s->known, sizeof s->known, "%s", json_str_at(look_result(value), "digest"));
    if (err || !is_open(value)) {
        make_plan(s);
        return;
    }
    bool is_alike =
        str_starts(json_str_at(value, "doc.playbook"), s->asks_access ? "payer-drift-asked@" : "payer-drift@");
    if (s->is_scheduled || (is_alike && !str_in_list("failed,held,paused", json_str_at(value, "state")))) {
        finish(s, NULL, s->last_id, false);
        return;
    }
    /* A look that got stuck, or waits for what is not wanted now: it makes room. Nothing of it needs undoing. */
    json_auto_t *why =
        json_make("{s:s, s:s, s:s, s:s, s:I}", "kind", "decision", "what", "cancel", "by", s->by, "reason",
                  "another look was asked for", "at_ms", (json_int_t)env_unix_ms(s->api->store->env));
    AUTO_FREE char *text = json_text(why);
    queue_cancel(s->api->store->queue, s->last_id, text, cancelled, s);
}

static void last_found(void *arg, const struct err *err, const redisReply *reply)
{
    struct start *s = arg;
    const char *last = store_text(store_element(reply, 0));
    if (err) {
        finish(s, err, NULL, false);
        return;
    }
    (void)snprintf(s->last_id, sizeof s->last_id, "%s", last);
    if (*last)
        import_fetch(s->api, s->last_id, true, last_read, s);
    else
        make_plan(s);
}

static void import_read(void *arg, const struct err *err, const json_t *value)
{
    struct start *s = arg;
    if (err) {
        finish(s, err, NULL, false);
        return;
    }
    if (json_has(value, "doc.drift_of"))
        (void)err_set(&s->err, ERR_STATE_CONFLICT, "this is a look for drift itself; ask about the import %.40s",
                      json_str_at(value, "doc.drift_of"));
    else if (!str_eq(json_str_at(value, "state"), "completed"))
        (void)err_set(&s->err, ERR_STATE_CONFLICT,
                      "drift is what changed after an import has been completed; this one is %s",
                      json_str_at(value, "state"));
    if (s->err.code) {
        finish(s, &s->err, NULL, false);
        return;
    }
    s->value = json_deep_copy(value);
    store_command(s->api->store, "ZREVRANGE", s->set, 2, (const char *[]){"0", "0"}, last_found, s);
}

void drift_start(struct api *api, const struct drift_ask *ask, drift_started_fn *done, void *arg)
{
    struct start *s = MEM_NEW(struct start);
    *s = (struct start){.api = api,
                        .by = mem_dup(ask->by),
                        .asks_access = ask->asks_access,
                        .is_scheduled = ask->run_id != NULL,
                        .done = done,
                        .arg = arg};
    (void)snprintf(s->import_id, sizeof s->import_id, "%s", ask->import_id);
    (void)snprintf(s->run_id, sizeof s->run_id, "%s", ask->run_id ? ask->run_id : "");
    (void)snprintf(s->set, sizeof s->set, "drift:%s", s->import_id);
    api->store->busy++;
    import_fetch(api, s->import_id, true, import_read, s);
}

/* ---- How a look is shown ---- */

json_t *drift_view(const json_t *value)
{
    const json_t *doc = json_at(value, "doc"), *result = look_result(value), *steps = json_at(value, "steps"), *step;
    const char *id = json_str_at(value, "id");
    bool is_done = json_has(result, "counts");
    json_t *error = NULL, *task = NULL;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        step = json_array_get(steps, i);
        if (!error && json_is_object(json_at(step, "error")))
            error = json_deep_copy(json_at(step, "error"));
        if (!task && json_is_object(json_at(step, "task")))
            task = json_sprintf("tsk_%s.%s", id + 4, json_str_at(step, "name"));
    }
    json_t *out = json_make("{s:s, s:s, s:s, s:s, s:b}", "object", "drift_look", "id", id, "state",
                            json_str_at(value, "state"), "asked_by", json_str_at(doc, "asked_by"), "asked_access",
                            (int)str_starts(json_str_at(doc, "playbook"), "payer-drift-asked@"));
    json_put(out, "started_at", import_time_view(json_int_at(doc, "created_ms")));
    json_put(out, "looked_at", import_time_view(json_int_at(result, "looked_ms")));
    json_put(out, "found", is_done ? json_integer(json_int_at(result, "found")) : json_null());
    json_put_bool(out, "is_new", json_bool_at(result, "is_new"));
    json_put(out, "counts", json_copy_or_null(json_at(result, "counts")));
    json_put(out, "through", is_done ? json_copy_or_null(json_at(result, "through")) : json_array());
    json_put(out, "items", is_done ? json_copy_or_null(json_at(result, "items")) : json_array());
    json_put(out, "error", error && !is_done ? json_incref(error) : json_null());
    json_put(out, "task_id", task ? task : json_null());
    json_decref(error);
    return out;
}

const char *drift_event(const json_t *value)
{
    const json_t *result = look_result(value);
    if (!json_has(value, "doc.drift_of") || !json_has(result, "counts"))
        return NULL;
    if (json_int_at(result, "found") > 0)
        return json_bool_at(result, "is_new") ? "drift.found" : NULL;
    return *json_str_at(value, "doc.handover.known") ? "drift.cleared" : NULL;
}
