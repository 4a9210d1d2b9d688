/* Reading and checking an operator profile: one pass, all faults. */
#include "dispatcher/planner/profile.h"

#include "common/base/mem.h"
#include "common/codec/file.h"
#include "dispatcher/planner/profile_check.h"

#include <stdatomic.h>
#include <stdio.h>

#define PROFILE_FILE_MAX ((size_t)1 << 20)

struct profile {
    atomic_uint refs; /* batches are checked on other threads */
    json_t *json;
    char digest[65];
};

struct profile *profile_ref(struct profile *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void profile_unref(struct profile *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    json_decref(p->json);
    mem_free(p);
}

const char *profile_name(const struct profile *p)
{
    return json_str_at(p->json, "name");
}

int64_t profile_version(const struct profile *p)
{
    return json_int_at(p->json, "version");
}

const char *profile_digest(const struct profile *p)
{
    return p->digest;
}

const json_t *profile_json(const struct profile *p)
{
    return p->json;
}

const json_t *profile_import_vars(const struct profile *p)
{
    return json_at(p->json, "import_vars");
}

int profile_from_json(const json_t *json, struct profile **ret, struct faults *faults, struct err *err)
{
    size_t before = faults->count;
    profile_check(json, faults);
    if (faults->count > before)
        return err_set(err, ERR_PROFILE_INVALID, "%s: %s", json_str_at(json_array_get(faults->list, before), "pointer"),
                       json_str_at(json_array_get(faults->list, before), "detail"));
    struct profile *p = MEM_NEW(struct profile);
    atomic_init(&p->refs, 1);
    p->json = json_deep_copy(json);
    json_digest(p->json, p->digest);
    *ret = p;
    return 0;
}

/* Replaces the text at object[key] by the document in the file it names, beside the profile. */
static int put_document(json_t *object, const char *key, const char *dir, struct err *err)
{
    const char *ref = json_string_value(json_object_get(object, key));
    if (!ref)
        return 0;
    if (ref[0] == '/' || strstr(ref, "..") || !str_ends(ref, ".json"))
        return err_set(err, ERR_PROFILE_INVALID, "%s must name a .json file beside the profile", key);
    AUTO_FREE char *path = mem_printf("%s/%s", dir, ref);
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, PROFILE_FILE_MAX, &text, &len, err) < 0)
        return -1;
    json_t *document = json_read(text, len, 0, err);
    if (!document)
        return err_wrap(err, "%s", path);
    json_put(object, key, document);
    return 0;
}

static int put_role_documents(json_t *role, const char *dir, struct err *err)
{
    static const char *const lists[] = {"policies", "inline"};
    if (put_document(role, "trust", dir, err) < 0)
        return -1;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        json_t *list = json_object_get(role, lists[l]);
        for (size_t i = 0; i < json_array_size(list); i++)
            if (put_document(json_array_get(list, i), "document", dir, err) < 0)
                return -1;
    }
    return 0;
}

static int put_documents(json_t *json, const char *dir, struct err *err)
{
    if (put_document(json, "bucket_policy", dir, err) < 0)
        return -1;
    const char *name;
    json_t *role;
    json_object_foreach (json_object_get(json, "roles"), name, role)
        if (put_role_documents(role, dir, err) < 0)
            return err_wrap(err, "roles.%s", name);
    return 0;
}

int profile_load(const char *path, struct profile **ret, struct faults *faults, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    if (file_read(path, PROFILE_FILE_MAX, &text, &len, err) < 0)
        return -1;
    json_auto_t *json = json_read(text, len, 0, err);
    if (!json)
        return err_wrap(err, "%s", path);
    AUTO_FREE char *dir = mem_dup(path);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
    if (put_documents(json, slash ? dir : ".", err) < 0 || profile_from_json(json, ret, faults, err) < 0)
        return err_wrap(err, "%s", path);
    return 0;
}
