/* plan_approval: nothing is changed and nobody is asked before people have approved exactly this plan.   Process: FAQ.
 * No undo: nothing is changed.
 *
 * An approval names the hash of the plan it is for. "Apply" makes the plan again from live reads: when what it looked
 * at has moved, the approvals are void, the new plan is shown with what moved, and the import goes on waiting. */
#include "worker/steps/human.h"
#include "worker/steps/plan_document.h"

#include <string.h>

struct gate {
    const json_t *plan; /* what approvals are for now: the plan itself, or its digest after a refusal */
    const char *hash;
    json_t *approvals; /* valid ones: [{by, note, at_ms}] */
    int64_t wanted;
    const json_t *apply; /* the word to go on with this plan; NULL when there is none */
};

/* ---- Approvals ---- */

/* Two words of one person are one approval. */
static void take(struct gate *g, const json_t *word, const char *by)
{
    if (!*by || !str_eq(json_str_at(word, "code"), g->hash) || json_find_nocase(g->approvals, "by", by))
        return;
    (void)json_array_append_new(g->approvals,
                                json_make("{s:s, s:s, s:I, s:s}", "by", by, "reason", json_str_at(word, "note"),
                                          "at_ms", (json_int_t)json_int_at(word, "at_ms"), "hash", g->hash));
}

static void read_words(struct step *s, struct gate *g)
{
    const json_t *done = step_signal(s, "done"), *accept = step_signal(s, "accept"), *one;
    size_t i;
    g->approvals = step_keep(s, json_array());
    json_array_foreach (json_object_get(done, "approvals"), i, one)
        take(g, one, json_str_at(one, "by"));
    take(g, done, json_str_at(done, "by"));
    take(g, done, json_str_at(done, "second_person"));
    g->wanted = json_int_at(step_import(s), "vars.approvals.plan.quorum");
    if (g->wanted < 1)
        g->wanted = 1;
    if (str_eq(json_str_at(accept, "plan"), g->hash))
        g->apply = accept;
}

static bool is_approved(const struct gate *g)
{
    return (int64_t)json_array_size(g->approvals) >= g->wanted;
}

/* ---- Asking ---- */

static const char *summary_text(struct step *s, const json_t *plan)
{
    const json_t *n = json_object_get(plan, "summary");
    return step_text(s, "%lld calls that change something, %lld tasks for people", (long long)json_int_at(n, "calls"),
                     (long long)json_int_at(n, "tasks"));
}

static const char *notice_of(struct step *s, const struct gate *g, const json_t *moved)
{
    if (json_array_size(moved))
        return step_text(
            s, "Refused to apply: %zu thing%s moved since the plan was made, first \"%s\". This is the new plan.",
            json_array_size(moved), json_array_size(moved) == 1 ? "" : "s", json_str_at(moved, "0.item"));
    if (is_approved(g))
        return "Approved. `orgimport apply` lets it go on.";
    return step_signal(s, "done") && json_array_size(g->approvals) == 0
               ? "The approval that was given is for another plan than this."
               : NULL;
}

static enum step_result ask(struct step *s, const struct gate *g, const json_t *moved)
{
    const char *import = json_str_at(step_import(s), "id");
    return human_ask(
        s,
        &(struct human_task){
            .party = "operator",
            .title = g->wanted > 1 ? "Approve the plan, two people, and apply it" : "Approve the plan and apply it",
            .actions = {step_text(s, "Read it: orgimport plan %s (%s).", import, summary_text(s, g->plan)),
                        step_text(s,
                                  "Approve it with your name and reason: orgimport approve %s --by NAME --reason "
                                  "TEXT --plan %s",
                                  import, g->hash),
                        step_text(s, "Let it go on: orgimport apply %s", import)},
            .link =
                "https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/useconsolidatedbilling-procedure.html",
            .check = "The names, the plan's hash, and, right before anything is changed, that AWS still shows what the "
                     "plan was made from.",
            .notice = notice_of(s, g, moved),
            .worst = "Until then nothing is changed and nobody else is asked for anything.",
            .undo = "Reject it, or cancel the import: nothing was changed.",
            .due_hours = 240,
            .opened_ms = human_opened(s),
            .input_key = "code",
            .input_label = "The hash of the plan that you approve",
            .input_pattern = "[0-9a-f]{64}",
            .attest = true,
            .second_person = g->wanted > 1,
            .data = json_make("{s:s, s:O, s:I, s:b, s:O}", "hash", g->hash, "approvals", g->approvals, "wanted",
                              (json_int_t)g->wanted, "approved", (int)is_approved(g), "moved", moved)});
}

/* ---- Applying ---- */

static bool is_refused(struct step *s, const struct gate *g)
{
    char digest[65];
    const json_t *accept = step_signal(s, "accept");
    (void)g;
    if (!accept)
        return false;
    json_digest(accept, digest);
    return str_eq(json_string_value(step_noted(s, "refused")), digest);
}

static enum step_result refuse(struct step *s, struct gate *g, const json_t *now, json_t *moved)
{
    char digest[65];
    json_digest(g->apply, digest);
    step_note(s, "refused", json_string(digest));
    step_note(s, "moved", json_incref(moved));
    step_note(s, "plan", plan_digest(now));
    step_set(s, "plan", json_incref((json_t *)(uintptr_t)now));
    step_set(s, "moved", json_incref(moved));
    g->plan = now;
    g->hash = json_str_at(now, "hash");
    read_words(s, g);
    return ask(s, g, moved);
}

static enum step_result apply(struct step *s, struct gate *g)
{
    const json_t *now = NULL;
    TRY(plan_make(s, &now));
    json_t *moved = step_keep(s, plan_moved(g->plan, now));
    if (json_array_size(moved))
        return refuse(s, g, now, moved);
    step_set_str(s, "hash", g->hash);
    step_set(s, "approvals", json_incref(g->approvals));
    step_set(s, "applied",
             json_make("{s:s, s:s, s:I}", "by", json_str_at(g->apply, "by"), "reason", json_str_at(g->apply, "reason"),
                       "at_ms", (json_int_t)json_int_at(g->apply, "at_ms")));
    step_set(s, "plan", json_incref((json_t *)(uintptr_t)now));
    step_set(s, "drift", plan_drift(g->plan, now));
    step_grade(s, g->wanted > 1 ? "attested+second_person" : "attested");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    const json_t *noted = step_noted(s, "plan"), *now = NULL;
    struct gate g = {.plan = noted ? noted : json_object_get(step_result_of(s, "change_plan"), "plan")};
    g.hash = json_str_at(g.plan, "hash");
    if (!*g.hash)
        return step_fail(s, ERR_CORRUPT, "the plan to approve is missing");
    read_words(s, &g);
    const json_t *moved = step_noted(s, "moved");
    if (is_refused(s, &g) &&
        step_has_foreseen(s)) { /* the same claim, entered again: its new plan goes into the record */
        TRY(plan_make(s, &now));
        step_set(s, "plan", json_incref((json_t *)(uintptr_t)now));
        step_set(s, "moved", json_incref((json_t *)(uintptr_t)moved));
    } else if (g.apply && is_approved(&g)) {
        return apply(s, &g);
    }
    return ask(s, &g, moved ? moved : step_keep(s, json_array()));
}

const struct step_def step_plan_approval = {
    .name = "plan_approval",
    .item = "FAQ",
    .run = run,
    .ops = OPS(PLAN_OPS),
    .uses = PLAN_USES,
    .version = 1,
};
