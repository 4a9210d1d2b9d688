#include "dispatcher/planner/profile_check.h"

#include "common/base/mem.h"
#include "dispatcher/planner/key_guard.h"
#include "dispatcher/planner/loose.h"
#include "dispatcher/planner/profile.h"
#include "dispatcher/planner/shape.h"
#include "dispatcher/planner/template.h"

#include <stdio.h>

const char *const profile_builtin_vars[] = {
    "id",
    "partition",
    "account_id",
    "region",
    "customer_name",
    "customer_domain",
    "customer_country",
    "organization_id",
    "external_ref",
    "import_id",
    "operator_name",
    "operator_account_id",
    "trusted_account_id",
    "root_email",
    "bucket",
    "report",
    "report_prefix",
    "bootstrap_role",
    "tag_key",
    "tag_value",
    "external_id",
    "external_id_bootstrap",
    "cloudhealth_external_id",
    NULL,
};

#define AT(field_) ((struct place){.field = (field_)})

static void unknown_fields(const json_t *object, const char *path, const char *known, struct faults *f)
{
    json_t *o = loose(object);
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        const char *key = json_object_iter_key(it);
        if (str_in_list(known, key))
            continue;
        AUTO_FREE char *where = mem_printf("%s%s%s", path, *path ? "." : "", key);
        faults_add(f, AT(where), ERR_FIELD_UNKNOWN, "a profile has no such field here; known: %s", known);
    }
}

static void need(const json_t *json, const char *path, bool is_ok, struct faults *f, const char *what)
{
    if (!json_has(json, path))
        faults_add(f, AT(path), ERR_FIELD_MISSING, "%s", what);
    else if (!is_ok)
        faults_add(f, AT(path), ERR_FIELD_INVALID, "%s", what);
}

static void check_head(const json_t *j, struct faults *f)
{
    unknown_fields(
        j, "",
        "name,version,description,operator,trusted_account_id,region,naming,tag,roles,bucket_policy,report_definition,"
        "billing_profiles,partner,custodians,mfa_mode,retire,staffed,vars,import_vars,limits,approvals,drift",
        f);
    need(j, "name", shape_is_slug(json_str_at(j, "name"), 40, "-"), f, "lower-case letters, digits and - (at most 40)");
    need(j, "version", json_int_at(j, "version") >= 1, f, "a whole number from 1");
    need(j, "operator.name", shape_is_printable(json_str_at(j, "operator.name"), 128), f, "the operator's name");
    need(j, "operator.account_id", shape_is_account_id(json_str_at(j, "operator.account_id")), f, "12 digits as text");
    need(j, "trusted_account_id", shape_is_account_id(json_str_at(j, "trusted_account_id")), f, "12 digits as text");
    need(j, "region", shape_is_region(json_str_at(j, "region")), f, "an AWS region");
    static const char *const names[] = {
        "naming.root_email",     "naming.bucket", "naming.report", "naming.report_prefix",
        "naming.bootstrap_role", "tag.key",       "tag.value"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        need(j, names[i], shape_is_printable(json_str_at(j, names[i]), 200), f,
             "a text, with {variables} where wanted");
    need(j, "custodians", json_array_size(json_at(j, "custodians")) >= 1, f, "at least one custody for root devices");
    need(j, "report_definition", json_is_object(json_at(j, "report_definition")), f,
         "an object as PutReportDefinition takes it");
    need(j, "bucket_policy", json_is_array(json_at(j, "bucket_policy")), f, "an array of statements");
    if (json_has(j, "approvals")) {
        int64_t quorum = json_int_at(j, "approvals.plan.quorum");
        unknown_fields(json_at(j, "approvals"), "approvals", "plan", f);
        unknown_fields(json_at(j, "approvals.plan"), "approvals.plan", "quorum", f);
        if (quorum < 1 || quorum > 5)
            faults_add(f, AT("approvals.plan.quorum"), ERR_FIELD_INVALID, "how many people approve a plan, 1 to 5");
    }
    if (json_has(j, "mfa_mode") && !str_in_list("overlap,classic", json_str_at(j, "mfa_mode")))
        faults_add(f, AT("mfa_mode"), ERR_FIELD_INVALID, "overlap or classic");
}

static void check_documents(const json_t *role, const char *path, const char *list, struct faults *f)
{
    const json_t *items = json_at(role, list);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *one = json_array_get(items, i);
        AUTO_FREE char *where = mem_printf("%s.%s.%zu", path, list, i);
        if (!shape_is_printable(json_str_at(one, "name"), 128) || !json_is_object(json_at(one, "document")))
            faults_add(f, AT(where), ERR_FIELD_INVALID, "a policy needs a name and a document");
    }
}

static void check_role(const char *name, const json_t *role, struct faults *f)
{
    AUTO_FREE char *path = mem_printf("roles.%s", name);
    if (!str_in_list("cmp,cloudhealth,awsadmin", name)) {
        faults_add(f, AT(path), ERR_FIELD_UNKNOWN, "roles are cmp, cloudhealth and awsadmin");
        return;
    }
    unknown_fields(role, path,
                   "name,enabled,path,description,max_session,trusted_account,trust,policies,inline,managed,assumption",
                   f);
    if (!shape_is_role_name(json_str_at(role, "name")))
        faults_add(f, AT(path), ERR_FIELD_INVALID,
                   "the name must be a role name (1 to 64 of A-Z a-z 0-9 + = , . @ _ -)");
    if (!json_is_object(json_at(role, "trust")))
        faults_add(f, AT(path), ERR_FIELD_INVALID, "trust must be a policy document");
    int64_t session = json_has(role, "max_session") ? json_int_at(role, "max_session") : 3600;
    if (session < 3600 || session > 43200)
        faults_add(f, AT(path), ERR_FIELD_INVALID, "max_session must be 3600 to 43200 seconds");
    if (!shape_is_account_id(json_str_at(role, "trusted_account")))
        faults_add(f, AT(path), ERR_FIELD_INVALID, "trusted_account must be 12 digits as text");
    check_documents(role, path, "policies", f);
    check_documents(role, path, "inline", f);
}

static void check_roles(const json_t *j, struct faults *f)
{
    json_t *roles = loose(json_at(j, "roles"));
    for (void *it = json_object_iter(roles); it; it = json_object_iter_next(roles, it))
        check_role(json_object_iter_key(it), json_object_iter_value(it), f);
    static const char *const wanted[] = {"roles.cmp", "roles.cloudhealth", "roles.awsadmin"};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        need(j, wanted[i], true, f, "a profile describes all three roles (\"enabled\":false switches one off)");
}

static void check_billing(const json_t *j, struct faults *f)
{
    json_t *all = loose(json_at(j, "billing_profiles"));
    need(j, "billing_profiles.default", true, f, "a billing profile named default");
    for (void *it = json_object_iter(all); it; it = json_object_iter_next(all, it)) {
        AUTO_FREE char *path = mem_printf("billing_profiles.%s", json_object_iter_key(it));
        const json_t *one = json_object_iter_value(it), *tax = json_at(one, "tax");
        unknown_fields(one, path, "tax,payment,legal_name,currency", f);
        if (tax && !json_is_null(tax) &&
            (strlen(json_str_at(tax, "country")) != 2 || !json_is_object(json_at(tax, "entry"))))
            faults_add(f, AT(path), ERR_FIELD_INVALID, "tax is null, or has a country of two letters and an entry");
        if (!*json_str_at(one, "payment.description"))
            faults_add(f, AT(path), ERR_FIELD_INVALID,
                       "payment.description says which payment method becomes the default");
    }
    const json_t *staffed = json_at(j, "staffed");
    if (staffed && !json_is_null(staffed) &&
        (!shape_is_days(json_at(staffed, "days")) || !shape_is_hours(json_str_at(staffed, "hours"))))
        faults_add(f, AT("staffed"), ERR_FIELD_INVALID, "staffed has days [\"mon\",..] and hours \"08:00-18:00\"");
    if (json_has(staffed, "timezone") && !shape_is_zone(json_string_value(json_at(staffed, "timezone"))))
        faults_add(f, AT("staffed.timezone"), ERR_FIELD_INVALID,
                   "a timezone is UTC or an offset like +01:00; names of places are not known");
}

static void check_kept(const json_t *drift, const char *name, json_int_t least, struct faults *f)
{
    const json_t *value = json_object_get(drift, name);
    AUTO_FREE char *path = mem_printf("drift.%s", name);
    if (value && (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > 36500))
        faults_add(f, AT(path), ERR_FIELD_INVALID, "a whole number from %d to 36500: looks for drift that are kept",
                   (int)least);
}

static void check_drift(const json_t *j, struct faults *f)
{
    const json_t *drift = json_at(j, "drift"), *every = json_at(drift, "every_hours");
    if (!drift || json_is_null(drift))
        return;
    unknown_fields(drift, "drift", "every_hours,keep_last,keep_days", f);
    check_kept(drift, "keep_last", 1, f); /* the last one tells the next look what was known */
    check_kept(drift, "keep_days", 0, f);
    if (!every && (json_has(drift, "keep_last") || json_has(drift, "keep_days")))
        return; /* looks only when asked, and kept so long */
    if (!json_is_number(every) || json_number_value(every) <= 0 || json_number_value(every) > 8784)
        faults_add(f, AT("drift.every_hours"), ERR_FIELD_INVALID,
                   "a number of hours, 8784 at most: how often finished imports are looked at again");
}

static bool is_defined(const json_t *j, const char *name)
{
    for (size_t i = 0; profile_builtin_vars[i]; i++)
        if (str_eq(profile_builtin_vars[i], name))
            return true;
    return json_object_get(json_at(j, "vars"), name) || json_array_has_str(json_at(j, "import_vars"), name);
}

static void check_variables(const json_t *j, struct faults *f)
{
    json_auto_t *names = json_object();
    struct err err = {0};
    json_t *top = loose(j);
    for (void *it = json_object_iter(top); it; it = json_object_iter_next(top, it)) {
        json_object_clear(names);
        if (template_names(json_object_iter_value(it), names, &err) < 0)
            faults_add_err(f, AT(json_object_iter_key(it)), &err);
        const char *name;
        json_t *unused;
        json_object_foreach (names, name, unused)
            if (!is_defined(j, name))
                faults_add(f, AT(json_object_iter_key(it)), ERR_VARIABLE_UNDEFINED,
                           "{%s} is not defined: add it to vars, or to import_vars when each import gives it", name);
    }
}

/* Policies may name services, never keys; what looks like one has slipped in. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as json_read allows
static void check_keys(const json_t *value, const char *path, struct faults *f)
{
    if (json_is_string(value) && key_guard_text(json_string_value(value), json_string_length(value)))
        faults_add(f, AT(path), ERR_SECRET_IN_INPUT, "something here looks like a key");
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++)
        check_keys(json_array_get(value, i), path, f);
    if (!json_is_object(value))
        return;
    json_t *object = loose(value);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        AUTO_FREE char *where = mem_printf("%s%s%s", path, *path ? "." : "", json_object_iter_key(it));
        check_keys(json_object_iter_value(it), where, f);
    }
}

void profile_check(const json_t *json, struct faults *faults)
{
    if (!json_is_object(json)) {
        faults_add(faults, AT(""), ERR_PROFILE_INVALID, "a profile is a JSON object");
        return;
    }
    check_head(json, faults);
    check_roles(json, faults);
    check_billing(json, faults);
    check_drift(json, faults);
    check_variables(json, faults);
    check_keys(json, "", faults);
}
