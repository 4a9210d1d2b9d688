/* Partner Central's channel API, as the operator's program management account sees it: relationships to customers'
 * management accounts. A client token makes the same creation harmless; an account belongs to one partner at a time.
 *
 * State of the partner's world "channel": {"pmas": {"pma-..": {..as shown}}, "relationships": {"rs-..": {..as shown}},
 *   "tokens": {"<client token>": {"asked": {..}, "id": "rs-.."}}}.
 * State of a customer's world "channel": {"held_by": "another partner's name"}?. */
#include "svc.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *channel_map(struct sim_world *w, const char *name)
{
    json_t *channel = sim_section(w, "channel");
    json_t *map = json_object_get(channel, name);
    if (map == NULL) {
        map = json_object();
        json_object_set_new(channel, name, map);
    }
    return map;
}

/* The last word of an ARN, or the id itself. */
static const char *channel_id(const char *identifier)
{
    const char *slash = strrchr(identifier, '/');
    return slash ? slash + 1 : identifier;
}

static bool channel_open(struct sim_request *rq)
{
    const char *catalog = sim_param(rq, "catalog");
    if (sim_at(rq->world, "channel.pmas") == NULL)
        sim_error(rq, 400, "AccessDeniedException", "User: %s is not authorized to perform: partnercentral:%s",
                  rq->caller_arn, rq->action);
    else if (!svc_one_of(catalog, "AWS,Sandbox"))
        sim_error(rq, 400, "ValidationException", "catalog is required.");
    else
        return true;
    return false;
}

static bool channel_wants(const struct sim_request *rq, const char *list_name, const char *value)
{
    const json_t *list = json_object_get(rq->params, list_name);
    size_t i;
    const json_t *one;
    if (json_array_size(list) == 0)
        return true;
    json_array_foreach (list, i, one)
        if (json_is_string(one) && svc_is(channel_id(json_string_value(one)), value))
            return true;
    return false;
}

static void channel_answer_page(struct sim_request *rq, json_t *items /* taken */)
{
    size_t start, max = 100;
    const json_t *asked = json_object_get(rq->params, "maxResults");
    if (json_is_integer(asked) && json_integer_value(asked) >= 1 && json_integer_value(asked) <= 100)
        max = (size_t)json_integer_value(asked);
    if (!svc_page(rq, "nextToken", "ValidationException", &start)) {
        json_decref(items);
        return;
    }
    json_t *page = json_array();
    for (size_t i = start; i < json_array_size(items) && i < start + max; i++)
        json_array_append(page, json_array_get(items, i));
    json_t *answer = json_pack("{s:o}", "items", page);
    if (json_array_size(items) > start + max)
        json_object_set_new(answer, "nextToken", svc_page_token(start + max));
    json_decref(items);
    sim_ok_json(rq, answer);
}

static void channel_list_pmas(struct sim_request *rq)
{
    if (!channel_open(rq))
        return;
    json_t *items = json_array();
    const char *id;
    json_t *pma;
    json_object_foreach (channel_map(rq->world, "pmas"), id, pma) {
        bool take = svc_is(svc_text(pma, "catalog"), sim_param(rq, "catalog")) &&
                    channel_wants(rq, "programs", svc_text(pma, "program")) &&
                    channel_wants(rq, "accountIds", svc_text(pma, "accountId")) &&
                    channel_wants(rq, "statuses", svc_text(pma, "status")) &&
                    channel_wants(rq, "displayNames", svc_text(pma, "displayName"));
        if (take)
            json_array_append(items, pma);
    }
    channel_answer_page(rq, items);
}

static void channel_list(struct sim_request *rq)
{
    if (!channel_open(rq))
        return;
    json_t *items = json_array();
    const char *id;
    json_t *one;
    json_object_foreach (channel_map(rq->world, "relationships"), id, one) {
        bool take =
            svc_is(svc_text(one, "catalog"), sim_param(rq, "catalog")) &&
            channel_wants(rq, "associatedAccountIds", svc_text(one, "associatedAccountId")) &&
            channel_wants(rq, "associationTypes", svc_text(one, "associationType")) &&
            channel_wants(rq, "displayNames", svc_text(one, "displayName")) &&
            channel_wants(rq, "programManagementAccountIdentifiers", svc_text(one, "programManagementAccountId"));
        if (!take)
            continue;
        json_t *shown = json_copy(one); /* the list does not show the model */
        json_object_del(shown, "resaleAccountModel");
        json_array_append_new(items, shown);
    }
    channel_answer_page(rq, items);
}

static size_t channel_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80; /* UTF-8: continuation bytes do not count */
    return count;
}

static const char *channel_fault(const struct sim_request *rq)
{
    const char *account = sim_param(rq, "associatedAccountId"), *name = sim_param(rq, "displayName");
    const char *model = sim_param(rq, "resaleAccountModel"), *token = sim_param(rq, "clientToken");
    if (!svc_one_of(sim_param(rq, "associationType"), "DOWNSTREAM_SELLER,END_CUSTOMER,INTERNAL"))
        return "associationType is not known.";
    if (strlen(account) != 12 || strspn(account, "0123456789") != 12)
        return "associatedAccountId must be 12 digits.";
    if (name[0] == '\0' || channel_characters(name) > 30)
        return "displayName must have 1 to 30 characters.";
    if (!svc_one_of(sim_param(rq, "sector"), "COMMERCIAL,GOVERNMENT,GOVERNMENT_EXCEPTION"))
        return "sector is not known.";
    if (model[0] != '\0' && !svc_one_of(model, "DISTRIBUTOR,END_CUSTOMER,SOLUTION_PROVIDER"))
        return "resaleAccountModel is not known.";
    if (strlen(token) > 64)
        return "clientToken is too long.";
    return NULL;
}

/* Whether somebody already has that account. Answers if so. */
static bool channel_taken(struct sim_request *rq, const char *account)
{
    struct sim_world *customer = sim_world_by_account(account);
    const char *id;
    json_t *one;
    if (customer == NULL) {
        sim_error(rq, 400, "ResourceNotFoundException", "There is no account %s.", account);
        return true;
    }
    if (sim_at(customer, "channel.held_by") != NULL) {
        sim_error(rq, 400, "ConflictException", "Account %s already has a relationship with another partner.", account);
        return true;
    }
    json_object_foreach (channel_map(rq->world, "relationships"), id, one) {
        if (!svc_is(svc_text(one, "associatedAccountId"), account))
            continue;
        sim_error(rq, 400, "ConflictException", "Account %s already has the relationship %s.", account, id);
        return true;
    }
    return false;
}

static json_t *channel_made(struct sim_request *rq, const char *pma, char id[20])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t bits = sim_random();
    memcpy(id, "rs-", 3);
    for (int i = 0; i < 13; i++, bits = bits / 36 + (i == 11 ? sim_random() : 0))
        id[3 + i] = letters[bits % 36];
    id[16] = '\0';
    const char *catalog = sim_param(rq, "catalog"), *model = sim_param(rq, "resaleAccountModel");
    json_t *one = json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "arn",
        svc_textf("arn:aws:partnercentral:us-east-1:%s:catalog/%s/program-management-account/%s/relationship/%s",
                  rq->world->account, catalog, pma, id),
        "id", id, "revision", "1", "catalog", catalog, "associationType", sim_param(rq, "associationType"),
        "programManagementAccountId", pma, "associatedAccountId", sim_param(rq, "associatedAccountId"), "displayName",
        sim_param(rq, "displayName"), "sector", sim_param(rq, "sector"), "createdAt", svc_seconds(sim_now_ms()),
        "updatedAt", svc_seconds(sim_now_ms()), "startDate", svc_seconds(sim_now_ms()));
    if (model[0] != '\0')
        json_object_set_new(one, "resaleAccountModel", json_string(model));
    return one;
}

/* The same token again: the same answer when the same was asked, else a conflict. */
static bool channel_repeated(struct sim_request *rq, const char *token, const json_t *asked)
{
    json_t *known = json_object_get(channel_map(rq->world, "tokens"), token);
    if (token[0] == '\0' || known == NULL)
        return false;
    json_t *one = json_object_get(channel_map(rq->world, "relationships"), svc_text(known, "id"));
    bool same = json_equal(json_object_get(known, "asked"), asked) || !sim_trap("channel_token_conflict");
    if (!same || one == NULL) {
        sim_error(rq, 400, "ConflictException", "The client token was used for another request.");
        return true;
    }
    char resource[64];
    (void)snprintf(resource, sizeof resource, "channel.relationships.%s", svc_text(known, "id"));
    sim_effect(rq, resource, sim_before(one), one);
    sim_ok_json(
        rq, json_pack("{s:{s:s, s:s}}", "relationshipDetail", "arn", svc_text(one, "arn"), "id", svc_text(one, "id")));
    return true;
}

static void channel_create(struct sim_request *rq)
{
    if (!channel_open(rq))
        return;
    const char *fault = channel_fault(rq);
    if (fault) {
        sim_error(rq, 400, "ValidationException", "%s", fault);
        return;
    }
    const char *pma = channel_id(sim_param(rq, "programManagementAccountIdentifier"));
    const char *token = sim_param(rq, "clientToken"), *account = sim_param(rq, "associatedAccountId");
    const json_t *known_pma = json_object_get(channel_map(rq->world, "pmas"), pma);
    if (!svc_is(svc_text(known_pma, "catalog"), sim_param(rq, "catalog"))) {
        sim_error(rq, 400, "ResourceNotFoundException", "There is no program management account %s.", pma);
        return;
    }
    if (channel_repeated(rq, token, rq->params) || channel_taken(rq, account))
        return;
    char id[20], resource[64];
    json_t *one = channel_made(rq, pma, id);
    struct sim_before before = sim_before(NULL);
    json_object_set_new(channel_map(rq->world, "relationships"), id, one);
    if (token[0] != '\0')
        json_object_set_new(channel_map(rq->world, "tokens"), token,
                            json_pack("{s:o, s:s}", "asked", json_deep_copy(rq->params), "id", id));
    (void)snprintf(resource, sizeof resource, "channel.relationships.%s", id);
    sim_effect(rq, resource, before, one);
    sim_ok_json(rq, json_pack("{s:{s:s, s:s}}", "relationshipDetail", "arn", svc_text(one, "arn"), "id", id));
}

/* The relationship that a call names, or NULL after answering. */
static json_t *channel_named(struct sim_request *rq)
{
    const char *id = channel_id(sim_param(rq, "identifier"));
    const char *pma = channel_id(sim_param(rq, "programManagementAccountIdentifier"));
    json_t *one = json_object_get(channel_map(rq->world, "relationships"), id);
    if (one != NULL && svc_is(svc_text(one, "programManagementAccountId"), pma))
        return one;
    sim_error(rq, 400, "ResourceNotFoundException", "There is no relationship %s.", id);
    return NULL;
}

static void channel_get(struct sim_request *rq)
{
    json_t *one = channel_open(rq) ? channel_named(rq) : NULL;
    if (one != NULL)
        sim_ok_json(rq, json_pack("{s:O}", "relationshipDetail", one));
}

static void channel_delete(struct sim_request *rq)
{
    json_t *one = channel_open(rq) ? channel_named(rq) : NULL;
    if (one == NULL)
        return;
    char resource[64], id[20];
    (void)snprintf(id, sizeof id, "%s", svc_text(one, "id"));
    (void)snprintf(resource, sizeof resource, "channel.relationships.%s", id);
    struct sim_before before = sim_before(one);
    json_object_del(channel_map(rq->world, "relationships"), id);
    sim_effect(rq, resource, before, NULL);
    sim_ok_json(rq, json_object());
}

const struct sim_op sim_ops_channel[] = {
    {"partnercentral-channel", "ListProgramManagementAccounts", false, channel_list_pmas},
    {"partnercentral-channel", "ListRelationships", false, channel_list},
    {"partnercentral-channel", "CreateRelationship", true, channel_create},
    {"partnercentral-channel", "GetRelationship", false, channel_get},
    {"partnercentral-channel", "DeleteRelationship", true, channel_delete},
    {0},
};
