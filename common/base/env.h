/* What the outside world gives: clocks and randomness. Passed in from main so that tests can drive them. */
#pragma once

#include "common/base/macros.h"

#include <stdint.h>

struct env {
    uint64_t (*unix_ms)(void *self); /* wall clock, for people and for signing */
    uint64_t (*boot_ms)(void *self); /* CLOCK_BOOTTIME: goes on during suspend; for deadlines and leases */
    void (*random)(void *self, void *bytes, size_t len);
    void *self;
};

const struct env *env_system(void);

static inline uint64_t env_unix_ms(const struct env *e)
{
    return e->unix_ms(e->self);
}
static inline uint64_t env_boot_ms(const struct env *e)
{
    return e->boot_ms(e->self);
}
static inline void env_random(const struct env *e, void *bytes, size_t len)
{
    e->random(e->self, bytes, len);
}
/* Uniform in [0, below); `below` > 0. */
uint64_t env_random_below(const struct env *e, uint64_t below);
