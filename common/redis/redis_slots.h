/* Which of the 16,384 hash slots of a cluster a key is in. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define REDIS_SLOTS 16384

uint16_t redis_slot_of(const char *key, size_t len);
