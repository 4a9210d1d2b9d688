/* Who gets how many starts: a group counts once however many imports it has, a class has its weight, nobody starves, an
 * account never has more at work than its caps. Starts are counted, not seconds.
 *
 * One session with fewer slots than there are groups plays the workers of a busy fleet: what it finishes, it computes
 * ahead as workers do, and it claims as many imports as have left it. */
#include "tests/bench/load.h"

#include "common/base/mem.h"

#include <string.h>

#define SESSION 0x5151ULL
#define SLOTS_MAX 4
#define SUBJECTS 16 /* whose starts are counted: by group, and one by one those of no group */
#define BATCH_GROUP 1

struct held {
    struct queue_held h;
    struct queue_ahead ahead;
    size_t subject;
};
static struct world {
    struct held held[SLOTS_MAX];
    size_t held_count, slots;
    unsigned long long total, starts[SUBJECTS], first[SUBJECTS], last[SUBJECTS], gap_most[SUBJECTS];
    double fair[SUBJECTS];      /* what was due to it while it had work */
    unsigned repeats[SUBJECTS]; /* of one import: a step is begun and given back so many times before it is done */
    bool has_work[SUBJECTS];
    double weight[SUBJECTS];
    char single[SUBJECTS][IMPORT_ID_BYTES]; /* "": the subject is the group of its number */
} w;

static size_t subject_of(const struct queue_held *h)
{
    for (size_t i = 0; i < SUBJECTS; i++)
        if (*w.single[i] && str_eq(w.single[i], h->import_id))
            return i;
    CHECK(h->record.group && h->record.group < SUBJECTS);
    return h->record.group;
}

/* One start, and what each one with work would have got of it if all were fair. */
static void count_start(size_t subject)
{
    double all = 0;
    for (size_t i = 0; i < SUBJECTS; i++)
        all += w.has_work[i] ? w.weight[i] : 0;
    w.total++;
    if (!w.starts[subject])
        w.first[subject] = w.total;
    else if (w.total - w.last[subject] > w.gap_most[subject])
        w.gap_most[subject] = w.total - w.last[subject];
    w.starts[subject]++;
    w.last[subject] = w.total;
    for (size_t i = 0; i < SUBJECTS; i++)
        w.fair[i] += w.has_work[i] && w.starts[i] ? w.weight[i] / all : 0;
}

static unsigned active_step(const struct queue_held *h)
{
    unsigned i = 0;
    while (i < h->record.step_count && h->record.steps[i].state != STATE_ACTIVE)
        i++;
    CHECK(i < h->record.step_count);
    return i;
}

/* Chains: whatever we hold after an answer has one active step, and it is a fresh one. */
static void keep(const struct queue_held *h)
{
    size_t subject = subject_of(h);
    if (!h->record.remaining && *w.single[subject])
        w.has_work[subject] = false;
    if (h->record.session != SESSION)
        return;
    CHECK(w.held_count < w.slots);
    w.held[w.held_count++] = (struct held){*h, {h->record, true}, subject};
    count_start(subject);
}

/* What left us may have come back in the same turn. */
static bool is_claimed(const struct rig_turn *t, const char *id)
{
    for (size_t i = 0; i < t->claim_count; i++)
        if (str_eq(t->claims[i].import_id, id))
            return true;
    return false;
}

static void one_turn(void)
{
    struct queue_item items[SLOTS_MAX];
    struct held was[SLOTS_MAX];
    struct rig_turn t;
    size_t count = w.held_count;
    memcpy(was, w.held, sizeof was);
    for (size_t i = 0; i < count; i++) {
        unsigned step = active_step(&was[i].h);
        bool is_done = w.starts[was[i].subject] % (w.repeats[was[i].subject] + 1) == 0;
        items[i] = rig_item(&was[i].h, step, is_done ? OUTCOME_DONE : OUTCOME_INTERRUPT);
        items[i].ahead = &was[i].ahead;
    }
    CHECK_OK(rig_turn_plain(SESSION, (uint32_t)(w.slots - count), items, count, &t));
    w.held_count = 0;
    for (size_t i = 0; i < t.item_count; i++) {
        CHECK(t.items[i].ack == ACK_OK);
        if (!is_claimed(&t, t.items[i].import_id))
            keep(&t.items[i]);
    }
    for (size_t i = 0; i < t.claim_count; i++)
        keep(&t.claims[i]);
}

static void run_starts(unsigned long long starts)
{
    unsigned long long until = w.total + starts;
    while (w.total < until)
        one_turn();
}

static void begin(size_t slots)
{
    w = (struct world){.slots = slots};
    for (size_t i = 0; i < SUBJECTS; i++)
        w.weight[i] = RECORD_WEIGHT;
    CHECK_OK(rig_session(SESSION, 6000000));
}

/* All that is left goes, so that the next test has the ring for itself. */
static void end_unaudited(void)
{
    CHECK_OK(rig_session_close(SESSION));
    freeReplyObject(rig_command("FLUSHALL"));
    rig_close();
    rig_open(true);
}

static void end(void)
{
    rig_audit();
    end_unaudited();
}

static void submit_single(size_t subject, unsigned steps, uint8_t weight)
{
    struct dag dag = load_chain(steps);
    load_submit_share(1, (struct rig_share){0, weight}, &dag);
    (void)snprintf(w.single[subject], sizeof w.single[subject], "%s", load_id(load_count() - 1));
    w.has_work[subject] = true;
    w.weight[subject] = weight;
}

static void submit_group(size_t subject, uint32_t imports, uint8_t weight)
{
    struct dag dag = load_chain(25);
    load_submit_share(imports, (struct rig_share){(uint32_t)subject, weight}, &dag);
    w.has_work[subject] = true;
    w.weight[subject] = weight;
}

static void is_within_5_percent(size_t subject)
{
    double off = (double)w.starts[subject] / w.fair[subject] - 1;
    (void)printf("  %zu: %llu starts, %.1f were due, %+.2f %%\n", subject, w.starts[subject], w.fair[subject],
                 100 * off);
    CHECK(off <= 0.05 && off >= -0.05);
}

/* ---- Groups --------------------------------------------------------------------------------------------------------
 */
/* The batch is held for eight starts at a time and a single one for one: what is shared is work, not turns. */
static void batch_and_singles(size_t slots, uint32_t imports)
{
    unsigned long long submitted[SUBJECTS];
    begin(slots);
    submit_group(BATCH_GROUP, imports, RECORD_WEIGHT);
    run_starts(2000);
    for (size_t i = 2; i < 12; i++) {
        w.repeats[i] = 9;
        submit_single(i, 60, RECORD_WEIGHT);
        submitted[i] = w.total;
        run_starts(300);
        /* Whatever is at work comes to the end of its quantum, and everybody else may stand before it once. */
        (void)printf("  %zu began %llu starts after it came\n", i, w.first[i] - submitted[i]);
        CHECK(w.first[i] - submitted[i] <= TRANSITION_QUANTUM * (slots + 11));
    }
}

static bool all_have_work(void)
{
    size_t n = 0;
    for (size_t i = 0; i < SUBJECTS; i++)
        n += w.has_work[i];
    return n == 11;
}

static void ten_single_imports_get_their_share_beside_a_batch_of_ten_thousand(void)
{
    batch_and_singles(1, 10000);
    for (size_t i = 2; i < 12; i++)
        while (w.has_work[i])
            one_turn();
    for (size_t i = 2; i < 12; i++)
        is_within_5_percent(i);
    CHECK(rig_number("ZCARD f:{0}:ring") <= 1); /* the batch: one place */
    end_unaudited(); /* ten thousand are many to walk; the next test is the same with fewer */
}

/* With several slots one import alone, which is at one place at a time, can use no more than one of them: so only where
 * more want to work than there are slots is there a share to speak of. */
static void so_they_do_where_several_work_at_once(void)
{
    batch_and_singles(4, 1000);
    memset(w.starts, 0, sizeof w.starts);
    memset(w.fair, 0, sizeof w.fair);
    while (all_have_work())
        one_turn();
    for (size_t i = 2; i < 12; i++)
        is_within_5_percent(i);
    end();
}

/* Who comes late or comes back has saved nothing up, and owes nothing for what it used while it was alone. */
static void a_group_that_comes_later_shares_from_then_on(void)
{
    begin(4);
    submit_group(1, 600, RECORD_WEIGHT);
    run_starts(3000);
    unsigned long long before = w.starts[1];
    submit_group(2, 600, RECORD_WEIGHT);
    run_starts(3000);
    double share = (double)w.starts[2] / 3000;
    (void)printf("  %llu and %llu starts\n", w.starts[1] - before, w.starts[2]);
    CHECK(share > 0.475 && share < 0.525);
    end();
}

static void one_fault(const char *invariant)
{
    json_auto_t *faults = rig_audit_faults();
    const char *text = json_string_value(json_array_get(faults, 0));
    CHECK(text && str_starts(text, invariant));
}

static void the_audit_sees_what_is_wrong_with_a_group(void)
{
    begin(4);
    submit_group(5, 6, RECORD_WEIGHT);
    run_starts(4);
    CHECK(rig_number("ZCARD f:{0}:ring") == 1);
    redisReply *field = rig_command("HGET f:{0}:h g:00000005"), *score = rig_command("ZSCORE f:{0}:ring g:00000005"),
               *id = rig_command("HGET f:{0}:h q:00000005:4");
    CHECK(field->type == REDIS_REPLY_STRING && score->type == REDIS_REPLY_STRING && id->type == REDIS_REPLY_STRING);
    freeReplyObject(rig_command("ZINCRBY f:{0}:ring 1 g:00000005"));
    one_fault("I1: g:00000005");
    freeReplyObject(rig_command("ZREM f:{0}:ring g:00000005"));
    one_fault("I1: g:00000005");
    freeReplyObject(rig_command("ZADD f:{0}:ring %s g:00000005", score->str));
    rig_audit();
    freeReplyObject(rig_command("HDEL f:{0}:h q:00000005:4"));
    one_fault("I1: imp_");
    freeReplyObject(rig_command("HSET f:{0}:h q:00000005:4 %s q:00000005:9 %s", id->str, id->str));
    one_fault("I1: g:00000005"); /* one place more than the queue is long */
    freeReplyObject(rig_command("HDEL f:{0}:h q:00000005:9"));
    rig_audit();
    static const size_t counters[] = {8, 16, 24}; /* first, next, open */
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        field->str[counters[i]]++;
        freeReplyObject(rig_command("HSET f:{0}:h g:00000005 %b", field->str, field->len));
        one_fault("I");
        field->str[counters[i]]--;
    }
    freeReplyObject(rig_command("HSET f:{0}:h g:00000005 %b", field->str, field->len));
    rig_audit();
    freeReplyObject(field);
    freeReplyObject(score);
    freeReplyObject(id);
    end();
}

/* What leaves from the middle, in any order, leaves a whole queue; with the last open import the group is gone. */
static void any_order_of_leaving_leaves_a_whole_queue(void)
{
    static const unsigned order[] = {5, 0, 8, 3, 9, 1, 7, 4, 2, 6};
    begin(1);
    uint64_t first = load_count();
    submit_group(3, 10, RECORD_WEIGHT);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        CHECK_OK(rig_decide(i % 2 ? queue_cancel : queue_pause, load_id(first + order[i])));
        rig_audit();
    }
    CHECK(rig_number("ZCARD f:{0}:ring") == 0 && rig_number("HEXISTS f:{0}:h g:00000003") == 1);
    for (size_t i = 0; i < ARRAY_LEN(order); i += 2) {
        CHECK_OK(rig_decide(queue_resume, load_id(first + order[i])));
        rig_audit();
        CHECK_OK(rig_decide(queue_cancel, load_id(first + order[i])));
    }
    CHECK(rig_number("HEXISTS f:{0}:h g:00000003") == 0);
    end();
}

/* ---- Classes -------------------------------------------------------------------------------------------------------
 */
static void classes_share_by_weight_and_none_starves(void)
{
    static const uint8_t weights[] = {0, 16, 4, 1};
    begin(4);
    for (size_t i = 1; i <= 3; i++)
        submit_group(i, 700, weights[i]);
    run_starts(15000);
    for (size_t i = 1; i <= 3; i++) {
        is_within_5_percent(i);
        /* At worst it had all slots for a quantum at once, and now the others get what they weigh against that; what
         * they hold comes to its end besides. README.md states it. */
        unsigned long long bound = TRANSITION_QUANTUM * w.slots * (21U / weights[i] + 1);
        (void)printf("     waited for %llu starts at most, %llu are the bound\n", w.gap_most[i], bound);
        CHECK(w.gap_most[i] <= bound);
    }
    end();
}

/* A stream of urgent imports that never ends does not keep a bulk one from its end. */
static void one_bulk_import_ends_beside_urgent_ones_without_end(void)
{
    begin(2);
    for (size_t i = 1; i <= 8; i++)
        submit_group(i, 100, 16);
    run_starts(500);
    submit_single(9, 24, 1);
    unsigned long long before = w.total;
    while (w.has_work[9]) {
        CHECK(w.total - before < 3 * TRANSITION_QUANTUM * 2 * (8 * 16 + 1)); /* three quanta of its steps */
        one_turn();
    }
    (void)printf("  24 starts of it among %llu\n", w.total - before);
    CHECK(w.starts[9] == 24);
    end();
}

/* ---- Caps ----------------------------------------------------------------------------------------------------------
 */
#define WORKERS 6
#define ACCOUNTS 24
struct seen {
    unsigned writers, readers, all;
};
static struct seen most;
static struct dag wide;

/* The record tells all of an account: it has one open import, and that one record. */
static struct seen count_active(const struct record *r)
{
    struct seen s = {0};
    for (unsigned i = 0; i < r->step_count; i++) {
        bool is_active = r->steps[i].state == STATE_ACTIVE;
        s.all += is_active;
        s.writers += is_active && wide.steps[i].class_ == DAG_WRITER;
        s.readers += is_active && wide.steps[i].class_ == DAG_READER;
    }
    return s;
}

/* Never more than allowed, and never less than it could be: what is left waits for a cap, not for nothing. */
static void check_caps(const struct record *r, bool others_wait)
{
    struct seen s = count_active(r);
    CHECK(s.writers <= TRANSITION_WRITERS_MAX && s.readers <= TRANSITION_READERS_MAX && s.all <= TRANSITION_ACTIVE_MAX);
    most.writers = s.writers > most.writers ? s.writers : most.writers;
    most.readers = s.readers > most.readers ? s.readers : most.readers;
    most.all = s.all > most.all ? s.all : most.all;
    for (unsigned i = 0; r->session && i < r->step_count; i++) {
        uint8_t class_ = wide.steps[i].class_;
        bool is_waiting = r->steps[i].state == STATE_BLOCKED;
        bool has_room = s.all < TRANSITION_ACTIVE_MAX && (class_ != DAG_WRITER || s.writers < TRANSITION_WRITERS_MAX) &&
                        (class_ != DAG_READER || s.readers < TRANSITION_READERS_MAX);
        CHECK(!is_waiting || !has_room || (others_wait && r->run >= TRANSITION_QUANTUM));
    }
}

static uint64_t draw(void)
{
    static uint64_t chance = 88172645463325252ULL;
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance >> 16;
}

/* Some of what a worker has at work comes to its end, a little of it looks again at once. */
static size_t some_items(const struct queue_held *held, struct queue_item *items)
{
    size_t count = 0;
    for (unsigned i = 0; i < held->record.step_count && count < 4; i++) {
        if (held->record.steps[i].state != STATE_ACTIVE || draw() % 2)
            continue;
        items[count] = rig_item(held, i, OUTCOME_DONE);
        if (draw() % 8 == 0)
            items[count].outcome = OUTCOME_SLEEP; /* for no time: begun again */
        count++;
    }
    return count;
}

static void caps_hold_exactly_under_many_workers(void)
{
    static struct queue_held held[WORKERS][ACCOUNTS];
    uint64_t sessions[WORKERS];
    size_t counts[WORKERS] = {0}, left = ACCOUNTS;
    char existing[IMPORT_ID_BYTES], id[IMPORT_ID_BYTES], account[32];
    /* Readers first: without their cap they would take all five places. */
    wide = rig_dag("0r 1r 2r 3r 4r 5r 6w 7w 8w 9 10 11 12:6w 13:0r 14:9 15:7w 16:1r 17:10 18r 19r");
    most = (struct seen){0};
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        (void)snprintf(id, sizeof id, "imp_00cap%u", i);
        (void)snprintf(account, sizeof account, "aws/%012u", i);
        CHECK_OK(rig_submit_as(id, account, &wide, NULL, (struct rig_share){i % 5, RECORD_WEIGHT}, existing));
        CHECK_ERR(rig_submit("imp_00capx", account, &wide, NULL, existing), ERR_IMPORT_EXISTS);
    }
    for (size_t k = 0; k < WORKERS; k++) {
        sessions[k] = 0x7000 + k;
        CHECK_OK(rig_session(sessions[k], 6000000));
    }
    for (unsigned long n = 0; left; n++) {
        struct queue_item items[32];
        struct rig_turn t;
        size_t k = draw() % WORKERS, count = 0;
        if (counts[k])
            count = some_items(&held[k][draw() % counts[k]], items);
        CHECK_OK(rig_turn(sessions[k], 1, items, count, &t));
        for (size_t i = 0; i < t.item_count; i++)
            CHECK(t.items[i].ack == ACK_OK);
        size_t now = 0;
        for (size_t i = 0; i < counts[k]; i++) {
            struct queue_held *h = &held[k][i];
            if (t.item_count && str_eq(t.items[0].import_id, h->import_id)) {
                h->record = t.items[0].record;
                check_caps(&h->record, true);
                left -= !h->record.remaining;
            }
            if (h->record.session == sessions[k] && !is_claimed(&t, h->import_id))
                held[k][now++] = *h;
        }
        for (size_t i = 0; i < t.claim_count; i++) {
            check_caps(&t.claims[i].record, true);
            held[k][now++] = t.claims[i];
        }
        counts[k] = now;
        CHECK(n < 20000);
    }
    (void)printf("  at most %u writers, %u readers, %u steps of an account at once\n", most.writers, most.readers,
                 most.all);
    CHECK(most.writers == TRANSITION_WRITERS_MAX && most.readers == TRANSITION_READERS_MAX &&
          most.all == TRANSITION_ACTIVE_MAX);
    for (size_t k = 0; k < WORKERS; k++)
        CHECK_OK(rig_session_close(sessions[k]));
    rig_audit();
}

int main(void)
{
    rig_verify = 16;
    rig_start("appendonly no", 1, false);
    rig_open(true);
    RUN(caps_hold_exactly_under_many_workers);
    RUN(ten_single_imports_get_their_share_beside_a_batch_of_ten_thousand);
    RUN(so_they_do_where_several_work_at_once);
    RUN(a_group_that_comes_later_shares_from_then_on);
    RUN(the_audit_sees_what_is_wrong_with_a_group);
    RUN(any_order_of_leaving_leaves_a_whole_queue);
    RUN(classes_share_by_weight_and_none_starves);
    RUN(one_bulk_import_ends_beside_urgent_ones_without_end);
    rig_stop();
    return 0;
}
