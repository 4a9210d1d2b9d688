/* Errors are values on the caller's stack and carry the decision: what went wrong, who can mend it, and whether to
 * try again. Codes, owners, retry classes and fixes come from one table, err.def. To add an error: one line there. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

enum err_retry {
    RETRY_NEVER,   /* the same input will fail again */
    RETRY_NOW,     /* at once, once */
    RETRY_BACKOFF, /* later, with full jitter */
    RETRY_AFTER,   /* not before retry_after_ms */
    RETRY_REAUTH,  /* after fresh credentials */
    RETRY_ASK      /* only after a person has changed something */
};

/* Whether the effect of a call happened. MAYBE on a write is never blindly repeated (P2). */
enum err_applied { APPLIED_NO, APPLIED_MAYBE, APPLIED_YES };

enum err_owner { OWNER_NONE, OWNER_CUSTOMER, OWNER_OPERATOR, OWNER_AWS, OWNER_ORGIMPORT };

enum err_code {
    ERR_NONE,
#define ERR(id, name, owner, retry, title, fix) ERR_##id,
#include "common/base/err.def"
#undef ERR
    ERR_CODE_COUNT
};

struct err {
    enum err_code code;
    enum err_retry retry;
    enum err_owner owner;
    enum err_applied applied;
    uint32_t retry_after_ms;
    char origin[96];     /* "iam:CreateRole 503 ServiceFailure" */
    char request_id[72]; /* AWS's request id where there was one */
    char text[320];      /* for a person; wrapped as it climbs */
};

struct err_info {
    const char *name;  /* public, dotted, stable: "role.name_taken" */
    const char *title; /* one line */
    const char *fix;   /* what its owner does about it */
    enum err_owner owner;
    enum err_retry retry;
};

/* Fills `err` with the table's owner and retry class and the text. Always -1, so that `return err_set(...)` reads well.
 */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "where: " before the text of an error on its way up. Always -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_clear(struct err *err);

/* Never NULL; an unknown code gives the entry of ERR_INTERNAL. */
const struct err_info *err_info(enum err_code code);
/* ERR_NONE when no error has that public name. */
enum err_code err_code_by_name(const char *name);
const char *err_owner_name(enum err_owner owner); /* "customer", "operator", "aws", "orgimport", "" */
const char *err_retry_name(enum err_retry retry); /* "never", "backoff", ... */
enum err_owner err_owner_by_name(const char *name);
