/* CloudTrail's event store: each write leaves an event with the caller's identity; it becomes visible late, as in AWS.
 */
#include "sim_core.h"
#include "svc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERY_MS 1500u /* real AWS: minutes; short enough that a demo ends, long enough that a client must wait */
#define EVENTS_MAX 20000u

static json_t *identity(const char *type, const char *arn, const char *account, const char *access_key_id)
{
    json_t *who = json_pack("{s:s, s:s, s:s, s:s}", "type", type, "principalId",
                            access_key_id[0] ? access_key_id : account, "arn", arn, "accountId", account);
    if (access_key_id[0])
        json_object_set_new(who, "accessKeyId", json_string(access_key_id));
    const char *slash = strrchr(arn, '/');
    if (strcmp(type, "IAMUser") == 0 && slash)
        json_object_set_new(who, "userName", json_string(slash + 1));
    if (strcmp(type, "AssumedRole") == 0) {
        const char *role = strstr(arn, "assumed-role/");
        if (role) {
            role += 13;
            json_object_set_new(
                who, "sessionContext",
                json_pack("{s:{s:s, s:s%}}", "sessionIssuer", "type", "Role", "userName", role, strcspn(role, "/")));
            const struct sim_session *session = sim_session_of(access_key_id);
            if (session && session->source[0])
                json_object_set_new(json_object_get(who, "sessionContext"), "sourceIdentity",
                                    json_string(session->source));
        }
    }
    return who;
}

static const char *user_name(const char *type, const char *arn)
{
    if (strcmp(type, "Root") == 0)
        return "root";
    const char *slash = strrchr(arn, '/');
    return slash ? slash + 1 : arn;
}

static void append(struct sim_world *w, json_t *event, const char *name, const char *source, const char *username,
                   const char *access_key_id, uint64_t delay_ms)
{
    json_t *events = json_object_get(w->state, "trail_events");
    if (!json_is_array(events)) {
        events = json_array();
        json_object_set_new(w->state, "trail_events", events);
    }
    uint64_t now = sim_now_ms();
    char id[40], at[32];
    sim_request_id(id);
    sim_rfc3339(now, at);
    json_object_set_new(event, "eventVersion", json_string("1.09"));
    json_object_set_new(event, "eventID", json_string(id));
    json_object_set_new(event, "eventTime", json_string(at));
    json_object_set_new(event, "eventName", json_string(name));
    json_object_set_new(event, "eventSource", json_string(source));
    bool console = strcmp(source, "signin.amazonaws.com") == 0;
    if (!json_object_get(event, "eventType"))
        json_object_set_new(event, "eventType", json_string(console ? "AwsConsoleSignIn" : "AwsApiCall"));
    json_object_set_new(event, "readOnly", json_false());
    json_object_set_new(event, "managementEvent", json_true());
    if (json_array_size(events) >= EVENTS_MAX)
        json_array_remove(events, 0);
    json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "EventId", id, "EventName",
                                            name, "EventSource", source, "Username", username, "ReadOnly", "false",
                                            "AccessKeyId", access_key_id, "time_ms", (json_int_t)now, "visible_ms",
                                            (json_int_t)(now + delay_ms), "CloudTrailEvent", event));
}

void sim_trail(struct sim_world *w, const char *name, const char *source, const char *user_type, const char *user_arn,
               const char *access_key_id, json_t *request, json_t *response, uint64_t delay_ms)
{
    const char *key = access_key_id ? access_key_id : "";
    json_t *event =
        json_pack("{s:o, s:o, s:o, s:s, s:s, s:s, s:s}", "userIdentity", identity(user_type, user_arn, w->account, key),
                  "requestParameters", request ? request : json_null(), "responseElements",
                  response ? response : json_null(), "sourceIPAddress", "198.51.100.7", "userAgent",
                  "console.amazonaws.com", "recipientAccountId", w->account, "awsRegion", "us-east-1");
    append(w, event, name, source, user_name(user_type, user_arn), key, sim_trap("trail_delayed") ? delay_ms : 0);
}

/* CloudTrail writes request parameters with a small first letter and never shows secrets; ours have none to hide. */
static json_t *parameters(const struct sim_request *rq)
{
    json_t *shown = json_object();
    const char *name;
    json_t *value;
    if (rq->bucket && rq->bucket[0])
        json_object_set_new(shown, "bucketName", json_string(rq->bucket));
    json_object_foreach (rq->params, name, value) {
        char small[96];
        if (strcmp(name, "Action") == 0 || strcmp(name, "Version") == 0)
            continue;
        (void)snprintf(small, sizeof small, "%s", name);
        small[0] = (char)tolower((unsigned char)small[0]);
        json_object_set(shown, small, value);
    }
    return shown;
}

void sim_trail_request(struct sim_request *rq)
{
    const char *agent = rq->header ? rq->header(rq, "user-agent") : NULL;
    json_t *shared = json_deep_copy(rq->params ? rq->params : json_null());
    json_t *kept = rq->params;
    rq->params = shared; /* the event must not change when a handler's input does */
    json_t *request = parameters(rq);
    rq->params = kept;
    json_decref(shared);
    json_t *event =
        json_pack("{s:o, s:o, s:n, s:s, s:s, s:s, s:s, s:s}", "userIdentity",
                  identity(rq->caller_type, rq->caller_arn, rq->caller_account, rq->access_key_id), "requestParameters",
                  request, "responseElements", "sourceIPAddress", "203.0.113.10", "userAgent", agent ? agent : "-",
                  "recipientAccountId", rq->caller_account, "awsRegion", rq->region, "requestID", rq->request_id);
    if (!event)
        abort();
    if (rq->error_code[0])
        json_object_set_new(event, "errorCode", json_string(rq->error_code));
    uint64_t usual = svc_timing(rq->world, "trail_ms", DELIVERY_MS);
    uint64_t delay = sim_trap("trail_delayed") ? usual + sim_random() % (usual + 1) : 0;
    append(rq->world, event, rq->action, sim_event_source(rq->service), user_name(rq->caller_type, rq->caller_arn),
           rq->access_key_id, delay);
}
