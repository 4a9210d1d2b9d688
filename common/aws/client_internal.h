/* Shared by the parts of the AWS client: client.c (who may call, and when a request leaves), client_request.c (what
 * leaves), client_answer.c (what an answer means), client_pages.c (joining). Nobody else includes this. */
#pragma once

#include "common/aws/client.h"
#include "common/aws/endpoint.h"
#include "common/aws/error_map.h"
#include "common/aws/rate.h"
#include "common/aws/retry.h"
#include "common/aws/skew.h"
#include "common/base/assert.h"
#include "common/base/mem.h"

#define AWS_CLIENT_MAGIC 0x61777363U
#define AWS_CALL_MAGIC 0x6177736bU
#define AWS_BODY_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define AWS_PAGES_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define AWS_REQUEST_BYTES_MAX ((size_t)1024 * 1024)
#define AWS_PAGES_MAX 10000U

struct call_list {
    struct aws_call *first, *last;
};

struct aws_group { /* calls of one account and service that may not run beside each other */
    struct keyed keyed;
    uint32_t in_flight;
    struct call_list waiting;
};

struct aws_client {
    uint32_t magic;
    uv_loop_t *loop;
    const struct env *env;
    void (*throttled)(void *arg, const char *rate_key, const char *family, uint32_t delay_ms);
    void *throttled_arg;
    struct http_client *http;
    struct aws_endpoints *endpoints;
    bool is_simulated;
    uint32_t call_timeout_ms;
    uint32_t calls_max;
    char *user_agent;
    uv_timer_t *timer; /* on the heap: its close callback may run after us */
    struct rates rates;
    struct keyed_map retries, groups;
    struct skews skews;
    struct call_list all;   /* through all_next; the lists below through list_next */
    struct call_list late;  /* refused: told in the next turn */
    struct call_list ready; /* waiting for one of calls_max places, first come first served */
    struct aws_call **heap; /* waiting for a time; the earliest on top */
    size_t heap_count, heap_cap;
    uint64_t order;
    uint32_t flying;
    uint32_t busy; /* our functions on the stack that will touch the client again */
    bool is_freed;
    struct aws_client_stats stats;
};

struct aws_call {
    uint32_t magic;
    struct aws_client *client;
    aws_done_fn *done;
    void *arg;
    struct aws_call *all_next, *all_prev;
    struct call_list *list; /* the list it stands in, NULL: none */
    struct aws_call *list_next, *list_prev;
    size_t heap_place; /* from 1; 0: not in the heap */
    uint64_t due_ms, order;
    bool has_slot;          /* a departure of its rate bucket is ours */
    bool is_grouped;        /* counts in its group */
    struct http_call *http; /* in flight */
    struct err refusal;

    const struct aws_op *op;
    json_t *args;
    struct aws_identity *identity;
    char region[32], bucket_owner[16], rate_key[96], label[64];
    uint64_t leave_before_boot_ms;
    uint64_t (*leave_before)(void *arg);
    void *leave_arg;

    struct aws_target target; /* of the last request */
    int64_t skew_ms;          /* AWS's clock minus our boot clock, as it was signed */
    uint64_t sent_boot_ms;    /* when it was given to the HTTP client, signed */
    bool has_tried_skew, has_tried_region;
    bool is_held_back; /* the connection came too late: nothing left */
    uint32_t tries;    /* of the present page */
    uint32_t tries_all, pages;
    uint32_t price; /* of the present page's last retry */
    size_t bytes_all;
    json_t *facts; /* joined so far; NULL before the first page */
    char *token;   /* that asked for the present page */
};

/* client.c */
void call_wait_until(struct aws_call *call,
                     uint64_t due_ms); /* a new departure: rate, group and place are asked again */
void call_finish(struct aws_call *call, const json_t *facts, const struct err *err, const struct aws_fault *fault);
void call_on_http(void *arg, const struct http_response *response, const struct err *err);
/* client_request.c: builds, signs, sends. -1: refused, nothing left. */
int call_send(struct aws_call *call, struct err *err);
uint64_t call_leave_before(const struct aws_call *call); /* of the next request; 0: no limit */
/* client_answer.c: ends the call, or arranges the next request. */
void call_judge(struct aws_call *call, const struct http_response *response, const struct err *err);
/* client_pages.c: 1: another page is wanted, 0: call->facts is complete, -1: *err. Takes the reference. */
int call_join(struct aws_call *call, json_t *page, struct err *err);
/* Args of the present page. New reference. */
json_t *call_args(const struct aws_call *call);
