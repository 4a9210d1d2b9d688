/* Process item 2.4: the vendor's role, only where it is contracted.   Undo: the role goes if we made it.
 *
 * Its external id is the vendor's, one per tenant, and must be given. We cannot assume the role from the vendor's
 * account: documents are read back, the vendor's side is not observed and the result says so. */
#include "worker/steps/cross_account_role.h"

static enum step_result run(struct step *s)
{
    const json_t *role = NULL;
    if (!*step_var(s, "cloudhealth_external_id"))
        return step_fail(s, ERR_VENDOR_ID_MISSING, "the role %s needs the vendor's external id",
                         step_var(s, "roles.cloudhealth.name"));
    TRY(cross_account_role_make(s, "cloudhealth", &role));
    step_set_str(s, "assumable", "not observed");
    step_set_str(s, "assumable_why", "only the vendor can try it; its console shows the account's state");
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    return cross_account_role_undo(s, "cloudhealth");
}

static enum step_result touches(struct step *s, json_t *reading)
{
    return cross_account_role_touches(s, "cloudhealth", reading);
}

const struct step_def step_role_cloudhealth = {
    .name = "role_cloudhealth",
    .item = "2.4",
    .run = run,
    .undo = undo,
    .expects = cross_account_role_expects,
    .touches = touches,
    .ops = OPS(CROSS_ACCOUNT_ROLE_OPS),
    .version = 1,
};
