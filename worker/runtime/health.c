#include "worker/runtime/health.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/codec/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define HEALTH_MAGIC 0x4ea17001u
#define ANSWER_BYTES_MAX 16384u

struct health {
    uint32_t magic;
    uv_pipe_t pipe;
    health_fn *report;
    void *arg;
};

struct visitor {
    uv_pipe_t pipe;
    uv_write_t write;
    char *line;
};

static void visitor_closed(uv_handle_t *handle)
{
    struct visitor *v = handle->data;
    mem_free(v->line);
    mem_free(v);
}

static void written(uv_write_t *write, int status)
{
    struct visitor *v = write->data;
    (void)status; /* who hung up has no use for it */
    uv_close((uv_handle_t *)&v->pipe, visitor_closed);
}

static void visited(uv_stream_t *server, int status)
{
    struct health *h = OBJ_CAST(server->data, struct health, HEALTH_MAGIC);
    if (status < 0)
        return;
    struct visitor *v = MEM_NEW(struct visitor);
    ASSERT(uv_pipe_init(server->loop, &v->pipe, 0) == 0);
    v->pipe.data = v;
    v->write.data = v;
    if (uv_accept(server, (uv_stream_t *)&v->pipe) < 0) {
        uv_close((uv_handle_t *)&v->pipe, visitor_closed);
        return;
    }
    AUTO_FREE char *report = h->report(h->arg);
    v->line = mem_printf("%s\n", report);
    uv_buf_t buf = uv_buf_init(v->line, (unsigned)strlen(v->line));
    if (uv_write(&v->write, (uv_stream_t *)&v->pipe, &buf, 1, written) < 0)
        uv_close((uv_handle_t *)&v->pipe, visitor_closed);
}

static void health_closed(uv_handle_t *handle)
{
    mem_free(OBJ_CAST(handle->data, struct health, HEALTH_MAGIC));
}

int health_listen(uv_loop_t *loop, const char *path, health_fn *report, void *arg, struct health **ret, struct err *err)
{
    struct health *h = MEM_NEW(struct health);
    *h = (struct health){.magic = HEALTH_MAGIC, .report = report, .arg = arg};
    struct stat st;
    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path); /* of a worker before us; anything else that lies there is not ours to remove */
    ASSERT(uv_pipe_init(loop, &h->pipe, 0) == 0);
    h->pipe.data = h;
    int r = uv_pipe_bind(&h->pipe, path);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&h->pipe, 16, visited);
    if (r < 0) {
        uv_close((uv_handle_t *)&h->pipe, health_closed);
        return err_set(err, ERR_CONFIG, "health-socket %s: %s", path, uv_strerror(r));
    }
    (void)chmod(path, 0600);
    *ret = h;
    return 0;
}

void health_close(struct health *h)
{
    uv_close((uv_handle_t *)&h->pipe, health_closed);
}

static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 2};
    if (strlen(path) >= sizeof to.sun_path)
        return -1;
    memcpy(to.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

int health_ask(const char *path)
{
    char answer[ANSWER_BYTES_MAX];
    size_t len = 0;
    int fd = connect_to(path);
    if (fd < 0) {
        (void)fprintf(stderr, "orgimport-worker: nobody answers at %s\n", path);
        return 1;
    }
    for (ssize_t n = 1; n > 0 && len<sizeof answer - 1; len += n> 0 ? (size_t)n : 0)
        n = read(fd, answer + len, sizeof answer - 1 - len);
    (void)close(fd);
    answer[len] = 0;
    struct err err = {0};
    json_auto_t *report = json_read(answer, len, 0, &err);
    (void)fputs(answer, stdout);
    return json_bool_at(report, "ok") ? 0 : 1;
}
