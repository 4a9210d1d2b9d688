#include "worker/runtime/engine_private.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PUBLISH_MS 10000
#define TRIM_MS 60000 /* it takes some 50 ms */
#define TRIM_FREE_BYTES ((size_t)64 * 1024 * 1024)
#define DRAIN_GIVE_UP_MS 5000 /* for Redis to take what is left */
#define START_PATIENCE_MS 10000
#define CONNECTIONS_MAX 256

uint64_t engine_boot_ms(const struct engine *e)
{
    (void)e;
    return env_boot_ms(env_system());
}

uint64_t engine_redis_ms(const struct engine *e)
{
    return e->queue ? queue_now_ms(e->queue) : env_unix_ms(env_system());
}

/* ---- What we tell of ourselves ---- */
static json_t *worker_facts(struct engine *e)
{
    const struct engine_counters *n = &e->count;
    struct aws_client_stats aws = {0};
    char host[256] = "", name[320];
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(name, sizeof name, "%s:%d", host, (int)getpid());
    if (e->aws)
        aws_client_stats(e->aws, &aws);
    const char *given = config_text(e->config, CONFIG_NAME);
    json_t *facts = json_make("{s:s, s:s, s:i, s:I, s:I, s:b}", "name", *given ? given : name, "version",
                              ORGIMPORT_VERSION, "pid", (int)getpid(), "started_ms", (json_int_t)e->started_unix_ms,
                              "held", (json_int_t)e->hold_count, "draining", e->is_draining);
    json_put_bool(facts, "halted", e->beat && beat_is_halted(e->beat));
    json_put(facts, "steps",
             json_make("{s:I, s:I, s:I, s:I, s:I, s:I}", "done", (json_int_t)n->done, "retried", (json_int_t)n->retried,
                       "failed", (json_int_t)n->failed, "waited", (json_int_t)n->waited, "interrupted",
                       (json_int_t)n->interrupted, "stale", (json_int_t)n->stale));
    json_put(facts, "queue",
             json_make("{s:I, s:I, s:I, s:I}", "turns", (json_int_t)n->turns, "items", (json_int_t)n->items, "claims",
                       (json_int_t)n->claims, "sessions_lost", (json_int_t)n->sessions_lost));
    json_put(facts, "aws",
             json_make("{s:I, s:I, s:I, s:I, s:I}", "calls", (json_int_t)aws.calls, "requests",
                       (json_int_t)aws.requests, "retries", (json_int_t)aws.retries, "throttles",
                       (json_int_t)aws.throttles, "errors", (json_int_t)aws.errors));
    return facts;
}

char *engine_worker_json(struct engine *e)
{
    json_auto_t *facts = worker_facts(e);
    return json_text(facts);
}

static char *health_report(void *arg)
{
    struct engine *e = arg;
    json_auto_t *facts = worker_facts(e);
    uint32_t open = 0;
    for (uint32_t i = 0; i < e->shard_count; i++)
        open += e->shards[i].state == SHARD_OPEN && shard_leave_before(&e->shards[i]) > engine_boot_ms(e);
    bool is_up = e->redis && redis_is_up(e->redis);
    json_put_bool(facts, "ok", is_up && open == e->shard_count && !e->is_draining);
    json_put_bool(facts, "redis", is_up);
    json_put_int(facts, "sessions", open);
    return json_text(facts);
}

static void published(void *arg, const struct err *err)
{
    struct shard *s = arg;
    if (!err)
        return;
    log_error(LOG_DEBUG, "worker.not_published", err, NULL);
    if (err->code == ERR_LEASE_LOST && s->state == SHARD_OPEN && atomic_load(&s->beat->session) == s->published)
        shard_lost(s);
}

/* Reading a whole organization takes far more memory than keeping what came of it, and glibc gives none of that back
 * while a small piece lies above: measured with 1,000 resting imports, 79 MB in use of 243 MB. */
static void give_memory_back(struct engine *e)
{
    uint64_t now = engine_boot_ms(e);
    if (now - e->trimmed_boot_ms < TRIM_MS)
        return;
    struct mallinfo2 heap = mallinfo2();
    if (heap.fordblks < TRIM_FREE_BYTES || heap.fordblks < heap.uordblks)
        return;
    e->trimmed_boot_ms = now;
    (void)malloc_trim(0);
    log_event(LOG_DEBUG, "memory.trimmed", "ms", LOG_N(engine_boot_ms(e) - now), NULL);
}

/* Told to every shard when it has changed; an idle worker has nothing to tell: how often it asked for work is no news.
 */
static void publish(void *arg)
{
    struct engine *e = arg;
    json_auto_t *facts = worker_facts(e);
    AUTO_FREE char *worker = json_text(facts);
    (void)json_object_del(json_object_get(facts, "queue"), "turns");
    AUTO_FREE char *news = json_text(facts);
    give_memory_back(e);
    e->publish = later_add(e->later, PUBLISH_MS, publish, e);
    if (e->told && str_eq(e->told, news))
        return;
    for (uint32_t i = 0; i < e->shard_count; i++) {
        struct shard *s = &e->shards[i];
        if (s->state != SHARD_OPEN)
            continue;
        s->published = atomic_load(&s->beat->session);
        queue_session_refresh(e->queue, s->id, s->published, (uint32_t)config_int(e->config, CONFIG_LEASE_MS), worker,
                              published, s);
    }
    mem_free(e->told);
    e->told = TAKE(news);
}

/* ---- The end ---- */
static void queue_closed(void *arg)
{
    (void)arg; /* the loop ends by itself when no handle is left */
}

static void close_all(struct engine *e)
{
    if (e->is_closing)
        return;
    e->is_closing = true;
    for (size_t i = 0; i < e->hold_room; i++)
        while (e->holds[i])
            hold_drop(e->holds[i]);
    if (e->beat)
        beat_stop(TAKE(e->beat));
    warm_clear(e);
    runs_bury(e);
    for (size_t i = 0; i < ARRAY_LEN(e->own.sessions); i++)
        session_free(TAKE(e->own.sessions[i]));
    tokens_free(TAKE(e->tokens));
    if (e->queue)
        queue_free(TAKE(e->queue));
    if (e->redis)
        redis_close(TAKE(e->redis), queue_closed, e);
    if (e->aws)
        aws_client_free(TAKE(e->aws));
    if (e->http)
        http_client_close(TAKE(e->http), NULL, NULL);
    if (e->health)
        health_close(TAKE(e->health));
    uv_close((uv_handle_t *)&e->term, NULL);
    uv_close((uv_handle_t *)&e->interrupt, NULL);
    later_close(e->later);
}

void engine_fail(struct engine *e, const struct err *err)
{
    if (e->is_closing)
        return;
    log_error(LOG_ERROR, "worker.cannot_run", err, NULL);
    (void)fprintf(stderr, "orgimport-worker: %s (%s) %s\n", err->text, err_info(err->code)->name,
                  err_info(err->code)->fix);
    e->exit_code = 2;
    close_all(e);
}

static void give_up(void *arg)
{
    struct engine *e = arg;
    log_event(LOG_WARN, "drain.incomplete", "held", LOG_N(e->hold_count), NULL);
    close_all(e);
}

/* Complete when nothing runs, nothing is on its way, and every session is closed. */
void engine_drained(struct engine *e)
{
    bool are_ended = true;
    if (!e->is_draining || e->is_closing)
        return;
    for (uint32_t i = 0; i < e->shard_count; i++) {
        struct shard *s = &e->shards[i];
        if (s->state == SHARD_OPEN && !s->hold_count && shard_is_quiet(s))
            shard_close(s);
        if (s->state == SHARD_CLOSED)
            shard_close(s);
        are_ended = are_ended && s->state == SHARD_ENDED;
    }
    if (!are_ended)
        return;
    log_event(LOG_INFO, "drain.done", NULL);
    close_all(e);
}

static void each_run(struct engine *e, void (*fn)(struct run *))
{
    for (size_t i = 0; i < e->hold_room; i++)
        for (struct hold *h = e->holds[i]; h; h = h->next_hash)
            for (size_t k = 0; k < h->record.step_count; k++)
                if (h->runs[k])
                    fn(h->runs[k]);
}

static void drain_over(void *arg)
{
    struct engine *e = arg;
    e->drain_end = NULL;
    log_event(LOG_WARN, "drain.cut", "held", LOG_N(e->hold_count), NULL);
    each_run(e, run_stop_now);
    e->give_up = later_add(e->later, DRAIN_GIVE_UP_MS, give_up, e);
}

static void drain(struct engine *e)
{
    e->is_draining = true;
    log_event(LOG_INFO, "drain.began", "held", LOG_N(e->hold_count), NULL);
    e->drain_end = later_add(e->later, (uint64_t)config_int(e->config, CONFIG_DRAIN_MS), drain_over, e);
    each_run(e, run_stop);
    engine_drained(e);
}

static void signalled(uv_signal_t *handle, int signum)
{
    struct engine *e = handle->data;
    if (e->is_draining || e->is_closing) {
        log_event(LOG_WARN, "worker.killed", "signal", LOG_N(signum), NULL);
        _exit(1); /* asked twice: leases and journals take care of the rest */
    }
    if (e->is_queue_ready)
        drain(e);
    else
        close_all(e);
}

/* ---- The loop's own clock ---- */
static void tick(void *arg)
{
    struct engine *e = arg;
    beat_tick(e->beat);
    warm_close_keys(e);
    e->tick = later_add(e->later, (uint64_t)config_int(e->config, CONFIG_LEASE_MS) / 16, tick, e);
}

static void beat_news(void *arg)
{
    struct engine *e = arg;
    if (e->is_closing)
        return;
    for (uint32_t i = 0; i < e->shard_count; i++)
        shard_beat(&e->shards[i]);
}

static void bell(void *arg, uint32_t shard)
{
    struct engine *e = arg;
    if (shard < e->shard_count && !e->is_closing)
        shard_ring(&e->shards[shard]);
}

/* ---- The beginning ---- */
static struct redis_options redis_settings(const struct engine *e)
{
    const struct config *c = e->config;
    return (struct redis_options){.url = config_text(c, CONFIG_REDIS_URL),
                                  .password_file = config_text(c, CONFIG_REDIS_PASSWORD_FILE),
                                  .ca_file = config_text(c, CONFIG_REDIS_CA),
                                  .cert_file = config_text(c, CONFIG_REDIS_CERT),
                                  .key_file = config_text(c, CONFIG_REDIS_KEY),
                                  .client_name = "orgimport-worker",
                                  .env = env_system()};
}

/* The beat must leave room for the longest call in front of it: a call only leaves when it ends before the lease. */
static uint32_t beat_interval_ms(const struct config *c)
{
    int64_t lease = config_int(c, CONFIG_LEASE_MS), spare = (lease - config_int(c, CONFIG_CALL_TIMEOUT_MS)) / 2;
    return (uint32_t)(spare < lease / 3 ? spare : lease / 3);
}

/* ---- The halt of all writers ---- */
static bool may_write(void *self)
{
    const struct engine *e = self;
    return e->beat && beat_may_write(e->beat);
}

static void halt_fleet(void *self, const json_t *args, void (*done)(void *arg, const struct err *err), void *arg)
{
    struct engine *e = self;
    log_event(LOG_ERROR, "fleet.halt", "import", json_str_at(args, "import"), "reason", json_str_at(args, "reason"),
              NULL);
    queue_fleet_halt(e->queue,
                     &(struct queue_halt){.id = json_str_at(args, "id"),
                                          .reason = json_str_at(args, "reason"),
                                          .by = "fingerprint_after",
                                          .import_id = json_str_at(args, "import")},
                     done, arg);
}

/* ---- What imports know of CloudTrail ---- */
static void trail_load(void *self, const char *import_id, queue_trail_fn *done, void *arg)
{
    queue_trail_get(((struct engine *)self)->queue, import_id, done, arg);
}

static void trail_save(void *self, const char *import_id, const struct queue_trail_part *parts, size_t count,
                       const json_t *gone, queue_done_fn *done, void *arg)
{
    queue_trail_put(((struct engine *)self)->queue, import_id, parts, count, gone, done, arg);
}

static void queue_ready(void *arg, const struct err *err)
{
    struct engine *e = arg;
    struct err own = {0};
    if (e->is_closing)
        return;
    if (err) {
        engine_fail(e, err);
        return;
    }
    if (*queue_warnings(e->queue))
        log_event(LOG_WARN, "redis.weak", "text", queue_warnings(e->queue), NULL);
    struct beat_options beat = {.env = env_system(),
                                .redis = redis_settings(e),
                                .prefix = config_text(e->config, CONFIG_REDIS_PREFIX),
                                .lease_ms = (uint32_t)config_int(e->config, CONFIG_LEASE_MS),
                                .interval_ms = beat_interval_ms(e->config),
                                .shard_count = e->shard_count,
                                .news = beat_news,
                                .arg = e};
    if (beat_start(&e->loop, &beat, &e->beat, &own) || queue_listen(e->queue, bell, e, &own)) {
        engine_fail(e, &own);
        return;
    }
    e->is_queue_ready = true;
    later_cancel(TAKE(e->give_up));
    for (uint32_t i = 0; i < e->shard_count; i++) {
        e->shards[i] = (struct shard){.engine = e, .id = i, .beat = beat_shard(e->beat, i)};
        e->shards[i].last = &e->shards[i].first;
        shard_open(&e->shards[i]);
    }
    tick(e);
    e->publish = later_add(e->later, PUBLISH_MS, publish, e);
    log_event(LOG_INFO, "worker.ready", "mode", e->rules.is_simulated ? "sim" : "live", NULL);
}

static void no_redis(void *arg)
{
    struct engine *e = arg;
    struct err err = {0};
    e->give_up = NULL;
    (void)err_set(&err, ERR_REDIS, "no answer from Redis within %d s", START_PATIENCE_MS / 1000);
    engine_fail(e, &err);
}

static void on_throttled(void *arg, const char *rate_key, const char *family, uint32_t delay_ms)
{
    struct engine *e = arg;
    if (e->tokens)
        tokens_throttled(e->tokens, rate_key, family, delay_ms);
}

static int start_aws(struct engine *e, struct err *err)
{
    const struct config *c = e->config;
    bool is_simulated = e->rules.is_simulated;
    struct http_client_options http = {
        .env = env_system(), .connections_max = CONNECTIONS_MAX, .ca_file = getenv("AWS_CA_BUNDLE")};
    if (is_simulated) { /* a second lock beside the AWS client's own: whatever asks this client, it dials what is listed
                           (P11) */
        if (aws_endpoints_new(true, config_text(c, CONFIG_ENDPOINTS), &e->endpoints, err))
            return -1;
        http.gate = aws_endpoints_gate;
        http.gate_arg = e->endpoints;
    }
    e->http = http_client_new(&e->loop, &http);
    struct aws_client_options options = {.env = env_system(),
                                         .throttled = on_throttled,
                                         .throttled_arg = e,
                                         .http = e->http,
                                         .is_simulated = is_simulated,
                                         .endpoints = is_simulated ? config_text(c, CONFIG_ENDPOINTS) : NULL,
                                         .call_timeout_ms = (uint32_t)config_int(c, CONFIG_CALL_TIMEOUT_MS),
                                         .calls_max = (uint32_t)config_int(c, CONFIG_CALLS_MAX),
                                         .rate_scale_pct =
                                             is_simulated ? (uint32_t)config_int(c, CONFIG_RATE_SCALE_PCT) : 100,
                                         .user_agent = "orgimport/" ORGIMPORT_VERSION};
    if (aws_client_new(&e->loop, &options, &e->aws, err))
        return -1;
    e->mail.options = (struct mail_options){.loop = &e->loop,
                                            .later = e->later,
                                            .http = e->http,
                                            .is_simulated = is_simulated,
                                            .endpoints = config_text(c, CONFIG_ENDPOINTS),
                                            .smtp_url = config_text(c, CONFIG_SMTP_URL),
                                            .mail_from = config_text(c, CONFIG_MAIL_FROM)};
    e->tokens = tokens_new(e);
    e->gate_tools =
        (struct gate_tools){/* intent + 10 s + 300 s of signature life + answer: the 330 s of the settle rule */
                            .sign_within_ms = is_simulated ? 1000 : 10000,
                            .call_timeout_ms = (uint64_t)config_int(c, CONFIG_CALL_TIMEOUT_MS),
                            .may_write = may_write,
                            .halt = halt_fleet,
                            .halt_self = e,
                            .trail = {.self = e, .load = trail_load, .save = trail_save},
                            .session = {.env = env_system(),
                                        .aws = e->aws,
                                        .later = e->later,
                                        .is_simulated = is_simulated,
                                        .keys_dir = config_text(c, CONFIG_KEYS_DIR),
                                        .sim_credentials = config_text(c, CONFIG_SIM_CREDENTIALS),
                                        .draw_self = e->tokens,
                                        .draw = tokens_draw,
                                        .undraw = tokens_undraw},
                            .own = &e->own,
                            .mail = &e->mail,
                            .share_ms = e->rules.poll_ms / 2 < 5000 ? e->rules.poll_ms / 2 : 5000};
    return 0;
}

static void start_own_sessions(struct engine *e)
{
    static const enum aws_identity_kind kinds[] = {AWS_AS_OPERATOR, AWS_AS_PARTNER, AWS_AS_TRUSTED};
    static const char *const names[] = {"operator", "partner", "trusted"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct session *s = session_new_own(&e->gate_tools.session, kinds[i], NULL, NULL);
        if (session_is_configured(s)) {
            e->own.sessions[kinds[i]] = s;
            continue;
        }
        session_free(s);
        log_event(LOG_INFO, "credentials.absent", "whose", names[i], NULL);
    }
}

static int start(struct engine *e, struct err *err)
{
    const struct config *c = e->config;
    struct redis_options redis = redis_settings(e);
    const char *socket = config_text(c, CONFIG_HEALTH_SOCKET);
    if (start_aws(e, err))
        return -1;
    start_own_sessions(e);
    if (*socket && health_listen(&e->loop, socket, health_report, e, &e->health, err))
        return -1;
    if (redis_new(&e->loop, &redis, &e->redis, err))
        return -1;
    e->give_up = later_add(e->later, START_PATIENCE_MS, no_redis, e);
    struct queue_options options = {.prefix = config_text(c, CONFIG_REDIS_PREFIX),
                                    .shard_count = e->shard_count,
                                    .is_simulated = e->rules.is_simulated,
                                    .is_relaxed = str_eq(config_text(c, CONFIG_DURABILITY), "relaxed"),
                                    .is_server_form = str_eq(config_text(c, CONFIG_QUEUE_FORM), "server"),
                                    .verify = (uint32_t)config_int(c, CONFIG_QUEUE_VERIFY),
                                    .env = env_system()};
    e->queue = queue_new(e->redis, &options, queue_ready, e);
    return 0;
}

static void set_rules(struct engine *e)
{
    const struct config *c = e->config;
    uint64_t poll_ms = (uint64_t)config_int(c, CONFIG_POLL_MS);
    if (str_eq(config_text(c, CONFIG_MODE), "sim"))
        step_rules_simulated(&e->rules, (uint64_t)config_int(c, CONFIG_SETTLE_MS), poll_ms);
    else
        step_rules_live(&e->rules, poll_ms);
}

static void free_engine(struct engine *e)
{
    mem_free(e->holds);
    mem_free(e->shards);
    mem_free(e->told);
    aws_endpoints_free(e->endpoints);
    mem_free(e);
}

int engine_run(const struct config *config)
{
    struct engine *e = MEM_NEW(struct engine);
    struct err err = {0};
    e->config = config;
    e->shard_count = (uint32_t)config_int(config, CONFIG_SHARDS);
    e->shards = mem_alloc(e->shard_count * sizeof *e->shards);
    e->started_unix_ms = env_unix_ms(env_system());
    set_rules(e);
    runs_init(e);
    ASSERT(uv_loop_init(&e->loop) == 0);
    e->later = later_new(&e->loop, env_system());
    ASSERT(uv_signal_init(&e->loop, &e->term) == 0 && uv_signal_init(&e->loop, &e->interrupt) == 0);
    e->term.data = e->interrupt.data = e;
    ASSERT(uv_signal_start(&e->term, signalled, SIGTERM) == 0 &&
           uv_signal_start(&e->interrupt, signalled, SIGINT) == 0);
    if (start(e, &err))
        engine_fail(e, &err);
    (void)uv_run(&e->loop, UV_RUN_DEFAULT);
    int code = e->exit_code;
    if (uv_loop_close(&e->loop) != 0)
        log_event(LOG_WARN, "loop.not_empty", NULL);
    else
        free_engine(e);
    return code;
}
