/* Storing and reading batches; batch_run.c works on them. */
#include "dispatcher/store/batch.h"

#include "common/base/mem.h"

#include <stdio.h>

#define CHUNK 256

void batch_rows_make(const struct input *in, struct batch_rows *ret)
{
    *ret = (struct batch_rows){in->count, mem_alloc(sizeof(char *) * (in->count + 1))};
    for (size_t i = 0; i < in->count; i++) {
        json_auto_t *row = json_make("{s:i, s:O}", "line", (int)in->rows[i].line, "request", in->rows[i].request);
        ret->texts[i] = json_text(row);
    }
}

void batch_rows_done(struct batch_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        mem_free(rows->texts[i]);
    mem_free(rows->texts);
    *rows = (struct batch_rows){0};
}

/* ---- Creating
 * ----------------------------------------------------------------------------------------------------------- */

static const char commit_lua[] =
    "if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then return redis.error_reply('ERR rows are missing') end\n"
    "redis.call('HSET', KEYS[1], 'rows', ARGV[2], 'created_ms', ARGV[3], 'state', 'open', 'done', 0, 'failed', 0)\n"
    "redis.call('PERSIST', KEYS[2])\n"
    "redis.call('SADD', KEYS[3], ARGV[1])\n"
    "return 1\n";
/* Until the commit the rows are nobody's: they go away by themselves. */
static const char rows_lua[] = "for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
                               "return redis.call('EXPIRE', KEYS[1], 3600)\n";

struct create {
    struct store *store;
    struct batch_rows rows;
    size_t sent;
    char id[BATCH_ID_BYTES];
    batch_created_fn *done;
    void *arg;
};

static void create_done(void *arg, const struct err *err)
{
    struct create *c = arg;
    c->done(c->arg, err, c->id);
    batch_rows_done(&c->rows);
    mem_free(c);
}

/* Whoever is told that a batch was accepted throws the file away: it must outlive a failover. */
static void committed(void *arg, const struct err *err, const redisReply *reply)
{
    struct create *c = arg;
    (void)reply;
    if (err)
        create_done(c, err);
    else
        queue_promise(c->store->queue, create_done, c);
}

static void commit(struct create *c)
{
    char meta[64], rows[64], count[24], now[24];
    (void)snprintf(meta, sizeof meta, "bat:%s", c->id);
    (void)snprintf(rows, sizeof rows, "bat:%s:rows", c->id);
    (void)snprintf(count, sizeof count, "%zu", c->rows.count);
    (void)snprintf(now, sizeof now, "%llu", (unsigned long long)env_unix_ms(c->store->env));
    store_eval(c->store,
               &(struct store_call){commit_lua, (const char *[]){meta, rows, "bats"}, 3,
                                    (const char *[]){c->id, count, now}, 3},
               committed, c);
}

static void send_rows(void *arg, const struct err *err, const redisReply *reply)
{
    struct create *c = arg;
    (void)reply;
    if (err) {
        create_done(c, err);
        return;
    }
    if (c->sent == c->rows.count) {
        commit(c);
        return;
    }
    char indexes[CHUNK][24], key[64];
    const char *args[2 * CHUNK];
    size_t n = 0;
    for (; n < CHUNK && c->sent < c->rows.count; n++, c->sent++) {
        (void)snprintf(indexes[n], sizeof indexes[n], "%zu", c->sent);
        args[2 * n] = indexes[n];
        args[2 * n + 1] = c->rows.texts[c->sent];
    }
    (void)snprintf(key, sizeof key, "bat:%s:rows", c->id);
    store_eval(c->store, &(struct store_call){rows_lua, (const char *[]){key}, 1, args, 2 * n}, send_rows, c);
}

void batch_create(struct store *s, struct batch_rows *rows, batch_created_fn *done, void *arg)
{
    static const char alphabet[33] = "abcdefghijkmnpqrstuvwxyz23456789";
    struct create *c = MEM_NEW(struct create);
    c->store = s;
    c->rows = *rows;
    *rows = (struct batch_rows){0};
    c->done = done;
    c->arg = arg;
    unsigned char bytes[24];
    env_random(s->env, bytes, sizeof bytes);
    memcpy(c->id, "bat_", 4);
    for (size_t i = 0; i < sizeof bytes; i++)
        c->id[4 + i] = alphabet[bytes[i] & 31];
    send_rows(c, NULL, NULL);
}

/* ---- Reading
 * ---------------------------------------------------------------------------------------------------------- */

static const char get_lua[] =
    "local m = redis.call('HMGET', KEYS[1], 'rows', 'created_ms', 'state', 'done', 'failed')\n"
    "if not m[1] then return {} end\n"
    "return {m[1], m[2], m[3], m[4], m[5], redis.call('HVALS', KEYS[2])}\n";

struct get {
    char id[BATCH_ID_BYTES];
    store_json_fn *done;
    void *arg;
};

static json_int_t number(const redisReply *reply, size_t i)
{
    uint64_t n = 0;
    (void)str_to_u64(store_text(store_element(reply, i)), INT64_MAX, &n);
    return (json_int_t)n;
}

struct result {
    int64_t line;
    json_t *value;
};

static int by_line(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

static json_t *results_of(const redisReply *values)
{
    size_t count = values && values->type == REDIS_REPLY_ARRAY ? values->elements : 0, kept = 0;
    struct result *rows = mem_alloc(sizeof(struct result) * (count + 1));
    for (size_t i = 0; i < count; i++) {
        struct err err;
        json_t *one = json_read(values->element[i]->str, values->element[i]->len, 0, &err);
        if (one)
            rows[kept++] = (struct result){json_int_at(one, "line"), one};
    }
    qsort(rows, kept, sizeof(struct result), by_line);
    json_t *list = json_array();
    for (size_t i = 0; i < kept; i++)
        (void)json_array_append_new(list, rows[i].value);
    mem_free(rows);
    return list;
}

static void got(void *arg, const struct err *err, const redisReply *reply)
{
    struct get *g = arg;
    struct err mine = {0};
    json_auto_t *value = NULL;
    if (!err && (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 6)) {
        (void)err_set(&mine, ERR_NOT_FOUND, "there is no such batch");
        err = &mine;
    } else if (!err) {
        value = json_make("{s:s, s:s, s:I, s:I, s:I, s:s, s:I}", "object", "batch", "id", g->id, "rows",
                          number(reply, 0), "done", number(reply, 3), "failed", number(reply, 4), "state",
                          store_text(store_element(reply, 2)), "created_ms", number(reply, 1));
        json_put(value, "results", results_of(store_element(reply, 5)));
    }
    g->done(g->arg, err, value);
    mem_free(g);
}

void batch_get(struct store *s, const char *id, store_json_fn *done, void *arg)
{
    struct get *g = MEM_NEW(struct get);
    (void)snprintf(g->id, sizeof g->id, "%s", id);
    g->done = done;
    g->arg = arg;
    char meta[64], results[64];
    (void)snprintf(meta, sizeof meta, "bat:%s", g->id);
    (void)snprintf(results, sizeof results, "bat:%s:res", g->id);
    store_eval(s, &(struct store_call){get_lua, (const char *[]){meta, results}, 2, NULL, 0}, got, g);
}
