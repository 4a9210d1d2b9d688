#include "tests/integration/queue/rig.h"

#include "common/queue/queue_private.h"

#include "common/base/mem.h"
#include "common/redis/redis_script.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct rig rig;
char rig_text[320];
uint64_t rig_clock_us = 1700000000000000ULL;
uint32_t rig_verify = 1;

static bool has_fake_clock;
static char conf_extra[512];

/* Other surroundings for the same tests (CMakeLists.txt): the server, and a user for the queue (the rig's own looks
 * stay the administrator's). */
static const char *server_program(void)
{
    const char *name = getenv("ORGIMPORT_REDIS");
    return name && *name ? name : "redis-server";
}

#define ACL_USER "orgimport"
#define ACL_PASSWORD "rig-password"

/* The line that we ship, with a password. */
static void write_acl(const char *shipped)
{
    char line[4096], path[128];
    FILE *from = fopen(shipped, "r");
    CHECK(from && fgets(line, sizeof line, from) && fclose(from) == 0);
    line[strcspn(line, "\n")] = 0;
    (void)snprintf(path, sizeof path, "%s/users.acl", rig.folder);
    FILE *to = fopen(path, "w");
    CHECK(to && fprintf(to, "user default on nopass ~* &* +@all\n%s >" ACL_PASSWORD "\n", line) > 0 && fclose(to) == 0);
    (void)snprintf(rig.queue_url, sizeof rig.queue_url, "unix://" ACL_USER ":" ACL_PASSWORD "@%s", rig.socket);
}

static void keep(const struct err *err)
{
    (void)snprintf(rig_text, sizeof rig_text, "%s", err ? err->text : "");
}

_Noreturn void rig_fail(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
    exit(1);
}

void rig_check_code(const char *file, int line, const char *what, enum err_code got, enum err_code want)
{
    if (got == want)
        return;
    (void)fprintf(stderr, "%s:%d: %s gave %s (%s), not %s\n", file, line, what, err_info(got)->name, rig_text,
                  err_info(want)->name);
    exit(1);
}

/* ---- Server -------------------------------------------------------------------------------------------------------
 */
void rig_server_start(void)
{
    char conf[128];
    (void)snprintf(conf, sizeof conf, "%s/redis.conf", rig.folder);
    rig.server = fork();
    CHECK(rig.server >= 0);
    if (rig.server == 0) {
        int log = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(log, 1);
        (void)dup2(log, 2);
        (void)signal(SIGXFSZ, SIG_IGN); /* a disk that is full is an error, as anywhere */
        (void)execlp(server_program(), server_program(), conf, (char *)NULL);
        _exit(77);
    }
    for (int i = 0; i < 1000; i++) {
        int status;
        if (waitpid(rig.server, &status, WNOHANG) == rig.server) {
            (void)fprintf(stderr, "redis-server did not start\n");
            exit(WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 1);
        }
        struct err err;
        struct redis_options o = {.url = rig.url};
        rig.plain = redis_connect_blocking(&o, 2000, &err);
        if (rig.plain)
            return;
        (void)usleep(10000);
    }
    (void)fprintf(stderr, "redis-server does not answer\n");
    exit(1);
}

static void server_stop(int sig)
{
    if (rig.plain)
        redisFree(rig.plain);
    rig.plain = NULL;
    (void)kill(rig.server, sig);
    (void)waitpid(rig.server, NULL, 0);
}

void rig_server_kill(void)
{
    server_stop(SIGKILL);
}

static void at_exit(void)
{
    if (rig.server > 0)
        (void)kill(rig.server, SIGKILL);
}

void rig_start(const char *conf, uint32_t shards, bool fake_clock)
{
    char path[128];
    (void)snprintf(rig.folder, sizeof rig.folder, "/tmp/orgimport-rig-XXXXXX");
    CHECK(mkdtemp(rig.folder));
    (void)snprintf(rig.socket, sizeof rig.socket, "%s/redis.sock", rig.folder);
    (void)snprintf(rig.url, sizeof rig.url, "unix://%s", rig.socket);
    (void)snprintf(path, sizeof path, "%s/redis.conf", rig.folder);
    (void)snprintf(conf_extra, sizeof conf_extra, "%s", conf ? conf : "appendonly yes\nappendfsync always\n");
    FILE *f = fopen(path, "w");
    CHECK(f);
    (void)fprintf(f, "port 0\nunixsocket %s\ndir %s\nsave \"\"\nmaxmemory-policy noeviction\n%s\n", rig.socket,
                  rig.folder, conf_extra);
    const char *acl = getenv("ORGIMPORT_ACL");
    if (acl)
        (void)fprintf(f, "aclfile %s/users.acl\n", rig.folder);
    CHECK(fclose(f) == 0);
    (void)snprintf(rig.queue_url, sizeof rig.queue_url, "%s", rig.url);
    if (acl)
        write_acl(acl);
    rig.shards = shards;
    has_fake_clock = fake_clock;
    (void)atexit(at_exit);
    CHECK(uv_loop_init(&rig.loop) == 0);
    rig_server_start();
}

void rig_stop(void)
{
    rig_close();
    server_stop(SIGKILL);
    rig.server = 0;
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&rig.loop) == 0);
    AUTO_FREE char *command = mem_printf("rm -rf %s", rig.folder);
    FILE *p = popen(command, "r");
    if (p)
        (void)pclose(p);
}

/* ---- Loop ---------------------------------------------------------------------------------------------------------
 */
void rig_wait(const bool *done)
{
    uint64_t until = uv_hrtime() + 60ULL * 1000000000ULL;
    while (!*done && uv_hrtime() < until)
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
    CHECK(*done);
}

static void on_timer(uv_timer_t *t)
{
    *(bool *)t->data = true;
}

static void on_closed(uv_handle_t *h)
{
    *(bool *)h->data = true;
}

void rig_sleep(uint64_t ms)
{
    uv_timer_t timer;
    bool fired = false, closed = false;
    (void)uv_timer_init(&rig.loop, &timer);
    timer.data = &fired;
    (void)uv_timer_start(&timer, on_timer, ms, 0);
    rig_wait(&fired);
    timer.data = &closed;
    uv_close((uv_handle_t *)&timer, on_closed);
    rig_wait(&closed);
}

/* ---- Opening ------------------------------------------------------------------------------------------------------
 */
struct wait {
    bool is_done;
    enum err_code code;
    char *existing;
    struct rig_turn *turn;
    uint64_t number;
};

static void on_done(void *arg, const struct err *err)
{
    struct wait *w = arg;
    keep(err);
    w->code = err ? err->code : ERR_NONE;
    w->is_done = true;
}

static void on_gone(void *arg)
{
    *(bool *)arg = true;
}

/* The tests' clock: the one function of the library that reads the time, exchanged. */
static void load_fake_clock(void)
{
    static const char from[] = "local t = redis.call('TIME')";
    static const char to[] = "local t = redis.call('HMGET', 'f:rig:clock', 's', 'us')";
    const char *at = strstr(redis_fleet_script, from);
    CHECK(at);
    AUTO_FREE char *code =
        mem_printf("%.*s%s%s", (int)(at - redis_fleet_script), redis_fleet_script, to, at + strlen(from));
    rig_clock_set(rig_clock_us);
    redisReply *reply = redisCommand(rig.plain, "FUNCTION LOAD REPLACE %s", code);
    CHECK(reply && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static uint64_t rig_ms(void *self)
{
    (void)self;
    return rig_clock_us / 1000;
}

/* With a clock of its own, a queue must not compute ahead by another one. */
static const struct env *rig_env(void)
{
    static struct env env;
    env = *env_system();
    if (has_fake_clock)
        env.unix_ms = env.boot_ms = rig_ms;
    return &env;
}

enum err_code rig_open_as(bool is_simulated, uint32_t shards, bool is_relaxed)
{
    struct err err;
    struct redis_options o = {.url = rig.queue_url, .client_name = "rig"};
    struct queue_options qo = {.prefix = "f", .shard_count = shards, .is_simulated = is_simulated};
    struct wait w = {0};
    qo.is_relaxed = is_relaxed;
    qo.env = rig_env();
    qo.verify = rig_verify;
    CHECK(redis_new(&rig.loop, &o, &rig.redis, &err) == 0);
    rig.queue = queue_new(rig.redis, &qo, on_done, &w);
    rig_wait(&w.is_done);
    if (!w.code && has_fake_clock)
        load_fake_clock();
    return w.code;
}

void rig_open(bool is_relaxed)
{
    CHECK_OK(rig_open_as(true, rig.shards, is_relaxed));
}

void rig_close(void)
{
    bool gone = false;
    if (!rig.redis)
        return;
    redis_close(rig.redis, on_gone, &gone);
    queue_free(rig.queue);
    rig_wait(&gone);
    rig.redis = NULL;
    rig.queue = NULL;
}

void rig_clock_set(uint64_t now_us)
{
    rig_clock_us = now_us;
    freeReplyObject(rig_command("HSET f:rig:clock s %llu us %llu", (unsigned long long)now_us / 1000000,
                                (unsigned long long)now_us % 1000000));
}

void rig_clock_add(uint64_t ms)
{
    rig_clock_set(rig_clock_us + 1000 * ms);
}

/* ---- Calls --------------------------------------------------------------------------------------------------------
 */
static void on_submit(void *arg, const struct err *err, const char *existing)
{
    struct wait *w = arg;
    if (w->existing)
        (void)snprintf(w->existing, IMPORT_ID_BYTES, "%s", existing);
    on_done(arg, err);
}

enum err_code rig_submit(const char *id, const char *account, const struct dag *dag, const bool *skipped,
                         char *ret_existing)
{
    return rig_submit_as(id, account, dag, skipped, (struct rig_share){0, RECORD_WEIGHT}, ret_existing);
}

enum err_code rig_submit_as(const char *id, const char *account, const struct dag *dag, const bool *skipped,
                            struct rig_share share, char *ret_existing)
{
    struct wait w = {.existing = ret_existing};
    struct record r;
    record_new(dag, skipped, 1, &r);
    r.group = share.group;
    r.weight = share.weight;
    struct queue_submit in = {.import_id = id, .account_key = account, .dag = dag, .record = &r};
    in.doc = "{\"steps\":[\"zero\",\"one\"],\"customer\":{\"name\":\"Acme\"}}";
    in.credential = "{\"sealed\":\"x\"}";
    queue_submit(rig.queue, &in, on_submit, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_session(uint64_t session, uint32_t lease_ms)
{
    struct wait w = {0};
    queue_session_open(rig.queue, 0, session, lease_ms, "{\"worker\":\"rig\"}", on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_session_refresh(uint64_t session, uint32_t lease_ms, const char *worker_json)
{
    struct wait w = {0};
    queue_session_refresh(rig.queue, 0, session, lease_ms, worker_json, on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_session_close(uint64_t session)
{
    struct wait w = {0};
    queue_session_close(rig.queue, 0, session, on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

static void on_turn(void *arg, const struct err *err, const struct queue_turn_reply *reply)
{
    struct wait *w = arg;
    struct rig_turn *t = w->turn;
    *t = (struct rig_turn){0};
    if (reply) {
        t->now_ms = reply->now_ms;
        t->next_due_ms = reply->next_due_ms;
        t->others_wait = reply->others_wait;
        t->is_gone = reply->is_gone;
        CHECK(reply->item_count <= 32 && reply->claim_count <= 200 && reply->mail_count <= 64);
        for (size_t i = 0; i < reply->item_count; i++)
            t->items[t->item_count++] = reply->items[i];
        for (size_t i = 0; i < reply->claim_count; i++)
            t->claims[t->claim_count++] = reply->claims[i];
        for (size_t i = 0; i < reply->mail_count; i++)
            (void)snprintf(t->mail[t->mail_count++], IMPORT_ID_BYTES, "%s", reply->mail[i]);
    }
    on_done(arg, err);
}

enum err_code rig_turn(uint64_t session, uint32_t want, const struct queue_item *items, size_t count,
                       struct rig_turn *ret)
{
    rig.queue->shards[0].next_due_ms = 1; /* tests do not wait for hints */
    queue_want_mail(rig.queue, 0);
    return rig_turn_plain(session, want, items, count, ret);
}

enum err_code rig_turn_plain(uint64_t session, uint32_t want, const struct queue_item *items, size_t count,
                             struct rig_turn *ret)
{
    struct wait w = {.turn = ret};
    queue_turn(rig.queue, 0, session, want, items, count, on_turn, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_session_list(uint64_t session, struct rig_turn *ret)
{
    struct wait w = {.turn = ret};
    queue_session_list(rig.queue, 0, session, on_turn, &w);
    rig_wait(&w.is_done);
    return w.code;
}

struct queue_item rig_item(const struct queue_held *held, unsigned step, enum queue_outcome outcome)
{
    struct queue_item it = {.outcome = outcome, .import_id = held->import_id, .step = (uint8_t)step};
    it.token.fence = held->record.fence;
    it.token.nonce = held->record.nonce;
    it.token.claim_version = held->record.steps[step].claim_version;
    return it;
}

enum err_code rig_decide(rig_decide_fn *fn, const char *id)
{
    struct wait w = {0};
    fn(rig.queue, id, "{\"kind\":\"decision\",\"by\":\"rig\",\"reason\":\"test\"}", on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_redrive(const char *id, int step)
{
    struct wait w = {0};
    queue_redrive(rig.queue, id, step, "{\"by\":\"rig\"}", on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_undo(const char *id, const struct dag *undo, uint64_t again)
{
    struct wait w = {0};
    queue_undo(rig.queue, id, undo, again, "{\"by\":\"rig\",\"reason\":\"test\"}", on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

enum err_code rig_signal(const char *id, int step, const char *key, const char *body)
{
    struct wait w = {0};
    queue_signal(rig.queue, id, step, key, body, on_done, &w);
    rig_wait(&w.is_done);
    return w.code;
}

static void on_tick(void *arg, const struct err *err, uint64_t next_due_ms)
{
    ((struct wait *)arg)->number = next_due_ms;
    on_done(arg, err);
}

uint64_t rig_tick(void)
{
    struct wait w = {0};
    queue_tick(rig.queue, 0, on_tick, &w);
    rig_wait(&w.is_done);
    CHECK_OK(w.code);
    return w.number;
}

/* ---- Looking ------------------------------------------------------------------------------------------------------
 */
redisReply *rig_command(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    redisReply *reply = redisvCommand(rig.plain, fmt, ap);
    va_end(ap);
    CHECK(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        (void)fprintf(stderr, "%s: %s\n", fmt, reply->str);
    CHECK(reply->type != REDIS_REPLY_ERROR);
    return reply;
}

long long rig_number(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    redisReply *reply = redisvCommand(rig.plain, fmt, ap);
    va_end(ap);
    CHECK(reply && reply->type == REDIS_REPLY_INTEGER);
    long long n = reply->integer;
    freeReplyObject(reply);
    return n;
}

struct record rig_record(const char *id)
{
    struct record r;
    struct err err;
    redisReply *reply = rig_command("HGET f:{%u}:h %s", queue_shard_of_import(id), id);
    CHECK(reply->type == REDIS_REPLY_STRING);
    CHECK(record_unpack(reply->str, reply->len, &r, &err) == 0);
    freeReplyObject(reply);
    return r;
}

bool rig_is_same(const struct record *a, const struct record *b)
{
    unsigned char a_bytes[RECORD_BYTES_MAX], b_bytes[RECORD_BYTES_MAX];
    size_t len = record_pack(a, a_bytes);
    return record_pack(b, b_bytes) == len && memcmp(a_bytes, b_bytes, len) == 0;
}

void rig_on_json(void *arg, const struct err *err, json_t *value)
{
    struct rig_json *j = arg;
    keep(err);
    j->code = err ? err->code : ERR_NONE;
    j->value = value;
    j->is_done = true;
}

json_t *rig_get(const char *id)
{
    struct rig_json j = {0};
    queue_get(rig.queue, id, rig_on_json, &j);
    rig_wait(&j.is_done);
    CHECK_OK(j.code);
    return j.value;
}

json_t *rig_audit_faults(void)
{
    struct rig_json j = {0};
    queue_audit(rig.queue, rig_on_json, &j);
    rig_wait(&j.is_done);
    CHECK_OK(j.code);
    json_t *faults = json_incref(json_object_get(j.value, "faults"));
    CHECK(json_is_array(faults) && json_int_at(j.value, "checked") > 0);
    json_decref(j.value);
    return faults;
}

void rig_audit(void)
{
    json_auto_t *faults = rig_audit_faults();
    for (size_t i = 0; i < json_array_size(faults); i++)
        (void)fprintf(stderr, "audit: %s\n", json_string_value(json_array_get(faults, i)));
    CHECK(json_array_size(faults) == 0);
}

struct dag rig_dag(const char *text)
{
    struct dag dag = {0};
    struct err err;
    char *copy = mem_dup(text), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        struct dag_step *s = &dag.steps[dag.step_count++];
        char *at = strchr(word, ':');
        s->attempts_max = 3;
        if (strchr(word, 'w'))
            s->class_ = DAG_WRITER;
        if (strchr(word, 'r'))
            s->class_ = DAG_READER;
        if (strchr(word, 'c'))
            s->on_fail = DAG_CONTINUE;
        while (at && (*at == ':' || *at == ','))
            s->needs[s->needs_count++] = (uint8_t)strtoul(at + 1, &at, 10);
    }
    mem_free(copy);
    if (dag_finish(&dag, &err))
        (void)fprintf(stderr, "%s\n", err.text);
    CHECK(dag.steps[0].needs_count == 0);
    return dag;
}

void rig_learn_shape(const struct dag *dag)
{
    unsigned char shape[4096];
    queue_shape_keep(rig.queue, shape, dag_pack(dag, shape, sizeof shape));
}
