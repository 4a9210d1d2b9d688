/* CloudTrail: what happened, by region, late, in no promised order, 50 at a time, two questions a second.
 *
 * Reads "trail_events" (written by sim_trail). State "trails": {"<name>": {"trail": {Name, TrailARN, ..}, "logging":
 * bool}}. */
#include "sim_core.h"
#include "svc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 50
#define RATE_SLOTS 4096
#define LOOKUPS_MAX 10000

/* When each account last asked: not part of the world, so that looking changes nothing. */
static struct {
    char account[13];
    uint64_t at[2];
} trail_rate[RATE_SLOTS];

static bool trail_too_fast(struct sim_request *rq)
{
    if (!sim_trap("trail_rate"))
        return false;
    size_t slot = (size_t)(strtoull(rq->world->account, NULL, 10) % RATE_SLOTS);
    if (!svc_is(trail_rate[slot].account, rq->world->account)) {
        memset(&trail_rate[slot], 0, sizeof trail_rate[slot]);
        memcpy(trail_rate[slot].account, rq->world->account, sizeof trail_rate[slot].account);
    }
    uint64_t now = sim_now_ms();
    if (trail_rate[slot].at[1] > now) /* the clock was set back: what was asked in that future does not count */
        trail_rate[slot].at[0] = trail_rate[slot].at[1] = 0;
    if (trail_rate[slot].at[0] != 0 && now < trail_rate[slot].at[0] + 1000) {
        sim_error(rq, 400, "ThrottlingException", "Rate exceeded");
        return true;
    }
    trail_rate[slot].at[0] = trail_rate[slot].at[1];
    trail_rate[slot].at[1] = now;
    return false;
}

static bool trail_matches_attribute(const json_t *event, const json_t *attribute)
{
    const char *key = svc_text(attribute, "AttributeKey"), *value = svc_text(attribute, "AttributeValue");
    if (svc_one_of(key, "EventName,EventSource,Username,EventId,ReadOnly,AccessKeyId"))
        return svc_is(svc_text(event, key), value);
    size_t i;
    const json_t *resource;
    json_array_foreach (json_object_get(event, "Resources"), i, resource)
        if (svc_is(svc_text(resource, key), value))
            return true;
    return false;
}

/* Who asked for what, the latest; not part of any world. */
static json_t *lookups;

static void note_lookup(const struct sim_request *rq, bool is_page, size_t shown)
{
    if (!lookups)
        lookups = json_array();
    if (json_array_size(lookups) >= LOOKUPS_MAX)
        json_array_remove(lookups, 0);
    double start = json_number_value(json_object_get(rq->params, "StartTime"));
    json_array_append_new(lookups,
                          json_pack("{s:s, s:s, s:I, s:I, s:b, s:I}", "account", rq->world->account, "region",
                                    rq->region, "start_ms", (json_int_t)(start * 1000), "at_ms",
                                    (json_int_t)sim_now_ms(), "is_page", (int)is_page, "shown", (json_int_t)shown));
}

json_t *sim_trail_lookups(const char *account)
{
    json_t *list = json_array(), *one;
    size_t i;
    json_array_foreach (lookups, i, one)
        if (!account[0] || svc_is(svc_text(one, "account"), account))
            json_array_append(list, one);
    return list;
}

/* CloudTrail's event history ends somewhere; a trail's own bucket would go further back, and nobody must have one. */
static bool trail_has_forgotten(const json_t *event)
{
    return svc_number(event, "time_ms") + sim_options.trail_retention_ms < sim_now_ms();
}

static bool trail_matches(const struct sim_request *rq, const json_t *event, uint64_t visible_until)
{
    const json_t *start = json_object_get(rq->params, "StartTime"), *end = json_object_get(rq->params, "EndTime");
    uint64_t whole = svc_number(event, "time_ms") / 1000; /* as AWS gives it */
    double seconds = (double)whole;
    const char *region = svc_text(json_object_get(event, "CloudTrailEvent"), "awsRegion");
    if (svc_number(event, "visible_ms") > visible_until || trail_has_forgotten(event))
        return false;
    if (!svc_is(region[0] ? region : "us-east-1", rq->region))
        return false;
    if ((start && seconds < json_number_value(start)) || (end && seconds > json_number_value(end)))
        return false;
    const json_t *attribute = json_array_get(json_object_get(rq->params, "LookupAttributes"), 0);
    return attribute == NULL || trail_matches_attribute(event, attribute);
}

static const char *trail_fault(const struct sim_request *rq, const char **ret_code)
{
    const json_t *attributes = json_object_get(rq->params, "LookupAttributes");
    const json_t *start = json_object_get(rq->params, "StartTime"), *end = json_object_get(rq->params, "EndTime");
    const json_t *max = json_object_get(rq->params, "MaxResults");
    *ret_code = "InvalidLookupAttributesException";
    if (json_array_size(attributes) > 1 && sim_trap("trail_one_attribute"))
        return "You can specify only one attribute.";
    if (json_array_size(attributes) >= 1 &&
        !svc_one_of(svc_text(json_array_get(attributes, 0), "AttributeKey"),
                    "EventId,EventName,ReadOnly,Username,ResourceType,ResourceName,EventSource,AccessKeyId"))
        return "That attribute cannot be looked up.";
    *ret_code = "InvalidTimeRangeException";
    if (start && end && json_number_value(start) > json_number_value(end))
        return "The start time is after the end time.";
    *ret_code = "InvalidMaxResultsException";
    if (max && (json_integer_value(max) < 1 || json_integer_value(max) > PAGE_MAX))
        return "MaxResults must be between 1 and 50.";
    return NULL;
}

static json_t *trail_shown(const json_t *event)
{
    json_t *shown = json_deep_copy(event);
    json_t *detail = json_object_get(shown, "CloudTrailEvent");
    char *text = json_is_object(detail) ? json_dumps(detail, JSON_COMPACT) : NULL;
    if (text)
        json_object_set_new(shown, "CloudTrailEvent", json_string(text));
    free(text);
    json_object_set_new(shown, "EventTime", json_integer((json_int_t)(svc_number(event, "time_ms") / 1000)));
    json_object_del(shown, "time_ms");
    json_object_del(shown, "visible_ms");
    return shown;
}

/* Newest first as a rule, and not to be relied on: some neighbours change places. */
static void trail_disorder(json_t *list)
{
    if (!sim_trap("trail_unordered"))
        return;
    for (size_t i = 0; i + 1 < json_array_size(list); i += 3) {
        json_t *first = json_incref(json_array_get(list, i));
        json_array_set(list, i, json_array_get(list, i + 1));
        json_array_set_new(list, i + 1, first);
    }
}

static bool read_token(const char *token, size_t *ret_start, unsigned long long *ret_until)
{
    char *end = NULL;
    if (strncmp(token, "at-", 3) != 0 || !isdigit((unsigned char)token[3]))
        return false;
    *ret_start = strtoul(token + 3, &end, 10);
    if (*end != '-' || !isdigit((unsigned char)end[1]))
        return false;
    *ret_until = strtoull(end + 1, &end, 10);
    return *end == '\0';
}

static void trail_lookup(struct sim_request *rq)
{
    const char *code;
    const char *fault = trail_fault(rq, &code);
    if (fault) {
        sim_error(rq, 400, code, "%s", fault);
        return;
    }
    if (trail_too_fast(rq))
        return;
    /* A token keeps the moment of its first page: what arrives in between does not shift the pages. */
    unsigned long long until = sim_now_ms();
    size_t start = 0, at = 0, max = PAGE_MAX;
    const char *token = sim_param(rq, "NextToken");
    if (token[0] != '\0' && !read_token(token, &start, &until)) {
        sim_error(rq, 400, "InvalidNextTokenException", "The token is not valid.");
        return;
    }
    const json_t *asked = json_object_get(rq->params, "MaxResults");
    if (asked)
        max = (size_t)json_integer_value(asked);
    const json_t *events = json_object_get(rq->world->state, "trail_events");
    json_t *list = json_array();
    for (size_t i = json_array_size(events); i-- > 0 && at <= start + max;) {
        const json_t *event = json_array_get(events, i);
        if (!trail_matches(rq, event, until))
            continue;
        if (at >= start && at < start + max)
            json_array_append_new(list, trail_shown(event));
        at++;
    }
    trail_disorder(list);
    note_lookup(rq, token[0] != '\0', json_array_size(list));
    json_t *answer = json_pack("{s:o}", "Events", list);
    if (at > start + max)
        json_object_set_new(answer, "NextToken", svc_textf("at-%zu-%llu", start + max, until));
    sim_ok_json(rq, answer);
}

static void trail_describe(struct sim_request *rq)
{
    const json_t *names = json_object_get(rq->params, "trailNameList");
    json_t *list = json_array();
    const char *name;
    json_t *one;
    json_object_foreach (json_object_get(rq->world->state, "trails"), name, one) {
        json_t *trail = json_object_get(one, "trail");
        bool here = json_is_true(json_object_get(trail, "IsMultiRegionTrail")) ||
                    svc_is(svc_text(trail, "HomeRegion"), rq->region);
        bool take = here && json_array_size(names) == 0;
        for (size_t i = 0; here && i < json_array_size(names); i++) {
            const char *wanted = json_string_value(json_array_get(names, i));
            take = take || (wanted && (svc_is(wanted, name) || svc_is(wanted, svc_text(trail, "TrailARN"))));
        }
        if (take)
            json_array_append(list, trail);
    }
    sim_ok_json(rq, json_pack("{s:o}", "trailList", list));
}

static void trail_status(struct sim_request *rq)
{
    const char *wanted = sim_param(rq, "Name"), *name;
    json_t *one;
    json_object_foreach (json_object_get(rq->world->state, "trails"), name, one) {
        json_t *trail = json_object_get(one, "trail");
        if (!svc_is(wanted, name) && !svc_is(wanted, svc_text(trail, "TrailARN")))
            continue;
        bool logging = json_is_true(json_object_get(one, "logging"));
        sim_ok_json(rq, json_pack("{s:b, s:o}", "IsLogging", logging, "LatestDeliveryTime",
                                  svc_seconds(sim_now_ms() - 120000)));
        return;
    }
    sim_error(rq, 400, "TrailNotFoundException", "Unknown trail: %s", wanted);
}

const struct sim_op sim_ops_cloudtrail[] = {
    {"cloudtrail", "LookupEvents", false, trail_lookup},
    {"cloudtrail", "DescribeTrails", false, trail_describe},
    {"cloudtrail", "GetTrailStatus", false, trail_status},
    {0},
};
