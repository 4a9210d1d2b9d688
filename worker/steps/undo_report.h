/* The report of an undo: what was taken back, what people gave back, what stays and how to remove it. */
#pragma once

#include "worker/step.h"

/* Leaves "summary", "verdict" and "report"; only from what the undo's steps left. */
enum step_result undo_report(struct step *s);
