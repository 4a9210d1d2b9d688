/* One CloudTrail cursor for each import and region. CloudTrail delivers late and out of order, so each look goes back
 * over a quarter of an hour, and events are known by their ids. */
#include "worker/runtime/gate_private.h"

#include "common/aws/services/cloudtrail.h"

#define OVERLAP_MS 900000u

struct events {
    struct events *next;
    struct gate *gate;
    char region[32];
    json_t *list;            /* oldest first; replaced, never changed: steps may hold the one before */
    json_t *ids;             /* set */
    uint64_t looked_boot_ms; /* 0: never */
    uint64_t until_ms;       /* events before this were asked for */
    uint64_t asks_until_ms;
    bool is_running;
};

const struct aws_op *const *events_manifest(void)
{
    static const struct aws_op *const manifest[] = {&cloudtrail_lookup_events, NULL};
    return manifest;
}

static struct events *region_of(struct gate *g, const char *region)
{
    for (struct events *e = g->regions; e; e = e->next)
        if (strcmp(e->region, region) == 0)
            return e;
    struct events *e = MEM_NEW(struct events);
    *e = (struct events){.gate = g, .next = g->regions, .list = json_array(), .ids = json_object()};
    (void)snprintf(e->region, sizeof e->region, "%s", region);
    g->regions = e;
    return e;
}

void events_free_all(struct gate *g)
{
    while (g->regions) {
        struct events *e = g->regions;
        g->regions = e->next;
        json_decref(e->list);
        json_decref(e->ids);
        mem_free(e);
    }
}

static void give(void *arg)
{
    struct passage *p = arg;
    p->later = NULL;
    json_auto_t *list = json_incref(region_of(p->gate, p->region)->list);
    passage_answer(p, &(struct step_answer){.facts = list});
}

static void look(struct events *e)
{
    struct gate *g = e->gate;
    uint64_t created = (uint64_t)json_int_at(g->import, "created_ms"), from = e->until_ms ? e->until_ms : created;
    from = from > OVERLAP_MS ? from - OVERLAP_MS : 0;
    e->is_running = true;
    e->asks_until_ms = env_unix_ms(g->tools.session.env);
    struct passage *p = passage_new(g, NULL);
    p->events = e;
    p->op = &cloudtrail_lookup_events;
    p->own_args = json_make("{s:I}", "start_ms", (json_int_t)from);
    p->args = p->own_args;
    p->region = e->region;
    passage_begin(p);
}

void events_ask(struct passage *p)
{
    struct gate *g = p->gate;
    struct events *e = region_of(g, p->region);
    uint64_t now = env_boot_ms(g->tools.session.env), fresh = (uint64_t)json_int_at(p->args, "fresh_ms");
    p->state = PASSAGE_EVENTS;
    if (!e->is_running && e->looked_boot_ms && now - e->looked_boot_ms <= fresh)
        p->later = later_add(g->tools.session.later, 0, give, p);
    else if (!e->is_running)
        look(e);
}

void events_forget(struct passage *p)
{
    (void)p; /* the look goes on: the next who asks has its answer */
}

static void merge(struct events *e, const json_t *found)
{
    json_t *list = json_copy(e->list);
    size_t i = 0;
    json_t *event = NULL;
    json_array_foreach ((json_t *)(uintptr_t)found, i, event) {
        const char *id = json_str_at(event, "id");
        if (!*id || json_object_get(e->ids, id))
            continue;
        json_put(e->ids, id, json_true());
        (void)json_array_append(list, event);
    }
    json_sort_by(list, "at_ms");
    while (json_array_size(list) > GATE_EVENTS_MAX) /* the oldest prove least */
        (void)json_array_remove(list, 0);
    json_decref(e->list);
    e->list = list;
}

void events_answer(struct events *e, const struct step_answer *answer)
{
    struct gate *g = e->gate;
    e->is_running = false;
    if (!answer->err) {
        merge(e, json_object_get(answer->facts, "events"));
        e->looked_boot_ms = env_boot_ms(g->tools.session.env);
        e->until_ms = e->asks_until_ms;
    }
    for (struct passage *p = g->passages, *next = NULL; p; p = next) {
        next = p->next;
        if (p->state != PASSAGE_EVENTS || p->later || strcmp(p->region, e->region) != 0)
            continue;
        if (answer->err)
            passage_answer(p, answer);
        else
            p->later = later_add(g->tools.session.later, 0, give, p);
    }
}
