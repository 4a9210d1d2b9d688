#include "tests/unit/test.h"

#include "common/codec/json.h"
#include "common/proof/reconcile.h"

#define ID "imp_00abc"
#define NOW 10000000
#define LATE 900000

static const struct ours by_role = {.import_id = ID};
static const struct ours by_key = {.import_id = ID, .keys = {"AKIAEXAMPLE"}};

static json_t *line(const char *kind, const char *key, const char *op, int at_ms, const char *request_id)
{
    static int n;
    return json_make("{s:s,s:s,s:s,s:s,s:i,s:i,s:s}", "kind", kind, "step", "role_cmp", "key", key, "op", op, "n", ++n,
                     "at_ms", at_ms, "request_id", request_id);
}

static void wrote(json_t *lines, const char *key, const char *op, int at_ms, const char *request_id)
{
    json_array_append_new(lines, line("intent", key, op, at_ms, ""));
    json_array_append_new(lines, line("answer", key, op, at_ms + 100, request_id));
}

static json_t *event(const char *name, int at_ms, const char *request_id)
{
    return json_make("{s:s,s:s,s:s,s:i,s:s,s:s}", "id", request_id, "name", name, "source", "iam.amazonaws.com",
                     "at_ms", at_ms, "user", "arn:aws:sts::111122223333:assumed-role/Boot/" ID, "request_id",
                     request_id);
}

static size_t count(const json_t *r, const char *what)
{
    return json_array_size(json_object_get(r, what));
}

static void both_sides_agree_by_request_id(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000, "r1");
    wrote(lines, "tag", "iam:TagRole", 2000, "r2");
    json_array_append_new(events, event("TagRole", 2000, "r2"));
    json_array_append_new(events, event("CreateRole", 1000, "r1"));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "writes"), 2);
    assert_int_equal(json_int_at(r, "matched"), 2);
    assert_int_equal(json_int_at(r, "by_name"), 0);
    assert_int_equal(count(r, "missing") + count(r, "lacking") + count(r, "late"), 0);
}

static void a_write_without_event_is_missing_and_a_young_one_is_late(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000, "r1");
    wrote(lines, "tag", "iam:TagRole", NOW - 1000, "r2");
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(r, "missing"), 1);
    assert_int_equal(count(r, "late"), 1);
    assert_string_equal(json_str_at(r, "missing.0.op"), "iam:CreateRole");
    assert_string_equal(json_str_at(r, "late.0.request_id"), "r2");
}

static void an_event_that_the_ledger_lacks_is_named(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000, "r1");
    json_array_append_new(events, event("CreateRole", 1000, "r1"));
    json_array_append_new(events, event("CreateRole", 1000, "r9")); /* the same call a second time */
    json_array_append_new(events, event("DeleteUser", 1500, "r3"));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(r, "lacking"), 2);
    assert_string_equal(json_str_at(r, "lacking.0.request_id"), "r9");
    assert_string_equal(json_str_at(r, "lacking.1.name"), "DeleteUser");
}

static void other_peoples_events_are_not_ours(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    json_t *theirs = event("DeleteUser", 1500, "r3");
    json_put_str(theirs, "user", "arn:aws:iam::111122223333:user/alice");
    json_array_append_new(events, theirs);
    json_t *key = event("DeleteUser", 1500, "r4"); /* our key, used by its owner */
    json_put_str(key, "user", "arn:aws:iam::111122223333:user/handed-over");
    json_put_str(key, "access_key_id", "AKIAEXAMPLE");
    json_put_str(key, "agent", "aws-cli/2");
    json_array_append_new(events, key);
    json_t *other = event("DeleteUser", 1500, "r5"); /* another import through the same role */
    json_put_str(other, "user", "arn:aws:sts::111122223333:assumed-role/Boot/imp_00other");
    json_array_append_new(events, other);
    json_auto_t *r = reconcile(&by_key, lines, events, NOW, LATE);
    assert_int_equal(count(r, "lacking"), 0);
    json_put_str(key, "agent", "orgimport/1 " ID);
    json_auto_t *again = reconcile(&by_key, lines, events, NOW, LATE);
    assert_int_equal(count(again, "lacking"), 1);
    json_put_str(theirs, "source_identity", ID); /* a role chained from ours */
    json_auto_t *chained = reconcile(&by_key, lines, events, NOW, LATE);
    assert_int_equal(count(chained, "lacking"), 2);
}

static void a_lost_answer_matches_by_name_and_time_once(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    json_array_append_new(lines, line("intent", "create", "iam:CreateRole", 1000000, ""));
    json_t *maybe = line("answer", "create", "iam:CreateRole", 1020000, "");
    json_put(maybe, "result", json_make("{s:s,s:s}", "error", "aws.unclear", "applied", "maybe"));
    json_array_append_new(lines, maybe);
    json_array_append_new(events, event("CreateRole", 1001000, "r1"));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "by_name"), 1);
    assert_int_equal(json_int_at(r, "writes"), 0); /* nobody knows: its absence would be no fault either */
    assert_int_equal(count(r, "lacking"), 0);
    json_array_append_new(events, event("CreateRole", 1002000, "r2"));
    json_auto_t *twice = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(twice, "lacking"), 1);
    json_array_clear(events);
    json_array_append_new(events, event("CreateRole", 9000000, "r1")); /* hours later */
    json_auto_t *late = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(late, "lacking"), 1);
}

/* A failover lost the lines; who wrote them says so, and CloudTrail's event is no surprise. */
static void a_write_that_a_rollback_names_is_known(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    json_array_append_new(events, event("CreateRole", 1000000, "r1"));
    json_array_append_new(lines,
                          json_make("{s:s,s:s,s:[{s:s,s:s,s:s,s:i}]}", "kind", "rollback", "step", "role_cmp", "writes",
                                    "step", "role_cmp", "key", "create", "op", "iam:CreateRole", "at_ms", 999000));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(r, "lacking"), 0);
    json_array_clear(lines);
    json_auto_t *without = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(without, "lacking"), 1);
}

/* Somebody who asked AWS whether a lost write is there, or whom AWS refused, makes no claim that needs an event. */
static void what_was_settled_or_refused_needs_no_event(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    json_array_append_new(lines, line("intent", "create", "iam:CreateRole", 1000000, ""));
    json_t *settled = line("answer", "create", "iam:CreateRole", 1400000, "");
    json_put(settled, "result", json_make("{s:s}", "settled", "seen"));
    json_array_append_new(lines, settled);
    json_array_append_new(lines, line("intent", "tag", "iam:TagRole", 1000000, ""));
    json_t *refused = line("answer", "tag", "iam:TagRole", 1000100, "");
    json_put(refused, "result", json_make("{s:s,s:s}", "error", "aws.denied", "applied", "no"));
    json_array_append_new(lines, refused);
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "writes"), 0);
    assert_int_equal(count(r, "missing") + count(r, "late"), 0);
    json_array_append_new(events, event("TagRole", 1000100, "r7")); /* and what was refused cannot have been taken */
    json_auto_t *taken = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(taken, "lacking"), 1);
}

/* As long as a request may be under way, and as far as clocks may differ; not longer. */
static void a_lost_answer_s_event_may_come_late_but_not_for_ever(void **state)
{
    (void)state;
    static const struct {
        int at_ms;
        size_t lacking;
    } cases[] = {{1000000 + 930000 + 300000, 0},
                 {1000000 + 930000 + 300001, 1},
                 {1000000 - 300000 - 1000, 0},
                 {1000000 - 300000 - 1001, 1}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        const size_t k = i / 2;
        json_auto_t *lines = json_array(), *events = json_array();
        json_array_append_new(lines, line("intent", "create", "iam:CreateRole", 1000000, ""));
        if (i % 2) { /* that nobody answered in time says nothing about when AWS did it */
            json_t *maybe = line("answer", "create", "iam:CreateRole", 1020000, "");
            json_put(maybe, "result", json_make("{s:s,s:s}", "error", "aws.unclear", "applied", "maybe"));
            json_array_append_new(lines, maybe);
        }
        json_array_append_new(events, event("CreateRole", cases[k].at_ms, "r1"));
        json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
        assert_int_equal(count(r, "lacking"), cases[k].lacking);
    }
}

/* An answer ends the time in which its event may lie. */
static void an_event_after_the_answer_is_another_call_s(void **state)
{
    (void)state;
    for (int late_ms = 0; late_ms < 2; late_ms++) {
        json_auto_t *lines = json_array(), *events = json_array();
        wrote(lines, "create", "iam:CreateRole", 1000000, "r1");
        json_array_append_new(events, event("CreateRole", 1000100 + 300000 + late_ms, ""));
        json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
        assert_int_equal(count(r, "lacking"), late_ms);
        assert_int_equal(count(r, "missing"), late_ms);
    }
}

static void a_second_answer_to_one_intent_changes_nothing(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000000, "r1");
    json_t *refused = line("answer", "create", "iam:CreateRole", 1000200, "r2");
    json_put(refused, "result", json_make("{s:s,s:s}", "error", "aws.denied", "applied", "no"));
    json_array_append_new(lines, refused);
    json_array_append_new(events, event("CreateRole", 1000000, "r1"));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "writes"), 1);
    assert_int_equal(json_int_at(r, "matched"), 1);
}

/* The event of a refusal does not vouch for a write that the ledger says was taken. */
static void a_refusal_is_no_event_of_a_write(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000000, "r1");
    json_t *refused = event("CreateRole", 1000000, "r1");
    json_put_str(refused, "error", "AccessDenied");
    json_array_append_new(events, refused);
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "matched"), 0);
    assert_int_equal(json_int_at(r, "refused"), 1);
    assert_int_equal(count(r, "missing"), 1);
}

static void what_is_known_by_its_request_is_not_taken_by_name(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "one", "iam:CreateRole", 1000000, "r1");
    json_array_append_new(lines, line("intent", "two", "iam:CreateRole", 1000000, "")); /* its answer was lost */
    json_array_append_new(events, event("CreateRole", 1000000, ""));
    json_array_append_new(events, event("CreateRole", 1000000, "r1"));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "matched"), 2);
    assert_int_equal(json_int_at(r, "by_name"), 1);
    json_array_append_new(events, event("CreateRole", 1000000, "r1")); /* an export that has an event twice */
    json_auto_t *doubled = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(doubled, "matched"), 2);
    assert_int_equal(count(doubled, "lacking"), 0);
}

/* The same call under another request id is another call. */
static void another_request_is_not_the_one_that_was_written(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000000, "r1");
    json_array_append_new(events, event("CreateRole", 1000000, "r9"));
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(count(r, "missing"), 1);
    assert_int_equal(count(r, "lacking"), 1);
}

static void refusals_stand_beside_the_write_that_was_taken(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "create", "iam:CreateRole", 1000000, "r3");
    json_t *throttled = event("CreateRole", 1000000, "r1");
    json_put_str(throttled, "error", "ThrottlingException");
    json_array_append_new(events, throttled);
    json_array_append_new(events, event("CreateRole", 1000000, "r3"));
    json_t *denied = event("DeleteBucket", 1000000, "r4");
    json_put_str(denied, "error", "AccessDenied");
    json_array_append_new(events, denied);
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "matched"), 1);
    assert_int_equal(json_int_at(r, "refused"), 1);
    assert_int_equal(count(r, "lacking"), 1); /* a refused try that no step made */
    assert_string_equal(json_str_at(r, "lacking.0.name"), "DeleteBucket");
}

static void writes_elsewhere_need_no_event_here(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "mail", "runtime:mail", 1000, "");
    wrote(lines, "register", "partnercentral:CreateRelationship", 1000, "r1");
    json_put_str(json_array_get(lines, 2), "as", "partner");
    json_put_str(json_array_get(lines, 3), "as", "partner");
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "writes"), 0);
    assert_int_equal(count(r, "missing"), 0);
}

static void s3_events_have_names_of_their_own(void **state)
{
    (void)state;
    json_auto_t *lines = json_array(), *events = json_array();
    wrote(lines, "block", "s3:PutPublicAccessBlock", 1000000, "");
    json_array_append_new(events, event("PutBucketPublicAccessBlock", 1000000, "x"));
    json_put_str(json_array_get(events, 0), "source", "s3.amazonaws.com");
    json_auto_t *r = reconcile(&by_role, lines, events, NOW, LATE);
    assert_int_equal(json_int_at(r, "matched"), 1);
    assert_int_equal(count(r, "missing") + count(r, "lacking"), 0);
}

/* Both ways in which AWS hands events out, and an array of them. */
static void an_export_is_read_in_all_its_forms(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"Records\":[{\"eventID\":\"e\",\"eventTime\":\"2026-11-23T10:00:00Z\",\"eventName\":\"CreateRole\","
        "\"readOnly\":false,"
        "\"requestID\":\"r1\",\"userIdentity\":{\"arn\":\"a\",\"sessionContext\":{\"sourceIdentity\":\"imp_00abc\"}}},"
        "7,"
        "{\"eventTime\":\"2026-11-23T10:00:00Z\",\"readOnly\":true}]}",
        "{\"Events\":[{\"CloudTrailEvent\":\"{\\\"eventID\\\":\\\"e\\\",\\\"eventTime\\\":\\\"2026-11-23T10:00:00Z\\\","
        "\\\"requestID\\\":\\\"r1\\\",\\\"userIdentity\\\":{\\\"sessionContext\\\":{\\\"sourceIdentity\\\":"
        "\\\"imp_00abc\\\"}}}\"},{\"CloudTrailEvent\":\"{\"}]}",
        "[{\"eventID\":\"e\",\"eventTime\":\"2026-11-23T10:00:00Z\",\"requestID\":\"r1\",\"userIdentity\":{"
        "\"sessionContext\":"
        "{\"sourceIdentity\":\"imp_00abc\"}}}]"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err;
        json_auto_t *export = json_read(texts[i], strlen(texts[i]), 0, &err);
        assert_non_null(export);
        json_auto_t *events = reconcile_read(export);
        assert_int_equal(json_array_size(events), 1);
        assert_string_equal(json_str_at(events, "0.request_id"), "r1");
        assert_true(ours_caused(&by_role, json_array_get(events, 0)));
    }
    json_auto_t *rubbish = json_string("x");
    json_auto_t *none = reconcile_read(rubbish);
    assert_int_equal(json_array_size(none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_by_request_id),
        cmocka_unit_test(a_write_without_event_is_missing_and_a_young_one_is_late),
        cmocka_unit_test(an_event_that_the_ledger_lacks_is_named),
        cmocka_unit_test(other_peoples_events_are_not_ours),
        cmocka_unit_test(a_lost_answer_matches_by_name_and_time_once),
        cmocka_unit_test(a_write_that_a_rollback_names_is_known),
        cmocka_unit_test(what_was_settled_or_refused_needs_no_event),
        cmocka_unit_test(a_lost_answer_s_event_may_come_late_but_not_for_ever),
        cmocka_unit_test(an_event_after_the_answer_is_another_call_s),
        cmocka_unit_test(a_second_answer_to_one_intent_changes_nothing),
        cmocka_unit_test(a_refusal_is_no_event_of_a_write),
        cmocka_unit_test(what_is_known_by_its_request_is_not_taken_by_name),
        cmocka_unit_test(another_request_is_not_the_one_that_was_written),
        cmocka_unit_test(refusals_stand_beside_the_write_that_was_taken),
        cmocka_unit_test(writes_elsewhere_need_no_event_here),
        cmocka_unit_test(s3_events_have_names_of_their_own),
        cmocka_unit_test(an_export_is_read_in_all_its_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
