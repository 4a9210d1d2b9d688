/* The same random events through transition.c and through scripts/fleet in a real Redis: the packed records, the places
 * and the answers must be equal, byte by byte. Time belongs to the test.
 *
 *   integration.queue.differential [SEED [EVENTS [LEFT_OUT]]]
 *
 * Each event draws from a source of its own, so a run without some of them (LEFT_OUT: a file, a byte per event, '-' for
 * out) does the others all the same: differential.py makes a failing run small that way. */
#include "tests/integration/queue/differential.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEASE_MS 30000
#define RUN_SAFE 2 /* so far a step may be started whether others wait or not */

unsigned long event_number;
static const char *const signal_keys[] = {"done", "reject", "recheck", "accept"};
static uint64_t seed_now;
static unsigned long swapped, decided;

static uint64_t draw(uint64_t below)
{
    seed_now ^= seed_now << 13;
    seed_now ^= seed_now >> 7;
    seed_now ^= seed_now << 17;
    return seed_now % below;
}

/* splitmix64: neighbours in, strangers out; never 0, where draw() would stay. */
static uint64_t mixed(uint64_t seed, uint64_t event)
{
    uint64_t z = seed + (event + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (z ^ z >> 31) | 1;
}

static struct dag random_dag(void)
{
    struct dag dag = {.step_count = (uint8_t)(1 + draw(draw(4) ? 12 : 40))};
    struct err err;
    for (size_t i = 0; i < dag.step_count; i++) {
        struct dag_step *s = &dag.steps[i];
        s->class_ = (uint8_t)draw(3);
        s->on_fail = draw(4) == 0;
        s->attempts_max = (uint8_t)draw(4);
        for (size_t k = 0; k < i; k++)
            if (draw(i) < 2)
                s->needs[s->needs_count++] = (uint8_t)k;
    }
    CHECK(dag_finish(&dag, &err) == 0);
    return dag;
}

static void do_submit(void)
{
    struct model_import *im = &m.imports[draw(IMPORTS)];
    char account[32], existing[IMPORT_ID_BYTES];
    bool skipped[RECORD_STEPS_MAX];
    if (im->exists && im->r.remaining)
        return;
    *im = (struct model_import){.exists = true, .dag = random_dag()};
    (void)snprintf(im->id, sizeof im->id, "imp_00m%llu", (unsigned long long)m.serial++);
    (void)snprintf(account, sizeof account, "aws/%03zu", (size_t)(im - m.imports));
    for (size_t i = 0; i < RECORD_STEPS_MAX; i++)
        skipped[i] = draw(8) == 0;
    record_new(&im->dag, skipped, rig_clock_us / 1000, &im->r);
    im->r.flags = RECORD_IS_SIMULATED;
    im->r.version = 1;
    im->r.stamp = (uint32_t)(rig_clock_us % 4294967296ULL);
    struct rig_share share = {(uint32_t)draw(GROUPS + 1), (uint8_t)(1 + draw(16))};
    im->r.group = share.group;
    im->r.weight = share.weight;
    im->place = PLACE_TERMINAL;
    if (im->r.remaining && !im->r.group && im->r.vt < m.floor)
        im->r.vt = m.floor;
    CHECK_OK(rig_submit_as(im->id, account, &im->dag, skipped, share, existing));
    groups_settle();
}

static struct model_import *random_import(void)
{
    for (int i = 0; i < 20; i++) {
        struct model_import *im = &m.imports[draw(IMPORTS)];
        if (im->exists && (im->r.remaining || !draw(10)))
            return im;
    }
    return NULL;
}

static const char outcomes[] = "SDDDDDRRFWWPHIN";

/* Mostly right, sometimes an old token, another step, somebody else's import. */
static bool random_item(const struct model_session *me, struct queue_item *ret)
{
    struct model_import *im = NULL;
    for (int i = 0; i < 60 && !im; i++) {
        struct model_import *one = &m.imports[draw(IMPORTS)];
        if (one->exists && (one->r.session == me->id || !draw(30)))
            im = one;
    }
    if (!im)
        return false;
    size_t step = draw(im->r.step_count);
    for (size_t k = 0; k < im->r.step_count && im->r.steps[step].state != STATE_ACTIVE && draw(15); k++)
        step = (step + 1) % im->r.step_count;
    *ret = (struct queue_item){.outcome = (enum queue_outcome)outcomes[draw(sizeof outcomes - 1)], .import_id = im->id};
    ret->step = (uint8_t)step;
    ret->token = (struct queue_token){im->r.fence, im->r.nonce, im->r.steps[step].claim_version};
    if (!draw(20))
        ret->token.fence -= 1 + draw(3);
    if (!draw(20))
        ret->token.nonce ^= 1;
    if (!draw(20) && ret->token.claim_version)
        ret->token.claim_version--;
    static const uint64_t delays[] = {0, 1, 500, 5000, 60000, 1ULL << 60};
    ret->delay_ms = delays[draw(ARRAY_LEN(delays))];
    ret->party = (enum blocking_party)draw(5);
    ret->task = draw(4) == 0 ? "{\"title\":\"x\"}" : draw(6) == 0 ? "" : NULL;
    ret->result = draw(3) ? NULL : "{}";
    return true;
}

/* A holder that computes itself: from the record as it is, from one that has been left behind, or from one that never
 * was. Of several items of one import the next goes on where the one before ended. */
static void let_compute(struct queue_item *items, size_t count, struct queue_ahead *aheads)
{
    for (size_t i = 0; i < count; i++) {
        struct model_import *im = find(items[i].import_id);
        if (!im || im->r.run > RUN_SAFE || !draw(3))
            continue;
        for (size_t k = 0; k < i && !items[i].ahead; k++)
            if (items[k].ahead && str_eq(items[k].import_id, items[i].import_id))
                items[i].ahead = items[k].ahead;
        if (items[i].ahead)
            continue;
        aheads[i] = (struct queue_ahead){im->r, true};
        if (!draw(8))
            aheads[i].record.version--;
        if (!draw(8))
            aheads[i].record.stamp++;
        items[i].ahead = &aheads[i];
        rig_learn_shape(&im->dag);
    }
}

/* Who computed a record has drawn its stamp: the model takes it over, all else must be equal. */
static void take_stamps(const struct queue_item *items, size_t count, struct rig_turn *c, const struct rig_turn *lua)
{
    for (size_t i = 0; i < count; i++) {
        struct model_import *im = find(items[i].import_id);
        if (!im)
            continue;
        bool is_computed = lua->items[i].record.stamp != im->r.stamp;
        if (items[i].ahead && lua->items[i].ack == ACK_OK)
            *(is_computed ? &swapped : &decided) += 1;
        CHECK(!is_computed || items[i].ahead);
        im->r.stamp = c->items[i].record.stamp = lua->items[i].record.stamp;
    }
}

/* The nonce of a claim comes from the caller's random number, which queue_turn() draws itself: read it back from what
 * was claimed, and let the model go the same way. */
static void do_turn(void)
{
    struct model_session *me = &m.sessions[draw(SESSIONS)];
    struct queue_item items[8];
    struct queue_ahead aheads[8];
    size_t count = 0, want = draw(4), asked = draw(8);
    struct rig_turn lua, c;
    while (count < asked && random_item(me, &items[count]))
        count++;
    if (!me->id)
        return;
    let_compute(items, count, aheads);
    CHECK_OK(rig_turn(me->id, (uint32_t)want, items, count, &lua));
    uint32_t first = lua.claim_count ? lua.claims[0].record.nonce - 1 : 0;
    model_turn(me, first, want, items, count, &c);
    CHECK(lua.is_gone == c.is_gone && lua.claim_count == c.claim_count);
    for (size_t i = count; i-- > 0;)
        for (size_t k = 0; k < i; k++)
            if (str_eq(items[k].import_id, items[i].import_id) && items[i].ahead)
                items[k].ahead = items[i].ahead; /* one of them was computed: all tell the same record */
    take_stamps(items, count, &c, &lua);
    for (size_t i = 0; i < count; i++) {
        if (lua.items[i].ack != c.items[i].ack)
            (void)fprintf(stderr, "event %lu: item %zu (%c of %s/%u): c says %d, lua %d\n", event_number, i,
                          items[i].outcome, items[i].import_id, items[i].step, c.items[i].ack, lua.items[i].ack);
        CHECK(lua.items[i].ack == c.items[i].ack);
        if (find(items[i].import_id))
            compare("item", items[i].import_id, &c.items[i].record, &lua.items[i].record);
    }
    for (size_t i = 0; i < lua.claim_count; i++) {
        CHECK(str_eq(lua.claims[i].import_id, c.claims[i].import_id));
        compare("claim", c.claims[i].import_id, &c.claims[i].record, &lua.claims[i].record);
    }
    CHECK(lua.others_wait == (ring_count(NULL) > 0));
}

static enum err_code expected(enum transition_answer a)
{
    return a == ANSWER_CONFLICT ? ERR_STATE_CONFLICT : ERR_NONE;
}

static void do_signal(void)
{
    struct model_import *im = random_import();
    size_t key = draw(4);
    if (!im)
        return;
    size_t step = draw(im->r.step_count);
    struct transition_event ev = {.kind = TRANSITION_SIGNAL, .step = (int)step, .is_recheck = key == 2};
    ev.is_stored = im->has_signal[step][key];
    enum transition_answer want = apply(im, &ev);
    if (want == ANSWER_OK)
        im->has_signal[step][key] = !getenv("SPOIL_MODEL"); /* a test looks at what a failure leads to */
    groups_settle();
    CHECK_ERR(rig_signal(im->id, (int)step, signal_keys[key], "{\"by\":\"x\"}"), expected(want));
}

static void do_decision(void)
{
    static const struct {
        enum transition_kind kind;
        rig_decide_fn *fn;
    } kinds[] = {{TRANSITION_CANCEL, queue_cancel}, {TRANSITION_PAUSE, queue_pause}, {TRANSITION_RESUME, queue_resume}};
    struct model_import *im = random_import();
    size_t k = draw(12);
    k = k == 0 ? 0 : k < 4 ? 1 : 2;
    if (!im)
        return;
    enum transition_answer want = apply(im, &(struct transition_event){.kind = kinds[k].kind});
    groups_settle();
    CHECK_ERR(rig_decide(kinds[k].fn, im->id), expected(want));
}

/* The same steps in a random other order; sometimes another class, which must be refused. */
static struct dag random_undo(const struct dag *forward)
{
    struct dag dag = {.step_count = forward->step_count};
    struct err err;
    for (size_t i = 0; i < dag.step_count; i++) {
        struct dag_step *s = &dag.steps[i];
        *s = (struct dag_step){.class_ = forward->steps[i].class_, .on_fail = draw(5) == 0};
        s->attempts_max = (uint8_t)draw(4);
        for (size_t k = i + 1; k < dag.step_count; k++)
            if (draw(dag.step_count) < 2)
                s->needs[s->needs_count++] = (uint8_t)k;
    }
    if (!draw(12))
        dag.steps[dag.step_count - 1].class_ = (uint8_t)draw(3);
    CHECK(dag_finish(&dag, &err) == 0);
    return dag;
}

static void do_undo(void)
{
    struct model_import *im = random_import();
    if (!im)
        return;
    struct dag undo = random_undo(&im->dag);
    uint64_t again = draw(2) ? 0 : draw(1ULL << 62);
    if (draw(2)) /* rare enough that imports also come to other ends */
        return;
    enum transition_answer want =
        apply(im, &(struct transition_event){.kind = TRANSITION_UNDO, .undo_dag = &undo, .again = again});
    groups_settle();
    CHECK_ERR(rig_undo(im->id, &undo, again), expected(want));
}

static void do_redrive(void)
{
    struct model_import *im = random_import();
    if (!im)
        return;
    int step = draw(2) ? -1 : (int)draw(im->r.step_count);
    enum transition_answer want = apply(im, &(struct transition_event){.kind = TRANSITION_REDRIVE, .step = step});
    groups_settle();
    CHECK_ERR(rig_redrive(im->id, step), expected(want));
}

static void do_session(void)
{
    struct model_session *s = &m.sessions[draw(SESSIONS)];
    if (s->id && s->lives && draw(4) == 0) {
        CHECK_OK(rig_session_close(s->id));
        for (size_t i = 0; i < IMPORTS; i++)
            if (m.imports[i].exists && m.imports[i].r.session == s->id)
                (void)apply(&m.imports[i], &(struct transition_event){.kind = TRANSITION_RELEASE, .session = s->id});
        groups_settle();
        s->lives = false;
    } else if (!s->id || !s->lives) {
        /* Sometimes the number of a session that ended is used again. */
        uint64_t id = !s->id || draw(2) ? 0xf111111111111111ULL + 977 * ++m.serial : s->id;
        *s = (struct model_session){.id = id, .deadline_ms = rig_clock_us / 1000 + LEASE_MS, .lives = true};
        CHECK_OK(rig_session(s->id, LEASE_MS));
    } else if (draw(2)) {
        struct queue_beat beat;
        struct err err;
        CHECK(queue_beat(rig.plain, "f", 0, s->id, LEASE_MS, &beat, &err) == 0);
        uint64_t deadline = rig_clock_us / 1000 + LEASE_MS;
        s->deadline_ms = deadline > s->deadline_ms ? deadline : s->deadline_ms;
    }
}

static void do_tick(void)
{
    (void)rig_tick();
    model_timers(NULL);
    groups_settle();
}

static void one_event(void)
{
    static const struct {
        void (*run)(void);
        const char *name;
        unsigned share;
    } kinds[] = {{do_turn, "turn", 7},       {do_submit, "submit", 2},   {do_signal, "signal", 3},
                 {do_decision, "decide", 1}, {do_redrive, "redrive", 2}, {do_session, "session", 1},
                 {do_tick, "tick", 1},       {do_undo, "undo", 1}};
    static const uint64_t steps_ms[] = {0, 0, 1, 3, 50, 400, 1000};
    uint64_t later_ms = draw(60) ? steps_ms[draw(ARRAY_LEN(steps_ms))] : 20000, at = draw(18);
    size_t k = 0;
    rig_clock_set(rig_clock_us + 1 + 1000 * later_ms);
    while (at >= kinds[k].share)
        at -= kinds[k++].share;
    if (getenv("SHOW_EVENTS")) {
        (void)printf("%lu: %s at %llu us\n", event_number, kinds[k].name, (unsigned long long)rig_clock_us);
        (void)fflush(stdout);
    }
    kinds[k].run();
}

/* What was done, for people; and of a whole run of some length, that it was of all kinds. */
static void show(unsigned long events)
{
    static const char *const kinds[] = {"claim",  "finish", "nudge",  "reap",    "release", "signal",
                                        "cancel", "pause",  "resume", "redrive", "promote", "undo"};
    size_t by_state[IMPORT_STATE_COUNT] = {0};
    bool is_long = events >= 3000;
    for (size_t i = 0; i < IMPORTS; i++)
        by_state[m.imports[i].r.state] += m.imports[i].exists;
    for (int s = 0; s < IMPORT_STATE_COUNT; s++)
        (void)printf("%s %zu ", import_state_name((enum import_state)s), by_state[s]);
    (void)printf("- equal\n  computed by the holder: %lu taken, %lu decided by the rules\n", swapped, decided);
    (void)printf("  of groups: %lu claimed, %lu left their queue from the middle\n", counts.claimed_of_groups,
                 counts.left_from_the_middle);
    CHECK(!is_long || (swapped > 20 && decided > 100));
    CHECK(!is_long || (counts.claimed_of_groups > 100 && counts.left_from_the_middle > 0));
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const unsigned long *n = counts.answers[k];
        (void)printf("  %-8s ok %lu nothing %lu already %lu stale %lu conflict %lu\n", kinds[k], n[0], n[1], n[2], n[3],
                     n[4]);
        CHECK(!is_long || n[ANSWER_OK]);
    }
}

/* A byte per event; NULL: none is left out. */
static char *read_left_out(const char *path, unsigned long events)
{
    char *marks = mem_alloc(events + 1);
    FILE *file = fopen(path, "re");
    CHECK(file && fread(marks, 1, events, file) == events);
    (void)fclose(file);
    return marks;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL) * 2654435761ULL % 1000000007ULL;
    unsigned long events = argc > 2 ? strtoul(argv[2], NULL, 10) : 4000, done = 0;
    AUTO_FREE char *left_out = argc > 3 ? read_left_out(argv[3], events) : NULL;
    (void)printf("seed %llu, %lu events\n", (unsigned long long)seed, events);
    (void)fflush(stdout);
    rig_start("appendonly no", 1, true);
    rig_open(true);
    for (event_number = 0; event_number < events; event_number++) {
        if (left_out && left_out[event_number] == '-')
            continue;
        seed_now = mixed(seed, event_number);
        one_event();
        if (left_out || done++ % 16 == 0) /* a small run is told where it begins to differ */
            compare_all();
        if (event_number % 500 == 499)
            rig_audit();
    }
    compare_all();
    rig_audit();
    show(left_out ? 0 : events);
    rig_stop();
    return 0;
}
