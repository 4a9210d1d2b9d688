/* One request against the schema: a table of fields, each with its own check and its own message. */
#include "common/base/macros.h"
#include "common/base/mem.h"
#include "common/codec/when.h"
#include "common/crypto/seal.h"
#include "common/queue/share.h"
#include "dispatcher/planner/input.h"
#include "dispatcher/planner/key_guard.h"
#include "dispatcher/planner/loose.h"
#include "dispatcher/planner/plan.h"
#include "dispatcher/planner/shape.h"

#include <ctype.h>
#include <stdio.h>

struct check { /* one walk over one request */
    const struct input_context *ctx;
    const json_t *request;
    uint32_t line;
    struct faults *faults;
    json_t *keyed; /* paths that hold something like a key: reported once, by that name only */
};

#define AT(c_, field_) ((struct place){.line = (c_)->line, .field = (field_)})

typedef void check_fn(struct check *c, const char *path, const json_t *value);

struct field {
    const char *path;
    json_type type;
    bool is_required;
    check_fn *check;
};

static void invalid(struct check *c, const char *path, const char *value, const char *what)
{
    char shown[64];
    faults_add(c->faults, AT(c, path), ERR_FIELD_INVALID, "\"%s\" is not allowed: %s", faults_show(value, shown), what);
}

#define TEXT_CHECK(name_, test_, what_)                                                                                \
    static void name_(struct check *c, const char *path, const json_t *value)                                          \
    {                                                                                                                  \
        const char *text = json_string_value(value);                                                                   \
        if (!(test_))                                                                                                  \
            invalid(c, path, text, what_);                                                                             \
    }

TEXT_CHECK(check_ref, shape_is_printable(text, 128), "1 to 128 characters, none of them a control character")
TEXT_CHECK(check_text, shape_is_printable(text, 200), "1 to 200 characters, none of them a control character")
TEXT_CHECK(check_domain, shape_is_host(text), "a domain like acme.example")
TEXT_CHECK(check_country, strlen(text) == 2 && isupper((unsigned char)text[0]) && isupper((unsigned char)text[1]),
           "two capital letters (ISO 3166)")
TEXT_CHECK(check_id, shape_is_slug(text, PLAN_ID_MAX, ""), "1 to 20 lower-case letters and digits")
TEXT_CHECK(check_org, str_starts(text, "o-") && strlen(text) >= 12 && shape_is_slug(text + 2, 32, ""),
           "an organization id like o-exampleorgid")
TEXT_CHECK(check_region, shape_is_region(text), "an AWS region like us-east-1")
TEXT_CHECK(check_mfa, str_eq(text, "overlap") || str_eq(text, "classic"), "overlap or classic")
TEXT_CHECK(check_group, shape_is_printable(text, SHARE_GROUP_MAX),
           "1 to 64 characters, none of them a control character")
TEXT_CHECK(check_priority, *text &&share_priority_is_known(text), "urgent, normal or bulk")
TEXT_CHECK(check_method, str_eq(text, "sealed_key") || str_eq(text, "role"), "sealed_key or role")

static void check_partition(struct check *c, const char *path, const json_t *value)
{
    char shown[64];
    if (!str_eq(json_string_value(value), "aws"))
        faults_add(c->faults, AT(c, path), ERR_PARTITION, "\"%s\": only the partition aws is supported",
                   faults_show(json_string_value(value), shown));
}

static void check_account(struct check *c, const char *path, const json_t *value)
{
    const char *text = json_string_value(value);
    char shown[64];
    size_t digits = strspn(text, "0123456789");
    if (shape_is_account_id(text))
        return;
    if (text[digits] == 0 && digits < 12 && digits > 0)
        faults_add(c->faults, AT(c, path), ERR_ACCOUNT_ID,
                   "\"%s\" has %zu digits, not 12: a spreadsheet may have dropped leading zeros", text, digits);
    else if (strpbrk(text, "eE") && strpbrk(text, ".+0123456789"))
        faults_add(c->faults, AT(c, path), ERR_ACCOUNT_ID,
                   "\"%s\" is a number in scientific notation: a spreadsheet has damaged the id",
                   faults_show(text, shown));
    else if (text[digits] == '-' || text[digits] == ' ')
        faults_add(c->faults, AT(c, path), ERR_ACCOUNT_ID, "\"%s\": write the 12 digits without separators",
                   faults_show(text, shown));
    else
        faults_add(c->faults, AT(c, path), ERR_ACCOUNT_ID, "\"%s\" is not 12 digits", faults_show(text, shown));
}

static void check_playbook(struct check *c, const char *path, const json_t *value)
{
    char shown[64];
    for (size_t i = 0; i < c->ctx->playbook_count; i++)
        if (playbook_is(c->ctx->playbooks[i], json_string_value(value)) &&
            !json_bool_at(c->ctx->playbooks[i]->json, "internal")) /* these are started by what needs them */
            return;
    faults_add(c->faults, AT(c, path), ERR_PLAYBOOK_UNKNOWN, "there is no playbook \"%s\"",
               faults_show(json_string_value(value), shown));
}

static void check_billing(struct check *c, const char *path, const json_t *value)
{
    const json_t *all = json_at(profile_json(c->ctx->profile), "billing_profiles");
    if (!json_object_get(all, json_string_value(value)))
        invalid(c, path, json_string_value(value), "the operator profile has no billing profile of that name");
}

static void check_role_arn(struct check *c, const char *path, const json_t *value)
{
    const char *arn = json_string_value(value), *mine = json_str_at(c->request, "organization.management_account_id");
    if (str_starts(arn, "arn:aws-")) {
        faults_add(c->faults, AT(c, path), ERR_PARTITION, "the role lies in another partition; only aws is supported");
        return;
    }
    bool is_shaped = str_starts(arn, "arn:aws:iam::") && strlen(arn) > 31 && strncmp(arn + 25, ":role/", 6) == 0;
    const char *name = is_shaped ? strrchr(arn, '/') + 1 : "";
    if (!shape_is_role_name(name) || strlen(arn) > 560) {
        invalid(c, path, arn, "an ARN like arn:aws:iam::111122223333:role/OrgImportBootstrap");
        return;
    }
    if (shape_is_account_id(mine) && strncmp(arn + 13, mine, 12) != 0)
        faults_add(c->faults, AT(c, path), ERR_FIELD_INVALID, "the role lies in account %.12s, not in %s", arn + 13,
                   mine);
}

static void check_sealed(struct check *c, const char *path, const json_t *value)
{
    struct err err = {0};
    if (seal_check(value, &err) < 0)
        faults_add(c->faults, AT(c, path), ERR_FIELD_INVALID, "not a sealed credential: %s", err.text);
}

static void check_roles(struct check *c, const char *path, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *name = json_string_value(json_array_get(value, i));
        if (!name || !*name || strchr(name, ',') || !str_in_list("cmp,cloudhealth,awsadmin", name))
            invalid(c, path, name ? name : "", "roles are cmp, cloudhealth and awsadmin");
    }
}

static void check_contacts(struct check *c, const char *path, const json_t *value)
{
    if (json_array_size(value) > 20)
        invalid(c, path, "", "at most 20 contacts");
    for (size_t i = 0; i < json_array_size(value) && i < 20; i++) {
        const json_t *one = json_array_get(value, i);
        /* Bulk files name contacts by role ("contacts.cloud_admin.email"), JSON by position. */
        const char *role = json_str_at(one, "role");
        AUTO_FREE char *at =
            c->line && shape_is_name(role, 40) ? mem_printf("%s.%s", path, role) : mem_printf("%s.%zu", path, i);
        AUTO_FREE char *email = mem_printf("%s.email", at);
        if (!shape_is_name(role, 40))
            faults_add(c->faults, AT(c, at), ERR_FIELD_INVALID, "a contact has a role like cloud_admin or security");
        if (!shape_is_email(json_str_at(one, "email")))
            invalid(c, email, json_str_at(one, "email"), "an email address");
        json_t *object = loose(one);
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
            AUTO_FREE char *field = mem_printf("%s.%s", at, json_object_iter_key(it));
            if (!str_in_list("role,name,email,notify", json_object_iter_key(it)))
                faults_add(c->faults, AT(c, field), ERR_FIELD_UNKNOWN, "a contact has role, name, email and notify");
        }
    }
}

static void check_texts(struct check *c, const char *path, const json_t *value)
{
    json_t *object = loose(value);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it), *text = json_string_value(json_object_iter_value(it));
        AUTO_FREE char *field = mem_printf("%s.%s", path, key);
        if (!shape_is_name(key, 40))
            faults_add(c->faults, AT(c, field), ERR_FIELD_INVALID,
                       "names are lower-case letters, digits and _ (at most 40)");
        else if (!text || (*text && !shape_is_printable(text, 500)))
            faults_add(c->faults, AT(c, field), ERR_FIELD_INVALID, "must be a text of at most 500 characters");
    }
    if (json_object_size(value) > 50)
        faults_add(c->faults, AT(c, path), ERR_FIELD_INVALID, "at most 50 entries");
}

static void check_vars(struct check *c, const char *path, const json_t *value)
{
    check_texts(c, path, value);
    json_t *object = loose(value);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        for (size_t i = 0; profile_builtin_vars[i]; i++)
            if (str_eq(profile_builtin_vars[i], json_object_iter_key(it)) &&
                !str_eq(profile_builtin_vars[i], "cloudhealth_external_id")) {
                AUTO_FREE char *field = mem_printf("%s.%s", path, profile_builtin_vars[i]);
                faults_add(c->faults, AT(c, field), ERR_FIELD_INVALID,
                           "this variable is made by orgimport and cannot be given");
            }
}

static void check_days(struct check *c, const char *path, const json_t *value)
{
    if (!shape_is_days(value))
        faults_add(c->faults, AT(c, path), ERR_FIELD_INVALID, "days are mon tue wed thu fri sat sun, each once");
}

static void check_time(struct check *c, const char *path, const json_t *value)
{
    uint64_t at = 0;
    if (!when_parse(json_string_value(value), &at))
        invalid(c, path, json_string_value(value), "a time like 2026-12-01T08:00:00Z");
}

TEXT_CHECK(check_hours, shape_is_hours(text), "hours like 08:00-16:00")
TEXT_CHECK(check_zone, shape_is_zone(text), "UTC or an offset like +01:00; names of places are not known")

static void check_count(struct check *c, const char *path, const json_t *value)
{
    if (json_integer_value(value) < 1 || json_integer_value(value) > 1000000)
        faults_add(c->faults, AT(c, path), ERR_FIELD_INVALID, "a number of accounts from 1");
}

static const struct field fields[] = {
    {"external_ref", JSON_STRING, true, check_ref},
    {"playbook", JSON_STRING, false, check_playbook},
    {"customer", JSON_OBJECT, true, NULL},
    {"customer.name", JSON_STRING, true, check_text},
    {"customer.domain", JSON_STRING, false, check_domain},
    {"customer.country", JSON_STRING, false, check_country},
    {"organization", JSON_OBJECT, true, NULL},
    {"organization.partition", JSON_STRING, false, check_partition},
    {"organization.management_account_id", JSON_STRING, true, check_account},
    {"organization.id", JSON_STRING, false, check_org},
    {"organization.expected_accounts", JSON_INTEGER, false, check_count},
    {"access", JSON_OBJECT, false, NULL},
    {"access.method", JSON_STRING, false, check_method},
    {"access.role_arn", JSON_STRING, false, check_role_arn},
    {"access.sealed", JSON_OBJECT, false, check_sealed},
    {"id", JSON_STRING, false, check_id},
    {"group", JSON_STRING, false, check_group},
    {"priority", JSON_STRING, false, check_priority},
    {"roles", JSON_ARRAY, false, check_roles},
    {"billing", JSON_OBJECT, false, NULL},
    {"billing.profile", JSON_STRING, false, check_billing},
    {"mfa_mode", JSON_STRING, false, check_mfa},
    {"region", JSON_STRING, false, check_region},
    {"contacts", JSON_ARRAY, false, check_contacts},
    {"labels", JSON_OBJECT, false, check_texts},
    {"vars", JSON_OBJECT, false, check_vars},
    {"window", JSON_OBJECT, false, NULL},
    {"window.not_before", JSON_STRING, false, check_time},
    {"window.days", JSON_ARRAY, false, check_days},
    {"window.hours", JSON_STRING, false, check_hours},
    {"window.timezone", JSON_STRING, false, check_zone},
    {"options", JSON_OBJECT, false, NULL},
    {"options.rerun", JSON_TRUE, false, NULL},
    {"options.plan", JSON_TRUE, false, NULL},
};

static const char *type_name(json_type t)
{
    switch (t) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        break;
    }
    return "null";
}

static const struct field *field_by_path(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq(fields[i].path, path))
            return &fields[i];
    return NULL;
}

static bool has_children(const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strncmp(fields[i].path, path, len) == 0 && fields[i].path[len] == '.')
            return true;
    return false;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as json_read allows
static void check_known(struct check *c, const json_t *object, const char *prefix)
{
    json_t *o = loose(object);
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        const char *key = json_object_iter_key(it);
        AUTO_FREE char *path = mem_printf("%s%s%s", prefix, *prefix ? "." : "", key);
        const struct field *field = field_by_path(path);
        if (json_object_get(c->keyed, path))
            continue;
        if (!field && key_guard_name(key))
            faults_add(c->faults, AT(c, path), ERR_SECRET_IN_INPUT,
                       "a secret is never part of an import; use --credentials or PUT .../credential");
        else if (!field || strchr(key, '.'))
            faults_add(c->faults, AT(c, path), ERR_FIELD_UNKNOWN, "an import has no such field");
        else if (has_children(path) && json_is_object(json_object_iter_value(it)))
            check_known(c, json_object_iter_value(it), path);
    }
}

/* "customer": "Acme" is one fault, not one more for each field that is then missing below it. */
static bool is_parent_wrong(const struct check *c, const char *path)
{
    const char *dot = strrchr(path, '.');
    if (!dot)
        return false;
    AUTO_FREE char *parent = mem_dup_bytes(path, (size_t)(dot - path));
    const json_t *value = json_at(c->request, parent);
    return value && !json_is_null(value) && !json_is_object(value);
}

static void check_field(struct check *c, const struct field *field)
{
    const json_t *value = json_at(c->request, field->path);
    if (json_is_null(value))
        value = NULL;
    if (json_object_get(c->keyed, field->path))
        return;
    if (!value) {
        if (field->is_required && !has_children(field->path) && !is_parent_wrong(c, field->path))
            faults_add(c->faults, AT(c, field->path), ERR_FIELD_MISSING, "this field is required");
        return;
    }
    bool is_type = field->type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == field->type;
    if (!is_type && field->check == check_account)
        faults_add(c->faults, AT(c, field->path), ERR_ACCOUNT_ID,
                   "an account id is text in quotes, so that its zeros are kept");
    else if (!is_type)
        faults_add(c->faults, AT(c, field->path), ERR_FIELD_INVALID, "must be %s, not %s", type_name(field->type),
                   type_name(json_typeof(value)));
    else if (field->check)
        field->check(c, field->path, value);
}

/* Keys anywhere: the place is named, the value never. A sealed credential is not looked into: it is ciphertext. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as json_read allows
static void check_keys(struct check *c, const json_t *value, const char *path)
{
    if (json_is_string(value) && key_guard_text(json_string_value(value), json_string_length(value))) {
        json_put_bool(c->keyed, path, true);
        faults_add(c->faults, AT(c, path), ERR_SECRET_IN_INPUT, "the value looks like a secret key; it is not shown");
    }
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        AUTO_FREE char *where = mem_printf("%s.%zu", path, i);
        check_keys(c, json_array_get(value, i), where);
    }
    if (!json_is_object(value) || str_eq(path, "access.sealed"))
        return;
    json_t *o = loose(value);
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        const char *key = json_object_iter_key(it);
        AUTO_FREE char *where = mem_printf("%s%s%s", path, *path ? "." : "", key);
        if (key_guard_text(key, strlen(key))) {
            json_put_bool(c->keyed, where, true);
            faults_add(c->faults, AT(c, path), ERR_SECRET_IN_INPUT,
                       "the name of a field looks like a secret key; it is not shown");
            continue;
        }
        check_keys(c, json_object_iter_value(it), where);
    }
}

static void check_together(struct check *c)
{
    const char *method = json_str_at(c->request, "access.method"), *arn = json_str_at(c->request, "access.role_arn");
    if (*arn && str_eq(method, "sealed_key"))
        faults_add(c->faults, AT(c, "access.role_arn"), ERR_FIELD_INVALID, "a role_arn goes with access.method role");
    if (json_has(c->request, "access.sealed") && str_eq(method, "role"))
        faults_add(c->faults, AT(c, "access.sealed"), ERR_FIELD_INVALID,
                   "a sealed key goes with access.method sealed_key");
    const json_t *needed = profile_import_vars(c->ctx->profile);
    for (size_t i = 0; i < json_array_size(needed); i++) {
        const char *name = json_string_value(json_array_get(needed, i));
        AUTO_FREE char *path = mem_printf("vars.%s", name ? name : "");
        if (!json_is_string(json_at(c->request, path)))
            faults_add(c->faults, AT(c, path), ERR_VARIABLE_UNDEFINED,
                       "the operator profile needs the variable {%s} from each import", name);
    }
}

void input_check(const struct input_context *ctx, const json_t *request, uint32_t line, struct faults *faults)
{
    json_auto_t *keyed = json_object();
    struct check c = {.ctx = ctx, .request = request, .line = line, .faults = faults, .keyed = keyed};
    if (!json_is_object(request)) {
        faults_add(faults, AT(&c, ""), ERR_SYNTAX, "an import is a JSON object");
        return;
    }
    check_keys(&c, request, "");
    check_known(&c, request, "");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        check_field(&c, &fields[i]);
    check_together(&c);
}

const struct playbook *input_playbook(const struct input_context *ctx, const json_t *request)
{
    const char *wanted = json_str_at(request, "playbook");
    for (size_t i = 0; *wanted && i < ctx->playbook_count; i++)
        if (playbook_is(ctx->playbooks[i], wanted))
            return ctx->playbooks[i];
    return ctx->playbooks[0];
}
