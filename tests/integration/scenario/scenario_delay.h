/* A byte pump between the client and the simulator that can hold one request back: what a stopped worker still had in
 * hand, delivered long after another has taken over. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct delay;
struct delay *delay_start(uv_loop_t *loop, int to_port);
int delay_port(const struct delay *d);
/* The next request that contains `word` (and is no GET or HEAD) is kept. */
void delay_arm(struct delay *d, const char *word);
bool delay_has(const struct delay *d);
/* Sends what is kept and waits for the answer (on the loop). False when nothing was kept. */
bool delay_release(struct delay *d);
void delay_close(struct delay *d);
