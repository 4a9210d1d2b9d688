/* The plan of an import: shown, approved, applied. An approval finishes the gate's task with the plan's hash; applying
 * is the word to go on. Both only say so: the gate judges for itself, with a fresh look at AWS. */
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/proof/plan_words.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/import_steps.h"

#include <stdio.h>
#include <string.h>

#define HASH_SHORT 8 /* as much of a hash as a person may type */

struct gate_view {
    const json_t *plan_step, *gate_step;
    const json_t *plan; /* the present one: after a refusal that of the gate. NULL: not made yet */
    const char *hash, *state;
};

static const char *state_of(const struct gate_view *v)
{
    if (str_eq(json_str_at(v->gate_step, "state"), "DONE"))
        return "applied";
    if (str_eq(json_str_at(v->plan_step, "state"), "FAILED"))
        return "stopped";
    return json_bool_at(v->gate_step, "task.data.approved") ? "approved" : "waiting";
}

/* False: it has been answered. */
static bool look(struct op *op, const json_t *value, struct gate_view *ret)
{
    *ret = (struct gate_view){.plan_step = import_step(value, "change_plan"),
                              .gate_step = import_step(value, "plan_approval")};
    if (!ret->plan_step || str_eq(json_str_at(ret->plan_step, "state"), "SKIPPED")) {
        op_fail_code(
            op, ERR_PLAN_NONE,
            "this import was submitted without a plan and is %s: it goes on without one. Submit with options.plan "
            "true (`orgimport plan FILE`) to see and approve every call first",
            json_str_at(value, "state"));
        return false;
    }
    ret->plan = json_at(ret->gate_step, "result.plan");
    if (!ret->plan)
        ret->plan = json_at(ret->plan_step, "result.plan");
    ret->hash = json_str_at(ret->plan, "hash");
    ret->state = state_of(ret);
    if (*ret->hash)
        return true;
    op_fail_code(op, ERR_STATE_CONFLICT, "the plan is not made yet; the import is %s", json_str_at(value, "state"));
    return false;
}

/* ---- Approvals, as the gate will count them ---- */

static void add_word(json_t *list, const json_t *word, const char *by, const char *hash)
{
    /* As the gate counts: two words of one person are one. */
    if (!*by || !str_eq(json_str_at(word, "code"), hash) || json_find_nocase(list, "by", by))
        return;
    (void)json_array_append_new(list, json_make("{s:s, s:s, s:s, s:I}", "by", by, "note", json_str_at(word, "note"),
                                                "code", hash, "at_ms", (json_int_t)json_int_at(word, "at_ms")));
}

/* New reference. */
static json_t *approvals_of(const struct gate_view *v)
{
    const json_t *done = json_at(v->gate_step, "signals.done"), *one;
    json_t *list = json_array();
    size_t i;
    json_array_foreach (json_object_get(done, "approvals"), i, one)
        add_word(list, one, json_str_at(one, "by"), v->hash);
    add_word(list, done, json_str_at(done, "by"), v->hash);
    add_word(list, done, json_str_at(done, "second_person"), v->hash);
    return list;
}

static int64_t wanted_of(const json_t *value)
{
    int64_t wanted = json_int_at(value, "doc.vars.approvals.plan.quorum");
    return wanted > 1 ? wanted : 1;
}

static json_t *resource_of(const json_t *value, const struct gate_view *v)
{
    json_t *out =
        json_make("{s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "object", "plan", "import_id", json_str_at(value, "id"),
                  "external_ref", json_str_at(value, "doc.external_ref"), "state", v->state, "hash", v->hash,
                  "approvals", approvals_of(v), "approvals_wanted", (json_int_t)wanted_of(value));
    static const char *const told[] = {"moved", "drift", "applied"};
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        const json_t *one = json_object_get(json_at(v->gate_step, "result"), told[i]);
        json_put(out, told[i], json_copy_or_null(one));
    }
    const json_t *error = json_at(v->plan_step, "error");
    json_put(out, "error", json_is_object(error) ? json_deep_copy(error) : json_null());
    json_put(out, "plan", json_deep_copy(v->plan));
    return out;
}

/* ---- GET ---- */

static void plan_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    struct gate_view v;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    if (!look(op, value, &v))
        return;
    const char *accept = http_header(op->r, "Accept");
    if (!accept || !str_starts(accept, "text/plain")) {
        op_reply(op, 200, resource_of(value, &v), NULL);
        return;
    }
    struct str out;
    str_init(&out, (size_t)16 << 20);
    plan_words(v.plan, &(struct plan_words_options){0}, &out);
    http_reply(op->r, 200, "text/plain; charset=utf-8", str_take(&out));
    op_end(op);
}

#define PLAN_STEPS "change_plan,plan_approval"

void imports_plan(struct http_request *r, void *arg)
{
    if (!api_import_id(r, http_param(r, 0)))
        return;
    struct op *op = op_new(arg, r);
    import_fetch_steps(op->api, http_param(r, 0), PLAN_STEPS, plan_read, op);
}

/* ---- approve, apply ---- */

static void acted_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    struct gate_view v;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    if (!look(op, value, &v))
        return;
    json_t *out = resource_of(value, &v);
    (void)json_object_del(out, "plan"); /* known to whoever acts on it */
    op_reply(op, 200, out, NULL);
}

static void acted(void *arg, const struct err *err)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        import_fetch_steps(op->api, op->import_id, PLAN_STEPS, acted_read, op);
}

static bool is_that_plan(struct op *op, const struct gate_view *v)
{
    const char *given = json_str_at(op->body, "plan");
    if (!*given || (strlen(given) >= HASH_SHORT && str_starts(v->hash, given)))
        return true;
    op_fail_code(op, ERR_PLAN_OTHER, "the plan is %s now", v->hash);
    return false;
}

static bool is_open(struct op *op, const struct gate_view *v)
{
    if (json_is_object(json_at(v->gate_step, "task")))
        return true;
    op_fail_code(op, ERR_STATE_CONFLICT, "the plan waits for nobody: it is %s", v->state);
    return false;
}

static void send_word(struct op *op, const struct gate_view *v, const char *key, json_t *body)
{
    json_put_int(body, "at_ms", (json_int_t)env_unix_ms(op->api->store->env));
    AUTO_FREE char *text = json_text(body);
    log_event(LOG_INFO, "plan.decision", "import", op->import_id, "what", key, "by", json_str_at(body, "by"), "plan",
              v->hash, NULL);
    queue_signal(op->api->store->queue, op->import_id, (int)json_int_at(v->gate_step, "index"), key, text, acted, op);
}

static void approve_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    struct gate_view v;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    if (!look(op, value, &v) || !is_open(op, &v) || !is_that_plan(op, &v))
        return;
    json_auto_t *body = json_make("{s:s, s:s, s:s, s:o}", "by", json_str_at(op->body, "by"), "note",
                                  json_str_at(op->body, "reason"), "code", v.hash, "approvals", approvals_of(&v));
    if (*json_str_at(op->body, "second_person"))
        json_put_str(body, "second_person", json_str_at(op->body, "second_person"));
    send_word(op, &v, "done", body);
}

static void apply_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    struct gate_view v;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    if (!look(op, value, &v) || !is_open(op, &v) || !is_that_plan(op, &v))
        return;
    json_auto_t *approvals = approvals_of(&v);
    int64_t wanted = wanted_of(value);
    if ((int64_t)json_array_size(approvals) < wanted) {
        op_fail_code(op, ERR_PLAN_UNAPPROVED, "%zu of %lld people have approved plan %.12s", json_array_size(approvals),
                     (long long)wanted, v.hash);
        return;
    }
    json_auto_t *body = json_make("{s:s, s:s, s:s}", "by", json_str_or(op->body, "by", "api"), "reason",
                                  json_str_at(op->body, "reason"), "plan", v.hash);
    send_word(op, &v, "accept", body);
}

static void begin(struct op *op, const char *known, const char *required, import_fetch_fn *next)
{
    (void)snprintf(op->import_id, sizeof op->import_id, "%s", http_param(op->r, 0));
    if (op_read_body(op, !*required) && op_check_fields(op, known, required))
        import_fetch_steps(op->api, op->import_id, PLAN_STEPS, next, op);
}

static void approve_start(struct op *op)
{
    begin(op, "by,reason,plan,second_person", "by,reason", approve_read);
}

static void apply_start(struct op *op)
{
    begin(op, "by,reason,plan", "", apply_read);
}

void imports_approve(struct http_request *r, void *arg)
{
    if (api_import_id(r, http_param(r, 0)))
        op_start(arg, r, approve_start);
}

void imports_apply(struct http_request *r, void *arg)
{
    if (api_import_id(r, http_param(r, 0)))
        op_start(arg, r, apply_start);
}
