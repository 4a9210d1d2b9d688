/* Calls: looked up in memory, then in the journal, else arranged. Nothing leaves while the function runs. */
#include "worker/runtime/step_private.h"

#include <stdio.h>

static const struct aws_service runtime_service = {.id = "runtime", .host = "", .sign_name = "runtime"};
const struct aws_op step_op_identity = {.name = "runtime:identity",
                                        .service = &runtime_service,
                                        .action = "identity",
                                        .permission = "",
                                        .family = "runtime"};
const struct aws_op step_op_mail = {.name = "runtime:mail",
                                    .service = &runtime_service,
                                    .action = "mail",
                                    .permission = "",
                                    .family = "runtime",
                                    .mutates = true,
                                    .settle = SETTLE_RESEND};
const struct aws_op step_op_halt = {.name = "runtime:halt",
                                    .service = &runtime_service,
                                    .action = "halt",
                                    .permission = "",
                                    .family = "runtime",
                                    .mutates = true,
                                    .settle = SETTLE_RESEND};
const struct aws_op step_op_events = {
    .name = "runtime:events", .service = &runtime_service, .action = "events", .permission = "", .family = "runtime"};

const struct aws_op step_op_chunk_put = {
    .name = "runtime:keep", .service = &runtime_service, .action = "keep", .permission = "", .family = "runtime"};
const struct aws_op step_op_chunk_get = {
    .name = "runtime:kept", .service = &runtime_service, .action = "kept", .permission = "", .family = "runtime"};

static struct step_call *find(const struct step *s, const char *key)
{
    for (struct step_call *c = s->calls; c; c = c->next)
        if (strcmp(c->key, key) == 0)
            return c;
    return NULL;
}

bool step_declares(const struct step *s, const struct aws_op *op)
{
    if (op->service == &runtime_service)
        return true;
    for (const struct aws_op *const *o = s->in.def->ops; o && *o; o++)
        if (*o == op)
            return true;
    return false;
}

enum step_result step_fail_internal(struct step *s, enum err_code code, const char *key, const char *what)
{
    struct err err = {0};
    (void)err_set(&err, code, "%s: %s: %s", s->in.def->name, key, what);
    return step_fail_with(s, &err, false);
}

static struct step_call *call_new(struct step *s, const char *key, struct ask *ask)
{
    struct step_call *c = MEM_NEW(struct step_call);
    c->step = s;
    c->key = mem_dup(key);
    c->op = ask->op;
    c->args = TAKE(ask->args);
    c->region = mem_dup(ask->region);
    c->must_be_fresh = ask->must_be_fresh;
    c->through = ask->through;
    /* At the end of the list: calls leave in the order in which the step asks for them. */
    struct step_call **at = &s->calls;
    while (*at)
        at = &(*at)->next;
    *at = c;
    return c;
}

/* Whose account a line is about, where it is not the customer's: their CloudTrail knows nothing of it. */
static void put_as(json_t *line, const struct aws_op *op)
{
    static const char *const names[] = {
        [AWS_AS_OPERATOR] = "operator", [AWS_AS_PARTNER] = "partner", [AWS_AS_TRUSTED] = "trusted"};
    if (op->who < ARRAY_LEN(names) && names[op->who])
        json_put_str(line, "as", names[op->who]);
}

static void begin_intent(struct step *s, struct step_call *c, const char *again)
{
    c->intended_ms = step_clock(s);
    journal_intend(&s->journal, c->key,
                   &(struct journal_intent){.op = c->op->name,
                                            .args_digest = c->digest,
                                            .fence = s->fence,
                                            .nonce = s->nonce,
                                            .at_ms = c->intended_ms,
                                            .args = c->args});
    json_t *line =
        json_make("{s:s, s:s, s:s, s:s}", "kind", "intent", "key", c->key, "op", c->op->name, "args", c->digest);
    put_as(line, c->op);
    if (c->op->service != &runtime_service) /* a mail's text may hold a code */
        json_put(line, "with", ledger_arguments(c->args));
    if (again)
        json_put(line, "result", json_make("{s:s}", "before", again));
    step_line(s, line);
}

/* A write that this generation has not asked for yet. WAIT with `ret_goes` false: it must not leave now. */
static enum step_result meet_journal(struct step *s, struct step_call *c, bool *ret_goes)
{
    *ret_goes = true;
    const json_t *entry = journal_write(&s->journal, c->key);
    if (!entry) {
        begin_intent(s, c, NULL);
        return STEP_WAIT;
    }
    if (!journal_write_is_open(entry)) {
        if (!str_eq(json_str_at(entry, "op"), c->op->name) || !str_eq(json_str_at(entry, "args"), c->digest))
            return step_fail_internal(s, ERR_DRIFT, c->key, "this write is recorded with other arguments");
        c->facts = json_incref(json_object_get(entry, "facts"));
        c->state = STEP_CALL_ANSWERED;
        return STEP_DONE;
    }
    uint64_t wait_ms = 0;
    enum step_result r = STEP_DONE;
    switch (step_settle(s, entry, c, &wait_ms)) {
    case SETTLE_PERSON:
        r = step_settle_question(s, c->key, c->op->name);
        break;
    case SETTLE_LATER:
        r = step_must_wait(s, WAIT_SLEEP, wait_ms, PARTY_AWS);
        break;
    case SETTLE_DRIFT:
        r = step_fail_internal(s, ERR_DRIFT, c->key, "an open write was asked again with other arguments");
        break;
    case SETTLE_SEND:
    default:
        break;
    }
    *ret_goes = r == STEP_DONE;
    if (r == STEP_DONE)
        begin_intent(s, c, c->op->settle == SETTLE_RESEND ? "sent again" : "believed absent");
    return r == STEP_DONE ? STEP_WAIT : r;
}

static enum step_result give(struct step *s, struct step_call *c, const char *codes, const json_t **ret)
{
    switch (c->state) {
    case STEP_CALL_ANSWERED:
        *ret = c->facts;
        return STEP_DONE;
    case STEP_CALL_FAILED:
        if (codes && c->aws_code[0] && str_in_list(codes, c->aws_code)) {
            *ret = step_keep(s, json_make("{s:s, s:s}", "error", c->aws_code, "message", c->err.text));
            return STEP_DONE;
        }
        if (c->err.code == ERR_FLEET_HALTED)
            return step_must_wait_for_release(s);
        return step_fail_with(s, &c->err, c->op->who == AWS_AS_CUSTOMER);
    default:
        return STEP_WAIT;
    }
}

void step_digest_args(struct ask *ask, char ret[65])
{
    if (!ask->args)
        ask->args = json_object();
    json_auto_t *both = json_make("{s:O}", "args", ask->args);
    if (ask->region && *ask->region)
        json_put_str(both, "region", ask->region);
    if (ask->through)
        json_put_int(both, "through", ask->through);
    json_digest(both, ret);
}

enum step_result step_ask(struct step *s, struct ask *ask, struct step_call **ret_call, const json_t **ret)
{
    char digest[65];
    const json_t *dummy = NULL;
    if (!ret)
        ret = &dummy;
    if (ret_call)
        *ret_call = NULL;
    if (s->plan)
        return foresight_ask(s, ask, ret);
    step_digest_args(ask, digest);
    /* Undo has keys of its own, so that it can read what the run recorded under its keys. */
    const char *key = s->in.is_undo ? step_text(s, "undo/%s", ask->key) : ask->key;
    enum step_result r = STEP_WAIT;
    struct step_call *c = find(s, key);
    if (!c && step_declares(s, ask->op)) {
        struct ask own = *ask;
        own.key = key;
        r = step_plan_binds(s, &own, digest);
        if (r == STEP_DONE) /* not before: a question may stand for days, and a bracket is short */
            r = step_bracket_before(s, ask->op);
        if (r != STEP_DONE) {
            json_decref(TAKE(ask->args));
            return r;
        }
    }
    r = STEP_WAIT;
    if (!step_declares(s, ask->op)) {
        r = step_fail_internal(s, ERR_OP_UNDECLARED, ask->op->name, "not in the step's manifest");
    } else if (c && (c->op != ask->op || strcmp(c->digest, digest) != 0)) {
        r = step_fail_internal(s, ERR_DRIFT, key, "one key was asked with two sets of arguments");
    } else {
        bool goes = true;
        if (!c) {
            c = call_new(s, key, ask);
            memcpy(c->digest, digest, sizeof digest);
            if (c->op->mutates)
                r = meet_journal(s, c, &goes);
            if (r == STEP_FAIL || !goes) {
                step_call_drop(s, c);
                c = NULL;
            }
        }
        if (c && r != STEP_FAIL)
            r = give(s, c, ask->codes, ret);
        if (ret_call)
            *ret_call = c;
    }
    json_decref(TAKE(ask->args)); /* when nobody took it */
    return r;
}

uint64_t step_call_age_ms(const struct step_call *c)
{
    const struct step_host *host = c->step->host;
    if (!c->intended_ms)
        return 0;
    uint64_t now = host->latest_ms ? host->latest_ms(host->self) : host->now_ms(host->self);
    return now > c->intended_ms ? now - c->intended_ms : 0;
}

static void start_save(struct step *s)
{
    struct err err = {0};
    step_line_of_save(s);
    AUTO_FREE char *text = journal_text(&s->journal, &err);
    if (!text) {
        (void)step_fail_with(s, &err, false);
        step_finish(s, STEP_FAIL);
        return;
    }
    for (struct step_call *c = s->calls; c; c = c->next)
        if (c->state == STEP_CALL_NEW)
            c->state = STEP_CALL_SAVING;
    s->is_save_running = true;
    AUTO_FREE char *lines = mem_dup(s->ledger.data);
    str_clear(&s->ledger);
    s->host->save(s->host->self, s, text, lines);
}

void step_start_calls(struct step *s)
{
    for (struct step_call *c = s->calls; c; c = c->next) {
        if (c->state != STEP_CALL_NEW || c->op->mutates)
            continue;
        c->state = STEP_CALL_SENT;
        s->host->call(s->host->self, c);
    }
    if (s->journal.is_dirty && !s->is_save_running)
        start_save(s);
}

void step_saved(struct step *s)
{
    ASSERT(s->is_save_running);
    s->is_save_running = false;
    for (struct step_call *c = s->calls, *next = NULL; c; c = next) {
        next = c->next;
        if (c->state != STEP_CALL_SAVING)
            continue;
        if (s->is_stopping) { /* known not to have left */
            journal_forget(&s->journal, c->key);
            step_call_drop(s, c);
            continue;
        }
        c->state = STEP_CALL_SENT;
        s->host->call(s->host->self, c);
    }
    step_wake(s);
}

static void note_read(struct step *s, const struct step_call *c)
{
    json_t *op = json_object_get(s->reads, c->op->name);
    if (!op) {
        op = json_object();
        json_put(s->reads, c->op->name, op);
    }
    char digest[65];
    if (c->state == STEP_CALL_ANSWERED)
        json_digest(c->facts, digest);
    json_put_str(op, c->key, c->state == STEP_CALL_ANSWERED ? digest : c->aws_code);
}

static void note_answer(struct step *s, const struct step_call *c)
{
    json_t *line = json_make("{s:s, s:s, s:s, s:s, s:s}", "kind", "answer", "key", c->key, "op", c->op->name, "args",
                             c->digest, "request_id", c->request_id);
    put_as(line, c->op);
    if (c->state == STEP_CALL_ANSWERED)
        json_put(line, "result", ledger_facts(c->facts));
    else
        json_put(line, "result",
                 json_make("{s:s, s:s, s:s}", "error", err_info(c->err.code)->name, "aws", c->aws_code, "applied",
                           c->state == STEP_CALL_FAILED ? "no" : "maybe"));
    step_line(s, line);
}

/* A read that failed for a moment is asked again alone, and its neighbours keep their answers: a walk of hundreds of
 * reads would otherwise never end on a bad day, because one of them always fails. True when it will be. */
static bool read_again(struct step *s, struct step_call *c)
{
    enum err_code code = c->err.code;
    bool is_passing = code == ERR_AWS_TRANSIENT || code == ERR_AWS_THROTTLED || code == ERR_AWS_CONFLICT ||
                      code == ERR_AWS_ANSWER ||
                      code == ERR_LEASE_LOST; /* refused before it left: the lease is renewed, or the step is cut */
    if (!is_passing || s->is_stopping || s->reads_again >= STEP_READS_AGAIN_MAX)
        return false;
    const struct step_rules *rules = s->host->rules;
    uint64_t most = rules->backoff_base_ms << (s->reads_again < 16 ? s->reads_again / 4 : 4), dice = 0;
    s->reads_again++;
    s->host->random(s->host->self, &dice, sizeof dice);
    uint64_t wait_ms = dice % ((most < rules->backoff_cap_ms ? most : rules->backoff_cap_ms) + 1);
    c->state = STEP_CALL_PAUSED;
    c->look_at_ms = step_clock(s) + (wait_ms > c->err.retry_after_ms ? wait_ms : c->err.retry_after_ms);
    return true;
}

/* A write that was not signed before its intent grew old, or before the lease was renewed: nothing left, and a new
 * intent may. When the lease is really gone, the step is cut before it gets there. */
static bool intend_again(struct step *s, struct step_call *c)
{
    if (c->err.code != ERR_LEASE_LOST || c->err.applied != APPLIED_NO || s->is_stopping ||
        s->intents_again >= STEP_INTENTS_AGAIN_MAX)
        return false;
    s->intents_again++;
    step_call_drop(s, c);
    step_wake(s);
    return true;
}

static void look_later(struct step *s, struct step_call *c)
{
    c->state = STEP_CALL_MAYBE;
    c->look_at_ms = step_clock(s) + step_own_age(s, c->op);
}

/* AWS refuses it, and an earlier one of ours was never answered (its intent is open again): most likely that has come
 * true meanwhile. A look decides, not the refusal. */
static bool is_our_own_doing(const struct step *s, const struct step_call *c)
{
    const json_t *entry = journal_write(&s->journal, c->key);
    return c->err.code == ERR_AWS_REFUSED && c->op->settle == SETTLE_LOOK && !s->is_stopping && entry &&
           journal_write_is_open(entry);
}

/* A good read among many that are still out: entering now would only find out that it must wait for the others. Walks
 * of hundreds of reads are entered once per round instead of once per answer (816 ms of CPU became 19 for 700 reads);
 * long rounds now and then, to keep what is complete. Nobody waits for a value that is being stored. */
static bool others_are_out(const struct step *s, const struct step_call *answered)
{
    if (answered->op->mutates || answered->state != STEP_CALL_ANSWERED || s->is_stopping ||
        s->requests - s->entered_requests >= STEP_ENTER_EVERY_REQUESTS)
        return false;
    for (const struct step_call *o = s->calls; o; o = o->next)
        if (o->state == STEP_CALL_SENT && !o->op->mutates && o->op != &step_op_chunk_put)
            return true;
    return false;
}

void step_answered(struct step_call *c, const struct step_answer *answer)
{
    struct step *s = c->step;
    ASSERT(s->magic == STEP_MAGIC && c->state == STEP_CALL_SENT && !s->is_inside);
    c->answered = ++s->answers;
    if (c->op->mutates)
        s->last_write = s->answers;
    c->host_data = NULL;
    (void)snprintf(c->request_id, sizeof c->request_id, "%s", answer->request_id ? answer->request_id : "");
    (void)snprintf(c->aws_code, sizeof c->aws_code, "%s", answer->aws_code ? answer->aws_code : "");
    if (!answer->err) {
        c->state = STEP_CALL_ANSWERED;
        c->facts = answer->facts ? json_incref((json_t *)(uintptr_t)answer->facts) : json_null();
    } else {
        c->err = *answer->err;
        c->state = STEP_CALL_FAILED;
    }
    if (c->op->service != &runtime_service)
        s->requests += answer->pages ? answer->pages : 1;
    if (c->op == &step_op_chunk_put) {
        step_chunk_stored(s, c);
    } else if (!c->op->mutates && c->state == STEP_CALL_FAILED && read_again(s, c)) {
        /* Nothing to note: only the last answer counts. */
    } else if (!c->op->mutates) {
        note_read(s, c);
    } else if (!answer->err) {
        journal_answer(&s->journal, c->key, c->facts, NULL);
        note_answer(s, c);
    } else if (c->err.applied == APPLIED_NO) {
        /* Refused for good: a later try asks afresh, so this is remembered for this generation only. */
        journal_forget(&s->journal, c->key);
        note_answer(s, c);
        if (intend_again(s, c))
            return;
        if (is_our_own_doing(s, c)) {
            look_later(s, c);
            (void)err_set(&c->err, ERR_AWS_UNCLEAR, "%s was refused after one that was never answered", c->op->name);
        }
    } else {
        look_later(s, c);
        note_answer(s, c);
    }
    if (!others_are_out(s, c) || c->op == &step_op_chunk_put) /* what was stored is named in the journal at once */
        step_wake(s);
}

enum step_result step_call(struct step *s, const char *key, const struct aws_op *op, json_t *args, const json_t **ret)
{
    return step_ask(s, &(struct ask){.key = key, .op = op, .args = args}, NULL, ret);
}

enum step_result step_try(struct step *s, const char *key, const struct aws_op *op, json_t *args, const char *codes,
                          const json_t **ret)
{
    return step_ask(s, &(struct ask){.key = key, .op = op, .args = args, .codes = codes}, NULL, ret);
}

enum step_result step_call_in(struct step *s, const char *key, const struct aws_op *op, json_t *args,
                              const char *region, const char *codes, const json_t **ret)
{
    return step_ask(s, &(struct ask){.key = key, .op = op, .args = args, .region = region, .codes = codes}, NULL, ret);
}

enum step_result step_call_through(struct step *s, const char *key, unsigned role, const struct aws_op *op,
                                   json_t *args, const char *region, const char *codes, const json_t **ret)
{
    return step_ask(
        s, &(struct ask){.key = key, .op = op, .args = args, .region = region, .codes = codes, .through = role}, NULL,
        ret);
}
