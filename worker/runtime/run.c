/* A run: one step of one claim, between the core and the queue. It is the core's host. */
#include "worker/runtime/engine_private.h"

#include <stdio.h>

static struct engine *engine_of(const struct run *r)
{
    return r->hold->shard->engine;
}

/* ---- Host functions ---- */
static uint64_t host_now(void *self)
{
    return engine_redis_ms(self);
}

static uint64_t host_latest(void *self)
{
    const struct engine *e = self;
    return e->queue ? queue_latest_ms(e->queue) : engine_redis_ms(e);
}

static void host_random(void *self, void *bytes, size_t len)
{
    (void)self;
    env_random(env_system(), bytes, len);
}

static bool host_has_identity(void *self, enum aws_identity_kind who)
{
    const struct engine *e = self;
    return who < AWS_AS_NOBODY && (who == AWS_AS_CUSTOMER || e->own.sessions[who]);
}

static bool host_is_halted(void *self)
{
    const struct engine *e = self;
    return !beat_may_write(e->beat);
}

static void host_call(void *self, struct step_call *call)
{
    const struct run *r = step_host_data(call->step);
    (void)self;
    if (chunk_is_about(call))
        chunk_call(engine_of(r), r->hold->id, call);
    else
        gate_call(r->hold->gate, call);
}

static void host_cancel(void *self, struct step_call *call)
{
    const struct run *r = step_host_data(call->step);
    (void)self;
    if (chunk_is_about(call))
        chunk_cancel(call);
    else
        gate_cancel(r->hold->gate, call);
}

static void host_save(void *self, struct step *s, const char *journal, const char *ledger)
{
    struct run *r = step_host_data(s);
    (void)self;
    mem_free(r->hold->journals[r->index]);
    r->hold->journals[r->index] = mem_dup(journal);
    struct item *item = item_new(r->hold, r, OUTCOME_SAVE);
    item->q.journal = item->texts[0] = mem_dup(journal);
    item->q.ledger = item->texts[4] = *ledger ? mem_dup(ledger) : NULL;
    shard_add(r->hold->shard, item);
}

static void timer_fired(void *arg)
{
    struct run *r = arg;
    r->timer = NULL;
    step_timer_fired(r->step);
}

static void host_timer(void *self, struct step *s, uint64_t delay_ms)
{
    struct run *r = step_host_data(s);
    struct engine *e = self;
    later_cancel(r->timer);
    r->timer = later_add(e->later, delay_ms, timer_fired, r);
}

static void ready_round(void *arg)
{
    struct engine *e = arg;
    e->ready_round = NULL;
    /* Those that wake meanwhile come in the next round, after the loop has looked at its sockets. */
    struct run *list = TAKE(e->ready);
    e->ready_last = &e->ready;
    while (list) {
        struct run *r = list;
        list = r->next_ready;
        r->next_ready = NULL;
        r->is_listed = false;
        if (r->state == RUN_PLAYING && r->step)
            step_enter(r->step);
    }
    runs_bury(e);
}

static void host_ready(void *self, struct step *s)
{
    struct engine *e = self;
    struct run *r = step_host_data(s);
    if (r->is_listed)
        return;
    r->is_listed = true;
    *e->ready_last = r;
    e->ready_last = &r->next_ready;
    if (!e->ready_round)
        e->ready_round = later_add(e->later, 0, ready_round, e);
}

/* ---- Ends ---- */
static void count_outcome(struct engine *e, enum queue_outcome outcome)
{
    struct engine_counters *n = &e->count;
    if (outcome == OUTCOME_DONE)
        n->done++;
    else if (outcome == OUTCOME_RETRY)
        n->retried++;
    else if (outcome == OUTCOME_FAIL)
        n->failed++;
    else if (outcome == OUTCOME_INTERRUPT)
        n->interrupted++;
    else
        n->waited++;
}

static void log_end(const struct run *r, const struct step_end *end)
{
    const char *outcome = (const char[]){(char)end->outcome, 0};
    if (end->err && end->outcome != STEP_ENDED_HOLD)
        log_error(end->outcome == STEP_ENDED_FAIL ? LOG_WARN : LOG_INFO, "step.failed", end->err, "import", r->hold->id,
                  "step", r->def->name, "outcome", outcome, "retry_in_ms", LOG_N(end->delay_ms), NULL);
    else
        log_event(end->outcome == STEP_ENDED_DONE ? LOG_INFO : LOG_DEBUG, "step.ended", "import", r->hold->id, "step",
                  r->def->name, "outcome", outcome, NULL);
}

static void send_end(struct run *r, struct item *item)
{
    r->state = RUN_ENDING;
    shard_add(r->hold->shard, item);
}

struct big_end { /* an end that waits for its result to be stored first */
    struct run *run;
    struct item *item;
    void *bytes;
    size_t len;
    char digest[65];
    bool is_asking;
};

static void big_free(struct big_end *big)
{
    big->run->big = NULL;
    if (big->item)
        item_free(big->item);
    mem_free(big->bytes);
    mem_free(big);
}

static void blob_again(void *arg);

static void blob_stored(void *arg, const struct err *err)
{
    struct big_end *big = arg;
    struct run *r = big->run;
    big->is_asking = false;
    if (err && r->hold) {
        r->timer = later_add(engine_of(r)->later, 200, blob_again, big);
        return;
    }
    if (r->hold)
        send_end(r, TAKE(big->item));
    big_free(big);
}

static void blob_put(struct big_end *big)
{
    big->is_asking = true;
    queue_blob_put(engine_of(big->run)->queue, big->run->hold->id, big->digest, big->bytes, big->len, blob_stored, big);
}

static void blob_again(void *arg)
{
    struct big_end *big = arg;
    big->run->timer = NULL;
    blob_put(big);
}

static void send_big_end(struct run *r, struct item *item)
{
    struct big_end *big = MEM_NEW(struct big_end);
    char *stub = NULL;
    *big = (struct big_end){.run = r, .item = item};
    blob_make(item->q.result, &big->bytes, &big->len, &stub, big->digest);
    mem_free(item->texts[1]);
    item->q.result = item->texts[1] = stub;
    r->state = RUN_ENDING;
    r->big = big;
    blob_put(big);
}

static char *dup_or_null(const char *text)
{
    return text ? mem_dup(text) : NULL;
}

static void host_ended(void *self, struct step *s, const struct step_end *end)
{
    struct run *r = step_host_data(s);
    struct engine *e = self;
    struct hold *h = r->hold;
    later_cancel(TAKE(r->timer));
    log_end(r, end);
    count_outcome(e, (enum queue_outcome)end->outcome);
    struct item *item = item_new(h, r, (enum queue_outcome)end->outcome);
    item->q.delay_ms = end->delay_ms;
    item->q.party = end->party;
    item->q.journal = item->texts[0] = dup_or_null(end->journal);
    item->q.result = item->texts[1] = dup_or_null(end->result);
    item->q.task = item->texts[2] = dup_or_null(end->task);
    item->q.error = item->texts[3] = dup_or_null(end->error);
    item->q.ledger = item->texts[4] = dup_or_null(end->ledger);
    if (end->drops_session)
        gate_drop_sessions(h->gate);
    if (end->lost_credentials)
        h->is_credential_stale = true;
    if (end->journal) {
        mem_free(h->journals[r->index]);
        h->journals[r->index] = mem_dup(end->journal);
    }
    r->is_done = end->outcome == STEP_ENDED_DONE;
    if (end->result && strlen(end->result) > BLOB_FROM_BYTES)
        send_big_end(r, item);
    else
        send_end(r, item);
    r->result = dup_or_null(item->q.result);
}

void runs_init(struct engine *e)
{
    e->ready_last = &e->ready;
    e->step_host = (struct step_host){.self = e,
                                      .rules = &e->rules,
                                      .now_ms = host_now,
                                      .latest_ms = host_latest,
                                      .random = host_random,
                                      .has_identity = host_has_identity,
                                      .is_halted = host_is_halted,
                                      .call = host_call,
                                      .cancel = host_cancel,
                                      .save = host_save,
                                      .timer = host_timer,
                                      .ready = host_ready,
                                      .ended = host_ended};
}

/* ---- Life ---- */
/* What all steps of this import have written so far: their journals are here. New reference. */
static json_t *writes_of(const struct hold *h)
{
    json_t *writes = json_array();
    for (size_t i = 0; i < h->record.step_count; i++)
        journal_list_writes(h->journals[i], hold_step_name(h, i), writes);
    return writes;
}

void run_start(struct run *r)
{
    struct hold *h = r->hold;
    struct engine *e = engine_of(r);
    const struct record_step *step = &h->record.steps[r->index];
    struct err err = {0};
    json_decref(r->signals);
    r->signals = json_incref(h->signals[r->index]);
    if (r->signals)
        gate_forget_reads(h->gate); /* somebody says that the world has changed */
    if (r->def->sees_writes && !r->writes)
        r->writes = writes_of(h);
    struct step_input input = {.def = r->def,
                               .is_undo = r->is_undo,
                               .import = h->doc,
                               .results = r->results,
                               .undone = r->undone,
                               .signals = r->signals,
                               .writes = r->writes,
                               .journal = h->journals[r->index],
                               .stored_head = h->stored[r->index],
                               .doubted = h->doubted[r->index],
                               .has_task = (step->flags & STEP_FLAG_TASK) != 0,
                               .fence = r->token.fence,
                               .nonce = r->token.nonce,
                               .attempts = step->attempts};
    r->state = RUN_PLAYING;
    if (step_new(&e->step_host, &input, r, &r->step, &err))
        run_fail_early(r, &err);
}

void run_fail_early(struct run *r, const struct err *err)
{
    const struct err_info *info = err_info(err->code);
    json_auto_t *error = json_make("{s:s, s:s, s:s, s:s, s:s, s:I}", "code", info->name, "owner",
                                   err_owner_name(err->owner), "retry", err_retry_name(err->retry), "text", err->text,
                                   "fix", info->fix, "at_ms", (json_int_t)engine_redis_ms(engine_of(r)));
    log_error(LOG_ERROR, "step.not_started", err, "import", r->hold->id, NULL);
    struct item *item = item_new(r->hold, r, OUTCOME_FAIL);
    item->q.party = PARTY_ORGIMPORT;
    item->q.error = item->texts[3] = json_text(error);
    send_end(r, item);
}

void run_interrupt_early(struct run *r)
{
    send_end(r, item_new(r->hold, r, OUTCOME_INTERRUPT));
}

void run_stop(struct run *r)
{
    if (r->state == RUN_PREPARING)
        run_interrupt_early(r);
    else if (r->state == RUN_PLAYING)
        step_stop(r->step);
}

void run_stop_now(struct run *r)
{
    if (r->state == RUN_PREPARING)
        run_interrupt_early(r);
    else if (r->state == RUN_PLAYING)
        step_stop_now(r->step);
}

void run_saved(struct run *r)
{
    if (r->state == RUN_PLAYING)
        step_saved(r->step);
}

void run_ended(struct run *r)
{
    struct hold *h = r->hold;
    struct err err = {0};
    if (r->is_done) {
        json_t *result = r->result ? json_read(r->result, strlen(r->result), 0, &err) : json_object();
        json_put(r->is_undo ? h->undone : h->results, r->def->name, result ? result : json_object());
    }
    h->runs[r->index] = NULL;
    run_free(r);
}

/* Calls are cancelled at once; the memory goes when nobody can be inside it any more. */
void run_free(struct run *r)
{
    struct engine *e = engine_of(r);
    later_cancel(TAKE(r->timer));
    if (r->step && r->state == RUN_PLAYING && !r->is_cut) {
        step_cut(r->step);
        r->is_cut = true;
    }
    if (r->big && !r->big->is_asking)
        big_free(r->big);
    shard_forget(r->hold->shard, NULL, r);
    r->state = RUN_ENDING;
    r->hold = NULL;
    r->next_dead = e->dead;
    e->dead = r;
    if (!e->ready_round)
        e->ready_round = later_add(e->later, 0, ready_round, e);
}

void runs_bury(struct engine *e)
{
    struct run **at = &e->dead;
    while (*at) {
        struct run *r = *at;
        if (r->big || r->is_listed) {
            at = &r->next_dead;
            continue;
        }
        *at = r->next_dead;
        step_free(r->step);
        json_decref(r->signals);
        json_decref(r->results);
        json_decref(r->undone);
        json_decref(r->writes);
        mem_free(r->result);
        mem_free(r);
    }
}
