/* Answers and streams. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "dispatcher/api/http_private.h"
#include "dispatcher/planner/loose.h"

#include <stdio.h>

unsigned http_status_of(enum err_code code)
{
    switch ((int)code) {
    case ERR_NOT_FOUND:
        return 404;
    case ERR_UNAUTHORIZED:
        return 401;
    case ERR_FORBIDDEN:
        return 403;
    case ERR_USAGE:
    case ERR_SYNTAX:
    case ERR_NOT_UTF8:
        return 400;
    case ERR_STATE_CONFLICT:
    case ERR_PLAN_NONE:
    case ERR_PLAN_OTHER:
    case ERR_PLAN_UNAPPROVED:
    case ERR_IMPORT_EXISTS:
        return 409;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_RATE_LIMITED:
        return 429;
    case ERR_REDIS:
    case ERR_REDIS_FULL:
    case ERR_REDIS_DISK:
        return 503;
    case ERR_INTERNAL:
    case ERR_CORRUPT:
    case ERR_IO:
        return 500;
    default:
        return 422;
    }
}

json_t *http_problem(unsigned status, const struct err *err, const json_t *errors)
{
    const struct err_info *info = err_info(err->code);
    json_t *out = json_object();
    json_put(out, "type", json_sprintf("/v1/errors#%s", info->name));
    json_put_str(out, "title", info->title);
    json_put_int(out, "status", status);
    json_put_str(out, "code", info->name);
    json_put_str(out, "owner", err_owner_name(info->owner));
    json_put_bool(out, "retryable", info->retry != RETRY_NEVER);
    json_put_str(out, "fix", info->fix);
    json_put_str(out, "detail", str_is_utf8(err->text, strlen(err->text)) ? err->text : info->title);
    if (errors)
        json_put(out, "errors", json_deep_copy(errors));
    return out;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
    if (!r->is_answered)
        json_put_str(r->headers, name, value);
}

void http_finish(struct http_request *r, unsigned status, struct MHD_Response *response)
{
    if (r->is_answered || r->is_gone) { /* the deadline was first */
        MHD_destroy_response(response);
        http_request_unref(r);
        return;
    }
    const char *name;
    json_t *value;
    json_object_foreach (r->headers, name, value)
        (void)MHD_add_response_header(response, name, json_string_value(value));
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    r->status = status;
    r->response = response;
    r->is_answered = true;
    if (r->is_suspended) {
        r->is_suspended = false;
        MHD_resume_connection(r->conn);
        http_kick(r->server);
    }
    http_request_unref(r);
}

static struct MHD_Response *response_of(const char *content_type, void *bytes, size_t len,
                                        enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, bytes, mode);
    ASSERT(response);
    if (*content_type)
        (void)MHD_add_response_header(response, "Content-Type", content_type);
    return response;
}

void http_reply(struct http_request *r, unsigned status, const char *content_type, char *text)
{
    http_finish(r, status, response_of(content_type, text, strlen(text), MHD_RESPMEM_MUST_FREE));
}

void http_reply_bytes(struct http_request *r, unsigned status, const char *content_type, const char *constant,
                      size_t len)
{
    http_finish(r, status, response_of(content_type, loose(constant), len, MHD_RESPMEM_PERSISTENT));
}

void http_reply_json(struct http_request *r, unsigned status, json_t *value)
{
    char *text = json_text(value);
    json_decref(value);
    http_reply(r, status, "application/json", text);
}

void http_reply_err(struct http_request *r, const struct err *err, const json_t *errors)
{
    unsigned status = http_status_of(err->code);
    if (status == 503 || status == 429)
        http_add_header(r, "Retry-After", "1");
    json_auto_t *problem = http_problem(status, err, errors);
    http_reply(r, status, "application/problem+json", json_text(problem));
}

/* ---- Streams
 * ----------------------------------------------------------------------------------------------------------------- */

void http_stream_resume(struct http_stream *s)
{
    if (!s->is_suspended)
        return;
    s->is_suspended = false;
    MHD_resume_connection(s->conn);
    http_kick(s->server);
}

static ssize_t stream_read(void *arg, uint64_t pos, char *buf, size_t max)
{
    (void)pos;
    struct http_stream *s = arg;
    size_t left = s->out.len - s->sent;
    if (!left && (s->is_ended || s->server->is_closing))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!left) {
        s->is_suspended = true;
        MHD_suspend_connection(s->conn);
        return 0;
    }
    size_t n = left < max ? left : max;
    memcpy(buf, s->out.data + s->sent, n);
    s->sent += n;
    if (s->sent == s->out.len) {
        str_clear(&s->out);
        s->sent = 0;
    }
    return (ssize_t)n;
}

/* The one place where a stream is freed: it runs after the request's completed callback. */
static void stream_free(void *arg)
{
    struct http_stream *s = arg;
    if (s->prev)
        s->prev->next = s->next;
    else
        s->server->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->server->counts.streams--;
    if (s->gone)
        s->gone(s->arg);
    str_done(&s->out);
    mem_free(s);
}

struct http_stream *http_stream_start(struct http_request *r, const char *content_type, void (*gone)(void *arg),
                                      void *arg)
{
    struct http_stream *s = MEM_NEW(struct http_stream);
    s->server = r->server;
    s->conn = r->conn;
    s->gone = gone;
    s->arg = arg;
    str_init(&s->out, HTTP_STREAM_MAX);
    s->next = r->server->streams;
    if (s->next)
        s->next->prev = s;
    r->server->streams = s;
    r->server->counts.streams++;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, stream_read, s, stream_free);
    ASSERT(response);
    (void)MHD_add_response_header(response, "Content-Type", content_type);
    (void)MHD_add_response_header(response, "X-Accel-Buffering", "no");
    http_finish(r, 200, response);
    return s;
}

bool http_stream_send(struct http_stream *s, const char *bytes, size_t len)
{
    if (s->is_ended)
        return false;
    if (s->sent && s->out.len + len > HTTP_STREAM_MAX) { /* make room for what the client has read */
        memmove(s->out.data, s->out.data + s->sent, s->out.len - s->sent);
        s->out.len -= s->sent;
        s->sent = 0;
    }
    str_add_bytes(&s->out, bytes, len);
    if (s->out.is_over)
        s->is_ended = true;
    http_stream_resume(s);
    return !s->is_ended;
}
