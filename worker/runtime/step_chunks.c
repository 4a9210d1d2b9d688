/* Chunks: big values that a long walk goes on from. The journal holds their digests, the host their content.
 *
 * A value becomes durable in two steps that may be torn apart anywhere: first its content is stored, then the journal
 * names it with the next fenced save. What is stored and never named expires by itself; what is named and gone counts
 * as absent, and is read again. */
#include "worker/runtime/step_private.h"

static const char *full_key(struct step *s, const char *key)
{
    return s->in.is_undo ? step_text(s, "undo/%s", key) : key;
}

const json_t *step_chunk_of(const struct step_call *call)
{
    return json_object_get(call->step->chunks, json_str_at(call->args, "key"));
}

uint32_t step_requests(const struct step *s)
{
    return s->requests;
}

/* Everything that this try has and the journal does not name yet. */
static void store_all(struct step *s)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (s->chunks, key, value) {
        if (journal_get(&s->journal, "chunks", key))
            continue;
        (void)step_ask(s,
                       &(struct ask){.key = step_text(s, "keep/%s", key),
                                     .op = &step_op_chunk_put,
                                     .args = json_make("{s:s}", "key", key),
                                     .region = ""},
                       NULL, NULL);
    }
}

const json_t *step_keep_chunk(struct step *s, const char *key, json_t *new_value)
{
    key = full_key(s, key);
    json_put(s->chunks, key, new_value);
    journal_unset(&s->journal, "chunks", key);
    if (s->requests >= STEP_CHUNKS_FROM_REQUESTS)
        store_all(s);
    return new_value;
}

/* Its failure is nobody's: then the value is only in memory. */
void step_chunk_stored(struct step *s, const struct step_call *call)
{
    if (call->state != STEP_CALL_ANSWERED || !json_is_object(call->facts))
        return;
    json_t *stub = json_deep_copy(call->facts);
    json_put_int(stub, "at", (int64_t)step_clock(s));
    journal_set(&s->journal, "chunks", json_str_at(call->args, "key"), stub);
}

static bool is_young(const struct step *s, const json_t *stub, uint64_t age_ms_max)
{
    uint64_t at = (uint64_t)json_int_at(stub, "at"), now = step_clock(s);
    return now <= at || now - at <= age_ms_max;
}

enum step_result step_chunk(struct step *s, const char *key, uint64_t age_ms_max, const json_t **ret)
{
    key = full_key(s, key);
    *ret = json_object_get(s->chunks, key);
    const json_t *stub = *ret ? NULL : journal_get(&s->journal, "chunks", key), *value = NULL;
    if (!stub)
        return STEP_DONE;
    if (!is_young(s, stub, age_ms_max)) {
        journal_unset(&s->journal, "chunks", key);
        return STEP_DONE;
    }
    TRY(step_ask(s,
                 &(struct ask){.key = step_text(s, "kept/%s", key),
                               .op = &step_op_chunk_get,
                               .args = json_make("{s:s,s:I}", "$blob", json_str_at(stub, "$blob"), "bytes",
                                                 (json_int_t)json_int_at(stub, "bytes")),
                               .region = ""},
                 NULL, &value));
    if (json_is_null(value)) {
        journal_unset(&s->journal, "chunks", key);
        return STEP_DONE;
    }
    json_object_set(s->chunks, key, (json_t *)(uintptr_t)value);
    *ret = value;
    return STEP_DONE;
}

void step_chunks_forget(struct step *s)
{
    json_object_clear(s->chunks);
    json_t *names = json_copy((json_t *)(uintptr_t)json_object_get(s->journal.root, "chunks"));
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (names, key, value)
        journal_unset(&s->journal, "chunks", key);
    json_decref(names);
}
