/* CSV bulk files: dotted column names become the fields of a request. */
#pragma once

#include "dispatcher/planner/input.h"

void input_csv_read(const struct input_context *ctx, const char *bytes, size_t len, struct input *ret,
                    struct faults *faults);
/* Adds a row; takes the reference. */
void input_add_row(struct input *in, uint32_t line, json_t *request);
