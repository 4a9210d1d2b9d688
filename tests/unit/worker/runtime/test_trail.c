/* What an import knows of CloudTrail, over a year that CloudTrail itself remembers 90 days of: a clock that the test
 * holds, holders who come and go, a store that may refuse. */
#include "tests/unit/test.h"

#include "common/base/mem.h"
#include "worker/runtime/trail.h"

#define DAY_MS 86400000ull
#define BEGAN_MS 1795428000000ull
#define STORE_MAX 128
#define MANY 20000u

static const struct attribution_scope ours = {.ours = {.import_id = "imp_1"}, .account_id = "111122223333"};

/* ---- CloudTrail: one event each day, told two minutes late, forgotten after 90 days ---- */
static json_t *event_of(unsigned day)
{
    return json_make("{s:o, s:s, s:s, s:I, s:s, s:s}", "id", json_sprintf("day-%u", day), "name", "CreateRole",
                     "source", "iam.amazonaws.com", "at_ms", (json_int_t)(BEGAN_MS + day * DAY_MS), "user_type",
                     "IAMUser", "user", "arn:aws:iam::111122223333:user/terraform");
}

static json_t *lookup(uint64_t from_ms, uint64_t now_ms)
{
    json_t *list = json_array();
    for (unsigned day = 0; BEGAN_MS + day * DAY_MS + 120000 <= now_ms; day++)
        if (BEGAN_MS + day * DAY_MS >= from_ms && BEGAN_MS + (day + 90) * DAY_MS >= now_ms)
            (void)json_array_append_new(list, event_of(day));
    return list;
}

/* ---- The store ---- */
struct store {
    struct entry {
        char *name, *bytes;
        size_t len;
    } entries[STORE_MAX];
    size_t count, puts;
};

static void store_set(struct store *s, const struct queue_trail_part *part)
{
    size_t at = 0;
    while (at < s->count && strcmp(s->entries[at].name, part->name) != 0)
        at++;
    assert_true(at < STORE_MAX);
    if (at == s->count)
        s->entries[s->count++].name = mem_dup(part->name);
    mem_free(s->entries[at].bytes);
    s->entries[at].bytes = mem_dup_bytes(part->bytes, part->len);
    s->entries[at].len = part->len;
}

static void store_remove(struct store *s, const char *name)
{
    for (size_t at = 0; at < s->count; at++) {
        if (strcmp(s->entries[at].name, name) != 0)
            continue;
        mem_free(s->entries[at].name);
        mem_free(s->entries[at].bytes);
        s->entries[at] = s->entries[--s->count];
        s->entries[s->count] = (struct entry){0};
        return;
    }
}

static void store_clear(struct store *s)
{
    while (s->count)
        store_remove(s, s->entries[0].name);
}

static void put(struct store *s, struct trail *t, bool arrives)
{
    struct trail_save save;
    trail_save_begin(t, &ours, &save);
    for (size_t i = 0; arrives && i < save.count; i++)
        store_set(s, &save.parts[i]);
    s->puts += save.count > 0;
    size_t i = 0;
    json_t *name = NULL;
    json_array_foreach (save.gone, i, name)
        if (arrives)
            store_remove(s, json_string_value(name));
    trail_save_end(t, &save, arrives);
}

static void take_over(struct store *s, struct trail *t)
{
    struct queue_trail_part parts[STORE_MAX];
    for (size_t i = 0; i < s->count; i++)
        parts[i] = (struct queue_trail_part){s->entries[i].name, s->entries[i].bytes, s->entries[i].len};
    trail_init(t, "us-east-1");
    trail_absorb(t, parts, s->count);
}

static uint64_t look(struct trail *t, uint64_t now_ms)
{
    uint64_t from = trail_from(t, BEGAN_MS);
    json_auto_t *found = lookup(from, now_ms);
    trail_merge(t, found, now_ms, MANY, &ours);
    return from;
}

static bool knows(const struct trail *t, unsigned day)
{
    size_t i = 0, times = 0;
    json_t *event = NULL;
    char id[24];
    (void)snprintf(id, sizeof id, "day-%u", day);
    json_array_foreach (t->list, i, event)
        times += str_eq(json_str_at(event, "id"), id);
    assert_true(times <= 1);
    return times == 1;
}

/* ---- */
static void a_year_is_known_whole_whoever_holds_it(void **state UNUSED)
{
    struct store s = {0};
    struct trail t;
    trail_init(&t, "us-east-1");
    size_t most = 0;
    for (uint64_t hour = 0; hour <= 365 * 24; hour += 6) {
        uint64_t now = BEGAN_MS + hour * 3600000 + 600000, last = t.until_ms;
        if (hour % (24 * 13) == 12 && hour) { /* every 13 days the worker dies */
            trail_done(&t);
            take_over(&s, &t);
            assert_int_equal(t.until_ms, last); /* and the next one goes on where it was */
        }
        uint64_t from = look(&t, now);
        assert_true(!last || from == last - TRAIL_OVERLAP_MS);
        put(&s, &t, true);
        most = s.count > most ? s.count : most;
    }
    for (unsigned day = 0; day <= 365; day++)
        assert_true(knows(&t, day));
    assert_int_equal(json_array_size(t.list), 366);
    assert_int_equal(json_int_at(json_array_get(t.list, 0), "at_ms"), BEGAN_MS);
    assert_true(most > 10 && most <= TRAIL_SEGMENTS_MAX + 1); /* and the cursor */
    trail_done(&t);
    store_clear(&s);
}

static void a_cursor_alone_is_stored_now_and_then(void **state UNUSED)
{
    struct store s = {0};
    struct trail t;
    trail_init(&t, "us-east-1");
    for (unsigned second = 0; second <= 3600; second += 10) {
        look(&t, BEGAN_MS + 200000 + second * 1000);
        put(&s, &t, true);
    }
    assert_true(s.puts >= 12 && s.puts <= 14); /* 361 looks, one event */
    trail_done(&t);
    take_over(&s, &t);
    assert_true(t.until_ms > BEGAN_MS + 3400000 && knows(&t, 0));
    trail_done(&t);
    store_clear(&s);
}

static void what_was_not_stored_is_stored_with_the_next(void **state UNUSED)
{
    struct store s = {0};
    struct trail t;
    trail_init(&t, "us-east-1");
    for (unsigned day = 0; day < 3; day++) {
        look(&t, BEGAN_MS + day * DAY_MS + 600000);
        put(&s, &t, day != 1);
    }
    trail_done(&t);
    take_over(&s, &t);
    assert_true(knows(&t, 0) && knows(&t, 1) && knows(&t, 2));
    trail_done(&t);
    store_clear(&s);
}

/* The first holder is cut off with what it found, lives on, makes one segment of what it knows, and dies. */
static void a_late_writer_takes_nothing_away(void **state UNUSED)
{
    struct store s = {0};
    struct trail zombie, holder, last;
    trail_init(&zombie, "us-east-1");
    for (unsigned day = 0; day < TRAIL_SEGMENTS_MAX; day++) {
        look(&zombie, BEGAN_MS + day * DAY_MS + 600000);
        put(&s, &zombie, true);
    }
    take_over(&s, &holder);
    look(&zombie, BEGAN_MS + 32 * DAY_MS + 600000);
    for (unsigned day = 33; day < 36; day++) {
        look(&holder, BEGAN_MS + day * DAY_MS + 600000);
        put(&s, &holder, true);
    }
    put(&s, &zombie, true); /* one segment for all, and an old cursor */
    take_over(&s, &last);
    for (unsigned day = 0; day < 36; day++)
        assert_true(knows(&last, day));
    trail_done(&zombie);
    trail_done(&holder);
    trail_done(&last);
    store_clear(&s);
}

static void a_torn_segment_is_asked_for_again_and_replaced(void **state UNUSED)
{
    struct store s = {0};
    struct trail t;
    trail_init(&t, "us-east-1");
    for (unsigned day = 0; day < 3; day++) {
        look(&t, BEGAN_MS + day * DAY_MS + 600000);
        put(&s, &t, true);
    }
    trail_done(&t);
    for (size_t i = 0; i < s.count; i++)
        if (strchr(s.entries[i].name, '/'))
            s.entries[i].bytes[s.entries[i].len / 2] ^= 0x55;
    take_over(&s, &t);
    assert_true(t.is_torn);
    assert_int_equal(look(&t, BEGAN_MS + 3 * DAY_MS + 600000), BEGAN_MS - TRAIL_OVERLAP_MS);
    put(&s, &t, true);
    trail_done(&t);
    take_over(&s, &t);
    assert_false(t.is_torn);
    for (unsigned day = 0; day < 4; day++)
        assert_true(knows(&t, day));
    assert_int_equal(s.count, 2);
    trail_done(&t);
    store_clear(&s);
}

static void another_region_is_another_trail(void **state UNUSED)
{
    struct store s = {0};
    struct trail t, other;
    trail_init(&t, "us-east-1");
    look(&t, BEGAN_MS + 600000);
    put(&s, &t, true);
    trail_done(&t);
    take_over(&s, &t);
    struct queue_trail_part parts[STORE_MAX];
    for (size_t i = 0; i < s.count; i++)
        parts[i] = (struct queue_trail_part){s.entries[i].name, s.entries[i].bytes, s.entries[i].len};
    trail_init(&other, "us-east-2");
    trail_absorb(&other, parts, s.count);
    assert_true(knows(&t, 0));
    assert_int_equal(json_array_size(other.list), 0);
    assert_int_equal(other.until_ms, 0);
    trail_done(&t);
    trail_done(&other);
    store_clear(&s);
}

/* ---- Bounds ---- */
static json_t *noise(unsigned n)
{
    char digest[65];
    json_auto_t *seed = json_integer(n);
    json_digest(seed, digest); /* hardly compressible */
    return json_make("{s:o, s:s, s:s, s:I, s:s, s:s, s:s}", "id", json_sprintf("noise-%u", n), "name",
                     "CreateLogStream", "source", "logs.amazonaws.com", "at_ms", (json_int_t)(BEGAN_MS + n),
                     "user_type", "AssumedRole", "user", "arn:aws:sts::111122223333:assumed-role/app/x", "hash",
                     digest);
}

static bool has_id(const struct trail *t, const char *id)
{
    size_t i = 0;
    json_t *event = NULL;
    json_array_foreach (t->list, i, event)
        if (str_eq(json_str_at(event, "id"), id))
            return true;
    return false;
}

static void what_can_prove_nothing_goes_first(void **state UNUSED)
{
    struct trail t;
    json_auto_t *found = json_array();
    (void)json_array_append_new(found, event_of(0)); /* somebody made a role: the oldest of all */
    (void)json_array_append_new(found, json_make("{s:s, s:s, s:s, s:I, s:s, s:s}", "id", "ours", "name",
                                                 "PutMetricData", "source", "monitoring.amazonaws.com", "at_ms",
                                                 (json_int_t)BEGAN_MS, "user_type", "AssumedRole", "user",
                                                 "arn:aws:sts::111122223333:assumed-role/bootstrap/imp_1"));
    (void)json_array_append_new(found, json_make("{s:s, s:s, s:s, s:I, s:s, s:s}", "id", "root", "name", "Anything",
                                                 "source", "new.amazonaws.com", "at_ms", (json_int_t)BEGAN_MS,
                                                 "user_type", "Root", "user", "arn:aws:iam::111122223333:root"));
    (void)json_array_append_new(found,
                                json_make("{s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "id", "refused", "name", "CreateRole",
                                          "source", "iam.amazonaws.com", "at_ms", (json_int_t)BEGAN_MS, "user_type",
                                          "IAMUser", "user", "x", "error", "AccessDenied"));
    for (unsigned n = 1; n <= 100; n++)
        (void)json_array_append_new(found, noise(n));
    trail_init(&t, "us-east-1");
    trail_merge(&t, found, BEGAN_MS + 1000, 50, &ours);
    assert_int_equal(json_array_size(t.list), 50);
    assert_true(has_id(&t, "day-0") && has_id(&t, "ours") && has_id(&t, "root") && has_id(&t, "noise-100"));
    assert_false(has_id(&t, "refused") || has_id(&t, "noise-1"));
    trail_shed(&t, 2, &ours);
    assert_int_equal(json_array_size(t.list), 2);
    trail_done(&t);
}

static void the_store_stays_within_its_bytes(void **state UNUSED)
{
    struct store s = {0};
    struct trail t;
    trail_init(&t, "us-east-1");
    json_auto_t *first = json_array();
    (void)json_array_append_new(first, event_of(0));
    trail_merge(&t, first, BEGAN_MS + 600000, MANY, &ours);
    put(&s, &t, true);
    for (unsigned batch = 0; batch < 40; batch++) {
        json_auto_t *found = json_array();
        for (unsigned n = 0; n < 700; n++)
            (void)json_array_append_new(found, noise(batch * 700 + n + 1));
        trail_merge(&t, found, BEGAN_MS + 600000 + batch, MANY, &ours);
        put(&s, &t, true);
        size_t bytes = 0;
        for (size_t i = 0; i < s.count; i++)
            bytes += s.entries[i].len;
        assert_true(bytes <= TRAIL_STORED_BYTES_MAX + 32);
    }
    trail_done(&t);
    take_over(&s, &t);
    assert_true(knows(&t, 0)); /* 28,000 events of no use came after it */
    trail_done(&t);
    store_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_year_is_known_whole_whoever_holds_it),
        cmocka_unit_test(a_cursor_alone_is_stored_now_and_then),
        cmocka_unit_test(what_was_not_stored_is_stored_with_the_next),
        cmocka_unit_test(a_late_writer_takes_nothing_away),
        cmocka_unit_test(a_torn_segment_is_asked_for_again_and_replaced),
        cmocka_unit_test(another_region_is_another_trail),
        cmocka_unit_test(what_can_prove_nothing_goes_first),
        cmocka_unit_test(the_store_stays_within_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
