/* STS: who am I, and temporary credentials by a role's trust. */
#include "sim_core.h"
#include "svc.h"

#include <stdlib.h>
#include <string.h>

static void get_caller_identity(struct sim_request *rq)
{
    const struct sim_session *session = sim_session_of(rq->access_key_id);
    char user_id[128];
    json_t *iam = sim_account_iam(rq->world, rq->caller_account);
    if (session) {
        const json_t *role = json_object_get(json_object_get(iam, "roles"), session->role);
        (void)snprintf(user_id, sizeof user_id, "%s:%s", svc_text(role, "RoleId"), session->name);
    } else if (svc_is(rq->caller_type, "Root")) {
        (void)snprintf(user_id, sizeof user_id, "%s", rq->caller_account);
    } else {
        const char *name = strrchr(rq->caller_arn, '/');
        const json_t *user = json_object_get(json_object_get(iam, "users"), name ? name + 1 : "");
        (void)snprintf(user_id, sizeof user_id, "%s", svc_text(user, "UserId"));
    }
    sim_ok_query(rq,
                 json_pack("{s:s, s:s, s:s}", "Arn", rq->caller_arn, "UserId", user_id, "Account", rq->caller_account));
}

static void deny(struct sim_request *rq, const char *role_arn)
{
    /* AWS says the same whether the role is absent, not yet known or does not trust the caller. */
    sim_error(rq, 403, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s",
              rq->caller_arn, role_arn);
}

static bool inputs_are_fine(struct sim_request *rq, uint64_t *ret_life_s, json_t **ret_policy)
{
    const char *name = sim_param(rq, "RoleSessionName"), *external = sim_param(rq, "ExternalId");
    const char *duration = sim_param(rq, "DurationSeconds"), *policy = sim_param(rq, "Policy");
    *ret_life_s = duration[0] ? strtoull(duration, NULL, 10) : 3600;
    if (!svc_matches(name, "_+=,.@-", 2, 64)) {
        sim_error(rq, 400, "ValidationError",
                  "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy "
                  "constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*",
                  name);
        return false;
    }
    if (external[0] && !svc_matches(external, "_+=,.@:/-", 2, 1224)) {
        sim_error(rq, 400, "ValidationError", "Value at 'externalId' failed to satisfy constraint");
        return false;
    }
    if (*ret_life_s < 900 || *ret_life_s > 43200) {
        sim_error(rq, 400, "ValidationError",
                  "Value '%s' at 'durationSeconds' failed to satisfy constraint: Member must have "
                  "value between 900 and 43200",
                  duration);
        return false;
    }
    if (policy[0] && strlen(policy) > 2048) {
        sim_error(rq, 400, "PackedPolicyTooLarge", "Packed policy consumes more than 100%% of allotted space");
        return false;
    }
    if (policy[0] && !(*ret_policy = json_loads(policy, 0, NULL))) {
        sim_error(rq, 400, "MalformedPolicyDocument", "The session policy is not JSON");
        return false;
    }
    return true;
}

static json_t *find_role(const char *arn, struct sim_world **ret_world, char ret_account[13])
{
    const char *name = strrchr(arn, '/');
    if (strncmp(arn, "arn:aws:iam::", 13) != 0 || strlen(arn) < 27 || strncmp(arn + 25, ":role/", 6) != 0 || !name)
        return NULL;
    (void)snprintf(ret_account, 13, "%.12s", arn + 13);
    *ret_world = sim_world_of_account(ret_account);
    if (!*ret_world)
        return NULL;
    json_t *role = json_object_get(json_object_get(sim_account_iam(*ret_world, ret_account), "roles"), name + 1);
    return role && strcmp(svc_text(role, "Arn"), arn) == 0 ? role : NULL;
}

/* A source identity needs an Allow of its own in the role's trust. */
static bool may_set_source(const char *trust)
{
    return strstr(trust, "\"sts:SetSourceIdentity\"") || strstr(trust, "\"sts:*\"");
}

static void assume_role(struct sim_request *rq)
{
    const char *arn = sim_param(rq, "RoleArn");
    struct sim_world *w = NULL;
    char account[13];
    uint64_t life_s;
    json_t *policy = NULL;
    if (!inputs_are_fine(rq, &life_s, &policy))
        return;
    const json_t *role = find_role(arn, &w, account);
    bool known = role && (!sim_trap("iam_new_role_not_assumable") || svc_number(role, "usable_ms") <= sim_now_ms());
    if (!known || !sim_trust_allows(svc_text(role, "AssumeRolePolicyDocument"), rq->caller_arn, rq->caller_account,
                                    sim_param(rq, "ExternalId"))) {
        json_decref(policy);
        deny(rq, arn);
        return;
    }
    uint64_t longest = svc_number(role, "MaxSessionDuration");
    bool chained = svc_is(rq->caller_type, "AssumedRole");
    if (life_s > (longest ? longest : 3600) || (chained && life_s > 3600)) {
        json_decref(policy);
        sim_error(rq, 400, "ValidationError",
                  chained ? "The requested DurationSeconds exceeds the 1 hour session limit for "
                            "roles assumed by role chaining"
                          : "The requested DurationSeconds exceeds the MaxSessionDuration set for "
                            "this role.");
        return;
    }
    const char *name = svc_text(role, "RoleName");
    const char *source = sim_param(rq, "SourceIdentity");
    if (source[0] && !may_set_source(svc_text(role, "AssumeRolePolicyDocument"))) {
        json_decref(policy);
        deny(rq, arn);
        return;
    }
    struct sim_session *s = sim_session_new(account, name, sim_param(rq, "RoleSessionName"), life_s * 1000, policy);
    (void)snprintf(s->source, sizeof s->source, "%s", source);
    char expires[32], id[128], assumed[256];
    sim_rfc3339(s->expires_ms, expires);
    (void)snprintf(id, sizeof id, "%s:%s", svc_text(role, "RoleId"), s->name);
    (void)snprintf(assumed, sizeof assumed, "arn:aws:sts::%s:assumed-role/%s/%s", account, name, s->name);
    sim_ok_query(rq, json_pack("{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s}}", "Credentials", "AccessKeyId", s->key_id,
                               "SecretAccessKey", s->secret, "SessionToken", s->token, "Expiration", expires,
                               "AssumedRoleUser", "AssumedRoleId", id, "Arn", assumed));
}

const struct sim_op sim_ops_sts[] = {
    {"sts", "GetCallerIdentity", false, get_caller_identity},
    {"sts", "AssumeRole", false, assume_role},
    {0},
};
