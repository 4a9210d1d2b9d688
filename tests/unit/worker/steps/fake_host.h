/* A host for one step without loop, Redis or network: every operation is answered from a JSON object.
 *
 * world: {"op name": facts, "op name|argument": facts, ...}. "argument" is the text of the call's first text argument,
 * or the region it was sent to; the more exact entry wins; an operation that is not there answers null (absent). A
 * value
 * {"$error": code} is an AWS error; with "$lost" nobody knows whether AWS did it. Calls are answered in the order
 * asked, one per turn. */
#pragma once

#include "common/base/mem.h"
#include "worker/runtime/step_core.h"

#include "tests/unit/test.h"

#define FAKE_CALLS_MAX 4096

struct fake_host {
    json_t *world, *import, *results, *signals, *writes;
    json_t *undone; /* set: the step is played in an undo */
    const char *asked[FAKE_CALLS_MAX];
    struct step_call *waiting[FAKE_CALLS_MAX];
    size_t first, last, call_count;
    uint64_t now_ms;
    char *journal;
    bool has_task, is_saving, is_ready, has_ended, timer_armed;
    uint64_t timer_ms;
    /* how it ended */
    enum step_outcome outcome;
    uint64_t delay_ms;
    json_t *result, *task, *error;
    json_t *chunks;
    void (*on_answer)(struct fake_host *h, const struct step_call *call); /* may change the world */
    /* Facts that depend on the arguments: a new reference, or NULL to leave it to the world. */
    json_t *(*answer)(struct fake_host *h, const struct step_call *call);
};

static uint64_t fake_now(void *self)
{
    return ((struct fake_host *)self)->now_ms;
}

static void fake_random(void *self, void *bytes, size_t len)
{
    (void)self;
    memset(bytes, 7, len);
}

static bool fake_has_identity(void *self, enum aws_identity_kind who)
{
    (void)self;
    (void)who;
    return true;
}

static void fake_call(void *self, struct step_call *call)
{
    struct fake_host *h = self;
    assert_true(h->last < FAKE_CALLS_MAX);
    if (call->op != &step_op_chunk_put && call->op != &step_op_chunk_get)
        h->asked[h->call_count++] = call->op->name;
    h->waiting[h->last++] = call;
}

static void fake_cancel(void *self, struct step_call *call)
{
    struct fake_host *h = self;
    for (size_t i = h->first; i < h->last; i++)
        if (h->waiting[i] == call)
            h->waiting[i] = NULL;
}

static void fake_save(void *self, struct step *s, const char *journal, const char *ledger)
{
    struct fake_host *h = self;
    (void)s;
    (void)ledger;
    mem_free(h->journal);
    h->journal = mem_dup(journal);
    h->is_saving = true;
}

static void fake_timer(void *self, struct step *s, uint64_t delay_ms)
{
    struct fake_host *h = self;
    (void)s;
    h->timer_armed = true;
    h->timer_ms = h->now_ms + delay_ms;
}

static void fake_ready(void *self, struct step *s)
{
    (void)s;
    ((struct fake_host *)self)->is_ready = true;
}

static json_t *fake_json(const char *text)
{
    struct err err;
    return text && *text ? json_read(text, strlen(text), 0, &err) : NULL;
}

static void fake_ended(void *self, struct step *s, const struct step_end *end)
{
    struct fake_host *h = self;
    (void)s;
    h->has_ended = true;
    h->outcome = end->outcome;
    h->delay_ms = end->delay_ms;
    if (end->journal) {
        mem_free(h->journal);
        h->journal = mem_dup(end->journal);
    }
    json_decref(h->error);
    h->error = fake_json(end->error);
    if (end->result) {
        json_decref(h->result);
        h->result = fake_json(end->result);
    }
    if (end->task) {
        json_decref(h->task);
        h->task = fake_json(end->task);
        h->has_task = end->task[0] != 0;
    }
}

static const char *first_text(const json_t *args)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)args, name, value)
        if (json_is_string(value))
            return json_string_value(value);
    return "";
}

static const json_t *fake_facts(struct fake_host *h, const struct step_call *call)
{
    AUTO_FREE char *by_argument = mem_printf("%s|%s", call->op->name, first_text(call->args));
    AUTO_FREE char *by_region = mem_printf("%s|%s", call->op->name, call->region ? call->region : "");
    const json_t *facts = json_object_get(h->world, by_argument);
    if (!facts)
        facts = json_object_get(h->world, by_region);
    if (!facts)
        facts = json_object_get(h->world, call->op->name);
    return facts ? facts : json_null();
}

/* Chunks: kept by their digest as long as the host lives. */
static bool fake_chunk(struct fake_host *h, struct step_call *call)
{
    if (call->op != &step_op_chunk_put && call->op != &step_op_chunk_get)
        return false;
    if (!h->chunks)
        h->chunks = json_object();
    json_auto_t *facts = NULL;
    if (call->op == &step_op_chunk_put) {
        char digest[65];
        json_digest(step_chunk_of(call), digest);
        json_put(h->chunks, digest, json_deep_copy(step_chunk_of(call)));
        facts = json_make("{s:s,s:i}", "$blob", digest, "bytes", 1);
    } else {
        const json_t *value = json_object_get(h->chunks, json_str_at(call->args, "$blob"));
        facts = value ? json_deep_copy(value) : json_null();
    }
    step_answered(call, &(struct step_answer){.facts = facts});
    return true;
}

static void fake_answer(struct fake_host *h, struct step_call *call)
{
    if (fake_chunk(h, call))
        return;
    json_t *made = h->answer ? h->answer(h, call) : NULL;
    json_auto_t *facts = made ? made : json_deep_copy(fake_facts(h, call)); /* what was read may not change */
    const char *code = json_str_at(facts, "$error");
    struct err err = {0};
    if (code[0])
        (void)err_set(&err, ERR_AWS_DENIED, "AWS says %s", code);
    if (json_bool_at(facts, "$lost"))
        err.applied = APPLIED_MAYBE;
    if (h->on_answer)
        h->on_answer(h, call);
    step_answered(call, &(struct step_answer){.facts = code[0] ? NULL : facts,
                                              .err = code[0] ? &err : NULL,
                                              .aws_code = code,
                                              .request_id = "r-1"});
}

/* Plays the step until it gives its place back. */
static void fake_run(struct fake_host *h, const struct step_def *def)
{
    struct step_rules rules;
    struct err err;
    struct step *s = NULL;
    step_rules_live(&rules, 60000);
    const struct step_host host = {.self = h,
                                   .rules = &rules,
                                   .now_ms = fake_now,
                                   .random = fake_random,
                                   .has_identity = fake_has_identity,
                                   .call = fake_call,
                                   .cancel = fake_cancel,
                                   .save = fake_save,
                                   .timer = fake_timer,
                                   .ready = fake_ready,
                                   .ended = fake_ended};
    const struct step_input input = {.def = def,
                                     .import = h->import,
                                     .results = h->results,
                                     .signals = h->signals,
                                     .writes = h->writes,
                                     .undone = h->undone,
                                     .is_undo = h->undone != NULL,
                                     .journal = h->journal,
                                     .has_task = h->has_task,
                                     .fence = 1,
                                     .nonce = 1,
                                     .attempts = 1};
    h->has_ended = false;
    h->first = h->last = 0;
    assert_int_equal(step_new(&host, &input, NULL, &s, &err), 0);
    for (int turns = 0; !h->has_ended; turns++) {
        assert_true(turns < 20000);
        if (h->is_ready) {
            h->is_ready = false;
            step_enter(s);
        } else if (h->is_saving) {
            h->is_saving = false;
            step_saved(s);
        } else if (h->first < h->last) {
            struct step_call *call = h->waiting[h->first++];
            if (call)
                fake_answer(h, call);
        } else {
            assert_true(h->timer_armed);
            h->timer_armed = false;
            h->now_ms = h->timer_ms;
            step_timer_fired(s);
        }
    }
    step_free(s);
}

static inline void fake_done(struct fake_host *h)
{
    json_decref(h->world);
    json_decref(h->import);
    json_decref(h->results);
    json_decref(h->signals);
    json_decref(h->writes);
    json_decref(h->undone);
    json_decref(h->result);
    json_decref(h->task);
    json_decref(h->error);
    json_decref(h->chunks);
    mem_free(h->journal);
}
