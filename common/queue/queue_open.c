/* Opens the queue: loads the functions, and refuses a Redis that is not what this fleet promises (mode, schema, shards,
 * durability). Also names: keys, shards, import ids. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/crypto.h"
#include "common/redis/redis_script.h"

#include <stdio.h>
#include <string.h>

/* ---- Names --------------------------------------------------------------------------------------------------------
 */
void queue_key(const struct queue *q, uint32_t shard, const char *name, char ret[128])
{
    int n = snprintf(ret, 128, "%s:{%u}:%s", q->prefix, shard, name);
    ASSERT(n > 0 && n < 128);
}

void queue_global_key(const struct queue *q, const char *name, char ret[512])
{
    int n = snprintf(ret, 512, "%s:{g}:%s", q->prefix, name);
    ASSERT(n > 0 && n < 512);
}

struct redis *queue_redis(struct queue *q)
{
    return q->redis;
}

uint32_t queue_shard_of(const struct queue *q, const char *partition, const char *account_id)
{
    unsigned char sum[32];
    AUTO_FREE char *text = mem_printf("%s/%s", partition, account_id);
    crypto_sha256(text, strlen(text), sum);
    uint32_t n = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
    return n % q->shard_count;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint32_t queue_shard_of_import(const char *import_id)
{
    if (!str_starts(import_id, "imp_") || hex_digit(import_id[4]) < 0 || hex_digit(import_id[5]) < 0)
        return 0;
    return (uint32_t)(hex_digit(import_id[4]) * 16 + hex_digit(import_id[5]));
}

/* Ids become field and key names, so nothing but letters, digits and _ may stand in one. */
bool queue_id_is_valid(const struct queue *q, const char *import_id)
{
    size_t len = import_id ? strlen(import_id) : 0;
    if (len < 7 || len > QUEUE_ID_MAX || !str_starts(import_id, "imp_"))
        return false;
    if (strspn(import_id, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return false;
    return hex_digit(import_id[4]) >= 0 && hex_digit(import_id[5]) >= 0 &&
           queue_shard_of_import(import_id) < q->shard_count;
}

/* Sorts by time: 10 characters of milliseconds, 14 of chance. */
void queue_import_id(const struct queue *q, const char *partition, const char *account_id, char ret[IMPORT_ID_BYTES])
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char chance[14];
    uint64_t ms = env_unix_ms(q->env);
    env_random(q->env, chance, sizeof chance);
    int n = snprintf(ret, IMPORT_ID_BYTES, "imp_%02x", queue_shard_of(q, partition, account_id));
    char *at = ret + n;
    for (int i = 9; i >= 0; i--)
        *at++ = letters[ms >> (5 * i) & 31];
    for (size_t i = 0; i < sizeof chance; i++)
        *at++ = letters[chance[i] & 31];
    *at = 0;
}

/* ---- Opening: PING -> functions, at every primary -> meta of shard 0 -> meta of the others -> durability -> ready
 * ------- */
static void finish_open(struct queue *q, const struct err *err)
{
    queue_ready_fn *ready = q->ready;
    q->ready = NULL;
    if (ready)
        ready(q->ready_arg, err);
}

static int check_meta(const struct queue *q, const redisReply *reply, struct err *err)
{
    const char *mode = queue_reply_text(queue_reply_at(reply, 2));
    uint64_t schema = queue_reply_u64(queue_reply_at(reply, 0)), min_client = queue_reply_u64(queue_reply_at(reply, 1));
    uint64_t shards = queue_reply_u64(queue_reply_at(reply, 3));
    if (!mode || !schema)
        return err_set(err, ERR_CORRUPT, "the fleet's description in Redis cannot be read");
    if (min_client > QUEUE_SCHEMA || schema > QUEUE_SCHEMA)
        return err_set(err, ERR_SCHEMA, "the fleet needs version %u of the queue, this program has %d",
                       (unsigned)min_client, QUEUE_SCHEMA);
    if (!str_eq(mode, q->is_simulated ? "sim" : "live"))
        return err_set(err, ERR_FLEET_MODE, "this fleet is %s, and this program was started for a %s one",
                       str_eq(mode, "sim") ? "simulated" : "live", q->is_simulated ? "simulated" : "live");
    if (shards != q->shard_count)
        return err_set(err, ERR_CONFIG, "the fleet has %u shards, and this program was started with %u",
                       (unsigned)shards, q->shard_count);
    return 0;
}

static void on_checked(void *arg, const struct err *fault)
{
    struct queue *q = arg;
    finish_open(q, fault);
    queue_unref(q);
}

struct opening {
    struct queue *q;
    uint32_t left;
    struct err err;
};

static void ask_meta(struct opening *o, uint32_t shard);

static void on_meta(void *arg, const struct err *fault, const redisReply *reply)
{
    struct opening *o = arg;
    struct queue *q = o->q;
    bool is_first = o->left == q->shard_count;
    o->left--;
    if (!o->err.code && fault)
        o->err = *fault;
    else if (!o->err.code && check_meta(q, reply, &o->err))
        err_wrap(&o->err, "opening the queue");
    if (is_first && !o->err.code && o->left) {
        for (uint32_t s = 1; s < q->shard_count; s++)
            ask_meta(o, s);
        return;
    }
    if (o->left && !is_first)
        return;
    if (o->err.code)
        finish_open(q, &o->err);
    else
        queue_check_durability(q, on_checked, queue_ref(q));
    mem_free(o);
    queue_unref(q);
}

static void ask_meta(struct opening *o, uint32_t shard)
{
    struct queue_args args = queue_fcall(o->q, "setup", shard);
    queue_args_addf(&args, "%d", QUEUE_SCHEMA);
    queue_args_add(&args, o->q->is_simulated ? "sim" : "live");
    queue_args_addf(&args, "%u", o->q->shard_count);
    queue_call(o->q, &args, on_meta, o);
}

/* ---- Functions: each primary of a cluster has its own */
struct library {
    struct queue *q;
    uint32_t left;
    struct err err;
};

struct library_node {
    struct library *library;
    unsigned route;
};

static void on_functions(void *arg, const struct err *fault, const redisReply *reply)
{
    struct library_node *n = arg;
    struct library *l = n->library;
    (void)reply;
    mem_free(n);
    if (fault && !l->err.code)
        l->err = *fault;
    if (--l->left)
        return;
    struct queue *q = l->q;
    if (l->err.code) {
        finish_open(q, &l->err);
        queue_unref(q);
    } else {
        struct opening *o = MEM_NEW(struct opening);
        o->q = q;
        o->left = q->shard_count;
        ask_meta(o, 0);
    }
    mem_free(l);
}

/* [[library_name, x, engine, LUA, functions, [..], library_code, text]] */
static bool is_same_library(const redisReply *list)
{
    const redisReply *library = queue_reply_at(list, 0);
    for (size_t i = 0; library && library->type == REDIS_REPLY_ARRAY && i + 1 < library->elements; i += 2) {
        const redisReply *code = library->element[i + 1];
        if (str_eq(queue_reply_text(library->element[i]), "library_code") && queue_reply_text(code))
            return code->len == redis_fleet_script_bytes && memcmp(code->str, redis_fleet_script, code->len) == 0;
    }
    return false;
}

static void on_library(void *arg, const struct err *fault, const redisReply *reply)
{
    struct library_node *n = arg;
    if (fault || is_same_library(reply)) {
        on_functions(n, fault, reply);
        return;
    }
    struct queue_args args = {.route = n->route};
    queue_args_add(&args, "FUNCTION");
    queue_args_add(&args, "LOAD");
    queue_args_add(&args, "REPLACE");
    queue_args_add_bytes(&args, redis_fleet_script, redis_fleet_script_bytes);
    queue_call(n->library->q, &args, on_functions, n);
}

/* Somebody answers, so the primaries are known. */
static void on_ping(void *arg, const struct err *fault, const redisReply *reply)
{
    struct queue *q = arg;
    unsigned routes[PRIMARIES_MAX];
    size_t count = redis_primaries(q->redis, routes, PRIMARIES_MAX);
    struct err err = {0};
    (void)reply;
    if (!fault && !count) {
        (void)err_set(&err, ERR_REDIS, "no node of the cluster serves any slot");
        fault = &err;
    }
    if (fault) {
        finish_open(q, fault);
        queue_unref(q);
        return;
    }
    struct library *l = MEM_NEW(struct library);
    l->q = q;
    l->left = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct library_node *n = MEM_NEW(struct library_node);
        *n = (struct library_node){l, routes[i]};
        struct queue_args args = {.route = routes[i]};
        queue_args_add(&args, "FUNCTION");
        queue_args_add(&args, "LIST");
        queue_args_add(&args, "LIBRARYNAME");
        queue_args_add(&args, QUEUE_LIBRARY);
        queue_args_add(&args, "WITHCODE");
        queue_call(q, &args, on_library, n);
    }
}

struct queue *queue_new(struct redis *redis, const struct queue_options *options, queue_ready_fn *ready, void *arg)
{
    struct queue *q = MEM_NEW(struct queue);
    struct queue_args args = {0};
    ASSERT(options->shard_count >= 1 && options->shard_count <= 256);
    ASSERT(strlen(options->prefix) >= 1 && strlen(options->prefix) <= 32);
    *q = (struct queue){
        .redis = redis_ref(redis), .shard_count = options->shard_count, .is_simulated = options->is_simulated};
    q->is_relaxed = options->is_relaxed;
    q->is_server_form = options->is_server_form;
    q->verify = options->verify;
    q->shards = mem_alloc(q->shard_count * sizeof *q->shards);
    q->env = options->env ? options->env : env_system();
    q->prefix = mem_dup(options->prefix);
    q->ready = ready;
    q->ready_arg = arg;
    q->refs = 1;
    str_init(&q->warnings, 4096);
    queue_args_add(&args, "PING");
    queue_call(q, &args, on_ping, queue_ref(q));
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    q->ready = NULL;
    redis_unsubscribe(q->redis, q);
    queue_unref(q);
}

const char *queue_warnings(const struct queue *q)
{
    return q->warnings.data;
}

/* ---- The bell -----------------------------------------------------------------------------------------------------
 */
static void on_bell(void *arg, const char *channel, const char *message, size_t len)
{
    struct queue *q = arg;
    const char *brace = strchr(channel, '{');
    uint64_t shard = 0;
    char digits[8] = "";
    if (brace)
        (void)snprintf(digits, sizeof digits, "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
    if (!q->ring || !str_to_u64(digits, q->shard_count - 1, &shard))
        return;
    if (!len || (len == 4 && memcmp(message, "mail", 4) == 0)) /* nothing is said after a loss: something was missed */
        queue_want_mail(q, (uint32_t)shard);
    q->ring(q->ring_arg, (uint32_t)shard);
}

int queue_listen(struct queue *q, queue_bell_fn *ring, void *arg, struct err *err)
{
    q->ring = ring;
    q->ring_arg = arg;
    for (uint32_t s = 0; s < q->shard_count; s++) {
        char channel[128];
        queue_key(q, s, "bell", channel);
        if (redis_subscribe(q->redis, channel, on_bell, q, err))
            return err_wrap(err, "listening for new work");
    }
    return 0;
}
