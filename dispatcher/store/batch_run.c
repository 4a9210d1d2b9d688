/* The runner: leases one open batch after the other and submits its rows, a few at a time.
 *
 *   idle --timer--> SRANDMEMBER bats --> lease --> rows without a result, 64 at a time, 16 in flight --> idle
 * A row that met an unknown outcome (Redis away) has no result and is taken again in the next pass. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "dispatcher/store/batch.h"
#include "dispatcher/store/submit.h"

#include <stdio.h>

#define LEASE_MS "10000"
#define LOOK_MS 1000
#define QUIET_EVERY 5 /* looks when the last one found no batch at all; what comes in here is begun at once */
#define IN_FLIGHT_MAX 16
#define PAGES_MAX 64 /* of one batch before the next one may be chosen */

struct batch_runner {
    struct store *store;
    uv_timer_t timer;
    char me[24];
    char id[BATCH_ID_BYTES]; /* "" idle */
    size_t next;             /* index of the next row to look at */
    uint32_t pages;          /* read of this batch in this turn */
    size_t in_flight;        /* rows being submitted */
    uint32_t calls;          /* replies awaited in all: nothing is freed before */
    uint32_t ticks;
    bool is_quiet, is_reading, is_stopping, is_closed;
};

struct row {
    struct batch_runner *runner;
    char id[BATCH_ID_BYTES];
    size_t index;
    json_t *value; /* {line, request} */
};

static void maybe_free(struct batch_runner *r)
{
    if (!r->is_closed || r->calls)
        return;
    r->store->busy--;
    mem_free(r);
}

static void eval(struct batch_runner *r, const struct store_call *call, store_reply_fn *done, void *arg)
{
    r->calls++;
    store_eval(r->store, call, done, arg);
}

static const char *key_of(const char *id, const char *part, char ret[80])
{
    (void)snprintf(ret, 80, "bat:%s%s", id, part);
    return ret;
}

/* ---- One row
 * ---------------------------------------------------------------------------------------------------------- */

static const char result_lua[] = "if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 1 then\n"
                                 "  redis.call('HINCRBY', KEYS[1], ARGV[3], 1)\n"
                                 "end\n"
                                 "local m = redis.call('HMGET', KEYS[1], 'rows', 'done', 'failed')\n"
                                 "if tonumber(m[2]) + tonumber(m[3]) < tonumber(m[1]) then return 0 end\n"
                                 "redis.call('HSET', KEYS[1], 'state', 'done')\n"
                                 "redis.call('SREM', KEYS[4], ARGV[4])\n"
                                 "for i = 1, 3 do redis.call('EXPIRE', KEYS[i], 2592000) end\n"
                                 "return 1\n";

static void read_page(struct batch_runner *r);

static void row_done(struct row *row)
{
    struct batch_runner *r = row->runner;
    r->in_flight--;
    json_decref(row->value);
    mem_free(row);
    if (!r->in_flight && !r->is_reading)
        read_page(r);
}

static void row_stored(void *arg, const struct err *err, const redisReply *reply)
{
    struct row *row = arg;
    struct batch_runner *r = row->runner;
    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1)
        log_event(LOG_INFO, "batch.done", "batch", row->id, NULL);
    row_done(row); /* not stored: the next pass submits it again, which gives the same import */
    (void)err;
    r->calls--;
    maybe_free(r);
}

static void row_submitted(void *arg, const struct err *err, const struct submit_outcome *outcome)
{
    struct row *row = arg;
    struct batch_runner *r = row->runner;
    if (submit_is_undecided(err)) {
        row_done(row);
    } else {
        json_auto_t *result = json_make("{s:I, s:s, s:s}", "line", (json_int_t)json_int_at(row->value, "line"),
                                        "external_ref", json_str_at(row->value, "request.external_ref"), "status",
                                        err               ? "refused"
                                        : outcome->is_new ? "accepted"
                                                          : "exists");
        json_put_str(result, "import_id", err ? NULL : outcome->import_id);
        json_put_str(result, "code", err ? err_info(err->code)->name : NULL);
        json_put_str(result, "error", err ? err->text : NULL);
        char meta[80], results[80], rows[80], index[24];
        (void)snprintf(index, sizeof index, "%zu", row->index);
        AUTO_FREE char *text = json_text(result);
        eval(r,
             &(struct store_call){result_lua,
                                  (const char *[]){key_of(row->id, "", meta), key_of(row->id, ":res", results),
                                                   key_of(row->id, ":rows", rows), "bats"},
                                  4, (const char *[]){index, text, err ? "failed" : "done", row->id}, 4},
             row_stored, row);
    }
    r->calls--;
    maybe_free(r);
}

/* The rows of a batch are one group, unless they say to which they belong: however many there are, they get one share
 * of the workers beside what others send (common/queue/README.md). */
static void put_group(struct row *row)
{
    json_t *request = json_object_get(row->value, "request");
    if (request && !json_has(request, "group"))
        json_put_str(request, "group", row->id);
}

static void start_row(struct batch_runner *r, size_t index, const redisReply *text)
{
    struct row *row = MEM_NEW(struct row);
    struct err err = {0};
    row->runner = r;
    row->index = index;
    (void)snprintf(row->id, sizeof row->id, "%s", r->id);
    row->value = json_read(text->str, text->len, 0, &err);
    r->in_flight++;
    if (!row->value) { /* we wrote it: cannot be, but must not stop the others */
        row->value = json_object();
        r->calls++;
        row_submitted(row, &err, NULL);
        return;
    }
    put_group(row);
    r->calls++;
    submit_import(r->store, json_at(row->value, "request"), row_submitted, row);
}

/* ---- A page of rows -------------------------------------------------------------------------------------------------
 */

/* Also renews the lease; a lost lease gives nothing back. Rows with a result are left out; at most 1,024 are looked at.
 */
static const char page_lua[] = "if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {'lost'} end\n"
                               "redis.call('PEXPIRE', KEYS[3], ARGV[2])\n"
                               "local total = tonumber(redis.call('HGET', KEYS[4], 'rows') or '0')\n"
                               "local out, i, n = {'ok', tostring(total), ''}, tonumber(ARGV[3]), 0\n"
                               "local stop = math.min(total, i + 1024)\n"
                               "while i < stop and n < tonumber(ARGV[4]) do\n"
                               "  local last = math.min(i + 63, stop - 1)\n"
                               "  local names = {}\n"
                               "  for k = i, last do names[#names + 1] = tostring(k) end\n"
                               "  local have = redis.call('HMGET', KEYS[2], unpack(names))\n"
                               "  for k = 1, #names do\n"
                               "    if n >= tonumber(ARGV[4]) then break end\n"
                               "    i = i + 1\n"
                               "    if not have[k] then\n"
                               "      local text = redis.call('HGET', KEYS[1], names[k])\n"
                               "      if text then out[#out + 1] = names[k]; out[#out + 1] = text; n = n + 1 end\n"
                               "    end\n"
                               "  end\n"
                               "end\n"
                               "out[3] = tostring(i)\n"
                               "return out\n";

static void go_idle(struct batch_runner *r)
{
    r->id[0] = 0;
    r->next = 0;
    r->pages = 0;
}

static void page_read(void *arg, const struct err *err, const redisReply *reply)
{
    struct batch_runner *r = arg;
    uint64_t next = 0, total = 0, index = 0;
    r->is_reading = false;
    if (err || !str_eq(store_text(store_element(reply, 0)), "ok") ||
        !str_to_u64(store_text(store_element(reply, 1)), UINT32_MAX, &total) ||
        !str_to_u64(store_text(store_element(reply, 2)), UINT32_MAX, &next)) {
        go_idle(r); /* lost, or Redis is away: the timer looks again */
    } else {
        r->next = (size_t)next;
        r->is_reading = true; /* so that rows that end at once do not read the next page inside this loop */
        size_t rows = (reply->elements - 3) / 2;
        for (size_t i = 0; i < rows; i++)
            if (str_to_u64(store_text(store_element(reply, 3 + 2 * i)), UINT32_MAX, &index))
                start_row(r, (size_t)index, store_element(reply, 4 + 2 * i));
        r->is_reading = false;
        if (!rows && next >= total)
            go_idle(r); /* all have a result, or wait for the next pass */
        else if (!r->in_flight)
            read_page(r);
    }
    r->calls--;
    maybe_free(r);
}

static void read_page(struct batch_runner *r)
{
    if (r->is_stopping || !r->id[0])
        return;
    if (++r->pages > PAGES_MAX) { /* another batch may have its turn; the lease stays ours for a while */
        go_idle(r);
        batch_runner_kick(r);
        return;
    }
    char rows[80], results[80], lease[80], meta[80], next[24], count[8];
    (void)snprintf(next, sizeof next, "%zu", r->next);
    (void)snprintf(count, sizeof count, "%d", IN_FLIGHT_MAX);
    r->is_reading = true;
    eval(r,
         &(struct store_call){page_lua,
                              (const char *[]){key_of(r->id, ":rows", rows), key_of(r->id, ":res", results),
                                               key_of(r->id, ":lease", lease), key_of(r->id, "", meta)},
                              4, (const char *[]){r->me, LEASE_MS, next, count}, 4},
         page_read, r);
}

/* ---- Finding work
 * --------------------------------------------------------------------------------------------------------- */

static void leased(void *arg, const struct err *err, const redisReply *reply)
{
    struct batch_runner *r = arg;
    if (!err && str_eq(store_text(reply), "OK"))
        read_page(r);
    else
        go_idle(r);
    r->calls--;
    maybe_free(r);
}

static void found(void *arg, const struct err *err, const redisReply *reply)
{
    struct batch_runner *r = arg;
    const char *id = err ? "" : store_text(reply);
    r->is_quiet = !err && !*id;
    if (*id && strlen(id) < sizeof r->id && !r->id[0] && !r->is_stopping) {
        char lease[80];
        (void)snprintf(r->id, sizeof r->id, "%s", id);
        r->calls++;
        r->next = 0;
        /* Our own lease of a pass that left rows is simply taken again. */
        store_eval(r->store,
                   &(struct store_call){"local v = redis.call('GET', KEYS[1])\n"
                                        "if v and v ~= ARGV[1] then return 'NO' end\n"
                                        "return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n",
                                        (const char *[]){key_of(id, ":lease", lease)}, 1,
                                        (const char *[]){r->me, LEASE_MS}, 2},
                   leased, r);
    }
    r->calls--;
    maybe_free(r);
}

void batch_runner_kick(struct batch_runner *r)
{
    if (r->id[0] || r->is_stopping)
        return;
    r->calls++;
    store_command(r->store, "SRANDMEMBER", "bats", 0, NULL, found, r);
}

static void look(uv_timer_t *timer)
{
    struct batch_runner *r = timer->data;
    if (!r->is_quiet || ++r->ticks % QUIET_EVERY == 0)
        batch_runner_kick(r);
}

struct batch_runner *batch_runner_new(struct store *s)
{
    struct batch_runner *r = MEM_NEW(struct batch_runner);
    r->store = s;
    s->busy++;
    (void)snprintf(r->me, sizeof r->me, "%016llx", (unsigned long long)env_random_below(s->env, UINT64_MAX));
    r->timer.data = r;
    ASSERT(uv_timer_init(s->loop, &r->timer) == 0);
    ASSERT(uv_timer_start(&r->timer, look, 50, LOOK_MS) == 0);
    return r;
}

static void closed(uv_handle_t *handle)
{
    struct batch_runner *r = handle->data;
    r->is_closed = true;
    maybe_free(r);
}

void batch_runner_stop(struct batch_runner *r)
{
    r->is_stopping = true;
    uv_close((uv_handle_t *)&r->timer, closed);
}
