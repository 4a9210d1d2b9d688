/* orgimport-awssim: a simulated AWS. Shares no code with common/ on purpose.
 *
 * A world is one customer's organization (or one of the operator's accounts): its state is a JSON object, so that
 * saving, restoring, digesting and showing it are one line each. Service handlers are tables of (service, action). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_kind {            /* one line of worlds.def */
    const char *name;        /* "role_name_taken" */
    const char *what;        /* in words */
    const char *access;      /* "key" or "role" */
    const char *mfa;         /* "overlap" or "classic" */
    const char *end_state;   /* expected end: completed failed waiting held */
    const char *end_step;    /* "" when completed */
    const char *end_code;    /* public error code or "" */
    const char *end_finding; /* code of one of its findings, or of the open task's data.code; "" */
    const char *end_owner;
    const char *verdict; /* "PROVEN", ... or "" */
};
extern const struct sim_kind sim_kinds[];
extern const size_t sim_kind_count;

struct sim_world {
    char account[13];            /* management account id, key of the world */
    const struct sim_kind *kind; /* NULL: an operator's account */
    uint64_t seed;
    json_t *state; /* everything; see worlds.c for its sections */
    json_t *saved; /* /_sim/save */
    uint64_t requests;
};

struct sim_request {
    struct sim_world *world; /* of the account that signed */
    const char *service;     /* sign name: "iam", "s3", "organizations", "tax", ... */
    const char *action;      /* "CreateRole"; S3: "PutBucketPolicy" (made from method and sub-resource) */
    const char *method;
    const char *path; /* decoded */
    const char *region;
    json_t
        *params; /* query and json protocols: nested JSON (Tags.member.1.Key -> {"Tags":[{"Key":..}]}); S3: query map */
    const char *body;
    size_t body_bytes;
    const char *bucket, *key; /* S3 */
    /* who */
    char caller_account[13];
    char caller_arn[256];
    char caller_type[16]; /* Root, IAMUser, AssumedRole */
    char access_key_id[64];
    char session_name[65];
    char request_id[40];
    const char *(*header)(const struct sim_request *rq, const char *lower_name);
    void *http; /* server's own */
    /* the answer */
    int status;
    char *reply; /* malloc'ed */
    size_t reply_bytes;
    const char *reply_type;
    struct {
        char name[40];
        char value[200];
    } reply_headers[6];
    size_t reply_header_count;
    char error_code[64]; /* set by sim_error; "" when it went well */
};

typedef void sim_handler(struct sim_request *rq);
struct sim_op {
    const char *service, *action;
    bool mutates;
    sim_handler *handle;
};
/* Each service file exports one table, ended by {0}. Registered in sim_services.c. */
extern const struct sim_op sim_ops_sts[], sim_ops_iam[], sim_ops_s3[], sim_ops_organizations[], sim_ops_cur[],
    sim_ops_tax[], sim_ops_account[], sim_ops_cloudtrail[], sim_ops_channel[], sim_ops_features[], sim_ops_misc[];

/* ---- Answers (sim_reply.c) ---- */
void sim_ok_json(struct sim_request *rq, json_t *body /* taken */);
/* query protocol: writes <ActionResponse><ActionResult>..</ActionResult>..; lists become <member>. Taken. */
void sim_ok_query(struct sim_request *rq, json_t *result);
void sim_ok_xml(struct sim_request *rq, int status, const char *xml); /* S3 */
void sim_ok_empty(struct sim_request *rq, int status);
/* In the protocol's own form (query XML, json __type, rest-json header, S3 XML). */
void sim_error(struct sim_request *rq, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void sim_header(struct sim_request *rq, const char *name, const char *value);

/* ---- State (sim_state.c) ---- */
json_t *sim_at(struct sim_world *w, const char *path);      /* "iam.roles.Name"; NULL when absent; borrowed */
json_t *sim_section(struct sim_world *w, const char *name); /* created as {} when absent; borrowed */
const char *sim_param(const struct sim_request *rq, const char *path); /* text parameter or "" */
/* Call around every state change: takes a digest of `resource` (a JSON value, NULL: absent) before and after and writes
 * the effect line; a repetition without change is counted apart. Pass deep copies or digests taken before the change.
 */
struct sim_before {
    char digest[65];
};
struct sim_before sim_before(const json_t *resource);
void sim_effect(struct sim_request *rq, const char *resource_name, struct sim_before before, const json_t *after);
/* Appends a CloudTrail event to the account (visible after the delivery delay). request/response taken. */
void sim_trail(struct sim_world *w, const char *name, const char *source, const char *user_type, const char *user_arn,
               const char *access_key_id, json_t *request, json_t *response, uint64_t delay_ms);
uint64_t sim_now_ms(void); /* honours /_sim/clock */
void sim_rfc3339(uint64_t ms, char ret[32]);
uint64_t sim_random(void);       /* seeded */
bool sim_trap(const char *name); /* a trap of traps.def is on */
/* Call after sim_world_new has filled `state` and after any change outside a handler that adds or removes buckets,
 * accounts or access keys: keeps the lookups by bucket name, member account and access key. */
void sim_index_world(struct sim_world *w);
/* A secret key (40 characters) and "AKIA" + account in base32 + 8 more, from the seeded generator. */
void sim_key_id(const char *prefix, const char *account, char ret[21]);
void sim_secret_key(char ret[41]);

/* ---- Worlds (worlds.c) and people (people.c) ---- */
/* Also "operator", "partner", "trusted": the operator's accounts (kind NULL). State filled; registered. */
struct sim_world *sim_world_new(const char *kind, uint64_t seed, int index);
struct sim_world *sim_world_by_account(const char *account);
size_t sim_world_count(void);
struct sim_world *sim_world_at(size_t i);
/* The operator's three accounts, then `orgs` customers of `kinds` ("all", "healthy" or a comma list); 0 or -1 after
 * saying why. */
int sim_worlds_make(const char *kinds, size_t orgs, uint32_t accounts_max, uint64_t seed);
/* Writes the files that are asked for (NULL: not asked). 0 or -1 after saying why. */
int sim_worlds_write(const char *customers, const char *credentials, const char *operator_credentials,
                     const char *worlds);
/* {account, external_ref, kind, access, mfa_mode, expect{..}}; with secrets also the key. New reference. */
json_t *sim_world_describe(const struct sim_world *w, bool with_secrets);
/* Something a person or a foreign program does: "customer.root_email", "operator.root_mfa_on", "foreign.add_tag", ...
 * Returns NULL on success or a text why not. args borrowed. */
const char *sim_act(struct sim_world *w, const char *what, const json_t *args);
/* Plays customer and operator against a dispatcher's task list, in a thread of its own. `self_url`: this server's own
 * address; people act through its admin endpoint, so that state is touched by one thread only. */
int sim_people_start(const char *self_url, const char *dispatcher_url, const char *token_file, uint32_t delay_ms,
                     uint64_t seed);
void sim_people_stop(void);
