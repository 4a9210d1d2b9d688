#include "worker/runtime/step_private.h"

#include <stdio.h>

void step_rules_live(struct step_rules *ret, uint64_t poll_ms)
{
    /* AWS accepts a signature for 5 minutes (S3: 15) after its date; half a minute more for an answer under way. */
    *ret = (struct step_rules){.settle_ms = 330000,
                               .settle_slow_ms = 930000,
                               .settle_own_ms = 2000,
                               .settle_own_slow_ms = 30000,
                               .backoff_base_ms = 1000,
                               .backoff_cap_ms = 300000,
                               .halt_look_ms = 10000,
                               .poll_ms = poll_ms,
                               .wait_scale_ppm = 1000000};
}

void step_rules_simulated(struct step_rules *ret, uint64_t settle_ms, uint64_t poll_ms)
{
    step_rules_live(ret, poll_ms);
    ret->is_simulated = true;
    if (settle_ms)
        ret->settle_ms = ret->settle_slow_ms = settle_ms;
    ret->settle_own_ms = ret->settle_own_slow_ms = 100;
    ret->halt_look_ms = 1000;
    ret->backoff_base_ms = 50;
    ret->backoff_cap_ms = 2000;
    /* Steps name their intervals for the real AWS; a fleet that polls people faster looks at AWS faster, too. */
    uint64_t ppm = poll_ms * 1000000 / 60000;
    ret->wait_scale_ppm = (uint32_t)(ppm > 1000000 ? 1000000 : ppm < 1 ? 1 : ppm);
}

uint64_t step_clock(const struct step *s)
{
    return s->plan ? foresight_clock(s->plan) : s->host->now_ms(s->host->self);
}

uint64_t step_scaled(const struct step *s, uint64_t ms)
{
    if (!s->host->rules->is_simulated)
        return ms;
    uint64_t scaled = ms / 1000 * s->host->rules->wait_scale_ppm / 1000;
    uint64_t least = ms < 50 ? ms : 50;
    return scaled < least ? least : scaled;
}

void step_line(struct step *s, json_t *line)
{
    if (s->plan) { /* nothing happens, so there is nothing to tell */
        json_decref(line);
        return;
    }
    struct ledger_who who = {.step = s->in.def->name, .fence = s->fence, .nonce = s->nonce, .at_ms = step_clock(s)};
    if (s->in.import && !json_int_at(s->journal.root, "seq")) { /* a chain can stand in no other import's ledger */
        char digest[65];
        json_digest(s->in.import, digest);
        json_put_str(line, "import", digest);
    }
    if (s->in.is_undo) /* the same chain tells of both directions */
        json_put_bool(line, "undo", true);
    ledger_add(&s->journal, &who, line, &s->ledger);
    ASSERT(!s->ledger.is_over);
}

/* The journal never moves without the chain: a save that a failover lost would else leave a journal that is ahead of
 * it. */
void step_line_of_save(struct step *s)
{
    if (s->journal.is_dirty && !s->ledger.len)
        step_line(s, json_make("{s:s}", "kind", "save"));
}

void step_wake(struct step *s)
{
    if (s->is_ready || s->has_ended)
        return;
    s->is_ready = true;
    s->host->ready(s->host->self, s);
}

const char *step_nonce(const struct step *s)
{
    return s->nonce;
}

const char *step_name(const struct step *s)
{
    return s->in.def->name;
}

const struct aws_op *const *step_manifest(const struct step *s)
{
    return s->in.def->ops;
}

void *step_host_data(const struct step *s)
{
    return s->host_data;
}

struct journal *step_journal(struct step *s)
{
    return &s->journal;
}

bool step_is_poll(const struct step *s)
{
    return s->in.has_task && !s->was_signalled;
}

/* A signal's body as the ledger may show it: a code that somebody typed is there by its digest. New reference. */
static json_t *signal_shown(const json_t *body)
{
    json_t *shown = json_deep_copy(body);
    if (json_has(shown, "code")) {
        char digest[65];
        json_digest(json_object_get(shown, "code"), digest);
        json_put(shown, "code", json_make("{s:s}", "digest", digest));
    }
    return shown;
}

/* Each signal is a ledger line once: it is a decision of a person. */
static void note_signals(struct step *s)
{
    const char *key = NULL;
    json_t *body = NULL;
    json_t *signals = json_incref((json_t *)(uintptr_t)s->in.signals);
    json_object_foreach (signals, key, body) {
        char digest[65];
        json_digest(body, digest);
        if (str_eq(json_string_value(journal_get(&s->journal, "signals", key)), digest))
            continue;
        journal_set(&s->journal, "signals", key, json_string(digest));
        step_line(s, json_make("{s:s, s:s, s:o}", "kind", "signal", "key", key, "result", signal_shown(body)));
        s->was_signalled = true;
    }
    json_decref(signals);
}

/* We know that Redis had more of this chain than it has now: a failover to a replica that lagged behind. What was lost
 * is named before anything else is said; the calls that it told of are settled like any open intent. */
static void note_rollback(struct step *s)
{
    const char *known = s->in.stored_head, *colon = known ? strchr(known, ':') : NULL;
    int64_t lost = colon ? strtoll(known, NULL, 10) : 0, kept = json_int_at(s->journal.root, "seq");
    if (lost <= kept)
        return;
    json_t *line = json_make("{s:s, s:{s:I, s:s, s:I, s:s}}", "kind", "rollback", "result", "lost_n", (json_int_t)lost,
                             "lost_hash", colon + 1, "kept_n", (json_int_t)kept, "kept_hash",
                             json_str_at(s->journal.root, "head"));
    if (s->in.doubted)
        json_put(line, "writes", journal_note_lost(&s->journal, s->in.doubted, s->in.def->name));
    step_line(s, line);
}

int step_new(const struct step_host *host, const struct step_input *input, void *host_data, struct step **ret,
             struct err *err)
{
    struct journal journal;
    if (journal_init(&journal, input->journal, err))
        return err_wrap(err, "%s", input->def->name);
    struct step *s = MEM_NEW(struct step);
    *s = (struct step){.magic = STEP_MAGIC, .host = host, .host_data = host_data, .in = *input, .journal = journal};
    (void)snprintf(s->fence, sizeof s->fence, "%016llx", (unsigned long long)input->fence);
    (void)snprintf(s->nonce, sizeof s->nonce, "%08x", input->nonce);
    s->in.journal = NULL;
    if (input->is_undo)
        journal_begin_undo(&s->journal);
    str_init(&s->ledger, LEDGER_BYTES_MAX);
    s->reads = json_object();
    s->chunks = json_object();
    s->began_ms = step_clock(s);
    note_rollback(s);
    s->in.stored_head = s->in.doubted = NULL;
    note_signals(s);
    *ret = s;
    step_wake(s);
    return 0;
}

void step_call_drop(struct step *s, struct step_call *call)
{
    struct step_call **at = &s->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (call->state == STEP_CALL_SENT)
        s->host->cancel(s->host->self, call);
    mem_free(call->key);
    mem_free(call->region);
    json_decref(call->args);
    json_decref(call->facts);
    mem_free(call);
}

void step_clear_entry(struct step *s)
{
    json_decref(s->result);
    json_decref(s->warnings);
    json_decref(s->findings);
    json_decref(s->task);
    json_decref(s->details);
    json_decref(s->kept);
    s->result = s->warnings = s->findings = s->task = s->details = s->kept = NULL;
    s->grade = NULL;
    s->has_err = s->err_is_of_call = false;
    s->wait = WAIT_NONE;
    s->wait_ms = 0;
    s->party = PARTY_NONE;
}

void step_free(struct step *s)
{
    if (!s)
        return;
    while (s->calls)
        step_call_drop(s, s->calls);
    step_clear_entry(s);
    json_decref(s->reads);
    json_decref(s->chunks);
    journal_done(&s->journal);
    str_done(&s->ledger);
    mem_free(s);
}

void step_forget_reads(struct step *s)
{
    s->has_foreseen = false;
    for (struct step_call *c = s->calls, *next = NULL; c; c = next) {
        next = c->next;
        if (!c->op->mutates || c->state == STEP_CALL_FAILED)
            step_call_drop(s, c);
    }
    step_chunks_forget(s);
    s->began_ms = step_clock(s);
}

bool step_has_write_in_flight(const struct step *s)
{
    for (const struct step_call *c = s->calls; c; c = c->next)
        if (c->op->mutates && c->state == STEP_CALL_SENT)
            return true;
    return false;
}

static bool is_pending(const struct step *s)
{
    if (s->is_save_running)
        return true;
    for (const struct step_call *c = s->calls; c; c = c->next)
        if (c->state != STEP_CALL_ANSWERED && c->state != STEP_CALL_FAILED)
            return true;
    return false;
}

static void arm_timer(struct step *s)
{
    uint64_t earliest = 0;
    for (const struct step_call *c = s->calls; c; c = c->next)
        if ((c->state == STEP_CALL_MAYBE || c->state == STEP_CALL_PAUSED) && (!earliest || c->look_at_ms < earliest))
            earliest = c->look_at_ms;
    uint64_t now = step_clock(s);
    if (earliest)
        s->host->timer(s->host->self, s, earliest > now ? earliest - now : 0);
}

/* WAIT beats of different strength may meet in one entry (step_also): a question to an operator is the strongest, and
 * of equals the earliest look counts. */
enum step_result step_must_wait(struct step *s, enum wait_kind kind, uint64_t ms, enum blocking_party party)
{
    if (s->wait == WAIT_NONE || ms < s->wait_ms)
        s->wait_ms = ms;
    if (kind >= s->wait) {
        s->wait = kind;
        s->party = party;
    }
    return STEP_WAIT;
}

enum step_result step_fail_with(struct step *s, const struct err *err, bool is_of_call)
{
    if (s->has_err)
        return STEP_FAIL; /* the first one tells most */
    s->err = *err;
    s->has_err = true;
    s->err_is_of_call = is_of_call;
    return STEP_FAIL;
}

static void decide(struct step *s, enum step_result r)
{
    if (r == STEP_WAIT) {
        step_start_calls(s);
        if (s->has_ended)
            return;
        if (is_pending(s)) {
            arm_timer(s);
            return;
        }
        if (s->wait == WAIT_NONE) {
            struct err err = {0};
            (void)err_set(&err, ERR_INTERNAL, "%s waits for nothing", s->in.def->name);
            r = step_fail_with(s, &err, false);
        }
    } else if (step_has_write_in_flight(s) || s->is_save_running) {
        return; /* its answer belongs to the record; the function comes to the same end afterwards */
    }
    step_finish(s, r);
}

/* NULL: an undo of a step that leaves nothing to take back. */
static step_fn *function_of(const struct step *s)
{
    const struct step_def *def = s->in.def;
    return s->in.is_undo && !def->runs_in_undo ? def->undo : def->run;
}

enum step_result step_play(struct step *s)
{
    step_clear_entry(s);
    s->kept = json_array();
    s->result = json_object();
    s->is_inside = true;
    enum step_result r = function_of(s) ? function_of(s)(s) : STEP_DONE;
    s->is_inside = false;
    return r;
}

/* While the fleet is halted a step that could write is not even begun; what it has sent is still awaited and recorded.
 */
static bool is_halted(const struct step *s)
{
    return s->host->is_halted && step_def_could_write(s->in.def) && s->host->is_halted(s->host->self);
}

static enum step_result wait_for_release(struct step *s)
{
    step_clear_entry(s);
    s->kept = json_array();
    s->result = json_object();
    return step_must_wait_for_release(s);
}

void step_enter(struct step *s)
{
    ASSERT(s->magic == STEP_MAGIC && !s->is_inside && !s->has_ended);
    s->is_ready = false;
    s->entered_requests = s->requests;
    if (s->is_stopping) {
        if (!step_has_write_in_flight(s) && !s->is_save_running)
            step_finish_interrupted(s);
        return;
    }
    enum step_result r = is_halted(s) ? wait_for_release(s) : step_play(s);
    if (r == STEP_DONE)
        r = step_settle_rest(s);
    if (r == STEP_DONE)
        r = step_bracket_after(s);
    decide(s, r);
}

void step_timer_fired(struct step *s)
{
    uint64_t now = step_clock(s);
    bool has_lost = false;
    for (struct step_call *c = s->calls, *next = NULL; c; c = next) {
        next = c->next;
        if ((c->state != STEP_CALL_MAYBE && c->state != STEP_CALL_PAUSED) || c->look_at_ms > now)
            continue;
        if (c->state == STEP_CALL_MAYBE) {
            has_lost = true;
            if (++s->maybes > STEP_MAYBES_MAX) { /* the intent stays open: the next try settles it */
                c->state = STEP_CALL_FAILED;
                continue;
            }
        }
        step_call_drop(s, c);
    }
    if (has_lost && s->maybes <= STEP_MAYBES_MAX)
        step_forget_reads(s);
    step_wake(s);
}

/* Drops what has no effect yet: reads, and writes whose intent nobody else has seen. */
static void drop_unsent(struct step *s)
{
    for (struct step_call *c = s->calls, *next = NULL; c; c = next) {
        next = c->next;
        if (c->state == STEP_CALL_NEW && c->op->mutates)
            journal_forget(&s->journal, c->key);
        if (c->state == STEP_CALL_NEW || !c->op->mutates)
            step_call_drop(s, c);
    }
}

void step_stop(struct step *s)
{
    if (s->has_ended || s->is_stopping)
        return;
    s->is_stopping = true;
    drop_unsent(s);
    step_wake(s);
}

void step_stop_now(struct step *s)
{
    if (s->has_ended)
        return;
    s->is_stopping = true;
    drop_unsent(s);
    while (s->calls)
        step_call_drop(s, s->calls);
    s->is_save_running = false;
    step_finish_interrupted(s);
}

void step_cut(struct step *s)
{
    while (s->calls)
        step_call_drop(s, s->calls);
    s->has_ended = true;
}
