/* The tables of operations keep their own rules. */
#include "tests/unit/test.h"

#include "common/aws/op.h"
#include "common/aws/rate.h"

static void names_are_unique_and_found(void **state)
{
    (void)state;
    for (const struct aws_op *const *p = aws_ops; *p; p++) {
        assert_non_null((*p)->name);
        if (aws_op_by_name((*p)->name) != *p)
            fail_msg("%s stands twice", (*p)->name);
        const char *colon = strchr((*p)->name, ':'); /* "service:Action", or "service:Action/variant" */
        size_t n = strlen((*p)->action);
        if (!colon || strncmp(colon + 1, (*p)->action, n) != 0 || (colon[1 + n] && colon[1 + n] != '/'))
            fail_msg("%s: the action is %s", (*p)->name, (*p)->action);
    }
    assert_null(aws_op_by_name("no:Such"));
}

static void reads_settle_nothing_and_writes_say_how(void **state)
{
    (void)state;
    for (const struct aws_op *const *p = aws_ops; *p; p++)
        if ((*p)->mutates == ((*p)->settle == SETTLE_NONE))
            fail_msg("%s: mutates %d, settle %d", (*p)->name, (*p)->mutates, (int)(*p)->settle);
}

_Noreturn static void missing(const char *name)
{
    fail_msg("%s: something is missing", name);
    abort();
}

static void every_operation_is_complete(void **state)
{
    (void)state;
    for (const struct aws_op *const *p = aws_ops; *p; p++) {
        const struct aws_op *op = *p;
        const struct aws_service *s = op->service;
        if (!op->family || !*op->family || !op->permission || !op->build || !op->parse || !s)
            missing(op->name);
        /* Of the customer's identity; GetCallerIdentity alone needs none. */
        if (op->who == AWS_AS_CUSTOMER && !*op->permission && strcmp(op->action, "GetCallerIdentity") != 0)
            fail_msg("%s: names no permission", op->name);
        if (!rate_is_known(op->family))
            fail_msg("%s: the family %s has no line in rate.def", op->name, op->family);
        bool is_json = s->protocol == AWS_JSON_1_0 || s->protocol == AWS_JSON_1_1;
        if (!s->id || !s->host || !s->sign_name || (is_json && !s->target) || (s->protocol == AWS_QUERY && !s->version))
            missing(op->name);
        if (is_json && !str_ends(s->target, "."))
            fail_msg("%s: the target prefix has no dot", op->name);
        if (op->pages && (!op->pages->token_arg || !op->pages->token_fact || !op->pages->list))
            fail_msg("%s: its pages are incomplete", op->name);
        if (op->pages && op->mutates)
            fail_msg("%s: a write has no pages", op->name);
        if (op->is_slow_signature != (strcmp(s->sign_name, "s3") == 0))
            fail_msg("%s: only S3's signatures live 15 minutes", op->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_found),
        cmocka_unit_test(reads_settle_nothing_and_writes_say_how),
        cmocka_unit_test(every_operation_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
