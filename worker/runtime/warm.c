/* Warm imports: what is kept of an import between two claims, so that its next claim here reads and opens nothing
 * again.
 */
#include "worker/runtime/engine_private.h"

bool hold_is_undoing(const struct record *r)
{
    return (r->flags & RECORD_IS_UNDOING) && !(r->flags & RECORD_IS_STOPPING);
}

static struct warm **warm_slot(struct engine *e, const char *id)
{
    struct warm **at = &e->warms[hold_slot(id, WARM_SLOTS)];
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next_hash;
    return at;
}

static void warm_unlink(struct engine *e, struct warm *w)
{
    *warm_slot(e, w->id) = w->next_hash;
    *(w->newer ? &w->newer->older : &e->warm_newest) = w->older;
    *(w->older ? &w->older->newer : &e->warm_oldest) = w->newer;
    e->warm_count--;
}

static void warm_free(struct warm *w)
{
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++) {
        mem_free(w->journals[i]);
        mem_free(w->stored[i]);
    }
    gate_free(w->gate);
    json_decref(w->doc);
    json_decref(w->results);
    json_decref(w->undone);
    mem_free(w);
}

void warm_keep(struct engine *e, struct hold *h, bool has_texts)
{
    struct warm *w = MEM_NEW(struct warm);
    *w = (struct warm){.version = h->record.version,
                       .has_texts = has_texts,
                       .kept_boot_ms = engine_boot_ms(e),
                       .is_undo = h->is_undo,
                       .gate = TAKE(h->gate),
                       .doc = TAKE(h->doc),
                       .results = TAKE(h->results),
                       .undone = TAKE(h->undone),
                       .older = e->warm_newest};
    memcpy(w->id, h->id, sizeof w->id);
    memcpy(w->journals, h->journals, sizeof w->journals);
    memset(h->journals, 0, sizeof h->journals);
    memcpy(w->stored, h->stored, sizeof w->stored);
    memset(h->stored, 0, sizeof h->stored);
    *warm_slot(e, w->id) = w;
    if (w->older)
        w->older->newer = w;
    else
        e->warm_oldest = w;
    e->warm_newest = w;
    if (++e->warm_count <= WARM_MAX)
        return;
    w = e->warm_oldest;
    warm_unlink(e, w);
    warm_free(w);
}

/* Between our last turn and this claim the version rose by one or two: by the claim itself, and by one of promotion,
 * signal and redrive. Another holder would have needed three. So journals and results are as we left them; only signals
 * may be new. */
#define WARM_VERSIONS 2u

void warm_take(struct engine *e, struct hold *h, const struct record *record)
{
    struct warm *w = *warm_slot(e, h->id);
    uint32_t version = record->version;
    if (!w)
        return;
    warm_unlink(e, w);
    h->gate = TAKE(w->gate);
    h->doc = TAKE(w->doc);
    memcpy(h->stored, w->stored, sizeof h->stored);
    memset(w->stored, 0, sizeof w->stored);
    bool is_same_way = w->is_undo == hold_is_undoing(record);
    if (w->has_texts && is_same_way && version - w->version <= WARM_VERSIONS &&
        !session_lost_credentials(gate_session(h->gate))) {
        json_decref(h->results);
        json_decref(h->undone);
        h->results = TAKE(w->results);
        h->undone = TAKE(w->undone);
        h->is_undo = w->is_undo;
        memcpy(h->journals, w->journals, sizeof h->journals);
        memset(w->journals, 0, sizeof w->journals);
        h->is_loaded = h->are_signals_stale = true;
    } else {
        gate_reload_events(h->gate);
    }
    warm_free(w);
}

/* An import that rests may end without us (cancelled, or held elsewhere), and nobody tells: so opened keys of resting
 * imports are closed after a while. The next claim opens the sealed one again. */
void warm_close_keys(struct engine *e)
{
    uint64_t now = engine_boot_ms(e), most = (uint64_t)config_int(e->config, CONFIG_WARM_KEYS_MS);
    for (struct warm *w = e->warm_oldest; w && now - w->kept_boot_ms >= most; w = w->newer) {
        if (!w->are_keys_closed)
            session_drop(gate_session(w->gate));
        w->are_keys_closed = true;
    }
}

void warm_clear(struct engine *e)
{
    while (e->warm_newest) {
        struct warm *w = e->warm_newest;
        warm_unlink(e, w);
        warm_free(w);
    }
}
