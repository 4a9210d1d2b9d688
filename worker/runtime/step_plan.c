/* The approved plan binds: after `apply` a step signs no write that people have not seen.
 *
 * Where a plan was approved (plan_approval has a result), a write that is not among the calls which the plan names for
 * this very step is not signed. Compared are the operation, the region and all arguments, documents included; for a
 * value that the plan could not know (FORESIGHT_UNKNOWN) any text may stand there, inside of a document any that stays
 * within its quotes. Keys are our own names and are not compared. The step is held with plan.not_in_plan until as many
 * people have accepted exactly this call, each with a reason, as had to approve the plan; what they accept is in the
 * journal and the ledger and is no licence for another call. What it did before stays, as at any stop between two
 * calls: all of it was in the plan or accepted.
 *
 * What follows from that:
 *   - Fewer calls are fine: what somebody did meanwhile, or what an adopted thing does not need any more.
 *   - Retries ask the same call again: in the plan as often as it takes.
 *   - A call that is sent again (RESEND), or that a look did not find (LOOK), is judged like a new one, since its
 *     arguments may rest on newer facts; one that has its answer is recorded and goes nowhere.
 *   - An undo is not bound: it takes back what the forward run made, and has a plan of its own.
 *   - Mails and halts are no calls of AWS: not bound.
 *   - credential_retire is bound like every step: another key than the plan's is asked about.
 *   - The plan plays what people will have done (foresight_people.c); who does otherwise and leads a step to another
 *     call leads it to a question.
 *   - "unforeseen" is no licence: a step with that mark may make the calls that are named for it and no others.
 *     change_plan refuses such a plan anyway. */
#include "worker/runtime/step_private.h"

bool step_def_could_write(const struct step_def *def)
{
    for (const struct aws_op *const *op = def->ops; op && *op; op++)
        if ((*op)->mutates)
            return true;
    return false;
}

bool step_def_is_bound(const struct step_def *def, bool is_undo)
{
    return !is_undo && step_def_could_write(def);
}

/* ---- What the plan names ---- */

/* What stands where the plan knew nothing: something, and inside of a longer text nothing that ends a quoted value, so
 * that no statement of a document hides there. */
static bool is_filling(const char *from, size_t bytes, bool is_whole)
{
    return bytes && (is_whole || strcspn(from, "\"\\{}[]") >= bytes);
}

/* `planned` with what nobody knew: "arn:..:(known after apply)" is any text that begins and ends like it. What follows
 * a gap is looked for at its first place; where that is the wrong one, people are asked. */
static bool text_fits(const char *planned, const char *asked)
{
    bool is_whole = str_eq(planned, FORESIGHT_UNKNOWN);
    const char *gap = NULL;
    while ((gap = strstr(planned, FORESIGHT_UNKNOWN))) {
        size_t head = (size_t)(gap - planned);
        if (strncmp(planned, asked, head) != 0)
            return false;
        planned = gap + strlen(FORESIGHT_UNKNOWN);
        asked += head;
        const char *next = strstr(planned, FORESIGHT_UNKNOWN);
        size_t between = next ? (size_t)(next - planned) : strlen(planned), left = strlen(asked), filled = 1;
        if (left <= between)
            return false;
        if (!next)
            filled = left - between; /* the rest of the plan's text is the end of what is asked */
        else
            while (filled + between < left && strncmp(asked + filled, planned, between) != 0)
                filled++;
        if (!is_filling(asked, filled, is_whole))
            return false;
        asked += filled;
    }
    return str_eq(planned, asked);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the arguments, which are ours
static bool value_fits(const json_t *planned, const json_t *asked)
{
    const char *name = NULL;
    json_t *one = NULL;
    size_t i = 0;
    if (json_is_string(planned) && json_is_string(asked))
        return text_fits(json_string_value(planned), json_string_value(asked));
    if (json_is_object(planned) && json_is_object(asked)) {
        json_object_foreach ((json_t *)(uintptr_t)planned, name, one)
            if (!value_fits(one, json_object_get(asked, name)))
                return false;
        return json_object_size(planned) == json_object_size(asked);
    }
    if (json_is_array(planned) && json_is_array(asked)) {
        json_array_foreach ((json_t *)(uintptr_t)planned, i, one)
            if (!value_fits(one, json_array_get(asked, i)))
                return false;
        return json_array_size(planned) == json_array_size(asked);
    }
    return asked && json_equal(planned, asked);
}

static bool is_planned(const struct step *s, const json_t *plan, const struct ask *ask, const char *digest)
{
    size_t i = 0, k = 0;
    const json_t *step = NULL, *call = NULL;
    json_array_foreach (json_at(plan, "pinned.steps"), i, step) {
        if (!str_eq(json_str_at(step, "step"), s->in.def->name))
            continue;
        json_array_foreach (json_object_get(step, "calls"), k, call) {
            if (!str_eq(json_str_at(call, "op"), ask->op->name))
                continue;
            bool is_there = str_eq(json_str_at(call, "region"), ask->region ? ask->region : "");
            if (str_eq(json_str_at(call, "digest"), digest) ||
                (is_there && !ask->through && value_fits(json_object_get(call, "args"), ask->args)))
                return true;
        }
    }
    return false;
}

/* ---- The question ---- */

/* Words of different people, as the approval of a plan counts them. New reference. */
static json_t *names_of(const json_t *words)
{
    json_t *names = json_array(), *word = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)words, i, word)
        if (json_find_nocase(words, "by", json_str_at(word, "by")) == word)
            (void)json_array_append_new(names, json_string(json_str_at(word, "by")));
    return names;
}

/* Each word answers one question: the next one says whose there are already. */
static enum step_result ask_people(struct step *s, const struct ask *ask, const char *hash, const char *digest)
{
    int64_t quorum = json_int_at(s->in.import, "vars.approvals.plan.quorum"), wanted = quorum > 1 ? quorum : 1;
    const char *slot = step_text(s, "%s %s", ask->op->name, digest);
    for (;;) {
        const json_t *given = journal_get(&s->journal, "unplanned", slot);
        json_t *words = step_keep(s, given ? json_copy((json_t *)(uintptr_t)given) : json_array());
        json_t *names = step_keep(s, names_of(words));
        if ((int64_t)json_array_size(names) >= wanted)
            return STEP_DONE;
        TRY(step_hold(s, ERR_NOT_IN_PLAN,
                      json_make("{s:s, s:s, s:s, s:s, s:O, s:s, s:O, s:I, s:I}", "step", s->in.def->name, "key",
                                ask->key, "op", ask->op->name, "region", ask->region ? ask->region : "", "args",
                                ask->args, "plan", hash, "accepted_by", names, "wanted", (json_int_t)wanted, "word",
                                (json_int_t)json_array_size(words) + 1),
                      "%s (%s) of %s is not in the approved plan %.12s", ask->op->name, ask->key, s->in.def->name,
                      hash));
        const json_t *accept = step_signal(s, "accept");
        (void)json_array_append_new(words, json_make("{s:s, s:s}", "by", json_str_or(accept, "by", "somebody"),
                                                     "reason", json_str_at(accept, "reason")));
        journal_set(&s->journal, "unplanned", slot, json_copy(words));
    }
}

enum step_result step_plan_binds(struct step *s, const struct ask *ask, const char *digest)
{
    if (!ask->op->mutates || !ask->op->service->host[0] || !step_def_is_bound(s->in.def, s->in.is_undo) ||
        !step_has_result(s, PLAN_APPROVAL))
        return STEP_DONE;
    const json_t *entry = journal_write(&s->journal, ask->key), *approved = step_result_of(s, PLAN_APPROVAL);
    if (entry && !journal_write_is_open(entry))
        return STEP_DONE; /* it happened, and is not signed again */
    const json_t *plan = json_object_get(approved, "plan");
    if (!json_is_array(json_at(plan, "pinned.steps")))
        return step_fail_internal(s, ERR_CORRUPT, ask->key, "the approved plan is not at hand");
    return is_planned(s, plan, ask, digest) ? STEP_DONE : ask_people(s, ask, json_str_at(approved, "hash"), digest);
}
