/* Turns of a wanted size straight through common/queue, many on the way at once: a holder that does nothing but hold.
 * It stands on the queue's test rig (a private redis-server); everything that a real holder sends is sent: journal,
 * result, ledger line, fence and nonce. */
#pragma once

#include "tests/integration/queue/rig.h"

/* What one DONE of a step that does nothing looks like when the real worker sends it (worker/runtime/step_end.c). */
extern const char *const load_journal, *const load_result, *const load_ledger;

struct load_shape {
    uint32_t batch;    /* items in a turn */
    uint32_t pipeline; /* turns on the way at once */
    uint32_t slots;    /* imports held at most; the others wait in the ring */
};
struct load_count {
    uint64_t steps, turns;
    double seconds;
};

/* A chain of `steps` writers, each waiting for the one before it. */
struct dag load_chain(unsigned steps);
/* Accounts and ids go on from call to call, so that no import meets another. */
void load_submit(uint32_t imports, const struct dag *dag);
/* The same in groups 1 to `groups` in turn. */
void load_submit_groups(uint32_t imports, uint32_t groups, const struct dag *dag);
/* All in one group (0: none), of that weight. */
void load_submit_share(uint32_t imports, struct rig_share share, const struct dag *dag);
/* How many were submitted so far; the id of the n-th, good until the next call. */
uint64_t load_count(void);
const char *load_id(uint64_t n);
/* Claims for `session` until it holds `imports` of them; nothing is finished. */
void load_hold(uint64_t session, uint32_t imports);
/* A session of its own works off everything that is in the ring. */
void load_run(uint64_t session, const struct load_shape *shape, struct load_count *ret);
/* The same, but only as many steps as `steps_max`; what is then active stays so. */
void load_run_some(uint64_t session, const struct load_shape *shape, uint64_t steps_max, struct load_count *ret);

/* Redis's own words: CPU of its main thread, calls by command, memory, longest call seen by SLOWLOG. */
struct load_meter {
    double cpu_us;
    uint64_t inner;  /* commands that functions made */
    uint64_t outer;  /* functions called */
    uint64_t memory; /* used_memory */
};
struct load_meter load_meter(void);
void load_slowlog_reset(void);
uint64_t load_slowest_us(void);
