/* Waits: polls, sleeps, people, AWS, decisions, and the values that are fixed once. */
#include "worker/runtime/step_private.h"

#include "common/codec/when.h"

#include <stdio.h>

uint64_t step_now(struct step *s, const char *key)
{
    const json_t *known = journal_get(&s->journal, "now", key);
    if (json_is_integer(known))
        return (uint64_t)json_integer_value(known);
    uint64_t now = step_clock(s);
    journal_set(&s->journal, "now", key, json_integer((json_int_t)now));
    step_line(s, json_make("{s:s, s:s, s:I}", "kind", "now", "key", key, "result", (json_int_t)now));
    return now;
}

static uint32_t random_below(const struct step *s, uint32_t below)
{
    uint32_t n = 0, limit = UINT32_MAX - UINT32_MAX % below;
    do
        s->host->random(s->host->self, &n, sizeof n);
    while (n >= limit);
    return n % below;
}

const char *step_code(struct step *s, const char *key)
{
    if (s->plan)
        return FORESIGHT_CODE;
    const json_t *known = journal_get(&s->journal, "codes", key);
    if (json_is_string(known))
        return json_string_value(known);
    const char *code = step_text(s, "%06u", random_below(s, 1000000));
    journal_set(&s->journal, "codes", key, json_string(code));
    return code;
}

enum step_result step_sleep(struct step *s, const char *key, uint64_t ms)
{
    uint64_t since = step_now(s, step_text(s, "sleep/%s", key)), now = step_clock(s),
             until = since + step_scaled(s, ms);
    if (now < until && s->plan) {
        foresight_wait(s->plan, until - now, key);
        return STEP_DONE;
    }
    return now >= until ? STEP_DONE : step_must_wait(s, WAIT_SLEEP, until - now, PARTY_NONE);
}

enum step_result step_poll(struct step *s, const char *key, const struct aws_op *op, json_t *args,
                           step_ready_fn *is_ready, const json_t *ready_arg, uint32_t every_ms, uint32_t deadline_ms,
                           enum err_code code, const json_t **ret)
{
    const char *clock_key = step_text(s, "poll/%s", key);
    uint64_t since = step_now(s, clock_key);
    struct step_call *c = NULL;
    const json_t *facts = NULL;
    enum step_result r =
        step_ask(s, &(struct ask){.key = key, .op = op, .args = args, .must_be_fresh = true}, &c, &facts);
    if (r != STEP_DONE)
        return r;
    if (is_ready(facts, ready_arg)) {
        if (ret)
            *ret = facts;
        return STEP_DONE;
    }
    uint64_t now = step_clock(s);
    if (now - since >= deadline_ms) {
        char span[32];
        when_span(now - since, span);
        journal_unset(&s->journal, "now", clock_key); /* a retry gets a deadline of its own */
        return step_fail(s, code, "%s: not ready after %s", key, span);
    }
    uint64_t wait_ms = step_scaled(s, every_ms);
    if (wait_ms <= STEP_LOOK_MS_MAX && s->looks < STEP_LOOKS_MAX && c) {
        s->looks++;
        c->state = STEP_CALL_PAUSED;
        c->look_at_ms = now + wait_ms;
        return STEP_WAIT;
    }
    return step_must_wait(s, WAIT_SLEEP, wait_ms, PARTY_AWS);
}

/* ---- People ---- */
/* A task that expired once opens anew with the same span when the step is retried. */
static uint64_t due_of(struct step *s, uint64_t due_ms)
{
    const json_t *expired = journal_get(&s->journal, "task", "expired"), *at = journal_get(&s->journal, "task", "at");
    if (!due_ms || !expired || (uint64_t)json_integer_value(expired) != due_ms)
        return due_ms;
    if (!json_is_integer(journal_get(&s->journal, "task", "again")))
        journal_set(&s->journal, "task", "again", json_integer((json_int_t)step_clock(s)));
    uint64_t opened = (uint64_t)json_integer_value(at);
    uint64_t again = (uint64_t)json_integer_value(journal_get(&s->journal, "task", "again"));
    return again + (due_ms > opened ? due_ms - opened : 0);
}

static bool is_spent(const struct step *s, const char *signal, const json_t *body)
{
    char digest[65];
    json_digest(body, digest);
    return str_eq(json_string_value(journal_get(&s->journal, "spent", signal)), digest);
}

enum step_result step_human(struct step *s, json_t *task)
{
    json_t *kept = step_keep(s, task);
    const json_t *reject = step_signal(s, "reject");
    uint64_t asked_due = (uint64_t)json_int_at(kept, "due_ms"), due = due_of(s, asked_due), now = step_clock(s);
    if (reject && (s->was_rejected || !is_spent(s, "reject", reject))) {
        char digest[65];
        s->was_rejected = true;
        json_digest(reject, digest);
        journal_set(&s->journal, "spent", "reject", json_string(digest));
        return step_fail(s, ERR_TASK_REJECTED, "%s: %s", json_str_or(reject, "by", "somebody"),
                         json_str_or(reject, "reason", "no reason given"));
    }
    if (s->was_expired || (due && now >= due)) {
        s->was_expired = true;
        journal_set(&s->journal, "task", "expired", json_integer((json_int_t)asked_due));
        journal_unset(&s->journal, "task", "again");
        return step_fail(s, ERR_WAIT_EXPIRED, "\"%s\" was due and is not done", json_str_at(kept, "title"));
    }
    json_decref(s->task);
    s->task = json_copy(kept);
    if (due)
        json_put_int(s->task, "due_ms", (int64_t)due);
    const char *party = json_str_at(kept, "party");
    return step_must_wait(s, WAIT_PERSON, due ? due - now : UINT64_MAX / 2,
                          str_starts(party, "customer") ? PARTY_CUSTOMER : PARTY_OPERATOR);
}

enum step_result step_wait_aws(struct step *s, uint64_t again_ms, const char *why)
{
    step_set_str(s, "waits_for", why);
    return step_must_wait(s, WAIT_AWS, step_scaled(s, again_ms), PARTY_AWS);
}

/* One acceptance answers one question: what was accepted once is not a licence for the next surprise. */
static bool is_accepted(struct step *s, const char *question)
{
    const json_t *accept = step_signal(s, "accept");
    if (!accept)
        return false;
    char digest[65];
    json_digest(accept, digest);
    const char *key = NULL;
    json_t *spent = NULL;
    json_object_foreach (json_object_get(s->journal.set, "accepts"), key, spent) {
        if (str_eq(json_string_value(spent), digest))
            return str_eq(key, question);
    }
    journal_set(&s->journal, "accepts", question, json_string(digest));
    return true;
}

enum step_result step_hold(struct step *s, enum err_code code, json_t *details, const char *fmt, ...)
{
    char text[256], question[65];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_t *kept = step_keep(s, details ? details : json_object());
    if (s->plan) {
        foresight_decision(s->plan, code, text, kept);
        return STEP_DONE;
    }
    json_auto_t *whole = json_make("{s:s, s:O}", "code", err_info(code)->name, "details", kept);
    json_digest(whole, question);
    if (json_is_string(journal_get(&s->journal, "accepts", question)) || is_accepted(s, question))
        return STEP_DONE;
    if (s->wait != WAIT_HOLD) { /* the first question is shown; the others follow one by one */
        (void)err_set(&s->err, code, "%s", text);
        json_decref(s->details);
        s->details = json_incref(kept);
    }
    return step_must_wait(s, WAIT_HOLD, s->host->rules->poll_ms * 30, PARTY_OPERATOR);
}

enum step_result step_mail(struct step *s, const char *key, const char *to, const char *subject, const char *text)
{
    return step_ask(s,
                    &(struct ask){.key = key,
                                  .op = &step_op_mail,
                                  .args = json_make("{s:s, s:s, s:s}", "to", to, "subject", subject, "text", text)},
                    NULL, NULL);
}

enum step_result step_halt_fleet(struct step *s, const char *id, const char *reason)
{
    return step_ask(s,
                    &(struct ask){.key = step_text(s, "halt/%.16s", id),
                                  .op = &step_op_halt,
                                  .args = json_make("{s:s, s:s, s:s}", "id", id, "import",
                                                    json_str_at(s->in.import, "id"), "reason", reason)},
                    NULL, NULL);
}

/* Not all at once after a release, and not for ever the same one first. */
enum step_result step_must_wait_for_release(struct step *s)
{
    uint64_t every = s->host->rules->halt_look_ms;
    step_set_str(s, "waits_for", "release of the fleet: all writers are halted");
    return step_must_wait(s, WAIT_AWS, every / 2 + random_below(s, (uint32_t)(every / 2 + 1)), PARTY_OPERATOR);
}

enum step_result step_identity(struct step *s, const json_t **ret)
{
    return step_ask(s, &(struct ask){.key = "runtime/identity", .op = &step_op_identity}, NULL, ret);
}

enum step_result step_identity_through(struct step *s, unsigned role, const json_t **ret)
{
    return step_ask(
        s, &(struct ask){.key = step_text(s, "runtime/identity/%u", role), .op = &step_op_identity, .through = role},
        NULL, ret);
}

enum step_result step_events(struct step *s, const char *region, uint32_t fresh_ms, const json_t **ret)
{
    bool is_declared = false;
    for (const struct aws_op *const *op = s->in.def->ops; op && *op; op++)
        is_declared = is_declared || str_eq((*op)->name, "cloudtrail:LookupEvents");
    if (!is_declared) /* the cursor is shared, the right to look is each step's own */
        return step_fail(s, ERR_OP_UNDECLARED, "%s reads events and does not declare cloudtrail:LookupEvents",
                         s->in.def->name);
    if (!region || !*region)
        region = "us-east-1";
    return step_ask(s,
                    &(struct ask){.key = step_text(s, "runtime/events/%s", region),
                                  .op = &step_op_events,
                                  .region = region,
                                  .args = json_make("{s:I}", "fresh_ms", (json_int_t)step_scaled(s, fresh_ms))},
                    NULL, ret);
}
