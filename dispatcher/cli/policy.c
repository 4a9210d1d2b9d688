/* orgimport policy: the permissions that an import needs, as documents to attach; what its roles can do, in words. */
#include "dispatcher/cli/cli.h"

#include "common/base/mem.h"
#include "common/codec/file.h"

#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)

struct wish {
    const char *playbook, *customer, *method;
    bool roles, json;
};

/* ---- Asking
 * ---------------------------------------------------------------------------------------------------------- */

static int ask_preview(struct cli *cli, const struct wish *w, struct cli_reply *ret, struct err *err)
{
    AUTO_STR struct str path;
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    str_init(&path, 1024);
    str_add(&path, "/v1/policies");
    cli_add_query(&path, "playbook", w->playbook);
    cli_add_query(&path, "method", w->method);
    if (w->customer && file_read(w->customer, FILE_BYTES_MAX, &text, &len, err) != 0)
        return -1;
    return cli_send(cli, "POST", path.data, "application/octet-stream", text ? text : "", len, NULL, ret, err);
}

/* The answers as one array; NULL after printing, with the exit code. */
static json_t *ask(struct cli *cli, const struct wish *w, int *ret_code)
{
    AUTO_REPLY struct cli_reply reply = {0};
    struct err err;
    char id[64];
    bool is_file = w->customer && access(w->customer, R_OK) == 0;
    bool is_import = w->customer && !is_file;
    *ret_code = EXIT_ERROR;
    if (is_import && !cli_import_id(cli, w->customer, id))
        return NULL;
    AUTO_FREE char *path = is_import ? mem_printf("/v1/imports/%s/policy", id) : NULL;
    if ((is_import ? cli_get(cli, path, &reply, &err) : ask_preview(cli, w, &reply, &err)) != 0) {
        *ret_code = cli_error(cli, &err);
        return NULL;
    }
    if (reply.status != 200) {
        *ret_code = cli_problem(cli, &reply);
        return NULL;
    }
    *ret_code = EXIT_OK;
    return is_import ? json_make("[O]", reply.json) : json_incref(json_object_get(reply.json, "data"));
}

/* ---- The policy
 * -------------------------------------------------------------------------------------------------------- */

/* The same object with its members in the order in which people write policies. New reference. */
static json_t *in_order(const json_t *object)
{
    static const char *const order[] = {"Version", "Statement", "Sid",      "Effect",   "Principal",
                                        "Action",  "NotAction", "Resource", "Condition"};
    json_t *ordered = json_object(), *value = NULL;
    const char *key = NULL;
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if ((value = json_object_get(object, order[i])))
            json_put(ordered, order[i], json_incref(value));
    json_object_foreach ((json_t *)(uintptr_t)object, key, value)
        json_put(ordered, key, json_incref(value));
    return ordered;
}

static void print_document(const json_t *object)
{
    json_auto_t *document = in_order(object);
    json_t *statements = json_array(), *one = NULL;
    size_t i = 0;
    json_array_foreach (json_object_get(document, "Statement"), i, one)
        (void)json_array_append_new(statements, in_order(one));
    json_put(document, "Statement", statements);
    char *text = json_dumps(document, JSON_INDENT(2));
    puts(text ? text : "");
    mem_free(text);
}

static size_t statements_of(const json_t *document)
{
    return json_array_size(json_at(document, "Statement"));
}

static void print_size(const char *name, const json_t *one, int64_t limit, const char *what)
{
    printf("  %-22s %6d characters", name, (int)json_int_at(one, "characters"));
    if (limit)
        printf(" of %6d", (int)limit);
    else
        printf("          ");
    printf("  %s\n", what);
}

static void print_sizes(const json_t *p)
{
    size_t i = 0;
    int64_t actions = 0, characters = 0;
    const json_t *one = NULL;
    puts("Sizes (as IAM counts: without white space)");
    json_array_foreach (json_at(p, "documents"), i, one) {
        AUTO_FREE char *what = mem_printf("%d actions in %zu statements, %s only", (int)json_int_at(one, "actions"),
                                          statements_of(json_at(one, "document")),
                                          str_eq(json_str_at(one, "part"), "read") ? "reading" : "writing");
        print_size(json_str_at(one, "name"), one, json_int_at(p, "limits.managed"), what);
        actions += json_int_at(one, "actions");
        characters += json_int_at(one, "characters");
    }
    json_auto_t *sum = json_make("{s:I}", "characters", (json_int_t)characters);
    AUTO_FREE char *all = mem_printf("%d actions, named one by one", (int)actions);
    print_size("together", sum, 0, all);
    print_size("OrgImportNever", json_at(p, "guard"), json_int_at(p, "limits.managed"),
               "explicit denies, for those who attach AdministratorAccess all the same");
    if (json_is_object(json_at(p, "session")))
        print_size("session policy", json_at(p, "session"), json_int_at(p, "session.limit"),
                   "sent with every AssumeRole: reads shortened to verbs, writes exact");
    print_size("AdministratorAccess", json_at(p, "administrator"), 0, "every action of every service, on everything");
    puts("");
}

static void print_notes(const json_t *p)
{
    size_t i = 0;
    const json_t *one = NULL;
    puts("Statements");
    json_array_foreach (json_at(p, "notes"), i, one)
        printf("  %-26s %s\n", json_str_at(one, "sid"), json_str_at(one, "note"));
    puts("");
}

static void print_reasons(const json_t *p)
{
    size_t i = 0, k = 0;
    const json_t *one = NULL, *step = NULL;
    puts("Which step asks for it");
    json_array_foreach (json_at(p, "actions"), i, one) {
        printf("  %-52s", json_str_at(one, "action"));
        json_array_foreach (json_at(one, "steps"), k, step)
            printf(" %s", json_string_value(step));
        puts(json_bool_at(one, "optional") ? "  (may be left out)" : "");
    }
    puts("");
}

static void print_head(const json_t *p)
{
    if (json_bool_at(p, "is_example"))
        puts("An example: names and account are those of no customer. Give --customer FILE or IMPORT for the real "
             "ones.\n");
    printf("Account %s, playbook %s\n", json_str_at(p, "account_id"), json_str_at(p, "playbook"));
    bool is_role = str_eq(json_str_at(p, "method"), "role");
    printf("Make these managed policies and attach them to the %s %s, instead of AdministratorAccess.\n",
           is_role ? "role" : "user", json_str_at(p, "principal"));
    if (!json_bool_at(p, "external_ids_known") && is_role)
        puts("The external id is drawn when the import is accepted; the task then shows it.");
    puts("");
}

static void print_policy(const json_t *p)
{
    size_t i = 0;
    const json_t *one = NULL;
    print_head(p);
    json_array_foreach (json_at(p, "documents"), i, one) {
        printf("Policy %s\n", json_str_at(one, "name"));
        print_document(json_at(one, "document"));
        puts("");
    }
    if (json_is_object(json_at(p, "trust"))) {
        printf("Trust of the role %s\n", json_str_at(p, "principal"));
        print_document(json_at(p, "trust"));
        puts("");
    }
    puts(
        "Policy OrgImportNever (not needed with the two above; for those who attach AdministratorAccess all the same)");
    print_document(json_at(p, "guard.document"));
    puts("");
    print_sizes(p);
    print_notes(p);
    print_reasons(p);
}

/* ---- The roles
 * ---------------------------------------------------------------------------------------------------------- */

static void print_actions(const json_t *actions)
{
    size_t i = 0, column = 8;
    const json_t *one = NULL;
    printf("       ");
    json_array_foreach ((json_t *)(uintptr_t)actions, i, one) {
        const char *text = json_string_value(one);
        if (column + strlen(text) > 116) {
            printf("\n       ");
            column = 8;
        }
        printf(" %s", text);
        column += strlen(text) + 1;
    }
    puts("");
}

static void print_role(const json_t *role)
{
    size_t i = 0;
    const json_t *one = NULL;
    printf("%s%s\n", json_str_at(role, "name"), json_bool_at(role, "enabled") ? "" : "   (not made for this customer)");
    json_array_foreach (json_at(role, "who"), i, one) {
        const char *id = json_str_at(one, "external_id");
        printf("  taken by %s%s%s\n", json_str_at(one, "words"), *id ? ", only with the external id " : "", id);
    }
    if (json_int_at(role, "max_session"))
        printf("  for at most %d minutes at a time\n", (int)(json_int_at(role, "max_session") / 60));
    json_array_foreach (json_at(role, "can"), i, one) {
        bool is_all = str_starts(json_str_at(one, "on"), "everything in the account");
        printf("  - %s%s%s\n", json_str_at(one, "words"), is_all ? "" : ", only on ",
               is_all ? json_str_at(one, "on") + strlen("everything in the account") : json_str_at(one, "on"));
        print_actions(json_at(one, "actions"));
    }
    if (json_array_size(json_at(role, "warnings")))
        puts("  Reaches further than it looks:");
    json_array_foreach (json_at(role, "warnings"), i, one)
        printf("  ! %s: %s (%s)\n", json_str_at(one, "action"), json_str_at(one, "because"), json_str_at(one, "kind"));
    if (*json_str_at(role, "assumption"))
        printf("  Assumed by the profile: %s\n", json_str_at(role, "assumption"));
    puts("");
}

static void print_roles(const json_t *p)
{
    size_t i = 0;
    const json_t *one = NULL;
    if (json_bool_at(p, "is_example"))
        puts("An example: give --customer FILE or IMPORT for a customer's own names.\n");
    json_array_foreach (json_at(p, "roles"), i, one)
        print_role(one);
}

int cli_verb_policy(struct cli *cli)
{
    struct wish w = {0};
    const char *words[1];
    size_t count = 0, i = 0;
    const struct cli_flag flags[] = {{"playbook", &w.playbook, NULL},
                                     {"customer", &w.customer, NULL},
                                     {"method", &w.method, NULL},
                                     {"roles", NULL, &w.roles},
                                     {"json", NULL, &w.json}};
    int code = cli_parse(cli, flags, ARRAY_LEN(flags), words, 0, &count);
    struct err err;
    if (code != EXIT_OK)
        return code;
    if (cli_connect(cli, &err) != 0)
        return cli_error(cli, &err);
    json_auto_t *all = ask(cli, &w, &code);
    const json_t *one = NULL;
    json_array_foreach (all, i, one) {
        if (w.json || cli_is_json(cli))
            cli_print_value(cli, w.roles ? json_at(one, "roles") : one);
        else if (w.roles)
            print_roles(one);
        else
            print_policy(one);
    }
    return code;
}
