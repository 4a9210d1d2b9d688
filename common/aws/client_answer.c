/* What an answer means and what follows: facts, another page, the same request once more, or an error that says whether
 * the effect can have happened.
 *
 * Invariant (P2): a mutating call is sent again only after an answer of AWS that refuses it before the work, or when
 * the transport proves that nothing of it left. */
#include "common/aws/client_internal.h"

#include "common/aws/partition.h"
#include "common/base/mem.h"
#include "common/policy/policy.h"

#include <stdio.h>

#define SERVER_HINT_SECONDS_MAX 60U

static void fill_origin(const struct aws_call *call, int status, const struct aws_fault *fault, struct err *err)
{
    if (status)
        (void)snprintf(err->origin, sizeof err->origin, "%.48s %d%s%.38s", call->op->name, status,
                       *fault->code ? " " : "", fault->code);
    else
        (void)snprintf(err->origin, sizeof err->origin, "%.48s no answer", call->op->name);
    (void)snprintf(err->request_id, sizeof err->request_id, "%s", fault->request_id);
}

/* The operator's keys are not the customer's business. */
static void fill_owner(const struct aws_call *call, struct err *err)
{
    if (call->op->who == AWS_AS_CUSTOMER || call->op->who == AWS_AS_NOBODY)
        return;
    if (err->code == ERR_AWS_CREDENTIALS)
        err->code = ERR_OPERATOR_CREDENTIALS;
    if (err->code == ERR_OPERATOR_CREDENTIALS || err->code == ERR_AWS_DENIED)
        err->owner = OWNER_OPERATOR;
}

/* A refusal first of all names the action: that is what somebody must allow. AWS says most of it, S3 and Organizations
 * sometimes only "Access Denied"; then the operation says what it needs. */
static void say_denied(const struct aws_call *call, const struct aws_fault *fault, struct err *err)
{
    json_auto_t *said = policy_denied_read(fault->message);
    const char *action = json_str_at(said, "action"), *resource = json_str_at(said, "resource");
    const char *layer = json_str_at(said, "layer"), *policy = json_str_at(said, "policy");
    if (!*action)
        action = call->op->permission && *call->op->permission ? call->op->permission : call->op->name;
    AUTO_FREE char *on = *resource ? mem_printf(" on %.120s", resource) : mem_dup("");
    if (str_eq(json_str_at(said, "kind"), "explicit"))
        (void)err_set(err, ERR_AWS_DENIED, "%s is denied%s: explicit deny in the %s%s%.200s", action, on, layer,
                      *policy ? " " : "", policy);
    else if (str_eq(json_str_at(said, "kind"), "implicit"))
        (void)err_set(err, ERR_AWS_DENIED, "%s is not allowed%s: no %s allows it", action, on, layer);
    else
        (void)err_set(err, ERR_AWS_DENIED, "%s is denied (%s: %s)", action, fault->code, fault->message);
}

static void end_with(struct aws_call *call, enum err_code code, enum err_applied applied, const struct aws_reply *reply,
                     const struct aws_fault *fault, uint32_t retry_after_ms)
{
    struct err err;
    const char *what = *fault->message ? fault->message : err_info(code)->title;
    if (code == ERR_AWS_DENIED)
        say_denied(call, fault, &err);
    else
        (void)err_set(&err, code, "%s%s%s", fault->code, *fault->code ? ": " : "", what);
    err.applied = applied;
    err.retry_after_ms = retry_after_ms;
    fill_owner(call, &err);
    fill_origin(call, reply->status, fault, &err);
    call_finish(call, NULL, &err, fault);
}

/* ---- Once more ------------------------------------------------------------------------------------------------------
 */
static struct retry_tokens *tokens_of(struct aws_call *call)
{
    struct aws_client *client = call->client;
    return retry_tokens_get(&client->retries, call->rate_key, call->op->service->id, env_boot_ms(client->env));
}

static bool is_in_time(const struct aws_call *call, uint64_t due_ms)
{
    uint64_t leave_before = call_leave_before(call);
    return !leave_before || due_ms + call->client->call_timeout_ms < leave_before;
}

static bool try_again(struct aws_call *call, enum retry_reason reason, uint32_t delay_ms)
{
    struct aws_client *client = call->client;
    uint64_t now_ms = env_boot_ms(client->env);
    if (call->tries >= RETRY_TRIES_MAX || !is_in_time(call, now_ms + delay_ms) ||
        !retry_spend(tokens_of(call), reason, now_ms))
        return false;
    call->price = retry_price(reason);
    client->stats.retries++;
    call_wait_until(call, now_ms + delay_ms);
    return true;
}

/* For causes that are mended now (clock, region): at once, once, without a token. */
static void send_once_more(struct aws_call *call)
{
    call->client->stats.retries++;
    call->tries--;
    call_wait_until(call, env_boot_ms(call->client->env));
}

/* x-amz-retry-after is in milliseconds; Retry-After, of proxies, in seconds. */
static bool server_hint(const struct http_response *response, uint64_t *ret_ms)
{
    char text[24];
    if (http_response_header(response, "x-amz-retry-after", text, sizeof text) && str_to_u64(text, 3600000, ret_ms))
        return true;
    if (http_response_header(response, "retry-after", text, sizeof text) &&
        str_to_u64(text, SERVER_HINT_SECONDS_MAX, ret_ms)) {
        *ret_ms *= 1000;
        return true;
    }
    return false;
}

static uint32_t delay_of(const struct aws_call *call, enum retry_reason reason, const struct http_response *response)
{
    uint64_t hint_ms = 0;
    bool has_hint = response && server_hint(response, &hint_ms);
    uint32_t retries = call->tries ? call->tries - 1 : 0;
    return retry_delay_ms(call->client->env, reason, retries, has_hint, hint_ms);
}

/* ---- By verdict -----------------------------------------------------------------------------------------------------
 */
static void on_throttle(struct aws_call *call, const struct http_response *response, const struct aws_reply *reply,
                        const struct aws_fault *fault)
{
    struct aws_client *client = call->client;
    uint64_t now_ms = env_boot_ms(client->env);
    uint32_t delay_ms = delay_of(call, RETRY_FOR_THROTTLE, response);
    client->stats.throttles++;
    /* Whoever else calls this family with this account waits too. */
    rate_pause(rates_bucket(&client->rates, call->rate_key, call->op->family, now_ms), now_ms + delay_ms);
    if (client->throttled)
        client->throttled(client->throttled_arg, call->rate_key, call->op->family, delay_ms);
    if (!try_again(call, RETRY_FOR_THROTTLE, delay_ms))
        end_with(call, ERR_AWS_THROTTLED, APPLIED_NO, reply, fault, delay_ms);
}

static void on_transient(struct aws_call *call, const struct http_response *response, const struct aws_reply *reply,
                         const struct aws_fault *fault)
{
    if (call->op->mutates)
        end_with(call, ERR_AWS_UNCLEAR, APPLIED_MAYBE, reply, fault, 0);
    else if (!try_again(call, RETRY_FOR_TRANSIENT, delay_of(call, RETRY_FOR_TRANSIENT, response)))
        end_with(call, ERR_AWS_TRANSIENT, APPLIED_NO, reply, fault, 0);
}

/* Most services have the same code for a wrong key, and yet nobody's key is wrong: the request was long on its way, we
 * were stopped between signing and sending, or our clock is off. */
static bool names_the_date(const struct aws_fault *fault)
{
    return str_eq(fault->code, "RequestTimeTooSkewed") || strstr(fault->message, "Signature expired") ||
           strstr(fault->message, "Signature not yet current");
}

/* Refused for its date: a fresh signature, as for any try, if the lease still lets it leave. No person is asked. */
static void on_late(struct aws_call *call, const struct aws_reply *reply, const struct aws_fault *fault)
{
    if (call->tries >= RETRY_TRIES_MAX) {
        end_with(call, ERR_AWS_TRANSIENT, APPLIED_NO, reply, fault, 0);
        return;
    }
    call->client->stats.retries++;
    call_wait_until(call, env_boot_ms(call->client->env));
}

static void on_skew(struct aws_call *call, enum err_code code, const struct aws_reply *reply,
                    const struct aws_fault *fault)
{
    int64_t off = skew_of(&call->client->skews, call->target.host, call->client->env) - call->skew_ms;
    if (names_the_date(fault)) {
        on_late(call, reply, fault);
    } else if (!call->has_tried_skew && (off > SKEW_RETRY_MS || off < -SKEW_RETRY_MS)) {
        call->has_tried_skew = true;
        send_once_more(call);
    } else {
        end_with(call, code, APPLIED_NO, reply, fault, 0);
    }
}

static void on_redirect(struct aws_call *call, const struct http_response *response, const struct aws_reply *reply,
                        const struct aws_fault *fault)
{
    char region[32];
    struct err ignored;
    bool is_elsewhere = http_response_header(response, "x-amz-bucket-region", region, sizeof region) &&
                        !str_eq(region, call->target.region) && aws_region_check(region, &ignored) == 0;
    if (is_elsewhere && !call->has_tried_region) {
        call->has_tried_region = true;
        (void)snprintf(call->region, sizeof call->region, "%s", region);
        send_once_more(call);
        return;
    }
    end_with(call, reply->status == 400 ? ERR_AWS_REFUSED : ERR_BUCKET_REGION, APPLIED_NO, reply, fault, 0);
}

static void on_ok(struct aws_call *call, const struct aws_reply *reply, const struct aws_fault *fault)
{
    struct err err = {0};
    retry_refund(tokens_of(call), call->price);
    call->price = 0;
    call->bytes_all += reply->body_bytes;
    json_t *page = call->op->parse(reply, &err);
    int more = page ? call_join(call, page, &err) : -1;
    if (more > 0) {
        call->tries = 0;
        call_wait_until(call, env_boot_ms(call->client->env));
        return;
    }
    if (more == 0) {
        call_finish(call, call->facts, NULL, fault);
        return;
    }
    if (!err.code)
        (void)err_set(&err, ERR_AWS_ANSWER, "%s: the answer cannot be read", call->op->name);
    /* A write that AWS took, and an answer that we do not understand: the step looks. */
    if (call->op->mutates) {
        err.code = ERR_AWS_UNCLEAR;
        err.owner = err_info(ERR_AWS_UNCLEAR)->owner;
        err.retry = err_info(ERR_AWS_UNCLEAR)->retry;
        err.applied = APPLIED_MAYBE;
    }
    fill_origin(call, reply->status, fault, &err);
    call_finish(call, NULL, &err, fault);
}

/* ---- Transport ------------------------------------------------------------------------------------------------------
 */
static void on_no_answer(struct aws_call *call, const struct err *why)
{
    const struct aws_fault none = {0};
    if (call->is_held_back && call->tries < RETRY_TRIES_MAX) { /* signed anew, or refused by the lease that it missed */
        call_wait_until(call, env_boot_ms(call->client->env));
        return;
    }
    bool is_proven = why->applied == APPLIED_NO;
    bool is_final = why->code == ERR_ENDPOINT_CLOSED || why->code == ERR_TOO_LARGE || why->code == ERR_INTERNAL ||
                    why->code == ERR_SYNTAX;
    if (!is_final && (is_proven || !call->op->mutates) &&
        try_again(call, RETRY_FOR_TRANSIENT, delay_of(call, RETRY_FOR_TRANSIENT, NULL)))
        return;
    struct err err;
    enum err_code code = is_final ? why->code : ERR_AWS_TRANSIENT;
    if (call->op->mutates && !is_proven)
        code = ERR_AWS_UNCLEAR;
    (void)err_set(&err, code, "%s", why->text);
    err.applied = call->op->mutates ? why->applied : APPLIED_NO;
    fill_origin(call, 0, &none, &err);
    call_finish(call, NULL, &err, NULL);
}

void call_judge(struct aws_call *call, const struct http_response *response, const struct err *err)
{
    if (err) {
        on_no_answer(call, err);
        return;
    }
    const struct aws_reply reply = {.status = response->status,
                                    .headers = response->headers,
                                    .body = response->body,
                                    .body_bytes = response->body_bytes};
    struct aws_fault fault;
    aws_fault_read(call->op->service, &reply, &fault);
    if (*fault.request_id) /* AWS's own answer: a proxy's clock is nobody's */
        skew_learn(&call->client->skews, call->target.host, response, call->client->env);
    struct aws_verdict verdict = aws_error_classify(call->op, &reply, &fault);
    switch (verdict.kind) {
    case AWS_KIND_OK:
        on_ok(call, &reply, &fault);
        break;
    case AWS_KIND_ABSENT: {
        json_auto_t *nothing = json_null();
        call_finish(call, nothing, NULL, &fault);
        break;
    }
    case AWS_KIND_THROTTLE:
        on_throttle(call, response, &reply, &fault);
        break;
    case AWS_KIND_TRANSIENT:
        on_transient(call, response, &reply, &fault);
        break;
    case AWS_KIND_SKEW:
        on_skew(call, verdict.code, &reply, &fault);
        break;
    case AWS_KIND_REDIRECT:
        on_redirect(call, response, &reply, &fault);
        break;
    case AWS_KIND_ALIEN: /* a proxy's page: it may have passed the request on */
        end_with(call, call->op->mutates ? ERR_AWS_UNCLEAR : verdict.code,
                 call->op->mutates ? APPLIED_MAYBE : APPLIED_NO, &reply, &fault, 0);
        break;
    case AWS_KIND_EXPIRED:
    case AWS_KIND_FAIL:
        end_with(call, verdict.code, APPLIED_NO, &reply, &fault, 0);
        break;
    }
}
