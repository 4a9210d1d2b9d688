/* bench_pace: imports of one step at a steady pace, and how long each waited until a worker had it, and until it was
 * done. A worker runs beside; this program only submits and reads the shard's events as they come.
 *
 *   bench_pace --redis=URL --per-s=N --imports=N [--durability=relaxed]
 *
 * Prints {"claimed": {p50, p99}, "done": {p50, p99}} in microseconds from the submit's leaving to the event's arrival
 * here. The step starts between the two. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/redis/redis.h"
#include "tests/drill/drill_tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORTS_MAX 1000000
#define ID "imp_00pace%020" PRIu64

struct one {
    uint64_t sent_ns, claimed_ns, done_ns;
};

static struct {
    struct drill drill;
    struct dag dag;
    struct one *all;
    uint64_t imports, per_s, sent, answered, began_ns;
    _Atomic uint64_t done;
    redisContext *reader;
} pace;

/* ---- Reading ---- */
/* "imp_x i1,0 s0=3,0": state 3 is ACTIVE, 6 is DONE (enum step_state). */
static void take_line(const char *line, uint64_t now)
{
    static const char ours[] = "imp_00pace";
    char digits[24];
    uint64_t n = 0;
    if (!str_starts(line, ours))
        return;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)strcspn(line + sizeof ours - 1, " "), line + sizeof ours - 1);
    if (!str_to_u64(digits, UINT64_MAX, &n) || n >= pace.imports)
        return;
    struct one *one = &pace.all[n];
    if (strstr(line, " s0=3,") && !one->claimed_ns)
        one->claimed_ns = now;
    if (strstr(line, " s0=6,") && !one->done_ns) {
        one->done_ns = now;
        if (!one->claimed_ns) /* both in one event */
            one->claimed_ns = now;
        pace.done++;
    }
}

static void take_entry(const redisReply *entry, uint64_t now)
{
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (strcmp(fields->element[i]->str, "e") != 0)
            continue;
        char *rest = NULL;
        for (char *line = strtok_r(fields->element[i + 1]->str, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            take_line(line, now);
    }
}

static void read_events(void *arg)
{
    char last[64] = "0-0";
    (void)arg;
    while (pace.done < pace.imports) {
        redisReply *reply =
            redisCommand(pace.reader, "XREAD COUNT 1000 BLOCK 500 STREAMS %s:{0}:ev %s", pace.drill.prefix, last);
        uint64_t now = uv_hrtime();
        ASSERT(reply && reply->type != REDIS_REPLY_ERROR);
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements) {
            const redisReply *entries = reply->element[0]->element[1];
            for (size_t i = 0; i < entries->elements; i++) {
                take_entry(entries->element[i], now);
                (void)snprintf(last, sizeof last, "%s", entries->element[i]->element[0]->str);
            }
        }
        freeReplyObject(reply);
    }
}

/* ---- Submitting ---- */
static void submitted(void *arg, const struct err *err, const char *existing)
{
    (void)arg;
    (void)existing;
    if (err)
        drill_fail("bench_pace", "submit", err);
    pace.answered++;
}

static void submit_one(uint64_t n)
{
    char id[IMPORT_ID_BYTES], account[32];
    struct record record;
    (void)snprintf(id, sizeof id, ID, n);
    (void)snprintf(account, sizeof account, "aws/%012" PRIu64, 600000000000u + n);
    record_new(&pace.dag, NULL, 1, &record);
    record.flags |= RECORD_IS_SIMULATED;
    AUTO_FREE char *doc = mem_printf(
        "{\"id\":\"%s\",\"external_ref\":\"%s\",\"livemode\":false,\"playbook\":\"bench@1\",\"steps\":[\"drill_noop_"
        "01\"],"
        "\"created_ms\":1,\"customer\":{\"name\":\"Bench\"},\"organization\":{\"partition\":\"aws\","
        "\"management_account_id\":\"%s\"},\"access\":{\"method\":\"sealed_key\"},\"skipped\":[],\"vars\":{}}",
        id, id, account + 4);
    pace.all[n].sent_ns = uv_hrtime();
    queue_submit(pace.drill.queue,
                 &(struct queue_submit){
                     .import_id = id, .account_key = account, .dag = &pace.dag, .record = &record, .doc = doc},
                 submitted, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    uint64_t due = (uv_hrtime() - pace.began_ns) * pace.per_s / 1000000000u;
    while (pace.sent < pace.imports && pace.sent < due)
        submit_one(pace.sent++);
    if (pace.sent == pace.imports && pace.answered == pace.imports && pace.done == pace.imports)
        uv_close((uv_handle_t *)timer, NULL);
}

/* ---- The program ---- */
static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void print_waits(const char *name, size_t offset, const char *end)
{
    uint64_t *waits = mem_alloc(pace.imports * sizeof *waits);
    for (uint64_t i = 0; i < pace.imports; i++) {
        uint64_t at;
        memcpy(&at, (const char *)&pace.all[i] + offset, sizeof at);
        waits[i] = (at - pace.all[i].sent_ns) / 1000;
    }
    qsort(waits, pace.imports, sizeof *waits, by_size);
    (void)printf("\"%s\": {\"p50\": %" PRIu64 ", \"p99\": %" PRIu64 "}%s", name, waits[pace.imports / 2],
                 waits[pace.imports * 99 / 100], end);
    mem_free(waits);
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (drill_option(&pace.drill, argv[i]) ||
            ((value = drill_value(argv[i], "per-s")) && str_to_u64(value, 1000000, &pace.per_s)) ||
            ((value = drill_value(argv[i], "imports")) && str_to_u64(value, IMPORTS_MAX, &pace.imports)))
            continue;
        (void)fprintf(stderr, "bench_pace: what is %s?\n", argv[i]);
        exit(2);
    }
    if (!pace.per_s || !pace.imports) {
        (void)fputs("usage: bench_pace " DRILL_OPTIONS " --per-s=N --imports=N\n", stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    uv_timer_t timer;
    uv_thread_t thread;
    struct err err = {0};
    read_options(argc, argv);
    pace.dag.step_count = 1;
    pace.dag.steps[0].attempts_max = 200;
    ASSERT(dag_finish(&pace.dag, &err) == 0);
    pace.all = mem_alloc(pace.imports * sizeof *pace.all);
    drill_open(&pace.drill, "bench_pace");
    pace.reader = redis_connect_blocking(&(struct redis_options){.url = pace.drill.url}, 2000, &err);
    if (!pace.reader)
        drill_fail("bench_pace", "events", &err);
    ASSERT(uv_thread_create(&thread, read_events, NULL) == 0);
    ASSERT(uv_timer_init(&pace.drill.loop, &timer) == 0 && uv_timer_start(&timer, on_timer, 1, 1) == 0);
    pace.began_ns = uv_hrtime();
    while (!uv_is_closing((uv_handle_t *)&timer))
        (void)uv_run(&pace.drill.loop, UV_RUN_ONCE);
    (void)uv_thread_join(&thread);
    (void)printf("{");
    print_waits("claimed", offsetof(struct one, claimed_ns), ", ");
    print_waits("done", offsetof(struct one, done_ns), "}\n");
    redisFree(pace.reader);
    drill_close(&pace.drill);
    mem_free(pace.all);
    return 0;
}
