/* The ledger of an import: one chain of lines per step, one of decisions, each entry a field of its own. Read whole,
 * told by time: no chain is told out of its own order, whatever a clock said. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX 1000
#define FIELDS_MAX 1000 /* of one command */

struct ledger {
    struct queue *q;
    queue_json_fn *done;
    void *arg;
    char id[IMPORT_ID_BYTES];
    uint32_t from, limit;
    size_t step_count;
    uint32_t lines[RECORD_STEPS_MAX + 1]; /* of each chain; the decisions come last */
};

static void ledger_end(struct ledger *l, const struct err *err, json_t *value)
{
    struct queue *q = l->q;
    l->done(l->arg, err, value);
    mem_free(l);
    queue_unref(q);
}

const char *queue_ledger_last(const char *lines)
{
    const char *last = lines;
    for (const char *end = strchr(last, '\n'); end && end[1]; end = strchr(last, '\n'))
        last = end + 1;
    return last;
}

/* Keys are sorted, so it comes before anything that a call may have answered. */
uint32_t queue_ledger_number(const char *line)
{
    const char *at = strstr(line, "\"n\":");
    return at ? (uint32_t)strtoul(at + 4, NULL, 10) : 0;
}

/* Which fields can hold the chain of `lines` lines: an entry stands under the number of its first line. */
size_t queue_ledger_fields(struct queue_args *args, const char *import_id, int step, uint32_t lines)
{
    for (uint32_t n = 1; n <= lines; n++) {
        if (step >= 0)
            queue_args_addf(args, "%s/%d>%u", import_id, step, n);
        else
            queue_args_addf(args, "%s>%u", import_id, n);
    }
    return lines;
}

void queue_ledger_lines(const char *entry, json_t *lines)
{
    while (entry && *entry) {
        size_t len = strcspn(entry, "\n");
        struct err err;
        json_t *line = len ? json_read(entry, len, 0, &err) : NULL;
        if (line)
            (void)json_array_append_new(lines, line);
        entry += len + (entry[len] == '\n');
    }
}

static int64_t time_at(const json_t *chain, size_t at)
{
    return at < json_array_size(chain) ? json_int_at(json_array_get(chain, at), "at_ms") : INT64_MAX;
}

/* The earliest of what comes next in each chain, again and again. New reference. */
static json_t *merge(const json_t *chains)
{
    size_t at[RECORD_STEPS_MAX + 1] = {0}, count = json_array_size(chains);
    json_t *all = json_array();
    for (;;) {
        size_t best = count;
        for (size_t c = 0; c < count; c++) {
            const json_t *chain = json_array_get(chains, c);
            if (at[c] < json_array_size(chain) &&
                (best == count || time_at(chain, at[c]) < time_at(json_array_get(chains, best), at[best])))
                best = c;
        }
        if (best == count)
            return all;
        (void)json_array_append(all, json_array_get(json_array_get(chains, best), at[best]++));
    }
}

static json_t *page_of(const struct ledger *l, const json_t *all)
{
    json_t *data = json_array();
    size_t end = (size_t)l->from + l->limit, count = json_array_size(all);
    for (size_t i = l->from; i < end && i < count; i++)
        (void)json_array_append(data, json_array_get(all, i));
    return json_make("{s:o, s:I}", "data", data, "next", (json_int_t)(end < count ? end : 0));
}

static void on_lines(void *arg, const struct err *fault, const redisReply *const *replies, size_t count)
{
    struct ledger *l = arg;
    if (fault) {
        ledger_end(l, fault, NULL);
        return;
    }
    json_auto_t *chains = json_array();
    size_t command = 0, at = 0;
    for (size_t c = 0; c <= l->step_count; c++) {
        json_t *chain = json_array();
        for (uint32_t n = 0; n < l->lines[c]; n++, at++) {
            if (at == FIELDS_MAX) {
                command++;
                at = 0;
            }
            queue_ledger_lines(command < count ? queue_reply_text(queue_reply_at(replies[command], at)) : NULL, chain);
        }
        (void)json_array_append_new(chains, chain);
    }
    json_auto_t *all = merge(chains);
    ledger_end(l, NULL, page_of(l, all));
}

/* All fields of all chains, FIELDS_MAX to a command. */
static void ask_lines(struct ledger *l)
{
    uint32_t shard = queue_shard_of_import(l->id);
    struct queue_args all = {0};
    for (size_t c = 0; c <= l->step_count; c++)
        (void)queue_ledger_fields(&all, l->id, c < l->step_count ? (int)c : -1, l->lines[c]);
    size_t fields = (size_t)all.argc, commands = (fields + FIELDS_MAX - 1) / FIELDS_MAX;
    struct queue_args *args = mem_alloc((commands + 1) * sizeof *args);
    for (size_t i = 0; i < commands; i++) {
        args[i] = queue_plain(l->q, "HMGET", shard, "h");
        for (size_t k = i * FIELDS_MAX; k < fields && k < (i + 1) * FIELDS_MAX; k++)
            queue_args_add(&args[i], all.argv[k]);
    }
    queue_args_done(&all);
    if (commands)
        queue_call_many(l->q, args, commands, on_lines, l);
    else
        ledger_end(l, NULL, json_make("{s:[], s:i}", "data", "next", 0));
    mem_free(args);
}

static void on_heads(void *arg, const struct err *fault, const redisReply *reply)
{
    struct ledger *l = arg;
    struct record record;
    struct err err;
    if (!fault && queue_reply_record(queue_reply_at(reply, 0), &record, &err)) {
        if (err.code == ERR_NOT_FOUND)
            err_set(&err, ERR_NOT_FOUND, "no import %.40s", l->id);
        fault = &err;
    }
    if (fault) {
        ledger_end(l, fault, NULL);
        return;
    }
    l->step_count = record.step_count;
    for (size_t i = 0; i < record.step_count; i++)
        l->lines[i] = record.steps[i].lines;
    l->lines[record.step_count] = (uint32_t)queue_reply_u64(queue_reply_at(reply, 1));
    ask_lines(l);
}

static void on_refused(void *arg, const struct err *err, const redisReply *reply)
{
    (void)reply;
    ledger_end(arg, err, NULL);
}

void queue_ledger(struct queue *q, const char *import_id, uint32_t from, uint32_t limit, queue_json_fn *done, void *arg)
{
    struct ledger *l = MEM_NEW(struct ledger);
    struct err err;
    *l = (struct ledger){.q = queue_ref(q), .done = done, .arg = arg, .from = from};
    l->limit = limit < 1 ? 1 : limit > LIMIT_MAX ? LIMIT_MAX : limit;
    if (!queue_id_is_valid(q, import_id)) {
        err_set(&err, ERR_NOT_FOUND, "no import of that id");
        queue_fail_later(q, &err, on_refused, l);
        return;
    }
    (void)snprintf(l->id, sizeof l->id, "%s", import_id);
    struct queue_args args = queue_plain(q, "HMGET", queue_shard_of_import(import_id), "h");
    queue_args_add(&args, import_id);
    queue_args_addf(&args, "%s~", import_id);
    queue_call(q, &args, on_heads, l);
}
