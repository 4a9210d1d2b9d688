#include "dispatcher/api/events.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/when.h"
#include "dispatcher/api/import_view.h"

#include <stdio.h>

#define TICK_MS 200
#define BEAT_MS 10000 /* a comment line: keeps proxies awake and finds clients that left */
#define PAGE 256
#define CURSOR_BYTES 64

struct client {
    struct event_hub *hub;
    struct client *prev, *next;
    struct http_stream *stream; /* NULL: it has left */
    char *import_id;            /* NULL: all */
    char (*cursors)[CURSOR_BYTES];
    uint32_t waiting; /* replies and documents on their way */
    bool has_begun;
    uint64_t spoke_ms;
};

struct event_hub {
    struct api *api;
    uv_timer_t timer;
    struct client *clients;
    bool is_closed;
};

struct page { /* events of one shard, while the documents of their imports are read */
    struct client *client;
    uint32_t shard;
    json_t *data;
    char cursor[CURSOR_BYTES];
    uint32_t waiting;
};

static void hub_maybe_free(struct event_hub *hub)
{
    if (hub->is_closed && !hub->clients)
        mem_free(hub);
}

static void client_maybe_free(struct client *c)
{
    struct event_hub *hub = c->hub;
    if (c->stream || c->waiting)
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        hub->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    mem_free(c->import_id);
    mem_free(c->cursors);
    mem_free(c);
    hub->api->store->busy--;
    hub_maybe_free(hub);
}

static void gone(void *arg)
{
    struct client *c = arg;
    c->stream = NULL;
    client_maybe_free(c);
}

/* ---- Telling
 * ------------------------------------------------------------------------------------------------------------------ */

static void say(struct client *c, const struct str *text)
{
    if (!c->stream || !text->len)
        return;
    c->spoke_ms = uv_now(c->hub->api->store->loop);
    (void)http_stream_send(c->stream, text->data, text->len);
}

static void add_id(const struct client *c, struct str *out)
{
    str_add(out, "id: ");
    for (uint32_t i = 0; i < c->hub->api->store->shard_count; i++)
        str_addf(out, "%s%s", i ? "," : "", c->cursors[i]);
    str_add_char(out, '\n');
}

/* The end of a look for drift is told as what it found, of the import that it is about. NULL: it is no such end. */
static const json_t *ended_look(const struct client *c, const json_t *event)
{
    const json_t *doc = json_object_get(c->hub->api->documents, json_str_at(event, "import_id"));
    bool is_end =
        str_eq(json_str_at(event, "type"), "import.state") && str_eq(json_str_at(event, "state"), "completed");
    return is_end && *json_str_at(doc, "drift_event") ? doc : NULL;
}

static void add_drift(struct client *c, const json_t *event, const json_t *look, struct str *out)
{
    char at[32];
    when_rfc3339((uint64_t)json_int_at(event, "at_ms"), at);
    json_auto_t *data =
        json_make("{s:s, s:s, s:s, s:s, s:s}", "import_id", json_str_at(look, "drift_of"), "external_ref",
                  json_str_at(look, "external_ref"), "type", json_str_at(look, "drift_event"), "drift_id",
                  json_str_at(event, "import_id"), "at", at);
    AUTO_FREE char *text = json_text(data);
    add_id(c, out);
    str_addf(out, "event: %s\ndata: %s\n\n", json_str_at(look, "drift_event"), text);
}

static void add_event(struct client *c, const json_t *event, struct str *out)
{
    const char *import_id = json_str_at(event, "import_id"), *type = json_str_at(event, "type");
    const json_t *doc = json_object_get(c->hub->api->documents, import_id), *step = json_at(event, "step");
    char at[32];
    json_auto_t *data = json_object();
    when_rfc3339((uint64_t)json_int_at(event, "at_ms"), at);
    json_put_str(data, "import_id", import_id);
    if (doc)
        json_put_str(data, "external_ref", json_str_at(doc, "external_ref"));
    json_put_str(data, "type", type);
    if (json_is_integer(step))
        json_put_str(data, "step", import_step_name(doc, (size_t)json_integer_value(step)));
    if (json_has(event, "state"))
        json_put_str(data, "state", json_str_at(event, "state"));
    if (json_has(event, "party"))
        json_put_str(data, "party", json_str_at(event, "party"));
    json_put_str(data, "at", at);
    AUTO_FREE char *text = json_text(data);
    add_id(c, out);
    str_addf(out, "event: %s\n", type);
    str_add(out, "data: ");
    str_add(out, text);
    str_add(out, "\n\n");
}

static bool knows_all_places(const struct client *c)
{
    for (uint32_t i = 0; i < c->hub->api->store->shard_count; i++)
        if (str_eq(c->cursors[i], "$"))
            return false;
    return true;
}

static void page_tell(struct page *p)
{
    struct client *c = p->client;
    AUTO_STR struct str out;
    str_init(&out, (size_t)1 << 20);
    for (size_t i = 0; i < json_array_size(p->data); i++) {
        const json_t *event = json_array_get(p->data, i);
        (void)snprintf(c->cursors[p->shard], CURSOR_BYTES, "%s", json_str_at(event, "cursor"));
        if (!c->import_id || str_eq(c->import_id, json_str_at(event, "import_id")))
            add_event(c, event, &out);
        const json_t *look = ended_look(c, event);
        if (look && (!c->import_id || str_eq(c->import_id, json_str_at(look, "drift_of"))))
            add_drift(c, event, look, &out);
    }
    (void)snprintf(c->cursors[p->shard], CURSOR_BYTES, "%s", p->cursor);
    if (!c->has_begun &&
        knows_all_places(c)) { /* a client that never sees an event can still come back to this place */
        str_add(&out, "retry: 1000\n");
        add_id(c, &out);
        str_add_char(&out, '\n');
        c->has_begun = true;
    }
    say(c, &out);
    json_decref(p->data);
    mem_free(p);
    c->waiting--;
    client_maybe_free(c);
}

/* ---- Reading
 * --------------------------------------------------------------------------------------------------------------------
 */

static void document_read(void *arg, const struct err *err, const json_t *value)
{
    struct page *p = arg;
    (void)err; /* an import that cannot be read is told without its names */
    (void)value;
    if (--p->waiting == 0)
        page_tell(p);
}

/* Documents never change, so one read is enough; a look for drift is read once more when it ends. Who asks about one
 * import may have looks of it in the stream. */
static bool must_read(const struct client *c, const json_t *event)
{
    const char *id = json_str_at(event, "import_id");
    const json_t *known = json_object_get(c->hub->api->documents, id);
    bool is_end = str_eq(json_str_at(event, "state"), "completed");
    if (known)
        return is_end && json_has(known, "drift_of") && !json_has(known, "drift_event");
    return !c->import_id || str_eq(c->import_id, id) || is_end;
}

static void page_read(void *arg, const struct err *err, json_t *value)
{
    struct page *p = arg;
    struct client *c = p->client;
    if (err) {
        json_decref(value);
        json_decref(p->data);
        mem_free(p);
        c->waiting--;
        client_maybe_free(c);
        return;
    }
    p->data = json_incref(json_object_get(value, "data"));
    (void)snprintf(p->cursor, sizeof p->cursor, "%s", json_str_at(value, "cursor"));
    json_decref(value);
    json_auto_t *asked = json_object();
    p->waiting = 1;
    for (size_t i = 0; i < json_array_size(p->data); i++) {
        const char *id = json_str_at(json_array_get(p->data, i), "import_id");
        if (json_object_get(asked, id) || !must_read(c, json_array_get(p->data, i)))
            continue;
        json_put_bool(asked, id, true);
        p->waiting++;
        import_fetch(c->hub->api, id, false, document_read, p);
    }
    if (--p->waiting == 0)
        page_tell(p);
}

static void client_read(struct client *c)
{
    struct store *s = c->hub->api->store;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct page *p = MEM_NEW(struct page);
        p->client = c;
        p->shard = i;
        c->waiting++;
        queue_events(s->queue, i, c->cursors[i], PAGE, page_read, p);
    }
}

static void tick(uv_timer_t *timer)
{
    struct event_hub *hub = timer->data;
    uint64_t now = uv_now(hub->api->store->loop);
    for (struct client *c = hub->clients, *next; c; c = next) {
        next = c->next;
        if (!c->stream || c->waiting)
            continue;
        if (now - c->spoke_ms >= BEAT_MS) {
            c->spoke_ms = now;
            (void)http_stream_send(c->stream, ": beat\n\n", 8);
        }
        if (redis_is_up(hub->api->store->redis))
            client_read(c);
    }
}

/* ---- Joining
 * -----------------------------------------------------------------------------------------------------------------------
 */

/* "1-0,2-0": one cursor per shard. */
static bool read_last_id(struct client *c, const char *text)
{
    AUTO_FREE char *copy = mem_dup(text);
    char *rest = copy;
    uint32_t n = 0;
    for (char *one = strsep(&rest, ","); one; one = strsep(&rest, ","), n++) {
        size_t len = strlen(one);
        if (n >= c->hub->api->store->shard_count || !len || len >= CURSOR_BYTES || strspn(one, "0123456789-") != len)
            return false;
        (void)snprintf(c->cursors[n], CURSOR_BYTES, "%s", one);
    }
    return n == c->hub->api->store->shard_count;
}

void events_get(struct http_request *r, void *arg)
{
    struct api *api = arg;
    const char *last = http_header(r, "Last-Event-ID"), *import_id = http_query(r, "import_id");
    if (!last)
        last = http_query(r, "last_event_id");
    if (import_id && !api_import_id(r, import_id))
        return;
    struct client *c = MEM_NEW(struct client);
    c->hub = api->events;
    c->cursors = mem_alloc(sizeof *c->cursors * api->store->shard_count);
    for (uint32_t i = 0; i < api->store->shard_count; i++)
        (void)snprintf(c->cursors[i], CURSOR_BYTES, "$");
    if (last && !read_last_id(c, last)) {
        struct err err = {0};
        (void)err_set(&err, ERR_FIELD_INVALID, "Last-Event-ID is none of ours");
        http_reply_err(r, &err, NULL);
        mem_free(c->cursors);
        mem_free(c);
        return;
    }
    api->store->busy++;
    c->has_begun = last != NULL;
    c->import_id = import_id ? mem_dup(import_id) : NULL;
    c->spoke_ms = uv_now(api->store->loop);
    c->next = api->events->clients;
    if (c->next)
        c->next->prev = c;
    api->events->clients = c;
    c->stream = http_stream_start(r, "text/event-stream", gone, c);
    client_read(c);
}

struct event_hub *event_hub_new(struct api *api)
{
    struct event_hub *hub = MEM_NEW(struct event_hub);
    hub->api = api;
    hub->timer.data = hub;
    ASSERT(uv_timer_init(api->store->loop, &hub->timer) == 0);
    ASSERT(uv_timer_start(&hub->timer, tick, TICK_MS, TICK_MS) == 0);
    return hub;
}

static void closed(uv_handle_t *handle)
{
    struct event_hub *hub = handle->data;
    hub->is_closed = true;
    hub_maybe_free(hub);
}

void event_hub_stop(struct event_hub *hub)
{
    uv_close((uv_handle_t *)&hub->timer, closed);
}
