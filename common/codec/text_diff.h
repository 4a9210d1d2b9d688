/* The difference of two small texts, line by line, with two lines around each change. Pure. */
#pragma once

#include <stddef.h>

/* sign: '+', '-' or ' '; '@' with an empty text stands for lines left out. */
typedef void text_diff_fn(void *arg, char sign, const char *line, size_t len);
void text_diff(const char *before, const char *after, text_diff_fn *take, void *arg);
