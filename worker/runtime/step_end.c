/* Ends: what a step leaves in the record when it gives its place back. */
#include "worker/runtime/step_private.h"

#include <stdio.h>

#define HOUR_MS 3600000u

struct ending {
    struct step_end end;
    char *journal, *result, *task, *error, *ledger;
};

/* Reads of this generation as one line: (operation, count, digest). New reference. */
static json_t *reads_summary(const struct step *s)
{
    json_t *list = json_array();
    const char *op = NULL;
    json_t *keys = NULL;
    json_object_foreach (s->reads, op, keys) {
        char digest[65];
        json_digest(keys, digest);
        json_t *one =
            json_make("{s:s, s:I, s:s}", "op", op, "count", (json_int_t)json_object_size(keys), "digest", digest);
        (void)json_array_append_new(list, one);
    }
    json_sort_by(list, "op");
    return list;
}

static const char *last_text(const struct step *s, const char *key)
{
    return json_str_at(json_object_get(s->journal.set, "last"), key);
}

/* The ledger hears of an end once, and again only when something about it changed: a thousand polls are one line. */
static void tell_ledger(struct step *s, struct ending *e)
{
    char reads[65], outcome[2] = {(char)e->end.outcome, 0};
    json_auto_t *summary = reads_summary(s);
    json_digest(summary, reads);
    const char *code = e->end.err ? err_info(e->end.err->code)->name : "";
    bool is_new = s->journal.is_dirty || s->ledger.len || !str_eq(last_text(s, "outcome"), outcome) ||
                  !str_eq(last_text(s, "reads"), reads) || !str_eq(last_text(s, "code"), code);
    if (!is_new)
        return;
    if (json_array_size(summary) && !str_eq(last_text(s, "reads"), reads))
        step_line(s, json_make("{s:s, s:O}", "kind", "reads", "result", summary));
    json_t *result = json_make("{s:s}", "outcome", outcome);
    if (*code)
        json_put_str(result, "code", code);
    if (s->grade && e->end.outcome == STEP_ENDED_DONE)
        json_put_str(result, "grade", s->grade);
    if (e->end.outcome == STEP_ENDED_DONE) { /* binds all that the step found to its chain */
        char digest[65];
        json_digest(s->result, digest);
        json_put_str(result, "result", digest);
    }
    step_line(s, json_make("{s:s, s:o}", "kind", "outcome", "result", result));
    journal_set(&s->journal, "last", "outcome", json_string(outcome));
    journal_set(&s->journal, "last", "reads", json_string(reads));
    journal_set(&s->journal, "last", "code", json_string(code));
}

static json_t *error_json(struct step *s, const struct err *err)
{
    const struct err_info *info = err_info(err->code);
    json_t *e =
        json_make("{s:s, s:s, s:s, s:s, s:s, s:I}", "code", info->name, "owner", err_owner_name(err->owner), "retry",
                  err_retry_name(err->retry), "text", err->text, "fix", info->fix, "at_ms", (json_int_t)step_clock(s));
    if (err->origin[0])
        json_put_str(e, "origin", err->origin);
    if (err->request_id[0])
        json_put_str(e, "request_id", err->request_id);
    if (s->findings)
        json_put(e, "findings", json_incref(s->findings));
    if (s->details)
        json_put(e, "details", json_incref(s->details));
    return e;
}

static enum blocking_party party_of(enum err_owner owner)
{
    switch (owner) {
    case OWNER_CUSTOMER:
        return PARTY_CUSTOMER;
    case OWNER_AWS:
        return PARTY_AWS;
    case OWNER_ORGIMPORT:
        return PARTY_ORGIMPORT;
    case OWNER_OPERATOR:
    case OWNER_NONE:
    default:
        return PARTY_OPERATOR;
    }
}

/* Full jitter: what failed together does not come back together. */
static uint64_t backoff_ms(const struct step *s)
{
    const struct step_rules *rules = s->host->rules;
    uint32_t attempt = s->in.attempts > 20 ? 20 : s->in.attempts;
    uint64_t most = rules->backoff_base_ms << attempt, n = 0;
    if (most > rules->backoff_cap_ms)
        most = rules->backoff_cap_ms;
    s->host->random(s->host->self, &n, sizeof n);
    return most ? n % (most + 1) : 0;
}

/* All polls of an import meet on one grid, so that they share their reads; the grid widens as a wait grows old. */
static uint64_t poll_delay_ms(const struct step *s, uint64_t opened_ms)
{
    uint64_t now = step_clock(s), age = now > opened_ms ? now - opened_ms : 0, every = s->host->rules->poll_ms;
    every *= age < HOUR_MS ? 1 : age < 6ull * HOUR_MS ? 5 : age < 24ull * HOUR_MS ? 15 : 30;
    uint64_t created = (uint64_t)json_int_at(s->in.import, "created_ms");
    uint64_t since = now > created ? now - created : 0;
    return every - since % every;
}

static void end_waiting_person(struct step *s, struct ending *e)
{
    char digest[65];
    uint64_t now = step_clock(s);
    if (!json_is_integer(journal_get(&s->journal, "task", "at")))
        journal_set(&s->journal, "task", "at", json_integer((json_int_t)now));
    json_digest(s->task, digest);
    if (!str_eq(json_string_value(journal_get(&s->journal, "task", "digest")), digest) || !s->in.has_task) {
        journal_set(&s->journal, "task", "digest", json_string(digest));
        step_line(s, json_make("{s:s, s:{s:s, s:s}}", "kind", "task", "result", "title", json_str_at(s->task, "title"),
                               "digest", digest));
        e->task = json_text(s->task);
    }
    uint64_t delay = poll_delay_ms(s, (uint64_t)json_integer_value(journal_get(&s->journal, "task", "at")));
    e->end.outcome = STEP_ENDED_WAIT;
    e->end.delay_ms = s->wait_ms < delay ? s->wait_ms : delay;
}

static void close_task(const struct step *s, struct ending *e)
{
    if (s->in.has_task && !e->task)
        e->task = mem_dup("");
}

static void end_waiting(struct step *s, struct ending *e)
{
    e->end.party = s->party;
    e->end.delay_ms = s->wait_ms;
    switch (s->wait) {
    case WAIT_PERSON:
        end_waiting_person(s, e);
        break;
    case WAIT_HOLD: {
        json_auto_t *error = error_json(s, &s->err);
        e->end.outcome = STEP_ENDED_HOLD;
        e->end.err = &s->err;
        e->error = json_text(error);
        return;
    }
    case WAIT_AWS:
        e->end.outcome = STEP_ENDED_WAIT;
        close_task(s, e);
        break;
    case WAIT_SLEEP:
    case WAIT_NONE:
    default:
        e->end.outcome = STEP_ENDED_SLEEP;
        break;
    }
    if (*last_text(s, "code"))
        e->error = mem_dup("");
}

static json_t *credential_task(struct step *s)
{
    json_t *task =
        json_make("{s:s, s:s, s:b}", "party", "customer", "title", "Hand over working credentials again", "attest", 0);
    json_put(task, "actions",
             json_make("[s, s]", "Make a new access key, or repair the role that was handed over.",
                       "Send it with PUT /v1/imports/ID/credential; the import goes on by itself."));
    json_put_str(task, "link", "https://console.aws.amazon.com/iam/home#/users");
    json_put_str(task, "check", step_text(s, "GetCallerIdentity answers with account %s.", step_var(s, "account_id")));
    json_put_str(task, "worst", "Nothing is changed while the import waits.");
    json_put_str(task, "undo", "Delete the key or the role again.");
    return task;
}

/* The handed-over access died under a step that only uses it: nothing is wrong with the step, so it waits. */
static void end_without_credentials(struct step *s, struct ending *e)
{
    e->end.outcome = STEP_ENDED_WAIT;
    e->end.lost_credentials = true;
    e->end.party = PARTY_CUSTOMER;
    e->end.delay_ms = poll_delay_ms(s, step_clock(s));
    if (!s->in.has_task) {
        json_auto_t *task = credential_task(s);
        e->task = json_text(task);
    }
}

/* Our own pacing kept the call back until it was too late to sign it: it never left, nothing failed, and no attempt is
 * used up. Where the lease is really gone, whoever stores this is refused. */
static void end_unsent(struct step *s, struct ending *e)
{
    e->end.outcome = STEP_ENDED_SLEEP;
    e->end.delay_ms = backoff_ms(s);
    e->end.party = PARTY_NONE;
    if (*last_text(s, "code"))
        e->error = mem_dup("");
}

static void end_failed(struct step *s, struct ending *e)
{
    if (s->err.code == ERR_LEASE_LOST && s->err.applied == APPLIED_NO) {
        end_unsent(s, e);
        return;
    }
    e->end.err = &s->err;
    e->end.party = party_of(s->err.owner);
    json_auto_t *error = error_json(s, &s->err);
    e->error = json_text(error);
    if (s->err.code == ERR_AWS_CREDENTIALS && s->err_is_of_call) {
        end_without_credentials(s, e);
        return;
    }
    switch (s->err.retry) {
    case RETRY_BACKOFF:
        e->end.outcome = STEP_ENDED_RETRY;
        e->end.delay_ms = backoff_ms(s);
        break;
    case RETRY_AFTER:
        e->end.outcome = STEP_ENDED_RETRY;
        e->end.delay_ms = s->err.retry_after_ms;
        break;
    case RETRY_REAUTH:
        e->end.drops_session = true;
        e->end.outcome = STEP_ENDED_RETRY;
        break;
    case RETRY_NOW:
        e->end.outcome = STEP_ENDED_RETRY;
        break;
    case RETRY_ASK:
    case RETRY_NEVER:
    default:
        e->end.outcome = STEP_ENDED_FAIL;
        close_task(s, e);
        break;
    }
}

/* "already": the state was there before we asked anybody or wrote anything. */
static const char *final_grade(const struct step *s)
{
    bool was_asked =
        s->in.has_task || json_is_integer(journal_get(&s->journal, "task", "at")) || step_signal(s, "done");
    if (was_asked || s->in.def->only_looks || journal_has_answers(&s->journal))
        return s->grade ? s->grade : "probed";
    return s->grade || step_def_could_write(s->in.def) ? "already" : "probed";
}

static void end_done(struct step *s, struct ending *e)
{
    s->grade = final_grade(s);
    step_set_str(s, "grade", s->grade);
    if (s->in.def->expects) /* what it declares was seen at this time: a later change is somebody's who acted later */
        step_set(s, "seen_ms", json_integer((json_int_t)step_clock(s)));
    if (s->warnings)
        step_set(s, "warnings", json_incref(s->warnings));
    e->end.outcome = STEP_ENDED_DONE;
    e->result = json_text(s->result);
    close_task(s, e);
    if (*last_text(s, "code"))
        e->error = mem_dup("");
}

/* Facts of an unfinished step are shown to people (an exposure clock that runs), so they are stored when they change.
 */
static void keep_partial_result(struct step *s, struct ending *e)
{
    if (e->result || !json_object_size(s->result))
        return;
    char digest[65];
    json_digest(s->result, digest);
    if (str_eq(last_text(s, "result"), digest))
        return;
    journal_set(&s->journal, "last", "result", json_string(digest));
    e->result = json_text(s->result);
}

static void forget_unsent(struct step *s)
{
    for (struct step_call *c = s->calls; c; c = c->next)
        if (c->op->mutates && c->state == STEP_CALL_NEW)
            journal_forget(&s->journal, c->key);
    while (s->calls)
        step_call_drop(s, s->calls);
}

static void hand_over(struct step *s, struct ending *e)
{
    tell_ledger(s, e);
    struct err err = {0};
    if (s->journal.is_dirty) {
        e->journal = journal_text(&s->journal, &err);
        if (!e->journal) { /* keep the stored one: it is complete up to the last save */
            s->err = err;
            e->end.err = &s->err;
            e->end.outcome = STEP_ENDED_FAIL;
            json_auto_t *error = error_json(s, &err);
            mem_free(e->error);
            e->error = json_text(error);
        }
    }
    if (s->ledger.len && e->journal)
        e->ledger = mem_dup(s->ledger.data);
    e->end.journal = e->journal;
    e->end.result = e->result;
    e->end.task = e->task;
    e->end.error = e->error;
    e->end.ledger = e->ledger;
    s->has_ended = true;
    s->host->ended(s->host->self, s, &e->end);
    mem_free(e->journal);
    mem_free(e->result);
    mem_free(e->task);
    mem_free(e->error);
    mem_free(e->ledger);
}

void step_finish(struct step *s, enum step_result r)
{
    struct ending e = {0};
    forget_unsent(s);
    if (r == STEP_DONE)
        end_done(s, &e);
    else if (r == STEP_FAIL)
        end_failed(s, &e);
    else
        end_waiting(s, &e);
    keep_partial_result(s, &e);
    if (e.end.outcome != STEP_ENDED_RETRY) /* the next look shall be a fresh one; only a failed try is gone on with */
        step_chunks_forget(s);
    hand_over(s, &e);
}

void step_finish_interrupted(struct step *s)
{
    struct ending e = {.end.outcome = STEP_ENDED_INTERRUPT};
    forget_unsent(s);
    step_line_of_save(s);
    struct err err = {0};
    if (s->journal.is_dirty)
        e.journal = journal_text(&s->journal, &err);
    if (s->ledger.len && e.journal)
        e.ledger = mem_dup(s->ledger.data);
    e.end.journal = e.journal;
    e.end.ledger = e.ledger;
    s->has_ended = true;
    s->host->ended(s->host->self, s, &e.end);
    mem_free(e.journal);
    mem_free(e.ledger);
}
