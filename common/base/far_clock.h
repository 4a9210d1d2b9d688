/* Somebody else's clock (Redis's, AWS's) by our own boot clock, from what answers say. Pure.
 *
 * An answer that names a time was given between the moment when we sent its question and the moment when we read it, so
 * the difference of the clocks lies between named - received and named - sent. Of these bounds the least that no
 * answer contradicts is taken: our time is never behind an answer that we have read (who claims a step is told a time
 * after its predecessor's end), and never ahead of the far clock when it counts. An answer read late, as after SIGSTOP,
 * moves nothing back, and a jump of the wall clock moves nothing at all. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct far_clock {
    int64_t offset_ms; /* the far clock minus ours, at least */
    int64_t most_ms;   /* the same at most, as the newest answer proves */
    bool is_known;
};

/* The far clock showed something from `least_ms` to `most_ms` when it answered: one number, or the whole second of an
 * HTTP date. */
static inline void far_clock_learn(struct far_clock *c, uint64_t sent_boot_ms, uint64_t received_boot_ms,
                                   uint64_t least_ms, uint64_t most_ms)
{
    int64_t least = (int64_t)least_ms - (int64_t)received_boot_ms, most = (int64_t)most_ms - (int64_t)sent_boot_ms;
    if (!c->is_known || c->offset_ms < least)
        c->offset_ms = least;
    else if (c->offset_ms > most)
        c->offset_ms = most; /* clocks drift, and another machine has another clock */
    c->most_ms = most;
    c->is_known = true;
}

/* What it shows at least. */
static inline uint64_t far_clock_ms(const struct far_clock *c, uint64_t boot_ms)
{
    return (uint64_t)((int64_t)boot_ms + c->offset_ms);
}

/* What it shows at most: how old something can be that it has stamped. */
static inline uint64_t far_clock_most_ms(const struct far_clock *c, uint64_t boot_ms)
{
    return (uint64_t)((int64_t)boot_ms + c->most_ms);
}
