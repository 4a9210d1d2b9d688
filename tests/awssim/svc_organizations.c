#include "sim.h"
const struct sim_op sim_ops_organizations[] = {{0}};
