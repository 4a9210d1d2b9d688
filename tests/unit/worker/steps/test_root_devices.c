/* Whose second factor is whose when the root user goes back. Pure: what AWS said is given. */
#include "tests/unit/test.h"

#include "worker/steps/root_devices.h"

#define THEIRS "arn:aws:iam::111122223333:mfa/root-account-mfa-device"
#define OURS "arn:aws:iam::111122223333:mfa/operator"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_was_registered_is_theirs),
        cmocka_unit_test(a_device_that_went_again_is_not),
        cmocka_unit_test(a_device_that_came_back_under_its_old_name_is_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
