#include "tests/integration/scenario/scenario_play.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX 400
#define ATTEMPTS_MAX 8
#define BLOCKED_MS 60000

struct player {
    struct stage *stage;
    const struct play_input *in;
    struct play_output *out;
    struct step_host host;
    struct step_rules rules;
    struct gate *gate;
    struct step *step;
    json_t *signals;
    uint64_t fence;
    uint8_t attempts;
    bool is_ready, is_dead, must_stop, is_stopped, has_ended, has_task, has_then;
    char *save_journal; /* a save on its way */
    uint64_t timer_at;
    int in_flight, kill_at;
    struct step_call *faulted; /* the call whose answer is to be spoilt */
    enum step_outcome outcome;
    enum blocking_party party;
    uint64_t delay_ms;
    struct later_item *block;
    bool is_blocked, died_holding;
};

const char *fault_name(enum fault f)
{
    static const char *const names[] = {"none", "throttle", "5xx before", "5xx after", "dropped answer", "reset"};
    return names[f];
}

/* ---- Clock ---- */
uint64_t stage_now(const struct stage *stage)
{
    return (uint64_t)((int64_t)env_unix_ms(env_system()) + stage->offset_ms);
}

static void move_clock(struct stage *stage, int64_t ms)
{
    json_auto_t *body = json_make("{s:I}", "advance_ms", (json_int_t)ms);
    json_decref(scenario_sim_ask(stage->sim, "clock", body));
    stage->offset_ms += ms;
}

void stage_advance(struct stage *stage, uint64_t ms)
{
    if (ms)
        move_clock(stage, (int64_t)ms);
}

void stage_rewind(struct stage *stage)
{
    if (stage->offset_ms)
        move_clock(stage, -stage->offset_ms);
}

/* ---- Boundaries ---- */
static bool boundary(struct player *p)
{
    int n = p->out->boundaries++;
    if (n == p->in->stop_at)
        p->must_stop = true;
    if (n == p->kill_at && !p->is_dead) {
        p->is_dead = true;
        p->out->was_killed = true;
    }
    return p->is_dead;
}

/* (f) The same key is asked with the same arguments, in whatever play. */
static void check_digest(struct player *p, const struct step_call *call)
{
    AUTO_FREE char *name = mem_printf("%s|%s", p->in->def->name, call->key);
    const char *known = json_string_value(json_object_get(p->stage->digests, name));
    if (!known)
        json_put_str(p->stage->digests, name, call->digest);
    else if (strcmp(known, call->digest) != 0 && call->op->mutates)
        (void)snprintf(p->out->drift, sizeof p->out->drift, "%s", call->key);
}

/* ---- Host ---- */
static uint64_t host_now(void *self)
{
    return stage_now(((struct player *)self)->stage);
}

static void host_random(void *self, void *bytes, size_t len)
{
    (void)self;
    memset(bytes, 0x5a, len); /* the same code in every play, or mails would differ */
}

static bool host_has_identity(void *self, enum aws_identity_kind who)
{
    const struct player *p = self;
    return who < AWS_AS_NOBODY && (who == AWS_AS_CUSTOMER || p->stage->own.sessions[who]);
}

static void fail_call(struct player *p, struct step_call *call)
{
    struct err err = {0};
    bool is_throttle = p->in->fault == FAULT_THROTTLE;
    (void)err_set(&err, is_throttle ? ERR_AWS_THROTTLED : ERR_AWS_TRANSIENT, "played fault: %s",
                  fault_name(p->in->fault));
    err.applied = is_throttle ? APPLIED_NO : APPLIED_MAYBE;
    step_answered(call, &(struct step_answer){.err = &err, .aws_code = is_throttle ? "Throttling" : ""});
}

struct spoilt {
    struct player *player;
    struct step_call *call;
};

static void spoil_later(void *arg)
{
    struct spoilt *s = arg;
    struct player *p = s->player;
    if (!p->is_dead && p->faulted == s->call) {
        p->faulted = NULL;
        p->in_flight--;
        fail_call(p, s->call);
    }
    mem_free(s);
}

static bool plays_fault(struct player *p, struct step_call *call)
{
    if (p->out->calls - 1 != p->in->fault_call)
        return false;
    p->faulted = call;
    if (p->in->fault == FAULT_AFTER || p->in->fault == FAULT_DROP)
        return false; /* it goes out; its answer is spoilt */
    struct spoilt *s = MEM_NEW(struct spoilt);
    *s = (struct spoilt){.player = p, .call = call};
    (void)later_add(p->stage->later, 0, spoil_later, s);
    return true;
}

/* Chunks need a store that outlives the worker; here every walk is short, and a store that has nothing is one, too. */
static void no_chunk(void *arg)
{
    struct spoilt *s = arg;
    json_auto_t *nothing = json_null();
    if (!s->player->is_dead && s->call) {
        s->call->host_data = NULL;
        s->player->in_flight--;
        step_answered(s->call, &(struct step_answer){.facts = nothing});
    }
    mem_free(s);
}

static bool is_chunk(const struct step_call *call)
{
    return call->op == &step_op_chunk_put || call->op == &step_op_chunk_get;
}

static void host_call(void *self, struct step_call *call)
{
    struct player *p = self;
    if (p->is_dead)
        return;
    if (is_chunk(call)) {
        struct spoilt *s = MEM_NEW(struct spoilt);
        *s = (struct spoilt){.player = p, .call = call};
        call->host_data = s;
        p->in_flight++;
        (void)later_add(p->stage->later, 0, no_chunk, s);
        return;
    }
    check_digest(p, call);
    if (p->out->calls < PLAY_CALLS_MAX)
        p->out->are_writes[p->out->calls] = call->op->mutates;
    p->out->calls++;
    if (call->op->mutates) {
        int n = p->out->writes++;
        p->out->writes_after_stop += p->is_stopped;
        if (n == p->in->hold_write && !p->out->was_held) {
            /* S3 names its actions by method and path only: the next request that is no read. */
            delay_arm(p->stage->delay,
                      call->op->service->protocol == AWS_REST_XML ? " HTTP/1.1\r\n" : call->op->action);
            p->out->was_held = true;
            p->out->held_at_ms = stage_now(p->stage);
        } else if (boundary(p)) {
            return;
        }
    }
    p->in_flight++;
    if (!plays_fault(p, call))
        gate_call(p->gate, call);
}

static void host_answer(void *self, struct step_call *call, const struct step_answer *answer)
{
    struct player *p = self;
    p->in_flight--;
    uv_stop(&p->stage->loop);
    if (p->is_dead || boundary(p))
        return;
    if (p->faulted == call) {
        p->faulted = NULL;
        fail_call(p, call);
        return;
    }
    step_answered(call, answer);
}

static void host_cancel(void *self, struct step_call *call)
{
    struct player *p = self;
    p->in_flight--;
    if (is_chunk(call)) {
        ((struct spoilt *)call->host_data)->call = NULL;
        return;
    }
    if (p->faulted == call)
        p->faulted = NULL;
    gate_cancel(p->gate, call);
}

static void host_save(void *self, struct step *s, const char *journal, const char *ledger)
{
    struct player *p = self;
    (void)s;
    (void)ledger;
    ASSERT(!p->save_journal);
    p->save_journal = mem_dup(journal);
}

static void host_timer(void *self, struct step *s, uint64_t delay_ms)
{
    struct player *p = self;
    (void)s;
    p->timer_at = stage_now(p->stage) + delay_ms;
}

static void host_ready(void *self, struct step *s)
{
    struct player *p = self;
    (void)s;
    p->is_ready = true;
    uv_stop(
        &p->stage->loop); /* it may have been a timer that woke us, and then the loop would go on to wait for sockets */
}

static void keep(char **slot, const char *text)
{
    if (!text)
        return;
    mem_free(*slot);
    *slot = mem_dup(text);
}

static void host_ended(void *self, struct step *s, const struct step_end *end)
{
    struct player *p = self;
    (void)s;
    p->has_ended = true;
    if (p->is_dead || boundary(p))
        return;
    p->outcome = end->outcome;
    p->party = end->party;
    p->delay_ms = end->delay_ms;
    keep(&p->out->journal, end->journal);
    keep(&p->out->result, end->result);
    keep(&p->out->task, end->task);
    if (end->task)
        p->has_task = *end->task != 0;
    if (end->error) {
        json_auto_t *error = json_loads(end->error, 0, NULL);
        keep(&p->out->code, json_str_at(error, "code"));
    }
    if (end->drops_session)
        gate_drop_sessions(p->gate);
}

/* ---- Driving ---- */
static uint64_t no_lease(void *arg)
{
    (void)arg;
    return 0;
}

static void open_gate(struct player *p)
{
    p->gate = gate_new(&p->stage->tools, p->in->import, no_lease, NULL);
    session_put_credential(gate_session(p->gate), p->in->credential);
}

static void save_arrives(struct player *p)
{
    char *journal = TAKE(p->save_journal);
    if (boundary(p)) {
        mem_free(journal);
        return;
    }
    mem_free(p->out->journal);
    p->out->journal = journal;
    if (!boundary(p))
        step_saved(p->step);
}

static void blocked(void *arg)
{
    struct player *p = arg;
    p->block = NULL;
    p->is_blocked = true;
}

static void wait_for_loop(struct player *p)
{
    p->block = later_add(p->stage->later, BLOCKED_MS, blocked, p);
    (void)uv_run(&p->stage->loop, UV_RUN_ONCE);
    later_cancel(p->block);
    p->block = NULL;
}

/* True while there is something to do. */
static bool drive_once(struct player *p)
{
    if (p->is_dead || p->has_ended || p->is_blocked)
        return false;
    if (p->out->was_held && !p->died_holding &&
        delay_has(p->stage->delay)) { /* the request left; its holder dies now */
        p->is_dead = p->died_holding = true;
        return false;
    }
    if (p->must_stop) {
        p->must_stop = false;
        p->is_stopped = true;
        step_stop(p->step);
    } else if (p->is_ready) {
        p->is_ready = false;
        step_enter(p->step);
    } else if (p->save_journal) {
        save_arrives(p);
    } else if (p->in_flight) {
        wait_for_loop(p);
    } else if (p->timer_at) {
        uint64_t now = stage_now(p->stage);
        stage_advance(p->stage, p->timer_at > now ? p->timer_at - now : 0);
        p->timer_at = 0;
        step_timer_fired(p->step);
    } else {
        p->is_blocked = true;
    }
    return true;
}

static void claim(struct player *p)
{
    struct err err = {0};
    struct step_input input = {.def = p->in->def,
                               .is_undo = p->in->is_undo,
                               .undone = p->in->undone,
                               .import = p->in->import,
                               .results = p->in->results,
                               .signals = p->signals,
                               .journal = p->out->journal,
                               .has_task = p->has_task,
                               .fence = p->fence,
                               .nonce = 7,
                               .attempts = p->attempts};
    p->has_ended = p->is_ready = false;
    p->timer_at = 0;
    if (step_new(&p->host, &input, p, &p->step, &err)) {
        (void)fprintf(stderr, "scenario_runner: %s\n", err.text);
        exit(1);
    }
}

static void unclaim(struct player *p)
{
    step_free(TAKE(p->step));
    mem_free(TAKE(p->save_journal));
    p->faulted = NULL;
    p->in_flight = 0;
}

/* What people do and say while the step waits. True when something is done. */
static bool people_act(struct player *p)
{
    size_t i = 0;
    json_t *one = NULL;
    if (!p->has_then)
        return false;
    p->has_then = false;
    json_array_foreach ((json_t *)(uintptr_t)p->in->then, i, one) {
        const json_t *signal = json_object_get(one, "signal");
        char path[64];
        if (signal) {
            json_object_update(p->signals, (json_t *)(uintptr_t)signal);
            continue;
        }
        (void)snprintf(path, sizeof path, "world/%.12s/act", json_str_at(p->in->import, "vars.account_id"));
        json_auto_t *body = json_make("{s:s, s:O}", "what", json_str_at(one, "act"), "args",
                                      json_object_get(one, "args") ? json_object_get(one, "args") : json_null());
        json_decref(scenario_sim_ask(p->stage->sim, path, body));
    }
    stage_advance(p->stage, 20u * 60000u); /* CloudTrail delivers within a quarter of an hour */
    return true;
}

static const char *word_of(const struct player *p)
{
    switch (p->outcome) {
    case STEP_ENDED_DONE:
        return "done";
    case STEP_ENDED_FAIL:
        return "fail";
    case STEP_ENDED_HOLD:
        return "hold";
    case STEP_ENDED_WAIT:
        return p->party == PARTY_AWS ? "wait_aws" : "wait";
    case STEP_ENDED_INTERRUPT:
        return "interrupt";
    case STEP_ENDED_RETRY:
    case STEP_ENDED_SLEEP:
    default:
        return "sleep";
    }
}

/* False when the play is over: `outcome` says how. */
static bool goes_on(struct player *p)
{
    struct play_output *out = p->out;
    if (p->is_dead && !p->in->resumes) {
        out->outcome = "dead";
        return false;
    }
    if (p->is_dead) {
        gate_free(p->gate);
        open_gate(p);
        p->is_dead = false;
        p->kill_at = -1;
        p->fence++;
        return true;
    }
    if (p->is_blocked || ++out->rounds > ROUNDS_MAX) {
        out->outcome = "stuck";
        return false;
    }
    out->outcome = word_of(p);
    bool is_retry = p->outcome == STEP_ENDED_RETRY;
    if (is_retry && ++p->attempts > ATTEMPTS_MAX)
        out->outcome = "fail";
    if (p->outcome == STEP_ENDED_WAIT && p->party != PARTY_AWS && people_act(p))
        return true;
    bool is_over = str_eq(out->outcome, "done") || str_eq(out->outcome, "fail") || str_eq(out->outcome, "hold") ||
                   str_eq(out->outcome, "interrupt") || str_eq(out->outcome, "wait") ||
                   (str_eq(out->outcome, "wait_aws") && str_eq(p->in->expect, "wait_aws"));
    if (!is_over)
        stage_advance(p->stage, p->delay_ms);
    return !is_over;
}

void play(struct stage *stage, const struct play_input *in, struct play_output *ret)
{
    struct player p = {.stage = stage, .in = in, .out = ret, .fence = 1, .attempts = 1, .kill_at = in->kill_at};
    *ret = (struct play_output){.outcome = "stuck"};
    ret->journal = in->journal ? mem_dup(in->journal) : NULL;
    p.host = (struct step_host){.self = &p,
                                .rules = &p.rules,
                                .now_ms = host_now,
                                .random = host_random,
                                .has_identity = host_has_identity,
                                .call = host_call,
                                .cancel = host_cancel,
                                .save = host_save,
                                .timer = host_timer,
                                .ready = host_ready,
                                .ended = host_ended};
    step_rules_live(&p.rules, 60000);
    p.has_then = json_array_size(in->then) > 0;
    p.signals = in->signals ? json_deep_copy(in->signals) : json_object();
    stage->tools.answer_self = &p;
    stage->tools.answer = host_answer;
    open_gate(&p);
    do {
        claim(&p);
        while (drive_once(&p))
            ;
        unclaim(&p);
    } while (goes_on(&p));
    gate_free(p.gate);
    json_decref(p.signals);
    /* Let the loop forget what was cancelled, before the next play. */
    (void)uv_run(&stage->loop, UV_RUN_NOWAIT);
}

void play_output_done(struct play_output *out)
{
    mem_free(out->code);
    mem_free(out->journal);
    mem_free(out->result);
    mem_free(out->task);
    *out = (struct play_output){0};
}
