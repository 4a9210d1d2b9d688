/* Short words for an import's life, on the rig. */
#pragma once

#include "tests/integration/queue/rig.h"

#define S1 0x1000000000000001ULL
#define S2 0x1000000000000002ULL

/* A fresh import of that shape (rig_dag); its id lives until four more were made. */
const char *import_new(const char *shape);
/* The one import that the session gets now. */
struct queue_held claim_one(uint64_t session, const char *id);
struct queue_held send_one(uint64_t session, struct queue_item it, enum queue_ack want);
/* One line of a step's ledger chain, and its hash. mem_free(). */
char *chain_line(const char *step, int n, const char *prev, char hash[65]);
/* Cancels and finishes what is left, so that it does not stand in the next test's way; then the audit. */
void put_away(const char *id);
