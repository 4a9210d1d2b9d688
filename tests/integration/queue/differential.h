/* The parts of the differential test: a shard in C (differential_model.c), the comparison of it with Redis
 * (differential_compare.c), and the random work that both are put to (differential.c). */
#pragma once

#include "tests/integration/queue/rig.h"

#define IMPORTS 40
#define SESSIONS 3
#define GROUPS 5 /* and imports of no group */

struct model_import {
    char id[IMPORT_ID_BYTES];
    bool exists;
    struct record r;
    struct dag dag;
    enum transition_place place; /* as its group knows it */
    bool was_open;               /* likewise */
    uint64_t slot, charge;       /* its number in the group's queue; work that the group was not charged for */
    bool has_signal[RECORD_STEPS_MAX][4];
};
struct model_session {
    uint64_t id, deadline_ms;
    bool lives;
};
struct model_group {
    uint64_t vt, first, next;
    uint32_t open;
    uint8_t weight;
};
struct model {
    struct model_import imports[IMPORTS];
    struct model_group groups[GROUPS + 1]; /* [0]: none */
    struct model_session sessions[SESSIONS];
    uint64_t floor;
    uint64_t serial;
};
extern struct model m;

/* What happened, so that nobody takes silence for success. */
struct differential_counts {
    unsigned long left_from_the_middle, claimed_of_groups;
    unsigned long answers[TRANSITION_UNDO + 1][ANSWER_CONFLICT + 1];
};
extern struct differential_counts counts;
extern unsigned long event_number; /* for messages */

/* Imports that wait in the ring, without that one (NULL: all). */
size_t ring_count(const struct model_import *but);
struct model_import *find(const char *id);
/* One event for one import; `ev` gets what the shard knows: time, floor, who else waits. */
enum transition_answer apply(struct model_import *im, struct transition_event *ev);
/* What a call did to imports reaches their groups when it looks at the ring, and when it ends. */
void groups_settle(void);
/* Dead sessions (but the caller's), then what is due. */
void model_timers(const struct model_session *me);
void model_turn(struct model_session *me, uint32_t chance, size_t want, const struct queue_item *items, size_t count,
                struct rig_turn *t);

/* Ends the program with 1 when they differ. */
void compare(const char *what, const char *id, const struct record *want, const struct record *got);
void compare_all(void);
