#include "sim.h"
const struct sim_op sim_ops_s3[] = {{0}};
