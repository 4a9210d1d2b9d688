/* One CloudTrail cursor for each import and region (trail.h). What the import's store has is read before the first look
 * of a hold, and what a look found is stored behind it: the next holder goes on from there. */
#include "worker/runtime/gate_private.h"

#include "common/aws/services/cloudtrail.h"
#include "common/log/log.h"
#include "worker/runtime/trail.h"

#define STORE_AGAIN_MS 500

struct events {
    struct events *next;
    struct gate *gate;
    struct trail trail;
    uint64_t looked_boot_ms; /* 0: never */
    uint64_t asks_until_ms;
    bool is_running;
};

struct trail_job { /* on its way to Redis; it outlives the gate */
    struct gate *gate;
    struct events *events; /* a save: of this region */
    struct trail_save save;
};

const struct aws_op *const *events_manifest(void)
{
    static const struct aws_op *const manifest[] = {&cloudtrail_lookup_events, NULL};
    return manifest;
}

static struct events *region_of(struct gate *g, const char *region)
{
    if (!region || !*region)
        region = "us-east-1";
    for (struct events *e = g->regions; e; e = e->next)
        if (strcmp(e->trail.region, region) == 0)
            return e;
    struct events *e = MEM_NEW(struct events);
    *e = (struct events){.gate = g, .next = g->regions};
    trail_init(&e->trail, region);
    g->regions = e;
    return e;
}

static struct attribution_scope ours_of(const struct gate *g, const json_t *keys)
{
    struct attribution_scope scope = {.ours = {.import_id = json_str_at(g->import, "id")},
                                      .account_id = gate_account(g)};
    for (size_t i = 0; i < json_array_size(keys) && i < OURS_KEYS_MAX; i++)
        ours_add_key(&scope.ours, json_string_value(json_array_get(keys, i)));
    return scope;
}

/* New reference. */
static json_t *our_keys(const struct gate *g)
{
    const char *id = session_key_id(g->session);
    return json_make("[s]", id ? id : "");
}

/* ---- The import's store ---- */
static bool must_read_first(const struct gate *g)
{
    return g->tools.trail.load && !g->is_trail_read;
}

static void store_again(void *arg);

static void next_try(struct gate *g)
{
    if (!g->trail_retry)
        g->trail_retry = later_add(g->tools.session.later, STORE_AGAIN_MS, store_again, g);
}

static void ask_waiting(struct gate *g)
{
    for (struct passage *p = g->passages, *next = NULL; p; p = next) {
        next = p->next;
        if (p->state == PASSAGE_EVENTS && !p->later)
            events_ask(p);
    }
}

static void loaded(void *arg, const struct err *err, const struct queue_trail_part *parts, size_t count)
{
    struct trail_job *job = arg;
    struct gate *g = job->gate;
    mem_free(job);
    if (!g)
        return;
    g->trail_load = NULL;
    if (err) {
        log_error(LOG_WARN, "trail.load_failed", err, "import", json_str_at(g->import, "id"), NULL);
        next_try(g);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char region[32];
        (void)snprintf(region, sizeof region, "%.*s", (int)strcspn(parts[i].name, "/"), parts[i].name);
        (void)region_of(g, region);
    }
    for (struct events *e = g->regions; e; e = e->next) {
        trail_absorb(&e->trail, parts, count);
        if (e->trail.is_torn)
            log_event(LOG_WARN, "trail.unreadable", "import", json_str_at(g->import, "id"), "region", e->trail.region,
                      NULL);
    }
    g->is_trail_read = true;
    ask_waiting(g);
}

static void load(struct gate *g)
{
    if (g->trail_load || g->trail_retry)
        return;
    g->trail_load = MEM_NEW(struct trail_job);
    g->trail_load->gate = g;
    g->tools.trail.load(g->tools.trail.self, json_str_at(g->import, "id"), loaded, g->trail_load);
}

static void store(struct gate *g);

static void saved(void *arg, const struct err *err)
{
    struct trail_job *job = arg;
    struct gate *g = job->gate;
    if (!g) { /* the next holder asks again for what did not arrive */
        trail_save_drop(&job->save);
        mem_free(job);
        return;
    }
    g->trail_save = NULL;
    trail_save_end(&job->events->trail, &job->save, !err);
    mem_free(job);
    if (err) {
        log_error(LOG_WARN, "trail.save_failed", err, "import", json_str_at(g->import, "id"), NULL);
        next_try(g);
    } else {
        store(g);
    }
}

/* One save at a time, region after region, until nothing is worth a trip. */
static void store(struct gate *g)
{
    if (!g->tools.trail.save || g->trail_save || g->trail_retry || !g->is_trail_read)
        return;
    json_auto_t *keys = our_keys(g);
    struct attribution_scope ours = ours_of(g, keys);
    for (struct events *e = g->regions; e; e = e->next) {
        struct trail_job *job = MEM_NEW(struct trail_job);
        trail_save_begin(&e->trail, &ours, &job->save);
        if (!job->save.count) {
            trail_save_end(&e->trail, &job->save, true);
            mem_free(job);
            continue;
        }
        job->gate = g;
        job->events = e;
        g->trail_save = job;
        g->tools.trail.save(g->tools.trail.self, json_str_at(g->import, "id"), job->save.parts, job->save.count,
                            job->save.gone, saved, job);
        return;
    }
}

static void store_again(void *arg)
{
    struct gate *g = arg;
    g->trail_retry = NULL;
    if (g->is_trail_read)
        store(g);
    else
        load(g);
}

void gate_reload_events(struct gate *g)
{
    g->is_trail_read = false;
}

void events_free_all(struct gate *g)
{
    if (g->trail_load)
        g->trail_load->gate = NULL;
    if (g->trail_save)
        g->trail_save->gate = NULL;
    later_cancel(g->trail_retry);
    while (g->regions) {
        struct events *e = g->regions;
        g->regions = e->next;
        trail_done(&e->trail);
        mem_free(e);
    }
}

/* ---- Looks ---- */
static void give(void *arg)
{
    struct passage *p = arg;
    p->later = NULL;
    json_auto_t *list = json_incref(region_of(p->gate, p->region)->trail.list);
    passage_answer(p, &(struct step_answer){.facts = list});
}

static void look(struct events *e)
{
    struct gate *g = e->gate;
    e->is_running = true;
    e->asks_until_ms = aws_client_now_ms(g->tools.session.aws);
    struct passage *p = passage_new(g, NULL);
    p->events = e;
    p->op = &cloudtrail_lookup_events;
    p->own_args = json_make("{s:I}", "start_ms",
                            (json_int_t)trail_from(&e->trail, (uint64_t)json_int_at(g->import, "created_ms")));
    p->args = p->own_args;
    p->region = e->trail.region;
    passage_begin(p);
}

void events_ask(struct passage *p)
{
    struct gate *g = p->gate;
    p->state = PASSAGE_EVENTS;
    if (must_read_first(g)) {
        load(g);
        return;
    }
    struct events *e = region_of(g, p->region);
    uint64_t now = env_boot_ms(g->tools.session.env), fresh = (uint64_t)json_int_at(p->args, "fresh_ms");
    if (!e->is_running && e->looked_boot_ms && now - e->looked_boot_ms <= fresh)
        p->later = later_add(g->tools.session.later, 0, give, p);
    else if (!e->is_running)
        look(e);
}

void events_forget(struct passage *p)
{
    (void)p; /* the look goes on: the next who asks has its answer */
}

void events_answer(struct events *e, const struct step_answer *answer)
{
    struct gate *g = e->gate;
    e->is_running = false;
    if (!answer->err) {
        json_auto_t *keys = our_keys(g);
        struct attribution_scope ours = ours_of(g, keys);
        trail_merge(&e->trail, json_object_get(answer->facts, "events"), e->asks_until_ms, GATE_EVENTS_MAX, &ours);
        e->looked_boot_ms = env_boot_ms(g->tools.session.env);
        store(g);
    }
    if (must_read_first(g)) /* who waits, waits for the store */
        return;
    for (struct passage *p = g->passages, *next = NULL; p; p = next) {
        next = p->next;
        if (p->state != PASSAGE_EVENTS || p->later || region_of(g, p->region) != e)
            continue;
        if (answer->err)
            passage_answer(p, answer);
        else
            p->later = later_add(g->tools.session.later, 0, give, p);
    }
}
