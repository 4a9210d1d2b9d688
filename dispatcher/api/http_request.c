/* One request: routing, token, limits, body, and the hand-over to its handler. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "common/crypto/crypto.h"
#include "dispatcher/api/http_private.h"
#include "dispatcher/planner/loose.h"

#include <stdio.h>
#include <strings.h>

static void list_add(struct http_server *s, struct http_request *r)
{
    r->next = s->requests;
    if (r->next)
        r->next->prev = r;
    s->requests = r;
    s->counts.open++;
}

static void list_remove(struct http_request *r)
{
    struct http_server *s = r->server;
    if (r->prev)
        r->prev->next = r->next;
    else
        s->requests = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->prev = r->next = NULL;
    s->counts.open--;
}

void http_request_unref(struct http_request *r)
{
    if (--r->refs)
        return;
    r->magic = 0;
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        mem_free(r->params[i]);
    if (r->route && (r->route->flags & HTTP_SECRET))
        secret_wipe(r->body.data, r->body.cap);
    str_done(&r->body);
    json_decref(r->headers);
    mem_free(r->method);
    mem_free(r->path);
    mem_free(r);
}

/* ---- Routing
 * ------------------------------------------------------------------------------------------------------------ */

/* "{id}" takes what is neither '/' nor ':'. */
static bool matches(const char *pattern, const char *path, char *params[HTTP_PARAMS_MAX])
{
    size_t count = 0;
    while (*pattern) {
        if (*pattern == '{') {
            size_t n = strcspn(path, "/:");
            if (!n || n > 200 || count == HTTP_PARAMS_MAX)
                return false;
            mem_free(params[count]);
            params[count++] = mem_dup_bytes(path, n);
            path += n;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == 0;
}

/* NULL: `ret_status` says 404 or 405. */
static const struct http_route *find_route(const struct http_server *s, struct http_request *r, unsigned *ret_status)
{
    *ret_status = MHD_HTTP_NOT_FOUND;
    for (size_t i = 0; i < s->route_count; i++) {
        if (!matches(s->routes[i].pattern, r->path, r->params))
            continue;
        if (str_eq(s->routes[i].method, r->method))
            return &s->routes[i];
        *ret_status = MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    return NULL;
}

/* Digests are compared, so that neither length nor content shows in the time it takes. */
static bool has_token(const struct http_request *r)
{
    const char *value = http_header(r, "Authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return false;
    unsigned char digest[32];
    crypto_sha256(value + 7, strlen(value + 7), digest);
    return crypto_equal(digest, r->server->token_digest, sizeof digest);
}

/* Answers at once what needs no body. The response is queued by the caller. */
static bool refuse_early(struct http_request *r)
{
    struct err err = {0};
    unsigned status = 0;
    const char *length = http_header(r, "Content-Length");
    uint64_t bytes = 0;
    r->route = find_route(r->server, r, &status);
    if (!r->route && status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)err_set(&err, ERR_USAGE, "%s is not possible here", r->method);
    else if (!r->route)
        (void)err_set(&err, ERR_NOT_FOUND, "there is nothing at this path");
    else if (!(r->route->flags & HTTP_OPEN) && !has_token(r))
        (void)err_set(&err, ERR_UNAUTHORIZED, "send the header Authorization: Bearer TOKEN");
    else if (length && (!str_to_u64(length, UINT64_MAX / 2, &bytes) || bytes > r->route->body_max))
        (void)err_set(&err, ERR_TOO_LARGE, "the body has %s bytes; at most %zu are taken here", length,
                      r->route->body_max);
    else if (!(r->route->flags & HTTP_LOCAL) && r->server->counts.open - r->server->counts.streams > HTTP_BUSY_MAX) {
        (void)err_set(&err, ERR_RATE_LIMITED, "more than %d requests are under way", HTTP_BUSY_MAX);
        r->server->counts.refused_busy++;
    } else if (!(r->route->flags & (HTTP_LOCAL | HTTP_OPEN)) && !r->server->is_ready(r->server->arg))
        (void)err_set(&err, ERR_REDIS, "Redis is not reachable at the moment");
    if (!err.code)
        return false;
    if (err.code == ERR_UNAUTHORIZED)
        http_add_header(r, "WWW-Authenticate", "Bearer");
    r->refs++;
    http_reply_err(r, &err, NULL);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED && !r->route)
        r->status = status;
    return true;
}

static enum MHD_Result queue_reply(struct http_request *r)
{
    r->is_queued = true;
    if (r->status >= 500)
        r->server->counts.errors_5xx++;
    else if (r->status >= 400)
        r->server->counts.errors_4xx++;
    enum MHD_Result result = MHD_queue_response(r->conn, r->status, r->response);
    MHD_destroy_response(r->response);
    r->response = NULL;
    return result;
}

static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *conn, const char *url, const char *method,
                             void **con_cls)
{
    struct http_request *r = MEM_NEW(struct http_request);
    r->magic = HTTP_REQUEST_MAGIC;
    r->refs = 1;
    r->server = s;
    r->conn = conn;
    r->method = mem_dup(method);
    r->path = mem_dup(url);
    r->headers = json_object();
    *con_cls = r;
    list_add(s, r);
    s->counts.requests++;
    str_init(&r->body, 0);
    if (refuse_early(r))
        return queue_reply(r);
    str_done(&r->body);
    str_init(&r->body, r->route->body_max);
    if (r->route->flags & HTTP_SECRET) { /* at its full size at once: growing would leave copies behind */
        AUTO_FREE char *room = mem_alloc(r->route->body_max);
        str_add_bytes(&r->body, room, r->route->body_max);
        str_clear(&r->body);
    }
    return MHD_YES;
}

/* Many large bodies at once must not take the machine's memory: what comes on top is read and dropped. */
static void add_body(struct http_request *r, const char *bytes, size_t len)
{
    struct http_server *s = r->server;
    if (r->is_starved || s->body_bytes + len > HTTP_BODIES_MAX) {
        r->is_starved = true;
        str_clear(&r->body);
        return;
    }
    s->body_bytes += len;
    r->body_bytes += len;
    str_add_bytes(&r->body, bytes, len);
}

static enum MHD_Result dispatch(struct http_request *r)
{
    r->is_dispatched = true;
    r->deadline_ms = uv_now(r->server->loop) + HTTP_DEADLINE_MS;
    r->refs++; /* the handler's, until it answers */
    struct err err = {0};
    if (r->body.is_over)
        (void)err_set(&err, ERR_TOO_LARGE, "more than %zu bytes", r->route->body_max);
    else if (r->is_starved)
        (void)err_set(&err, ERR_RATE_LIMITED, "too many large requests at once");
    if (err.code) {
        http_reply_err(r, &err, NULL);
    } else {
        r->route->handler(r, r->server->arg);
    }
    if (r->is_answered)
        return queue_reply(r);
    r->is_suspended = true;
    MHD_suspend_connection(r->conn);
    return MHD_YES;
}

enum MHD_Result http_access(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
                            const char *version, const char *upload, size_t *upload_len, void **con_cls)
{
    (void)version;
    struct http_request *r = *con_cls;
    if (!r)
        return begin(arg, conn, url, method, con_cls);
    r = OBJ_CAST(r, struct http_request, HTTP_REQUEST_MAGIC);
    if (*upload_len) {
        if (!r->is_queued)
            add_body(r, upload, *upload_len);
        if (r->route && (r->route->flags & HTTP_SECRET)) /* MHD's own copy lies in its connection pool */
            secret_wipe(loose(upload), *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    if (r->is_queued)
        return MHD_YES;
    if (!r->is_dispatched)
        return dispatch(r);
    return r->is_answered ? queue_reply(r) : MHD_YES;
}

void http_completed(void *arg, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)conn;
    (void)why;
    struct http_request *r = *con_cls;
    if (!r)
        return;
    *con_cls = NULL;
    list_remove(r);
    r->server->body_bytes -= r->body_bytes;
    r->is_gone = true;
    if (r->response)
        MHD_destroy_response(r->response);
    r->response = NULL;
    http_request_unref(r);
}

/* ---- For handlers
 * -------------------------------------------------------------------------------------------------------- */

const char *http_param(const struct http_request *r, size_t index)
{
    ASSERT(index < HTTP_PARAMS_MAX);
    return r->params[index] ? r->params[index] : "";
}

const char *http_query(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_body(const struct http_request *r, size_t *ret_len)
{
    *ret_len = r->body.len;
    return r->body.data;
}

char *http_body_take(struct http_request *r, size_t *ret_len)
{
    *ret_len = r->body.len;
    return str_take(&r->body);
}
