/* A customer's own export of CloudTrail, as facts; see reconcile.h. */
#include "common/codec/when.h"
#include "common/proof/bundle.h"
#include "common/proof/reconcile.h"

#define LOOSE(p) ((json_t *)(uintptr_t)(p))

/* One event of a trail as cloudtrail:LookupEvents' parser gives it. New reference, NULL when it is none of interest. */
static json_t *facts_of(const json_t *event)
{
    static const char *const kept[][2] = {{"id", "eventID"},
                                          {"name", "eventName"},
                                          {"source", "eventSource"},
                                          {"user", "userIdentity.arn"},
                                          {"access_key_id", "userIdentity.accessKeyId"},
                                          {"agent", "userAgent"},
                                          {"source_identity", "userIdentity.sessionContext.sourceIdentity"},
                                          {"request_id", "requestID"},
                                          {"error", "errorCode"}};
    uint64_t at_ms = 0;
    if (!json_is_object(event) || json_bool_at(event, "readOnly") ||
        !when_parse(json_str_at(event, "eventTime"), &at_ms))
        return NULL;
    json_t *facts = json_make("{s:I}", "at_ms", (json_int_t)at_ms);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (*json_str_at(event, kept[i][1]))
            json_put_str(facts, kept[i][0], json_str_at(event, kept[i][1]));
    return facts;
}

static void add_event(json_t *events, const json_t *row)
{
    const json_t *inner = json_object_get(row, "CloudTrailEvent");
    struct err ignored;
    json_auto_t *parsed = json_is_string(inner)
                              ? json_read(json_string_value(inner), json_string_length(inner), 0, &ignored)
                              : json_incref(LOOSE(row));
    json_t *facts = facts_of(parsed);
    if (facts)
        (void)json_array_append_new(events, facts);
}

json_t *reconcile_read(const json_t *export)
{
    const json_t *rows = json_is_array(export) ? export : json_object_get(export, "Records");
    json_t *events = json_array(), *row = NULL;
    size_t i = 0;
    if (!rows)
        rows = json_object_get(export, "Events");
    json_array_foreach (LOOSE(rows), i, row)
        add_event(events, row);
    return events;
}

struct ours reconcile_who_of(const json_t *payload)
{
    static const char *const steps[] = {"access_handover", "credential_retire"};
    struct ours who = {.import_id = json_str_at(payload, "import.id")};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        ours_add_key(&who, json_str_at(json_object_get(bundle_step(payload, steps[i]), "result"), "access_key_id"));
    return who;
}
