/* Packs and unpacks import records, and knows the names of their states. Layout: record.h. */
#include "common/queue/record.h"

#include "common/base/assert.h"

#include <string.h>

#define RECORD_FLAGS_ALL                                                                                               \
    (RECORD_IS_PAUSED | RECORD_IS_CANCELLED | RECORD_IS_SIMULATED | RECORD_HAS_CLAIM | RECORD_IS_UNDOING |             \
     RECORD_IS_STOPPING)
#define STEP_FLAGS_ALL (STEP_FLAG_HELD | STEP_FLAG_SIGNALLED | STEP_FLAG_RELEASED | STEP_FLAG_TASK | STEP_FLAG_SIGNALS)

unsigned char *record_put_number(unsigned char *at, uint64_t n, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(n >> (8 * i) & 0xff);
    return at + bytes;
}

unsigned char *record_put_name(unsigned char *at, const struct record *r)
{
    at = record_put_number(at, r->fence, 8);
    at = record_put_number(at, r->nonce, 4);
    at = record_put_number(at, r->version, 4);
    return record_put_number(at, r->stamp, 4);
}

static uint64_t get(const unsigned char **at, size_t bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n |= (uint64_t)(*at)[i] << (8 * i);
    *at += bytes;
    return n;
}

size_t record_pack(const struct record *r, unsigned char *ret)
{
    ASSERT(r->step_count <= RECORD_STEPS_MAX);
    unsigned char *at = record_put_name(ret, r);
    at = record_put_number(at, r->session, 8);
    const uint8_t bytes[] = {r->state, r->step_count, r->remaining, r->writers, r->readers,
                             r->flags, r->run,        r->weight,    r->party,   RECORD_LAYOUT};
    memcpy(at, bytes, sizeof bytes);
    at = record_put_number(at + sizeof bytes, r->dag, 8);
    at = record_put_number(at, r->vt, 8);
    at = record_put_number(at, r->created_ms, 8);
    at = record_put_number(at, r->since_ms, 8);
    at = record_put_number(at, r->group, 4);
    at = record_put_number(at, 0, 2);
    for (size_t i = 0; i < r->step_count; i++) {
        const struct record_step *s = &r->steps[i];
        *at++ = s->state;
        *at++ = s->deps;
        *at++ = s->attempts;
        *at++ = s->crashes;
        at = record_put_number(at, s->claim_version, 4);
        at = record_put_number(at, s->due_ms, 6);
        *at++ = s->flags;
        *at++ = s->party;
        at = record_put_number(at, s->lines, 4);
    }
    return (size_t)(at - ret);
}

static const char *step_fault(const struct record_step *s, size_t step_count)
{
    if (s->state >= STATE_COUNT)
        return "step state";
    if (s->deps >= step_count)
        return "step predecessors";
    if (s->flags & ~STEP_FLAGS_ALL)
        return "step flags";
    return s->party > PARTY_ORGIMPORT ? "step party" : NULL;
}

/* What record_pack never writes; NULL when all is well. */
static const char *record_fault(const struct record *r, unsigned layout, unsigned spare)
{
    if (layout != RECORD_LAYOUT || spare)
        return "layout";
    if (!r->step_count || r->step_count > RECORD_STEPS_MAX || r->remaining > r->step_count)
        return "step count";
    if (r->state >= IMPORT_STATE_COUNT || r->party > PARTY_ORGIMPORT || (r->flags & ~RECORD_FLAGS_ALL) || !r->weight)
        return "head";
    for (size_t i = 0; i < r->step_count; i++) {
        const char *fault = step_fault(&r->steps[i], r->step_count);
        if (fault)
            return fault;
    }
    return NULL;
}

int record_unpack(const void *bytes, size_t len, struct record *ret, struct err *err)
{
    const unsigned char *at = bytes;
    struct record r = {0};
    if (len < RECORD_HEAD_BYTES + RECORD_STEP_BYTES || len > RECORD_BYTES_MAX ||
        (len - RECORD_HEAD_BYTES) % RECORD_STEP_BYTES)
        return err_set(err, ERR_CORRUPT, "a record of %zu bytes", len);
    r.fence = get(&at, 8);
    r.nonce = (uint32_t)get(&at, 4);
    r.version = (uint32_t)get(&at, 4);
    r.stamp = (uint32_t)get(&at, 4);
    r.session = get(&at, 8);
    uint8_t *const fields[] = {&r.state, &r.step_count, &r.remaining, &r.writers, &r.readers,
                               &r.flags, &r.run,        &r.weight,    &r.party};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        *fields[i] = (uint8_t)get(&at, 1);
    unsigned layout = (unsigned)get(&at, 1);
    r.dag = get(&at, 8);
    r.vt = get(&at, 8);
    r.created_ms = get(&at, 8);
    r.since_ms = get(&at, 8);
    r.group = (uint32_t)get(&at, 4);
    unsigned spare = (unsigned)get(&at, 2);
    if (r.step_count != (len - RECORD_HEAD_BYTES) / RECORD_STEP_BYTES)
        return err_set(err, ERR_CORRUPT, "a record of %u steps in %zu bytes", r.step_count, len);
    for (size_t i = 0; i < r.step_count; i++) {
        struct record_step *s = &r.steps[i];
        s->state = (uint8_t)get(&at, 1);
        s->deps = (uint8_t)get(&at, 1);
        s->attempts = (uint8_t)get(&at, 1);
        s->crashes = (uint8_t)get(&at, 1);
        s->claim_version = (uint32_t)get(&at, 4);
        s->due_ms = get(&at, 6);
        s->flags = (uint8_t)get(&at, 1);
        s->party = (uint8_t)get(&at, 1);
        s->lines = (uint32_t)get(&at, 4);
    }
    const char *fault = record_fault(&r, layout, spare);
    if (fault)
        return err_set(err, ERR_CORRUPT, "a record with a wrong %s", fault);
    *ret = r;
    return 0;
}

void record_new(const struct dag *dag, const bool *skipped, uint64_t now_ms, struct record *ret)
{
    *ret = (struct record){.step_count = dag->step_count,
                           .weight = RECORD_WEIGHT,
                           .dag = dag_hash(dag),
                           .created_ms = now_ms,
                           .since_ms = now_ms};
    for (size_t i = 0; i < dag->step_count; i++) {
        const struct dag_step *d = &dag->steps[i];
        struct record_step *s = &ret->steps[i];
        if (skipped && skipped[i]) {
            s->state = STATE_SKIPPED;
            continue;
        }
        for (size_t k = 0; k < d->needs_count; k++)
            s->deps = (uint8_t)(s->deps + !(skipped && skipped[d->needs[k]]));
        s->state = s->deps ? STATE_PENDING : STATE_READY;
        ret->remaining++;
    }
    ret->state = ret->remaining ? IMPORT_ACCEPTED : IMPORT_COMPLETED;
}

static const char *const step_names[STATE_COUNT] = {"PENDING", "READY",  "BLOCKED", "ACTIVE",    "DELAYED", "WAITING",
                                                    "DONE",    "FAILED", "DEAD",    "CANCELLED", "SKIPPED"};
static const char *const import_names[IMPORT_STATE_COUNT] = {"accepted", "running",   "waiting",   "held",    "paused",
                                                             "failed",   "completed", "cancelled", "undoing", "undone"};
static const char *const party_names[] = {"", "customer", "operator", "aws", "orgimport"};

const char *step_state_name(enum step_state s)
{
    return (unsigned)s < STATE_COUNT ? step_names[s] : "UNKNOWN";
}

const char *import_state_name(enum import_state s)
{
    return (unsigned)s < IMPORT_STATE_COUNT ? import_names[s] : "unknown";
}

const char *party_name(enum blocking_party p)
{
    return (unsigned)p < ARRAY_LEN(party_names) ? party_names[p] : "";
}

bool import_state_parse(const char *name, enum import_state *ret)
{
    for (int i = 0; i < IMPORT_STATE_COUNT; i++)
        if (strcmp(name, import_names[i]) == 0) {
            *ret = (enum import_state)i;
            return true;
        }
    return false;
}

bool import_state_is_terminal(enum import_state s)
{
    return s == IMPORT_COMPLETED || s == IMPORT_CANCELLED || s == IMPORT_UNDONE;
}
