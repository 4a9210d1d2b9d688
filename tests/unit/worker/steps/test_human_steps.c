/* Human steps: they look first, ask in the promised shape, and believe a word only where AWS cannot be read. */
#include "common/policy/policy.h"
#include "worker/steps/human.h"
#include "worker/steps/manifest.h"

#include "tests/unit/worker/steps/fake_host.h"

#define NOW 1800000000000ULL

static json_t *read_text(const char *text)
{
    json_t *value = fake_json(text);
    assert_non_null(value);
    return value;
}

static void start(struct fake_host *h, const char *world)
{
    *h = (struct fake_host){.now_ms = NOW};
    h->world = read_text(world);
    h->import = read_text(
        "{\"id\":\"imp_1\",\"created_ms\":1799999000000,\"access\":{\"method\":\"role\",\"role_arn\":\"arn:r\"},"
        "\"customer\":{\"name\":\"Acme\"},\"mfa_mode\":\"overlap\",\"vars\":{\"partition\":\"aws\","
        "\"account_id\":\"111122223333\",\"root_email\":\"awsops+a@doit-intl.com\",\"operator_account_id\":"
        "\"999900000001\","
        "\"external_id_bootstrap\":\"x-1\",\"bootstrap_role\":\"OrgImportBootstrap\",\"region\":\"us-east-1\","
        "\"custodians\":[\"Security\",\"Operations\"],\"payment\":{\"description\":\"bank account\"}}}");
    h->results =
        read_text("{\"fingerprint_before\":{\"fingerprint\":{\"sections\":{\"organization\":{\"master_email\":\"old@"
                  "acme.example\"},"
                  "\"accounts\":{\"111122223333\":{\"email\":\"old@acme.example\"}},"
                  "\"iam.account\":{\"root\":{\"mfa\":true,\"access_keys\":false,\"devices\":[\"arn:theirs\"]}}}}}}");
    h->signals = json_object();
}

static void signal_done(struct fake_host *h, const char *body)
{
    json_put(h->signals, "done", read_text(body));
}

static void assert_task_is_as_promised(const struct fake_host *h)
{
    static const char *const texts[] = {"party", "title", "link", "check", "worst", "undo"};
    assert_int_equal(h->outcome, STEP_ENDED_WAIT);
    assert_non_null(h->task);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_true(strlen(json_str_at(h->task, texts[i])) > 0);
    size_t actions = json_array_size(json_object_get(h->task, "actions"));
    assert_true(actions >= 1 && actions <= HUMAN_ACTIONS_MAX);
    assert_true(json_int_at(h->task, "due_ms") > (int64_t)NOW);
    assert_true(json_is_object(json_object_get(h->task, "data")));
}

#define ROOT_EVENT(name, at, more)                                                                                     \
    "{\"id\":\"e-" name "\",\"name\":\"" name "\",\"source\":\"signin.amazonaws.com\",\"at_ms\":" at                   \
    ",\"user_type\":\"Root\",\"ip\":\"192.0.2.1\",\"hash\":\"h\"" more "}"

/* ---- access_handover
 * --------------------------------------------------------------------------------------------------- */
static void access_is_asked_for_with_a_role_template(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h,
          "{\"runtime:identity\":{\"ok\":false,\"code\":\"aws.credentials\",\"text\":\"the role cannot be assumed\"}}");
    fake_run(&h, &step_access_handover);
    assert_task_is_as_promised(&h);
    assert_string_equal(json_str_at(h.task, "data.external_id"), "x-1");
    assert_string_equal(json_str_at(h.task, "data.trust.Statement.0.Principal.AWS"), "arn:aws:iam::999900000001:root");
    json_auto_t *needs = policy_needs(steps_manifest(), h.import), *documents = policy_documents(needs);
    assert_true(json_array_size(documents) == 2 && json_equal(json_at(h.task, "data.policies"), documents));
    assert_non_null(strstr(json_str_at(h.task, "check"), "the role cannot be assumed"));
    json_put(h.world, "runtime:identity",
             json_make("{s:b,s:s,s:s,s:s,s:s}", "ok", 1, "account", "111122223333", "arn",
                       "arn:aws:iam::111122223333:user/a/jane", "method", "sealed_key", "access_key_id", "AKIA1"));
    fake_run(&h, &step_access_handover);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "user"), "jane");
    assert_string_equal(json_str_at(h.result, "grade"), "probed");
    assert_false(h.has_task);
    fake_done(&h);
}

/* ---- mailbox_ready
 * ------------------------------------------------------------------------------------------------------ */
static void a_wrong_code_is_said_and_asked_again(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{\"runtime:mail\":{\"sent\":true}}");
    fake_run(&h, &step_mailbox_ready);
    assert_task_is_as_promised(&h);
    assert_string_equal(json_str_at(h.task, "input.key"), "code");
    signal_done(&h, "{\"by\":\"Ann\",\"code\":\"000000\"}");
    fake_run(&h, &step_mailbox_ready);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    assert_non_null(strstr(json_str_at(h.task, "check"), "not the one"));
    json_auto_t *journal = read_text(h.journal);
    json_t *done = json_make("{s:s,s:s}", "by", "Ann", "code", json_str_at(journal, "codes.mailbox"));
    json_put(h.signals, "done", done);
    fake_run(&h, &step_mailbox_ready);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "probed");
    size_t mails = 0;
    for (size_t i = 0; i < h.call_count; i++)
        mails += str_eq(h.asked[i], "runtime:mail");
    assert_int_equal(mails, 1);
    fake_done(&h);
}

/* No mail server: a code that nobody got must not be asked for. */
static void without_a_mail_server_a_person_attests(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{\"runtime:mail\":{\"sent\":false,\"how\":\"none\"}}");
    fake_run(&h, &step_mailbox_ready);
    assert_task_is_as_promised(&h);
    assert_true(json_is_null(json_object_get(h.task, "input")));
    assert_true(json_bool_at(h.task, "attest"));
    signal_done(&h, "{\"by\":\"Ann\"}");
    fake_run(&h, &step_mailbox_ready);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    assert_non_null(strstr(json_str_at(h.task, "check"), "name and a note"));
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"came at 10:02, Bob and I can read it\"}");
    fake_run(&h, &step_mailbox_ready);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "attested");
    assert_string_equal(json_str_at(h.result, "mailbox"), "awsops+a@doit-intl.com");
    fake_done(&h);
}

/* ---- root_email
 * --------------------------------------------------------------------------------------------------------- */
#define ORG(email)                                                                                                     \
    "\"organizations:DescribeOrganization\":{\"id\":\"o-1\",\"master_account_id\":\"111122223333\",\"master_email\":"  \
    "\"" email "\"}"

static void root_email_passes_at_once_when_it_is_right_already(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{" ORG("AwsOps+A@doit-intl.com") ",\"organizations:ListHandshakesForOrganization\":{\"handshakes\":[]},"
                                                "\"runtime:events\":[]}");
    fake_run(&h, &step_root_email);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "already");
    json_auto_t *patches =
        step_root_email.expects(h.import, json_at(h.results, "fingerprint_before.fingerprint"), h.result);
    assert_int_equal(json_array_size(patches), 2);
    assert_string_equal(json_str_at(patches, "0.value"), "AwsOps+A@doit-intl.com");
    fake_done(&h);
}

static void root_email_asks_both_parties_and_warns_of_invitations(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h,
          "{" ORG("old@acme.example") ",\"runtime:events\":[" ROOT_EVENT(
              "EmailUpdated", "1800000001000", "") "],"
                                                   "\"organizations:ListHandshakesForOrganization\":{\"handshakes\":[{"
                                                   "\"id\":\"h-1\",\"action\":\"INVITE\",\"state\":\"OPEN\"}]}}");
    fake_run(&h, &step_root_email);
    assert_task_is_as_promised(&h);
    assert_string_equal(json_str_at(h.task, "party"), "customer+operator");
    assert_non_null(strstr(json_str_at(h.task, "undo"), "old@acme.example"));
    json_put_str(json_object_get(h.world, "organizations:DescribeOrganization"), "master_email",
                 "awsops+a@doit-intl.com");
    fake_run(&h, &step_root_email);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "probed");
    assert_string_equal(json_str_at(h.result, "evidence.event_id"), "e-EmailUpdated");
    assert_int_equal(json_array_size(json_object_get(h.result, "warnings")), 1);
    fake_done(&h);
}

static void a_done_does_not_replace_what_aws_says(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{" ORG("old@acme.example") "}");
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"changed it\",\"at_ms\":1800000000000}");
    fake_run(&h, &step_root_email);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    fake_done(&h);
}

/* ---- root_mfa_handover and root_mfa
 * --------------------------------------------------------------------------------------- */
#define DEVICES(list) "\"iam:ListVirtualMFADevices\":{\"devices\":[" list "]}"
#define THEIRS "{\"serial\":\"arn:theirs\",\"user_arn\":\"arn:aws:iam::111122223333:root\"}"
#define OURS "{\"serial\":\"arn:ours\",\"user_arn\":\"arn:aws:iam::111122223333:root\"}"
#define SECOND "{\"serial\":\"arn:ours2\",\"user_arn\":\"arn:aws:iam::111122223333:root\"}"
#define SOMEBODY "{\"serial\":\"arn:jane\",\"user_arn\":\"arn:aws:iam::111122223333:user/jane\"}"
#define SUMMARY(mfa, keys)                                                                                             \
    "\"iam:GetAccountSummary\":{\"summary\":{\"AccountMFAEnabled\":" mfa ",\"AccountAccessKeysPresent\":" keys "}}"

static void replace_in_world(struct fake_host *h, const char *world)
{
    json_auto_t *more = read_text(world);
    json_object_update(h->world, more);
}

static void overlap_waits_for_a_device_of_root_that_is_new(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{" DEVICES(THEIRS "," SOMEBODY) ",\"runtime:events\":[]}");
    fake_run(&h, &step_root_mfa_handover);
    assert_task_is_as_promised(&h);
    assert_string_equal(json_str_at(h.task, "data.mode"), "overlap");
    replace_in_world(&h, "{" DEVICES(THEIRS "," OURS) "}");
    fake_run(&h, &step_root_mfa_handover);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "operator_devices.0"), "arn:ours");
    assert_string_equal(json_str_at(h.result, "grade"), "probed");
    assert_false(json_has(h.result, "exposure_opened_ms"));
    fake_done(&h);
}

static void overlap_takes_a_passkey_by_its_event(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{" DEVICES(THEIRS) ",\"runtime:events\":[" ROOT_EVENT("EnableMFADevice", "1799999999000", "") "]}");
    fake_run(&h, &step_root_mfa_handover);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT); /* from before the task */
    replace_in_world(&h, "{\"runtime:events\":[" ROOT_EVENT("EnableMFADevice", "1800000005000",
                                                            ",\"request\":{\"serialNumber\":\"arn:key\"}") "]}");
    fake_run(&h, &step_root_mfa_handover);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "cloudtrail");
    assert_string_equal(json_str_at(h.result, "operator_devices.0"), "arn:key");
    fake_done(&h);
}

static void classic_starts_and_stops_the_exposure_clock(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{" SUMMARY("1", "0") "," DEVICES("") ",\"runtime:events\":[]}");
    json_put_str(h.import, "mfa_mode", "classic");
    fake_run(&h, &step_root_mfa_handover);
    assert_task_is_as_promised(&h);
    replace_in_world(
        &h, "{" SUMMARY("0", "0") ",\"runtime:events\":[" ROOT_EVENT("DeactivateMFADevice", "1800000002000", "") "]}");
    fake_run(&h, &step_root_mfa_handover);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_int_equal(json_int_at(h.result, "exposure_opened_ms"), 1800000002000);

    json_put(h.results, "root_mfa_handover", json_deep_copy(h.result));
    mem_free(h.journal);
    h.journal = NULL;
    h.now_ms = NOW + 60000;
    fake_run(&h, &step_root_mfa);
    assert_task_is_as_promised(&h);
    assert_string_equal(json_str_at(h.task, "data.mode"), "classic");
    replace_in_world(&h, "{" SUMMARY("1", "0") "," DEVICES(OURS "," SECOND) ",\"runtime:events\":[" ROOT_EVENT(
                             "EnableMFADevice", "1800000070000", "") "]}");
    fake_run(&h, &step_root_mfa);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_int_equal(json_int_at(h.result, "exposure_closed_ms"), 1800000070000);
    assert_false(json_has(h.result, "warnings"));
    json_auto_t *patches =
        step_root_mfa.expects(h.import, json_at(h.results, "fingerprint_before.fingerprint"), h.result);
    assert_int_equal(json_array_size(patches), 1);
    assert_string_equal(json_str_at(patches, "0.value.devices.1"), "arn:ours2");
    fake_done(&h);
}

static void start_overlap_end(struct fake_host *h, const char *world)
{
    start(h, world);
    json_put(
        h->results, "root_mfa_handover",
        json_make("{s:s,s:I,s:[s]}", "mode", "overlap", "opened_ms", (json_int_t)NOW, "operator_devices", "arn:ours"));
}

static void root_mfa_waits_until_the_customers_device_is_gone(void **state)
{
    (void)state;
    struct fake_host h;
    start_overlap_end(&h, "{" SUMMARY("1", "0") "," DEVICES(THEIRS "," OURS) ",\"runtime:events\":[]}");
    fake_run(&h, &step_root_mfa);
    assert_task_is_as_promised(&h);
    assert_string_equal(json_str_at(h.task, "data.devices_to_remove.0"), "arn:theirs");
    replace_in_world(&h, "{" DEVICES(OURS) "}");
    fake_run(&h, &step_root_mfa);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_int_equal(json_array_size(json_object_get(h.result, "warnings")), 1); /* one device only */
    assert_false(json_has(h.result, "exposure_closed_ms"));
    fake_done(&h);
}

static void a_hardware_key_is_gone_only_when_an_event_says_so(void **state)
{
    (void)state;
    struct fake_host h;
    start_overlap_end(&h, "{" SUMMARY("1", "0") "," DEVICES(OURS "," SECOND) ",\"runtime:events\":[]}");
    json_t *sections =
        json_object_get(json_object_get(json_object_get(h.results, "fingerprint_before"), "fingerprint"), "sections");
    json_put(json_object_get(json_object_get(sections, "iam.account"), "root"), "devices", json_array());
    fake_run(&h, &step_root_mfa);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    replace_in_world(&h, "{\"runtime:events\":[" ROOT_EVENT("DeactivateMFADevice", "1800000009000", "") "]}");
    fake_run(&h, &step_root_mfa);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    fake_done(&h);
}

static void root_access_keys_stop_the_import(void **state)
{
    (void)state;
    struct fake_host h;
    start_overlap_end(&h, "{" SUMMARY("1", "1") "," DEVICES(OURS "," SECOND) ",\"runtime:events\":[]}");
    fake_run(&h, &step_root_mfa);
    assert_int_equal(h.outcome, STEP_ENDED_FAIL);
    assert_string_equal(json_str_at(h.error, "code"), "root.access_keys");
    fake_done(&h);
}

static void mfa_tasks_open_in_staffed_hours_only(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{" DEVICES(THEIRS) ",\"runtime:events\":[]}"); /* NOW is Friday, 2027-01-15, 08:00 UTC */
    json_put(h.import, "staffed", read_text("{\"days\":[\"fri\"],\"hours\":\"09:00-17:00\",\"timezone\":\"UTC\"}"));
    fake_run(&h, &step_root_mfa_handover);
    assert_int_equal(h.outcome, STEP_ENDED_SLEEP);
    assert_int_equal(h.delay_ms, 3600000);
    assert_null(h.task);
    h.now_ms += h.delay_ms;
    fake_run(&h, &step_root_mfa_handover);
    assert_task_is_as_promised(&h);
    fake_done(&h);
}

static void staffed_hours_honour_days_and_zones(void **state)
{
    (void)state;
    static const struct {
        const char *staffed;
        uint64_t wait_ms;
    } cases[] = {
        {"{\"days\":[\"fri\"],\"hours\":\"08:00-17:00\",\"timezone\":\"UTC\"}", 0},
        {"{\"days\":[\"sat\"],\"hours\":\"08:00-17:00\",\"timezone\":\"UTC\"}", 86400000},
        {"{\"days\":[\"fri\"],\"hours\":\"09:00-17:00\",\"timezone\":\"+01:00\"}", 0},
        {"{\"days\":[\"thu\"],\"hours\":\"00:00-24:00\",\"timezone\":\"-08:30\"}", 0},
        {"{\"days\":[\"fri\"],\"hours\":\"00:00-08:00\",\"timezone\":\"UTC\"}", 6ULL * 86400000 + 16ULL * 3600000},
        {"{\"hours\":\"nonsense\"}", 0},
        {"{}", 0},
        {"null", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *staffed = read_text(cases[i].staffed);
        assert_int_equal(human_staffed_wait(staffed, NOW), cases[i].wait_ms);
    }
}

/* ---- root_password
 * -------------------------------------------------------------------------------------------------------- */
static void only_a_success_after_the_opening_proves_a_password(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{\"runtime:events\":[" ROOT_EVENT("PasswordUpdated", "1799999990000",
                                                 ",\"response\":{\"PasswordUpdated\":\"Success\"}") "]}");
    fake_run(&h, &step_root_password);
    assert_task_is_as_promised(&h);
    replace_in_world(&h, "{\"runtime:events\":[" ROOT_EVENT("PasswordUpdated", "1800000003000",
                                                            ",\"response\":{\"PasswordUpdated\":\"Failure\"}") "]}");
    fake_run(&h, &step_root_password);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    replace_in_world(&h, "{\"runtime:events\":[" ROOT_EVENT("PasswordUpdated", "1800000004000",
                                                            ",\"response\":{\"PasswordUpdated\":\"Success\"}") "]}");
    fake_run(&h, &step_root_password);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "cloudtrail");
    assert_string_equal(json_str_at(h.result, "evidence.hash"), "h");
    fake_done(&h);
}

/* ---- payment_method, org_email_verify
 * --------------------------------------------------------------------------------------- */
static void payment_needs_an_event_and_a_word(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{\"runtime:events\":[],\"invoicing:BatchGetInvoiceProfile\":{\"$error\":\"AccessDeniedException\"}}");
    fake_run(&h, &step_payment_method);
    assert_task_is_as_promised(&h);
    assert_true(json_bool_at(h.task, "attest"));
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"bank account 1234 is the default\",\"at_ms\":1800000001000}");
    fake_run(&h, &step_payment_method);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    assert_non_null(strstr(json_str_at(h.task, "check"), "still wait for AWS"));
    replace_in_world(&h,
                     "{\"runtime:events\":[{\"id\":\"e-1\",\"name\":\"Preferences_UpdatePaymentProfile\",\"source\":"
                     "\"payments.amazonaws.com\",\"at_ms\":1800000002000,\"user_type\":\"Root\"}]}");
    fake_run(&h, &step_payment_method);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "cloudtrail");
    assert_string_equal(json_str_at(h.result, "attested.by"), "Ann");
    fake_done(&h);
}

static void a_word_needs_a_name_and_a_note(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{}");
    fake_run(&h, &step_org_email_verify);
    assert_task_is_as_promised(&h);
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"\",\"at_ms\":1800000001000}");
    fake_run(&h, &step_org_email_verify);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"old\",\"at_ms\":1700000000000}");
    fake_run(&h, &step_org_email_verify);
    assert_int_equal(h.outcome, STEP_ENDED_WAIT);
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"says verified\",\"at_ms\":1800000001000,\"second_person\":\"Bob\"}");
    fake_run(&h, &step_org_email_verify);
    assert_int_equal(h.outcome, STEP_ENDED_DONE);
    assert_string_equal(json_str_at(h.result, "grade"), "attested+second_person");
    fake_done(&h);
}

static void nobody_is_their_own_second_person(void **state)
{
    (void)state;
    struct fake_host h;
    start(&h, "{}");
    signal_done(&h, "{\"by\":\"Ann\",\"note\":\"says verified\",\"at_ms\":1800000001000,\"second_person\":\"Ann\"}");
    fake_run(&h, &step_org_email_verify);
    assert_string_equal(json_str_at(h.result, "grade"), "attested");
    fake_done(&h);
}

static void a_task_reads_the_same_on_every_entry(void **state)
{
    (void)state;
    static const struct step_def *const steps[] = {&step_root_email,     &step_root_mfa_handover, &step_root_password,
                                                   &step_payment_method, &step_org_email_verify,  &step_mailbox_ready,
                                                   &step_access_handover};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct fake_host h;
        start(&h, "{" ORG("old@acme.example") "," DEVICES(
                      THEIRS) ",\"runtime:events\":[],\"runtime:mail\":{},\"runtime:identity\":{\"ok\":false}}");
        fake_run(&h, steps[i]);
        json_auto_t *first = json_deep_copy(h.task);
        h.now_ms += 60000;
        h.has_task = false; /* so that it is handed out again */
        fake_run(&h, steps[i]);
        assert_true(json_equal(first, h.task));
        fake_done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_is_asked_for_with_a_role_template),
        cmocka_unit_test(a_wrong_code_is_said_and_asked_again),
        cmocka_unit_test(without_a_mail_server_a_person_attests),
        cmocka_unit_test(root_email_passes_at_once_when_it_is_right_already),
        cmocka_unit_test(root_email_asks_both_parties_and_warns_of_invitations),
        cmocka_unit_test(a_done_does_not_replace_what_aws_says),
        cmocka_unit_test(overlap_waits_for_a_device_of_root_that_is_new),
        cmocka_unit_test(overlap_takes_a_passkey_by_its_event),
        cmocka_unit_test(classic_starts_and_stops_the_exposure_clock),
        cmocka_unit_test(root_mfa_waits_until_the_customers_device_is_gone),
        cmocka_unit_test(a_hardware_key_is_gone_only_when_an_event_says_so),
        cmocka_unit_test(root_access_keys_stop_the_import),
        cmocka_unit_test(mfa_tasks_open_in_staffed_hours_only),
        cmocka_unit_test(staffed_hours_honour_days_and_zones),
        cmocka_unit_test(only_a_success_after_the_opening_proves_a_password),
        cmocka_unit_test(payment_needs_an_event_and_a_word),
        cmocka_unit_test(a_word_needs_a_name_and_a_note),
        cmocka_unit_test(nobody_is_their_own_second_person),
        cmocka_unit_test(a_task_reads_the_same_on_every_entry),
    };
    return cmocka_run_group_tests_name("human steps", tests, NULL, NULL);
}
