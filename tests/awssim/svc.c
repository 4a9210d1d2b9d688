/* Small helpers that the service files and the worlds share. */
#include "svc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

json_t *svc_textf(const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return json_string(text);
}

bool svc_matches(const char *text, const char *also_allowed, size_t min, size_t max)
{
    size_t bytes = strlen(text);
    if (bytes < min || bytes > max)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(also_allowed, text[i]))
            return false;
    return true;
}

bool svc_one_of(const char *text, const char *list)
{
    size_t bytes = strlen(text);
    if (bytes == 0)
        return false;
    for (const char *at = list; *at != '\0';) {
        size_t word = strcspn(at, ",");
        if (word == bytes && memcmp(at, text, bytes) == 0)
            return true;
        at += word;
        if (*at == ',')
            at++;
    }
    return false;
}

bool svc_page(struct sim_request *rq, const char *token_name, const char *code, size_t *ret_start)
{
    *ret_start = 0;
    const char *token = sim_param(rq, token_name);
    if (token[0] == '\0')
        return true;
    char *end = NULL;
    unsigned long start = strncmp(token, "page-", 5) == 0 ? strtoul(token + 5, &end, 10) : 0;
    if (end == NULL || *end != '\0' || start > 10000000) {
        sim_error(rq, 400, code, "The token is not valid.");
        return false;
    }
    *ret_start = start;
    return true;
}

json_t *svc_page_token(size_t next)
{
    return svc_textf("page-%zu", next);
}

bool svc_billing_open(struct sim_request *rq)
{
    const json_t *access = sim_at(rq->world, "billing.iam_access");
    if (access == NULL || json_is_true(access) || svc_is(rq->caller_type, "Root"))
        return true;
    sim_error(rq, svc_is(rq->service, "tax") ? 403 : 400, "AccessDeniedException",
              "User: %s is not authorized to perform: %s:%s", rq->caller_arn, rq->service, rq->action);
    return false;
}

json_t *svc_seconds(uint64_t ms)
{
    return json_real((double)ms / 1000.0);
}

uint64_t svc_timing(struct sim_world *w, const char *name, uint64_t otherwise)
{
    const json_t *timing = json_object_get(w->state, "timing");
    const json_t *number = json_object_get(timing, name);
    return json_is_integer(number) ? (uint64_t)json_integer_value(number) : otherwise;
}
