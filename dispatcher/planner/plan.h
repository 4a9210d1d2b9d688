/* From a checked request to what the queue takes: the immutable import document, the record, the DAG. Pure. */
#pragma once

#include "common/base/env.h"
#include "dispatcher/planner/playbook.h"
#include "dispatcher/planner/profile.h"

#define PLAN_ID_MAX 20         /* {id}: so that names stay short enough */
#define PLAN_ROOT_EMAIL_MAX 64 /* AWS's limit for an account's address */
#define PLAN_ACCOUNT_KEY_BYTES 32

/* What is drawn once per organization and kept across its imports. */
struct plan_org {
    char id[PLAN_ID_MAX + 1];
    char external_id[33];           /* of the product's roles */
    char external_id_bootstrap[33]; /* of the handed-over role; never mixed with the other */
};
/* Draws: the id given, else made of the customer's name and a check of the account, so that it comes out equal each
 * time; `attempt` > 0 gives another one after a clash. External ids are random. */
void plan_org_draw(const struct env *env, const json_t *request, uint32_t attempt, struct plan_org *ret);
/* Only {id}, without anything random (`ret` has PLAN_ID_MAX + 1 bytes). */
void plan_org_id(const json_t *request, uint32_t attempt, char *ret);
/* Whether the names of this import come out usable (root email, bucket, undefined variables): cheap, for whole batches.
 */
NODISCARD int plan_check_names(const struct profile *profile, const struct playbook *playbook, const json_t *request,
                               struct err *err);
json_t *plan_org_json(const struct plan_org *org); /* new reference */
NODISCARD int plan_org_from_json(const json_t *json, struct plan_org *ret, struct err *err);

void plan_account_key(const json_t *request, char ret[PLAN_ACCOUNT_KEY_BYTES]); /* "aws/111122223333" */

struct plan_input { /* borrowed */
    const struct profile *profile;
    const struct playbook *playbook;
    const json_t *request; /* checked by input_check */
    const char *import_id;
    const struct plan_org *org;
    bool is_simulated;
    uint64_t now_ms;
};
struct plan {
    json_t *doc;
    char *credential; /* sealed credential JSON or NULL; it is not part of the document */
    struct record record;
    struct dag dag;
};
/* ERR_VARIABLE_UNDEFINED, ERR_FIELD_INVALID (a name comes out too long), ERR_PROFILE_INVALID. */
NODISCARD int plan_import(const struct plan_input *in, struct plan *ret, struct err *err);
void plan_done(struct plan *p);

#define AUTO_PLAN CLEANUP(plan_done)
