/* From bytes to a request: the service out of the credential scope, the action and its parameters by protocol; then the
 * way through permission, handler, fault and CloudTrail. */
#include "sim_core.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- query form -> nested JSON ---- */

/* The child called `name`, made when absent; `next_is_list` decides its kind. */
static json_t *child_of(json_t *parent, const char *name, bool next_is_list)
{
    json_t *child;
    if (json_is_array(parent)) {
        unsigned long i = strtoul(name, NULL, 10);
        if (i == 0 || i > 2000)
            return NULL;
        while (json_array_size(parent) < i)
            json_array_append_new(parent, json_null());
        child = json_array_get(parent, i - 1);
        if (json_is_null(child))
            json_array_set_new(parent, i - 1, child = next_is_list ? json_array() : json_object());
        return child;
    }
    child = json_object_get(parent, name);
    if (!json_is_object(child) && !json_is_array(child))
        json_object_set_new(parent, name, child = next_is_list ? json_array() : json_object());
    return child;
}

static void put_leaf(json_t *parent, const char *name, const char *value)
{
    if (!json_is_array(parent)) {
        json_object_set_new(parent, name, json_string(value));
        return;
    }
    unsigned long i = strtoul(name, NULL, 10);
    if (i == 0 || i > 2000)
        return;
    while (json_array_size(parent) < i)
        json_array_append_new(parent, json_null());
    json_array_set_new(parent, i - 1, json_string(value));
}

static void put_nested(json_t *root, char *name, const char *value)
{
    char *parts[16];
    size_t count = 0;
    for (char *at = name; at && count < 16;) {
        parts[count++] = at;
        at = strchr(at, '.');
        if (at)
            *at++ = '\0';
    }
    json_t *at = root;
    for (size_t i = 0; at && i < count; i++) {
        if (strcmp(parts[i], "member") == 0 && json_is_array(at))
            continue;
        if (i + 1 == count)
            put_leaf(at, parts[i], value);
        else
            at = child_of(at, parts[i], strcmp(parts[i + 1], "member") == 0);
    }
}

static json_t *parse_form(const char *form, size_t bytes, bool nested)
{
    json_t *root = json_object();
    char *copy = strndup(form, bytes), *save = NULL;
    if (!copy)
        abort();
    for (char *pair = strtok_r(copy, "&", &save); pair; pair = strtok_r(NULL, "&", &save)) {
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        sim_uri_decode(pair, strlen(pair), true);
        if (value)
            sim_uri_decode(value, strlen(value), true);
        if (nested)
            put_nested(root, pair, value ? value : "");
        else
            json_object_set_new(root, pair, json_string(value ? value : ""));
    }
    free(copy);
    return root;
}

/* ---- actions ---- */

static const struct {
    const char *query, *get, *put, *del;
} s3_parts[] = {
    {"policy", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"},
    {"publicAccessBlock", "GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"},
    {"ownershipControls", "GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"},
    {"encryption", "GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"},
    {"tagging", "GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"},
    {"versioning", "GetBucketVersioning", "PutBucketVersioning", ""},
    {"lifecycle", "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"},
    {"location", "GetBucketLocation", "", ""},
    {"acl", "GetBucketAcl", "", ""},
};

static bool query_has(const char *query, const char *name)
{
    size_t bytes = strlen(name);
    for (const char *at = query; *at;) {
        size_t pair = strcspn(at, "&");
        if (strncmp(at, name, bytes) == 0 && (pair == bytes || at[bytes] == '='))
            return true;
        at += pair + (at[pair] == '&');
    }
    return false;
}

static const char *s3_action(const struct sim_raw *raw)
{
    const char *key = strchr(raw->path[0] == '/' ? raw->path + 1 : raw->path, '/');
    bool get = strcmp(raw->method, "GET") == 0, put = strcmp(raw->method, "PUT") == 0;
    bool del = strcmp(raw->method, "DELETE") == 0, head = strcmp(raw->method, "HEAD") == 0;
    if (raw->path[0] == '\0' || raw->path[1] == '\0')
        return get ? "ListBuckets" : "";
    if (key && key[1] != '\0')
        return get ? "GetObject" : put ? "PutObject" : del ? "DeleteObject" : head ? "HeadObject" : "";
    for (size_t i = 0; i < sizeof s3_parts / sizeof s3_parts[0]; i++)
        if (query_has(raw->query, s3_parts[i].query))
            return get ? s3_parts[i].get : put ? s3_parts[i].put : del ? s3_parts[i].del : "";
    return get ? "ListObjectsV2" : put ? "CreateBucket" : del ? "DeleteBucket" : head ? "HeadBucket" : "";
}

static void rest_action(const struct sim_raw *raw, const char *service, char *ret, size_t room)
{
    const char *last = raw->path[0] == '/' ? raw->path + 1 : raw->path;
    if (strcmp(service, "backup") == 0 && strcmp(last, "global-settings") == 0)
        (void)snprintf(ret, room, "%s",
                       strcmp(raw->method, "GET") == 0 ? "DescribeGlobalSettings" : "UpdateGlobalSettings");
    else if (strcmp(last, "getresourceshares") == 0)
        (void)snprintf(ret, room, "GetResourceShares");
    else
        (void)snprintf(ret, room, "%.80s", last);
    ret[0] = (char)toupper((unsigned char)ret[0]);
}

static void query_action(const struct sim_raw *raw, char *ret, size_t room)
{
    const char *at = raw->body_bytes ? raw->body : raw->query;
    while (at && *at) {
        size_t pair = strcspn(at, "&");
        if (strncmp(at, "Action=", 7) == 0) {
            (void)snprintf(ret, room, "%.*s", (int)(pair - 7), at + 7);
            return;
        }
        at += pair + (at[pair] == '&');
    }
}

/* Service and action without checking anything: faults are drawn by them before the request is served. */
void sim_request_peek(const struct sim_raw *raw, char service[48], char action[96])
{
    service[0] = action[0] = '\0';
    const char *header = sim_http_header(raw->http, "Authorization");
    const char *at = header ? strstr(header, "Credential=") : NULL;
    for (int i = 0; at && i < 3; i++) {
        at = strchr(at, '/');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return;
    (void)snprintf(service, 48, "%.*s", (int)strcspn(at, "/, "), at);
    switch (sim_protocol_of(service)) {
    case SIM_QUERY:
        query_action(raw, action, 96);
        break;
    case SIM_S3:
        (void)snprintf(action, 96, "%s", s3_action(raw));
        break;
    case SIM_REST_JSON:
        rest_action(raw, service, action, 96);
        break;
    case SIM_JSON: {
        const char *target = sim_http_header(raw->http, "X-Amz-Target");
        const char *dot = target ? strrchr(target, '.') : NULL;
        (void)snprintf(action, 96, "%s", dot ? dot + 1 : "");
        break;
    }
    }
}

static void set_bucket(struct sim_request *rq, const struct sim_raw *raw)
{
    char *path = strdup(raw->path[0] == '/' ? raw->path + 1 : raw->path);
    if (!path)
        abort();
    char *key = strchr(path, '/');
    if (key)
        *key++ = '\0';
    sim_uri_decode(path, strlen(path), false);
    if (key)
        sim_uri_decode(key, strlen(key), false);
    rq->bucket = path;
    rq->key = key ? key : "";
}

static json_t *parse_json_body(struct sim_request *rq)
{
    if (rq->body_bytes == 0)
        return json_object();
    json_error_t error;
    json_t *parsed = json_loadb(rq->body, rq->body_bytes, 0, &error);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        sim_error(rq, 400, "SerializationException", "%s", error.text[0] ? error.text : "not an object");
        return NULL;
    }
    return parsed;
}

bool sim_request_parse(struct sim_request *rq, const struct sim_raw *raw)
{
    switch (sim_protocol_of(rq->service)) {
    case SIM_QUERY:
        rq->params = raw->body_bytes ? parse_form(raw->body, raw->body_bytes, true)
                                     : parse_form(raw->query, strlen(raw->query), true);
        break;
    case SIM_S3:
        rq->params = parse_form(raw->query, strlen(raw->query), false);
        set_bucket(rq, raw);
        break;
    case SIM_REST_JSON:
        rq->params =
            strcmp(raw->method, "GET") == 0 ? parse_form(raw->query, strlen(raw->query), false) : parse_json_body(rq);
        break;
    case SIM_JSON:
        rq->params = parse_json_body(rq);
        break;
    }
    return rq->params != NULL;
}

void sim_request_done(struct sim_request *rq)
{
    json_decref(rq->params);
    free((void *)(uintptr_t)rq->bucket); /* key lies in the same allocation */
    free((void *)(uintptr_t)rq->path);
    rq->params = NULL;
    rq->bucket = rq->key = rq->path = NULL;
}

/* ---- the way through ---- */

static bool region_fits(struct sim_request *rq)
{
    if (!sim_service_is_global(rq->service) || strcmp(rq->region, "us-east-1") == 0 ||
        !sim_trap("global_services_us_east_1"))
        return true;
    bool query = sim_protocol_of(rq->service) == SIM_QUERY;
    sim_error(rq, query ? 403 : 400, query ? "SignatureDoesNotMatch" : "InvalidSignatureException",
              "Credential should be scoped to a valid region, not '%s'.", rq->region);
    return false;
}

static const struct sim_op *op_of(struct sim_request *rq)
{
    const struct sim_op *op = sim_op_find(rq->service, rq->action);
    if (op)
        return op;
    enum sim_protocol protocol = sim_protocol_of(rq->service);
    if (protocol == SIM_QUERY)
        sim_error(rq, 400, "InvalidAction", "Could not find operation %s", rq->action);
    else if (protocol == SIM_S3)
        sim_error(rq, 405, "MethodNotAllowed", "The specified method is not allowed against this resource.");
    else
        sim_error(rq, 400, "UnknownOperationException", "%s:%s is not simulated", rq->service, rq->action);
    return NULL;
}

void sim_serve(struct sim_request *rq, const struct sim_raw *raw, enum sim_fault fault)
{
    char service[48], action[96];
    sim_request_id(rq->request_id);
    rq->method = raw->method;
    rq->body = raw->body;
    rq->body_bytes = raw->body_bytes;
    rq->http = raw->http;
    sim_request_peek(raw, service, action);
    rq->action = action;
    char *path = strdup(raw->path);
    if (!path)
        abort();
    sim_uri_decode(path, strlen(path), false);
    rq->path = path;
    const struct sim_op *op = NULL;
    if (sim_authenticate(rq, raw) && region_fits(rq) && (op = op_of(rq)) && sim_request_parse(rq, raw)) {
        sim_calls_note(rq);
        if (fault == SIM_THROTTLE || fault == SIM_BEFORE) {
            sim_fault_answer(rq, fault);
        } else if (sim_permitted(rq)) {
            op->handle(rq);
            if (op->mutates)
                sim_trail_request(rq);
        } else if (op->mutates) {
            sim_trail_request(rq);
        }
        if (fault == SIM_AFTER)
            sim_fault_answer(rq, fault);
    }
    sim_header(rq, sim_protocol_of(rq->service) == SIM_S3 ? "x-amz-request-id" : "x-amzn-RequestId", rq->request_id);
    sim_request_done(rq);
    rq->action = rq->service = rq->region = ""; /* they lived on this stack */
}
