#include "tests/drill/drill_steps.h"

#include "common/aws/services/iam.h"
#include "worker/runtime/step_core.h"

const struct aws_op *const drill_write_ops[] = {&iam_get_role, &iam_create_role, NULL};
const struct aws_op *const drill_version_ops[] = {&iam_get_policy, &iam_create_policy, &iam_create_policy_version,
                                                  NULL};

enum step_result drill_noop(struct step *s)
{
    (void)s;
    return STEP_DONE;
}

static const char *thing_name(struct step *s)
{
    return step_text(s, "drill-%s-%s", step_var(s, "import_id"), step_name(s));
}

static json_t *trust(struct step *s)
{
    const char *root = step_text(s, "arn:%s:iam::%s:root", step_var(s, "partition"), step_var(s, "account_id"));
    return json_make("{s:s, s:[{s:s, s:{s:s}, s:s}]}", "Version", "2012-10-17", "Statement", "Effect", "Allow",
                     "Principal", "AWS", root, "Action", "sts:AssumeRole");
}

enum step_result drill_write(struct step *s)
{
    const char *name = thing_name(s);
    const json_t *role = NULL;
    TRY(step_call(s, "look", &iam_get_role, json_make("{s:s}", "RoleName", name), &role));
    if (json_is_null(role))
        TRY(step_call(s, "create", &iam_create_role,
                      json_make("{s:s, s:o}", "RoleName", name, "AssumeRolePolicyDocument", trust(s)), NULL));
    TRY(step_call(s, "verify", &iam_get_role, json_make("{s:s}", "RoleName", name), &role));
    return json_is_null(role) ? step_fail(s, ERR_NOT_YET, "the role %s is not to be seen yet", name) : STEP_DONE;
}

static json_t *permissions(const char *action)
{
    return json_make("{s:s, s:[{s:s, s:s, s:s}]}", "Version", "2012-10-17", "Statement", "Effect", "Allow", "Action",
                     action, "Resource", "*");
}

static enum step_result see_version(struct step *s, const char *key, const char *arn, const json_t **ret)
{
    return step_call(s, key, &iam_get_policy, json_make("{s:s}", "PolicyArn", arn), ret);
}

enum step_result drill_version(struct step *s)
{
    const char *name = thing_name(s);
    const char *arn =
        step_text(s, "arn:%s:iam::%s:policy/%s", step_var(s, "partition"), step_var(s, "account_id"), name);
    const json_t *policy = NULL;
    TRY(see_version(s, "look", arn, &policy));
    if (json_is_null(policy))
        TRY(step_call(s, "create", &iam_create_policy,
                      json_make("{s:s, s:o}", "PolicyName", name, "PolicyDocument", permissions("s3:ListBucket")),
                      NULL));
    TRY(see_version(s, "look again", arn, &policy));
    if (str_eq(json_str_at(policy, "default_version"), "v1"))
        TRY(step_call(s, "version", &iam_create_policy_version,
                      json_make("{s:s, s:o, s:b}", "PolicyArn", arn, "PolicyDocument", permissions("s3:GetObject"),
                                "SetAsDefault", 1),
                      NULL));
    TRY(see_version(s, "verify", arn, &policy));
    const char *version = json_str_at(policy, "default_version");
    if (str_eq(version, "v2"))
        return STEP_DONE;
    if (!*version || str_eq(version, "v1"))
        return step_fail(s, ERR_NOT_YET, "the second version of %s is not to be seen yet", name);
    return step_fail(s, ERR_DRIFT, "%s is at version %s: somebody made it twice", name, version);
}
