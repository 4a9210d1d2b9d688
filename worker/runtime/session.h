/* Credential sessions: from what somebody handed over to an identity that may sign, its account asserted once by
 * GetCallerIdentity. One for each import (the customer's), three for the process (operator, partner, trusted).
 *
 * Invariant: an identity is given out only after AWS itself has named its account, and only if that is the expected
 * one. */
#pragma once

#include "common/aws/client.h"
#include "worker/runtime/later.h"

struct session;

struct session_tools { /* shared, borrowed */
    const struct env *env;
    struct aws_client *aws;
    struct later *later;
    bool is_simulated;
    const char *keys_dir;        /* private halves of the sealing keys */
    const char *sim_credentials; /* simulated fleets: credentials file with the sections below */
    /* Only where the customer runs us (snapshot_run.c): access.method "own" is their own credential chain. A fleet
     * never sets it, or an import's document could make a worker read with the operator's rights. */
    bool is_customers_own;
    const char *customer_profile; /* then: profile, or section of the file; NULL the default */
    /* Tokens for calls that all imports make with the operator's accounts: `go` at once or later. NULL: no limit. */
    void *draw_self;
    void (*draw)(void *self, const char *account_id, const struct aws_op *op, later_fn *go, void *arg);
    void (*undraw)(void *self, later_fn *go, void *arg);
};

/* The operator's own: operator, partner or trusted. Live: the default chain, profiles "orgimport-partner" and
 * "orgimport-trusted". Simulated: sections of the credentials file and nothing else (P11). */
struct session *session_new_own(const struct session_tools *tools, enum aws_identity_kind kind,
                                uint64_t (*leave_before)(void *arg), void *arg);
/* The customer's by the import document: the sealed key, or the role that `operator_session` assumes. */
struct session *session_new_customer(const struct session_tools *tools, const json_t *import,
                                     struct session *operator_session, uint64_t (*leave_before)(void *arg), void *arg);
/* One of our product's roles in that account ({name, role_arn, external_id}), assumed by the account that it trusts. */
struct session *session_new_role(const struct session_tools *tools, const json_t *import, const json_t *role,
                                 struct session *trusted_session, uint64_t (*leave_before)(void *arg), void *arg);
void session_free(struct session *s); /* users are dropped without callback */
/* The sealed credential as stored (JSON text or NULL). A changed one ends the session. */
void session_put_credential(struct session *s, const char *sealed_json);
/* The next use begins anew. */
void session_drop(struct session *s);
/* Whether there is anything to sign with (own sessions: read from the files now). */
bool session_is_configured(struct session *s);
/* Whether the last use was refused: what was handed over should be read again. */
bool session_lost_credentials(const struct session *s);
uint64_t session_asserted_boot_ms(const struct session *s); /* 0: not open */
/* The access key that was tried last, whether AWS took it or not; "" when there was none to try. */
const char *session_key_id(const struct session *s);

/* Exactly once, always later. err NULL: `identity` is asserted and borrowed. */
typedef void session_fn(void *arg, struct aws_identity *identity, const struct err *err);
void session_use(struct session *s, session_fn *done, void *arg);
void session_forget(struct session *s, session_fn *done, void *arg); /* no callback afterwards */

/* What a role session may do at most, from the steps' declared operations: policy text, or NULL when it cannot be held
 * in the 2,048 characters that AWS takes. New text. */
char *session_policy(const json_t *import);
