/* Process item 2.3: the role through which the operator's product reads the account.   Undo: the role goes if we made
 * it.
 *
 * Where we hold the trusted account the trust is tried for real: with the external id it must let us in, twice running,
 * because IAM shows a new role here and there first; without it AWS must refuse. The other way round the second test
 * would prove nothing: a role that nobody sees yet refuses everybody. */
#include "common/aws/services/sts.h"
#include "worker/steps/cross_account_role.h"
#include "worker/steps/policy_document.h"

#define ASSUME_EVERY_MS 2000
#define ASSUME_DEADLINE_MS 120000

static json_t *assume_args(struct step *s, const char *arn, const char *external_id)
{
    json_t *args = json_make("{s:s,s:s,s:i}", "RoleArn", arn, "RoleSessionName",
                             step_text(s, "orgimport-probe-%.40s", step_var(s, "id")), "DurationSeconds", 900);
    if (external_id)
        json_put_str(args, "ExternalId", external_id);
    return args;
}

static bool is_let_in(const json_t *facts, const json_t *arg)
{
    (void)arg;
    return json_is_object(facts);
}

static enum step_result not_observed(struct step *s, const char *why)
{
    step_set_str(s, "assumable", "not observed");
    step_set_str(s, "assumable_why", why);
    return STEP_DONE;
}

static enum step_result probe_trust(struct step *s, const json_t *role)
{
    const char *arn = json_str_at(role, "arn"), *id = policy_external_id(json_at(role, "trust"));
    const json_t *me = NULL, *first = NULL, *second = NULL, *open = NULL;
    if (!step_has_identity(s, AWS_AS_TRUSTED))
        return not_observed(s, "no identity in the trusted account is configured");
    TRY(step_call(s, "trusted", &sts_get_caller_identity_trusted, NULL, &me));
    if (!str_eq(json_str_at(me, "account"), step_var(s, "roles.cmp.trusted_account")))
        return not_observed(s, "our identity is in another account than the role trusts");

    TRY(step_poll(s, "assume", &sts_assume_role_probe, assume_args(s, arn, id), is_let_in, NULL, ASSUME_EVERY_MS,
                  ASSUME_DEADLINE_MS, ERR_ROLE_NOT_ASSUMABLE, &first));
    TRY(step_call(s, "assume/again", &sts_assume_role_probe, assume_args(s, arn, id), &second));
    if (json_is_null(second))
        return step_fail(s, ERR_ROLE_NOT_ASSUMABLE, "%s let us in once and then refused", arn);
    TRY(step_call(s, "assume/without-id", &sts_assume_role_probe, assume_args(s, arn, NULL), &open));
    if (!json_is_null(open))
        return step_fail(s, ERR_TRUST_TOO_OPEN, "%s can be assumed without its external id", arn);
    step_set_str(s, "assumable", "observed: with the external id only");
    return STEP_DONE;
}

static enum step_result run(struct step *s)
{
    const json_t *role = NULL;
    TRY(cross_account_role_make(s, "cmp", &role));
    TRY(probe_trust(s, role));
    step_grade(s, "probed");
    return STEP_DONE;
}

static enum step_result undo(struct step *s)
{
    return cross_account_role_undo(s, "cmp");
}

static enum step_result touches(struct step *s, json_t *reading)
{
    return cross_account_role_touches(s, "cmp", reading);
}

const struct step_def step_role_cmp = {
    .name = "role_cmp",
    .item = "2.3",
    .run = run,
    .undo = undo,
    .expects = cross_account_role_expects,
    .touches = touches,
    .ops = OPS(CROSS_ACCOUNT_ROLE_OPS, &sts_get_caller_identity_trusted, &sts_assume_role_probe),
    .version = 1,
};
