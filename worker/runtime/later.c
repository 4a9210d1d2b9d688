#include "worker/runtime/later.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#define LATER_MAGIC 0x1a7e0001u
#define LATER_MAX 1000000u

struct later_item {
    struct later *owner;
    uint64_t at_ms, order; /* equal times run in the order in which they were added */
    size_t place;
    later_fn *fn;
    void *arg;
};

struct later { /* a binary heap, earliest first */
    uint32_t magic;
    uv_timer_t timer; /* for what is not due yet */
    uv_idle_t idle;   /* due now: the loop must not sleep, ... */
    uv_check_t check; /* ... and it runs after the sockets had their turn. A timer of 0 ms would starve them. */
    int open;
    const struct env *env;
    struct later_item **heap;
    size_t count, room;
    uint64_t order;
    bool is_closed;
};

static bool is_before(const struct later_item *a, const struct later_item *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void put(struct later *l, size_t place, struct later_item *item)
{
    l->heap[place] = item;
    item->place = place;
}

static void rise(struct later *l, size_t place)
{
    struct later_item *item = l->heap[place];
    for (; place && is_before(item, l->heap[(place - 1) / 2]); place = (place - 1) / 2)
        put(l, place, l->heap[(place - 1) / 2]);
    put(l, place, item);
}

static void sink(struct later *l, size_t place)
{
    struct later_item *item = l->heap[place];
    for (size_t child = 2 * place + 1; child < l->count; child = 2 * place + 1) {
        if (child + 1 < l->count && is_before(l->heap[child + 1], l->heap[child]))
            child++;
        if (!is_before(l->heap[child], item))
            break;
        put(l, place, l->heap[child]);
        place = child;
    }
    put(l, place, item);
}

static void take_out(struct later_item *item)
{
    struct later *l = item->owner;
    size_t place = item->place;
    struct later_item *last = l->heap[--l->count];
    if (last == item)
        return;
    put(l, place, last);
    rise(l, place);
    sink(l, last->place);
}

static void run_due(struct later *l);

static void timer_fired(uv_timer_t *timer)
{
    run_due(OBJ_CAST(timer->data, struct later, LATER_MAGIC));
}

static void check_came(uv_check_t *check)
{
    run_due(OBJ_CAST(check->data, struct later, LATER_MAGIC));
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

static void arm(struct later *l)
{
    uint64_t now = env_boot_ms(l->env);
    bool is_due = l->count && l->heap[0]->at_ms <= now;
    uv_timer_stop(&l->timer);
    if (is_due) {
        (void)uv_idle_start(&l->idle, stay_awake);
        (void)uv_check_start(&l->check, check_came);
        return;
    }
    uv_idle_stop(&l->idle);
    uv_check_stop(&l->check);
    if (!l->count)
        return;
    uv_update_time(l->timer.loop);
    ASSERT(uv_timer_start(&l->timer, timer_fired, l->heap[0]->at_ms - now, 0) == 0);
}

static void run_due(struct later *l)
{
    uint64_t now = env_boot_ms(l->env), until = l->order;
    /* What is added meanwhile waits for the next round, so that a chain of "at once" cannot starve the loop. */
    while (l->count && l->heap[0]->at_ms <= now && l->heap[0]->order < until) {
        struct later_item *item = l->heap[0];
        later_fn *fn = item->fn;
        void *arg = item->arg;
        take_out(item);
        mem_free(item);
        fn(arg);
    }
    if (!l->is_closed)
        arm(l);
}

struct later *later_new(uv_loop_t *loop, const struct env *env)
{
    struct later *l = MEM_NEW(struct later);
    l->magic = LATER_MAGIC;
    l->env = env;
    ASSERT(uv_timer_init(loop, &l->timer) == 0 && uv_idle_init(loop, &l->idle) == 0 &&
           uv_check_init(loop, &l->check) == 0);
    l->timer.data = l->idle.data = l->check.data = l;
    l->open = 3;
    return l;
}

static void closed(uv_handle_t *handle)
{
    struct later *l = OBJ_CAST(handle->data, struct later, LATER_MAGIC);
    if (--l->open)
        return;
    mem_free(l->heap);
    mem_free(l);
}

void later_close(struct later *l)
{
    while (l->count)
        mem_free(l->heap[--l->count]);
    l->is_closed = true;
    uv_close((uv_handle_t *)&l->timer, closed);
    uv_close((uv_handle_t *)&l->idle, closed);
    uv_close((uv_handle_t *)&l->check, closed);
}

struct later_item *later_add(struct later *l, uint64_t delay_ms, later_fn *fn, void *arg)
{
    ASSERT(l->count < LATER_MAX);
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->heap = mem_resize(l->heap, l->room * sizeof(struct later_item *));
    }
    struct later_item *item = MEM_NEW(struct later_item);
    *item = (struct later_item){
        .owner = l, .at_ms = env_boot_ms(l->env) + delay_ms, .order = l->order++, .fn = fn, .arg = arg};
    put(l, l->count++, item);
    rise(l, l->count - 1);
    if (item->place == 0)
        arm(l);
    return item;
}

void later_cancel(struct later_item *item)
{
    if (!item)
        return;
    take_out(item);
    mem_free(item);
}
