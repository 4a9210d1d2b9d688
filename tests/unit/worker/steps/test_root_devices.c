/* Whose second factor is whose when the root user goes back. Pure: what AWS said is given. */
#include "tests/unit/test.h"

#include "worker/steps/root_devices.h"

#define THEIRS "arn:aws:iam::111122223333:mfa/root-account-mfa-device"
#define OURS "arn:aws:iam::111122223333:mfa/operator"
#define KEY "arn:aws:iam::111122223333:u2f/root/second"

static json_t *event(const char *name, const char *serial, int64_t at_ms)
{
    return json_make("{s:s,s:s,s:I,s:s,s:{s:s}}", "id", name, "name", name, "at_ms", (json_int_t)at_ms, "user_type",
                     "Root", "request", "serialNumber", serial);
}

/* The customer's own device, registered when the undo asked for it. */
static bool has_theirs(json_t *new_events)
{
    json_auto_t *events = new_events;
    json_auto_t *summary = json_make("{s:{s:i}}", "summary", "AccountMFAEnabled", 1);
    json_auto_t *before = json_make("{s:b,s:[s]}", "mfa", 1, "devices", OURS "-of-the-import-before");
    json_auto_t *listed = json_make("[s,s]", OURS, THEIRS), *enabled = json_make("[s]", THEIRS);
    struct root_devices d = {
        .summary = summary, .before = before, .events = events, .listed = listed, .enabled = enabled};
    return root_devices_has_theirs(&d);
}

static void a_device_that_was_registered_is_theirs(void **state)
{
    (void)state;
    assert_true(has_theirs(json_make("[o]", event("EnableMFADevice", THEIRS, 5000))));
}

static void a_device_that_went_again_is_not(void **state)
{
    (void)state;
    assert_false(has_theirs(
        json_make("[o,o]", event("EnableMFADevice", THEIRS, 5000), event("DeactivateMFADevice", THEIRS, 9000))));
}

/* An import before this one took it away under the same name, and its event is still within sight. */
static void a_device_that_came_back_under_its_old_name_is_theirs(void **state)
{
    (void)state;
    assert_true(has_theirs(
        json_make("[o,o]", event("DeactivateMFADevice", THEIRS, 1000), event("EnableMFADevice", THEIRS, 5000))));
}

/* ---- Since the undo asked ---- */
static json_t *strange(json_t *new_events, json_t *listed)
{
    json_auto_t *events = new_events, *enabled = json_array(), *event = NULL;
    json_auto_t *before = json_make("{s:b,s:[s]}", "mfa", 1, "devices", THEIRS), *there = listed;
    size_t i = 0;
    json_array_foreach (events, i, event)
        if (!json_array_has_str(enabled, json_str_at(event, "request.serialNumber")))
            (void)json_array_append_new(enabled, json_string(json_str_at(event, "request.serialNumber")));
    event = NULL;
    struct root_devices d = {.before = before, .events = events, .listed = there, .enabled = enabled};
    return root_devices_strange(&d);
}

/* Nothing at AWS tells an operator who is late from a customer who was asked: the customer says it. */
static void who_registered_a_new_device_is_asked(void **state)
{
    (void)state;
    json_auto_t *late = strange(json_make("[o,o,o]", event("EnableMFADevice", OURS, 5000),
                                          event("EnableMFADevice", THEIRS, 5000), event("EnableMFADevice", KEY, 6000)),
                                json_make("[s,s]", OURS, THEIRS));
    assert_int_equal(json_array_size(late), 2);
    assert_true(json_array_has_str(late, OURS) && json_array_has_str(late, KEY));
    json_auto_t *gone = strange(json_make("[o,o,o]", event("EnableMFADevice", OURS, 5000),
                                          event("EnableMFADevice", KEY, 6000), event("DeactivateMFADevice", KEY, 7000)),
                                json_make("[s]", THEIRS));
    assert_int_equal(json_array_size(gone), 0);
}

/* Keys and passkeys are on no list: the operator's second one is known by its event alone. */
static void a_key_that_no_hand_over_named_is_ours_until_it_goes(void **state)
{
    (void)state;
    for (int went = 0; went < 2; went++) {
        json_auto_t *events = json_make("[o,o]", event("EnableMFADevice", KEY, 5000),
                                        event(went ? "DeactivateMFADevice" : "EnableMFADevice", KEY, 6000));
        json_auto_t *before = json_make("{s:b,s:[]}", "mfa", 1, "devices"), *none = json_array();
        struct root_devices d = {.before = before, .events = events, .listed = none, .enabled = none, .taken_ms = 1000};
        json_auto_t *ours = root_devices_ours(&d, NULL, 9000);
        assert_int_equal(json_array_has_str(ours, KEY), !went);
        d.taken_ms = 7000; /* it was there when the fingerprint before was taken */
        json_auto_t *known = root_devices_ours(&d, NULL, 9000);
        assert_false(json_array_has_str(known, KEY));
    }
}

/* Two codes typed wrongly: the customer's device is not there because of that, nor gone. */
static void what_failed_did_not_happen(void **state)
{
    (void)state;
    json_t *failed = event("DeactivateMFADevice", THEIRS, 9000);
    json_put_str(failed, "error", "InvalidAuthenticationCode");
    assert_true(has_theirs(json_make("[o,o]", event("EnableMFADevice", THEIRS, 5000), failed)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_was_registered_is_theirs),
        cmocka_unit_test(a_device_that_went_again_is_not),
        cmocka_unit_test(a_device_that_came_back_under_its_old_name_is_theirs),
        cmocka_unit_test(who_registered_a_new_device_is_asked),
        cmocka_unit_test(a_key_that_no_hand_over_named_is_ours_until_it_goes),
        cmocka_unit_test(what_failed_did_not_happen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
