/* What the report bucket is like, as an entry "s3.settings" of a bracket. No section of a fingerprint holds the
 * settings of buckets, so this is also what the verdict compares at the end. */
#include "worker/steps/bucket_settings.h"

#include "common/proof/bracket.h"
#include "worker/steps/ownership.h"
#include "worker/steps/report_bucket.h"

#include <string.h>

/* {Sid, or digest where there is none: statement}: the order of statements means nothing. New reference. */
static json_t *statements_of(const char *text)
{
    struct err ignored;
    json_t *by_sid = json_object(), *one = NULL;
    json_auto_t *document = *text ? json_read(text, strlen(text), 0, &ignored) : NULL;
    json_t *list = json_object_get(document, "Statement");
    json_auto_t *alone = json_is_object(list) ? json_make("[O]", list) : NULL;
    size_t i = 0;
    json_array_foreach (alone ? alone : list, i, one) {
        char digest[65];
        json_digest(one, digest);
        json_put(by_sid, json_str_or(one, "Sid", digest), json_incref(one));
    }
    return by_sid;
}

static json_t *sids_of(const json_t *statements)
{
    json_t *sids = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach ((json_t *)(uintptr_t)statements, i, one)
        (void)json_array_append_new(sids, json_string(json_str_at(one, "Sid")));
    return sids;
}

static const struct {
    const char *name;
    const struct aws_op *op;
} looks[] = {{"tags", &s3_get_bucket_tagging},
             {"public_access", &s3_get_public_access_block},
             {"ownership", &s3_get_bucket_ownership},
             {"encryption", &s3_get_bucket_encryption},
             {"policy", &s3_get_bucket_policy}};

enum step_result bucket_settings_touches(struct step *s, json_t *reading)
{
    const char *bucket = step_var(s, "bucket"), *region = step_var(s, "region");
    const json_t *where = NULL, *facts[sizeof looks / sizeof looks[0]] = {NULL};
    TRY(step_look(s, "location", &s3_get_bucket_location, report_bucket_args(s), region, "AccessDenied", &where));
    if (!json_is_object(where) || json_has(where, "error")) {
        bracket_add(reading, "s3.settings", bucket, NULL, NULL);
        return STEP_DONE;
    }
    region = json_str_at(where, "region");
    enum step_result all = STEP_DONE;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        step_also(&all,
                  step_look(s, looks[i].name, looks[i].op, report_bucket_args(s), region, "NoSuchBucket", &facts[i]));
    TRY(all);
    json_t *value = json_make("{s:s}", "region", region);
    for (size_t i = 1; i < 4; i++)
        json_put(value, looks[i].name, same_or(facts[i], json_null()));
    json_put(value, "tags", same_or(json_at(facts[0], "tags"), json_object()));
    json_put(value, "policy", statements_of(json_str_at(facts[4], "policy")));
    bracket_add(reading, "s3.settings", bucket, value,
                json_make("{s:[s],s:o}", "tags", step_var(s, "tag_key"), "policy",
                          sids_of(json_at(step_import(s), "vars.bucket_policy"))));
    return STEP_DONE;
}
