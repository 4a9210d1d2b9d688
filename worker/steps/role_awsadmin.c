/* Process item 2.5: the role for billing data under the channel reseller program.   Undo: the role goes if we made it.
 *
 * AWS and the reseller publish neither its trust nor its policy. The profile's text is an assumption, and the result
 * repeats it, so that nobody takes it for a fact. */
#include "worker/steps/cross_account_role.h"

static enum step_result run(struct step *s)
{
    const json_t *role = NULL;
    const char *assumption = step_var(s, "roles.awsadmin.assumption");
    TRY(cross_account_role_make(s, "awsadmin", &role));
    if (*assumption)
        step_set_str(s, "assumption", assumption);
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    return cross_account_role_undo(s, "awsadmin");
}

static enum step_result touches(struct step *s, json_t *reading)
{
    return cross_account_role_touches(s, "awsadmin", reading);
}

const struct step_def step_role_awsadmin = {
    .name = "role_awsadmin",
    .item = "2.5",
    .run = run,
    .undo = undo,
    .expects = cross_account_role_expects,
    .touches = touches,
    .ops = OPS(CROSS_ACCOUNT_ROLE_OPS),
    .version = 1,
};
