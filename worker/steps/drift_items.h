/* What a look for drift finds: one item per thing that the handover left, and the asking of several roles in turn.
 *
 *   {resource: "role doitintl_cmp", what: "trust", status: "same" | "changed" | "gone" | "not_visible",
 *    from, to (changed and gone only), through: name of the role that saw it, lacks: permission, text}
 *
 * "not visible" is said honestly: with the permission that no role has, and never as "same". */
#pragma once

#include "worker/step.h"

#define DRIFT_DOORS_MAX 4

struct drift_look {
    struct step *s;
    const json_t *handover; /* what was there when the import ended: the document's "handover" */
    json_t *items;          /* array, kept by the step */
    enum step_result all;   /* WAIT while an answer is missing, FAIL when one cannot be had */
    struct {
        unsigned role; /* for step_call_through; 0: the access handed over */
        const char *name;
    } doors[DRIFT_DOORS_MAX]; /* the ways in that work, in the order in which they are asked */
    size_t door_count;
};

enum drift_sight { DRIFT_WAITING, DRIFT_SEEN, DRIFT_DENIED };
struct drift_sighting {
    enum drift_sight sight;
    const json_t *facts; /* SEEN: JSON null when AWS says absent */
    const char *through;
    const char *lacks; /* DENIED: the permission */
};
/* Asks one door after the other until one may look. Takes `new_args`. */
struct drift_sighting drift_ask(struct drift_look *l, const char *key, const struct aws_op *op, json_t *new_args,
                                const char *region);
/* Whether `at` is there to be compared; a denied one becomes one "not visible" item per name in `what` (comma list). */
bool drift_is_seen(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what);
/* Takes `to`; `from` is borrowed. Equal: "same"; JSON null or NULL `to`: "gone". */
void drift_compare(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what,
                   const json_t *from, json_t *new_to);
/* The same for policy documents, compared by meaning. */
void drift_compare_policy(struct drift_look *l, const struct drift_sighting *at, const char *resource, const char *what,
                          const json_t *from, const json_t *to);
/* Everything else that is to be said: `text` may be NULL, from and to are borrowed and may be NULL. */
void drift_say(struct drift_look *l, const char *resource, const char *what, const char *status, const json_t *from,
               const json_t *to, const char *through, const char *text);

/* The looks themselves. */
void drift_look_roles(struct drift_look *l);   /* drift_roles.c: our roles and their policies */
void drift_look_billing(struct drift_look *l); /* drift_billing.c: bucket, report, tax, partner */
void drift_look_account(struct drift_look *l); /* drift_account.c: organization, root user, trusted services */

#define DRIFT_ROLES_OPS                                                                                                \
    &iam_get_role, &iam_list_attached_role_policies, &iam_list_role_policies, &iam_get_role_policy, &iam_get_policy,   \
        &iam_get_policy_version
#define DRIFT_BILLING_OPS                                                                                              \
    &s3_get_bucket_location, &s3_get_bucket_tagging, &s3_get_public_access_block, &s3_get_bucket_ownership,            \
        &s3_get_bucket_encryption, &s3_get_bucket_policy, &cur_describe_report_definitions,                            \
        &tax_list_tax_registrations, &tax_get_tax_inheritance, &channel_get_relationship
#define DRIFT_ACCOUNT_OPS                                                                                              \
    &organizations_describe_organization, &organizations_list_aws_service_access_for_organization,                     \
        &iam_get_account_summary, &iam_list_virtual_mfa_devices
