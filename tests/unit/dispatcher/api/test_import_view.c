/* What people are told of an import: the error of a step, also of one whose holders all died before they could say it.
 */
#include "common/base/mem.h"
#include "dispatcher/api/import_view.h"

#include "dispatcher/store/store.h"
#include "tests/unit/test.h"

static json_t *view_of(const char *steps)
{
    struct store store = {0};
    struct api api = {.store = &store};
    struct err err = {0};
    AUTO_FREE char *text =
        mem_printf("{\"id\":\"imp_00abc\",\"state\":\"failed\",\"doc\":{\"id\":\"imp_00abc\"},\"steps\":[%s]}", steps);
    json_t *value = json_read(text, strlen(text), 0, &err);
    assert_non_null(value);
    json_t *view = import_view(&api, value, true);
    json_decref(value);
    return view;
}

static void a_step_that_killed_its_workers_says_so(void **state)
{
    json_t *view = view_of(
        "{\"name\":\"preflight\",\"state\":\"DONE\"},{\"name\":\"root_email\",\"state\":\"DEAD\",\"crashes\":5}");
    (void)state;
    assert_string_equal(json_str_at(view, "error.code"), "step.crashed");
    assert_string_equal(json_str_at(view, "error.step"), "root_email");
    assert_string_equal(json_str_at(view, "error.owner"), "orgimport");
    assert_string_equal(json_str_at(view, "error.text"), "5 workers in a row died while they held the step");
    const json_t *steps = json_at(view, "steps");
    assert_true(json_is_null(json_at(json_array_get(steps, 0), "error")));
    assert_string_equal(json_str_at(json_array_get(steps, 1), "error.code"), "step.crashed");
    assert_string_equal(json_str_at(view, "blocking.party"), "operator");
    json_decref(view);
}

static void what_the_worker_said_goes_first(void **state)
{
    json_t *view = view_of(
        "{\"name\":\"root_email\",\"state\":\"DONE\",\"error\":{\"code\":\"old\"}},"
        "{\"name\":\"readiness\",\"state\":\"FAILED\",\"error\":{\"code\":\"readiness\",\"owner\":\"customer\"}},"
        "{\"name\":\"root_mfa\",\"state\":\"DEAD\",\"crashes\":5}");
    (void)state;
    assert_string_equal(json_str_at(view, "error.code"), "readiness");
    assert_string_equal(json_str_at(view, "error.step"), "readiness");
    json_decref(view);
    view = view_of("{\"name\":\"root_email\",\"state\":\"WAITING\"}");
    assert_true(json_is_null(json_at(view, "error")));
    json_decref(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_that_killed_its_workers_says_so),
        cmocka_unit_test(what_the_worker_said_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
