/* Fingerprint steps: what is read, what is dropped, two equal reads, and what holds an import. */
#include "common/codec/file.h"
#include "common/proof/fingerprint.h"
#include "common/proof/fingerprint_words.h"
#include "worker/steps/fingerprint_shape.h"

#include "tests/unit/worker/steps/fake_host.h"

static json_t *read_text(const char *text)
{
    json_t *value = fake_json(text);
    assert_non_null(value);
    return value;
}

/* One of everything: tests/vectors/fingerprint/small_world.json. */
static json_t *read_world(void)
{
    char *text = NULL;
    size_t len = 0;
    struct err err;
    assert_int_equal(
        file_read(TEST_SOURCE_DIR "/tests/vectors/fingerprint/small_world.json", 1u << 20, &text, &len, &err), 0);
    json_t *world = read_text(text);
    mem_free(text);
    return world;
}

static void start(struct fake_host *h)
{
    *h = (struct fake_host){.now_ms = 1800000000000ULL};
    h->world = read_world();
    h->import = read_text("{\"id\":\"imp_1\",\"created_ms\":1799999000000,\"customer\":{\"name\":\"Acme\"},\"vars\":{"
                          "\"account_id\":\"111122223333\","
                          "\"region\":\"us-east-1\",\"roles\":{\"cmp\":{\"name\":\"ours\"}}}}");
    h->results = json_object();
    h->signals = json_object();
}

static const json_t *at(const struct fake_host *h, const char *section, const char *key)
{
    const json_t *sections = json_object_get(json_object_get(h->result, "fingerprint"), "sections");
    return json_object_get(json_object_get(sections, section), key);
}

/* Runs fingerprint_before and keeps its result for what follows. */
static void take_before(struct fake_host *h)
{
    start(h);
    fake_run(h, &step_fingerprint_before);
    assert_int_equal(h->outcome, STEP_ENDED_DONE);
    json_put(h->results, "fingerprint_before", json_deep_copy(h->result));
    mem_free(h->journal);
    h->journal = NULL;
    h->call_count = 0;
}

static void every_section_is_read_and_volatile_things_are_dropped(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h);
    fake_run(&h, &step_fingerprint_before);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "probed");
    const json_t *sections = json_object_get(json_object_get(h.result, "fingerprint"), "sections");
    size_t count = 0;
    for (; fingerprint_sections[count]; count++)
        if (!json_is_object(json_object_get(sections, fingerprint_sections[count])))
            fail_msg("section %s is missing", fingerprint_sections[count]);
    assert_int_equal(json_object_size(sections), count);
    assert_string_equal(json_str_at(at(&h, "tree", "444455556666"), "parent"), "ou-2");
    assert_string_equal(json_str_at(at(&h, "policies", "p-1"), "targets.0"), "ou-1");
    assert_string_equal(json_str_at(at(&h, "delegation", "444455556666"), "services.0"), "a.amazonaws.com");
    assert_null(at(&h, "handshakes", "h-1"));
    assert_non_null(at(&h, "handshakes", "h-2"));
    assert_non_null(at(&h, "handshakes", "h-3")); /* of the account, not of the organization */
    assert_string_equal(json_str_at(at(&h, "transfers", "arn:rt"), "target"), "999988887777");
    assert_true(json_bool_at(at(&h, "trails", "arn:t"), "logging"));
    assert_string_equal(json_str_at(at(&h, "iam.account", "organizations_features"), "enabled.1"), "RootSessions");
    assert_string_equal(json_str_at(at(&h, "features", "identity_center"), "instances.0.arn"), "arn:i");
    assert_true(json_bool_at(at(&h, "features", "resource_sharing"), "not_readable"));
    assert_string_equal(json_str_at(at(&h, "features", "firewall_manager"), "admin"), "");
    assert_int_equal(json_int_at(at(&h, "iam.roles", "app"), "max_session"), 7200);
    assert_false(json_has(at(&h, "cur", "old"), "ReportStatus"));
    assert_string_equal(json_str_at(at(&h, "cur", "old"), "AdditionalSchemaElements.0"), "RESOURCES");
    assert_false(json_has(at(&h, "tax", "111122223333"), "registration.status"));
    assert_string_equal(json_str_at(at(&h, "contact", "BILLING"), "email"), "bill@acme.example");
    assert_null(at(&h, "contact", "SECURITY"));
    fake_done(&h);
}

static void nobody_asks_for_the_parent_of_an_account(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h);
    fake_run(&h, &step_fingerprint_before);
    size_t accounts = 0;
    for (size_t i = 0; i < h.call_count; i++) {
        assert_null(strstr(h.asked[i], "ListParents"));
        accounts += str_eq(h.asked[i], "organizations:ListAccounts");
    }
    assert_int_equal(accounts, 2); /* two equal reads are enough */
    fake_done(&h);
}

static size_t asked(const struct fake_host *h, const char *op)
{
    size_t count = 0;
    for (size_t i = 0; i < h->call_count; i++)
        count += str_eq(h->asked[i], op);
    return count;
}

static void an_account_that_tells_its_place_costs_no_call(void **state)
{
    (void)state;
    struct fake_host asks, told;
    start(&asks);
    fake_run(&asks, &step_fingerprint_before);
    assert_true(asked(&asks, "organizations:ListAccountsForParent") > 0);
    start(&told);
    json_t *accounts = json_object_get(json_object_get(told.world, "organizations:ListAccounts"), "accounts");
    json_put(json_array_get(accounts, 0), "paths", json_make("[s]", "o-1/r-1/111122223333/"));
    json_put(json_array_get(accounts, 1), "paths", json_make("[s]", "o-1/r-1/ou-1/ou-2/444455556666/"));
    fake_run(&told, &step_fingerprint_before);
    assert_int_equal(asked(&told, "organizations:ListAccountsForParent"), 0);
    assert_string_equal(json_str_at(told.result, "root"), json_str_at(asks.result, "root"));
    /* A path that is none is not believed. */
    json_put(json_array_get(accounts, 1), "paths", json_make("[s]", "o-1/r-1/ou-1/999999999999/"));
    told.call_count = 0;
    fake_run(&told, &step_fingerprint_before);
    assert_true(asked(&told, "organizations:ListAccountsForParent") > 0);
    assert_string_equal(json_str_at(told.result, "root"), json_str_at(asks.result, "root"));
    fake_done(&asks);
    fake_done(&told);
}

/* A section that moves for a while: another bucket with each of the first looks. */
static int moves_left;
static void move_buckets(struct fake_host *h, const struct step_call *call)
{
    if (!str_eq(call->op->name, "s3:ListBuckets") || moves_left-- <= 0)
        return;
    AUTO_FREE char *name = mem_printf("new-%d", moves_left);
    json_array_append_new(json_object_get(json_object_get(h->world, "s3:ListBuckets"), "buckets"),
                          json_make("{s:s,s:s}", "name", name, "region", "eu-west-1"));
}

static void a_section_is_read_again_until_it_holds_still(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h);
    moves_left = 2;
    h.on_answer = move_buckets;
    fake_run(&h, &step_fingerprint_before);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_int_equal(json_array_size(json_at(h.result, "fingerprint.unstable")), 0);
    assert_non_null(at(&h, "s3", "new-0"));
    size_t accounts = 0, buckets = 0;
    for (size_t i = 0; i < h.call_count; i++) {
        accounts += str_eq(h.asked[i], "organizations:ListAccounts");
        buckets += str_eq(h.asked[i], "s3:ListBuckets");
    }
    assert_int_equal(accounts, 2); /* only what moved is asked again */
    assert_true(buckets > 2);
    fake_done(&h);
}

static void a_region_that_the_list_of_buckets_leaves_out_is_asked_for(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h);
    json_put(h.world, "s3:ListBuckets",
             read_text("{\"buckets\":[{\"name\":\"logs\"},{\"name\":\"shut\"},{\"name\":\"gone\"}]}"));
    json_put(h.world, "s3:GetBucketLocation|logs", read_text("{\"region\":\"eu-west-1\"}"));
    json_put(h.world, "s3:GetBucketLocation|shut", read_text("{\"$error\":\"AccessDenied\"}"));
    fake_run(&h, &step_fingerprint_before);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(at(&h, "s3", "logs"), "region"), "eu-west-1");
    assert_string_equal(json_str_at(at(&h, "s3", "shut"), "region"), "");
    assert_string_equal(json_str_at(at(&h, "s3", "gone"), "region"), "");
    /* A region in use: its Identity Center was asked too. */
    assert_string_equal(json_str_at(at(&h, "features", "identity_center"), "instances.0.arn"), "arn:i");
    fake_done(&h);
}

static void a_section_that_never_holds_still_is_named(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h);
    moves_left = 1000;
    h.on_answer = move_buckets;
    fake_run(&h, &step_fingerprint_before);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "fingerprint.unstable.0.section"), "s3");
    assert_int_equal(json_array_size(json_at(h.result, "fingerprint.unstable.0.digests")), 2);
    assert_int_equal(json_array_size(json_object_get(h.result, "warnings")), 1);
    fake_done(&h);
}

static void reverse(json_t *list)
{
    json_t *copy = json_array();
    for (size_t i = json_array_size(list); i-- > 0;)
        json_array_append(copy, json_array_get(list, i));
    json_array_clear(list);
    json_array_extend(list, copy);
    json_decref(copy);
}

static void another_order_from_aws_is_no_difference(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    static const char *const lists[][2] = {{"organizations:ListAccounts", "accounts"},
                                           {"organizations:ListTargetsForPolicy", "targets"},
                                           {"organizations:ListDelegatedServicesForAccount", "services"},
                                           {"organizations:ListHandshakesForOrganization", "handshakes"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        reverse(json_object_get(json_object_get(h.world, lists[i][0]), lists[i][1]));
    json_t *iam = json_object_get(h.world, "iam:GetAccountAuthorizationDetails");
    reverse(json_object_get(json_array_get(json_object_get(iam, "roles"), 0), "policies"));
    reverse(json_object_get(json_array_get(json_object_get(iam, "users"), 0), "groups"));
    json_t *report =
        json_array_get(json_object_get(json_object_get(h.world, "cur:DescribeReportDefinitions"), "reports"), 0);
    reverse(json_object_get(report, "AdditionalSchemaElements"));
    json_put_str(json_object_get(report, "ReportStatus"), "lastDelivery", "later");
    json_put_int(json_object_get(json_object_get(h.world, "iam:GetAccountSummary"), "summary"), "Roles", 99);
    fake_run(&h, &step_fingerprint_after);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "verdict"), "PROVEN");
    fake_done(&h);
}

static void declared_changes_of_steps_are_proven(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    json_put(h.results, "root_email", json_make("{s:s}", "email", "new@doit.example"));
    json_put(h.results, "root_mfa",
             json_make("{s:{s:b,s:b,s:[s]}}", "root", "mfa", 1, "access_keys", 0, "devices", "arn:ours"));
    json_put_str(json_object_get(h.world, "organizations:DescribeOrganization"), "master_email", "new@doit.example");
    json_put_str(json_array_get(json_object_get(json_object_get(h.world, "organizations:ListAccounts"), "accounts"), 0),
                 "email", "new@doit.example");
    json_put_str(json_array_get(json_object_get(json_object_get(h.world, "iam:ListVirtualMFADevices"), "devices"), 0),
                 "serial", "arn:ours");
    fake_run(&h, &step_fingerprint_after);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "verdict"), "PROVEN");
    assert_int_equal(json_int_at(h.result, "proof.patches"), 3);
    fake_done(&h);
}

static void an_invitation_that_expired_by_itself_is_no_difference(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    json_put(h.world, "organizations:ListHandshakesForOrganization", json_make("{s:[]}", "handshakes"));
    h.now_ms = 1800000060000ULL;
    fake_run(&h, &step_fingerprint_after);
    assert_string_equal(json_str_at(h.result, "verdict"), "PROVEN");
    fake_done(&h);
    take_before(&h);
    json_put(h.world, "organizations:ListHandshakesForOrganization", json_make("{s:[]}", "handshakes"));
    fake_run(&h, &step_fingerprint_after); /* before its date: somebody ended it */
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    fake_done(&h);
}

/* The step once events had all the time they may take. */
static void run_after(struct fake_host *h)
{
    for (int looks = 0; looks < 30; looks++) {
        fake_run(h, &step_fingerprint_after);
        if (h->outcome != STEP_ENDED_WAIT)
            return;
        h->now_ms += h->delay_ms;
    }
    fail_msg("it waits for ever");
}

static void suspend_b(struct fake_host *h, const char *state_name)
{
    json_put_str(
        json_array_get(json_object_get(json_object_get(h->world, "organizations:ListAccounts"), "accounts"), 1),
        "state", state_name);
}

static void a_foreign_change_holds_until_it_is_accepted(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    suspend_b(&h, "CLOSED");
    run_after(&h);
    assert_int_equal(h.outcome, STEP_ENDED_HOLD);
    assert_string_equal(json_str_at(h.error, "code"), "proof.unexplained");
    assert_string_equal(json_str_at(h.error, "details.differences.0"),
                        "Account 444455556666 was changed: state (\"SUSPENDED\", now \"CLOSED\")");
    assert_string_equal(json_str_at(h.result, "verdict"), "UNEXPLAINED");

    json_put(h.signals, "accept", json_make("{s:s,s:s}", "by", "Ann", "reason", "customer closed it, ticket 7"));
    run_after(&h);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "verdict"), "UNEXPLAINED (accepted)");
    assert_string_equal(json_str_at(h.result, "accepted.by"), "Ann");
    assert_int_equal(json_array_size(json_at(h.result, "proof.accepted")), 1);
    fake_done(&h);
}

static void accepting_one_difference_does_not_accept_the_next(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    suspend_b(&h, "CLOSED");
    run_after(&h);
    json_put(h.signals, "accept", json_make("{s:s,s:s}", "by", "Ann", "reason", "known"));
    run_after(&h);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    suspend_b(&h, "ACTIVE");
    run_after(&h);
    assert_int_equal(h.outcome, STEP_ENDED_HOLD);
    fake_done(&h);
}

static json_t *event(const char *id, const char *name, const char *request, const char *user, const char *key,
                     int64_t at_ms)
{
    return json_make("{s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:o}", "id", id, "name", name, "source",
                     "organizations.amazonaws.com", "at_ms", (json_int_t)at_ms, "user", user, "user_type", "IAMUser",
                     "ip", "198.51.100.7", "access_key_id", key, "request", read_text(request));
}

static void a_change_with_somebodys_event_is_foreign_and_holds_nobody(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    suspend_b(&h, "CLOSED");
    json_put(h.world, "runtime:events",
             json_make("[o]", event("e-1", "CloseAccount", "{\"accountId\":\"444455556666\"}",
                                    "arn:aws:iam::111122223333:user/terraform", "AKIAX", 1800000000500)));
    h.now_ms += 1000;
    fake_run(&h, &step_fingerprint_after);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "verdict"), "PROVEN+FOREIGN");
    assert_string_equal(json_str_at(h.result, "proof.foreign.0.events.0.who"),
                        "arn:aws:iam::111122223333:user/terraform");
    fake_done(&h);
}

static void events_may_come_late_and_are_waited_for(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    suspend_b(&h, "CLOSED");
    uint64_t began_ms = h.now_ms += 1000;
    for (int looks = 0; looks < 8; looks++) {
        fake_run(&h, &step_fingerprint_after);
        assert_int_equal(h.outcome, STEP_ENDED_WAIT);
        assert_true(h.delay_ms >= 60000 && h.delay_ms <= 600000);
        h.now_ms += h.delay_ms;
    }
    assert_true(h.now_ms - began_ms < 3600000);
    json_put(h.world, "runtime:events",
             json_make("[o]", event("e-1", "CloseAccount", "{\"accountId\":\"444455556666\"}",
                                    "arn:aws:iam::111122223333:user/terraform", "AKIAX", 1800000000500)));
    fake_run(&h, &step_fingerprint_after);
    assert_string_equal(json_str_at(h.result, "verdict"), "PROVEN+FOREIGN");
    fake_done(&h);
}

static void what_our_session_did_beyond_the_ledger_disrupts_at_once(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    h.writes = read_text("[{\"op\":\"organizations:MoveAccount\",\"args\":{\"AccountId\":\"1\"}}]");
    json_put(h.results, "access_handover", json_make("{s:s}", "access_key_id", "AKIAOURS"));
    json_put(h.world, "runtime:events",
             json_make("[o]", event("e-9", "CloseAccount", "{\"accountId\":\"444455556666\"}",
                                    "arn:aws:iam::111122223333:user/doit", "AKIAOURS", 1800000000500)));
    h.now_ms += 1000;
    fake_run(&h, &step_fingerprint_after); /* nothing differs: it was taken back, and is disrupted all the same */
    assert_int_equal(h.outcome, STEP_ENDED_HOLD);
    assert_string_equal(json_str_at(h.error, "code"), "proof.disrupted");
    assert_string_equal(json_str_at(h.error, "details.differences.0"),
                        "Our session did CloseAccount, which the ledger lacks (event e-9)");
    json_put(h.signals, "accept", json_make("{s:s,s:s}", "by", "Ann", "reason", "found and mended"));
    fake_run(&h, &step_fingerprint_after);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "verdict"), "DISRUPTED (accepted)");
    fake_done(&h);
}

static void differences_are_told_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *difference, *words;
    } cases[] = {
        {"{\"section\":\"iam.roles\",\"key\":\"X\",\"kind\":\"added\",\"from\":null,\"to\":{}}",
         "IAM role X was added"},
        {"{\"section\":\"s3\",\"key\":\"logs\",\"kind\":\"removed\",\"from\":{},\"to\":null}",
         "Bucket logs was removed"},
        {"{\"section\":\"organization\",\"key\":\"master_email\",\"kind\":\"changed\",\"from\":\"a\",\"to\":\"b\"}",
         "Organization's master_email was changed: value (\"a\", now \"b\")"},
        {"{\"section\":\"iam.users\",\"key\":\"j\",\"kind\":\"changed\",\"from\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,"
         "\"e\":5},\"to\":{}}",
         "IAM user j was changed: a (1, now nothing), b (2, now nothing), c (3, now nothing), d (4, now nothing), and "
         "more"},
        {"{\"section\":\"s3\",\"key\":\"x\",\"kind\":\"patch\",\"text\":\"s3 x: add, but it is there already\"}",
         "A step declared a change that does not fit: s3 x: add, but it is there already"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *difference = read_text(cases[i].difference);
        AUTO_STR struct str words;
        str_init(&words, 1024);
        fingerprint_words(difference, &words);
        assert_string_equal(words.data, cases[i].words);
    }
}

static void the_report_tells_grades_verdict_and_how_to_leave(void **state)
{
    (void)state;
    struct fake_host h;
    take_before(&h);
    json_put(h.results, "root_password", read_text("{\"grade\":\"cloudtrail\",\"evidence\":{\"event_id\":\"e-1\"}}"));
    json_put(h.results, "root_mfa_handover", read_text("{\"grade\":\"probed\",\"exposure_opened_ms\":1000}"));
    json_put(h.results, "root_mfa", read_text("{\"grade\":\"probed\",\"exposure_closed_ms\":4000}"));
    json_put(h.results, "fingerprint_after",
             read_text("{\"grade\":\"probed\",\"verdict\":\"PROVEN\",\"root\":\"ab\"}"));
    fake_run(&h, &step_handover_report);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_int_equal(h.call_count, 0);
    assert_string_equal(json_str_at(h.result, "verdict"), "PROVEN");
    assert_int_equal(json_int_at(h.result, "report.exposure.ms"), 3000);
    assert_int_equal(json_int_at(h.result, "report.grades.probed"), 4);
    assert_true(json_array_size(json_at(h.result, "report.how_to_leave")) > 0);
    assert_non_null(strstr(json_str_at(h.result, "summary"), "Acme is imported"));
    fake_done(&h);
}

static void shapes_of_reports_and_taxes_do_not_depend_on_their_source(void **state)
{
    (void)state;
    json_auto_t *sent =
        read_text("{\"ReportName\":\"r\",\"AdditionalSchemaElements\":[\"RESOURCES\"],\"RefreshClosedReports\":true}");
    json_auto_t *answered =
        read_text("{\"ReportName\":\"r\",\"AdditionalSchemaElements\":[\"RESOURCES\"],\"AdditionalArtifacts\":[],"
                  "\"RefreshClosedReports\":true,\"ReportStatus\":{},\"BillingViewArn\":null}");
    json_auto_t *one = shape_report(sent), *other = shape_report(answered);
    assert_true(json_equal(one, other));
    json_auto_t *entry = read_text("{\"registrationId\":\"IE1\",\"registrationType\":\"VAT\",\"legalName\":\"D\","
                                   "\"legalAddress\":{\"city\":\"Dublin\"}}");
    json_auto_t *registration = read_text("{\"registrationId\":\"IE1\",\"registrationType\":\"VAT\",\"legalName\":"
                                          "\"D\",\"legalAddress\":{\"city\":\"Dublin\"},"
                                          "\"status\":\"Verified\"}");
    json_auto_t *tax_one = shape_tax(entry, "EMEA"), *tax_other = shape_tax(registration, "EMEA");
    assert_true(json_equal(tax_one, tax_other));
    json_auto_t *none = shape_tax(json_null(), "EMEA");
    assert_true(json_is_null(json_object_get(none, "registration")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_section_is_read_and_volatile_things_are_dropped),
        cmocka_unit_test(nobody_asks_for_the_parent_of_an_account),
        cmocka_unit_test(an_account_that_tells_its_place_costs_no_call),
        cmocka_unit_test(a_section_is_read_again_until_it_holds_still),
        cmocka_unit_test(a_region_that_the_list_of_buckets_leaves_out_is_asked_for),
        cmocka_unit_test(a_section_that_never_holds_still_is_named),
        cmocka_unit_test(another_order_from_aws_is_no_difference),
        cmocka_unit_test(declared_changes_of_steps_are_proven),
        cmocka_unit_test(an_invitation_that_expired_by_itself_is_no_difference),
        cmocka_unit_test(a_foreign_change_holds_until_it_is_accepted),
        cmocka_unit_test(accepting_one_difference_does_not_accept_the_next),
        cmocka_unit_test(a_change_with_somebodys_event_is_foreign_and_holds_nobody),
        cmocka_unit_test(events_may_come_late_and_are_waited_for),
        cmocka_unit_test(what_our_session_did_beyond_the_ledger_disrupts_at_once),
        cmocka_unit_test(differences_are_told_in_words),
        cmocka_unit_test(the_report_tells_grades_verdict_and_how_to_leave),
        cmocka_unit_test(shapes_of_reports_and_taxes_do_not_depend_on_their_source),
    };
    return cmocka_run_group_tests_name("fingerprint steps", tests, NULL, NULL);
}
