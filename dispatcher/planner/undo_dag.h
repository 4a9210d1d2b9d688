/* The playbook walked backwards: the order in which an import is undone. Pure.
 *
 * A step of a playbook says with "undo" where it stands: "open" (access: runs again first, in the playbook's order),
 * "close" (proof, end of access, report: run again last, in the playbook's order), else it is taken back after all that
 * needed it. "undo_needs" names other steps instead, where people must go another way back than they came: the address
 * returns before the password, and the operator's second factor goes last. */
#pragma once

#include "dispatcher/planner/playbook.h"

/* `ret_again`: open and close steps by bit, for queue_undo(). ERR_FIELD_INVALID when no order fits. */
NODISCARD int undo_dag(const struct playbook *p, struct dag *ret, uint64_t *ret_again, struct err *err);
/* Indexes of all steps in an order that fits the shape. Gives their number. */
size_t undo_order(const struct dag *dag, uint8_t ret[RECORD_STEPS_MAX]);
