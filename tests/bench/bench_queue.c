/* bench_queue: what a step costs Redis, by turns of a wanted size; whether the cost grows with what is stored; bytes.
 *
 *   bench_queue turns --batch=16 --pipeline=8 [--imports=1000] [--slots=1000] [--fsync=everysec]
 *   bench_queue flat (--leased=N | --queued=N) [--fsync=everysec]
 *   bench_queue bytes [--imports=4000]
 *
 * Each call has a redis-server of its own and prints one JSON object; run.sh makes tables of many. Costs are CPU of
 * Redis's main thread, so that other people's load on the machine stays mostly out of them. */
#include "tests/bench/load.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 25
#define SLICES 5  /* a figure is the median of so many */
#define SLICE 400 /* calls in a slice; fewer where a call is long or leaves imports behind */
#define SLICE_SUBMIT 80
#define SLICE_TURN16 60
#define HELD_EACH 10000 /* imports of one session, as one worker's */

struct options {
    struct load_shape shape;
    uint32_t imports, leased, queued;
    const char *fsync;
};

static uint64_t session_of(uint32_t n)
{
    return 0x5e55100000000000ULL + n;
}

static void print(json_t *value)
{
    AUTO_FREE char *text = json_text(value);
    (void)puts(text);
    json_decref(value);
}

/* ---- turns ---- */
static void turns(const struct options *o)
{
    struct dag dag = load_chain(STEPS);
    struct load_count n;
    load_submit(o->imports, &dag);
    load_slowlog_reset();
    struct load_meter before = load_meter();
    load_run(session_of(1), &o->shape, &n);
    struct load_meter after = load_meter();
    CHECK(n.steps == (uint64_t)o->imports * STEPS);
    print(json_make(
        "{s:i, s:i, s:i, s:I, s:I, s:f, s:f, s:f, s:f, s:I}", "batch", o->shape.batch, "pipeline", o->shape.pipeline,
        "slots", o->shape.slots, "steps", (json_int_t)n.steps, "turns", (json_int_t)n.turns, "steps_per_s",
        (double)n.steps / n.seconds, "redis_us_per_step", (after.cpu_us - before.cpu_us) / (double)n.steps,
        "commands_per_step", (double)(after.inner - before.inner) / (double)n.steps, "commands_per_turn",
        (double)(after.inner - before.inner) / (double)n.turns, "longest_turn_us", (json_int_t)load_slowest_us()));
    rig_audit();
}

/* ---- flat ---- */
static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static uint64_t turn_slice(uint32_t batch, uint32_t turns, uint32_t serial)
{
    struct load_shape shape = {.batch = batch, .pipeline = 4, .slots = 2 * batch + 32};
    struct load_count n;
    load_run_some(session_of(100000 + serial), &shape, (uint64_t)turns * batch, &n);
    return n.turns;
}

static uint64_t turn_of_1(uint32_t serial)
{
    return turn_slice(1, SLICE, serial);
}
static uint64_t turn_of_16(uint32_t serial)
{
    return turn_slice(16, SLICE_TURN16, serial + SLICES);
}
static uint64_t beat(uint32_t serial)
{
    struct queue_beat reply;
    struct err err;
    (void)serial;
    for (unsigned i = 0; i < SLICE; i++)
        CHECK(queue_beat(rig.plain, "f", 0, session_of(1), 600000, &reply, &err) == 0 && !reply.is_gone);
    return SLICE;
}
static uint64_t tick(uint32_t serial)
{
    (void)serial;
    for (unsigned i = 0; i < SLICE; i++)
        (void)rig_tick();
    return SLICE;
}
static uint64_t submit(uint32_t serial)
{
    struct dag dag = load_chain(STEPS);
    (void)serial;
    load_submit(SLICE_SUBMIT, &dag);
    return SLICE_SUBMIT;
}

static double median_us(uint64_t (*slice)(uint32_t serial))
{
    double us[SLICES];
    for (uint32_t i = 0; i < SLICES; i++) {
        struct load_meter before = load_meter();
        uint64_t calls = slice(i);
        us[i] = (load_meter().cpu_us - before.cpu_us) / (double)calls;
    }
    qsort(us, SLICES, sizeof *us, by_size);
    return us[SLICES / 2];
}

/* `submit` first: it leaves in the ring what the turns then claim. */
static void flat(const struct options *o)
{
    static const struct {
        const char *name;
        uint64_t (*slice)(uint32_t serial);
    } probes[] = {{"submit", submit}, {"turn", turn_of_1}, {"turn16", turn_of_16}, {"beat", beat}, {"tick", tick}};
    struct dag dag = load_chain(STEPS);
    uint32_t imports = o->leased ? o->leased : o->queued / STEPS;
    load_submit(imports, &dag);
    if (o->leased)
        for (uint32_t held = 0, n = 1; held < o->leased; held += HELD_EACH, n++)
            load_hold(session_of(n), o->leased - held < HELD_EACH ? o->leased - held : HELD_EACH);
    else
        CHECK_OK(rig_session(session_of(1), 600000));
    json_t *costs = json_object();
    load_slowlog_reset();
    for (size_t i = 0; i < ARRAY_LEN(probes); i++)
        json_put(costs, probes[i].name, json_real(median_us(probes[i].slice)));
    print(json_make("{s:s, s:I, s:o, s:I, s:I}", "what", o->leased ? "leased" : "queued", "size",
                    (json_int_t)(o->leased ? o->leased : o->queued), "us", costs, "longest_turn_us",
                    (json_int_t)load_slowest_us(), "used_memory", (json_int_t)load_meter().memory));
}

/* ---- bytes ---- */
static uint64_t memory_without_events(void)
{
    freeReplyObject(rig_command("XTRIM f:{0}:ev MAXLEN 0"));
    return load_meter().memory;
}

/* Each import's first step waits for a person: the import rests in `due` until somebody or its timer moves it. */
static void put_to_rest(uint32_t imports)
{
    CHECK_OK(rig_session(session_of(2), 600000));
    for (uint32_t rested = 0; rested < imports;) {
        struct rig_turn t;
        struct queue_item items[32];
        CHECK_OK(rig_turn(session_of(2), 32, NULL, 0, &t));
        CHECK(t.claim_count > 0);
        for (size_t i = 0; i < t.claim_count; i++) {
            items[i] = rig_item(&t.claims[i], 0, OUTCOME_WAIT);
            items[i].delay_ms = 86400000;
            items[i].party = PARTY_CUSTOMER;
        }
        rested += (uint32_t)t.claim_count;
        CHECK_OK(rig_turn(session_of(2), 0, items, t.claim_count, &t));
    }
}

static void bytes(const struct options *o)
{
    struct dag dag = load_chain(STEPS);
    struct load_count n;
    double imports = o->imports;
    load_submit(1, &dag); /* the shape and the first of every key */
    uint64_t empty = memory_without_events();
    load_submit(o->imports - 1, &dag);
    uint64_t queued = memory_without_events();
    put_to_rest(o->imports);
    uint64_t idle = memory_without_events();
    load_submit(o->imports, &dag);
    uint64_t second = memory_without_events();
    load_run(session_of(1), &(struct load_shape){.batch = 16, .pipeline = 8, .slots = 1000}, &n);
    uint64_t done = memory_without_events();
    print(json_make("{s:f, s:f, s:f, s:f}", "queued_import", (double)(queued - empty) / (imports - 1), "queued_step",
                    (double)(queued - empty) / (imports - 1) / STEPS, "idle_import",
                    (double)(queued - empty) / (imports - 1) + ((double)idle - (double)queued) / imports,
                    "finished_step", ((double)done - (double)second) / (double)n.steps));
}

/* ---- The program ---- */
static bool number(const char *word, const char *name, uint32_t *ret)
{
    uint64_t n = 0;
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0 || !str_to_u64(word + len, 10000000, &n))
        return false;
    *ret = (uint32_t)n;
    return true;
}

static void usage(void)
{
    (void)fputs(
        "usage: bench_queue turns|flat|bytes [--batch=N] [--pipeline=N] [--imports=N] [--slots=N] [--leased=N | "
        "--queued=N] [--fsync=everysec|always]\n",
        stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    struct options o = {.shape = {.batch = 16, .pipeline = 8}, .imports = 1000, .fsync = "everysec"};
    char conf[128];
    for (int i = 2; i < argc; i++) {
        if (str_starts(argv[i], "--fsync="))
            o.fsync = argv[i] + strlen("--fsync=");
        else if (!number(argv[i], "--batch=", &o.shape.batch) && !number(argv[i], "--pipeline=", &o.shape.pipeline) &&
                 !number(argv[i], "--imports=", &o.imports) && !number(argv[i], "--slots=", &o.shape.slots) &&
                 !number(argv[i], "--leased=", &o.leased) && !number(argv[i], "--queued=", &o.queued))
            usage();
    }
    if (argc < 2 || !o.shape.batch || o.shape.batch > 32 || !o.shape.pipeline || !o.imports ||
        (!str_eq(o.fsync, "everysec") && !str_eq(o.fsync, "always")))
        usage();
    o.shape.slots = o.shape.slots ? o.shape.slots : o.imports;
    (void)snprintf(conf, sizeof conf, "appendonly yes\nappendfsync %s\nauto-aof-rewrite-percentage 0\n", o.fsync);
    rig_start(conf, 1, false);
    rig_verify = 64; /* as a worker does */
    rig_open(true);
    if (str_eq(argv[1], "turns"))
        turns(&o);
    else if (str_eq(argv[1], "flat") && (o.leased || o.queued >= STEPS))
        flat(&o);
    else if (str_eq(argv[1], "bytes"))
        bytes(&o);
    else
        usage();
    rig_stop();
    return 0;
}
