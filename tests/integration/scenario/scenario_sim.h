/* The simulated AWS as a child process, and its admin interface. */
#pragma once

#include "common/codec/json.h"

struct scenario_sim;
/* Starts orgimport-awssim from `bin_dir` with its files in `dir`. Exits the program when it does not come up. */
struct scenario_sim *scenario_sim_start(const char *bin_dir, const char *dir);
void scenario_sim_stop(struct scenario_sim *sim);
int scenario_sim_port(const struct scenario_sim *sim);
const char *scenario_sim_credentials(const struct scenario_sim *sim); /* of the operator's accounts */
/* New reference; body NULL: GET. Any status but 2xx ends the program. */
json_t *scenario_sim_ask(struct scenario_sim *sim, const char *path, const json_t *body);
/* Lines of the effect log about `account` since the last mark. New array. */
void scenario_sim_mark(struct scenario_sim *sim);
json_t *scenario_sim_effects(struct scenario_sim *sim, const char *account);
/* The world's state without what differs from run to run (made-up ids, times, the trail). New reference. */
json_t *scenario_sim_world(struct scenario_sim *sim, const char *account);
