/* The inbox for other systems: a stream they fill with plain XADD, no library of ours.
 *
 *   XADD f:{0}:in * request '{"external_ref":..}' [reply f:replies:crm]
 *   answer: XADD f:{0}:out (or the reply key) external_ref X import_id Y status accepted|exists|refused errors '[..]'
 *
 * Invariant: an entry is acknowledged only after its answer stands in the reply stream; whatever is in it, it is
 * answered. Any number of dispatchers share one consumer group; entries of a dead one are taken over. Idempotent by
 * external_ref. */
#pragma once

#include "dispatcher/store/store.h"

struct inbox;
struct inbox *inbox_new(struct store *s);
/* Takes no more entries; answers under way are finished. Frees itself when nothing is under way. */
void inbox_stop(struct inbox *in);
