/* The fleet-wide halt at the gate: the last place before a signature. A refusal is proven not applied, so the step
 * takes its intent back and waits; what it has read goes on. */
#include "worker/runtime/gate_private.h"

struct halt_job {
    struct passage *passage; /* NULL once nobody waits for the answer: the halt stands all the same */
};

bool halt_forbids(const struct passage *p)
{
    const struct gate_tools *t = &p->gate->tools;
    return p->op->mutates && t->may_write && !t->may_write(t->halt_self);
}

static void refuse_now(void *arg)
{
    struct passage *p = arg;
    struct err err = {0};
    p->later = NULL;
    (void)err_set(&err, ERR_FLEET_HALTED, "%s was not sent: all writers of the fleet are halted", p->op->name);
    err.applied = APPLIED_NO;
    passage_fail(p, &err);
}

void halt_refuse(struct passage *p)
{
    p->state = PASSAGE_SENT;
    p->later = later_add(p->gate->tools.session.later, 0, refuse_now, p);
}

static void halted(void *arg, const struct err *err)
{
    struct halt_job *job = arg;
    struct passage *p = job->passage;
    mem_free(job);
    if (!p)
        return;
    p->halt = NULL;
    json_auto_t *facts = json_make("{s:b}", "halted", 1);
    passage_answer(p, &(struct step_answer){.facts = err ? NULL : facts, .err = err});
}

static void halted_nobody(void *arg)
{
    struct passage *p = arg;
    p->later = NULL;
    json_auto_t *facts = json_make("{s:b}", "halted", 0);
    passage_answer(p, &(struct step_answer){.facts = facts});
}

void halt_ask(struct passage *p)
{
    const struct gate_tools *t = &p->gate->tools;
    p->state = PASSAGE_MAIL;
    if (!t->halt) {
        p->later = later_add(t->session.later, 0, halted_nobody, p);
        return;
    }
    p->halt = MEM_NEW(struct halt_job);
    p->halt->passage = p;
    t->halt(t->halt_self, p->args, halted, p->halt);
}

void halt_forget(struct halt_job *job)
{
    job->passage = NULL;
}
