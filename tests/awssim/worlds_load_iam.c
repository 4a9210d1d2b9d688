/* IAM and root of a recorded world. The key that was handed over is made anew (a record holds no secret), with the
 * recorded id where that id is one of ours. */
#include "worlds_load.h"

#include "sim_core.h"

#include <stdlib.h>

static json_t *inline_texts(const json_t *documents)
{
    json_t *texts = json_object(), *document;
    const char *name;
    json_object_foreach ((json_t *)(uintptr_t)documents, name, document)
        json_object_set_new(texts, name, load_document(document));
    return texts;
}

static json_t *iam_arn(const struct load *l, const char *type, const char *path, const char *name)
{
    return svc_textf("arn:aws:iam::%s:%s%s%s", l->m.w->account, type, path[0] ? path : "/", name);
}

/* What users, groups and roles have in common. */
static void put_common(json_t *owner, const json_t *one)
{
    json_object_set_new(owner, "attached", load_copy_list(json_object_get(one, "policies")));
    json_object_set_new(owner, "inline", inline_texts(json_object_get(one, "inline")));
    json_object_set_new(owner, "CreateDate", json_string("2020-01-01T00:00:00Z"));
    if (json_is_object(json_object_get(one, "tags")))
        json_object_set_new(owner, "Tags", load_tags(json_object_get(one, "tags")));
    if (svc_text(one, "boundary")[0] != '\0')
        json_object_set_new(owner, "PermissionsBoundary", json_string(svc_text(one, "boundary")));
}

static void load_roles(struct load *l)
{
    const char *name;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "iam.roles"), name, one) {
        const char *path = svc_text(one, "path");
        json_t *role = json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:[]}", "Path", path, "RoleName", name, "RoleId",
                                 svc_text(one, "role_id"), "Arn", iam_arn(l, "role", path, name),
                                 "AssumeRolePolicyDocument", load_document(json_object_get(one, "trust")),
                                 "MaxSessionDuration", (json_int_t)svc_number(one, "max_session"), "Tags");
        if (svc_text(one, "description")[0] != '\0')
            json_object_set_new(role, "Description", json_string(svc_text(one, "description")));
        put_common(role, one);
        json_object_set_new(make_map(&l->m, "iam", "roles"), name, role);
    }
}

static void load_users(struct load *l)
{
    const char *name;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "iam.users"), name, one) {
        json_t *user = make_user(&l->m, make_section(&l->m, "iam"), l->m.w->account, name);
        const char *path = svc_text(one, "path");
        json_object_set_new(user, "Path", json_string(path));
        json_object_set_new(user, "Arn", iam_arn(l, "user", path, name));
        json_object_set_new(user, "UserId", json_string(svc_text(one, "user_id")));
        json_object_set_new(user, "groups", load_copy_list(json_object_get(one, "groups")));
        put_common(user, one);
    }
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "iam.groups"), name, one) {
        const char *path = svc_text(one, "path");
        json_t *group = json_pack("{s:s, s:s, s:s, s:o}", "Path", path, "GroupName", name, "GroupId",
                                  svc_text(one, "group_id"), "Arn", iam_arn(l, "group", path, name));
        put_common(group, one);
        json_object_set_new(make_map(&l->m, "iam", "groups"), name, group);
    }
}

static void load_policies(struct load *l)
{
    const char *arn;
    json_t *one;
    json_object_foreach ((json_t *)(uintptr_t)load_section(l, "iam.policies"), arn, one) {
        const char *slash = strrchr(arn, '/'), *colon = strstr(arn, ":policy/");
        const char *name = slash ? slash + 1 : arn;
        json_t *document = load_document(json_object_get(one, "document"));
        make_iam_policy(&l->m, name, json_string_value(document));
        json_decref(document);
        json_t *policy = json_object_get(make_map(&l->m, "iam", "policies"), name);
        json_object_set_new(policy, "Arn", json_string(arn));
        if (colon != NULL && slash != NULL)
            json_object_set_new(policy, "Path", svc_textf("%.*s", (int)(slash - colon - 6), colon + 7));
        const json_t *tags = json_object_get(json_object_get(l->names, "policy_tags"), name);
        if (tags != NULL)
            json_object_set_new(policy, "Tags", load_tags(tags));
    }
}

/* Serials that end ":mfa/.." are virtual; a root user with a second factor that no list shows has a hardware key. */
static void load_root(struct load *l)
{
    const json_t *from = json_object_get(load_section(l, "iam.account"), "root");
    json_t *root = make_section(&l->m, "root"), *devices = json_array(), *serial;
    size_t i;
    json_array_foreach (json_object_get(from, "devices"), i, serial)
        json_array_append_new(devices, json_pack("{s:O, s:s, s:b}", "SerialNumber", serial, "EnableDate",
                                                 "2020-01-01T00:00:00Z", "virtual", 1));
    if (json_is_true(json_object_get(from, "mfa")) && json_array_size(devices) == 0)
        json_array_append_new(devices, json_pack("{s:s, s:s, s:b}", "SerialNumber", "u2f/recorded", "EnableDate",
                                                 "2020-01-01T00:00:00Z", "virtual", 0));
    json_object_set_new(root, "mfa_devices", devices);
    json_object_set_new(root, "password", json_true());
    json_object_set_new(root, "access_keys", json_object());
    if (json_is_true(json_object_get(from, "access_keys"))) {
        char key_id[21], secret[41];
        make_key(&l->m, l->m.w->account, key_id, secret);
        json_object_set_new(
            json_object_get(root, "access_keys"), key_id,
            json_pack("{s:s, s:s, s:s}", "secret", secret, "Status", "Active", "CreateDate", "2020-01-01T00:00:00Z"));
    }
}

static json_t *number_or_text(const json_t *value)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    long long n = text ? strtoll(text, &end, 10) : 0;
    if (text && end != text && *end == '\0')
        return json_integer(n);
    return text && svc_one_of(text, "true,false") ? json_boolean(svc_is(text, "true")) : json_deep_copy(value);
}

static void load_account(struct load *l)
{
    const json_t *from = load_section(l, "iam.account");
    json_t *iam = make_section(&l->m, "iam"), *one, *policy = json_object();
    const char *key, *word;
    json_t *value;
    json_object_set_new(iam, "aliases", load_copy_list(json_object_get(json_object_get(from, "aliases"), "names")));
    json_object_foreach (json_object_get(from, "password_policy"), word, value)
        json_object_set_new(policy, word, number_or_text(value));
    if (json_object_size(policy) > 0)
        json_object_set(iam, "password_policy", policy);
    json_decref(policy);
    const json_t *features = json_object_get(json_object_get(from, "organizations_features"), "enabled");
    if (json_array_size(features) > 0)
        json_object_set_new(iam, "organizations_features", json_deep_copy(features));
    json_object_foreach ((json_t *)(uintptr_t)from, key, one) {
        bool is_saml = strstr(key, ":saml-provider/") != NULL, is_oidc = strstr(key, ":oidc-provider/") != NULL;
        if (!is_saml && !is_oidc)
            continue;
        json_t *list = json_object_get(iam, is_saml ? "saml" : "oidc");
        if (list == NULL) {
            list = json_array();
            json_object_set_new(iam, is_saml ? "saml" : "oidc", list);
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "Arn", key, "ValidUntil", "2040-01-01T00:00:00Z",
                                              "CreateDate", "2020-01-01T00:00:00Z"));
    }
    const json_t *quotas = json_object_get(l->names, "quotas");
    if (json_object_size(quotas) > 0)
        json_object_set_new(iam, "quotas", json_deep_copy(quotas));
}

/* The access that was handed over: the recorded user gets a key that only this simulation knows. */
static void load_access(struct load *l)
{
    json_t *customer = make_section(&l->m, "customer");
    const char *name = svc_text(customer, "user"), *known = svc_text(customer, "access_key_id");
    char key_id[21], secret[41], account[13] = "";
    if (!svc_is(svc_text(customer, "access"), "key"))
        return;
    json_t *user = json_object_get(make_map(&l->m, "iam", "users"), name);
    if (user == NULL)
        user = make_user(&l->m, make_section(&l->m, "iam"), l->m.w->account, name[0] ? name : "orgimport");
    make_key(&l->m, l->m.w->account, key_id, secret);
    if (sim_account_of_key(known, account) && svc_is(account, l->m.w->account))
        (void)snprintf(key_id, sizeof key_id, "%s", known);
    json_object_set_new(
        json_object_get(user, "access_keys"), key_id,
        json_pack("{s:s, s:s, s:s}", "secret", secret, "Status", "Active", "CreateDate", "2020-01-01T00:00:00Z"));
    json_object_set_new(customer, "access_key_id", json_string(key_id));
    json_object_set_new(customer, "secret_access_key", json_string(secret));
}

void load_iam(struct load *l)
{
    make_map(&l->m, "iam", "roles");
    make_map(&l->m, "iam", "users");
    load_roles(l);
    load_users(l);
    load_policies(l);
    load_root(l);
    load_account(l);
    load_access(l);
}
