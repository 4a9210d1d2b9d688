/* A hold: one import in our hands, from its claim until the record names another session or none. */
#include "common/base/str.h"
#include "worker/runtime/engine_private.h"
#include "worker/runtime/journal.h"

#include <stdio.h>

#define FETCH_AGAIN_MS 200
#define HOLDS_FIRST_ROOM 64

struct fetch { /* one read for a hold; it outlives the hold when that is dropped */
    struct hold *hold;
    size_t index;   /* of the run that wants a result, */
    char name[64];  /* and of which step, */
    bool is_undone; /* of its undo */
};

/* ---- Table ---- */
size_t hold_slot(const char *id, size_t room)
{
    uint64_t hash = 14695981039346656037u;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 1099511628211u;
    return (size_t)(hash & (room - 1));
}

struct hold *hold_find(struct engine *e, const char *id)
{
    if (!e->hold_room)
        return NULL;
    struct hold *h = e->holds[hold_slot(id, e->hold_room)];
    while (h && strcmp(h->id, id) != 0)
        h = h->next_hash;
    return h;
}

static void grow(struct engine *e)
{
    size_t room = e->hold_room ? e->hold_room * 2 : HOLDS_FIRST_ROOM;
    struct hold **to = mem_alloc(room * sizeof(struct hold *));
    for (size_t i = 0; i < e->hold_room; i++) {
        for (struct hold *h = e->holds[i], *next = NULL; h; h = next) {
            next = h->next_hash;
            struct hold **slot = &to[hold_slot(h->id, room)];
            h->next_hash = *slot;
            *slot = h;
        }
    }
    mem_free(e->holds);
    e->holds = to;
    e->hold_room = room;
}

static void table_add(struct engine *e, struct hold *h)
{
    if (e->hold_count >= e->hold_room)
        grow(e);
    struct hold **slot = &e->holds[hold_slot(h->id, e->hold_room)];
    h->next_hash = *slot;
    *slot = h;
    e->hold_count++;
    if (!h->shard->hold_count++)
        beat_set_busy(e->beat, h->shard->id, true);
}

static void table_remove(struct engine *e, struct hold *h)
{
    struct hold **at = &e->holds[hold_slot(h->id, e->hold_room)];
    while (*at != h)
        at = &(*at)->next_hash;
    *at = h->next_hash;
    e->hold_count--;
    if (!--h->shard->hold_count && e->beat)
        beat_set_busy(e->beat, h->shard->id, false);
}

/* ---- Loading ---- */
const char *hold_step_name(const struct hold *h, size_t index)
{
    const char *name = json_string_value(json_array_get(json_object_get(h->doc, "steps"), index));
    return name ? name : "";
}

static struct fetch *fetch_new(struct hold *h)
{
    ASSERT(!h->fetch);
    h->fetch = MEM_NEW(struct fetch);
    h->fetch->hold = h;
    return h->fetch;
}

/* NULL when the hold is gone. */
static struct hold *fetch_end(struct fetch *f)
{
    struct hold *h = f->hold;
    if (h)
        h->fetch = NULL;
    mem_free(f);
    return h;
}

static void pump_again(void *arg)
{
    struct hold *h = arg;
    h->retry = NULL;
    hold_pump(h);
}

static void fetch_again(struct hold *h, const struct err *err)
{
    log_error(LOG_WARN, "hold.load_failed", err, "import", h->id, NULL);
    if (!h->retry)
        h->retry = later_add(h->shard->engine->later, FETCH_AGAIN_MS, pump_again, h);
}

static json_t *read_or_null(const char *text)
{
    struct err err = {0};
    return text ? json_read(text, strlen(text), 0, &err) : NULL;
}

static void take_signals(struct hold *h, const struct queue_load *load)
{
    for (size_t i = 0; i < h->record.step_count; i++) {
        json_decref(h->signals[i]);
        h->signals[i] = read_or_null(load->signals[i]);
    }
    h->are_signals_stale = false;
}

static int take_doc(struct hold *h, const struct queue_load *load, struct err *err)
{
    if (!h->doc)
        h->doc = load->doc ? json_read(load->doc, strlen(load->doc), 0, err) : NULL;
    if (!h->doc)
        return err_set(err, ERR_CORRUPT, "the document of this import cannot be read");
    if (json_array_size(json_object_get(h->doc, "steps")) != h->record.step_count)
        return err_set(err, ERR_CORRUPT, "the document names another number of steps than the record");
    return 0;
}

static void put_result(json_t *results, const char *name, const char *text)
{
    json_t *result = read_or_null(text);
    if (result && !json_object_get(results, name))
        json_put(results, name, result);
    else
        json_decref(result);
}

/* In an undo a step's state tells of the undo; its journal tells how the forward run ended. */
static void take_results(struct hold *h, const struct queue_load *load, size_t i)
{
    bool is_done = h->record.steps[i].state == STATE_DONE;
    const char *name = hold_step_name(h, i);
    if (h->is_undo ? journal_text_is_done(load->journal[i]) : is_done)
        put_result(h->results, name, load->result[i]);
    if (h->is_undo && is_done)
        put_result(h->undone, name, load->undone[i]);
}

static void take_all(struct hold *h, const struct queue_load *load)
{
    struct engine *e = h->shard->engine;
    h->is_undo = hold_is_undoing(&h->record);
    h->is_loaded = true;
    h->has_load_err = take_doc(h, load, &h->load_err) != 0;
    if (h->has_load_err)
        return;
    for (size_t i = 0; i < h->record.step_count; i++) {
        if (!h->journals[i])
            h->journals[i] = load->journal[i] ? mem_dup(load->journal[i]) : NULL;
        take_results(h, load, i);
    }
    take_signals(h, load);
    if (!h->gate)
        h->gate = gate_new(&e->gate_tools, h->doc, shard_leave_before, h->shard);
    session_put_credential(gate_session(h->gate), load->credential);
    h->is_credential_stale = false;
}

static void loaded(void *arg, const struct err *err, const struct queue_load *load)
{
    struct hold *h = fetch_end(arg);
    if (!h)
        return;
    if (err) {
        fetch_again(h, err);
        return;
    }
    take_all(h, load);
    hold_pump(h);
}

static void signals_loaded(void *arg, const struct err *err, const struct queue_load *load)
{
    struct hold *h = fetch_end(arg);
    if (!h)
        return;
    if (err) {
        fetch_again(h, err);
        return;
    }
    take_signals(h, load);
    hold_pump(h);
}

static bool is_stub(const json_t *result)
{
    return json_object_get(result, "$blob") != NULL;
}

/* Each run has its own view of the results: the small ones shared, the big ones fetched for it and gone with it. */
static void view_results(struct hold *h, struct run *r)
{
    r->results = json_copy(h->results);
    r->undone = json_copy(h->undone);
}

static bool wants(const struct run *r, const char *name)
{
    return (r->def->uses && str_in_list(r->def->uses, name)) ||
           (str_eq(name, PLAN_APPROVAL) && step_def_is_bound(r->def, r->is_undo));
}

static const char *missing_blob(const struct run *r, const json_t *results)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)(uintptr_t)results, name, value) {
        if (is_stub(value) && wants(r, name))
            return name;
    }
    return NULL;
}

static void take_blob(struct hold *h, struct run *r, const struct fetch *f, const void *bytes, size_t len)
{
    struct err err = {0};
    json_t *results = f->is_undone ? r->undone : r->results;
    json_t *value = blob_read(bytes, len, json_object_get(results, f->name), &err);
    if (value)
        json_put(results, f->name, value);
    else
        run_fail_early(r, &err);
    hold_pump(h);
}

static void blob_loaded(void *arg, const struct err *err, const void *bytes, size_t len)
{
    const struct fetch f = *(struct fetch *)arg;
    struct hold *h = fetch_end(arg);
    struct run *r = h ? h->runs[f.index] : NULL;
    if (!h)
        return;
    if (err && err->code == ERR_REDIS) {
        fetch_again(h, err);
        return;
    }
    bool is_waiting = r && r->state == RUN_PREPARING && r->results &&
                      is_stub(json_object_get(f.is_undone ? r->undone : r->results, f.name));
    if (!is_waiting) {
        hold_pump(h); /* another run has this place by now */
    } else if (err) {
        run_fail_early(r, err);
        hold_pump(h);
    } else {
        take_blob(h, r, &f, bytes, len);
    }
}

/* True when a read was begun. */
static bool fetch_blob(struct hold *h)
{
    for (size_t i = 0; i < h->record.step_count; i++) {
        struct run *r = h->runs[i];
        if (!r || r->state != RUN_PREPARING)
            continue;
        if (!r->results)
            view_results(h, r);
        const char *forward = missing_blob(r, r->results), *name = forward ? forward : missing_blob(r, r->undone);
        if (!name)
            continue;
        struct fetch *f = fetch_new(h);
        f->index = i;
        f->is_undone = !forward;
        (void)snprintf(f->name, sizeof f->name, "%s", name);
        queue_blob_get(h->shard->engine->queue, h->id,
                       json_str_at(json_object_get(forward ? r->results : r->undone, name), "$blob"), blob_loaded, f);
        return true;
    }
    return false;
}

static bool is_preparing(const struct hold *h)
{
    for (size_t i = 0; i < h->record.step_count; i++)
        if (h->runs[i] && h->runs[i]->state == RUN_PREPARING)
            return true;
    return false;
}

static void start_runs(struct hold *h)
{
    for (size_t i = 0; i < h->record.step_count; i++) {
        struct run *r = h->runs[i];
        if (!r || r->state != RUN_PREPARING)
            continue;
        if (h->has_load_err)
            run_fail_early(r, &h->load_err);
        else
            run_start(r);
    }
}

static bool bind_step(struct hold *h, struct run *r)
{
    struct err err = {0};
    r->def = step_def_by_name(hold_step_name(h, r->index));
    if (r->def)
        return true;
    (void)err_set(&err, ERR_SCHEMA, "this worker does not know the step \"%s\"", hold_step_name(h, r->index));
    run_fail_early(r, &err);
    return false;
}

/* Brings what the waiting runs need, one read at a time, then starts them. */
void hold_pump(struct hold *h)
{
    struct queue *q = h->shard->engine->queue;
    if (h->fetch || h->retry || !is_preparing(h))
        return;
    if (!h->is_loaded || h->is_credential_stale) {
        queue_load(q, h->id, &h->record, false, loaded, fetch_new(h));
        return;
    }
    if (!h->has_load_err) {
        for (size_t i = 0; i < h->record.step_count; i++)
            if (h->runs[i] && h->runs[i]->state == RUN_PREPARING && !h->runs[i]->def)
                (void)bind_step(h, h->runs[i]);
        if (h->are_signals_stale) {
            queue_load(q, h->id, &h->record, true, signals_loaded, fetch_new(h));
            return;
        }
        if (fetch_blob(h))
            return;
    }
    start_runs(h);
}

/* ---- Life ---- */
void hold_claim(struct shard *s, const struct queue_held *claim)
{
    struct hold *h = hold_find(s->engine, claim->import_id);
    if (h) { /* told twice: a listing after a lost reply */
        hold_update(h, &claim->record);
        return;
    }
    h = MEM_NEW(struct hold);
    h->shard = s;
    h->results = json_object();
    h->undone = json_object();
    memcpy(h->id, claim->import_id, sizeof h->id);
    warm_take(s->engine, h, &claim->record);
    table_add(s->engine, h);
    s->engine->count.claims++;
    hold_update(h, &claim->record);
}

static void add_run(struct hold *h, size_t i)
{
    const struct record *record = &h->record;
    struct run *r = MEM_NEW(struct run);
    *r = (struct run){.hold = h, .index = (uint8_t)i, .is_undo = hold_is_undoing(record)};
    r->token = (struct queue_token){
        .fence = record->fence, .nonce = record->nonce, .claim_version = record->steps[i].claim_version};
    h->runs[i] = r;
    /* Signals may have come since we loaded; only the claim itself brings fresh ones. */
    if (h->is_loaded && (record->steps[i].flags & STEP_FLAG_SIGNALS))
        h->are_signals_stale = true;
}

void hold_update(struct hold *h, const struct record *record)
{
    bool is_ours = record->session == atomic_load(&h->shard->beat->session);
    h->record = *record;
    if (!h->flying)
        h->ahead = (struct queue_ahead){*record, true};
    if (!is_ours) {
        hold_drop(h);
        return;
    }
    bool must_stop = (record->flags & (RECORD_IS_CANCELLED | RECORD_IS_PAUSED | RECORD_IS_STOPPING)) ||
                     h->shard->engine->is_draining;
    for (size_t i = 0; i < record->step_count; i++) {
        const struct record_step *step = &record->steps[i];
        struct run *r = h->runs[i];
        bool is_same = step->state == STATE_ACTIVE && r && r->token.claim_version == step->claim_version;
        if (r && !is_same && r->state != RUN_ENDING) { /* taken from us by somebody's decision */
            h->runs[i] = NULL;
            run_free(r);
        }
        if (step->state == STATE_ACTIVE && !h->runs[i])
            add_run(h, i);
        if (must_stop && h->runs[i])
            run_stop(h->runs[i]);
    }
    hold_pump(h);
}

void hold_drop(struct hold *h)
{
    struct engine *e = h->shard->engine;
    bool has_texts = !h->is_credential_stale; /* an import that was taken from us may hold what was never stored */
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++) {
        has_texts = has_texts && !h->runs[i];
        if (h->runs[i])
            run_free(h->runs[i]);
        json_decref(h->signals[i]);
    }
    if (h->fetch)
        h->fetch->hold = NULL;
    later_cancel(h->retry);
    shard_forget(h->shard, h, NULL);
    table_remove(e, h);
    /* What has ended is not kept warm: its gate holds the customer's opened key (P8). */
    if (h->gate && h->is_loaded && !h->has_load_err && h->record.remaining)
        warm_keep(e, h, has_texts);
    gate_free(h->gate);
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++) {
        mem_free(h->journals[i]);
        mem_free(h->doubted[i]);
        mem_free(h->stored[i]);
    }
    json_decref(h->doc);
    json_decref(h->results);
    json_decref(h->undone);
    mem_free(h);
}

void hold_stored(struct hold *h, uint8_t step, const char *ledger)
{
    const char *last = queue_ledger_last(ledger);
    const char *hash = strstr(last, "\"hash\":\""); /* sorted: before anything that a call may have answered */
    uint32_t n = queue_ledger_number(last);
    if (!hash || !n)
        return;
    mem_free(h->stored[step]);
    h->stored[step] = mem_printf("%u:%.64s", n, hash + 8);
}

/* What runs again must start from what Redis has, not from what we remember. */
void hold_distrust(struct hold *h, uint8_t step)
{
    if (h->journals[step]) {
        mem_free(h->doubted[step]);
        h->doubted[step] = TAKE(h->journals[step]);
    }
    h->is_credential_stale = true; /* brings all texts anew */
}

/* Somebody cancelled, paused, signalled or redrove: the record tells what, the signals are read when a step starts. */
void hold_mail(struct hold *h)
{
    if (h->is_loaded)
        h->are_signals_stale = true;
    h->is_credential_stale = true; /* a new credential comes with a redrive */
    if (h->is_nudged)
        return;
    h->is_nudged = true;
    shard_add(h->shard, item_new(h, NULL, OUTCOME_NUDGE));
}
