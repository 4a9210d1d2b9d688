/* Brackets around the writes of a step (common/proof/bracket.h): step files only say what they touch.
 *
 * Before the first write may be arranged, and again when the function is done and every write has its answer, the
 * step's `touches` reads its entries. A read that the step has made itself since the last write is used as it is, so
 * that few calls are added. The first reading is durable with the first intent: a restart cannot take it again. */
#include "worker/runtime/step_private.h"

#include "common/proof/bracket.h"
#include "common/proof/fingerprint.h"

enum { NO_BRACKET, BRACKET_BEFORE, BRACKET_AFTER };

static const char *const prefixes[] = {
    [NO_BRACKET] = "look", [BRACKET_BEFORE] = "bracket/before", [BRACKET_AFTER] = "bracket/after"};

enum step_result step_look(struct step *s, const char *key, const struct aws_op *op, json_t *args, const char *region,
                           const char *codes, const json_t **ret)
{
    struct ask ask = {.key = step_text(s, "%s/%s", prefixes[s->bracket], key),
                      .op = op,
                      .args = args,
                      .region = region,
                      .codes = codes};
    char digest[65];
    step_digest_args(&ask, digest);
    for (const struct step_call *c = s->calls; c && s->bracket != NO_BRACKET; c = c->next)
        if (c->op == op && c->state == STEP_CALL_ANSWERED && c->answered > s->last_write &&
            strcmp(c->digest, digest) == 0) {
            *ret = c->facts;
            json_decref(ask.args);
            return STEP_DONE;
        }
    return step_ask(s, &ask, NULL, ret);
}

static int calls_of(const struct step *s, const char *prefix)
{
    int n = 0;
    for (const struct step_call *c = s->calls; c; c = c->next)
        n += str_starts(c->key, prefix);
    return n;
}

static enum step_result take(struct step *s, uint8_t which, json_t *reading)
{
    s->bracket = which;
    enum step_result r = s->in.def->touches(s, reading);
    s->bracket = NO_BRACKET;
    return r;
}

enum step_result step_bracket_before(struct step *s, const struct aws_op *op)
{
    bool is_first = op->mutates && op->service->host[0] && s->in.def->touches && !s->in.is_undo &&
                    !journal_has_answers(&s->journal) && !journal_get(&s->journal, "bracket", "before");
    if (!is_first || s->bracket != NO_BRACKET)
        return STEP_DONE;
    json_t *reading = step_keep(s, json_array());
    TRY(take(s, BRACKET_BEFORE, reading));
    journal_set(&s->journal, "bracket", "before",
                json_make("{s:I, s:i, s:O}", "at_ms", (json_int_t)step_clock(s), "calls",
                          calls_of(s, prefixes[BRACKET_BEFORE]), "reading", reading));
    return STEP_DONE;
}

/* Entries that no section of a fingerprint holds: fingerprint_after compares them by itself. New reference. */
static json_t *entries_beside(const json_t *reading)
{
    json_t *kept = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)reading, i, one) {
        bool is_section = false;
        for (size_t k = 0; fingerprint_sections[k]; k++)
            is_section = is_section || str_eq(fingerprint_sections[k], json_str_at(one, "section"));
        if (!is_section)
            (void)json_array_append(kept, one);
    }
    return kept;
}

enum step_result step_bracket_after(struct step *s)
{
    const json_t *before = journal_get(&s->journal, "bracket", "before");
    if (!before || s->in.is_undo || !s->in.def->touches)
        return STEP_DONE;
    json_t *reading = step_keep(s, json_array());
    TRY(take(s, BRACKET_AFTER, reading));
    json_t *differences = bracket_differences(json_object_get(before, "reading"), reading);
    char had[65], has[65];
    json_digest(json_object_get(before, "reading"), had);
    json_digest(reading, has);
    if (json_array_size(differences))
        step_warn(s, "%zu thing%s changed while we were writing that we do not change: the verdict looks into it",
                  json_array_size(differences), json_array_size(differences) == 1 ? "" : "s");
    step_set(s, "bracket",
             json_make("{s:I, s:I, s:s, s:s, s:i, s:o, s:o}", "began_ms", (json_int_t)json_int_at(before, "at_ms"),
                       "ended_ms", (json_int_t)step_clock(s), "before", had, "after", has, "calls",
                       (int)json_int_at(before, "calls") + calls_of(s, prefixes[BRACKET_AFTER]), "differences",
                       differences, "entries", entries_beside(reading)));
    return STEP_DONE;
}
