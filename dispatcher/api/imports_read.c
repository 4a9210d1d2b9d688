/* GET of imports: one (with ETag), lists over all shards with a vector cursor, the ledger. */
#include "common/base/mem.h"
#include "dispatcher/api/import_view.h"
#include "dispatcher/planner/shape.h"

#include <stdio.h>

/* ---- One
 * -------------------------------------------------------------------------------------------------------------------
 */

static bool expands(struct http_request *r, const char *what)
{
    const char *expand = http_query(r, "expand");
    return expand && str_in_list(expand, what);
}

static void one_read(void *arg, const struct err *err, const json_t *value)
{
    struct op *op = arg;
    if (err) {
        op_fail(op, err, NULL);
        return;
    }
    json_t *view = import_view(op->api, value, true);
    char digest[65], etag[40];
    json_digest(view, digest);
    (void)snprintf(etag, sizeof etag, "\"%.32s\"", digest);
    http_add_header(op->r, "ETag", etag);
    const char *known = http_header(op->r, "If-None-Match");
    if (known && strstr(known, etag)) {
        json_decref(view);
        struct http_request *r = op->r;
        op->key[0] = 0;
        http_reply_bytes(r, 304, "", "", 0);
        op_end(op);
        return;
    }
    op_reply(op, 200, view, NULL);
}

void imports_get(struct http_request *r, void *arg)
{
    const char *id = http_param(r, 0);
    if (!api_import_id(r, id))
        return;
    struct op *op = op_new(arg, r);
    import_fetch(op->api, id, expands(r, "results"), one_read, op);
}

static void ledger_read(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200, value, NULL);
}

void imports_ledger(struct http_request *r, void *arg)
{
    struct api *api = arg;
    const char *id = http_param(r, 0), *from_text = http_query(r, "from");
    uint32_t limit = 0;
    uint64_t from = 0;
    if (!api_import_id(r, id) || !api_limit(r, 500, 5000, &limit))
        return;
    struct op *op = op_new(api, r);
    if (from_text && !str_to_u64(from_text, UINT32_MAX, &from))
        op_fail_code(op, ERR_FIELD_INVALID, "from is the number of the first line, from 0");
    else
        queue_ledger(api->store->queue, id, (uint32_t)from, limit, ledger_read, op);
}

/* ---- Lists
 * ------------------------------------------------------------------------------------------------------------------
 * Each shard gives its newest; the merge takes `limit` of all. The cursor is the last import taken of each shard, with
 * its time ("imp_..@1700000000000"), so that the list goes on although that import has left the index. An import id
 * says which shard it belongs to, so the vector is just these, joined by commas. */
#define CURSOR_BYTES (IMPORT_ID_BYTES + 24)

struct shard_page {
    char after[CURSOR_BYTES];
    json_t *data;
    size_t next;
    bool has_more;
};

struct list {
    struct api *api;
    struct http_request *r;
    uint32_t limit, waiting, shard_count;
    bool with_steps;
    const char *order; /* what the index is sorted by: created_ms, or since_ms within one state */
    struct shard_page *shards;
    json_t *out; /* array with a place for each import */
    char *cursor;
    bool has_more;
    struct err err;
};

struct place_in {
    struct list *list;
    size_t index;
};

static void list_free(struct list *l)
{
    l->api->store->busy--;
    for (uint32_t i = 0; i < l->shard_count; i++)
        json_decref(l->shards[i].data);
    mem_free(l->shards);
    mem_free(l->cursor);
    json_decref(l->out);
    mem_free(l);
}

static void list_reply(struct list *l)
{
    if (l->err.code) {
        http_reply_err(l->r, &l->err, NULL);
        list_free(l);
        return;
    }
    json_t *data = json_array();
    for (size_t i = 0; i < json_array_size(l->out); i++)
        if (!json_is_null(json_array_get(l->out, i))) /* gone meanwhile */
            (void)json_array_append(data, json_array_get(l->out, i));
    json_t *reply = json_object();
    json_put(reply, "data", data);
    json_put_bool(reply, "has_more", l->has_more);
    json_put_str(reply, "next", l->has_more ? l->cursor : NULL);
    http_reply_json(l->r, 200, reply);
    list_free(l);
}

/* Views without steps are kept by the record's version: whoever watches a thousand imports reads only those that moved.
 * Half a minute at most, since a failover may take a version back and give it again. */
#define VIEWS_MAX 10000
#define VIEW_FRESH_MS 30000

static void view_keep(struct list *l, const json_t *value, json_t *view)
{
    if (l->with_steps || json_bool_at(value, "is_partial"))
        return;
    if (json_object_size(l->api->views) >= VIEWS_MAX)
        json_object_clear(l->api->views);
    json_put(l->api->views, json_str_at(view, "id"),
             json_make("{s:O, s:I}", "view", view, "at", (json_int_t)uv_now(l->api->store->loop)));
}

static json_t *view_known(struct list *l, const char *import_id, int64_t version)
{
    const json_t *kept = l->with_steps ? NULL : json_object_get(l->api->views, import_id);
    json_t *view = json_object_get(kept, "view");
    bool is_fresh = (int64_t)uv_now(l->api->store->loop) - json_int_at(kept, "at") < VIEW_FRESH_MS;
    return view && is_fresh && json_int_at(view, "version") == version ? view : NULL;
}

static void item_read(void *arg, const struct err *err, const json_t *value)
{
    struct place_in *p = arg;
    struct list *l = p->list;
    if (err && err->code != ERR_NOT_FOUND)
        l->err = *err;
    if (!err && !json_has(value, "doc.drift_of")) { /* looks for drift are shown with their import */
        json_t *view = import_view(l->api, value, l->with_steps);
        view_keep(l, value, view);
        (void)json_array_set_new(l->out, p->index, view);
    }
    mem_free(p);
    if (--l->waiting == 0)
        list_reply(l);
}

/* version: -1 when it is not known. */
static void list_add(struct list *l, const char *import_id, int64_t version)
{
    json_t *view = version < 0 ? NULL : view_known(l, import_id, version);
    if (view) {
        (void)json_array_append(l->out, view);
        return;
    }
    struct place_in *p = MEM_NEW(struct place_in);
    *p = (struct place_in){l, json_array_size(l->out)};
    (void)json_array_append_new(l->out, json_null());
    l->waiting++;
    import_fetch(l->api, import_id, false, item_read, p);
}

/* The newest head of all shards; NULL when all are used up. */
static struct shard_page *newest(struct list *l)
{
    struct shard_page *best = NULL;
    int64_t best_ms = -1;
    for (uint32_t i = 0; i < l->shard_count; i++) {
        struct shard_page *s = &l->shards[i];
        const json_t *head = json_array_get(s->data, s->next);
        int64_t ms = head ? json_int_at(head, l->order) : -1;
        if (head && (!best || ms > best_ms)) {
            best = s;
            best_ms = ms;
        }
    }
    return best;
}

static char *make_cursor(const struct list *l)
{
    AUTO_STR struct str out;
    str_init(&out, 65536);
    for (uint32_t i = 0; i < l->shard_count; i++) {
        if (!l->shards[i].after[0])
            continue;
        if (out.len)
            str_add_char(&out, ',');
        str_add(&out, l->shards[i].after);
    }
    return str_take(&out);
}

static void merge(struct list *l)
{
    l->waiting = 1;
    for (uint32_t n = 0; n < l->limit; n++) {
        struct shard_page *s = newest(l);
        if (!s)
            break;
        const json_t *row = json_array_get(s->data, s->next++);
        const char *id = json_str_at(row, "id");
        (void)snprintf(s->after, sizeof s->after, "%.*s@%lld", IMPORT_ID_BYTES - 1, id,
                       (long long)json_int_at(row, l->order));
        list_add(l, id, json_has(row, "version") ? json_int_at(row, "version") : -1);
    }
    for (uint32_t i = 0; i < l->shard_count; i++)
        l->has_more |= l->shards[i].has_more || l->shards[i].next < json_array_size(l->shards[i].data);
    l->cursor = make_cursor(l);
    if (--l->waiting == 0)
        list_reply(l);
}

struct shard_read {
    struct list *list;
    uint32_t shard;
};

static void page_read(void *arg, const struct err *err, json_t *value)
{
    struct shard_read *s = arg;
    struct list *l = s->list;
    if (err) {
        l->err = *err;
    } else {
        l->shards[s->shard].data = json_incref(json_object_get(value, "data"));
        l->shards[s->shard].has_more = *json_str_at(value, "next") != 0;
    }
    json_decref(value);
    mem_free(s);
    if (--l->waiting)
        return;
    if (l->err.code)
        list_reply(l);
    else
        merge(l);
}

/* "imp_..@..,imp_..@.." -> the place of each shard. A bare id is fine, too. */
static bool read_cursor(struct list *l, const char *cursor)
{
    AUTO_FREE char *copy = mem_dup(cursor);
    char *rest = copy;
    for (char *id = strsep(&rest, ","); id; id = strsep(&rest, ",")) {
        if (!*id)
            continue;
        if (!str_starts(id, "imp_") || strlen(id) < 8 || strlen(id) >= CURSOR_BYTES ||
            !shape_is_slug(id + 4, CURSOR_BYTES, "@"))
            return false;
        uint32_t shard = queue_shard_of_import(id);
        if (shard >= l->shard_count)
            return false;
        (void)snprintf(l->shards[shard].after, CURSOR_BYTES, "%s", id);
    }
    return true;
}

static void list_start(struct list *l, const char *state)
{
    l->waiting = 1;
    for (uint32_t i = 0; i < l->shard_count; i++) {
        struct shard_read *s = MEM_NEW(struct shard_read);
        *s = (struct shard_read){l, i};
        l->waiting++;
        queue_list(l->api->store->queue, i, state, l->shards[i].after, l->limit, page_read, s);
    }
    l->waiting--;
}

static void ref_found(void *arg, const struct err *err, const redisReply *reply)
{
    struct list *l = arg;
    char id[IMPORT_ID_BYTES];
    size_t n = strcspn(store_text(reply), " ");
    l->waiting = 1;
    if (err)
        l->err = *err;
    if (n && n < sizeof id) {
        memcpy(id, store_text(reply), n);
        id[n] = 0;
        list_add(l, id, -1);
    }
    if (--l->waiting == 0)
        list_reply(l);
}

void imports_list(struct http_request *r, void *arg)
{
    struct api *api = arg;
    uint32_t limit = 0;
    if (!api_limit(r, 50, 500, &limit))
        return;
    const char *state = http_query(r, "state"), *after = http_query(r, "starting_after"),
               *ref = http_query(r, "external_ref");
    struct list *l = MEM_NEW(struct list);
    *l = (struct list){
        .api = api, .r = r, .limit = limit, .shard_count = api->store->shard_count, .with_steps = expands(r, "steps")};
    l->shards = mem_alloc(sizeof *l->shards * l->shard_count);
    l->out = json_array();
    api->store->busy++;
    l->order = state && *state ? "since_ms" : "created_ms";
    enum import_state parsed;
    if (state && *state && !import_state_parse(state, &parsed))
        (void)err_set(&l->err, ERR_FIELD_INVALID,
                      "state is one of accepted running waiting held paused failed completed cancelled undoing undone");
    else if (after && !read_cursor(l, after))
        (void)err_set(&l->err, ERR_FIELD_INVALID, "starting_after is the `next` of an earlier answer");
    if (l->err.code)
        list_reply(l);
    else if (ref)
        store_command(api->store, "HGET", "refs", 1, &ref, ref_found, l);
    else
        list_start(l, state && *state ? state : NULL);
}
