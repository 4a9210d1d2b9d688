/* The third host of the step core: no queue, no lease, no Redis. It plays one step that reads the fingerprint, with the
 * same gate, the same rates and the same closed endpoints as a worker of a fleet, and writes what came out.
 *
 * Invariant: the step's manifest holds reads only, checked before the first call; the gate signs nothing else (P4). */
#include "worker/runtime/snapshot_run.h"

#include "common/aws/client.h"
#include "common/aws/endpoint.h"
#include "common/aws/rate.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/file.h"
#include "common/codec/when.h"
#include "common/crypto/crypto.h"
#include "common/log/log.h"
#include "worker/runtime/gate.h"
#include "worker/runtime/mail.h"
#include "worker/runtime/settings.h"
#include "worker/runtime/snapshot_step.h"
#include "worker/steps/fingerprint_cost.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES_MAX 5
#define CONNECTIONS_MAX 64
#define TELL_EVERY 250 /* answers between two lines of progress */

struct snapshot {
    uv_loop_t loop;
    const struct config *config;
    const struct snapshot_options *options;
    struct step_rules rules;
    struct step_host host;
    struct later *later;
    struct aws_endpoints *endpoints;
    struct http_client *http;
    struct aws_client *aws;
    struct gate_own own;
    struct gate_mail mail;
    struct gate_tools tools;
    struct session *first; /* only to learn whose account it is */
    json_t *import;
    struct gate *gate;
    struct step *step;
    struct later_item *timer, *ready, *ended;
    char *journal;
    json_t *chunks; /* a failed try is gone on with, as in a fleet */
    json_t *calls;  /* answers by operation */
    uint64_t answers, told, started_ms;
    uint8_t tries;
    uint64_t again_ms;
    json_t *result;
    struct err err;
    int code;
};

/* ---- Host ---- */
static uint64_t host_now(void *self)
{
    (void)self;
    return env_unix_ms(env_system());
}

static void host_random(void *self, void *bytes, size_t len)
{
    (void)self;
    env_random(env_system(), bytes, len);
}

static bool host_has_identity(void *self, enum aws_identity_kind who)
{
    (void)self;
    return who == AWS_AS_CUSTOMER;
}

struct kept {
    struct snapshot *s;
    struct step_call *call;
};

static void answer_kept(void *arg)
{
    struct kept *k = arg;
    struct step_call *call = k->call;
    json_auto_t *facts = NULL;
    if (call && call->op == &step_op_chunk_put) {
        char digest[65];
        json_digest(step_chunk_of(call), digest);
        json_put(k->s->chunks, digest, json_incref((json_t *)(uintptr_t)step_chunk_of(call)));
        facts = json_make("{s:s,s:i}", "$blob", digest, "bytes", 0);
    } else if (call) {
        json_t *value = json_object_get(k->s->chunks, json_str_at(call->args, "$blob"));
        facts = value ? json_incref(value) : json_null();
    }
    mem_free(k);
    if (call) {
        call->host_data = NULL;
        step_answered(call, &(struct step_answer){.facts = facts});
    }
}

static bool is_chunk(const struct step_call *call)
{
    return call->op == &step_op_chunk_put || call->op == &step_op_chunk_get;
}

static void host_call(void *self, struct step_call *call)
{
    struct snapshot *s = self;
    ASSERT(!call->op->mutates);
    if (!is_chunk(call)) {
        gate_call(s->gate, call);
        return;
    }
    struct kept *k = MEM_NEW(struct kept);
    *k = (struct kept){.s = s, .call = call};
    call->host_data = k;
    (void)later_add(s->later, 0, answer_kept, k);
}

static void host_cancel(void *self, struct step_call *call)
{
    struct snapshot *s = self;
    struct kept *k = call->host_data;
    if (!is_chunk(call))
        gate_cancel(s->gate, call);
    else if (k)
        k->call = NULL;
}

static void tell_progress(struct snapshot *s)
{
    if (s->answers < s->told + TELL_EVERY || !isatty(2))
        return;
    s->told = s->answers;
    (void)fprintf(stderr, "reading: %llu answers of AWS\n", (unsigned long long)s->answers);
}

static void host_answer(void *self, struct step_call *call, const struct step_answer *answer)
{
    struct snapshot *s = self;
    if (!answer->err || (answer->aws_code && *answer->aws_code)) {
        const char *name = call->op->name;
        uint32_t pages = answer->pages ? answer->pages : 1;
        json_put_int(s->calls, name, json_integer_value(json_object_get(s->calls, name)) + pages);
        s->answers += pages;
        tell_progress(s);
    }
    step_answered(call, answer);
}

static void saved(void *arg)
{
    struct snapshot *s = arg;
    s->ended = NULL;
    if (s->step)
        step_saved(s->step);
}

static void host_save(void *self, struct step *step, const char *journal, const char *ledger)
{
    struct snapshot *s = self;
    (void)step;
    (void)ledger;
    mem_free(s->journal);
    s->journal = mem_dup(journal);
    s->ended = later_add(s->later, 0, saved, s);
}

static void fired(void *arg)
{
    struct snapshot *s = arg;
    s->timer = NULL;
    step_timer_fired(s->step);
}

static void host_timer(void *self, struct step *step, uint64_t delay_ms)
{
    struct snapshot *s = self;
    (void)step;
    later_cancel(s->timer);
    s->timer = later_add(s->later, delay_ms, fired, s);
}

static void enter(void *arg)
{
    struct snapshot *s = arg;
    s->ready = NULL;
    step_enter(s->step);
}

static void host_ready(void *self, struct step *step)
{
    struct snapshot *s = self;
    (void)step;
    if (!s->ready)
        s->ready = later_add(s->later, 0, enter, s);
}

static void over(void *arg);

static void host_ended(void *self, struct step *step, const struct step_end *end)
{
    struct snapshot *s = self;
    (void)step;
    if (end->journal) {
        mem_free(s->journal);
        s->journal = mem_dup(end->journal);
    }
    if (end->outcome == STEP_ENDED_DONE) {
        struct err err;
        s->result = json_read(end->result, strlen(end->result), 0, &err);
        ASSERT(s->result);
    } else if (end->err) {
        s->err = *end->err;
    } else {
        (void)err_set(&s->err, ERR_INTERNAL, "the walk ended with %c", (char)end->outcome);
    }
    if (end->drops_session)
        session_drop(gate_session(s->gate));
    s->again_ms = end->outcome == STEP_ENDED_RETRY && s->tries < TRIES_MAX ? end->delay_ms : UINT64_MAX;
    later_cancel(TAKE(s->ended));
    s->ended = later_add(s->later, 0, over, s);
}

/* ---- The walk ---- */
static void finish(struct snapshot *s);

static void begin_try(void *arg)
{
    struct snapshot *s = arg;
    s->ended = NULL;
    s->tries++;
    struct step_input input = {.def = &snapshot_step,
                               .import = s->import,
                               .results = NULL,
                               .journal = s->journal,
                               .fence = s->tries,
                               .nonce = 1,
                               .attempts = s->tries};
    if (step_new(&s->host, &input, s, &s->step, &s->err))
        finish(s);
}

static void over(void *arg)
{
    struct snapshot *s = arg;
    s->ended = NULL;
    later_cancel(TAKE(s->timer));
    later_cancel(TAKE(s->ready));
    step_free(TAKE(s->step));
    if (s->result || s->again_ms == UINT64_MAX) {
        finish(s);
        return;
    }
    (void)fprintf(stderr, "orgimport: %s (%s); once more\n", s->err.text, err_info(s->err.code)->name);
    s->ended = later_add(s->later, s->again_ms, begin_try, s);
}

/* "eu-west-1,us-east-1" as an array. New reference. */
static json_t *regions_of(const char *text)
{
    json_t *list = json_array();
    AUTO_FREE char *copy = mem_dup(text ? text : "");
    for (char *at = copy; *at;) {
        size_t len = strcspn(at, ", ");
        char *next = at + len + (at[len] != 0);
        at[len] = 0;
        if (*at)
            json_array_append_new(list, json_string(at));
        at = next;
    }
    return list;
}

static void account_known(void *arg, struct aws_identity *identity, const struct err *err)
{
    struct snapshot *s = arg;
    if (err) {
        s->err = *err;
        finish(s);
        return;
    }
    json_put_str(json_object_get(s->import, "vars"), "account_id", identity->account_id);
    json_put_str(s->import, "arn", identity->arn);
    s->gate = gate_new(&s->tools, s->import, NULL, NULL);
    begin_try(s);
}

/* ---- What is written ---- */
/* Answers by section beside the least that AWS's page sizes allow, and the seconds that half of AWS's rates take. */
static json_t *calls_json(const struct snapshot *s, const json_t *fingerprint, size_t regions)
{
    json_t *sections = json_object(), *count = NULL, *least = NULL;
    json_auto_t *floor = fingerprint_floor(fingerprint, regions);
    const char *name = NULL;
    uint64_t slowest_ms = 0, least_all = 0;
    json_object_foreach (s->calls, name, count) {
        const struct aws_op *op = aws_op_by_name(name);
        const char *section = op ? fingerprint_section_of(op) : "";
        struct rate_limits limits = rate_limits_of(op ? op->family : "*", 100);
        uint64_t n = (uint64_t)json_integer_value(count);
        uint64_t ms = n > limits.burst ? (n - limits.burst) * limits.interval_us / 1000 : 0;
        slowest_ms = ms > slowest_ms ? ms : slowest_ms;
        json_t *row = json_object_get(sections, section);
        if (!row)
            json_put(sections, section, row = json_make("{s:i,s:i}", "calls", 0, "floor", 0));
        json_put_int(row, "calls", json_int_at(row, "calls") + (int64_t)n);
    }
    json_object_foreach (floor, name, least) {
        json_t *row = json_object_get(sections, name);
        if (row)
            json_put_int(row, "floor", 2 * json_integer_value(least)); /* equal only when read twice */
        least_all += 2 * (uint64_t)json_integer_value(least);
    }
    return json_make("{s:o,s:I,s:I,s:I}", "sections", sections, "calls", (json_int_t)s->answers, "floor",
                     (json_int_t)least_all, "seconds_at_rates", (json_int_t)((slowest_ms + 999) / 1000));
}

static int write_out(const struct snapshot *s, const json_t *document)
{
    char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
    struct err err;
    int rc = 0;
    const char *out = s->options->out;
    if (out && !str_eq(out, "-"))
        rc = file_write(out, text, strlen(text), 0644, &err);
    else
        rc = fprintf(stdout, "%s\n", text) < 0 || fflush(stdout) != 0;
    if (rc)
        (void)fprintf(stderr, "orgimport: the snapshot cannot be written%s%s\n", out ? " to " : "", out ? out : "");
    mem_free(text);
    return rc ? 1 : 0;
}

static int report(const struct snapshot *s)
{
    const json_t *fingerprint = json_object_get(s->result, "fingerprint");
    const json_t *organization = json_at(fingerprint, "sections.organization");
    const char *account = json_str_at(s->import, "vars.account_id");
    const char *master = json_str_at(organization, "master_account_id");
    if (!str_eq(account, master)) {
        (void)fprintf(stderr,
                      "orgimport: these credentials belong to account %s; a snapshot needs the management account %s\n",
                      account, master);
        return 1;
    }
    char at[32] = "";
    when_rfc3339((uint64_t)json_int_at(fingerprint, "taken_ms"), at);
    json_auto_t *calls = calls_json(s, fingerprint, json_array_size(json_object_get(s->result, "regions")));
    json_auto_t *document = json_make(
        "{s:s,s:i,s:s,s:s,s:s,s:s,s:O,s:O,s:O}", "kind", "orgimport.snapshot", "version", 1, "account_id", account,
        "organization_id", json_str_at(organization, "id"), "taken_at", at, "root", json_str_at(fingerprint, "root"),
        "regions", json_object_get(s->result, "regions"), "calls", calls, "fingerprint", fingerprint);
    if (write_out(s, document))
        return 1;
    (void)fprintf(stderr, "%s: %zu accounts, %lld answers of AWS (floor %lld), root %s\n",
                  json_str_at(organization, "id"), json_object_size(json_at(fingerprint, "sections.accounts")),
                  (long long)json_int_at(calls, "calls"), (long long)json_int_at(calls, "floor"),
                  json_str_at(fingerprint, "root"));
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(fingerprint, "unstable"), i, one)
        (void)fprintf(stderr, "section %s would not hold still: its last value is kept\n", json_str_at(one, "section"));
    return 0;
}

static void finish(struct snapshot *s)
{
    if (s->result) {
        s->code = report(s);
    } else {
        const struct err_info *info = err_info(s->err.code);
        (void)fprintf(stderr, "orgimport: %s (%s)%s%s %s\n", s->err.text, info->name, s->err.origin[0] ? " " : "",
                      s->err.origin, info->fix);
        s->code = 1;
    }
    gate_free(TAKE(s->gate));
    session_free(TAKE(s->first));
    aws_client_free(TAKE(s->aws));
    http_client_close(TAKE(s->http), NULL, NULL);
    later_close(TAKE(s->later));
}

/* ---- The beginning ---- */
static int open_aws(struct snapshot *s, bool is_simulated, struct err *err)
{
    const struct config *c = s->config;
    const char *endpoints = is_simulated ? config_text(c, CONFIG_ENDPOINTS) : NULL;
    struct http_client_options http = {
        .env = env_system(), .connections_max = CONNECTIONS_MAX, .ca_file = getenv("AWS_CA_BUNDLE")};
    if (is_simulated) { /* closed endpoints hold here as everywhere (P11) */
        if (aws_endpoints_new(true, endpoints, &s->endpoints, err))
            return -1;
        http.gate = aws_endpoints_gate;
        http.gate_arg = s->endpoints;
    }
    s->http = http_client_new(&s->loop, &http);
    struct aws_client_options options = {.env = env_system(),
                                         .http = s->http,
                                         .is_simulated = is_simulated,
                                         .endpoints = endpoints,
                                         .call_timeout_ms = (uint32_t)config_int(c, CONFIG_CALL_TIMEOUT_MS),
                                         .calls_max = (uint32_t)config_int(c, CONFIG_CALLS_MAX),
                                         .rate_scale_pct =
                                             is_simulated ? (uint32_t)config_int(c, CONFIG_RATE_SCALE_PCT) : 100,
                                         .user_agent = "orgimport-snapshot/" ORGIMPORT_VERSION};
    return aws_client_new(&s->loop, &options, &s->aws, err);
}

static void set_tools(struct snapshot *s, bool is_simulated)
{
    s->tools = (struct gate_tools){.session = {.env = env_system(),
                                               .aws = s->aws,
                                               .later = s->later,
                                               .is_simulated = is_simulated,
                                               .keys_dir = "",
                                               .sim_credentials = config_text(s->config, CONFIG_SIM_CREDENTIALS),
                                               .is_customers_own = true,
                                               .customer_profile = s->options->profile},
                                   .own = &s->own,
                                   .mail = &s->mail,
                                   .call_timeout_ms = (uint64_t)config_int(s->config, CONFIG_CALL_TIMEOUT_MS),
                                   .answer_self = s,
                                   .answer = host_answer};
}

static int check_manifest(struct err *err)
{
    for (const struct aws_op *const *op = snapshot_step.ops; *op; op++)
        if ((*op)->mutates || (*op)->who != AWS_AS_CUSTOMER)
            return err_set(err, ERR_OP_UNDECLARED, "%s is not a read of the customer's account", (*op)->name);
    return 0;
}

static int start(struct snapshot *s, struct err *err)
{
    bool is_simulated = str_eq(config_text(s->config, CONFIG_MODE), "sim");
    if (check_manifest(err) || open_aws(s, is_simulated, err))
        return -1;
    set_tools(s, is_simulated);
    if (is_simulated)
        step_rules_simulated(&s->rules, 0, 60000);
    else
        step_rules_live(&s->rules, 60000);
    s->import = json_make("{s:s,s:{s:s},s:{s:s,s:s,s:o}}", "id", "snapshot", "access", "method", "own", "vars",
                          "account_id", "", "partition", "aws", "regions", regions_of(s->options->regions));
    s->first = session_new_customer(&s->tools.session, s->import, NULL, NULL, NULL);
    session_use(s->first, account_known, s);
    return 0;
}

int snapshot_run(const struct config *config, const struct snapshot_options *options)
{
    struct snapshot s = {.config = config, .options = options, .started_ms = env_boot_ms(env_system())};
    struct err err = {0};
    s.host = (struct step_host){.self = &s,
                                .rules = &s.rules,
                                .now_ms = host_now,
                                .random = host_random,
                                .has_identity = host_has_identity,
                                .call = host_call,
                                .cancel = host_cancel,
                                .save = host_save,
                                .timer = host_timer,
                                .ready = host_ready,
                                .ended = host_ended};
    s.chunks = json_object();
    s.calls = json_object();
    ASSERT(uv_loop_init(&s.loop) == 0);
    s.later = later_new(&s.loop, env_system());
    if (start(&s, &err)) {
        (void)fprintf(stderr, "orgimport: %s (%s)\n", err.text, err_info(err.code)->name);
        s.code = 1;
        if (s.aws)
            aws_client_free(s.aws);
        if (s.http)
            http_client_close(s.http, NULL, NULL);
        later_close(s.later);
    }
    (void)uv_run(&s.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s.loop);
    aws_endpoints_free(s.endpoints);
    json_decref(s.import);
    json_decref(s.chunks);
    json_decref(s.calls);
    json_decref(s.result);
    mem_free(s.journal);
    return s.code;
}

int snapshot_policy(void)
{
    json_auto_t *actions = json_make("[s]", "sts:GetCallerIdentity");
    for (const struct aws_op *const *op = snapshot_step.ops; *op; op++) {
        AUTO_FREE char *list = mem_dup((*op)->permission);
        for (char *at = list; *at;) {
            size_t len = strcspn(at, ",");
            char *next = at + len + (at[len] != 0);
            at[len] = 0;
            if (!json_array_has_str(actions, at))
                json_array_append_new(actions, json_string(at));
            at = next;
        }
    }
    json_sort_by(actions, NULL);
    json_auto_t *policy = json_make("{s:s,s:[{s:s,s:s,s:O,s:s}]}", "Version", "2012-10-17", "Statement", "Sid",
                                    "OrgimportSnapshot", "Effect", "Allow", "Action", actions, "Resource", "*");
    char *text = json_dumps(policy, JSON_INDENT(1));
    int rc = puts(text) < 0;
    mem_free(text);
    return rc;
}
