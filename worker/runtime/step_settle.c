/* Open intents: what a write means whose answer nobody recorded (P2, P3). */
#include "worker/runtime/step_private.h"

static bool is_own(const struct step *s, const json_t *entry)
{
    return str_eq(json_str_at(entry, "fence"), s->fence) && str_eq(json_str_at(entry, "nonce"), s->nonce);
}

/* How long until an open intent may be believed absent when the reads do not show it. Our own request is over soon
 * after its connection is closed, as far as AWS's back end goes. Another holder may still have it in hand: it dies with
 * its signature, or AWS refuses it.
 */
uint64_t step_own_age(const struct step *s, const struct aws_op *op)
{
    bool is_harmless = op->refuses_second || op->settle == SETTLE_RESEND;
    return is_harmless ? s->host->rules->settle_own_ms : s->host->rules->settle_own_slow_ms;
}

static uint64_t must_age(const struct step *s, const json_t *entry, const struct aws_op *op)
{
    if (op->settle == SETTLE_RESEND)
        return 0;
    if (is_own(s, entry))
        return step_own_age(s, op);
    if (op->refuses_second)
        return 0;
    return op->is_slow_signature ? s->host->rules->settle_slow_ms : s->host->rules->settle_ms;
}

/* Judged against the beginning of this generation: its reads may be that old, and they are what decides. */
static uint64_t still_young_ms(const struct step *s, const json_t *entry, const struct aws_op *op)
{
    uint64_t old_at = (uint64_t)json_int_at(entry, "at") + must_age(s, entry, op);
    return s->began_ms >= old_at ? 0 : old_at - s->began_ms;
}

static uint64_t wait_until_old(const struct step *s, uint64_t young_ms)
{
    uint64_t passed = step_clock(s) - s->began_ms;
    return young_ms > passed ? young_ms - passed : 1;
}

enum settle_verdict step_settle(struct step *s, const json_t *entry, const struct step_call *call,
                                uint64_t *ret_wait_ms)
{
    bool is_same = str_eq(json_str_at(entry, "op"), call->op->name) && str_eq(json_str_at(entry, "args"), call->digest);
    if (call->op->settle == SETTLE_RESEND)
        return is_same ? SETTLE_SEND : SETTLE_DRIFT;
    if (call->op->settle == SETTLE_ASK)
        return is_same ? SETTLE_PERSON : SETTLE_DRIFT;
    uint64_t young_ms = still_young_ms(s, entry, call->op);
    if (young_ms) {
        *ret_wait_ms = wait_until_old(s, young_ms);
        return SETTLE_LATER;
    }
    /* The step looked and asks again: it did not happen. What it asks for now may rest on newer facts. */
    return SETTLE_SEND;
}

enum step_result step_settle_question(struct step *s, const char *key, const char *op)
{
    return step_hold(s, ERR_AWS_UNCLEAR, json_make("{s:s, s:s}", "key", key, "op", op),
                     "%s was sent and nobody knows whether AWS did it; look, then accept to send it again", op);
}

/* Of an operation that this version does not know any more, the worst is assumed. */
static const struct aws_op *op_of(const struct step *s, const json_t *entry)
{
    static const struct aws_op unknown = {
        .name = "unknown", .mutates = true, .settle = SETTLE_LOOK, .is_slow_signature = true};
    const char *name = json_str_at(entry, "op");
    for (const struct aws_op *const *op = s->in.def->ops; op && *op; op++)
        if (str_eq((*op)->name, name))
            return *op;
    return str_eq(name, step_op_mail.name) ? &step_op_mail : &unknown;
}

static enum step_result settle_one(struct step *s, const char *key, json_t *entry)
{
    const struct aws_op *op = op_of(s, entry);
    if (op->settle == SETTLE_ASK) {
        enum step_result r = step_settle_question(s, key, op->name);
        if (r != STEP_DONE)
            return r;
    }
    uint64_t young_ms = still_young_ms(s, entry, op);
    if (young_ms)
        return step_must_wait(s, WAIT_SLEEP, wait_until_old(s, young_ms), PARTY_AWS);
    journal_settle(&s->journal, entry, "seen");
    step_line(s, json_make("{s:s, s:s, s:s, s:s, s:{s:s}}", "kind", "answer", "key", key, "op",
                           json_str_at(entry, "op"), "args", json_str_at(entry, "args"), "result", "settled", "seen"));
    return STEP_DONE;
}

static bool is_running(const struct step *s, const char *key)
{
    for (const struct step_call *c = s->calls; c; c = c->next)
        if (strcmp(c->key, key) == 0)
            return c->state != STEP_CALL_ANSWERED && c->state != STEP_CALL_FAILED;
    return false;
}

/* An undo ends no sooner than what the forward run left open has settled: a write that somebody else still had in hand
 * would come back after it was taken away. The function is entered again with fresh reads once it is old enough. */
static enum step_result settle_forward(struct step *s)
{
    enum step_result all = STEP_DONE;
    const char *key = NULL;
    void *next = NULL;
    json_t *entry = NULL;
    json_object_foreach_safe(journal_forward_writes(&s->journal), next, key, entry)
    {
        if (journal_write_is_open(entry))
            step_also(&all, settle_one(s, key, entry));
    }
    return all;
}

enum step_result step_settle_rest(struct step *s)
{
    enum step_result all = settle_forward(s);
    const char *key = NULL;
    void *next = NULL;
    json_t *entry = NULL;
    json_object_foreach_safe(journal_writes(&s->journal), next, key, entry)
    {
        if (!journal_write_is_open(entry))
            continue;
        /* The step ended without asking for its answer: it is awaited all the same. */
        step_also(&all, is_running(s, key) ? STEP_WAIT : settle_one(s, key, entry));
    }
    return all;
}
