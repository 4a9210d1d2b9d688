/* What the simulator's own files share beyond sim.h: options, growing text, a string map, and the seams between HTTP,
 * signatures, requests, faults, effects and the admin interface. Service files need sim.h only (and sim_iam.h for IAM).
 */
#pragma once

#include "sim.h"

#include <stdio.h>

/* ---- Options (sim_main.c) ---- */
struct sim_options {
    const char *listen, *address_file, *effects, *kinds, *traps;
    const char *customers, *credentials, *operator_credentials, *worlds, *recorded;
    const char *people, *people_token_file;
    size_t orgs;
    uint64_t seed;
    uint32_t accounts_max, people_delay_ms;
    bool admin_anywhere;         /* /_sim/ answers others than loopback */
    uint64_t signature_life_ms;  /* 0: AWS's own (5 minutes, S3 15) */
    uint64_t trail_retention_ms; /* how long LookupEvents knows an event */
};
extern struct sim_options sim_options;

/* LookupEvents as they came: [{account, region, start_ms, at_ms, is_page, shown}]; svc_cloudtrail.c. New reference. */
json_t *sim_trail_lookups(const char *account);

/* Requests that an account of the operator's signed: {"service:Operation": [real ms, ..]}; sim_calls.c. */
void sim_calls_note(const struct sim_request *rq);
json_t *sim_calls_of(const char *account); /* new reference */

int sim_worlds_load(const char *path, uint64_t seed); /* worlds_load.c: organizations as they were recorded */

/* ---- Growing text (sim_text.c) ---- */
struct sim_text {
    char *data;
    size_t bytes, room;
};
void sim_text_add(struct sim_text *t, const char *data, size_t bytes);
void sim_text_puts(struct sim_text *t, const char *text);
void sim_text_printf(struct sim_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_text_xml(struct sim_text *t, const char *text);                           /* escaped for XML */
void sim_text_uri(struct sim_text *t, const char *text, size_t bytes, bool slash); /* RFC 3986; slash: keep '/' */
size_t sim_uri_decode(char *text, size_t bytes, bool plus_is_space);               /* in place; new length */
void sim_hex(const unsigned char *data, size_t bytes, char *ret);
void sim_sha256(const void *data, size_t bytes, unsigned char ret[32]);
void sim_sha256_hex(const void *data, size_t bytes, char ret[65]);
json_t *sim_xml_parse(const char *body, size_t bytes); /* sim_xml.c; NULL: not XML */
char *sim_base64(const void *data, size_t bytes);      /* malloc'ed */

/* ---- String map (sim_map.c): keys are copied, values are not owned ---- */
struct sim_map {
    struct sim_map_slot {
        char *key;
        void *value;
        uint64_t hash;
    } * slots;
    size_t used, room;
};
void *sim_map_get(const struct sim_map *m, const char *key);
void sim_map_put(struct sim_map *m, const char *key, void *value);
void sim_map_clear(struct sim_map *m, void (*drop)(void *value));

/* ---- State (sim_state.c) ---- */
uint64_t sim_real_ms(void);   /* wall clock, not moved by /_sim/clock; signatures are checked against it (plus skew) */
uint64_t sim_server_ms(void); /* real + skew: what the Date header says */
void sim_clock_advance(int64_t ms);
void sim_clock_skew(int64_t ms);
void sim_random_seed(uint64_t seed);
void sim_request_id(char ret[40]);
bool sim_account_of_key(const char *key_id, char ret[13]);   /* decodes the account in a key id */
struct sim_world *sim_world_of_account(const char *account); /* management or member account */
struct sim_world *sim_world_of_bucket(const char *bucket);
void sim_state_digest(struct sim_world *w, char ret[65]); /* without trail_events */
json_t *sim_account_iam(struct sim_world *w,
                        const char *account); /* "iam" of management or member; created; borrowed */
json_t *sim_account_root(struct sim_world *w, const char *account);
bool sim_traps_set(const char *list); /* false: unknown name, said on stderr */
json_t *sim_traps_list(void);

/* ---- One request as it came (sim_http.c) ---- */
struct sim_raw {
    const char *method;
    const char *path, *query; /* still encoded; query "" when absent */
    const char *body;
    size_t body_bytes;
    void *http;
};
const char *sim_http_header(void *http, const char *name); /* first value or NULL */
/* All header values of one lower-case name, joined with ',' as SigV4 wants them, inner spaces collapsed. */
void sim_http_header_joined(void *http, const char *lower_name, struct sim_text *ret);
/* Calls back with each header. */
void sim_http_each_header(void *http, void (*each)(void *arg, const char *name, const char *value), void *arg);
int sim_http_start(const char *listen, char ret_address[64]);
void sim_http_run(void); /* until SIGTERM or SIGINT */
void sim_http_stop(void);

/* ---- Who signed (sim_auth.c, sim_keys.c) ---- */
struct sim_holder { /* whose key it is */
    struct sim_world *world;
    char account[13];
    char user[65]; /* "" for root */
    const char *secret;
    const struct sim_session *session;
    const json_t *key;
};
struct sim_session { /* temporary credentials made by AssumeRole */
    char key_id[24], secret[41], token[201];
    char account[13], role[65], name[65];
    char source[65]; /* source identity, "" none */
    uint64_t expires_ms;
    json_t *policy; /* session policy or NULL */
};
/* Fills world and caller of `rq` or answers with an error. rq->service and rq->region are set from the scope. */
bool sim_authenticate(struct sim_request *rq, const struct sim_raw *raw);
struct sim_session *sim_session_new(const char *account, const char *role, const char *name, uint64_t life_ms,
                                    json_t *policy);
const struct sim_session *sim_session_of(const char *key_id);
size_t sim_session_count(void);
bool sim_holder_find(const char *key_id, struct sim_holder *ret); /* false: unknown, inactive or not yet known */
void sim_holder_note_use(const char *key_id, const char *service, const char *region);
json_t *sim_key_last_used(const char *key_id); /* {LastUsedDate, ServiceName, Region} or NULL; new */
json_t *sim_auth_stats(void);

/* ---- What may they do (sim_policy.c, sim_permit.c) ---- */
struct sim_reason { /* of a refusal, in AWS's words; and what a simulation says of it */
    bool is_explicit;
    const char *layer; /* "identity-based policy", "permissions boundary", "session policy", "service control policy" */
    char policy[300];  /* ARN of a managed or service control policy; "" for inline ones */
    char source[200];  /* as SimulatePrincipalPolicy names it: the policy's name */
    bool boundary_silent;   /* a permissions boundary is there and does not allow it */
    bool organization_deny; /* a service control policy does not allow it */
};
/* Is the caller allowed? `resource` may be "*". Deny wins; unknown condition keys never match an Allow. */
bool sim_allowed(struct sim_request *rq, const char *action, const char *resource, struct sim_reason *ret_why);
/* The same for any principal of an account, as SimulatePrincipalPolicy asks: conditions see only `context`
 * ({"key":["value"]}; NULL none). "allowed", "explicitDeny" or "implicitDeny". */
struct sim_question {
    const char *account, *principal_arn, *action, *resource;
    const json_t *context;
};
const char *sim_decide(struct sim_world *w, const struct sim_question *q, struct sim_reason *ret_why);
bool sim_permitted(struct sim_request *rq); /* or it has been answered */
/* What conditions see of a request; NULL when it has no such fact. */
const char *sim_request_fact(struct sim_request *rq, const char *key);
/* Does a trust policy let `principal_arn` of `account` assume with this external id? */
bool sim_trust_allows(const char *document, const char *principal_arn, const char *account, const char *external_id);
bool sim_policy_is_managed(const char *arn);
const char *sim_policy_managed_document(const char *arn);
json_t *sim_policy_parse(const char *text); /* cached; borrowed; NULL: not JSON */

/* ---- From raw to a request, and the way through (sim_request.c, sim_services.c) ---- */
enum sim_protocol { SIM_QUERY, SIM_JSON, SIM_REST_JSON, SIM_S3 };
enum sim_protocol sim_protocol_of(const char *service);
bool sim_request_parse(struct sim_request *rq, const struct sim_raw *raw); /* action, params, bucket, key */
void sim_request_done(struct sim_request *rq);
const struct sim_op *sim_op_find(const char *service, const char *action);
void sim_ops_index(void);
const char *
sim_action_prefix(const char *service);            /* "channel" signs partnercentral-channel, IAM says partnercentral */
bool sim_service_is_global(const char *service);   /* signs us-east-1 only */
const char *sim_event_source(const char *service); /* "iam" -> "iam.amazonaws.com" */
void sim_request_peek(const struct sim_raw *raw, char service[48], char action[96]);

/* ---- Faults (sim_faults.c) ---- */
enum sim_fault {
    SIM_NO_FAULT,
    SIM_THROTTLE, /* refused in the service's own form */
    SIM_BEFORE,   /* 5xx, nothing applied */
    SIM_AFTER,    /* applied, then 5xx */
    SIM_DROP,     /* applied, connection closed with no answer */
    SIM_RESET,    /* connection reset, nothing applied */
    SIM_SLOW,     /* the answer drips */
    SIM_LATE,     /* served long after it came, whether or not the client still waits */
    SIM_FAULTS
};
bool sim_faults_set(const char *text); /* "none", "light", "heavy", "throttle=0.1,drop=0.05,latency_ms=20" */
bool sim_faults_set_json(const json_t *set, const char **ret_why); /* also "only": "iam:CreateRole", "count": n */
json_t *sim_faults_show(void);
enum sim_fault sim_fault_draw(const char *service, const char *action);
uint32_t sim_latency_ms(void);
uint32_t sim_late_ms(void);
void sim_fault_answer(struct sim_request *rq, enum sim_fault fault); /* THROTTLE, BEFORE, AFTER */
/* Everything between the bytes and the answer. Faults that concern the connection (drop, reset, slow, late) are HTTP's.
 */
void sim_serve(struct sim_request *rq, const struct sim_raw *raw, enum sim_fault fault);

/* ---- Effects, trail, admin ---- */
int sim_effects_open(const char *file);
void sim_effects_flush(void);
json_t *sim_effects_of(const char *account); /* borrowed array or NULL */
void sim_effects_count(uint64_t *ret_effects, uint64_t *ret_repeats);
void sim_trail_request(struct sim_request *rq);
/* Answers /_sim/...; who may not, learns only that it lives. */
void sim_admin(struct sim_request *rq, const struct sim_raw *raw, bool may);
extern struct sim_counters {
    uint64_t requests, refused, faults[SIM_FAULTS], started_ms;
} sim_counters;
