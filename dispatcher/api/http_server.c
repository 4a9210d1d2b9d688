/* libmicrohttpd 0.9.75 on uv, with three traps avoided: MHD_get_timeout ignores pending resumes (own kick), MHD_run
 * must not be entered twice, and MHD_stop_daemon aborts while a connection is suspended (all are resumed and ended
 * first). */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/crypto.h"
#include "dispatcher/api/http_private.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#define CONNECTIONS_MAX 2000
#define IDLE_S 65 /* seconds an idle kept connection stays open */

static void run(struct http_server *s)
{
    if (s->is_running) {
        s->has_kick = true;
        return;
    }
    s->is_running = true;
    for (int i = 0; i < 64; i++) { /* bounded: other handles of the loop want their turn */
        s->has_kick = false;
        (void)MHD_run(s->daemon);
        MHD_UNSIGNED_LONG_LONG wait = 0;
        bool is_due = MHD_get_timeout(s->daemon, &wait) == MHD_YES && wait == 0;
        if (!is_due && !s->has_kick)
            break;
    }
    s->is_running = false;
}

static void arm(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait = 0;
    if (s->has_kick)
        wait = 0;
    else if (MHD_get_timeout(s->daemon, &wait) != MHD_YES) {
        (void)uv_timer_stop(&s->timer);
        return;
    }
    (void)uv_timer_start(&s->timer, s->timer.timer_cb, wait, 0);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    run(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
    run(handle->data);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct http_server *s = handle->data;
    if (s->has_kick)
        run(s);
    arm(s);
}

void http_kick(struct http_server *s)
{
    s->has_kick = true;
}

/* Deadlines: a suspended connection neither times out nor notices that its client left. */
static void on_sweep(uv_timer_t *handle)
{
    struct http_server *s = handle->data;
    uint64_t now = uv_now(s->loop);
    for (struct http_request *r = s->requests, *next; r; r = next) {
        next = r->next;
        if (!r->is_dispatched || r->is_answered || now < r->deadline_ms)
            continue;
        struct err err = {0};
        (void)err_set(&err, ERR_REDIS, "no answer within %d s", HTTP_DEADLINE_MS / 1000);
        r->refs++; /* the reply below is not the handler's own: its late one only gives its reference back */
        http_reply_err(r, &err, NULL);
    }
}

/* ---- Start
 * --------------------------------------------------------------------------------------------------------------- */

static int split_address(const char *address, char host[64], char port[8], struct err *err)
{
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0;
    const char *from = address;
    if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
        from++;
        n -= 2;
    }
    uint64_t number = 0;
    if (!colon || n >= 64 || !str_to_u64(colon + 1, 65535, &number))
        return err_set(err, ERR_CONFIG, "listen must be ADDRESS:PORT, not \"%.64s\"", address);
    memcpy(host, from, n);
    host[n] = 0;
    (void)snprintf(port, 8, "%u", (unsigned)number);
    return 0;
}

static int bind_socket(const char *address, char ret_address[96], struct err *err)
{
    char host[64] = "", port[8] = "";
    if (split_address(address, host, port, err) < 0)
        return -1;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    if (getaddrinfo(*host ? host : NULL, port, &hints, &found) != 0 || !found)
        return err_set(err, ERR_CONFIG, "listen: the address %s is not known", host);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    bool is_ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                 bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 512) == 0;
    freeaddrinfo(found);
    if (!is_ok) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return err_set(err, ERR_IO, "cannot listen on %s: %s", address, strerror(why));
    }
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char name[64] = "", number[8] = "";
    (void)getsockname(fd, (struct sockaddr *)&bound, &len);
    (void)getnameinfo((struct sockaddr *)&bound, len, name, sizeof name, number, sizeof number,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(ret_address, 96, strchr(name, ':') ? "[%s]:%s" : "%s:%s", name, number);
    return fd;
}

static int start_daemon(struct http_server *s, int fd, struct err *err)
{
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, http_access, s,
                                 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, http_completed, s,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        return err_set(err, ERR_IO, "the HTTP server does not start");
    }
    return 0;
}

static void add_handle(struct http_server *s, uv_handle_t *handle)
{
    handle->data = s;
    s->handles++;
}

int http_server_start(uv_loop_t *loop, const struct http_options *o, struct http_server **ret, struct err *err)
{
    struct http_server *s = MEM_NEW(struct http_server);
    s->loop = loop;
    s->routes = o->routes;
    s->route_count = o->route_count;
    s->arg = o->arg;
    s->is_ready = o->is_ready;
    crypto_sha256(o->token, strlen(o->token), s->token_digest);
    int fd = bind_socket(o->listen, s->address, err);
    if (fd < 0 || start_daemon(s, fd, err) < 0) {
        mem_free(s);
        return -1;
    }
    int epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    ASSERT(uv_poll_init(loop, &s->poll, epoll_fd) == 0 && uv_prepare_init(loop, &s->prepare) == 0);
    ASSERT(uv_timer_init(loop, &s->timer) == 0 && uv_timer_init(loop, &s->sweep) == 0);
    add_handle(s, (uv_handle_t *)&s->poll);
    add_handle(s, (uv_handle_t *)&s->prepare);
    add_handle(s, (uv_handle_t *)&s->timer);
    add_handle(s, (uv_handle_t *)&s->sweep);
    ASSERT(uv_poll_start(&s->poll, UV_READABLE, on_readable) == 0 && uv_prepare_start(&s->prepare, on_prepare) == 0);
    ASSERT(uv_timer_start(&s->timer, on_timer, 0, 0) == 0 && uv_timer_start(&s->sweep, on_sweep, 1000, 1000) == 0);
    *ret = s;
    return 0;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

const struct http_counts *http_server_counts(const struct http_server *s)
{
    return &s->counts;
}

/* ---- Stop
 * ------------------------------------------------------------------------------------------------------------------ */

static void handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (--s->handles)
        return;
    if (s->closed)
        s->closed(s->closed_arg);
    mem_free(s);
}

void http_server_stop(struct http_server *s, void (*closed)(void *arg), void *arg)
{
    s->is_closing = true;
    s->closed = closed;
    s->closed_arg = arg;
    for (struct http_stream *stream = s->streams; stream; stream = stream->next) {
        stream->is_ended = true;
        http_stream_resume(stream);
    }
    for (struct http_request *r = s->requests, *next; r; r = next) {
        next = r->next;
        if (!r->is_dispatched || r->is_answered)
            continue;
        struct err err = {0};
        (void)err_set(&err, ERR_REDIS, "the dispatcher is stopping");
        r->refs++;
        http_reply_err(r, &err, NULL);
    }
    run(s);
    run(s);
    MHD_stop_daemon(s->daemon);
    uv_close((uv_handle_t *)&s->poll, handle_closed);
    uv_close((uv_handle_t *)&s->prepare, handle_closed);
    uv_close((uv_handle_t *)&s->timer, handle_closed);
    uv_close((uv_handle_t *)&s->sweep, handle_closed);
}
