/* Verdicts. Code before status, the service's own line before "*", and what is not AWS's own answer proves nothing. */
#include "common/aws/error_map.h"

static const struct {
    const char *service;
    const char *code;
    enum aws_kind kind;
    enum err_code err;
} map[] = {
#define AWS_ERROR(service, code, kind, err) {service, code, AWS_KIND_##kind, ERR_##err},
#include "common/aws/error_map.def"
#undef AWS_ERROR
};

static bool look_up(const char *service, const char *code, struct aws_verdict *ret)
{
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (!str_eq(map[i].code, code))
            continue;
        bool is_own = str_eq(map[i].service, service);
        if (!is_own && !str_eq(map[i].service, "*"))
            continue;
        *ret = (struct aws_verdict){map[i].kind, map[i].err};
        found = true;
        if (is_own)
            return true;
    }
    return found;
}

static struct aws_verdict by_status(int status, bool is_aws)
{
    if (status == 429)
        return (struct aws_verdict){AWS_KIND_THROTTLE, ERR_AWS_THROTTLED};
    if (status >= 500)
        return (struct aws_verdict){AWS_KIND_TRANSIENT, ERR_AWS_TRANSIENT};
    if (!is_aws || status < 300)
        return (struct aws_verdict){AWS_KIND_ALIEN, ERR_AWS_ANSWER};
    if (status == 403)
        return (struct aws_verdict){AWS_KIND_FAIL, ERR_AWS_DENIED};
    if (status == 404)
        return (struct aws_verdict){AWS_KIND_FAIL, ERR_AWS_ABSENT};
    return (struct aws_verdict){AWS_KIND_FAIL, ERR_AWS_REFUSED};
}

static bool is_redirect(const struct aws_op *op, const struct aws_reply *reply, const struct aws_fault *fault)
{
    bool is_aws = *fault->code || *fault->request_id;
    if (!is_aws || !str_eq(op->service->sign_name, "s3"))
        return false;
    if (reply->status == 301 || reply->status == 307)
        return true;
    return reply->status == 400 &&
           (!*fault->code || str_eq(fault->code, "AuthorizationHeaderMalformed") || str_eq(fault->code, "BadRequest"));
}

struct aws_verdict aws_error_classify(const struct aws_op *op, const struct aws_reply *reply,
                                      const struct aws_fault *fault)
{
    if (reply->status >= 200 && reply->status < 300)
        return (struct aws_verdict){AWS_KIND_OK, ERR_NONE};
    /* HEAD has no body and so no code: 404 is enough for an operation that knows absence. */
    bool is_bare_404 = reply->status == 404 && (!*fault->code || str_eq(fault->code, "NotFound")) && *fault->request_id;
    if (op->absent && reply->status < 500 &&
        ((*fault->code && str_in_list(op->absent, fault->code)) || (is_bare_404 && *op->absent)))
        return (struct aws_verdict){AWS_KIND_ABSENT, ERR_NONE};
    if (is_redirect(op, reply, fault))
        return (struct aws_verdict){AWS_KIND_REDIRECT, ERR_BUCKET_REGION};
    struct aws_verdict verdict;
    bool is_aws = *fault->code || *fault->request_id;
    bool is_known = *fault->code && look_up(op->service->sign_name, fault->code, &verdict);
    if (!is_known)
        return by_status(reply->status, is_aws);
    /* A server error proves nothing, whatever word stands in it, unless the word is a throttle's. */
    if (reply->status >= 500 && verdict.kind != AWS_KIND_THROTTLE)
        return (struct aws_verdict){AWS_KIND_TRANSIENT, ERR_AWS_TRANSIENT};
    return verdict;
}
