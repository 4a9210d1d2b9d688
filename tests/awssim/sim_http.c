/* The HTTP side: libmicrohttpd with an epoll set of its own, driven by one loop in one thread, so that state needs no
 * locks.
 *
 * A request that must wait (latency, late, slow answer) suspends its connection with a due time in a heap. Resuming
 * needs an MHD_run at once: 0.9.75 does not count resumes in MHD_get_timeout and would hang. */
#include "sim_core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX (16u << 20)
#define SLOW_PIECE 16u /* bytes at a time, or a fortieth of the answer if that is more: slow, yet below any timeout */
#define SLOW_EVERY_MS 15u

enum state { READING, WAITING, READY, SERVED, ANSWERED };

struct exchange {
    struct MHD_Connection *connection;
    enum state state;
    enum sim_fault fault;
    char *target; /* path, still encoded; the query follows after a NUL */
    const char *query;
    const char *method;
    struct sim_text body;
    bool too_big, rested;
    struct sim_request rq;
    uint64_t due_ms;
};

static struct MHD_Daemon *the_daemon;
static volatile sig_atomic_t stopping;
static struct exchange **waiting; /* min-heap by due_ms */
static size_t waiting_count, waiting_room;

static uint64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- waiting ---- */

static void swap_waiting(size_t a, size_t b)
{
    struct exchange *kept = waiting[a];
    waiting[a] = waiting[b];
    waiting[b] = kept;
}

static void wait_until(struct exchange *x, uint64_t due_ms)
{
    if (waiting_count == waiting_room) {
        waiting_room = waiting_room ? waiting_room * 2 : 64;
        waiting = realloc(waiting, waiting_room * sizeof(struct exchange *));
        if (!waiting)
            abort();
    }
    x->due_ms = due_ms;
    size_t at = waiting_count++;
    waiting[at] = x;
    while (at > 0 && waiting[(at - 1) / 2]->due_ms > waiting[at]->due_ms) {
        swap_waiting(at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    MHD_suspend_connection(x->connection);
}

static struct exchange *take_due(uint64_t now)
{
    if (waiting_count == 0 || (waiting[0]->due_ms > now && !stopping))
        return NULL;
    struct exchange *due = waiting[0];
    waiting[0] = waiting[--waiting_count];
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < waiting_count; child++)
            if (waiting[child]->due_ms < waiting[least]->due_ms)
                least = child;
        if (least == at)
            break;
        swap_waiting(at, least);
        at = least;
    }
    return due;
}

/* ---- headers ---- */

const char *sim_http_header(void *http, const char *name)
{
    struct exchange *x = http;
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

struct joining {
    const char *name;
    struct sim_text *ret;
    bool any;
};

static enum MHD_Result join(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct joining *j = arg;
    (void)kind;
    if (strcasecmp(name, j->name) != 0)
        return MHD_YES;
    if (j->any)
        sim_text_puts(j->ret, ",");
    j->any = true;
    const char *at = value ? value : "";
    at += strspn(at, " \t");
    while (*at) {
        size_t word = strcspn(at, " \t");
        sim_text_add(j->ret, at, word);
        at += word;
        size_t gap = strspn(at, " \t");
        if (gap > 0 && at[gap])
            sim_text_puts(j->ret, " ");
        at += gap;
    }
    return MHD_YES;
}

void sim_http_header_joined(void *http, const char *lower_name, struct sim_text *ret)
{
    struct exchange *x = http;
    struct joining j = {.name = lower_name, .ret = ret};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, join, &j);
}

struct each {
    void (*call)(void *arg, const char *name, const char *value);
    void *arg;
};

static enum MHD_Result hand_on(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct each *each = arg;
    (void)kind;
    each->call(each->arg, name, value ? value : "");
    return MHD_YES;
}

void sim_http_each_header(void *http, void (*each)(void *arg, const char *name, const char *value), void *arg)
{
    struct exchange *x = http;
    struct each e = {each, arg};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, hand_on, &e);
}

static const char *request_header(const struct sim_request *rq, const char *lower_name)
{
    return sim_http_header(rq->http, lower_name);
}

/* ---- answering ---- */

/* A slow answer: a few bytes, then the connection sleeps. */
static ssize_t drip(void *arg, uint64_t position, char *buffer, size_t room)
{
    struct exchange *x = arg;
    if (position >= x->rq.reply_bytes)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (position > 0 && !x->rested && !stopping) {
        x->rested = true;
        wait_until(x, boot_ms() + SLOW_EVERY_MS);
        return 0;
    }
    x->rested = false;
    size_t left = x->rq.reply_bytes - (size_t)position;
    size_t piece = x->rq.reply_bytes / 40 > SLOW_PIECE ? x->rq.reply_bytes / 40 : SLOW_PIECE;
    size_t bytes = left < piece ? left : piece;
    bytes = bytes < room ? bytes : room;
    memcpy(buffer, x->rq.reply + position, bytes);
    return (ssize_t)bytes;
}

static void add_headers(struct exchange *x, struct MHD_Response *response)
{
    if (x->rq.reply_type && x->rq.reply_type[0])
        MHD_add_response_header(response, "Content-Type", x->rq.reply_type);
    for (size_t i = 0; i < x->rq.reply_header_count; i++)
        MHD_add_response_header(response, x->rq.reply_headers[i].name, x->rq.reply_headers[i].value);
    static char date[64];
    static time_t date_of;
    time_t now = (time_t)(sim_server_ms() / 1000);
    if (now != date_of) {
        struct tm utc;
        gmtime_r(&now, &utc);
        (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        date_of = now;
    }
    MHD_add_response_header(response, "Date", date);
}

static enum MHD_Result send_answer(struct exchange *x)
{
    struct MHD_Response *response;
    if (x->fault == SIM_SLOW && x->rq.reply_bytes > SLOW_PIECE) {
        response = MHD_create_response_from_callback(x->rq.reply_bytes, 1024, drip, x, NULL);
    } else {
        response = MHD_create_response_from_buffer(x->rq.reply_bytes, x->rq.reply, MHD_RESPMEM_MUST_FREE);
        x->rq.reply = NULL;
    }
    if (!response)
        return MHD_NO;
    add_headers(x, response);
    enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)x->rq.status, response);
    MHD_destroy_response(response);
    x->state = ANSWERED;
    return result;
}

static enum MHD_Result reset_connection(struct exchange *x)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (info)
        setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return MHD_NO;
}

/* The admin pages need no signature, so only this machine may use them, unless a flag says that the network is a
 * test's. */
static bool may_administer(const struct exchange *x)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *from = info ? info->client_addr : NULL;
    if (sim_options.admin_anywhere)
        return true;
    return from && from->sa_family == AF_INET &&
           ntohl(((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static struct sim_raw raw_of(struct exchange *x)
{
    return (struct sim_raw){.method = x->method,
                            .path = x->target,
                            .query = x->query,
                            .body = x->body.data,
                            .body_bytes = x->body.bytes,
                            .http = x};
}

static void take_effect(struct exchange *x)
{
    struct sim_raw raw = raw_of(x);
    x->state = SERVED;
    x->rq.http = x;
    x->rq.header = request_header;
    if (strncmp(x->target, "/_sim/", 6) == 0)
        sim_admin(&x->rq, &raw, may_administer(x));
    else
        sim_serve(&x->rq, &raw, x->fault);
}

static enum MHD_Result serve(struct exchange *x)
{
    take_effect(x);
    if (x->fault == SIM_DROP) /* applied, and nobody is told */
        return MHD_NO;
    return send_answer(x);
}

static enum MHD_Result arrived(struct exchange *x)
{
    uint32_t delay_ms = 0;
    sim_counters.requests++;
    if (strncmp(x->target, "/_sim/", 6) != 0) {
        char service[48], action[96];
        struct sim_raw raw = raw_of(x);
        sim_request_peek(&raw, service, action);
        x->fault = sim_fault_draw(service, action);
        if (x->fault == SIM_RESET)
            return reset_connection(x);
        delay_ms = x->fault == SIM_LATE ? sim_late_ms() : sim_latency_ms();
    }
    if (delay_ms == 0)
        return serve(x);
    x->state = WAITING;
    wait_until(x, boot_ms() + delay_ms);
    return MHD_YES;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_bytes, void **con_cls)
{
    struct exchange *x = *con_cls;
    (void)cls, (void)url, (void)version;
    if (!x->connection) {
        x->connection = connection;
        x->method = method;
        return MHD_YES;
    }
    if (*data_bytes > 0) {
        x->too_big = x->too_big || x->body.bytes + *data_bytes > BODY_MAX;
        if (!x->too_big)
            sim_text_add(&x->body, data, *data_bytes);
        *data_bytes = 0;
        return MHD_YES;
    }
    if (x->too_big) {
        x->rq.status = 413;
        return send_answer(x);
    }
    if (x->state == READING)
        return arrived(x);
    if (x->state == READY)
        return serve(x);
    return MHD_YES;
}

static void *new_exchange(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)cls, (void)connection;
    struct exchange *x = calloc(1, sizeof *x);
    if (!x || !(x->target = strdup(uri)))
        abort();
    char *query = strchr(x->target, '?');
    if (query)
        *query++ = '\0';
    x->query = query ? query : "";
    return x;
}

static void completed(void *cls, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *con_cls;
    (void)cls, (void)connection, (void)why;
    if (!x)
        return;
    /* A request that was delayed and whose client has gone meanwhile ends here, unserved; AWS would have served it. */
    if (x->state == READY)
        take_effect(x);
    free(x->target);
    free(x->body.data);
    free(x->rq.reply);
    free(x);
    *con_cls = NULL;
}

/* ---- the loop ---- */

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

int sim_http_start(const char *listen, char ret_address[64])
{
    char host[48];
    const char *colon = strrchr(listen, ':');
    struct sockaddr_in at = {.sin_family = AF_INET};
    if (!colon || (size_t)(colon - listen) >= sizeof host)
        return -1;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1 || port > 65535)
        return -1;
    at.sin_port = htons((uint16_t)port);
    the_daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL, NULL,
                         handle, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_URI_LOG_CALLBACK,
                         new_exchange, NULL, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
                         20000u, MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
                         MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u, MHD_OPTION_END);
    if (!the_daemon)
        return -1;
    socklen_t bytes = sizeof at;
    int fd = MHD_get_daemon_info(the_daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    getsockname(fd, (struct sockaddr *)&at, &bytes);
    (void)snprintf(ret_address, 64, "http://%s:%u", host, ntohs(at.sin_port));
    struct sigaction stop = {.sa_handler = on_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return 0;
}

static int pause_ms(void)
{
    MHD_UNSIGNED_LONG_LONG limit = 1000;
    if (MHD_get_timeout(the_daemon, &limit) != MHD_YES || limit > 1000)
        limit = 1000;
    if (waiting_count > 0) {
        uint64_t now = boot_ms(), due = waiting[0]->due_ms;
        uint64_t rest = due > now ? due - now : 0;
        limit = rest < limit ? rest : limit;
    }
    return (int)limit;
}

static bool resume_due(void)
{
    uint64_t now = boot_ms();
    bool any = false;
    struct exchange *x;
    while ((x = take_due(now))) {
        if (x->state == WAITING)
            x->state = READY;
        MHD_resume_connection(x->connection);
        any = true;
    }
    return any;
}

void sim_http_run(void)
{
    int set = MHD_get_daemon_info(the_daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    /* MHD's set is nested in ours because only MHD may take events out of its own. */
    int own = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (own < 0 || epoll_ctl(own, EPOLL_CTL_ADD, set, &event) != 0)
        abort();
    while (!stopping) {
        struct epoll_event ready;
        int pause = pause_ms();
        if (pause > 0)
            sim_effects_flush();
        epoll_wait(own, &ready, 1, pause);
        resume_due();
        MHD_run(the_daemon);
    }
    while (resume_due())
        MHD_run(the_daemon);
    close(own);
}

void sim_http_stop(void)
{
    MHD_stop_daemon(the_daemon); /* aborts if a connection is still suspended: sim_http_run has resumed all */
    free(waiting);
    sim_effects_flush();
}
