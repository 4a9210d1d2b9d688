/* What worlds_load*.c share: a world made from what was recorded of a real organization (a fingerprint's sections in
 * the shape that worker/steps/fingerprint_shape.h tells, plus a few names that the fingerprint leaves out). */
#pragma once

#include "worlds.h"

struct load {
    struct make m;
    const json_t *sections, *names, *customer;
};

const json_t *load_section(const struct load *l, const char *name);
/* A JSON value as the text that AWS stores. New. */
json_t *load_document(const json_t *document);
json_t *load_tags(const json_t *map); /* {"k": "v"} -> [{Key, Value}]. New. */
json_t *load_copy_list(const json_t *list);
json_t *load_seconds(const json_t *object, const char *name_ms);

void load_organization(struct load *l); /* worlds_load.c */
void load_iam(struct load *l);          /* worlds_load_iam.c */
void load_billing(struct load *l);      /* worlds_load_billing.c */
