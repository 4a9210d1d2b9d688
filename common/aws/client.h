/* AWS client: sign, send, classify, repeat what is proven not applied, page.
 *
 * Invariants: nothing is signed that the grant does not list (P4); nothing is dialled outside the endpoints in
 * simulated mode (P11); a mutating call is repeated here only when the answer proves it was not applied (P2); no call
 * leaves unless the caller's lease outlives its timeout (P3). */
#pragma once

#include "common/aws/credentials.h"
#include "common/aws/op.h"
#include "common/http/http_client.h"

struct aws_client;
struct aws_call;

struct aws_client_options {
    const struct env *env;
    struct http_client *http; /* borrowed; outlives the client */
    bool is_simulated;        /* closed endpoints: only `endpoints`, no metadata address, identity must be simulated */
    const char *endpoints;    /* "http://127.0.0.1:9" for all, or "sts=URL,iam=URL,*=URL"; NULL live:
                                 AWS_ENDPOINT_URL[_SERVICE] then AWS */
    uint32_t call_timeout_ms;
    uint32_t calls_max;
    uint32_t rate_scale_pct; /* 100 = half of AWS's documented rates */
    /* AWS throttled: nobody of this client calls the family with this rate key for delay_ms. For those who share the
     * account with other processes. May be NULL. */
    void (*throttled)(void *arg, const char *rate_key, const char *family, uint32_t delay_ms);
    void *throttled_arg;
    const char *user_agent;
};

NODISCARD int aws_client_new(uv_loop_t *loop, const struct aws_client_options *options, struct aws_client **ret,
                             struct err *err);
void aws_client_free(struct aws_client *client); /* drops calls without callback */

/* What the caller may sign just now. */
struct aws_grant {
    const struct aws_op *const *ops; /* NULL-terminated manifest */
    const char *account_id; /* identity's asserted account must equal it; "" only for the asserting call itself */
};

struct aws_call_input { /* borrowed during aws_call() only, `identity` is counted */
    const struct aws_op *op;
    const json_t *args;
    const struct aws_grant *grant;
    struct aws_identity *identity; /* NULL for AWS_AS_NOBODY */
    const char *region;            /* "" : the service's */
    const char *bucket_owner;      /* S3: expected owner, "" none */
    uint64_t leave_before_boot_ms; /* a request may only leave when now + timeout is below this; 0: no limit */
    /* Asked instead, anew for each request: a call of hundreds of pages outlives many leases that are renewed
     * meanwhile. Must live as long as the call. NULL: the fixed value. */
    uint64_t (*leave_before)(void *arg);
    void *leave_arg;
    const char *rate_key; /* account whose buckets it draws from */
    const char *label;    /* joins the user agent, which CloudTrail shows: the import's id and its hold; NULL none */
};

struct aws_outcome {     /* borrowed inside the callback */
    const json_t *facts; /* when err is NULL; JSON null means absent */
    const struct err *err;
    const char *aws_code;   /* "EntityAlreadyExists"; "" when none */
    const char *request_id; /* of the last answer */
    uint32_t tries;
    uint32_t pages;
};
typedef void aws_done_fn(void *arg, const struct aws_outcome *outcome);

/* Always answers later. A refusal by grant, endpoint or lease comes as an error with applied NO. */
struct aws_call *aws_call(struct aws_client *client, const struct aws_call_input *input, aws_done_fn *done, void *arg);
void aws_call_cancel(struct aws_call *call); /* no callback afterwards */
/* The lease was renewed: a call that still waits for its turn may leave until then. */
void aws_call_leave_before(struct aws_call *call, uint64_t boot_ms);
/* What time it is at AWS, as far as its answers told; our wall clock before the first. Never ahead of AWS's own. */
uint64_t aws_client_now_ms(const struct aws_client *client);
/* How long until a call of that family may leave (0: now): the buckets, for a step runtime that wants to know. */
uint32_t aws_client_wait_ms(const struct aws_client *client, const char *rate_key, const struct aws_op *op);

struct aws_client_stats {
    uint64_t calls, requests, retries, throttles, errors;
};
void aws_client_stats(const struct aws_client *client, struct aws_client_stats *ret);
