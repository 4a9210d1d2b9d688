/* Lists for people: imports by state, open tasks. Cursors are "ID" or "ID@SCORE", so that a page can
 * go on although its last entry has left the index meanwhile. */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <string.h>

#define LIMIT_MAX 1000

struct list {
    struct queue *q;
    uint32_t shard, limit;
    queue_json_fn *done;
    void *arg;
    char index[64];
    bool is_newest_first;
    char after[96], after_score[32];
    json_t *rows; /* [{id, score}] while their details are on the way */
    char next[160];
};

static struct list *list_new(struct queue *q, uint32_t shard, uint32_t limit, queue_json_fn *done, void *arg)
{
    struct list *l = MEM_NEW(struct list);
    *l = (struct list){.q = queue_ref(q), .shard = shard, .done = done, .arg = arg, .rows = json_array()};
    l->limit = limit < 1 ? 1 : limit > LIMIT_MAX ? LIMIT_MAX : limit;
    return l;
}

static void list_end(struct list *l, const struct err *err, json_t *value)
{
    struct queue *q = l->q;
    if (err) {
        json_decref(value);
        value = NULL;
    }
    l->done(l->arg, err, value);
    json_decref(l->rows);
    mem_free(l);
    queue_unref(q);
}

static void on_refused(void *arg, const struct err *err, const redisReply *reply)
{
    (void)reply;
    list_end(arg, err, NULL);
}

static void set_after(struct list *l, const char *after)
{
    const char *at = after ? strchr(after, '@') : NULL;
    size_t len = after ? (at ? (size_t)(at - after) : strlen(after)) : 0;
    (void)snprintf(l->after, sizeof l->after, "%.*s", (int)(len < 95 ? len : 95), after ? after : "");
    (void)snprintf(l->after_score, sizeof l->after_score, "%.31s", at ? at + 1 : "");
    l->after_score[strspn(l->after_score, "0123456789.")] = 0;
}

/* ---- Pages of a sorted set
 * --------------------------------------------------------------------------------------------- */
/* What to show of the rows: asks for details and ends the list. */
static void details(struct list *l);

static void on_page(void *arg, const struct err *fault, const redisReply *reply)
{
    struct list *l = arg;
    if (fault) {
        list_end(l, fault, NULL);
        return;
    }
    size_t pairs = reply->type == REDIS_REPLY_ARRAY ? reply->elements / 2 : 0;
    for (size_t i = 0; i < pairs && i < l->limit; i++) {
        const char *id = queue_reply_text(reply->element[2 * i]);
        uint64_t score = queue_reply_u64(reply->element[2 * i + 1]);
        json_t *row = json_make("{s:s, s:I}", "id", id ? id : "", "score", (json_int_t)score);
        (void)json_array_append_new(l->rows, row);
        if (i + 1 == l->limit && pairs > l->limit)
            (void)snprintf(l->next, sizeof l->next, "%s@%" PRIu64, id ? id : "", score);
    }
    details(l);
}

static void ask_page(struct list *l, uint64_t start)
{
    struct queue_args args = queue_plain(l->q, l->is_newest_first ? "ZREVRANGE" : "ZRANGE", l->shard, l->index);
    queue_args_addf(&args, "%" PRIu64, start);
    queue_args_addf(&args, "%" PRIu64, start + l->limit);
    queue_args_add(&args, "WITHSCORES");
    queue_call(l->q, &args, on_page, l);
}

static void ask_by_score(struct list *l)
{
    struct queue_args args =
        queue_plain(l->q, l->is_newest_first ? "ZREVRANGEBYSCORE" : "ZRANGEBYSCORE", l->shard, l->index);
    queue_args_addf(&args, "(%s", l->after_score);
    queue_args_add(&args, l->is_newest_first ? "-inf" : "+inf");
    queue_args_add(&args, "WITHSCORES");
    queue_args_add(&args, "LIMIT");
    queue_args_add(&args, "0");
    queue_args_addf(&args, "%u", l->limit + 1);
    queue_call(l->q, &args, on_page, l);
}

static void on_rank(void *arg, const struct err *fault, const redisReply *reply)
{
    struct list *l = arg;
    if (fault)
        list_end(l, fault, NULL);
    else if (reply->type == REDIS_REPLY_INTEGER)
        ask_page(l, (uint64_t)reply->integer + 1);
    else if (*l->after_score)
        ask_by_score(l);
    else
        ask_page(l, 0);
}

static void start_page(struct list *l)
{
    if (!*l->after) {
        ask_page(l, 0);
        return;
    }
    struct queue_args args = queue_plain(l->q, l->is_newest_first ? "ZREVRANK" : "ZRANK", l->shard, l->index);
    queue_args_add(&args, l->after);
    queue_call(l->q, &args, on_rank, l);
}

static void end_page(struct list *l, json_t *data)
{
    list_end(l, NULL, json_make("{s:o, s:s}", "data", data, "next", l->next));
}

/* ---- Imports ------------------------------------------------------------------------------------------------------
 */
static void on_import_rows(void *arg, const struct err *fault, const redisReply *reply)
{
    struct list *l = arg;
    json_t *data = json_array();
    for (size_t i = 0; !fault && i < json_array_size(l->rows); i++) {
        const char *id = json_str_at(json_array_get(l->rows, i), "id");
        struct record r;
        struct err err;
        if (queue_reply_record(queue_reply_at(reply, i), &r, &err))
            continue; /* the audit names it */
        (void)json_array_append_new(data, json_make("{s:s, s:s, s:s, s:I, s:I, s:I}", "id", id, "state",
                                                    import_state_name(r.state), "party", party_name(r.party),
                                                    "since_ms", (json_int_t)r.since_ms, "created_ms",
                                                    (json_int_t)r.created_ms, "version", (json_int_t)r.version));
    }
    if (!fault) {
        end_page(l, data);
        return;
    }
    json_decref(data);
    list_end(l, fault, NULL);
}

void queue_list(struct queue *q, uint32_t shard, const char *state, const char *after, uint32_t limit,
                queue_json_fn *done, void *arg)
{
    struct list *l = list_new(q, shard, limit, done, arg);
    enum import_state s;
    l->is_newest_first = true;
    set_after(l, after);
    if (state && !import_state_parse(state, &s)) {
        struct err err;
        err_set(&err, ERR_FIELD_INVALID, "there is no import state of that name");
        queue_fail_later(q, &err, on_refused, l);
        return;
    }
    (void)snprintf(l->index, sizeof l->index, "%s%s", state ? "ix:" : "all", state ? state : "");
    start_page(l);
}

/* ---- Tasks --------------------------------------------------------------------------------------------------------
 */
static void on_task_rows(void *arg, const struct err *fault, const redisReply *reply)
{
    struct list *l = arg;
    json_t *data = json_array();
    for (size_t i = 0; !fault && i < json_array_size(l->rows); i++) {
        const json_t *row = json_array_get(l->rows, i);
        const char *member = json_str_at(row, "id"), *slash = strchr(member, '/');
        const redisReply *text = queue_reply_at(reply, i);
        struct err err;
        uint64_t step;
        json_t *task = queue_reply_text(text) ? json_read(text->str, text->len, 0, &err) : NULL;
        if (!task || !slash || !str_to_u64(slash + 1, RECORD_STEPS_MAX - 1, &step)) {
            json_decref(task); /* closed between the two reads */
            continue;
        }
        (void)json_array_append_new(data, json_make("{s:s%, s:I, s:I, s:o}", "import_id", member,
                                                    (size_t)(slash - member), "step", (json_int_t)step, "opened_ms",
                                                    json_int_at(row, "score"), "task", task));
    }
    if (!fault) {
        end_page(l, data);
        return;
    }
    json_decref(data);
    list_end(l, fault, NULL);
}

void queue_tasks(struct queue *q, uint32_t shard, const char *after, uint32_t limit, queue_json_fn *done, void *arg)
{
    struct list *l = list_new(q, shard, limit, done, arg);
    set_after(l, after);
    (void)snprintf(l->index, sizeof l->index, "tasks");
    start_page(l);
}

static void details(struct list *l)
{
    bool is_tasks = str_eq(l->index, "tasks");
    if (!json_array_size(l->rows)) {
        end_page(l, json_array());
        return;
    }
    struct queue_args args = queue_plain(l->q, "HMGET", l->shard, "h");
    for (size_t i = 0; i < json_array_size(l->rows); i++)
        queue_args_addf(&args, "%s%s", json_str_at(json_array_get(l->rows, i), "id"), is_tasks ? "?" : "");
    queue_call(l->q, &args, is_tasks ? on_task_rows : on_import_rows, l);
}
