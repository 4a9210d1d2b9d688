#include "tests/integration/scenario/scenario_delay.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pump {
    struct delay *delay;
    uv_tcp_t client, server;
    uv_connect_t connect;
    int open; /* handles */
    bool is_connected, is_closing, is_held;
    char *early; /* bytes before the connection stood */
    size_t early_bytes;
};

struct delay {
    uv_loop_t *loop;
    uv_tcp_t listener;
    struct sockaddr_in to;
    int port;
    char word[128];
    char *kept;
    size_t kept_bytes;
};

struct write {
    uv_write_t write;
    char *bytes;
};

static void alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    (void)handle;
    buf->base = mem_alloc(hint);
    buf->len = hint;
}

static void pump_closed(uv_handle_t *handle)
{
    struct pump *p = handle->data;
    if (--p->open)
        return;
    mem_free(p->early);
    mem_free(p);
}

static void pump_close(struct pump *p)
{
    if (p->is_closing)
        return;
    p->is_closing = true;
    uv_close((uv_handle_t *)&p->client, pump_closed);
    uv_close((uv_handle_t *)&p->server, pump_closed);
}

static void written(uv_write_t *write, int status)
{
    struct write *w = write->data;
    (void)status;
    mem_free(w->bytes);
    mem_free(w);
}

static void send_to(uv_tcp_t *to, char *bytes, size_t len)
{
    struct write *w = MEM_NEW(struct write);
    uv_buf_t buf = uv_buf_init(bytes, (unsigned)len);
    w->bytes = bytes;
    w->write.data = w;
    if (uv_write(&w->write, (uv_stream_t *)to, &buf, 1, written) < 0)
        written(&w->write, -1);
}

static bool is_wanted(const struct delay *d, const char *bytes, size_t len)
{
    if (!d->word[0] || len < 8 || strncmp(bytes, "GET ", 4) == 0 || strncmp(bytes, "HEAD ", 5) == 0)
        return false;
    return memmem(bytes, len, d->word, strlen(d->word)) != NULL;
}

static void from_client(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct pump *p = stream->data;
    struct delay *d = p->delay;
    if (n <= 0) {
        mem_free(buf->base);
        if (n < 0)
            pump_close(p);
        return;
    }
    if (p->is_held || is_wanted(d, buf->base, (size_t)n)) { /* with all that follows on this connection */
        p->is_held = true;
        d->word[0] = 0;
        d->kept = mem_resize(d->kept, d->kept_bytes + (size_t)n);
        memcpy(d->kept + d->kept_bytes, buf->base, (size_t)n);
        d->kept_bytes += (size_t)n;
        mem_free(buf->base);
    } else if (p->is_connected) {
        send_to(&p->server, buf->base, (size_t)n);
    } else {
        p->early = mem_resize(p->early, p->early_bytes + (size_t)n);
        memcpy(p->early + p->early_bytes, buf->base, (size_t)n);
        p->early_bytes += (size_t)n;
        mem_free(buf->base);
    }
}

static void from_server(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct pump *p = stream->data;
    if (n > 0) {
        send_to(&p->client, buf->base, (size_t)n);
        return;
    }
    mem_free(buf->base);
    if (n < 0)
        pump_close(p);
}

static void connected(uv_connect_t *connect, int status)
{
    struct pump *p = connect->data;
    if (p->is_closing)
        return;
    if (status < 0) {
        pump_close(p);
        return;
    }
    p->is_connected = true;
    if (p->early_bytes)
        send_to(&p->server, TAKE(p->early), p->early_bytes);
    (void)uv_read_start((uv_stream_t *)&p->server, alloc, from_server);
}

static void accepted(uv_stream_t *listener, int status)
{
    struct delay *d = listener->data;
    if (status < 0)
        return;
    struct pump *p = MEM_NEW(struct pump);
    p->delay = d;
    p->open = 2;
    ASSERT(uv_tcp_init(d->loop, &p->client) == 0 && uv_tcp_init(d->loop, &p->server) == 0);
    p->client.data = p->server.data = p->connect.data = p;
    if (uv_accept(listener, (uv_stream_t *)&p->client) < 0) {
        pump_close(p);
        return;
    }
    (void)uv_tcp_nodelay(&p->client, 1);
    (void)uv_tcp_nodelay(&p->server, 1);
    (void)uv_read_start((uv_stream_t *)&p->client, alloc, from_client);
    (void)uv_tcp_connect(&p->connect, &p->server, (const struct sockaddr *)&d->to, connected);
}

struct delay *delay_start(uv_loop_t *loop, int to_port)
{
    struct delay *d = MEM_NEW(struct delay);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof at;
    d->loop = loop;
    d->to = at;
    d->to.sin_port = htons((uint16_t)to_port);
    ASSERT(uv_tcp_init(loop, &d->listener) == 0);
    d->listener.data = d;
    ASSERT(uv_tcp_bind(&d->listener, (const struct sockaddr *)&at, 0) == 0);
    ASSERT(uv_listen((uv_stream_t *)&d->listener, 64, accepted) == 0);
    ASSERT(uv_tcp_getsockname(&d->listener, (struct sockaddr *)&at, &len) == 0);
    d->port = ntohs(at.sin_port);
    return d;
}

int delay_port(const struct delay *d)
{
    return d->port;
}

void delay_arm(struct delay *d, const char *word)
{
    mem_free(TAKE(d->kept));
    d->kept_bytes = 0;
    (void)snprintf(d->word, sizeof d->word, "%s", word);
}

bool delay_has(const struct delay *d)
{
    return d->kept != NULL;
}

/* Whether a whole answer is there: its head, and as many bytes as it says. */
static bool is_whole(const char *answer, size_t len)
{
    const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\ncontent-length:");
    if (!end)
        return false;
    size_t body = length && length < end ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
    return len >= (size_t)(end - answer) + 4 + body;
}

static void read_answer(int fd)
{
    char answer[65536];
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < sizeof answer - 1) {
        n = read(fd, answer + len, sizeof answer - 1 - len);
        len += n > 0 ? (size_t)n : 0;
        answer[len] = 0;
        if (is_whole(answer, len))
            return;
    }
}

/* The zombie's connection is its own; nobody reads its answer but us. */
bool delay_release(struct delay *d)
{
    d->word[0] = 0;
    if (!d->kept)
        return false;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0 && connect(fd, (const struct sockaddr *)&d->to, sizeof d->to) == 0);
    ASSERT(write(fd, d->kept, d->kept_bytes) == (ssize_t)d->kept_bytes);
    read_answer(fd);
    (void)close(fd);
    mem_free(TAKE(d->kept));
    return true;
}

static void delay_closed(uv_handle_t *handle)
{
    struct delay *d = handle->data;
    mem_free(d->kept);
    mem_free(d);
}

void delay_close(struct delay *d)
{
    uv_close((uv_handle_t *)&d->listener, delay_closed);
}
