/* A host for the step core without any outside: calls wait in a list until the test answers them, saves likewise, the
 * clock moves when the test says so. */
#pragma once

#include "common/base/mem.h"
#include "worker/runtime/step_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_CALLS_MAX 16

struct fake {
    struct step_host host;
    struct step_rules rules;
    uint64_t now_ms;
    uint64_t seed;
    struct step *step;
    struct step_call *calls[FAKE_CALLS_MAX];
    size_t call_count;
    char *journal; /* what Redis has */
    char *offered; /* a save that the test has not let through yet */
    char *ledger;  /* all lines that Redis has */
    char *new_lines;
    bool is_ready, has_ended, saves_by_itself;
    uint64_t timer_ms; /* 0: none */
    struct step_end end;
    char *task, *error, *result;
    uint32_t entries, saves, fence;
    const char *stored_head; /* what an earlier life of this worker knew to be stored */
};

static inline uint64_t fake_now(void *self)
{
    return ((struct fake *)self)->now_ms;
}
static inline void fake_random(void *self, void *bytes, size_t len)
{
    struct fake *f = self;
    for (size_t i = 0; i < len; i++) {
        f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)bytes)[i] = (unsigned char)(f->seed >> 56);
    }
}
static inline bool fake_has_identity(void *self, enum aws_identity_kind who)
{
    (void)self;
    return who == AWS_AS_CUSTOMER;
}
static inline void fake_call(void *self, struct step_call *call)
{
    struct fake *f = self;
    assert_true(f->call_count < FAKE_CALLS_MAX);
    f->calls[f->call_count++] = call;
}
static inline void fake_take_call(struct fake *f, size_t i)
{
    for (f->call_count--; i < f->call_count; i++)
        f->calls[i] = f->calls[i + 1];
}
static inline void fake_cancel(void *self, struct step_call *call)
{
    struct fake *f = self;
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i] == call) {
            fake_take_call(f, i);
            return;
        }
    fail();
}
static inline void fake_add_lines(struct fake *f, const char *lines)
{
    char *both = mem_printf("%s%s", f->ledger ? f->ledger : "", lines ? lines : "");
    mem_free(f->ledger);
    f->ledger = both;
}
static inline void fake_let_save(struct fake *f)
{
    assert_non_null(f->offered);
    mem_free(f->journal);
    f->journal = TAKE(f->offered);
    fake_add_lines(f, f->new_lines);
    mem_free(TAKE(f->new_lines));
    step_saved(f->step);
}
static inline void fake_save(void *self, struct step *s, const char *journal, const char *ledger)
{
    struct fake *f = self;
    (void)s;
    assert_null(f->offered);
    f->saves++;
    f->offered = mem_dup(journal);
    f->new_lines = mem_dup(ledger);
}
static inline void fake_timer(void *self, struct step *s, uint64_t delay_ms)
{
    (void)s;
    ((struct fake *)self)->timer_ms = ((struct fake *)self)->now_ms + delay_ms;
}
static inline void fake_ready(void *self, struct step *s)
{
    (void)s;
    ((struct fake *)self)->is_ready = true;
}
static inline void fake_ended(void *self, struct step *s, const struct step_end *end)
{
    struct fake *f = self;
    (void)s;
    assert_false(f->has_ended);
    f->has_ended = true;
    f->end = *end;
    if (end->journal) {
        mem_free(f->journal);
        f->journal = mem_dup(end->journal);
    }
    fake_add_lines(f, end->ledger);
    mem_free(f->task);
    mem_free(f->error);
    mem_free(f->result);
    f->task = end->task ? mem_dup(end->task) : NULL;
    f->error = end->error ? mem_dup(end->error) : NULL;
    f->result = end->result ? mem_dup(end->result) : NULL;
}

static inline void fake_init(struct fake *f)
{
    *f = (struct fake){.now_ms = 1700000000000u, .seed = 7, .fence = 1, .saves_by_itself = true};
    step_rules_live(&f->rules, 60000);
    f->host = (struct step_host){.self = f,
                                 .rules = &f->rules,
                                 .now_ms = fake_now,
                                 .random = fake_random,
                                 .has_identity = fake_has_identity,
                                 .call = fake_call,
                                 .cancel = fake_cancel,
                                 .save = fake_save,
                                 .timer = fake_timer,
                                 .ready = fake_ready,
                                 .ended = fake_ended};
}

/* The holder dies: memory is gone, Redis's texts stay. A save that had not arrived is lost. */
static inline void fake_kill(struct fake *f)
{
    step_free(TAKE(f->step));
    mem_free(TAKE(f->offered));
    mem_free(TAKE(f->new_lines));
    f->call_count = 0;
    f->is_ready = f->has_ended = false;
    f->timer_ms = 0;
}

static inline void fake_done(struct fake *f)
{
    fake_kill(f);
    mem_free(f->journal);
    mem_free(f->ledger);
    mem_free(f->task);
    mem_free(f->error);
    mem_free(f->result);
}

/* A fixture of one import and one step; fake_teardown takes the import. */
static inline void fake_setup(void **state, const struct step_def *def, json_t **ret_import,
                              struct step_input *ret_input)
{
    struct fake *f = MEM_NEW(struct fake);
    fake_init(f);
    *ret_import =
        json_make("{s:I, s:{s:s}}", "created_ms", (json_int_t)1700000000000, "vars", "account_id", "111122223333");
    *ret_input = (struct step_input){.def = def, .import = *ret_import};
    *state = f;
}

static inline int fake_teardown(void **state, json_t *import)
{
    fake_done(*state);
    mem_free(*state);
    json_decref(import);
    return 0;
}

/* A claim; each of them has its own fence unless `same_hold`. */
static inline void fake_claim(struct fake *f, const struct step_input *in, bool same_hold)
{
    struct err err = {0};
    struct step_input input = *in;
    step_free(TAKE(f->step));
    f->has_ended = false;
    input.journal = f->journal;
    input.stored_head = f->stored_head;
    input.fence = same_hold ? f->fence : ++f->fence;
    input.nonce = 7;
    if (!input.attempts)
        input.attempts = 1;
    assert_int_equal(step_new(&f->host, &input, f, &f->step, &err), 0);
}

/* Enters and saves until only calls, timers or the end are left. */
static inline void fake_play(struct fake *f)
{
    for (int guard = 0; guard < 1000; guard++) {
        if (f->is_ready && !f->has_ended) {
            f->is_ready = false;
            f->entries++;
            step_enter(f->step);
        } else if (f->offered && f->saves_by_itself && !f->has_ended) {
            fake_let_save(f);
        } else {
            return;
        }
    }
    fail_msg("the step does not come to rest");
}

static inline struct step_call *fake_asked(struct fake *f, const char *key)
{
    for (size_t i = 0; i < f->call_count; i++)
        if (strcmp(f->calls[i]->key, key) == 0)
            return f->calls[i];
    return NULL;
}
static inline void fake_answer(struct fake *f, const char *key, json_t *facts)
{
    for (size_t i = 0; i < f->call_count; i++) {
        struct step_call *call = f->calls[i];
        if (strcmp(call->key, key) != 0)
            continue;
        fake_take_call(f, i);
        step_answered(call, &(struct step_answer){.facts = facts, .request_id = "req-1"});
        json_decref(facts);
        fake_play(f);
        return;
    }
    fail_msg("%s was not asked", key);
}
static inline void fake_refuse(struct fake *f, const char *key, enum err_code code, enum err_applied applied,
                               const char *aws)
{
    struct err err = {0};
    (void)err_set(&err, code, "refused");
    err.applied = applied;
    for (size_t i = 0; i < f->call_count; i++) {
        struct step_call *call = f->calls[i];
        if (strcmp(call->key, key) != 0)
            continue;
        fake_take_call(f, i);
        step_answered(call, &(struct step_answer){.err = &err, .aws_code = aws});
        fake_play(f);
        return;
    }
    fail_msg("%s was not asked", key);
}
static inline void fake_pass_time(struct fake *f, uint64_t ms)
{
    f->now_ms += ms;
    if (f->timer_ms && f->timer_ms <= f->now_ms) {
        f->timer_ms = 0;
        step_timer_fired(f->step);
        fake_play(f);
    }
}
