/* An explicit-state model checker of one page: breadth first, every state once, shortest counterexample told.
 * A model gives a flat state without pointers or padding that differs, whose bytes are all below 16 (two are kept in
 * one: states are many), and an expand() that calls model_found() for every next state. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_STATE_BYTES 256
#define MODEL_STATES_MAX 15000000u

struct model_options {
    void (*expand)(const void *state);
    const char *(*judge)(const void *state); /* NULL, or what is broken */
    bool (*is_end)(const void *state);       /* a good end; every state must be able to reach one */
    size_t bytes;
    const char *live; /* what it means when none can be reached */
};

/* Prints what it found. 0: everything holds; 1: a fault, with the actions that lead to it; 2: too large. */
int model_search(const struct model_options *options, const void *start);
void model_found(const void *state, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
