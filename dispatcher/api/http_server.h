/* HTTP on the uv loop: libmicrohttpd in external mode, its epoll descriptor polled by uv. One thread, no locks.
 *
 * A handler answers once, now or later, with one of the http_reply functions; until then the connection is suspended.
 * A request that nobody answered in time gets 503 and its late answer is dropped, so no connection hangs for ever.
 * Streams (SSE): see http_stream. */
#pragma once

#include "common/base/err.h"
#include "common/codec/json.h"

#include <uv.h>

#define HTTP_PARAMS_MAX 2

struct http_server;
struct http_request;

typedef void http_handler_fn(struct http_request *r, void *arg);
struct http_route {
    const char *method;
    const char *pattern; /* "/v1/imports/{id}:pause" */
    http_handler_fn *handler;
    size_t body_max; /* 0: no body taken */
    unsigned flags;
};
enum http_flag {
    HTTP_OPEN = 1 /* no token */,
    HTTP_SECRET = 2 /* the body is wiped after use */,
    HTTP_LOCAL = 4 /* works without Redis */
};

struct http_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:0" */
    const char *token;  /* copied as a digest */
    const struct http_route *routes;
    size_t route_count;
    void *arg;                   /* for the handlers */
    bool (*is_ready)(void *arg); /* false: 503 for all routes that need Redis */
};
NODISCARD int http_server_start(uv_loop_t *loop, const struct http_options *options, struct http_server **ret,
                                struct err *err);
const char *http_server_address(const struct http_server *s); /* "127.0.0.1:38123" as bound */
/* No new connections; open streams end; requests under way are answered. `closed` when the loop holds nothing of it. */
void http_server_stop(struct http_server *s, void (*closed)(void *arg), void *arg);

struct http_counts {
    uint64_t requests, errors_4xx, errors_5xx, refused_busy;
    uint32_t open, streams;
};
const struct http_counts *http_server_counts(const struct http_server *s);

/* ---- In a handler
 * -------------------------------------------------------------------------------------------------------- */
const char *http_param(const struct http_request *r, size_t index);
const char *http_query(const struct http_request *r, const char *name);  /* NULL when absent */
const char *http_header(const struct http_request *r, const char *name); /* NULL when absent */
const char *http_path(const struct http_request *r);
const char *http_method(const struct http_request *r);
const char *http_body(const struct http_request *r, size_t *ret_len);
/* The body may outlive the request (it is read on another thread): mem_free. */
char *http_body_take(struct http_request *r, size_t *ret_len);

void http_add_header(struct http_request *r, const char *name, const char *value);
void http_reply(struct http_request *r, unsigned status, const char *content_type, char *text /* taken */);
void http_reply_bytes(struct http_request *r, unsigned status, const char *content_type, const char *constant,
                      size_t len);
void http_reply_json(struct http_request *r, unsigned status, json_t *value /* taken */);
/* application/problem+json; errors may be NULL (borrowed). */
void http_reply_err(struct http_request *r, const struct err *err, const json_t *errors);
unsigned http_status_of(enum err_code code);
json_t *http_problem(unsigned status, const struct err *err, const json_t *errors); /* new reference */

/* ---- Streams
 * --------------------------------------------------------------------------------------------------------------- */
struct http_stream;
/* Answers the request with an endless body; `gone` runs once, when the client or the server has left: forget the
 * stream. */
struct http_stream *http_stream_start(struct http_request *r, const char *content_type, void (*gone)(void *arg),
                                      void *arg);
/* False when the client reads too slowly (1 MiB waiting): the stream is ended. */
bool http_stream_send(struct http_stream *s, const char *bytes, size_t len);
