/* A tiny TCP server on the test's own loop that speaks from a script: it reads whole HTTP requests, remembers them, and
 * does one step per request. It never sleeps; a step that drips writes a byte per turn of the loop. */
#pragma once

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

enum script_what {
    SCRIPT_ANSWER,       /* write `text`, keep the connection */
    SCRIPT_ANSWER_CLOSE, /* write `text`, then close */
    SCRIPT_DRIP,         /* one byte per turn */
    SCRIPT_RESET,        /* the whole request is read; reset instead of an answer */
    SCRIPT_CLOSE,        /* the same with an orderly close */
    SCRIPT_HANG          /* no answer at all */
};

struct script_step {
    enum script_what what;
    const char *text;
};

#define SCRIPT_REQUESTS_MAX 64
#define SCRIPT_CONNECTIONS_MAX 64

struct script_connection {
    uv_tcp_t tcp;
    struct script_server *server;
    struct str in;
    const char *drip;
    uv_idle_t idle;
    uint32_t open_handles;
    bool is_closing;
};

struct script_server {
    uv_loop_t *loop;
    uv_tcp_t listener;
    int port;
    const struct script_step *steps;
    size_t step_count, next_step;
    char *requests[SCRIPT_REQUESTS_MAX];
    size_t request_count, connection_count;
    struct script_connection *connections[SCRIPT_CONNECTIONS_MAX];
};

static inline void script_handle_closed(uv_handle_t *handle)
{
    struct script_connection *c = handle->data;
    if (--c->open_handles)
        return;
    for (size_t i = 0; i < SCRIPT_CONNECTIONS_MAX; i++)
        if (c->server->connections[i] == c)
            c->server->connections[i] = NULL;
    str_done(&c->in);
    mem_free(c);
}

static inline void script_connection_close(struct script_connection *c, bool by_reset)
{
    if (c->is_closing)
        return;
    c->is_closing = true;
    uv_close((uv_handle_t *)&c->idle, script_handle_closed);
    if (!by_reset || uv_tcp_close_reset(&c->tcp, script_handle_closed))
        uv_close((uv_handle_t *)&c->tcp, script_handle_closed);
}

static inline void script_written(uv_write_t *write, int status UNUSED)
{
    struct script_connection *c = write->data;
    if (c)
        script_connection_close(c, false);
    mem_free(write);
}

static inline void script_write(struct script_connection *c, const char *text, size_t len, bool then_close)
{
    uv_write_t *write = MEM_NEW(uv_write_t);
    write->data = then_close ? c : NULL;
    union {
        const char *from;
        char *to;
    } bytes = {.from = text};
    uv_buf_t buf = uv_buf_init(bytes.to, (unsigned)len);
    ASSERT(uv_write(write, (uv_stream_t *)&c->tcp, &buf, 1, script_written) == 0);
}

static inline void script_drip(uv_idle_t *idle)
{
    struct script_connection *c = idle->data;
    if (c->is_closing || !*c->drip) {
        (void)uv_idle_stop(idle);
        return;
    }
    script_write(c, c->drip++, 1, false);
}

static inline void script_act(struct script_connection *c)
{
    struct script_server *s = c->server;
    static const struct script_step over = {SCRIPT_ANSWER_CLOSE,
                                            "HTTP/1.1 599 script over\r\nContent-Length: 0\r\n\r\n"};
    const struct script_step *step = s->next_step < s->step_count ? &s->steps[s->next_step] : &over;
    s->next_step++;
    switch (step->what) {
    case SCRIPT_ANSWER:
        script_write(c, step->text, strlen(step->text), false);
        break;
    case SCRIPT_ANSWER_CLOSE:
        script_write(c, step->text, strlen(step->text), true);
        break;
    case SCRIPT_DRIP:
        c->drip = step->text;
        (void)uv_idle_start(&c->idle, script_drip);
        break;
    case SCRIPT_RESET:
        script_connection_close(c, true);
        break;
    case SCRIPT_CLOSE:
        script_connection_close(c, false);
        break;
    case SCRIPT_HANG:
        break;
    }
}

/* Length of a whole request at the start of `in`, 0 when more must come. */
static inline size_t script_request_len(const struct str *in)
{
    const char *end = strstr(in->data, "\r\n\r\n");
    if (!end)
        return 0;
    size_t body = 0;
    for (const char *line = in->data; line < end; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, "content-length:", 15) == 0)
            body = (size_t)strtoul(line + 15, NULL, 10);
    size_t all = (size_t)(end - in->data) + 4 + body;
    return in->len >= all ? all : 0;
}

static inline void script_alloc(uv_handle_t *handle UNUSED, size_t size, uv_buf_t *buf)
{
    *buf = uv_buf_init(mem_alloc(size), (unsigned)size);
}

static inline void script_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct script_connection *c = stream->data;
    if (n > 0)
        str_add_bytes(&c->in, buf->base, (size_t)n);
    mem_free(buf->base);
    if (n < 0) {
        script_connection_close(c, false);
        return;
    }
    for (size_t len; !c->is_closing && (len = script_request_len(&c->in));) {
        struct script_server *s = c->server;
        ASSERT(s->request_count < SCRIPT_REQUESTS_MAX);
        s->requests[s->request_count++] = mem_dup_bytes(c->in.data, len);
        AUTO_FREE char *rest = mem_dup_bytes(c->in.data + len, c->in.len - len);
        size_t rest_len = c->in.len - len;
        str_clear(&c->in);
        str_add_bytes(&c->in, rest, rest_len);
        script_act(c);
    }
}

static inline void script_accept(uv_stream_t *listener, int status)
{
    ASSERT(status == 0);
    struct script_server *s = listener->data;
    struct script_connection *c = MEM_NEW(struct script_connection);
    c->server = s;
    str_init(&c->in, (size_t)16 * 1024 * 1024);
    c->open_handles = 2;
    ASSERT(uv_tcp_init(s->loop, &c->tcp) == 0 && uv_idle_init(s->loop, &c->idle) == 0);
    c->tcp.data = c->idle.data = c;
    size_t at = 0;
    while (at < SCRIPT_CONNECTIONS_MAX && s->connections[at])
        at++;
    ASSERT(at < SCRIPT_CONNECTIONS_MAX);
    s->connections[at] = c;
    s->connection_count++;
    ASSERT(uv_accept(listener, (uv_stream_t *)&c->tcp) == 0);
    ASSERT(uv_read_start((uv_stream_t *)&c->tcp, script_alloc, script_read) == 0);
}

static inline void script_server_start(struct script_server *s, uv_loop_t *loop, const struct script_step *steps,
                                       size_t count)
{
    *s = (struct script_server){.loop = loop, .steps = steps, .step_count = count};
    struct sockaddr_in address;
    ASSERT(uv_ip4_addr("127.0.0.1", 0, &address) == 0 && uv_tcp_init(loop, &s->listener) == 0);
    s->listener.data = s;
    ASSERT(uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0) == 0);
    ASSERT(uv_listen((uv_stream_t *)&s->listener, 128, script_accept) == 0);
    int len = sizeof address;
    ASSERT(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &len) == 0);
    s->port = ntohs(address.sin_port);
}

static inline void script_drop_connections(struct script_server *s)
{
    for (size_t i = 0; i < SCRIPT_CONNECTIONS_MAX; i++)
        if (s->connections[i])
            script_connection_close(s->connections[i], false);
}

static inline void script_server_stop(struct script_server *s)
{
    script_drop_connections(s);
    uv_close((uv_handle_t *)&s->listener, NULL);
}

/* After the loop has run out. */
static inline void script_server_done(struct script_server *s)
{
    for (size_t i = 0; i < s->request_count; i++)
        mem_free(s->requests[i]);
}
