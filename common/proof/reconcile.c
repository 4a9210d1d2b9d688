/* Ledger and CloudTrail side by side; see reconcile.h. */
#include "common/proof/reconcile.h"

#include <stdio.h>

#define SKEW_MS 300000   /* as far as clocks may differ: a signature further off is refused */
#define UNDER_WAY 930000 /* how long a request may be under way whose answer nobody saw (S3's signature) */

/* ---- Writes of the ledger ---- */
static bool is_write_of_customer(const json_t *line)
{
    const char *op = json_str_at(line, "op");
    return *op && !str_starts(op, "runtime:") && !*json_str_at(line, "as");
}

/* The last write of that step and key that is still open. */
static json_t *open_write(const json_t *writes, const json_t *line)
{
    for (size_t i = json_array_size(writes); i > 0; i--) {
        json_t *w = json_array_get(writes, i - 1);
        if (str_eq(json_str_at(w, "step"), json_str_at(line, "step")) &&
            str_eq(json_str_at(w, "key"), json_str_at(line, "key")))
            return json_has(w, "to_ms") ? NULL : w;
    }
    return NULL;
}

static void begin(json_t *writes, const json_t *line)
{
    (void)json_array_append_new(writes,
                                json_make("{s:s,s:s,s:s,s:I,s:I,s:s,s:s}", "step", json_str_at(line, "step"), "key",
                                          json_str_at(line, "key"), "op", json_str_at(line, "op"), "n",
                                          (json_int_t)json_int_at(line, "n"), "at_ms",
                                          (json_int_t)json_int_at(line, "at_ms"), "request_id", "", "fate", "open"));
}

/* done: AWS took it. refused: AWS proved that it did not. maybe: the answer is lost. */
static const char *fate_of(const json_t *line)
{
    const json_t *result = json_object_get(line, "result");
    if (json_has(result, "settled"))
        return "maybe";
    if (!json_has(result, "applied"))
        return "done";
    return str_eq(json_str_at(result, "applied"), "no") ? "refused" : "maybe";
}

/* What a failover lost and its holder remembers: AWS may have it. */
static void add_lost(json_t *writes, const json_t *line)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach (json_object_get(line, "writes"), i, one) {
        begin(writes, one);
        json_put_str(json_array_get(writes, json_array_size(writes) - 1), "key",
                     ""); /* no later answer is meant for it */
    }
}

static json_t *writes_of(const json_t *lines)
{
    json_t *writes = json_array(), *line = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
        const char *kind = json_str_at(line, "kind");
        add_lost(writes, line);
        bool is_intent = str_eq(kind, "intent");
        if ((!is_intent && !str_eq(kind, "answer")) || !is_write_of_customer(line))
            continue;
        if (is_intent) {
            begin(writes, line);
            continue;
        }
        json_t *w = open_write(writes, line);
        if (!w)
            continue; /* a second answer to the same intent: the first one, lost for us, said it all */
        json_put_str(w, "fate", fate_of(line));
        json_put_str(w, "request_id", json_str_at(line, "request_id"));
        if (!str_eq(fate_of(line), "maybe"))
            json_put_int(w, "to_ms", json_int_at(line, "at_ms"));
    }
    return writes;
}

/* ---- Matching ---- */
static bool is_in_time(const json_t *w, int64_t at_ms)
{
    int64_t from = json_int_at(w, "at_ms"), to = json_has(w, "to_ms") ? json_int_at(w, "to_ms") : from + UNDER_WAY;
    return at_ms >= from - SKEW_MS - 1000 && at_ms <= to + SKEW_MS;
}

static json_t *by_request(const json_t *writes, const char *request_id)
{
    size_t i = 0;
    json_t *w = NULL;
    json_array_foreach ((json_t *)(uintptr_t)writes, i, w)
        if (*request_id && str_eq(json_str_at(w, "request_id"), request_id))
            return w;
    return NULL;
}

/* A write that this event may be. A refusal may stand beside a write that was tried again and taken; a success takes
 * its write for itself. */
static json_t *by_name(const json_t *writes, const json_t *event)
{
    bool is_refusal = *json_str_at(event, "error") != 0, has_id = *json_str_at(event, "request_id") != 0;
    size_t i = 0;
    json_t *w = NULL;
    json_array_foreach ((json_t *)(uintptr_t)writes, i, w) {
        if (!ours_is_op(json_str_at(w, "op"), event) || !is_in_time(w, json_int_at(event, "at_ms")))
            continue;
        bool is_other = has_id && *json_str_at(w, "request_id"); /* both are known, and they differ */
        if (is_refusal || (!is_other && !json_bool_at(w, "is_matched") && !str_eq(json_str_at(w, "fate"), "refused")))
            return w;
    }
    return NULL;
}

static json_t *short_event(const json_t *event)
{
    static const char *const kept[] = {"id", "name", "source", "user", "request_id", "error", "hash"};
    json_t *out = json_make("{s:I}", "at_ms", (json_int_t)json_int_at(event, "at_ms"));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (*json_str_at(event, kept[i]))
            json_put_str(out, kept[i], json_str_at(event, kept[i]));
    return out;
}

struct tally {
    int matched, by_name, refused;
    json_t *lacking;
};

static void match_event(json_t *writes, const json_t *event, struct tally *t)
{
    bool is_refusal = *json_str_at(event, "error") != 0;
    json_t *w = by_request(writes, json_str_at(event, "request_id"));
    bool is_by_name = !w;
    if (!w)
        w = by_name(writes, event);
    if (!w) {
        (void)json_array_append_new(t->lacking, short_event(event));
        return;
    }
    t->refused += is_refusal;
    if (is_refusal || json_bool_at(w, "is_matched"))
        return;
    json_put_bool(w, "is_matched", true);
    t->matched++;
    t->by_name += is_by_name;
}

static json_t *short_write(const json_t *w)
{
    json_t *out = json_copy((json_t *)(uintptr_t)w);
    static const char *const dropped[] = {"to_ms", "fate", "is_matched"};
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        (void)json_object_del(out, dropped[i]);
    return out;
}

json_t *reconcile(const struct ours *who, const json_t *lines, const json_t *events, uint64_t until_ms,
                  uint64_t late_ms)
{
    json_auto_t *writes = writes_of(lines), *missing = json_array(), *late = json_array(), *lacking = json_array();
    struct tally t = {.lacking = lacking};
    json_t *one = NULL;
    size_t i = 0;
    int taken = 0;
    /* Two rounds: what is known by its request id must not be taken away by name. */
    for (int round = 0; round < 2; round++)
        json_array_foreach ((json_t *)(uintptr_t)events, i, one) {
            bool has_request = by_request(writes, json_str_at(one, "request_id")) != NULL;
            if (ours_caused(who, one) && has_request == (round == 0))
                match_event(writes, one, &t);
        }
    json_array_foreach (writes, i, one) {
        bool is_taken = str_eq(json_str_at(one, "fate"), "done");
        taken += is_taken;
        if (!is_taken || json_bool_at(one, "is_matched"))
            continue;
        bool is_young = (uint64_t)json_int_at(one, "at_ms") + late_ms > until_ms;
        (void)json_array_append_new(is_young ? late : missing, short_write(one));
    }
    return json_make("{s:i,s:i,s:i,s:i,s:O,s:O,s:O}", "writes", taken, "matched", t.matched, "by_name", t.by_name,
                     "refused", t.refused, "late", late, "missing", missing, "lacking", lacking);
}
