/* AWS operations are tables. One operation = one `struct aws_op` with a pure build and a pure parse, in
 * services/<service>.c. To add one: that file, its header, and tests/vectors/aws/<service>/<Op>/.
 *
 * `args` and facts are JSON. Facts are the few things a step decides on, never the raw body, never a secret. */
#pragma once

#include "common/base/str.h"
#include "common/codec/json.h"

#include <stdbool.h>

/* How an intent without an answer is settled on resume (P2). */
enum aws_settle {
    SETTLE_NONE, /* reads */
    SETTLE_LOOK, /* the step's own reads tell; another holder's intent must be old first, unless AWS refuses the second
                  */
    SETTLE_RESEND, /* same call again is harmless: client token, or an overwrite with the same value */
    SETTLE_ASK     /* a person decides */
};

/* Whose credentials sign it. */
enum aws_identity_kind {
    AWS_AS_CUSTOMER, /* what the customer handed over */
    AWS_AS_OPERATOR, /* operator's default identity: assumes the bootstrap role */
    AWS_AS_PARTNER,  /* operator's program management account */
    AWS_AS_TRUSTED,  /* operator's account that the new roles trust (probes) */
    AWS_AS_NOBODY    /* unsigned */
};

enum aws_protocol { AWS_QUERY, AWS_JSON_1_0, AWS_JSON_1_1, AWS_REST_JSON, AWS_REST_XML };

struct aws_service {
    const char *id;          /* "iam": key of AWS_ENDPOINT_URL_<ID> */
    const char *host;        /* "iam.amazonaws.com", "{region}" is replaced */
    const char *sign_name;   /* "iam" */
    const char *sign_region; /* fixed "us-east-1", or NULL for the call's region */
    enum aws_protocol protocol;
    const char *version; /* query API version */
    const char *target;  /* json target prefix, with its dot */
};

struct aws_request {    /* filled by build */
    const char *method; /* static text */
    char path[1100];    /* encoded, from "/" */
    struct str query;   /* encoded "a=b&c="; sorted by the signer */
    struct str body;
    struct {
        char name[48];
        char value[256];
    } headers[12]; /* beyond what the protocol adds */
    size_t header_count;
    char bucket[64]; /* S3: put into the host or, against a test endpoint or when it has dots, before the path */
};

struct aws_reply { /* what parse reads; borrowed */
    int status;
    const char *headers; /* http_response_header's form */
    const char *body;
    size_t body_bytes;
};

struct aws_pages { /* paths in args and facts; facts of all pages are joined by appending the arrays at `list` */
    const char *token_arg;  /* "NextToken" */
    const char *token_fact; /* "next"; removed from the joined facts */
    const char *list;       /* "accounts"; more than one: "users,roles" */
    uint32_t pages_max;
};

struct aws_op {
    const char *name; /* "iam:CreateRole": unique, in ledgers and pages */
    const struct aws_service *service;
    const char *action;     /* "CreateRole" on the wire */
    const char *permission; /* comma list of IAM actions it needs: "iam:CreateRole,iam:TagRole" */
    const char *family;     /* rate family: "organizations.ListAccounts", "iam" */
    enum aws_identity_kind who;
    bool mutates;
    enum aws_settle settle;
    bool refuses_second; /* AWS itself refuses or ignores a repetition, so a late request of another holder does no harm
                          */
    const char *absent;  /* comma list of AWS codes that mean "not there": facts become JSON null */
    bool is_slow_signature; /* S3: a signature lives 15 minutes, others 5 */
    int (*build)(const json_t *args, struct aws_request *ret, struct err *err);
    json_t *(*parse)(const struct aws_reply *reply, struct err *err); /* new reference; only called on 2xx */
    const struct aws_pages *pages;
};

/* A step's manifest: what it may sign. NULL-terminated. */
#define OPS(...) ((const struct aws_op *const[]){__VA_ARGS__, NULL})
/* Every operation there is, NULL-terminated (policy generation, documentation, tests). */
extern const struct aws_op *const aws_ops[];
const struct aws_op *aws_op_by_name(const char *name);
