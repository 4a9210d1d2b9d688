/* Whose share of the workers an import draws from: its group, and how much a start of it weighs. Words of people here,
 * numbers in the record; what is done with them: README.md, "Who is next". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct share {
    uint32_t group; /* 0: none, it stands for itself */
    uint8_t weight;
};

#define SHARE_GROUP_MAX 64 /* bytes of a group's name */

/* "urgent", "normal", "bulk"; "" is normal. */
bool share_priority_is_known(const char *priority);
/* A customer's group and class: imports of one group in another class are a group of their own, so that its urgent ones
 * do not stand behind its others. `group` "" : none. */
struct share share_of(const char *group, const char *priority);
