/* The organization-wide features that the process promises not to disturb: one read each, "not enabled" included.
 *
 * State "features": {"sso": [{InstanceArn.., "region"}], "backup": {"isCrossAccountBackupEnabled": "true"},
 *   "fms": {"AdminAccount","RoleStatus"}?, "ram": [{resourceShareArn.., "region"}], "stacksets": "ENABLED"?}. */
#include "svc.h"

/* Those of state->features.<name> that live in the region asked; their "region" is not shown. */
static json_t *features_here(struct sim_request *rq, const char *name)
{
    json_t *list = json_array();
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(json_object_get(rq->world->state, "features"), name), i, one) {
        bool anywhere = svc_is(name, "sso") && !sim_trap("sso_home_region_only");
        if (!anywhere && !svc_is(svc_text(one, "region"), rq->region))
            continue;
        json_t *shown = json_deep_copy(one);
        json_object_del(shown, "region");
        json_array_append_new(list, shown);
    }
    return list;
}

static void features_sso(struct sim_request *rq)
{
    sim_ok_json(rq, json_pack("{s:o}", "Instances", features_here(rq, "sso")));
}

static void features_ram(struct sim_request *rq)
{
    if (!svc_one_of(sim_param(rq, "resourceOwner"), "SELF,OTHER-ACCOUNTS")) {
        sim_error(rq, 400, "InvalidParameterException", "resourceOwner is required.");
        return;
    }
    bool own = svc_is(sim_param(rq, "resourceOwner"), "SELF");
    sim_ok_json(rq, json_pack("{s:o}", "resourceShares", own ? features_here(rq, "ram") : json_array()));
}

static void features_backup(struct sim_request *rq)
{
    json_t *settings = json_deep_copy(json_object_get(json_object_get(rq->world->state, "features"), "backup"));
    /* The time of the last update moves by itself: nothing may be concluded from it. */
    sim_ok_json(rq, json_pack("{s:o, s:o}", "GlobalSettings", settings ? settings : json_object(), "LastUpdateTime",
                              svc_seconds(sim_now_ms())));
}

static void features_fms(struct sim_request *rq)
{
    const json_t *fms = json_object_get(json_object_get(rq->world->state, "features"), "fms");
    if (!svc_is(rq->region, "us-east-1"))
        sim_error(rq, 400, "InvalidOperationException", "This operation is not supported in the '%s' region.",
                  rq->region);
    else if (fms == NULL)
        sim_error(rq, 400, "ResourceNotFoundException", "There is no Firewall Manager administrator.");
    else
        sim_ok_json(rq, json_deep_copy(fms));
}

static void features_stacksets(struct sim_request *rq)
{
    const char *status = svc_text(json_object_get(rq->world->state, "features"), "stacksets");
    sim_ok_query(rq, json_pack("{s:s}", "Status", status[0] ? status : "DISABLED"));
}

const struct sim_op sim_ops_features[] = {
    {"sso", "ListInstances", false, features_sso},
    {"backup", "DescribeGlobalSettings", false, features_backup},
    {"fms", "GetAdminAccount", false, features_fms},
    {"ram", "GetResourceShares", false, features_ram},
    {"cloudformation", "DescribeOrganizationsAccess", false, features_stacksets},
    {0},
};
