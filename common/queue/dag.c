/* The shape of a playbook: checked once, stored by its hash, read by transition.c and by the Lua functions.
 *
 * Packed: version u8 = 1, step_count u8; for each step class u8, on_fail u8, attempts_max u8, needs_count u8, needs
 * u8[]. `next` is derived. Durable: content-addressed, so a new layout gets a new version byte and old ones stay
 * readable. */
#include "common/crypto/crypto.h"
#include "common/queue/record.h"

#include <string.h>

#define DAG_LAYOUT 1

static int check_needs(const struct dag *dag, size_t i, struct err *err)
{
    const struct dag_step *s = &dag->steps[i];
    bool seen[RECORD_STEPS_MAX] = {false};
    if (s->class_ > DAG_WRITER || s->on_fail > DAG_CONTINUE)
        return err_set(err, ERR_FIELD_INVALID, "step %zu has an unknown class or policy", i);
    if (s->needs_count >= RECORD_STEPS_MAX)
        return err_set(err, ERR_FIELD_INVALID, "step %zu needs too many steps", i);
    for (size_t k = 0; k < s->needs_count; k++) {
        size_t need = s->needs[k];
        if (need >= dag->step_count)
            return err_set(err, ERR_FIELD_INVALID, "step %zu needs step %zu, which does not exist", i, need);
        if (seen[need] || need == i)
            return err_set(err, ERR_FIELD_INVALID, "step %zu needs step %zu twice, or itself", i, need);
        seen[need] = true;
    }
    return 0;
}

/* Takes roots away until none is left (Kahn); what remains is a cycle. */
static int check_cycles(const struct dag *dag, struct err *err)
{
    uint8_t left[RECORD_STEPS_MAX], ready[RECORD_STEPS_MAX];
    size_t ready_count = 0, taken = 0;
    for (size_t i = 0; i < dag->step_count; i++) {
        left[i] = dag->steps[i].needs_count;
        if (!left[i])
            ready[ready_count++] = (uint8_t)i;
    }
    while (taken < ready_count) {
        const struct dag_step *s = &dag->steps[ready[taken++]];
        for (size_t k = 0; k < s->next_count; k++)
            if (--left[s->next[k]] == 0)
                ready[ready_count++] = s->next[k];
    }
    if (taken != dag->step_count)
        return err_set(err, ERR_FIELD_INVALID, "the steps need each other in a circle");
    return 0;
}

int dag_finish(struct dag *dag, struct err *err)
{
    if (!dag->step_count || dag->step_count > RECORD_STEPS_MAX)
        return err_set(err, ERR_FIELD_INVALID, "a playbook has 1 to %d steps, not %u", RECORD_STEPS_MAX,
                       dag->step_count);
    for (size_t i = 0; i < dag->step_count; i++) {
        if (check_needs(dag, i, err))
            return -1;
        dag->steps[i].next_count = 0;
    }
    for (size_t i = 0; i < dag->step_count; i++)
        for (size_t k = 0; k < dag->steps[i].needs_count; k++) {
            struct dag_step *before = &dag->steps[dag->steps[i].needs[k]];
            before->next[before->next_count++] = (uint8_t)i;
        }
    return check_cycles(dag, err);
}

size_t dag_pack(const struct dag *dag, unsigned char *ret, size_t size)
{
    size_t len = 2;
    for (size_t i = 0; i < dag->step_count; i++)
        len += 4u + dag->steps[i].needs_count;
    if (len > size)
        return 0;
    unsigned char *at = ret;
    *at++ = DAG_LAYOUT;
    *at++ = dag->step_count;
    for (size_t i = 0; i < dag->step_count; i++) {
        const struct dag_step *s = &dag->steps[i];
        *at++ = s->class_;
        *at++ = s->on_fail;
        *at++ = s->attempts_max;
        *at++ = s->needs_count;
        memcpy(at, s->needs, s->needs_count);
        at += s->needs_count;
    }
    return len;
}

int dag_unpack(const void *bytes, size_t len, struct dag *ret, struct err *err)
{
    const unsigned char *at = bytes, *end = at + len;
    struct dag dag = {0};
    if (len < 2 || at[0] != DAG_LAYOUT || !at[1] || at[1] > RECORD_STEPS_MAX)
        return err_set(err, ERR_CORRUPT, "a stored playbook shape cannot be read");
    dag.step_count = at[1];
    at += 2;
    for (size_t i = 0; i < dag.step_count; i++) {
        struct dag_step *s = &dag.steps[i];
        if (end - at < 4 || end - at - 4 < at[3] || at[3] >= RECORD_STEPS_MAX)
            return err_set(err, ERR_CORRUPT, "a stored playbook shape ends early");
        s->class_ = at[0];
        s->on_fail = at[1];
        s->attempts_max = at[2];
        s->needs_count = at[3];
        memcpy(s->needs, at + 4, s->needs_count);
        at += 4 + s->needs_count;
    }
    if (at != end || dag_finish(&dag, err))
        return err_set(err, ERR_CORRUPT, "a stored playbook shape makes no sense");
    *ret = dag;
    return 0;
}

uint64_t dag_hash(const struct dag *dag)
{
    unsigned char packed[4096], sum[32];
    size_t len = dag_pack(dag, packed, sizeof packed);
    crypto_sha256(packed, len, sum);
    uint64_t hash = 0;
    for (size_t i = 0; i < 8; i++)
        hash |= (uint64_t)sum[i] << (8 * i);
    return hash;
}
