/* Plan mode: the very functions of the steps are played ahead of time, inside of one step that makes the plan.
 *
 * Their reads go to AWS as that step's own reads, so its manifest bounds them and none of them can write. A write is
 * recorded with all its arguments and goes nowhere. From then on every later read is answered as if it had happened:
 * foresight_effects.def names for each write what later reads show of it (foresight_iam.c, foresight_s3.c,
 * foresight_billing.c), and foresight_people.c does what a person would do once a task is opened.
 *
 *   outer step (change_plan, plan_approval)
 *      step_foresee -> for each later step: step_play -> step_ask -> foresight_ask -+- write: recorded, given back
 *                          ^                                                        +- read: what was written so far
 *                          +-- a person, AWS, a pause: noted, done, played again         says all? else asked live
 *
 * Nothing here lives longer than one entry of the outer step: its reads are in its memory, so the next entry comes to
 * the same place and one step further. */
#pragma once

#include "common/aws/op.h"
#include "common/codec/json.h"
#include "worker/step.h"

#define FORESIGHT_CODE "000000" /* stands for the secret code of a mail */
#define FORESIGHT_UNKNOWN "(known after apply)"

struct ask;
struct step;
struct foresight;

struct foresight_write { /* a planned write, or "person:.." and "aws:.." for what others will have done by then */
    const char *what;
    json_t *args;
    uint64_t at_ms;
};
struct foresight_read {
    const char *op;
    const json_t *args;
    const json_t *import;
};
/* The facts of a read after a write: takes `facts` and gives them back, changed or not. NULL: AWS was not asked yet; an
 * effect that knows the whole answer by itself gives it then, the others give NULL back. */
typedef json_t *foresight_see_fn(const struct foresight_read *r, const struct foresight_write *w, json_t *facts);

struct foresight_effect {
    const char *op;
    foresight_see_fn *see;   /* NULL: no read that steps make shows it */
    const char *verb;        /* "create", "change", "remove" */
    const char *resource;    /* "role {RoleName}": members of the arguments are put in */
    const char *why;         /* in words */
    const char *document;    /* member of the arguments that is the document written, "" when there is none */
    const char *before_op;   /* read whose last answer holds the document as it is now, "" */
    const char *before_by;   /* member that the arguments of both share, "" */
    const char *before_path; /* of the document in the facts */
};
const struct foresight_effect *foresight_effect_of(const char *op);

/* ---- For the step core ---- */
enum step_result foresight_ask(struct step *s, struct ask *ask, const json_t **ret);
uint64_t foresight_clock(const struct foresight *f);
void foresight_wait(struct foresight *f, uint64_t ms, const char *why);
void foresight_decision(struct foresight *f, enum err_code code, const char *text, const json_t *details);

/* ---- For the parts ---- */
/* From now on this has happened. Takes args. */
void foresight_add(struct foresight *f, const char *what, json_t *args);
const json_t *foresight_import(const struct foresight *f);
/* What the last read of that kind was answered with; NULL when there was none. */
const json_t *foresight_last_facts(const struct foresight *f, const char *op);
/* What a write itself answers. New reference. */
json_t *foresight_answer(const char *op, const json_t *args, uint64_t now_ms);

/* foresight_people.c: the person of this task does it. `signals` gets what they say. False: nobody can tell what comes
 * of it. */
bool foresight_person(struct foresight *f, const char *step, const json_t *task, json_t *signals);
/* AWS gets done what the step waits for. */
void foresight_aws(struct foresight *f, const char *step);

#define SEE(name) json_t *name(const struct foresight_read *r, const struct foresight_write *w, json_t *facts)
#define EFFECT(op, see, ...) SEE(see);
#define EFFECT_NONE(op, ...)
#include "worker/runtime/foresight_effects.def"
#undef EFFECT
#undef EFFECT_NONE
