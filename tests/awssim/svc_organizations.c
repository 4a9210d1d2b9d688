/* Organizations: every read that the fingerprint needs, by the management account, by delegated administrators and,
 * where AWS allows it, by any member account. */
#include "sim_core.h"
#include "svc.h"

#include <stdlib.h>

static const char *const policy_types[] = {
    "SERVICE_CONTROL_POLICY",
    "RESOURCE_CONTROL_POLICY",
    "TAG_POLICY",
    "BACKUP_POLICY",
    "AISERVICES_OPT_OUT_POLICY",
    "CHATBOT_POLICY",
    "DECLARATIVE_POLICY_EC2",
    "SECURITYHUB_POLICY",
    "INSPECTOR_POLICY",
    "UPGRADE_ROLLOUT_POLICY",
    "BEDROCK_POLICY",
    "S3_POLICY",
    "NETWORK_SECURITY_DIRECTOR_POLICY",
    NULL,
};

/* ---- who may ask ---- */

static json_t *organization_of(struct sim_request *rq)
{
    json_t *organization = json_object_get(rq->world->state, "organization");
    if (json_is_object(organization) && json_object_size(organization) > 0)
        return organization;
    sim_error(rq, 400, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.");
    return NULL;
}

static bool may_read_all(struct sim_request *rq)
{
    if (!organization_of(rq))
        return false;
    if (svc_is(rq->caller_account, rq->world->account) ||
        json_object_get(json_object_get(rq->world->state, "delegated"), rq->caller_account))
        return true;
    sim_error(rq, 400, "AccessDeniedException", "You don't have permissions to access this resource.");
    return false;
}

/* ---- pages ---- */

static bool page_of(struct sim_request *rq, size_t *ret_start, size_t *ret_max)
{
    const json_t *most = json_object_get(rq->params, "MaxResults");
    *ret_max = 20;
    if (json_is_integer(most)) {
        json_int_t given = json_integer_value(most);
        if (given < 1 || (given > 20 && sim_trap("org_page_of_20"))) {
            sim_error(rq, 400, "InvalidInputException", "You specified an invalid value for MaxResults: 1 to 20.");
            return false;
        }
        *ret_max = (size_t)given;
    }
    return svc_page(rq, "NextToken", "InvalidInputException", ret_start);
}

/* These answer an empty first page with a token, under the trap. Not all: a fingerprint would take twice its calls. */
static bool begins_empty(const struct sim_request *rq, size_t count)
{
    return count > 0 && sim_param(rq, "NextToken")[0] == '\0' && sim_trap("org_empty_page_with_token") &&
           svc_one_of(rq->action, "ListAccounts,ListDelegatedAdministrators,ListHandshakesForOrganization");
}

/* Answers one page of `all` (taken), each through `shown` when there is one: only what is sent is made. */
static void answer_page_as(struct sim_request *rq, const char *name, json_t *all, json_t *(*shown)(const json_t *))
{
    size_t start, max, count = json_array_size(all);
    if (!page_of(rq, &start, &max)) {
        json_decref(all);
        return;
    }
    json_t *page = json_array();
    bool empty = begins_empty(rq, count);
    size_t i = start;
    for (; !empty && i < count && i - start < max; i++)
        json_array_append_new(page, shown ? shown(json_array_get(all, i)) : json_incref(json_array_get(all, i)));
    json_decref(all);
    json_t *reply = json_pack("{s:o}", name, page);
    if (empty)
        json_object_set_new(reply, "NextToken", json_string("page-0"));
    else if (i < count)
        json_object_set_new(reply, "NextToken", svc_page_token(i));
    sim_ok_json(rq, reply);
}

static void answer_page(struct sim_request *rq, const char *name, json_t *all)
{
    answer_page_as(rq, name, all, NULL);
}

static json_t *list_at(struct sim_request *rq, const char *path)
{
    json_t *list = sim_at(rq->world, path);
    return json_is_array(list) ? json_copy(list) : json_array();
}

/* ---- organization and accounts ---- */

static void describe_organization(struct sim_request *rq)
{
    json_t *organization = organization_of(rq);
    if (organization)
        sim_ok_json(rq, json_pack("{s:O}", "Organization", organization));
}

static json_t *account_reply(const json_t *account)
{
    json_t *reply = json_copy((json_t *)(uintptr_t)account);
    /* One of the two is sent, by the trap; the state may hold either. */
    json_t *state = json_object_get(account, "State");
    state = state ? state : json_object_get(account, "Status");
    json_incref(state);
    json_object_del(reply, "State");
    json_object_del(reply, "Status");
    json_object_set_new(reply, sim_trap("org_state_not_status") ? "State" : "Status", state);
    return reply;
}

static void list_accounts(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    json_t *all = json_array();
    const char *id;
    json_t *account;
    json_object_foreach (json_object_get(rq->world->state, "accounts"), id, account)
        json_array_append(all, account);
    answer_page_as(rq, "Accounts", all, account_reply);
}

static void describe_account(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    const json_t *account = json_object_get(json_object_get(rq->world->state, "accounts"), sim_param(rq, "AccountId"));
    if (account)
        sim_ok_json(rq, json_pack("{s:o}", "Account", account_reply(account)));
    else
        sim_error(rq, 400, "AccountNotFoundException", "You specified an account that doesn't exist.");
}

/* ---- tree ---- */

static void list_roots(struct sim_request *rq)
{
    if (may_read_all(rq))
        answer_page(rq, "Roots", list_at(rq, "tree.roots"));
}

static json_t *children_of(struct sim_request *rq, const char *kind)
{
    const char *parent = sim_param(rq, "ParentId");
    const json_t *ous = sim_at(rq->world, "tree.ous"), *roots = sim_at(rq->world, "tree.roots");
    bool known = json_object_get(ous, parent) != NULL;
    for (size_t i = 0; i < json_array_size(roots); i++)
        known = known || svc_is(svc_text(json_array_get(roots, i), "Id"), parent);
    if (!known) {
        sim_error(rq, 400, "ParentNotFoundException", "You specified a parent that doesn't exist.");
        return NULL;
    }
    json_t *children = json_object_get(json_object_get(sim_at(rq->world, "tree.children"), parent), kind);
    return children ? json_incref(children) : json_array();
}

static void list_ous(struct sim_request *rq)
{
    json_t *ids = may_read_all(rq) ? children_of(rq, "ous") : NULL;
    if (!ids)
        return;
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++) {
        json_t *ou = json_object_get(sim_at(rq->world, "tree.ous"), json_string_value(json_array_get(ids, i)));
        if (ou)
            json_array_append(all, ou);
    }
    json_decref(ids);
    answer_page(rq, "OrganizationalUnits", all);
}

static void list_accounts_for_parent(struct sim_request *rq)
{
    json_t *ids = may_read_all(rq) ? children_of(rq, "accounts") : NULL;
    if (!ids)
        return;
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *account =
            json_object_get(json_object_get(rq->world->state, "accounts"), json_string_value(json_array_get(ids, i)));
        if (account)
            json_array_append_new(all, account_reply(account));
    }
    json_decref(ids);
    answer_page(rq, "Accounts", all);
}

static void list_children(struct sim_request *rq)
{
    const char *type = sim_param(rq, "ChildType");
    if (!may_read_all(rq))
        return;
    if (!svc_one_of(type, "ACCOUNT,ORGANIZATIONAL_UNIT")) {
        sim_error(rq, 400, "InvalidInputException", "You specified an invalid value for ChildType.");
        return;
    }
    json_t *ids = children_of(rq, type[0] == 'A' ? "accounts" : "ous");
    if (!ids)
        return;
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++)
        json_array_append_new(all, json_pack("{s:O, s:s}", "Id", json_array_get(ids, i), "Type", type));
    json_decref(ids);
    answer_page(rq, "Children", all);
}

static void list_parents(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    const char *child = sim_param(rq, "ChildId"), *parent;
    json_t *parts;
    json_object_foreach (sim_at(rq->world, "tree.children"), parent, parts) {
        const json_t *lists[] = {json_object_get(parts, "ous"), json_object_get(parts, "accounts")};
        for (size_t l = 0; l < 2; l++)
            for (size_t i = 0; i < json_array_size(lists[l]); i++)
                if (svc_is(json_string_value(json_array_get(lists[l], i)), child)) {
                    sim_ok_json(rq, json_pack("{s:[{s:s, s:s}]}", "Parents", "Id", parent, "Type",
                                              parent[0] == 'r' ? "ROOT" : "ORGANIZATIONAL_UNIT"));
                    return;
                }
    }
    sim_error(rq, 400, "ChildNotFoundException", "You specified a child that doesn't exist.");
}

static void describe_ou(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    json_t *ou = json_object_get(sim_at(rq->world, "tree.ous"), sim_param(rq, "OrganizationalUnitId"));
    if (ou)
        sim_ok_json(rq, json_pack("{s:O}", "OrganizationalUnit", ou));
    else
        sim_error(rq, 400, "OrganizationalUnitNotFoundException",
                  "You specified an organizational unit that doesn't exist.");
}

/* ---- policies ---- */

static bool filter_is_fine(struct sim_request *rq)
{
    const char *filter = sim_param(rq, "Filter");
    size_t i = 0;
    while (policy_types[i] && !svc_is(policy_types[i], filter))
        i++;
    if (!policy_types[i]) {
        sim_error(rq, 400, "InvalidInputException", "You specified an invalid value for Filter.");
        return false;
    }
    if (svc_one_of(filter, "NETWORK_SECURITY_DIRECTOR_POLICY,UPGRADE_ROLLOUT_POLICY") &&
        sim_trap("org_unsupported_policy_type")) {
        sim_error(rq, 400, "UnsupportedAPIEndpointException", "This action isn't available in the current AWS Region.");
        return false;
    }
    return true;
}

static void list_policies(struct sim_request *rq)
{
    if (!may_read_all(rq) || !filter_is_fine(rq))
        return;
    json_t *all = json_array(), *policy;
    const char *id;
    json_object_foreach (json_object_get(rq->world->state, "policies"), id, policy) {
        json_t *summary = json_object_get(policy, "PolicySummary");
        if (svc_is(svc_text(summary, "Type"), sim_param(rq, "Filter")))
            json_array_append(all, summary);
    }
    answer_page(rq, "Policies", all);
}

static json_t *policy_of(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return NULL;
    json_t *policy = json_object_get(json_object_get(rq->world->state, "policies"), sim_param(rq, "PolicyId"));
    if (!policy)
        sim_error(rq, 400, "PolicyNotFoundException", "You specified a policy that doesn't exist.");
    return policy;
}

static void describe_policy(struct sim_request *rq)
{
    const json_t *policy = policy_of(rq);
    if (policy)
        sim_ok_json(rq, json_pack("{s:{s:O, s:O}}", "Policy", "PolicySummary", json_object_get(policy, "PolicySummary"),
                                  "Content", json_object_get(policy, "Content")));
}

static void list_targets(struct sim_request *rq)
{
    const json_t *policy = policy_of(rq);
    json_t *targets = json_object_get(policy, "targets");
    if (policy)
        answer_page(rq, "Targets", targets ? json_copy(targets) : json_array());
}

static void list_policies_for_target(struct sim_request *rq)
{
    if (!may_read_all(rq) || !filter_is_fine(rq))
        return;
    json_t *all = json_array(), *policy;
    const char *id;
    json_object_foreach (json_object_get(rq->world->state, "policies"), id, policy) {
        json_t *summary = json_object_get(policy, "PolicySummary"), *targets = json_object_get(policy, "targets");
        for (size_t i = 0; i < json_array_size(targets); i++)
            if (svc_is(svc_text(json_array_get(targets, i), "TargetId"), sim_param(rq, "TargetId")) &&
                svc_is(svc_text(summary, "Type"), sim_param(rq, "Filter")))
                json_array_append(all, summary);
    }
    answer_page(rq, "Policies", all);
}

/* ---- trust, delegation, handshakes, transfers, tags ---- */

static void list_service_access(struct sim_request *rq)
{
    if (may_read_all(rq))
        answer_page(rq, "EnabledServicePrincipals", list_at(rq, "trusted_services"));
}

static void list_delegated_administrators(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    const char *id, *service = sim_param(rq, "ServicePrincipal");
    json_t *one, *all = json_array();
    json_object_foreach (json_object_get(rq->world->state, "delegated"), id, one) {
        const json_t *services = json_object_get(one, "services");
        bool wanted = service[0] == '\0';
        for (size_t i = 0; i < json_array_size(services); i++)
            wanted = wanted || svc_is(svc_text(json_array_get(services, i), "ServicePrincipal"), service);
        const json_t *account = json_object_get(json_object_get(rq->world->state, "accounts"), id);
        if (!wanted || !account)
            continue;
        json_t *reply = account_reply(account), *date = json_object_get(one, "DelegationEnabledDate");
        json_object_del(reply, "Paths");
        if (date)
            json_object_set(reply, "DelegationEnabledDate", date);
        json_array_append_new(all, reply);
    }
    answer_page(rq, "DelegatedAdministrators", all);
}

static void list_delegated_services(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    const json_t *one = json_object_get(json_object_get(rq->world->state, "delegated"), sim_param(rq, "AccountId"));
    json_t *services = json_object_get(one, "services");
    if (one)
        answer_page(rq, "DelegatedServices", services ? json_copy(services) : json_array());
    else
        sim_error(rq, 400, "AccountNotRegisteredException", "The account isn't a delegated administrator.");
}

static void describe_resource_policy(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    json_t *policy = json_object_get(rq->world->state, "resource_policy");
    if (json_is_object(policy))
        sim_ok_json(rq, json_pack("{s:O}", "ResourcePolicy", policy));
    else
        sim_error(rq, 400, "ResourcePolicyNotFoundException",
                  "We can't find a resource policy request with the parameter that you "
                  "specified.");
}

static void answer_handshakes(struct sim_request *rq, const char *path)
{
    const char *wanted = sim_param(rq, "Filter.ActionType");
    const json_t *list = sim_at(rq->world, path);
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        if (!wanted[0] || svc_is(svc_text(one, "Action"), wanted))
            json_array_append(all, one);
    }
    answer_page(rq, "Handshakes", all);
}

static void list_handshakes_for_organization(struct sim_request *rq)
{
    if (may_read_all(rq))
        answer_handshakes(rq, "handshakes.organization");
}

static void list_handshakes_for_account(struct sim_request *rq)
{
    answer_handshakes(rq, "handshakes.account"); /* any account may ask, also one without an organization */
}

static void list_transfers(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    if (!svc_is(sim_param(rq, "Type"), "BILLING"))
        sim_error(rq, 400, "InvalidInputException", "You specified an invalid value for Type.");
    else
        answer_page(rq, "ResponsibilityTransfers",
                    list_at(rq, strstr(rq->action, "Inbound") ? "transfers.inbound" : "transfers.outbound"));
}

static void list_tags(struct sim_request *rq)
{
    if (!may_read_all(rq))
        return;
    json_t *tags = json_object_get(json_object_get(rq->world->state, "org_tags"), sim_param(rq, "ResourceId"));
    answer_page(rq, "Tags", tags ? json_copy(tags) : json_array());
}

const struct sim_op sim_ops_organizations[] = {
    {"organizations", "DescribeOrganization", false, describe_organization},
    {"organizations", "ListAccounts", false, list_accounts},
    {"organizations", "DescribeAccount", false, describe_account},
    {"organizations", "ListRoots", false, list_roots},
    {"organizations", "ListOrganizationalUnitsForParent", false, list_ous},
    {"organizations", "ListAccountsForParent", false, list_accounts_for_parent},
    {"organizations", "ListChildren", false, list_children},
    {"organizations", "ListParents", false, list_parents},
    {"organizations", "DescribeOrganizationalUnit", false, describe_ou},
    {"organizations", "ListPolicies", false, list_policies},
    {"organizations", "DescribePolicy", false, describe_policy},
    {"organizations", "ListTargetsForPolicy", false, list_targets},
    {"organizations", "ListPoliciesForTarget", false, list_policies_for_target},
    {"organizations", "ListAWSServiceAccessForOrganization", false, list_service_access},
    {"organizations", "ListDelegatedAdministrators", false, list_delegated_administrators},
    {"organizations", "ListDelegatedServicesForAccount", false, list_delegated_services},
    {"organizations", "DescribeResourcePolicy", false, describe_resource_policy},
    {"organizations", "ListHandshakesForOrganization", false, list_handshakes_for_organization},
    {"organizations", "ListHandshakesForAccount", false, list_handshakes_for_account},
    {"organizations", "ListInboundResponsibilityTransfers", false, list_transfers},
    {"organizations", "ListOutboundResponsibilityTransfers", false, list_transfers},
    {"organizations", "ListTagsForResource", false, list_tags},
    {0},
};
