/* Builds the import document. Order matters: plain facts, then the operator's own variables, then names made of them,
 * then everything else, which may use all of these. */
#include "dispatcher/planner/plan.h"

#include "common/base/mem.h"
#include "common/codec/when.h"
#include "common/crypto/crypto.h"
#include "common/queue/share.h"
#include "dispatcher/planner/loose.h"
#include "dispatcher/planner/shape.h"
#include "dispatcher/planner/template.h"

#include <ctype.h>
#include <stdio.h>

#define BUCKET_NAME_MAX 63

void plan_account_key(const json_t *request, char ret[PLAN_ACCOUNT_KEY_BYTES])
{
    (void)snprintf(ret, PLAN_ACCOUNT_KEY_BYTES, "%s/%s", json_str_or(request, "organization.partition", "aws"),
                   json_str_at(request, "organization.management_account_id"));
}

/* Random texts of 26 letters and digits without look-alikes: 130 bits. */
static void random_text(const struct env *env, char ret[33])
{
    static const char alphabet[33] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char bytes[26];
    env_random(env, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        ret[i] = alphabet[bytes[i] & 31];
    ret[sizeof bytes] = 0;
}

void plan_org_id(const json_t *request, uint32_t attempt, char *ret)
{
    const char *given = json_str_at(request, "id");
    if (*given) {
        (void)snprintf(ret, PLAN_ID_MAX + 1, "%s", given);
        return;
    }
    char key[PLAN_ACCOUNT_KEY_BYTES], seed[64], digest[65];
    plan_account_key(request, key);
    int n = snprintf(seed, sizeof seed, "%s %u", key, attempt);
    crypto_sha256_hex(seed, (size_t)n, digest);
    size_t len = 0;
    for (const char *c = json_str_at(request, "customer.name"); *c && len < 12; c++)
        if (isalnum((unsigned char)*c) && (unsigned char)*c < 0x80)
            ret[len++] = (char)tolower((unsigned char)*c);
    if (!len) /* a name in another script */
        ret[len++] = 'c';
    memcpy(ret + len, digest, 5);
    ret[len + 5] = 0;
}

void plan_org_draw(const struct env *env, const json_t *request, uint32_t attempt, struct plan_org *ret)
{
    *ret = (struct plan_org){0};
    random_text(env, ret->external_id);
    random_text(env, ret->external_id_bootstrap);
    plan_org_id(request, attempt, ret->id);
}

json_t *plan_org_json(const struct plan_org *org)
{
    return json_make("{s:s, s:s, s:s}", "id", org->id, "external_id", org->external_id, "external_id_bootstrap",
                     org->external_id_bootstrap);
}

int plan_org_from_json(const json_t *json, struct plan_org *ret, struct err *err)
{
    const char *id = json_str_at(json, "id"), *external = json_str_at(json, "external_id");
    const char *bootstrap = json_str_at(json, "external_id_bootstrap");
    if (!shape_is_slug(id, PLAN_ID_MAX, "") || strlen(external) < 24 || strlen(external) >= sizeof ret->external_id ||
        strlen(bootstrap) < 24 || strlen(bootstrap) >= sizeof ret->external_id_bootstrap)
        return err_set(err, ERR_CORRUPT, "the stored names of an organization cannot be read");
    (void)snprintf(ret->id, sizeof ret->id, "%s", id);
    (void)snprintf(ret->external_id, sizeof ret->external_id, "%s", external);
    (void)snprintf(ret->external_id_bootstrap, sizeof ret->external_id_bootstrap, "%s", bootstrap);
    return 0;
}

void plan_done(struct plan *p)
{
    json_decref(p->doc);
    mem_free(p->credential);
    *p = (struct plan){0};
}

/* ---- Variables ----------------------------------------------------------------------------------------------------
 */

static void put_facts(const struct plan_input *in, json_t *vars)
{
    const json_t *r = in->request, *p = profile_json(in->profile);
    json_put_str(vars, "id", in->org->id);
    json_put_str(vars, "partition", json_str_or(r, "organization.partition", "aws"));
    json_put_str(vars, "account_id", json_str_at(r, "organization.management_account_id"));
    json_put_str(vars, "organization_id", json_str_at(r, "organization.id"));
    json_put_str(vars, "region", json_str_or(r, "region", json_str_at(p, "region")));
    json_put_str(vars, "customer_name", json_str_at(r, "customer.name"));
    json_put_str(vars, "customer_domain", json_str_at(r, "customer.domain"));
    json_put_str(vars, "customer_country", json_str_at(r, "customer.country"));
    json_put_str(vars, "external_ref", json_str_at(r, "external_ref"));
    json_put_str(vars, "import_id", in->import_id);
    json_put_str(vars, "operator_name", json_str_at(p, "operator.name"));
    json_put_str(vars, "operator_account_id", json_str_at(p, "operator.account_id"));
    json_put_str(vars, "trusted_account_id", json_str_at(p, "trusted_account_id"));
    json_put_str(vars, "external_id", in->org->external_id);
    json_put_str(vars, "external_id_bootstrap", in->org->external_id_bootstrap);
    json_put_str(vars, "cloudhealth_external_id", "");
}

static int put_text(json_t *vars, const char *name, const char *template, struct err *err)
{
    AUTO_FREE char *text = template_text(template, vars, err);
    if (!text)
        return err_wrap(err, "%s", name);
    json_put_str(vars, name, text);
    return 0;
}

/* The import's own variables win over the profile's; neither can replace what orgimport makes. */
static int put_own(const struct plan_input *in, json_t *vars, struct err *err)
{
    const json_t *sources[] = {json_at(profile_json(in->profile), "vars"), json_at(in->request, "vars")};
    for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
        json_t *own = loose(sources[s]);
        for (void *it = json_object_iter(own); it; it = json_object_iter_next(own, it)) {
            const char *text = json_string_value(json_object_iter_value(it));
            if (!text)
                continue;
            if (s == 0 && put_text(vars, json_object_iter_key(it), text, err) < 0)
                return -1;
            if (s == 1) /* what comes with an import is a value, never a template */
                json_put_str(vars, json_object_iter_key(it), text);
        }
    }
    return 0;
}

static int put_names(const struct plan_input *in, json_t *vars, struct err *err)
{
    static const struct {
        const char *name, *path;
    } made[] = {{"root_email", "naming.root_email"},
                {"bucket", "naming.bucket"},
                {"report", "naming.report"},
                {"report_prefix", "naming.report_prefix"},
                {"bootstrap_role", "naming.bootstrap_role"},
                {"tag_key", "tag.key"},
                {"tag_value", "tag.value"}};
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        if (put_text(vars, made[i].name, json_str_at(profile_json(in->profile), made[i].path), err) < 0)
            return -1;
    const char *email = json_str_at(vars, "root_email"), *bucket = json_str_at(vars, "bucket");
    if (strlen(email) > PLAN_ROOT_EMAIL_MAX || !shape_is_email(email))
        return err_set(
            err, ERR_FIELD_INVALID,
            "the root email comes out as %s: it must be an address of at most %d characters; choose a shorter id",
            email, PLAN_ROOT_EMAIL_MAX);
    if (strlen(bucket) < 3 || strlen(bucket) > BUCKET_NAME_MAX || !shape_is_slug(bucket, BUCKET_NAME_MAX, "-."))
        return err_set(err, ERR_FIELD_INVALID,
                       "the bucket comes out as %s: 3 to %d lower-case letters, digits, - and .", bucket,
                       BUCKET_NAME_MAX);
    return 0;
}

/* ---- What the steps read beside the plain variables ------------------------------------------------------------- */

static bool is_role_wanted(const struct plan_input *in, const char *name, const json_t *role)
{
    const json_t *wanted = json_at(in->request, "roles");
    if (json_array_size(wanted))
        return json_array_has_str(wanted, name);
    const json_t *enabled = json_object_get(role, "enabled");
    return !json_is_false(enabled);
}

static json_t *make_roles(const struct plan_input *in, const json_t *vars, struct err *err)
{
    json_auto_t *roles = template_json(json_at(profile_json(in->profile), "roles"), vars, err);
    const char *name;
    json_t *role;
    json_object_foreach (roles, name, role) {
        json_put_bool(role, "enabled", is_role_wanted(in, name, role));
        static const char *const lists[] = {"policies", "inline", "managed"};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            if (!json_object_get(role, lists[i]))
                json_put(role, lists[i], json_array());
        if (!json_object_get(role, "path"))
            json_put_str(role, "path", "/");
        if (!json_object_get(role, "max_session"))
            json_put_int(role, "max_session", 3600);
        if (!json_object_get(role, "description"))
            json_put_str(role, "description", "");
    }
    return TAKE(roles);
}

static json_t *make_report(const struct plan_input *in, const json_t *vars, struct err *err)
{
    json_t *report = template_json(json_at(profile_json(in->profile), "report_definition"), vars, err);
    if (!report)
        return NULL;
    json_put_str(report, "ReportName", json_str_at(vars, "report"));
    json_put_str(report, "S3Bucket", json_str_at(vars, "bucket"));
    json_put_str(report, "S3Prefix", json_str_at(vars, "report_prefix"));
    json_put_str(report, "S3Region", json_str_at(vars, "region"));
    return report;
}

/* "Acme GmbH & Co. KG and more" does not fit AWS's 30 characters for a display name: cut, never refused. */
static void cut_display_name(json_t *partner)
{
    const char *name = json_str_at(partner, "display_name");
    size_t len = strlen(name);
    if (len <= 30)
        return;
    len = 30;
    while (len && !str_is_utf8(name, len))
        len--;
    json_put(partner, "display_name", json_stringn(name, len));
}

static int put_expanded(const struct plan_input *in, json_t *vars, const char *key, const json_t *template,
                        json_t *fallback, struct err *err)
{
    json_auto_t *owned = fallback;
    json_t *value = template ? template_json(template, vars, err) : json_incref(owned);
    if (!value)
        return err_wrap(err, "%s", key);
    if (str_eq(key, "partner") && json_is_object(value))
        cut_display_name(value);
    json_put(vars, key, value);
    (void)in;
    return 0;
}

static int put_documents(const struct plan_input *in, json_t *vars, struct err *err)
{
    const json_t *p = profile_json(in->profile);
    const char *billing = json_str_or(in->request, "billing.profile", "default");
    const json_t *chosen = json_object_get(json_at(p, "billing_profiles"), billing);
    if (!chosen)
        return err_set(err, ERR_FIELD_INVALID, "the operator profile has no billing profile %s", billing);
    json_t *roles = make_roles(in, vars, err);
    if (!roles)
        return err_wrap(err, "roles");
    json_put(vars, "roles", roles);
    json_t *report = make_report(in, vars, err);
    if (!report)
        return err_wrap(err, "report_definition");
    json_put(vars, "report_definition", report);
    if (put_expanded(in, vars, "bucket_policy", json_at(p, "bucket_policy"), json_array(), err) < 0 ||
        put_expanded(in, vars, "tax", json_object_get(chosen, "tax"), json_null(), err) < 0 ||
        put_expanded(in, vars, "payment", json_object_get(chosen, "payment"), json_object(), err) < 0 ||
        put_expanded(in, vars, "partner", json_at(p, "partner"), json_null(), err) < 0 ||
        put_expanded(in, vars, "custodians", json_at(p, "custodians"), json_array(), err) < 0)
        return -1;
    json_t *retire = json_object();
    json_put_bool(retire, "delete_user",
                  json_has(p, "retire.delete_user") ? json_bool_at(p, "retire.delete_user") : true);
    json_put(vars, "retire", retire);
    if (json_has(p, "approvals"))
        json_put(vars, "approvals", json_deep_copy(json_at(p, "approvals")));
    json_put(vars, "limits", json_has(p, "limits") ? json_deep_copy(json_at(p, "limits")) : json_object());
    return 0;
}

static json_t *make_vars(const struct plan_input *in, struct err *err)
{
    json_auto_t *vars = json_object();
    put_facts(in, vars);
    if (put_own(in, vars, err) < 0 || put_names(in, vars, err) < 0 || put_documents(in, vars, err) < 0)
        return NULL;
    return TAKE(vars);
}

int plan_check_names(const struct profile *profile, const struct playbook *playbook, const json_t *request,
                     struct err *err)
{
    struct plan_org org = {0};
    plan_org_id(request, 0, org.id);
    struct plan_input in = {.profile = profile, .playbook = playbook, .request = request, .org = &org, .import_id = ""};
    json_auto_t *vars = json_object();
    put_facts(&in, vars);
    return put_own(&in, vars, err) < 0 || put_names(&in, vars, err) < 0 ? -1 : 0;
}

/* ---- The document
 * ---------------------------------------------------------------------------------------------------- */

static json_t *copy_or(const json_t *value, json_t *fallback)
{
    if (!value || json_is_null(value))
        return fallback;
    json_decref(fallback);
    return json_deep_copy(value);
}

static void put_head(const struct plan_input *in, json_t *doc)
{
    const json_t *r = in->request;
    json_put_str(doc, "id", in->import_id);
    json_put_str(doc, "external_ref", json_str_at(r, "external_ref"));
    json_put_bool(doc, "livemode", !in->is_simulated);
    if (json_has(r, "group"))
        json_put_str(doc, "group", json_str_at(r, "group"));
    json_put_str(doc, "priority", json_str_or(r, "priority", "normal"));
    json_put(doc, "playbook", json_sprintf("%s@%lld", in->playbook->name, (long long)in->playbook->version));
    json_t *steps = json_array();
    for (size_t i = 0; i < in->playbook->dag.step_count; i++)
        (void)json_array_append_new(steps, json_string(json_str_at(in->playbook->steps[i], "id")));
    json_put(doc, "steps", steps);
    if (json_bool_at(in->playbook->json, "read_only"))
        json_put_bool(doc, "read_only", true);
    json_put_int(doc, "created_ms", (int64_t)in->now_ms);
    json_put(doc, "customer", copy_or(json_at(r, "customer"), json_object()));
    json_t *organization = copy_or(json_at(r, "organization"), json_object());
    if (!json_has(organization, "partition"))
        json_put_str(organization, "partition", "aws");
    json_put(doc, "organization", organization);
    json_t *access = copy_or(json_at(r, "access"), json_object());
    (void)json_object_del(access, "sealed"); /* kept apart: the document is read by people */
    if (!json_has(access, "method"))
        json_put_str(access, "method", *json_str_at(access, "role_arn") ? "role" : "sealed_key");
    json_put(doc, "access", access);
    json_put(doc, "profile",
             json_make("{s:s, s:I, s:s}", "name", profile_name(in->profile), "version",
                       (json_int_t)profile_version(in->profile), "digest", profile_digest(in->profile)));
}

static void put_tail(const struct plan_input *in, json_t *doc)
{
    const json_t *r = in->request, *p = profile_json(in->profile);
    json_put_str(doc, "mfa_mode", json_str_or(r, "mfa_mode", json_str_or(p, "mfa_mode", "overlap")));
    json_put(doc, "contacts", copy_or(json_at(r, "contacts"), json_array()));
    json_put(doc, "labels", copy_or(json_at(r, "labels"), json_object()));
    json_put(doc, "options", copy_or(json_at(r, "options"), json_object()));
    json_put(doc, "billing", json_make("{s:s}", "profile", json_str_or(r, "billing.profile", "default")));
    const json_t *window = json_has(r, "window.hours") ? json_at(r, "window") : json_at(p, "staffed");
    if (json_is_object(window)) {
        json_t *staffed = json_deep_copy(window);
        if (!json_has(staffed, "timezone"))
            json_put_str(staffed, "timezone", "UTC");
        if (!json_has(staffed, "days"))
            json_put(staffed, "days", json_make("[s,s,s,s,s]", "mon", "tue", "wed", "thu", "fri"));
        json_put(doc, "staffed", staffed);
    }
    uint64_t not_before = 0;
    if (when_parse(json_str_at(r, "window.not_before"), &not_before))
        json_put_int(doc, "not_before_ms", (int64_t)not_before);
}

/* A step whose "optional" names something false in the document is skipped: it counts as done for its successors. */
static void find_skipped(const struct playbook *playbook, const json_t *doc, bool *ret)
{
    for (size_t i = 0; i < playbook->dag.step_count; i++) {
        const char *path = json_str_at(playbook->steps[i], "optional");
        ret[i] = *path && !json_bool_at(doc, path);
    }
}

/* For those who look ahead: the record alone knows it, and steps do not see the record. */
static json_t *skipped_names(const struct playbook *playbook, const bool *skipped)
{
    json_t *names = json_array();
    for (size_t i = 0; i < playbook->dag.step_count; i++)
        if (skipped[i])
            (void)json_array_append_new(names, json_string(json_str_at(playbook->steps[i], "id")));
    return names;
}

int plan_import(const struct plan_input *in, struct plan *ret, struct err *err)
{
    json_auto_t *doc = json_object();
    put_head(in, doc);
    put_tail(in, doc);
    json_t *vars = make_vars(in, err);
    if (!vars)
        return -1;
    json_put(doc, "vars", vars);
    *ret = (struct plan){.dag = in->playbook->dag};
    bool skipped[RECORD_STEPS_MAX] = {0};
    find_skipped(in->playbook, doc, skipped);
    json_put(doc, "skipped", skipped_names(in->playbook, skipped));
    record_new(&ret->dag, skipped, in->now_ms, &ret->record);
    struct share share = share_of(json_str_at(doc, "group"), json_str_at(doc, "priority"));
    ret->record.group = share.group;
    ret->record.weight = share.weight;
    if (in->is_simulated)
        ret->record.flags |= RECORD_IS_SIMULATED;
    const json_t *sealed = json_at(in->request, "access.sealed");
    ret->credential = sealed ? json_text(sealed) : NULL;
    ret->doc = TAKE(doc);
    return 0;
}
