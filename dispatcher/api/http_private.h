/* Inside of the HTTP server: shared by its loop glue, its requests and its replies. */
#pragma once

#include "dispatcher/api/http_server.h"

#include "common/base/str.h"

#include <microhttpd.h>

#define HTTP_BUSY_MAX 512                   /* requests under way; more are told 429 */
#define HTTP_DEADLINE_MS 20000              /* for an answer */
#define HTTP_BODIES_MAX ((size_t)256 << 20) /* of all requests together; more are told 429 */
#define HTTP_REQUEST_MAGIC 0x48525131u
#define HTTP_STREAM_MAX ((size_t)1 << 20)

struct http_server {
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_timer_t timer, sweep;
    const struct http_route *routes;
    size_t route_count;
    void *arg;
    bool (*is_ready)(void *arg);
    unsigned char token_digest[32];
    char address[96];
    struct http_counts counts;
    struct http_request *requests; /* all that are open */
    struct http_stream *streams;
    size_t body_bytes; /* held for requests */
    bool is_running, has_kick, is_closing;
    int handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct http_request {
    uint32_t magic;
    uint32_t refs; /* MHD's one, and the handler's until it has answered */
    struct http_server *server;
    struct MHD_Connection *conn;
    struct http_request *prev, *next;
    const struct http_route *route;
    char *method, *path;
    char *params[HTTP_PARAMS_MAX];
    struct str body;
    uint64_t deadline_ms;
    size_t body_bytes; /* counted for this one */
    bool is_dispatched, is_suspended, is_answered, is_queued, is_gone, is_starved;
    struct MHD_Response *response;
    unsigned status;
    json_t *headers;
};

struct http_stream {
    struct http_server *server;
    struct MHD_Connection *conn;
    struct http_stream *prev, *next;
    struct str out;
    size_t sent;
    bool is_suspended, is_ended;
    void (*gone)(void *arg);
    void *arg;
};

void http_kick(struct http_server *s);
void http_request_unref(struct http_request *r);
void http_finish(struct http_request *r, unsigned status, struct MHD_Response *response);
enum MHD_Result http_access(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
                            const char *version, const char *upload, size_t *upload_len, void **con_cls);
void http_completed(void *arg, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode why);
void http_stream_resume(struct http_stream *s);
