/* Inner commands per call of the queue, counted by Redis itself: what decides its cost, and exactly repeatable where
 * microseconds are not. A call may not become dearer unnoticed, and a turn's count may not grow with its batch. */
#include "tests/bench/load.h"

#include <string.h>

#define GROUPS 10
#define GROUP 32
#define SESSION 0x1234ULL

/* ---- What is allowed: the only place. Lower a number when the code got better; raise one only with a reason in the
 * commit, and after measuring what it costs (tests/bench/run.sh). ---- */
static const struct {
    const char *what;
    unsigned most; /* inner commands in one call, whatever the batch */
} allowed[] = {
    {"turn: nothing to do", 3},
    {"turn: claims", 11},
    {"turn: finishes, Redis decides", 4},
    {"turn: finishes, nobody waits", 3},
    {"turn: finishes and claims, the ring turns", 13},
    {"turn: intents saved", 2},
    {"turn: last steps, imports end", 10},
    {"submit", 8},
    {"turn: claims of one group", 13},
    {"turn: claims of 32 groups", 13},
    {"turn: finishes and claims, the groups' ring turns", 15},
    {"turn: last steps, imports of groups end", 10},
    {"submit to a group", 8},
    {"cancel in the middle of a group of 2,000", 10},
    {"beat", 5},
    {"tick: nothing is due", 2},
};

static const unsigned batches[] = {1, 4, 16, 32};
static struct rig_turn held[GROUPS]; /* their claims: imports whose steps we hold */
static bool is_worse, is_computed;   /* by the holder, as workers do; else Redis decides alone */

static unsigned most_of(const char *what)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (str_eq(allowed[i].what, what))
            return allowed[i].most;
    rig_fail(__FILE__, __LINE__, "a case that the table of allowed numbers does not have");
}

static uint64_t before;

static void count_from_here(void)
{
    before = load_meter().inner;
}

/* Prints every count, so that one failing run tells all of them. */
static unsigned judge(const char *what, unsigned batch)
{
    unsigned n = (unsigned)(load_meter().inner - before), most = most_of(what);
    (void)printf("%-50s batch %2u: %2u inner commands, %2u allowed%s\n", what, batch, n, most,
                 n > most   ? "   <- TOO MANY"
                 : n < most ? "   (fewer: lower the table)"
                            : "");
    is_worse = is_worse || n > most;
    return n;
}

static void grown(const char *what, unsigned at_1, unsigned at_32)
{
    if (at_32 <= at_1)
        return;
    (void)printf(
        "%s: %u inner commands at batch 1 and %u at batch 32: a term that grows with the batch. Gather it into "
        "one command per turn (fields of the shard's hash, lists of ZADD), or it costs 2-4 us per step.\n",
        what, at_1, at_32);
    is_worse = true;
}

/* ---- The cases ---- */
static void claims(void)
{
    struct rig_turn t;
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        count_from_here();
        CHECK_OK(rig_turn(SESSION, GROUP, NULL, 0, &held[i]));
        CHECK(held[i].claim_count == GROUP);
        if (i > 0) /* the first also teaches Redis the shape of the playbook */
            (void)judge("turn: claims", 32);
    }
    count_from_here();
    CHECK_OK(rig_turn(SESSION, 32, NULL, 0, &t));
    CHECK(t.claim_count == 0);
    (void)judge("turn: nothing to do", 0);
}

static unsigned active_step(const struct queue_held *h)
{
    for (unsigned i = 0; i < h->record.step_count; i++)
        if (h->record.steps[i].state == STATE_ACTIVE)
            return i;
    rig_fail(__FILE__, __LINE__, "no step of this import is active");
}

/* Finishes (or saves) one step of each of the first `batch` imports of a group, and keeps what the answers say. */
static void finish(struct rig_turn *group, unsigned batch, enum queue_outcome outcome, uint32_t want)
{
    struct queue_item items[32];
    static struct queue_ahead aheads[32];
    struct rig_turn t;
    for (unsigned i = 0; i < batch; i++) {
        aheads[i] = (struct queue_ahead){group->claims[i].record, true};
        items[i] = rig_item(&group->claims[i], active_step(&group->claims[i]), outcome);
        items[i].journal = load_journal;
        items[i].ledger = load_ledger;
        items[i].ahead = is_computed ? &aheads[i] : NULL;
        items[i].result = outcome == OUTCOME_DONE ? load_result : NULL;
    }
    count_from_here();
    CHECK_OK(rig_turn_plain(SESSION, want, items, batch, &t));
    for (unsigned i = 0; i < batch; i++) {
        CHECK(t.items[i].ack == ACK_OK);
        group->claims[i] = t.items[i];
    }
    if (want)
        CHECK(t.claim_count == want);
}

static void turns(const char *what, struct rig_turn *groups, enum queue_outcome outcome)
{
    unsigned counts[ARRAY_LEN(batches)];
    for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
        finish(&groups[i], batches[i], outcome, 0);
        counts[i] = judge(what, batches[i]);
    }
    grown(what, counts[0], counts[ARRAY_LEN(batches) - 1]);
}

static unsigned quantum_ends(const char *what, struct rig_turn *group, unsigned batch)
{
    while (group->claims[0].record.run < TRANSITION_QUANTUM)
        finish(group, batch, OUTCOME_DONE, 0);
    finish(group, batch, OUTCOME_DONE, batch);
    CHECK(group->claims[0].record.session == 0);
    return judge(what, batch);
}

/* Others wait, so after a quantum a finish ends its hold, and the turn claims as many as went. */
static void ring_turns(void)
{
    static const char what[] = "turn: finishes and claims, the ring turns";
    struct dag dag = load_chain(25);
    unsigned counts[2];
    load_submit(64, &dag);
    for (size_t i = 0; i < 2; i++) {
        unsigned batch = i ? 32 : 1;
        counts[i] = quantum_ends(what, &held[8 + i], batch);
    }
    grown(what, counts[0], counts[1]);
}

/* Away with what the case before left in the ring. */
static void empty_the_ring(void)
{
    struct rig_turn t;
    do
        CHECK_OK(rig_turn(SESSION, 32, NULL, 0, &t));
    while (t.claim_count);
}

static void ends(void)
{
    static const char what[] = "turn: last steps, imports end";
    struct dag dag = load_chain(1);
    unsigned counts[2];
    struct rig_turn t;
    empty_the_ring();
    for (size_t i = 0; i < 2; i++) {
        unsigned batch = i ? 32 : 1;
        load_submit(batch, &dag);
        CHECK_OK(rig_turn(SESSION, 32, NULL, 0, &t));
        CHECK(t.claim_count == batch);
        finish(&t, batch, OUTCOME_DONE, 0);
        CHECK(t.claims[0].record.state == IMPORT_COMPLETED);
        counts[i] = judge(what, batch);
    }
    grown(what, counts[0], counts[1]);
}

/* The same with imports of groups: all of one, or each of another. What they add does not hang on how many groups there
 * are, nor on how many imports a group has. */
static void groups_claim(const char *what, uint32_t groups, uint32_t waiting)
{
    struct dag dag = load_chain(25);
    struct rig_turn t;
    unsigned counts[2];
    empty_the_ring();
    load_submit_groups(waiting, groups, &dag);
    for (size_t i = 0; i < 2; i++) {
        unsigned batch = i ? 32 : 1;
        count_from_here();
        CHECK_OK(rig_turn_plain(SESSION, batch, NULL, 0, &t));
        CHECK(t.claim_count == batch);
        counts[i] = judge(what, batch);
    }
    grown(what, counts[0], counts[1]);
}

static void groups_turn(uint32_t groups)
{
    static const char what[] = "turn: finishes and claims, the groups' ring turns";
    struct dag dag = load_chain(25);
    struct rig_turn held_now[2];
    unsigned counts[2];
    empty_the_ring();
    load_submit_groups(33, groups, &dag);
    CHECK_OK(rig_turn_plain(SESSION, 1, NULL, 0, &held_now[0]));
    CHECK_OK(rig_turn_plain(SESSION, 32, NULL, 0, &held_now[1]));
    load_submit_groups(96, groups, &dag);
    for (size_t i = 0; i < 2; i++) {
        unsigned batch = i ? 32 : 1;
        counts[i] = quantum_ends(what, &held_now[i], batch);
    }
    grown(what, counts[0], counts[1]);
}

static void groups_end(uint32_t groups)
{
    static const char what[] = "turn: last steps, imports of groups end";
    struct dag dag = load_chain(1);
    struct rig_turn t;
    unsigned counts[2];
    empty_the_ring();
    for (size_t i = 0; i < 2; i++) {
        unsigned batch = i ? 32 : 1;
        load_submit_groups(batch, groups, &dag);
        CHECK_OK(rig_turn(SESSION, 32, NULL, 0, &t));
        CHECK(t.claim_count == batch);
        finish(&t, batch, OUTCOME_DONE, 0);
        CHECK(t.claims[0].record.state == IMPORT_COMPLETED);
        counts[i] = judge(what, batch);
    }
    grown(what, counts[0], counts[1]);
}

static void groups(void)
{
    struct dag dag = load_chain(25);
    groups_claim("turn: claims of one group", 1, 2000);
    groups_claim("turn: claims of 32 groups", 32, 2000);
    groups_turn(1);
    groups_turn(32);
    groups_end(1);
    groups_end(32);
    empty_the_ring();
    count_from_here();
    load_submit_groups(1, 1, &dag);
    (void)judge("submit to a group", 1);
    load_submit_groups(2000, 1, &dag);
    count_from_here();
    CHECK_OK(rig_decide(queue_cancel, load_id(load_count() - 1000)));
    (void)judge("cancel in the middle of a group of 2,000", 1);
    empty_the_ring();
}

static void others(void)
{
    struct dag dag = load_chain(25);
    struct queue_beat reply;
    struct err err;
    count_from_here();
    load_submit(1, &dag);
    (void)judge("submit", 1);
    count_from_here();
    CHECK(queue_beat(rig.plain, "f", 0, SESSION, 60000, &reply, &err) == 0 && !reply.is_gone);
    (void)judge("beat", 1);
    count_from_here();
    (void)rig_tick();
    (void)judge("tick: nothing is due", 1);
}

int main(void)
{
    struct dag dag = load_chain(25);
    rig_start(NULL, 1, false);
    rig_open(false);
    load_submit(GROUPS * GROUP, &dag);
    CHECK_OK(rig_session(SESSION, 600000));
    claims();
    turns("turn: finishes, Redis decides", &held[0], OUTCOME_DONE);
    is_computed = true;
    turns("turn: finishes, nobody waits", &held[0], OUTCOME_DONE);
    turns("turn: intents saved", &held[4], OUTCOME_SAVE);
    ring_turns();
    ends();
    groups();
    others();
    rig_stop();
    return is_worse;
}
