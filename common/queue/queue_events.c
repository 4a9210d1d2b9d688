/* The event stream for pages, SSE and webhooks: one entry per call that changed something, told as single events here.
 */
#include "common/queue/queue_private.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <string.h>

#define LIMIT_MAX 1000

struct events {
    struct queue *q;
    queue_json_fn *done;
    void *arg;
    char cursor[64];
};

static void events_end(struct events *e, const struct err *err, json_t *data)
{
    struct queue *q = e->q;
    if (err)
        json_decref(data);
    e->done(e->arg, err, err ? NULL : json_make("{s:o, s:s}", "data", data, "cursor", e->cursor));
    mem_free(e);
    queue_unref(q);
}

static json_t *event_new(const char *import_id, uint64_t at_ms, const char *type)
{
    return json_make("{s:s, s:s, s:I}", "import_id", import_id, "type", type, "at_ms", (json_int_t)at_ms);
}

/* "i1,0": import state, party. "s3=5,1": step, state, party. "o3", "c3": task opened, closed. NULL when unknown. */
static json_t *read_word(const char *import_id, uint64_t at_ms, const char *word)
{
    unsigned long a, b, c;
    char *end;
    a = strtoul(word + 1, &end, 10);
    if (*word == 'o' || *word == 'c') {
        json_t *ret = event_new(import_id, at_ms, *word == 'o' ? "task.opened" : "task.closed");
        json_put_int(ret, "step", (json_int_t)a);
        return ret;
    }
    if (*word == 'i' && *end == ',') {
        b = strtoul(end + 1, NULL, 10);
        json_t *ret = event_new(import_id, at_ms, "import.state");
        json_put_str(ret, "state", import_state_name((enum import_state)a));
        json_put_str(ret, "party", party_name((enum blocking_party)b));
        return ret;
    }
    if (*word != 's' || *end != '=')
        return NULL;
    b = strtoul(end + 1, &end, 10);
    c = *end == ',' ? strtoul(end + 1, NULL, 10) : 0;
    json_t *ret = event_new(import_id, at_ms, "step.state");
    json_put_int(ret, "step", (json_int_t)a);
    json_put_str(ret, "state", step_state_name((enum step_state)b));
    json_put_str(ret, "party", party_name((enum blocking_party)c));
    return ret;
}

static void read_line(json_t *data, char *line, uint64_t at_ms)
{
    char *rest = NULL, *import_id = strtok_r(line, " ", &rest);
    for (char *word = strtok_r(NULL, " ", &rest); import_id && word; word = strtok_r(NULL, " ", &rest)) {
        json_t *event = read_word(import_id, at_ms, word);
        if (event)
            (void)json_array_append_new(data, event);
    }
}

/* All events of an entry but the last carry the cursor before it: who stops in the middle sees the entry again. */
static void set_cursors(json_t *data, size_t first, const char *before, const char *id)
{
    size_t count = json_array_size(data);
    for (size_t i = first; i < count; i++)
        json_put_str(json_array_get(data, i), "cursor", i + 1 == count ? id : before);
}

static void read_entry(struct events *e, json_t *data, const redisReply *entry)
{
    const char *id = queue_reply_text(queue_reply_at(entry, 0));
    const redisReply *fields = queue_reply_at(entry, 1);
    const char *text = queue_reply_text(queue_reply_at(fields, 1));
    size_t first = json_array_size(data);
    if (!id || !text)
        return;
    uint64_t at_ms = queue_reply_u64(queue_reply_at(entry, 0)); /* Redis's clock stands before the dash */
    AUTO_FREE char *copy = mem_dup(text);
    char *rest = NULL;
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        read_line(data, line, at_ms);
    set_cursors(data, first, e->cursor, id);
    (void)snprintf(e->cursor, sizeof e->cursor, "%s", id);
}

static void on_entries(void *arg, const struct err *fault, const redisReply *reply)
{
    struct events *e = arg;
    json_t *data = json_array();
    for (size_t i = 0; !fault && i < reply->elements; i++)
        read_entry(e, data, reply->element[i]);
    events_end(e, fault, data);
}

/* "$": only where the stream ends now. */
static void on_end(void *arg, const struct err *fault, const redisReply *reply)
{
    struct events *e = arg;
    const char *id = queue_reply_text(queue_reply_at(queue_reply_at(reply, 0), 0));
    (void)snprintf(e->cursor, sizeof e->cursor, "%s", id ? id : "0-0");
    events_end(e, fault, json_array());
}

static void on_refused(void *arg, const struct err *err, const redisReply *reply)
{
    (void)reply;
    events_end(arg, err, NULL);
}

void queue_events(struct queue *q, uint32_t shard, const char *cursor, uint32_t limit, queue_json_fn *done, void *arg)
{
    struct events *e = MEM_NEW(struct events);
    *e = (struct events){.q = queue_ref(q), .done = done, .arg = arg};
    bool is_end = str_eq(cursor, "$");
    const char *from = cursor && *cursor && !is_end ? cursor : "0";
    (void)snprintf(e->cursor, sizeof e->cursor, "%.60s", from);
    if (strspn(from, "0123456789-") != strlen(from) || strlen(from) > 60) {
        struct err err;
        err_set(&err, ERR_FIELD_INVALID, "not a cursor of the event stream");
        queue_fail_later(q, &err, on_refused, e);
        return;
    }
    struct queue_args args = queue_plain(q, is_end ? "XREVRANGE" : "XRANGE", shard, "ev");
    if (is_end) {
        queue_args_add(&args, "+");
        queue_args_add(&args, "-");
    } else {
        queue_args_addf(&args, "(%s", from);
        queue_args_add(&args, "+");
    }
    queue_args_add(&args, "COUNT");
    queue_args_addf(&args, "%u", is_end ? 1 : limit < 1 ? 1 : limit > LIMIT_MAX ? LIMIT_MAX : limit);
    queue_call(q, &args, is_end ? on_end : on_entries, e);
}
