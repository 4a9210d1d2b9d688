/* The one step that a snapshot plays: in no playbook, so that no import can name it. */
#pragma once

#include "worker/step.h"

extern const struct step_def snapshot_step;
