#include "dispatcher/planner/input_csv.h"

#include "common/base/mem.h"
#include "common/codec/csv.h"
#include "dispatcher/planner/key_guard.h"
#include "dispatcher/planner/shape.h"

static const char *const columns[] = {
    "external_ref",
    "playbook",
    "customer.name",
    "customer.domain",
    "customer.country",
    "organization.partition",
    "organization.management_account_id",
    "organization.id",
    "organization.expected_accounts",
    "access.method",
    "access.role_arn",
    "id",
    "group",
    "priority",
    "roles",
    "billing.profile",
    "mfa_mode",
    "region",
    "window.not_before",
    "window.days",
    "window.hours",
    "window.timezone",
    "options.rerun",
    "options.plan",
};
static const char *const required[] = {"external_ref", "customer.name", "organization.management_account_id"};

/* "contacts.cloud_admin.email": gives the role's length, 0 when it is no contact column. */
static size_t contact_role(const char *name, const char **ret_role)
{
    if (!str_starts(name, "contacts."))
        return 0;
    *ret_role = name + 9;
    const char *dot = strchr(*ret_role, '.');
    return dot && (str_eq(dot, ".email") || str_eq(dot, ".name")) ? (size_t)(dot - *ret_role) : 0;
}

static bool is_column(const char *name)
{
    const char *role;
    if (str_starts(name, "labels."))
        return shape_is_name(name + 7, 40);
    if (str_starts(name, "vars."))
        return shape_is_name(name + 5, 40);
    if (contact_role(name, &role))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        if (str_eq(columns[i], name))
            return true;
    return false;
}

static bool check_header(const struct csv_row *header, struct faults *faults)
{
    size_t before = faults->count;
    for (size_t i = 0; i < header->count; i++) {
        const char *name = header->fields[i];
        struct place at = {.line = header->line, .field = name};
        char shown[64];
        if (key_guard_text(name, strlen(name)) || key_guard_name(name))
            faults_add(faults, at, ERR_SECRET_IN_INPUT,
                       "a column for a secret; keys are handed over with --credentials");
        else if (!*name)
            faults_add(faults, at, ERR_FIELD_MISSING, "column %zu has no name", i + 1);
        else if (!is_column(name))
            faults_add(faults, at, ERR_FIELD_UNKNOWN, "there is no column \"%s\"", faults_show(name, shown));
        for (size_t k = 0; k < i; k++)
            if (str_eq(header->fields[k], name) && *name)
                faults_add(faults, at, ERR_ROW_DUPLICATE, "the column stands twice in the header");
    }
    for (size_t r = 0; r < ARRAY_LEN(required); r++) {
        bool is_there = false;
        for (size_t i = 0; i < header->count; i++)
            is_there |= str_eq(header->fields[i], required[r]);
        if (!is_there)
            faults_add(faults, (struct place){header->line, required[r]}, ERR_FIELD_MISSING, "this column is required");
    }
    return faults->count == before;
}

static json_t *list_of(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        size_t n = strcspn(text, ";");
        size_t start = strspn(text, " ");
        size_t end = n;
        while (end > start && text[end - 1] == ' ')
            end--;
        if (end > start)
            (void)json_array_append_new(list, json_stringn(text + start, end - start));
        text += n + (text[n] == ';');
    }
    return list;
}

static void put_contact(json_t *request, const char *role, size_t role_len, const char *key, const char *text)
{
    json_t *list = json_object_get(request, "contacts");
    if (!list) {
        list = json_array();
        json_put(request, "contacts", list);
    }
    json_t *one = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_str_at(json_array_get(list, i), "role");
        if (strlen(name) == role_len && strncmp(name, role, role_len) == 0)
            one = json_array_get(list, i);
    }
    if (!one) {
        one = json_object();
        json_put(one, "role", json_stringn(role, role_len));
        (void)json_array_append_new(list, one);
    }
    json_put_str(one, key, text);
}

static json_t *value_of(const char *column, const char *text)
{
    uint64_t n = 0;
    if (str_eq(column, "roles") || str_eq(column, "window.days"))
        return list_of(text);
    if (str_eq(column, "organization.expected_accounts") && str_to_u64(text, 1000000000, &n))
        return json_integer((json_int_t)n);
    if (str_in_list("options.rerun,options.plan", column) && (str_eq(text, "true") || str_eq(text, "false")))
        return json_boolean(str_eq(text, "true"));
    return json_string(text);
}

static void put_field(json_t *request, const char *column, const char *text)
{
    const char *role;
    size_t role_len = contact_role(column, &role);
    if (role_len) {
        put_contact(request, role, role_len, role + role_len + 1, text);
        return;
    }
    const char *dot = strchr(column, '.');
    json_t *section = request;
    if (dot) {
        AUTO_FREE char *first = mem_dup_bytes(column, (size_t)(dot - column));
        section = json_object_get(request, first);
        if (!section) {
            section = json_object();
            json_put(request, first, section);
        }
    }
    json_put(section, dot ? dot + 1 : column, value_of(column, text));
}

static json_t *row_request(const struct csv_row *header, const struct csv_row *row)
{
    json_t *request = json_object();
    for (size_t i = 0; i < header->count; i++)
        if (row->fields[i][0]) /* an empty cell means: not given */
            put_field(request, header->fields[i], row->fields[i]);
    return request;
}

void input_csv_read(const struct input_context *ctx, const char *bytes, size_t len, struct input *ret,
                    struct faults *faults)
{
    struct csv csv = {0};
    struct err err = {0};
    if (csv_read(bytes, len, &csv, &err) < 0) {
        /* The reader names the line in its text; the first one is where a person starts to look. */
        unsigned line = 1;
        const char *at = strstr(err.text, "line ");
        if (at)
            line = (unsigned)strtoul(at + 5, NULL, 10);
        faults_add_err(faults, (struct place){.line = line ? line : 1, .field = ""}, &err);
        return;
    }
    if (csv.count && check_header(&csv.rows[0], faults)) {
        for (size_t i = 1; i < csv.count; i++) {
            const struct csv_row *row = &csv.rows[i];
            if (row->count == 1 && !row->fields[0][0])
                continue; /* an empty line */
            if (row->count != csv.rows[0].count) {
                faults_add(faults, (struct place){.line = row->line, .field = ""}, ERR_SYNTAX,
                           "%zu fields where the header has %zu: a comma too many or a quote missing", row->count,
                           csv.rows[0].count);
                continue;
            }
            json_t *request = row_request(&csv.rows[0], row);
            input_check(ctx, request, row->line, faults);
            input_add_row(ret, row->line, request);
        }
    }
    csv_done(&csv);
}
