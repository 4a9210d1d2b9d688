/* An AWS client in simulated mode, a scripted server behind it, and a clock and dice that the test holds: with dice
 * that always show zero no delay is ever waited for. */
#pragma once

#include "common/aws/client.h"
#include "common/codec/json.h"
#include "tests/lib/script_server.h"

#define ACCOUNT "111122223333"

struct answer { /* what a callback was told, kept */
    int calls;
    json_t *facts;
    bool has_err;
    struct err err;
    char aws_code[96], request_id[72];
    uint32_t tries, pages;
};

struct aws_world {
    uv_loop_t loop;
    struct script_server server;
    struct http_client *http;
    struct aws_client *client;
    struct aws_identity *identity;
    struct env env;
    uint64_t unix_ms, boot_ms;
    char endpoints[128];
};

static uv_loop_t *aws_world_loop;

static inline uint64_t world_unix(void *self)
{
    return ((struct aws_world *)self)->unix_ms;
}
static inline uint64_t world_boot(void *self)
{
    return ((struct aws_world *)self)->boot_ms;
}
static inline void world_random(void *self UNUSED, void *bytes, size_t len)
{
    memset(bytes, 0, len);
}

static inline void on_answer(void *arg, const struct aws_outcome *o)
{
    struct answer *a = arg;
    a->calls++;
    uv_stop(aws_world_loop); /* a timer may have been all that the loop had */
    json_decref(a->facts);
    a->facts = o->facts ? json_deep_copy(o->facts) : NULL;
    a->has_err = o->err != NULL;
    if (o->err)
        a->err = *o->err;
    (void)snprintf(a->aws_code, sizeof a->aws_code, "%s", o->aws_code);
    (void)snprintf(a->request_id, sizeof a->request_id, "%s", o->request_id);
    a->tries = o->tries;
    a->pages = o->pages;
}
static inline void answer_done(struct answer *a)
{
    json_decref(a->facts);
    *a = (struct answer){0};
}

static inline void aws_world_start(struct aws_world *w, const struct script_step *steps, size_t count,
                                   const struct aws_client_options *more)
{
    *w = (struct aws_world){.unix_ms = 1795428000000, .boot_ms = 1000000};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    aws_world_loop = &w->loop;
    script_server_start(&w->server, &w->loop, steps, count);
    w->env = (struct env){world_unix, world_boot, world_random, w};
    (void)snprintf(w->endpoints, sizeof w->endpoints, "http://127.0.0.1:%d", w->server.port);
    const struct http_client_options http = {.env = &w->env, .connections_max = 16};
    w->http = http_client_new(&w->loop, &http);
    struct aws_client_options options = more ? *more : (struct aws_client_options){0};
    options.env = &w->env;
    options.http = w->http;
    options.is_simulated = true;
    options.endpoints = w->endpoints;
    options.call_timeout_ms = options.call_timeout_ms ? options.call_timeout_ms : 20000;
    options.rate_scale_pct = options.rate_scale_pct ? options.rate_scale_pct : 100000;
    struct err err;
    if (aws_client_new(&w->loop, &options, &w->client, &err))
        fail_msg("%s", err.text);
    w->identity = aws_identity_new("AKIATESTTESTTEST", "secret", "the-session-token");
    w->identity->is_simulated = true;
    (void)snprintf(w->identity->account_id, sizeof w->identity->account_id, ACCOUNT);
}

static inline void aws_world_stop(struct aws_world *w)
{
    if (w->client)
        aws_client_free(w->client);
    http_client_close(w->http, NULL, NULL);
    script_server_stop(&w->server);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    script_server_done(&w->server);
    aws_identity_unref(w->identity);
}

static inline struct aws_call *world_call(struct aws_world *w, const struct aws_op *op, const json_t *args,
                                          struct answer *a)
{
    const struct aws_op *ops[] = {op, NULL};
    const struct aws_grant grant = {.ops = ops, .account_id = ACCOUNT};
    const struct aws_call_input input = {.op = op,
                                         .args = args,
                                         .grant = &grant,
                                         .identity = w->identity,
                                         .region = "",
                                         .bucket_owner = "",
                                         .rate_key = ACCOUNT};
    return aws_call(w->client, &input, on_answer, a);
}

static inline void world_run(struct aws_world *w, const struct answer *a, int calls)
{
    for (int turns = 0; a->calls < calls; turns++) {
        assert_true(turns < 100000);
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
}

static inline void world_ask(struct aws_world *w, const struct aws_op *op, const json_t *args, struct answer *a)
{
    answer_done(a);
    (void)world_call(w, op, args, a);
    assert_int_equal(a->calls, 0); /* always late */
    world_run(w, a, 1);
}

/* ---- Operations of the test, one per protocol
 * ------------------------------------------------------------------------ */
static inline int build_form(const json_t *args, struct aws_request *r, struct err *err UNUSED)
{
    r->method = "POST";
    (void)snprintf(r->path, sizeof r->path, "/");
    str_init(&r->body, 4096);
    if (json_has(args, "Name"))
        str_addf(&r->body, "Name=%s", json_str_at(args, "Name"));
    return 0;
}
static inline int build_object(const json_t *args, struct aws_request *r, struct err *err UNUSED)
{
    r->method = "POST";
    (void)snprintf(r->path, sizeof r->path, "/");
    AUTO_FREE char *text = json_text(args);
    str_init(&r->body, 4096);
    str_add(&r->body, text);
    return 0;
}
static inline int build_bucket(const json_t *args, struct aws_request *r, struct err *err UNUSED)
{
    r->method = json_bool_at(args, "Head") ? "HEAD" : "PUT";
    (void)snprintf(r->path, sizeof r->path, "/");
    (void)snprintf(r->bucket, sizeof r->bucket, "doitintl-awsops-acme42");
    str_init(&r->query, 64);
    str_add(&r->query, "policy");
    str_init(&r->body, 4096);
    if (!json_bool_at(args, "Head"))
        str_add(&r->body, "{\"Version\":\"2012-10-17\"}");
    return 0;
}
static inline json_t *parse_status(const struct aws_reply *reply, struct err *err UNUSED)
{
    return json_make("{s:i, s:s}", "status", reply->status, "body", reply->body);
}
static inline json_t *parse_body(const struct aws_reply *reply, struct err *err)
{
    return json_read(reply->body, reply->body_bytes, 0, err);
}

static const struct aws_service test_query = {.id = "iam",
                                              .host = "iam.amazonaws.com",
                                              .sign_name = "iam",
                                              .sign_region = "us-east-1",
                                              .protocol = AWS_QUERY,
                                              .version = "2010-05-08"};
static const struct aws_service test_sts = {.id = "sts",
                                            .host = "sts.{region}.amazonaws.com",
                                            .sign_name = "sts",
                                            .protocol = AWS_QUERY,
                                            .version = "2011-06-15"};
static const struct aws_service test_json = {.id = "organizations",
                                             .host = "organizations.us-east-1.amazonaws.com",
                                             .sign_name = "organizations",
                                             .sign_region = "us-east-1",
                                             .protocol = AWS_JSON_1_1,
                                             .target = "AWSOrganizationsV20161128."};
static const struct aws_service test_s3 = {
    .id = "s3", .host = "s3.{region}.amazonaws.com", .sign_name = "s3", .protocol = AWS_REST_XML};

static const struct aws_op op_read = {.name = "iam:GetRole",
                                      .service = &test_query,
                                      .action = "GetRole",
                                      .family = "iam",
                                      .absent = "NoSuchEntity",
                                      .build = build_form,
                                      .parse = parse_status};
static const struct aws_op op_write = {.name = "iam:CreateRole",
                                       .service = &test_query,
                                       .action = "CreateRole",
                                       .family = "iam",
                                       .mutates = true,
                                       .settle = SETTLE_LOOK,
                                       .build = build_form,
                                       .parse = parse_status};
static const struct aws_op op_identity = {.name = "sts:GetCallerIdentity",
                                          .service = &test_sts,
                                          .action = "GetCallerIdentity",
                                          .family = "sts",
                                          .build = build_form,
                                          .parse = parse_status};
static const struct aws_op op_operator = {.name = "sts:AssumeRole",
                                          .service = &test_sts,
                                          .action = "AssumeRole",
                                          .family = "sts",
                                          .who = AWS_AS_OPERATOR,
                                          .build = build_form,
                                          .parse = parse_status};
static const struct aws_pages pages_of_accounts = {
    .token_arg = "NextToken", .token_fact = "next", .list = "accounts", .pages_max = 4};
static const struct aws_op op_list = {.name = "organizations:ListAccounts",
                                      .service = &test_json,
                                      .action = "ListAccounts",
                                      .family = "organizations.ListAccounts",
                                      .build = build_object,
                                      .parse = parse_body,
                                      .pages = &pages_of_accounts};
static const struct aws_op op_json_write = {.name = "organizations:Write",
                                            .service = &test_json,
                                            .action = "Write",
                                            .family = "organizations.Write",
                                            .mutates = true,
                                            .settle = SETTLE_LOOK,
                                            .build = build_object,
                                            .parse = parse_body};
static const struct aws_op op_bucket = {.name = "s3:PutBucketPolicy",
                                        .service = &test_s3,
                                        .action = "PutBucketPolicy",
                                        .family = "s3",
                                        .mutates = true,
                                        .settle = SETTLE_RESEND,
                                        .is_slow_signature = true,
                                        .build = build_bucket,
                                        .parse = parse_status};
static const struct aws_op op_head = {.name = "s3:HeadBucket",
                                      .service = &test_s3,
                                      .action = "HeadBucket",
                                      .family = "s3",
                                      .absent = "NoSuchBucket",
                                      .build = build_bucket,
                                      .parse = parse_status};
static const struct aws_op *const test_ops[] UNUSED = {&op_read, &op_write,      &op_identity, &op_operator,
                                                       &op_list, &op_json_write, &op_bucket,   &op_head};

/* Answers with their length: the script's texts are literals. */
#define BODY_OK "HTTP/1.1 200 OK\r\nx-amzn-RequestId: r-ok\r\nContent-Length: 2\r\n\r\nok"
#define EMPTY(status, headers) "HTTP/1.1 " status "\r\nContent-Length: 0\r\n" headers "\r\n"
#define CLOSED(status, headers, body) "HTTP/1.1 " status "\r\nConnection: close\r\n" headers "\r\n" body
#define XML_ERROR(code, message)                                                                                       \
    "<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code><Message>" message                                  \
    "</Message></Error><RequestId>r-xml</RequestId></ErrorResponse>"
