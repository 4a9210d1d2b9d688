/* Redis's clock by our own boot clock, from what answers say. Pure.
 *
 * An answer that says `redis_ms` was given between the moment when we sent its call and the moment when we read it, so
 * the difference of the clocks lies between redis_ms - received and redis_ms - sent. Of these bounds the least that no
 * answer contradicts is taken: our time is never behind an answer that we have read (who claims a step is told a time
 * after its predecessor's end), and never ahead of Redis when it counts. An answer read late, as after SIGSTOP, moves
 * nothing back, and a jump of the wall clock moves nothing at all. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct queue_clock {
    int64_t offset_ms; /* Redis's clock minus ours */
    bool is_known;
};

static inline void queue_clock_learn(struct queue_clock *c, uint64_t sent_boot_ms, uint64_t received_boot_ms,
                                     uint64_t redis_ms)
{
    int64_t least = (int64_t)redis_ms - (int64_t)received_boot_ms, most = (int64_t)redis_ms - (int64_t)sent_boot_ms;
    if (!c->is_known || c->offset_ms < least)
        c->offset_ms = least;
    else if (c->offset_ms > most)
        c->offset_ms = most; /* clocks drift, and another Redis has another clock */
    c->is_known = true;
}

static inline uint64_t queue_clock_ms(const struct queue_clock *c, uint64_t boot_ms)
{
    return (uint64_t)((int64_t)boot_ms + c->offset_ms);
}
