/* All that is wrong with an input, each fault at its place: what P9 promises ("one precise error per fault"). */
#pragma once

#include "common/base/err.h"
#include "common/codec/json.h"

#define FAULTS_MAX 1000 /* more are counted, not kept: nobody reads a thousand and one */

struct faults {
    json_t *list; /* array of {pointer | line, field, column, code, owner, detail, fix} */
    size_t count;
};

/* Where a fault lies: in JSON a pointer ("/customer/name"), in bulk files a line and a dotted field name. */
struct place {
    uint32_t line;     /* 0: the input is one JSON document */
    const char *field; /* dotted, "" for the whole */
};

void faults_init(struct faults *f);
void faults_done(struct faults *f);
void faults_add(struct faults *f, struct place where, enum err_code code, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A fault of reading (syntax, encoding, size) as `err` tells it. */
void faults_add_err(struct faults *f, struct place where, const struct err *err);
/* The first fault's code, ERR_NONE when there is none. */
enum err_code faults_first(const struct faults *f);
/* A value that may be shown: cut at 40 bytes, and never anything that looks like a key (then "(not shown)"). */
const char *faults_show(const char *value, char ret[64]);

#define AUTO_FAULTS CLEANUP(faults_done)
