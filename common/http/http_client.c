/* The crank of the HTTP client: curl multi driven by a uv loop, in the way that libuv and curl both document.
 *
 * One heap uv_poll_t per curl socket, freed in its close callback only. curl's timer of 0 ms goes through the loop, so
 * curl is never entered from inside its own callback. User callbacks run from the loop, never from http_send; they may
 * send, cancel and close. */
#include "common/http/http_internal.h"

struct http_socket {
    uv_poll_t poll;
    struct http_client *client;
    struct http_socket *next, *prev;
    curl_socket_t fd;
};

static void client_release(struct http_client *client)
{
    if (client->handles_open || client->busy || !client->has_been_cleaned)
        return;
    void (*closed)(void *) = client->closed;
    void *arg = client->closed_arg;
    mem_free(client->ca_file);
    client->magic = 0;
    mem_free(client);
    curl_global_cleanup();
    if (closed)
        closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_client *client = OBJ_CAST(handle->data, struct http_client, HTTP_CLIENT_MAGIC);
    client->handles_open--;
    client_release(client);
}

static void call_unlink(struct http_call *call)
{
    struct http_client *client = call->client;
    if (call->prev)
        call->prev->next = call->next;
    else
        client->calls = call->next;
    if (call->next)
        call->next->prev = call->prev;
    call->next = call->prev = NULL;
    client->active--;
}

static void call_drop(struct http_call *call)
{
    call_unlink(call);
    if (call->easy && !call->is_late_refused)
        (void)curl_multi_remove_handle(call->client->multi, call->easy);
    http_call_free(call);
}

static void call_tell(struct http_call *call, const struct err *err)
{
    struct http_client *client = call->client;
    call_unlink(call);
    struct http_response response = {
        .status = call->status,
        .headers = call->response_headers.data,
        .body = call->response_body.data,
        .body_bytes = call->response_body.len,
        .sent_boot_ms = call->sent_boot_ms,
        .received_boot_ms = call->received_boot_ms,
    };
    client->busy++;
    call->done(call->arg, &response, err);
    client->busy--;
    http_call_free(call);
}

/* Finishes what curl is done with. A callback may close the client, so the flag is read again after each. */
static void take_finished(struct http_client *client)
{
    int left = 0;
    for (CURLMsg *m; !client->is_closing && (m = curl_multi_info_read(client->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        void *private = NULL;
        CURLcode code = m->data.result;
        CURL *easy = m->easy_handle;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&private);
        struct http_call *call = OBJ_CAST(private, struct http_call, HTTP_CALL_MAGIC);
        struct err err = {0};
        int rc = http_call_result(call, code, &err);
        (void)curl_multi_remove_handle(client->multi, easy);
        call_tell(call, rc ? &err : NULL);
    }
}

static void on_late(uv_timer_t *timer)
{
    struct http_client *client = OBJ_CAST(timer->data, struct http_client, HTTP_CLIENT_MAGIC);
    client->busy++;
    for (bool again = true; again && !client->is_closing;) {
        again = false;
        /* The list may change under a callback: start over after each. Refusals are few. */
        struct http_call *oldest = NULL;
        for (struct http_call *c = client->calls; c; c = c->next)
            if (c->is_late_refused)
                oldest = c;
        if (oldest) {
            struct err err = oldest->refusal;
            call_tell(oldest, &err);
            again = true;
        }
    }
    client->busy--;
    client_release(client);
}

static void turn(struct http_client *client, curl_socket_t fd, int events)
{
    int running = 0;
    client->busy++;
    if (!client->is_closing) {
        (void)curl_multi_socket_action(client->multi, fd, events, &running);
        take_finished(client);
    }
    client->busy--;
    client_release(client);
}

static void on_curl_timer(uv_timer_t *timer)
{
    turn(OBJ_CAST(timer->data, struct http_client, HTTP_CLIENT_MAGIC), CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_socket *socket = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    turn(socket->client, socket->fd, flags); /* `socket` may be gone after this */
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct http_socket *socket = handle->data;
    struct http_client *client = OBJ_CAST(socket->client, struct http_client, HTTP_CLIENT_MAGIC);
    mem_free(socket);
    client->handles_open--;
    client_release(client);
}

static void socket_close(struct http_socket *socket)
{
    if (socket->prev)
        socket->prev->next = socket->next;
    else
        socket->client->sockets = socket->next;
    if (socket->next)
        socket->next->prev = socket->prev;
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

static struct http_socket *socket_open(struct http_client *client, curl_socket_t fd)
{
    struct http_socket *socket = MEM_NEW(struct http_socket);
    socket->client = client;
    socket->fd = fd;
    socket->poll.data = socket;
    if (uv_poll_init_socket(client->loop, &socket->poll, fd)) {
        mem_free(socket); /* the descriptor cannot be watched: curl's timeout ends the call */
        return NULL;
    }
    client->handles_open++;
    socket->next = client->sockets;
    if (socket->next)
        socket->next->prev = socket;
    client->sockets = socket;
    (void)curl_multi_assign(client->multi, fd, socket);
    return socket;
}

static int curl_socket_changed(CURL *easy UNUSED, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http_client *client = OBJ_CAST(arg, struct http_client, HTTP_CLIENT_MAGIC);
    struct http_socket *socket = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (socket) {
            (void)curl_multi_assign(client->multi, fd, NULL);
            socket_close(socket);
        }
        return 0;
    }
    if (!socket)
        socket = socket_open(client, fd);
    if (!socket)
        return 0;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    (void)uv_poll_start(&socket->poll, events, on_poll);
    return 0;
}

static int curl_timer_changed(CURLM *multi UNUSED, long timeout_ms, void *arg)
{
    struct http_client *client = OBJ_CAST(arg, struct http_client, HTTP_CLIENT_MAGIC);
    if (client->is_closing)
        return 0;
    if (timeout_ms < 0)
        (void)uv_timer_stop(&client->curl_timer);
    else
        (void)uv_timer_start(&client->curl_timer, on_curl_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options)
{
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    struct http_client *client = MEM_NEW(struct http_client);
    client->magic = HTTP_CLIENT_MAGIC;
    client->loop = loop;
    client->env = options->env ? options->env : env_system();
    client->ca_file = options->ca_file && *options->ca_file ? mem_dup(options->ca_file) : NULL;
    client->gate = options->gate;
    client->gate_arg = options->gate_arg;
    client->multi = curl_multi_init();
    ASSERT(client->multi);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, curl_socket_changed);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, curl_timer_changed);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    /* Below the number of warm hosts the cache thrashes: each call would pay for a new handshake. */
    long kept = options->connections_max ? (long)options->connections_max : 64;
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, kept);
    (void)curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)uv_timer_init(loop, &client->curl_timer);
    (void)uv_timer_init(loop, &client->late_timer);
    client->curl_timer.data = client->late_timer.data = client;
    client->handles_open = 2;
    return client;
}

void http_client_close(struct http_client *client, void (*closed)(void *arg), void *arg)
{
    ASSERT(client->magic == HTTP_CLIENT_MAGIC && !client->is_closing);
    client->is_closing = true;
    client->closed = closed;
    client->closed_arg = arg;
    while (client->calls)
        call_drop(client->calls);
    (void)curl_multi_cleanup(client->multi); /* takes its sockets away through curl_socket_changed */
    while (client->sockets)
        socket_close(client->sockets);
    uv_close((uv_handle_t *)&client->curl_timer, on_timer_closed);
    uv_close((uv_handle_t *)&client->late_timer, on_timer_closed);
    client->has_been_cleaned = true;
}

struct http_call *http_send(struct http_client *client, const struct http_request *request, http_done_fn *done,
                            void *arg)
{
    ASSERT(client->magic == HTTP_CLIENT_MAGIC && !client->is_closing);
    struct http_call *call = MEM_NEW(struct http_call);
    call->magic = HTTP_CALL_MAGIC;
    call->client = client;
    call->done = done;
    call->arg = arg;
    call->may_start = request->may_start;
    call->next = client->calls;
    if (call->next)
        call->next->prev = call;
    client->calls = call;
    client->active++;
    http_call_prepare(call, request);
    if (!call->refusal.code && curl_multi_add_handle(client->multi, call->easy) != CURLM_OK)
        (void)err_set(&call->refusal, ERR_INTERNAL, "the HTTP library does not take the request");
    if (call->refusal.code) {
        call->is_late_refused = true;
        (void)uv_timer_start(&client->late_timer, on_late, 0, 0);
    }
    return call;
}

void http_cancel(struct http_call *call)
{
    ASSERT(call->magic == HTTP_CALL_MAGIC);
    call_drop(call);
}

uint32_t http_client_active(const struct http_client *client)
{
    return client->active;
}
