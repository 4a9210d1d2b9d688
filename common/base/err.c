#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_info infos[ERR_CODE_COUNT] = {
    [ERR_NONE] = {"none", "no error", "", OWNER_NONE, RETRY_NEVER},
#define ERR(id, name, owner, retry, title, fix) [ERR_##id] = {name, title, fix, OWNER_##owner, RETRY_##retry},
#include "common/base/err.def"
#undef ERR
};

const struct err_info *err_info(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT ? &infos[code] : &infos[ERR_INTERNAL];
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    const struct err_info *info = err_info(code);
    *err = (struct err){.code = code, .retry = info->retry, .owner = info->owner};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text - 3)
        (void)snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
    return -1;
}

void err_clear(struct err *err)
{
    *err = (struct err){0};
}

enum err_code err_code_by_name(const char *name)
{
    for (int i = 1; i < ERR_CODE_COUNT; i++)
        if (strcmp(infos[i].name, name) == 0)
            return (enum err_code)i;
    return ERR_NONE;
}

static const char *const owner_names[] = {"", "customer", "operator", "aws", "orgimport"};
static const char *const retry_names[] = {"never", "now", "backoff", "after", "reauth", "ask"};

const char *err_owner_name(enum err_owner owner)
{
    return (unsigned)owner < ARRAY_LEN(owner_names) ? owner_names[owner] : "";
}

const char *err_retry_name(enum err_retry retry)
{
    return (unsigned)retry < ARRAY_LEN(retry_names) ? retry_names[retry] : "";
}

enum err_owner err_owner_by_name(const char *name)
{
    for (size_t i = 1; i < ARRAY_LEN(owner_names); i++)
        if (strcmp(owner_names[i], name) == 0)
            return (enum err_owner)i;
    return OWNER_NONE;
}
