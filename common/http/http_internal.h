/* Shared by the two halves of the HTTP client: http_client.c turns the crank (curl multi on uv), http_call.c knows one
 * exchange. Nobody else includes this. */
#pragma once

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/http/http_client.h"

#include <curl/curl.h>

#define HTTP_CLIENT_MAGIC 0x68747063U
#define HTTP_CALL_MAGIC 0x6874746bU
#define HTTP_HEADERS_BYTES_MAX ((size_t)64 * 1024)
#define HTTP_URL_BYTES_MAX 8192U
#define HTTP_TIMEOUT_MS_DEFAULT 30000U
#define HTTP_CONNECT_MS_DEFAULT 10000U

struct http_socket; /* one uv_poll_t per curl socket */

struct http_client {
    uint32_t magic;
    uv_loop_t *loop;
    const struct env *env;
    CURLM *multi;
    char *ca_file;
    bool (*gate)(void *arg, const char *origin);
    void *gate_arg;
    uv_timer_t curl_timer; /* curl's own clock */
    uv_timer_t late_timer; /* brings refusals back to the caller in a later turn of the loop */
    struct http_socket *sockets;
    struct http_call *calls; /* outstanding, those that are only waiting to be told their refusal included */
    uint32_t active;
    uint32_t handles_open; /* uv handles whose close callback has not run */
    uint32_t busy;         /* callbacks of the user on the stack */
    bool is_closing;
    bool has_been_cleaned;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct http_call {
    uint32_t magic;
    struct http_client *client;
    struct http_call *next, *prev;
    http_done_fn *done;
    void *arg;
    bool (*may_start)(void *arg);
    CURL *easy; /* NULL when refused before curl saw it */
    struct curl_slist *headers;
    char *body;
    size_t body_bytes;
    size_t response_bytes_max;
    uint32_t timeout_ms;
    char curl_error[CURL_ERROR_SIZE];
    struct str response_headers;
    struct str response_body;
    int status;
    uint64_t sent_boot_ms;
    uint64_t received_boot_ms;
    uint32_t dials;  /* sockets opened for this call: 0 at the start of the request means a kept connection */
    uint32_t starts; /* how often curl was about to write the request */
    bool is_new_connection;
    bool is_over;         /* answer larger than allowed */
    bool is_link_local;   /* the name led to an address that nobody may dial */
    bool is_late_refused; /* `refusal` waits for late_timer */
    struct err refusal;
};

/* Checks and copies the request into a curl handle. Without one, `call->refusal` says why. */
void http_call_prepare(struct http_call *call, const struct http_request *request);
/* What became of it: 0 for an answer, else *err. */
int http_call_result(struct http_call *call, CURLcode code, struct err *err);
void http_call_free(struct http_call *call);
