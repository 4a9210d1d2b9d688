/* chaos_proxy: a bad network between processes. Reads commands from stdin, one per line, answers each with one line.
 *
 *   listen NAME HOST:PORT   a new port on loopback that leads there; answers the port
 *   to NAME HOST:PORT       leads elsewhere from now on; what is open is reset
 *   cut NAME                nothing passes, either way, nobody is told. New connections come in and hear nothing
 *   deaf NAME               requests arrive, answers do not
 *   slow NAME MS            every piece takes MS longer, either way
 *   heal NAME               passes again. What a cut kept is delivered now, as TCP would after a partition: a request
 *                           may arrive long after its sender's session has ended
 *   reset NAME              all connections end, with an RST to both sides
 *   late NAME MS [WORD PID] whatever open connections send within the next 50 ms is kept, their clients are reset, and
 *                           MS later the server gets it all the same; its answers reach nobody. With WORD it begins
 *                           when a client has sent that, and process PID is killed before it can learn of the reset:
 *                           by then no conductor would be quick enough on a busy machine
 *   stats                   {"connections", "resets", "delivered_late", "answers_dropped", "caught"}
 *
 * One loop, no thread. Ends when stdin does. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#define GATHER_MS 50
#define GONE_MS 300 /* a late request's connection stays so long, that the server has read it */
#define ROUTES_MAX 64
#define READ_BYTES 65536

enum mode { PASSES, CUT, DEAF };
enum { UP, DOWN }; /* towards the server, towards the client */

struct chunk {
    struct chunk *next;
    uint64_t due_ms;
    size_t len;
    bool was_cut; /* kept by a cut or a late: told apart in the counts */
    char bytes[];
};

struct side { /* one direction of a connection */
    struct chunk *first, **last;
    bool is_ended, has_ended; /* the sender said so; the receiver was told */
};

struct conn {
    struct conn *next, **back;
    struct route *route;
    uv_tcp_t client, server;
    uv_timer_t timer;
    struct side sides[2];
    bool is_connected, is_closing, is_late, is_client_closed, is_server_closed;
    uint64_t late_at_ms; /* when a late one delivers */
    int open_handles;
};

struct route {
    char name[32];
    uv_tcp_t listener;
    struct sockaddr_in target;
    enum mode mode;
    uint64_t slow_ms;
    struct conn *conns;
    char word[64]; /* what a late one waits for; "" none */
    uint64_t word_ms;
    int victim; /* a pidfd: a number could belong to somebody else by then; -1 none */
};

static struct {
    uv_loop_t loop;
    struct route routes[ROUTES_MAX];
    size_t route_count;
    uint64_t connections, resets, delivered_late, answers_dropped, caught;
    uv_pipe_t in;
    char line[512];
    size_t line_len;
} proxy;

static void flush_side(struct conn *c, int way);

/* ---- Ends ---- */
static void handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (--c->open_handles)
        return;
    for (int way = UP; way <= DOWN; way++)
        for (struct chunk *k = c->sides[way].first, *next = NULL; k; k = next) {
            next = k->next;
            mem_free(k);
        }
    mem_free(c);
}

static void close_tcp(uv_tcp_t *tcp, bool *is_closed)
{
    if (*is_closed)
        return;
    *is_closed = true;
    if (uv_tcp_close_reset(tcp, handle_closed) != 0)
        uv_close((uv_handle_t *)tcp, handle_closed);
}

static void conn_end(struct conn *c)
{
    if (c->is_closing)
        return;
    c->is_closing = true;
    *c->back = c->next;
    if (c->next)
        c->next->back = c->back;
    close_tcp(&c->client, &c->is_client_closed);
    close_tcp(&c->server, &c->is_server_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
}

/* ---- Pieces ---- */
static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void on_timer(uv_timer_t *timer);

static void wake_at(struct conn *c, uint64_t at_ms)
{
    uint64_t now = now_ms();
    (void)uv_timer_start(&c->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static bool is_shut(const struct conn *c, int way)
{
    if (c->is_late)
        return way == DOWN || now_ms() < c->late_at_ms;
    return c->route->mode == CUT || (c->route->mode == DEAF && way == DOWN) || !c->is_connected;
}

struct write {
    uv_write_t req;
    struct conn *conn;
    struct chunk *chunk;
};

static void written(uv_write_t *req, int status)
{
    struct write *w = req->data;
    if (status < 0)
        conn_end(w->conn);
    mem_free(w->chunk);
    mem_free(w);
}

static void write_chunk(struct conn *c, int way, struct chunk *k)
{
    uv_buf_t buf = uv_buf_init(k->bytes, (unsigned)k->len);
    struct write *w = MEM_NEW(struct write);
    *w = (struct write){.conn = c, .chunk = k};
    w->req.data = w;
    proxy.delivered_late += k->was_cut && way == UP;
    if (uv_write(&w->req, (uv_stream_t *)(way == UP ? &c->server : &c->client), &buf, 1, written) != 0) {
        mem_free(k);
        mem_free(w);
        conn_end(c);
    }
}

static void shut_done(uv_shutdown_t *req, int status)
{
    (void)status;
    mem_free(req);
}

/* A half-close travels behind the bytes that were sent before it. */
static void pass_end(struct conn *c, int way)
{
    struct side *s = &c->sides[way];
    if (!s->is_ended || s->has_ended || s->first)
        return;
    s->has_ended = true;
    if (c->sides[UP].has_ended && c->sides[DOWN].has_ended) {
        conn_end(c);
        return;
    }
    uv_shutdown_t *req = MEM_NEW(uv_shutdown_t);
    if (uv_shutdown(req, (uv_stream_t *)(way == UP ? &c->server : &c->client), shut_done) != 0) {
        mem_free(req);
        conn_end(c);
    }
}

static void flush_side(struct conn *c, int way)
{
    struct side *s = &c->sides[way];
    while (!c->is_closing && s->first && !is_shut(c, way) && s->first->due_ms <= now_ms()) {
        struct chunk *k = s->first;
        s->first = k->next;
        if (!s->first)
            s->last = &s->first;
        write_chunk(c, way, k);
    }
    if (!c->is_closing && !is_shut(c, way))
        pass_end(c, way);
}

static void flush_both(struct conn *c)
{
    flush_side(c, UP);
    if (!c->is_closing)
        flush_side(c, DOWN);
    for (int way = UP; way <= DOWN && !c->is_closing; way++)
        if (c->sides[way].first && !is_shut(c, way))
            wake_at(c, c->sides[way].first->due_ms);
}

static void kill_victim(struct route *r)
{
    if (r->victim < 0)
        return;
    (void)syscall(SYS_pidfd_send_signal, r->victim, SIGKILL, NULL, 0);
    (void)close(r->victim);
    r->victim = -1;
}

/* Of a late connection: first its client is reset, then the server gets what was kept, then it goes. */
static void on_timer(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    if (!c->is_late) {
        flush_both(c);
    } else if (!c->is_client_closed) {
        proxy.resets++;
        kill_victim(c->route);
        close_tcp(&c->client, &c->is_client_closed);
        wake_at(c, c->late_at_ms);
    } else if (now_ms() < c->late_at_ms + GONE_MS / 2) {
        flush_side(c, UP);
        if (!c->is_closing)
            wake_at(c, c->late_at_ms + GONE_MS);
    } else {
        conn_end(c);
    }
}

static void keep(struct conn *c, int way, const char *bytes, size_t len)
{
    struct side *s = &c->sides[way];
    struct chunk *k = mem_alloc(sizeof *k + len);
    *k = (struct chunk){.due_ms = now_ms() + c->route->slow_ms, .len = len};
    k->was_cut = is_shut(c, way) && c->is_connected;
    memcpy(k->bytes, bytes, len);
    *s->last = k;
    s->last = &k->next;
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char room[READ_BYTES]; /* one read at a time, copied at once */
    (void)handle;
    (void)size;
    *buf = uv_buf_init(room, sizeof room);
}

static void begin_late(struct route *r, uint64_t ms)
{
    for (struct conn *c = r->conns; c; c = c->next) {
        if (c->is_late || !c->is_connected)
            continue;
        c->is_late = true;
        c->late_at_ms = now_ms() + (ms > GATHER_MS ? ms : GATHER_MS + 1);
        wake_at(c, now_ms() + GATHER_MS);
    }
}

static void look_for_word(struct route *r, const char *bytes, size_t len)
{
    if (!r->word[0] || !memmem(bytes, len, r->word, strlen(r->word)))
        return;
    r->word[0] = 0;
    proxy.caught++;
    begin_late(r, r->word_ms);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    int way = stream == (uv_stream_t *)&c->client ? UP : DOWN;
    if (c->is_closing || !got)
        return;
    /* A sender that is reset or killed has sent what it has sent: that is still on its way. */
    bool is_kept = way == UP && (c->is_late || c->sides[UP].first);
    if (got < 0 && got != UV_EOF && !is_kept) {
        conn_end(c);
        return;
    }
    if (got < 0) {
        (void)uv_read_stop(stream);
        c->sides[way].is_ended = true;
    } else if (c->is_late && way == DOWN) {
        proxy.answers_dropped++;
        return;
    } else {
        if (way == UP)
            look_for_word(c->route, buf->base, (size_t)got);
        proxy.answers_dropped += way == DOWN && c->route->mode == DEAF;
        keep(c, way, buf->base, (size_t)got);
    }
    if (!c->is_late)
        flush_both(c);
}

/* ---- Connections ---- */
static void connected(uv_connect_t *req, int status)
{
    struct conn *c = req->data;
    mem_free(req);
    if (c->is_closing)
        return;
    if (status < 0) {
        conn_end(c);
        return;
    }
    c->is_connected = true;
    (void)uv_tcp_nodelay(&c->server, 1);
    if (uv_read_start((uv_stream_t *)&c->server, give_room, on_read) != 0)
        conn_end(c);
    else
        flush_both(c);
}

static void on_client(uv_stream_t *listener, int status)
{
    struct route *r = listener->data;
    if (status < 0)
        return;
    struct conn *c = MEM_NEW(struct conn);
    *c = (struct conn){.route = r, .next = r->conns, .back = &r->conns, .open_handles = 3};
    c->sides[UP].last = &c->sides[UP].first;
    c->sides[DOWN].last = &c->sides[DOWN].first;
    if (c->next)
        c->next->back = &c->next;
    r->conns = c;
    proxy.connections++;
    ASSERT(uv_tcp_init(&proxy.loop, &c->client) == 0 && uv_tcp_init(&proxy.loop, &c->server) == 0 &&
           uv_timer_init(&proxy.loop, &c->timer) == 0);
    c->client.data = c->server.data = c->timer.data = c;
    uv_connect_t *req = MEM_NEW(uv_connect_t);
    req->data = c;
    bool is_fine = uv_accept(listener, (uv_stream_t *)&c->client) == 0 && uv_tcp_nodelay(&c->client, 1) == 0 &&
                   uv_read_start((uv_stream_t *)&c->client, give_room, on_read) == 0;
    if (uv_tcp_connect(req, &c->server, (const struct sockaddr *)&r->target, connected) != 0) {
        mem_free(req);
        is_fine = false;
    }
    if (!is_fine)
        conn_end(c);
}

/* ---- Commands ---- */
static struct route *route_of(const char *name)
{
    for (size_t i = 0; i < proxy.route_count; i++)
        if (str_eq(proxy.routes[i].name, name))
            return &proxy.routes[i];
    return NULL;
}

static bool read_target(const char *text, struct sockaddr_in *ret)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (!colon || (size_t)(colon - text) >= sizeof host || !str_to_u64(colon + 1, 65535, &port))
        return false;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    return uv_ip4_addr(host, (int)port, ret) == 0;
}

static void do_listen(const char *name, const char *target)
{
    struct sockaddr_in at;
    struct sockaddr_storage bound;
    int len = sizeof bound;
    struct route *r = &proxy.routes[proxy.route_count];
    if (proxy.route_count == ROUTES_MAX || route_of(name) || !read_target(target, &r->target)) {
        (void)puts("error");
        return;
    }
    (void)snprintf(r->name, sizeof r->name, "%s", name);
    r->listener.data = r;
    ASSERT(uv_ip4_addr("127.0.0.1", 0, &at) == 0 && uv_tcp_init(&proxy.loop, &r->listener) == 0 &&
           uv_tcp_bind(&r->listener, (const struct sockaddr *)&at, 0) == 0 &&
           uv_listen((uv_stream_t *)&r->listener, 512, on_client) == 0 &&
           uv_tcp_getsockname(&r->listener, (struct sockaddr *)&bound, &len) == 0);
    r->victim = -1;
    proxy.route_count++;
    memcpy(&at, &bound, sizeof at);
    (void)printf("%d\n", ntohs(at.sin_port));
}

static void reset_all(struct route *r)
{
    for (struct conn *c = r->conns, *next = NULL; c; c = next) {
        next = c->next;
        if (c->is_late) /* has its own end before it */
            continue;
        proxy.resets++;
        conn_end(c);
    }
}

/* Of one that has been caught only the kill is left, and that happens. */
static void stop_waiting(struct route *r)
{
    if (!r->word[0])
        return;
    if (r->victim >= 0)
        (void)close(r->victim);
    r->victim = -1;
    r->word[0] = 0;
}

/* A late one that waits for its word: the newest counts. */
static bool wait_for_word(struct route *r, uint64_t ms, const char *word, const char *pid)
{
    uint64_t number = 0;
    if (!str_to_u64(pid, INT32_MAX, &number) || strlen(word) >= sizeof r->word)
        return false;
    stop_waiting(r);
    if (r->victim >= 0)
        return true; /* it dies in a moment */
    r->victim = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
    (void)snprintf(r->word, sizeof r->word, "%s", r->victim < 0 ? "" : word);
    r->word_ms = ms;
    return true;
}

static bool run_route(struct route *r, const char *verb, const char *arg, char *more)
{
    uint64_t ms = 0;
    const char *word = strtok_r(NULL, " ", &more), *pid = strtok_r(NULL, " ", &more);
    if (str_eq(verb, "cut")) {
        r->mode = CUT;
    } else if (str_eq(verb, "deaf")) {
        r->mode = DEAF;
    } else if (str_eq(verb, "slow") && str_to_u64(arg, 60000, &ms)) {
        r->slow_ms = ms;
    } else if (str_eq(verb, "late") && str_to_u64(arg, 600000, &ms)) {
        if (word)
            return pid && wait_for_word(r, ms, word, pid);
        begin_late(r, ms);
    } else if (str_eq(verb, "reset") || (str_eq(verb, "to") && read_target(arg, &r->target))) {
        reset_all(r);
    } else if (str_eq(verb, "heal")) {
        r->mode = PASSES;
        r->slow_ms = 0;
        stop_waiting(r);
        for (struct conn *c = r->conns, *next = NULL; c; c = next) {
            next = c->next;
            if (!c->is_late)
                flush_both(c);
        }
    } else {
        return false;
    }
    return true;
}

static void run_line(char *line)
{
    char *rest = NULL;
    const char *verb = strtok_r(line, " ", &rest), *name = strtok_r(NULL, " ", &rest),
               *arg = strtok_r(NULL, " ", &rest);
    struct route *r = name ? route_of(name) : NULL;
    if (str_eq(verb, "listen") && arg)
        do_listen(name, arg);
    else if (str_eq(verb, "stats"))
        (void)printf("{\"connections\": %llu, \"resets\": %llu, \"delivered_late\": %llu, \"answers_dropped\": %llu, "
                     "\"caught\": %llu}\n",
                     (unsigned long long)proxy.connections, (unsigned long long)proxy.resets,
                     (unsigned long long)proxy.delivered_late, (unsigned long long)proxy.answers_dropped,
                     (unsigned long long)proxy.caught);
    else
        (void)puts(r && run_route(r, verb, arg ? arg : "", rest) ? "ok" : "error");
    (void)fflush(stdout);
}

static void on_command(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got < 0) {
        (void)uv_read_stop(stream);
        uv_stop(&proxy.loop);
        return;
    }
    for (ssize_t i = 0; i < got; i++) {
        char c = buf->base[i];
        if (c != '\n') {
            if (proxy.line_len + 1 < sizeof proxy.line)
                proxy.line[proxy.line_len++] = c;
            continue;
        }
        proxy.line[proxy.line_len] = 0;
        proxy.line_len = 0;
        run_line(proxy.line);
    }
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ASSERT(uv_loop_init(&proxy.loop) == 0 && uv_pipe_init(&proxy.loop, &proxy.in, 0) == 0 &&
           uv_pipe_open(&proxy.in, 0) == 0 && uv_read_start((uv_stream_t *)&proxy.in, give_room, on_command) == 0);
    (void)uv_run(&proxy.loop, UV_RUN_DEFAULT);
    _exit(0); /* what is open ends with us */
}
