/* The table of steps of orgimport-drill-worker, in place of worker/steps/step_defs.c. A playbook's steps have names of
 * their own, so each kind is there 32 times. */
#include "tests/drill/drill_steps.h"

#define NOOP(n) &(const struct step_def){.name = "drill_noop_" #n, .item = "drill", .run = drill_noop, .version = 1},
#define WRITE(n)                                                                                                       \
    &(const struct step_def){                                                                                          \
        .name = "drill_write_" #n, .item = "drill", .run = drill_write, .ops = drill_write_ops, .version = 1},
#define VERSION(n)                                                                                                     \
    &(const struct step_def){                                                                                          \
        .name = "drill_version_" #n, .item = "drill", .run = drill_version, .ops = drill_version_ops, .version = 1},
#define EACH(kind)                                                                                                     \
    kind(01) kind(02) kind(03) kind(04) kind(05) kind(06) kind(07) kind(08) kind(09) kind(10) kind(11) kind(12)        \
        kind(13) kind(14) kind(15) kind(16) kind(17) kind(18) kind(19) kind(20) kind(21) kind(22) kind(23) kind(24)    \
            kind(25) kind(26) kind(27) kind(28) kind(29) kind(30) kind(31) kind(32)

const struct step_def *const step_defs[] = {EACH(NOOP) EACH(WRITE) EACH(VERSION) NULL};
