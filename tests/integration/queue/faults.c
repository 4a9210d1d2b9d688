/* Redis itself in trouble: killed and started again, unreachable, behind TLS or a password. And what a step costs it.
 */
#include "tests/integration/queue/rig.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define S1 0x1000000000000001ULL

static unsigned serial;

static void submit(char id[IMPORT_ID_BYTES], const struct dag *dag)
{
    char account[32], existing[IMPORT_ID_BYTES];
    (void)snprintf(id, IMPORT_ID_BYTES, "imp_00f%u", serial);
    (void)snprintf(account, sizeof account, "aws/f%u", serial++);
    CHECK_OK(rig_submit(id, account, dag, NULL, existing));
}

/* ---- kill -9 with appendfsync always
 * ------------------------------------------------------------------------------------ */
static void what_was_acknowledged_survives_a_killed_redis(void)
{
    struct dag dag = rig_dag("0 1:0 2:1 3:2 4:3 5:4");
    enum { COUNT = 20 };
    char ids[COUNT][IMPORT_ID_BYTES];
    struct record before[COUNT];
    struct rig_turn t;
    struct queue_item items[COUNT];
    struct queue_held held[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        submit(ids[i], &dag);
    CHECK_OK(rig_session(S1, 60000));
    CHECK_OK(rig_turn(S1, COUNT, NULL, 0, &t));
    CHECK(t.claim_count == COUNT);
    memcpy(held, t.claims, sizeof held);
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            items[i] = rig_item(&held[i], (unsigned)round, OUTCOME_DONE);
        CHECK_OK(rig_turn(S1, 0, items, COUNT, &t));
        for (unsigned i = 0; i < COUNT; i++) {
            CHECK(t.items[i].ack == ACK_OK);
            held[i] = t.items[i];
            before[i] = t.items[i].record;
        }
        rig_server_kill();
        /* The answer to this one never comes: unknown, said once. */
        CHECK_ERR(rig_turn(S1, 0, items, COUNT, &t), ERR_REDIS);
        rig_server_start();
        for (unsigned i = 0; i < COUNT; i++) {
            struct record now = rig_record(held[i].import_id);
            CHECK(rig_is_same(&now, &before[i]));
        }
        /* The same client, connected again by itself; the session goes on where it was. */
        CHECK_OK(rig_turn(S1, 0, items, COUNT, &t));
        CHECK(!t.is_gone && t.items[0].ack == ACK_ALREADY);
        rig_audit();
    }
    CHECK_OK(rig_session_close(S1));
    for (unsigned i = 0; i < COUNT; i++)
        CHECK_OK(rig_decide(queue_cancel, ids[i]));
}

/* Commands sent while nobody listens are given up after ten seconds or answered after the return: never both, never
 * none. */
static unsigned answered;
static void on_ping(void *arg, const redisReply *reply)
{
    (void)arg;
    (void)reply;
    answered++;
}

static void every_command_is_answered_once_over_restarts(void)
{
    struct err err;
    unsigned sent = 0;
    answered = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 500; i++, sent++)
            CHECK(redis_sendf(rig.redis, on_ping, NULL, &err, "PING %d", i) == 0);
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
        rig_server_kill();
        for (int i = 0; i < 500; i++, sent++)
            CHECK(redis_sendf(rig.redis, on_ping, NULL, &err, "PING %d", i) == 0);
        rig_sleep(60);
        rig_server_start();
        rig_sleep(60);
    }
    for (int i = 0; i < 200 && answered < sent; i++)
        rig_sleep(20);
    CHECK(answered == sent);
}

static unsigned bells;
static void on_bell(void *arg, uint32_t shard)
{
    (void)arg;
    CHECK(shard == 0);
    bells++;
}

static void wait_for_bells(unsigned want)
{
    for (int i = 0; i < 500 && bells < want; i++)
        rig_sleep(10);
    CHECK(bells >= want);
}

static void the_bell_rings_on_new_work_and_after_a_loss(void)
{
    struct err err;
    struct dag dag = rig_dag("0");
    char id[2][IMPORT_ID_BYTES];
    CHECK(queue_listen(rig.queue, on_bell, NULL, &err) == 0);
    wait_for_bells(1); /* the beginning itself */
    unsigned before = bells;
    submit(id[0], &dag);
    wait_for_bells(before + 1);
    before = bells;
    submit(id[1], &dag); /* the ring was not empty: silence */
    rig_sleep(50);
    CHECK(bells == before);
    rig_server_kill();
    rig_server_start();
    wait_for_bells(before + 1);
    CHECK_OK(rig_decide(queue_cancel, id[0]));
    CHECK_OK(rig_decide(queue_cancel, id[1]));
    rig_audit();
}

/* ---- Ways to Redis
 * ------------------------------------------------------------------------------------------------------ */
static bool try_url(const char *url, const char *password_file, const char *ca, const char *cert, const char *key)
{
    struct err err;
    struct redis_options o = {
        .url = url, .password_file = password_file, .ca_file = ca, .cert_file = cert, .key_file = key};
    redisContext *ctx = redis_connect_blocking(&o, 2000, &err);
    if (!ctx) {
        (void)snprintf(rig_text, sizeof rig_text, "%s", err.text);
        if (getenv("EVERY"))
            (void)fprintf(stderr, "  %s\n", rig_text);
        return false;
    }
    redisFree(ctx);
    return true;
}

static bool async_is_up;
static void on_up(void *arg, bool is_up)
{
    (void)arg;
    async_is_up = is_up;
}
static void on_gone(void *arg)
{
    *(bool *)arg = true;
}

static bool try_async(const char *url, const char *ca, uint64_t patience_ms)
{
    struct err err;
    struct redis *r;
    struct redis_options o = {.url = url, .ca_file = ca, .connected = on_up};
    bool gone = false;
    async_is_up = false;
    CHECK(redis_new(&rig.loop, &o, &r, &err) == 0);
    for (uint64_t i = 0; i < patience_ms / 10 && !async_is_up; i++)
        rig_sleep(10);
    bool was_up = async_is_up;
    CHECK(was_up == redis_is_up(r));
    redis_close(r, on_gone, &gone);
    rig_wait(&gone);
    return was_up;
}

static void PRINTF_LIKE(1, 2) shell(const char *fmt, ...)
{
    char command[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    FILE *p = popen(command, "r");
    CHECK(p && pclose(p) == 0);
}

static void passwords_are_needed_and_never_shown(void)
{
    char url[160], file[128];
    freeReplyObject(rig_command("CONFIG SET requirepass s3cret/x"));
    CHECK(!try_url(rig.url, NULL, NULL, NULL, NULL) && strstr(rig_text, "NOAUTH"));
    (void)snprintf(url, sizeof url, "unix://:s3cret%%2Fx@%s", rig.socket);
    CHECK(try_url(url, NULL, NULL, NULL, NULL) && try_async(url, NULL, 2000));
    (void)snprintf(url, sizeof url, "unix://default:wrong@%s?db=3", rig.socket);
    CHECK(!try_url(url, NULL, NULL, NULL, NULL) && !strstr(rig_text, "wrong@"));
    CHECK(!try_async(url, NULL, 300));
    (void)snprintf(file, sizeof file, "%s/password", rig.folder);
    shell("printf 's3cret/x\\n' > %s", file);
    CHECK(try_url(rig.url, file, NULL, NULL, NULL));
    freeReplyObject(rig_command("CONFIG SET requirepass %s", ""));
    static const char *const bad[] = {"http://x", "redis://h:99999", "redis://h/notadb", "unix://", "nothing", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!try_url(bad[i], NULL, NULL, NULL, NULL));
}

static void tls_needs_the_right_name_and_certificates(void)
{
    char ca[128], cert[128], key[128], url[64];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", rig.folder);
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", rig.folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", rig.folder);
    shell("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout cakey.pem "
          "-out ca.pem "
          "-subj /CN=test-ca 2>/dev/null && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
          "key.pem "
          "-out r.pem -subj /CN=localhost 2>/dev/null && printf 'subjectAltName=DNS:localhost' > ext && openssl x509 "
          "-req -in "
          "r.pem -CA ca.pem -CAkey cakey.pem -CAcreateserial -days 2 -extfile ext -out cert.pem 2>/dev/null",
          rig.folder);
    unsigned port = 20000 + (unsigned)getpid() % 10000;
    for (unsigned last = port + 500;; port++) { /* somebody else may listen on a port: the next one then */
        CHECK(port < last);
        redisReply *reply =
            redisCommand(rig.plain, "CONFIG SET tls-ca-cert-file %s tls-cert-file %s tls-key-file %s tls-port %u", ca,
                         cert, key, port);
        CHECK(reply);
        bool is_taken = reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
        if (!is_taken)
            break;
    }
    (void)snprintf(url, sizeof url, "rediss://localhost:%u", port);
    CHECK(try_url(url, NULL, ca, cert, key));
    CHECK(!try_url(url, NULL, ca, NULL, NULL)); /* the server asks for a client certificate */
    freeReplyObject(rig_command("CONFIG SET tls-auth-clients no"));
    CHECK(try_url(url, NULL, ca, NULL, NULL) && try_async(url, ca, 3000));
    CHECK(!try_url(url, NULL, NULL, NULL, NULL)); /* an authority nobody knows */
    (void)snprintf(url, sizeof url, "rediss://127.0.0.1:%u", port);
    CHECK(!try_url(url, NULL, ca, NULL, NULL)); /* the certificate is for another name */
    (void)snprintf(url, sizeof url, "redis://localhost:%u", port);
    CHECK(!try_url(url, NULL, NULL, NULL, NULL));
    freeReplyObject(rig_command("CONFIG SET tls-port 0"));
}

/* What only the kernel can notice: an idle peer that is gone, bytes that nobody confirms. */
static unsigned watched_sockets(void)
{
    unsigned found = 0;
    for (int fd = 3; fd < 256; fd++) {
        int is_kept = 0, user_ms = 0;
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof peer, size = sizeof is_kept;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) || peer.sin_family != AF_INET)
            continue;
        CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_kept, &size) == 0 && is_kept);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, &size) == 0 && user_ms > 0 && user_ms <= 10000);
        found++;
    }
    return found;
}

static void every_connection_is_watched_by_the_kernel(void)
{
    char url[64];
    struct err err;
    unsigned port = 20000 + (unsigned)getpid() % 10000;
    for (unsigned last = port + 500;; port++) {
        CHECK(port < last);
        redisReply *reply = redisCommand(rig.plain, "CONFIG SET port %u", port);
        bool is_taken = reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
        if (!is_taken)
            break;
    }
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%u", port);
    struct redis_options o = {.url = url, .connected = on_up};
    redisContext *ctx = redis_connect_blocking(&o, 2000, &err);
    struct redis *r;
    bool gone = false;
    async_is_up = false;
    CHECK(ctx && watched_sockets() == 1 && redis_new(&rig.loop, &o, &r, &err) == 0);
    rig_wait(&async_is_up);
    CHECK(watched_sockets() == 2);
    redisFree(ctx);
    redis_close(r, on_gone, &gone);
    rig_wait(&gone);
    freeReplyObject(rig_command("CONFIG SET port 0"));
}

/* ---- Out of memory: admission first, finishing always
 * ------------------------------------------------------------------- */
static void a_full_redis_refuses_imports_and_takes_finishes(void)
{
    struct dag dag = rig_dag("0 1:0");
    char id[IMPORT_ID_BYTES], existing[IMPORT_ID_BYTES];
    struct rig_turn t;
    submit(id, &dag);
    CHECK_OK(rig_session(S1, 60000));
    CHECK_OK(rig_turn(S1, 1, NULL, 0, &t));
    CHECK(t.claim_count == 1);
    struct queue_item it = rig_item(&t.claims[0], 0, OUTCOME_DONE);
    freeReplyObject(rig_command("CONFIG SET maxmemory 1mb"));
    CHECK_ERR(rig_submit("imp_00full", "aws/full", &dag, NULL, existing), ERR_REDIS_FULL);
    CHECK_OK(rig_turn(S1, 0, &it, 1, &t));
    CHECK(t.items[0].ack == ACK_OK);
    freeReplyObject(rig_command("CONFIG SET maxmemory 0"));
    CHECK_OK(rig_session_close(S1));
    CHECK_OK(rig_decide(queue_cancel, id));
    rig_audit();
}

/* ---- What a step costs
 * ---------------------------------------------------------------------------------------------------- */
static double info_number(const char *section, const char *name)
{
    redisReply *reply = rig_command("INFO %s", section);
    const char *at = strstr(reply->str, name);
    double n = at ? strtod(at + strlen(name) + 1, NULL) : 0;
    freeReplyObject(reply);
    return n;
}

static unsigned long long inner_calls(void)
{
    redisReply *reply = rig_command("INFO commandstats");
    unsigned long long n = 0;
    for (const char *at = strstr(reply->str, "calls="); at; at = strstr(at + 1, "calls=")) {
        const char *line = at;
        while (line > reply->str && line[-1] != '\n')
            line--;
        if (!str_starts(line, "cmdstat_fcall") && !str_starts(line, "cmdstat_info"))
            n += strtoull(at + 6, NULL, 10);
    }
    freeReplyObject(reply);
    return n;
}

/* Product shape: every import runs one step at a time; `batch` finishes per turn. Journals of 100 bytes, no ledger. */
/* How the work is sent: what the holder computes itself is only compared and stored. */
struct cost_case {
    unsigned batch;
    bool has_ledger, is_computed;
};

static struct queue_item cost_item(const struct queue_held *held, unsigned step, const struct cost_case *how,
                                   struct queue_ahead *ahead)
{
    struct queue_item it = rig_item(held, step, OUTCOME_DONE);
    it.journal = "{\"seq\":3,\"head\":\"0123456789012345678901234567890123456789\",\"calls\":{\"look\":{\"x\":1}}}";
    it.ledger = how->has_ledger ? "{\"n\":1,\"step\":\"x\"}\n" : NULL;
    it.ahead = how->is_computed ? ahead : NULL;
    return it;
}

static void cost_at(const struct cost_case *how)
{
    enum { LENGTH = 25 };
    char shape[256] = "0", ids[32][IMPORT_ID_BYTES];
    struct queue_held held[32];
    struct queue_ahead aheads[32];
    struct rig_turn t;
    unsigned steps = 0;
    for (int i = 1; i < LENGTH; i++)
        (void)snprintf(shape + strlen(shape), sizeof shape - strlen(shape), " %d:%d", i, i - 1);
    struct dag dag = rig_dag(shape);
    rig_learn_shape(&dag);
    for (unsigned i = 0; i < how->batch; i++)
        submit(ids[i], &dag);
    CHECK_OK(rig_session(S1, 600000));
    CHECK_OK(rig_turn(S1, how->batch, NULL, 0, &t));
    CHECK(t.claim_count == how->batch);
    memcpy(held, t.claims, sizeof held);
    for (unsigned i = 0; i < how->batch; i++)
        aheads[i] = (struct queue_ahead){held[i].record, true};
    unsigned long long calls = inner_calls(), turns = 0;
    double cpu = info_number("cpu", "used_cpu_user") + info_number("cpu", "used_cpu_sys");
    for (unsigned step = 0; step < LENGTH; step++, turns++) {
        struct queue_item items[32];
        for (unsigned i = 0; i < how->batch; i++, steps++)
            items[i] = cost_item(&held[i], step, how, &aheads[i]);
        CHECK_OK(rig_turn_plain(S1, 0, items, how->batch, &t));
        memcpy(held, t.items, sizeof held);
    }
    calls = inner_calls() - calls;
    cpu = info_number("cpu", "used_cpu_user") + info_number("cpu", "used_cpu_sys") - cpu;
    (void)printf("  batch %2u%s%s: %.2f inner commands per step, %.1f per turn, about %.0f us of Redis per step\n",
                 how->batch, how->has_ledger ? ", ledger" : "", how->is_computed ? ", computed by the holder" : "",
                 (double)calls / steps, (double)calls / (double)turns, 1e6 * cpu / steps);
    /* Own work of a turn never grows with the batch. */
    CHECK((double)calls / (double)turns < (how->is_computed ? 5 : 10));
    CHECK_OK(rig_session_close(S1));
    for (unsigned i = 0; how->has_ledger && i < how->batch; i++) /* no real chains: out of the audit's way */
        freeReplyObject(rig_command("HDEL f:{0}:h %s %s:a %s:d", ids[i], ids[i], ids[i]));
}

static void a_turn_costs_few_commands_whatever_it_settles(void)
{
    static const struct cost_case cases[] = {{1, true, false}, {16, true, false}, {32, true, false}, {1, true, true},
                                             {4, true, true},  {16, true, true},  {32, true, true}};
    freeReplyObject(rig_command("CONFIG SET appendfsync everysec"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cost_at(&cases[i]);
}

int main(void)
{
    rig_start(NULL, 1, false);
    rig_open(false);
    RUN(what_was_acknowledged_survives_a_killed_redis);
    RUN(every_command_is_answered_once_over_restarts);
    RUN(the_bell_rings_on_new_work_and_after_a_loss);
    RUN(passwords_are_needed_and_never_shown);
    RUN(tls_needs_the_right_name_and_certificates);
    RUN(every_connection_is_watched_by_the_kernel);
    RUN(a_full_redis_refuses_imports_and_takes_finishes);
    RUN(a_turn_costs_few_commands_whatever_it_settles);
    rig_stop();
    return 0;
}
