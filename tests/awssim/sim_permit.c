/* Which rights a request needs, on what, and what its conditions can see; how AWS words a refusal.
 *
 * Invariant: an operation that does two things (a role made with tags) needs both rights, as at AWS. */
#include "sim_core.h"

#include <stdlib.h>
#include <string.h>

static const char *s3_permission(const char *action)
{
    static const char *const names[][2] = {
        {"HeadBucket", "ListBucket"},
        {"ListObjectsV2", "ListBucket"},
        {"ListBuckets", "ListAllMyBuckets"},
        {"HeadObject", "GetObject"},
        {"GetBucketEncryption", "GetEncryptionConfiguration"},
        {"PutBucketEncryption", "PutEncryptionConfiguration"},
        {"DeleteBucketEncryption", "PutEncryptionConfiguration"},
        {"GetPublicAccessBlock", "GetBucketPublicAccessBlock"},
        {"PutPublicAccessBlock", "PutBucketPublicAccessBlock"},
        {"DeletePublicAccessBlock", "PutBucketPublicAccessBlock"},
        {"DeleteBucketOwnershipControls", "PutBucketOwnershipControls"},
        {"DeleteBucketTagging", "PutBucketTagging"},
        {"GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"},
        {"PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"},
        {"DeleteBucketLifecycle", "PutLifecycleConfiguration"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], action) == 0)
            return names[i][1];
    return action;
}

/* ---- on what ---- */

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* An identity or policy by its name: as it is, or as it would be made. */
static bool named_resource(struct sim_request *rq, const char *param, const char *section, const char *word, char *ret,
                           size_t room)
{
    const char *name = sim_param(rq, param), *path = sim_param(rq, "Path");
    if (!name[0])
        return false;
    json_t *iam = sim_account_iam(rq->world, rq->caller_account);
    const char *arn = text_at(json_object_get(json_object_get(iam, section), name), "Arn");
    if (arn[0])
        (void)snprintf(ret, room, "%s", arn);
    else
        (void)snprintf(ret, room, "arn:aws:iam::%s:%s%s%s", rq->caller_account, word, path[0] ? path : "/", name);
    return true;
}

static void iam_resource(struct sim_request *rq, char *ret, size_t room)
{
    if (strcmp(rq->action, "SimulatePrincipalPolicy") == 0) {
        (void)snprintf(ret, room, "%s", sim_param(rq, "PolicySourceArn"));
        return;
    }
    if (strstr(rq->action, "InstanceProfile") && sim_param(rq, "InstanceProfileName")[0]) {
        (void)snprintf(ret, room, "arn:aws:iam::%s:instance-profile/%s", rq->caller_account,
                       sim_param(rq, "InstanceProfileName"));
        return;
    }
    if (named_resource(rq, "RoleName", "roles", "role", ret, room) ||
        named_resource(rq, "UserName", "users", "user", ret, room) ||
        named_resource(rq, "GroupName", "groups", "group", ret, room))
        return;
    if (sim_param(rq, "PolicyArn")[0])
        (void)snprintf(ret, room, "%s", sim_param(rq, "PolicyArn"));
    else
        (void)named_resource(rq, "PolicyName", "policies", "policy", ret, room);
}

/* Actions of cur that AWS narrows by report. */
static void cur_resource(struct sim_request *rq, char *ret, size_t room)
{
    const char *name = sim_param(rq, "ReportName");
    const char *put = text_at(json_object_get(rq->params, "ReportDefinition"), "ReportName");
    if (put[0])
        name = put;
    if (name[0])
        (void)snprintf(ret, room, "arn:aws:cur:us-east-1:%s:definition/%s", rq->caller_account, name);
}

static void resource_of(struct sim_request *rq, char *ret, size_t room)
{
    (void)snprintf(ret, room, "*");
    if (strcmp(rq->service, "sts") == 0 && strcmp(rq->action, "AssumeRole") == 0)
        (void)snprintf(ret, room, "%s", sim_param(rq, "RoleArn"));
    else if (strcmp(rq->service, "iam") == 0)
        iam_resource(rq, ret, room);
    else if (strcmp(rq->service, "s3") == 0 && rq->bucket && rq->bucket[0])
        (void)snprintf(ret, room, "arn:aws:s3:::%s%s%s", rq->bucket, rq->key[0] ? "/" : "", rq->key);
    else if (strcmp(rq->service, "cur") == 0)
        cur_resource(rq, ret, room);
    else if (strcmp(rq->service, "account") == 0)
        (void)snprintf(ret, room, "arn:aws:account::%s:account", rq->caller_account);
    else if (strcmp(rq->service, "bcm-data-exports") == 0 && sim_param(rq, "ExportArn")[0])
        (void)snprintf(ret, room, "%s", sim_param(rq, "ExportArn"));
}

/* ---- what conditions can see ---- */

static const char *tag_of(const json_t *tags, const char *key)
{
    for (size_t i = 0; i < json_array_size(tags); i++)
        if (strcmp(text_at(json_array_get(tags, i), "Key"), key) == 0)
            return text_at(json_array_get(tags, i), "Value");
    return NULL;
}

/* Tags of the role, user or policy that the request names. S3 gives buckets' tags to policies only on request. */
static const char *resource_tag(struct sim_request *rq, const char *key)
{
    static const struct {
        const char *param, *section;
    } kinds[] = {{"RoleName", "roles"}, {"UserName", "users"}, {"PolicyName", "policies"}};
    const json_t *iam = sim_account_iam(rq->world, rq->caller_account);
    const char *arn = sim_param(rq, "PolicyArn"), *slash = strrchr(arn, '/');
    if (strcmp(rq->service, "iam") != 0)
        return NULL;
    for (size_t i = 0; i < 3; i++) {
        const char *name = sim_param(rq, kinds[i].param);
        if (name[0])
            return tag_of(json_object_get(json_object_get(json_object_get(iam, kinds[i].section), name), "Tags"), key);
    }
    const json_t *policy = slash ? json_object_get(json_object_get(iam, "policies"), slash + 1) : NULL;
    return tag_of(json_object_get(policy, "Tags"), key);
}

static const char *bucket_account(struct sim_request *rq)
{
    const struct sim_world *owner = sim_world_of_bucket(rq->bucket);
    if (owner)
        return owner->account;
    const json_t *squatted = json_object_get(sim_at(rq->world, "s3.squatted"), rq->bucket);
    return squatted ? "000000000000" : NULL; /* a bucket that does not exist belongs to nobody */
}

const char *sim_request_fact(struct sim_request *rq, const char *key)
{
    if (strcasecmp(key, "iam:PolicyARN") == 0)
        return sim_param(rq, "PolicyArn")[0] ? sim_param(rq, "PolicyArn") : NULL;
    if (strncasecmp(key, "aws:RequestTag/", 15) == 0)
        return tag_of(json_object_get(rq->params, "Tags"), key + 15);
    if (strncasecmp(key, "aws:ResourceTag/", 16) == 0 || strncasecmp(key, "iam:ResourceTag/", 16) == 0)
        return resource_tag(rq, key + 16);
    if (strcasecmp(key, "aws:ResourceAccount") == 0)
        return strcmp(rq->service, "s3") == 0 && rq->bucket && rq->bucket[0] ? bucket_account(rq) : rq->caller_account;
    return NULL;
}

/* ---- the judgement ---- */

static bool refuse(struct sim_request *rq, const char *action, const char *resource, const struct sim_reason *why)
{
    enum sim_protocol protocol = sim_protocol_of(rq->service);
    const char *quote = protocol == SIM_S3 ? "\"" : ""; /* only S3 puts the resource in quotes */
    char because[700];
    if (why->is_explicit && why->policy[0])
        (void)snprintf(because, sizeof because, "with an explicit deny in %s %s: %s",
                       strchr("aeiou", why->layer[0]) ? "an" : "a", why->layer, why->policy);
    else if (why->is_explicit)
        (void)snprintf(because, sizeof because, "with an explicit deny in %s %s",
                       strchr("aeiou", why->layer[0]) ? "an" : "a", why->layer);
    else
        (void)snprintf(because, sizeof because, "because no %s allows the %s action", why->layer, action);
    sim_error(rq, protocol == SIM_JSON ? 400 : 403,
              protocol == SIM_QUERY || protocol == SIM_S3 ? "AccessDenied" : "AccessDeniedException",
              "User: %s is not authorized to perform: %s on resource: %s%s%s %s", rq->caller_arn, action, quote,
              resource, quote, because);
    return false;
}

static bool has_right(struct sim_request *rq, const char *action, const char *resource)
{
    struct sim_reason why = {0};
    return sim_allowed(rq, action, resource, &why) || refuse(rq, action, resource, &why);
}

/* What else AWS asks for when one call does two things. NULL: nothing. */
static const char *also_needed(struct sim_request *rq)
{
    bool has_tags = json_array_size(json_object_get(rq->params, "Tags")) > 0;
    if (strcmp(rq->service, "iam") == 0 && has_tags)
        return strcmp(rq->action, "CreateRole") == 0     ? "iam:TagRole"
               : strcmp(rq->action, "CreatePolicy") == 0 ? "iam:TagPolicy"
               : strcmp(rq->action, "CreateUser") == 0   ? "iam:TagUser"
                                                         : NULL;
    if (strcmp(rq->service, "cur") == 0 && has_tags && strcmp(rq->action, "PutReportDefinition") == 0)
        return "cur:TagResource";
    if (strcmp(rq->service, "s3") == 0 && strcmp(rq->action, "CreateBucket") == 0 &&
        rq->header(rq, "x-amz-object-ownership"))
        return "s3:PutBucketOwnershipControls";
    return NULL;
}

bool sim_permitted(struct sim_request *rq)
{
    char action[200], resource[700];
    if (strcmp(rq->action, "GetCallerIdentity") == 0)
        return true; /* AWS lets anybody who can sign ask this */
    resource_of(rq, resource, sizeof resource);
    (void)snprintf(action, sizeof action, "%s:%s", sim_action_prefix(rq->service),
                   strcmp(rq->service, "s3") == 0 ? s3_permission(rq->action) : rq->action);
    const char *also = also_needed(rq);
    return has_right(rq, action, resource) && (!also || has_right(rq, also, resource));
}
