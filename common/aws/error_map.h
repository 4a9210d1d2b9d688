/* What an answer of AWS means: one table from code (or status) to what the client does and what the caller is told. */
#pragma once

#include "common/aws/op.h"

enum aws_kind {
    AWS_KIND_OK,
    AWS_KIND_ABSENT,    /* the operation's own "not there": facts are JSON null */
    AWS_KIND_THROTTLE,  /* refused before the work: may be repeated even for a write */
    AWS_KIND_TRANSIENT, /* may or may not have been applied */
    AWS_KIND_SKEW,      /* refused; perhaps because of our clock */
    AWS_KIND_EXPIRED,   /* refused; new credentials are the caller's business */
    AWS_KIND_REDIRECT,  /* S3: that bucket lives in another region */
    AWS_KIND_FAIL,      /* refused for good */
    AWS_KIND_ALIEN      /* not an answer of AWS: something in between spoke */
};

struct aws_fault {     /* what an error answer says */
    char code[96];     /* short wire code, "" when there is none */
    char message[640]; /* for a person; no control characters, no part of a canonical request */
    char request_id[72];
};
/* Reads code, message and request id by protocol; never fails, fields stay empty. Used on every answer (request id). */
void aws_fault_read(const struct aws_service *service, const struct aws_reply *reply, struct aws_fault *ret);

struct aws_verdict {
    enum aws_kind kind;
    enum err_code code; /* ERR_NONE for OK and ABSENT */
};
struct aws_verdict aws_error_classify(const struct aws_op *op, const struct aws_reply *reply,
                                      const struct aws_fault *fault);
