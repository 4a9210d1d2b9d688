/* chaos_watch: how far the fleet is, and the operator who retries what failed. Runs beside it, outlives every Redis.
 *
 *   chaos_watch --redis=URL [--shards=1] [--every-ms=500]
 *
 * One line of JSON per round: {"states": {"completed": n, ..}, "redriven": n, "why": {"code": n}}. A step that failed
 * for good (too many crashes, an answer that AWS gave because of a fault) is redriven, as an operator would after he
 * has read why; `why` counts the reasons, so that a fault of the product does not hide behind the retries. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "tests/drill/drill_tool.h"

#include <stdio.h>

#define FAILED_PAGE 64

struct watch {
    struct drill drill;
    uint64_t every_ms, redriven, busy;
    json_t *why;
    uv_timer_t timer;
};

struct failed {
    struct watch *watch;
    char id[IMPORT_ID_BYTES];
};

static void print_round(struct watch *w, const json_t *stats)
{
    json_auto_t *states = json_object();
    size_t i = 0;
    const json_t *shard = NULL;
    json_array_foreach (json_at(stats, "shards"), i, shard) {
        const char *name = NULL;
        json_t *n = NULL;
        json_object_foreach (json_object_get(shard, "imports"), name, n)
            json_put_int(states, name, json_int_at(states, name) + json_integer_value(n));
    }
    json_auto_t *line =
        json_make("{s:O, s:I, s:O}", "states", states, "redriven", (json_int_t)w->redriven, "why", w->why);
    AUTO_FREE char *text = json_text(line);
    (void)puts(text);
    (void)fflush(stdout);
}

static void on_stats(void *arg, const struct err *err, json_t *value)
{
    struct watch *w = arg;
    w->busy--;
    if (!err)
        print_round(w, value);
    json_decref(value);
}

static void redriven(void *arg, const struct err *err)
{
    struct failed *f = arg;
    f->watch->busy--;
    f->watch->redriven += !err;
    mem_free(f);
}

/* Why it stands still, then on with it. */
static void on_import(void *arg, const struct err *err, json_t *value)
{
    struct failed *f = arg;
    struct watch *w = f->watch;
    size_t i = 0;
    const json_t *step = NULL;
    json_array_foreach (json_at(value, "steps"), i, step) {
        const char *state = json_str_at(step, "state");
        if (!str_in_list("FAILED,DEAD", state) && !json_bool_at(step, "is_held"))
            continue;
        const char *code = json_str_or(step, "error.code", state);
        json_put_int(w->why, code, json_integer_value(json_object_get(w->why, code)) + 1);
    }
    json_decref(value);
    if (err) {
        w->busy--;
        mem_free(f);
        return;
    }
    queue_redrive(w->drill.queue, f->id, -1, "{\"by\":\"chaos\",\"reason\":\"drill\"}", redriven, f);
}

static void on_failed(void *arg, const struct err *err, json_t *value)
{
    struct watch *w = arg;
    size_t i = 0;
    const json_t *import = NULL;
    w->busy--;
    (void)err; /* asked again in the next round */
    json_array_foreach (json_at(value, "data"), i, import) {
        struct failed *f = MEM_NEW(struct failed);
        f->watch = w;
        (void)snprintf(f->id, sizeof f->id, "%s", json_str_at(import, "id"));
        w->busy++;
        queue_get(w->drill.queue, f->id, on_import, f);
    }
    json_decref(value);
}

static void go_round(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    if (w->busy)
        return;
    w->busy++;
    queue_stats(w->drill.queue, on_stats, w);
    for (uint32_t s = 0; s < w->drill.shards; s++) {
        w->busy += 2;
        queue_list(w->drill.queue, s, "failed", "", FAILED_PAGE, on_failed, w);
        queue_list(w->drill.queue, s, "held", "", FAILED_PAGE, on_failed, w);
    }
}

int main(int argc, char **argv)
{
    static struct watch w = {.every_ms = 500};
    for (int i = 1; i < argc; i++) {
        const char *value = drill_value(argv[i], "every-ms");
        if (drill_option(&w.drill, argv[i]) || (value && str_to_u64(value, 60000, &w.every_ms) && w.every_ms))
            continue;
        (void)fputs("usage: chaos_watch " DRILL_OPTIONS " [--every-ms=500]\n", stderr);
        return 2;
    }
    w.why = json_object();
    drill_open(&w.drill, "chaos_watch");
    w.timer.data = &w;
    ASSERT(uv_timer_init(&w.drill.loop, &w.timer) == 0 && uv_timer_start(&w.timer, go_round, 0, w.every_ms) == 0);
    return uv_run(&w.drill.loop, UV_RUN_DEFAULT);
}
