/* Steps: ordinary functions, re-entered, with a journal.
 *
 * READ THIS FIRST. The runtime calls a step's function from its first line each time something it waited for arrives.
 * step_call() looks up its key: answered -> it gives the facts and goes on; not yet -> it arranges the call and says
 * WAIT, and the step returns. So earlier lines run again, arguments must come out equal each time, and keys must be
 * unique names. Writes are durable (an intent before, an answer after); reads live in memory only and are asked afresh
 * after a restart, after every wait and after a failed try (a read that failed for a moment is asked again alone). So
 * write "make it so": look, act if needed, verify.
 *
 * A step file includes this header, service headers and worker/steps/ helpers, nothing else. No clock, no random, no
 * environment: everything with an effect goes through the family below. Borrowed JSON lives until the function returns.
 */
#pragma once

#include "common/aws/op.h"
#include "common/codec/json.h"

struct step; /* opaque */

enum step_result { STEP_DONE, STEP_WAIT, STEP_FAIL };

/* Passes WAIT and FAIL on to the runtime. */
#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        enum step_result try_ = (expr);                                                                                \
        if (try_ != STEP_DONE)                                                                                         \
            return try_;                                                                                               \
    } while (0)

/* Many at once: enum step_result all = STEP_DONE; for (...) step_also(&all, step_call(...)); TRY(all);
 * FAIL beats WAIT beats DONE. */
static inline void step_also(enum step_result *all, enum step_result one)
{
    if (one > *all)
        *all = one;
}

typedef enum step_result step_fn(struct step *s);
/* The change this step makes to each fingerprint section, as a patch (common/proof/fingerprint.h). `import` is the
 * document, `result` the step's own facts. New reference or NULL for no change. Pure. */
typedef json_t *step_expects_fn(const json_t *import, const json_t *before, const json_t *result);

/* Reads the entries that this step may change and adds them to `reading` (common/proof/bracket.h), by step_look()
 * alone. The runtime calls it just before the step's first write and right after its last one. */
typedef enum step_result step_touches_fn(struct step *s, json_t *reading);

struct step_def {
    const char *name; /* file name, playbook id */
    const char *item; /* "2.3": of the process */
    step_fn *run;
    step_fn *undo;     /* NULL: nothing to take back */
    bool runs_in_undo; /* `run` runs again in an undo (step_is_undo): access, proof, end of access, report */
    step_expects_fn *expects;
    step_touches_fn *touches;        /* NULL: it changes nothing in the customer's organization */
    const struct aws_op *const *ops; /* manifest: OPS(...) */
    const char *uses;                /* comma list of steps whose results it reads */
    uint32_t version;                /* raised when keys change meaning */
    bool sees_writes;                /* step_writes() */
    bool only_looks; /* a check: neither writes nor waits for a state, so "already" says nothing of it */
};
#define STEP(id) extern const struct step_def step_##id;
#include "worker/steps/steps.def"
#undef STEP
/* NULL-terminated. Alone in its object file, so that a program can be linked with another table (tests/drill). */
extern const struct step_def *const step_defs[];
static inline const struct step_def *step_def_by_name(const char *name)
{
    for (const struct step_def *const *def = step_defs; *def; def++)
        if (str_eq((*def)->name, name))
            return *def;
    return NULL;
}

/* ---- What a step may know -------------------------------------------------------------------------------------------
 */
const json_t *step_import(const struct step *s);              /* the import document */
const char *step_var(const struct step *s, const char *path); /* step_import's "vars" by path; "" when absent */
const json_t *step_result_of(const struct step *s, const char *step_name); /* NULL: not done (or skipped) */
const json_t *step_signal(const struct step *s, const char *key); /* body of a signal to this step, NULL when none */
/* A recorded write's facts, NULL when none. In an undo: what the forward run recorded, and the undo's own writes are
 * known to step_call only; but for a step that runs again in an undo (runs_in_undo), which sees those of its own run.
 */
const json_t *step_journal_facts(const struct step *s, const char *key);
/* In an undo: when the forward run reached the step_now() of that key, 0 when it never did. */
uint64_t step_did_at(const struct step *s, const char *key);
/* In an undo: what the undo of that step left; NULL when it has not ended. step_result_of() stays the forward run's. */
const json_t *step_undo_of(const struct step *s, const char *step_name);
/* Whether that step ended well in the forward run, also where its result is too big to be at hand (`uses`). */
bool step_has_result(const struct step *s, const char *step_name);
/* What all steps of this import have written or meant to write: [{step, key, op, at_ms, args: {name: text}}], of the
 * arguments only short texts. NULL when the step does not declare sees_writes or the host does not tell. */
const json_t *step_writes(const struct step *s);
bool step_has_identity(const struct step *s, enum aws_identity_kind who); /* partner or trusted account configured? */
bool step_is_undo(const struct step *s);
/* Formats into the step's arena: for keys and small texts. */
const char *step_text(struct step *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Keeps a new reference until the function returns, and gives it back borrowed. */
json_t *step_keep(struct step *s, json_t *new_value);

/* ---- The family
 * ------------------------------------------------------------------------------------------------------ */
/* Facts of `op` under `key`; JSON null when AWS says absent. `args` may be NULL; its reference is taken. */
enum step_result step_call(struct step *s, const char *key, const struct aws_op *op, json_t *args, const json_t **ret);
/* The same, where some AWS errors are answers: codes in the comma list come as {"error":"Code","message":".."}. */
enum step_result step_try(struct step *s, const char *key, const struct aws_op *op, json_t *args, const char *codes,
                          const json_t **ret);
/* The same in another region or with other S3 bucket owner. */
enum step_result step_call_in(struct step *s, const char *key, const struct aws_op *op, json_t *args,
                              const char *region, const char *codes, const json_t **ret);
/* The same through one of the roles in the document's "access.roles": the first is 1; 0 is the access handed over. */
enum step_result step_call_through(struct step *s, const char *key, unsigned role, const struct aws_op *op,
                                   json_t *args, const char *region, const char *codes, const json_t **ret);
/* Like step_call_in, for `touches`: an answer that the step has had since its last write is used again. */
enum step_result step_look(struct step *s, const char *key, const struct aws_op *op, json_t *args, const char *region,
                           const char *codes, const json_t **ret);
/* Reads until `is_ready(facts)`, every `every_ms`, failing with ERR_NOT_YET's `code` after `deadline_ms` from its first
 * look. */
typedef bool step_ready_fn(const json_t *facts, const json_t *arg);
enum step_result step_poll(struct step *s, const char *key, const struct aws_op *op, json_t *args,
                           step_ready_fn *is_ready, const json_t *ready_arg, uint32_t every_ms, uint32_t deadline_ms,
                           enum err_code code, const json_t **ret);
/* A pause that survives restarts. */
enum step_result step_sleep(struct step *s, const char *key, uint64_t ms);
/* The time when this line was first reached: durable, the same on every entry. Never waits. */
uint64_t step_now(struct step *s, const char *key);
/* Opens a task for a person and waits: the runtime enters the step again at the poller's interval, on a signal, or at
 * the deadline. Call it last, after the probe said "not yet". Always WAIT, or FAIL with ERR_WAIT_EXPIRED /
 * ERR_TASK_REJECTED. `task`: see worker/steps/human.h for its shape. Takes the reference. */
enum step_result step_human(struct step *s, json_t *task);
/* Waits for AWS (not a person): WAIT, entered again after `again_ms`; the blocking party becomes aws. */
enum step_result step_wait_aws(struct step *s, uint64_t again_ms, const char *why);
/* Holds the import for an operator's decision; DONE once somebody accepted it with a reason (signal "accept").
 * `details` is shown with the question; takes the reference. */
enum step_result step_hold(struct step *s, enum err_code code, json_t *details, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Halts all writers of the fleet, durably, until a person releases it; once for each `id`. Reads go on. */
enum step_result step_halt_fleet(struct step *s, const char *id, const char *reason);
/* Ends the try: by the code's own retry class. Always FAIL. */
enum step_result step_fail(struct step *s, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* One more fault of the same kind of input (preflight): {code, owner, text, fix} appended to the failure's list. */
void step_finding(struct step *s, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t step_finding_count(const struct step *s);
void step_warn(struct step *s, const char *fmt, ...) PRINTF_LIKE(2, 3); /* shown with the result; import goes on */

/* Big values that a long walk goes on from when its worker dies or its try fails: kept under a name that is unique in
 * the step, at most `age_ms_max` old; *ret is NULL when there is none. They end with the try: after any wait, hold or
 * end everything is looked at afresh. Short walks keep them in memory only; asking AWS again is as cheap. */
enum step_result step_chunk(struct step *s, const char *key, uint64_t age_ms_max, const json_t **ret);
/* Takes the reference, never waits; gives the value back, borrowed until the step returns. */
const json_t *step_keep_chunk(struct step *s, const char *key, json_t *new_value);

/* Facts this step leaves for later steps, pages and the proof. Takes the reference. Steps may set the same key again.
 */
void step_set(struct step *s, const char *key, json_t *value);
void step_set_str(struct step *s, const char *key, const char *text);
/* How sure we are that it is so (P5): "already" is chosen by the runtime when no task was opened and nothing was
 * written. */
void step_grade(struct step *s, const char *grade); /* "probed", "cloudtrail", "attested", "attested+second_person" */

/* Whether the handed-over access works: {"ok":bool, "code":"aws.credentials"|"account.wrong"|.., "text", "account",
 * "arn", "method", "access_key_id" (never the secret; of a refused key too), "origin"}. Asserts the account with
 * GetCallerIdentity, once per session.
 */
enum step_result step_identity(struct step *s, const json_t **ret);
/* The same of one of the roles in "access.roles", the first being 1. */
enum step_result step_identity_through(struct step *s, unsigned role, const json_t **ret);
/* A random 6-digit code, durable, the same on every entry. Never waits. */
const char *step_code(struct step *s, const char *key);
/* Mails a person: durable, sent once (a lost answer may send it twice, which is harmless). */
enum step_result step_mail(struct step *s, const char *key, const char *to, const char *subject, const char *text);

/* All write events of the account since this import began, from CloudTrail, newest last, deduplicated by event id, in
 * `region` ("" us-east-1): [{id, name, source, at_ms, user_type, user, ip, access_key_id, request, response}].
 * One cursor per import and region serves all its steps, kept with the import; `fresh_ms` says how old the last look
 * may be. */
enum step_result step_events(struct step *s, const char *region, uint32_t fresh_ms, const json_t **ret);

/* ---- Looking ahead --------------------------------------------------------------------------------------------------
 */
/* Plays all later steps of this import without a single write and gives what they would do:
 *   {"steps": [{step, item, only_looks, ends: "done"|"stops"|"unforeseen"|"reads only"|"skipped", stop?: {code, owner,
 *               text, fix, findings?}, warnings?, calls: [{key, op, region, args, digest, verb, resource, why, before?,
 *               document?: the member of args that is the new one}], tasks, mails, decisions, waits, reads: {op:
 * count}}], "seen": [{op, args, region, facts}]  what AWS answered,  "rates": [{family, calls, interval_us}]} Asks AWS
 * afresh once per claim. The caller's manifest must name every read of those steps. */
enum step_result step_foresee(struct step *s, const json_t **ret);
bool step_has_foreseen(const struct step *s); /* in this claim: doing it again asks AWS nothing */
/* A small durable note of this step; NULL when there is none. step_note takes the reference. */
const json_t *step_noted(const struct step *s, const char *key);
void step_note(struct step *s, const char *key, json_t *value);
