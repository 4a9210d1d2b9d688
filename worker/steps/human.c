/* The task builder and the reading of evidence. Pure but for human_ask and human_opened. */
#include "worker/steps/human.h"

#include "common/base/assert.h"

#define HOUR_MS (3600U * 1000U)
#define DAY_MIN (24 * 60)

static bool is_sentence(const char *text, size_t bytes_max)
{
    return text && text[0] && strlen(text) <= bytes_max;
}

static void assert_bounds(const struct human_task *t)
{
    ASSERT(str_in_list("customer,operator,customer+operator", t->party));
    ASSERT(is_sentence(t->title, 100));
    ASSERT(is_sentence(t->actions[0], 400));
    ASSERT(t->link && str_starts(t->link, "https://"));
    ASSERT(is_sentence(t->check, 500) && is_sentence(t->worst, 500) && is_sentence(t->undo, 500));
    ASSERT(t->due_hours > 0 && t->opened_ms > 0);
    ASSERT(!t->input_key == !t->input_label && !t->input_key == !t->input_pattern);
}

static json_t *actions_of(const struct human_task *t)
{
    json_t *actions = json_array();
    for (size_t i = 0; i < HUMAN_ACTIONS_MAX && t->actions[i]; i++) {
        ASSERT(is_sentence(t->actions[i], 400));
        json_array_append_new(actions, json_string(t->actions[i]));
    }
    return actions;
}

static json_t *input_of(const struct human_task *t)
{
    if (!t->input_key)
        return json_null();
    return json_make("{s:s,s:s,s:s}", "key", t->input_key, "label", t->input_label, "pattern", t->input_pattern);
}

uint64_t human_opened(struct step *s)
{
    return step_now(s, "opened");
}

enum step_result human_ask(struct step *s, const struct human_task *t)
{
    assert_bounds(t);
    const char *check = t->notice ? step_text(s, "%s %s", t->notice, t->check) : t->check;
    json_t *task =
        json_make("{s:s,s:s,s:o,s:s,s:s,s:s,s:s,s:I,s:o,s:b,s:b,s:o}", "party", t->party, "title", t->title, "actions",
                  actions_of(t), "link", t->link, "check", check, "worst", t->worst, "undo", t->undo, "due_ms",
                  (json_int_t)(t->opened_ms + (uint64_t)t->due_hours * HOUR_MS), "input", input_of(t), "attest",
                  (int)t->attest, "second_person", (int)t->second_person, "data", t->data ? t->data : json_object());
    return step_human(s, task);
}

/* ---- Evidence
 * ---------------------------------------------------------------------------------------------------------- */
/* CloudTrail's times are whole seconds: an event in the second of the opening counts. */
static bool is_since(int64_t at_ms, uint64_t since_ms)
{
    return at_ms >= 0 && (uint64_t)at_ms >= since_ms / 1000 * 1000;
}

const json_t *human_event(const json_t *events, const char *names, const char *user_type, uint64_t since_ms)
{
    const json_t *latest = NULL;
    size_t i = 0;
    json_t *event = NULL;
    json_array_foreach ((json_t *)(uintptr_t)events, i, event) {
        bool fits = str_in_list(names, json_str_at(event, "name")) && is_since(json_int_at(event, "at_ms"), since_ms) &&
                    (!user_type[0] || str_eq(json_str_at(event, "user_type"), user_type));
        if (fits && (!latest || json_int_at(event, "at_ms") >= json_int_at(latest, "at_ms")))
            latest = event;
    }
    return latest;
}

json_t *human_evidence(const json_t *event)
{
    char digest[65];
    json_digest(event, digest);
    return json_make("{s:s,s:s,s:s,s:I,s:s,s:s,s:s}", "event_id", json_str_at(event, "id"), "name",
                     json_str_at(event, "name"), "source", json_str_at(event, "source"), "at_ms",
                     (json_int_t)json_int_at(event, "at_ms"), "user_type", json_str_at(event, "user_type"), "ip",
                     json_str_at(event, "ip"), "hash", json_str_or(event, "hash", digest));
}

const json_t *human_word(const struct step *s, uint64_t since_ms)
{
    const json_t *done = step_signal(s, "done");
    if (!done || !json_str_at(done, "by")[0] || !json_str_at(done, "note")[0])
        return NULL;
    return !json_has(done, "at_ms") || is_since(json_int_at(done, "at_ms"), since_ms) ? done : NULL;
}

void human_take_word(struct step *s, const json_t *word)
{
    const char *second = json_str_at(word, "second_person");
    json_t *kept = json_make("{s:s,s:s,s:I}", "by", json_str_at(word, "by"), "note", json_str_at(word, "note"), "at_ms",
                             (json_int_t)json_int_at(word, "at_ms"));
    bool is_second = second[0] && !str_eq(second, json_str_at(word, "by"));
    if (is_second)
        json_put_str(kept, "second_person", second);
    step_set(s, "attested", kept);
    step_grade(s, is_second ? "attested+second_person" : "attested");
}

json_t *human_root_devices(const json_t *facts)
{
    json_t *serials = json_array(), *device = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(facts, "devices"), i, device) {
        if (str_ends(json_str_at(device, "user_arn"), ":root"))
            json_array_append_new(serials, json_string(json_str_at(device, "serial")));
    }
    json_sort_by(serials, NULL);
    return serials;
}

const json_t *human_root_before(const json_t *fingerprint_before)
{
    const json_t *sections = json_at(fingerprint_before, "fingerprint.sections");
    return json_object_get(json_object_get(sections, "iam.account"),
                           "root"); /* the section's name has a dot: no path */
}

uint64_t human_taken_ms(const json_t *fingerprint_before)
{
    int64_t began_ms = json_int_at(fingerprint_before, "began_ms"); /* older ones do not say */
    return (uint64_t)(began_ms ? began_ms : json_int_at(fingerprint_before, "fingerprint.taken_ms"));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool human_is_same_email(const char *a, const char *b)
{
    for (; *a && lower(*a) == lower(*b); a++)
        b++;
    return *a == *b;
}

/* ---- Staffed hours
 * ------------------------------------------------------------------------------------------------------ */
/* "08:30" as minutes of the day; -1 when it is not that. */
static int minutes_of(const char *text)
{
    for (int i = 0; i < 5; i++) {
        bool fits = i == 2 ? text[i] == ':' : text[i] >= '0' && text[i] <= '9';
        if (!fits)
            return -1;
    }
    return ((text[0] - '0') * 10 + text[1] - '0') * 60 + (text[3] - '0') * 10 + text[4] - '0';
}

/* "UTC" or "+05:30": minutes east. The planner lets nothing else in: names of places would need a clock database, which
 * a step may not read. */
static int zone_minutes(const char *zone)
{
    int minutes = zone[0] == '+' || zone[0] == '-' ? minutes_of(zone + 1) : 0;
    if (minutes < 0)
        return 0;
    return zone[0] == '-' ? -minutes : minutes;
}

static bool is_staffed_day(const json_t *days, int64_t day)
{
    static const char *const names[] = {"thu", "fri", "sat", "sun", "mon", "tue", "wed"}; /* 1970 began on a Thursday */
    return json_array_size(days) == 0 || json_array_has_str(days, names[day % 7]);
}

uint64_t human_staffed_wait(const json_t *staffed, uint64_t at_ms)
{
    const char *hours = json_str_or(staffed, "hours", "00:00-24:00");
    int from = minutes_of(hours), to = strlen(hours) == 11 ? minutes_of(hours + 6) : -1;
    if (!json_is_object(staffed) || from < 0 || to <= from)
        return 0;
    int64_t shift = zone_minutes(json_str_or(staffed, "timezone", "UTC"));
    int64_t now = (int64_t)(at_ms / 60000) + shift; /* local minutes since 1970 */
    for (int64_t minute = now; minute < now + 8 * DAY_MIN;) {
        int64_t of_day = minute % DAY_MIN, day = minute / DAY_MIN;
        bool is_day = is_staffed_day(json_object_get(staffed, "days"), day);
        if (is_day && of_day >= from && of_day < to)
            return minute == now ? 0 : (uint64_t)(minute - shift) * 60000 - at_ms;
        minute = is_day && of_day < from ? day * DAY_MIN + from : (day + 1) * DAY_MIN;
    }
    return 0; /* no day is staffed at all: nothing to wait for */
}
