/* What a run needs to know about its worlds, as files: the customers (CSV, as an operator would keep them), their keys
 * (INI, mode 0600), the operator's own keys, and what end each world is expected to come to (JSON, for tests). */
#include "worlds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const csv_columns[] = {
    "external_ref",
    "customer.name",
    "customer.domain",
    "customer.country",
    "organization.management_account_id",
    "organization.id",
    "access.method",
    "access.role_arn",
    "id",
    "roles",
    "mfa_mode",
    "region",
    "contacts.cloud_admin.email",
    "labels.tier",
    "billing.profile",
    "vars.cloudhealth_external_id",
};
#define CSV_COLUMNS (sizeof csv_columns / sizeof csv_columns[0])

static FILE *file_open(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        (void)fprintf(stderr, "orgimport-awssim: cannot write %s: %s\n", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    fchmod(fd, mode);
    return file;
}

static int file_close(FILE *file, const char *path)
{
    bool bad = ferror(file) != 0;
    if (fclose(file) == 0 && !bad)
        return 0;
    (void)fprintf(stderr, "orgimport-awssim: cannot write %s: %s\n", path, strerror(errno));
    return -1;
}

static const json_t *customer_of(const struct sim_world *w)
{
    return json_object_get(w->state, "customer");
}

/* ---- Customers
 * --------------------------------------------------------------------------------------------------------- */

static const char *csv_value(const json_t *customer, const char *column)
{
    bool role = svc_is(svc_text(customer, "access"), "role");
    static const char *const same[][2] = {{"external_ref", "external_ref"},
                                          {"customer.name", "name"},
                                          {"customer.domain", "domain"},
                                          {"customer.country", "country"},
                                          {"organization.management_account_id", "account"},
                                          {"organization.id", "organization_id"},
                                          {"id", "id"},
                                          {"roles", "roles"},
                                          {"mfa_mode", "mfa_mode"},
                                          {"region", "region"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (svc_is(column, same[i][0]))
            return svc_text(customer, same[i][1]);
    if (svc_is(column, "access.method"))
        return role ? "role" : "sealed_key";
    if (svc_is(column, "access.role_arn"))
        return role ? svc_text(customer, "role_arn") : "";
    return svc_text(json_object_get(customer, "row"), column);
}

static void csv_write(FILE *file, const char *value)
{
    if (value[strcspn(value, ",\"\r\n")] == '\0') {
        (void)fputs(value, file);
        return;
    }
    (void)fputc('"', file);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '"')
            (void)fputc('"', file);
        (void)fputc(*at, file);
    }
    (void)fputc('"', file);
}

static int write_customers(const char *path)
{
    FILE *file = file_open(path, 0644);
    if (file == NULL)
        return -1;
    for (size_t c = 0; c < CSV_COLUMNS; c++)
        (void)fprintf(file, "%s%s", c ? "," : "", csv_columns[c]);
    (void)fputs("\r\n", file);
    for (size_t i = 0; i < sim_world_count(); i++) {
        const struct sim_world *w = sim_world_at(i);
        if (w->kind == NULL)
            continue;
        for (size_t c = 0; c < CSV_COLUMNS; c++) {
            if (c > 0)
                (void)fputc(',', file);
            csv_write(file, csv_value(customer_of(w), csv_columns[c]));
        }
        (void)fputs("\r\n", file);
    }
    return file_close(file, path);
}

/* ---- Keys
 * -------------------------------------------------------------------------------------------------------------- */

static void write_key(FILE *file, const json_t *customer, const char *section)
{
    (void)fprintf(file, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n\n", section,
                  svc_text(customer, "access_key_id"), svc_text(customer, "secret_access_key"));
}

static int write_keys(const char *path, bool operator_keys)
{
    FILE *file = file_open(path, 0600);
    if (file == NULL)
        return -1;
    for (size_t i = 0; i < sim_world_count(); i++) {
        const struct sim_world *w = sim_world_at(i);
        const json_t *customer = customer_of(w);
        if ((w->kind == NULL) != operator_keys || svc_text(customer, "access_key_id")[0] == '\0')
            continue;
        write_key(file, customer, svc_text(customer, operator_keys ? "name" : "external_ref"));
        static const char *const also[] = {"partner", "trusted"}; /* one account of the operator's may be all three */
        for (size_t k = 0; operator_keys && k < sizeof also / sizeof also[0]; k++)
            if (json_is_true(json_object_get(customer, also[k])))
                write_key(file, customer, also[k]);
    }
    return file_close(file, path);
}

/* ---- Expectations
 * ------------------------------------------------------------------------------------------------------ */

json_t *sim_world_describe(const struct sim_world *w, bool with_secrets)
{
    const json_t *customer = customer_of(w);
    json_t *shown =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "account", w->account, "name", svc_text(customer, "name"),
                  "external_ref", svc_text(customer, "external_ref"), "kind", w->kind ? w->kind->name : "operator",
                  "access", svc_text(customer, "access"), "mfa_mode", svc_text(customer, "mfa_mode"));
    if (w->kind != NULL) {
        const struct sim_kind *k = w->kind;
        json_object_set_new(shown, "what", json_string(k->what));
        json_object_set_new(shown, "expect",
                            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "state", k->end_state, "step", k->end_step,
                                      "code", k->end_code, "finding", k->end_finding, "owner", k->end_owner, "verdict",
                                      k->verdict));
        json_object_set_new(shown, "submitted_account", json_string(svc_text(customer, "account")));
        json_object_set_new(shown, "naming_id", json_string(svc_text(customer, "id")));
        json_object_set_new(shown, "role_arn", json_string(svc_text(customer, "role_arn")));
        json_object_set_new(shown, "accounts",
                            json_integer((json_int_t)json_object_size(json_object_get(w->state, "accounts"))));
    }
    if (with_secrets && svc_text(customer, "access_key_id")[0] != '\0') {
        json_object_set_new(shown, "access_key_id", json_string(svc_text(customer, "access_key_id")));
        json_object_set_new(shown, "secret_access_key", json_string(svc_text(customer, "secret_access_key")));
    }
    if (with_secrets && w->kind != NULL) {
        json_t *row = json_object(); /* for a caller that submits this world by itself */
        for (size_t c = 0; c < CSV_COLUMNS; c++)
            if (csv_value(customer, csv_columns[c])[0] != '\0')
                json_object_set_new(row, csv_columns[c], json_string(csv_value(customer, csv_columns[c])));
        json_object_set_new(shown, "row", row);
    }
    return shown;
}

static int write_worlds(const char *path)
{
    FILE *file = file_open(path, 0644);
    if (file == NULL)
        return -1;
    (void)fputs("[\n", file);
    for (size_t i = 0, written = 0; i < sim_world_count(); i++) {
        if (sim_world_at(i)->kind == NULL)
            continue;
        json_t *one = sim_world_describe(sim_world_at(i), false);
        char *text = json_dumps(one, JSON_COMPACT);
        (void)fprintf(file, "%s%s", written++ ? ",\n" : "", text ? text : "{}");
        free(text);
        json_decref(one);
    }
    (void)fputs("\n]\n", file);
    return file_close(file, path);
}

int sim_worlds_write(const char *customers, const char *credentials, const char *operator_credentials,
                     const char *worlds_file)
{
    if (customers != NULL && write_customers(customers) != 0)
        return -1;
    if (credentials != NULL && write_keys(credentials, false) != 0)
        return -1;
    if (operator_credentials != NULL && write_keys(operator_credentials, true) != 0)
        return -1;
    return worlds_file != NULL ? write_worlds(worlds_file) : 0;
}
