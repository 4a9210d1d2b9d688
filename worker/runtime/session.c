#include "worker/runtime/session.h"

#include "common/aws/services/sts.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/crypto/seal.h"
#include "worker/step.h"

#include <stdio.h>
#include <string.h>

#define SESSION_RENEW_MS 300000u /* before its end: longer than any call */
#define ROLE_SESSION_S 3600

enum session_state {
    SESSION_CLOSED,
    SESSION_WAITS_OPERATOR,
    SESSION_DRAWS, /* a token of the account that assumes */
    SESSION_ASSUMES,
    SESSION_ASSERTS,
    SESSION_OPEN
};

struct user {
    struct user *next;
    session_fn *done;
    void *arg;
};

struct session {
    struct session_tools tools;
    enum aws_identity_kind kind;
    json_t *import;                   /* NULL for our own */
    json_t *role;                     /* of our product; NULL for what was handed over */
    struct session *operator_session; /* who assumes: the operator, or the account that the role trusts */
    uint64_t (*leave_before)(void *arg);
    void *leave_arg;
    char *credential;
    char key_id[132]; /* of the last candidate, also when it was refused */
    enum session_state state;
    struct aws_identity *identity; /* while asserting: candidate */
    struct {                       /* AssumeRole that waits for its token, or is on its way */
        json_t *args;
        struct aws_identity *as;
        const char *rate_key; /* of `as`, or a literal */
    } assume;
    uint64_t asserted_boot_ms;
    struct aws_call *call;
    struct later_item *answer;
    struct user *users;
    struct err err;
    bool has_err, was_refused;
    bool no_source_identity; /* the role's trust does not let us name ourselves that way */
};

static const char *const sections[] = {[AWS_AS_CUSTOMER] = "customer",
                                       [AWS_AS_OPERATOR] = "operator",
                                       [AWS_AS_PARTNER] = "partner",
                                       [AWS_AS_TRUSTED] = "trusted"};
static const char *const profiles[] = {
    [AWS_AS_OPERATOR] = NULL, [AWS_AS_PARTNER] = "orgimport-partner", [AWS_AS_TRUSTED] = "orgimport-trusted"};

static struct session *create(const struct session_tools *tools, enum aws_identity_kind kind,
                              uint64_t (*leave_before)(void *), void *arg)
{
    struct session *s = MEM_NEW(struct session);
    *s = (struct session){.tools = *tools, .kind = kind, .leave_before = leave_before, .leave_arg = arg};
    return s;
}

struct session *session_new_own(const struct session_tools *tools, enum aws_identity_kind kind,
                                uint64_t (*leave_before)(void *), void *arg)
{
    return create(tools, kind, leave_before, arg);
}

struct session *session_new_customer(const struct session_tools *tools, const json_t *import,
                                     struct session *operator_session, uint64_t (*leave_before)(void *), void *arg)
{
    struct session *s = create(tools, AWS_AS_CUSTOMER, leave_before, arg);
    s->import = json_incref((json_t *)(uintptr_t)import);
    s->operator_session = operator_session;
    return s;
}

struct session *session_new_role(const struct session_tools *tools, const json_t *import, const json_t *role,
                                 struct session *trusted_session, uint64_t (*leave_before)(void *), void *arg)
{
    struct session *s = session_new_customer(tools, import, trusted_session, leave_before, arg);
    s->role = json_incref((json_t *)(uintptr_t)role);
    return s;
}

static void operator_ready(void *arg, struct aws_identity *identity, const struct err *err);
static void send_assume(void *arg);
static void open_customer(struct session *s);

static void forget_assume(struct session *s)
{
    json_decref(TAKE(s->assume.args));
    if (s->assume.as)
        aws_identity_unref(TAKE(s->assume.as));
}

static void stop(struct session *s)
{
    if (s->state == SESSION_WAITS_OPERATOR)
        session_forget(s->operator_session, operator_ready, s);
    if (s->state == SESSION_DRAWS)
        s->tools.undraw(s->tools.draw_self, send_assume, s);
    if (s->call)
        aws_call_cancel(TAKE(s->call));
    forget_assume(s);
    if (s->identity)
        aws_identity_unref(TAKE(s->identity));
    later_cancel(TAKE(s->answer));
    s->state = SESSION_CLOSED;
    s->has_err = false;
    s->asserted_boot_ms = 0;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    stop(s);
    for (struct user *u = s->users, *next = NULL; u; u = next) {
        next = u->next;
        mem_free(u);
    }
    json_decref(s->import);
    json_decref(s->role);
    mem_free(s->credential);
    mem_free(s);
}

bool session_lost_credentials(const struct session *s)
{
    return s->was_refused;
}

uint64_t session_asserted_boot_ms(const struct session *s)
{
    return s->asserted_boot_ms;
}

/* ---- Answers ---- */
static void answer_users(void *arg)
{
    struct session *s = arg;
    s->answer = NULL;
    struct user *users = TAKE(s->users);
    struct err err = s->err;
    bool has_err = s->has_err;
    struct aws_identity *identity = s->identity ? aws_identity_ref(s->identity) : NULL;
    if (has_err)
        s->has_err = false; /* the next use tries again */
    while (users) {
        struct user *u = users;
        users = u->next;
        session_fn *done = u->done;
        void *user_arg = u->arg;
        mem_free(u);
        done(user_arg, has_err ? NULL : identity, has_err ? &err : NULL);
    }
    if (identity)
        aws_identity_unref(identity);
}

static void answer_later(struct session *s)
{
    if (!s->answer)
        s->answer = later_add(s->tools.later, 0, answer_users, s);
}

static void fail(struct session *s, const struct err *err)
{
    stop(s);
    s->err = *err;
    s->err.applied = APPLIED_NO; /* of the call that wanted to be signed */
    s->has_err = s->was_refused = true;
    answer_later(s);
}

static enum err_code credential_code(const struct session *s)
{
    return s->kind == AWS_AS_CUSTOMER ? ERR_AWS_CREDENTIALS : ERR_OPERATOR_CREDENTIALS;
}

/* A refusal of the session's own calls is about the credentials, whatever AWS calls it; a hiccup stays a hiccup. */
static void fail_call(struct session *s, const struct err *cause, const char *what)
{
    struct err err = *cause;
    if (err.code == ERR_AWS_DENIED || err.code == ERR_AWS_CREDENTIALS || err.code == ERR_AWS_REFUSED ||
        err.code == ERR_AWS_ABSENT) {
        (void)err_set(&err, credential_code(s), "%s: %.200s", what, cause->text);
        memcpy(err.origin, cause->origin, sizeof err.origin);
        memcpy(err.request_id, cause->request_id, sizeof err.request_id);
    }
    fail(s, &err);
}

/* ---- Opening ---- */
static uint64_t leave_before(const struct session *s)
{
    return s->leave_before ? s->leave_before(s->leave_arg) : 0;
}

static const char *expected_account(const struct session *s)
{
    return s->import ? json_str_at(s->import, "vars.account_id") : "";
}

static void check_account(struct session *s, const json_t *facts)
{
    const char *account = json_str_at(facts, "account"), *expected = expected_account(s);
    struct err err = {0};
    if (strlen(account) != 12 || (*expected && strcmp(account, expected) != 0)) {
        (void)err_set(&err, ERR_WRONG_ACCOUNT, "the credentials belong to account %.12s, this import is of %s", account,
                      expected);
        fail(s, &err);
        return;
    }
    (void)snprintf(s->identity->account_id, sizeof s->identity->account_id, "%s", account);
    (void)snprintf(s->identity->arn, sizeof s->identity->arn, "%s", json_str_at(facts, "arn"));
    s->state = SESSION_OPEN;
    s->was_refused = false;
    s->asserted_boot_ms = env_boot_ms(s->tools.env);
    answer_later(s);
}

static void asserted(void *arg, const struct aws_outcome *outcome)
{
    struct session *s = arg;
    s->call = NULL;
    if (outcome->err)
        fail_call(s, outcome->err, "GetCallerIdentity");
    else
        check_account(s, outcome->facts);
}

static void begin_assert(struct session *s, struct aws_identity *candidate)
{
    s->identity = candidate;
    (void)snprintf(s->key_id, sizeof s->key_id, "%s", candidate->access_key_id);
    candidate->is_simulated = s->tools.is_simulated;
    s->state = SESSION_ASSERTS;
    struct aws_grant grant = {.ops = OPS(&sts_get_caller_identity), .account_id = ""};
    s->call =
        aws_call(s->tools.aws,
                 &(struct aws_call_input){.op = &sts_get_caller_identity,
                                          .grant = &grant,
                                          .identity = candidate,
                                          .region = "us-east-1",
                                          .leave_before_boot_ms = leave_before(s),
                                          .rate_key = *expected_account(s) ? expected_account(s) : sections[s->kind]},
                 asserted, s);
}

/* Overwrites what JSON kept of a secret; jansson has no call for it. */
static void wipe_text(const json_t *facts, const char *key)
{
    const json_t *value = json_object_get(facts, key);
    if (json_is_string(value))
        secret_wipe((void *)(uintptr_t)json_string_value(value), json_string_length(value));
}

// NOLINTNEXTLINE(misc-no-recursion): once, without the source identity
static void assumed(void *arg, const struct aws_outcome *outcome)
{
    struct session *s = arg;
    s->call = NULL;
    if (outcome->err && outcome->err->code == ERR_AWS_DENIED && s->import && !s->no_source_identity) {
        /* The trust may lack sts:SetSourceIdentity: the session's name carries the import's id all the same. */
        s->no_source_identity = true;
        s->state = SESSION_CLOSED;
        open_customer(s);
        return;
    }
    if (outcome->err) {
        fail_call(s, outcome->err, "AssumeRole");
        return;
    }
    const json_t *facts = outcome->facts;
    struct aws_identity *i =
        aws_identity_new(json_str_at(facts, "access_key_id"), json_str_at(facts, "secret_access_key"),
                         json_str_at(facts, "session_token"));
    i->expires_unix_ms = (uint64_t)json_int_at(facts, "expires_ms");
    wipe_text(facts, "secret_access_key");
    wipe_text(facts, "session_token");
    begin_assert(s, i);
}

struct role_input {
    const char *arn, *external_id, *name;
    const char *source_identity; /* stays with every session made from this one; NULL none */
    struct aws_identity *as;
    const char *rate_key;
    char *policy;
};

static void begin_assume(struct session *s, const struct role_input *in)
{
    json_auto_t *args = json_make("{s:s, s:s, s:i}", "RoleArn", in->arn, "RoleSessionName", in->name, "DurationSeconds",
                                  ROLE_SESSION_S);
    if (in->external_id && *in->external_id)
        json_put_str(args, "ExternalId", in->external_id);
    if (in->policy)
        json_put_str(args, "Policy", in->policy);
    if (in->source_identity)
        json_put_str(args, "SourceIdentity", in->source_identity);
    forget_assume(s);
    s->assume.args = TAKE(args);
    s->assume.as = aws_identity_ref(in->as);
    s->assume.rate_key = in->rate_key;
    s->state = SESSION_DRAWS;
    if (s->tools.draw && *in->as->account_id) /* before it is asserted it has no account to draw from: once a process */
        s->tools.draw(s->tools.draw_self, in->as->account_id, &sts_assume_role, send_assume, s);
    else
        send_assume(s);
}

static void send_assume(void *arg)
{
    struct session *s = arg;
    struct aws_grant grant = {.ops = OPS(&sts_assume_role), .account_id = s->assume.as->account_id};
    s->state = SESSION_ASSUMES;
    s->call = aws_call(s->tools.aws,
                       &(struct aws_call_input){.op = &sts_assume_role,
                                                .args = s->assume.args,
                                                .grant = &grant,
                                                .identity = s->assume.as,
                                                .region = "us-east-1",
                                                .leave_before_boot_ms = leave_before(s),
                                                .rate_key = s->assume.rate_key},
                       assumed, s);
}

static void operator_ready(void *arg, struct aws_identity *identity, const struct err *err)
{
    struct session *s = arg;
    s->state = SESSION_CLOSED;
    if (err) {
        fail(s, err);
        return;
    }
    char arn[300];
    const char *given = json_str_at(s->role ? s->role : s->import, s->role ? "role_arn" : "access.role_arn");
    (void)snprintf(arn, sizeof arn, "arn:%s:iam::%s:role/%s", json_str_or(s->import, "vars.partition", "aws"),
                   expected_account(s), json_str_at(s->import, "vars.bootstrap_role"));
    AUTO_FREE char *policy = session_policy(s->import);
    begin_assume(s, &(struct role_input){.arn = *given ? given : arn,
                                         .external_id = s->role ? json_str_at(s->role, "external_id")
                                                                : json_str_at(s->import, "vars.external_id_bootstrap"),
                                         .name = json_str_at(s->import, "id"),
                                         .source_identity = s->no_source_identity ? NULL : json_str_at(s->import, "id"),
                                         .as = identity,
                                         .rate_key = identity->account_id,
                                         .policy = policy});
}

static struct aws_identity *open_sealed(struct session *s, struct err *err)
{
    s->key_id[0] = 0;
    if (!s->credential) {
        (void)err_set(err, ERR_AWS_CREDENTIALS, "no credential has been handed over yet");
        return NULL;
    }
    json_auto_t *sealed = json_read(s->credential, strlen(s->credential), 8, err);
    AUTO_SECRET struct secret *plain = NULL;
    if (!sealed || seal_open(s->tools.keys_dir, json_str_or(s->import, "vars.partition", "aws"), expected_account(s),
                             sealed, &plain, err)) {
        (void)err_set(err, ERR_AWS_CREDENTIALS, "the sealed credential cannot be opened by this worker");
        return NULL;
    }
    json_auto_t *json = json_read((const char *)secret_bytes(plain), secret_len(plain), 4, err);
    const char *token = json_str_at(json, "session_token");
    struct aws_identity *i = NULL;
    if (*json_str_at(json, "access_key_id") && *json_str_at(json, "secret_access_key"))
        i = aws_identity_new(json_str_at(json, "access_key_id"), json_str_at(json, "secret_access_key"),
                             *token ? token : NULL);
    else
        (void)err_set(err, ERR_AWS_CREDENTIALS, "the sealed credential is not an access key");
    wipe_text(json, "secret_access_key");
    wipe_text(json, "session_token");
    return i;
}

static int read_own(struct session *s, struct aws_identity **ret, struct aws_profile_role *ret_role, struct err *err)
{
    const char *given = s->kind == AWS_AS_CUSTOMER ? s->tools.customer_profile : NULL;
    if (s->tools.is_simulated)
        return aws_credentials_file(s->tools.sim_credentials, given ? given : sections[s->kind], ret, err);
    return aws_credentials_default(given ? given : profiles[s->kind], ret, ret_role, err);
}

static void open_own(struct session *s)
{
    struct err err = {0};
    struct aws_identity *i = NULL;
    struct aws_profile_role role = {0};
    if (read_own(s, &i, &role, &err)) {
        fail(s, &err);
        return;
    }
    i->is_simulated = s->tools.is_simulated;
    if (!role.role_arn[0]) {
        begin_assert(s, i);
        return;
    }
    begin_assume(s, &(struct role_input){.arn = role.role_arn,
                                         .external_id = role.external_id,
                                         .name = role.session_name[0] ? role.session_name : "orgimport",
                                         .as = i,
                                         .rate_key = sections[s->kind]});
    aws_identity_unref(i);
}

// NOLINTNEXTLINE(misc-no-recursion): one level: the operator's session has none above it
static void open_customer(struct session *s)
{
    if (s->tools.is_customers_own && str_eq(json_str_at(s->import, "access.method"), "own")) {
        open_own(s);
        return;
    }
    if (s->role || str_eq(json_str_at(s->import, "access.method"), "role")) {
        if (!s->operator_session) { /* a worker without AWS credentials of its own can still do the key route */
            struct err none = {0};
            (void)err_set(&none, ERR_OPERATOR_CREDENTIALS,
                          "this worker has no AWS credentials to assume the role %s with",
                          s->role ? json_str_at(s->role, "name") : "that was handed over");
            fail(s, &none);
            return;
        }
        s->state = SESSION_WAITS_OPERATOR;
        session_use(s->operator_session, operator_ready, s);
        return;
    }
    struct err err = {0};
    struct aws_identity *i = open_sealed(s, &err);
    if (i)
        begin_assert(s, i);
    else
        fail(s, &err);
}

bool session_is_configured(struct session *s)
{
    struct err err = {0};
    struct aws_identity *i = NULL;
    struct aws_profile_role role = {0};
    if (s->state != SESSION_CLOSED)
        return true;
    if (read_own(s, &i, &role, &err))
        return false;
    aws_identity_unref(i);
    return true;
}

void session_put_credential(struct session *s, const char *sealed_json)
{
    if (str_eq(s->credential, sealed_json) || (!s->credential && !sealed_json))
        return;
    mem_free(s->credential);
    s->credential = sealed_json ? mem_dup(sealed_json) : NULL;
    session_drop(s);
}

void session_drop(struct session *s)
{
    stop(s);
    if (s->users) /* they wait for an answer: begin anew on their behalf */
        s->kind == AWS_AS_CUSTOMER ? open_customer(s) : open_own(s);
}

// NOLINTNEXTLINE(misc-no-recursion): see open_customer
void session_use(struct session *s, session_fn *done, void *arg)
{
    struct user *u = MEM_NEW(struct user);
    *u = (struct user){.done = done, .arg = arg};
    struct user **at = &s->users;
    while (*at)
        at = &(*at)->next;
    *at = u;
    uint64_t ends = s->state == SESSION_OPEN ? s->identity->expires_unix_ms : 0;
    if (ends && aws_client_now_ms(s->tools.aws) + SESSION_RENEW_MS >= ends)
        stop(s);
    if (s->state == SESSION_OPEN || s->has_err)
        answer_later(s);
    else if (s->state == SESSION_CLOSED)
        s->kind == AWS_AS_CUSTOMER ? open_customer(s) : open_own(s);
}

void session_forget(struct session *s, session_fn *done, void *arg)
{
    for (struct user **at = &s->users; *at; at = &(*at)->next) {
        if ((*at)->done != done || (*at)->arg != arg)
            continue;
        struct user *gone = *at;
        *at = gone->next;
        mem_free(gone);
        return;
    }
}

const char *session_key_id(const struct session *s)
{
    return s->key_id;
}
