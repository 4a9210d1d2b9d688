/* HTTP client: curl multi on a uv loop. Callbacks are always late (never inside http_send).
 * Invariant: only addresses that the gate allows can be dialled (P11). */
#pragma once

#include "common/base/env.h"
#include "common/base/err.h"

#include <stdbool.h>
#include <uv.h>

struct http_client;
struct http_call;

struct http_header {
    const char *name;
    const char *value;
};

struct http_request { /* all borrowed until http_send returns: copied */
    const char *method;
    const char *url; /* sent as it is, already encoded */
    const struct http_header *headers;
    size_t header_count;
    const void *body;
    size_t body_bytes;
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;
    size_t response_bytes_max;
    /* Asked with http_send's `arg` when the connection stands and the first byte is about to leave; false ends the call
     * as APPLIED_NO. Between http_send and that moment lie name, connect and TLS, and whatever stopped this process.
     * NULL: it may. */
    bool (*may_start)(void *arg);
};

struct http_response {
    int status;    /* 0 when there was no answer */
    char *headers; /* "name: value\n" lines, names lower-case */
    char *body;    /* NUL-terminated */
    size_t body_bytes;
    uint64_t sent_boot_ms;     /* just before its first byte */
    uint64_t received_boot_ms; /* the head of the answer */
};
/* Value of a response header by lower-case name into `ret`; false when absent or longer. */
bool http_response_header(const struct http_response *r, const char *name, char *ret, size_t ret_size);

/* `err` is NULL on any HTTP answer, whatever its status. Otherwise err->applied says whether the request can have been
 * acted on: APPLIED_NO when no byte of it left, else APPLIED_MAYBE. Both pointers are borrowed. */
typedef void http_done_fn(void *arg, const struct http_response *response, const struct err *err);

struct http_client_options {
    const struct env *env;
    uint32_t connections_max; /* kept warm; above the number of hosts */
    const char *ca_file;      /* NULL: the system's */
    /* NULL allows every address. Otherwise called with scheme://host:port before each call; false refuses it. */
    bool (*gate)(void *arg, const char *origin);
    void *gate_arg;
};

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options);
/* Outstanding calls are dropped without callback. `closed` runs when the loop holds nothing of ours any more; may be
 * NULL. */
void http_client_close(struct http_client *client, void (*closed)(void *arg), void *arg);
struct http_call *http_send(struct http_client *client, const struct http_request *request, http_done_fn *done,
                            void *arg);
void http_cancel(struct http_call *call); /* no callback afterwards */
uint32_t http_client_active(const struct http_client *client);
