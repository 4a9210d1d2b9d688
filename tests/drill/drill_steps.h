/* Steps made for drills: what the fleet does around them is the product's own, what they do at AWS can be counted. */
#pragma once

#include "worker/step.h"

/* Asks nobody anything and is done at once: what is left is the queue's and the runtime's own cost. */
enum step_result drill_noop(struct step *s);

/* The ordinary write: look, make a role, see it. Named by import and step, so that each effect at AWS says whose it is.
 * AWS refuses a second one. */
enum step_result drill_write(struct step *s);

/* Makes a policy and a second version of it. AWS would make a third version without a word, and the lost answer of
 * another holder could still do it: the look and the age of the intent are all that protects. */
enum step_result drill_version(struct step *s);

extern const struct aws_op *const drill_write_ops[], *const drill_version_ops[];
