/* One play of a step: the real core and the real gate, on a clock of our own, with a finger on every boundary.
 *
 * Boundaries, counted from 0: before a save reaches Redis, after it; before a write leaves; after an answer came,
 * before anybody knows it; before the end is recorded. */
#pragma once

#include "tests/integration/scenario/scenario_delay.h"
#include "tests/integration/scenario/scenario_sim.h"
#include "worker/runtime/gate.h"
#include "worker/runtime/mail.h"

#define PLAY_CALLS_MAX 4096

enum fault { FAULT_NONE, FAULT_THROTTLE, FAULT_BEFORE, FAULT_AFTER, FAULT_DROP, FAULT_RESET, FAULT_COUNT };
const char *fault_name(enum fault f);

struct stage { /* everything that lives longer than a play */
    uv_loop_t loop;
    struct later *later;
    struct http_client *http;
    struct aws_client *aws;
    struct scenario_sim *sim;
    struct delay *delay;
    struct gate_own own;
    struct gate_mail mail;
    struct gate_tools tools;
    struct env env; /* the simulator's clock */
    int64_t offset_ms;
    char endpoint[64], dir[128];
    json_t *digests; /* "step|key" -> digest of arguments: the same in every play (f) */
};

struct play_input { /* borrowed */
    const struct step_def *def;
    const json_t *import, *results, *signals, *then;
    const json_t *undone; /* what the undo of other steps left */
    const char *credential;
    const char *journal;
    bool is_undo;
    const char *expect; /* outcome at which a waiting play is over */
    int kill_at;        /* boundary, -1: never */
    bool resumes;       /* after the kill */
    int stop_at;        /* boundary at which it is cancelled, -1: never */
    int fault_call;     /* number of the call that fails once, -1: none */
    enum fault fault;
    int hold_write; /* number of the write that is held back while its holder dies, -1: none */
};
struct play_output {
    const char *outcome; /* done wait wait_aws fail hold sleep interrupt dead stuck */
    char *code;
    char *journal, *result, *task;
    int boundaries, calls, writes, writes_after_stop;
    bool are_writes[PLAY_CALLS_MAX]; /* by number of call */
    int rounds;
    bool was_killed, was_held;
    uint64_t held_at_ms;
    char drift[256]; /* (f): a key that was asked with other arguments than before */
};
void play(struct stage *stage, const struct play_input *in, struct play_output *ret);
void play_output_done(struct play_output *out);
uint64_t stage_now(const struct stage *stage);
void stage_advance(struct stage *stage, uint64_t ms);
/* Back to real time: for the next play from the saved world. */
void stage_rewind(struct stage *stage);
