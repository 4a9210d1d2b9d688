/* The five settings of the report bucket: each read, compared, written when it differs, and read again. */
#include "worker/steps/bucket_settings.h"

#include "worker/steps/ownership.h"
#include "worker/steps/policy_document.h"
#include "worker/steps/report_bucket.h"

typedef bool setting_ok_fn(const json_t *facts, const json_t *wanted);

struct setting {
    const char *name;
    const struct aws_op *get, *put;
    setting_ok_fn *is_right;
};

static bool is_blocked(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return json_bool_at(facts, "all");
}

static bool is_owner_enforced(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return str_eq(json_str_at(facts, "ownership"), "BucketOwnerEnforced");
}

static bool is_encrypted(const json_t *facts, const json_t *wanted)
{
    (void)wanted;
    return str_eq(json_str_at(facts, "algorithm"), "AES256");
}

static bool is_tagged(const json_t *facts, const json_t *wanted)
{
    return json_equal(json_at(facts, "tags"), wanted);
}

/* A policy travels as text; it is right when it holds our statements, whatever else stands there. */
static bool has_statements(const json_t *facts, const json_t *wanted)
{
    struct err err;
    const char *text = json_str_at(facts, "policy");
    if (json_array_size(wanted) == 0)
        return true;
    json_auto_t *document = *text ? json_read(text, strlen(text), 0, &err) : NULL;
    return document && policy_holds(document, wanted);
}

static const struct setting blocking = {"public-access", &s3_get_public_access_block, &s3_put_public_access_block,
                                        is_blocked};
static const struct setting owning = {"ownership", &s3_get_bucket_ownership, &s3_put_bucket_ownership,
                                      is_owner_enforced};
static const struct setting crypting = {"encryption", &s3_get_bucket_encryption, &s3_put_bucket_encryption,
                                        is_encrypted};
static const struct setting tagging = {"tags", &s3_get_bucket_tagging, &s3_put_bucket_tagging, is_tagged};
static const struct setting granting = {"policy", &s3_get_bucket_policy, &s3_put_bucket_policy, has_statements};

static enum step_result look(struct step *s, const struct setting *one, const char *when, const json_t **ret)
{
    return step_call_in(s, step_text(s, "%s/%s", one->name, when), one->get, report_bucket_args(s),
                        step_var(s, "region"), NULL, ret);
}

/* Writes it (`args` is taken) when what was seen is not right, and reads it again. */
static enum step_result settle(struct step *s, const struct setting *one, const json_t *seen, const json_t *wanted,
                               json_t *args)
{
    json_t *kept = step_keep(s, args);
    if (one->is_right(seen, wanted))
        return STEP_DONE;
    char digest[65];
    json_digest(seen, digest);
    const json_t *now = NULL;
    (void)step_now(s, step_text(s, "%s-put", one->name)); /* undo asks for it */
    TRY(step_call_in(s, step_text(s, "%s/put/%.8s", one->name, digest), one->put, json_incref(kept),
                     step_var(s, "region"), NULL, NULL));
    TRY(look(s, one, "seen", &now));
    if (!one->is_right(now, wanted))
        return step_fail(s, ERR_NOT_YET, "the bucket's %s was written and is not visible yet", one->name);
    return STEP_DONE;
}

static enum step_result settle_simple(struct step *s, const struct setting *one, json_t *args)
{
    const json_t *seen = NULL;
    json_t *kept = step_keep(s, args);
    TRY(look(s, one, "look", &seen));
    return settle(s, one, seen, NULL, json_incref(kept));
}

/* PutBucketTagging replaces the whole set: what others put there goes along. */
static enum step_result settle_tags(struct step *s)
{
    const json_t *seen = NULL;
    const char *key;
    json_t *value;
    TRY(look(s, &tagging, "look", &seen));
    json_t *wanted = step_keep(s, same_or(json_at(seen, "tags"), json_object()));
    wanted = step_keep(s, json_copy(wanted));
    json_put_str(wanted, step_var(s, "tag_key"), step_var(s, "tag_value"));
    json_t *args = report_bucket_args(s), *list = json_array();
    json_object_foreach (wanted, key, value)
        (void)json_array_append_new(list, json_make("{s:s,s:O}", "Key", key, "Value", value));
    json_sort_by(list, "Key");
    json_put(args, "Tags", list);
    return settle(s, &tagging, seen, wanted, args);
}

static enum step_result settle_policy(struct step *s)
{
    const json_t *seen = NULL, *wanted = json_at(step_import(s), "vars.bucket_policy");
    struct err err = {0};
    TRY(look(s, &granting, "look", &seen));
    json_t *text = policy_merge(json_str_at(seen, "policy"), wanted, &err);
    if (!text)
        return step_fail(s, err.code, "%s", err.text);
    json_t *args = report_bucket_args(s);
    json_put(args, "Policy", text);
    return settle(s, &granting, seen, wanted, args);
}

enum step_result bucket_settings_have(struct step *s)
{
    json_t *ownership = step_keep(s, report_bucket_args(s));
    json_put_str(ownership, "Ownership", "BucketOwnerEnforced");
    TRY(settle_tags(s)); /* first: from here on it carries our mark */
    TRY(settle_simple(s, &blocking, report_bucket_args(s)));
    TRY(settle_simple(s, &owning, json_incref(ownership)));
    TRY(settle_simple(s, &crypting, report_bucket_args(s)));
    return settle_policy(s);
}

enum step_result bucket_settings_find_foreign(struct step *s, const char *region, bool *ret)
{
    const json_t *seen = NULL;
    struct err err = {0};
    TRY(step_call_in(s, "policy/look", &s3_get_bucket_policy, report_bucket_args(s), region, NULL, &seen));
    const char *text = json_str_at(seen, "policy");
    json_t *left = *text ? policy_without(text, json_at(step_import(s), "vars.bucket_policy"), &err) : json_null();
    if (!left)
        return step_fail(s, err.code, "%s", err.text);
    *ret = !json_is_null(step_keep(s, left));
    return STEP_DONE;
}

enum step_result bucket_settings_take_back_policy(struct step *s, const char *region, const char **ret_why_not)
{
    const json_t *seen = NULL, *answer = NULL;
    struct err err = {0};
    *ret_why_not = NULL;
    if (!step_did_at(s, "policy-put")) /* not by this import */
        return STEP_DONE;
    TRY(step_call_in(s, "policy/look", &s3_get_bucket_policy, report_bucket_args(s), region, NULL, &seen));
    const char *text = json_str_at(seen, "policy");
    if (!*text)
        return STEP_DONE;
    json_t *left = policy_without(text, json_at(step_import(s), "vars.bucket_policy"), &err);
    if (!left)
        return step_fail(s, err.code, "%s", err.text);
    const json_t *kept = step_keep(s, left);
    if (json_is_null(kept))
        return step_call_in(s, "policy/delete", &s3_delete_bucket_policy, report_bucket_args(s), region, NULL, NULL);
    if (str_eq(json_string_value(kept), text))
        return STEP_DONE;
    char digest[65];
    json_digest(seen, digest);
    json_t *args = report_bucket_args(s);
    json_put(args, "Policy", same(kept));
    TRY(step_call_in(s, step_text(s, "policy/put/%.8s", digest), &s3_put_bucket_policy, args, region, "AccessDenied",
                     &answer));
    if (json_has(answer, "error"))
        *ret_why_not = json_str_at(answer, "message");
    return STEP_DONE;
}
