#include "dispatcher/planner/drift_plan.h"

#include "common/base/mem.h"
#include "common/crypto/crypto.h"
#include "dispatcher/planner/import_steps.h"
#include "dispatcher/planner/loose.h"

#include <stdio.h>

/* Roles that our own trusted account may assume, in the order in which they are asked. */
static const struct {
    const char *which, *step;
    bool is_door;
} roles[] = {
    {"cmp", "role_cmp", true}, {"awsadmin", "role_awsadmin", true}, {"cloudhealth", "role_cloudhealth", false}};

/* A section of the last fingerprint: the state in which everybody left the organization. */
static const json_t *last_section(const json_t *value, const char *name)
{
    const json_t *sections = json_at(import_result(value, "fingerprint_after"), "fingerprint.sections");
    return json_object_get(sections, name);
}

/* ---- What the handover left ---- */

static json_t *left_roles(const json_t *value)
{
    json_t *left = json_object();
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        const json_t *result = import_result(value, roles[i].step);
        const char *name = json_str_at(result, "role.name");
        if (!*name)
            continue;
        const json_t *last = json_object_get(last_section(value, "iam.roles"), name);
        json_put(left, name,
                 json_make("{s:s,s:s,s:o,s:o}", "which", roles[i].which, "arn", json_str_at(result, "role.arn"),
                           "value", json_copy_or_null(last ? last : json_at(result, "role_value")), "policies",
                           json_copy_or_null(json_at(result, "policies"))));
    }
    return left;
}

static json_t *left_bucket(const json_t *value)
{
    const json_t *result = import_result(value, "cur_bucket");
    if (!*json_str_at(result, "bucket"))
        return json_null();
    return json_make("{s:s,s:s}", "name", json_str_at(result, "bucket"), "region", json_str_at(result, "region"));
}

static json_t *left_report(const json_t *value)
{
    const json_t *result = import_result(value, "cur_report");
    const char *name = json_str_at(result, "report");
    const json_t *last = json_object_get(last_section(value, "cur"), name);
    if (!*name)
        return json_null();
    return json_make("{s:s,s:o,s:s,s:s}", "name", name, "definition",
                     json_copy_or_null(last ? last : json_at(result, "definition")), "delivery",
                     json_str_at(result, "delivery"), "last_delivery", json_str_at(result, "last_delivery"));
}

/* The registrations that the import set, as they were last; where a person set them, the management account's. */
static json_t *left_tax(const json_t *value, const char *account)
{
    const json_t *last = last_section(value, "tax"), *set = json_at(import_result(value, "tax_profile"), "values");
    json_t *left = json_object();
    const char *one = NULL;
    json_t *registration = NULL;
    json_object_foreach (loose(set), one, registration)
        json_put(left, one, json_copy_or_null(json_object_get(last, one) ? json_object_get(last, one) : registration));
    if (!json_object_size(left) && json_object_get(last, account))
        json_put(left, account, json_deep_copy(json_object_get(last, account)));
    if (json_object_get(last, "inheritance"))
        json_put(left, "inheritance", json_deep_copy(json_object_get(last, "inheritance")));
    return left;
}

static json_t *left_organization(const json_t *value)
{
    const json_t *last = last_section(value, "organization"), *doc = json_at(value, "doc");
    if (json_is_object(last))
        return json_deep_copy(last);
    return json_make("{s:s,s:s}", "master_account_id", json_str_at(doc, "vars.account_id"), "master_email",
                     json_str_at(doc, "vars.root_email"));
}

static json_t *left_root(const json_t *value)
{
    const json_t *last = json_object_get(last_section(value, "iam.account"), "root");
    return json_copy_or_null(last ? last : json_at(import_result(value, "root_mfa"), "root"));
}

static json_t *handover(const struct drift_plan_input *in)
{
    const json_t *doc = json_at(in->value, "doc");
    json_t *out =
        json_make("{s:o,s:o,s:o,s:o,s:o,s:o}", "roles", left_roles(in->value), "bucket", left_bucket(in->value),
                  "report", left_report(in->value), "tax", left_tax(in->value, json_str_at(doc, "vars.account_id")),
                  "organization", left_organization(in->value), "root", left_root(in->value));
    json_put(out, "trusted_services", json_copy_or_null(last_section(in->value, "trusted_services")));
    json_put(
        out, "partner",
        json_make("{s:s}", "relationship", json_str_at(import_result(in->value, "partner_program"), "relationship")));
    json_put_str(out, "known", in->known);
    return out;
}

/* ---- The ways in ---- */

static json_t *doors(const json_t *value)
{
    const json_t *doc = json_at(value, "doc");
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        const json_t *result = import_result(value, roles[i].step);
        const char *adopted = json_str_at(result, "external_id_adopted");
        if (!roles[i].is_door || !*json_str_at(result, "role.arn"))
            continue;
        (void)json_array_append_new(list, json_make("{s:s,s:s,s:s}", "name", json_str_at(result, "role.name"),
                                                    "role_arn", json_str_at(result, "role.arn"), "external_id",
                                                    *adopted ? adopted : json_str_at(doc, "vars.external_id")));
    }
    return list;
}

static json_t *access_of(const struct drift_plan_input *in, struct err *err)
{
    json_t *ways = doors(in->value);
    if (!json_array_size(ways) && !in->asks_access) {
        json_decref(ways);
        (void)err_set(err, ERR_STATE_CONFLICT,
                      "this import left no role to look through; ask for access (--ask-access)");
        return NULL;
    }
    const json_t *given = json_at(in->value, "doc.access");
    json_t *access = in->asks_access && given ? json_deep_copy(given) : json_make("{s:s}", "method", "product_roles");
    json_put(access, "roles", ways);
    return access;
}

static json_t *make_doc(const struct drift_plan_input *in, struct err *err)
{
    static const char *const gone[] = {"not_before_ms", "options", "approvals"};
    const json_t *from = json_at(in->value, "doc");
    json_t *access = access_of(in, err);
    if (!access)
        return NULL;
    json_t *doc = json_deep_copy(from), *steps = json_array();
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        (void)json_object_del(doc, gone[i]);
    for (size_t i = 0; i < in->playbook->dag.step_count; i++)
        (void)json_array_append_new(steps, json_string(json_str_at(in->playbook->steps[i], "id")));
    json_put_str(doc, "id", in->run_id);
    json_put_str(doc, "drift_of", json_str_at(from, "id"));
    json_put_str(doc, "asked_by", in->by);
    json_put_bool(doc, "read_only", true);
    json_put(doc, "playbook", json_sprintf("%s@%lld", in->playbook->name, (long long)in->playbook->version));
    json_put(doc, "steps", steps);
    json_put_int(doc, "created_ms", (int64_t)in->now_ms);
    json_put(doc, "access", access);
    json_put(doc, "handover", handover(in));
    return doc;
}

int drift_plan(const struct drift_plan_input *in, struct plan *ret, struct err *err)
{
    if (!*json_str_at(in->value, "doc.vars.account_id"))
        return err_set(err, ERR_CORRUPT, "the import's document cannot be read");
    json_t *doc = make_doc(in, err);
    if (!doc)
        return -1;
    bool skipped[RECORD_STEPS_MAX] = {0};
    *ret = (struct plan){.doc = doc, .dag = in->playbook->dag};
    record_new(&ret->dag, skipped, in->now_ms, &ret->record);
    if (in->is_simulated)
        ret->record.flags |= RECORD_IS_SIMULATED;
    return 0;
}

void drift_account_key(const json_t *doc, char ret[DRIFT_ACCOUNT_KEY_BYTES])
{
    (void)snprintf(ret, DRIFT_ACCOUNT_KEY_BYTES, "drift/%.16s/%.12s", json_str_or(doc, "vars.partition", "aws"),
                   json_str_at(doc, "vars.account_id"));
}

/* ---- Scheduled looks ---- */

void drift_run_id(const char *import_id, uint64_t slot, char ret[IMPORT_ID_BYTES])
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    char seed[96];
    unsigned char digest[32];
    int n = snprintf(seed, sizeof seed, "drift %.40s %llu", import_id, (unsigned long long)slot);
    crypto_sha256(seed, (size_t)n, digest);
    n = snprintf(ret, IMPORT_ID_BYTES, "%.6s", import_id); /* "imp_" and the shard: the same slot of a cluster */
    for (size_t i = 0; i < 24; i++)
        ret[n + (int)i] = letters[digest[i] & 31];
    ret[n + 24] = 0;
}

static uint64_t place_in_period(const char *import_id, uint64_t period_ms)
{
    unsigned char digest[32];
    uint64_t n = 0;
    crypto_sha256(import_id, strlen(import_id), digest);
    for (size_t i = 0; i < 8; i++)
        n = n << 8 | digest[i];
    return n % period_ms;
}

uint64_t drift_slot(const char *import_id, uint64_t period_ms, uint64_t now_ms)
{
    return (now_ms - place_in_period(import_id, period_ms)) / period_ms;
}

uint64_t drift_slot_begins(const char *import_id, uint64_t period_ms, uint64_t slot)
{
    return slot * period_ms + place_in_period(import_id, period_ms);
}
