/* Registry: which services exist, what protocol each speaks, and their tables of operations. */
#include "svc_s3.h"

#include <stdlib.h>
#include <string.h>

static const struct sim_op *const tables[] = {
    sim_ops_sts,     sim_ops_iam,        iam_role_ops,          iam_policy_ops,   iam_user_ops,
    sim_ops_s3,      s3_setting_ops,     sim_ops_organizations, sim_ops_cur,      sim_ops_tax,
    sim_ops_account, sim_ops_cloudtrail, sim_ops_channel,       sim_ops_features, sim_ops_misc,
};

static const struct {
    const char *service; /* sign name */
    enum sim_protocol protocol;
    const char *prefix; /* in IAM policies */
    bool global;        /* signs us-east-1 only */
} services[] = {
    {"sts", SIM_QUERY, "sts", false},
    {"iam", SIM_QUERY, "iam", true},
    {"cloudformation", SIM_QUERY, "cloudformation", false},
    {"s3", SIM_S3, "s3", false},
    {"organizations", SIM_JSON, "organizations", true},
    {"cur", SIM_JSON, "cur", true},
    {"tax", SIM_REST_JSON, "tax", true},
    {"account", SIM_REST_JSON, "account", true},
    {"backup", SIM_REST_JSON, "backup", false},
    {"ram", SIM_REST_JSON, "ram", false},
    {"cloudtrail", SIM_JSON, "cloudtrail", false},
    {"sso", SIM_JSON, "sso", false},
    {"fms", SIM_JSON, "fms", false},
    {"support", SIM_JSON, "support", true},
    {"bcm-data-exports", SIM_JSON, "bcm-data-exports", true},
    {"invoicing", SIM_JSON, "invoicing", true},
    {"billing", SIM_JSON, "billing", true},
    {"partnercentral-channel", SIM_JSON, "partnercentral", true},
};
static const size_t service_count = sizeof services / sizeof services[0];
static struct sim_map index_of_ops;

static size_t place(const char *service)
{
    size_t i = 0;
    while (i < service_count && strcmp(services[i].service, service) != 0)
        i++;
    return i;
}

enum sim_protocol sim_protocol_of(const char *service)
{
    size_t i = place(service);
    return i < service_count ? services[i].protocol : SIM_JSON;
}

const char *sim_action_prefix(const char *service)
{
    size_t i = place(service);
    return i < service_count ? services[i].prefix : service;
}

bool sim_service_is_global(const char *service)
{
    size_t i = place(service);
    return i < service_count && services[i].global;
}

const char *sim_event_source(const char *service)
{
    static char source[80];
    (void)snprintf(source, sizeof source, "%s.amazonaws.com", strcmp(service, "tax") == 0 ? "taxsettings" : service);
    return source;
}

void sim_ops_index(void)
{
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct sim_op *op = tables[t]; op->service; op++) {
            char name[160];
            (void)snprintf(name, sizeof name, "%s:%s", op->service, op->action);
            sim_map_put(&index_of_ops, name, (void *)(uintptr_t)op);
        }
}

const struct sim_op *sim_op_find(const char *service, const char *action)
{
    char name[160];
    int n = snprintf(name, sizeof name, "%s:%s", service, action);
    return n > 0 && (size_t)n < sizeof name ? sim_map_get(&index_of_ops, name) : NULL;
}
