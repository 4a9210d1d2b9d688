/* Operator profiles, playbooks, the error catalogue and the sealing key: data that people and programs look up. */
#include "common/base/mem.h"
#include "common/crypto/seal.h"
#include "common/log/log.h"
#include "dispatcher/api/api.h"
#include "dispatcher/planner/shape.h"

static void got(void *arg, const struct err *err, json_t *value)
{
    struct op *op = arg;
    if (err)
        op_fail(op, err, NULL);
    else
        op_reply(op, 200, json_incref(value), NULL);
}

/* {name} may be "doit" (the newest) or "doit@1". */
void profiles_get(struct http_request *r, void *arg)
{
    struct op *op = op_new(arg, r);
    const char *name = http_param(r, 0);
    if (!shape_is_slug(name, 60, "-@"))
        op_fail_code(op, ERR_NOT_FOUND, "there is no such profile");
    else
        store_profile_get(op->api->store, name, got, op);
}

struct putting {
    struct op *op;
    struct profile *profile;
};

static void put_done(void *arg, const struct err *err)
{
    struct putting *p = arg;
    struct op *op = p->op;
    struct store *s = op->api->store;
    if (!err) {
        log_event(LOG_INFO, "profile.stored", "name", profile_name(p->profile), "digest", profile_digest(p->profile),
                  NULL);
        if (str_eq(profile_name(s->profile), profile_name(p->profile)) &&
            profile_version(p->profile) > profile_version(s->profile)) {
            profile_unref(s->profile);
            s->profile = profile_ref(p->profile);
        }
        op_reply(op, 200,
                 json_make("{s:s, s:I, s:s}", "name", profile_name(p->profile), "version",
                           (json_int_t)profile_version(p->profile), "digest", profile_digest(p->profile)),
                 NULL);
    } else {
        op_fail(op, err, NULL);
    }
    profile_unref(p->profile);
    mem_free(p);
}

void profiles_put(struct http_request *r, void *arg)
{
    struct op *op = op_new(arg, r);
    AUTO_FAULTS struct faults faults;
    faults_init(&faults);
    struct err err = {0};
    struct profile *profile = NULL;
    if (!op_read_body(op, false))
        return;
    if (profile_from_json(op->body, &profile, &faults, &err) < 0) {
        op_fail(op, &err, faults.list);
        return;
    }
    if (!str_eq(profile_name(profile), http_param(r, 0))) {
        op_fail_code(op, ERR_PROFILE_INVALID, "the profile's name is %s, the path says otherwise",
                     profile_name(profile));
        profile_unref(profile);
        return;
    }
    struct putting *p = MEM_NEW(struct putting);
    *p = (struct putting){op, profile};
    store_profile_put(op->api->store, profile, put_done, p);
}

void playbooks_get(struct http_request *r, void *arg)
{
    const struct api *api = arg;
    json_t *data = json_array();
    for (size_t i = 0; i < api->store->playbook_count; i++)
        if (!json_bool_at(api->store->playbooks[i]->json, "internal")) /* what a request may name */
            (void)json_array_append(data, api->store->playbooks[i]->json);
    http_reply_json(r, 200, json_make("{s:o}", "data", data));
}

void errors_get(struct http_request *r, void *arg)
{
    (void)arg;
    json_t *data = json_array();
    for (int i = 1; i < ERR_CODE_COUNT; i++) {
        const struct err_info *info = err_info((enum err_code)i);
        (void)json_array_append_new(data, json_make("{s:s, s:s, s:s, s:s, s:s}", "code", info->name, "title",
                                                    info->title, "owner", err_owner_name(info->owner), "retry",
                                                    err_retry_name(info->retry), "fix", info->fix));
    }
    http_reply_json(r, 200, json_make("{s:o}", "data", data));
}

void sealing_key_get(struct http_request *r, void *arg)
{
    const struct api *api = arg;
    struct err err = {0};
    json_t *key = *api->keys_dir ? seal_public_key(api->keys_dir, &err) : NULL;
    if (key) {
        http_reply_json(r, 200, key);
        return;
    }
    (void)err_set(&err, ERR_NOT_FOUND, "no sealing key is configured here (--keys)");
    http_reply_err(r, &err, NULL);
}
