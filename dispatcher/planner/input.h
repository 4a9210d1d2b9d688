/* What comes in, in any of the three forms, read in one pass with all its faults: one JSON import, JSON lines, CSV. */
#pragma once

#include "dispatcher/planner/faults.h"
#include "dispatcher/planner/playbook.h"
#include "dispatcher/planner/profile.h"

#define INPUT_BYTES_MAX ((size_t)64 << 20) /* of a bulk file */
#define INPUT_IMPORT_BYTES_MAX ((size_t)1 << 20)
#define INPUT_ROWS_MAX 100000

enum input_format { INPUT_AUTO, INPUT_JSON, INPUT_JSONL, INPUT_CSV };

struct input_context { /* borrowed; `sealing` is not needed: only the shape of sealed credentials is checked */
    const struct profile *profile;
    const struct playbook *const *playbooks;
    size_t playbook_count;
};

struct input_row {
    uint32_t line;   /* 0 for one JSON document */
    json_t *request; /* as POST /v1/imports takes it, checked, defaults not yet put in */
};
struct input {
    size_t count;
    struct input_row *rows;
};

/* Everything wrong goes to `faults`; rows are complete only when there are none. AUTO looks at the first bytes. */
void input_read(const struct input_context *ctx, enum input_format format, const char *bytes, size_t len,
                struct input *ret, struct faults *faults);
void input_done(struct input *in);
/* One request (already JSON): adds its faults. */
void input_check(const struct input_context *ctx, const json_t *request, uint32_t line, struct faults *faults);
/* The playbook a checked request means (its own or the first). */
const struct playbook *input_playbook(const struct input_context *ctx, const json_t *request);

#define AUTO_INPUT CLEANUP(input_done)
