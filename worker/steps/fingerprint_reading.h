/* Inside of the fingerprint's reading: shared by the fingerprint_read*.c files and by nobody else.
 *
 * A group is what is read together: its function asks for what it needs through reading_ask(); while answers are
 * missing it only arranges calls. When all have come, the same function runs once more with `is_building` and puts its
 * sections together. So nothing is assembled a hundred times while a hundred answers come in one by one. */
#pragma once

#include "common/base/mem.h"
#include "worker/step.h"

/* AWS's ways to say "you may not look": a value where a feature is meant, the same before and after. */
#define READING_DENIED                                                                                                 \
    "AccessDenied,AccessDeniedException,UnauthorizedOperation,OptInRequired,SubscriptionRequiredException,"            \
    "InvalidOperationException"

struct reading {
    struct step *s;
    const char *name;   /* of the whole read, "" for the first of a step: its keys begin with it */
    const char *wanted; /* comma list of sections that are read; others of the group are left alone */
    int pass;
    enum step_result all; /* the worst of all questions */
    bool is_building;
    json_t *sections; /* while building */
    const struct reading_group *group;
};

/* One list of a plain section: `list` of the facts of `op`, each under its member `id` with `fields`. */
struct reading_list {
    const char *section, *key;
    const struct aws_op *op;
    const char *args; /* JSON text or NULL */
    const char *list, *id, *fields;
};

struct reading_group {
    const char *name, *sections; /* comma list; the name is part of durable keys */
    void (*read)(struct reading *r);
    const struct reading_list *lists; /* for reading_lists(); ends with section NULL */
};

/* Facts of one read of this pass; NULL while they are not there. `key` names it within the pass. Takes `new_args`. */
const json_t *reading_ask(struct reading *r, const char *key, const struct aws_op *op, json_t *new_args);
/* The same in a region, where the errors in the comma list `codes` are answers. */
const json_t *reading_ask_in(struct reading *r, const char *key, const struct aws_op *op, json_t *new_args,
                             const char *region, const char *codes);
/* An error that was an answer. */
bool reading_is_denied(const json_t *facts);
bool reading_wants(const struct reading *r, const char *section);
/* The section under construction; made when it is not there yet. */
json_t *reading_section(struct reading *r, const char *name);
/* What is kept of one thing. `fields` are words: name[>as][:kind]; kinds are text (default, "" when absent), n
 * (number), b (truth), set (sorted list, [] when absent), map (object, {} when absent), any (as it is, null when
 * absent). New reference. */
json_t *reading_pick(const json_t *from, const char *fields);
/* The group's `lists`, one section member per element. */
void reading_lists(struct reading *r);
/* Regions in use, as far as buckets and the import tell: us-east-1 first. Array of texts, new reference. */
json_t *reading_regions(struct reading *r);
json_t *reading_regions_of(struct step *s, const json_t *of_buckets);
/* A bucket's region; "" while it is not known. */
const char *reading_bucket_region(struct reading *r, const json_t *bucket);

/* fingerprint_read_organization.c */
void reading_organization(struct reading *r);
void reading_tree(struct reading *r);
void reading_policies(struct reading *r);
void reading_delegation(struct reading *r);
void reading_handshakes(struct reading *r);
extern const struct reading_list reading_account_lists[], reading_trusted_lists[], reading_transfer_lists[];
/* fingerprint_read_iam.c */
void reading_iam(struct reading *r);
void reading_iam_account(struct reading *r);
/* fingerprint_read_regional.c */
void reading_features(struct reading *r);
void reading_trails(struct reading *r);
void reading_buckets(struct reading *r);
/* fingerprint_read_billing.c */
void reading_reports(struct reading *r);
void reading_exports(struct reading *r);
void reading_tax(struct reading *r);
void reading_contact(struct reading *r);
