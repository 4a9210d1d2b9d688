/* Plays AWS operations of ours against any endpoint: the real tables, signer, client and parsers, without step or
 * queue.
 *
 *   AWS_ACCESS_KEY_ID=.. AWS_SECRET_ACCESS_KEY=.. aws_ops_runner ENDPOINTS ACCOUNT <questions
 * A question is a line {"op":"iam:GetRole","args":{..},"region"?}; its answer is a line {"op","facts","pages","tries"}
 * or
 * {"op","error","aws_code","text"}. "op" may be "" to learn every operation's name. */
#include "common/aws/client.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 20000

struct runner {
    uv_loop_t loop;
    struct http_client *http;
    struct aws_client *client;
    struct aws_identity *identity;
    json_t *answer;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "aws_ops_runner: %s\n", what);
    exit(1);
}

static void on_answer(void *arg, const struct aws_outcome *o)
{
    struct runner *r = arg;
    if (o->err)
        r->answer = json_make("{s:s,s:s,s:s}", "error", err_info(o->err->code)->name, "aws_code", o->aws_code, "text",
                              o->err->text);
    else
        r->answer = json_make("{s:O,s:i,s:i}", "facts", o->facts, "pages", (int)o->pages, "tries", (int)o->tries);
}

static json_t *every_name(void)
{
    json_t *names = json_array();
    for (size_t i = 0; aws_ops[i]; i++)
        (void)json_array_append_new(names, json_string(aws_ops[i]->name));
    return json_make("{s:o}", "ops", names);
}

static json_t *ask(struct runner *r, const json_t *question)
{
    const struct aws_op *op = aws_op_by_name(json_str_at(question, "op"));
    if (!op)
        die("there is no such operation");
    const struct aws_op *ops[] = {op, NULL};
    const struct aws_grant grant = {.ops = ops, .account_id = r->identity->account_id};
    const struct aws_call_input input = {.op = op,
                                         .args = json_at(question, "args"),
                                         .grant = &grant,
                                         .identity = r->identity,
                                         .region = json_str_at(question, "region"),
                                         .bucket_owner = "",
                                         .rate_key = r->identity->account_id};
    r->answer = NULL;
    (void)aws_call(r->client, &input, on_answer, r);
    while (!r->answer)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    return r->answer;
}

static void start(struct runner *r, const char *endpoints, const char *account)
{
    struct err err = {0};
    struct aws_profile_role role = {0};
    if (uv_loop_init(&r->loop) || aws_credentials_default(NULL, &r->identity, &role, &err))
        die(err.text);
    r->identity->is_simulated = true; /* so that it can sign for loopback only */
    (void)snprintf(r->identity->account_id, sizeof r->identity->account_id, "%s", account);
    const struct http_client_options http = {.env = env_system(), .connections_max = 4};
    r->http = http_client_new(&r->loop, &http);
    const struct aws_client_options options = {.env = env_system(),
                                               .http = r->http,
                                               .is_simulated = true,
                                               .endpoints = endpoints,
                                               .call_timeout_ms = CALL_TIMEOUT_MS,
                                               .calls_max = 4,
                                               .rate_scale_pct = 100000,
                                               .user_agent = "aws_ops_runner"};
    if (aws_client_new(&r->loop, &options, &r->client, &err))
        die(err.text);
}

static void stop(struct runner *r)
{
    aws_client_free(r->client);
    http_client_close(r->http, NULL, NULL);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&r->loop))
        die("something of ours is still in the loop");
    aws_identity_unref(r->identity);
}

int main(int argc, char **argv)
{
    struct runner r = {0};
    if (argc != 3)
        die("usage: aws_ops_runner ENDPOINTS ACCOUNT <questions");
    start(&r, argv[1], argv[2]);
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        struct err err;
        json_auto_t *question = json_read(line, (size_t)n, 0, &err);
        if (!question)
            die(err.text);
        json_auto_t *answer = *json_str_at(question, "op") ? ask(&r, question) : every_name();
        json_put_str(answer, "op", json_str_at(question, "op"));
        AUTO_FREE char *text = json_text(answer);
        (void)printf("%s\n", text);
        (void)fflush(stdout);
    }
    free(line);
    stop(&r);
    return 0;
}
