/* What all steps declare, seen as the policy that a customer attaches: complete, known, and within AWS's sizes. */
#include "common/aws/op.h"
#include "common/base/mem.h"
#include "common/policy/policy.h"
#include "worker/steps/manifest.h"

#include "tests/unit/test.h"
#include "tests/unit/worker/steps/import_doc.h"

#include <string.h>

static json_t *everything(const char *method)
{
    json_t *import = import_doc();
    json_put(import, "steps", json_array());
    json_put(import, "access", json_make("{s:s}", "method", method));
    return import;
}

/* Adding an operation with a new permission means saying how far AWS lets it be narrowed. */
static void every_declared_action_has_a_row(void **state)
{
    (void)state;
    for (const struct step_def *const *def = step_defs; *def; def++)
        for (const struct aws_op *const *op = (*def)->ops; op && *op; op++)
            for (const char *p = (*op)->who == AWS_AS_CUSTOMER ? (*op)->permission : ""; *p; p += strspn(p, ",")) {
                size_t len = strcspn(p, ",");
                AUTO_FREE char *action = mem_printf("%.*s", (int)len, p);
                if (!policy_action_is_known(action))
                    fail_msg("%s of step %s needs a line in common/policy/action_scope.def", action, (*def)->name);
                p += len;
            }
}

static void the_policy_allows_all_that_steps_sign_and_nothing_else(void **state)
{
    (void)state;
    json_auto_t *import = everything("sealed_key"), *wanted = json_array();
    for (const struct step_def *const *def = step_defs; *def; def++)
        for (const struct aws_op *const *op = (*def)->ops; op && *op; op++)
            for (const char *p = (*op)->who == AWS_AS_CUSTOMER ? (*op)->permission : ""; *p; p += strspn(p, ",")) {
                size_t len = strcspn(p, ",");
                json_auto_t *action = json_stringn(p, len);
                if (!json_array_has_str(wanted, json_string_value(action)))
                    (void)json_array_append(wanted, action);
                p += len;
            }
    json_sort_by(wanted, NULL);
    json_auto_t *needs = policy_needs(steps_manifest(), import), *actions = policy_actions(needs);
    if (!json_equal(actions, wanted)) {
        AUTO_FREE char *a = json_text(wanted), *b = json_text(actions);
        fail_msg("steps sign %s\npolicy allows %s", a, b);
    }
}

static void it_fits_and_writes_are_never_called_reads(void **state)
{
    (void)state;
    static const char *const methods[] = {"sealed_key", "role"};
    for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
        json_auto_t *import = everything(methods[m]), *needs = policy_needs(steps_manifest(), import);
        json_auto_t *documents = policy_documents(needs), *guard = policy_guard(import);
        size_t i, k, r, number;
        const json_t *one, *action, *resource;
        assert_int_equal(json_array_size(documents), 2);
        json_array_foreach (needs, i, one)
            json_array_foreach (json_object_get(one, "actions"), k, action)
                json_array_foreach (json_object_get(one, "probe"), r, resource)
                    if (policy_statement(guard, "Deny", json_string_value(action), json_string_value(resource),
                                         &number))
                        fail_msg("the never list denies %s, which we need", json_string_value(action));
        for (const struct step_def *const *def = step_defs; *def; def++)
            for (const struct aws_op *const *op = (*def)->ops; op && *op; op++) {
                json_array_foreach (needs, i, one)
                    json_array_foreach (json_object_get(one, "actions"), k, action)
                        if ((*op)->mutates && str_in_list((*op)->permission, json_string_value(action)))
                            assert_string_equal(json_str_at(one, "part"), "write");
            }
        /* The session policy of all steps together fits AWS's 2,048 characters: the role route is narrowed, too. */
        json_t *names = json_object_get(import, "steps");
        for (const struct step_def *const *def = step_defs; *def; def++)
            (void)json_array_append_new(names, json_string((*def)->name));
        AUTO_FREE char *session = policy_session(steps_manifest(), import);
        assert_non_null(session);
        assert_true(strlen(session) <= POLICY_SESSION_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_declared_action_has_a_row),
        cmocka_unit_test(the_policy_allows_all_that_steps_sign_and_nothing_else),
        cmocka_unit_test(it_fits_and_writes_are_never_called_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
