/* Small helpers that the service files and the worlds share: reading text and numbers out of JSON without fuss, the
 * billing switch, and the customary refusals. */
#pragma once

#include "sim.h"

#include <string.h>

static inline const char *svc_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static inline uint64_t svc_number(const json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);
    return json_is_number(number) ? (uint64_t)json_number_value(number) : 0;
}

static inline bool svc_is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* New string by format. */
json_t *svc_textf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Is `text` made only of `allowed` ("A-Z" ranges are not understood: a plain list beyond letters and digits) and of a
 * length in [min, max]? */
bool svc_matches(const char *text, const char *also_allowed, size_t min, size_t max);
/* Is `text` one of the comma list? */
bool svc_one_of(const char *text, const char *list);
/* Reads a page token that svc_page_token wrote; false after answering with an error of `code`. */
bool svc_page(struct sim_request *rq, const char *token_name, const char *code, size_t *ret_start);
json_t *svc_page_token(size_t next);
/* False after refusing because IAM identities may not see billing here. */
bool svc_billing_open(struct sim_request *rq);
/* Times as the JSON protocols write them: seconds with a fraction. */
json_t *svc_seconds(uint64_t ms);
/* One number of state->timing (how long AWS takes for things in this world), or `otherwise`. */
uint64_t svc_timing(struct sim_world *w, const char *name, uint64_t otherwise);
/* What AWS does by itself with reports, as far as time has come: the first delivery puts objects into the bucket.
 * Called when reports or that bucket's objects are looked at. */
void sim_cur_settle(struct sim_world *w);
/* The AWS company that sells to customers of a country. */
const char *sim_tax_seller(const char *country);
