/* One request: built by the operation's table entry, completed by its protocol, signed, checked, sent.
 *
 * Invariant (P3): whether a request may leave is looked at after its signature has its date. A process that is stopped
 * anywhere behind that look (SIGSTOP, a suspended machine) sends, when it wakes, what AWS refuses as too old; stopped
 * between a look and the signing it would send, after its lease, what lives anew. Before the first byte, when the
 * connection stands, it is looked at once more. */
#include "common/aws/client_internal.h"

#include "common/aws/sigv4.h"
#include "common/codec/when.h"
#include "common/crypto/crypto.h"

#include <stdio.h>
#include <strings.h>

#define WIRE_HEADERS_MAX 24U
#define CONNECT_MS_MAX 5000U

struct wire { /* what goes out, collected */
    struct aws_request request;
    struct str path, body, authorization, url, agent;
    struct sigv4_header signed_headers[WIRE_HEADERS_MAX];
    size_t count;
    char target[160], date[20], payload_hash[65];
    char *content_md5;
};

static void wire_done(struct wire **slot)
{
    struct wire *w = *slot;
    str_done(&w->request.query);
    str_done(&w->request.body);
    str_done(&w->path);
    str_done(&w->body);
    str_done(&w->authorization);
    str_done(&w->url);
    str_done(&w->agent);
    mem_free(w->content_md5);
    mem_free(w);
}

static void add_header(struct wire *w, const char *name, const char *value)
{
    ASSERT(w->count < WIRE_HEADERS_MAX);
    w->signed_headers[w->count++] = (struct sigv4_header){name, value};
}

static bool has_header(const struct wire *w, const char *name)
{
    for (size_t i = 0; i < w->request.header_count; i++)
        if (strcasecmp(w->request.headers[i].name, name) == 0)
            return true;
    return false;
}

static bool is_s3(const struct aws_op *op)
{
    return str_eq(op->service->sign_name, "s3");
}

/* ---- By protocol ----------------------------------------------------------------------------------------------------
 */
static void add_body(struct wire *w, const struct aws_op *op)
{
    const struct aws_service *service = op->service;
    const struct str *own = &w->request.body;
    bool is_post = str_eq(w->request.method, "POST");
    str_init(&w->body, AWS_REQUEST_BYTES_MAX);
    if (service->protocol == AWS_QUERY)
        str_addf(&w->body, "Action=%s&Version=%s%s", op->action, service->version, own->len ? "&" : "");
    if (own->len)
        str_add_bytes(&w->body, own->data, own->len);
    else if (is_post && service->protocol != AWS_QUERY && service->protocol != AWS_REST_XML)
        str_add(&w->body, "{}");
    w->body.is_over = w->body.is_over || own->is_over;
}

static const char *content_type(const struct aws_op *op, const struct wire *w)
{
    switch (op->service->protocol) {
    case AWS_QUERY:
        return "application/x-www-form-urlencoded; charset=utf-8";
    case AWS_JSON_1_0:
        return "application/x-amz-json-1.0";
    case AWS_JSON_1_1:
        return "application/x-amz-json-1.1";
    case AWS_REST_JSON:
        return w->body.len ? "application/json" : NULL;
    case AWS_REST_XML:
        return w->body.len ? "application/xml" : NULL;
    }
    return NULL;
}

static void add_protocol_headers(struct wire *w, const struct aws_call *call)
{
    const struct aws_op *op = call->op;
    bool is_json = op->service->protocol == AWS_JSON_1_0 || op->service->protocol == AWS_JSON_1_1;
    const char *type = content_type(op, w);
    add_header(w, "Host", call->target.host);
    if (type && !has_header(w, "Content-Type"))
        add_header(w, "Content-Type", type);
    if (is_json) {
        (void)snprintf(w->target, sizeof w->target, "%s%s", op->service->target, op->action);
        add_header(w, "X-Amz-Target", w->target);
    }
    for (size_t i = 0; i < w->request.header_count; i++)
        add_header(w, w->request.headers[i].name, w->request.headers[i].value);
    if (!is_s3(op))
        return;
    /* A bucket whose name somebody else took answers 403 instead of taking our policy. */
    bool has_bucket = *w->request.bucket && !str_eq(op->action, "CreateBucket");
    if (has_bucket && *call->bucket_owner && !has_header(w, "x-amz-expected-bucket-owner"))
        add_header(w, "x-amz-expected-bucket-owner", call->bucket_owner);
    /* S3 wants a checksum on bodies of policy, tagging, encryption and their like; on others it does no harm. */
    if (w->body.len && !has_header(w, "Content-MD5") && !has_header(w, "x-amz-checksum-sha256")) {
        unsigned char md5[16];
        crypto_md5(w->body.data, w->body.len, md5);
        w->content_md5 = crypto_base64(md5, sizeof md5);
        add_header(w, "Content-MD5", w->content_md5);
    }
}

static void add_path(struct wire *w, const struct aws_call *call)
{
    const char *bucket = w->request.bucket, *path = *w->request.path ? w->request.path : "/";
    str_init(&w->path, sizeof w->request.path + sizeof w->request.bucket + 2);
    bool is_in_host = !call->target.is_custom && aws_bucket_fits_host(bucket);
    if (*bucket && !is_in_host)
        str_addf(&w->path, "/%s%s", bucket, str_eq(path, "/") ? "" : path);
    else
        str_add(&w->path, path);
}

/* ---- Signing and sending --------------------------------------------------------------------------------------------
 */
static void add_signature(struct wire *w, struct aws_call *call)
{
    struct aws_client *client = call->client;
    const struct aws_identity *who = call->identity;
    crypto_sha256_hex(w->body.data, w->body.len, w->payload_hash);
    call->skew_ms = skew_of(&client->skews, call->target.host, client->env);
    int64_t at = (int64_t)env_boot_ms(client->env) + call->skew_ms;
    when_amz(at > 0 ? (uint64_t)at : 0, w->date);
    add_header(w, "X-Amz-Date", w->date);
    if (is_s3(call->op))
        add_header(w, "X-Amz-Content-Sha256", w->payload_hash);
    if (who->session_token)
        add_header(w, "X-Amz-Security-Token", (const char *)secret_bytes(who->session_token));
    const struct sigv4_input in = {
        .method = w->request.method,
        .path = w->path.data,
        .query = w->request.query.data ? w->request.query.data : "",
        .headers = w->signed_headers,
        .header_count = w->count,
        .payload_hash = w->payload_hash,
        .region = call->target.region,
        .service = call->op->service->sign_name,
        .amz_date = w->date,
        .is_s3 = is_s3(call->op),
    };
    str_init(&w->authorization, 4096);
    sigv4_authorization(&in, who, &w->authorization);
    add_header(w, "Authorization", w->authorization.data);
}

uint64_t call_leave_before(const struct aws_call *call)
{
    return call->leave_before ? call->leave_before(call->leave_arg) : call->leave_before_boot_ms;
}

/* P3: no request may leave whose answer could come after the lease. */
static int check_time(const struct aws_call *call, struct err *err)
{
    const struct aws_client *client = call->client;
    uint64_t end = env_boot_ms(client->env) + client->call_timeout_ms;
    uint64_t leave_before = call_leave_before(call);
    if (leave_before && end >= leave_before)
        return err_set(err, ERR_LEASE_LOST, "%s: the lease ends before an answer could be awaited", call->op->name);
    uint64_t expires = call->identity ? call->identity->expires_unix_ms : 0;
    if (expires && aws_client_now_ms(client) >= expires)
        return err_set(err, ERR_AWS_EXPIRED, "%s: the session expired before the call could leave", call->op->name);
    return 0;
}

/* Connect and TLS may have taken seconds, during which the lease was lost or this process stopped: then it is signed
 * and looked at anew, or never leaves. */
static bool may_start(void *arg)
{
    struct aws_call *call = OBJ_CAST(arg, struct aws_call, AWS_CALL_MAGIC);
    uint64_t end = call->sent_boot_ms + call->client->call_timeout_ms, leave_before = call_leave_before(call);
    call->is_held_back = env_boot_ms(call->client->env) >= end || (leave_before && end >= leave_before);
    return !call->is_held_back;
}

static void dispatch(struct wire *w, struct aws_call *call)
{
    struct aws_client *client = call->client;
    struct http_header headers[WIRE_HEADERS_MAX];
    str_init(&w->agent, 512);
    str_addf(&w->agent, "%s%s%s", client->user_agent, *call->label ? " " : "", call->label);
    add_header(w, "User-Agent", w->agent.data);
    for (size_t i = 0; i < w->count; i++)
        headers[i] = (struct http_header){w->signed_headers[i].name, w->signed_headers[i].value};
    const struct str *query = &w->request.query;
    str_init(&w->url, AWS_REQUEST_BYTES_MAX);
    str_addf(&w->url, "%s%s%s%s", call->target.origin, w->path.data, query->len ? "?" : "",
             query->len ? query->data : "");
    const struct http_request request = {
        .method = w->request.method,
        .url = w->url.data,
        .headers = headers,
        .header_count = w->count,
        .body = w->body.len ? w->body.data : NULL,
        .body_bytes = w->body.len,
        .connect_timeout_ms = CONNECT_MS_MAX,
        .timeout_ms = client->call_timeout_ms,
        .response_bytes_max = AWS_BODY_BYTES_MAX,
        .may_start = may_start,
    };
    call->tries++;
    call->tries_all++;
    call->is_held_back = false;
    call->sent_boot_ms = env_boot_ms(client->env);
    call->http = http_send(client->http, &request, call_on_http, call);
}

static int build(struct wire *w, const struct aws_call *call, struct err *err)
{
    json_auto_t *args = call_args(call);
    if (call->op->build(args, &w->request, err))
        return -1;
    if (!w->request.method)
        w->request.method = "POST";
    if (w->request.header_count > ARRAY_LEN(w->request.headers))
        return err_set(err, ERR_INTERNAL, "%s: too many headers", call->op->name);
    add_body(w, call->op);
    if (w->body.is_over || w->request.query.is_over)
        return err_set(err, ERR_TOO_LARGE, "%s: the request is too large", call->op->name);
    return 0;
}

int call_send(struct aws_call *call, struct err *err)
{
    CLEANUP(wire_done) struct wire *w = MEM_NEW(struct wire);
    if (build(w, call, err))
        return -1;
    if (aws_endpoints_resolve(call->client->endpoints, call->op->service, call->region, w->request.bucket,
                              &call->target, err))
        return -1;
    add_path(w, call);
    add_protocol_headers(w, call);
    if (w->path.is_over)
        return err_set(err, ERR_TOO_LARGE, "%s: the path is too long", call->op->name);
    if (call->identity)
        add_signature(w, call);
    if (check_time(call, err))
        return -1;
    dispatch(w, call);
    return 0;
}
